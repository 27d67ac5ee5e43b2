// Training on the wasm engine. All matrices lie in WebAssembly memory in the order the kernels like; canonical order [out][in] is
// only met at the border (upload, weightGradient, parameters, mask).
//
//   weights, gradients, scores   [in][out], rows padded to 4     activations, dZ   [sample][out], rows padded to 4
//
// A step is one tape: gather the batch; per layer compress the activations to lists and multiply (forward); loss; per layer,
// backwards, the weight gradient from lists by input and the input gradient from lists by sample; the optimiser step is a second
// tape. Buffers are made once; nothing is allocated per step.

import { type Network, type Parameters, ShapeError, weighted } from '../network.js';
import type { DenseTrainer, TopkTrainer, Trainer, TrainingSet } from './engine.js';
import { highest } from './highest.js';
import { Allocations, type Machine, type Operation, pad4 } from './machine.js';
import { checkGain, checkKeep, checkParameters, checkRows, checkScores, checkTrainingSet, pick } from './reference.js';
import { regenerateLayer } from './regenerate.js';

/** A layer's place in memory; pointers are byte addresses, strides bytes. */
interface Held {
  readonly fanIn: number;
  readonly units: number;
  readonly stride: number;
  readonly relu: number;
  /** Padded number of floats of weights and everything shaped like them. */
  readonly count: number;
  readonly weights: number;
  readonly gradient: number;
  readonly output: number;
  readonly dOutput: number;
  /** [out][in] copy for the input gradient; the first layer needs none. */
  readonly transposed: number;
  readonly bias: number;
  readonly dBias: number;
}

interface Core extends Omit<Trainer, 'biasGradient' | 'free'> {
  readonly own: Allocations;
  readonly held: readonly Held[];
}

