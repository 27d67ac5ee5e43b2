// Integer programs for one sample at a time: walks its non-zero inputs only, a fifth of a digit's pixels and half of what a ReLU leaves,
// and adds each to the units that keep it. Integer sums are exact in any order, so the bits are those of the tiles (integer.ts).
//
//   program   as there, but a layer's words are units, relu, starts, entries; or units, relu, 0, signs
//   starts    u32 of each input: where its entries begin
//   entries   u16: unit that adds, or width + unit that subtracts; width = units rounded up to 16
//   signs     for a layer that keeps much of its weights: of each input a row of i8, -1, 0 or 1 for each unit, filled up to 32
//
// Rows of signs are multiplied in i16 by values that fit, so many at a time that their sum fits too.
//
// Ladder: best time of one digit through FC 784-300-100-10 at .03 .1 .3 / .2 / .5, the call included, one thread
//   v1  10.7 / 31 / 76 us     the kernels of batches with one row
//   v2   2.5 / 6.0 / 12.9 us  lists of each input
//   v3   2.3 / 3.3 / 3.5 us   rows of signs where a layer keeps much, and a call without views of its arguments
// With another digit in every call the branches are not learned: 3.6 us instead of 2.3.

import { floorOf, HEADER, LAYER } from './integer';
import { first, last } from './threads';

/** Logits[row][output] i32 of pixels[row][input]; reads up to 16 bytes beyond the pixels. */
export function integerRows(program: usize, pixels: usize, count: u32, scratch: usize, logits: usize, t: u32, n: u32): void {
  const inputs = load<u32>(program, 4);
  const outputs = load<u32>(program, 8) << 2;
  const own = scratch + <usize>t * load<u32>(program, 12);
  const end = last(count, t, n);
  for (let r = first(count, t, n); r < end; r++) row(program, pixels + r * inputs, inputs, own, logits + r * outputs, outputs);
}

function row(program: usize, pixels: usize, inputs: u32, scratch: usize, logits: usize, bytes: usize): void {
  let x: usize = 0;
  let y = scratch + load<u32>(program, 16);
  let spare = scratch + load<u32>(program, 20);
  let layer = program + HEADER;
  const end = layer + <usize>load<u32>(program) * LAYER;
  for (let features = inputs; layer < end; layer += LAYER) {
    const units = load<u32>(layer);
    const floor = floorOf<i32>(load<u32>(layer, 4) != 0);
    const starts = <usize>load<u32>(layer, 8);
    const entries = <usize>load<u32>(layer, 12);
    const width = (<usize>units + 15) >> 4 << 6;
    for (let o = y; o < y + 2 * width; o += 16) v128.store(o, i32x4.splat(0));
    if (starts) byLists(x, pixels, features, starts, entries, y);
    else bySigns(x, pixels, features, entries, (units + 31) & ~31, scratch, y);
    for (let o = y; o < y + width; o += 16) v128.store(o, i32x4.max_s(i32x4.sub(v128.load(o), v128.load(o + width)), floor));
    x = y;
    y = spare;
    spare = x;
    features = units;
  }
  for (let k: usize = 0; k < bytes; k += 4) store<i32>(logits + k, load<i32>(x + k));
}

/** Inputs are i32 at x, or pixels where x is 0. */
// @ts-ignore: decorator
@inline
function nonzero(x: usize, pixels: usize, f: u32, features: u32): u32 {
  return x ? nonzero32(x + (<usize>f << 2)) : nonzero8(pixels + f, features - f);
}

// @ts-ignore: decorator
@inline
function value(x: usize, pixels: usize, i: u32): i32 {
  return x ? load<i32>(x + (<usize>i << 2)) : <i32>load<u8>(pixels + i);
}

