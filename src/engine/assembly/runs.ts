// The topk step of weights that lie in one run (conv layers and their dense heads, canonical order) instead of tiles: scores move,
// weights follow the cut, and the scores around it are collected for the next one (select.ts), block by block while they are cached.

import { first, last } from './threads';
import { beginCollection, collect, Cut } from './select';
import { Layer } from './tiles';

/** Vectors a block. */
const BLOCK: u32 = 512;

/**
 * Momentum SGD on the scores with the straight-through gradient g x gain x constant; w = gain x constant where the score is not below
 * the cut. The layer is described as 32 units x fanIn inputs; its length is a multiple of 32.
 * @param g 0: the scores stay
 */
export function topkRun(layer: Layer, g: usize, rate: f32, momentum: f32, gain: f32, t: u32, n: u32): void {
  const mu = f32x4.splat(momentum), lr = f32x4.splat(rate), scale = f32x4.splat(gain);
  const score = layer.score, velocity = layer.velocity, constants = layer.constants, w = layer.w;
  const least = f32x4.splat(changetype<Cut>(layer.cut).threshold);
  const count = layer.fanIn << 3;
  const end = last(count, t, n);
  beginCollection(layer, t);
  for (let from = first(count, t, n); from < end; from += BLOCK) {
    const stop = min<u32>(from + BLOCK, end);
    for (let k = <usize>from << 4; k < <usize>stop << 4; k += 16) {
      const weight = f32x4.mul(scale, v128.load(constants + k));
      let s = v128.load(score + k);
      if (g) {
        const speed = f32x4.add(f32x4.mul(mu, v128.load(velocity + k)), f32x4.mul(v128.load(g + k), weight));
        v128.store(velocity + k, speed);
        s = f32x4.sub(s, f32x4.mul(lr, speed));
        v128.store(score + k, s);
      }
      v128.store(w + k, v128.and(weight, f32x4.ge(s, least)));
    }
    collect(layer, score + (<usize>from << 4), stop - from, t);
  }
}
