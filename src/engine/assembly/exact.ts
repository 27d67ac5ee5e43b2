// exp and ln from + - * / alone: the same steps as src/exact.ts, bit for bit (test/exact tests compare them through the engines).

const LN2_HIGH: f64 = 6.9314718036912381649e-1;
const LN2_LOW: f64 = 1.90821492927058770002e-10;
const LOG2_E: f64 = 1.442695040888963387;

/** Natural logarithm of a positive, finite, normal x. */
export function ln(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let k = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
  if (m >= 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  const f = m - 1;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const even = w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1));
  const odd = z * (6.66666666666673513e-1 + w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860511658591e-1)));
  const half = 0.5 * f * f;
  return <f64>k * LN2_HIGH - (half - (s * (half + (even + odd)) + <f64>k * LN2_LOW) - f);
}

// @ts-ignore: decorator
@inline
function timesPlus(w: v128, x: v128, c: f64): v128 {
  return f64x2.add(f64x2.splat(c), f64x2.mul(w, x));
}

/** `ln` of two lanes, each by the same steps. */
// @ts-ignore: decorator
@inline
export function lnPair(x: v128): v128 {
  const one = f64x2.splat(1);
  let m = v128.or(v128.and(x, i64x2.splat(0x000f_ffff_ffff_ffff)), one);
  const large = f64x2.ge(m, f64x2.splat(1.4142135623730951));
  m = v128.bitselect(f64x2.mul(m, f64x2.splat(0.5)), m, large);
  // Exponents in the low halves; `large` lanes are -1.
  const exponent = i64x2.sub(i64x2.sub(i64x2.shr_u(x, 52), i64x2.splat(1023)), large);
  const k = f64x2.convert_low_i32x4_s(i32x4.shuffle(exponent, exponent, 0, 2, 0, 2));
  const f = f64x2.sub(m, one);
  const s = f64x2.div(f, f64x2.add(f64x2.splat(2), f));
  const z = f64x2.mul(s, s);
  const w = f64x2.mul(z, z);
  let even = timesPlus(w, f64x2.splat(1.531383769920937332e-1), 2.222219843214978396e-1);
  even = f64x2.mul(w, timesPlus(w, even, 3.999999999940941908e-1));
  let odd = timesPlus(w, f64x2.splat(1.479819860511658591e-1), 1.818357216161805012e-1);
  odd = timesPlus(w, odd, 2.857142874366239149e-1);
  odd = f64x2.mul(z, timesPlus(w, odd, 6.66666666666673513e-1));
  const half = f64x2.mul(f64x2.mul(f64x2.splat(0.5), f), f);
  const rest = f64x2.add(f64x2.mul(s, f64x2.add(half, f64x2.add(even, odd))), f64x2.mul(k, f64x2.splat(LN2_LOW)));
  return f64x2.sub(f64x2.mul(k, f64x2.splat(LN2_HIGH)), f64x2.sub(f64x2.sub(half, rest), f));
}

/** e to the power x, for x <= 709. */
export function exp(x: f64): f64 {
  if (x < -708) return 0;
  const k = floor<f64>(x * LOG2_E + 0.5);
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  const c =
    r -
    t *
      (1.66666666666666019037e-1 +
        t *
          (-2.77777777770155933842e-3 + t * (6.61375632143793436117e-5 + t * (-1.6533902205465251539e-6 + t * 4.13813679705723846039e-8))));
  const power = reinterpret<f64>((<u64>(<i64>k + 1023)) << 52);
  return (1 - (low - (r * c) / (2 - c) - high)) * power;
}

/** Constants of sigmoid, four lanes each: V8 makes splats anew at every use, but loads cost little. */
const SIGMOID = memory.data<f32>([
  -87, -87, -87, -87, 87, 87, 87, 87,
  1.44269504088896341, 1.44269504088896341, 1.44269504088896341, 1.44269504088896341,
  12582912, 12582912, 12582912, 12582912,
  0.693359375, 0.693359375, 0.693359375, 0.693359375,
  -2.12194440e-4, -2.12194440e-4, -2.12194440e-4, -2.12194440e-4,
  1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4,
  1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3,
  8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3,
  4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2,
  1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1,
  5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1,
  1, 1, 1, 1,
]);
/** The exponent of 1. */
const BIAS = memory.data<i32>([127, 127, 127, 127]);

/**
 * 1 / (1 + e^-x) in f32 of `count` vectors: sigmoid32 of src/exact.ts on the negatives of its y and r, which changes signs and no bits.
 * The integer k stands in the low bits of k + 3 * 2^22. Two vectors a turn share the loads of the constants; a last one alone is its
 * own neighbour.
 */
export function sigmoids(from: usize, to: usize, count: u32): void {
  for (const stop = from + (<usize>count << 4); from < stop; from += 32, to += 32) {
    const next: usize = from + 16 < stop ? 16 : 0;
    const log2e = v128.load(SIGMOID, 32), round = v128.load(SIGMOID, 48);
    const y = clamp(v128.load(from)), z = clamp(v128.load(from + next));
    const shifted = f32x4.sub(round, f32x4.mul(y, log2e)), moved = f32x4.sub(round, f32x4.mul(z, log2e));
    const r = remainder(y, f32x4.sub(shifted, round)), q = remainder(z, f32x4.sub(moved, round));
    let c = v128.load(SIGMOID, 112);
    const first = v128.load(SIGMOID, 96);
    let p = f32x4.sub(c, f32x4.mul(first, r)), o = f32x4.sub(c, f32x4.mul(first, q));
    c = v128.load(SIGMOID, 128);
    p = f32x4.sub(c, f32x4.mul(p, r)), o = f32x4.sub(c, f32x4.mul(o, q));
    c = v128.load(SIGMOID, 144);
    p = f32x4.sub(c, f32x4.mul(p, r)), o = f32x4.sub(c, f32x4.mul(o, q));
    c = v128.load(SIGMOID, 160);
    p = f32x4.sub(c, f32x4.mul(p, r)), o = f32x4.sub(c, f32x4.mul(o, q));
    c = v128.load(SIGMOID, 176);
    p = f32x4.sub(c, f32x4.mul(p, r)), o = f32x4.sub(c, f32x4.mul(o, q));
    v128.store(to, finish(p, r, shifted));
    v128.store(to + next, finish(o, q, moved));
  }
}

// @ts-ignore: decorator
@inline
function clamp(x: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, v128.load(SIGMOID, 16)), v128.load(SIGMOID));
}

/** x + k ln 2 in two steps. */
// @ts-ignore: decorator
@inline
function remainder(x: v128, k: v128): v128 {
  return f32x4.add(f32x4.add(x, f32x4.mul(k, v128.load(SIGMOID, 64))), f32x4.mul(k, v128.load(SIGMOID, 80)));
}

/** 1 / (1 + e^-x) from the polynomial p of e^-r. */
// @ts-ignore: decorator
@inline
function finish(p: v128, r: v128, shifted: v128): v128 {
  const one = v128.load(SIGMOID, 192);
  const e = f32x4.add(f32x4.sub(f32x4.mul(p, f32x4.mul(r, r)), r), one);
  // (bits + 127) << 23 drops the upper bits of 3 * 2^22, whose low nine are zero.
  const power = i32x4.shl(i32x4.add(shifted, v128.load(BIAS)), 23);
  return f32x4.div(one, f32x4.add(one, f32x4.mul(e, power)));
}
