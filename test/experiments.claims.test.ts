// Verdicts follow from rows: on rows made by hand a claim holds, holds in part, fails, or has not been run.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Row } from '../experiments/cells/cell.js';
import { type Band, inBands, inOrder, shown } from '../experiments/evidence/claims.js';
import { EXPERIMENTS } from '../experiments/index.js';
import { planOf, results } from '../experiments/sweep/conduct.js';
import type { Store } from '../experiments/sweep/store.js';

const plan = planOf('budget', 1);
const scope = { plan, network: 'fc' } as const;
const about = { text: 'a claim', paper: '80 %' };
const seeds = (...values: number[]) => new Map(values.map((value, seed) => [seed, value]));

test('means in bands', () => {
  const band = { low: 74, high: 85 };
  expect(inBands(scope, about, [{ values: [79, 81], ...band }])).toEqual({
    ...about,
    accepted: '74 to 85',
    seeds: 2,
    ours: '80.0 (79.0 to 81.0, 2 seeds)',
    verdict: 'holds',
  });
  expect(inBands(scope, about, [{ values: [90], ...band }])).toMatchObject({ verdict: 'fails', note: 'outside 74 to 85' });
  expect(
    inBands(scope, about, [
      { values: [80], ...band },
      { name: 'other', values: [9], ...band },
    ]),
  ).toMatchObject({ verdict: 'partly', note: 'other outside 74 to 85' });
  const single = { values: [74, 85], ...band, each: [75, 90] } as const;
  expect(inBands(scope, about, [single])).toMatchObject({ verdict: 'fails', note: 'not each within 75 to 90' });
  expect(inBands(scope, about, [{ ...single, low: 80 }]).note).toBe('outside 80 to 85; not each within 75 to 90');
  const order = { name: 'a over b', over: seeds(1, 3), under: seeds(2, 2), every: true };
  expect(inBands(scope, about, [{ values: [80, 80], ...band }], [order])).toMatchObject({
    verdict: 'partly',
    note: 'not in every seed: a over b',
  });
  expect(inBands(scope, about, [{ values: [], ...band }])).toEqual({
    ...about,
    ours: '',
    verdict: 'not run',
    note: 'needs cells of fc that are not there',
  });
});

test('what is accepted says each band, and no edge that is none', () => {
  const accepted = (...bands: Omit<Band, 'values'>[]) =>
    inBands(
      scope,
      about,
      bands.map((band) => ({ ...band, values: [80] })),
    ).accepted;
  expect(accepted({ name: 'a', low: 69.2 - 1.5, high: 70.7 }, { name: 'b', low: 0, high: 20 })).toBe('a 67.7 to 70.7; b at most 20');
  expect(accepted({ low: 97, high: 100, each: [95, 100] })).toBe('at least 97, each at least 95');
  expect(accepted({ low: -100, high: 1 }, { low: -1, high: 1 })).toBe('at most 1; -1 to 1');
});

test('differences in bands have a star where seeds differ from none', () => {
  const of = (...values: number[]) => inBands(scope, about, [{ values, low: -1, high: 1, signed: true }]).ours;
  expect(of(-0.4, -0.5, -0.4)).toBe('−0.43 ★ (−0.50 to −0.40, 3 seeds)');
  expect(of(-0.4, 0.5, -0.4)).toBe('−0.10 (−0.40 to +0.50, 3 seeds)');
});

test('orders in four of five seeds', () => {
  const order = (over: Map<number, number>, under: Map<number, number>, more = {}) =>
    inOrder(scope, about, [{ name: 'a over b', over, under, ...more }]);
  const under = seeds(5, 5, 5, 5, 5);
  expect(order(seeds(6, 6, 6, 6, 4), under)).toEqual({
    ...about,
    seeds: 5,
    ours: 'a over b: +0.60 points (−1.00 to +1.00), 4 of 5 seeds',
    verdict: 'holds',
  });
  expect(order(seeds(6, 6, 6, 4, 4), under)).toMatchObject({ verdict: 'fails', note: 'not in enough of the seeds: a over b' });
  expect(order(seeds(6, 6, 6, 6, 4), under, { every: true }).verdict).toBe('fails');
  expect(order(seeds(4.9, 4.9), under).verdict).toBe('fails');
  expect(order(seeds(4.9, 4.9), under, { slack: 0.2 })).toMatchObject({
    ours: 'a over b: −0.10 points (−0.10 to −0.10), at most 0.20 below in 2 of 2 seeds',
    accepted: 'at most 0.20 points below, one standard error on the test rows',
    verdict: 'holds',
  });
  expect(order(seeds(6), under).ours).toBe('a over b: +1.00 points, 1 of 1 seeds');
  // A star is of the difference, whichever way it goes.
  expect(order(seeds(6.1, 6, 6.2), under).ours).toBe('a over b: +1.10 points ★ (+1.00 to +1.20), 3 of 3 seeds');
  expect(order(seeds(3.9, 4, 3.8), under).ours).toBe('a over b: −1.10 points ★ (−1.20 to −1.00), 0 of 3 seeds');
  expect(order(new Map(), under).verdict).toBe('not run');
  expect(order(new Map([[7, 1]]), under).verdict).toBe('not run');
});

