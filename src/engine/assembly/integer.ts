// Signed-constant networks are integer programs: a kept weight adds or subtracts its input. Sums wrap modulo 2^16 or 2^32 on the
// way, which is exact because whoever wrote the program cut them into segments that fit (wasm/integer.ts), so any order will do.
//
//   program   u32 words: layers, inputs, outputs, bytes of one thread's scratch, offset of its first activations, of its second, of
//             its pruned lists or 0; then 4 words a layer: units, relu, form, lists
//   lists     u16 words of each unit: segments, then for each of them: how many are added, how many subtracted, those, these
//
// A tile of 64 samples goes through all layers while it is in the cache; tiles are dealt to the threads and meet only at the end. A
// small tile has 16 samples, lines of 16 bytes for its pixels and i32 from the first layer on.
//
// Activations are lines of 64 bytes, so that one list entry serves one line: 64 samples of u8, 32 of i16, 16 of i32.
//
//   x[part][feature][64 bytes]     parts: u8 1, i16 2, i32 4, samples in order; but in u8 sample i is beside sample 8 + i of 16
//
// Bytes are added without being unpacked: a word is even + 256 odd, so a = sum of words and b = sum of (word >> 8) give the sums of the
// odd bytes, b, and of the even ones, a - 256 b, modulo 2^16.
//
// Ladder: best times of 256 digits through FC 784-300-100-10 at .03 .1 .3, one thread, Zen 4, Node 20
//   v1  174 us  layer after layer, lanes as wide as the sums, eight accumulators (V8 has 15 vectors, issues all loads first and so spills)
//   v2   99 us  tiles of 64; bytes added packed (the first layer alone: 72 -> 36 us); i16 segments; four accumulators (65 -> 48 us)
//   v3   85 us  lines of 64 bytes in every width; pixels turned 16 by 16 instead of 8 by 16
//   v4   82 us  i16 only where segments are long (at .2 everywhere: 426 -> 318 us)
//   v5   82 us  pixels that no sample has are dropped from dense lists (at .2: 318 -> 276 us, at .5: 771 -> 651 us)
// Not kept, first layer alone (36 us): two entries a turn 47 us, an added and a subtracted one 54, one loop for both signs 38, units
// sorted by length 36. Table look-up of 4 inputs: the f32 sketch's 88 effective GFLOPS would be 176 in i16, bytes reach 213 at .5.

import { first, last } from './threads';

const U8_TO_16: u32 = 0;
const U8_TO_32: u32 = 1;
const I16_TO_16: u32 = 2;
const I16_TO_32: u32 = 3;
const I32_TO_32: u32 = 4;

export const HEADER: usize = 28;
export const LAYER: usize = 16;

/** Logits[row][output] i32 of pixels[row][input] in tiles of `size` samples, 64 or 16: reads pixels beyond, up to whole tiles + 16 bytes. */
export function integerTiles(program: usize, pixels: usize, rows: u32, size: u32, scratch: usize, logits: usize, t: u32, n: u32): void {
  const inputs = load<u32>(program, 4);
  const outputs = load<u32>(program, 8);
  const own = scratch + <usize>t * load<u32>(program, 12);
  const count = (rows + size - 1) / size;
  const begin = first(count, t, n);
  const end = last(count, t, n);
  let lists = <usize>load<u32>(program, HEADER + 12);
  if (load<u32>(program, 24) && end > begin + 1) {
    const x = own;
    const pruned = own + load<u32>(program, 24);
    nonzero(pixels + begin * size * inputs, min(end * size, rows) - begin * size, inputs, x);
    prune(lists, load<u32>(program, HEADER), x, pruned);
    lists = pruned;
  }
  for (let i = begin; i < end; i++) {
    const row = i * size;
    tile(program, lists, pixels + row * inputs, size, own, logits + ((row * outputs) << 2), min(size, rows - row));
  }
}

