// Integer logits of one sample straight from a packed mask: nothing is laid out per mask, so any of thousands of masks of one network
// answers at once. Walks the non-zero inputs only, and of each adds its row of bits to all units, eight at a time.
//
//   program   u32: layers, inputs, bytes of one buffer | per layer: units, relu, signs
//   mask      per layer, per input: a bit a unit, least significant first, 1 = kept; rows of whole bytes (src/engine/packed.ts)
//   signs     the same of all weights, 1 = positive; each layer by its own pointer
//   scratch   three buffers: x i32 | y i32 | list of non-zero inputs, 8 bytes each: number, value
//
//   one byte of mask and signs, eight lanes of i16:   byte          b7 .. b2 b1 b0
//                                                     & select      lane i: 1 << i
//                                                     == select     lane i: all ones where bit i is set
//
// Lanes are i16 while the inputs fit, so many at a time that their sum fits too; else i32. Lanes beyond a row's units hold nothing
// that is read.
//
// Ladder: best time of one digit through FC 784-300-100-10 at .03 .1 .3, another digit in every call, the copy of the mask included
//   v1  68 us   units in rows, kept bits of non-zero inputs walked one by one: hardly a branch is foreseen
//   v2   8 us   bits by input, a row of units each; at .5 the same

import { accumulate } from './single';

const HEADER: usize = 12;
const LAYER: usize = 12;

/** Logits[row][output] i32 of pixels[row][input]. Reads up to 8 bytes beyond mask and signs. */
export function packedRows(program: usize, mask: usize, pixels: usize, rows: u32, scratch: usize, logits: usize): void {
  const inputs = load<u32>(program, 4);
  const buffer = <usize>load<u32>(program, 8);
  for (let r: u32 = 0; r < rows; r++) {
    for (let i: u32 = 0; i < inputs; i++) store<i32>(scratch + (<usize>i << 2), <i32>load<u8>(pixels + i));
    pixels += inputs;
    logits = row(program, mask, inputs, scratch, scratch + buffer, scratch + 2 * buffer, logits);
  }
}

/** Returns where the next row's logits go. */
function row(program: usize, mask: usize, inputs: u32, x: usize, y: usize, list: usize, logits: usize): usize {
  let layer = program + HEADER;
  const end = layer + <usize>load<u32>(program) * LAYER;
  let features = inputs;
  for (; layer < end; layer += LAYER) {
    const units = load<u32>(layer);
    const relu = load<u32>(layer, 4);
    const signs = <usize>load<u32>(layer, 8);
    const stride = <usize>((units + 7) >> 3);
    const stop = findNonzero(x, features, list);
    const largest = largestOf(list, stop);
    if (largest <= 8191) narrow(list, stop, mask, signs, stride, 32767 / largest, y);
    else wide(list, stop, mask, signs, stride, y);
    if (relu) for (let o = y; o < y + (<usize>units << 2); o += 16) v128.store(o, i32x4.max_s(v128.load(o), i32x4.splat(0)));
    mask += stride * features;
    const spare = x;
    x = y;
    y = spare;
    features = units;
  }
  memory.copy(logits, x, <usize>features << 2);
  return logits + (<usize>features << 2);
}

/** Lists the inputs that are not zero, without a branch; returns where the list ends. */
function findNonzero(x: usize, features: u32, list: usize): usize {
  for (let i: u32 = 0; i < features; i++) {
    const value = load<i32>(x + (<usize>i << 2));
    store<u32>(list, i);
    store<i32>(list, value, 4);
    list += <usize>(value != 0) << 3;
  }
  return list;
}

function largestOf(list: usize, stop: usize): u32 {
  let largest: u32 = 1;
  for (; list < stop; list += 8) {
    const value = load<i32>(list, 4);
    largest = max<u32>(largest, value < 0 ? -value : value);
  }
  return largest;
}

// @ts-ignore: decorator
@inline
function signed16(v: v128, mask: usize, signs: usize): v128 {
  const select = i16x8(1, 2, 4, 8, 16, 32, 64, 128);
  const kept = i16x8.eq(v128.and(v128.load8_splat(mask), select), select);
  const negative = i16x8.ne(v128.and(v128.load8_splat(signs), select), select);
  return v128.and(i16x8.sub(v128.xor(v, negative), negative), kept);
}

/** Sums in i16 of at most `group` inputs, then in i32. */
function narrow(list: usize, end: usize, mask: usize, signs: usize, stride: usize, group: u32, y: usize): void {
  for (let j: usize = 0; j < stride; j += 4) {
    const o = y + (j << 5);
    for (let k = o; k < o + 128; k += 16) v128.store(k, i32x4.splat(0));
    for (let p = list; p < end; ) {
      const stop = min(p + (<usize>group << 3), end);
      let a0 = i16x8.splat(0), a1 = a0, a2 = a0, a3 = a0;
      for (; p < stop; p += 8) {
        const at = <usize>load<u32>(p) * stride + j;
        const v = v128.load16_splat(p, 4);
        const m = mask + at;
        const s = signs + at;
        a0 = i16x8.add(a0, signed16(v, m, s));
        a1 = i16x8.add(a1, signed16(v, m + 1, s + 1));
        a2 = i16x8.add(a2, signed16(v, m + 2, s + 2));
        a3 = i16x8.add(a3, signed16(v, m + 3, s + 3));
      }
      accumulate(o, a0);
      accumulate(o + 32, a1);
      accumulate(o + 64, a2);
      accumulate(o + 96, a3);
    }
  }
}

// @ts-ignore: decorator
@inline
function signed32(v: v128, mask: usize, signs: usize, select: v128): v128 {
  const kept = i32x4.eq(v128.and(v128.load8_splat(mask), select), select);
  const negative = i32x4.ne(v128.and(v128.load8_splat(signs), select), select);
  return v128.and(i32x4.sub(v128.xor(v, negative), negative), kept);
}

/** The same in i32 all along. */
function wide(list: usize, end: usize, mask: usize, signs: usize, stride: usize, y: usize): void {
  const low = i32x4(1, 2, 4, 8);
  const high = i32x4(16, 32, 64, 128);
  for (let j: usize = 0; j < stride; j += 2) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    for (let p = list; p < end; p += 8) {
      const at = <usize>load<u32>(p) * stride + j;
      const v = v128.load32_splat(p, 4);
      const m = mask + at;
      const s = signs + at;
      a0 = i32x4.add(a0, signed32(v, m, s, low));
      a1 = i32x4.add(a1, signed32(v, m, s, high));
      a2 = i32x4.add(a2, signed32(v, m + 1, s + 1, low));
      a3 = i32x4.add(a3, signed32(v, m + 1, s + 1, high));
    }
    const o = y + (j << 5);
    v128.store(o, a0);
    v128.store(o, a1, 16);
    v128.store(o, a2, 32);
    v128.store(o, a3, 48);
  }
}
