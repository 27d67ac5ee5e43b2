// The reference engine against things that are not engines: numeric derivatives of a double-precision network, TensorFlow.js, and
// results worked out by hand. Everything else is compared with the reference engine, so this is where the arithmetic is proved.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { PIXELS, type TrainingSet } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import {
  type Architecture,
  fullMask,
  inputs,
  kept,
  outputs,
  type Parameters,
  place,
  regenerate,
  weightCounts,
  weighted,
} from '../src/network.js';
import { conv, dense, evaluate, net, pool, randomFloats, randomParameters, randomTrainingSet, window } from './engine.material.js';
import { engineSuite, expectSameBits } from './engine.suite.js';

engineSuite('reference', createReferenceEngine, { conv: true });

const engine = createReferenceEngine();
const { seed: SEED } = net([1, 1, 1]);

/** Every layer kind, both activations, an odd size under a pool, a pool after a linear conv. */
const EVERYTHING = net([7, 5, 2], conv(4), conv(3, 'linear'), pool, conv(4), dense(6), dense(4, 'linear'));
/** Kernels of one pixel, of even and odd size, larger than the image, with zeros around it and without. */
const WINDOWS = net(
  [8, 7, 2],
  window(3, 5),
  window(4, 4, 'same', 'linear'),
  window(3, 3, 'valid'),
  pool,
  window(4, 7),
  window(3, 2, 'valid', 'linear'),
  window(5, 1),
  dense(4, 'linear'),
);

function meanLoss(architecture: Architecture, weights: number[][], biases: number[][], data: TrainingSet): number {
  const width = inputs(architecture);
  let sum = 0;
  data.labels.forEach((label, row) => {
    const x = Array.from(data.images.subarray(row * width, (row + 1) * width), (v) => (v - data.transform.mean) * data.transform.scale);
    const logits = evaluate(architecture, weights, biases, x);
    sum += Math.log(logits.reduce((a, z) => a + Math.exp(z), 0)) - logits[label];
  });
  return sum / data.labels.length;
}

const all = (count: number): Uint32Array => Uint32Array.from(Array(count).keys());

test.each([
  ['every layer kind', EVERYTHING],
  ['kernels of every kind', WINDOWS],
])('loss and gradients are the numeric derivatives of a double-precision network: %s', (_, network) => {
  const data = randomTrainingSet(network, SEED, 3, { scale: 1 / 255, mean: 100 });
  const start = randomParameters(network, SEED, true);
  const trainer = engine.denseTrainer(network, data, start, 3);
  const weights = start.weights.map((w) => Array.from(w));
  const biases = start.biases!.map((b) => Array.from(b));
  const loss = trainer.gradients(all(3));
  expect(loss).toBeCloseTo(meanLoss(network, weights, biases, data), 6);
  const h = 1e-6;
  const slope = (values: number[], i: number) => {
    const held = values[i];
    values[i] = held + h;
    const above = meanLoss(network, weights, biases, data);
    values[i] = held - h;
    const below = meanLoss(network, weights, biases, data);
    values[i] = held;
    return (above - below) / (2 * h);
  };
  let largest = 0;
  const compare = (what: string, gradient: Float32Array, values: number[]) => {
    gradient.forEach((d, i) => {
      const want = slope(values, i);
      largest = Math.max(largest, Math.abs(want));
      // The gradients are about 0.01 to 1; f32 sums of a hundred terms and the derivative's own error stay below 2e-6.
      expect(Math.abs(d - want), `${what}[${i}] is ${d}, the slope is ${want}`).toBeLessThan(2e-6);
    });
  };
  weights.forEach((w, layer) => {
    compare(`dW${layer}`, trainer.weightGradient(layer), w);
    compare(`dBias${layer}`, trainer.biasGradient(layer), biases[layer]);
  });
  expect(largest).toBeGreaterThan(0.1);
});

