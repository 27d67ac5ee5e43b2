// What task inference costs: SupSup tells tasks apart by how unsure a wrong mask is, and unused outputs are what it is unsure with. The
// same permutations with more outputs than classes: accuracy, and bytes a task. bench/infer-archive.mjs asks the archives which is which.

import type { Row, TaskCell } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { range } from '../cells/scale.js';
import { extentOfTasks, isTask, taskCell, withoutFiles } from '../cells/task-grid.js';
import type { Experiment, Table } from '../evidence/experiment.js';
import { groups, meanBytes, percents } from '../evidence/rows.js';
import { summary } from '../statistics.js';
import { archiveOf } from './permutations.js';

/** Outputs, ten of which are classes. */
const OUTPUTS = [100, 30] as const;
/** Tasks a number of outputs, at most. */
const TASKS = 30;

const cells = ({ scale, tasks }: Plan): TaskCell[] =>
  OUTPUTS.flatMap((outputs) => range(Math.min(TASKS, tasks)).map((pixels) => taskCell(scale, { pixels, units: [300, 100, outputs] })));

const tables = (rows: readonly Row[], { scale }: Plan): Table[] => [
  {
    title: 'Unused outputs',
    caption: `Permuted pixels; ${extentOfTasks(scale)}; means.`,
    head: ['network', 'tasks', 'test accuracy', 'bytes a task'],
    rows: [...groups(rows, 'network')].map(([network, own]) => [
      String(network),
      String(own.length),
      summary(percents(own)).mean.toFixed(2),
      meanBytes(own),
    ]),
  },
];

export const unusedOutputs: Experiment = {
  name: 'unused-outputs',
  about: 'permuted pixels with more outputs than classes, which task inference wants: accuracy, bytes, and archives to ask',
  beyond: true,
  minutes: 5,
  ofTasks: true,
  cells,
  select: withoutFiles,
  pictures: () => [],
  tables,
  claims: () => [],
  files: (results) =>
    OUTPUTS.map((outputs) => ({ outputs, of: results.filter(isTask).filter(({ cell }) => cell.units.at(-1) === outputs) }))
      .filter(({ of }) => of.length > 0)
      .map(({ outputs, of }) => ({ name: `unused-outputs-${outputs}.smk`, bytes: archiveOf(of, `outputs${outputs}-`) })),
};
