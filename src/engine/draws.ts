// Draws of Bernoulli masks (Zhou et al. 2019, section 5.1): a weight is kept with probability sigmoid(score), anew for every batch.
// This file says which random number decides which weight, so that a draw can be repeated anywhere, in any order.
//
// Weight (unit u, input i) of a layer takes 16 bits of draw d: Philox block (8 * (i * ceil(units / 64) + u / 64) + u % 64 / 8, d) of the
// sampling domain and the layer's stream, word (u % 8) / 2 of it, the lower half for even u. The weight is kept when the 16 bits, as
// an integer, are below 65536 * sigmoid32(score). Divisions round down; the input of a conv layer is its place in a filter.

import { sigmoid32 } from '../exact.js';
import { maskBytes, type Placed } from '../network.js';
import { DOMAIN, philox, type Seed } from '../random.js';

/** Mask number `draw` (below 2^32) of one layer as packed bits. Scores in canonical order. */
export function drawMask(layer: Placed, scores: Float32Array, seed: Seed, draw: number): Uint8Array {
  const units = layer.output[2];
  const bits = new Uint8Array(maskBytes(layer.weights));
  const words = new Uint32Array(4);
  for (let unit = 0, k = 0; unit < units; unit++) {
    for (let input = 0; input < layer.fanIn; input++, k++) {
      const block = 8 * (input * Math.ceil(units / 64) + (unit >> 6)) + ((unit & 63) >> 3);
      philox(seed, block, draw, layer.stream, DOMAIN.sampling, words, 0);
      const number = (words[(unit & 7) >> 1] >>> ((unit & 1) * 16)) & 0xffff;
      if (number < Math.fround(sigmoid32(scores[k]) * 65536)) bits[k >> 3] |= 1 << (k & 7);
    }
  }
  return bits;
}
