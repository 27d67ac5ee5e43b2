// What a mask's bits cost in a file, weight by weight, under the model of the context scheme: for training that knows the price of a
// bit. The model runs over the mask as an encoder's does, and each prediction is written down instead of coded.

import { ln } from '../src/exact.js';
import { countKept, type Mask, weighted } from '../src/network.js';
import { ContextModel } from './context.js';
import { fitsModel, gridOf, type Surroundings } from './grids.js';

/** -log2(p / 65536) at p. */
const BITS = Float32Array.from({ length: 65536 }, (_, p) => (p === 0 ? 16 : 16 - ln(p) / Math.LN2));

/**
 * Bits that keeping a weight costs above pruning it, as the model predicts it from the weights before it under this mask: log2 of the
 * odds against a 1. Negative where a 1 is the likelier. What a change does to the predictions of later weights is not in it.
 * Where a layer keeps nothing or everything, and where its count alone tells the last bits, it is 0; in networks that the context
 * scheme does not take it is 0 everywhere.
 * @returns one value a weight, canonical order
 */
export function keepCosts(around: Surroundings, mask: Mask): Float32Array[] {
  const model = new ContextModel();
  const taken = fitsModel(around.network);
  return weighted(around.network).map((placed, layer) => {
    const costs = new Float32Array(placed.weights);
    const kept = countKept(mask[layer]);
    if (!taken || kept === 0 || kept === placed.weights) {
      model.skip();
      return costs;
    }
    const grid = gridOf(around, placed, kept);
    let place = 0;
    const note = (one: number, bit: number) => {
      const unit = Math.floor(place / placed.fanIn) * placed.fanIn;
      const input = place++ - unit;
      costs[unit + (grid.inputs ? grid.inputs[input] : input)] = BITS[one] - BITS[65536 - one];
      return bit;
    };
    model.code(grid, { code: note, spent: false }, mask[layer].slice());
    return costs;
  });
}
