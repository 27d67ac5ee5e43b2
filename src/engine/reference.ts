// The reference engine: what every other engine must equal bit for bit. One sample at a time through the loops of plain.ts, and the
// optimiser steps written out one rounding at a time. It is slow on purpose: nothing is skipped, blocked or kept packed.
//
//   classifier      integer program (bounds.ts) where the network allows it, else f32
//   denseTrainer    weights and biases under Adam or SGD with momentum
//   topkTrainer     scores under SGD with momentum, straight-through; the mask keeps the highest
//
// All f32 state is rounded with Math.fround after every operation, in the order of the formulas beside the code.

import { sigmoid32 } from '../exact.js';
import {
  checkMask,
  countKept,
  fullMask,
  inputs,
  kept,
  type Mask,
  maskBytes,
  type Network,
  outputs,
  type Parameters,
  place,
  regenerate,
  ShapeError,
  weighted,
} from '../network.js';
import { byClassifiers } from './any-mask.js';
import { integerProgram } from './bounds.js';
import {
  Batch,
  checkGain,
  checkInputs,
  checkKeep,
  checkParameters,
  checkRows,
  checkScores,
  checkTrainingSet,
  noBiases,
  pick,
  pushOf,
} from './checks.js';
import { drawMask } from './draws.js';
import {
  type AdamOptions,
  type BernoulliTrainer,
  type Classifier,
  type ClassifierOptions,
  type DenseTrainer,
  type Engine,
  type InputTransform,
  PIXELS,
  type SgdOptions,
  type TopkTrainer,
  type Trainer,
  type TrainingSet,
} from './engine.js';
import { type Arithmetic, backward, F32, forward, INTEGER, softmaxCrossEntropy, type Values } from './plain.js';

const fround = Math.fround;

/** The oracle: every operation of the Engine interface as plain loops. */
export function createReferenceEngine(): Engine {
  const trainers = { denseTrainer, topkTrainer, bernoulliTrainer };
  return { name: 'reference', threads: 1, memoryBytes: 0, classifier, anyMask: byClassifiers(classifier), ...trainers, close: nothing };
}

/** Arrays are all this engine holds: the garbage collector frees them. */
const nothing = (): void => undefined;

function classifier(network: Network, options: ClassifierOptions = {}): Classifier {
  const { mask = fullMask(network, true), transform = PIXELS, parameters } = options;
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const all = parameters?.weights ?? regenerate(network);
  const weights = all.map((w, layer) => w.map((value, i) => (kept(mask[layer], i) ? value : 0)));
  const program = parameters ? null : integerProgram(network, mask, transform, all);
  const signs = program ? weights.map((w) => Int8Array.from(w, Math.sign)) : [];
  const width = inputs(network);
  const count = outputs(network);
  return {
    arithmetic: program ? 'integer' : 'float',
    scale: program ? program.scale : 1,
    inputs: width,
    outputs: count,
    bytes: [...all, ...weights, ...signs].reduce((sum, { byteLength }) => sum + byteLength, 0),
    logits(raw, rows) {
      checkInputs(raw, rows, width);
      const integers = program !== null && raw instanceof Uint8Array;
      const out = integers ? new Int32Array(rows * count) : new Float32Array(rows * count);
      for (let row = 0; row < rows; row++) {
        const values = raw.subarray(row * width, (row + 1) * width);
        const activations = integers
          ? walk(network, Int32Array.from(values), signs, null, INTEGER)
          : walk(network, transformed(values, transform), weights, parameters?.biases ?? null, F32);
        out.set(activations.at(-1)!, row * count);
      }
      return out;
    },
    free: nothing,
  };
}

/** (value - mean) * scale, each operation rounded to f32. */
function transformed(raw: Uint8Array | Float32Array, transform: InputTransform): Float32Array {
  const mean = fround(transform.mean);
  const scale = fround(transform.scale);
  return Float32Array.from(raw, (value) => fround(fround(value - mean) * scale));
}

/** The input and every layer's output for one sample. */
function walk<V extends Values>(
  network: Network,
  x: V,
  weights: readonly ArrayLike<number>[],
  biases: readonly Float32Array[] | null,
  arithmetic: Arithmetic<V>,
): V[] {
  const activations = [x];
  for (const placed of place(network)) {
    activations.push(forward(placed, activations.at(-1)!, weights[placed.stream], biases ? biases[placed.stream] : null, arithmetic));
  }
  return activations;
}

/** `euler` of a layer: the sum of output times its gradient, which is the sum of weight times its gradient. */
interface Gradients extends Omit<Trainer, 'free' | 'biasGradient'> {
  readonly standing: Batch;
  readonly layers: readonly { readonly dW: Float32Array; readonly dBias: Float32Array; euler: number }[];
}

