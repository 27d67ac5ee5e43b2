// Weight regeneration: Philox4x32-10 and the five distributions, bit-identical to src/random.ts.
//
// A chunk of words is made in its place in the output and turned into weights there, while it lies in the first-level cache.
//
// Philox, one block a lane, eight blocks at once: a = blocks 0..3, b = blocks 4..7.
//
//   c = [c0 c1 c2 c3]    extmul low = [lo0 hi0 lo1 hi1], high = [lo2 hi2 lo3 hi3]    high words: lanes 1 3 5 7 of both
//                        low words: an ordinary i32x4.mul, cheaper than another shuffle
//
// Normals, AS 241: 85 % of the lanes lie in the middle and share one rational function, so every lane computes it, two lanes a
// register; a lane of a tail keeps its word and sets a bit in `tails`, and the tails of 64 words follow, packed.
//
// Ladder (AMD EPYC Zen 4, one core, million weights per second, best of 25 short runs):
//
//   signed constants   1. four blocks at once, signs in a second pass over the output                           510
//                      2. eight blocks, keys in vectors, low words multiplied, words stored as (word & keep) ^ flip  785
//                      3. multipliers and key steps loaded, not splats of constants, which V8 makes anew at each use  830
//   normals            1. scalar, a branch a weight                                                              52
//                      2. two lanes, tails of 64 words in pairs                                                 117
//                      3. coefficients loaded, not splats of constants                                          132
//                      4. tails by four                                                                         145
//                      5. middles by eight: more independent chains                                             171
//   uniform            scalar 284, two lanes 617
//
// Limit of the constants on x86: a round of four blocks is 20 vector instructions, 10 of them lane moves (an extmul is two moves and
// a multiply) with two ports for them: 5 cycles, so 16 words take 50 cycles and their transposition 4: 1 G/s at 3.5 GHz.

import { lnPair } from './exact';

/** Two multipliers and two key steps, in memory: V8 makes splats of constants anew at every use, but keeps loaded vectors. */
const PHILOX = memory.data<u32>([0xd2511f53, 0xcd9e8d57, 0x9e3779b9, 0xbb67ae85]);
const CHUNK: u32 = 2048;

/** The upper halves of the products of four lanes. */
// @ts-ignore: decorator
@inline
function highWords(m: v128, c: v128): v128 {
  return i32x4.shuffle(i64x2.extmul_low_i32x4_u(m, c), i64x2.extmul_high_i32x4_u(m, c), 1, 3, 5, 7);
}

/** Word i is lane i & 3 of block i >> 2: four registers of one word each become four blocks. */
// @ts-ignore: decorator
@inline
function storeBlocks(out: usize, c0: v128, c1: v128, c2: v128, c3: v128, keep: v128, flip: v128): void {
  const t0 = i32x4.shuffle(c0, c1, 0, 4, 1, 5);
  const t1 = i32x4.shuffle(c2, c3, 0, 4, 1, 5);
  const t2 = i32x4.shuffle(c0, c1, 2, 6, 3, 7);
  const t3 = i32x4.shuffle(c2, c3, 2, 6, 3, 7);
  v128.store(out, v128.xor(v128.and(i64x2.shuffle(t0, t1, 0, 2), keep), flip));
  v128.store(out, v128.xor(v128.and(i64x2.shuffle(t0, t1, 1, 3), keep), flip), 16);
  v128.store(out, v128.xor(v128.and(i64x2.shuffle(t2, t3, 0, 2), keep), flip), 32);
  v128.store(out, v128.xor(v128.and(i64x2.shuffle(t2, t3, 1, 3), keep), flip), 48);
}

/**
 * Writes the words of `blocks` blocks (a multiple of 8) with numbers first, first + step ... to out, each as (word & keep) ^ flip. The
 * numbers of eight blocks must not differ above their lower 32 bits.
 */
