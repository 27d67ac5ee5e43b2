// Does variant 2 of the mask-0 actions (kept weights that moved toward zero restart from zero too) catch up with variant 1 as rounds
// get longer? Tickets of large_final, pruned once to the depth of eight of the paper's rounds, trained for more and more epochs. One
// line a result as it comes, then a table; what --out holds already is not computed again.
//
//   node bench/variants.mjs [--network conv2] [--rows 2500] [--epochs 4,16] [--seeds 2] [--threads 2] [--out FOLDER]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeFileSafely } from '../dist/cli/files.js';
import { shelfIn } from '../dist/cli/shelf.js';
import { summary } from '../dist/experiments/statistics.js';
import { openPool, runHere } from '../dist/experiments/sweep/pool.js';
import { openStore } from '../dist/experiments/sweep/store.js';
import * as definitions from '../dist/models/index.js';
import { paperTraining } from '../dist/src/recipes.js';

const { values } = parseArgs({
  options: {
    network: { type: 'string', default: 'conv2' },
    rows: { type: 'string', default: '2500' },
    epochs: { type: 'string', default: '4,16' },
    seeds: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const [rows, seeds, threads] = [values.rows, values.seeds, values.threads].map(Number);
const epochs = values.epochs.split(',').map(Number);
const ARMS = /** @type {const} */ (['toward_zero', 'toward_zero_all']);
const folder = values.out ?? mkdtempSync(join(tmpdir(), 'seedmask-variants-'));
const store = openStore(folder, writeFileSafely);
const network = /** @type {import('../dist/experiments/cells/cell.js').TicketCell['network']} */ (values.network);
const ticket = /** @type {const} */ ({ kind: 'ticket', network, criterion: 'large_final', mask1: 'rewind', rounds: 1, power: 8 });
const sizes = { rows, validation: 1000, test: values.network === 'fc' ? 10_000 : 5000 };
/** @returns {import('../dist/experiments/cells/cell.js').TicketCell} */
const cellOf = (mask0, seed, epochs) => ({ ...ticket, ...sizes, mask0, seed, epochs });
const cells = Array.from({ length: seeds }, (_, seed) => epochs.flatMap((age) => ARMS.map((mask0) => cellOf(mask0, seed, age)))).flat();

const missing = cells.filter((cell) => !store.result(cell));
if (missing.length > 0) {
  const shelf = shelfIn(join(folder, 'shelf'));
  const pool = await openPool(new URL('../dist/cli/experiment-thread.js', import.meta.url).pathname, shelf, threads);
  await runHere(missing, pool, threads, {
    progress() {},
    failed: (cell, reason) => console.error(`seed ${cell.seed} failed: ${reason}`),
    done(/** @type {import('../dist/experiments/cells/cell.js').TicketCell} */ cell, found, seconds) {
      store.add(cell, found, seconds);
      const last = found.at(-1);
      console.error(
        `${cell.epochs} epochs, seed ${cell.seed}, ${cell.mask0}: ${(100 * Number(last.testAccuracy)).toFixed(2)} % (${seconds.toFixed(0)} s)`,
      );
    },
  });
}
const architectures = { ...definitions };
const { batch } = paperTraining(architectures[network]);
console.log('| epochs a round | steps | whole network | variant 1 | variant 2 | variant 2 above variant 1 |\n|---|---|---|---|---|---|');
for (const age of epochs) {
  const by = (mask0, round) =>
    Array.from({ length: seeds }, (_, seed) => 100 * Number(store.result(cellOf(mask0, seed, age)).rows[round].testAccuracy));
  const [whole, one, two] = [by(ARMS[0], 0), by(ARMS[0], 1), by(ARMS[1], 1)];
  const text = (list) => {
    const { mean, min, max } = summary(list);
    return `${mean.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
  };
  const apart = two.map((value, seed) => value - one[seed]);
  console.log(`| ${age} | ${age * Math.floor(rows / batch)} | ${text(whole)} | ${text(one)} | ${text(two)} | ${text(apart)} |`);
}
if (!values.out) rmSync(folder, { recursive: true });
