// Training on the wasm engine: `gradients` runs the samples phase, a step runs the inputs phase, in which weight gradients are made
// and used up in registers (wasm-layers.ts). A weight gradient that somebody asks for is made again from what the phases left.

import { checkMask, countKept, kept, type Mask, type Network, type Parameters, ShapeError, weighted } from '../network.js';
import type { DenseTrainer, TopkTrainer, Trainer, TrainingSet } from './engine.js';
import { highest } from './highest.js';
import type { Machine, Operation } from './machine.js';
import { checkGain, checkKeep, checkParameters, checkRows, checkScores, checkTrainingSet, pick } from './reference.js';
import { regenerateLayer } from './regenerate.js';
import { Layers, type Rule } from './wasm-layers.js';

interface Core extends Omit<Trainer, 'free'> {
  /** Runs the inputs phase on the batch of the last `gradients`, one rule a layer, then `more`. */
  step(rules: readonly Rule[], more?: () => readonly Operation[]): void;
  biasGradient(layer: number): Float32Array;
}

/** What the trainers share. */
function core(machine: Machine, layers: Layers, data: TrainingSet, batch: number): Core {
  /** The batch of the last `gradients` until its step is taken. */
  let pending: Uint32Array | null = null;
  /** Whether memory holds the pending batch's activations and dZ. */
  let fresh = false;
  function ready(): Uint32Array {
    if (!pending) throw new Error('there is no batch: call gradients(rows) before a step, and ask for its gradients before the step');
    if (!fresh) machine.run([...layers.forward(pending), ...layers.backward(pending.length), ['meet']]);
    fresh = true;
    return pending;
  }
  return {
    gradients(rows) {
      checkRows(rows, data);
      if (rows.length < 1 || rows.length > batch) throw new ShapeError(`a batch has 1 to ${batch} rows, got ${rows.length}`);
      pending = rows.slice();
      fresh = false;
      ready();
      return layers.loss(rows.length);
    },
    step(rules, more) {
      const rows = ready();
      machine.run([...layers.step(rows.length, rules), ['meet']]);
      pending = null;
      if (more) machine.run([...more(), ['meet']]);
    },
    weightGradient(i) {
      const { count } = pick(layers.layers, i);
      const to = machine.allocate(count * 4);
      machine.run([layers.gradient(i, ready().length, to), ['meet']]);
      const gradient = layers.download(i, to);
      machine.release(to);
      return gradient;
    },
    biasGradient(i) {
      const { dBias, units } = pick(layers.layers, i);
      machine.run([layers.biasGradient(i, ready().length), ['meet']]);
      return machine.f32(dBias, units).slice();
    },
    logits(rows) {
      checkRows(rows, data);
      const outputs = layers.layers[layers.layers.length - 1].units;
      const out = new Float32Array(rows.length * outputs);
      for (let start = 0; start < rows.length; start += batch) {
        const part = rows.subarray(start, start + batch);
        machine.run([...layers.forward(part), ['meet']]);
        layers.readLogits(part.length, out, start * outputs);
      }
      fresh = false;
      return out;
    },
  };
}

/** Kept fractions below which lists of kept weights are faster: the first layer's inputs are pixels, four fifths of them zero. */
const SPARSE_FIRST = 1 / 6;
const SPARSE = 1 / 2;
const runsOnLists = (layer: number, keep: number, weights: number): boolean => keep < weights * (layer === 0 ? SPARSE_FIRST : SPARSE);

