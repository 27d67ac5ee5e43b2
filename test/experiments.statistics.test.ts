// Numbers behind the figures: the paired test against SciPy, summaries, rows picked and matched by seed, CSV.

import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Row } from '../experiments/cells/cell.js';
import { seedsText, starsOf } from '../experiments/evidence/chart.js';
import { bestOfSeeds, csv, deepMeans, groups, nearLevel, pairs, pointsOf, where } from '../experiments/evidence/rows.js';
import { optionalNow } from '../experiments/optional.js';
import { differ, pairedTest, summary } from '../experiments/statistics.js';

// p of scipy.stats.ttest_rel(a, b).pvalue, SciPy 1.17.1.
test.each([
  [[97.1, 97.4, 97.0, 97.3, 97.2], [96.9, 97.1, 97.0, 96.8, 97.0], 0.041794680456045945],
  [[1, 2], [2, 5], 0.2951672353008665],
  [[0.5, 0.7, 0.9, 0.2], [0.4, 0.8, 0.7, 0.3], 0.7608203755145109],
  [[91.2, 92.5, 90.8], [88.1, 89.9, 88.0], 0.002619429604252749],
])('the paired t test agrees with SciPy', (a, b, p) => {
  expect(pairedTest(a, b)).toBeCloseTo(p, 8);
  expect(pairedTest(b, a)).toBeCloseTo(p, 8);
});

test('the paired t test of equal runs, of a constant difference', () => {
  expect(pairedTest([1, 2, 3], [1, 2, 3])).toBe(1);
  expect(pairedTest([2, 3, 4], [1, 2, 3])).toBe(0);
});

test('a star needs three pairs: two equal differences are common', () => {
  expect(differ([2, 3], [1, 2])).toBe(false);
  expect(differ([97.83, 98.13], [97.8, 98.1])).toBe(false);
  expect(differ([91.2, 92.5, 90.8], [88.1, 89.9, 88.0])).toBe(true);
  expect(differ([1, 2, 3], [1, 2, 3])).toBe(false);
});

test('captions tell the seeds behind a mark, not those of all marks together', () => {
  expect(seedsText([{ n: 1 }, { n: 1 }])).toBe('1 seed: no range, no test');
  expect(seedsText([{ n: 2 }, { n: 2 }])).toBe('mean and range of 2 seeds');
  expect(seedsText([{ n: 1 }, { n: 3 }])).toBe('mean and range of 1 to 3 seeds');
});

test('p is a probability, whatever the scale of the values', () => {
  const run = fc.float({ min: 0, max: 100, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(run, run), { minLength: 2, maxLength: 8 }), (both) => {
      const p = pairedTest(
        both.map(([a]) => a),
        both.map(([, b]) => b),
      );
      expect(p).toBeGreaterThanOrEqual(0);
      expect(p).toBeLessThanOrEqual(1);
    }),
    {
      seed: 1640168206,
      // Differences whose mean is next to nothing: jStat gives 1.00000001.
      examples: [
        [
          [
            [99.99993133544922, 0],
            [0, 99.99993133544922],
            [0, 0],
            [1.812985423951547e-14, 0],
          ],
        ],
      ],
    },
  );
});

test('a summary of values, and of none', () => {
  expect(summary([3, 1, 2])).toEqual({ mean: 2, min: 1, max: 3, n: 3 });
  expect(() => summary([])).toThrow(/at least one/);
});

const rows: Row[] = [
  { seed: 0, round: 1, kept: 0.8, valAccuracy: 0.9, testAccuracy: 0.5 },
  { seed: 0, round: 2, kept: 0.2, valAccuracy: 0.8, testAccuracy: 0.7 },
  { seed: 0, round: 3, kept: 0.1, valAccuracy: 0.7, testAccuracy: 0.3 },
  { seed: 1, round: 1, kept: 0.8, valAccuracy: 0.6, testAccuracy: 0.25 },
  { seed: 1, round: 2, kept: 0.2, valAccuracy: 0.7, testAccuracy: 0.75 },
];

test('the best of a seed is chosen on validation rows, never on test rows', () => {
  expect(bestOfSeeds(rows).map((row) => [row['seed'], row['testAccuracy']])).toEqual([
    [0, 0.5],
    [1, 0.75],
  ]);
});

test('points are groups, ascending, in per cent', () => {
  expect(pointsOf(rows, 'round', 'kept')).toEqual([
    { x: 0.1, mean: 30, min: 30, max: 30, n: 1 },
    { x: 0.2, mean: 72.5, min: 70, max: 75, n: 2 },
    { x: 0.8, mean: 37.5, min: 25, max: 50, n: 2 },
  ]);
  expect(pointsOf(rows, 'round', 'kept', 'towardZero')).toEqual([]);
});

test('levels: the nearest, and means from a kept fraction down', () => {
  expect(nearLevel(rows, 0.19)).toEqual(where(rows, { round: 2 }));
  expect([...deepMeans(rows, 0.2)]).toEqual([
    [0, 50],
    [1, 75],
  ]);
});

test('pairs are the seeds that both sides have', () => {
  expect(
    pairs(
      new Map([
        [0, 10],
        [2, 12],
        [1, 11],
      ]),
      new Map([
        [1, 21],
        [2, 22],
      ]),
    ),
  ).toEqual([
    [12, 11],
    [22, 21],
  ]);
});

test('a star stands where a paired test tells two lines apart, and nowhere with one seed', () => {
  const line = (values: number[][]) =>
    groups(
      values.flatMap((seeds, round) => seeds.map((testAccuracy, seed) => ({ seed, round, kept: 1 / (round + 1), testAccuracy }))),
      'round',
    );
  const [a, b] = [
    line([
      [0.5, 0.6],
      [0.912, 0.925, 0.908],
    ]),
    line([
      [0.6, 0.5],
      [0.881, 0.899, 0.88],
    ]),
  ];
  expect(starsOf(a, b, 'kept')).toEqual([{ x: 0.5, y: 92.5 }]);
  expect(starsOf(line([[0.5]]), line([[0.9]]), 'kept')).toEqual([]);
});

test('a package that is not there is named with the command that installs it', () => {
  const missing = () => createRequire(import.meta.url)('no-such-package');
  expect(() => optionalNow('a test', 'no-such-package', missing)).toThrow(
    /^a test needs the npm package no-such-package, .*npm install no-such-package$/,
  );
  const broken = () => {
    throw new Error('broken');
  };
  expect(() => optionalNow('a test', 'x', broken)).toThrow(/^broken$/);
});

test('CSV quotes what RFC 4180 says, and leaves a hole where a row lacks a column', () => {
  expect(
    csv([
      { a: 'x,y', b: 1 },
      { b: -0.5, c: 'say "no"\nnever\r' },
    ]),
  ).toBe('a,b,c\n"x,y",1,\n,-0.5,"say ""no""\nnever\r"\n');
  expect(csv([])).toBe('\n');
});
