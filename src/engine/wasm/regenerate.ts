// Weight regeneration on the machine: the kernel twin of `fillWeights` in src/random.ts, bit for bit.

import { checkNetwork, type Network, type Placed, sigmaOf, weighted } from '../../network.js';
import { DISTRIBUTIONS } from '../../random.js';
import type { Machine } from './machine.js';

/** Kernels make whole Philox blocks; 2,048 weights are 16 blocks of packed signs. */
const BLOCK = 2048;

/** The weights of a layer, canonical order. */
export function regenerateLayer(machine: Machine, network: Network, layer: Placed): Float32Array {
  checkNetwork(network);
  const padded = Math.ceil(layer.weights / BLOCK) * BLOCK;
  const pointer = machine.allocate(padded * 4);
  machine.weights(DISTRIBUTIONS[network.distribution], sigmaOf(network.sigma, layer), network.seed, layer.stream, pointer, padded);
  const out = machine.f32(pointer, layer.weights).slice();
  machine.release(pointer);
  return out;
}

/** Of all layers, before a trainer takes memory: where there is no room for them, it has nothing to give back. */
export const constantsOf = (machine: Machine, network: Network): Float32Array[] =>
  weighted(network).map((layer) => regenerateLayer(machine, network, layer));