/** What both trainers share: loss and gradients of a batch under effective weights that the caller changes in place. */
function gradientsOf(
  network: Network,
  data: TrainingSet,
  batch: number,
  weights: readonly Float32Array[],
  biases: readonly Float32Array[] | null,
): Gradients {
  checkTrainingSet(network, data, batch);
  const placed = place(network);
  const width = inputs(network);
  const count = outputs(network);
  const layers = weighted(network).map((layer) => ({
    dW: new Float32Array(layer.weights),
    dBias: new Float32Array(layer.output[2]),
    euler: 0,
  }));
  const sample = (row: number): Float32Array[] => {
    const values = data.images.subarray(row * width, (row + 1) * width);
    return walk(network, transformed(values, data.transform), weights, biases, F32);
  };
  const standing = new Batch();
  return {
    layers,
    standing,
    gradients(rows) {
      checkRows(rows, data);
      if (rows.length < 1 || rows.length > batch) throw new ShapeError(`a batch has 1 to ${batch} rows, got ${rows.length}`);
      for (const layer of layers) {
        for (const gradient of [layer.dW, layer.dBias]) gradient.fill(0);
        layer.euler = 0;
      }
      let loss = 0;
      for (const row of rows) {
        const activations = sample(row);
        let d: Float32Array = new Float32Array(count);
        loss += softmaxCrossEntropy(activations.at(-1)!, data.labels[row], rows.length, d);
        for (let i = placed.length - 1; i >= 0; i--) {
          const { stream } = placed[i];
          if (stream >= 0) for (let k = 0; k < d.length; k++) layers[stream].euler += d[k] * activations[i + 1][k];
          d = backward(placed[i], activations[i], activations[i + 1], weights[stream], d, layers[stream]);
        }
      }
      standing.made();
      return loss / rows.length;
    },
    weightGradient(layer) {
      const { dW } = pick(layers, layer);
      standing.check();
      return dW.slice();
    },
    logits(rows) {
      checkRows(rows, data);
      const out = new Float32Array(rows.length * count);
      rows.forEach((row, i) => {
        out.set(sample(row).at(-1)!, i * count);
      });
      return out;
    },
  };
}

function denseTrainer(network: Network, data: TrainingSet, start: Parameters, batch: number, mask?: Mask): DenseTrainer {
  checkParameters(network, start);
  if (mask) checkMask(network, mask);
  const weights = start.weights.map((w) => w.slice());
  const biases = start.biases ? start.biases.map((b) => b.slice()) : weighted(network).map((layer) => new Float32Array(layer.output[2]));
  const { layers, standing, gradients, ...shared } = gradientsOf(network, data, batch, weights, biases);
  const variables = [
    ...weights.map((value, i) => ({ value, gradient: layers[i].dW })),
    ...biases.map((value, i) => ({ value, gradient: layers[i].dBias })),
  ].map((variable) => ({ ...variable, m: like(variable.value), v: like(variable.value), velocity: like(variable.value) }));
  let beta1t = 1;
  let beta2t = 1;
  return {
    ...shared,
    gradients(rows) {
      const loss = gradients(rows);
      layers.forEach(({ dW }, layer) => {
        if (mask) dW.set(dW.map((d, i) => (kept(mask[layer], i) ? d : 0)));
      });
      return loss;
    },
    biasGradient(layer) {
      const { dBias } = pick(layers, layer);
      standing.check();
      return dBias.slice();
    },
    adam(options) {
      standing.check();
      standing.usedUp();
      beta1t *= options.beta1;
      beta2t *= options.beta2;
      for (const { value, gradient, m, v } of variables) adam(options, 1 - beta1t, 1 - beta2t, gradient, m, v, value);
    },
    sgd(options) {
      standing.check();
      standing.usedUp();
      for (const { value, gradient, velocity } of variables) sgd(options, gradient, velocity, value);
    },
    parameters: () => ({ weights: weights.map((w) => w.slice()), biases: biases.map((b) => b.slice()) }),
    free: nothing,
  };
}

const like = (array: Float32Array): Float32Array => new Float32Array(array.length);

/**
 * Adam (Kingma and Ba 2015) with both bias corrections folded into the step and epsilon, as in the end of their section 2:
 *   m = b1 m + (1 - b1) g     v = b2 v + (1 - b2) g g     w -= (lr sqrt(c2) / c1) m / (sqrt(v) + eps sqrt(c2))
 * which is w -= lr mHat / (sqrt(vHat) + eps) up to rounding. c = 1 - b^t and the step are f64, rounded once.
 */
function adam(
  options: AdamOptions,
  c1: number,
  c2: number,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  w: Float32Array,
): void {
  const beta1 = fround(options.beta1);
  const beta2 = fround(options.beta2);
  const rest1 = fround(1 - options.beta1);
  const rest2 = fround(1 - options.beta2);
  const step = fround((options.learningRate * Math.sqrt(c2)) / c1);
  const epsilon = fround(options.epsilon * Math.sqrt(c2));
  for (let i = 0; i < w.length; i++) {
    const g = gradient[i];
    m[i] = fround(beta1 * m[i]) + fround(rest1 * g);
    v[i] = fround(beta2 * v[i]) + fround(fround(rest2 * g) * g);
    w[i] -= fround(fround(step * m[i]) / fround(fround(Math.sqrt(v[i])) + epsilon));
  }
}

