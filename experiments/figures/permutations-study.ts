// What a mask for a permutation needs: how wide the network must be, and how much of it must be kept.

import type { Row, TaskCell } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { range, type ScaleName } from '../cells/scale.js';
import { extentOfTasks, taskCell, withoutFiles } from '../cells/task-grid.js';
import { type Style, styled } from '../evidence/chart.js';
import type { Experiment, Picture, Table } from '../evidence/experiment.js';
import { groups, meanBytes, numbers, percents, pointsOf } from '../evidence/rows.js';
import { summary } from '../statistics.js';

/** Permutations a point. */
const TASKS: Record<ScaleName, number> = { quick: 1, budget: 1, full: 5 };
/** Units of the hidden layers, and how they are drawn. */
const WIDTHS: readonly { readonly hidden: readonly [number, number]; readonly style: Style }[] = [
  { hidden: [100, 33], style: styled('orange') },
  { hidden: [300, 100], style: styled('blue') },
  { hidden: [600, 200], style: styled('green') },
];
/** Kept fractions, first layer to last. */
const DENSITIES = [
  [0.01, 0.03, 0.2],
  [0.03, 0.1, 0.3],
  [0.1, 0.2, 0.4],
] as const;

const cells = ({ scale }: Plan): TaskCell[] =>
  range(TASKS[scale]).flatMap((pixels) =>
    WIDTHS.flatMap(({ hidden }) => DENSITIES.map((density) => taskCell(scale, { pixels, units: [...hidden, 10], density }))),
  );

const networkName = (hidden: readonly number[]): string => `fc:784-${hidden.join('-')}-10`;

function pictures(rows: readonly Row[], { scale }: Plan): Picture[] {
  const lines = WIDTHS.map(({ hidden, style }) => ({
    label: `784-${hidden.join('-')}-10`,
    points: pointsOf(
      rows.filter((row) => row['network'] === networkName(hidden)),
      'density',
      'kept',
    ),
    ...style,
  })).filter(({ points }) => points.length > 0);
  return [
    {
      name: 'permutations-study',
      title: 'Width and density: permuted pixels',
      caption: `${extentOfTasks(scale)}; permutations a point: ${TASKS[scale]}.`,
      chart: { kind: 'curves', across: 'kept', yLabel: 'test accuracy, %', lines },
    },
  ];
}

const tables = (rows: readonly Row[], { scale }: Plan): Table[] => [
  {
    title: 'Width and density: permuted pixels',
    caption: `Means of permutations, ${TASKS[scale]} a point; ${extentOfTasks(scale)}.`,
    head: ['network', 'densities', 'kept', 'validation accuracy', 'test accuracy', 'bytes'],
    rows: [...groups(rows, 'network').values()].flatMap((of) =>
      [...groups(of, 'density').values()].map((own) => [
        String(own[0]['network']),
        String(own[0]['density']),
        `${(100 * summary(numbers(own, 'kept')).mean).toFixed(1)} %`,
        summary(percents(own, 'valAccuracy')).mean.toFixed(2),
        summary(percents(own)).mean.toFixed(2),
        meanBytes(own),
      ]),
    ),
  },
];

export const permutationsStudy: Experiment = {
  name: 'permutations-study',
  about: 'width and density of the network against accuracy and bytes of masks for permuted pixels',
  beyond: true,
  minutes: 4,
  cells,
  select: withoutFiles,
  pictures,
  tables,
  claims: () => [],
};