describe('TensorFlow.js on its cpu backend', () => {
  beforeAll(async () => {
    tf.enableProdMode(); // no banner about native bindings
    await tf.setBackend('cpu');
  });

  /** Its kernels are [in, out] and [k, k, in, out]. */
  const variablesOf = (architecture: Architecture, { weights, biases }: Parameters): tf.Variable[] =>
    weighted(architecture).flatMap(({ input, fanIn, output, kernel, stream }) => {
      const w =
        kernel > 0
          ? tf.tensor(weights[stream], [output[2], kernel, kernel, input[2]]).transpose([1, 2, 3, 0])
          : tf.tensor(weights[stream], [output[2], fanIn]).transpose();
      return [tf.variable(w), tf.variable(tf.tensor1d(biases![stream]))];
    });

  /** Back to the canonical order. */
  const canonical = (tensor: tf.Tensor): Float32Array =>
    (tensor.rank === 4 ? tensor.transpose([3, 0, 1, 2]) : tensor.rank === 2 ? tensor.transpose() : tensor).dataSync<'float32'>();

  function logitsOf(architecture: Architecture, variables: tf.Variable[], images: tf.Tensor4D): tf.Tensor2D {
    const next = [...variables];
    let x: tf.Tensor = images;
    for (const { layer } of place(architecture)) {
      if (layer.kind === 'pool') {
        x = tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid');
        continue;
      }
      const [w, b] = next.splice(0, 2);
      x =
        layer.kind === 'conv'
          ? tf.conv2d(x as tf.Tensor4D, w as tf.Variable<tf.Rank.R4>, 1, layer.padding ?? 'same')
          : tf.matMul(x.reshape([x.shape[0], -1]), w as tf.Variable<tf.Rank.R2>);
      x = x.add(b);
      if (layer.activation === 'relu') x = x.relu();
    }
    return x as tf.Tensor2D;
  }

  const largestDifference = (a: Float32Array, b: Float32Array): number => {
    expect(a.length).toBe(b.length);
    return Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  };

  test.each([
    ['conv', EVERYTHING, 5],
    ['kernels', WINDOWS, 5],
    ['dense', net([1, 1, 30], dense(20), dense(12), dense(5, 'linear')), 16],
  ])('%s: logits, loss, gradients and 20 steps of Adam agree', (_, network, rows) => {
    const data = randomTrainingSet(network, SEED, rows, PIXELS);
    const start = randomParameters(network, SEED, true);
    const trainer = engine.denseTrainer(network, data, start, rows);
    const variables = variablesOf(network, start);
    const images = tf.tensor4d(Float32Array.from(data.images), [rows, ...network.input]).mul<tf.Tensor4D>(PIXELS.scale);
    const labels = tf.oneHot(Array.from(data.labels), outputs(network));
    const loss = () => tf.losses.softmaxCrossEntropy(labels, logitsOf(network, variables, images)).asScalar();

    expect(largestDifference(trainer.logits(all(rows)), logitsOf(network, variables, images).dataSync<'float32'>())).toBeLessThan(2e-6);
    const { value, grads } = tf.variableGrads(loss, variables);
    expect(trainer.gradients(all(rows))).toBeCloseTo(value.dataSync()[0], 6);
    start.weights.forEach((_, layer) => {
      const [dW, dBias] = [grads[variables[2 * layer].name], grads[variables[2 * layer + 1].name]];
      expect(largestDifference(trainer.weightGradient(layer), canonical(dW))).toBeLessThan(1e-6);
      expect(largestDifference(trainer.biasGradient(layer), canonical(dBias))).toBeLessThan(1e-6);
    });

    const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-5 };
    const optimiser = tf.train.adam(options.learningRate, options.beta1, options.beta2, options.epsilon);
    for (let step = 0; step < 20; step++) {
      trainer.gradients(all(rows));
      trainer.adam(options);
      optimiser.minimize(loss, false, variables);
    }
    const { weights, biases } = trainer.parameters();
    weights.forEach((w, layer) => {
      // A step moves a weight by about the learning rate: 20 steps that agree to a hundredth of one step.
      expect(largestDifference(w, canonical(variables[2 * layer]))).toBeLessThan(1e-4);
      expect(largestDifference(biases[layer], canonical(variables[2 * layer + 1]))).toBeLessThan(1e-4);
      expect(largestDifference(w, start.weights[layer])).toBeGreaterThan(0.05);
    });
  });
});

// ---- steps and losses by hand ----

