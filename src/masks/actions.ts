// Mask actions: after a round of iterative pruning, what pruned weights become (mask-0) and what kept weights restart from (mask-1)
// (Zhou et al. 2019, sections 2.1 and 2.2). Pure functions of one layer's arrays; `start` is where the round just trained began, so
// actions compose over rounds as the authors' do, and a weight pruned earlier stays at the value it was frozen at.
//
// The constant is the population standard deviation of the layer's initialisation, pruned weights included. (The authors take it
// from the last start values, so theirs shrinks a little each round.)
//
// Streams of DOMAIN.sampling: purpose << 28 | round << 16 | layer. A permutation takes it whole; the seed of a redraw is its first two
// words with layer 0, low word first.

import { kept, type Network, sigmaOf, weighted } from '../network.js';
import { DOMAIN, fillWeights, fillWords, permutation, type Seed } from '../random.js';
import { unknownName } from '../spelling.js';

/** What a weight that is pruned now becomes and stays; ws is its start value, wf its final one. */
export const MASK0_VALUES = {
  zero: '0',
  init: 'its start value',
  toward_zero: "0 if training moved it toward zero, |wf| < |ws|, else its start value (the paper's variant 1)",
  toward_zero_all: 'the same, and kept weights that moved toward zero restart from 0 too and train (variant 2)',
  toward_zero_reshuffled: 'control: as many zeros as toward_zero, at random places among the weights pruned now',
  toward_zero_reversed: 'control: 0 if training moved it away from zero, else its start value',
} as const;
export type Mask0 = keyof typeof MASK0_VALUES;
export const MASK0 = Object.keys(MASK0_VALUES) as readonly Mask0[];

/**
 * What a kept weight restarts from. `reinit` is what the authors' code calls so, and draws nothing new; `redraw` does what the word would
 * suggest.
 */
export const MASK1_VALUES = {
  rewind: 'its start value',
  reinit: "a value of the layer's initialisation, all of it permuted, kept and pruned weights alike",
  signed_reinit: 'the magnitude that reinit gives, with the sign of its start value',
  redraw: "a new draw from the network's distribution",
  signed_redraw: 'the magnitude that redraw gives, with the sign of its start value',
  reshuffle: 'the start value of another kept weight',
  signed_reshuffle: 'the magnitude that reshuffle gives, with the sign of its start value',
  constant: "plus or minus the layer's constant, the initial signs of the whole layer permuted",
  signed_constant: "the layer's constant with the sign of its start value",
} as const;
export type Mask1 = keyof typeof MASK1_VALUES;
export const MASK1 = Object.keys(MASK1_VALUES) as readonly Mask1[];

const PURPOSE = { zeros: 1, reinit: 2, redraw: 3, reshuffle: 4, constant: 5 } as const;

/** Where the random numbers of an action come from: the round whose training is over, from 0, and the layer's stream. */
export interface Address {
  readonly seed: Seed;
  readonly round: number;
  readonly layer: number;
}

const streamOf = (purpose: keyof typeof PURPOSE, round: number, layer: number): number =>
  ((PURPOSE[purpose] << 28) | (round << 16) | layer) >>> 0;

const permuted = (n: number, purpose: keyof typeof PURPOSE, { seed, round, layer }: Address): Uint32Array =>
  permutation(n, seed, DOMAIN.sampling, streamOf(purpose, round, layer));

/** Why two actions cannot be taken, as there is no such action or they do not go together; or null. */
export function actionConflict(mask0: Mask0, mask1: Mask1): string | null {
  if (!MASK0.includes(mask0)) return `mask0: ${unknownName(String(mask0), MASK0)}`;
  if (!MASK1.includes(mask1)) return `mask1: ${unknownName(String(mask1), MASK1)}`;
  return mask0 === 'toward_zero_all' && mask1 !== 'rewind'
    ? `mask-0 toward_zero_all says where kept weights restart, so it goes with mask-1 rewind only, not ${mask1}`
    : null;
}

