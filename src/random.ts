// Random numbers by address: Philox4x32-10 turns (seed, domain, stream, index) into 32 bits, so any weight can be made alone,
// in any order, on any machine. Nothing here has state, and nothing uses Math.log or Math.sin: the bits are the file format.
//
//   counter = (block low, block high, stream, domain), key = (seed low, seed high); word i is lane i & 3 of block i >> 2.
//
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); normals by Wichura's AS 241 (PPND16).
// This file is the oracle of src/engine/assembly/weights.ts; codec/FORMAT.md section "Weights" describes it for other languages.

import seedrandom from 'seedrandom';
import { ln } from './exact.js';

/** A 64-bit seed as two unsigned 32-bit halves. */
export interface Seed {
  readonly low: number;
  readonly high: number;
}

/** What a counter's last word says the numbers are for; streams of different domains never overlap. */
export const DOMAIN = {
  weights: 0,
  packedSigns: 1,
  scoreInit: 2,
  sampling: 3,
  pixelPermutation: 5,
  labelPermutation: 6,
  dataSplit: 7,
  batchOrder: 8,
  shifts: 9,
  turns: 10,
  mirrors: 11,
} as const;
export type Domain = (typeof DOMAIN)[keyof typeof DOMAIN];

/** Weight distributions with their ids in a model file. */
export const DISTRIBUTIONS = {
  /** +sigma where bit 31 of the weight's word is set, else -sigma: the sign of the normal weight of the same seed. */
  'signed-constant': 1,
  /** One bit a weight, 128 a block: for learned masks only, unrelated to the normals. */
  'packed-signed-constant': 2,
  uniform: 3,
  normal: 4,
  'truncated-normal': 5,
} as const;
export type Distribution = keyof typeof DISTRIBUTIONS;

/**
 * Reads a seed: a decimal or 0x integer below 2^64 is the key itself; any other text becomes two 32-bit draws of the
 * `seedrandom` package, low word first.
 */
export function parseSeed(value: string | number | bigint): Seed {
  const text = String(value).trim();
  if (/^(0x[0-9a-f]+|[0-9]+)$/i.test(text)) {
    const key = BigInt(text);
    if (key < 1n << 64n) return seedOfKey(key);
  }
  const draw = seedrandom(text);
  const low = draw.int32() >>> 0;
  return { low, high: draw.int32() >>> 0 };
}

/** The seed as a decimal integer, the form `parseSeed` and `--seed` accept. */
export function formatSeed(seed: Seed): string {
  return String(keyOf(seed));
}

/** A seed as one integer of 64 bits, and back. */
export const keyOf = ({ low, high }: Seed): bigint => (BigInt(high) << 32n) | BigInt(low);
export const seedOfKey = (key: bigint): Seed => ({ low: Number(key & 0xffffffffn), high: Number(key >> 32n) });

/** Writes the four output words of one Philox4x32-10 block to out[offset..offset+3]. */
export function philox(seed: Seed, c0: number, c1: number, c2: number, c3: number, out: Uint32Array, offset: number): void {
  let k0 = seed.low;
  let k1 = seed.high;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[offset] = c0;
  out[offset + 1] = c1;
  out[offset + 2] = c2;
  out[offset + 3] = c3;
}

/** The upper 32 bits of an unsigned 32 x 32 bit product, as an int32, from exact products of 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const upper = Math.imul(aHigh, bLow);
  const lower = Math.imul(aLow, bHigh);
  const carry = (Math.imul(aLow, bLow) >>> 16) + (upper & 0xffff) + (lower & 0xffff);
  return (Math.imul(aHigh, bHigh) + (upper >>> 16) + (lower >>> 16) + (carry >>> 16)) | 0;
}

/** The 32-bit words start .. start+out.length-1 of a stream. */
export function fillWords(seed: Seed, domain: Domain, stream: number, start: number, out: Uint32Array): void {
  const block = new Uint32Array(4);
  let number = Math.floor(start / 4);
  const next = (into: Uint32Array, at: number) => {
    philox(seed, number >>> 0, Math.floor(number / 4294967296), stream, domain, into, at);
    number++;
  };
  let i = 0;
  let lane = start % 4;
  if (lane > 0) {
    next(block, 0);
    while (lane < 4 && i < out.length) out[i++] = block[lane++];
  }
  for (; i + 4 <= out.length; i += 4) next(out, i);
  if (i < out.length) {
    next(block, 0);
    for (lane = 0; i < out.length; i++) out[i] = block[lane++];
  }
}