test('why is told of what does not hold, and of nothing else', () => {
  const told = (value: number) => inBands(scope, { ...about, why: 'it was short' }, [{ values: [value], low: 74, high: 85 }]);
  const given = { ...about, accepted: '74 to 85', seeds: 1 };
  expect(told(80)).toEqual({ ...given, ours: '80.0 (1 seed)', verdict: 'holds' });
  expect(told(70)).toEqual({ ...given, ours: '70.0 (1 seed)', verdict: 'fails', note: 'outside 74 to 85; it was short' });
});

test('a mean beside an edge of its band has a digit more', () => {
  const of = (value: number) => inBands(scope, about, [{ values: [value], low: 94.3, high: 96.5 }]);
  expect(of(94.305)).toMatchObject({ ours: '94.31 (1 seed)', verdict: 'holds' });
  expect(of(96.54)).toMatchObject({ ours: '96.54 (1 seed)', verdict: 'fails' });
  expect(of(94.4).ours).toBe('94.4 (1 seed)');
});

test('orders of figure 2 say at how many levels they hold: a mean over levels hides opposite signs', () => {
  const rows = (['zero', 'init'] as const).flatMap((mask0) =>
    tickets({ network: 'fc', mask0 }, (kept) => (mask0 === 'zero' && kept < 0.3 ? 0.6 : 0.5)),
  );
  const [zero] = claimsOf('figure-02b', rows);
  const levels = new Set(rows.map((row) => Number(row['kept'])).filter((kept) => kept <= 0.5));
  const above = [...levels].filter((kept) => kept < 0.3);
  expect(above.length).toBeLessThan(levels.size);
  expect(zero.ours).toMatch(new RegExp(`above at ${above.length} of ${levels.size} levels$`));
});

test('fewer seeds than planned are named', () => {
  const claim = inBands({ ...scope, plan: planOf('budget', 5) }, about, [{ values: [80, 81], low: 74, high: 85 }]);
  expect(claim).toMatchObject({ verdict: 'holds', note: '2 of 5 seeds so far' });
});

test('a quick run decides nothing, and a shortened one says so', () => {
  const band = [{ values: [80], low: 74, high: 85 }];
  const quick = inBands({ ...scope, plan: planOf('quick', 1), shortened: 'shortened run: less' }, about, band);
  expect(quick).toMatchObject({
    ours: '80.0 (1 seed)',
    verdict: 'not decided',
    note: 'a quick run shows the path and decides nothing; shortened run: less',
  });
  expect(inBands({ ...scope, shortened: 'shortened run: less' }, about, band)).toMatchObject({
    verdict: 'holds',
    note: 'shortened run: less',
  });
});

test('what is shown of values', () => {
  expect(shown([1.26])).toBe('1.3 (1 seed)');
  expect(shown([97, 98], 2)).toBe('97.50 (97.00 to 98.00, 2 seeds)');
  expect(shown([97, 98], 1, 'task')).toBe('97.5 (97.0 to 98.0, 2 tasks)');
});

test('without rows nothing has been run, in any experiment', () => {
  const empty = { folder: join(import.meta.dirname, 'none'), result: () => undefined, read: () => undefined } as Partial<Store> as Store;
  for (const experiment of EXPERIMENTS) {
    const { claims, tables, pictures } = results(experiment, plan, empty);
    for (const claim of claims) expect(claim, experiment.name).toMatchObject({ verdict: 'not run', ours: '' });
    expect([...tables, ...pictures]).toEqual([]);
  }
});

const claimsOf = (name: string, rows: Row[]) => EXPERIMENTS.find((e) => e.name === name)!.claims(rows, plan);
const KEPT = [1, 0.8, 0.51, 0.33, 0.21, 0.11, 0.05, 0.02, 0.01];

