// Training of networks with convolutions and pools: the layers of conv.ts, forward and backward over a batch, with the optimiser
// kernels of assembly/training.ts. A step is two tapes: loss and gradients, then the update.

import { checkMask, countKept, inputs, kept, type Mask, type Network, outputs } from '../../network.js';
import {
  Batch,
  checkBatch,
  checkInputs,
  checkKeep,
  checkRanked,
  checkRows,
  checkSelection,
  checkStart,
  checkTrainingSet,
  pick,
} from '../checks.js';
import type { DenseStart, DenseTrainer, Scores, Selection, TopkTrainer, Trainer, TrainingSet } from '../engine.js';
import { AdamSteps } from './adam.js';
import { stack, type WeightedLayer } from './conv.js';
import { download, outputsOf, unpad, upload, type Weights } from './conv-memory.js';
import { allocateCut } from './cut.js';
import { highest } from './highest.js';
import { FIELDS } from './layers.js';
import { Allocations, type Machine, type Operation, pad4 } from './machine.js';
import { constantsOf } from './regenerate.js';

export interface Core extends Omit<Trainer, 'free'> {
  readonly standing: Batch;
  readonly own: Allocations;
  readonly layers: readonly WeightedLayer[];
  /** Canonical order, from and to memory shaped like a layer's weights. */
  read(pointer: number, weights: Weights): Float32Array;
  write(values: ArrayLike<number>, pointer: number, weights: Weights): void;
}

/**
 * What the trainers share.
 * @param density the part of a layer's weights that is not 0, as they stand at the next forward pass
 */
export function core(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  batch: number,
  biases: boolean,
  density: (layer: number) => number,
): Core {
  checkTrainingSet(network, data, batch);
  const own = new Allocations(machine);
  const { layers, weighted, input } = stack(machine, own, network, { batch, sums: 'f32', biases, training: true });
  const pixels = own.bytes(data.images.length);
  machine.u8(pixels, data.images.length).set(data.images);
  const labels = own.bytes(data.labels.length);
  machine.u8(labels, data.labels.length).set(data.labels);
  const order = own.bytes(batch * 4);
  const losses = own.bytes(batch * 8);
  const [height, width, channels] = network.input;
  const { mean, scale } = data.transform;
  const { at, sample, row } = input;
  const count = outputs(network);
  const last = layers[layers.length - 1];
  const backwards = layers.toReversed();

  function forward(rows: Uint32Array): Operation[] {
    machine.u32(order, rows.length).set(rows);
    return [
      ...weighted.flatMap((layer, i) => layer.prepare(density(i))),
      ['images', pixels, order, rows.length, height, width, channels, 0, mean, scale, at, sample, row],
      ...layers.flatMap((layer) => layer.forward(rows.length)),
    ];
  }

  const standing = new Batch();
  return {
    own,
    standing,
    layers: weighted,
    read: (pointer, weights) => download(machine.f32(pointer, weights.count), weights),
    write: (values, pointer, weights) => upload(values, machine.f32(pointer, weights.count), weights),
    gradients(rows) {
      checkBatch(rows, data, batch);
      machine.run([
        ...forward(rows),
        [
          'crossEntropy',
          last.out.at,
          last.out.sample,
          rows.length,
          count,
          last.placed.output[2],
          labels,
          order,
          last.dOut.at,
          losses,
          last.relu,
        ],
        ...backwards.flatMap((layer) => layer.backward(rows.length)),
      ]);
      standing.made();
      let loss = 0;
      for (const value of machine.f64(losses, rows.length)) loss += value;
      return loss / rows.length;
    },
    weightGradient(i) {
      const { gradient, weights } = pick(weighted, i);
      standing.check();
      return download(machine.f32(gradient, weights.count), weights);
    },
    logits(rows) {
      checkRows(rows, data);
      const out = new Float32Array(rows.length * count);
      for (let start = 0; start < rows.length; start += batch) {
        const part = rows.subarray(start, start + batch);
        machine.run(forward(part));
        const logits = outputsOf(last, part.length);
        unpad(machine.f32(last.out.at, logits.count), logits, out.subarray(start * count));
      }
      return out;
    },
    show(images) {
      checkInputs(images, data.labels.length, inputs(network));
      standing.usedUp();
      machine.u8(pixels, images.length).set(images);
    },
  };
}

