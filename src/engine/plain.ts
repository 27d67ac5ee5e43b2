// The arithmetic of every layer as loops a reader can check by eye: one sample, one term at a time, in the canonical order of
// engine.ts. Forward loops call `round` after every multiply and every add: Math.fround makes them f32 arithmetic bit for bit, and
// the identity makes them integer arithmetic, exact because bounds.ts has shown that the sums fit. Backward loops are f32 only.
//
//   dense  z[o] = sum over i of w[o][i] x[i]
//   conv   z[y][x][f] = sum over (ky, kx, c) of w[f][ky][kx][c] x[y + ky - before][x + kx - before][c], outside the image nothing
//   pool   the largest of 2x2; an odd last row or column is dropped
//
// Gradients d... accumulate into the arrays they are given, so that a batch is a loop over its samples in ascending order.

import { exp, ln } from '../exact.js';
import { type Placed, type Shape, size } from '../network.js';
import type { InputTransform } from './engine.js';

/** Activations of one sample in one layer. */
export type Values = Float32Array | Int32Array;

export interface Arithmetic<V extends Values> {
  round(value: number): number;
  zeros(length: number): V;
}
export const F32: Arithmetic<Float32Array> = { round: Math.fround, zeros: (length) => new Float32Array(length) };
export const INTEGER: Arithmetic<Int32Array> = { round: (value) => value, zeros: (length) => new Int32Array(length) };

const fround = Math.fround;

/** A layer's output for one sample: the weighted sums, the bias added last, then the activation. */
export function forward<V extends Values>(
  placed: Placed,
  x: V,
  w: ArrayLike<number>,
  bias: Float32Array | null,
  { round, zeros }: Arithmetic<V>,
): V {
  const { layer } = placed;
  const out = zeros(size(placed.output));
  if (layer.kind === 'pool') {
    for (let i = 0; i < out.length; i++) out[i] = x[firstLargest(placed, x, i)];
    return out;
  }
  if (layer.kind === 'dense') dense(placed, x, w, round, out);
  else conv(placed, x, w, round, out);
  const units = placed.output[2];
  for (let i = 0; i < out.length; i++) {
    const z = bias ? round(out[i] + bias[i % units]) : out[i];
    out[i] = layer.activation === 'relu' && z <= 0 ? 0 : z;
  }
  return out;
}

type Round = (value: number) => number;

function dense(placed: Placed, x: Values, w: ArrayLike<number>, round: Round, z: Values): void {
  const { fanIn } = placed;
  for (let o = 0; o < z.length; o++) {
    let sum = 0;
    for (let i = 0; i < fanIn; i++) sum = round(sum + round(w[o * fanIn + i] * x[i]));
    z[o] = sum;
  }
}

function conv(placed: Placed, x: Values, w: ArrayLike<number>, round: Round, z: Values): void {
  const { input, kernel, before } = placed;
  const channels = input[2];
  const [height, width, filters] = placed.output;
  for (let y = 0; y < height; y++) {
    for (let column = 0; column < width; column++) {
      for (let f = 0; f < filters; f++) {
        let sum = 0;
        for (let ky = 0; ky < kernel; ky++) {
          for (let kx = 0; kx < kernel; kx++) {
            const from = pixel(input, y + ky - before, column + kx - before);
            if (from < 0) continue;
            const tap = ((f * kernel + ky) * kernel + kx) * channels;
            for (let c = 0; c < channels; c++) sum = round(sum + round(w[tap + c] * x[from * channels + c]));
          }
        }
        z[(y * width + column) * filters + f] = sum;
      }
    }
  }
}

/** Index of a pixel, or -1 outside the image. */
function pixel([height, width]: Shape, y: number, x: number): number {
  return y < 0 || y >= height || x < 0 || x >= width ? -1 : y * width + x;
}

/** Index of the input a pool's output i is: the first of the largest, in (y, x) order of the 2x2 window. */
function firstLargest(placed: Placed, x: Values, i: number): number {
  const [, width, channels] = placed.input;
  const columns = placed.output[1];
  const y = Math.floor(i / (columns * channels)) * 2;
  const column = (Math.floor(i / channels) % columns) * 2;
  const at = (y * width + column) * channels + (i % channels);
  let best = at;
  for (const other of [at + channels, at + width * channels, at + (width + 1) * channels]) if (x[other] > x[best]) best = other;
  return best;
}

