// The one inner loop behind convolutions and their dense heads: a list of entries {u32 offset, value} against a strip of vectors.
//
//   acc[0..8) += value * strip[base + offset][0..8)     one splat and one offset serve 8 multiply-adds of 4 lanes
//
// What an entry and a lane are is the caller's business: kept weights over pixels or samples, non-zero inputs over filters, non-zero
// gradients over channels. The accumulators are loaded from `from` (ZEROS, or an earlier part of the sum) and stored at `to`, so a
// long sum may be cut where the caches like it: its entries still meet one accumulator in ascending order. T is f32, or i32 for
// integer programs.
//
// Ladder (AMD EPYC Zen 4, one core, Node 20; layers of 64 channels and filters on 32x32, best of many runs in turns):
//   1. 8 accumulators: 20 billion multiply-adds a second in the first cache; two loads a cycle would allow 23
//   2. 12 accumulators, one splat and one offset for 12 multiply-adds: kept.ts 4 % and gradient.ts 6 % faster
//   -  two entries a turn: 30 to 40 % slower, sixteen registers do not hold them
//   -  walk9 inlined into its only caller: 12 instead of 7 cycles an entry, for the same reason
//   Lists: append 0.85 ns a value, 1.3 ns less than a branch for each non-zero; append4 0.7 ns

/** Where a sum begins. */
export const ZEROS: usize = memory.data(192);

// @ts-ignore: decorator
@inline
function term<T>(acc: v128, value: v128, factor: v128): v128 {
  return v128.add<T>(acc, v128.mul<T>(value, factor));
}

/** The widest walk of at most `vectors`: a strip is covered by walks of 8, 4, 2 and 1. */
// @ts-ignore: decorator
@inline
export function width(vectors: u32): u32 {
  return vectors >= 12 ? 12 : vectors >= 8 ? 8 : vectors >= 4 ? 4 : vectors >= 2 ? 2 : 1;
}

/**
 * Appends an entry and returns the list's new end: a value whose bits are 0 is overwritten by the next one. No branch, because zeros
 * come in no order a processor could foresee.
 */
// @ts-ignore: decorator
@inline
export function append(q: usize, offset: u32, bits: u32): usize {
  store<u64>(q, (<u64>bits << 32) | offset);
  return q + (<usize>(bits != 0) << 3);
}

/** `append` of four entries, ascending. */
// @ts-ignore: decorator
@inline
export function append4(q: usize, offsets: v128, values: v128): usize {
  const some = i32x4.bitmask(i32x4.ne(values, i32x4.splat(0)));
  const low = i32x4.shuffle(offsets, values, 0, 4, 1, 5);
  const high = i32x4.shuffle(offsets, values, 2, 6, 3, 7);
  v128.store64_lane(q, low, 0);
  q += (some & 1) << 3;
  v128.store64_lane(q, low, 1);
  q += (some & 2) << 2;
  v128.store64_lane(q, high, 0);
  q += (some & 4) << 1;
  v128.store64_lane(q, high, 1);
  return q + (some & 8);
}

/** Walks entries p..stop over at least `vectors` (1 to 12) vectors: `to` and the strip need room for 1, 2, 4, 8 or 12. */
// @ts-ignore: decorator
@inline
export function walk<T>(vectors: u32, p: usize, stop: usize, base: usize, from: usize, to: usize): void {
  if (vectors > 8) walk12<T>(p, stop, base, from, to);
  else if (vectors > 4) walk8<T>(p, stop, base, from, to);
  else if (vectors > 2) walk4<T>(p, stop, base, from, to);
  else if (vectors > 1) walk2<T>(p, stop, base, from, to);
  else walk1<T>(p, stop, base, from, to);
}

