// The paper says that any permutation of MNIST's pixels and classes can be solved by another mask on the same random network, and gives
// no numbers. Here they are: the task of a seed is the permutation of that seed, all on one network, in one archive.
//
// For a fully connected network of independent random weights a permutation of its inputs is, in distribution, another draw of its first
// layer. So what a thousand permutations measure is how reliably masks are found, and the tables say so.

import { type PackedTask, readPacked, writePacked } from '../../codec/index.js';
import type { Network } from '../../src/network.js';
import type { Result, Row } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { range } from '../cells/scale.js';
import { denseCell, extentOfTasks, extentWithDense, isTask, pixelCells, taskCell, withoutFiles } from '../cells/task-grid.js';
import { inBands, shown } from '../evidence/claims.js';
import type { Claim, Experiment, Picture, Table } from '../evidence/experiment.js';
import { csv, has, meanBytes, percents, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';

/** Tasks of permuted classes, of both, and of trained weights, at most. */
const FEW = 10;
const DENSE = 2;

const few = ({ tasks }: Plan, most: number): number[] => range(Math.min(most, tasks));

/** The rows of a kind: which permutations, and what was trained. */
const kinds = (rows: readonly Row[]) => {
  const masks = where(rows, { method: 'topk' });
  const of = (pixels: boolean, labels: boolean) => masks.filter((row) => has(row, 'pixels') === pixels && has(row, 'labels') === labels);
  return {
    plain: of(false, false),
    pixels: of(true, false),
    classes: of(false, true),
    both: of(true, true),
    dense: where(rows, { method: 'dense' }),
  };
};

function tables(rows: readonly Row[], { scale }: Plan): Table[] {
  const { plain, pixels, classes, both, dense } = kinds(rows);
  if (pixels.length === 0) return [];
  const accuracy = (of: readonly Row[], column = 'testAccuracy') => (of.length > 0 ? shown(percents(of, column), 2, 'task') : 'not run');
  const bytes = (of: readonly Row[]) => (of.length > 0 ? meanBytes(of) : '');
  const line = (name: string, of: readonly Row[]) => [name, String(of.length), accuracy(of), bytes(of)];
  return [
    {
      title: 'One network, many permutations',
      caption:
        `Test accuracy, %: mean and range over tasks, each from its own seed; ${extentWithDense(scale)}. Whoever asks sends permuted pixels: ` +
        'nothing is turned back for the mask. Bytes are those of the mask in the archive; the trivial control needs the seed alone.',
      head: ['task', 'tasks', 'test accuracy', 'bytes a task'],
      rows: [
        line('permuted pixels', pixels),
        line('permuted classes', classes),
        line('both', both),
        line('digits as they are', plain),
        ['control: the mask of another permutation', String(pixels.length), accuracy(pixels, 'wrongAccuracy'), ''],
        ['control: the mask of the digits as they are, pixels turned back', '', accuracy(plain), '8'],
        line('beside them: trained weights, permuted pixels', dense),
      ],
    },
  ];
}

function pictures(rows: readonly Row[], { scale }: Plan): Picture[] {
  const { plain, pixels, dense } = kinds(rows);
  if (pixels.length === 0) return [];
  const extentOf = dense.length > 0 ? extentWithDense : extentOfTasks;
  const mark = (label: string, of: readonly Row[]) => (of.length > 0 ? [{ label, at: summary(percents(of)).mean }] : []);
  return [
    {
      name: 'permutations',
      title: `${pixels.length.toLocaleString('en')} permutations of MNIST's pixels, a mask each on one network`,
      caption: `784-300-100-10, one seed; ${extentOf(scale)}; each permutation from its own seed.`,
      chart: {
        kind: 'histogram',
        xLabel: 'test accuracy, %',
        yLabel: 'tasks',
        values: percents(pixels),
        marks: [...mark('digits as they are', plain), ...mark('trained weights', dense)],
      },
    },
  ];
}

function claims(rows: readonly Row[], plan: Plan): Claim[] {
  const { pixels, classes, both, dense } = kinds(rows);
  const scopeOf = (extent: string) =>
    ({
      // Values are of tasks; none is missing because of a seed.
      plan: { ...plan, runs: () => 1 },
      network: 'fc',
      each: 'task',
      shortened: plan.scale === 'full' ? undefined : `shortened run: ${extent}`,
    }) as const;
  const scope = scopeOf(extentOfTasks(plan.scale));
  const paper = 'any permutation, without numbers';
  const solved = (name: string, of: readonly Row[]) => ({ name, values: percents(of), low: 97, high: 100, each: [95, 100] as const });
  const gaps = dense.flatMap((row) => {
    const [bound, mask] = [row, ...where(pixels, { pixels: row['pixels'] })].map((one) => percents([one])[0]);
    return mask === undefined ? [] : [bound - mask];
  });
  return [
    inBands(scope, { text: 'A mask each on one network solves permutations of pixels, of classes, and of both', paper }, [
      solved('pixels', pixels),
      solved('classes', classes),
      solved('both', both),
    ]),
    inBands(scope, { text: 'A19: and only its own: the mask of another permutation guesses', paper: 'about 10 %' }, [
      { values: percents(pixels, 'wrongAccuracy'), low: 7, high: 14, each: [0, 25] },
    ]),
    inBands(
      scopeOf(extentWithDense(plan.scale)),
      { text: 'Masks come near to trained weights of the same permutations', paper: 'not looked at' },
      [{ name: 'points below trained weights', values: gaps, low: -100, high: 1 }],
    ),
  ];
}

/** The archive of tasks, their masks as they are. @param prefix of their ids: files of one folder are served beside each other */
export function archiveOf(results: readonly Result[], prefix = ''): Uint8Array {
  const tasks: PackedTask[] = [];
  let network: Network | undefined;
  for (const { rows } of results) {
    const file = readPacked(Buffer.from(String(rows[0]['base64']), 'base64'));
    network ??= file.network;
    tasks.push(...file.tasks.map((task) => ({ ...task, id: prefix + task.id })));
  }
  return writePacked({ network: network!, tasks: tasks.sort((a, b) => (a.id < b.id ? -1 : 1)) });
}

/** The tasks of permuted pixels: an archive to serve, and a table of it. */
function files(results: readonly Result[]) {
  const tasks = results.filter(isTask).filter(({ cell }) => cell.method === 'topk' && cell.pixels !== null && cell.labels === null);
  if (tasks.length === 0) return [];
  const lines = tasks.map(({ rows: [{ task, valAccuracy, testAccuracy, bytes }], seconds }) => ({
    task,
    valAccuracy,
    testAccuracy,
    bytes,
    seconds,
  }));
  return [
    { name: `permutations-${tasks.length}.smk`, bytes: archiveOf(tasks) },
    { name: `permutations-${tasks.length}.csv`, bytes: new TextEncoder().encode(csv(lines)) },
  ];
}

export const permutations: Experiment = {
  name: 'permutations',
  about: 'permuted pixels and classes, a mask each on one network; also as one archive to serve',
  beyond: true,
  minutes: 10,
  ofTasks: true,
  cells: (plan) => [
    taskCell(plan.scale),
    ...few(plan, FEW).map((labels) => taskCell(plan.scale, { labels })),
    ...few(plan, FEW).map((seed) => taskCell(plan.scale, { pixels: seed, labels: seed })),
    ...few(plan, DENSE).map((pixels) => denseCell(plan.scale, { pixels })),
    ...pixelCells(plan),
  ],
  select: withoutFiles,
  pictures,
  tables,
  claims,
  filesNamed: /^permutations-\d+\.(smk|csv)$/,
  files,
};