/** Heavy-ball momentum: velocity = mu velocity + g, value -= lr velocity. The stores round to f32. */
function sgd(options: SgdOptions, gradient: Float32Array, velocity: Float32Array, value: Float32Array): void {
  const rate = fround(options.learningRate);
  const momentum = fround(options.momentum);
  for (let i = 0; i < value.length; i++) {
    velocity[i] = fround(momentum * velocity[i]) + gradient[i];
    value[i] -= fround(rate * velocity[i]);
  }
}

function topkTrainer(
  network: Network,
  data: TrainingSet,
  startScores: readonly Float32Array[],
  startKeep: readonly number[],
  startGain: readonly number[],
  batch: number,
): TopkTrainer {
  checkScores(network, startScores);
  checkKeep(network, startKeep);
  checkGain(network, startGain);
  const weights = regenerate(network);
  const scores = startScores.map((s) => s.slice());
  const velocities = scores.map(like);
  const effective = weights.map(like);
  let thresholds = scores.map((s, layer) => threshold(s, startKeep[layer]));
  const select = (gain: readonly number[]) => {
    effective.forEach((out, layer) => {
      for (let i = 0; i < out.length; i++) out[i] = scores[layer][i] >= thresholds[layer] ? fround(gain[layer]) * weights[layer][i] : 0;
    });
  };
  select(startGain);
  const { layers, standing, ...shared } = gradientsOf(network, data, batch, effective, null);
  return {
    ...shared,
    biasGradient: () => noBiases('topk'),
    step(options, keep, gain) {
      checkKeep(network, keep);
      checkGain(network, gain);
      standing.check();
      standing.usedUp();
      thresholds = scores.map((s, layer) => threshold(s, keep[layer]));
      scores.forEach((s, layer) => {
        const scoreGradient = layers[layer].dW.map((d, i) => d * fround(fround(gain[layer]) * weights[layer][i]));
        sgd(options, scoreGradient, velocities[layer], s);
      });
      select(gain);
    },
    select(keep, gain) {
      checkKeep(network, keep);
      checkGain(network, gain);
      standing.usedUp();
      thresholds = scores.map((s, layer) => threshold(s, keep[layer]));
      select(gain);
    },
    scores: () => scores.map((s) => s.slice()),
    mask(keep) {
      checkKeep(network, keep);
      return scores.map((s, layer) => highest(s, keep[layer]));
    },
    free: nothing,
  };
}

function bernoulliTrainer(
  network: Network,
  data: TrainingSet,
  startScores: readonly Float32Array[],
  rescale: boolean,
  batch: number,
): BernoulliTrainer {
  checkScores(network, startScores);
  const placed = weighted(network);
  const weights = regenerate(network);
  const scores = startScores.map((s) => s.slice());
  const velocities = scores.map(like);
  const effective = weights.map(like);
  let mask: Uint8Array[] = [];
  let factors: number[] = [];
  const draw = (number: number) => {
    mask = placed.map((layer, i) => drawMask(layer, scores[i], network.seed, number));
    factors = mask.map((bits, layer) => (rescale ? fround(countKept(bits) ? weights[layer].length / countKept(bits) : 0) : 1));
    effective.forEach((out, layer) => {
      for (let i = 0; i < out.length; i++) out[i] = kept(mask[layer], i) ? factors[layer] * weights[layer][i] : 0;
    });
  };
  draw(0);
  const { layers, standing, ...shared } = gradientsOf(network, data, batch, effective, null);
  return {
    ...shared,
    biasGradient: () => noBiases('bernoulli'),
    step(options, number) {
      const push = fround(pushOf(network, options));
      standing.check();
      standing.usedUp();
      scores.forEach((s, layer) => {
        const drawn = countKept(mask[layer]);
        const shift = fround((rescale && drawn ? fround(layers[layer].euler / drawn) : 0) - push);
        const scoreGradient = layers[layer].dW.map((d, i) => {
          const p = sigmoid32(s[i]);
          return fround(fround(d * fround(factors[layer] * weights[layer][i])) - shift) * fround(p * fround(1 - p));
        });
        sgd(options, scoreGradient, velocities[layer], s);
      });
      draw(number);
    },
    draw(number) {
      standing.usedUp();
      draw(number);
    },
    scores: () => scores.map((s) => s.slice()),
    mask: () => mask.map((bits) => bits.slice()),
    free: nothing,
  };
}

/** The k-th largest score; +Infinity keeps nothing, -Infinity everything. */
function threshold(scores: Float32Array, k: number): number {
  if (k === 0) return Number.POSITIVE_INFINITY;
  return k === scores.length ? Number.NEGATIVE_INFINITY : scores.slice().sort()[scores.length - k];
}

/** Bits of the k highest scores, ties to the lower index. */
function highest(scores: Float32Array, k: number): Uint8Array {
  const bits = new Uint8Array(maskBytes(scores.length));
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
  for (const i of order.subarray(0, k)) bits[i >> 3] |= 1 << (i & 7);
  return bits;
}
