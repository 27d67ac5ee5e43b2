// Signed-constant networks are integer programs: a kept weight adds or subtracts its input. Batch innermost, so that one list entry
// serves 64 samples (i16) or 32 (i32):
//
//   x[feature][sample]   lane = sample   acc += x for the unit's positive list, acc -= x for its negative one
//
// Sums wrap modulo 2^16 or 2^32 on the way; the result is exact because the loader only picks a width in which it fits (bounds.ts).
// A unit's lists are feature numbers (u32): entries start[2j] .. start[2j+1] are added, .. start[2j+2] subtracted.

import { first, last } from './threads';

/** x[feature][sample] i16 from row-major uint8 pixels[sample][feature]; rows up to `lanes` (a multiple of 8) are zero filled. */
export function widen(pixels: usize, rows: u32, features: u32, x: usize, lanes: u32, t: u32, n: u32): void {
  const blocks = (features + 15) >> 4;
  const stride = <usize>lanes << 1;
  const begin = first(blocks, t, n);
  const end = last(blocks, t, n);
  for (let r: u32 = 0; r < lanes; r += 8) {
    for (let b = begin; b < end; b++) {
      const f = b << 4;
      const out = x + <usize>f * stride + (<usize>r << 1);
      if (r + 8 > rows || f + 16 > features) {
        const stop = min<u32>(f + 16, features);
        for (let k = f; k < stop; k++) {
          for (let s: u32 = 0; s < 8; s++) {
            const v: u16 = r + s < rows ? load<u8>(pixels + <usize>(r + s) * features + k) : 0;
            store<u16>(x + <usize>k * stride + (<usize>(r + s) << 1), v);
          }
        }
        continue;
      }
      // Eight rows of sixteen bytes, interleaved three times: feature k ends up as eight neighbouring bytes.
      let p = pixels + <usize>r * features + f;
      const r0 = v128.load(p); p += features;
      const r1 = v128.load(p); p += features;
      const r2 = v128.load(p); p += features;
      const r3 = v128.load(p); p += features;
      const r4 = v128.load(p); p += features;
      const r5 = v128.load(p); p += features;
      const r6 = v128.load(p); p += features;
      const r7 = v128.load(p);
      const a0 = low8(r0, r4), a1 = high8(r0, r4), b0 = low8(r1, r5), b1 = high8(r1, r5);
      const c0 = low8(r2, r6), c1 = high8(r2, r6), d0 = low8(r3, r7), d1 = high8(r3, r7);
      const e0 = low8(a0, c0), e1 = high8(a0, c0), e2 = low8(a1, c1), e3 = high8(a1, c1);
      const g0 = low8(b0, d0), g1 = high8(b0, d0), g2 = low8(b1, d1), g3 = high8(b1, d1);
      let q = out;
      q = put(low8(e0, g0), q, stride);
      q = put(high8(e0, g0), q, stride);
      q = put(low8(e1, g1), q, stride);
      q = put(high8(e1, g1), q, stride);
      q = put(low8(e2, g2), q, stride);
      q = put(high8(e2, g2), q, stride);
      q = put(low8(e3, g3), q, stride);
      put(high8(e3, g3), q, stride);
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

// @ts-ignore: decorator
@inline
function put(two: v128, q: usize, stride: usize): usize {
  v128.store(q, i16x8.extend_low_i8x16_u(two));
  q += stride;
  v128.store(q, i16x8.extend_high_i8x16_u(two));
  return q + stride;
}

/** i16 in, i16 out. */
export function signed16(x: usize, lanes: u32, starts: usize, entries: usize, units: u32, y: usize, relu: u32, t: u32, n: u32): void {
  const stride = <usize>lanes << 1;
  const begin = first(units, t, n);
  const end = last(units, t, n);
  let at: usize = 0;
  for (; at + 128 <= stride; at += 128) {
    for (let j = begin; j < end; j++) {
      const s = starts + (<usize>j << 3);
      let p = entries + (<usize>load<u32>(s) << 2);
      const middle = entries + (<usize>load<u32>(s, 4) << 2);
      const stop = entries + (<usize>load<u32>(s, 8) << 2);
      const base = x + at;
      let a0 = i16x8.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
      for (; p < middle; p += 4) {
        const q = base + <usize>load<u32>(p) * stride;
        a0 = i16x8.add(a0, v128.load(q));
        a1 = i16x8.add(a1, v128.load(q, 16));
        a2 = i16x8.add(a2, v128.load(q, 32));
        a3 = i16x8.add(a3, v128.load(q, 48));
        a4 = i16x8.add(a4, v128.load(q, 64));
        a5 = i16x8.add(a5, v128.load(q, 80));
        a6 = i16x8.add(a6, v128.load(q, 96));
        a7 = i16x8.add(a7, v128.load(q, 112));
      }
      for (; p < stop; p += 4) {
        const q = base + <usize>load<u32>(p) * stride;
        a0 = i16x8.sub(a0, v128.load(q));
        a1 = i16x8.sub(a1, v128.load(q, 16));
        a2 = i16x8.sub(a2, v128.load(q, 32));
        a3 = i16x8.sub(a3, v128.load(q, 48));
        a4 = i16x8.sub(a4, v128.load(q, 64));
        a5 = i16x8.sub(a5, v128.load(q, 80));
        a6 = i16x8.sub(a6, v128.load(q, 96));
        a7 = i16x8.sub(a7, v128.load(q, 112));
      }
      const o = y + <usize>j * stride + at;
      v128.store(o, positive16(a0, relu));
      v128.store(o, positive16(a1, relu), 16);
      v128.store(o, positive16(a2, relu), 32);
      v128.store(o, positive16(a3, relu), 48);
      v128.store(o, positive16(a4, relu), 64);
      v128.store(o, positive16(a5, relu), 80);
      v128.store(o, positive16(a6, relu), 96);
      v128.store(o, positive16(a7, relu), 112);
    }
  }
  for (; at < stride; at += 16) {
    for (let j = begin; j < end; j++) {
      const s = starts + (<usize>j << 3);
      let p = entries + (<usize>load<u32>(s) << 2);
      const middle = entries + (<usize>load<u32>(s, 4) << 2);
      const stop = entries + (<usize>load<u32>(s, 8) << 2);
      let a = i16x8.splat(0);
      for (; p < middle; p += 4) a = i16x8.add(a, v128.load(x + at + <usize>load<u32>(p) * stride));
      for (; p < stop; p += 4) a = i16x8.sub(a, v128.load(x + at + <usize>load<u32>(p) * stride));
      v128.store(y + <usize>j * stride + at, positive16(a, relu));
    }
  }
}

// @ts-ignore: decorator
@inline
function positive16(v: v128, relu: u32): v128 {
  return relu ? i16x8.max_s(v, i16x8.splat(0)) : v;
}

// @ts-ignore: decorator
@inline
function positive32(v: v128, relu: u32): v128 {
  return relu ? i32x4.max_s(v, i32x4.splat(0)) : v;
}

/** i16 in (64 samples: 8 loads, 16 accumulators would spill, so 32 a tile), i32 out. */
export function signed16to32(x: usize, lanes: u32, starts: usize, entries: usize, units: u32, y: usize, relu: u32, t: u32, n: u32): void {
  const stride = <usize>lanes << 1;
  const begin = first(units, t, n);
  const end = last(units, t, n);
  let at: usize = 0;
  for (; at + 64 <= stride; at += 64) {
    for (let j = begin; j < end; j++) {
      const s = starts + (<usize>j << 3);
      let p = entries + (<usize>load<u32>(s) << 2);
      const middle = entries + (<usize>load<u32>(s, 4) << 2);
      const stop = entries + (<usize>load<u32>(s, 8) << 2);
      const base = x + at;
      let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
      for (; p < middle; p += 4) {
        const q = base + <usize>load<u32>(p) * stride;
        a0 = i32x4.add(a0, v128.load16x4_s(q));
        a1 = i32x4.add(a1, v128.load16x4_s(q, 8));
        a2 = i32x4.add(a2, v128.load16x4_s(q, 16));
        a3 = i32x4.add(a3, v128.load16x4_s(q, 24));
        a4 = i32x4.add(a4, v128.load16x4_s(q, 32));
        a5 = i32x4.add(a5, v128.load16x4_s(q, 40));
        a6 = i32x4.add(a6, v128.load16x4_s(q, 48));
        a7 = i32x4.add(a7, v128.load16x4_s(q, 56));
      }
      for (; p < stop; p += 4) {
        const q = base + <usize>load<u32>(p) * stride;
        a0 = i32x4.sub(a0, v128.load16x4_s(q));
        a1 = i32x4.sub(a1, v128.load16x4_s(q, 8));
        a2 = i32x4.sub(a2, v128.load16x4_s(q, 16));
        a3 = i32x4.sub(a3, v128.load16x4_s(q, 24));
        a4 = i32x4.sub(a4, v128.load16x4_s(q, 32));
        a5 = i32x4.sub(a5, v128.load16x4_s(q, 40));
        a6 = i32x4.sub(a6, v128.load16x4_s(q, 48));
        a7 = i32x4.sub(a7, v128.load16x4_s(q, 56));
      }
      store8(y + <usize>j * (stride << 1) + (at << 1), relu, a0, a1, a2, a3, a4, a5, a6, a7);
    }
  }
  for (; at < stride; at += 16) {
    for (let j = begin; j < end; j++) {
      const s = starts + (<usize>j << 3);
      let p = entries + (<usize>load<u32>(s) << 2);
      const middle = entries + (<usize>load<u32>(s, 4) << 2);
      const stop = entries + (<usize>load<u32>(s, 8) << 2);
      let a = i32x4.splat(0), b = a;
      for (; p < middle; p += 4) {
        const q = x + at + <usize>load<u32>(p) * stride;
        a = i32x4.add(a, v128.load16x4_s(q));
        b = i32x4.add(b, v128.load16x4_s(q, 8));
      }
      for (; p < stop; p += 4) {
        const q = x + at + <usize>load<u32>(p) * stride;
        a = i32x4.sub(a, v128.load16x4_s(q));
        b = i32x4.sub(b, v128.load16x4_s(q, 8));
      }
      const o = y + <usize>j * (stride << 1) + (at << 1);
      v128.store(o, positive32(a, relu));
      v128.store(o, positive32(b, relu), 16);
    }
  }
}

// @ts-ignore: decorator
@inline
function store8(o: usize, relu: u32, a0: v128, a1: v128, a2: v128, a3: v128, a4: v128, a5: v128, a6: v128, a7: v128): void {
  v128.store(o, positive32(a0, relu));
  v128.store(o, positive32(a1, relu), 16);
  v128.store(o, positive32(a2, relu), 32);
  v128.store(o, positive32(a3, relu), 48);
  v128.store(o, positive32(a4, relu), 64);
  v128.store(o, positive32(a5, relu), 80);
  v128.store(o, positive32(a6, relu), 96);
  v128.store(o, positive32(a7, relu), 112);
}

/** i32 in, i32 out. */
export function signed32(x: usize, lanes: u32, starts: usize, entries: usize, units: u32, y: usize, relu: u32, t: u32, n: u32): void {
  const stride = <usize>lanes << 2;
  const begin = first(units, t, n);
  const end = last(units, t, n);
  let at: usize = 0;
  for (; at + 128 <= stride; at += 128) {
    for (let j = begin; j < end; j++) {
      const s = starts + (<usize>j << 3);
      let p = entries + (<usize>load<u32>(s) << 2);
      const middle = entries + (<usize>load<u32>(s, 4) << 2);
      const stop = entries + (<usize>load<u32>(s, 8) << 2);
      const base = x + at;
      let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
      for (; p < middle; p += 4) {
        const q = base + <usize>load<u32>(p) * stride;
        a0 = i32x4.add(a0, v128.load(q));
        a1 = i32x4.add(a1, v128.load(q, 16));
        a2 = i32x4.add(a2, v128.load(q, 32));
        a3 = i32x4.add(a3, v128.load(q, 48));
        a4 = i32x4.add(a4, v128.load(q, 64));
        a5 = i32x4.add(a5, v128.load(q, 80));
        a6 = i32x4.add(a6, v128.load(q, 96));
        a7 = i32x4.add(a7, v128.load(q, 112));
      }
      for (; p < stop; p += 4) {
        const q = base + <usize>load<u32>(p) * stride;
        a0 = i32x4.sub(a0, v128.load(q));
        a1 = i32x4.sub(a1, v128.load(q, 16));
        a2 = i32x4.sub(a2, v128.load(q, 32));
        a3 = i32x4.sub(a3, v128.load(q, 48));
        a4 = i32x4.sub(a4, v128.load(q, 64));
        a5 = i32x4.sub(a5, v128.load(q, 80));
        a6 = i32x4.sub(a6, v128.load(q, 96));
        a7 = i32x4.sub(a7, v128.load(q, 112));
      }
      store8(y + <usize>j * stride + at, relu, a0, a1, a2, a3, a4, a5, a6, a7);
    }
  }
  for (; at < stride; at += 16) {
    for (let j = begin; j < end; j++) {
      const s = starts + (<usize>j << 3);
      let p = entries + (<usize>load<u32>(s) << 2);
      const middle = entries + (<usize>load<u32>(s, 4) << 2);
      const stop = entries + (<usize>load<u32>(s, 8) << 2);
      let a = i32x4.splat(0);
      for (; p < middle; p += 4) a = i32x4.add(a, v128.load(x + at + <usize>load<u32>(p) * stride));
      for (; p < stop; p += 4) a = i32x4.sub(a, v128.load(x + at + <usize>load<u32>(p) * stride));
      v128.store(y + <usize>j * stride + at, positive32(a, relu));
    }
  }
}