function byLists(x: usize, pixels: usize, features: u32, starts: usize, entries: usize, y: usize): void {
  for (let f: u32 = 0; f < features; f += 16) {
    let bits = nonzero(x, pixels, f, features);
    while (bits) {
      const i = f + ctz(bits);
      bits &= bits - 1;
      const v = value(x, pixels, i);
      let p = entries + (<usize>load<u32>(starts + (<usize>i << 2)) << 1);
      const stop = entries + (<usize>load<u32>(starts + (<usize>i << 2), 4) << 1);
      for (; p < stop; p += 2) {
        const sum = y + (<usize>load<u16>(p) << 2);
        store<i32>(sum, load<i32>(sum) + v);
      }
    }
  }
}

/** @param list room for 8 bytes an input: where its row of signs is, and its value */
function bySigns(x: usize, pixels: usize, features: u32, signs: usize, stride: u32, list: usize, y: usize): void {
  let end = list;
  let largest: u32 = 1;
  for (let f: u32 = 0; f < features; f += 16) {
    let bits = nonzero(x, pixels, f, features);
    for (; bits; bits &= bits - 1, end += 8) {
      const i = f + ctz(bits);
      const v = value(x, pixels, i);
      store<u32>(end, <u32>signs + i * stride);
      store<i32>(end, v, 4);
      largest = max<u32>(largest, v < 0 ? -v : v);
    }
  }
  if (largest > 32767) return wideSigns(list, end, stride, y);
  const group = (<usize>(32767 / largest)) << 3;
  for (let j: u32 = 0; j < stride; j += 32) {
    for (let p = list; p < end; ) {
      const stop = min(p + group, end);
      let a0 = i16x8.splat(0), a1 = a0, a2 = a0, a3 = a0;
      for (; p < stop; p += 8) {
        const q = <usize>load<u32>(p) + j;
        const v = v128.load16_splat(p, 4);
        a0 = i16x8.add(a0, i16x8.mul(v, v128.load8x8_s(q)));
        a1 = i16x8.add(a1, i16x8.mul(v, v128.load8x8_s(q, 8)));
        a2 = i16x8.add(a2, i16x8.mul(v, v128.load8x8_s(q, 16)));
        a3 = i16x8.add(a3, i16x8.mul(v, v128.load8x8_s(q, 24)));
      }
      const o = y + (<usize>j << 2);
      accumulate(o, a0);
      accumulate(o + 32, a1);
      accumulate(o + 64, a2);
      accumulate(o + 96, a3);
    }
  }
}

// @ts-ignore: decorator
@inline
export function accumulate(o: usize, a: v128): void {
  v128.store(o, i32x4.add(v128.load(o), i32x4.extend_low_i16x8_s(a)));
  v128.store(o, i32x4.add(v128.load(o, 16), i32x4.extend_high_i16x8_s(a)), 16);
}

/** Values beyond i16. */
function wideSigns(list: usize, end: usize, stride: u32, y: usize): void {
  for (let p = list; p < end; p += 8) {
    const v = v128.load32_splat(p, 4);
    for (let q = <usize>load<u32>(p), stop = q + stride, o = y; q < stop; q += 8, o += 32) {
      const signs = v128.load8x8_s(q);
      v128.store(o, i32x4.add(v128.load(o), i32x4.mul(v, i32x4.extend_low_i16x8_s(signs))));
      v128.store(o, i32x4.add(v128.load(o, 16), i32x4.mul(v, i32x4.extend_high_i16x8_s(signs))), 16);
    }
  }
}

// @ts-ignore: decorator
@inline
function nonzero8(p: usize, left: u32): u32 {
  const bits = <u32>i8x16.bitmask(i8x16.ne(v128.load(p), i8x16.splat(0)));
  return left < 16 ? bits & ((1 << left) - 1) : bits;
}

// @ts-ignore: decorator
@inline
function nonzero32(p: usize): u32 {
  const zero = i32x4.splat(0);
  const low = i16x8.narrow_i32x4_s(i32x4.ne(v128.load(p), zero), i32x4.ne(v128.load(p, 16), zero));
  const high = i16x8.narrow_i32x4_s(i32x4.ne(v128.load(p, 32), zero), i32x4.ne(v128.load(p, 48), zero));
  return <u32>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
}