/** Two for each feature that some row has, zero for the others. */
function nonzero(pixels: usize, rows: usize, features: usize, any: usize): void {
  for (let f: usize = 0; f < features; f += 64) {
    let a = i8x16.splat(0), b = a, c = a, d = a;
    for (let p = pixels + f, end = p + rows * features; p < end; p += features) {
      a = v128.or(a, v128.load(p));
      b = v128.or(b, v128.load(p, 16));
      c = v128.or(c, v128.load(p, 32));
      d = v128.or(d, v128.load(p, 48));
    }
    v128.store(any + f, twos(a));
    v128.store(any + f, twos(b), 16);
    v128.store(any + f, twos(c), 32);
    v128.store(any + f, twos(d), 48);
  }
}

// @ts-ignore: decorator
@inline
function twos(v: v128): v128 {
  return v128.and(i8x16.ne(v, i8x16.splat(0)), i8x16.splat(2));
}

/** Copies the lists of a layer without the inputs where `any` is zero. */
function prune(lists: usize, units: u32, any: usize, out: usize): void {
  let p = lists;
  for (; units; units--) {
    let segments = load<u16>(p);
    store<u16>(out, segments);
    p += 2;
    out += 2;
    for (; segments; segments--) {
      const middle = p + 4 + (<usize>load<u16>(p) << 1);
      const stop = middle + (<usize>load<u16>(p, 2) << 1);
      const head = out;
      out = copy(p + 4, middle, any, head + 4);
      const between = out;
      store<u16>(head, <u16>((between - head - 4) >> 1));
      out = copy(middle, stop, any, between);
      store<u16>(head, <u16>((out - between) >> 1), 2);
      p = stop;
    }
  }
}

// @ts-ignore: decorator
@inline
function copy(p: usize, stop: usize, any: usize, out: usize): usize {
  for (; p < stop; p += 2) {
    const k = load<u16>(p);
    store<u16>(out, k);
    out += load<u8>(any + k);
  }
  return out;
}

function tile(program: usize, firstLists: usize, pixels: usize, size: usize, scratch: usize, logits: usize, rows: usize): void {
  let features = load<u32>(program, 4);
  let x = scratch;
  let y = scratch + load<u32>(program, 16);
  let spare = scratch + load<u32>(program, 20);
  if (size == 16) turn(pixels, features, x, 16);
  else turn(pixels, features, x, 64);
  let layer = program + HEADER;
  const end = layer + <usize>load<u32>(program) * LAYER;
  for (; layer < end; layer += LAYER) {
    const units = load<u32>(layer);
    const relu = load<u32>(layer, 4);
    const form = load<u32>(layer, 8);
    const lists = form <= U8_TO_32 ? firstLists : <usize>load<u32>(layer, 12);
    if (size == 16) {
      if (form <= U8_TO_32) addBytes16(x, lists, units, y, relu);
      else add<i32>(x, features, 1, lists, units, y, relu, false);
    } else {
      switch (form) {
        case U8_TO_16: addBytes(x, lists, units, y, relu, false); break;
        case U8_TO_32: addBytes(x, lists, units, y, relu, true); break;
        case I16_TO_16: add<i16>(x, features, 2, lists, units, y, relu, false); break;
        case I16_TO_32: add<i16>(x, features, 2, lists, units, y, relu, true); break;
        case I32_TO_32: add<i32>(x, features, 4, lists, units, y, relu, false); break;
        default: unreachable();
      }
    }
    x = y;
    y = spare;
    spare = x;
    features = units;
  }
  for (let r: usize = 0; r < rows; r++) {
    const line = x + (((r >> 4) * features) << 6) + ((r & 15) << 2);
    for (let j: usize = 0; j < features; j++, logits += 4) store<i32>(logits, load<i32>(line + (j << 6)));
  }
}

