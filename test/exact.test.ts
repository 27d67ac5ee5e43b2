// ln and exp are part of the file format (weights) and of every reported loss: near the true value, and the same bits everywhere.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { exp, ln } from '../src/exact.js';
import { DOMAIN, fillWords } from '../src/random.js';

const COUNT = 20_000;

/** Seeded uniform numbers in [low, high). */
function uniforms(stream: number, low: number, high: number): number[] {
  const words = new Uint32Array(COUNT);
  fillWords({ low: 1, high: 2 }, DOMAIN.sampling, stream, 0, words);
  return Array.from(words, (word) => low + ((high - low) * word) / 4294967296);
}

const bits = (value: number): string => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, '0');
};

const sha256 = (values: number[]): string =>
  createHash('sha256')
    .update(new Uint8Array(Float64Array.from(values).buffer))
    .digest('hex');

/** Distance in units of 1e-15 of the expected value. */
const error = (got: number, want: number): number => Math.abs(got - want) / (1e-15 * Math.abs(want));

test.each([
  ['near 1', 0, 0.5, 2],
  ['small', 1, 1e-10, 1e-3],
  ['large', 2, 10, 1e12],
])('ln is within 1e-15 of Math.log: %s', (_, stream, low, high) => {
  const worst = Math.max(...uniforms(stream, low, high).map((x) => error(ln(x), Math.log(x))));
  expect(worst).toBeLessThan(1);
});

test('ln is within 1e-15 over every power of two of a normal double', () => {
  for (let k = -1022; k <= 1023; k++) {
    for (const m of [1, 1.25, 1.4142135623730951, 1.9]) {
      const x = m * 2 ** k;
      if (x !== 1) expect(error(ln(x), Math.log(x))).toBeLessThan(1);
    }
  }
});

test.each([
  ['near 0', 3, -1, 1],
  ['logits', 4, -40, 0],
  ['wide', 5, -708, 709],
])('exp is within 1e-15 of Math.exp: %s', (_, stream, low, high) => {
  const worst = Math.max(...uniforms(stream, low, high).map((x) => error(exp(x), Math.exp(x))));
  expect(worst).toBeLessThan(1);
});

test('both are monotone, also where the range reduction changes its power of two', () => {
  const ascending = (values: number[]) => values.every((value, i) => i === 0 || value >= values[i - 1]);
  expect(
    ascending(
      uniforms(6, -50, 50)
        .sort((a, b) => a - b)
        .map(exp),
    ),
  ).toBe(true);
  expect(
    ascending(
      uniforms(7, 0.01, 100)
        .sort((a, b) => a - b)
        .map(ln),
    ),
  ).toBe(true);
  const steps = Array.from({ length: 400 }, (_, i) => (i - 200) * 2 ** -52);
  for (const power of [-3, -1, 1, 3]) expect(ascending(steps.map((step) => ln(Math.SQRT2 ** power + step)))).toBe(true);
  for (const half of [-1.5, -0.5, 0.5, 1.5]) expect(ascending(steps.map((step) => exp(half * Math.LN2 + step)))).toBe(true);
});

test('edges', () => {
  expect(ln(1)).toBe(0);
  expect(exp(0)).toBe(1);
  expect(exp(-0)).toBe(1);
  expect(exp(-708)).toBeGreaterThanOrEqual(2 ** -1022);
  expect(exp(-708.0000001)).toBe(0);
  expect(exp(Number.NEGATIVE_INFINITY)).toBe(0);
  expect(exp(709)).toBeLessThan(Number.POSITIVE_INFINITY);
  expect(error(exp(709), Math.exp(709))).toBeLessThan(1);
  expect(exp(Number.NaN)).toBeNaN();
  expect(ln(Number.NaN)).toBeNaN();
});

// The bit patterns and hashes below come from a Python program with the same operations in the same order, reduced with frexp and
// ldexp instead of loops. Python's math.log and math.exp give the same bits for each single value but exp(1), one ulp away.
test.each([
  [2, '3fe62e42fefa39ef'],
  [10, '40026bb1bbb55516'],
  [0.1, 'c0026bb1bbb55515'],
  [1e-300, 'c085963447f87fb5'],
  [1.5, '3fd9f323ecbf984c'],
])('ln(%f) has these bits', (x, want) => {
  expect(bits(ln(x))).toBe(want);
});

test.each([
  [1, '4005bf0a8b14576a'],
  [-0.5, '3fe368b2fc6f960a'],
  [-87.3, '38109874c0b9cacb'],
  [-700.25, '00caf5fe9a485c8e'],
  [100, '48f3494a9b171bf5'],
])('exp(%f) has these bits', (x, want) => {
  expect(bits(exp(x))).toBe(want);
});

test('100,000 logarithms and exponentials have the SHA-256 of the Python program', () => {
  const count = [...Array(100_001).keys()];
  expect(sha256(count.slice(1).map((i) => ln(i / 1024)))).toBe('dbed4a3563905c1178ecaca82d744b36252a167e5f94198b48ac75cf34b7549a');
  expect(sha256(count.map((i) => exp(-i / 256)))).toBe('048bd6cdcffd73fb11955a52eb0fed584df33f0507e94390530be2f17b5ccc67');
});
