// What both sides of a file know of a mask's layers without the mask: the shape that a unit sees, and the random words of its weights.
// Words are made unit by unit and not kept: a file that claims many weights takes no memory for them.

import { type Mask, type Network, type Placed, weighted } from '../src/network.js';
import { DOMAIN, fillWords, permutation, type Seed } from '../src/random.js';
import type { Grid, Hints } from './context.js';

/** The most inputs and the most units of a layer: what the model remembers of them stays below 80 MB. */
const MAX_SIDE = 2 ** 20;

/** A task of the same file whose mask is known, and its place in the index. */
export interface BaseMask {
  readonly place: number;
  readonly mask: Mask;
}

/** What a payload is read with. */
export interface Surroundings {
  readonly network: Network;
  /** What a payload of the related scheme leans on. */
  readonly base?: BaseMask | undefined;
  /** How the task's pixels were permuted, or null: a mask is modelled with its pixels where they belong. */
  readonly pixelPermutation: Seed | null;
}

/** Whether the context scheme takes the network: no layer has more inputs or units than the model remembers. */
export const fitsModel = (network: Network): boolean =>
  weighted(network).every((layer) => layer.fanIn <= MAX_SIDE && layer.weights / layer.fanIn <= MAX_SIDE);

/** Whether the random words of the network's weights have sizes, or are signs alone. */
export const isSized = (network: Network): boolean => network.distribution !== 'packed-signed-constant';

/** The hints of a weighted layer. */
export const hintsOf = (network: Network, layer: Placed): Hints =>
  isSized(network) ? signsAndSizes(network.seed, layer) : packedSigns(network.seed, layer);

/** The grid of a weighted layer that keeps `kept` of its weights. */
export function gridOf({ network, pixelPermutation, base }: Surroundings, layer: Placed, kept: number): Grid {
  const { weights, fanIn, input } = layer;
  const permuted = pixelPermutation && layer.stream === 0 && network.layers[0].kind === 'dense';
  return {
    units: weights / fanIn,
    shape: layer.kernel ? [layer.kernel, layer.kernel, input[2]] : input,
    kept,
    sized: isSized(network),
    inputs: permuted ? inverse(permutation(fanIn, pixelPermutation, DOMAIN.pixelPermutation)) : null,
    base: base ? base.mask[layer.stream] : null,
  };
}

function packedSigns(seed: Seed, { fanIn, stream }: Placed): Hints {
  const words = new Uint32Array(Math.ceil(fanIn / 32) + 1);
  return (unit, out) => {
    const start = unit * fanIn;
    const first = Math.floor(start / 32);
    fillWords(seed, DOMAIN.packedSigns, stream, first, words);
    for (let i = 0, bit = start - 32 * first; i < fanIn; i++, bit++) out[i] = (words[bit >> 5] >>> (bit & 31)) & 1;
  };
}

function signsAndSizes(seed: Seed, { fanIn, stream }: Placed): Hints {
  const words = new Uint32Array(fanIn);
  return (unit, out) => {
    fillWords(seed, DOMAIN.weights, stream, unit * fanIn, words);
    for (let i = 0; i < fanIn; i++) {
      const word = words[i];
      // No branch: signs are random.
      out[i] = ((word >>> 31) << 5) | (((word ^ ~(word >> 31)) >>> 26) & 31);
    }
  };
}

function inverse(order: Uint32Array): Uint32Array {
  const out = new Uint32Array(order.length);
  order.forEach((to, from) => {
    out[to] = from;
  });
  return out;
}