export function words(
  k0: u32, k1: u32, first: u64, step: u32, stream: u32, domain: u32, out: usize, blocks: u32, keep: v128, flip: v128,
): void {
  const a = i32x4.mul(i32x4.splat(step), i32x4(0, 1, 2, 3));
  const b = i32x4.mul(i32x4.splat(step), i32x4(4, 5, 6, 7));
  const m0 = v128.load32_splat(PHILOX);
  const m1 = v128.load32_splat(PHILOX, 4);
  const w0 = v128.load32_splat(PHILOX, 8);
  const w1 = v128.load32_splat(PHILOX, 12);
  for (let i: u32 = 0; i < blocks; i += 8) {
    const block = first + <u64>i * step;
    let a0 = i32x4.add(i32x4.splat(<u32>block), a);
    let b0 = i32x4.add(i32x4.splat(<u32>block), b);
    let a1 = i32x4.splat(<u32>(block >> 32));
    let b1 = a1;
    let a2 = i32x4.splat(stream);
    let b2 = a2;
    let a3 = i32x4.splat(domain);
    let b3 = a3;
    let k = i32x4.splat(k0);
    let l = i32x4.splat(k1);
    for (let round = 0; round < 10; round++) {
      const ah = highWords(m1, a2);
      const bh = highWords(m1, b2);
      const al = i32x4.mul(m1, a2);
      const bl = i32x4.mul(m1, b2);
      a2 = v128.xor(highWords(m0, a0), v128.xor(a3, l));
      b2 = v128.xor(highWords(m0, b0), v128.xor(b3, l));
      a3 = i32x4.mul(m0, a0);
      b3 = i32x4.mul(m0, b0);
      a0 = v128.xor(ah, v128.xor(a1, k));
      b0 = v128.xor(bh, v128.xor(b1, k));
      a1 = al;
      b1 = bl;
      k = i32x4.add(k, w0);
      l = i32x4.add(l, w1);
    }
    storeBlocks(out, a0, a1, a2, a3, keep, flip);
    storeBlocks(out + 64, b0, b1, b2, b3, keep, flip);
    out += 128;
  }
}

/** p = first + (word + 1/2) / 2^32 * second: all of (0, 1), or Phi(-2) to Phi(2). */
const ALL = memory.data<f64>([0, 1]);
const WITHIN_TWO_SIGMA = memory.data<f64>([0.022750131948179212, 0.9544997361036416]);

/** Numerators and denominators in turns, from the highest power down. Loads cost less than V8's splats of constants. */
const MIDDLE = memory.data<f64>([
  2509.0809287301226727, 5226.495278852854561,
  33430.575583588128105, 28729.085735721942674,
  67265.770927008700853, 39307.89580009271061,
  45921.953931549871457, 21213.794301586595867,
  13731.693765509461125, 5394.1960214247511077,
  1971.5909503065514427, 687.1870074920579083,
  133.14166789178437745, 42.313330701600911252,
  3.387132872796366608, 1,
]);
const TAIL = memory.data<f64>([
  7.7454501427834140764e-4, 1.05075007164441684324e-9,
  0.0227238449892691845833, 5.475938084995344946e-4,
  0.24178072517745061177, 0.0151986665636164571966,
  1.27045825245236838258, 0.14810397642748007459,
  3.64784832476320460504, 0.68976733498510000455,
  5.7694972214606914055, 1.6763848301838038494,
  4.6303378461565452959, 2.05319162663775882187,
  1.42343711074968357734, 1,
]);

/** The polynomial of a table's even or odd entries, by Horner's rule. */
// @ts-ignore: decorator
@inline
function horner(table: usize, r: v128): v128 {
  let x = f64x2.add(f64x2.mul(v128.load64_splat(table), r), v128.load64_splat(table, 16));
  x = f64x2.add(f64x2.mul(x, r), v128.load64_splat(table, 32));
  x = f64x2.add(f64x2.mul(x, r), v128.load64_splat(table, 48));
  x = f64x2.add(f64x2.mul(x, r), v128.load64_splat(table, 64));
  x = f64x2.add(f64x2.mul(x, r), v128.load64_splat(table, 80));
  x = f64x2.add(f64x2.mul(x, r), v128.load64_splat(table, 96));
  return f64x2.add(f64x2.mul(x, r), v128.load64_splat(table, 112));
}

