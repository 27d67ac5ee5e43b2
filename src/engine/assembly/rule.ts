// What a step does to the weights of a layer's inputs: what every rule is given besides the layer, and how it leaves transposed weights.

import { Layer } from './tiles';

/** Inputs whose samples are listed at a time. */
export const GROUP: u32 = 64;

/** What a rule needs besides the layer; written by src/engine/wasm/layers.ts. */
@unmanaged
export class Rule {
  /** 0 gradient, 1 topk, 2 adam, 3 sgd, 4 bernoulli. */
  kind: u32;
  /** gradient: where to. */
  to: usize;
  rate: f32;
  momentum: f32;
  gain: f32;
  beta1: f32;
  rest1: f32;
  beta2: f32;
  rest2: f32;
  epsilon: f32;
  /** bernoulli: what a penalty adds to d loss / d p. */
  push: f32;
  /** bernoulli: the network's seed, the layer's stream, the number of the draw. */
  k0: u32;
  k1: u32;
  stream: u32;
  draw: u32;
}

/** Four weights of one input to the transposed weights. */
// @ts-ignore: decorator
@inline
export function scatter(layer: Layer, w: v128, input: u32, unit: u32): void {
  const p = layer.wT + ((<usize>(input >> 5) * layer.units + unit) << 7) + (<usize>(input & 31) << 2);
  store<f32>(p, f32x4.extract_lane(w, 0));
  if (unit + 1 < layer.units) store<f32>(p, f32x4.extract_lane(w, 1), 128);
  if (unit + 2 < layer.units) store<f32>(p, f32x4.extract_lane(w, 2), 256);
  if (unit + 3 < layer.units) store<f32>(p, f32x4.extract_lane(w, 3), 384);
}
