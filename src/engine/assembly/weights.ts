// Weight regeneration: Philox4x32-10 and the five distributions, bit-identical to src/random.ts.
//
// Ladder (one core, words -> signed constants): scalar u64 multiplies, then four blocks at once, one block a lane:
//
//   c0 = [b0.c0 b1.c0 b2.c0 b3.c0]   extmul low/high -> 64-bit products of lanes 0,1 and 2,3
//   c1 = [b0.c1 ...          ]       shuffle 1 3 5 7 -> high words, 0 2 4 6 -> low words
//
// then a 4x4 transpose, because word i is lane i & 3 of block i >> 2. Gains are measured by bench/kernels.

import { ln } from './exact';

const M0: u32 = 0xd2511f53;
const M1: u32 = 0xcd9e8d57;

// @ts-ignore: decorator
@inline
function highs(low: v128, high: v128): v128 {
  return i32x4.shuffle(low, high, 1, 3, 5, 7);
}

// @ts-ignore: decorator
@inline
function lows(low: v128, high: v128): v128 {
  return i32x4.shuffle(low, high, 0, 2, 4, 6);
}

/** Writes `blocks` x 4 words (blocks a multiple of 4) from block number `first` to out. */
function words(k0: u32, k1: u32, first: u64, stream: u32, domain: u32, out: usize, blocks: u32): void {
  const m0 = i32x4.splat(M0);
  const m1 = i32x4.splat(M1);
  for (let b: u32 = 0; b < blocks; b += 4) {
    const block = first + b;
    // A carry from the low word can fall inside the four.
    let c0 = i32x4(<u32>block, <u32>(block + 1), <u32>(block + 2), <u32>(block + 3));
    let c1 = i32x4(<u32>(block >> 32), <u32>((block + 1) >> 32), <u32>((block + 2) >> 32), <u32>((block + 3) >> 32));
    let c2 = i32x4.splat(stream);
    let c3 = i32x4.splat(domain);
    let a = k0;
    let c = k1;
    for (let round = 0; round < 10; round++) {
      const p0 = i64x2.extmul_low_i32x4_u(m0, c0);
      const q0 = i64x2.extmul_high_i32x4_u(m0, c0);
      const p1 = i64x2.extmul_low_i32x4_u(m1, c2);
      const q1 = i64x2.extmul_high_i32x4_u(m1, c2);
      c0 = v128.xor(v128.xor(highs(p1, q1), c1), i32x4.splat(a));
      c2 = v128.xor(v128.xor(highs(p0, q0), c3), i32x4.splat(c));
      c1 = lows(p1, q1);
      c3 = lows(p0, q0);
      a += 0x9e3779b9;
      c += 0xbb67ae85;
    }
    const t0 = i32x4.shuffle(c0, c1, 0, 4, 1, 5);
    const t1 = i32x4.shuffle(c2, c3, 0, 4, 1, 5);
    const t2 = i32x4.shuffle(c0, c1, 2, 6, 3, 7);
    const t3 = i32x4.shuffle(c2, c3, 2, 6, 3, 7);
    v128.store(out, i64x2.shuffle(t0, t1, 0, 2));
    v128.store(out, i64x2.shuffle(t0, t1, 1, 3), 16);
    v128.store(out, i64x2.shuffle(t2, t3, 0, 2), 32);
    v128.store(out, i64x2.shuffle(t2, t3, 1, 3), 48);
    out += 64;
  }
}

const TWO_32: f64 = 1.0 / 4294967296.0;
const PHI_LOW: f64 = 0.022750131948179212;
const PHI_HIGH: f64 = 0.9772498680518208;

