// Integer programs for one sample at a time: walks its non-zero inputs only, a fifth of a digit's pixels and half of what a ReLU leaves,
// and adds each to the units that keep it. Integer sums are exact in any order, so the bits are those of the tiles (integer.ts).
//
//   program   as there, but a layer's words are units, relu, starts, entries
//   starts    u32 of each input: where its entries begin
//   entries   u16: unit that adds, or width + unit that subtracts; width = units rounded up to 16

import { floorOf, HEADER, LAYER } from './integer';

/** Logits[row][output] i32 of pixels[row][input]; reads up to 16 bytes beyond the pixels. */
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
    const floor = floorOf<i32>(load<u32>(layer, 4) != 0);
    const starts = <usize>load<u32>(layer, 8);
    const entries = <usize>load<u32>(layer, 12);
    const width = (<usize>units + 15) >> 4 << 6;
    for (let o = y; o < y + 2 * width; o += 16) v128.store(o, i32x4.splat(0));
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
