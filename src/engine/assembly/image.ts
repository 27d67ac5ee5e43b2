// Images in memory and the layers that only move them: pixels in, max-pool there and back, transposes.
//
//   [sample][y][x][channel], 4 bytes a value, channels padded with zeros to a multiple of 4
//
// A tensor that a convolution reads has a border of zero pixels around each image; strides say so, and its address is that of the
// first real pixel. Every loop moves whole vectors of channels. What fits i32 and f32 alike is written once.

import { first, last } from './threads';

/** One layer's geometry, written once by JavaScript: x is its input, out its output; strides in bytes, channels padded. A kernel's window
 * of an output pixel (y, x) begins at pixel (y - before, x - before) of the input, and reads zeros outside. */
// @ts-ignore: decorator
@unmanaged
export class Shape {
  /** Of the input. */
  height: u32;
  width: u32;
  channels: u32;
  filters: u32;
  xSample: u32;
  xRow: u32;
  outSample: u32;
  outRow: u32;
  /** Of the output. */
  outHeight: u32;
  outWidth: u32;
  /** Side of a convolution's kernel; 0 for other layers. */
  kernel: u32;
  before: u32;
  /** Where a kernel works on channel planes (kept.ts): positions from a row to the next, and bytes of a plane. */
  pitch: u32;
  plane: u32;
}

// @ts-ignore: decorator
@inline
export function positive<T>(v: v128): v128 {
  if (isInteger<T>()) return i32x4.max_s(v, i32x4.splat(0));
  return f32x4.pmax(v, f32x4.splat(0));
}

/** What follows a finished sum: bias, ReLU, or, for a gradient, zero where the gate is not positive. */
// @ts-ignore: decorator
@inline
export function finish<T>(v: v128, bias: usize, relu: u32, gate: usize): v128 {
  if (bias) v = v128.add<T>(v, v128.load(bias));
  if (relu) v = positive<T>(v);
  if (gate) v = v128.and(v, f32x4.gt(v128.load(gate), f32x4.splat(0)));
  return v;
}

/** How raw values become activations. */
const BYTES: u32 = 0;
const FLOATS: u32 = 1;

/**
 * Writes images into a tensor of `channels` (unpadded) channels: (value - mean) * scale as f32, or whole pixels as i32.
 * @param order 0 or the numbers of the wanted rows
 * @param kind 0 bytes to f32, 1 f32 to f32, 2 bytes to i32
 */
