// The second phase of a training step: each thread takes a range of every layer's inputs. For GROUP inputs at a time it lists the
// samples in which they are not zero, then tile by tile makes the weight gradient of one input and 32 units in registers and hands
// it to a rule, which updates what it trains and leaves the weights of the next forward pass: nothing passes over the weights twice.
//
// A rule reads the gradient from `g` (thread's scratch of 128 bytes) and works on `count` vectors at byte `at` of the layer's arrays.
//
// Ladder, FC as in tiles.ts, first layer, 128 samples, one core: gradients alone 480 us, of them 107 us that a batch of zeros costs too;
// with the topk step and its lists 650 us (the band collected by a pass of its own: 675 us).

import { bernoulli, bernoulliUnread } from './draws';
import { GROUP, Rule, scatter } from './rule';
import { first, last } from './threads';
import { beginCollection, collect, Cut, part, put } from './select';
import { append, Layer, pad4, sum, TILE, vectors } from './tiles';

/** Weight gradients of all inputs and the rule's step. scratch: [thread][128 bytes + GROUP + 1 list ends]. */
export function stepInputs(layer: Layer, samples: u32, rule: Rule, scratch: usize, t: u32, n: u32): void {
  const fanIn = layer.fanIn, units = layer.units;
  const begin = first(fanIn, t, n), end = last(fanIn, t, n);
  const sampleTiles = (samples + 31) >> 5, unitTiles = (units + 31) >> 5;
  const mine = layer.columnLists + <usize>t * layer.columnRoom;
  const g = scratch + <usize>t * 1024;
  const ends = g + TILE;
  if (rule.kind == 1) {
    beginCollection(layer, t);
    beginEmission(layer, begin, end, t);
  }
  for (let group = begin; group < end; group += GROUP) {
    const stop = min<u32>(group + GROUP, end);
    let q = mine;
    for (let i = group; i < stop; i++) {
      for (let st: u32 = 0; st < sampleTiles; st++) q = append(q, layer.xC + (<usize>st * pad4(fanIn) + i) * TILE, 8, st << 12, 128);
      store<u32>(ends + (<usize>(i - group) << 2), <u32>q);
    }
    for (let tile: u32 = 0; tile < unitTiles; tile++) {
      const count = vectors(units, tile);
      const dy = layer.dyR + <usize>tile * layer.room * TILE;
      let at = (<usize>tile * fanIn + group) * TILE;
      let p = mine;
      for (let i = group; i < stop; i++, at += TILE) {
        const last = <usize>load<u32>(ends + (<usize>(i - group) << 2));
        const unread = p == last;
        sum(p, last, dy, g, count, 0);
        p = last;
        switch (rule.kind) {
          case 0: memory.copy(rule.to + at, g, <usize>count << 4); break;
          case 1: topk(layer, rule, g, at, count, i, tile, t, begin); break;
          case 4:
            if (unread) bernoulliUnread(layer, rule, at, count);
            bernoulli(layer, rule, g, at, count);
            break;
          default: descend(layer, rule, g, at, count, i, tile);
        }
      }
    }
  }
}

/** Momentum on the scores with the straight-through gradient g * (gain * constant). */
function topk(layer: Layer, rule: Rule, g: usize, at: usize, count: u32, input: u32, tile: u32, t: u32, begin: u32): void {
  const mu = f32x4.splat(rule.momentum), lr = f32x4.splat(rule.rate), gain = f32x4.splat(rule.gain);
  const score = layer.score + at, velocity = layer.velocity + at, constants = layer.constants + at;
  const bytes = <usize>count << 4;
  let most = f32x4.splat(f32.NEGATIVE_INFINITY);
  for (let k: usize = 0; k < bytes; k += 16) {
    const w = f32x4.mul(gain, v128.load(constants + k));
    const speed = f32x4.add(f32x4.mul(mu, v128.load(velocity + k)), f32x4.mul(v128.load(g + k), w));
    v128.store(velocity + k, speed);
    const s = f32x4.sub(v128.load(score + k), f32x4.mul(lr, speed));
    v128.store(score + k, s);
    most = f32x4.pmax(most, s);
  }
  if (!layer.sparse) {
    collect(layer, score, count, t);
    emitWeights(layer, rule.gain, at, count, input, tile);
    return;
  }
  const cut = changetype<Cut>(layer.cut);
  const low = min<f32>(cut.low, cut.threshold);
  if (v128.any_true(f32x4.ge(most, f32x4.splat(low)))) emitKept(layer, rule.gain, low, at, count, input, tile, t, begin);
}