function walk8<T>(p: usize, stop: usize, base: usize, from: usize, to: usize): void {
  let a0 = v128.load(from), a1 = v128.load(from, 16), a2 = v128.load(from, 32), a3 = v128.load(from, 48);
  let a4 = v128.load(from, 64), a5 = v128.load(from, 80), a6 = v128.load(from, 96), a7 = v128.load(from, 112);
  for (; p < stop; p += 8) {
    const q = base + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = term<T>(a0, v, v128.load(q));
    a1 = term<T>(a1, v, v128.load(q, 16));
    a2 = term<T>(a2, v, v128.load(q, 32));
    a3 = term<T>(a3, v, v128.load(q, 48));
    a4 = term<T>(a4, v, v128.load(q, 64));
    a5 = term<T>(a5, v, v128.load(q, 80));
    a6 = term<T>(a6, v, v128.load(q, 96));
    a7 = term<T>(a7, v, v128.load(q, 112));
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
  v128.store(to, a4, 64);
  v128.store(to, a5, 80);
  v128.store(to, a6, 96);
  v128.store(to, a7, 112);
}

function walk4<T>(p: usize, stop: usize, base: usize, from: usize, to: usize): void {
  let a0 = v128.load(from), a1 = v128.load(from, 16), a2 = v128.load(from, 32), a3 = v128.load(from, 48);
  for (; p < stop; p += 8) {
    const q = base + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = term<T>(a0, v, v128.load(q));
    a1 = term<T>(a1, v, v128.load(q, 16));
    a2 = term<T>(a2, v, v128.load(q, 32));
    a3 = term<T>(a3, v, v128.load(q, 48));
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
}

function walk2<T>(p: usize, stop: usize, base: usize, from: usize, to: usize): void {
  let a0 = v128.load(from), a1 = v128.load(from, 16);
  for (; p < stop; p += 8) {
    const q = base + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = term<T>(a0, v, v128.load(q));
    a1 = term<T>(a1, v, v128.load(q, 16));
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
}

function walk1<T>(p: usize, stop: usize, base: usize, from: usize, to: usize): void {
  let a = v128.load(from);
  for (; p < stop; p += 8) a = term<T>(a, v128.load32_splat(p, 4), v128.load(base + load<u32>(p)));
  v128.store(to, a);
}

function walk12<T>(p: usize, stop: usize, base: usize, from: usize, to: usize): void {
  let a0 = v128.load(from, 0);
  let a1 = v128.load(from, 16);
  let a2 = v128.load(from, 32);
  let a3 = v128.load(from, 48);
  let a4 = v128.load(from, 64);
  let a5 = v128.load(from, 80);
  let a6 = v128.load(from, 96);
  let a7 = v128.load(from, 112);
  let a8 = v128.load(from, 128);
  let a9 = v128.load(from, 144);
  let a10 = v128.load(from, 160);
  let a11 = v128.load(from, 176);
  for (; p < stop; p += 8) {
    const q = base + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = term<T>(a0, v, v128.load(q, 0));
    a1 = term<T>(a1, v, v128.load(q, 16));
    a2 = term<T>(a2, v, v128.load(q, 32));
    a3 = term<T>(a3, v, v128.load(q, 48));
    a4 = term<T>(a4, v, v128.load(q, 64));
    a5 = term<T>(a5, v, v128.load(q, 80));
    a6 = term<T>(a6, v, v128.load(q, 96));
    a7 = term<T>(a7, v, v128.load(q, 112));
    a8 = term<T>(a8, v, v128.load(q, 128));
    a9 = term<T>(a9, v, v128.load(q, 144));
    a10 = term<T>(a10, v, v128.load(q, 160));
    a11 = term<T>(a11, v, v128.load(q, 176));
  }
  v128.store(to, a0, 0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
  v128.store(to, a4, 64);
  v128.store(to, a5, 80);
  v128.store(to, a6, 96);
  v128.store(to, a7, 112);
  v128.store(to, a8, 128);
  v128.store(to, a9, 144);
  v128.store(to, a10, 160);
  v128.store(to, a11, 176);
}

/** Three strips of three vectors, `row` bytes apart, against nine accumulators in a row: a kernel over four channels. */
export function walk9(p: usize, stop: usize, base: usize, row: usize, acc: usize): void {
  let a0 = v128.load(acc), a1 = v128.load(acc, 16), a2 = v128.load(acc, 32);
  let a3 = v128.load(acc, 48), a4 = v128.load(acc, 64), a5 = v128.load(acc, 80);
  let a6 = v128.load(acc, 96), a7 = v128.load(acc, 112), a8 = v128.load(acc, 128);
  for (; p < stop; p += 8) {
    let q = base + load<u32>(p);
    const v = v128.load32_splat(p, 4);
    a0 = term<f32>(a0, v, v128.load(q));
    a1 = term<f32>(a1, v, v128.load(q, 16));
    a2 = term<f32>(a2, v, v128.load(q, 32));
    q += row;
    a3 = term<f32>(a3, v, v128.load(q));
    a4 = term<f32>(a4, v, v128.load(q, 16));
    a5 = term<f32>(a5, v, v128.load(q, 32));
    q += row;
    a6 = term<f32>(a6, v, v128.load(q));
    a7 = term<f32>(a7, v, v128.load(q, 16));
    a8 = term<f32>(a8, v, v128.load(q, 32));
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, a2, 32);
  v128.store(acc, a3, 48);
  v128.store(acc, a4, 64);
  v128.store(acc, a5, 80);
  v128.store(acc, a6, 96);
  v128.store(acc, a7, 112);
  v128.store(acc, a8, 128);
}
