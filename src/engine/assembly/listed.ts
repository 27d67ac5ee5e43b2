// Non-zero inputs against dense weights: convolution where masks keep much but activations are often zero (ReLU), forward and input
// gradient, f32.
//
//   out[y][x][0..32 filters) += value * weights[ky][kx][channel][0..32)     for each non-zero of the window of (y, x)
//
// The non-zeros of a row are one list, left to right; the pixels of a kernel row are a run of it, and since an entry's offset
// counts channels from the row's start, moving one pixel moves the weights' base. Weights lie in tiles of 32 filters: a tile's kernel
// row stays in the first cache while it sweeps the image row. The lists of a window's rows are kept in a ring.
//
// The input gradient is the same sum over dZ with the image mirrored: reading rows upwards and columns from right to left gives the
// canonical order (ky, kx, filter).
//
// Ladder (as in walk.ts; microseconds an image, half of the inputs not zero, and mirrored with 17 %):
//   1. a branch for each non-zero                 1241   605
//   2. lists without branches, whole cache lines  1140   520
//   3. four values at a time                      1100   470: 17 and 14 billion multiply-adds a second

import { finish, Shape } from './image';
import { first, last } from './threads';
import { append4, walk, ZEROS } from './walk';

const TILE: u32 = 128;

/**
 * Weights for `listed`: out[tile][tap][inner][32 lanes] = weights[tap * wa + inner * wb + lane * wc], strides in bytes.
 * Lanes past the end of the last tile stay as they are (0).
 */
export function lanes(weights: usize, taps: u32, wa: u32, inner: u32, wb: u32, count: u32, wc: u32, out: usize, t: u32, n: u32): void {
  const rows = taps * inner;
  const end = last(rows, t, n);
  for (let r = first(rows, t, n); r < end; r++) {
    const p = weights + <usize>(r / inner) * wa + <usize>(r % inner) * wb;
    for (let lane: u32 = 0; lane < count; lane++) {
      const q = out + (<usize>(lane >> 5) * rows + r) * TILE + (<usize>(lane & 31) << 2);
      store<f32>(q, load<f32>(p + <usize>lane * wc));
    }
  }
}

/** Lists one row's non-zeros: starts[0 .. outWidth + kernel) (byte addresses) by bordered column, then the entries; mirrored: right to left. */
function list(shape: Shape, x: usize, y: i32, mirror: bool, starts: usize, entries: usize): void {
  const wide = shape.width;
  const pixel = <usize>shape.channels << 2;
  let q = entries;
  const inside = y >= 0 && y < <i32>shape.height;
  const stop = shape.outWidth + shape.kernel;
  const border = mirror ? stop - 1 - shape.before - wide : shape.before;
  let at: u32 = 0;
  for (; at < border; at++) store<usize>(starts + (<usize>at << 2), q);
  for (let k: u32 = 0; k < wide; k++, at++) {
    store<usize>(starts + (<usize>at << 2), q);
    if (!inside) continue;
    let offsets = i32x4.add(i32x4.splat(at * shape.channels * TILE), i32x4(0, TILE, 2 * TILE, 3 * TILE));
    const row = x + <usize>y * shape.xRow + <usize>(mirror ? wide - 1 - k : k) * pixel;
    for (let c: usize = 0; c < pixel; c += 16) {
      q = append4(q, offsets, v128.load(row + c));
      offsets = i32x4.add(offsets, i32x4.splat(4 * TILE));
    }
  }
  for (; at < stop; at++) store<usize>(starts + (<usize>at << 2), q);
}

/**
 * @param mirror 1: x is dZ and out the input gradient
 * @param bias, relu, gate as in keptConv
 * @param scratch `room` bytes a thread: sums of a row (128 bytes a pixel), then a kernel's rows of starts and entries
 */
export function listedConv(
  shape: Shape, count: u32, x: usize, out: usize, weights: usize, mirror: u32, bias: usize, relu: u32, gate: usize,
  scratch: usize, room: u32, t: u32, n: u32,
): void {
  const wide = shape.outWidth;
  const height = shape.outHeight;
  const kernel = shape.kernel;
  const channels = <usize>shape.channels;
  const vectors = shape.filters >> 2;
  const tiles = (vectors + 7) >> 3;
  const kernelRow = kernel * channels * TILE;
  const sums = scratch + <usize>t * room;
  const ring = sums + <usize>wide * TILE;
  const header = (<usize>(wide + kernel) << 2) + 15 & ~15;
  const slot = header + (<usize>shape.width * channels << 3);
  const end = last(count * height, t, n);
  for (let r = first(count * height, t, n); r < end; ) {
    const sample = r / height;
    let y = r % height;
    const stop = min<u32>(height, y + end - r);
    r += stop - y;
    const from = x + <usize>sample * shape.xSample;
    for (let ky: u32 = 0; ky < kernel - 1; ky++) {
      const at = ring + <usize>((y + ky) % kernel) * slot;
      list(shape, from, y + ky - shape.before, mirror != 0, at, at + header);
    }
    for (; y < stop; y++) {
      const next = ring + <usize>((y + kernel - 1) % kernel) * slot;
      list(shape, from, y + kernel - 1 - shape.before, mirror != 0, next, next + header);
      const to = <usize>sample * shape.outSample + <usize>y * shape.outRow;
      for (let tile: u32 = 0; tile < tiles; tile++) {
        const some = min<u32>(8, vectors - (tile << 3));
        for (let ky: u32 = 0; ky < kernel; ky++) {
          let s = ring + <usize>((mirror ? y + kernel - 1 - ky : y + ky) % kernel) * slot;
          let w = weights + (<usize>tile * kernel + ky) * kernelRow;
          for (let k: u32 = 0; k < wide; k++, s += 4, w -= channels * TILE) {
            const to = sums + <usize>k * TILE;
            walk<f32>(some, load<usize>(s), load<usize>(s + (<usize>kernel << 2)), w, ky == 0 ? ZEROS : to, to);
          }
        }
        for (let k: u32 = 0; k < wide; k++) {
          const column = mirror ? wide - 1 - k : k;
          const at = to + (<usize>column * shape.filters << 2) + <usize>tile * TILE;
          for (let v: usize = 0; v < <usize>some << 4; v += 16) {
            const sum = v128.load(sums + <usize>k * TILE + v);
            v128.store(out + at + v, finish<f32>(sum, bias ? bias + <usize>tile * TILE + v : 0, relu, gate ? gate + at + v : 0));
          }
        }
      }
    }
  }
}
