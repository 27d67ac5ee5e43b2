// The trainers of engine.ts over whoever gives loss and gradients of a batch: the optimiser steps and mask steps as plain loops, written
// out one rounding at a time. All f32 state is rounded with Math.fround after every operation, in the order of the formulas beside it.
//
//   denseTrainer      weights and biases under Adam or SGD with momentum
//   topkTrainer       scores under SGD with momentum, straight-through; the mask keeps the highest
//   bernoulliTrainer  scores whose sigmoid is the probability to be kept

import { sigmoid32 } from '../exact.js';
import { checkMask, countKept, kept, type Mask, maskBytes, type Network, type Parameters, regenerate, weighted } from '../network.js';
import {
  type Batch,
  checkAdam,
  checkKeep,
  checkRanked,
  checkScores,
  checkSelection,
  checkStart,
  pick,
  pushOf,
  untilFreed,
} from './checks.js';
import { drawMask } from './draws.js';
import type {
  AdamOptions,
  BernoulliTrainer,
  DenseStart,
  DenseTrainer,
  Engine,
  Scores,
  Selection,
  SgdOptions,
  TopkTrainer,
  Trainer,
  TrainingSet,
} from './engine.js';

const fround = Math.fround;

/** Arrays are all that is held: the garbage collector frees them. */
const nothing = (): void => undefined;

/**
 * Loss and gradients of a batch under effective weights that the caller changes in place. `euler` of a layer: the sum of output times its
 * gradient, which is the sum of weight times its gradient.
 */
export interface Gradients extends Omit<Trainer, 'free'> {
  readonly standing: Batch;
  readonly layers: readonly { readonly dW: Float32Array; readonly dBias: Float32Array; euler: number }[];
}

/** Room for the gradients of each weighted layer, all 0. */
export const gradientRoom = (network: Network): Gradients['layers'] =>
  weighted(network).map((layer) => ({
    dW: new Float32Array(layer.weights),
    dBias: new Float32Array(layer.output[2]),
    euler: 0,
  }));

type GradientsOf = (
  network: Network,
  data: TrainingSet,
  batch: number,
  weights: readonly Float32Array[],
  biases: readonly Float32Array[] | null,
) => Gradients;

export const trainersOver = (gradientsOf: GradientsOf): Pick<Engine, 'denseTrainer' | 'topkTrainer' | 'bernoulliTrainer'> => ({
  denseTrainer: (...start) => untilFreed('trainer', denseTrainer(gradientsOf, ...start)),
  topkTrainer: (...start) => untilFreed('trainer', topkTrainer(gradientsOf, ...start)),
  bernoulliTrainer: (...start) => untilFreed('trainer', bernoulliTrainer(gradientsOf, ...start)),
});

function denseTrainer(
  gradientsOf: GradientsOf,
  network: Network,
  data: TrainingSet,
  start: DenseStart,
  batch: number,
  mask?: Mask,
): DenseTrainer {
  checkStart(network, start);
  if (mask) checkMask(network, mask);
  /** What is given of weights and biases, and 0 of those it has not. */
  const copyOf = (given?: Parameters) => ({
    weights: weighted(network).map(({ weights }, i) => given?.weights[i].slice() ?? new Float32Array(weights)),
    biases: weighted(network).map(({ output }, i) => given?.biases?.[i].slice() ?? new Float32Array(output[2])),
  });
  const { moments } = start;
  const [values, first, second, velocities] = [copyOf(start), copyOf(moments?.first), copyOf(moments?.second), copyOf()];
  const { layers, standing, gradients, ...shared } = gradientsOf(network, data, batch, values.weights, values.biases);
  const variables = layers.flatMap(({ dW, dBias }, i) =>
    (['weights', 'biases'] as const).map((of) => ({
      gradient: of === 'weights' ? dW : dBias,
      value: values[of][i],
      m: first[of][i],
      v: second[of][i],
      velocity: velocities[of][i],
    })),
  );
  let [beta1t, beta2t] = moments?.powers ?? [1, 1];
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
      checkAdam(options);
      standing.use();
      beta1t *= options.beta1;
      beta2t *= options.beta2;
      for (const { value, gradient, m, v } of variables) adam(options, 1 - beta1t, 1 - beta2t, gradient, m, v, value);
    },
    sgd(options) {
      standing.use();
      for (const { value, gradient, velocity } of variables) sgd(options, gradient, velocity, value);
    },
    parameters: () => copyOf(values),
    moments: () => ({ first: copyOf(first), second: copyOf(second), powers: [beta1t, beta2t] }),
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
  gradientsOf: GradientsOf,
  network: Network,
  data: TrainingSet,
  start: Scores,
  selection: Selection,
  batch: number,
): TopkTrainer {
  checkRanked(network, start);
  checkSelection(network, selection);
  const weights = regenerate(network);
  const scores = start.scores.map((s) => s.slice());
  const velocities = start.velocities?.map((v) => v.slice()) ?? scores.map(like);
  const effective = weights.map(like);
  const cut = (keep: readonly number[]) => scores.map((s, layer) => threshold(s, keep[layer]));
  let thresholds = cut(selection.keep);
  const emit = (gain: readonly number[]) => {
    effective.forEach((out, layer) => {
      for (let i = 0; i < out.length; i++) out[i] = scores[layer][i] >= thresholds[layer] ? fround(gain[layer]) * weights[layer][i] : 0;
    });
  };
  emit(selection.gain);
  const { layers, standing, ...shared } = gradientsOf(network, data, batch, effective, null);
  return {
    ...shared,
    step(options, next) {
      checkSelection(network, next);
      const { keep, gain } = next;
      standing.use();
      thresholds = cut(keep);
      scores.forEach((s, layer) => {
        const scoreGradient = layers[layer].dW.map((d, i) => d * fround(fround(gain[layer]) * weights[layer][i]));
        sgd(options, scoreGradient, velocities[layer], s);
      });
      emit(gain);
    },
    select(next) {
      checkSelection(network, next);
      standing.usedUp();
      thresholds = cut(next.keep);
      emit(next.gain);
    },
    nudge(amounts) {
      checkRanked(network, { scores: amounts });
      scores.forEach((s, layer) => {
        for (let i = 0; i < s.length; i++) s[i] += amounts[layer][i];
      });
    },
    scores: () => scores.map((s) => s.slice()),
    velocities: () => velocities.map((v) => v.slice()),
    mask(keep) {
      checkKeep(network, keep);
      return scores.map((s, layer) => highest(s, keep[layer]));
    },
    free: nothing,
  };
}

function bernoulliTrainer(
  gradientsOf: GradientsOf,
  network: Network,
  data: TrainingSet,
  start: Scores,
  rescale: boolean,
  batch: number,
): BernoulliTrainer {
  checkScores(network, start);
  const placed = weighted(network);
  const weights = regenerate(network);
  const scores = start.scores.map((s) => s.slice());
  const velocities = start.velocities?.map((v) => v.slice()) ?? scores.map(like);
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
    step(options, number) {
      const push = fround(pushOf(network, options));
      standing.use();
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
    velocities: () => velocities.map((v) => v.slice()),
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
