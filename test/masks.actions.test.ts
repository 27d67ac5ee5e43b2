// Mask actions on arrays made by hand: what pruned weights become, what kept weights restart from.

import { expect, test } from 'vitest';
import { actionConflict, deviation, MASK1, type Mask0, type Mask1, restartBy, zeroedBy } from '../src/masks/actions.js';
import { type Network, regenerate } from '../src/network.js';
import { parseSeed } from '../src/random.js';

const seed = parseSeed('actions');
const at = { seed, round: 3, layer: 0 };
const f32 = (...values: number[]) => Float32Array.from(values);

// Eight weights. Number 7 was pruned before; 0, 1, 2 and 3 are pruned now; 4, 5 and 6 are kept.
const before = Uint8Array.of(0b01111111);
const after = Uint8Array.of(0b01110000);
const start = f32(1, -1, 1, -1, 2, -2, 2, 5);
const final = f32(0.5, -3, 1, 0.25, 1, -4, -1, 5);

test.each<[Mask0, number[]]>([
  ['zero', [0, 1, 2, 3]],
  ['init', []],
  // 0 and 3 moved toward zero (3 across it), 1 away, 2 not at all.
  ['toward_zero', [0, 3]],
  ['toward_zero_reversed', [1]],
  // Of the kept, 4 and 6 moved toward zero.
  ['toward_zero_all', [0, 3, 4, 6]],
])('mask-0 %s', (action, zeros) => {
  expect([...zeroedBy(action, { start, final }, before, after, at)]).toEqual(zeros);
});

test('mask-0 toward_zero_reshuffled: as many zeros as toward_zero, among the weights pruned now, by seed and round', () => {
  const draw = (round: number) =>
    [...zeroedBy('toward_zero_reshuffled', { start, final }, before, after, { ...at, round })].sort((a, b) => a - b);
  const draws = Array.from({ length: 40 }, (_, round) => draw(round));
  for (const zeros of draws) {
    expect(new Set(zeros).size).toBe(2);
    expect(zeros.every((i) => i < 4)).toBe(true);
  }
  expect(draw(3)).toEqual(draw(3));
  expect(new Set(draws.map(String)).size).toBe(6);
});

test('a weight pruned earlier has not moved, so no action touches it', () => {
  const frozen = f32(1, -1, 1, -1, 2, -2, 2, 0.25);
  for (const action of ['zero', 'toward_zero', 'toward_zero_all', 'toward_zero_reversed', 'toward_zero_reshuffled'] as const) {
    expect([...zeroedBy(action, { start: frozen, final }, before, after, at)]).not.toContain(7);
  }
});

const network: Network = {
  input: [1, 1, 20],
  layers: [{ kind: 'dense', units: 30, activation: 'linear' }],
  distribution: 'normal',
  sigma: 'glorot',
  seed,
};
const [initial] = regenerate(network);
// Every third weight survives; start values differ from the initialisation, as after a round of reinit.
const n = initial.length;
const survivors = Array.from({ length: n }, (_, i) => i).filter((i) => i % 3 === 0);
const bits = new Uint8Array(n / 8);
for (const i of survivors) bits[i >> 3] |= 1 << (i & 7);
const began = initial.map((w, i) => (i % 2 ? -w : w * 1.5));
const restart = (action: Mask1, round = 3) => restartBy(action, network, { initial, start: began }, bits, { ...at, round });
const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);
const magnitudes = (values: Iterable<number>) => sorted([...values].map(Math.abs));

test.each(MASK1)('mask-1 %s leaves pruned weights and its arguments alone, and repeats itself', (action) => {
  const held = began.slice();
  const out = restart(action);
  expect([...out].filter((_, i) => i % 3 !== 0)).toEqual([...began].filter((_, i) => i % 3 !== 0));
  expect(began).toEqual(held);
  expect(restart(action)).toEqual(out);
  if (action !== 'rewind' && action !== 'signed_constant') expect(restart(action, 4)).not.toEqual(out);
});

test.each(MASK1.filter((action) => action.startsWith('signed_')))('mask-1 %s keeps every sign', (action) => {
  const out = restart(action);
  for (const i of survivors) expect(Math.sign(out[i])).toBe(Math.sign(began[i]));
});

test.each(['reinit', 'redraw', 'reshuffle', 'constant'] as const)(
  'mask-1 %s is free of the sign, and signed has its magnitudes',
  (action) => {
    const [free, signed] = [restart(action), restart(`signed_${action}`)];
    const flipped = survivors.filter((i) => Math.sign(free[i]) !== Math.sign(began[i])).length;
    expect(flipped / survivors.length).toBeGreaterThan(0.3);
    expect(flipped / survivors.length).toBeLessThan(0.7);
    for (const i of survivors) expect(Math.abs(signed[i])).toBe(Math.abs(free[i]));
  },
);

test('mask-1 rewind changes nothing', () => {
  expect(restart('rewind')).toEqual(began);
});

test('mask-1 reshuffle permutes survivors among survivors', () => {
  const of = (values: Float32Array) => survivors.map((i) => values[i]);
  expect(sorted(of(restart('reshuffle')))).toEqual(sorted(of(began)));
  expect(magnitudes(of(restart('signed_reshuffle')))).toEqual(magnitudes(of(began)));
});

test('mask-1 reinit takes values of the whole initialisation, pruned ones too; redraw takes new ones', () => {
  const places = new Map([...initial].map((w, i) => [w, i]));
  const taken = survivors.map((i) => places.get(restart('reinit')[i]));
  expect(taken).not.toContain(undefined);
  expect(new Set(taken).size).toBe(survivors.length);
  expect(taken.some((i) => i! % 3 !== 0)).toBe(true);
  const drawn = restart('redraw');
  expect(survivors.some((i) => places.has(drawn[i]))).toBe(false);
  const fresh = Float32Array.from(survivors, (i) => drawn[i]);
  // 200 draws of a normal: the sample deviation is within 4 / sqrt(2 x 200) = 20 % of sqrt(2 / (20 + 30)).
  expect(Math.abs(deviation(fresh) / Math.sqrt(2 / 50) - 1)).toBeLessThan(0.2);
});

test('mask-1 constant is the population deviation of the whole initialisation', () => {
  // 2 4 4 4 5 5 7 9: mean 5, sum of squares 32, sqrt(32 / 8) = 2.
  expect(deviation(f32(2, 4, 4, 4, 5, 5, 7, 9))).toBe(2);
  const out = restart('constant');
  for (const i of survivors) expect(Math.abs(out[i])).toBe(deviation(initial));
  // Its signs are those of the initialisation, whatever the round began with.
  expect(restartBy('constant', network, { initial, start: began.map((w) => -w) }, bits, at)).toEqual(
    out.map((w, i) => (i % 3 === 0 ? w : -w)),
  );
});

test('layers and rounds have streams of their own', () => {
  const two: Network = { ...network, layers: [network.layers[0], { kind: 'dense', units: 20, activation: 'linear' }] };
  const layer = (i: number) => restartBy('redraw', two, { initial, start: began }, bits, { ...at, layer: i });
  expect(layer(0)).toEqual(restart('redraw'));
  expect(layer(1)).not.toEqual(layer(0));
});

test('variant 2 says where kept weights restart, so it goes with rewind alone', () => {
  expect(actionConflict('toward_zero_all', 'rewind')).toBeNull();
  expect(actionConflict('toward_zero', 'reinit')).toBeNull();
  expect(actionConflict('toward_zero_all', 'reshuffle')).toMatch(/rewind only, not reshuffle/);
});
