// Programs of the wasm engine: a network under a mask, laid out in memory once, then run chunk by chunk without allocating.
// Three forms; classifier.ts says which one serves a file.
//
//   integer.ts    lists of added and subtracted inputs of each unit
//   kept.ts       lists of each unit's kept f32 weights
//   byNonzeroInputs    lists of each sample's non-zero inputs, weights [in][unit]

import { hasRelu, kept, type Mask, type Placed } from '../../network.js';
import type { InputTransform } from '../engine.js';
import { Allocations, type Machine, type Operation, pad4 } from './machine.js';

/** Samples per pass: buffers are sized for it once, larger inputs are cut. */
export const CHUNK = 256;
/** Bytes that the buffers of a pass through dense layers may have about. */
const ROOM = 2 ** 25;

/** Samples per pass where one takes so many bytes: of very wide layers fewer pass at once. */
export const samplesPerPass = (bytes: number, most = CHUNK): number => Math.max(1, Math.min(most, Math.floor(ROOM / bytes)));

export interface Program {
  /** Samples that a chunk may have. */
  readonly capacity: number;
  /** Memory it may come to hold, the machine's scratch not counted. */
  readonly bytes: number;
  /** Writes the logits of a chunk of samples of raw values, sample-major, to out. */
  chunk(values: Uint8Array | Float32Array, rows: number, out: Int32Array | Float32Array): void;
  free(): void;
}

/** A network's floats with its mask: what a float program is made from. */
export interface FloatNetwork {
  readonly layers: readonly Placed[];
  readonly weights: readonly Float32Array[];
  readonly biases: readonly Float32Array[] | null;
  readonly mask: Mask;
  readonly transform: InputTransform;
}

/** f32 over each sample's non-zero inputs: cost does not depend on the mask. */
export function byNonzeroInputs(machine: Machine, network: FloatNetwork): Program {
  const { layers, transform } = network;
  const own = new Allocations(machine);
  const widest = Math.max(...layers.map((layer) => Math.max(layer.fanIn, layer.output[2])));
  // A number as it comes, transformed, and in a list of those that are not 0.
  const capacity = samplesPerPass(16 * widest);
  const input = inputRows(machine, own, layers[0].fanIn, capacity, transform);
  const lists = own.bytes(capacity * Math.max(...layers.map((layer) => layer.fanIn)) * 8);
  const counts = own.bytes(capacity * 4);
  const steps = denseSteps(machine, own, network, capacity);
  return {
    capacity,
    bytes: own.held,
    chunk(raw, rows, out) {
      const tape: Operation[] = [input.load(raw, rows)];
      let [x, stride] = [input.x, input.stride];
      for (const step of steps) {
        tape.push(['compressRows', x, rows, step.fanIn, stride, lists, counts, step.fanIn, step.width * 4]);
        tape.push(['product', lists, counts, step.fanIn, rows, step.dense, step.width, step.out, step.width * 4, step.bias, step.relu]);
        [x, stride] = [step.out, step.width * 4];
      }
      machine.run(tape);
      const { units, width } = steps.at(-1)!;
      const logits = machine.f32(x, rows * width);
      for (let row = 0, k = 0; row < rows; row++) {
        for (let unit = 0; unit < units; unit++) out[k++] = logits[row * width + unit];
      }
    },
    free: () => own.free(),
  };
}

/** Apart, so that the program does not hold on to the network's floats. */
function denseSteps(machine: Machine, own: Allocations, { layers, weights, biases, mask }: FloatNetwork, capacity: number) {
  return layers.map((layer, i) => {
    const units = layer.output[2];
    const width = pad4(units);
    const dense = own.bytes(layer.fanIn * width * 4);
    const view = machine.f32(dense, layer.fanIn * width);
    for (let unit = 0, index = 0; unit < units; unit++) {
      for (let k = 0; k < layer.fanIn; k++, index++) view[k * width + unit] = kept(mask[i], index) ? weights[i][index] : 0;
    }
    const bias = biases ? own.bytes(width * 4) : 0;
    if (biases) machine.f32(bias, units).set(biases[i]);
    return { units, width, dense, bias, fanIn: layer.fanIn, out: own.bytes(capacity * width * 4), relu: hasRelu(layer.layer) ? 1 : 0 };
  });
}

/** Room for a chunk of raw inputs and its transformed rows x[sample][in]; `load` copies the former in and returns the operation. */
function inputRows(machine: Machine, own: Allocations, fanIn: number, capacity: number, { mean, scale }: InputTransform) {
  const raw = own.bytes(capacity * fanIn * 4);
  const order = own.bytes(capacity * 4);
  machine.u32(order, capacity).set(Array.from({ length: capacity }, (_, i) => i));
  const stride = pad4(fanIn) * 4;
  const x = own.bytes(capacity * stride);
  const load = (values: Uint8Array | Float32Array, rows: number): Operation => {
    if (values instanceof Uint8Array) {
      machine.u8(raw, values.length).set(values);
      return ['gather', raw, order, rows, fanIn, mean, scale, x, stride];
    }
    machine.f32(raw, values.length).set(values);
    return ['shift', raw, rows, fanIn, mean, scale, x, stride];
  };
  return { x, stride, load };
}
