// Training works on tiles of 32 values, 128 bytes: eight vectors, the accumulators of one inner loop. Every product of a training
// step is "a list of {offset, value} times rows of 128 bytes", whatever the rows hold:
//
//   columns  C[sample / 32][feature][sample % 32]   rows of samples    kept weights: forward, input gradient
//   rows     R[feature / 32][sample][feature % 32]  rows of features   non-zero inputs: forward, input gradient, weight gradient
//   weights  W[unit / 32][input][unit % 32]         rows of units; scores, velocities and moments lie the same way
//
// A matrix is padded with zeros: features to fours, samples to 32. `flip` turns C into R and back.
//
// A step has two phases, and threads meet only between them. Samples: each thread takes whole tiles of samples through all layers,
// forward and backward, up to dZ. Inputs: each thread takes a range of every layer's inputs, makes the weight gradients and steps.
//
// Ladder (AMD EPYC Zen 4, one core, FC 784-300-100-10, batch 128 of MNIST, best of many runs in turns):
//
//   sum     1. rows at the matrix's own stride (sparse.ts `product`)            topk step at densities .03 .1 .3: 203 steps/s in all
//           2. tiles: rows of 128 bytes side by side, two phases, kept lists    886 steps/s in all
//              1.73 ns an entry of 32 multiply-adds, 37 GFLOPS: 30 instructions, 6 cycles; two loads a cycle would allow 4.5
//           -  two entries a turn: 2.7-3.3 ns, the sixteen registers spill; the optimiser's step in the same function: 30 % slower,
//              for the same reason. Small functions keep their registers.
//   gather  1. 56 us; 2. signed instead of unsigned conversion to f32 (one instruction, not eight): 39 us
//           -  sixteen features of 32 scattered rows at a time: 78 us, too many streams for the prefetcher; with the rows copied side
//              by side first, as here, 53 us before 2.
//   append  four stores without branches after one test of four lanes

import { first, last } from './threads';

export const TILE: usize = 128;

/** One weighted layer in memory; written by src/engine/wasm/layers.ts, whose FIELDS has the same order. */
@unmanaged
export class Layer {
  fanIn: u32;
  units: u32;
  /** Samples of room: a multiple of 32. */
  room: u32;
  /** Whether this layer, and the one below, end in a relu. */
  relu: u32;
  gated: u32;
  /** Whether lists of kept weights serve the layer; otherwise w does. */
  sparse: u32;
  /** Input, output and their gradients as columns and as rows. */
  xC: usize;
  xR: usize;
  yC: usize;
  yR: usize;
  dxC: usize;
  dxR: usize;
  dyC: usize;
  dyR: usize;
  /** Effective weights, and the same transposed [input / 32][unit][input % 32], 0 in the first layer. */
  w: usize;
  wT: usize;
  /** Biases, 0 for none, and their first moments, second moments and velocities, each one row of tiles. */
  bias: usize;
  dBias: usize;
  biasState: usize;
  /** Kept weights: entries of unit u begin at byUnit + u * fanIn * 8, a thread's at its first input; counts [thread][unit]. */
  byUnit: usize;
  unitCounts: usize;
  /** The same by input: entries begin at byInput + input * units * 8; 0 in the first layer. */
  byInput: usize;
  inputCounts: usize;
  /** Room for the non-zeros of samples, [room][listRoom bytes], their bytes, and for those of inputs, [thread][columnRoom bytes]. */
  lists: usize;
  listRoom: u32;
  listBytes: usize;
  columnLists: usize;
  columnRoom: u32;
  /** What a rule keeps, in the order of the weights: scores or velocities; first moments or velocities; constants or second moments. */
  score: usize;
  velocity: usize;
  constants: usize;
  /** bernoulli: sigmoid of the scores, left by the last draw. */
  probability: usize;
  /** bernoulli: how a draw is rescaled, 0 for not at all; thread t's count of kept weights at rescaling + 64 * (t + 1). */
  rescaling: usize;
  /** Where scores are cut, and what the next cut needs (select.ts). */
  cut: usize;
  /** One word of 32 bits an input and tile: weights that are trained; 0: all. */
  trained: usize;
  /** Under a fixed sparse mask: input i's groups of four units with a trained weight, [activeStarts[i], activeStarts[i + 1]) x 16 bytes. */
  active: usize;
  activeStarts: usize;
}
// @ts-ignore: decorator
@inline
export function pad4(n: u32): usize {
  return <usize>((n + 3) & ~3);
}

