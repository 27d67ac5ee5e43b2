// Rows around the products of networks of images and of dense f32 classification: gather, loss and its gradient, optimiser steps.
// Every operation is elementwise or one sample at a time, so ranges can be dealt to threads without changing a bit; the same
// formulas in the same order stand in src/engine/plain.ts.

import { exp, ln } from './exact';
import { first, last } from './threads';

/** x[i][0..features) f32 = (pixel - mean) * scale of the uint8 rows named by `rows`. stride of x in bytes, its padding stays as it is. */
export function gather(images: usize, rows: usize, count: u32, features: u32, mean: f32, scale: f32, x: usize, stride: u32, t: u32, n: u32): void {
  const m = f32x4.splat(mean);
  const s = f32x4.splat(scale);
  const whole = features & ~7;
  const end = last(count, t, n);
  for (let i = first(count, t, n); i < end; i++) {
    const p = images + <usize>load<u32>(rows + (<usize>i << 2)) * features;
    const q = x + <usize>i * stride;
    for (let k: usize = 0; k < <usize>whole; k += 8) {
      const wide = v128.load8x8_u(p + k);
      v128.store(q + (k << 2), f32x4.mul(f32x4.sub(f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(wide)), m), s));
      v128.store(q + (k << 2), f32x4.mul(f32x4.sub(f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(wide)), m), s), 16);
    }
    for (let k: usize = whole; k < <usize>features; k++) store<f32>(q + (k << 2), (<f32>load<u8>(p + k) - mean) * scale);
  }
}

/** The same transform on f32 rows that lie back to back. */
export function shift(values: usize, count: u32, features: u32, mean: f32, scale: f32, x: usize, stride: u32, t: u32, n: u32): void {
  const end = last(count, t, n);
  for (let i = first(count, t, n); i < end; i++) {
    const p = values + (<usize>i * features << 2);
    const q = x + <usize>i * stride;
    for (let k: usize = 0; k < <usize>features << 2; k += 4) store<f32>(q + k, (load<f32>(p + k) - mean) * scale);
  }
}

/** Offset of class j where outputs are an image of padded pixels; a dense layer is one pixel. */
// @ts-ignore: decorator
@inline
function output(j: u32, channels: u32): usize {
  return <usize>((j / channels) * ((channels + 3) & ~3) + (j % channels)) << 2;
}

/**
 * Softmax cross-entropy of the `classes` values of z[i]: losses[i] f64, dz = (softmax - onehot) / count, 0 where a ReLU cut z and in
 * the padding of pixels of `channels` values.
 */
export function crossEntropy(
  z: usize, stride: u32, count: u32, classes: u32, channels: u32, labels: usize, rows: usize, dz: usize, losses: usize, relu: u32, t: u32, n: u32,
): void {
  const end = last(count, t, n);
  for (let i = first(count, t, n); i < end; i++) {
    const p = z + <usize>i * stride;
    const q = dz + <usize>i * stride;
    const label = <u32>load<u8>(labels + load<u32>(rows + (<usize>i << 2)));
    let top = load<f32>(p);
    for (let j: u32 = 1; j < classes; j++) top = max<f32>(top, load<f32>(p + output(j, channels)));
    let sum: f64 = 0;
    for (let j: u32 = 0; j < classes; j++) sum += exp(<f64>load<f32>(p + output(j, channels)) - <f64>top);
    memory.fill(q, 0, stride);
    for (let j: u32 = 0; j < classes; j++) {
      const value = load<f32>(p + output(j, channels));
      const d = <f32>((exp(<f64>value - <f64>top) / sum - (j == label ? 1.0 : 0.0)) / <f64>count);
      store<f32>(q + output(j, channels), relu && !(value > 0) ? 0 : d);
    }
    store<f64>(losses + (<usize>i << 3), ln(sum) - (<f64>load<f32>(p + output(label, channels)) - <f64>top));
  }
}

/** out[column] = sum over the rows, ascending: the bias gradient. Columns are dealt in fours. */
export function sumRows(a: usize, rows: u32, stride: u32, out: usize, t: u32, n: u32): void {
  const end = <usize>last(stride >> 4, t, n) << 4;
  for (let at = <usize>first(stride >> 4, t, n) << 4; at < end; at += 16) {
    let sum = f32x4.splat(0);
    let p = a + at;
    for (let r: u32 = 0; r < rows; r++, p += stride) sum = f32x4.add(sum, v128.load(p));
    v128.store(out + at, sum);
  }
}

/** Adam with bias corrections folded into `rate` and `epsilon` by the caller; count is a multiple of 4. */
export function adam(
  w: usize, m: usize, v: usize, g: usize, count: u32, rate: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, epsilon: f32, t: u32, n: u32,
): void {
  const b1 = f32x4.splat(beta1), r1 = f32x4.splat(rest1), b2 = f32x4.splat(beta2), r2 = f32x4.splat(rest2);
  const lr = f32x4.splat(rate), eps = f32x4.splat(epsilon);
  const end = <usize>last(count >> 2, t, n) << 4;
  for (let k = <usize>first(count >> 2, t, n) << 4; k < end; k += 16) {
    const grad = v128.load(g + k);
    const mean = f32x4.add(f32x4.mul(b1, v128.load(m + k)), f32x4.mul(r1, grad));
    const square = f32x4.add(f32x4.mul(b2, v128.load(v + k)), f32x4.mul(f32x4.mul(r2, grad), grad));
    v128.store(m + k, mean);
    v128.store(v + k, square);
    v128.store(w + k, f32x4.sub(v128.load(w + k), f32x4.div(f32x4.mul(lr, mean), f32x4.add(f32x4.sqrt(square), eps))));
  }
}

/** v = momentum v + g; w -= rate v. */
export function sgd(w: usize, v: usize, g: usize, count: u32, rate: f32, momentum: f32, t: u32, n: u32): void {
  const mu = f32x4.splat(momentum), lr = f32x4.splat(rate);
  const end = <usize>last(count >> 2, t, n) << 4;
  for (let k = <usize>first(count >> 2, t, n) << 4; k < end; k += 16) {
    const speed = f32x4.add(f32x4.mul(mu, v128.load(v + k)), v128.load(g + k));
    v128.store(v + k, speed);
    v128.store(w + k, f32x4.sub(v128.load(w + k), f32x4.mul(lr, speed)));
  }
}
