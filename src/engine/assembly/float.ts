// Networks of floats under a sparse mask: only kept weights are stored and multiplied. Every sum runs over its inputs in ascending order
// in one f32 accumulator (engine.ts), whether a tile of 16 samples goes through the lists of each unit or a single sample's non-zero
// inputs through the lists of each input: the bits are the same.
//
//   program   u32 words: layers, inputs, outputs, bytes of one thread's scratch, offset of its first activations, of its second;
//             then 5 words a layer: units, relu, bias (f32 of each unit, or 0), lists or starts, weights
//   lists     u16 words of each unit: how many inputs it keeps, and those; their weights follow each other as f32
//   starts    u32 of each input: where its entries begin in the u16 numbers of the units that keep it, and their weights; the
//             numbers follow the starts
//   x         [feature][16] f32, one line of 64 bytes
//
// Ladder: best times of 256 digits / one through FC 784-300-100-10 at .03 .1 .3 (normal weights), one thread
//   v1  461 / 11.6 us  product of sparse.ts, whose eight accumulators V8 spills, over the batch
//   v2  275 / 3.3 us   tiles of 16 samples, four accumulators; single samples over their non-zero inputs

import { turn } from './integer';
import { first, last } from './threads';

const HEADER: usize = 24;
const LAYER: usize = 20;

/** Logits[row][output] of values[row][input], u8 (`bytes`, read up to 16 rows and 16 bytes beyond) or f32. */
export function floatTiles(program: usize, values: usize, bytes: u32, rows: u32, mean: f32, scale: f32, scratch: usize, logits: usize, t: u32, n: u32): void {
  const inputs = load<u32>(program, 4);
  const outputs = load<u32>(program, 8);
  const own = scratch + <usize>t * load<u32>(program, 12);
  const count = (rows + 15) >> 4;
  const end = last(count, t, n);
  for (let i = first(count, t, n); i < end; i++) {
    const row = i << 4;
    const few = min<u32>(16, rows - row);
    if (bytes) turnBytes(values + row * inputs, inputs, own + load<u32>(program, 16), own, mean, scale);
    else turnFloats(values + ((row * inputs) << 2), inputs, few, own, mean, scale);
    const z = through(program, own);
    let out = logits + ((row * outputs) << 2);
    for (let r: usize = 0; r < few; r++) {
      for (let j: usize = 0; j < outputs; j++, out += 4) store<f32>(out, load<f32>(z + (j << 6) + (r << 2)));
    }
  }
}

/** Sixteen rows of pixels as lines of floats; `room` is used for the lines of bytes. */
function turnBytes(pixels: usize, features: u32, room: usize, x: usize, mean: f32, scale: f32): void {
  turn(pixels, features, room, 16);
  for (let f: usize = 0; f < features; f++, room += 16, x += 64) {
    const v = v128.load(room);
    const even = v128.and(v, i16x8.splat(255));
    const odd = i16x8.shr_u(v, 8);
    v128.store(x, transform(i32x4.extend_low_i16x8_u(even), mean, scale));
    v128.store(x, transform(i32x4.extend_high_i16x8_u(even), mean, scale), 16);
    v128.store(x, transform(i32x4.extend_low_i16x8_u(odd), mean, scale), 32);
    v128.store(x, transform(i32x4.extend_high_i16x8_u(odd), mean, scale), 48);
  }
}

// @ts-ignore: decorator
@inline
function transform(integers: v128, mean: f32, scale: f32): v128 {
  return f32x4.mul(f32x4.sub(f32x4.convert_i32x4_u(integers), f32x4.splat(mean)), f32x4.splat(scale));
}

function turnFloats(values: usize, features: u32, rows: u32, x: usize, mean: f32, scale: f32): void {
  for (let r: u32 = 0; r < 16; r++) {
    for (let f: u32 = 0; f < features; f++) {
      store<f32>(x + (<usize>f << 6) + (<usize>r << 2), r < rows ? (load<f32>(values + (<usize>(r * features + f) << 2)) - mean) * scale : 0);
    }
  }
}

