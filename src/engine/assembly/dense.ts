// Dense layers behind convolutions, samples in the lanes: x[feature][sample], out[unit][sample]. Weights lie [unit][feature]; a layer
// of a convolutional network is wide (16,384 features), so every kernel goes through it in blocks that the caches hold.
//
//   keptDense      lists of kept weights, made once: inference
//   dense          the weights themselves: a block of a unit's weights becomes a list on the way, so zeros cost a look and nothing is held
//   denseBack      dx[feature] += weight * dz[unit] in ascending unit, the same lists
//   strips         dW[unit][feature ..] += dz * x[sample][feature ..] from lists of a unit's non-zero dz, and
//                  dx[sample][feature ..] += dz * weights[unit][feature ..] from lists of a sample's
//
// Ladder (as in walk.ts; 16,384 features, 256 units, 60 samples, milliseconds):
//   forward         sparse.ts wants rows by input; dense in blocks of 256 features 26, of 128 21; a tenth of the weights kept 7.0, lists by fours 5.1
//   weight gradient sparse.ts `product`, 128 bytes of each row at a time 14; strips 9.6, of 192 bytes 8.3
//   input gradient  `product` over rows 64 KiB apart 18; strips 12; denseBack with a tenth of the weights kept 4.9

import { close, finish } from './image';
import { first, last } from './threads';
import { append4, walk, width as widest, ZEROS } from './walk';

/** Bias and ReLU of one unit's row of samples. */
// @ts-ignore: decorator
@inline
function ending<T>(o: usize, used: u32, bias: usize, relu: u32): void {
  if (!bias && !relu) return;
  for (let at: usize = 0; at < <usize>used; at += 16) {
    let v = v128.load(o + at);
    if (bias) v = v128.add<T>(v, v128.load32_splat(bias));
    v128.store(o + at, finish<T>(v, 0, relu, 0));
  }
}

/** A list over `bytes` of lanes. */
// @ts-ignore: decorator
@inline
function strip<T>(p: usize, stop: usize, base: usize, fresh: bool, to: usize, bytes: u32): void {
  for (let at: u32 = 0; at < bytes; ) {
    const vectors = widest((bytes - at) >> 4);
    walk<T>(vectors, p, stop, base + at, fresh ? ZEROS : to + at, to + at);
    at += vectors << 4;
  }
}

/**
 * @param stride bytes from row to row of x and out
 * @param used bytes of a row that hold samples
 */
export function keptDense<T>(
  lists: usize, counts: usize, capacity: u32, units: u32, x: usize, stride: u32, used: u32, out: usize, bias: usize, relu: u32, t: u32, n: u32,
): void {
  const end = last(units, t, n);
  for (let u = first(units, t, n); u < end; u++) {
    const p = lists + <usize>u * (<usize>capacity << 3);
    const o = out + <usize>u * stride;
    strip<T>(p, p + (<usize>load<u32>(counts + (<usize>u << 2)) << 3), x, true, o, used);
    ending<T>(o, used, bias ? bias + (<usize>u << 2) : 0, relu);
  }
}

/** Features a block: its rows of samples stay in the caches while all units pass. */
const BLOCK: u32 = 128;
/** Bytes of lists a thread: BLOCK entries. */
const LIST: usize = <usize>BLOCK << 3;

/** Lists the non-zero weights from..stop (fours) of a row; entry offset = feature * stride, from `from` on. Returns the list's end. */
// @ts-ignore: decorator
@inline
function listed(row: usize, from: u32, stop: u32, stride: u32, list: usize): usize {
  let q = list;
  const end = row + (<usize>stop << 2);
  let offsets = i32x4(0, stride, 2 * stride, 3 * stride);
  const next = i32x4.splat(4 * stride);
  for (let p = row + (<usize>from << 2); p < end; p += 16) {
    q = append4(q, offsets, v128.load(p));
    offsets = i32x4.add(offsets, next);
  }
  return q;
}

/** @param scratch LIST bytes a thread */
export function dense(
  weights: usize, pitch: u32, units: u32, features: u32, x: usize, stride: u32, used: u32, out: usize, bias: usize, relu: u32,
  scratch: usize, t: u32, n: u32,
): void {
  const begin = first(units, t, n);
  const end = last(units, t, n);
  const list = scratch + <usize>t * LIST;
  for (let from: u32 = 0; from < features; from += BLOCK) {
    const stop = min<u32>(from + BLOCK, features);
    for (let u = begin; u < end; u++) {
      const q = listed(weights + <usize>u * pitch, from, stop, stride, list);
      strip<f32>(list, q, x + <usize>from * stride, from == 0, out + <usize>u * stride, used);
    }
  }
  for (let u = begin; u < end; u++) ending<f32>(out + <usize>u * stride, used, bias ? bias + (<usize>u << 2) : 0, relu);
}