function core(machine: Machine, network: Network, data: TrainingSet, batch: number, biased: boolean): Core {
  checkTrainingSet(network, data, batch);
  const own = new Allocations(machine);
  const layers = weighted(network);
  const inputs = layers[0].fanIn;
  const images = own.bytes(data.images.length);
  machine.u8(images, data.images.length).set(data.images);
  const labels = own.bytes(data.labels.length);
  machine.u8(labels, data.labels.length).set(data.labels);
  const order = own.bytes(batch * 4);
  const losses = own.bytes(batch * 8);
  const x = own.bytes(batch * pad4(inputs) * 4);
  const widest = Math.max(...layers.map((layer) => Math.max(layer.fanIn, layer.output[2])));
  const lists = own.bytes(batch * widest * 8);
  const counts = own.bytes(Math.max(batch, widest) * 4);
  const held = layers.map((layer, i): Held => {
    const units = layer.output[2];
    const stride = pad4(units) * 4;
    const bytes = layer.fanIn * stride;
    return {
      fanIn: layer.fanIn,
      units,
      stride,
      relu: layer.layer.kind === 'dense' && layer.layer.activation === 'relu' ? 1 : 0,
      count: bytes / 4,
      weights: own.bytes(bytes),
      gradient: own.bytes(bytes),
      output: own.bytes(batch * stride),
      dOutput: own.bytes(batch * stride),
      transposed: i > 0 ? own.bytes(units * pad4(layer.fanIn) * 4) : 0,
      bias: biased ? own.bytes(stride) : 0,
      dBias: biased ? own.bytes(stride) : 0,
    };
  });
  const last = held[held.length - 1];
  const inputOf = (i: number) => (i === 0 ? { at: x, stride: pad4(inputs) * 4 } : { at: held[i - 1].output, stride: held[i - 1].stride });

  function forward(rows: Uint32Array): Operation[] {
    machine.u32(order, rows.length).set(rows);
    const { mean, scale } = data.transform;
    const tape: Operation[] = [['gather', images, order, rows.length, inputs, mean, scale, x, pad4(inputs) * 4]];
    held.forEach((layer, i) => {
      const input = inputOf(i);
      tape.push(
        ['compressRows', input.at, rows.length, layer.fanIn, input.stride, lists, counts, layer.fanIn, layer.stride],
        [
          'product',
          lists,
          counts,
          layer.fanIn,
          rows.length,
          layer.weights,
          layer.stride / 4,
          layer.output,
          layer.stride,
          layer.bias,
          layer.relu,
          0,
        ],
      );
    });
    return tape;
  }

  function backward(n: number): Operation[] {
    const tape: Operation[] = [['crossEntropy', last.output, last.stride, n, last.units, labels, order, last.dOutput, losses, last.relu]];
    for (let i = held.length - 1; i >= 0; i--) {
      const layer = held[i];
      const input = inputOf(i);
      const width = layer.stride / 4;
      tape.push(
        ['compressColumns', input.at, n, layer.fanIn, input.stride, lists, counts, n, layer.stride],
        ['product', lists, counts, n, layer.fanIn, layer.dOutput, width, layer.gradient, layer.stride, 0, 0, 0],
      );
      if (biased) tape.push(['sumRows', layer.dOutput, n, layer.stride, layer.dBias]);
      if (i === 0) break;
      const below = held[i - 1];
      const row = pad4(layer.fanIn) * 4;
      tape.push(
        ['transpose', layer.weights, layer.fanIn, layer.units, layer.stride, layer.transposed, row],
        ['compressRows', layer.dOutput, n, layer.units, layer.stride, lists, counts, layer.units, row],
        [
          'product',
          lists,
          counts,
          layer.units,
          n,
          layer.transposed,
          row / 4,
          below.dOutput,
          below.stride,
          0,
          0,
          below.relu ? below.output : 0,
        ],
      );
    }
    return tape;
  }

  return {
    own,
    held,
    gradients(rows) {
      checkRows(rows, data);
      if (rows.length < 1 || rows.length > batch) throw new ShapeError(`a batch has 1 to ${batch} rows, got ${rows.length}`);
      machine.run([...forward(rows), ...backward(rows.length)]);
      let loss = 0;
      for (const value of machine.f64(losses, rows.length)) loss += value;
      return loss / rows.length;
    },
    weightGradient: (i) => download(machine, pick(held, i).gradient, held[i]),
    logits(rows) {
      checkRows(rows, data);
      const out = new Float32Array(rows.length * last.units);
      for (let start = 0; start < rows.length; start += batch) {
        const part = rows.subarray(start, start + batch);
        machine.run(forward(part));
        const view = machine.f32(last.output, (part.length * last.stride) / 4);
        for (let row = 0; row < part.length; row++) {
          const from = (row * last.stride) / 4;
          out.set(view.subarray(from, from + last.units), (start + row) * last.units);
        }
      }
      return out;
    },
  };
}

/** Canonical [out][in] to memory order [in][out]. */
function upload(machine: Machine, values: Float32Array, pointer: number, layer: Held): void {
  const view = machine.f32(pointer, layer.count);
  const width = layer.stride / 4;
  for (let unit = 0, i = 0; unit < layer.units; unit++) for (let k = 0; k < layer.fanIn; k++) view[k * width + unit] = values[i++];
}

/** Memory order [in][out] to canonical [out][in]. */
function download(machine: Machine, pointer: number, layer: Held): Float32Array {
  const view = machine.f32(pointer, layer.count);
  const width = layer.stride / 4;
  const out = new Float32Array(layer.units * layer.fanIn);
  for (let unit = 0, i = 0; unit < layer.units; unit++) for (let k = 0; k < layer.fanIn; k++) out[i++] = view[k * width + unit];
  return out;
}