/** Rows of tickets that keep `accuracy(kept, seed)`. */
const tickets = (arm: Row, accuracy: (kept: number, seed: number) => number): Row[] =>
  [0, 1, 2, 3, 4].flatMap((seed) =>
    KEPT.map((kept, round) => {
      const value = accuracy(kept, seed) + 0.0001 * seed;
      return {
        network: 'fc',
        criterion: 'large_final',
        mask0: 'zero',
        mask1: 'rewind',
        ...arm,
        seed,
        round,
        kept,
        valAccuracy: value,
        testAccuracy: value,
      };
    }),
  );

/** Test accuracy of a criterion deep down, relative to random's. */
const LEADS = {
  random: 0,
  large_final: 0.05,
  small_final: -0.05,
  large_init: 0.01,
  small_init: -0.01,
  large_init_large_final: 0.02,
  small_init_small_final: -0.02,
  magnitude_increase: 0.045,
  movement: 0.015,
};
const criteria = (leads: Record<string, number>): Row[] =>
  Object.entries(leads).flatMap(([criterion, lead]) =>
    tickets({ criterion }, (kept, seed) => (kept === 1 ? 0.97 : 0.93 + lead + 0.002 * seed * kept)),
  );

test('figure 7 on rows as the paper has them, and on rows turned round', () => {
  expect(claimsOf('figure-07', criteria(LEADS)).map((c) => c.verdict)).toEqual(['holds', 'holds', 'holds', 'holds']);
  const turned = Object.fromEntries(Object.entries(LEADS).map(([name, lead]) => [name, name.startsWith('small') ? lead : -lead]));
  expect(claimsOf('figure-07', criteria(turned)).map((c) => c.verdict)).toEqual(['fails', 'fails', 'fails', 'fails']);
  for (const { note } of claimsOf('figure-07', criteria(turned))) expect(note).not.toMatch(/^shortened run/);
  const { random: _, ...without } = LEADS;
  expect(claimsOf('figure-07', criteria(without)).map((c) => c.verdict)).toEqual(['not run', 'holds', 'not run', 'not run']);
});

test("figure 7 compares the paper's criteria: those of signs, and any that came later, may be better", () => {
  const more = criteria({ ...LEADS, large_final_same_sign: 0.06, of_tomorrow: 0.07 });
  expect(claimsOf('figure-07', more)).toEqual(claimsOf('figure-07', criteria(LEADS)));
});

test('a pair around random is one in four of five seeds, not in the mean alone', () => {
  // large_init is far above random in two seeds, and a little below it, as small_init is, in three.
  const rows = criteria(LEADS).map((row) =>
    row['criterion'] === 'large_init' && Number(row['seed']) > 1 ? { ...row, testAccuracy: Number(row['testAccuracy']) - 0.011 } : row,
  );
  const [, , pairs] = claimsOf('figure-07', rows);
  expect(pairs).toMatchObject({ verdict: 'partly', note: expect.stringMatching(/^not in enough of the seeds: large_init over random/) });
  expect(pairs.ours).toMatch(/large_init over random: \+0\.\d\d points \(−0\.10 to \+1\.00\), 2 of 5 seeds; random over small_init/);
  // Either member may be the better one.
  const swapped = { ...LEADS, large_init: -0.01, small_init: 0.01 };
  expect(claimsOf('figure-07', criteria(swapped))[2].verdict).toBe('holds');
});

test('evidence names the level, and stars only where there can be any', () => {
  const [a14, , , best] = claimsOf('figure-07', criteria(LEADS));
  expect(a14.ours).toMatch(/^at 11\.0 % kept over the whole network: /);
  expect(best.ours).toMatch(/; stars at \d of 8 levels/);
  const two = criteria(LEADS).filter((row) => Number(row['seed']) < 2);
  expect(claimsOf('figure-07', two)[3].ours).toMatch(/; no stars below 3 seeds$/);
});

