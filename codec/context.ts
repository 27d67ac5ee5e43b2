// The model of the context scheme: how probable the next mask bit is, from everything a reader knows before it.
//
// A layer is a grid of inputs seen by one unit after the other. The log odds of a bit are those of the layer's share of ones plus a
// weighted sum of contexts; the weights are learned on the way (logistic mixing, Mahoney 2005), and go on from layer to layer.
//
//   near       the share of ones among this input and its neighbours in the units before: pixels know theirs, as do a filter's 3 x 3 taps
//   unit       the share of ones in this unit so far
//   fan        the share of ones of the unit, in the layer before, that feeds this input
//   agreement  how far the bits beside this one in the unit came as a surprise, each with its weight's sign, against this weight's sign:
//              what is kept are patches of one sign, so a kept + speaks for the + beside it and against the -
//   surprise   the same without signs
//   size       the share of ones by the random word, 32 classes of |u|, once with the agreement and once with how well this input has
//              been predicted so far; in networks whose masks never follow sizes (packed signs) there is none
//   base       where another task's mask is known: the share of ones by its bit here and how many of its four neighbours are kept
//
// Integers below 2^31 only, so any language gets the same bits; FORMAT.md states the same rules. Encoder and decoder run this one loop.
// A new context is one more term: a class, its shares, an initial weight. The helpers of the loop are short because V8 inlines what
// has few bytecodes wherever it is called, and the rest only up to a sum that this loop exceeds; that is a quarter of its speed.

import { kept } from '../src/network.js';
import type { BitCoder } from './rangecoder.js';

/** A layer as the model sees it; 0 < kept < all. */
export interface Grid {
  readonly units: number;
  /** [height, width, channels] of what one unit sees: the input of a dense layer, 3 x 3 taps of a filter. */
  readonly shape: readonly [number, number, number];
  readonly kept: number;
  /** Whether the random words have sizes. */
  readonly sized: boolean;
  /** Which input stands at a place of the grid; null where they stand in order. */
  readonly inputs: Uint32Array | null;
  /** The layer's bits in the mask of the base task, where there is one. */
  readonly base: Uint8Array | null;
}

/**
 * Writes what the random words tell of a unit's weights, a byte each, in the order of the weights: sign * 32 + size where words have sizes
 * (0 .. 31), else the sign alone; 1 is positive.
 */
export type Hints = (unit: number, out: Uint8Array) => void;

// ---- log odds: x stands for odds of (257/256)^x ----

const LIMIT = 2847;
const EVEN = 2 ** 20;

/** squash(x) at LIMIT + x: the probability of log odds x, in 1/65536. */
const SQUASH = (() => {
  const table = new Int32Array(2 * LIMIT + 1);
  for (let x = 0, odds = EVEN; x <= LIMIT; x++, odds += Math.floor(odds / 256)) {
    table[LIMIT + x] = Math.floor((65536 * odds) / (odds + EVEN));
    table[LIMIT - x] = 65536 - table[LIMIT + x];
  }
  return table;
})();

/** stretch(p): the largest x with squash(x) <= p. */
const STRETCH = (() => {
  const table = new Int16Array(65536).fill(-LIMIT);
  for (let p = 1, x = -LIMIT; p < 65536; p++) {
    while (x < LIMIT && SQUASH[LIMIT + x + 1] <= p) x++;
    table[p] = x;
  }
  return table;
})();

/** Probability of a kept weight, in 1/65536, when `ones` of the `left` weights to come are kept (0 < ones < left < 2^31). */
export const shareOfOnes = (ones: number, left: number): number => Math.min(Math.max(Math.floor((ones * 65536) / left), 1), 65535);

// ---- shares of ones, learned: in 2^-30, with how many bits they stand for ----

const { imul } = Math;
const ONE = 2 ** 30;
const MOST_SEEN = 1023;
const PACE = Int32Array.from({ length: MOST_SEEN + 1 }, (_, seen) => Math.floor(4096 / (seen + 1)));

/** How far a bit moves a share. */
const moved = (share: number, bit: number, pace: number): number => (((bit ? ONE - share : share) >> 10) * pace) >> 2;

const between = (x: number, low: number, high: number): number => (x < low ? low : x > high ? high : x);

// ---- what came as a surprise beside a place ----

/** Errors of the bits before a place in its unit, fading with distance: to the left in its row, and in the rows above. */
class Field {
  readonly left: Int32Array;
  readonly above: Int32Array;
  /** This row's, with zeros on both sides. */
  readonly errors: Int32Array;

  constructor(row: number, channels: number) {
    this.left = new Int32Array(channels);
    this.above = new Int32Array(row);
    this.errors = new Int32Array(row + 2 * channels);
  }

  clear(): void {
    this.left.fill(0);
    this.above.fill(0);
  }

  endRow(): void {
    const { left, above, errors } = this;
    const c = left.length;
    for (let i = 0; i < above.length; i++) {
      above[i] = (9 * (16 * (above[i] + errors[i + c]) + 11 * (errors[i] + errors[i + 2 * c]))) >> 8;
    }
    left.fill(0);
  }
}