function beginEmission(layer: Layer, begin: u32, end: u32, t: u32): void {
  if (!layer.sparse) return;
  memory.fill(layer.unitCounts + ((<usize>t * layer.units) << 2), 0, <usize>layer.units << 2);
  if (layer.byInput) memory.fill(layer.inputCounts + (<usize>begin << 2), 0, <usize>(end - begin) << 2);
}

/** The weights of one input and tile for the next forward pass: gain * constant where score >= threshold. */
function emitWeights(layer: Layer, gain: f32, at: usize, count: u32, input: u32, tile: u32): void {
  const least = f32x4.splat(changetype<Cut>(layer.cut).threshold);
  const bytes = <usize>count << 4;
  const scale = f32x4.splat(gain);
  for (let k: usize = 0; k < bytes; k += 16) {
    const w = v128.and(f32x4.mul(scale, v128.load(layer.constants + at + k)), f32x4.ge(v128.load(layer.score + at + k), least));
    v128.store(layer.w + at + k, w);
    if (layer.wT) scatter(layer, w, input, (tile << 5) + <u32>(k >> 2));
  }
}

/** Scores from `low` on: those of the band are collected, the kept ones go to the lists. */
function emitKept(layer: Layer, gain: f32, low: f32, at: usize, count: u32, input: u32, tile: u32, t: u32, begin: u32): void {
  const cut = changetype<Cut>(layer.cut);
  const mine = part(layer, t);
  const least = f32x4.splat(low);
  const threshold = cut.threshold, high = cut.high;
  let bits: u32 = 0;
  for (let k: u32 = 0; k < count; k++) bits |= i32x4.bitmask(f32x4.ge(v128.load(layer.score + at + (<usize>k << 4)), least)) << (k << 2);
  // Padding has the lowest score of all, which a cut can reach.
  if ((tile + 1) << 5 > layer.units) bits &= (1 << (layer.units - (tile << 5))) - 1;
  for (; bits; bits &= bits - 1) {
    const lane = ctz(bits);
    const s = load<f32>(layer.score + at + (<usize>lane << 2));
    if (s >= high) mine.above++;
    else if (s >= cut.low) put(cut, mine, s, t);
    if (s < threshold) continue;
    const unit = (tile << 5) + lane;
    const w = gain * load<f32>(layer.constants + at + (<usize>lane << 2));
    const c = layer.unitCounts + (<usize>(t * layer.units + unit) << 2);
    const k = load<u32>(c);
    store<u32>(c, k + 1);
    const e = layer.byUnit + ((<usize>unit * layer.fanIn + begin + k) << 3);
    store<u32>(e, input << 7);
    store<f32>(e, w, 4);
    if (layer.byInput) {
      const d = layer.inputCounts + (<usize>input << 2);
      const m = load<u32>(d);
      store<u32>(d, m + 1);
      const f = layer.byInput + ((<usize>input * layer.units + m) << 3);
      store<u32>(f, unit << 7);
      store<f32>(f, w, 4);
    }
  }
}

/** Emission and collection alone: after a selection, and before the first step. */
export function emitAll(layer: Layer, gain: f32, t: u32, n: u32): void {
  const fanIn = layer.fanIn, units = layer.units;
  const begin = first(fanIn, t, n), end = last(fanIn, t, n);
  const cut = changetype<Cut>(layer.cut);
  const low = min<f32>(cut.low, cut.threshold);
  beginCollection(layer, t);
  beginEmission(layer, begin, end, t);
  const tiles = (units + 31) >> 5;
  for (let tile: u32 = 0; tile < tiles; tile++) {
    const count = vectors(units, tile);
    let at = (<usize>tile * fanIn + begin) * TILE;
    for (let i = begin; i < end; i++, at += TILE) {
      if (layer.sparse) emitKept(layer, gain, low, at, count, i, tile, t, begin);
      else {
        collect(layer, layer.score + at, count, t);
        emitWeights(layer, gain, at, count, i, tile);
      }
    }
  }
}

