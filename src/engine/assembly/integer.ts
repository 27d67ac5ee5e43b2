// Signed-constant networks are integer programs: a kept weight adds or subtracts its input. Sums wrap modulo 2^16 or 2^32 on the
// way, which is exact because whoever wrote the program cut them into segments that fit (wasm-integer.ts), so any order will do.
//
//   program   u32 words: layers, inputs, outputs, bytes of one thread's scratch, offset of its first activations, of its second;
//             then 4 words a layer: units, relu, form, lists
//   lists     u16 words of each unit: segments, then for each of them: how many are added, how many subtracted, those, these
//
// A tile of 64 samples goes through all layers while it is in the cache; tiles are dealt to the threads and meet only at the end.
//
//   u8    x[feature][64], in every 16 bytes sample i beside sample 8 + i     one line of 64 bytes serves one entry
//   i16   x[unit][64]     two lines of 32 samples, each four accumulators
//   i32   x[unit][64]     four lines of 16 samples, each four accumulators
//
// Bytes are added without being unpacked: a word is even + 256 odd, so a = sum of words and b = sum of (word >> 8) give the odd bytes'
// sums as b and the even bytes' as a - 256 b, modulo 2^16.

import { first, last } from './threads';

const U8_TO_16: u32 = 0;
const U8_TO_32: u32 = 1;
const I16_TO_16: u32 = 2;
const I16_TO_32: u32 = 3;

const HEADER: usize = 24;
const LAYER: usize = 16;

/** Logits[row][output] i32 of pixels[row][input], in whole tiles: reads pixels up to 64 rows and 16 bytes beyond. */
export function tiles(program: usize, pixels: usize, rows: u32, scratch: usize, logits: usize, t: u32, n: u32): void {
  const inputs = <usize>load<u32>(program, 4);
  const outputs = <usize>load<u32>(program, 8);
  const own = scratch + <usize>t * load<u32>(program, 12);
  const count = (rows + 63) >> 6;
  const end = last(count, t, n);
  for (let i = first(count, t, n); i < end; i++) {
    const row = <usize>i << 6;
    tile(program, pixels + row * inputs, own, logits + ((row * outputs) << 2), min<u32>(64, rows - <u32>row));
  }
}

function tile(program: usize, pixels: usize, scratch: usize, logits: usize, rows: u32): void {
  const layers = <usize>load<u32>(program);
  const inputs = load<u32>(program, 4);
  let x = scratch;
  let y = scratch + load<u32>(program, 16);
  let spare = scratch + load<u32>(program, 20);
  turn(pixels, inputs, x);
  let layer = program + HEADER;
  const end = layer + layers * LAYER;
  for (; layer < end; layer += LAYER) {
    const units = load<u32>(layer);
    const relu = load<u32>(layer, 4);
    const form = load<u32>(layer, 8);
    const lists = <usize>load<u32>(layer, 12);
    if (form <= U8_TO_32) addBytes(x, lists, units, y, relu, form == U8_TO_32);
    else if (form <= I16_TO_32) add16(x, lists, units, y, relu, form == I16_TO_32);
    else add32(x, lists, units, y, relu);
    x = y;
    y = spare;
    spare = x;
  }
  const outputs = load<u32>(program, 8);
  for (let r: u32 = 0; r < rows; r++) {
    for (let j: u32 = 0; j < outputs; j++, logits += 4) store<i32>(logits, load<i32>(x + ((<usize>j << 8) + (<usize>r << 2))));
  }
}