export function createDenseTrainer(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  start: Parameters,
  batch: number,
  mask?: Mask,
): DenseTrainer {
  checkParameters(network, start);
  checkTrainingSet(network, data, batch);
  if (mask) checkMask(network, mask);
  const layers = new Layers(machine, network, data, batch, { biased: true, lists: mask !== undefined });
  const { step, ...shared } = core(machine, layers, data, batch);
  layers.layers.forEach((layer, i) => {
    layers.uploadWeights(i, start.weights[i]);
    if (start.biases) machine.f32(layer.bias, layer.units).set(start.biases[i]);
    if (mask) layers.fix(i, mask[i], restIsZero(start.weights[i], mask[i]) && runsOnLists(i, countKept(mask[i]), start.weights[i].length));
  });
  let beta1t = 1;
  let beta2t = 1;
  return {
    ...shared,
    weightGradient(i) {
      const gradient = shared.weightGradient(i);
      return mask ? gradient.map((g, k) => (kept(mask[i], k) ? g : 0)) : gradient;
    },
    adam({ learningRate, beta1, beta2, epsilon }) {
      beta1t *= beta1;
      beta2t *= beta2;
      const root = Math.sqrt(1 - beta2t);
      const rate = (learningRate * root) / (1 - beta1t);
      const rule: Rule = { kind: 'adam', rate, beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, epsilon: epsilon * root };
      step(layers.layers.map(() => rule));
    },
    sgd({ learningRate, momentum }) {
      step(layers.layers.map(() => ({ kind: 'sgd', rate: learningRate, momentum })));
    },
    parameters: () => ({
      weights: layers.layers.map((layer, i) => layers.download(i, layer.w)),
      biases: layers.layers.map((layer) => machine.f32(layer.bias, layer.units).slice()),
    }),
    free: () => layers.own.free(),
  };
}

const restIsZero = (weights: Float32Array, bits: Uint8Array): boolean => weights.every((w, k) => w === 0 || kept(bits, k) === 1);

export function createTopkTrainer(
  machine: Machine,
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
  checkTrainingSet(network, data, batch);
  const layers = new Layers(machine, network, data, batch, { biased: false, lists: true });
  const { step, ...shared } = core(machine, layers, data, batch);
  const counters = layers.own.bytes(machine.threads * 8192);
  layers.layers.forEach((layer, i) => {
    // Padding is never among the highest: its gradient is 0.
    machine.f32(layer.score, layer.count).fill(Number.NEGATIVE_INFINITY);
    layers.upload(i, startScores[i], layer.score);
    layers.upload(i, regenerateLayer(machine, network, weighted(network)[i]), layer.constants);
  });

  /** The operations that find the keep-th highest score of a layer; none where everything or nothing is kept. */
  function select(i: number, keep: number): Operation[] {
    const layer = layers.layers[i];
    layers.setSparse(i, runsOnLists(i, keep, layer.units * layer.fanIn));
    if (keep === 0 || keep === layer.units * layer.fanIn) {
      machine.f32(layer.threshold, 1)[0] = keep === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      return [];
    }
    const state = layer.threshold - 8;
    machine.u32(state, 2).set([0, keep]);
    return [0, 1, 2].flatMap((pass): Operation[] => [
      ['selectCount', layer.score, layer.count, state, counters, pass],
      ['selectDigit', state, counters, pass],
    ]);
  }
  const selectAll = (keep: readonly number[], gain: readonly number[]): Operation[] => [
    ...layers.layers.flatMap((_, i) => select(i, keep[i])),
    ...layers.layers.map(({ at }, i): Operation => ['emitAll', at, gain[i]]),
  ];

  machine.run([...selectAll(startKeep, startGain), ['meet']]);
  return {
    ...shared,
    biasGradient() {
      throw new Error('a topk trainer has no biases: read weightGradient(layer) instead');
    },
    step({ learningRate, momentum }, keep, gain, reselect) {
      checkKeep(network, keep);
      checkGain(network, gain);
      step(
        gain.map((g) => ({ kind: 'topk', rate: learningRate, momentum, gain: g, emits: !reselect })),
        reselect ? () => selectAll(keep, gain) : undefined,
      );
    },
    scores: () => layers.layers.map((layer, i) => layers.download(i, layer.score)),
    mask(keep) {
      checkKeep(network, keep);
      return layers.layers.map((layer, i) => highest(layers.download(i, layer.score), keep[i]));
    },
    free: () => layers.own.free(),
  };
}
