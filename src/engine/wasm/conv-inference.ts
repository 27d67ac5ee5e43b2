// The program of networks with convolutions and pools: the layers of conv.ts under one mask, in f32 or, where bounds.ts allows it,
// in i32 over whole pixels. A chunk of samples passes all layers in one tape.

import { countKept, inputs, kept, type Network } from '../../network.js';
import { type Sums, stack } from './conv.js';
import { outputsOf, placeOf, unpad, type Weights } from './conv-memory.js';
import type { FloatNetwork, Program } from './inference.js';
import { Allocations, type Machine, type Operation } from './machine.js';

/** Samples per pass: few, because a sample's activations fill the caches. */
const CHUNK = 16;

export function convProgram(
  machine: Machine,
  network: Network,
  { weights, biases, mask, transform: { mean, scale } }: FloatNetwork,
  sums: Sums,
): Program {
  const own = new Allocations(machine);
  const net = stack(machine, own, network, { batch: CHUNK, sums, biases: biases !== null, training: false });
  const layout: Operation[] = [];
  net.weighted.forEach((layer, i) => {
    const floats = layer.weights.pitch / 4;
    uploadKept(weights[i], mask[i], machine[sums](layer.value, floats * layer.weights.units), layer.weights, sums);
    if (biases) machine.f32(layer.bias, layer.weights.units).set(biases[i]);
    layout.push(...layer.prepare(countKept(mask[i]) / weights[i].length));
  });
  machine.run(layout);
  const width = inputs(network);
  const raw = own.bytes(CHUNK * width * 4);
  const [height, columns, channels] = network.input;
  const { at, sample, row } = net.input;
  const last = net.layers[net.layers.length - 1];
  return {
    capacity: CHUNK,
    bytes: own.held,
    chunk(values, rows, out) {
      const bytes = values instanceof Uint8Array;
      (bytes ? machine.u8(raw, values.length) : machine.f32(raw, values.length)).set(values);
      const kind = sums === 'i32' ? 2 : bytes ? 0 : 1;
      machine.run([
        ['images', raw, 0, rows, height, columns, channels, kind, mean, scale, at, sample, row],
        ...net.layers.flatMap((layer) => layer.forward(rows)),
      ]);
      const logits = outputsOf(last, rows);
      unpad<Int32Array | Float32Array>(machine[sums](last.out.at, logits.count), logits, out);
    },
    free: () => own.free(),
  };
}

/**
 * Kept weights, their signs where sums are integers, to their place in memory, which is zero. Masks keep little: bytes of them that keep
 * nothing are passed.
 */
function uploadKept(weights: Float32Array, mask: Uint8Array, view: Float32Array | Int32Array, layout: Weights, sums: Sums): void {
  for (let byte = 0; byte < mask.length; byte++) {
    if (mask[byte] === 0) continue;
    const end = Math.min(8 * byte + 8, weights.length);
    for (let k = 8 * byte; k < end; k++) {
      if (kept(mask, k)) view[placeOf(layout, k)] = sums === 'i32' ? Math.sign(weights[k]) : weights[k];
    }
  }
}