/** Inverse normal distribution function, AS 241 (PPND16); q = p - 1/2. */
function quantile(p: f64, q: f64): f64 {
  if (q <= 0.425 && q >= -0.425) {
    const r = 0.180625 - q * q;
    return (
      (q *
        (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r + 45921.953931549871457) * r +
          13731.693765509461125) * r + 1971.5909503065514427) * r + 133.14166789178437745) * r + 3.387132872796366608)) /
      (((((((5226.495278852854561 * r + 28729.085735721942674) * r + 39307.89580009271061) * r + 21213.794301586595867) * r +
        5394.1960214247511077) * r + 687.1870074920579083) * r + 42.313330701600911252) * r + 1)
    );
  }
  let r = sqrt<f64>(-ln(q < 0 ? p : 1 - p));
  let z: f64;
  if (r <= 5) {
    r -= 1.6;
    z =
      (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r + 1.27045825245236838258) * r +
        3.64784832476320460504) * r + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734) /
      (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r + 0.14810397642748007459) * r +
        0.68976733498510000455) * r + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1);
  } else {
    r -= 5;
    z =
      (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r + 0.026532189526576123093) * r +
        0.29656057182850489123) * r + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772) /
      (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r +
        0.0148753612908506148525) * r + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1);
  }
  return q < 0 ? -z : z;
}

/**
 * Weights first .. first+count-1 of a layer as f32 at `out`. `first` and `count` are multiples of 16 (packed signs: of 2048);
 * `out` needs room for all of them. Distribution ids as in a model file.
 */
export function weights(distribution: i32, sigma: f32, k0: u32, k1: u32, stream: u32, first: u64, out: usize, count: u32): void {
  if (distribution == 2) {
    packedSigns(sigma, k0, k1, stream, first, out, count);
    return;
  }
  words(k0, k1, first >> 2, stream, 0, out, count >> 2);
  const end = out + (<usize>count << 2);
  if (distribution == 1) {
    const negative = i32x4.splat(0x8000_0000);
    const magnitude = f32x4.splat(sigma);
    for (let p = out; p < end; p += 16) v128.store(p, v128.xor(magnitude, v128.andnot(negative, v128.load(p))));
  } else if (distribution == 3) {
    const bound = <f64><f32>(<f64>sigma * 1.7320508075688772);
    for (let p = out; p < end; p += 4) {
      const x = <f64>(2 * <i32>(load<u32>(p) >> 8) + 1 - 16777216) * 5.9604644775390625e-8;
      store<f32>(p, <f32>(x * bound));
    }
  } else if (distribution == 4) {
    for (let p = out; p < end; p += 4) {
      const x = (<f64>load<u32>(p) + 0.5) * TWO_32;
      store<f32>(p, <f32>(quantile(x, x - 0.5) * <f64>sigma));
    }
  } else {
    for (let p = out; p < end; p += 4) {
      const x = PHI_LOW + (<f64>load<u32>(p) + 0.5) * TWO_32 * (PHI_HIGH - PHI_LOW);
      store<f32>(p, <f32>(quantile(x, x - 0.5) * <f64>sigma));
    }
  }
}

/** One bit a weight: the 16 blocks behind 2048 weights are made at the end of their own output and expanded from the front. */
function packedSigns(sigma: f32, k0: u32, k1: u32, stream: u32, first: u64, out: usize, count: u32): void {
  const negative = i32x4.splat(0x8000_0000);
  const magnitude = f32x4.splat(sigma);
  for (let i: u32 = 0; i < count; i += 2048) {
    const base = out + (<usize>i << 2);
    const bits = base + 8192 - 256;
    words(k0, k1, (first + i) >> 7, stream, 1, bits, 16);
    let p = base;
    for (let w: u32 = 0; w < 64; w++) {
      const word = load<u32>(bits + (<usize>w << 2));
      for (let s: u32 = 0; s < 32; s += 4, p += 16) {
        // Lane j: bit s + j of the word moved to the sign position.
        const v = word >> s;
        const lanes = i32x4(v << 31, v << 30, v << 29, v << 28);
        v128.store(p, v128.xor(magnitude, v128.andnot(negative, lanes)));
      }
    }
  }
}
