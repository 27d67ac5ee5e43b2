// The first phase of a training step: each thread takes whole tiles of samples through all layers, forward and backward, and meets
// nobody. A layer runs on its kept weights (columns) or on its samples' non-zero values (rows); both add the same non-zero terms in the same
// order, so the choice changes no bit (src/engine/engine.ts, canonical order).
//
// Ladder, FC as in tiles.ts, first layer of 784 x 300, 128 samples, one core:
//
//   forward at density .03   non-zero inputs 456 us, kept weights 80 us (they meet near 1/6; deeper layers, whose inputs are half zero,
//                            near 1/2: wasm/training.ts)
//   non-zero inputs          all inputs at a time 464 us, 192 at a time (weights stay in the first-level cache) 460 us; the second
//                            layer, 300 x 100: 172 and 157 us

import { exp, ln } from './exact';
import { first } from './threads';
import { append, firstTile, Layer, lastTile, pad4, sum, TILE, vectors } from './tiles';

// @ts-ignore: decorator
@inline
function relu(o: usize, count: u32): void {
  const zero = f32x4.splat(0);
  for (const end = o + (<usize>count << 4); o < end; o += 16) v128.store(o, f32x4.max(v128.load(o), zero));
}

/** Zero where the layer below was cut by its relu. */
// @ts-ignore: decorator
@inline
function gate(o: usize, x: usize, count: u32): void {
  const zero = f32x4.splat(0);
  for (const end = o + (<usize>count << 4); o < end; o += 16, x += 16) v128.store(o, v128.and(v128.load(o), f32x4.gt(v128.load(x), zero)));
}

/** yC from xC over each unit's kept weights. */
export function keptForward(layer: Layer, samples: u32, t: u32, n: u32): void {
  const fanIn = layer.fanIn, units = layer.units;
  const end = lastTile(samples, t, n);
  for (let st = firstTile(samples, t, n); st < end; st++) {
    const x = layer.xC + <usize>st * pad4(fanIn) * TILE;
    let o = layer.yC + <usize>st * pad4(units) * TILE;
    let entries = layer.byUnit;
    for (let u: u32 = 0; u < units; u++, o += TILE, entries += <usize>fanIn << 3) {
      for (let k: u32 = 0; k < n; k++) {
        const p = entries + (<usize>first(fanIn, k, n) << 3);
        sum(p, p + (<usize>load<u32>(layer.unitCounts + (<usize>(k * units + u) << 2)) << 3), x, o, 8, k);
      }
      if (layer.bias) {
        const b = v128.load32_splat(layer.bias + (<usize>u << 2));
        for (let i: usize = 0; i < TILE; i += 16) v128.store(o + i, f32x4.add(v128.load(o + i), b));
      }
      if (layer.relu) relu(o, 8);
    }
  }
}

/** dxC from dyC over each input's kept weights. */
export function keptBackward(layer: Layer, samples: u32, t: u32, n: u32): void {
  const fanIn = layer.fanIn, units = layer.units;
  const end = lastTile(samples, t, n);
  for (let st = firstTile(samples, t, n); st < end; st++) {
    const dy = layer.dyC + <usize>st * pad4(units) * TILE;
    const at = <usize>st * pad4(fanIn) * TILE;
    let p = layer.byInput;
    for (let i: u32 = 0; i < fanIn; i++, p += <usize>units << 3) {
      const o = layer.dxC + at + <usize>i * TILE;
      sum(p, p + (<usize>load<u32>(layer.inputCounts + (<usize>i << 2)) << 3), dy, o, 8, 0);
      if (layer.gated) gate(o, layer.xC + at + <usize>i * TILE, 8);
    }
  }
}

/** Tiles of inputs at a time: their 24 KB of weights stay in the first-level cache while all samples pass. */
const DEPTH: u32 = 6;

/** out += matrix times weights over each sample's non-zero values, DEPTH tiles of features at a time. Overwrites what stood there. */
function multiply(
  layer: Layer, matrix: usize, features: u32, weights: usize, out: usize, outFeatures: u32, begin: u32, end: u32,
): void {
  const tiles = (features + 31) >> 5, outTiles = (outFeatures + 31) >> 5;
  for (let from: u32 = 0; from < tiles; from += DEPTH) {
    const to = min<u32>(from + DEPTH, tiles);
    for (let s = begin; s < end; s++) {
      const list = layer.lists + <usize>s * layer.listRoom;
      let q = list;
      for (let tile = from; tile < to; tile++) q = append(q, matrix + (<usize>tile * layer.room + s) * TILE, vectors(features, tile), tile << 12, 128);
      store<u32>(layer.listBytes + (<usize>s << 2), <u32>(q - list));
    }
    for (let tile: u32 = 0; tile < outTiles; tile++) {
      const w = weights + <usize>tile * features * TILE;
      const count = vectors(outFeatures, tile);
      let o = out + (<usize>tile * layer.room + begin) * TILE;
      for (let s = begin; s < end; s++, o += TILE) {
        const p = layer.lists + <usize>s * layer.listRoom;
        sum(p, p + load<u32>(layer.listBytes + (<usize>s << 2)), w, o, count, from);
      }
    }
  }
}