/** x[feature][size] from pixels[size][features]: sixteen rows of sixteen bytes at a time, interleaved four times. */
// @ts-ignore: decorator
@inline
export function turn(pixels: usize, features: u32, x: usize, size: usize): void {
  const stride = <usize>features;
  for (let r: usize = 0; r < size; r += 16) {
    for (let f: usize = 0; f < stride; f += 16) {
      const p = pixels + r * stride + f;
      let q = x + f * size + r;
      const r0 = v128.load(p), r1 = v128.load(p + 8 * stride);
      const r2 = v128.load(p + stride), r3 = v128.load(p + 9 * stride);
      const r4 = v128.load(p + 2 * stride), r5 = v128.load(p + 10 * stride);
      const r6 = v128.load(p + 3 * stride), r7 = v128.load(p + 11 * stride);
      const ra0 = low8(r0, r4), ra1 = high8(r0, r4), rb0 = low8(r1, r5), rb1 = high8(r1, r5);
      const rc0 = low8(r2, r6), rc1 = high8(r2, r6), rd0 = low8(r3, r7), rd1 = high8(r3, r7);
      const re0 = low8(ra0, rc0), re1 = high8(ra0, rc0), re2 = low8(ra1, rc1), re3 = high8(ra1, rc1);
      const rg0 = low8(rb0, rd0), rg1 = high8(rb0, rd0), rg2 = low8(rb1, rd1), rg3 = high8(rb1, rd1);
      const s0 = v128.load(p + 4 * stride), s1 = v128.load(p + 12 * stride);
      const s2 = v128.load(p + 5 * stride), s3 = v128.load(p + 13 * stride);
      const s4 = v128.load(p + 6 * stride), s5 = v128.load(p + 14 * stride);
      const s6 = v128.load(p + 7 * stride), s7 = v128.load(p + 15 * stride);
      const sa0 = low8(s0, s4), sa1 = high8(s0, s4), sb0 = low8(s1, s5), sb1 = high8(s1, s5);
      const sc0 = low8(s2, s6), sc1 = high8(s2, s6), sd0 = low8(s3, s7), sd1 = high8(s3, s7);
      const se0 = low8(sa0, sc0), se1 = high8(sa0, sc0), se2 = low8(sa1, sc1), se3 = high8(sa1, sc1);
      const sg0 = low8(sb0, sd0), sg1 = high8(sb0, sd0), sg2 = low8(sb1, sd1), sg3 = high8(sb1, sd1);
      q = two(q, size, low8(re0, rg0), low8(se0, sg0));
      q = two(q, size, high8(re0, rg0), high8(se0, sg0));
      q = two(q, size, low8(re1, rg1), low8(se1, sg1));
      q = two(q, size, high8(re1, rg1), high8(se1, sg1));
      q = two(q, size, low8(re2, rg2), low8(se2, sg2));
      q = two(q, size, high8(re2, rg2), high8(se2, sg2));
      q = two(q, size, low8(re3, rg3), low8(se3, sg3));
      two(q, size, high8(re3, rg3), high8(se3, sg3));
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

/** Two neighbouring features of sixteen rows. */
// @ts-ignore: decorator
@inline
function two(q: usize, size: usize, a: v128, b: v128): usize {
  v128.store(q, i64x2.shuffle(a, b, 0, 2));
  q += size;
  v128.store(q, i64x2.shuffle(a, b, 1, 3));
  return q + size;
}

function addBytes(x: usize, lists: usize, units: u32, y: usize, relu: u32, wide: bool): void {
  const part = <usize>units << 6;
  let p = lists;
  for (let o = y, end = y + part; o < end; o += 64) {
    const segments = load<u16>(p);
    p += 2;
    for (let s: u16 = 1; s <= segments; s++) {
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
        const floor = floorOf<i32>(relu != 0 && s == segments);
        widen(o, part, a0, b0, a1, b1, s > 1, floor);
        widen(o + 2 * part, part, a2, b2, a3, b3, s > 1, floor);
      } else {
        const floor = floorOf<i16>(relu != 0);
        put<i16>(o, a0, b0, a1, b1, floor);
        put<i16>(o + part, a2, b2, a3, b3, floor);
      }
    }
  }
}

/** One vector of bytes instead of four, i32 out. */
function addBytes16(x: usize, lists: usize, units: u32, y: usize, relu: u32): void {
  let p = lists;
  for (let o = y, end = y + (<usize>units << 6); o < end; o += 64) {
    const segments = load<u16>(p);
    p += 2;
    for (let s: u16 = 1; s <= segments; s++) {
      const middle = p + 4 + (<usize>load<u16>(p) << 1);
      const stop = middle + (<usize>load<u16>(p, 2) << 1);
      let a = i16x8.splat(0), b = a;
      for (p += 4; p < middle; p += 2) {
        const v = v128.load(x + (<usize>load<u16>(p) << 4));
        a = i16x8.add(a, v);
        b = i16x8.add(b, i16x8.shr_u(v, 8));
      }
      for (; p < stop; p += 2) {
        const v = v128.load(x + (<usize>load<u16>(p) << 4));
        a = i16x8.sub(a, v);
        b = i16x8.sub(b, i16x8.shr_u(v, 8));
      }
      const floor = floorOf<i32>(relu != 0 && s == segments);
      wider(o, i16x8.sub(a, i16x8.shl(b, 8)), s > 1, floor);
      wider(o + 32, b, s > 1, floor);
    }
  }
}

/** T in; T out, or i32 when `wide`: then a segment's sums, not a unit's, must fit. */
function add<T>(x: usize, features: u32, parts: usize, lists: usize, units: u32, y: usize, relu: u32, wide: bool): void {
  const part = <usize>units << 6;
  const step = wide ? part << 1 : part;
  for (let k: usize = 0; k < parts; k++, x += <usize>features << 6, y += step) {
    let p = lists;
    for (let o = y, end = y + part; o < end; o += 64) {
      const segments = load<u16>(p);
      p += 2;
      const zero = v128.splat<T>(0);
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      for (let s: u16 = 1; s <= segments; s++) {
        const middle = p + 4 + (<usize>load<u16>(p) << 1);
        const stop = middle + (<usize>load<u16>(p, 2) << 1);
        for (p += 4; p < middle; p += 2) {
          const q = x + (<usize>load<u16>(p) << 6);
          a0 = v128.add<T>(a0, v128.load(q));
          a1 = v128.add<T>(a1, v128.load(q, 16));
          a2 = v128.add<T>(a2, v128.load(q, 32));
          a3 = v128.add<T>(a3, v128.load(q, 48));
        }
        for (; p < stop; p += 2) {
          const q = x + (<usize>load<u16>(p) << 6);
          a0 = v128.sub<T>(a0, v128.load(q));
          a1 = v128.sub<T>(a1, v128.load(q, 16));
          a2 = v128.sub<T>(a2, v128.load(q, 32));
          a3 = v128.sub<T>(a3, v128.load(q, 48));
        }
        if (wide) {
          widen(o, part, a0, a1, a2, a3, s > 1, floorOf<i32>(relu != 0 && s == segments));
          a0 = zero, a1 = zero, a2 = zero, a3 = zero;
        }
      }
      if (!wide) put<T>(o, a0, a1, a2, a3, floorOf<T>(relu != 0));
    }
  }
}

/** The least that a sum may become: 0 under a ReLU. */
// @ts-ignore: decorator
@inline
export function floorOf<T>(relu: bool): v128 {
  return v128.splat<T>(relu ? <T>0 : <T>(sizeof<T>() == 2 ? i16.MIN_VALUE : i32.MIN_VALUE));
}

// @ts-ignore: decorator
@inline
function put<T>(o: usize, a0: v128, a1: v128, a2: v128, a3: v128, floor: v128): void {
  v128.store(o, v128.max<T>(a0, floor));
  v128.store(o, v128.max<T>(a1, floor), 16);
  v128.store(o, v128.max<T>(a2, floor), 32);
  v128.store(o, v128.max<T>(a3, floor), 48);
}

/** A segment's 32 sums: two lines of i32, after the first segment added to them. */
// @ts-ignore: decorator
@inline
function widen(o: usize, part: usize, a0: v128, a1: v128, a2: v128, a3: v128, more: bool, floor: v128): void {
  wider(o, a0, more, floor);
  wider(o + 32, a1, more, floor);
  wider(o + part, a2, more, floor);
  wider(o + part + 32, a3, more, floor);
}

// @ts-ignore: decorator
@inline
function wider(o: usize, a: v128, more: bool, floor: v128): void {
  const zero = i32x4.splat(0);
  v128.store(o, i32x4.max_s(i32x4.add(more ? v128.load(o) : zero, i32x4.extend_low_i16x8_s(a)), floor));
  v128.store(o, i32x4.max_s(i32x4.add(more ? v128.load(o, 16) : zero, i32x4.extend_high_i16x8_s(a)), floor), 16);
}
