// Training on the wasm engine: `gradients` runs the samples phase, a step runs the inputs phase, in which weight gradients are made
// and used up in registers (layers.ts). A weight gradient that somebody asks for is made again from what the phases left.

import { checkMask, countKept, kept, type Mask, type Network, nonzero } from '../../network.js';
import {
  Batch,
  checkBatch,
  checkInputs,
  checkKeep,
  checkRanked,
  checkRows,
  checkScores,
  checkSelection,
  checkStart,
  checkTrainingSet,
  pick,
  pushOf,
} from '../checks.js';
import type { BernoulliTrainer, DenseStart, DenseTrainer, Scores, Selection, TopkTrainer, Trainer, TrainingSet } from '../engine.js';
import { AdamSteps } from './adam.js';
import { highest } from './highest.js';
import { Layers, type Rule } from './layers.js';
import type { Machine, Operation } from './machine.js';
import { constantsOf } from './regenerate.js';

interface Core {
  /** The verbs that every trainer has. */
  readonly verbs: Omit<Trainer, 'free'>;
  readonly standing: Batch;
  /** The rows of the last `gradients`; memory holds their activations and dZ. */
  ready(): Uint32Array;
  /** Runs the inputs phase on the batch of the last `gradients`, one rule a layer, after `before`. */
  step(rules: readonly Rule[], before?: (samples: number) => readonly Operation[]): void;
}

