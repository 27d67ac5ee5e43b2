// A sparse matrix (lists of non-zeros) times a dense one, of any width: f32 classification without a mask.
//
//   out[r][0..M) = sum over the entries (i, v) of list r, in ascending i, of v * dense[i][0..M)
//
// Lists are of a sample's non-zero inputs, dense = weights [in][out]. Four fifths of MNIST's pixels and half of all ReLU outputs are zero,
// so the lists are short; skipping a zero term leaves the f32 sum unchanged (engine.ts, canonical order). Training lists non-zeros by the
// same two functions, for the products of gradient.ts and dense.ts.
//
// A list is at most `capacity` entries of 8 bytes: {u32 byte offset of dense row i, f32 v}. Rows are split over the threads.
//
// Ladder: v1 scalar; v2 4 lanes, 1 accumulator; v3 tiles of 32 columns in 8 accumulators, one splat for 16 multiply-adds (this).

import { first, last } from './threads';

/** Lists of the non-zeros of each row of a[rows][columns]; entry offset = column * target. */
export function compressRows(a: usize, rows: u32, columns: u32, stride: u32, lists: usize, counts: usize, capacity: u32, target: u32, t: u32, n: u32): void {
  const end = last(rows, t, n);
  for (let r = first(rows, t, n); r < end; r++) {
    let p = a + <usize>r * stride;
    const list = lists + <usize>r * (<usize>capacity << 3);
    let q = list;
    const whole = columns & ~3;
    const zero = f32x4.splat(0);
    let offset: u32 = 0;
    for (let c: u32 = 0; c < whole; c += 4, p += 16, offset += target << 2) {
      let bits = i32x4.bitmask(f32x4.ne(v128.load(p), zero));
      while (bits) {
        const lane = ctz(bits);
        bits &= bits - 1;
        store<u32>(q, offset + lane * target);
        store<f32>(q, load<f32>(p + (<usize>lane << 2)), 4);
        q += 8;
      }
    }
    for (let c = whole; c < columns; c++, p += 4, offset += target) {
      const v = load<f32>(p);
      if (v != 0) {
        store<u32>(q, offset);
        store<f32>(q, v, 4);
        q += 8;
      }
    }
    store<u32>(counts + (<usize>r << 2), <u32>((q - list) >> 3));
  }
}

/** Lists of the non-zeros of each column of a[rows][columns]; entry offset = row * target. */
export function compressColumns(a: usize, rows: u32, columns: u32, stride: u32, lists: usize, counts: usize, capacity: u32, target: u32, t: u32, n: u32): void {
  // Columns are dealt in fours, so that a group of four lanes has one owner.
  const begin = first((columns + 3) >> 2, t, n) << 2;
  const end = min<u32>(last((columns + 3) >> 2, t, n) << 2, columns);
  const bytes = <usize>capacity << 3;
  const zero = f32x4.splat(0);
  if (end <= begin) return;
  memory.fill(counts + (<usize>begin << 2), 0, <usize>(end - begin) << 2);
  for (let r: u32 = 0; r < rows; r++) {
    const row = a + <usize>r * stride;
    for (let c = begin; c < end; c += 4) {
      const p = row + (<usize>c << 2);
      let bits = i32x4.bitmask(f32x4.ne(v128.load(p), zero));
      while (bits) {
        const lane = ctz(bits);
        bits &= bits - 1;
        const column = c + lane;
        if (column >= end) break;
        const count = counts + (<usize>column << 2);
        const k = load<u32>(count);
        store<u32>(count, k + 1);
        const q = lists + <usize>column * bytes + (<usize>k << 3);
        store<u32>(q, r * target);
        store<f32>(q, load<f32>(p + (<usize>lane << 2)), 4);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function finish(acc: v128, bias: usize, relu: u32, at: usize): v128 {
  if (bias) acc = f32x4.add(acc, v128.load(bias + at));
  if (relu) acc = f32x4.max(acc, f32x4.splat(0));
  return acc;
}

/**
 * out[r][0..width) += nothing: it is overwritten. width is a multiple of 4; strides are in bytes.
 * @param bias 0 or one row added after the sum
 * @param relu 1: negative results become 0
 */
export function product(
  lists: usize, counts: usize, capacity: u32, rows: u32, dense: usize, width: u32,
  out: usize, stride: u32, bias: usize, relu: u32, t: u32, n: u32,
): void {
  const begin = first(rows, t, n);
  const end = last(rows, t, n);
  const bytes = <usize>capacity << 3;
  const columns = <usize>width << 2;
  let at: usize = 0;
  for (; at + 128 <= columns; at += 128) {
    for (let r = begin; r < end; r++) {
      let p = lists + <usize>r * bytes;
      const stop = p + (<usize>load<u32>(counts + (<usize>r << 2)) << 3);
      const d = dense + at;
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
      for (; p < stop; p += 8) {
        const q = d + load<u32>(p);
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
      const o = out + <usize>r * stride + at;
      v128.store(o, finish(a0, bias, relu, at));
      v128.store(o, finish(a1, bias, relu, at + 16), 16);
      v128.store(o, finish(a2, bias, relu, at + 32), 32);
      v128.store(o, finish(a3, bias, relu, at + 48), 48);
      v128.store(o, finish(a4, bias, relu, at + 64), 64);
      v128.store(o, finish(a5, bias, relu, at + 80), 80);
      v128.store(o, finish(a6, bias, relu, at + 96), 96);
      v128.store(o, finish(a7, bias, relu, at + 112), 112);
    }
  }
  for (; at + 48 <= columns; at += 48) {
    for (let r = begin; r < end; r++) {
      let p = lists + <usize>r * bytes;
      const stop = p + (<usize>load<u32>(counts + (<usize>r << 2)) << 3);
      const d = dense + at;
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0;
      for (; p < stop; p += 8) {
        const q = d + load<u32>(p);
        const v = v128.load32_splat(p, 4);
        a0 = f32x4.add(a0, f32x4.mul(v, v128.load(q)));
        a1 = f32x4.add(a1, f32x4.mul(v, v128.load(q, 16)));
        a2 = f32x4.add(a2, f32x4.mul(v, v128.load(q, 32)));
      }
      const o = out + <usize>r * stride + at;
      v128.store(o, finish(a0, bias, relu, at));
      v128.store(o, finish(a1, bias, relu, at + 16), 16);
      v128.store(o, finish(a2, bias, relu, at + 32), 32);
    }
  }
  for (; at < columns; at += 16) {
    for (let r = begin; r < end; r++) {
      let p = lists + <usize>r * bytes;
      const stop = p + (<usize>load<u32>(counts + (<usize>r << 2)) << 3);
      const d = dense + at;
      let acc = f32x4.splat(0);
      for (; p < stop; p += 8) acc = f32x4.add(acc, f32x4.mul(v128.load32_splat(p, 4), v128.load(d + load<u32>(p))));
      v128.store(out + <usize>r * stride + at, finish(acc, bias, relu, at));
    }
  }
}