/** yR from xR over each sample's non-zero inputs. */
export function denseForward(layer: Layer, samples: u32, t: u32, n: u32): void {
  const begin = firstTile(samples, t, n) << 5, end = lastTile(samples, t, n) << 5;
  multiply(layer, layer.xR, layer.fanIn, layer.w, layer.yR, layer.units, begin, end);
  if (!layer.bias && !layer.relu) return;
  const tiles = (layer.units + 31) >> 5;
  for (let tile: u32 = 0; tile < tiles; tile++) {
    const count = vectors(layer.units, tile);
    const b = layer.bias + (<usize>tile << 7);
    let o = layer.yR + (<usize>tile * layer.room + begin) * TILE;
    for (let s = begin; s < end; s++, o += TILE) {
      if (layer.bias) for (let i: usize = 0; i < <usize>count << 4; i += 16) v128.store(o + i, f32x4.add(v128.load(o + i), v128.load(b + i)));
      if (layer.relu) relu(o, count);
    }
  }
}

/** dxR from dyR over each sample's non-zero gradients. */
export function denseBackward(layer: Layer, samples: u32, t: u32, n: u32): void {
  const begin = firstTile(samples, t, n) << 5, end = lastTile(samples, t, n) << 5;
  multiply(layer, layer.dyR, layer.units, layer.wT, layer.dxR, layer.fanIn, begin, end);
  if (!layer.gated) return;
  const tiles = (layer.fanIn + 31) >> 5;
  for (let tile: u32 = 0; tile < tiles; tile++) {
    const at = (<usize>tile * layer.room + begin) * TILE;
    for (let k: usize = 0; k < <usize>(end - begin) * TILE; k += TILE) gate(layer.dxR + at + k, layer.xR + at + k, vectors(layer.fanIn, tile));
  }
}

/**
 * Softmax cross-entropy of the last layer's rows: losses[sample] f64; dyR = (softmax - onehot) / samples, 0 where a relu cut the
 * logit and for samples beyond the batch. Powers stand in `powers` (f64, [sample][unit]) between the two passes.
 */
export function softmaxRows(layer: Layer, samples: u32, labels: usize, rows: usize, powers: usize, losses: usize, t: u32, n: u32): void {
  const units = layer.units;
  const end = lastTile(samples, t, n) << 5;
  for (let s = firstTile(samples, t, n) << 5; s < end; s++) {
    if (s >= samples) {
      for (let j: u32 = 0; j < units; j++) store<f32>(layer.dyR + ((<usize>(j >> 5) * layer.room + s) << 7) + (<usize>(j & 31) << 2), 0);
      continue;
    }
    const label = <u32>load<u8>(labels + load<u32>(rows + (<usize>s << 2)));
    const e = powers + ((<usize>s * units) << 3);
    let top = logit(layer, s, 0);
    for (let j: u32 = 1; j < units; j++) top = max<f32>(top, logit(layer, s, j));
    let sum: f64 = 0;
    for (let j: u32 = 0; j < units; j++) {
      const power = exp(<f64>logit(layer, s, j) - <f64>top);
      store<f64>(e + (<usize>j << 3), power);
      sum += power;
    }
    for (let j: u32 = 0; j < units; j++) {
      const d = <f32>((load<f64>(e + (<usize>j << 3)) / sum - (j == label ? 1.0 : 0.0)) / <f64>samples);
      const to = layer.dyR + ((<usize>(j >> 5) * layer.room + s) << 7) + (<usize>(j & 31) << 2);
      store<f32>(to, layer.relu && !(logit(layer, s, j) > 0) ? 0 : d);
    }
    store<f64>(losses + (<usize>s << 3), ln(sum) - (<f64>logit(layer, s, label) - <f64>top));
  }
}

// @ts-ignore: decorator
@inline
function logit(layer: Layer, s: u32, j: u32): f32 {
  return load<f32>(layer.yR + ((<usize>(j >> 5) * layer.room + s) << 7) + (<usize>(j & 31) << 2));
}
