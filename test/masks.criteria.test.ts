// Criteria on pairs made by hand (scores by the formulas of Zhou et al. 2019, worked out on paper), and on random layers: opposites,
// exact counts over the paper's 24 rounds, seeded ties, survivors only.

import { describe, expect, test } from 'vitest';
import { conv4, conv6, fc } from '../models/index.js';
import {
  CRITERIA,
  type Criterion,
  criterionMask,
  criterionMaskOf,
  criterionScores,
  keepCounts,
  keepHighest,
  mostRounds,
  nextKeep,
  paperPercents,
  paperRates,
} from '../src/masks/criteria.js';
import { countKept, fullMask, kept, type Network, regenerate } from '../src/network.js';
import { parseSeed } from '../src/random.js';

const seed = parseSeed('criteria');
const f32 = (...values: number[]) => Float32Array.from(values);
const keptPlaces = (bits: Uint8Array, n: number) => Array.from({ length: n }, (_, i) => i).filter((i) => kept(bits, i));

// Five weights: grown, shrunk, sign changed, grown a little, from zero.
const wi = f32(1, -4, 2, -0.5, 0);
const wf = f32(3, -1, -2.5, -0.75, 0.25);

test.each<[Criterion, number[]]>([
  ['large_final', [3, 1, 2.5, 0.75, 0.25]],
  ['small_final', [-3, -1, -2.5, -0.75, -0.25]],
  ['large_init', [1, 4, 2, 0.5, 0]],
  ['small_init', [-1, -4, -2, -0.5, -0]],
  // Ranks of |wi|: 2 4 3 1 0; of |wf|: 4 2 3 1 0.
  ['large_init_large_final', [2, 2, 3, 1, 0]],
  ['small_init_small_final', [-4, -4, -3, -1, -0]],
  ['magnitude_increase', [2, -3, 0.5, 0.25, 0.25]],
  ['movement', [2, 3, 4.5, 0.25, 0.25]],
  ['large_final_same_sign', [3, 1, 0, 0.75, 0]],
  ['large_final_diff_sign', [0, 0, 2.5, 0, 0]],
])('%s', (criterion, scores) => {
  expect([...criterionScores(criterion, wi, wf, seed, 0)].map((x) => x + 0)).toEqual(scores.map((x) => x + 0));
});

test("a score of one's own, and a name that no criterion has", () => {
  expect([...criterionScores((a, b) => a + b, wi, wf, seed, 0)]).toEqual([4, -5, -0.5, -1.25, 0.25]);
  expect(() => criterionMask(network, 'mine' as Criterion, initial, final, [1, 1], seed)).toThrow(/^criterion: expected one of random, /);
});

test('ranks are counted among survivors: equal magnitudes share one, and the kept weights pass both percentiles', () => {
  const among = Uint8Array.from([0b10111]);
  expect([...criterionScores('large_init_large_final', wi, wf, seed, 0, among)].filter((_, i) => i !== 3)).toEqual([1, 1, 2, 0]);
  expect([...criterionScores('large_init_large_final', f32(1, -1, 2), f32(5, 5, 5), seed, 0)]).toEqual([0, 0, 0]);
  const n = 400;
  const [a, b] = [0, 1].map((i) => regenerate({ ...network, seed: { low: i, high: 9 } })[0].subarray(0, n));
  const places = keptPlaces(keepHighest(criterionScores('large_init_large_final', a, b, seed, 0), 100, seed, 0), n);
  const least = (w: Float32Array) => Math.min(...places.map((i) => Math.abs(w[i])));
  const both = Array.from({ length: n }, (_, i) => i).filter((i) => Math.abs(a[i]) >= least(a) && Math.abs(b[i]) >= least(b));
  expect(both).toEqual(places);
});

const network: Network = {
  input: [1, 1, 50],
  layers: [
    { kind: 'dense', units: 20, activation: 'relu' },
    { kind: 'dense', units: 7, activation: 'linear' },
  ],
  distribution: 'normal',
  sigma: 'glorot',
  seed,
};
const initial = regenerate(network);
const final = regenerate({ ...network, seed: parseSeed('moved') }).map((w, layer) => w.map((x, i) => 0.5 * x + initial[layer][i]));

describe('opposites', () => {
  test.each<[Criterion, Criterion]>([
    ['large_final', 'small_final'],
    ['large_init', 'small_init'],
  ])('%s and %s share no weight and leave none at complementary fractions', (a, b) => {
    const masks = [
      criterionMask(network, a, initial, final, [0.3, 0.4], seed),
      criterionMask(network, b, initial, final, [0.7, 0.6], seed),
    ];
    const full = fullMask(network, true);
    masks[0].forEach((bits, layer) => {
      expect(bits.map((byte, i) => byte & masks[1][layer][i]).every((byte) => byte === 0)).toBe(true);
      expect(bits.map((byte, i) => byte | masks[1][layer][i])).toEqual(full[layer]);
    });
  });

  test.each<[Criterion, Criterion]>([
    ['large_init_large_final', 'small_init_small_final'],
    ['large_final_same_sign', 'large_final_diff_sign'],
  ])('%s and %s share no weight while few are kept', (a, b) => {
    const masks = [a, b].map((criterion) => criterionMask(network, criterion, initial, final, [0.1, 0.1], seed));
    masks[0].forEach((bits, layer) => {
      expect(bits.some((byte, i) => byte & masks[1][layer][i])).toBe(false);
    });
  });

  test('same_sign keeps weights whose sign stayed, diff_sign those whose sign changed', () => {
    const signs = final.map((w, layer) => w.map((x, i) => Math.sign(x) * Math.sign(initial[layer][i])));
    const changed = signs.map((s) => s.filter((x) => x < 0).length);
    const same = criterionMaskOf('large_final_same_sign', initial, final, [300, 40], seed);
    const diff = criterionMaskOf('large_final_diff_sign', initial, final, changed, seed);
    signs.forEach((s, layer) => {
      for (const i of keptPlaces(same[layer], s.length)) expect(s[i]).toBe(1);
      expect(keptPlaces(diff[layer], s.length)).toEqual([...s.keys()].filter((i) => s[i] < 0));
    });
  });
});

