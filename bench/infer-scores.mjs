// Which score names the task of an unlabelled image best? All masks of an archive are asked (ask-all.ts) about images of its tasks, and
// many scores of the same logits compete. The choice is made on validation digits; test digits only report it.
//
//   node bench/infer-scores.mjs --archive permutations-1000.smk [--counts 100,1000] [--questions 5000] [--part validation|test]
//
// Tasks are of permuted pixels, as `seedmask experiment permutations` writes them. Question q is digit q, permuted as task q has it.
// An interval is Wilson's, 95 %. "random" is a mask's mean and deviation on 1,000 images of random ink: a fifth of the pixels, any grey.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { partsOf } from '../dist/cli/learn.js';
import { readModel } from '../dist/codec/index.js';
import { imagesOf, permutedPixels } from '../dist/src/data.js';
import { createWasmEngine, DOMAIN, fillWords, permutation } from '../dist/src/index.js';
import { wilson } from './wilson.mjs';

const SIZE = 784;
const RANDOM = 1000;

const { values } = parseArgs({
  options: {
    archive: { type: 'string' },
    counts: { type: 'string', default: '100,1000' },
    questions: { type: 'string', default: '5000' },
    part: { type: 'string', default: 'validation' },
  },
});
const { network, tasks } = readModel(readFileSync(values.archive), { maxMaskWeights: 2 ** 31 });
const mnist = loadDataset('mnist');
const { validation } = partsOf(mnist.train, network.seed);
const digits = values.part === 'test' ? mnist.test.images : imagesOf(mnist.train, validation);
const engine = await createWasmEngine({ threads: 1 });

// Of a row's logits in nats, mean and greatest beside them, and of what a nat is worth to this task.
const moment = (power) => (z, mean) => (z.reduce((sum, v) => sum + Math.abs(v - mean) ** power, 0) / z.length) ** (1 / power);
const energy = (t) => (z, _, top) => top + t * Math.log(z.reduce((sum, v) => sum + Math.exp((v - top) / t), 0));
const above = (t) => (z, mean, top) => energy(t)(z, mean, top) - mean;
const inOneUnit = (score) => (z, mean, top, scale) => score(z, mean, top) / scale;
const surest = (z, _, top) => 1 / z.reduce((sum, v) => sum + Math.exp(v - top), 0);
const entropy = (z, mean, top) => {
  const all = energy(1)(z, mean, top);
  return z.reduce((sum, v) => sum + Math.exp(v - all) * (v - all), 0);
};
const margin = (z, _, top) => top - z.reduce((second, v) => (v < top && v > second ? v : second), Number.NEGATIVE_INFINITY);
const SCORES = {
  'free energy': energy(1),
  'greatest logit': (_z, _, top) => top,
  margin,
  'negative entropy': entropy,
  'greatest probability': surest,
  'free energy + margin': (z, mean, top) => energy(1)(z, mean, top) + margin(z, mean, top),
  ...Object.fromEntries([1, 2, 3, 4, 6, 8].map((t) => [`free energy above the mean, temperature ${t}`, above(t)])),
  'standard deviation': moment(2),
  'standard deviation, temperatures left out': inOneUnit(moment(2)),
  'third moment, temperatures left out': inOneUnit(moment(3)),
  'free energy above the mean, temperature 4, less its mean on random images': above(4),
  'the same over its deviation there': above(4),
};
const NAMES = Object.keys(SCORES);

function randomImages() {
  const words = new Uint32Array(RANDOM * SIZE);
  fillWords(network.seed, DOMAIN.sampling, 0, 0, words);
  return Uint8Array.from(words, (word) => (word >>> 8 < 0.2 * 2 ** 24 ? word & 255 : 0));
}

/** Calls `take(row, scores)` for every row. */
function scored(classifier, logitScale, images, rows, names, take) {
  const logits = classifier.logits(images, rows);
  const scale = classifier.scale * logitScale;
  const z = new Float64Array(classifier.outputs);
  for (let row = 0; row < rows; row++) {
    let [mean, top] = [0, Number.NEGATIVE_INFINITY];
    for (let j = 0; j < z.length; j++) {
      z[j] = scale * logits[row * z.length + j];
      mean += z[j] / z.length;
      if (z[j] > top) top = z[j];
    }
    take(
      row,
      names.map((name) => SCORES[name](z, mean, top, scale)),
    );
  }
}

console.log(`${values.archive}, ${values.questions} questions of one ${values.part} digit`);
console.log('| tasks | score | task found |\n|---|---|---|');
const random = randomImages();
for (const count of values.counts.split(',').map(Number)) {
  const questions = Number(values.questions);
  const some = tasks.slice(0, count);
  const orders = some.map(({ data }) => permutation(SIZE, data.pixelPermutation, DOMAIN.pixelPermutation));
  const images = new Uint8Array(questions * SIZE);
  for (let q = 0; q < questions; q++) {
    const from = (q % (digits.length / SIZE)) * SIZE;
    images.set(permutedPixels(digits.subarray(from, from + SIZE), orders[q % count]), q * SIZE);
  }
  const best = NAMES.map(() => new Float64Array(questions).fill(Number.NEGATIVE_INFINITY));
  const found = NAMES.map(() => new Int32Array(questions));
  for (const [i, { mask, logitScale }] of some.entries()) {
    const classifier = engine.classifier(network, { mask });
    let [sum, squares] = [0, 0];
    scored(classifier, logitScale, random, RANDOM, [NAMES.at(-1)], (_, [score]) => {
      sum += score / RANDOM;
      squares += score ** 2 / RANDOM;
    });
    const deviation = Math.sqrt(squares - sum ** 2);
    scored(classifier, logitScale, images, questions, NAMES, (row, scores) => {
      scores[NAMES.length - 2] -= sum;
      scores[NAMES.length - 1] = (scores[NAMES.length - 1] - sum) / deviation;
      for (let s = 0; s < scores.length; s++) {
        if (scores[s] <= best[s][row]) continue;
        best[s][row] = scores[s];
        found[s][row] = i;
      }
    });
    classifier.free();
  }
  NAMES.forEach((name, s) => {
    const right = found[s].reduce((sum, task, q) => sum + (task === q % count ? 1 : 0), 0);
    console.log(`| ${count} | ${name} | ${wilson(right, questions)} |`);
  });
}
engine.close();
