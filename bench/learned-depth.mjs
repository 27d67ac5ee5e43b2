// Why do learned masks of deep networks stay at chance without rescaling? A mask that keeps a half leaves a layer half of its variance,
// so every further layer makes the logits, and with them the gradients of all scores, smaller by a factor. One line a network: the root
// mean square of the logits and of the scores' gradients before the first step, without rescaling and with it. With --train, whether a
// rate that is as much higher makes up for it: accuracies on validation rows after each epoch.
//
//   node bench/learned-depth.mjs [--weights constant] [--train conv4 --factors 1,170 --epochs 5 --rows 5000]

import { parseArgs } from 'node:util';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { conv2, conv4, conv6, fc } from '../dist/models/index.js';
import { bernoulliTraining, createWasmEngine, evenScores, parseSeed, split, trainBernoulli } from '../dist/src/index.js';
import { keptBytes, regenerate } from '../dist/src/network.js';

const { values } = parseArgs({
  options: {
    weights: { type: 'string', default: 'constant' },
    train: { type: 'string' },
    factors: { type: 'string', default: '1,170' },
    epochs: { type: 'string', default: '5' },
    rows: { type: 'string', default: '5000' },
  },
});
const NETWORKS = { fc, conv2, conv4, conv6 };
const BATCH = 128;
const engine = await createWasmEngine();
const kind = values.weights === 'constant' ? 'signed-constant' : 'normal';
const networkOf = (/** @type {string} */ name) => ({ ...NETWORKS[name], distribution: kind, sigma: 'glorot', seed: parseSeed(0) });
const dataOf = (/** @type {string} */ name) => loadDataset(name === 'fc' ? 'mnist' : 'cifar10');
const PIXELS = { scale: 1 / 255, mean: 0 };
const rms = (/** @type {Float32Array[]} */ arrays) => {
  let [sum, count] = [0, 0];
  for (const array of arrays) {
    for (const value of array) sum += value * value;
    count += array.length;
  }
  return Math.sqrt(sum / count);
};

/** Logits and gradients of the scores, all at one half, of the first batch. */
function atStart(network, train, rescale) {
  const trainer = engine.bernoulliTrainer(network, { ...train, transform: PIXELS }, { scores: evenScores(network) }, rescale, BATCH);
  const rows = split(train.labels.length, 5000, network.seed).train.subarray(0, BATCH);
  const logits = rms([trainer.logits(rows)]);
  trainer.gradients(rows);
  const masks = trainer.mask();
  const gradients = regenerate(network).map((weights, layer) => {
    const kept = keptBytes(masks[layer], weights.length);
    const held = kept.reduce((sum, bit) => sum + bit, 0);
    const gain = rescale ? weights.length / held : 1;
    const slope = trainer.weightGradient(layer);
    let shared = 0;
    if (rescale) for (let i = 0; i < weights.length; i++) shared += kept[i] * gain * weights[i] * slope[i];
    return slope.map((value, i) => (value * gain * weights[i] - shared / held) / 4);
  });
  trainer.free();
  return { logits, gradient: rms(gradients) };
}

if (!values.train) {
  console.log('| | logits without rescaling | with it | gradients of scores without | with it | times |\n|---|---|---|---|---|---|');
  for (const name of Object.keys(NETWORKS)) {
    const { train } = dataOf(name);
    const [plain, scaled] = [false, true].map((rescale) => atStart(networkOf(name), train, rescale));
    const cells = [plain.logits, scaled.logits, plain.gradient, scaled.gradient].map((value) => value.toExponential(1));
    console.log(`| ${name} | ${cells.join(' | ')} | ${(scaled.gradient / plain.gradient).toPrecision(2)} |`);
  }
} else {
  const network = networkOf(values.train);
  const { train } = dataOf(values.train);
  const parts = split(train.labels.length, 5000, network.seed);
  const { learningRate } = bernoulliTraining(network);
  for (const factor of values.factors.split(',').map(Number)) {
    /** The last of each epoch. */
    const told = new Map();
    await trainBernoulli(
      engine,
      network,
      train,
      { ...parts, train: parts.train.subarray(0, Number(values.rows)) },
      {
        ...bernoulliTraining(network),
        rescale: false,
        epochs: Number(values.epochs),
        learningRate: learningRate * factor,
        onProgress: ({ epoch, valAccuracy, loss }) => told.set(epoch, `${(100 * (valAccuracy ?? 0)).toFixed(1)} (${loss.toFixed(3)})`),
      },
    );
    console.log(`${values.train}, rate ${learningRate} x ${factor}: validation % (loss) by epoch ${[...told.values()].join(', ')}`);
  }
}
engine.close();
