// Philox and the distributions against published vectors and independently computed hashes.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { DOMAIN, fillWeights, fillWords, formatSeed, parseSeed, permutation, philox } from '../src/random.js';

const hex = (words: Uint32Array) => [...words].map((w) => w.toString(16).padStart(8, '0')).join(' ');

// Random123 tests/kat_vectors, lines "philox4x32 10": counter (4 words), key (2 words), output (4 words).
test.each([
  ['00000000 00000000 00000000 00000000 00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  ['ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  ['243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
])('philox4x32-10 of %s', (input, output) => {
  const w = input.split(' ').map((h) => Number.parseInt(h, 16));
  const out = new Uint32Array(4);
  philox({ low: w[4], high: w[5] }, w[0], w[1], w[2], w[3], out, 0);
  expect(hex(out)).toBe(output);
});

test('the 10,000th word of key 20111115 is the one C++26 prescribes for std::philox4x32', () => {
  const out = new Uint32Array(1);
  fillWords({ low: 20111115, high: 0 }, DOMAIN.weights, 0, 9999, out);
  expect(out[0]).toBe(1955073260);
});

test('2^20 normals have the SHA-256 that an independent numpy program gives', () => {
  const out = new Float32Array(1 << 20);
  fillWeights('normal', 1, { low: 0x01234567, high: 0x89abcdef }, 0, 0, out);
  expect([...out.subarray(0, 4)]).toEqual([-0.8326991200447083, 0.8581819534301758, -0.9511831998825073, -0.38775867223739624]);
  expect(createHash('sha256').update(new Uint8Array(out.buffer)).digest('hex')).toBe(
    '82d68ea7afe581185b0e0d8bb2ff6c4c8032fba31263a60a50d2e8b415bba580',
  );
});

test('one seed gives the same signs in every distribution made from the weight word', () => {
  const seed = parseSeed('signs');
  const make = (d: 'signed-constant' | 'uniform' | 'normal' | 'truncated-normal') => {
    const out = new Float32Array(5000);
    fillWeights(d, 0.5, seed, 3, 17, out);
    return out;
  };
  const signs = [...make('signed-constant')].map(Math.sign);
  for (const d of ['uniform', 'normal', 'truncated-normal'] as const) expect([...make(d)].map(Math.sign)).toEqual(signs);
  expect(Math.max(...make('truncated-normal').map(Math.abs))).toBeLessThanOrEqual(1);
});

test('any weight can be made alone', () => {
  const seed = parseSeed(7);
  for (const d of ['signed-constant', 'packed-signed-constant', 'uniform', 'normal', 'truncated-normal'] as const) {
    const whole = new Float32Array(1000);
    const part = new Float32Array(13);
    fillWeights(d, 0.1, seed, 2, 0, whole);
    fillWeights(d, 0.1, seed, 2, 731, part);
    expect([...part]).toEqual([...whole.subarray(731, 744)]);
  }
});

test('permutations are permutations, seeded and near uniform', () => {
  const p = permutation(784, parseSeed(1), DOMAIN.pixelPermutation);
  expect([...p].sort((a, b) => a - b)).toEqual(Array.from({ length: 784 }, (_, i) => i));
  expect(permutation(784, parseSeed(1), DOMAIN.pixelPermutation)).toEqual(p);
  expect(permutation(784, parseSeed(2), DOMAIN.pixelPermutation)).not.toEqual(p);
  const counts = new Map<string, number>();
  for (let s = 0; s < 6000; s++) {
    const key = permutation(3, parseSeed(s), DOMAIN.sampling).join('');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // 6,000 draws over 6 orders: mean 1,000, standard deviation 28.9; five of them either side.
  for (const n of counts.values()) expect(Math.abs(n - 1000)).toBeLessThan(145);
});

test('seeds: integers are the key, other text goes through seedrandom, low word first', () => {
  expect(parseSeed('0x123456789abcdef0')).toEqual({ low: 0x9abcdef0, high: 0x12345678 });
  expect(parseSeed('18446744073709551615')).toEqual({ low: 0xffffffff, high: 0xffffffff });
  expect(formatSeed(parseSeed('81985529216486895'))).toBe('81985529216486895');
  // seedrandom's README: the first double of 'hello.' is 0.9282578795792454; its leading bytes are the first int32.
  expect(parseSeed('hello.').low / 4294967296).toBeCloseTo(0.9282578795792454, 9);
  expect(parseSeed('hello.').high).not.toBe(parseSeed('hello.').low);
});