/** The quantile where |q| <= 0.425. */
// @ts-ignore: decorator
@inline
function middle(q: v128): v128 {
  const r = f64x2.sub(f64x2.splat(0.180625), f64x2.mul(q, q));
  return f64x2.div(f64x2.mul(q, horner(MIDDLE, r)), horner(MIDDLE + 8, r));
}

/** The quantile beyond: with p >= 2^-33, sqrt(-ln p) stays below 4.79, so the published branch beyond 5 has no use here. */
// @ts-ignore: decorator
@inline
function tail(p: v128, q: v128): v128 {
  const negative = f64x2.lt(q, f64x2.splat(0));
  const least = v128.bitselect(p, f64x2.sub(f64x2.splat(1), p), negative);
  const r = f64x2.sub(f64x2.sqrt(f64x2.neg(lnPair(least))), f64x2.splat(1.6));
  return v128.xor(f64x2.div(horner(TAIL, r), horner(TAIL + 8, r)), v128.and(negative, f64x2.splat(-0.0)));
}

/** Words to p = low + (word + 1/2) / 2^32 * span, lanes 0 and 1. */
// @ts-ignore: decorator
@inline
function probability(words: v128, low: v128, span: v128): v128 {
  const x = f64x2.add(f64x2.convert_low_i32x4_u(words), f64x2.splat(0.5));
  return f64x2.add(low, f64x2.mul(f64x2.mul(x, f64x2.splat(2.3283064365386962890625e-10)), span));
}

/** Middle quantiles as f32 in lanes 0 and 1. */
// @ts-ignore: decorator
@inline
function scaledMiddle(q: v128, scale: v128): v128 {
  return f32x4.demote_f64x2_zero(f64x2.mul(middle(q), scale));
}

/** Turns a chunk of words into quantiles of p in a range, times sigma. */
function normals(at: usize, sigma: f64, range: usize): void {
  const low = v128.load64_splat(range);
  const span = v128.load64_splat(range, 8);
  const scale = f64x2.splat(sigma);
  const half = f64x2.splat(0.5);
  const edge = f64x2.splat(0.425);
  const end = at + (CHUNK << 2);
  for (; at < end; at += 256) {
    let tails: u64 = 0;
    for (let i: u32 = 0; i < 64; i += 8) {
      const p = at + (<usize>i << 2);
      const v = v128.load(p);
      const w = v128.load(p, 16);
      const q0 = f64x2.sub(probability(v, low, span), half);
      const q1 = f64x2.sub(probability(i64x2.shuffle(v, v, 1, 1), low, span), half);
      const q2 = f64x2.sub(probability(w, low, span), half);
      const q3 = f64x2.sub(probability(i64x2.shuffle(w, w, 1, 1), low, span), half);
      const x = i64x2.shuffle(scaledMiddle(q0, scale), scaledMiddle(q1, scale), 0, 2);
      const y = i64x2.shuffle(scaledMiddle(q2, scale), scaledMiddle(q3, scale), 0, 2);
      const xTails = i32x4.shuffle(f64x2.gt(f64x2.abs(q0), edge), f64x2.gt(f64x2.abs(q1), edge), 0, 2, 4, 6);
      const yTails = i32x4.shuffle(f64x2.gt(f64x2.abs(q2), edge), f64x2.gt(f64x2.abs(q3), edge), 0, 2, 4, 6);
      tails |= <u64>(i32x4.bitmask(xTails) | (i32x4.bitmask(yTails) << 4)) << i;
      v128.store(p, v128.bitselect(v, x, xTails));
      v128.store(p, v128.bitselect(w, y, yTails), 16);
    }
    // Four tails at a time; where less than four are left, the first is made again.
    while (tails != 0) {
      const i = at + (<usize>ctz(tails) << 2);
      tails &= tails - 1;
      const j = tails != 0 ? at + (<usize>ctz(tails) << 2) : i;
      tails &= tails - 1;
      const k = tails != 0 ? at + (<usize>ctz(tails) << 2) : i;
      tails &= tails - 1;
      const l = tails != 0 ? at + (<usize>ctz(tails) << 2) : i;
      tails &= tails - 1;
      const p0 = probability(v128.load32_lane(j, v128.load32_zero(i), 1), low, span);
      const p1 = probability(v128.load32_lane(l, v128.load32_zero(k), 1), low, span);
      const z0 = f32x4.demote_f64x2_zero(f64x2.mul(tail(p0, f64x2.sub(p0, half)), scale));
      const z1 = f32x4.demote_f64x2_zero(f64x2.mul(tail(p1, f64x2.sub(p1, half)), scale));
      v128.store32_lane(i, z0, 0);
      v128.store32_lane(j, z0, 1);
      v128.store32_lane(k, z1, 0);
      v128.store32_lane(l, z1, 1);
    }
  }
}