test('equal logits lose ln(classes), and one certain class loses nothing', () => {
  const network = net([1, 1, 2], dense(10, 'linear'));
  const data: TrainingSet = { images: Uint8Array.of(255, 0), labels: Uint8Array.of(3), transform: PIXELS };
  const zeros = { weights: [new Float32Array(20)], biases: null };
  const trainer = engine.denseTrainer(network, data, zeros, 1);
  expect(trainer.gradients(all(1))).toBe(2.302585092994046); // ln 10
  expect([...trainer.biasGradient(0)].slice(2, 5)).toEqual([Math.fround(0.1), Math.fround(-0.9), Math.fround(0.1)]);
  const certain = engine.denseTrainer(network, data, { ...zeros, biases: [new Float32Array(10).map((_, i) => (i === 3 ? 1000 : 0))] }, 1);
  expect(certain.gradients(all(1))).toBe(0);
});

test('the gradient of two samples is the mean of theirs', () => {
  const data = randomTrainingSet(EVERYTHING, SEED, 2, PIXELS);
  const trainer = engine.denseTrainer(EVERYTHING, data, randomParameters(EVERYTHING, SEED, false), 2);
  const of = (rows: number[]) => [trainer.gradients(Uint32Array.from(rows)), ...trainer.weightGradient(0)];
  const [first, second, both] = [of([0]), of([1]), of([0, 1])];
  both.forEach((value, i) => {
    expect(value).toBeCloseTo((first[i] + second[i]) / 2, 6);
  });
});

test('sgd: velocity = mu velocity + g, then w -= rate velocity', () => {
  const network = net([1, 1, 1], dense(2, 'linear'));
  const data: TrainingSet = { images: Uint8Array.of(255), labels: Uint8Array.of(0), transform: { scale: 1 / 255, mean: 0 } };
  const trainer = engine.denseTrainer(network, data, { weights: [new Float32Array(2)], biases: null }, 1);
  trainer.gradients(all(1)); // probabilities 1/2: gradients -1/2 and 1/2, exactly
  trainer.sgd({ learningRate: 0.25, momentum: 0.5 });
  expect([...trainer.parameters().weights[0]]).toEqual([0.125, -0.125]);
  trainer.gradients(all(1));
  const [g] = trainer.biasGradient(0);
  trainer.sgd({ learningRate: 0.25, momentum: 0.5 }); // velocity -1/4 + g
  expect(trainer.parameters().biases[0][0]).toBe(Math.fround(0.125 - Math.fround(0.25 * Math.fround(-0.25 + g))));
});

test('the first step of adam moves each weight by the learning rate against its gradient', () => {
  const data = randomTrainingSet(EVERYTHING, SEED, 4, PIXELS);
  const start = randomParameters(EVERYTHING, SEED, false);
  const trainer = engine.denseTrainer(EVERYTHING, data, start, 4);
  trainer.gradients(all(4));
  const gradient = trainer.weightGradient(4);
  trainer.adam({ learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-12 });
  const moved = trainer.parameters().weights[4];
  expect(gradient.some((g) => g !== 0)).toBe(true);
  moved.forEach((w, i) => {
    expect(w - start.weights[4][i]).toBeCloseTo(-0.001 * Math.sign(gradient[i]), 6);
  });
});

// ---- the canonical order ----

/** One f32 accumulator over the terms in the order given. */
const sum32 = (terms: number[]): number => terms.reduce((sum, term) => Math.fround(sum + Math.fround(term)), 0);
const range = (n: number): number[] => [...Array(n).keys()];

test('a dense sum rounds each product and each addition, in ascending order', () => {
  const logit = (weights: number[], x: number[]) => {
    const network = net([1, 1, x.length], dense(1, 'linear'));
    const parameters = { weights: [Float32Array.from(weights)], biases: null };
    return engine.classifier(network, { parameters, transform: { scale: 1, mean: 0 } }).logits(Float32Array.from(x), 1)[0];
  };
  // 2^24 + 1 rounds to 2^24 in f32, so each 1 is lost after 2^24 and kept before it.
  expect(logit([2 ** 24, 1, 1, -(2 ** 24)], [1, 1, 1, 1])).toBe(0);
  expect(logit([1, 1, 2 ** 24, -(2 ** 24)], [1, 1, 1, 1])).toBe(2);
  // (1 + 2^-23)^2 = 1 + 2^-22 + 2^-46; a fused multiply-add would keep the last term.
  expect(logit([-1 - 2 ** -22, 1 + 2 ** -23], [1, 1 + 2 ** -23])).toBe(0);
});

