// How good and how fast is training: learned masks over five seeds, lottery tickets over three. One JSON line a result, then means.
//
//   node bench/training.mjs topk [--seeds 5] [--threads 2] [--density .03,.1,.3 --epochs 10] [--shift 1] [--rate 0]     `seedmask train --network fc`
//   node bench/training.mjs tickets [--seeds 3] [--epochs 55] [--threads 2]  masks from trained networks, best keep rate by validation
//
// Each model is written to a file in a temporary folder, served from there, and its accuracy read from the answers over HTTP.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { RATE, SHIFT, taskModel, trainTask } from '../dist/cli/learn.js';
import { bestTicket } from '../dist/cli/ticket.js';
import { writeModel } from '../dist/codec/index.js';
import { fc } from '../dist/models/index.js';
import { createHandler, listen, openStore } from '../dist/server/index.js';
import { split } from '../dist/src/data.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { criterionMask } from '../dist/src/masks/criteria.js';
import { fullMask, regenerate } from '../dist/src/network.js';
import { parseSeed } from '../dist/src/random.js';
import { FC_DENSITY, FC_EPOCHS, maskNetwork, PAPER } from '../dist/src/recipes.js';
import { ticketNetwork } from '../dist/src/tickets.js';
import { trainDense } from '../dist/src/train.js';

const {
  values: o,
  positionals: [what = 'topk'],
} = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    density: { type: 'string', default: FC_DENSITY.join() },
    epochs: { type: 'string' },
    shift: { type: 'string', default: String(SHIFT) },
    rate: { type: 'string', default: String(RATE) },
    threads: { type: 'string', default: '2' },
  },
});
const epochs = Number(o.epochs ?? (what === 'topk' ? FC_EPOCHS : 55));
const density = o.density.split(',').map(Number);
const data = loadDataset('mnist');
const engine = await createWasmEngine({ threads: Number(o.threads) });
const results = {};
const report = (seed, row) => {
  console.log(JSON.stringify({ seed, ...row }));
  for (const [key, value] of Object.entries(row)) {
    results[key] ??= [];
    if (typeof value === 'number') results[key].push(value);
  }
};

/** Accuracy of model files from answers over HTTP to the 10,000 test digits. */
async function served(files) {
  const folder = mkdtempSync(join(tmpdir(), 'seedmask-bench-'));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, `${name}.smk`), bytes);
  const server = await listen(createHandler({ engine, store: await openStore(folder) }), { port: 0 });
  const accuracy = {};
  for (const name of Object.keys(files)) {
    let right = 0;
    for (let row = 0; row < 10000; row += 1000) {
      const body = data.test.images.slice(row * 784, (row + 1000) * 784);
      const response = await fetch(`${server.url}/tasks/${name}/classify`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body,
      });
      const { predictions } = await response.json();
      right += predictions.filter(({ label }, i) => label === String(data.test.labels[row + i])).length;
    }
    accuracy[name] = right / 10000;
  }
  await server.close();
  rmSync(folder, { recursive: true });
  return accuracy;
}

const seeds = Array.from({ length: Number(o.seeds ?? (what === 'topk' ? 5 : 3)) }, (_, i) => i);
for (const seed of seeds) {
  const key = parseSeed(seed);
  const parts = split(60000, 5000, key);
  if (what === 'topk') {
    const r = await trainTask(engine, maskNetwork(fc, key), data, parts, { density, epochs, shift: Number(o.shift), rate: Number(o.rate) });
    report(seed, {
      valAccuracy: r.valAccuracy,
      testAccuracy: r.testAccuracy,
      fileBytes: r.fileBytes,
      trainSeconds: r.trainSeconds,
      stepsPerSecond: r.steps / r.trainSeconds,
    });
    continue;
  }
  const network = ticketNetwork(fc, key);
  const initial = regenerate(network);
  const started = performance.now();
  const dense = await trainDense(engine, network, data.train, parts, { ...PAPER, epochs });
  const trainSeconds = (performance.now() - started) / 1000;
  const file = (mask) => writeModel(taskModel(engine, network, mask, data, parts.validation));
  const tickets = {
    largeFinalInit: bestTicket(engine, network, dense, 'large_final', 'init', data, parts),
    sameSignInit: bestTicket(engine, network, dense, 'large_final_same_sign', 'init', data, parts),
    sameSignConstant: bestTicket(engine, network, dense, 'large_final_same_sign', 'constant', data, parts),
  };
  const accuracy = await served({
    untrained: file(fullMask(network, true)),
    randomMask: file(criterionMask(network, 'random', initial, initial, [0.5, 0.5, 0.5], key)),
    ...Object.fromEntries(Object.entries(tickets).map(([name, ticket]) => [name, ticket.bytes])),
  });
  report(seed, { epochs, ...accuracy, trainedValAccuracy: dense.valAccuracy, trainSeconds });
}
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
console.log(
  JSON.stringify({
    mean: Object.fromEntries(Object.entries(results).map(([k, v]) => [k, Number(mean(v).toFixed(4))])),
    lowest: Object.fromEntries(Object.entries(results).map(([k, v]) => [k, Math.min(...v)])),
  }),
);
engine.close();