/** Adam with the bias corrections folded into rate and epsilon by the caller. */
// @ts-ignore: decorator
@inline
function adamVector(g: v128, m: usize, v: usize, w: v128, beta1: v128, rest1: v128, beta2: v128, rest2: v128, rate: v128, epsilon: v128): v128 {
  const mean = f32x4.add(f32x4.mul(beta1, v128.load(m)), f32x4.mul(rest1, g));
  const square = f32x4.add(f32x4.mul(beta2, v128.load(v)), f32x4.mul(f32x4.mul(rest2, g), g));
  v128.store(m, mean);
  v128.store(v, square);
  return f32x4.sub(w, f32x4.div(f32x4.mul(rate, mean), f32x4.add(f32x4.sqrt(square), epsilon)));
}

/** v = momentum v + g; w -= rate v. */
// @ts-ignore: decorator
@inline
function sgdVector(g: v128, velocity: usize, w: v128, momentum: v128, rate: v128): v128 {
  const speed = f32x4.add(f32x4.mul(momentum, v128.load(velocity)), g);
  v128.store(velocity, speed);
  return f32x4.sub(w, f32x4.mul(rate, speed));
}

/** Adam (on moments m and v) or SGD (on a velocity) of four values that stand alone. */
function stepVector(rule: Rule, g: v128, m: usize, v: usize, velocity: usize, w: v128): v128 {
  if (rule.kind != 2) return sgdVector(g, velocity, w, f32x4.splat(rule.momentum), f32x4.splat(rule.rate));
  const b1 = f32x4.splat(rule.beta1), r1 = f32x4.splat(rule.rest1), b2 = f32x4.splat(rule.beta2), r2 = f32x4.splat(rule.rest2);
  return adamVector(g, m, v, w, b1, r1, b2, r2, f32x4.splat(rule.rate), f32x4.splat(rule.epsilon));
}

/** Adam or SGD on the weights of one input and tile; where a mask says what is trained, the others stay. */
function descend(layer: Layer, rule: Rule, g: usize, at: usize, count: u32, input: u32, tile: u32): void {
  const w = layer.w + at, end = g + (<usize>count << 4);
  if (layer.trained) {
    const one = i32x4(1, 2, 4, 8);
    let trained = load<u32>(layer.trained + (at >> 5));
    for (let p = g; p < end; p += 16, trained >>= 4) {
      v128.store(p, v128.and(v128.load(p), i32x4.eq(v128.and(i32x4.splat(trained), one), one)));
    }
  }
  if (rule.kind == 2) {
    const b1 = f32x4.splat(rule.beta1), r1 = f32x4.splat(rule.rest1), b2 = f32x4.splat(rule.beta2), r2 = f32x4.splat(rule.rest2);
    const rate = f32x4.splat(rule.rate), epsilon = f32x4.splat(rule.epsilon);
    const m = layer.velocity + at - g, v = layer.constants + at - g, to = w - g;
    for (let p = g; p < end; p += 16) v128.store(to + p, adamVector(v128.load(p), m + p, v + p, v128.load(to + p), b1, r1, b2, r2, rate, epsilon));
  } else {
    const momentum = f32x4.splat(rule.momentum), rate = f32x4.splat(rule.rate);
    const velocity = layer.score + at - g, to = w - g;
    for (let p = g; p < end; p += 16) v128.store(to + p, sgdVector(v128.load(p), velocity + p, v128.load(to + p), momentum, rate));
  }
  if (layer.wT) for (let k: u32 = 0; k < count; k++) scatter(layer, v128.load(w + (<usize>k << 4)), input, (tile << 5) + (k << 2));
}

/**
 * Adam or SGD under a fixed sparse mask: only the vectors of four units that hold a trained weight are computed, so the cost falls
 * with the density, in the same order of summation. A group is {byte offset in the weights, byte offset in dyR, trained lanes,
 * address of its twins}; twins are, for each trained lane, the addresses of its value in byUnit and in byInput (or 0).
 */
