// Logarithm and exponential from + - * / alone, in one fixed order, so every machine and every language gives the same bits.
// ECMAScript leaves Math.log and Math.exp "implementation-approximated": they must not touch weights, losses or probabilities.
// Method and constants: fdlibm e_log.c and e_exp.c (range reduction, then a minimax polynomial); error below 1 ulp.

const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;
const LOG2_E = 1.442695040888963387;

/** Natural logarithm of a positive, finite, normal x. */
export function ln(x: number): number {
  let k = 0;
  let m = x;
  while (m < 0.7071067811865476) {
    m *= 2;
    k--;
  }
  while (m >= 1.4142135623730951) {
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
  return k * LN2_HIGH - (half - (s * (half + (even + odd)) + k * LN2_LOW) - f);
}

/** e to the power x, for x <= 709; results below the smallest normal double are 0. */
export function exp(x: number): number {
  if (x < -708) return 0;
  const k = Math.floor(x * LOG2_E + 0.5);
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
  return (1 - (low - (r * c) / (2 - c) - high)) * powerOfTwo(k);
}

/** 2^k by repeated squaring of exact powers: exact for |k| <= 1022. */
function powerOfTwo(k: number): number {
  let base = k < 0 ? 0.5 : 2;
  let result = 1;
  for (let n = Math.abs(k); n > 0; n >>= 1) {
    if (n & 1) result *= base;
    base *= base;
  }
  return result;
}

const fround = Math.fround;
/** Adding and subtracting 3 * 2^22 rounds an f32 below 2^22 to the nearest integer, halves to even. */
const ROUND = 12582912;

/** 1 / (1 + e^-x), every operation rounded to f32. The polynomial is Cephes' expf (Moshier 1989). */
export function sigmoid32(x: number): number {
  const y = Math.min(Math.max(-x, -87), 87);
  const k = fround(fround(fround(y * fround(1.44269504088896341)) + ROUND) - ROUND);
  const r = fround(fround(y - fround(k * fround(0.693359375))) - fround(k * fround(-2.1219444e-4)));
  let p = fround(1.98756915e-4);
  for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])
    p = fround(fround(p * r) + fround(c));
  p = fround(fround(fround(p * fround(r * r)) + r) + 1);
  return fround(1 / fround(1 + fround(p * powerOfTwo(k))));
}

/** cos(pi x) for x in [0, 1] by its Taylor series about 1/2: Math.cos may differ between machines in the last bit. */
export function cosinePi(x: number): number {
  const y = Math.PI * (0.5 - x);
  const z = y * y;
  return y * (1 - (z / 6) * (1 - (z / 20) * (1 - (z / 42) * (1 - (z / 72) * (1 - (z / 110) * (1 - z / 156))))));
}