/** Class 0 .. 12 of a mean error in 2^-16, by its upper 7 bits: steps of half an octave, the first up to 2^10. */
const LEVEL = Uint8Array.from({ length: 128 }, (_, upper) => {
  const octave = 31 - Math.clz32(upper);
  return octave < 1 ? 0 : 2 * (octave - 1) + ((upper >> (octave - 1)) & 1);
});

/** Log odds of the shares of the inputs, each blurred over its neighbours by 1 2 1 both ways; the border repeats. */
function blur(shares: Int32Array, row: number, c: number, sums: Int32Array, origin: number, out: Int16Array): void {
  for (let start = 0; start < shares.length; start += row) {
    for (let i = start; i < start + row; i++) {
      const before = i - start >= c ? i - c : i;
      const after = i + c < start + row ? i + c : i;
      sums[i] = (shares[before] >> 14) + 2 * (shares[i] >> 14) + (shares[after] >> 14);
    }
  }
  for (let i = 0; i < out.length; i++) {
    const up = i >= row ? i - row : i;
    const down = i + row < out.length ? i + row : i;
    out[i] = STRETCH[(sums[up] + 2 * sums[i] + sums[down]) >> 4] - origin;
  }
}

/** Classes 0 .. 9 of a unit's places by a base mask: twice the kept ones of the four beside a place in the grid, and its own bit. */
function compare(base: Uint8Array, first: number, { inputs }: Grid, row: number, c: number, out: Uint8Array): void {
  for (let i = 0; i < out.length; i++) out[i] = kept(base, first + (inputs ? inputs[i] : i));
  for (let i = 0; i < out.length; i++) {
    const inRow = i % row;
    const beside =
      (inRow >= c ? out[i - c] & 1 : 0) +
      (inRow + c < row ? out[i + c] & 1 : 0) +
      (i >= row ? out[i - row] & 1 : 0) +
      (i + row < out.length ? out[i + row] & 1 : 0);
    out[i] += 2 * beside;
  }
}

const term = (weight: number, odds: number): number => imul(weight, odds) >> 4;
const step = (error: number, odds: number): number => (imul(error, odds) + 8192) >> 14;

// ---- the model ----

/** In 2^-16. */
const FIRST_WEIGHTS = [49152, 49152, 49152, 81920, 16384, 40960, 40960, 65536];
const HIGH_WEIGHT = 2 ** 18 - 1;
const LOW_WEIGHT = -HIGH_WEIGHT;
const INPUT_SEEN = 4;
const UNIT_SEEN = 6;
const SIZE_SEEN = 4;
const BASE_SEEN = 4;
const FIRST_MISSED = 2 ** 14;

/** One payload's model: weights and fan pass from layer to layer. */
export class ContextModel {
  #weights = FIRST_WEIGHTS;
  #fan = new Int16Array(0);

  /** Passes a layer that its count tells. */
  skip(): void {
    this.#fan = new Int16Array(0);
  }

