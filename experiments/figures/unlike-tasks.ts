// What symmetry does not explain. Eleven unlike tasks on one network: the same digits turned, mirrored, inverted, noisy, half hidden,
// other questions about them, and photographs. And permutations on a convolutional network, whose windows find nothing to hold on to in permuted pixels.

import type { Row, TaskCell } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { extentOfTasks, taskCell, viewCell, withoutFiles } from '../cells/task-grid.js';
import { VIEWS } from '../cells/views.js';
import type { Experiment, Picture, Table } from '../evidence/experiment.js';
import { bestOf, groups, has, meanBytes, percents } from '../evidence/rows.js';
import { summary } from '../statistics.js';

/** A small convolutional network. */
const CONV = { filters: [16, 32], units: [64, 10], density: [0.5, 0.1, 0.05, 0.3], learningRate: 0.3 } as const;
const CONV_ROWS = 20_000;

/** Rates that are tried on every view; validation rows choose. Bright images want smaller ones: their gradients are larger. */
const LEARNING_RATES = [0.3, 0.1, 0.03] as const;
/** Photographs are the brightest. */
const PHOTOGRAPH_RATES = [...LEARNING_RATES, 0.01, 0.003] as const;

const viewCells = ({ scale }: Plan): TaskCell[] =>
  VIEWS.flatMap((view) =>
    (view === 'photographs' ? PHOTOGRAPH_RATES : LEARNING_RATES).map((learningRate) => viewCell(scale, view, { learningRate })),
  );

const convCells = ({ scale }: Plan): TaskCell[] =>
  [null, 1].map((pixels) => {
    const cell = taskCell(scale, { ...CONV, pixels });
    return { ...cell, rows: Math.min(CONV_ROWS, cell.rows) };
  });

/** How far which task is trained, for captions. */
const extents = (scale: Plan['scale']): string =>
  `${extentOfTasks(scale)} (photographs: ${viewCell(scale, 'photographs').rows.toLocaleString('en')}; convolutions: at most ${CONV_ROWS.toLocaleString('en')} rows)`;

const isConv = (row: Row): boolean => String(row['network']).includes('conv');
const nameOf = (row: Row): string => (isConv(row) ? `${has(row, 'pixels') ? 'permuted' : 'plain'}, convolutions` : String(row['task']));

/** Of every task the row that is best on validation. */
const chosen = (rows: readonly Row[]): Row[] =>
  [
    ...groups(
      rows.map((row) => ({ ...row, name: nameOf(row) })),
      'name',
    ).values(),
  ].map(bestOf);

function tables(rows: readonly Row[], { scale }: Plan): Table[] {
  return [
    {
      title: 'Unlike tasks on one network',
      caption: `${extents(scale)}; the rate of a view is chosen on validation rows, permuted pixels and convolutions have ${CONV.learningRate} alone.`,
      head: ['task', 'network', 'rate', 'test accuracy', 'kept', 'bytes'],
      rows: chosen(rows).map((row) => [
        nameOf(row),
        String(row['network']),
        String(row['learningRate']),
        (100 * Number(row['testAccuracy'])).toFixed(2),
        `${(100 * Number(row['kept'])).toFixed(1)} %`,
        Number(row['bytes']).toLocaleString('en'),
      ]),
    },
  ];
}

function pictures(all: readonly Row[], { scale }: Plan): Picture[] {
  const rows = chosen(all);
  const bars = rows.map((row) => ({ label: nameOf(row), ...summary(percents([row])) }));
  const dense = rows.filter((row) => !isConv(row));
  return [
    {
      name: 'unlike-tasks',
      title: 'Unlike tasks, a mask each on one network; and permuted pixels under convolutions',
      caption:
        `784-300-100-10, one seed, ${dense.length > 0 ? meanBytes(dense) : 0} bytes a mask; ${extents(scale)}. ` +
        `Convolutions: 16 and 32 filters of 5x5, 64 units, another network.`,
      chart: { kind: 'bars', bars },
    },
  ];
}

export const unlikeTasks: Experiment = {
  name: 'unlike-tasks',
  about: 'eleven unlike tasks on one network (turned, noisy, odd or even, photographs, ...), and permuted pixels under convolutions',
  beyond: true,
  minutes: 3,
  cells: (plan) => [...viewCells(plan), taskCell(plan.scale, { pixels: 1 }), ...convCells(plan)],
  select: withoutFiles,
  pictures,
  tables,
  claims: () => [],
};
