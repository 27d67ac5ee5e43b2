// Bernoulli masks: weights are drawn with probability sigmoid(score) before a batch runs, and scores step after it.
//
// Ladder, FC as in tiles.ts, first layer, 128 samples, one core: step and draw with p by a sigmoid in each 1,770 us; p kept from the draw
// 1,281 us; drawn only for the inputs a batch has (528 of 784): 585 us the step and 509 us the draw (704 us when it walks across the
// order of memory). Of a whole draw's 700 us the sigmoids took 400, Philox 165; two vectors of sigmoids a turn make rows.ts 9 % faster.

import { sigmoids } from './exact';
import { GROUP, Rule, scatter } from './rule';
import { first, last } from './threads';
import { Layer, pad4, TILE, vectors } from './tiles';
import { words } from './weights';

/** What one step of a number is of p. */
const PART = memory.data<f32>([1.52587890625e-5, 1.52587890625e-5, 1.52587890625e-5, 1.52587890625e-5]);

/** Dynamic weight rescaling of one layer and draw. */
// @ts-ignore: decorator
@unmanaged
export class Rescaling {
  factor: f32;
  shift: f32;
  kept: u32;
}

/**
 * Momentum on the scores with the straight-through gradient (g * (factor * constant) - (shift - push)) * p (1 - p); p = sigmoid(score)
 * was left by the draw.
 */
export function bernoulli(layer: Layer, rule: Rule, g: usize, at: usize, count: u32): void {
  const mu = f32x4.splat(rule.momentum), lr = f32x4.splat(rule.rate), one = f32x4.splat(1);
  const rescaling = changetype<Rescaling>(layer.rescaling);
  const factor = f32x4.splat(layer.rescaling ? rescaling.factor : 1);
  const shift = f32x4.splat((layer.rescaling ? rescaling.shift : 0) - rule.push);
  const score = layer.score + at, velocity = layer.velocity + at;
  const probability = layer.probability + at, constants = layer.constants + at;
  const bytes = <usize>count << 4;
  for (let k: usize = 0; k < bytes; k += 16) {
    const s = v128.load(score + k);
    const p = v128.load(probability + k);
    const slope = f32x4.mul(p, f32x4.sub(one, p));
    const d = f32x4.mul(f32x4.sub(f32x4.mul(v128.load(g + k), f32x4.mul(factor, v128.load(constants + k))), shift), slope);
    const speed = f32x4.add(f32x4.mul(mu, v128.load(velocity + k)), d);
    v128.store(velocity + k, speed);
    v128.store(score + k, f32x4.sub(s, f32x4.mul(lr, speed)));
  }
}

/**
 * Leaves p of an input that no sample has: without rescaling it may not have been drawn, and as its g is 0 its p matters to a penalty
 * alone.
 */
export function bernoulliUnread(layer: Layer, rule: Rule, at: usize, count: u32): void {
  if (layer.rescaling || rule.push == 0) return;
  sigmoids(layer.score + at, layer.probability + at, count);
}

/** Draws four weights: the constant where the number (16 bits each, at `numbers`) / 65536 < p. Returns which are kept. */
// @ts-ignore: decorator
@inline
export function drawFour(p: v128, constants: v128, w: usize, numbers: usize): v128 {
  const keep = f32x4.lt(f32x4.mul(f32x4.convert_i32x4_s(v128.load16x4_u(numbers)), v128.load(PART)), p);
  v128.store(w, v128.and(constants, keep));
  return keep;
}

/**
 * Draws the weights of the inputs that are not zero in all of the batch's samples (samples 0: of all inputs): the constant where a
 * 16-bit uniform number < 65536 p. Numbers have addresses (src/engine/draws.ts), so nothing depends on which are drawn: eight blocks of
 * Philox serve an input and two tiles. scratch: 1024 bytes a thread.
 */
export function draw(layer: Layer, rule: Rule, samples: u32, scratch: usize, t: u32, n: u32): void {
  const begin = first(layer.fanIn, t, n), end = last(layer.fanIn, t, n);
  const pairs = (layer.units + 63) >> 6;
  const numbers = scratch + <usize>t * 1024;
  let count: u32 = 0;
  for (let group = begin; group < end; group += GROUP) {
    const stop = min<u32>(group + GROUP, end);
    let wanted: u64 = 0;
    for (let i = group; i < stop; i++) wanted |= <u64>(!samples || used(layer, i, samples)) << (i - group);
    for (let pair: u32 = 0; pair < pairs; pair++) {
      const tile = pair << 1;
      for (let rest = wanted; rest; rest &= rest - 1) {
        const i = group + <u32>ctz(rest);
        words(rule.k0, rule.k1, (<u64>rule.draw << 32) | ((i * pairs + pair) << 3), 1, rule.stream, 3, numbers, 8, i32x4.splat(-1), i32x4.splat(0));
        count += drawTile(layer, numbers, i, tile);
        if ((tile + 1) << 5 < layer.units) count += drawTile(layer, numbers + 64, i, tile + 1);
      }
    }
  }
  if (layer.rescaling) store<u32>(layer.rescaling + (<usize>(t + 1) << 6), count);
}