/**
 * The first `count` weights of a layer, a multiple of 2048, as f32 at `out`. Distribution ids as in a model file.
 */
export function weights(distribution: i32, sigma: f32, k0: u32, k1: u32, stream: u32, out: usize, count: u32): void {
  const all = i32x4.splat(-1);
  const sign = i32x4.splat(0x8000_0000);
  const none = i32x4.splat(0);
  const minus = v128.xor(sign, f32x4.splat(sigma));
  const bound = f64x2.splat(<f64><f32>(<f64>sigma * 1.7320508075688772));
  for (let i: u32 = 0; i < count; i += CHUNK) {
    const at = out + (<usize>i << 2);
    const block = <u64>(i >> 2);
    if (distribution == 1) {
      words(k0, k1, block, 1, stream, 0, at, CHUNK >> 2, sign, minus);
    } else if (distribution == 2) {
      packedSigns(minus, k0, k1, stream, <u64>(i >> 7), at);
    } else {
      words(k0, k1, block, 1, stream, 0, at, CHUNK >> 2, all, none);
      if (distribution == 3) uniforms(at, bound);
      else if (distribution == 4) normals(at, sigma, ALL);
      else normals(at, sigma, WITHIN_TWO_SIGMA);
    }
  }
}

/** Turns a chunk of words into odd multiples of bound / 2^24. */
function uniforms(at: usize, bound: v128): void {
  const step = f64x2.splat(5.9604644775390625e-8);
  for (let p = at; p < at + (CHUNK << 2); p += 16) {
    const odd = i32x4.sub(v128.or(i32x4.shl(i32x4.shr_u(v128.load(p), 8), 1), i32x4.splat(1)), i32x4.splat(16777216));
    const x0 = f64x2.mul(f64x2.convert_low_i32x4_s(odd), step);
    const x1 = f64x2.mul(f64x2.convert_low_i32x4_s(i64x2.shuffle(odd, odd, 1, 1)), step);
    const y0 = f32x4.demote_f64x2_zero(f64x2.mul(x0, bound));
    const y1 = f32x4.demote_f64x2_zero(f64x2.mul(x1, bound));
    v128.store(p, i64x2.shuffle(y0, y1, 0, 2));
  }
}

/** One bit a weight: the 16 blocks behind a chunk are made at its end and expanded from the front. */
function packedSigns(minus: v128, k0: u32, k1: u32, stream: u32, block: u64, at: usize): void {
  const sign = i32x4.splat(0x8000_0000);
  let bits = at + (CHUNK << 2) - 256;
  words(k0, k1, block, 1, stream, 1, bits, 16, i32x4.splat(-1), i32x4.splat(0));
  for (let p = at; p < at + (CHUNK << 2); p += 128, bits += 4) {
    const word = load<u32>(bits);
    for (let s: u32 = 0; s < 32; s += 4) {
      // Lane j: bit s + j of the word moved to the sign position.
      const v = word >> s;
      v128.store(p + (<usize>s << 2), v128.xor(minus, v128.and(sign, i32x4(v << 31, v << 30, v << 29, v << 28))));
    }
  }
}