test.each(CRITERIA)('%s: exact counts over 24 rounds, and what was pruned stays pruned', (criterion) => {
  let mask = fullMask(network, true);
  let expected = [1000, 140];
  for (let round = 0; round < 24; round++) {
    const next = criterionMaskOf(criterion, initial, final, nextKeep(network, mask), seed, mask);
    // Integers: floor(n / 5) of the hidden layer's and floor(n / 10) of the last layer's weights are cut.
    expected = [expected[0] - Math.floor(expected[0] / 5), expected[1] - Math.floor(expected[1] / 10)];
    expect(next.map(countKept)).toEqual(expected);
    next.forEach((bits, layer) => {
      expect(bits.every((byte, i) => (byte & ~mask[layer][i]) === 0)).toBe(true);
    });
    mask = next;
  }
});

test("the paper's rates and counts", () => {
  expect(paperPercents({ ...network, ...fc })).toEqual([80, 80, 90]);
  expect(paperPercents({ ...network, ...conv4 })).toEqual([90, 90, 90, 90, 80, 80, 90]);
  expect(paperPercents({ ...network, ...conv6 })).toEqual([85, 85, 85, 85, 85, 85, 80, 80, 90]);
  const five = { ...conv6, layers: conv6.layers.filter((_, i) => i > 0) };
  expect(paperPercents({ ...network, ...five })).toEqual([90, 90, 90, 90, 90, 80, 80, 90]);
  expect(paperRates(network, 2)).toEqual([0.8 ** 2, 0.9 ** 2]);
  // 235,200 x 20 / 100 = 47,040 and so on; the authors' floats cut 47,039, 5,999 and 99.
  const lenet = { ...network, ...fc };
  expect(nextKeep(lenet, fullMask(lenet, true))).toEqual([235200 - 47040, 30000 - 6000, 1000 - 100]);
  // The nearest whole number: 235,200 x .00001 = 2.352, 30,000 x .00005 = 1.5, 1,000 x .0016 = 1.6.
  expect(keepCounts(lenet, [0.00001, 0.00005, 0.0016])).toEqual([2, 2, 2]);
});

test('rounds that prune end where a tenth of the last layer, and a fifth of every other, is less than a weight', () => {
  const dense = (units: number) => ({ kind: 'dense', units, activation: 'relu' }) as const;
  // 12, 11, 10, 9.
  expect(mostRounds({ ...network, input: [1, 1, 4], layers: [dense(3)] })).toBe(3);
  // 9 of the last layer are too few from the beginning; of 15: 12, 10, 8, 7, 6, 5, 4.
  expect(mostRounds({ ...network, input: [1, 1, 5], layers: [dense(3), dense(3)] })).toBe(7);
  const lenet = { ...network, ...fc };
  const next = (rounds: number) => nextKeep(lenet, fullMask(lenet, true), rounds);
  const most = mostRounds(lenet);
  expect(next(most - 1)).not.toEqual(next(most));
  expect(next(most + 1)).toEqual(next(most));
});

test('ties are broken by the seed, not by position, and only among survivors', () => {
  const tied = (text: string, among?: Uint8Array) => keepHighest(new Float64Array(64), 16, parseSeed(text), 0, among);
  expect(countKept(tied('a'))).toBe(16);
  expect(tied('a')).toEqual(tied('a'));
  expect(tied('a')).not.toEqual(tied('b'));
  const among = Uint8Array.from([255, 0, 255, 0, 255, 0, 0, 0]);
  expect(tied('a', among).every((byte, i) => (byte & ~among[i]) === 0)).toBe(true);
  expect(countKept(tied('a', among))).toBe(16);
});

test('more than survive cannot be kept, and a diverged training is said', () => {
  expect(() => keepHighest(new Float64Array(8), 4, seed, 2, Uint8Array.from([7]))).toThrow('layer 2: cannot keep 4 of 3 weights');
  for (const keep of [0.5, 2.5, -2, Number.NaN])
    expect(() => criterionMaskOf('random', [wi], [wf], [keep], seed)).toThrow(
      `layer 0: keep must be a whole number of weights, got ${keep}: keepCounts makes them of fractions`,
    );
  for (const criterion of CRITERIA.filter((name) => /final|movement|increase/.test(name))) {
    expect(() => criterionMaskOf(criterion, [f32(1, 2)], [f32(1, Number.NaN)], [1], seed), criterion).toThrow(
      /^layer 0: a score is not a number: the training diverged$/,
    );
  }
});