test('a conv sum runs over (ky, kx, channel), and the bias comes last', () => {
  const filters = 16;
  const image = randomFloats(SEED, 60, 27, 300);
  const [weights, bias] = [randomFloats(SEED, 61, filters * 27, 1), randomFloats(SEED, 62, filters, 1)];
  const network = net([3, 3, 3], conv(filters, 'linear'));
  const parameters = { weights: [weights], biases: [bias] };
  const logits = engine.classifier(network, { parameters, transform: { scale: 1, mean: 0 } }).logits(image, 1);
  const ordered = Float32Array.from({ length: filters }, (_, f) =>
    sum32([...range(27).map((i) => weights[f * 27 + i] * image[i]), bias[f]]),
  );
  expectSameBits('the middle pixel', logits.subarray(4 * filters, 5 * filters), ordered);
});

test('a weight gradient sums its samples in ascending order', () => {
  const network = net([1, 1, 20], dense(3, 'linear'));
  const trainer = engine.denseTrainer(network, randomTrainingSet(network, SEED, 8, PIXELS), randomParameters(network, SEED, true), 8);
  const single = range(8).map((row) => {
    trainer.gradients(Uint32Array.of(row));
    return trainer.weightGradient(0);
  });
  trainer.gradients(all(8));
  // Dividing by 8 is exact, so the terms of the batch are the gradients of its samples / 8.
  const ordered = (rows: number[]) => Float32Array.from(single[0], (_, i) => sum32(rows.map((row) => single[row][i] / 8)));
  expectSameBits('dW', trainer.weightGradient(0), ordered(range(8)));
  expect(ordered(range(8).reverse())).not.toEqual(ordered(range(8)));
});

test('conv gradients: the input sums (ky, kx, filter), the weight (y, x), the dense input its units', () => {
  const network = net([3, 3, 1], conv(1, 'linear'), conv(4, 'linear'), dense(5, 'linear'));
  const start = randomParameters(network, SEED, false);
  const [w0, w1, w2] = start.weights;
  // One lit pixel, the middle one: w0[k] is copied to pixel 8 - k, and dW0[k] is the gradient of that pixel.
  const images = Uint8Array.from(range(9), (i) => (i === 4 ? 1 : 0));
  const data: TrainingSet = { images, labels: Uint8Array.of(2), transform: { scale: 1, mean: 0 } };
  const trainer = engine.denseTrainer(network, data, start, 1);
  trainer.gradients(all(1));
  const dLogits = trainer.biasGradient(2);
  const d1 = range(36).map((i) => sum32(range(5).map((o) => w2[o * 36 + i] * dLogits[o])));
  const inside = (y: number, x: number) => y >= 0 && y < 3 && x >= 0 && x < 3;
  const [Y, X] = [(i: number) => Math.floor(i / 3), (i: number) => i % 3];
  const d0 = range(9).map((p) => {
    const readers = range(9).filter((k) => inside(Y(p) - Y(k) + 1, X(p) - X(k) + 1));
    return sum32(readers.flatMap((k) => range(4).map((f) => w1[f * 9 + k] * d1[((Y(p) - Y(k) + 1) * 3 + X(p) - X(k) + 1) * 4 + f])));
  });
  expectSameBits('dW0', trainer.weightGradient(0), Float32Array.from(d0).reverse());
  const dW1 = range(36).map((i) => {
    const [f, k] = [Math.floor(i / 9), i % 9];
    const readers = range(9).filter((p) => inside(Y(p) + Y(k) - 1, X(p) + X(k) - 1));
    return sum32(readers.map((p) => d1[p * 4 + f] * w0[8 - ((Y(p) + Y(k) - 1) * 3 + X(p) + X(k) - 1)]));
  });
  expectSameBits('dW1', trainer.weightGradient(1), Float32Array.from(dW1));
});

// ---- topk ----

const TOPK = net([1, 1, 9], dense(7), dense(3, 'linear'));
const COUNTS = weightCounts(TOPK);

const topk = (keep: number[], scores = COUNTS.map((n, i) => randomFloats(SEED, 50 + i, n, 2)), gain = [1, 1], network = TOPK) =>
  engine.topkTrainer(network, randomTrainingSet(TOPK, SEED, 5, PIXELS), { scores }, { keep, gain }, 5);

