// Makes the models of the page into web/public/models, byte for byte the same each time: `npm run build && node web/make-models.mjs`.
//
//   tasks.smk      one network (784-300-100-10, seed 0), a mask for each of six tasks of MNIST
//   examples.bin   ten test digits, 0 to 9, 784 raw pixels each
//
// web/accuracies.json records what the page says of each mask: how many test digits it gets right, and the page's other file,
// models/trained/digits.smk, also of test digits shifted by up to 3 pixels. A word after the command leaves the masks of tasks.smk alone.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { taskModel } from '../dist/cli/learn.js';
import { DIGITS, readModel, writeModel } from '../dist/codec/index.js';
import { fc } from '../dist/models/index.js';
import { permuted, split } from '../dist/src/data.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { accuracyOf } from '../dist/src/evaluate.js';
import { moveImages } from '../dist/src/moves.js';
import { parseSeed } from '../dist/src/random.js';
import { maskNetwork, topkTraining } from '../dist/src/recipes.js';
import { trainTopk } from '../dist/src/train.js';

const out = fileURLToPath(new URL('./public/models/', import.meta.url));
const accuracies = new URL('./accuracies.json', import.meta.url);
mkdirSync(out, { recursive: true });
const { train, test } = loadDataset('mnist');
const engine = await createWasmEngine({ threads: 1 });
const seed = parseSeed('0');
const only = process.argv[2];

/** Accuracy on test rows of a mask. */
function score(network, mask, data) {
  const classifier = engine.classifier(network, { mask });
  const accuracy = accuracyOf(classifier.logits(data.images, data.labels.length), data.labels, classifier.outputs);
  classifier.free();
  return accuracy;
}

async function learned(network, data, options) {
  const parts = split(data.labels.length, 5000, seed);
  const { mask, valAccuracy } = await trainTopk(engine, network, data, parts, { ...topkTraining(network), ...options });
  return { mask, valAccuracy, model: taskModel(engine, network, mask, { train: data, name: 'mnist' }, parts.validation) };
}

const record = only ? JSON.parse(readFileSync(accuracies, 'utf8')) : {};

if (!only) {
  const network = maskNetwork(fc, seed);
  const named = (names, of) => (data) => ({ ...data, labels: data.labels.map(of), names });
  const tasks = [
    { id: 'digits' },
    { id: 'odd-or-even', change: named(['even', 'odd'], (label) => label % 2) },
    { id: 'renamed-classes', labels: parseSeed('1') },
    { id: 'shuffled-pixels-1', pixels: parseSeed('1') },
    { id: 'shuffled-pixels-2', pixels: parseSeed('2') },
    { id: 'under-five', change: named(['five or more', 'under five'], (label) => (label < 5 ? 1 : 0)) },
  ];
  const done = [];
  for (const { id, pixels = null, labels = null, change = (data) => data } of tasks) {
    const [mine, theirs] = [train, test].map((data) => change(permuted(data, pixels, labels)));
    const { mask, valAccuracy, model } = await learned(network, mine, { density: [0.02, 0.06, 0.3], epochs: 15 });
    const [task] = model.tasks;
    done.push({
      ...task,
      id,
      labels: mine.names ?? DIGITS,
      data: { dataset: 'mnist', pixelPermutation: pixels, labelPermutation: labels },
    });
    record[`tasks.smk ${id}`] = { validation: valAccuracy, test: score(network, mask, theirs) };
    console.log(id, record[`tasks.smk ${id}`]);
  }
  writeFileSync(`${out}tasks.smk`, writeModel({ network, tasks: done }));
}

{
  const { network, tasks } = readModel(readFileSync(new URL('../models/trained/digits.smk', import.meta.url)));
  const rows = Uint32Array.from(test.labels, (_, row) => row);
  const moved = { ...test, images: new Uint8Array(test.images.length) };
  moveImages(test, rows, { shift: 3 }, seed, 0, moved.images);
  record['digits.smk'] = { test: score(network, tasks[0].mask, test), shifted: score(network, tasks[0].mask, moved) };
  console.log(record['digits.smk']);
}

const examples = new Uint8Array(7840);
for (let digit = 0; digit < 10; digit++) {
  const row = test.labels.indexOf(digit);
  examples.set(test.images.subarray(row * 784, (row + 1) * 784), digit * 784);
}
writeFileSync(`${out}examples.bin`, examples);
writeFileSync(accuracies, `${JSON.stringify(record, null, 2)}\n`);
engine.close();
