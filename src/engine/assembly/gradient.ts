// The weight gradient of a convolution from the non-zeros of dZ: after ReLU and max-pool four fifths of dZ are zero.
//
//   dW[filter][ky][0..k channels) += dz * x[y + ky - before][x - before .. +k)     for each non-zero dz of the filter, sample, y, x ascending
//
// Neighbouring pixels are contiguous, so a kernel row is one strip of k x channels. Filters are dealt to the threads. A few
// image rows at a time: their non-zeros are listed by filter, then every filter's list walks the same pixels while they are cached.
//
// Ladder (as in walk.ts; 17 % of dZ not zero, microseconds an image; in brackets an image of 4 channels):
//   1. 4 rows a block, a branch for each non-zero              648 (193)
//   2. lists without branches, then four filters at once       516  (90)
//   3. strips of 12 vectors, 8 rows a block; walk9 by itself   485  (69)
//   4. slices of 16 channels: what a list walks stays in the first cache; 12 rows a block   420: 15 billion multiply-adds a second
//   -  2 rows a block in place of 4 or 8, lists of 11 entries: 10 % slower

import { Shape } from './image';
import { first, last } from './threads';
import { append, append4, walk, walk9, width as widest } from './walk';

/** Image rows a block. */
const ROWS: u32 = 12;
/** Bytes of 16 channels. */
const SLICE: usize = 64;

/**
 * @param x has a border of zeros; out and dz have the same geometry
 * @param gradient [filter][ky][kx][channels], overwritten
 * @param dBias 0, or sums of dz by filter, overwritten
 * @param lists 8 bytes for each value of ROWS image rows of dZ; counts 4 bytes a filter
 * @param scratch `room` bytes a thread: ROWS + k - 1 rows of x, or a kernel row of weights
 */
export function convGradient(
  shape: Shape, count: u32, x: usize, dz: usize, gradient: usize, dBias: usize, lists: usize, counts: usize,
  scratch: usize, room: u32, t: u32, n: u32,
): void {
  const begin = first(shape.filters >> 2, t, n) << 2;
  const end = last(shape.filters >> 2, t, n) << 2;
  if (end <= begin) return;
  const pixel = <usize>shape.channels << 2;
  const row = <usize>shape.xRow;
  const side = <usize>shape.kernel;
  const more = shape.kernel - 1;
  const strip = pixel * side;
  const kernel = strip * side;
  const sliced = pixel > SLICE && pixel % SLICE == 0;
  const slices = scratch + <usize>t * room;
  const sliceRow = <usize>(shape.outWidth + more) * SLICE;
  const sliceStrip = side * SLICE;
  const capacity = <usize>(ROWS * shape.outWidth) << 3;
  memory.fill(gradient + <usize>begin * kernel, 0, <usize>(end - begin) * kernel);
  if (dBias) memory.fill(dBias + (<usize>begin << 2), 0, <usize>(end - begin) << 2);
  for (let sample: u32 = 0; sample < count; sample++) {
    for (let y: u32 = 0; y < shape.outHeight; y += ROWS) {
      const rows = min<u32>(ROWS, shape.outHeight - y);
      const z = dz + <usize>sample * shape.outSample + <usize>y * shape.outRow;
      const corner = x + <usize>sample * shape.xSample + <usize>y * row - <usize>shape.before * (row + pixel);
      collect(shape, z, rows, begin, end, lists, capacity, counts, <u32>(sliced ? sliceRow : row), <u32>(sliced ? SLICE : pixel));
      if (dBias) addBiases(begin, end, lists, capacity, counts, dBias);
      if (sliced) {
        slice(shape, corner, rows + more, slices);
        for (let at: usize = 0, s = slices; at < strip; at += sliceStrip, s += <usize>(rows + more) * sliceRow) {
          sweepStrip(sliceStrip, side, s, sliceRow, strip, gradient + at, kernel, begin, end, lists, capacity, counts);
        }
      } else if (pixel == 16 && side == 3) {
        for (let f = begin; f < end; f++) {
          walk9(lists + <usize>f * capacity, ending(lists, capacity, counts, f), corner, row, gradient + <usize>f * kernel);
        }
      } else {
        sweepStrip(strip, side, corner, row, strip, gradient, kernel, begin, end, lists, capacity, counts);
      }
    }
  }
  if (sliced) for (let f = begin; f < end; f++) for (let ky: usize = 0; ky < side; ky++) order(gradient + <usize>f * kernel + ky * strip, side, pixel, slices);
}

/** All filters' lists over `wide` bytes of x in all kernel rows. */
// @ts-ignore: decorator
@inline
function sweepStrip(
  wide: usize, side: usize, x: usize, row: usize, strip: usize, gradient: usize, kernel: usize, begin: u32, end: u32,
  lists: usize, capacity: usize, counts: usize,
): void {
  for (let at: usize = 0; at < wide; ) {
    const vectors = widest(<u32>((wide - at) >> 4));
    for (let ky: usize = 0, from = x + at; ky < side; ky++, from += row) {
      for (let f = begin; f < end; f++) {
        const sum = gradient + <usize>f * kernel + ky * strip + at;
        walk<f32>(vectors, lists + <usize>f * capacity, ending(lists, capacity, counts, f), from, sum, sum);
      }
    }
    at += <usize>vectors << 4;
  }
}