/** x[feature][64] from pixels[64][features], eight rows of sixteen bytes at a time, interleaved three times. */
function turn(pixels: usize, features: u32, x: usize): void {
  for (let r: usize = 0; r < 64; r += 8) {
    // Rows 0..3 with 8..11 of every sixteen, then 4..7 with 12..15.
    const top = pixels + ((r & 48) + ((r & 8) >> 1)) * features;
    for (let f: usize = 0; f < features; f += 16) {
      let p = top + f;
      const r0 = v128.load(p), r1 = v128.load(p + 8 * features); p += features;
      const r2 = v128.load(p), r3 = v128.load(p + 8 * features); p += features;
      const r4 = v128.load(p), r5 = v128.load(p + 8 * features); p += features;
      const r6 = v128.load(p), r7 = v128.load(p + 8 * features);
      const a0 = low8(r0, r4), a1 = high8(r0, r4), b0 = low8(r1, r5), b1 = high8(r1, r5);
      const c0 = low8(r2, r6), c1 = high8(r2, r6), d0 = low8(r3, r7), d1 = high8(r3, r7);
      const e0 = low8(a0, c0), e1 = high8(a0, c0), e2 = low8(a1, c1), e3 = high8(a1, c1);
      const g0 = low8(b0, d0), g1 = high8(b0, d0), g2 = low8(b1, d1), g3 = high8(b1, d1);
      const q = x + (f << 6) + r;
      two(q, low8(e0, g0));
      two(q + 128, high8(e0, g0));
      two(q + 256, low8(e1, g1));
      two(q + 384, high8(e1, g1));
      two(q + 512, low8(e2, g2));
      two(q + 640, high8(e2, g2));
      two(q + 768, low8(e3, g3));
      two(q + 896, high8(e3, g3));
    }
  }
}