export function images(
  raw: usize, order: usize, count: u32, height: u32, width: u32, channels: u32, kind: u32, mean: f32, scale: f32,
  out: usize, sample: u32, row: u32, t: u32, n: u32,
): void {
  const pixel = ((channels + 3) & ~3) << 2;
  const features = height * width * channels;
  const end = last(count, t, n);
  for (let i = first(count, t, n); i < end; i++) {
    let k = (order ? load<u32>(order + (<usize>i << 2)) : i) * features;
    for (let y: u32 = 0; y < height; y++) {
      let q = out + <usize>i * sample + <usize>y * row;
      for (let x: u32 = 0; x < width; x++, q += pixel) {
        for (let c: u32 = 0; c < channels; c++, k++) {
          const to = q + (<usize>c << 2);
          if (kind == BYTES) store<f32>(to, (<f32>load<u8>(raw + k) - mean) * scale);
          else if (kind == FLOATS) store<f32>(to, (load<f32>(raw + (<usize>k << 2)) - mean) * scale);
          else store<i32>(to, load<u8>(raw + k));
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function larger<T>(a: v128, b: v128): v128 {
  if (isInteger<T>()) return i32x4.max_s(a, b);
  return f32x4.pmax(a, b);
}

/** The largest of each 2x2; an odd last row or column is dropped. */
export function pool<T>(shape: Shape, count: u32, x: usize, out: usize, t: u32, n: u32): void {
  const height = shape.height >> 1;
  const width = shape.width >> 1;
  const pixel = <usize>shape.channels << 2;
  const row = <usize>shape.xRow;
  const end = last(count * height, t, n);
  for (let r = first(count * height, t, n); r < end; r++) {
    const i = r / height;
    const y = r % height;
    let p = x + <usize>i * shape.xSample + <usize>(y << 1) * row;
    let q = out + <usize>i * shape.outSample + <usize>y * shape.outRow;
    for (let column: u32 = 0; column < width; column++, p += pixel << 1, q += pixel) {
      for (let c: usize = 0; c < pixel; c += 16) {
        const top = larger<T>(v128.load(p + c), v128.load(p + pixel + c));
        const bottom = larger<T>(v128.load(p + row + c), v128.load(p + row + pixel + c));
        v128.store(q + c, larger<T>(top, bottom));
      }
    }
  }
}

/**
 * The gradient of a pool: d goes to the first of the largest in (y, x) order, the others get 0.
 * @param relu 1: x came out of a ReLU, so what is not positive gets 0 too
 */
export function unpool(shape: Shape, count: u32, x: usize, d: usize, dx: usize, relu: u32, t: u32, n: u32): void {
  const height = shape.height >> 1;
  const width = shape.width >> 1;
  const pixel = <usize>shape.channels << 2;
  const row = <usize>shape.xRow;
  const zero = f32x4.splat(0);
  const end = last(count * height, t, n);
  for (let r = first(count * height, t, n); r < end; r++) {
    const i = r / height;
    const y = r % height;
    const at = <usize>i * shape.xSample + <usize>(y << 1) * row;
    let p = x + at;
    let q = dx + at;
    let g = d + <usize>i * shape.outSample + <usize>y * shape.outRow;
    for (let column: u32 = 0; column < width; column++, p += pixel << 1, q += pixel << 1, g += pixel) {
      for (let c: usize = 0; c < pixel; c += 16) {
        const x0 = v128.load(p + c), x1 = v128.load(p + pixel + c);
        const x2 = v128.load(p + row + c), x3 = v128.load(p + row + pixel + c);
        const right = f32x4.gt(x1, x0);
        const top = v128.bitselect(x1, x0, right);
        const below = f32x4.gt(x2, top);
        const three = v128.bitselect(x2, top, below);
        const corner = f32x4.gt(x3, three);
        let left = v128.load(g + c);
        if (relu) left = v128.and(left, f32x4.gt(v128.bitselect(x3, three, corner), zero));
        v128.store(q + row + pixel + c, v128.and(left, corner));
        left = v128.andnot(left, corner);
        v128.store(q + row + c, v128.and(left, below));
        left = v128.andnot(left, below);
        v128.store(q + pixel + c, v128.and(left, right));
        v128.store(q + c, v128.andnot(left, right));
      }
    }
  }
}

/** Stores the columns of the rows a, b, c, d at p0 .. p3. */
// @ts-ignore: decorator
@inline
export function columns(a: v128, b: v128, c: v128, d: v128, p0: usize, p1: usize, p2: usize, p3: usize): void {
  const low = i32x4.shuffle(a, b, 0, 4, 1, 5), high = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const low2 = i32x4.shuffle(c, d, 0, 4, 1, 5), high2 = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(p0, i64x2.shuffle(low, low2, 0, 2));
  v128.store(p1, i64x2.shuffle(low, low2, 1, 3));
  v128.store(p2, i64x2.shuffle(high, high2, 0, 2));
  v128.store(p3, i64x2.shuffle(high, high2, 1, 3));
}

// @ts-ignore: decorator
@inline
export function close(q: usize, gate: usize): void {
  v128.store(q, v128.and(v128.load(q), f32x4.gt(v128.load(gate), f32x4.splat(0))));
}

/**
 * out[column][row] = a[row][column] in blocks of 4x4: rows and columns are rounded up to multiples of 4, which must exist.
 * @param gate 0 or a matrix like out: results where it is not positive become 0
 */
export function turn(a: usize, rows: u32, columnCount: u32, stride: u32, out: usize, outStride: u32, gate: usize, t: u32, n: u32): void {
  const groups = (columnCount + 3) >> 2;
  const end = last(groups, t, n);
  const s = <usize>stride;
  const o = <usize>outStride;
  for (let c = first(groups, t, n); c < end; c++) {
    let p = a + (<usize>c << 4);
    let q = out + (<usize>c << 2) * o;
    for (let r: u32 = 0; r < rows; r += 4, p += s << 2, q += 16) {
      columns(v128.load(p), v128.load(p + s), v128.load(p + (s << 1)), v128.load(p + s * 3), q, q + o, q + (o << 1), q + o * 3);
      if (!gate) continue;
      const g = gate + (q - out);
      close(q, g);
      close(q + o, g + o);
      close(q + (o << 1), g + (o << 1));
      close(q + o * 3, g + o * 3);
    }
  }
}

/** a &= b over `count` floats (a multiple of 4): b is a mask of all or no bits. */
export function restrict(a: usize, b: usize, count: u32, t: u32, n: u32): void {
  const end = <usize>last(count >> 2, t, n) << 4;
  for (let k = <usize>first(count >> 2, t, n) << 4; k < end; k += 16) v128.store(a + k, v128.and(v128.load(a + k), v128.load(b + k)));
}