/** Vectors of tile `tile` that hold one of `count` features. */
// @ts-ignore: decorator
@inline
export function vectors(count: u32, tile: u32): u32 {
  return min<u32>(8, (count - (tile << 5) + 3) >> 2);
}

/** Tiles of samples of thread t. */
// @ts-ignore: decorator
@inline
export function firstTile(samples: u32, t: u32, n: u32): u32 {
  return first((samples + 31) >> 5, t, n);
}

// @ts-ignore: decorator
@inline
export function lastTile(samples: u32, t: u32, n: u32): u32 {
  return last((samples + 31) >> 5, t, n);
}

/** o[0 .. 4 * count) (+)= sum over the entries of value * rows[offset ..]; `more` adds to what stands there. */
export function sum(p: usize, stop: usize, rows: usize, o: usize, count: u32, more: u32): void {
  if (count == 8) {
    sum8(p, stop, rows, o, more);
    return;
  }
  for (; count >= 3; count -= 3, rows += 48, o += 48) sum3(p, stop, rows, o, more);
  for (; count > 0; count--, rows += 16, o += 16) {
    let a = more ? v128.load(o) : f32x4.splat(0);
    for (let e = p; e < stop; e += 8) a = f32x4.add(a, f32x4.mul(v128.load32_splat(e, 4), v128.load(rows + load<u32>(e))));
    v128.store(o, a);
  }
}

function sum8(p: usize, stop: usize, rows: usize, o: usize, more: u32): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  if (more) {
    a0 = v128.load(o); a1 = v128.load(o, 16); a2 = v128.load(o, 32); a3 = v128.load(o, 48);
    a4 = v128.load(o, 64); a5 = v128.load(o, 80); a6 = v128.load(o, 96); a7 = v128.load(o, 112);
  }
  for (; p < stop; p += 8) {
    const q = rows + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = f32x4.add(a0, f32x4.mul(v, v128.load(q)));
    a1 = f32x4.add(a1, f32x4.mul(v, v128.load(q, 16)));
    a2 = f32x4.add(a2, f32x4.mul(v, v128.load(q, 32)));
    a3 = f32x4.add(a3, f32x4.mul(v, v128.load(q, 48)));
    a4 = f32x4.add(a4, f32x4.mul(v, v128.load(q, 64)));
    a5 = f32x4.add(a5, f32x4.mul(v, v128.load(q, 80)));
    a6 = f32x4.add(a6, f32x4.mul(v, v128.load(q, 96)));
    a7 = f32x4.add(a7, f32x4.mul(v, v128.load(q, 112)));
  }
  v128.store(o, a0); v128.store(o, a1, 16); v128.store(o, a2, 32); v128.store(o, a3, 48);
  v128.store(o, a4, 64); v128.store(o, a5, 80); v128.store(o, a6, 96); v128.store(o, a7, 112);
}

function sum3(p: usize, stop: usize, rows: usize, o: usize, more: u32): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0;
  if (more) {
    a0 = v128.load(o); a1 = v128.load(o, 16); a2 = v128.load(o, 32);
  }
  for (; p < stop; p += 8) {
    const q = rows + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = f32x4.add(a0, f32x4.mul(v, v128.load(q)));
    a1 = f32x4.add(a1, f32x4.mul(v, v128.load(q, 16)));
    a2 = f32x4.add(a2, f32x4.mul(v, v128.load(q, 32)));
  }
  v128.store(o, a0); v128.store(o, a1, 16); v128.store(o, a2, 32);
}

/** Appends {offset + step * lane, value} of the non-zero lanes of eight (or `count`) vectors; returns the end of the list. Writes up to one entry beyond it. */
// @ts-ignore: decorator
@inline
export function append(q: usize, values: usize, count: u32, offset: u32, step: u32): usize {
  const zero = f32x4.splat(0);
  for (const stop = values + (<usize>count << 4); values < stop; values += 16, offset += step << 2) {
    const v = v128.load(values);
    const some = f32x4.ne(v, zero);
    if (!v128.any_true(some)) continue;
    const lanes = i32x4.bitmask(some);
    store<u32>(q, offset); store<f32>(q, f32x4.extract_lane(v, 0), 4); q += (lanes & 1) << 3;
    store<u32>(q, offset + step); store<f32>(q, f32x4.extract_lane(v, 1), 4); q += (lanes & 2) << 2;
    store<u32>(q, offset + step * 2); store<f32>(q, f32x4.extract_lane(v, 2), 4); q += (lanes & 4) << 1;
    store<u32>(q, offset + step * 3); store<f32>(q, f32x4.extract_lane(v, 3), 4); q += lanes & 8;
  }
  return q;
}