/** What the trainers share. */
function core(machine: Machine, layers: Layers, data: TrainingSet, batch: number): Core {
  let pending = new Uint32Array(0);
  /** Whether memory holds the pending batch's activations and dZ: asking for logits overwrites them. */
  let fresh = false;
  const standing = new Batch();
  function ready(): Uint32Array {
    standing.check();
    if (!fresh) machine.run([...layers.forward(pending), ...layers.backward(pending.length), ['meet']]);
    fresh = true;
    return pending;
  }
  return {
    standing,
    ready,
    step(rules, before) {
      const rows = ready();
      machine.run([...(before?.(rows.length) ?? []), ...layers.step(rows.length, rules), ['meet']]);
      standing.usedUp();
    },
    verbs: {
      gradients(rows) {
        checkBatch(rows, data, batch);
        pending = rows.slice();
        fresh = false;
        standing.made();
        ready();
        return layers.loss(rows.length);
      },
      weightGradient(i) {
        const { count } = pick(layers.layers, i);
        const { length } = ready();
        const to = machine.allocate(count * 4);
        machine.run([layers.gradient(i, length, to), ['meet']]);
        const gradient = layers.download(i, to);
        machine.release(to);
        return gradient;
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
      show(images) {
        checkInputs(images, data.labels.length, layers.layers[0].fanIn);
        standing.usedUp();
        machine.u8(layers.images, images.length).set(images);
      },
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
  start: DenseStart,
  batch: number,
  mask?: Mask,
): DenseTrainer {
  checkStart(network, start);
  checkTrainingSet(network, data, batch);
  if (mask) checkMask(network, mask);
  const layers = new Layers(machine, network, data, batch, { biased: true, lists: mask !== undefined, drawn: false });
  const { verbs, step, standing, ready } = core(machine, layers, data, batch);
  const { first, second } = start.moments ?? {};
  layers.layers.forEach((layer, i) => {
    const { velocity, constants, bias, biasState, biasSecond, units } = layer;
    layers.uploadWeights(i, start.weights[i]);
    if (first) layers.upload(i, first.weights[i], velocity);
    if (second) layers.upload(i, second.weights[i], constants);
    for (const [from, to] of [
      [start, bias],
      [first, biasState],
      [second, biasSecond],
    ] as const)
      if (from?.biases) machine.f32(to, units).set(from.biases[i]);
    if (mask) layers.fix(i, mask[i], restIsZero(start.weights[i], mask[i]) && runsOnLists(i, countKept(mask[i]), start.weights[i].length));
  });
  const adamSteps = new AdamSteps(start.moments);
  const read = (weights: 'w' | 'velocity' | 'constants', biases: 'bias' | 'biasState' | 'biasSecond') => ({
    weights: layers.layers.map((layer, i) => layers.download(i, layer[weights])),
    biases: layers.layers.map((layer) => machine.f32(layer[biases], layer.units).slice()),
  });
  return {
    ...verbs,
    weightGradient(i) {
      const gradient = verbs.weightGradient(i);
      return mask ? gradient.map((g, k) => (kept(mask[i], k) ? g : 0)) : gradient;
    },
    biasGradient(i) {
      const { dBias, units } = pick(layers.layers, i);
      machine.run([layers.biasGradient(i, ready().length), ['meet']]);
      return machine.f32(dBias, units).slice();
    },
    adam(options) {
      standing.check();
      const rule: Rule = { kind: 'adam', ...adamSteps.next(options) };
      step(layers.layers.map(() => rule));
    },
    sgd({ learningRate, momentum }) {
      step(layers.layers.map(() => ({ kind: 'sgd', rate: learningRate, momentum })));
    },
    parameters: () => read('w', 'bias'),
    moments: () => ({ first: read('velocity', 'biasState'), second: read('constants', 'biasSecond'), powers: adamSteps.powers }),
    free: () => layers.own.free(),
  };
}

const restIsZero = (weights: Float32Array, bits: Uint8Array): boolean => weights.every((w, k) => w === 0 || kept(bits, k) === 1);

export function createTopkTrainer(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  start: Scores,
  selection: Selection,
  batch: number,
): TopkTrainer {
  checkRanked(network, start);
  checkSelection(network, selection);
  checkTrainingSet(network, data, batch);
  const constants = constantsOf(machine, network);
  const layers = new Layers(machine, network, data, batch, { biased: false, lists: true, drawn: false });
  const { verbs, step, standing } = core(machine, layers, data, batch);
  layers.layers.forEach((layer, i) => {
    // Padding is never among the highest: its gradient is 0.
    machine.f32(layer.score, layer.count).fill(Number.NEGATIVE_INFINITY);
    layers.upload(i, start.scores[i], layer.score);
    if (start.velocities) layers.upload(i, start.velocities[i], layer.velocity);
    layers.upload(i, constants[i], layer.constants);
  });
  layers.prepareCuts();

  /** Whether the scores moved since a step collected those around the last cut. */
  let moved = true;
  /** The operations that cut each layer at its keep-th highest score; kernels follow the density. */
  function cut(keep: readonly number[]): Operation[] {
    layers.layers.forEach(({ fanIn, units }, i) => {
      layers.setSparse(i, runsOnLists(i, keep[i], units * fanIn));
    });
    const fresh = moved;
    moved = false;
    return layers.choose(keep, fresh);
  }
  const emit = (gain: readonly number[]) => layers.layers.map(({ at }, i): Operation => ['emitAll', at, gain[i]]);
  machine.run([...cut(selection.keep), ...emit(selection.gain), ['meet']]);

  return {
    ...verbs,
    step({ learningRate, momentum }, next) {
      checkSelection(network, next);
      step(
        next.gain.map((g) => ({ kind: 'topk', rate: learningRate, momentum, gain: g })),
        () => cut(next.keep),
      );
    },
    select(next) {
      checkSelection(network, next);
      standing.usedUp();
      machine.run([...cut(next.keep), ...emit(next.gain), ['meet']]);
    },
    nudge(amounts) {
      checkRanked(network, { scores: amounts });
      layers.layers.forEach(({ score }, i) => {
        layers.upload(
          i,
          layers.download(i, score).map((s, k) => s + amounts[i][k]),
          score,
        );
      });
      moved = true;
    },
    scores: () => layers.layers.map((layer, i) => layers.download(i, layer.score)),
    velocities: () => layers.layers.map((layer, i) => layers.download(i, layer.velocity)),
    mask(keep) {
      checkKeep(network, keep);
      return layers.layers.map((layer, i) => highest(layers.download(i, layer.score), keep[i]));
    },
    free: () => layers.own.free(),
  };
}

export function createBernoulliTrainer(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  start: Scores,
  rescale: boolean,
  batch: number,
): BernoulliTrainer {
  checkScores(network, start);
  checkTrainingSet(network, data, batch);
  const constants = constantsOf(machine, network);
  const layers = new Layers(machine, network, data, batch, { biased: false, lists: false, drawn: rescale ? 'rescaled' : true });
  const { verbs, step, standing } = core(machine, layers, data, batch);
  layers.layers.forEach((layer, i) => {
    layers.upload(i, start.scores[i], layer.score);
    if (start.velocities) layers.upload(i, start.velocities[i], layer.velocity);
    layers.upload(i, constants[i], layer.constants);
  });
  layers.setDraw(0);
  return {
    ...verbs,
    step(options, draw) {
      const { learningRate, momentum } = options;
      const push = pushOf(network, options);
      step(
        layers.layers.map(() => ({ kind: 'bernoulli', rate: learningRate, momentum, push })),
        (samples) => layers.shift(samples),
      );
      layers.setDraw(draw);
    },
    draw(number) {
      standing.usedUp();
      layers.setDraw(number);
    },
    scores: () => layers.layers.map((layer, i) => layers.download(i, layer.score)),
    velocities: () => layers.layers.map((layer, i) => layers.download(i, layer.velocity)),
    mask() {
      machine.run([...layers.draw(0), ['meet']]);
      return layers.layers.map((layer, i) => nonzero(layers.download(i, layer.w)));
    },
    free: () => layers.own.free(),
  };
}