test('A16 is listed for all three convolutional networks, and is not about fc', () => {
  const rows = tickets({ network: 'conv2', mask0: 'zero' }, () => 0.6).concat(tickets({ network: 'conv2', mask0: 'init' }, () => 0.5));
  const verdicts = Object.fromEntries(claimsOf('figure-02', rows).map(({ text, verdict }) => [text, verdict]));
  for (const [network, verdict] of [
    ['conv2', 'holds'],
    ['conv4', 'not run'],
    ['conv6', 'not run'],
  ])
    expect(verdicts[`A16: at half kept and below, pruned weights of ${network} are better zero than frozen at their initial values`]).toBe(
      verdict,
    );
  expect(claimsOf('figure-02b', []).map(({ text }) => /pruned weights|variant \d|Controls/.exec(text)?.[0])).toEqual([
    'pruned weights',
    'variant 1',
    'variant 2',
    'Controls',
  ]);
});

test('controls that zero other weights must be below variant 1, and not above both zero and initial', () => {
  const arms = (reshuffled: number) =>
    Object.entries({ zero: 0.5, init: 0.52, toward_zero: 0.6, toward_zero_reversed: 0.4, toward_zero_reshuffled: reshuffled }).flatMap(
      ([mask0, value]) => tickets({ network: 'conv2', mask0 }, () => value),
    );
  const of = (reshuffled: number) => claimsOf('figure-02', arms(reshuffled)).find(({ text }) => text.startsWith('Controls'))!;
  expect(of(0.51).verdict).toBe('holds');
  expect(of(0.55)).toMatchObject({
    verdict: 'partly',
    note: expect.stringMatching(/^not in enough of the seeds: the better of zero and init over toward_zero_reshuffled;/),
  });
});

test('distance ages a mask only if what moved as far is nearer than what trained as long', () => {
  const row = (learningRate: number, age: number, movement: number, testAccuracy: number) =>
    (['large_final', 'large_final_same_sign'] as const).map((criterion): Row => {
      return {
        network: 'fc',
        seed: 0,
        criterion,
        learningRate,
        age,
        power: 2,
        movement,
        weights: 'init',
        valAccuracy: testAccuracy,
        testAccuracy,
      };
    });
  const verdict = (asFar: number) => {
    const rows = [row(1.2e-3, 6, 1.6, asFar), row(1.2e-3, 55, 4.3, 0.3), row(3e-4, 6, 0.7, 0.8), row(3e-4, 55, 1.7, 0.7)].flat();
    return claimsOf('early-masks-why', rows)[3];
  };
  expect(verdict(0.73)).toMatchObject({
    verdict: 'holds',
    // Nothing at 6 epochs, where both are 7 points off, and 40 - 3 at 55.
    ours: expect.stringMatching(
      /at the nearest distance than after as many epochs, mean of ages: \+18\.50 points, 1 of 1 seeds, 23\.5 against 5\.0/,
    ),
  });
  expect(verdict(0.2)).toMatchObject({ verdict: 'partly' });
});

test('figure 7 compares criteria by the seeds that all of them have', () => {
  // A seed that is better for all, so far run of random and large_final alone.
  const extra = ['random', 'large_final'].flatMap((criterion) =>
    tickets({ criterion }, () => 0.999).map((row) => ({ ...row, seed: (row['seed'] as number) + 5 })),
  );
  const of = (rows: Row[]) =>
    EXPERIMENTS.find((e) => e.name === 'figure-07')!
      .claims(rows, planOf('budget', 10))
      .slice(2);
  const [pairs, best] = of([...criteria(LEADS), ...extra]);
  expect([pairs, best].map(({ note }) => note?.split(';')[0])).toEqual(['5 of 10 seeds so far', '5 of 10 seeds so far']);
  expect([pairs.ours, best.ours.split(';')[0]]).toEqual(of(criteria(LEADS)).map(({ ours }, i) => (i === 0 ? ours : ours.split(';')[0])));
});

test('captions of figure 7 say where its stars are, or that no level has one; of few seeds nothing', () => {
  const captions = (rows: Row[]) =>
    EXPERIMENTS.find((e) => e.name === 'figure-07')!
      .pictures(rows, plan)
      .map(({ caption }) => /; ([^;]*★.*) < 0\.05/.exec(caption)?.[1]);
  const starred = '★: large_final and magnitude_increase differ, paired t test, p';
  expect(captions(criteria(LEADS))).toEqual([starred, starred]);
  const alike = 'no ★, as at no level large_final and magnitude_increase differ, paired t test, p';
  expect(captions(criteria({ ...LEADS, magnitude_increase: LEADS.large_final }))).toEqual([alike, alike]);
  const two = criteria(LEADS).filter(({ seed }) => Number(seed) < 2);
  expect(captions(two)).toEqual([undefined, undefined]);
  expect(captions(criteria({ large_final: 0.05 }))).toEqual([undefined, undefined]);
});