export function createDenseTrainer(machine: Machine, network: Network, data: TrainingSet, start: Parameters, batch: number): DenseTrainer {
  checkParameters(network, start);
  const { own, held, ...shared } = core(machine, network, data, batch, true);
  const variables = held.flatMap((layer, i) => {
    upload(machine, start.weights[i], layer.weights, layer);
    if (start.biases) machine.f32(layer.bias, layer.units).set(start.biases[i]);
    return [
      { value: layer.weights, gradient: layer.gradient, count: layer.count },
      { value: layer.bias, gradient: layer.dBias, count: layer.stride / 4 },
    ].map((variable) => ({
      ...variable,
      m: own.bytes(variable.count * 4),
      v: own.bytes(variable.count * 4),
      velocity: own.bytes(variable.count * 4),
    }));
  });
  let beta1t = 1;
  let beta2t = 1;
  return {
    ...shared,
    biasGradient: (i) => machine.f32(pick(held, i).dBias, held[i].units).slice(),
    adam({ learningRate, beta1, beta2, epsilon }) {
      beta1t *= beta1;
      beta2t *= beta2;
      const root = Math.sqrt(1 - beta2t);
      const rate = (learningRate * root) / (1 - beta1t);
      machine.run(
        variables.map((p) => ['adam', p.value, p.m, p.v, p.gradient, p.count, rate, beta1, 1 - beta1, beta2, 1 - beta2, epsilon * root]),
      );
    },
    sgd({ learningRate, momentum }) {
      machine.run(variables.map((p) => ['sgd', p.value, p.velocity, p.gradient, p.count, learningRate, momentum]));
    },
    parameters: () => ({
      weights: held.map((layer) => download(machine, layer.weights, layer)),
      biases: held.map((layer) => machine.f32(layer.bias, layer.units).slice()),
    }),
    free: () => own.free(),
  };
}

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
  const { own, held, ...shared } = core(machine, network, data, batch, false);
  const counters = own.bytes(machine.threads * 8192);
  const layers = held.map((layer, i) => {
    const [score, velocity, constants, state] = [
      own.bytes(layer.count * 4),
      own.bytes(layer.count * 4),
      own.bytes(layer.count * 4),
      own.bytes(16),
    ];
    // Padding never reaches a threshold: its score stays -Infinity because its gradient is 0.
    machine.f32(score, layer.count).fill(Number.NEGATIVE_INFINITY);
    upload(machine, startScores[i], score, layer);
    upload(machine, regenerateLayer(machine, network, weighted(network)[i]), constants, layer);
    return { ...layer, score, velocity, constants, state, threshold: state + 8 };
  });

  /** The operations that find the keep-th highest score of a layer; none where everything or nothing is kept. */
  function select(layer: (typeof layers)[number], keep: number): Operation[] {
    if (keep === 0 || keep === layer.units * layer.fanIn) {
      machine.f32(layer.threshold, 1)[0] = keep === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      return [];
    }
    machine.u32(layer.state, 2).set([0, keep]);
    return [0, 1, 2].flatMap((pass): Operation[] => [
      ['selectCount', layer.score, layer.count, layer.state, counters, pass],
      ['selectDigit', layer.state, counters, pass],
    ]);
  }
  const apply = (layer: (typeof layers)[number], gain: number): Operation => [
    'topkApply',
    layer.score,
    layer.constants,
    layer.weights,
    layer.count,
    gain,
    layer.threshold,
  ];

  machine.run(layers.flatMap((layer, i) => [...select(layer, startKeep[i]), apply(layer, startGain[i])]));
  return {
    ...shared,
    biasGradient() {
      throw new Error('a topk trainer has no biases: read weightGradient(layer) instead');
    },
    step({ learningRate, momentum }, keep, gain, reselect) {
      checkKeep(network, keep);
      checkGain(network, gain);
      machine.run(
        layers.flatMap((layer, i): Operation[] => {
          const fused = reselect ? 0 : 1;
          const { score, velocity, gradient, constants, weights, count, threshold } = layer;
          const step: Operation = [
            'topkStep',
            score,
            velocity,
            gradient,
            constants,
            weights,
            count,
            learningRate,
            momentum,
            gain[i],
            threshold,
            fused,
          ];
          return reselect ? [step, ...select(layer, keep[i]), apply(layer, gain[i])] : [step];
        }),
      );
    },
    scores: () => layers.map((layer) => download(machine, layer.score, layer)),
    mask(keep) {
      checkKeep(network, keep);
      return layers.map((layer, i) => highest(download(machine, layer.score, layer), keep[i]));
    },
    free: () => own.free(),
  };
}