/** Whether any sample has input i. */
function used(layer: Layer, i: u32, samples: u32): bool {
  const tiles = (samples + 31) >> 5;
  const zero = f32x4.splat(0);
  for (let st: u32 = 0; st < tiles; st++) {
    const p = layer.xC + (<usize>st * pad4(layer.fanIn) + i) * TILE;
    for (let k: usize = 0; k < TILE; k += 16) if (v128.any_true(f32x4.ne(v128.load(p + k), zero))) return true;
  }
  return false;
}

/** Returns how many weights are kept. */
function drawTile(layer: Layer, numbers: usize, input: u32, tile: u32): u32 {
  const at = (<usize>tile * layer.fanIn + input) * TILE;
  const count = vectors(layer.units, tile);
  const probability = layer.probability + at, constants = layer.constants + at, w = layer.w + at;
  sigmoids(layer.score + at, probability, count);
  let total: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const here = <usize>k << 4;
    const c = v128.load(constants + here);
    const keep = drawFour(v128.load(probability + here), c, w + here, numbers + (here >> 1));
    total += popcnt(i32x4.bitmask(keep) & lanes(layer.units, (tile << 5) + (k << 2)));
    if (layer.wT) scatter(layer, v128.and(c, keep), input, (tile << 5) + (k << 2));
  }
  return total;
}

/** The lanes of the vector at `unit` that are units, not padding. */
// @ts-ignore: decorator
@inline
function lanes(units: u32, unit: u32): u32 {
  return unit + 4 <= units ? 15 : (1 << (units - unit)) - 1;
}

/** All weights / kept weights of the last draw, 0 when none is kept. */
export function factorOf(layer: Layer, t: u32, n: u32): f32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < n; i++) kept += load<u32>(layer.rescaling + (<usize>(i + 1) << 6));
  const factor = kept ? <f32>(<f64>(layer.fanIn * layer.units) / <f64>kept) : 0;
  if (t == 0) {
    const rescaling = changetype<Rescaling>(layer.rescaling);
    rescaling.factor = factor;
    rescaling.kept = kept;
  }
  return factor;
}

/** Dynamic weight rescaling: the drawn weights times `factorOf`. After a draw of all inputs. */
export function rescale(layer: Layer, t: u32, n: u32): void {
  const scale = f32x4.splat(factorOf(layer, t, n));
  const begin = first(layer.fanIn, t, n), end = last(layer.fanIn, t, n);
  const tiles = (layer.units + 31) >> 5;
  for (let tile: u32 = 0; tile < tiles; tile++) {
    const count = vectors(layer.units, tile);
    let p = layer.w + (<usize>tile * layer.fanIn + begin) * TILE;
    for (let i = begin; i < end; i++, p += TILE) {
      for (let k: u32 = 0; k < count; k++) {
        const w = f32x4.mul(scale, v128.load(p + (<usize>k << 4)));
        v128.store(p + (<usize>k << 4), w);
        if (layer.wT) scatter(layer, w, i, (tile << 5) + (k << 2));
      }
    }
  }
}

/**
 * The part of every score's gradient that comes through the number of kept weights: shift = (1 / kept) sum of W' dW'. For one layer
 * that sum is the sum over samples and units of output times its gradient (Euler), in f64, ascending. Thread `who` alone.
 */
export function shiftOf(layer: Layer, samples: u32, who: u32, t: u32, n: u32): void {
  if (t != who % n) return;
  let total: f64 = 0;
  for (let s: u32 = 0; s < samples; s++) {
    for (let j: u32 = 0; j < layer.units; j++) {
      const at = ((<usize>(j >> 5) * layer.room + s) << 7) + (<usize>(j & 31) << 2);
      total += <f64>load<f32>(layer.dyR + at) * <f64>load<f32>(layer.yR + at);
    }
  }
  setShift(layer, total);
}

// @ts-ignore: decorator
@inline
export function setShift(layer: Layer, total: f64): void {
  const rescaling = changetype<Rescaling>(layer.rescaling);
  rescaling.shift = rescaling.kept ? <f32>(total / <f64>rescaling.kept) : 0;
}
