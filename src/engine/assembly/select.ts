// The k-th highest score without sorting. While a step updates the scores it counts those above a band around the last cut and
// collects those inside, a thousand or two; the next cut is found among them. When it lies elsewhere (the first time, or after a
// jump) all scores are searched: radix selection, 11 + 11 + 10 bits of the float's order-preserving key.
//
// Ladder (FC 784-300-100-10, one core, all three layers): sorted copies of the scores 32 ms; radix over all scores 1.1 ms; the band 4 us
// and what collecting costs while kept weights are listed anyway. Cheap enough to select in every step, which learns better masks:
// 98.06 instead of 97.95 % after ten epochs (five seeds; every eighth step before).

import { Layer, TILE } from './tiles';

/** Scores a thread can collect; more count as a miss. */
export const COLLECTED: u32 = 8192;
const FEW: u32 = 256;
const MANY: u32 = 2048;

/** Thread t's part lies at cut + 64 * (t + 1); collected scores at `collected`, [thread][COLLECTED]. */
@unmanaged
export class Cut {
  /** Scores from here on are kept. */
  threshold: f32;
  low: f32;
  high: f32;
  width: f32;
  collected: usize;
  counters: usize;
}

@unmanaged
export class Part {
  above: u32;
  inside: u32;
}

// @ts-ignore: decorator
@inline
export function part(layer: Layer, t: u32): Part {
  return changetype<Part>(layer.cut + (<usize>(t + 1) << 6));
}

/** Forgets what the last step collected. */
export function beginCollection(layer: Layer, t: u32): void {
  const mine = part(layer, t);
  mine.above = 0;
  mine.inside = 0;
}

/** One score of the band. */
// @ts-ignore: decorator
@inline
export function put(cut: Cut, mine: Part, score: f32, t: u32): void {
  if (mine.inside < COLLECTED) store<f32>(cut.collected + (<usize>(t * COLLECTED + mine.inside) << 2), score);
  mine.inside++;
}

/** Counts and collects the `count` vectors of scores at p. */
// @ts-ignore: decorator
@inline
export function collect(layer: Layer, p: usize, count: u32, t: u32): void {
  const cut = changetype<Cut>(layer.cut);
  const low = f32x4.splat(cut.low), high = f32x4.splat(cut.high);
  const mine = part(layer, t);
  let above = i32x4.splat(0);
  for (const end = p + (<usize>count << 4); p < end; p += 16) {
    const s = v128.load(p);
    const over = f32x4.ge(s, high);
    above = i32x4.sub(above, over);
    let lanes = i32x4.bitmask(v128.andnot(f32x4.ge(s, low), over));
    for (; lanes; lanes &= lanes - 1) {
      put(cut, mine, load<f32>(p + (<usize>ctz(lanes) << 2)), t);
    }
  }
  const two = i64x2.add(i64x2.extend_low_i32x4_u(above), i64x2.extend_high_i32x4_u(above));
  mine.above += <u32>(i64x2.extract_lane(two, 0) + i64x2.extract_lane(two, 1));
}

/** Cuts at the keep-th highest score and lays the next band. Thread `who` alone; `fresh`: nothing has been collected yet. */
export function choose(layer: Layer, keep: u32, who: u32, fresh: u32, t: u32, n: u32): void {
  if (t != who % n) return;
  const cut = changetype<Cut>(layer.cut);
  if (keep == 0 || keep == layer.fanIn * layer.units) {
    cut.threshold = keep == 0 ? f32.POSITIVE_INFINITY : f32.NEGATIVE_INFINITY;
    cut.low = cut.threshold;
    cut.high = cut.threshold;
    return;
  }
  let above: u32 = 0, inside: u32 = 0, missed: u32 = fresh;
  for (let i: u32 = 0; i < n; i++) {
    const one = part(layer, i);
    above += one.above;
    if (one.inside > COLLECTED) missed = 1;
    else if (!missed) {
      memory.copy(cut.collected + (<usize>inside << 2), cut.collected + (<usize>(i * COLLECTED) << 2), <usize>one.inside << 2);
      inside += one.inside;
    }
  }
  const rank = keep - above;
  if (missed || keep <= above || rank > inside) {
    cut.threshold = search(layer, keep, cut.counters);
    cut.width = missed && !fresh ? cut.width * 0.5 : max<f32>(cut.width * 2, (abs<f32>(cut.threshold) + 0.001) * 0.0009765625);
  } else {
    cut.threshold = highest(cut.collected, inside, rank);
    if (inside > MANY) cut.width *= 0.5;
    else if (inside < FEW || rank < inside >> 3 || inside - rank < inside >> 3) cut.width *= 2;
  }
  cut.low = cut.threshold - cut.width;
  cut.high = cut.threshold + cut.width;
}

/** The rank-th highest of `count` floats, which are reordered: quickselect around the middle one. */
function highest(p: usize, count: u32, rank: u32): f32 {
  let left: i32 = 0, right: i32 = <i32>count - 1;
  const k = <i32>rank - 1;
  while (left < right) {
    const pivot = load<f32>(p + (<usize>((left + right) >> 1) << 2));
    let i = left, j = right;
    while (i <= j) {
      while (load<f32>(p + (<usize>i << 2)) > pivot) i++;
      while (load<f32>(p + (<usize>j << 2)) < pivot) j--;
      if (i > j) break;
      const a = load<f32>(p + (<usize>i << 2));
      store<f32>(p + (<usize>i << 2), load<f32>(p + (<usize>j << 2)));
      store<f32>(p + (<usize>j << 2), a);
      i++;
      j--;
    }
    if (k <= j) right = j;
    else if (k >= i) left = i;
    else break;
  }
  return load<f32>(p + (<usize>k << 2));
}

/** A float's bits, with the sign bit flipped (negative: all bits flipped), order as unsigned integers. */
// @ts-ignore: decorator
@inline
function key(p: usize): u32 {
  const bits = load<u32>(p);
  return bits ^ (<u32>(<i32>bits >> 31) | 0x8000_0000);
}

/** The keep-th highest of all scores of a layer, digit by digit from the top. */
function search(layer: Layer, keep: u32, counters: usize): f32 {
  let prefix: u32 = 0, rank = keep;
  const tiles = (layer.units + 31) >> 5;
  for (let pass = 0; pass < 3; pass++) {
    memory.fill(counters, 0, 8192);
    const known: u32 = pass == 0 ? 0 : pass == 1 ? 0xffe0_0000 : 0xffff_fc00;
    const shift: u32 = pass == 0 ? 21 : pass == 1 ? 10 : 0;
    const digits: u32 = pass == 2 ? 1023 : 2047;
    for (let tile: u32 = 0; tile < tiles; tile++) {
      const lanes = min<u32>(32, layer.units - (tile << 5));
      let row = layer.score + <usize>tile * layer.fanIn * TILE;
      for (let i: u32 = 0; i < layer.fanIn; i++, row += TILE) {
        for (let j: u32 = 0; j < lanes; j++) {
          const k = key(row + (<usize>j << 2));
          if ((k & known) != prefix) continue;
          const c = counters + (<usize>((k >> shift) & digits) << 2);
          store<u32>(c, load<u32>(c) + 1);
        }
      }
    }
    let digit = digits;
    for (; ; digit--) {
      const total = load<u32>(counters + (<usize>digit << 2));
      if (total >= rank) break;
      rank -= total;
    }
    prefix |= digit << shift;
  }
  return reinterpret<f32>(prefix & 0x8000_0000 ? prefix ^ 0x8000_0000 : ~prefix);
}