test('topk trains the network that its mask and gain describe', () => {
  const trainer = topk([20, 9]);
  for (const [keep, gain] of [
    [
      [30, 12],
      [1, 1],
    ],
    [
      [11, 5],
      [2.5, 1.25],
    ],
  ]) {
    trainer.gradients(all(5));
    trainer.step({ learningRate: 0.3, momentum: 0.9 }, { keep, gain });
    trainer.select({ keep, gain });
    const weights = regenerate(TOPK).map((w, layer) => w.map((v) => Math.fround(gain[layer]) * v));
    const classifier = engine.classifier(TOPK, { parameters: { weights, biases: null }, mask: trainer.mask(keep) });
    const { images } = randomTrainingSet(TOPK, SEED, 5, PIXELS);
    expectSameBits('logits', trainer.logits(all(5)), classifier.logits(images, 5) as Float32Array);
  }
});

test('a topk step is straight-through: score -= rate x dW x gain x W, for kept and dropped weights', () => {
  const trainer = topk([20, 9], undefined, [3, 2]);
  const before = trainer.scores();
  trainer.gradients(all(5));
  const gradients = COUNTS.map((_, layer) => trainer.weightGradient(layer));
  trainer.step({ learningRate: 0.5, momentum: 0.9 }, { keep: [20, 9], gain: [3, 2] });
  const weights = regenerate(TOPK);
  trainer.scores().forEach((scores, layer) => {
    const dW = gradients[layer];
    const want = before[layer].map((s, i) => s - Math.fround(0.5 * Math.fround(dW[i] * Math.fround([3, 2][layer] * weights[layer][i]))));
    expectSameBits('scores', scores, want);
  });
  const dropped = [...before[0].keys()].filter((i) => !kept(trainer.mask([20, 9])[0], i));
  expect(dropped.some((i) => gradients[0][i] !== 0)).toBe(true);
});

test('mask() keeps exactly k, ties to the lower index', () => {
  const scores = [new Float32Array(63).fill(0.5), Float32Array.from({ length: 21 }, (_, i) => (i % 3 === 2 ? 1 : -0.25))];
  const trainer = topk([5, 10], scores);
  const indices = (mask: Uint8Array[], layer: number) => [...Array(COUNTS[layer]).keys()].filter((i) => kept(mask[layer], i));
  const mask = trainer.mask([5, 10]);
  expect(indices(mask, 0)).toEqual([0, 1, 2, 3, 4]);
  expect(indices(mask, 1)).toEqual([0, 1, 2, 3, 5, 8, 11, 14, 17, 20]);
  expect(trainer.mask([0, 21])).toEqual([fullMask(TOPK, false)[0], fullMask(TOPK, true)[1]]);
});

test('keeping none gives zero logits, keeping all the whole network', () => {
  expect(topk([0, 0]).logits(all(5)).every(Object.is.bind(null, 0))).toBe(true);
  const trainer = topk([0, 0]);
  expect(trainer.gradients(all(5))).toBeCloseTo(Math.log(3), 12);
  const { images } = randomTrainingSet(TOPK, SEED, 5, PIXELS);
  const parameters = { weights: regenerate(TOPK), biases: null };
  expectSameBits('logits', topk(COUNTS).logits(all(5)), engine.classifier(TOPK, { parameters }).logits(images, 5) as Float32Array);
});

test('a step cuts at the scores it finds, select() at those it leaves', () => {
  const options = { learningRate: 20, momentum: 0 };
  const trainer = topk([20, 9]);
  const cuts = trainer.scores().map((scores, layer) => scores.toSorted().at(-[20, 9][layer])!);
  trainer.gradients(all(5));
  trainer.step(options, { keep: [20, 9], gain: [1, 1] });
  const kept = (least: number[]) => ({
    weights: regenerate(TOPK).map((w, layer) => w.map((v, i) => (trainer.scores()[layer][i] >= least[layer] ? v : 0))),
    biases: null,
  });
  const logits = (least: number[]) =>
    engine.classifier(TOPK, { parameters: kept(least) }).logits(randomTrainingSet(TOPK, SEED, 5, PIXELS).images, 5) as Float32Array;
  expectSameBits('after a step', trainer.logits(all(5)), logits(cuts));
  const now = trainer.scores().map((scores, layer) => scores.toSorted().at(-[20, 9][layer])!);
  expect(now).not.toEqual(cuts);
  trainer.select({ keep: [20, 9], gain: [1, 1] });
  expectSameBits('after select', trainer.logits(all(5)), logits(now));
});
