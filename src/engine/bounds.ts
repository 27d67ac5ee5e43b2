// When may a network run on integers? Signed constants over uint8 inputs: every layer's sigma factors out (no biases; ReLU and
// max-pool commute with a positive factor), so logits = one scale x integers, exact in any order as long as the sums fit.
// Interval arithmetic finds how large they can get: inputs lie in [0, 255], a unit in [sum of lows, sum of highs] of its kept terms.
//
// Intervals are kept per unit of a dense layer and per filter of a conv layer, whose border pixels have fewer terms: since every
// interval contains 0, a part of a sum lies within the bound of the whole. So the bound also holds for every partial sum, in any
// order, and for a kernel that adds the positive and the negative terms apart. A max-pool changes no interval.

import {
  fullMask,
  isDense,
  isSignedConstant,
  type Mask,
  type Network,
  type Placed,
  place,
  regenerate,
  sigmaOf,
  weighted,
} from '../network.js';
import type { InputTransform } from './engine.js';

/** What the values of one weighted layer can be, before its activation. */
export interface LayerBound {
  /** Smallest (<= 0) and largest (>= 0) integer of each unit or filter. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** The largest |value| of the layer. */
  readonly largest: number;
}

export interface IntegerProgram {
  /** Real value of one integer step of the logits. */
  readonly scale: number;
  readonly bounds: readonly LayerBound[];
}

/** The largest |value| an i32 sum may reach. */
export const I32_LARGEST = 2147483647;

/**
 * Bounds of the integer values of a signed-constant network over inputs 0..255, one per weighted layer. Values of 2^53 and more
 * are rounded, which is far beyond any integer program.
 * @param weights canonical order; only their signs are used
 */
export function integerBounds(network: Network, mask: Mask, weights: readonly ArrayLike<number>[] = regenerate(network)): LayerBound[] {
  const bounds: LayerBound[] = [];
  let low: Float64Array = new Float64Array(network.input[2]);
  let high: Float64Array = new Float64Array(network.input[2]).fill(255);
  for (const placed of place(network)) {
    if (placed.layer.kind === 'pool') continue;
    const bound = layerBound(placed, mask[placed.stream], weights[placed.stream], low, high);
    bounds.push(bound);
    low = placed.layer.activation === 'relu' ? new Float64Array(bound.low.length) : bound.low;
    high = bound.high;
  }
  return bounds;
}

function layerBound(placed: Placed, bits: Uint8Array, weights: ArrayLike<number>, inLow: Float64Array, inHigh: Float64Array): LayerBound {
  const bound = { low: new Float64Array(placed.output[2]), high: new Float64Array(placed.output[2]), largest: 0 };
  for (let unit = 0; unit < bound.low.length; unit++) {
    sumKept(bound, unit, placed.fanIn, bits, weights, inLow, inHigh);
    bound.largest = Math.max(bound.largest, -bound.low[unit], bound.high[unit]);
  }
  return bound;
}

/** Sums the kept terms of one unit. Weight i of a unit reads channel i mod channels: true of dense (NHWC flattened) and conv. */
function sumKept(
  bound: LayerBound,
  unit: number,
  fanIn: number,
  bits: Uint8Array,
  weights: ArrayLike<number>,
  inLow: Float64Array,
  inHigh: Float64Array,
): void {
  let low = 0;
  let high = 0;
  const begin = unit * fanIn;
  for (let index = begin; index < begin + fanIn; index++) {
    const byte = bits[index >> 3];
    // Masks keep little: a byte that keeps nothing is passed at once.
    if (byte === 0) {
      index |= 7;
      continue;
    }
    if (!((byte >> (index & 7)) & 1)) continue;
    const channel = (index - begin) % inLow.length;
    const positive = weights[index] > 0;
    low += positive ? inLow[channel] : -inHigh[channel];
    high += positive ? inHigh[channel] : -inLow[channel];
  }
  bound.low[unit] = low;
  bound.high[unit] = high;
}

/**
 * The integer program of a network under a mask, or null when it must be computed in floats: other weights, a transform with a
 * mean or a scale that is not positive, or sums that may leave i32.
 * The scale is transform.scale x sigma of each layer, in f64 and layer order.
 */
export function integerProgram(
  network: Network,
  mask: Mask,
  transform: InputTransform,
  weights?: readonly ArrayLike<number>[],
): IntegerProgram | null {
  const scale = sigmas(network).reduce((product, sigma) => product * sigma, transform.scale);
  const factorsOut = transform.mean === 0 && [transform.scale, ...sigmas(network)].every((factor) => factor > 0);
  if (!isSignedConstant(network) || !factorsOut || !(scale > 0 && scale < Number.POSITIVE_INFINITY)) return null;
  const bounds = integerBounds(network, mask, weights);
  return bounds.every((bound) => bound.largest <= I32_LARGEST) ? { scale, bounds } : null;
}

/**
 * The scale of the integer program that a network of dense layers is under every mask, or null where some mask may need floats. The
 * sums of all weights bound those of any part of them.
 * @param weights canonical order; only their signs are used
 */
export function anyMaskScale(network: Network, transform: InputTransform, weights?: readonly ArrayLike<number>[]): number | null {
  if (!isDense(network)) return null;
  return integerProgram(network, fullMask(network, true), transform, weights)?.scale ?? null;
}

const sigmas = (network: Network): number[] => weighted(network).map((placed) => sigmaOf(network.sigma, placed));
