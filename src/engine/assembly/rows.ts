// Bernoulli masks of weights that lie in rows, a unit each (image.ts, dense.ts): scores step with the last batch's gradient, and the
// next mask is drawn while they lie in the first cache.
//
//   cell      8 units x 512 places of their rows     what a thread takes at a time
//   numbers   [place][unit] u16: a block of Philox serves an input and eight units (draws.ts); turned to [unit][place]
//
// A row is pixels of `padded` channels, of which `channels` are inputs; places in the padding have constant 0 and do not count.
//
// Ladder (AMD EPYC Zen 4, one core busy with other work too; milliseconds of its time for step and draw of Conv2's 4.3 M weights):
//   1. cells of 64 units x 64 places, which eight blocks of one input serve        24.3
//   2. cells of 8 units x 512 places: long runs of every array                     18.6
//   3. addresses out of the loops, fewer instructions a sigmoid (exact.ts)         17.8
//   4. two vectors of sigmoids a turn                                              16.2
//   -  step and draw of a vector in one loop: as fast; arrays at other offsets within a page: as fast
// Of a draw (12.1), sigmoids are more than half and Philox a quarter; turning numbers costs nothing that shows.

import { bernoulli, drawFour, factorOf, setShift } from './draws';
import { sigmoids } from './exact';
import { Shape } from './image';
import { Rule } from './rule';
import { first, last } from './threads';
import { Layer } from './tiles';
import { words } from './weights';

/** Units and places of a cell. */
const UNITS: u32 = 8;
const PLACES: u32 = 512;
/** Bytes of a place's numbers, and of a unit's. */
const PLACE: usize = <usize>UNITS * 2;
const UNIT: usize = <usize>PLACES * 2;
/** Bytes of a thread's scratch: numbers, the same turned, and lanes of all bits where a place is an input. */
const NUMBERS: usize = PLACE * PLACES;
const ROOM: usize = 2 * NUMBERS + <usize>PLACES * 4;

/**
 * The rule's step of the scores, and mask number rule.draw.
 * @param g gradients of the last batch, shaped like the weights; 0: the scores stay
 * @param pitch bytes of a row
 * @param scratch 18 KiB a thread
 */
export function stepRows(layer: Layer, rule: Rule, g: usize, pitch: u32, channels: u32, scratch: usize, t: u32, n: u32): void {
  const padded = (channels + 3) & ~3;
  const places = (layer.fanIn / channels) * padded;
  const across = (places + PLACES - 1) / PLACES;
  const cells = across * ((layer.units + UNITS - 1) / UNITS);
  const turned = scratch + <usize>t * ROOM;
  const numbers = turned + NUMBERS;
  const lanes = numbers + NUMBERS;
  const end = last(cells, t, n);
  let kept: u32 = 0;
  for (let cell = first(cells, t, n); cell < end; cell++) {
    const unit = (cell / across) * UNITS, place = (cell % across) * PLACES;
    const units = min<u32>(UNITS, layer.units - unit), some = min<u32>(PLACES, places - place);
    draw(layer, rule, unit, place, some, channels, numbers, lanes);
    turn(numbers, some, turned);
    for (let u: u32 = 0; u < units; u++) {
      const at = <usize>(unit + u) * pitch + (<usize>place << 2);
      if (g) bernoulli(layer, rule, g + at, at, some >> 2);
      kept += drawRow(layer, turned + <usize>u * UNIT, lanes, at, some >> 2);
    }
  }
  store<u32>(layer.rescaling + (<usize>(t + 1) << 6), kept);
}

/** The numbers of `count` places and eight units from `unit` on, and which places are inputs. */
function draw(layer: Layer, rule: Rule, unit: u32, place: u32, count: u32, channels: u32, numbers: usize, lanes: usize): void {
  const padded = (channels + 3) & ~3;
  const step = ((layer.units + 63) >> 6) << 3;
  const before = inputsBefore(place, channels, padded);
  const some = inputsBefore(place + count, channels, padded) - before;
  const block = before * step + (unit >> 3);
  words(rule.k0, rule.k1, (<u64>rule.draw << 32) | block, step, rule.stream, 3, numbers, (some + 7) & ~7, i32x4.splat(-1), i32x4.splat(0));
  if (channels == padded) {
    memory.fill(lanes, 255, <usize>count << 2);
    return;
  }
  // From the last place on: an input's numbers move to its place, which does not lie before them.
  for (let k = count; k-- > 0; ) {
    const input = (place + k) % padded < channels;
    store<i32>(lanes + (<usize>k << 2), input ? -1 : 0);
    if (input) v128.store(numbers + <usize>k * PLACE, v128.load(numbers + <usize>(inputsBefore(place + k, channels, padded) - before) * PLACE));
  }
}

