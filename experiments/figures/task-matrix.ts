// Task by mask: what the mask of one task makes of the test rows of another, and how many weights two masks share.

import type { MatrixCell, Row } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { extentOfTasks, taskCell, viewCell } from '../cells/task-grid.js';
import { VIEWS, type View } from '../cells/views.js';
import type { Matrix } from '../evidence/chart.js';
import type { Experiment, Picture } from '../evidence/experiment.js';
import { groups } from '../evidence/rows.js';

/** Chosen by unlike-tasks on validation rows: images with much light want small rates. One rate suits all others. */
const BRIGHT: Partial<Record<View, number>> = { inverted: 0.03, noisy: 0.03, photographs: 0.01 };
const rateOf = (view: View): number => BRIGHT[view] ?? 0.1;
/** Views whose masks are learned a second time, from the mask of the plain digits (transfer). */
const FROM_PLAIN: readonly View[] = ['left-half', 'parity'];
/** Pixels permuted by these seeds. */
const PERMUTED = [1, 2];

function cells({ scale }: Plan): MatrixCell[] {
  const tasks = [
    ...VIEWS.map((view) => viewCell(scale, view, { learningRate: rateOf(view) })),
    ...PERMUTED.map((pixels) => taskCell(scale, { pixels, learningRate: rateOf('plain') })),
    ...FROM_PLAIN.map((view) => viewCell(scale, view, { learningRate: rateOf(view), base: 'plain', start: true })),
  ];
  return [{ kind: 'matrix', seed: tasks[0].seed, tasks }];
}

function pictures(rows: readonly Row[], { scale }: Plan): Picture[] {
  const names = [...groups(rows, 'task').keys()].map(String);
  const chart = (column: string, rowLabel: string): Matrix => ({
    kind: 'matrix',
    rows: names,
    columns: names,
    values: rows.map((row) => ({ row: String(row['task']), column: String(row['mask']), value: Number(row[column]) })),
    rowLabel,
    columnLabel: 'mask of',
  });
  const extent = `784-300-100-10, one seed; ${extentOfTasks(scale)} (photographs: 45,000 at most)`;
  return [
    {
      name: 'task-accuracy',
      title: "Every task's test rows under every task's mask, % right",
      caption:
        `${extent}. Each class of a mask is read as the label that it meets most often, as classes of unlike tasks have unlike names: so ` +
        'what knows nothing is right about twice in ten among ten classes, and every other time among two. CSV: also without this reading.',
      chart: chart('matched', 'test rows of'),
    },
    {
      name: 'task-overlap',
      title: 'Weights kept by both masks over weights kept by either, %',
      caption: `${extent}. "from plain": learned from the mask of the plain digits.`,
      chart: chart('overlap', 'mask of'),
    },
  ];
}

export const taskMatrix: Experiment = {
  name: 'task-matrix',
  about: 'the test rows of unlike tasks under the masks of all of them, and what these masks share',
  beyond: true,
  minutes: 2,
  cells,
  pictures,
  claims: () => [],
};