export function createConvDenseTrainer(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  start: DenseStart,
  batch: number,
  mask?: Mask,
): DenseTrainer {
  checkStart(network, start);
  if (mask) checkMask(network, mask);
  const densities = start.weights.map((w) => w.reduce((count, value) => count + (value === 0 ? 0 : 1), 0) / w.length);
  // Weights that are 0 and trained will not stay 0.
  const density = (i: number): number => (mask ? Math.max(densities[i], countKept(mask[i]) / start.weights[i].length) : 1);
  const { own, standing, layers, gradients, read, write, ...shared } = core(machine, network, data, batch, true, density);
  const trained = layers.map(({ weights }, i) => {
    if (!mask) return 0;
    const bits = own.bytes(weights.count * 4);
    upload(
      Int32Array.from(start.weights[i], (_, k) => -kept(mask[i], k)),
      machine.i32(bits, weights.count),
      weights,
    );
    return bits;
  });
  const variables = layers.flatMap(({ value, gradient, bias, dBias, weights }) =>
    [
      { value, gradient, count: weights.count },
      { value: bias, gradient: dBias, count: pad4(weights.units) },
    ].map((variable) => ({
      ...variable,
      m: own.bytes(variable.count * 4),
      v: own.bytes(variable.count * 4),
      velocity: own.bytes(variable.count * 4),
    })),
  );
  const { first, second } = start.moments ?? {};
  layers.forEach(({ weights }, i) => {
    const [ofWeights, ofBiases] = variables.slice(2 * i);
    for (const [from, to] of [
      [start, 'value'],
      [first, 'm'],
      [second, 'v'],
    ] as const) {
      if (from) write(from.weights[i], ofWeights[to], weights);
      if (from?.biases) machine.f32(ofBiases[to], weights.units).set(from.biases[i]);
    }
  });
  const all = (kind: 'value' | 'm' | 'v') => ({
    weights: layers.map(({ weights }, i) => read(variables[2 * i][kind], weights)),
    biases: layers.map(({ weights }, i) => machine.f32(variables[2 * i + 1][kind], weights.units).slice()),
  });
  const adamSteps = new AdamSteps(start.moments);
  return {
    ...shared,
    gradients(rows) {
      const loss = gradients(rows);
      if (mask) machine.run(layers.map(({ gradient, weights }, i): Operation => ['restrict', gradient, trained[i], weights.count]));
      return loss;
    },
    biasGradient(i) {
      const { dBias, weights } = pick(layers, i);
      standing.check();
      return machine.f32(dBias, weights.units).slice();
    },
    adam(options) {
      standing.check();
      const { rate, beta1, rest1, beta2, rest2, epsilon } = adamSteps.next(options);
      standing.use();
      machine.run(variables.map((p) => ['adam', p.value, p.m, p.v, p.gradient, p.count, rate, beta1, rest1, beta2, rest2, epsilon]));
    },
    sgd({ learningRate, momentum }) {
      standing.use();
      machine.run(variables.map((p) => ['sgd', p.value, p.velocity, p.gradient, p.count, learningRate, momentum]));
    },
    parameters: () => all('value'),
    moments: () => ({ first: all('m'), second: all('v'), powers: adamSteps.powers }),
    free: () => own.free(),
  };
}

export function createConvTopkTrainer(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  start: Scores,
  selection: Selection,
  batch: number,
): TopkTrainer {
  checkRanked(network, start);
  checkSelection(network, selection);
  const regenerated = constantsOf(machine, network);
  let keeping = selection.keep;
  const density = (i: number): number => keeping[i] / (layers[i].weights.units * layers[i].weights.fanIn);
  const { own, standing, layers: bare, read, write, ...shared } = core(machine, network, data, batch, false, density);
  const layers = bare.map((layer, i) => {
    const { weights, value } = layer;
    // The kernels see one run of 32 x fanIn values (assembly/runs.ts).
    const fanIn = Math.ceil(weights.count / 32);
    const [score, velocity, constants] = [own.bytes(fanIn * 128), own.bytes(fanIn * 128), own.bytes(fanIn * 128)];
    const cut = allocateCut(machine, own);
    const at = own.bytes(FIELDS.length * 4);
    const fields: Record<string, number> = { fanIn, units: 32, w: value, score, velocity, constants, cut };
    machine.u32(at, FIELDS.length).set(FIELDS.map((name) => fields[name] ?? 0));
    // Padding never reaches a cut: its score stays -Infinity because its constant is 0.
    machine.f32(score, fanIn * 32).fill(Number.NEGATIVE_INFINITY);
    write(start.scores[i], score, weights);
    if (start.velocities) write(start.velocities[i], velocity, weights);
    write(regenerated[i], constants, weights);
    return { ...layer, at, score, velocity, cut };
  });

  /** Whether the scores moved since a step collected those around the last cut. */
  let moved = true;
  /** Cuts each layer at its keep-th highest score. */
  function choose(keep: readonly number[]): Operation[] {
    const fresh = moved;
    moved = false;
    keeping = keep;
    const tape = layers.flatMap(({ at, cut, weights }, i): Operation[] => {
      if (keep[i] < weights.units * weights.fanIn) return [['choose', at, keep[i], i, fresh ? 1 : 0]];
      machine.f32(cut, 3).fill(Number.NEGATIVE_INFINITY);
      return [];
    });
    return [...tape, ['meet']];
  }
  const emit = (gain: readonly number[]) => layers.map(({ at }, i): Operation => ['topkRun', at, 0, 0, 0, gain[i]]);

  machine.run([...choose(selection.keep), ...emit(selection.gain)]);
  return {
    ...shared,
    step({ learningRate, momentum }, next) {
      checkSelection(network, next);
      standing.use();
      const move = layers.map(({ at, gradient }, i): Operation => ['topkRun', at, gradient, learningRate, momentum, next.gain[i]]);
      machine.run([...choose(next.keep), ...move]);
    },
    select(next) {
      checkSelection(network, next);
      standing.usedUp();
      machine.run([...choose(next.keep), ...emit(next.gain)]);
    },
    nudge(amounts) {
      checkRanked(network, { scores: amounts });
      layers.forEach(({ score, weights }, i) => {
        write(
          read(score, weights).map((s, k) => s + amounts[i][k]),
          score,
          weights,
        );
      });
      moved = true;
    },
    scores: () => layers.map(({ score, weights }) => read(score, weights)),
    velocities: () => layers.map(({ velocity, weights }) => read(velocity, weights)),
    mask(keep) {
      checkKeep(network, keep);
      return layers.map(({ score, weights }, i) => highest(read(score, weights), keep[i]));
    },
    free: () => own.free(),
  };
}