/** A tile through all layers; returns where the last one's activations are. */
function through(program: usize, scratch: usize): usize {
  let x = scratch;
  let y = scratch + load<u32>(program, 16);
  let spare = scratch + load<u32>(program, 20);
  let layer = program + HEADER;
  const end = layer + <usize>load<u32>(program) * LAYER;
  for (; layer < end; layer += LAYER) {
    const relu = load<u32>(layer, 4);
    let bias = <usize>load<u32>(layer, 8);
    let p = <usize>load<u32>(layer, 12);
    let w = <usize>load<u32>(layer, 16);
    for (let o = y, stop = y + (<usize>load<u32>(layer) << 6); o < stop; o += 64) {
      const entries = p + 2 + (<usize>load<u16>(p) << 1);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      for (p += 2; p < entries; p += 2, w += 4) {
        const q = x + (<usize>load<u16>(p) << 6);
        const v = v128.load32_splat(w);
        a0 = f32x4.add(a0, f32x4.mul(v, v128.load(q)));
        a1 = f32x4.add(a1, f32x4.mul(v, v128.load(q, 16)));
        a2 = f32x4.add(a2, f32x4.mul(v, v128.load(q, 32)));
        a3 = f32x4.add(a3, f32x4.mul(v, v128.load(q, 48)));
      }
      if (bias) {
        const b = v128.load32_splat(bias);
        a0 = f32x4.add(a0, b);
        a1 = f32x4.add(a1, b);
        a2 = f32x4.add(a2, b);
        a3 = f32x4.add(a3, b);
        bias += 4;
      }
      v128.store(o, positive(a0, relu));
      v128.store(o, positive(a1, relu), 16);
      v128.store(o, positive(a2, relu), 32);
      v128.store(o, positive(a3, relu), 48);
    }
    x = y;
    y = spare;
    spare = x;
  }
  return x;
}

// @ts-ignore: decorator
@inline
function positive(v: v128, relu: u32): v128 {
  return relu ? f32x4.max(v, f32x4.splat(0)) : v;
}

/** The same for a few samples, one at a time. */
export function floatRows(program: usize, values: usize, bytes: u32, count: u32, mean: f32, scale: f32, scratch: usize, logits: usize): void {
  const inputs = <usize>load<u32>(program, 4);
  const outputs = <usize>load<u32>(program, 8) << 2;
  for (; count; count--, logits += outputs) {
    if (bytes) {
      for (let f: usize = 0; f < inputs; f += 4) v128.store(scratch + (f << 2), transform(widen(load<u32>(values + f)), mean, scale));
      values += inputs;
    } else {
      for (let f: usize = 0; f < inputs; f++) store<f32>(scratch + (f << 2), (load<f32>(values + (f << 2)) - mean) * scale);
      values += inputs << 2;
    }
    const z = alone(program, scratch, inputs);
    for (let k: usize = 0; k < outputs; k += 4) store<f32>(logits + k, load<f32>(z + k));
  }
}

// @ts-ignore: decorator
@inline
function widen(four: u32): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(four)));
}

function alone(program: usize, scratch: usize, inputs: usize): usize {
  let features = inputs;
  let x = scratch;
  let y = scratch + load<u32>(program, 16);
  let spare = scratch + load<u32>(program, 20);
  let layer = program + HEADER;
  const end = layer + <usize>load<u32>(program) * LAYER;
  for (; layer < end; layer += LAYER) {
    const units = <usize>load<u32>(layer);
    const relu = load<u32>(layer, 4);
    const bias = <usize>load<u32>(layer, 8);
    const starts = <usize>load<u32>(layer, 12);
    const weights = <usize>load<u32>(layer, 16);
    const numbers = starts + ((features + 1) << 2);
    const stop = y + (units << 2);
    // What lies beyond the last feature is not one.
    for (let k = features; k & 3; k++) store<f32>(x + (k << 2), 0);
    for (let o = y; o < stop; o += 16) v128.store(o, f32x4.splat(0));
    for (let f: usize = 0; f < features; f += 4) {
      let bits = i32x4.bitmask(f32x4.ne(v128.load(x + (f << 2)), f32x4.splat(0)));
      while (bits) {
        const i = (f + <usize>ctz(bits)) << 2;
        bits &= bits - 1;
        const v = load<f32>(x + i);
        const to = load<u32>(starts + i, 4);
        for (let e = load<u32>(starts + i); e < to; e++) {
          const sum = y + (<usize>load<u16>(numbers + (<usize>e << 1)) << 2);
          store<f32>(sum, load<f32>(sum) + load<f32>(weights + (<usize>e << 2)) * v);
        }
      }
    }
    for (let o = y, b = bias; o < stop; o += 16, b += 16) {
      let v = v128.load(o);
      if (bias) v = f32x4.add(v, v128.load(b));
      v128.store(o, positive(v, relu));
    }
    x = y;
    y = spare;
    spare = x;
    features = units;
  }
  return x;
}