/** Turns thread t's samples between columns (features at stride 128) and rows. toRows: C -> R, else R -> C. */
export function flip(from: usize, to: usize, features: u32, room: u32, samples: u32, toRows: u32, t: u32, n: u32): void {
  const height = pad4(features);
  const end = lastTile(samples, t, n);
  for (let st = firstTile(samples, t, n); st < end; st++) {
    for (let f: usize = 0; f < height; f += 4) {
      const c = (toRows ? from : to) + (<usize>st * height + f) * TILE;
      const r = (toRows ? to : from) + ((f >> 5) * <usize>room + (<usize>st << 5)) * TILE + ((f & 31) << 2);
      if (toRows) for (let s: usize = 0; s < 32; s += 4) flip4(c + (s << 2), r + s * TILE);
      else for (let s: usize = 0; s < 32; s += 4) flip4(r + s * TILE, c + (s << 2));
    }
  }
}

/** A 4x4 transpose between rows of 128 bytes. */
// @ts-ignore: decorator
@inline
function flip4(p: usize, q: usize): void {
  const a = v128.load(p), b = v128.load(p, 128), c = v128.load(p, 256), d = v128.load(p, 384);
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const AB = i32x4.shuffle(a, b, 2, 6, 3, 7), CD = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(q, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(q, i64x2.shuffle(ab, cd, 1, 3), 128);
  v128.store(q, i64x2.shuffle(AB, CD, 0, 2), 256);
  v128.store(q, i64x2.shuffle(AB, CD, 1, 3), 384);
}

/**
 * Columns of (pixel - mean) * scale from the uint8 rows named by `rows`; samples beyond `count` are zero. Rows lie anywhere: they are
 * copied side by side to `raw` ([thread][32 rows of a multiple of 16 bytes]) first.
 */
export function gatherColumns(
  images: usize, rows: usize, count: u32, features: u32, mean: f32, scale: f32, out: usize, raw: usize, t: u32, n: u32,
): void {
  const m = f32x4.splat(mean), s = f32x4.splat(scale);
  const height = pad4(features);
  const width = <usize>((features + 15) & ~15);
  const mine = raw + <usize>t * width * 32;
  const end = lastTile(count, t, n);
  for (let st = firstTile(count, t, n); st < end; st++) {
    const tile = out + <usize>st * height * TILE;
    const here = min<u32>(32, count - (st << 5));
    for (let j: u32 = 0; j < here; j++) {
      memory.copy(mine + <usize>j * width, images + <usize>load<u32>(rows + (<usize>((st << 5) + j) << 2)) * features, features);
    }
    for (let k: usize = 0; k < width; k += 16) {
      const full = k + 16 <= <usize>features;
      for (let g: u32 = 0; g < 32; g += 4) {
        let o = tile + k * TILE + (<usize>g << 2);
        let p = mine + <usize>g * width + k;
        if (g + 4 > here || !full) {
          const stop = min<usize>(k + 16, features);
          for (let i = k; i < stop; i++, o += TILE, p++) {
            for (let j: u32 = 0; j < 4; j++) store<f32>(o + (<usize>j << 2), g + j < here ? (<f32>load<u8>(p + <usize>j * width) - mean) * scale : 0);
          }
          continue;
        }
        const a = v128.load(p); p += width;
        const b = v128.load(p); p += width;
        const c = v128.load(p); p += width;
        const d = v128.load(p);
        const ab = i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const AB = i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        const cd = i8x16.shuffle(c, d, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const CD = i8x16.shuffle(c, d, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        o = put4(i16x8.shuffle(ab, cd, 0, 8, 1, 9, 2, 10, 3, 11), m, s, o);
        o = put4(i16x8.shuffle(ab, cd, 4, 12, 5, 13, 6, 14, 7, 15), m, s, o);
        o = put4(i16x8.shuffle(AB, CD, 0, 8, 1, 9, 2, 10, 3, 11), m, s, o);
        put4(i16x8.shuffle(AB, CD, 4, 12, 5, 13, 6, 14, 7, 15), m, s, o);
      }
    }
  }
}

/** Four features of four samples, as bytes, to four rows. */
// @ts-ignore: decorator
@inline
function put4(bytes: v128, m: v128, s: v128, o: usize): usize {
  const low = i16x8.extend_low_i8x16_u(bytes), high = i16x8.extend_high_i8x16_u(bytes);
  v128.store(o, f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(low)), m), s));
  v128.store(o, f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(low)), m), s), 128);
  v128.store(o, f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(high)), m), s), 256);
  v128.store(o, f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(high)), m), s), 384);
  return o + 512;
}
