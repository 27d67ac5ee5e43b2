// Does a known mask help a new task? Masks for changed digits, trained from the mask of the plain digits (its weights begin above all
// others) and from scratch: accuracy by epochs, what both masks share, and what the codec saves where one leans on the other.

import type { Row, TaskCell } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { rowsOfTasks, taskCell, withoutFiles } from '../cells/task-grid.js';
import type { View } from '../cells/views.js';
import { styled } from '../evidence/chart.js';
import type { Experiment, Picture, Table } from '../evidence/experiment.js';
import { numbers, percents, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';

/** From the likest on. */
const VIEWS: readonly View[] = ['left-half', 'noisy', 'parity', 'mirrored', 'half-turn'];
/** Epochs of the new mask; the known one has as many. */
const EPOCHS = { quick: [1, 2], budget: [1, 2], full: [1, 3, 10, 24] } as const;
/** Suits all of them (unlike-tasks). */
const LEARNING_RATE = 0.1;

const cells = ({ scale }: Plan): TaskCell[] =>
  VIEWS.flatMap((view) =>
    EPOCHS[scale].flatMap((epochs) =>
      [true, false].map((start) => taskCell(scale, { view, epochs, learningRate: LEARNING_RATE, base: 'plain', start })),
    ),
  );

const tables = (rows: readonly Row[], { scale }: Plan): Table[] => [
  {
    title: 'From the mask of the plain digits, or from scratch',
    caption: `784-300-100-10; ${rowsOfTasks(scale)}. Overlap: weights kept by both masks over those kept by either.`,
    head: ['task', 'epochs', 'from', 'test accuracy', 'overlap', 'bytes alone', 'bytes leaning on the known mask'],
    rows: rows.map((row) => [
      String(row['view']),
      String(row['epochs']),
      String(row['start']),
      (100 * Number(row['testAccuracy'])).toFixed(2),
      Number(row['overlap']).toFixed(2),
      Number(row['bytes']).toLocaleString('en'),
      Number(row['bytesOnBase']).toLocaleString('en'),
    ]),
  },
];

const pictures = (rows: readonly Row[], { scale }: Plan): Picture[] => [
  {
    name: 'transfer',
    title: 'New tasks from a known mask (solid) and from scratch (dashed)',
    caption: `784-300-100-10; ${rowsOfTasks(scale)}; the known mask is that of the plain digits, after as many epochs.`,
    chart: {
      kind: 'curves',
      across: 'learning',
      yLabel: 'test accuracy, %',
      lines: VIEWS.flatMap((view, i) =>
        (['base', 'scratch'] as const).map((start) => ({
          label: start === 'base' ? view : `${view}, scratch`,
          points: where(rows, { view, start }).map((row) => ({ x: numbers([row], 'epochs')[0], ...summary(percents([row])) })),
          ...styled((['blue', 'red', 'green', 'purple', 'orange'] as const)[i], start === 'scratch'),
        })),
      ).filter(({ points }) => points.length > 0),
    },
  },
];

export const transfer: Experiment = {
  name: 'transfer',
  about: 'masks of new tasks trained from a known mask and from scratch: accuracy, overlap, bytes',
  beyond: true,
  minutes: 4,
  cells,
  select: withoutFiles,
  pictures,
  tables,
  claims: () => [],
};
