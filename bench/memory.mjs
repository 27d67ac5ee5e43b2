// Memory: what one more task of a network costs while it only waits, what it costs once compiled, and a training run over its steps.
// Objects and buffers in use after a collection, and the kernels' memory.
//
//   npm run build && node --expose-gc bench/memory.mjs

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DIGITS, PIXELS_TRANSFORM, writeModel } from '../dist/codec/index.js';
import { fc } from '../dist/models/index.js';
import { openStore } from '../dist/server/index.js';
import { PIXELS } from '../dist/src/engine/engine.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { criterionMask } from '../dist/src/masks/criteria.js';
import { initialScores, selectionAt } from '../dist/src/masks/topk.js';
import { regenerate } from '../dist/src/network.js';
import { parseSeed } from '../dist/src/random.js';
import { maskNetwork } from '../dist/src/recipes.js';

if (!globalThis.gc) {
  console.error('memory.mjs: start it as node --expose-gc bench/memory.mjs');
  process.exit(1);
}
/** Bytes of JavaScript: objects and buffers that are still in use. */
const held = () => {
  for (let i = 0; i < 4; i++) globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
const network = maskNetwork(fc, parseSeed(1));
const initial = regenerate(network);
const maskOf = (density, i) => criterionMask(network, 'random', initial, initial, density, parseSeed(i));
const folder = mkdtempSync(join(tmpdir(), 'seedmask-bench-'));

const TASKS = 1000;
const provenance = { dataset: 'mnist', pixelPermutation: null, labelPermutation: null };
const one = maskOf([0.03, 0.1, 0.3], 0);
// Masks of equal bytes: the store decodes each of them anew.
const tasks = Array.from({ length: TASKS }, (_, i) => ({
  ...{ id: `task-${String(i).padStart(4, '0')}`, mask: one, transform: PIXELS_TRANSFORM, labels: DIGITS, data: provenance, logitScale: 1 },
}));
writeFileSync(join(folder, 'tasks.smk'), writeModel({ network, tasks }));
const before = held();
const store = await openStore(folder);
await store.warm();
console.log(
  `a resident FC task: ${((held() - before) / TASKS / 1000).toFixed(1)} kB (${store.tasks.size} tasks; its packed mask is 33.3 kB)`,
);

const engine = await createWasmEngine({ threads: 1 });
for (const density of [
  [0.03, 0.1, 0.3],
  [0.2, 0.2, 0.2],
  [0.5, 0.5, 0.5],
]) {
  const classifier = engine.classifier(network, { mask: maskOf(density, 1) });
  console.log(`a compiled FC task at densities ${density.join(' ')}: ${(classifier.bytes / 1000).toFixed(1)} kB at most`);
  classifier.free();
}

const rows = 6000;
const data = {
  images: new Uint8Array(rows * 784).map((_, i) => (i * 7919) % 251),
  labels: new Uint8Array(rows).map((_, i) => i % 10),
  transform: PIXELS,
};
const selection = selectionAt(network, [0.03, 0.1, 0.3]);
const idle = engine.memoryBytes;
const trainer = engine.topkTrainer(network, data, { scores: initialScores(network, 0.01) }, selection, 128);
const at = [];
for (let step = 1; step <= 2000; step++) {
  trainer.gradients(Uint32Array.from({ length: 128 }, (_, i) => (step * 31 + i) % rows));
  trainer.step({ learningRate: 0.1, momentum: 0.9 }, selection);
  if ([1, 1000, 2000].includes(step))
    at.push(`${((engine.memoryBytes - idle) / 1e6).toFixed(1)} MB (JavaScript ${(held() / 1e6).toFixed(1)}) after ${step} steps`);
}
console.log(`an FC topk run, batch 128, of them ${((rows * 785) / 1e6).toFixed(1)} MB of images: ${at.join(', ')}`);
trainer.free();
engine.close();
rmSync(folder, { recursive: true });
