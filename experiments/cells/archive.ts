// Masks of every criterion and level as one model file: one network that was never trained, one task a mask. Its biases are zero, as
// those of every model file: an untrained supermask has no others. The bytes travel as text in a row, so an archive is a result like
// any other: computed once, stored whole, the same from every machine.

import { createHash } from 'node:crypto';
import { DIGITS, PIXELS_TRANSFORM, type Task, writeModel } from '../../codec/index.js';
import { logitScaleOf } from '../../src/evaluate.js';
import { criterionMask, paperRates } from '../../src/masks/criteria.js';
import { type Mask, type Network, regenerate } from '../../src/network.js';
import { constantTwin } from '../../src/tickets.js';
import { type ArchiveCell, dataOf, type Row } from './cell.js';
import { advance, type Bench, type Lab, scaleRowsOf, trainedAt } from './lab.js';

/** As `init-large_final-p08`: weights, criterion, level. Both files can be served from one folder. */
const taskName = (weights: string, criterion: string, power: number): string =>
  `${weights}-${criterion}-p${String(power).padStart(2, '0')}`;

/** One row: the file's weights, its SHA-256 and its bytes in base64. */
export async function archiveRows(cell: ArchiveCell, lab: Lab, bench: Bench): Promise<Row[]> {
  const { network } = bench;
  const under = cell.weights === 'init' ? network : constantTwin(network);
  const [{ weights }] = await trainedAt(lab, cell, bench, [cell.epochs], { part: 0.3 });
  const initial = regenerate(network);
  const tasks: Task[] = [];
  const total = cell.criteria.length * cell.powers.length;
  for (const criterion of cell.criteria) {
    for (const power of cell.powers) {
      const mask = criterionMask(network, criterion, initial, weights, paperRates(network, power), network.seed);
      tasks.push(taskOf(taskName(cell.weights, criterion, power), under, mask, cell, lab, bench));
      await advance(lab, 0.3 + (0.7 * tasks.length) / total);
    }
  }
  const bytes = writeModel({ network: under, tasks: tasks.sort((a, b) => (a.id < b.id ? -1 : 1)) });
  const hash = createHash('sha256').update(bytes).digest('hex');
  return [{ network: cell.network, seed: cell.seed, archive: cell.weights, sha256: hash, base64: Buffer.from(bytes).toString('base64') }];
}

function taskOf(id: string, network: Network, mask: Mask, cell: ArchiveCell, lab: Lab, { train, parts }: Bench): Task {
  const logitScale = logitScaleOf(lab.engine, network, { mask }, train, scaleRowsOf(parts), DIGITS.length);
  const data = { dataset: dataOf(cell.network), pixelPermutation: null, labelPermutation: null };
  return { id, mask, transform: PIXELS_TRANSFORM, labels: DIGITS, data, logitScale };
}