/** dx[feature][sample] from dz[unit][sample]; features are dealt. @param scratch LIST bytes a thread */
export function denseBack(
  weights: usize, pitch: u32, units: u32, features: u32, dz: usize, stride: u32, used: u32, dx: usize, scratch: usize, t: u32, n: u32,
): void {
  const end = last(features >> 2, t, n) << 2;
  const list = scratch + <usize>t * LIST;
  for (let from = first(features >> 2, t, n) << 2; from < end; from += BLOCK) {
    const stop = min<u32>(from + BLOCK, end);
    const base = dx + <usize>from * stride;
    memory.fill(base, 0, <usize>(stop - from) * stride);
    for (let u: u32 = 0; u < units; u++) {
      const q = listed(weights + <usize>u * pitch, from, stop, stride, list);
      for (let at: u32 = 0; at < used; ) {
        const vectors = min<u32>(8, widest((used - at) >> 4));
        scatter(vectors, list, q, dz + <usize>u * stride + at, base + at);
        at += vectors << 4;
      }
    }
  }
}

/** to[offset][0..vectors) += value * x[0..vectors) for each entry: the walk turned round. */
// @ts-ignore: decorator
@inline
function scatter(vectors: u32, p: usize, stop: usize, x: usize, to: usize): void {
  if (vectors == 8) scatter8(p, stop, x, to);
  else if (vectors == 4) scatter4(p, stop, x, to);
  else for (let at: usize = 0; at < <usize>vectors << 4; at += 16) scatter1(p, stop, x + at, to + at);
}

// @ts-ignore: decorator
@inline
function add(q: usize, v: v128, x: v128): void {
  v128.store(q, f32x4.add(v128.load(q), f32x4.mul(v, x)));
}

function scatter8(p: usize, stop: usize, x: usize, to: usize): void {
  const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
  const x4 = v128.load(x, 64), x5 = v128.load(x, 80), x6 = v128.load(x, 96), x7 = v128.load(x, 112);
  for (; p < stop; p += 8) {
    const q = to + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    add(q, v, x0);
    add(q + 16, v, x1);
    add(q + 32, v, x2);
    add(q + 48, v, x3);
    add(q + 64, v, x4);
    add(q + 80, v, x5);
    add(q + 96, v, x6);
    add(q + 112, v, x7);
  }
}

function scatter4(p: usize, stop: usize, x: usize, to: usize): void {
  const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
  for (; p < stop; p += 8) {
    const q = to + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    add(q, v, x0);
    add(q + 16, v, x1);
    add(q + 32, v, x2);
    add(q + 48, v, x3);
  }
}

function scatter1(p: usize, stop: usize, x: usize, to: usize): void {
  const v = v128.load(x);
  for (; p < stop; p += 8) add(to + load<u32>(p), v128.load32_splat(p, 4), v);
}

/** Bytes of the rows of b a block: the caches hold them while all lists pass. */
const STRIP: u32 = 192;

/**
 * out[row][0..width) = sum of value * b[..][0..width) over the row's list, whose offsets are into b; strides in bytes, width in floats.
 * @param gate 0 or a matrix like out: results where it is not positive become 0
 */
export function strips(
  lists: usize, counts: usize, capacity: u32, rows: u32, b: usize, wide: u32, out: usize, stride: u32, gate: usize, t: u32, n: u32,
): void {
  const bytes = wide << 2;
  const blocks = (bytes + STRIP - 1) / STRIP;
  const end = min<u32>(bytes, last(blocks, t, n) * STRIP);
  for (let at = first(blocks, t, n) * STRIP; at < end; at += STRIP) {
    const some = min<u32>(STRIP, end - at);
    for (let r: u32 = 0; r < rows; r++) {
      const p = lists + <usize>r * (<usize>capacity << 3);
      const to = <usize>r * stride + at;
      strip<f32>(p, p + (<usize>load<u32>(counts + (<usize>r << 2)) << 3), b + at, true, out + to, some);
      if (gate) for (let k: usize = 0; k < <usize>some; k += 16) close(out + to + k, gate + to + k);
    }
  }
}