/**
 * Weights start .. start+out.length-1 of a layer, exactly as every reader of a model file must make them.
 * @param sigma f32 scale: the constant itself, the standard deviation, or for `uniform` sigma * sqrt(3) is the bound
 * @param stream the layer's position among the weighted layers
 */
export function fillWeights(distribution: Distribution, sigma: number, seed: Seed, stream: number, start: number, out: Float32Array): void {
  if (distribution === 'packed-signed-constant') {
    const first = Math.floor(start / 32);
    const words = new Uint32Array(Math.ceil((start + out.length) / 32) - first);
    fillWords(seed, DOMAIN.packedSigns, stream, first, words);
    for (let i = 0; i < out.length; i++) {
      const index = start + i;
      out[i] = (words[Math.floor(index / 32) - first] >>> (index & 31)) & 1 ? sigma : -sigma;
    }
    return;
  }
  const words = new Uint32Array(out.length);
  fillWords(seed, DOMAIN.weights, stream, start, words);
  const bound = Math.fround(sigma * Math.sqrt(3));
  for (let i = 0; i < out.length; i++) {
    const word = words[i];
    if (distribution === 'signed-constant') out[i] = word >>> 31 ? sigma : -sigma;
    else if (distribution === 'uniform') out[i] = (2 * (word >>> 8) + 1 - 16777216) * 2 ** -24 * bound;
    else if (distribution === 'normal') out[i] = normalFromWord(word) * sigma;
    else out[i] = truncatedNormalFromWord(word) * sigma;
  }
}

const TWO_32 = 1 / 4294967296;
/** Phi(-2) and Phi(2). */
const PHI_LOW = 0.022750131948179212;
const PHI_HIGH = 0.9772498680518208;

/** Standard normal whose distribution function is (word + 1/2) / 2^32. */
function normalFromWord(word: number): number {
  return quantile((word + 0.5) * TWO_32);
}

/** Standard normal cut at two sigma (not rescaled). */
function truncatedNormalFromWord(word: number): number {
  return quantile(PHI_LOW + (word + 0.5) * TWO_32 * (PHI_HIGH - PHI_LOW));
}

/** Inverse of the normal distribution function: AS 241, PPND16, polynomials by Horner in the published order. */
function quantile(p: number): number {
  const q = p - 0.5;
  if (q <= 0.425 && q >= -0.425) {
    const r = 0.180625 - q * q;
    return (
      (q *
        (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r + 45921.953931549871457) * r +
          13731.693765509461125) *
          r +
          1971.5909503065514427) *
          r +
          133.14166789178437745) *
          r +
          3.387132872796366608)) /
      (((((((5226.495278852854561 * r + 28729.085735721942674) * r + 39307.89580009271061) * r + 21213.794301586595867) * r +
        5394.1960214247511077) *
        r +
        687.1870074920579083) *
        r +
        42.313330701600911252) *
        r +
        1)
    );
  }
  let r = Math.sqrt(-ln(q < 0 ? p : 1 - p));
  let z: number;
  if (r <= 5) {
    r -= 1.6;
    z =
      (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r + 1.27045825245236838258) * r +
        3.64784832476320460504) *
        r +
        5.7694972214606914055) *
        r +
        4.6303378461565452959) *
        r +
        1.42343711074968357734) /
      (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r + 0.14810397642748007459) * r +
        0.68976733498510000455) *
        r +
        1.6763848301838038494) *
        r +
        2.05319162663775882187) *
        r +
        1);
  } else {
    r -= 5;
    z =
      (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r + 0.026532189526576123093) * r +
        0.29656057182850489123) *
        r +
        1.7848265399172913358) *
        r +
        5.4637849111641143699) *
        r +
        6.6579046435011037772) /
      (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r +
        0.0148753612908506148525) *
        r +
        0.13692988092273580531) *
        r +
        0.59983220655588793769) *
        r +
        1);
  }
  return q < 0 ? -z : z;
}

/** A uniformly random permutation of 0..n-1: Fisher-Yates from the top, each draw without modulo bias (Lemire 2019, rejection). */
export function permutation(n: number, seed: Seed, domain: Domain, stream = 0): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const words = new Uint32Array(1024);
  let used = words.length;
  let next = 0;
  const word = () => {
    if (used === words.length) {
      fillWords(seed, domain, stream, next, words);
      next += words.length;
      used = 0;
    }
    return words[used++];
  };
  for (let i = n - 1; i > 0; i--) {
    const range = i + 1;
    const reject = (4294967296 - range) % range;
    let w = word();
    while (Math.imul(w, range) >>> 0 < reject) w = word();
    const j = multiplyHigh(w, range) >>> 0;
    const held = order[i];
    order[i] = order[j];
    order[j] = held;
  }
  return order;
}
