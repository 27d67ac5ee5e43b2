// What a bit is said to cost is what it costs: the prices of a mask's own bits add up to the bytes that the context scheme writes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodePayload } from '../codec/encode.js';
import { maskPrices } from '../codec/rate.js';
import { kept, type Mask, type Network, weightCounts } from '../src/network.js';
import { conv, convArchitecture, dense, denseArchitecture, networkOf, pool, randomMask, scenario } from './engine.material.js';

/** Bits of a whole mask by the costs of its weights: log2(1 + 2^cost) for one kept, log2(1 + 2^-cost) for one pruned, if it has a price. */
const bitsOf = (costs: readonly Float32Array[], mask: Mask): number =>
  costs.reduce(
    (sum, layer, l) => layer.reduce((s, cost, i) => s + (cost === 0 ? 0 : Math.log2(1 + 2 ** (kept(mask[l], i) ? cost : -cost))), sum),
    0,
  );

/** How many of the last weights their count alone tells: they cost nothing, while a price of 0 says one bit. */
const told = (bits: Uint8Array, weights: number): number => {
  let i = weights;
  while (i > 0 && kept(bits, i - 1) === kept(bits, weights - 1)) i--;
  return weights - i;
};

test('the prices of a mask add up to its bytes, also where pixels are permuted', { timeout: 60_000 }, () => {
  const seeds = fc.option(fc.record({ low: fc.nat(0xffffffff), high: fc.nat(9) }));
  const property = fc.property(scenario(fc.oneof(denseArchitecture, convArchitecture), 1), seeds, (s, pixelPermutation) => {
    const around = { network: networkOf(s), pixelPermutation };
    const mask = randomMask(around.network, s.seed, s.density);
    const counts = weightCounts(around.network);
    const prices = maskPrices(around);
    const costs = prices.costs(mask);
    expect(costs.map((layer) => layer.length)).toEqual(counts);
    const bits = prices.bits(mask);
    // A price of 0 is that of an even chance, or of a bit that the count tells: at most a few of 65,535 probabilities.
    const even = costs.reduce((sum, layer) => sum + layer.reduce((n, cost) => n + (cost === 0 ? 1 : 0), 0), 0);
    expect(bitsOf(costs, mask)).toBeLessThanOrEqual(bits + 0.01);
    expect(bitsOf(costs, mask)).toBeGreaterThanOrEqual(bits - 0.01 - even);
    // A count takes up to 2 bytes more than one, the stream's end less than 1 byte above its bits, the coder's rounding 0.01 %.
    const payload = encodePayload(around, mask, ['context']).length - 1 - counts.length;
    expect(payload).toBeGreaterThanOrEqual(Math.floor(bits / 8) - 1);
    expect(payload).toBeLessThanOrEqual((1.0002 * bits) / 8 + 2 + 2 * counts.length);
  });
  fc.assert(property, { seed: 1901, numRuns: 150 });
});

test('a layer of patches is cheap where they are, and what its count tells is free', () => {
  const network: Network = {
    input: [12, 12, 1],
    layers: [dense(30), dense(4, 'linear')],
    distribution: 'packed-signed-constant',
    sigma: 'he',
    seed: { low: 7, high: 0 },
  };
  // Rows 4 to 6 of every unit, all of them; the second layer keeps nothing.
  const mask = [new Uint8Array(30 * 18), new Uint8Array(15)];
  for (let i = 0; i < 30 * 144; i++) if (i % 144 >= 48 && i % 144 < 84) mask[0][i >> 3] |= 1 << (i & 7);
  const [first, second] = maskPrices({ network, pixelPermutation: null }).costs(mask);
  const mean = (from: number, to: number) => first.subarray(from, to).reduce((a, b) => a + b, 0) / (to - from);
  // Unit 20, long after the patch was learned.
  expect(mean(20 * 144 + 52, 20 * 144 + 80)).toBeLessThan(-3);
  expect(mean(20 * 144, 20 * 144 + 40)).toBeGreaterThan(3);
  expect(told(mask[0], 30 * 144)).toBe(60);
  expect(first.subarray(30 * 144 - 60).every((cost) => cost === 0)).toBe(true);
  expect(second.every((cost) => cost === 0)).toBe(true);
});

test('a network that the context scheme does not take has no prices', () => {
  const network: Network = {
    input: [1, 1, 2 ** 20 + 1],
    layers: [dense(1)],
    distribution: 'normal',
    sigma: 'he',
    seed: { low: 1, high: 1 },
  };
  const mask = [Uint8Array.from({ length: 2 ** 17 + 1 }, (_, i) => (i < 9 ? 255 : 0))];
  expect(
    maskPrices({ network, pixelPermutation: null })
      .costs(mask)[0]
      .every((cost) => cost === 0),
  ).toBe(true);
  const small: Network = { ...network, input: [4, 4, 2], layers: [conv(3), pool, dense(2)] };
  const costs = maskPrices({ network: small, pixelPermutation: null }).costs(randomMask(small, small.seed, 0.5));
  expect(costs.map((layer) => layer.some((cost) => cost !== 0))).toEqual([true, true]);
  const refused = 'the mask must be one bit for every weight, got mask has 1 layers, the network has 2';
  expect(() => maskPrices({ network: small, pixelPermutation: null }).costs(mask)).toThrow(refused);
  expect(() => maskPrices({ network: small, pixelPermutation: null }).bits(mask)).toThrow(refused);
});