test('captions of chosen levels say how many there were, and where random masks come to so', () => {
  const row = (criterion: string, power: number, valAccuracy: number, testAccuracy: number): Row => ({
    ...{ network: 'fc', seed: 0, age: 55, criterion, weights: 'init', kept: 0.8 ** power },
    ...{ power, valAccuracy, testAccuracy },
  });
  const rows = [1, 2, 3].flatMap((power) => [
    row('random', power, power === 2 ? 0.17 : 0.1, power === 2 ? 0.162 : 0.3),
    row('movement', power, 0.1, 0.1),
  ]);
  const captionOf = (name: string, of: Row[]) => EXPERIMENTS.find((e) => e.name === name)!.pictures(of, plan)[0].caption;
  const text = 'the best of 3 levels on validation rows: random masks so chosen reach 16.2 %, where a guess is 10.';
  expect(captionOf('figure-10', rows)).toContain(`1 seed: no range, no test. Claims take of every seed ${text}`);
  expect(captionOf('early-masks', rows)).toContain(`1 seed: no range, no test. At every point ${text}`);
  expect(
    captionOf(
      'figure-10',
      rows.filter(({ criterion }) => criterion !== 'random'),
    ),
  ).toMatch(/the best of 3 levels on validation rows\.$/);
});

test('lines of a drawing are of the seeds that all of them have, or of their own where no seed is in all', () => {
  const seedsDrawn = (rows: Row[]) => {
    const [{ chart }] = EXPERIMENTS.find((e) => e.name === 'figure-02b')!.pictures(rows, planOf('budget', 10));
    if (chart.kind !== 'curves') throw new Error('figure 2 draws curves');
    return chart.lines.map(({ points }) => points.map(({ n }) => n));
  };
  const of = (mask0: string, ...seeds: number[]) =>
    tickets({ mask0 }, () => 0.97).filter((row) => seeds.includes(row['seed'] as number) && (row['round'] as number) < 2);
  expect(seedsDrawn([...of('zero', 0, 1, 2), ...of('init', 1, 2, 3)])).toEqual([
    [2, 2],
    [2, 2],
  ]);
  expect(seedsDrawn([...of('zero', 0, 1, 2), ...of('init', 3)])).toEqual([
    [3, 3],
    [1, 1],
  ]);
});

test('the mechanism is asked of every criterion whose tickets are a point better or worse than random ones', () => {
  const moved = (criterion: string, towardZero: number): Row => ({
    network: 'fc',
    seed: 0,
    weights: 'init',
    age: 55,
    criterion,
    power: 3,
    kept: 0.51,
    towardZero,
  });
  const leads = { ...LEADS, large_init: 0.009, small_init: -0.012, large_final_same_sign: 0.05, large_final_diff_sign: -0.02 };
  const rows = [
    ...criteria(leads).filter(({ round }) => round !== 0),
    ...Object.entries(leads).map(([name, lead]) => moved(name, lead > 0.01 ? 0.3 : lead < -0.01 ? 0.1 : 0.14)),
  ];
  const [claim] = claimsOf('mechanism', rows);
  expect(claim.verdict).toBe('holds');
  expect(claim.ours.match(/\w+ over \w+/g)).toEqual([
    ...['large_final', 'large_init_large_final', 'magnitude_increase', 'movement', 'large_final_same_sign'].map(
      (name) => `${name} over random`,
    ),
    ...['small_final', 'small_init', 'small_init_small_final', 'large_final_diff_sign'].map((name) => `random over ${name}`),
  ]);
  const one = rows.map((own) => (own['criterion'] === 'small_init' && own['age'] ? { ...own, towardZero: 0.21 } : own));
  expect(claimsOf('mechanism', one)).toMatchObject([
    {
      verdict: 'partly',
      note: expect.stringMatching(/enough of the seeds: random over small_init; shortened run: fc: .* 12 epochs a round/),
    },
  ]);
  // Better tickets, and fewer weights that moved toward zero.
  const against = rows.map((own) => (own['criterion'] === 'large_init' ? { ...own, testAccuracy: 0.96, towardZero: 0.07 } : own));
  expect(claimsOf('mechanism', against)).toMatchObject([
    { verdict: 'partly', note: expect.stringMatching(/enough of the seeds: large_init over random; shortened run/) },
  ]);
  const alike = rows.map((own) => ({ ...own, testAccuracy: 0.9 }));
  expect(claimsOf('mechanism', alike)).toMatchObject([
    { ours: '', verdict: 'not decided', note: 'no criterion is more than a point from random tickets' },
  ]);
  // Without tickets nobody knows which criteria are better.
  expect(
    claimsOf(
      'mechanism',
      rows.filter(({ round }) => round === undefined),
    ).map(({ verdict }) => verdict),
  ).toEqual(['not run']);
});