// @ts-ignore: decorator
@inline
function low8(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

// @ts-ignore: decorator
@inline
function high8(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** Two neighbouring features. */
// @ts-ignore: decorator
@inline
function two(q: usize, v: v128): void {
  v128.store64_lane(q, v, 0);
  v128.store64_lane(q, v, 1, 64);
}

function addBytes(x: usize, lists: usize, units: u32, y: usize, relu: u32, wide: bool): void {
  const floor = floor32(relu);
  let p = lists;
  for (let j: u32 = 0; j < units; j++) {
    let segments = load<u16>(p);
    p += 2;
    const o = y + (<usize>j << (wide ? 8 : 7));
    if (wide) clear(o, o + 256);
    for (; segments; segments--) {
      const middle = p + 4 + (<usize>load<u16>(p) << 1);
      const stop = middle + (<usize>load<u16>(p, 2) << 1);
      let a0 = i16x8.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      for (p += 4; p < middle; p += 2) {
        const q = x + (<usize>load<u16>(p) << 6);
        const v0 = v128.load(q), v1 = v128.load(q, 16), v2 = v128.load(q, 32), v3 = v128.load(q, 48);
        a0 = i16x8.add(a0, v0);
        a1 = i16x8.add(a1, v1);
        a2 = i16x8.add(a2, v2);
        a3 = i16x8.add(a3, v3);
        b0 = i16x8.add(b0, i16x8.shr_u(v0, 8));
        b1 = i16x8.add(b1, i16x8.shr_u(v1, 8));
        b2 = i16x8.add(b2, i16x8.shr_u(v2, 8));
        b3 = i16x8.add(b3, i16x8.shr_u(v3, 8));
      }
      for (; p < stop; p += 2) {
        const q = x + (<usize>load<u16>(p) << 6);
        const v0 = v128.load(q), v1 = v128.load(q, 16), v2 = v128.load(q, 32), v3 = v128.load(q, 48);
        a0 = i16x8.sub(a0, v0);
        a1 = i16x8.sub(a1, v1);
        a2 = i16x8.sub(a2, v2);
        a3 = i16x8.sub(a3, v3);
        b0 = i16x8.sub(b0, i16x8.shr_u(v0, 8));
        b1 = i16x8.sub(b1, i16x8.shr_u(v1, 8));
        b2 = i16x8.sub(b2, i16x8.shr_u(v2, 8));
        b3 = i16x8.sub(b3, i16x8.shr_u(v3, 8));
      }
      a0 = i16x8.sub(a0, i16x8.shl(b0, 8));
      a1 = i16x8.sub(a1, i16x8.shl(b1, 8));
      a2 = i16x8.sub(a2, i16x8.shl(b2, 8));
      a3 = i16x8.sub(a3, i16x8.shl(b3, 8));
      if (wide) {
        const least = segments == 1 ? floor : floor32(0);
        widen(o, a0, b0, a1, b1, least);
        widen(o + 128, a2, b2, a3, b3, least);
      } else {
        put16(o, a0, b0, a1, b1, relu);
        put16(o + 64, a2, b2, a3, b3, relu);
      }
    }
  }
}

function add16(x: usize, lists: usize, units: u32, y: usize, relu: u32, wide: bool): void {
  const floor = floor32(relu);
  let p = lists;
  for (let j: u32 = 0; j < units; j++) {
    let segments = load<u16>(p);
    p += 2;
    const o = y + (<usize>j << (wide ? 8 : 7));
    if (wide) clear(o, o + 256);
    for (; segments; segments--) {
      const begin = p + 4;
      const middle = begin + (<usize>load<u16>(p) << 1);
      const stop = middle + (<usize>load<u16>(p, 2) << 1);
      for (let half: usize = 0; half < 2; half++) {
        const base = x + (half << 6);
        let a0 = i16x8.splat(0), a1 = a0, a2 = a0, a3 = a0;
        for (p = begin; p < middle; p += 2) {
          const q = base + (<usize>load<u16>(p) << 7);
          a0 = i16x8.add(a0, v128.load(q));
          a1 = i16x8.add(a1, v128.load(q, 16));
          a2 = i16x8.add(a2, v128.load(q, 32));
          a3 = i16x8.add(a3, v128.load(q, 48));
        }
        for (; p < stop; p += 2) {
          const q = base + (<usize>load<u16>(p) << 7);
          a0 = i16x8.sub(a0, v128.load(q));
          a1 = i16x8.sub(a1, v128.load(q, 16));
          a2 = i16x8.sub(a2, v128.load(q, 32));
          a3 = i16x8.sub(a3, v128.load(q, 48));
        }
        if (wide) widen(o + (half << 7), a0, a1, a2, a3, segments == 1 ? floor : floor32(0));
        else put16(o + (half << 6), a0, a1, a2, a3, relu);
      }
    }
  }
}

function add32(x: usize, lists: usize, units: u32, y: usize, relu: u32): void {
  const floor = floor32(relu);
  let p = lists;
  for (let j: u32 = 0; j < units; j++) {
    const begin = p + 6;
    const middle = begin + (<usize>load<u16>(p, 2) << 1);
    const stop = middle + (<usize>load<u16>(p, 4) << 1);
    const o = y + (<usize>j << 8);
    for (let at: usize = 0; at < 256; at += 64) {
      const base = x + at;
      let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      for (p = begin; p < middle; p += 2) {
        const q = base + (<usize>load<u16>(p) << 8);
        a0 = i32x4.add(a0, v128.load(q));
        a1 = i32x4.add(a1, v128.load(q, 16));
        a2 = i32x4.add(a2, v128.load(q, 32));
        a3 = i32x4.add(a3, v128.load(q, 48));
      }
      for (; p < stop; p += 2) {
        const q = base + (<usize>load<u16>(p) << 8);
        a0 = i32x4.sub(a0, v128.load(q));
        a1 = i32x4.sub(a1, v128.load(q, 16));
        a2 = i32x4.sub(a2, v128.load(q, 32));
        a3 = i32x4.sub(a3, v128.load(q, 48));
      }
      v128.store(o + at, i32x4.max_s(a0, floor));
      v128.store(o + at, i32x4.max_s(a1, floor), 16);
      v128.store(o + at, i32x4.max_s(a2, floor), 32);
      v128.store(o + at, i32x4.max_s(a3, floor), 48);
    }
  }
}

// @ts-ignore: decorator
@inline
function clear(p: usize, end: usize): void {
  for (; p < end; p += 16) v128.store(p, i32x4.splat(0));
}

/** What the maximum with makes of a sum: its ReLU, or itself. */
// @ts-ignore: decorator
@inline
function floor32(relu: u32): v128 {
  return i32x4.splat(relu ? 0 : i32.MIN_VALUE);
}

// @ts-ignore: decorator
@inline
function put16(o: usize, a0: v128, a1: v128, a2: v128, a3: v128, relu: u32): void {
  const floor = i16x8.splat(relu ? 0 : i16.MIN_VALUE);
  v128.store(o, i16x8.max_s(a0, floor));
  v128.store(o, i16x8.max_s(a1, floor), 16);
  v128.store(o, i16x8.max_s(a2, floor), 32);
  v128.store(o, i16x8.max_s(a3, floor), 48);
}

/** Adds a segment's 32 sums to a unit's. */
// @ts-ignore: decorator
@inline
function widen(o: usize, a0: v128, a1: v128, a2: v128, a3: v128, floor: v128): void {
  wider(o, a0, floor);
  wider(o + 32, a1, floor);
  wider(o + 64, a2, floor);
  wider(o + 96, a3, floor);
}

// @ts-ignore: decorator
@inline
function wider(o: usize, a: v128, floor: v128): void {
  v128.store(o, i32x4.max_s(i32x4.add(v128.load(o), i32x4.extend_low_i16x8_s(a)), floor));
  v128.store(o, i32x4.max_s(i32x4.add(v128.load(o, 16), i32x4.extend_high_i16x8_s(a)), floor), 16);
}

/**
 * The same for a few samples, one at a time: walks the non-zero inputs only and adds each to the units that keep it.
 *
 *   program   as above; a layer's words are units, relu, starts, entries
 *   starts    u32 of each input: where its entries begin
 *   entries   u16: unit that adds, or width + unit that subtracts; width = units rounded up to 16
 */
export function rows(program: usize, pixels: usize, count: u32, scratch: usize, logits: usize): void {
  const inputs = load<u32>(program, 4);
  const outputs = <usize>load<u32>(program, 8) << 2;
  for (let r: u32 = 0; r < count; r++, pixels += inputs, logits += outputs) row(program, pixels, inputs, scratch, logits, outputs);
}

function row(program: usize, pixels: usize, inputs: u32, scratch: usize, logits: usize, bytes: usize): void {
  let x: usize = 0;
  let y = scratch + load<u32>(program, 16);
  let spare = scratch + load<u32>(program, 20);
  let layer = program + HEADER;
  const end = layer + <usize>load<u32>(program) * LAYER;
  for (let features = inputs; layer < end; layer += LAYER) {
    const units = load<u32>(layer);
    const floor = floor32(load<u32>(layer, 4));
    const starts = <usize>load<u32>(layer, 8);
    const entries = <usize>load<u32>(layer, 12);
    const width = (<usize>units + 15) >> 4 << 6;
    clear(y, y + (width << 1));
    for (let f: u32 = 0; f < features; f += 16) {
      let bits = x ? nonzero32(x + (<usize>f << 2)) : nonzero8(pixels + f, features - f);
      while (bits) {
        const i = f + ctz(bits);
        bits &= bits - 1;
        const v = x ? load<i32>(x + (<usize>i << 2)) : <i32>load<u8>(pixels + i);
        let p = entries + (<usize>load<u32>(starts + (<usize>i << 2)) << 1);
        const stop = entries + (<usize>load<u32>(starts + (<usize>i << 2), 4) << 1);
        for (; p < stop; p += 2) {
          const sum = y + (<usize>load<u16>(p) << 2);
          store<i32>(sum, load<i32>(sum) + v);
        }
      }
    }
    for (let o = y; o < y + width; o += 16) v128.store(o, i32x4.max_s(i32x4.sub(v128.load(o), v128.load(o + width)), floor));
    x = y;
    y = spare;
    spare = x;
    features = units;
  }
  for (let k: usize = 0; k < bytes; k += 4) store<i32>(logits + k, load<i32>(x + k));
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