export function stepActive(layer: Layer, samples: u32, rule: Rule, scratch: usize, t: u32, n: u32): void {
  const fanIn = layer.fanIn;
  const end = last(fanIn, t, n);
  const sampleTiles = (samples + 31) >> 5;
  const list = layer.columnLists + <usize>t * layer.columnRoom;
  const g = scratch + <usize>t * 1024;
  for (let i = first(fanIn, t, n); i < end; i++) {
    let group = layer.active + (<usize>load<u32>(layer.activeStarts + (<usize>i << 2)) << 4);
    const stop = layer.active + (<usize>load<u32>(layer.activeStarts + (<usize>i << 2), 4) << 4);
    if (group == stop) continue;
    let q = list;
    for (let st: u32 = 0; st < sampleTiles; st++) q = append(q, layer.xC + (<usize>st * pad4(fanIn) + i) * TILE, 8, st << 12, 128);
    for (; group < stop; group += 64) {
      const count = min<u32>(4, <u32>(stop - group) >> 4);
      sumGroups(list, q, layer.dyR, group, count, g);
      for (let k: u32 = 0; k < count; k++) activeStep(layer, rule, g + (<usize>k << 4), group + (<usize>k << 4));
    }
  }
}

/** The gradients of up to four groups, side by side to g; missing ones repeat the first. */
function sumGroups(p: usize, stop: usize, dy: usize, group: usize, count: u32, g: usize): void {
  const d0 = dy + load<u32>(group, 4);
  const d1 = count > 1 ? dy + load<u32>(group, 20) : d0;
  const d2 = count > 2 ? dy + load<u32>(group, 36) : d0;
  const d3 = count > 3 ? dy + load<u32>(group, 52) : d0;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  for (; p < stop; p += 8) {
    const q = load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = f32x4.add(a0, f32x4.mul(v, v128.load(d0 + q)));
    a1 = f32x4.add(a1, f32x4.mul(v, v128.load(d1 + q)));
    a2 = f32x4.add(a2, f32x4.mul(v, v128.load(d2 + q)));
    a3 = f32x4.add(a3, f32x4.mul(v, v128.load(d3 + q)));
  }
  v128.store(g, a0); v128.store(g, a1, 16); v128.store(g, a2, 32); v128.store(g, a3, 48);
}

// @ts-ignore: decorator
@inline
function activeStep(layer: Layer, rule: Rule, g: usize, group: usize): void {
  const at = <usize>load<u32>(group);
  let lanes = load<u32>(group, 8);
  let twin = <usize>load<u32>(group, 12);
  const one = i32x4(1, 2, 4, 8);
  const grad = v128.and(v128.load(g), i32x4.eq(v128.and(i32x4.splat(lanes), one), one));
  v128.store(layer.w + at, stepVector(rule, grad, layer.velocity + at, layer.constants + at, layer.score + at, v128.load(layer.w + at)));
  for (; lanes; lanes &= lanes - 1, twin += 8) {
    const value = load<f32>(layer.w + at + (<usize>ctz(lanes) << 2));
    store<f32>(load<u32>(twin), value);
    const other = load<u32>(twin, 4);
    if (other) store<f32>(other, value);
  }
}

/** dBias[unit] = sum of dyR over the samples, ascending, and the rule's step; tiles of units are dealt to the threads. */
export function stepBias(layer: Layer, samples: u32, rule: Rule, t: u32, n: u32): void {
  const tiles = (layer.units + 31) >> 5;
  const bytes = <usize>tiles * TILE;
  const m = layer.biasState, v = m + bytes, velocity = v + bytes;
  const end = last(tiles, t, n);
  for (let tile = first(tiles, t, n); tile < end; tile++) {
    const count = vectors(layer.units, tile);
    let at = <usize>tile * TILE;
    for (let k: usize = 0; k < <usize>count << 4; k += 16, at += 16) {
      let g = f32x4.splat(0);
      let p = layer.dyR + <usize>tile * layer.room * TILE + k;
      for (let s: u32 = 0; s < samples; s++, p += TILE) g = f32x4.add(g, v128.load(p));
      v128.store(layer.dBias + at, g);
      if (rule.kind) v128.store(layer.bias + at, stepVector(rule, g, m + at, v + at, velocity + at, v128.load(layer.bias + at)));
    }
  }
}