  /**
   * Codes a layer.
   * @param bits the mask to write, or zeros to be filled by what is read
   */
  code(grid: Grid, hintsOf: Hints, coder: BitCoder, bits: Uint8Array): void {
    const { units, shape, sized, base, inputs: order } = grid;
    const [height, width, channels] = shape;
    const row = width * channels;
    const inputs = height * row;
    const first = shareOfOnes(grid.kept, units * inputs) << 14;
    const origin = STRETCH[first >> 14];

    const share = new Int32Array(inputs).fill(first);
    const seen = new Uint16Array(inputs).fill(INPUT_SEEN);
    const sizeShare = new Int32Array(1024).fill(first);
    const sizeSeen = new Uint16Array(1024).fill(SIZE_SEEN);
    const baseShare = new Int32Array(10).fill(first);
    const baseSeen = new Uint16Array(10).fill(BASE_SEEN);
    const fan = this.#fan.length === channels ? this.#fan : new Int16Array(channels);
    const unitOdds = new Int16Array(units);
    const near = new Int16Array(inputs);
    const sums = new Int32Array(inputs);
    const missed = new Int32Array(sized ? inputs : 0).fill(FIRST_MISSED);
    const hints = new Uint8Array(inputs);
    const beside = new Uint8Array(base ? inputs : 0);
    const signed = new Field(row, channels);
    const plain = new Field(row, channels);
    const { left: signedLeft, above: signedAbove, errors: signedErrors } = signed;
    const { left: plainLeft, above: plainAbove, errors: plainErrors } = plain;
    let [w0, w1, w2, w3, w4, w5, w6, w7] = this.#weights;

    let ones = grid.kept;
    let left = units * inputs;
    for (let unit = 0; unit < units && ones > 0 && !coder.spent; unit++) {
      hintsOf(unit, hints);
      blur(share, row, channels, sums, origin, near);
      if (base) compare(base, unit * inputs, grid, row, channels, beside);
      signed.clear();
      plain.clear();
      let unitShare = first;
      let unitSeen = UNIT_SEEN;
      let across = 0;
      for (let i = 0, inRow = 0, q = 0; i < inputs; i++, left--) {
        const input = order ? order[i] : i;
        const at = unit * inputs + input;
        if (ones === 0) break;
        if (ones === left) {
          bits[at >> 3] |= 1 << (at & 7);
          ones--;
          continue;
        }
        const hint = hints[input];
        const sign = 2 * (sized ? hint >> 5 : hint) - 1;
        const agreement = imul(sign, signedLeft[q] + signedAbove[inRow] + (across >> 2));
        const x0 = near[i];
        const x1 = STRETCH[unitShare >> 14] - origin;
        const x2 = fan[q];
        const x3 = agreement >> 7;
        const x4 = (plainLeft[q] + plainAbove[inRow]) >> 7;
        let sum = term(w0, x0) + term(w1, x1) + term(w2, x2) + term(w3, x3) + term(w4, x4);
        let x5 = 0;
        let x6 = 0;
        let sizeAgreement = 0;
        let sizeLevel = 0;
        if (sized) {
          const size = 16 * (hint & 31);
          sizeAgreement = size + between((agreement >> 14) + 8, 0, 15);
          sizeLevel = 512 + size + LEVEL[missed[i] >> 9];
          x5 = STRETCH[sizeShare[sizeAgreement] >> 14] - origin;
          x6 = STRETCH[sizeShare[sizeLevel] >> 14] - origin;
          sum += term(w5, x5) + term(w6, x6);
        }
        let x7 = 0;
        if (base) {
          x7 = STRETCH[baseShare[beside[i]] >> 14] - origin;
          sum += term(w7, x7);
        }
        const odds = LIMIT + origin + (sum >> 12);
        const one = SQUASH[odds < 0 ? 0 : odds > 2 * LIMIT ? 2 * LIMIT : odds];
        const bit = coder.code(one, kept(bits, at));
        const error = (bit << 16) - one;

        w0 = between(w0 + step(error, x0), LOW_WEIGHT, HIGH_WEIGHT);
        w1 = between(w1 + step(error, x1), LOW_WEIGHT, HIGH_WEIGHT);
        w2 = between(w2 + step(error, x2), LOW_WEIGHT, HIGH_WEIGHT);
        w3 = between(w3 + step(error, x3), LOW_WEIGHT, HIGH_WEIGHT);
        w4 = between(w4 + step(error, x4), LOW_WEIGHT, HIGH_WEIGHT);
        const up = 2 * bit - 1;
        share[i] += imul(up, moved(share[i], bit, PACE[seen[i]]));
        if (seen[i] < MOST_SEEN) seen[i]++;
        unitShare += imul(up, moved(unitShare, bit, PACE[unitSeen]));
        if (unitSeen < MOST_SEEN) unitSeen++;
        if (sized) {
          w5 = between(w5 + step(error, x5), LOW_WEIGHT, HIGH_WEIGHT);
          w6 = between(w6 + step(error, x6), LOW_WEIGHT, HIGH_WEIGHT);
          sizeShare[sizeAgreement] += imul(up, moved(sizeShare[sizeAgreement], bit, PACE[sizeSeen[sizeAgreement]]));
          if (sizeSeen[sizeAgreement] < MOST_SEEN) sizeSeen[sizeAgreement]++;
          sizeShare[sizeLevel] += imul(up, moved(sizeShare[sizeLevel], bit, PACE[sizeSeen[sizeLevel]]));
          if (sizeSeen[sizeLevel] < MOST_SEEN) sizeSeen[sizeLevel]++;
          const before = missed[i];
          missed[i] = before + ((imul(up, error) - before) >> 4);
        }
        if (base) {
          const c = beside[i];
          w7 = between(w7 + step(error, x7), LOW_WEIGHT, HIGH_WEIGHT);
          baseShare[c] += imul(up, moved(baseShare[c], bit, PACE[baseSeen[c]]));
          if (baseSeen[c] < MOST_SEEN) baseSeen[c]++;
        }
        const signedError = imul(sign, error);
        signedErrors[inRow + channels] = signedError;
        plainErrors[inRow + channels] = error;
        signedLeft[q] = (9 * (signedLeft[q] + signedError)) >> 4;
        plainLeft[q] = (9 * (plainLeft[q] + error)) >> 4;
        across = (7 * (across + signedError)) >> 3;
        if (bit) {
          bits[at >> 3] |= 1 << (at & 7);
          ones--;
        }
        inRow++;
        if (++q === channels) {
          q = 0;
          across = 0;
          if (inRow === row) {
            inRow = 0;
            signed.endRow();
            plain.endRow();
          }
        }
      }
      unitOdds[unit] = STRETCH[unitShare >> 14] - origin;
    }
    this.#weights = [w0, w1, w2, w3, w4, w5, w6, w7];
    this.#fan = unitOdds;
  }
}
