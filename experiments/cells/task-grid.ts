// The tasks that experiments put on one network: what they share, and which there are. Equal cells are computed once, so a task that two
// experiments look at is trained for one of them.

import { FC_EPOCHS, PAPER } from '../../src/recipes.js';
import type { Result, Row, TaskCell } from './cell.js';
import type { Plan } from './grids.js';
import { ALL, epochsText, range, type ScaleName } from './scale.js';
import type { View } from './views.js';

/** What tasks are trained on. `budget` is short, so that a thousand of them are a matter of an hour or two; `full` for as many epochs as `seedmask train`. */
const EXTENT: Record<ScaleName, Pick<TaskCell, 'rows' | 'validation' | 'test' | 'epochs'>> = {
  quick: { rows: 6000, validation: 500, test: 1000, epochs: 2 },
  budget: { ...ALL.fc, epochs: 2 },
  full: { ...ALL.fc, epochs: FC_EPOCHS },
};

/** Epochs of trained weights, which stand beside masks. */
const DENSE_EPOCHS: Record<ScaleName, number> = { quick: 1, budget: 6, full: 55 };

/** Densities and rate of a short training, chosen on the validation rows of tasks 10001 to 10003 (experiments/README.md). */
const DENSITY = [0.03, 0.1, 0.3] as const;
const LEARNING_RATE = 0.3;

/** A task of LeNet-300-100; `plain` digits unless told otherwise. */
export const taskCell = (scale: ScaleName, change: Partial<TaskCell> = {}): TaskCell => ({
  kind: 'task',
  filters: [],
  units: [300, 100, 10],
  seed: 0,
  view: 'plain',
  pixels: null,
  labels: null,
  method: 'topk',
  density: DENSITY,
  learningRate: LEARNING_RATE,
  ...EXTENT[scale],
  ...change,
});

/** A view; photographs are fewer. */
export function viewCell(scale: ScaleName, view: View, change: Partial<TaskCell> = {}): TaskCell {
  const cell = taskCell(scale, { view, ...change });
  return view === 'photographs' ? { ...cell, rows: Math.min(ALL.conv.rows, cell.rows) } : cell;
}

/** Trained weights for the same task. */
export const denseCell = (scale: ScaleName, change: Partial<TaskCell>): TaskCell =>
  taskCell(scale, { ...change, method: 'dense', density: [], learningRate: PAPER.learningRate, epochs: DENSE_EPOCHS[scale] });

/** Tasks 1 to n of permuted pixels: the seed of a task is its number. */
export const pixelCells = ({ scale, tasks }: Plan): TaskCell[] => range(tasks).map((pixels) => taskCell(scale, { pixels }));

/** How far from the longest training, for captions and notes. */
export const extentOfTasks = (scale: ScaleName): string => `${rowsOfTasks(scale)}, ${epochsText(EXTENT[scale].epochs)} a task`;
export const rowsOfTasks = (scale: ScaleName): string => `${EXTENT[scale].rows.toLocaleString('en')} training rows`;

/** The same where there are trained weights too. */
export const extentWithDense = (scale: ScaleName): string =>
  `${extentOfTasks(scale)} (trained weights: ${epochsText(DENSE_EPOCHS[scale])})`;

export const isTask = (result: Result): result is Result & { readonly cell: TaskCell } => result.cell.kind === 'task';

/** Rows without their model files. */
export const withoutFiles = (rows: readonly Row[]): Row[] => rows.map(({ base64: _, ...row }) => row);