test('the bars of the table say how long learned masks were trained', () => {
  const rows = [
    {
      network: 'fc',
      seed: 0,
      method: 'bernoulli',
      weights: 'init',
      rescale: 'no',
      epochs: 100,
      kept: 0.5,
      testAccuracy: 0.95,
      drawnTestAccuracy: 0.953,
    },
  ];
  const [bars] = EXPERIMENTS.find((e) => e.name === 'supermasks')!.pictures(rows, planOf('budget', 1));
  expect(bars.caption).toMatch(
    /learned masks drawn after 100 epochs .*, the definite one of the epoch that is best .* \(the authors: 2000 epochs/,
  );
  expect(bars.caption).not.toMatch(/topk|pruned once/);
  const [both] = EXPERIMENTS.find((e) => e.name === 'supermasks')!.pictures(
    [...rows, { ...rows[0], method: 'topk', epochs: 24 }],
    planOf('budget', 1),
  );
  expect(both.caption).toMatch(/topk masks of .*, of 24 epochs on 55,000 training rows, densities 0\.025, 0\.08, 0\.3/);
});

test('captions of the table tell of the masks that its rows hold, and which criteria a best one is of', () => {
  const masked = [2, 4, 6, 9, 12].map((power) => ({
    ...{ network: 'conv2', seed: 0, criterion: 'large_final', weights: 'init', age: 4, power },
    ...{ kept: 0.8 ** power, testAccuracy: 0.2, valAccuracy: 0.2 },
  }));
  const [bars] = EXPERIMENTS.find((e) => e.name === 'supermasks-conv')!.pictures(masked, plan);
  expect(bars.caption).toMatch(
    /^shortened run: conv2: weights and masks after 4 epochs .*, pruned once, random, large_final, large_final_same_sign at 5 levels \(the paper: 27 epochs on 45,000 training rows\); test/,
  );
});

test('values of tasks are not called seeds', () => {
  const row = (seed: number): Row => ({
    ...{ network: 'fc', task: `p${seed}`, pixels: seed, labels: '', method: 'topk', kept: 0.05, bytes: 4000 },
    ...{ valAccuracy: 0.97, testAccuracy: 0.97, wrongAccuracy: 0.1 },
  });
  const rows = [row(1), row(2)];
  for (const claim of [...claimsOf('permutations', rows), ...claimsOf('supsup', rows)])
    expect(`${claim.ours} ${claim.paper}`).not.toMatch(/seed/);
});

test('captions and notes of convolutional networks name the test rows that were left out', () => {
  const rows = [{ network: 'conv2', seed: 0, criterion: 'none', weights: 'trained', age: 4, testAccuracy: 0.55, valAccuracy: 0.55 }];
  const a12 = claimsOf('supermasks-conv', rows).find(({ text }) => text === 'A12: trained weights of conv2')!;
  expect(a12.note).toMatch(
    /trained for 4 epochs on 10,000 training and 5,000 test rows \(the paper: 27 epochs on 45,000 training rows\); with the paper's rows and epochs it is nearer \(supermasks-control\)$/,
  );
  const [a16] = claimsOf(
    'figure-02',
    [0, 1].flatMap((i) => tickets({ network: 'conv2', mask0: ['zero', 'init'][i] }, () => 0.6 - 0.1 * i)),
  );
  expect(a16.note).toMatch(/conv2: 10,000 training and 5,000 test rows, 4 epochs a round/);
});

test('no loss at 95 % pruned is judged at such a level, or not at all', () => {
  const [, deep] = claimsOf('figure-07', criteria(LEADS));
  expect(deep.ours).toMatch(/^at 95\.0 % pruned /);
  const [, shallow] = claimsOf(
    'figure-07',
    criteria(LEADS).filter((row) => Number(row['kept']) > 0.09),
  );
  expect(shallow).toMatchObject({ ours: '', verdict: 'not decided', note: 'no level near: 89.0 % are pruned' });
  // Of two levels around it the deeper one: a loss there is none at the other.
  const between = criteria(LEADS).flatMap((row) =>
    Number(row['kept']) === 0.05
      ? [
          { ...row, kept: 0.056 },
          { ...row, kept: 0.045, round: 99, testAccuracy: 0.9 },
        ]
      : [row],
  );
  const [, around] = claimsOf('figure-07', between);
  expect(around.ours).toMatch(/^at 95\.5 % pruned −/);
  expect(around.verdict).toBe('partly');
});

test('no loss is none beyond the standard error of that accuracy on so many test rows', () => {
  const conv4 = (whole: number, pruned: number, scale: 'budget' | 'full') =>
    EXPERIMENTS.find((e) => e.name === 'figure-07b')!.claims(
      tickets({ network: 'conv4', criterion: 'large_final' }, (kept) => (kept === 1 ? whole : kept === 0.05 ? pruned : 0.9)),
      planOf(scale, 5),
    )[1];
  // sqrt(.75 * .25 / 10,000) is .43 points, of 5,000 rows .61.
  expect(conv4(0.75, 0.746, 'full').verdict).toBe('holds');
  expect(conv4(0.75, 0.745, 'full').note).toMatch(/^a loss is more than one standard error of the test set, 0\.43 points/);
  expect(conv4(0.75, 0.745, 'budget').verdict).toBe('holds');
});

test("the control of figure 7 is judged at the paper's epochs", () => {
  const [claim, ...others] = claimsOf(
    'figure-07-control',
    tickets({ criterion: 'large_final' }, (kept) => (kept === 1 || kept < 0.06 ? 0.98 : 0.984)),
  );
  expect(others).toEqual([]);
  expect(claim).toMatchObject({ text: expect.stringMatching(/: fc, 55 epochs a round$/), verdict: 'holds' });
  expect(claim).not.toHaveProperty('note', expect.stringMatching(/shortened/));
});

test('a gain that is missing is said', () => {
  const [, gains] = claimsOf(
    'figure-07',
    tickets({ criterion: 'large_final' }, (kept) => (kept === 1 || kept === 0.05 ? 0.97 : 0.96)),
  );
  expect(gains).toMatchObject({ verdict: 'partly', note: expect.stringMatching(/^often a gain is one at more than half of the levels;/) });
});

test('learned masks say at every scale what they do otherwise', () => {
  for (const scale of ['budget', 'full'] as const) {
    const epochs = scale === 'full' ? 2000 : 100;
    const rows = [{ network: 'fc', seed: 0, method: 'bernoulli', weights: 'init', rescale: 'no', epochs, drawnTestAccuracy: 0.953 }];
    const [, a7] = EXPERIMENTS.find((e) => e.name === 'supermasks')!.claims(rows, planOf(scale, 1));
    expect(a7).toMatchObject({
      verdict: 'holds',
      note: expect.stringMatching(/in batches of 128, .* \(the authors: 2000 epochs .* of 250\)$/),
    });
  }
});

test("the control of the convolutional table is judged by the paper's rows and epochs, its learned masks by their own", () => {
  const about = { network: 'conv2', seed: 0 };
  const control = [
    { ...about, criterion: 'none', weights: 'trained', age: 27, power: 0, testAccuracy: 0.69, valAccuracy: 0.69 },
    {
      ...about,
      method: 'bernoulli',
      weights: 'constant',
      rescale: 'yes',
      epochs: 20,
      kept: 0.5,
      testAccuracy: 0.6,
      drawnTestAccuracy: 0.61,
    },
  ];
  const [a12, a13] = claimsOf('supermasks-control', control);
  expect(a12).toEqual({
    text: 'A12: trained weights of conv2 on all rows',
    paper: '69.2 %',
    accepted: '67.7 to 70.7',
    seeds: 1,
    ours: '69.0 (1 seed)',
    verdict: 'holds',
  });
  expect(a13).toMatchObject({
    verdict: 'fails',
    note: expect.stringMatching(/^outside 64 to 68; shortened run: conv2: learned masks drawn after 20 epochs on 45,000 training rows in/),
  });
  const [whole] = EXPERIMENTS.find((e) => e.name === 'supermasks-control')!
    .claims([{ ...control[1], epochs: 100 }], planOf('full', 1))
    .slice(1);
  expect(whole.note).toMatch(/^outside 64 to 68; conv2: learned masks drawn after 100 epochs/);
});

test('the control runs one seed unless more are asked for, and what decides its claims first', () => {
  const control = EXPERIMENTS.find((e) => e.name === 'supermasks-control')!;
  const cells = control.cells(planOf('budget'));
  expect(cells).toHaveLength(6);
  expect(cells[0]).toMatchObject({
    kind: 'curve',
    network: 'conv2',
    seed: 0,
    rows: 45000,
    test: 10000,
    ages: [27],
    powers: [2, 4, 6, 9, 12],
  });
  expect(cells[1]).toMatchObject({ kind: 'learned', method: 'bernoulli', weights: 'constant', rescale: true, rows: 45000, epochs: 20 });
  expect(cells.at(-2)).toMatchObject({ method: 'topk', rows: 45000, epochs: 24 });
  expect(control.cells(planOf('budget', 3))).toHaveLength(18);
  expect(control.cells(planOf('full'))[1]).toMatchObject({ epochs: 100 });
});

test('learned masks of convolutional networks name their constant rate beside the falling one of their source', () => {
  const rows = [
    { network: 'conv4', seed: 0, method: 'bernoulli', weights: 'constant', rescale: 'yes', epochs: 20, drawnTestAccuracy: 0.31 },
  ];
  const a13 = claimsOf('supermasks-conv', rows).find(({ text }) => text.startsWith('A13: learned masks of conv4'))!;
  expect(a13.note).toMatch(
    /of 128 at a constant rate of 50, .* in batches of 60 at a rate that falls from 50 by a cosine\); no longer training of it was run$/,
  );
});

