// Log odds and shares of the model of ../context.ts: the tables between probabilities and log odds, and how a share of ones or a weight
// moves with a bit. These are functions, as constants that hold functions are never inlined.

export const LIMIT = 2847;
export const MOST_SEEN = 1023;
const ONE = 1 << 30;
const HIGH_WEIGHT = (1 << 18) - 1;

export const SQUASH = memory.data(22780);
export const STRETCH = memory.data(131072);
const PACE = memory.data(2048);

function tables(): void {
  for (let x = 0, odds: u64 = 1 << 20; x <= LIMIT; x++, odds += odds >> 8) {
    const p = <i32>((odds << 16) / (odds + (1 << 20)));
    store<i32>(SQUASH + 4 * (LIMIT + x), p);
    store<i32>(SQUASH + 4 * (LIMIT - x), 65536 - p);
  }
  for (let p = 0, x = -LIMIT; p < 65536; p++) {
    while (x < LIMIT && p > 0 && load<i32>(SQUASH + 4 * (LIMIT + x + 1)) <= p) x++;
    store<i16>(STRETCH + 2 * p, x);
  }
  for (let seen = 0; seen <= MOST_SEEN; seen++) store<u16>(PACE + 2 * seen, 4096 / (seen + 1));
}

tables();

/** Class 0 .. 12 of a mean error, by its upper 7 bits: steps of half an octave. */
// @ts-ignore: decorator
@inline
export function level(upper: i32): i32 {
  const octave = 31 - clz(upper | 1);
  return octave < 1 ? 0 : 2 * (octave - 1) + ((upper >> (octave - 1)) & 1);
}

// @ts-ignore: decorator
@inline
export function stretch(share: i32): i32 {
  return load<i16>(STRETCH + 2 * (share >> 14));
}
// @ts-ignore: decorator
@inline
export function between(x: i32, low: i32, high: i32): i32 {
  return max(min(x, high), low);
}
/** The terms of four contexts. */
// @ts-ignore: decorator
@inline
export function terms(weights: v128, odds: v128): v128 {
  return i32x4.shr_s(i32x4.mul(weights, odds), 4);
}
/** Four weights after a bit. */
// @ts-ignore: decorator
@inline
export function stepped(weights: v128, error: v128, odds: v128): v128 {
  const step = i32x4.shr_s(i32x4.add(i32x4.mul(error, odds), i32x4.splat(8192)), 14);
  return i32x4.max_s(i32x4.min_s(i32x4.add(weights, step), i32x4.splat(HIGH_WEIGHT)), i32x4.splat(-HIGH_WEIGHT));
}
// @ts-ignore: decorator
@inline
export function moved(share: i32, bit: i32, seen: i32): i32 {
  return share + (2 * bit - 1) * (((select(ONE - share, share, bit) >> 10) * load<u16>(PACE + 2 * seen)) >> 2);
}

/** One more bit for a share. */
// @ts-ignore: decorator
@inline
export function learn(shares: usize, seen: usize, index: u32, bit: i32): void {
  const share = shares + 4 * index, count = seen + 4 * index;
  const n = load<i32>(count);
  store<i32>(share, moved(load<i32>(share), bit, n));
  store<i32>(count, min(n + 1, MOST_SEEN));
}

/** Probability of a 1, in 1/65536, where `ones` of the `left` bits to come are ones. */
export function shareOfOnes(ones: u32, left: u32): i32 {
  return <i32>max<u64>(min<u64>((<u64>ones << 16) / left, 65535), 1);
}
