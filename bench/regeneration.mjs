// Weights regenerated a second on one core: our kernels beside the plain TypeScript that is their oracle. Nobody else has this job.
//
//   npm run build && node bench/regeneration.mjs [options of rounds.mjs]

import { KERNELS } from '../dist/src/engine/kernels.js';
import { Machine } from '../dist/src/engine/wasm/machine.js';
import { DISTRIBUTIONS, fillWeights } from '../dist/src/random.js';
import { openBench, rate } from './rounds.mjs';

const COUNT = 1 << 20;
const bench = openBench();
const machine = await Machine.create(1, KERNELS.single);
const out = machine.allocate(COUNT * 4);
const plain = new Float32Array(COUNT);
const seed = { low: 1, high: 2 };
const rows = [];
for (const name of /** @type {(keyof typeof DISTRIBUTIONS)[]} */ (Object.keys(DISTRIBUTIONS))) {
  if (!bench.wanted(name)) continue;
  const rates = await bench.contest({
    ours: (seconds) => rate(() => machine.weights(DISTRIBUTIONS[name], 0.05, seed, 0, out, COUNT), seconds) * COUNT,
    'plain TypeScript': (seconds) => rate(() => fillWeights(name, 0.05, seed, 0, 0, plain), seconds) * COUNT,
  });
  rows.push({ name, rates });
}
bench.table('Weight regeneration, one core', 'million weights per second', rows, { scale: 1e-6 });
bench.close();
