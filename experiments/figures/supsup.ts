// SupSup's setting repeated (Wortsman et al. 2020, arXiv 2006.14769, its notebook): five permutations of MNIST's pixels, 784-300-300-100,
// one epoch over all 60,000 rows, masks where scores are at least 0; and our masks in the same setting.

import { RMSPROP } from '../../src/masks/threshold.js';
import type { Row, TaskCell } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { range, type ScaleName } from '../cells/scale.js';
import { taskCell, withoutFiles } from '../cells/task-grid.js';
import { inBands, shown } from '../evidence/claims.js';
import type { Claim, Experiment, Table } from '../evidence/experiment.js';
import { meanBytes, numbers, percents, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';

const TASKS = 5;
/** Test accuracies that the notebook prints, in per cent. */
const PUBLISHED = [91.91, 92.92, 92.25, 92.07, 92.69] as const;
/** A bit a weight, as SupSup stores a mask. */
const RAW_BYTES = (784 * 300 + 300 * 300 + 300 * 100) / 8;

const ROWS: Record<ScaleName, number> = { quick: 3000, budget: 60_000, full: 60_000 };

function cells({ scale }: Plan): TaskCell[] {
  const setting = { units: [300, 300, 100], rows: ROWS[scale], epochs: 1 };
  return range(TASKS).flatMap((pixels) => [
    taskCell(scale, { ...setting, pixels, method: 'threshold', density: [], learningRate: RMSPROP.learningRate }),
    taskCell(scale, { ...setting, pixels, density: [0.04, 0.06, 0.1] }),
  ]);
}

const methods = (rows: readonly Row[]) => [where(rows, { method: 'threshold' }), where(rows, { method: 'topk' })];

function tables(rows: readonly Row[], { scale }: Plan): Table[] {
  const line = (name: string, of: readonly Row[]) =>
    of.length === 0
      ? [name, 'not run', '', '', '']
      : [
          name,
          shown(percents(of), 2, 'task'),
          shown(percents(of, 'wrongAccuracy'), 1, 'task'),
          `${(100 * summary(numbers(of, 'kept')).mean).toFixed(1)} %`,
          meanBytes(of),
        ];
  const [threshold, topk] = methods(rows);
  return [
    {
      title: "SupSup's setting",
      caption: `Five permutations, one epoch over ${ROWS[scale].toLocaleString('en')} rows, 784-300-300-100, ten of the outputs are classes. Means and ranges, %.`,
      head: ['masks', 'test accuracy', 'under the mask of another task', 'kept', 'bytes a task'],
      rows: [
        ['published', shown(PUBLISHED, 2, 'task'), '', '', `${RAW_BYTES.toLocaleString('en')} (a bit a weight)`],
        line('threshold, repeated', threshold),
        line('topk, ours', topk),
      ],
    },
  ];
}

function claims(rows: readonly Row[], plan: Plan): Claim[] {
  const [threshold, topk] = methods(rows);
  // Values are of tasks, and of these there are five, however many seeds others have.
  const scope = { plan: { ...plan, runs: () => TASKS }, network: 'fc', each: 'task' } as const;
  return [
    inBands(scope, { text: "A17: SupSup's setting, five permutations, one epoch", paper: `SupSup: ${shown(PUBLISHED, 2, 'task')}` }, [
      { values: percents(threshold), low: 91, high: 94 },
    ]),
    inBands(scope, { text: 'The same with our topk masks', paper: `SupSup: ${shown(PUBLISHED, 2, 'task')}` }, [
      { values: percents(topk), low: summary(PUBLISHED).mean, high: 100 },
    ]),
  ];
}

export const supsup: Experiment = {
  name: 'supsup',
  about: "SupSup's five permutations in one epoch: threshold masks as published, and ours",
  beyond: true,
  minutes: 2,
  cells,
  select: withoutFiles,
  pictures: () => [],
  tables,
  claims,
};
