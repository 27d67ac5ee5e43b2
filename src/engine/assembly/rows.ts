// Bernoulli masks of weights that lie in rows, a unit each (image.ts, dense.ts): scores step with the last batch's gradient, and the
// next mask is drawn while they lie in the first cache.
//
//   cell      64 units x 64 places of their rows      what a thread takes at a time
//   numbers   [place][unit] u16: eight blocks of Philox serve an input and 64 units (draws.ts); turned to [unit][place]
//
// A row is pixels of `padded` channels, of which `channels` are inputs; places in the padding have constant 0 and do not count.

import { bernoulli, drawFour, factorOf, setShift } from './draws';
import { Shape } from './image';
import { Rule } from './inputs';
import { first, last } from './threads';
import { Layer } from './tiles';
import { words } from './weights';

const SIDE: u32 = 64;
/** Bytes of a cell's numbers. */
const NUMBERS: usize = <usize>SIDE * SIDE * 2;
/** Bytes of a place's, or turned, of a unit's numbers. */
const LINE: usize = <usize>SIDE * 2;

/**
 * The rule's step of the scores, and mask number rule.draw.
 * @param g gradients of the last batch, shaped like the weights; 0: the scores stay
 * @param pitch bytes of a row
 * @param scratch 16 KiB + 256 bytes a thread
 */
export function stepRows(layer: Layer, rule: Rule, g: usize, pitch: u32, channels: u32, scratch: usize, t: u32, n: u32): void {
  const padded = (channels + 3) & ~3;
  const places = (layer.fanIn / channels) * padded;
  const across = (places + SIDE - 1) / SIDE;
  const cells = across * ((layer.units + SIDE - 1) / SIDE);
  const turned = scratch + <usize>t * (2 * NUMBERS + 256);
  const lanes = turned + NUMBERS;
  const numbers = lanes + 256;
  const end = last(cells, t, n);
  let kept: u32 = 0;
  for (let cell = first(cells, t, n); cell < end; cell++) {
    const unit = (cell / across) * SIDE, place = (cell % across) * SIDE;
    const units = min<u32>(SIDE, layer.units - unit), some = min<u32>(SIDE, places - place);
    for (let k: u32 = 0; k < some; k++) {
      const c = (place + k) % padded;
      store<i32>(lanes + (<usize>k << 2), c < channels ? -1 : 0);
      if (c < channels) draw(layer, rule, ((place + k) / padded) * channels + c, unit, numbers + <usize>k * LINE);
    }
    turn(numbers, some, units, turned);
    for (let u: u32 = 0; u < units; u++) {
      const at = <usize>(unit + u) * pitch + (<usize>place << 2);
      if (g) bernoulli(layer, rule, g + at, at, some >> 2);
      kept += drawRow(layer, turned + <usize>u * LINE, lanes, at, some >> 2);
    }
  }
  store<u32>(layer.rescaling + (<usize>(t + 1) << 6), kept);
}

/** The numbers of one input and the 64 units from `unit` on. */
// @ts-ignore: decorator
@inline
function draw(layer: Layer, rule: Rule, input: u32, unit: u32, to: usize): void {
  const block = (input * ((layer.units + 63) >> 6) + (unit >> 6)) << 3;
  words(rule.k0, rule.k1, (<u64>rule.draw << 32) | block, rule.stream, 3, to, 8, i32x4.splat(-1), i32x4.splat(0));
}

/** [place][unit] to [unit][place] in blocks of 8 x 8. */
function turn(numbers: usize, places: u32, units: u32, out: usize): void {
  for (let u: usize = 0; u < <usize>units << 1; u += 16) {
    for (let k: usize = 0; k < <usize>places; k += 8) {
      const p = numbers + k * LINE + u;
      const q = out + u * (LINE >> 1) + (k << 1);
      const a = v128.load(p), b = v128.load(p, LINE), c = v128.load(p, 2 * LINE), d = v128.load(p, 3 * LINE);
      const e = v128.load(p, 4 * LINE), f = v128.load(p, 5 * LINE), g = v128.load(p, 6 * LINE), h = v128.load(p, 7 * LINE);
      // Pairs of rows, then fours, then all eight.
      const ae = i16x8.shuffle(a, e, 0, 8, 1, 9, 2, 10, 3, 11), AE = i16x8.shuffle(a, e, 4, 12, 5, 13, 6, 14, 7, 15);
      const bf = i16x8.shuffle(b, f, 0, 8, 1, 9, 2, 10, 3, 11), BF = i16x8.shuffle(b, f, 4, 12, 5, 13, 6, 14, 7, 15);
      const cg = i16x8.shuffle(c, g, 0, 8, 1, 9, 2, 10, 3, 11), CG = i16x8.shuffle(c, g, 4, 12, 5, 13, 6, 14, 7, 15);
      const dh = i16x8.shuffle(d, h, 0, 8, 1, 9, 2, 10, 3, 11), DH = i16x8.shuffle(d, h, 4, 12, 5, 13, 6, 14, 7, 15);
      four(ae, bf, cg, dh, q);
      four(AE, BF, CG, DH, q + 4 * LINE);
    }
  }
}

/** Four units' numbers from [a e], [b f], [c g], [d h] of these units. */
// @ts-ignore: decorator
@inline
function four(ae: v128, bf: v128, cg: v128, dh: v128, q: usize): void {
  const aceg = i16x8.shuffle(ae, cg, 0, 8, 1, 9, 2, 10, 3, 11), ACEG = i16x8.shuffle(ae, cg, 4, 12, 5, 13, 6, 14, 7, 15);
  const bdfh = i16x8.shuffle(bf, dh, 0, 8, 1, 9, 2, 10, 3, 11), BDFH = i16x8.shuffle(bf, dh, 4, 12, 5, 13, 6, 14, 7, 15);
  v128.store(q, i16x8.shuffle(aceg, bdfh, 0, 8, 1, 9, 2, 10, 3, 11));
  v128.store(q, i16x8.shuffle(aceg, bdfh, 4, 12, 5, 13, 6, 14, 7, 15), LINE);
  v128.store(q, i16x8.shuffle(ACEG, BDFH, 0, 8, 1, 9, 2, 10, 3, 11), 2 * LINE);
  v128.store(q, i16x8.shuffle(ACEG, BDFH, 4, 12, 5, 13, 6, 14, 7, 15), 3 * LINE);
}

/** Draws `count` vectors of one unit's row; returns how many inputs are kept. */
function drawRow(layer: Layer, numbers: usize, lanes: usize, at: usize, count: u32): u32 {
  let kept = i32x4.splat(0);
  for (let k: usize = 0; k < <usize>count << 4; k += 16) {
    kept = i32x4.sub(kept, v128.and(drawFour(layer, numbers + (k >> 1), at + k), v128.load(lanes + k)));
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
 * @param shape its out strides and filters
 */
export function eulerOfRows(layer: Layer, shape: Shape, samples: u32, out: usize, dOut: usize, who: u32, t: u32, n: u32): void {
  if (t != who % n) return;
  const bytes = <usize>(shape.width * shape.filters) << 2;
  let total: f64 = 0;
  for (let s: u32 = 0; s < samples; s++) {
    for (let y: u32 = 0; y < shape.height; y++) {
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