// @ts-ignore: decorator
@inline
function inputsBefore(place: u32, channels: u32, padded: u32): u32 {
  return (place / padded) * channels + min<u32>(place % padded, channels);
}

/** [place][unit] to [unit][place] in blocks of 8 x 8: pairs of rows, then fours, then all eight. */
function turn(numbers: usize, places: u32, out: usize): void {
  for (const stop = numbers + <usize>places * PLACE; numbers < stop; numbers += 8 * PLACE, out += 16) {
    const a = v128.load(numbers), b = v128.load(numbers, 16), c = v128.load(numbers, 32), d = v128.load(numbers, 48);
    const e = v128.load(numbers, 64), f = v128.load(numbers, 80), g = v128.load(numbers, 96), h = v128.load(numbers, 112);
    four(low(a, e), low(b, f), low(c, g), low(d, h), out);
    four(high(a, e), high(b, f), high(c, g), high(d, h), out + 4 * UNIT);
  }
}

// @ts-ignore: decorator
@inline
function low(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-ignore: decorator
@inline
function high(a: v128, b: v128): v128 {
  return i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

// @ts-ignore: decorator
@inline
function four(ae: v128, bf: v128, cg: v128, dh: v128, out: usize): void {
  const aceg = low(ae, cg), bdfh = low(bf, dh), ACEG = high(ae, cg), BDFH = high(bf, dh);
  v128.store(out, low(aceg, bdfh));
  v128.store(out, high(aceg, bdfh), UNIT);
  v128.store(out, low(ACEG, BDFH), 2 * UNIT);
  v128.store(out, high(ACEG, BDFH), 3 * UNIT);
}

/** Draws `count` vectors of one unit's row; returns how many inputs are kept. */
function drawRow(layer: Layer, numbers: usize, lanes: usize, at: usize, count: u32): u32 {
  const probability = layer.probability + at, constants = layer.constants + at, w = layer.w + at;
  sigmoids(layer.score + at, probability, count);
  let kept = i32x4.splat(0);
  for (let k: usize = 0; k < <usize>count << 4; k += 16) {
    const keep = drawFour(v128.load(probability + k), v128.load(constants + k), w + k, numbers + (k >> 1));
    kept = i32x4.sub(kept, v128.and(keep, v128.load(lanes + k)));
  }
  return i32x4.extract_lane(kept, 0) + i32x4.extract_lane(kept, 1) + i32x4.extract_lane(kept, 2) + i32x4.extract_lane(kept, 3);
}

/** Dynamic weight rescaling of a draw; units are dealt, `bytes` of a row each. */
export function rescaleRows(layer: Layer, pitch: u32, bytes: u32, t: u32, n: u32): void {
  const scale = f32x4.splat(factorOf(layer, t, n));
  const end = last(layer.units, t, n);
  for (let unit = first(layer.units, t, n); unit < end; unit++) {
    let p = layer.w + <usize>unit * pitch;
    for (const stop = p + bytes; p < stop; p += 16) v128.store(p, f32x4.mul(scale, v128.load(p)));
  }
}

/**
 * What rescaling adds to the scores' gradient (`shiftOf`), from outputs and their gradients that are images: in f64 over samples and
 * (y, x, channel), ascending. Thread `who` alone.
 * @param shape its output
 */
export function eulerOfRows(layer: Layer, shape: Shape, samples: u32, out: usize, dOut: usize, who: u32, t: u32, n: u32): void {
  if (t != who % n) return;
  const bytes = <usize>(shape.outWidth * shape.filters) << 2;
  let total: f64 = 0;
  for (let s: u32 = 0; s < samples; s++) {
    for (let y: u32 = 0; y < shape.outHeight; y++) {
      const at = <usize>s * shape.outSample + <usize>y * shape.outRow;
      for (let k = at; k < at + bytes; k += 16) {
        const d = v128.load(dOut + k);
        if (!v128.any_true(d)) continue;
        const v = v128.load(out + k);
        const low = f64x2.mul(f64x2.promote_low_f32x4(d), f64x2.promote_low_f32x4(v));
        const high = f64x2.mul(
          f64x2.promote_low_f32x4(i64x2.shuffle(d, d, 1, 1)),
          f64x2.promote_low_f32x4(i64x2.shuffle(v, v, 1, 1)),
        );
        total += f64x2.extract_lane(low, 0);
        total += f64x2.extract_lane(low, 1);
        total += f64x2.extract_lane(high, 0);
        total += f64x2.extract_lane(high, 1);
      }
    }
  }
  setShift(layer, total);
}
