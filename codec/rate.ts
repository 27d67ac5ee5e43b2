// What a mask's bits cost in a file, weight by weight, under the model of the context scheme: for training that knows the price of a
// bit. The model runs over the mask as an encoder's does, and each prediction is written down instead of coded.

import { ln } from '../src/exact.js';
import { countKept, type Mask, weighted } from '../src/network.js';
import { ContextModel } from './context.js';
import { fitsModel, gridOf, hintsOf, type Surroundings } from './grids.js';
import { checkTaskMask } from './networks.js';
import { isMixed } from './schemes.js';

/** What bits cost, of any number of masks. Throws SeedmaskError bad-task for one of another network. */
export interface MaskPrices {
  /**
   * Bits that keeping a weight costs above pruning it, as the model predicts it from the weights before it under this mask: log2 of the
   * odds against a 1. Negative where a 1 is the likelier. What a change does to the predictions of later weights is not in it.
   * Where a layer keeps nothing or everything, and where its count alone tells the last bits, it is 0; in networks that the context
   * scheme does not take it is 0 everywhere.
   * @returns one value a weight, canonical order
   */
  costs(mask: Mask): Float32Array[];
  /** Bits that the context scheme writes for the mask, in fractions, its counts apart; 0 for a network that it does not take. */
  bits(mask: Mask): number;
}

/** @param around the network of the masks and how their pixels are permuted */
export function maskPrices(around: Surroundings): MaskPrices {
  /** -log2(p / 65536) at p. */
  const bitsAt = Float32Array.from({ length: 65536 }, (_, p) => (p === 0 ? 16 : 16 - ln(p) / Math.LN2));
  return {
    costs(mask) {
      const costs = weighted(around.network).map(({ weights }) => new Float32Array(weights));
      predict(around, mask, (layer, at, one) => {
        costs[layer][at] = bitsAt[one] - bitsAt[65536 - one];
      });
      return costs;
    },
    bits(mask) {
      let sum = 0;
      predict(around, mask, (_layer, _at, one, bit) => {
        sum += bitsAt[bit ? one : 65536 - one];
      });
      return sum;
    },
  };
}

/** Tells the predicted probability of a 1, in 1/65536, of every bit that the model codes, with its layer, its weight and itself. */
function predict(around: Surroundings, mask: Mask, note: (layer: number, at: number, one: number, bit: number) => void): void {
  checkTaskMask(around.network, mask, 'the mask');
  if (!fitsModel(around.network)) return;
  const model = new ContextModel();
  weighted(around.network).forEach((placed, layer) => {
    const kept = countKept(mask[layer]);
    if (!isMixed({ weights: placed.weights, kept })) {
      model.skip();
      return;
    }
    const grid = gridOf(around, placed, kept);
    let place = 0;
    const code = (one: number, bit: number) => {
      const unit = Math.floor(place / placed.fanIn) * placed.fanIn;
      const input = place++ - unit;
      note(layer, unit + (grid.inputs ? grid.inputs[input] : input), one, bit);
      return bit;
    };
    model.code(grid, hintsOf(around.network, placed), { code, spent: false }, mask[layer]);
  });
}
