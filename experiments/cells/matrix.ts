// Every task's test rows under every task's mask, and what each pair of masks has in common: what a mask knows beyond its own task.

import { readModel } from '../../codec/index.js';
import { accuracyOf, matchedAccuracy } from '../../src/evaluate.js';
import { outputs } from '../../src/network.js';
import type { MatrixCell, Row, TaskCell } from './cell.js';
import { advance, type Lab } from './lab.js';
import { dataOfTask, labelsOfView, networkOf, overlap, taskName, taskRows } from './task.js';

/** A task's name, and the view whose mask its training began at. */
const titleOf = (cell: TaskCell): string => (cell.start ? `${taskName(cell)} from ${cell.base}` : taskName(cell));

/** A row for every task and mask; tasks are in the cell's order, masks within them. */
export async function matrixRows({ tasks, seed }: MatrixCell, lab: Lab): Promise<Row[]> {
  const learned = [];
  for (const [i, cell] of tasks.entries()) {
    const part = (fraction: number) => lab.progress((0.9 * (i + fraction)) / tasks.length);
    const [row] = await taskRows(cell, { ...lab, progress: part });
    const [task] = readModel(Buffer.from(String(row['base64']), 'base64')).tasks;
    learned.push({ cell, name: titleOf(cell), task });
  }
  const network = networkOf(tasks[0]);
  const rows: Row[] = [];
  for (const [i, { cell, name, task }] of learned.entries()) {
    const { test } = dataOfTask(lab, cell);
    const labels = test.labels.subarray(0, cell.test);
    const images = test.images.subarray(0, (test.images.length / test.labels.length) * labels.length);
    for (const other of learned) {
      const classifier = lab.engine.classifier(network, { mask: other.task.mask, transform: other.task.transform });
      const logits = classifier.logits(images, labels.length);
      classifier.free();
      const classes = labelsOfView(other.cell.view).length;
      rows.push({
        task: name,
        mask: other.name,
        seed,
        accuracy: accuracyOf(logits, labels, outputs(network), classes),
        matched: matchedAccuracy(logits, labels, outputs(network), classes),
        overlap: overlap(task.mask, other.task.mask),
      });
    }
    await advance(lab, 0.9 + (0.1 * (i + 1)) / learned.length);
  }
  return rows;
}