test('A22 is about accuracy and kept weights', () => {
  const verdict = (testAccuracy: number, kept: number) =>
    claimsOf('supermasks', [{ network: 'fc', seed: 0, method: 'topk', weights: 'constant', kept, testAccuracy }]).at(-1)!;
  expect(verdict(0.981, 0.032)).toMatchObject({ verdict: 'holds', ours: 'test accuracy 98.1 (1 seed); per cent kept 3.2 (1 seed)' });
  expect(verdict(0.981, 0.2).verdict).toBe('partly');
  expect(verdict(0.9, 0.2).verdict).toBe('fails');
});

const restarts = (signed: number, free: number): Row[] =>
  [
    ['rewind', 0.97] as const,
    ...['reinit', 'redraw', 'reshuffle', 'constant'].flatMap((name) => [[name, free] as const, [`signed_${name}`, signed] as const]),
  ].flatMap(([mask1, accuracy]) => tickets({ mask1 }, () => accuracy));

test('figure 8 on rows where signs matter, and where they do not', () => {
  expect(claimsOf('figure-08', restarts(0.965, 0.9)).map((c) => c.verdict)).toEqual(['holds', 'holds', 'holds']);
  // Far from rewinding, though nearer than to what forgets the sign.
  expect(claimsOf('figure-08', restarts(0.95, 0.9)).map((c) => c.verdict)).toEqual(['holds', 'partly', 'holds']);
  expect(claimsOf('figure-08', restarts(0.9, 0.98)).map((c) => c.verdict)).toEqual(['fails', 'fails', 'fails']);
  expect(claimsOf('figure-08', restarts(0.93, 0.9)).map((c) => c.verdict)).toEqual(['holds', 'fails', 'holds']);
});

test('figure 10 chooses on validation rows', () => {
  const row = (criterion: string, weights: string, power: number, valAccuracy: number, testAccuracy: number): Row => ({
    network: 'fc',
    seed: 0,
    age: 55,
    criterion,
    weights,
    power,
    kept: 0.8 ** power,
    valAccuracy,
    testAccuracy,
  });
  const rows = [
    row('large_final_same_sign', 'init', 1, 0.8, 0.78),
    row('large_final_same_sign', 'init', 2, 0.79, 0.99),
    row('large_final_same_sign', 'constant', 1, 0.88, 0.87),
    row('large_final_diff_sign', 'init', 1, 0.1, 0.11),
    row('small_final', 'init', 1, 0.3, 0.31),
  ];
  const [a3, a4, a5] = claimsOf('figure-10', rows);
  expect(a3).toMatchObject({ ours: '78.0 (1 seed)', verdict: 'holds' });
  expect(a4).toMatchObject({ ours: '87.0 (1 seed); over initial weights: +9.00 points, 1 of 1 seeds', verdict: 'holds' });
  expect(a5).toMatchObject({ verdict: 'partly', note: 'small_final outside 0 to 20' });
});