/** One layer's weights. */
export interface LayerWeights {
  /** Before the first round: the initialisation. */
  readonly initial: Float32Array;
  /** Where the round began. */
  readonly start: Float32Array;
  /** Where it ended. */
  readonly final: Float32Array;
}

/**
 * Mask-0: the places that become 0; all others keep their start values (or get what mask-1 says).
 * @param before bits of the round just trained
 * @param after bits of the round to come
 */
export function zeroedBy(
  action: Mask0,
  { start, final }: Omit<LayerWeights, 'initial'>,
  before: Uint8Array,
  after: Uint8Array,
  at: Address,
): Uint32Array {
  const pruned = places(start.length, (i) => kept(before, i) === 1 && kept(after, i) === 0);
  const shrank = (i: number) => Math.abs(final[i]) < Math.abs(start[i]);
  switch (action) {
    case 'zero':
      return pruned;
    case 'init':
      return new Uint32Array(0);
    case 'toward_zero':
      return pruned.filter(shrank);
    case 'toward_zero_all':
      return places(start.length, (i) => kept(before, i) === 1 && shrank(i));
    case 'toward_zero_reshuffled': {
      const order = permuted(pruned.length, 'zeros', at);
      return order.subarray(0, pruned.filter(shrank).length).map((i) => pruned[i]);
    }
    case 'toward_zero_reversed':
      return pruned.filter((i) => Math.abs(final[i]) > Math.abs(start[i]));
  }
}

/** Mask-1: the start values with those of the kept weights (`after`) replaced. */
export function restartBy(
  action: Mask1,
  network: Network,
  { initial, start }: Omit<LayerWeights, 'final'>,
  after: Uint8Array,
  at: Address,
): Float32Array {
  const out = start.slice();
  if (action === 'rewind') return out;
  const survivors = places(start.length, (i) => kept(after, i) === 1);
  const signed = action.startsWith('signed_');
  const value = free(action.replace('signed_', '') as Free, network, { initial, start }, survivors, at);
  survivors.forEach((place, i) => {
    out[place] = signed ? Math.abs(value(place, i)) * Math.sign(start[place]) : value(place, i);
  });
  return out;
}

type Free = 'reinit' | 'redraw' | 'reshuffle' | 'constant';

/** @returns the sign-free value of the weight at a place, which is survivor number i */
function free(
  action: Free,
  network: Network,
  { initial, start }: Omit<LayerWeights, 'final'>,
  survivors: Uint32Array,
  at: Address,
): (place: number, i: number) => number {
  switch (action) {
    case 'reinit': {
      const order = permuted(initial.length, 'reinit', at);
      return (place) => initial[order[place]];
    }
    case 'redraw': {
      const drawn = redraw(network, at);
      return (place) => drawn[place];
    }
    case 'reshuffle': {
      const order = permuted(survivors.length, 'reshuffle', at);
      return (_, i) => start[survivors[order[i]]];
    }
    case 'constant': {
      const c = deviation(initial);
      const order = permuted(initial.length, 'constant', at);
      return (place) => c * Math.sign(initial[order[place]]);
    }
  }
}

/** A layer drawn anew. */
function redraw(network: Network, { seed, round, layer }: Address): Float32Array {
  const key = new Uint32Array(2);
  fillWords(seed, DOMAIN.sampling, streamOf('redraw', round, 0), 0, key);
  const placed = weighted(network)[layer];
  const out = new Float32Array(placed.weights);
  fillWeights(network.distribution, sigmaOf(network.sigma, placed), { low: key[0], high: key[1] }, layer, 0, out);
  return out;
}

/** Population standard deviation, summed in f64 in index order and rounded to f32. */
export function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return Math.fround(Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length));
}

function places(n: number, which: (i: number) => boolean): Uint32Array {
  const found: number[] = [];
  for (let i = 0; i < n; i++) if (which(i)) found.push(i);
  return Uint32Array.from(found);
}
