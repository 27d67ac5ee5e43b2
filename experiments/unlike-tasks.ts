// What symmetry does not explain. Ten unlike tasks on one network: the same digits turned, mirrored, inverted, noisy, half hidden, and
// other questions about them. And permutations on a convolutional network, whose windows find nothing to hold on to in permuted pixels.

import type { Row, TaskCell } from './cell.js';
import type { Experiment, Picture, Table } from './experiment.js';
import type { Plan } from './grids.js';
import { numbers, percents, where } from './rows.js';
import { summary } from './statistics.js';
import { extentOfTasks, range, taskCell, withoutFiles } from './task-grid.js';
import { VIEWS } from './views.js';

/** A small convolutional network. */
const CONV = { filters: [16, 32], units: [64, 10], density: [0.5, 0.1, 0.05, 0.3], learningRate: 0.3 } as const;
const CONV_ROWS = 20_000;
const CONV_TASKS = 2;

const convCells = ({ scale }: Plan): TaskCell[] =>
  [null, ...range(CONV_TASKS)].map((pixels) => {
    const cell = taskCell(scale, { ...CONV, pixels });
    return { ...cell, rows: Math.min(CONV_ROWS, cell.rows) };
  });

const isConv = (row: Row): boolean => String(row['network']).includes('conv');
const nameOf = (row: Row): string => (isConv(row) ? `${row['pixels'] === '' ? 'plain' : 'permuted'}, convolutions` : String(row['task']));

function tables(rows: readonly Row[], { scale }: Plan): Table[] {
  if (rows.length === 0) return [];
  return [
    {
      title: 'Unlike tasks on one network',
      caption: `${extentOfTasks(scale)} (convolutions: at most ${CONV_ROWS.toLocaleString('en')} rows).`,
      head: ['task', 'network', 'test accuracy', 'kept', 'bytes'],
      rows: rows.map((row) => [
        nameOf(row),
        String(row['network']),
        (100 * Number(row['testAccuracy'])).toFixed(2),
        `${(100 * Number(row['kept'])).toFixed(1)} %`,
        Number(row['bytes']).toLocaleString('en'),
      ]),
    },
  ];
}

function pictures(rows: readonly Row[], { scale }: Plan): Picture[] {
  if (rows.length === 0) return [];
  const dense = rows.filter((row) => !isConv(row)).map((row) => ({ label: nameOf(row), ...summary(percents([row])) }));
  const conv = [where(rows, { pixels: '' }), rows.filter((row) => row['pixels'] !== '')]
    .map((of) => of.filter(isConv))
    .filter((of) => of.length > 0)
    .map((of) => ({ label: nameOf(of[0]), ...summary(percents(of)) }));
  const bytes = numbers(
    rows.filter((row) => !isConv(row)),
    'bytes',
  );
  return [
    {
      name: 'unlike-tasks',
      title: 'Unlike tasks, a mask each on one network; and permuted pixels under convolutions',
      caption:
        `784-300-100-10, one seed, ${bytes.length > 0 ? Math.round(summary(bytes).mean).toLocaleString('en') : 0} bytes a mask; ${extentOfTasks(scale)}. ` +
        `Convolutions: 16 and 32 filters of 5x5, 64 units, another network; mean and range of ${CONV_TASKS} permutations.`,
      chart: { kind: 'bars', bars: [...dense, ...conv] },
    },
  ];
}

export const unlikeTasks: Experiment = {
  name: 'unlike-tasks',
  about: 'ten unlike tasks on one network (turned, noisy, odd or even, ...), and permuted pixels under convolutions',
  minutes: { quick: 1, budget: 3, full: 30 },
  cells: (plan) => [...VIEWS.map((view) => taskCell(plan.scale, { view })), taskCell(plan.scale, { pixels: 1 }), ...convCells(plan)],
  select: withoutFiles,
  pictures,
  tables,
  claims: () => [],
};
