// Accuracy of a model of 28 x 28 images on the 49 shifts of all 10,000 MNIST test digits by up to 3 pixels each way.
//
//   npm run build && node bench/shifts.mjs models/trained/digits.smk [MODEL ...]

import { readFileSync } from 'node:fs';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { readModel } from '../dist/codec/index.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { accuracyOf } from '../dist/src/evaluate.js';

const SIDE = 28;
const SHIFT = 3;
const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('No model file was given; expected node bench/shifts.mjs MODEL.smk ...');
  process.exit(1);
}

/** The images moved right by dx and down by dy pixels; what leaves is lost, what comes in is 0. */
function moved(images, dx, dy) {
  const out = new Uint8Array(images.length);
  for (let image = 0; image < images.length; image += SIDE * SIDE)
    for (let y = Math.max(0, dy); y < Math.min(SIDE, SIDE + dy); y++)
      for (let x = Math.max(0, dx); x < Math.min(SIDE, SIDE + dx); x++)
        out[image + y * SIDE + x] = images[image + (y - dy) * SIDE + x - dx];
  return out;
}

const { test } = loadDataset('mnist');
const engine = await createWasmEngine({ threads: 1 });
const models = files.map((file) => {
  const { network, tasks } = readModel(readFileSync(file));
  return { file, classifier: engine.classifier(network, { mask: tasks[0].mask, transform: tasks[0].transform }), accuracies: [] };
});
for (let dy = -SHIFT; dy <= SHIFT; dy++)
  for (let dx = -SHIFT; dx <= SHIFT; dx++) {
    const images = moved(test.images, dx, dy);
    for (const { classifier, accuracies } of models)
      accuracies.push(accuracyOf(classifier.logits(images, test.labels.length), test.labels, classifier.outputs));
  }
const percent = (share) => `${(100 * share).toFixed(2)} %`;
for (const { file, accuracies } of models) {
  const mean = accuracies.reduce((sum, one) => sum + one, 0) / accuracies.length;
  console.log(`${file}: mean ${percent(mean)}, worst ${percent(Math.min(...accuracies))} of ${accuracies.length} shifts`);
}
engine.close();