/** Where a backward loop leaves the gradients of a weighted layer; the bias gradient only if there are biases. */
export interface LayerGradient {
  readonly dW: Float32Array;
  readonly dBias: Float32Array;
}

/**
 * Adds one sample's gradients of a layer and returns d loss / d input.
 * @param x the layer's input
 * @param out the layer's output, after activation; the gradient passes a relu where it is > 0
 * @param dOut d loss / d out
 * @param into absent for a pool
 */
export function backward(
  placed: Placed,
  x: Float32Array,
  out: Float32Array,
  w: Float32Array,
  dOut: Float32Array,
  into: LayerGradient | undefined,
): Float32Array {
  const dx = new Float32Array(x.length);
  const { layer } = placed;
  if (layer.kind === 'pool' || !into) {
    for (let i = 0; i < dOut.length; i++) dx[firstLargest(placed, x, i)] = dOut[i];
    return dx;
  }
  const dz = layer.activation === 'relu' ? dOut.map((d, i) => (out[i] > 0 ? d : 0)) : dOut;
  const units = placed.output[2];
  for (let i = 0; i < dz.length; i++) into.dBias[i % units] = fround(into.dBias[i % units] + dz[i]);
  if (layer.kind === 'dense') denseBackward(placed, x, w, dz, into.dW, dx);
  else convBackward(placed, x, w, dz, into.dW, dx);
  return dx;
}

function denseBackward(placed: Placed, x: Float32Array, w: Float32Array, dz: Float32Array, dW: Float32Array, dx: Float32Array): void {
  const { fanIn } = placed;
  for (let o = 0; o < dz.length; o++) {
    for (let i = 0; i < fanIn; i++) {
      const at = o * fanIn + i;
      dW[at] = fround(dW[at] + fround(dz[o] * x[i]));
      dx[i] = fround(dx[i] + fround(w[at] * dz[o]));
    }
  }
}

function convBackward(placed: Placed, x: Float32Array, w: Float32Array, dz: Float32Array, dW: Float32Array, dx: Float32Array): void {
  const { input, output, kernel, before } = placed;
  const channels = input[2];
  const filters = output[2];
  /** Visits each pixel of an image and each tap; of a tap's weights, `at(f)` is the first of filter f. */
  const visit = ([height, width]: Shape, tap: (y: number, x: number, ky: number, kx: number, at: (f: number) => number) => void) => {
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let ky = 0; ky < kernel; ky++)
          for (let kx = 0; kx < kernel; kx++) tap(y, x, ky, kx, (f) => ((f * kernel + ky) * kernel + kx) * channels);
  };
  visit(output, (y, column, ky, kx, at) => {
    const read = pixel(input, y + ky - before, column + kx - before);
    if (read < 0) return;
    const d = (y * output[1] + column) * filters;
    for (let f = 0; f < filters; f++) {
      for (let c = 0; c < channels; c++) dW[at(f) + c] = fround(dW[at(f) + c] + fround(dz[d + f] * x[read * channels + c]));
    }
  });
  visit(input, (y, column, ky, kx, at) => {
    const reader = pixel(output, y - ky + before, column - kx + before);
    if (reader < 0) return;
    const to = (y * input[1] + column) * channels;
    for (let f = 0; f < filters; f++) {
      for (let c = 0; c < channels; c++) dx[to + c] = fround(dx[to + c] + fround(w[at(f) + c] * dz[reader * filters + f]));
    }
  });
}

/**
 * Softmax cross-entropy of one sample, max-subtracted, in f64 with the exp and ln of exact.ts, sums in ascending order.
 * @param samples size of the batch the loss is the mean over
 * @param dLogits receives d mean loss / d logits, rounded to f32
 * @returns -ln(probability of the label)
 */
export function softmaxCrossEntropy(logits: Float32Array, label: number, samples: number, dLogits: Float32Array): number {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Array.from(logits, (z) => exp(z - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  powers.forEach((power, j) => {
    dLogits[j] = (power / sum - (j === label ? 1 : 0)) / samples;
  });
  return ln(sum) - (logits[label] - largest);
}

/** (value - mean) * scale, each operation rounded to f32. */
export function transformed(raw: Uint8Array | Float32Array, transform: InputTransform): Float32Array {
  const mean = fround(transform.mean);
  const scale = fround(transform.scale);
  return Float32Array.from(raw, (value) => fround(fround(value - mean) * scale));
}