// @ts-ignore: decorator
@inline
function ending(lists: usize, capacity: usize, counts: usize, f: u32): usize {
  return lists + <usize>f * capacity + (<usize>load<u32>(counts + (<usize>f << 2)) << 3);
}

function addBiases(begin: u32, end: u32, lists: usize, capacity: usize, counts: usize, dBias: usize): void {
  for (let f = begin; f < end; f++) {
    const b = dBias + (<usize>f << 2);
    const stop = ending(lists, capacity, counts, f);
    let sum = load<f32>(b);
    for (let p = lists + <usize>f * capacity; p < stop; p += 8) sum += load<f32>(p, 4);
    store<f32>(b, sum);
  }
}

/** Copies rows of x as slices [channel / 16][row][column][channel % 16]. */
function slice(shape: Shape, x: usize, rows: u32, out: usize): void {
  const wide = shape.outWidth + shape.kernel - 1;
  const pixel = <usize>shape.channels << 2;
  const size = <usize>(rows * wide) * SLICE;
  for (let y: u32 = 0; y < rows; y++) {
    let p = x + <usize>y * shape.xRow;
    for (let k: u32 = 0; k < wide; k++) {
      let q = out + <usize>(y * wide + k) * SLICE;
      for (const stop = p + pixel; p < stop; p += SLICE, q += size) {
        v128.store(q, v128.load(p));
        v128.store(q, v128.load(p, 16), 16);
        v128.store(q, v128.load(p, 32), 32);
        v128.store(q, v128.load(p, 48), 48);
      }
    }
  }
}

/** Brings a kernel row of weights from [channel / 16][kx][channel % 16] to [kx][channel]. */
function order(weights: usize, side: usize, pixel: usize, room: usize): void {
  memory.copy(room, weights, pixel * side);
  for (let c: usize = 0, p = room; c < pixel; c += SLICE) {
    for (let kx: usize = 0; kx < side; kx++, p += SLICE) memory.copy(weights + kx * pixel + c, p, SLICE);
  }
}

/** Lists the non-zeros of a few rows of dZ by filter, four at once; an entry's offset is that of its pixel in x, from the block's corner. */
function collect(
  shape: Shape, dz: usize, rows: u32, begin: u32, end: u32, lists: usize, capacity: usize, counts: usize, rowStep: u32, step: u32,
): void {
  const pixel = <usize>shape.filters << 2;
  const whole = shape.outWidth & ~3;
  for (let f = begin; f < end; f += 4) {
    const l0 = lists + <usize>f * capacity, l1 = l0 + capacity, l2 = l1 + capacity, l3 = l2 + capacity;
    let q0 = l0, q1 = l1, q2 = l2, q3 = l3;
    for (let y: u32 = 0; y < rows; y++) {
      let p = dz + <usize>y * shape.outRow + (<usize>f << 2);
      let offset = y * rowStep;
      let k: u32 = 0;
      for (; k < whole; k += 4, p += pixel << 2, offset += step << 2) {
        const offsets = i32x4.add(i32x4.splat(offset), i32x4(0, step, 2 * step, 3 * step));
        const r = p + (pixel << 1);
        const a = v128.load(p), b = v128.load(p + pixel), c = v128.load(r), d = v128.load(r + pixel);
        const low = i32x4.shuffle(a, b, 0, 4, 1, 5), high = i32x4.shuffle(a, b, 2, 6, 3, 7);
        const low2 = i32x4.shuffle(c, d, 0, 4, 1, 5), high2 = i32x4.shuffle(c, d, 2, 6, 3, 7);
        q0 = append4(q0, offsets, i64x2.shuffle(low, low2, 0, 2));
        q1 = append4(q1, offsets, i64x2.shuffle(low, low2, 1, 3));
        q2 = append4(q2, offsets, i64x2.shuffle(high, high2, 0, 2));
        q3 = append4(q3, offsets, i64x2.shuffle(high, high2, 1, 3));
      }
      for (; k < shape.outWidth; k++, p += pixel, offset += step) {
        q0 = append(q0, offset, load<u32>(p));
        q1 = append(q1, offset, load<u32>(p, 4));
        q2 = append(q2, offset, load<u32>(p, 8));
        q3 = append(q3, offset, load<u32>(p, 12));
      }
    }
    const c = counts + (<usize>f << 2);
    store<u32>(c, <u32>((q0 - l0) >> 3));
    store<u32>(c, <u32>((q1 - l1) >> 3), 4);
    store<u32>(c, <u32>((q2 - l2) >> 3), 8);
    store<u32>(c, <u32>((q3 - l3) >> 3), 12);
  }
}
