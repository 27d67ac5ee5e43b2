// Training steps by network and method beside PyTorch (1 and 2 threads, topk selecting at every step and at every tenth). FC rows are
// real digits, Conv2 rows random bytes; every step draws its batch.
//
//   npm run build && node bench/steps.mjs [--threads 2] [--only "^fc"] [options of rounds.mjs]
//
// The lottery tickets row is the mean speed of 24 rounds of iterative pruning (kept: .8^p, .8^p, .9^p, p = 0 .. 23) of equal length.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { conv2, fc } from '../dist/models/index.js';
import { PIXELS } from '../dist/src/engine/engine.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { criterionMask, paperRates } from '../dist/src/masks/criteria.js';
import { initialScores, selectionAt } from '../dist/src/masks/topk.js';
import { inputs, kept, regenerate, weightCounts } from '../dist/src/network.js';
import { DOMAIN, fillWords, parseSeed, permutation } from '../dist/src/random.js';
import { maskNetwork, PAPER, TOPK } from '../dist/src/recipes.js';
import { ticketNetwork } from '../dist/src/tickets.js';
import { median, openBench, rate } from './rounds.mjs';

const bench = openBench({ threads: { type: 'string', default: '2' } });
const torch = await bench.peer('torch_training.py');
const threads = Number(bench.o.threads);
const engine = await createWasmEngine({ threads });
const seed = parseSeed(1);
const sgd = { learningRate: 0.1, momentum: 0.9 };

/** `count` rows of random bytes, as much as a training set needs to be one. */
function noise(network, count) {
  const words = new Uint32Array((count * inputs(network)) / 4);
  fillWords(seed, DOMAIN.sampling, 0, 0, words);
  return { images: new Uint8Array(words.buffer), labels: Uint8Array.from({ length: count }, (_, i) => i % 10) };
}

/** Rows for both sides: a training set for ours, files for the peers. */
function setOf(name, { images, labels }) {
  const files = { images: join(bench.folder, `${name}.images`), labels: join(bench.folder, `${name}.labels`) };
  writeFileSync(files.images, images);
  writeFileSync(files.labels, labels);
  return { files, data: { images, labels, transform: PIXELS } };
}

/** A trainer by method, and what it does after the gradients of a batch. `option`: densities of topk, the mask of a ticket. */
const METHODS = {
  dense(network, data, batch, mask) {
    // What a mask drops starts and stays at 0.
    const weights = regenerate(ticketNetwork(network, seed)).map((layer, i) =>
      mask ? layer.map((w, j) => (kept(mask[i], j) ? w : 0)) : layer,
    );
    const trainer = engine.denseTrainer(network, data, { weights, biases: null }, batch, mask);
    return { trainer, update: () => trainer.adam(PAPER) };
  },
  topk(network, data, batch, density) {
    const selection = selectionAt(network, density);
    const trainer = engine.topkTrainer(network, data, { scores: initialScores(network, TOPK.scoreRange) }, selection, batch);
    return { trainer, update: () => trainer.step(sgd, selection) };
  },
  bernoulli(network, data, batch) {
    const scores = weightCounts(network).map((count) => new Float32Array(count));
    const trainer = engine.bernoulliTrainer(network, data, { scores }, false, batch);
    let draw = 0;
    return { trainer, update: () => trainer.step(sgd, ++draw) };
  },
};

/** Our steps per second over a seeded order of the training set. */
function speed(method, network, data, batch, seconds, option) {
  const { trainer, update } = METHODS[method](network, data, batch, option);
  const order = permutation(data.labels.length, seed, DOMAIN.batchOrder);
  let at = 0;
  const result = rate(() => {
    trainer.gradients(order.subarray(at, at + batch));
    update();
    at = at + 2 * batch <= order.length ? at + batch : 0;
  }, seconds);
  trainer.free();
  return result;
}

/** Our network of a method: the weights that a mask leaves alone. */
const source = (network) => maskNetwork(network, seed);

/** PyTorch's contestants for a method. */
function torchContestants(network, files, method, batch, density) {
  const refreshes = method === 'topk' ? [1, 10] : [1];
  const entries = [1, 2].flatMap((threads) =>
    refreshes.map((refresh) => {
      const name = `PyTorch ${method}${refresh > 1 ? `, refresh ${refresh}` : ''}, ${threads} thread${threads > 1 ? 's' : ''}`;
      return [name, torch?.({ what: 'steps', network, ...files, method, batch, threads, density: density ?? [1], refresh })];
    }),
  );
  return Object.fromEntries(entries);
}

/** One row; a row of images counts them, and its turns are four times as long because its steps are. */
async function methodRow({ name, network, method, batch, density = undefined, set, images = false }) {
  if (!bench.wanted(name)) return null;
  const [per, longer] = images ? [batch, 4] : [1, 1];
  const contestants = {
    ours: (seconds) => speed(method, source(network), set.data, batch, seconds, density),
    ...torchContestants(network, set.files, method, batch, density),
  };
  const counted = Object.entries(contestants).map(([who, measure]) => [
    who,
    measure && (async (seconds) => (await measure(seconds * longer)) * per),
  ]);
  return { name, rates: await bench.contest(Object.fromEntries(counted)) };
}

const ROUNDS = Array.from({ length: 24 }, (_, p) => p);

async function tickets(name, set) {
  if (!bench.wanted(name)) return null;
  const network = ticketNetwork(fc, seed);
  const initial = regenerate(network);
  const masks = ROUNDS.map((p) => criterionMask(network, 'random', initial, initial, paperRates(network, p), seed));
  const byRound = ROUNDS.map(() => []);
  const rates = await bench.contest({
    ours: (seconds) => {
      const list = masks.map((mask) => speed('dense', network, set.data, PAPER.batch, seconds, mask));
      list.forEach((rate, p) => {
        byRound[p].push(rate);
      });
      return list.length / list.reduce((sum, rate) => sum + 1 / rate, 0);
    },
    ...torchContestants(fc, set.files, 'dense', PAPER.batch),
  });
  bench.say(`\n${name}, ours by round p = 0 .. 23, steps per second: ${byRound.map((list) => Math.round(median(list))).join(' ')}`);
  return { name, rates };
}

const digits = setOf('mnist', loadDataset('mnist').train);
const fcRows = [
  { name: 'fc topk .03 .1 .3, batch 128', method: 'topk', density: [0.03, 0.1, 0.3] },
  { name: 'fc bernoulli, batch 128', method: 'bernoulli' },
  { name: 'fc dense Adam, batch 128', method: 'dense' },
];
const rows = [];
for (const row of fcRows) rows.push(await methodRow({ network: fc, batch: 128, set: digits, ...row }));
rows.push(await tickets('fc lottery tickets, 24 rounds, batch 60', digits));
const found = rows.filter(Boolean);
if (found.length > 0) bench.table(`Training FC, ours with ${threads} threads`, 'steps per second', found);

const convRows = [
  { name: 'conv2 topk .1, batch 60', method: 'topk', density: weightCounts(conv2).map(() => 0.1) },
  { name: 'conv2 bernoulli, batch 60', method: 'bernoulli' },
  { name: 'conv2 dense Adam, batch 60', method: 'dense' },
].filter(({ name }) => bench.wanted(name));
if (convRows.length > 0) {
  const set = setOf('conv', noise(conv2, 600));
  const conv = [];
  for (const row of convRows) conv.push(await methodRow({ network: conv2, batch: PAPER.batch, set, images: true, ...row }));
  bench.table(`Training Conv2, ours with ${threads} threads`, 'images per second', conv);
}
engine.close();
bench.close();
