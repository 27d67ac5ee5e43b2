// Figure 7: which weights to keep. Test accuracy of lottery tickets by kept fraction, every criterion, FC on MNIST.

import type { Criterion } from '../../src/masks/criteria.js';
import { type NetworkName, onItsData, type Row } from '../cells/cell.js';
import { FIGURE_CRITERIA, type Plan, ticketCells } from '../cells/grids.js';
import { epochsText, extentText, runText, shortened } from '../cells/scale.js';
import { CRITERION_STYLE, type Line, leavingText, nearTop, seedsOf, starsOf } from '../evidence/chart.js';
import {
  inOrder,
  judged,
  notRun,
  type Order,
  oneError,
  oneErrorOf,
  orderHolds,
  orderMissed,
  orderText,
  points,
  type Scope,
  undecided,
} from '../evidence/claims.js';
import type { Claim, Experiment, Picture } from '../evidence/experiment.js';
import { deepMeans, groups, levelAtMost, pairs, pairsByLevel, perSeed, pointsOf, sameSeeds, where } from '../evidence/rows.js';
import { differ, PAIRS, summary } from '../statistics.js';

/** Levels of the claims: 20 % and 10 % are the acceptance bands' (A14). */
const [DEEP, DEEPER] = [0.2, 0.1];
/** The kept fraction of "95 % pruned", and how far below it in log a level may be: about a round's pruning. */
const [PRUNED_95, NEAR] = [0.05, 0.25];
const OPPOSITES: [Criterion, Criterion][] = [
  ['large_final', 'small_final'],
  ['large_init', 'small_init'],
  ['large_init_large_final', 'small_init_small_final'],
];
/** The criteria that the paper compares in this figure; those of signs came later. */
const COMPARED: readonly Criterion[] = ['random', ...OPPOSITES.flat(), 'magnitude_increase', 'movement'];
const LEADING: readonly Criterion[] = ['large_final', 'magnitude_increase'];

const byCriterion = (rows: readonly Row[], criterion: Criterion): Row[] => where(rows, { criterion });

/** large_final and magnitude_increase at every level that has seeds enough to test them. */
const leadingPairs = (rows: readonly Row[]): [a: number[], b: number[]][] =>
  pairsByLevel(pruned(byCriterion(rows, 'large_final')), byCriterion(rows, 'magnitude_increase')).filter(([a]) => a.length >= PAIRS);

export function criteriaPictures(all: readonly Row[], plan: Plan, network: NetworkName, name: string, epochs?: number): Picture[] {
  const rows = sameSeeds(all, ['criterion']);
  const lines = FIGURE_CRITERIA.map(
    (criterion): Line => ({
      label: criterion,
      ...CRITERION_STYLE[criterion],
      points: pointsOf(byCriterion(rows, criterion), 'round', 'kept'),
    }),
  ).filter(({ points }) => points.length > 0);
  const stars = starsOf(
    groups(byCriterion(rows, 'large_final'), 'round'),
    groups(byCriterion(rows, 'magnitude_increase'), 'round'),
    'kept',
  );
  const tested = leadingPairs(rows).length > 0;
  const differing = 'large_final and magnitude_increase differ';
  const starred = stars.length > 0 ? `★: ${differing}` : `no ★, as at no level ${differing}`;
  const run = epochs === undefined ? runText(plan.scale, network) : extentText(plan.scale, network, epochs);
  const texts = [
    run,
    "test accuracy after a round's last epoch",
    seedsOf(lines),
    ...(tested ? [`${starred}, paired t test, p < 0.05`] : []),
  ];
  const picture = (suffix: string, title: string, range?: [number, number]): Picture => ({
    name: `${name}${suffix}`,
    title: `${title}: ${onItsData(network)}${epochs === undefined ? '' : `, ${epochsText(epochs)} a round`}`,
    caption: `${[...texts, ...leavingText(lines, range)].join('; ')}.`,
    chart: { kind: 'curves', across: 'kept', yLabel: 'test accuracy, %', lines, stars, range },
  });
  return [picture('', 'Tickets by mask criterion'), picture('-top', 'The same, the best of them near', nearTop(lines))];
}

export function criteriaClaims(rows: readonly Row[], plan: Plan, network: NetworkName): Claim[] {
  const scope: Scope = { plan, network, shortened: shortened(plan.scale, network) };
  const of = (criterion: Criterion) => byCriterion(rows, criterion);
  const large = of('large_final');
  const dense = perSeed(where(large, { round: 0 }));
  const deep = levelAtMost(large, DEEP);
  const below: Order = {
    name: 'large_final over random at every level from 10 % kept down, the least lead',
    ...everyLevel(large, of('random')),
  };
  return [
    inOrder(
      scope,
      {
        // The acceptance bands ask it of fc.
        text: `${network === 'fc' ? 'A14: ' : ''}large_final tickets of ${network} keep up with the whole network at 20 % kept, random ones fall behind`,
        paper: 'at least the whole network; random below',
      },
      [
        {
          name: `at ${(100 * Number(deep[0]?.['kept'])).toFixed(1)} % kept over the whole network`,
          over: perSeed(deep),
          under: dense,
          slack: oneErrorOf(dense, scope),
        },
        below,
      ],
    ),
    gainClaim(rows, scope),
    opposites(scope, of),
    best(scope, of),
  ];
}

const mean = (values: readonly number[]): number => summary(values).mean;

const pruned = (rows: readonly Row[]): Row[] => rows.filter((row) => Number(row['round']) > 0);

/** Per seed the least lead of one criterion over another at levels from 10 % down, against 0. */
function everyLevel(a: readonly Row[], b: readonly Row[]): Pick<Order, 'over' | 'under'> {
  const over = new Map<number, number>();
  for (const [round, rows] of groups(a, 'round')) {
    if (Number(rows[0]['kept']) > DEEPER * 1.1) continue;
    const other = perSeed(where(b, { round }));
    for (const [seed, value] of perSeed(rows)) {
      const lead = value - (other.get(seed) ?? Number.NaN);
      if (!Number.isNaN(lead)) over.set(seed, Math.min(lead, over.get(seed) ?? lead));
    }
  }
  return { over, under: new Map([...over.keys()].map((seed) => [seed, 0])) };
}

/**
 * No loss at 95 % pruned, and often a gain at 50 to 90 %, of tickets of large_final.
 * @param title what they are of, where the network alone does not say it
 */
export function gainClaim(all: readonly Row[], scope: Scope, title: string = scope.network): Claim {
  const rows = byCriterion(all, 'large_final');
  const dense = perSeed(where(rows, { round: 0 }));
  const about = { text: `No loss at 95 % pruned and often a gain at 50 to 90 %: ${title}`, paper: 'no loss; often a gain' };
  // At 95 % or more: a level just above says nothing about it where losses begin between the two.
  const least = levelAtMost(rows, PRUNED_95);
  const kept = Number(least[0]?.['kept'] ?? 1);
  if (rows.length > 0 && Math.abs(Math.log(kept / PRUNED_95)) > NEAR) {
    const most = Math.min(...rows.map((row) => Number(row['kept'])));
    return undecided(about, `no level near: ${(100 * (1 - (least.length > 0 ? kept : most))).toFixed(1)} % are pruned`);
  }
  const [a, b] = pairs(perSeed(least), dense);
  const levels = [...groups(pruned(rows), 'round').values()];
  const between = levels.filter(([row]) => Number(row['kept']) <= 0.52 && Number(row['kept']) >= 0.098);
  if (a.length === 0 || between.length === 0) return notRun(about, scope);
  const loss = mean(b) - mean(a);
  const allowed = oneError(mean(b), scope);
  const { min, max } = summary(a.map((value, i) => value - b[i]));
  const lead = between.map((rows) => {
    const [ours, whole] = pairs(perSeed(rows), dense);
    return mean(ours) - mean(whole);
  });
  const above = lead.filter((d) => d > 0).length;
  return judged(
    scope,
    about,
    a.length,
    [
      `at ${(100 * (1 - kept)).toFixed(1)} % pruned ${points(-loss)} points${a.length > 1 ? ` (${points(min)} to ${points(max)}, ${a.length} seeds)` : ' (1 seed)'}`,
      `above the whole network at ${above} of ${between.length} levels, at most ${points(Math.max(...lead))}`,
    ],
    [loss <= allowed, above * 2 > between.length],
    [
      ...(loss <= allowed ? [] : [`a loss is more than one standard error of the test set, ${allowed.toFixed(2)} points`]),
      ...(above * 2 > between.length ? [] : ['often a gain is one at more than half of the levels']),
    ],
  );
}

/** Means at 20 % kept and below of the seeds that all of these criteria have: a mean over other seeds is another mean. */
export function deepOfShared(names: readonly Criterion[], of: (criterion: Criterion) => Row[]): Map<Criterion, number[]> {
  const means = names.map((name) => deepMeans(of(name), DEEP));
  const seeds = [...means[0].keys()].filter((seed) => means.every((own) => own.has(seed)));
  return new Map(names.map((name, i) => [name, seeds.map((seed) => means[i].get(seed)!)]));
}

/** Members of a pair lie on opposite sides of random: each of the two orders in four of five seeds. */
function opposites(scope: Scope, of: (criterion: Criterion) => Row[]): Claim {
  const about = {
    text: `Six criteria form three opposite pairs around random, at 20 % kept and below: ${scope.network}`,
    paper: 'three of three',
  };
  const means = deepOfShared(['random', ...OPPOSITES.flat()], of);
  const seeds = means.get('random')!.length;
  if (seeds === 0) return notRun(about, scope);
  const order = (better: Criterion, worse: Criterion): Order => {
    const [over, under] = [better, worse].map((name) => new Map(means.get(name)!.entries()));
    return { name: `${better} over ${worse}`, over, under };
  };
  // Which member is the better one is not asked: the paper says that they lie on opposite sides.
  const sides = OPPOSITES.map(([a, b]) => (mean(means.get(a)!) < mean(means.get(b)!) ? [b, a] : [a, b])).map(([better, worse]) => [
    order(better, 'random'),
    order('random', worse),
  ]);
  return judged(
    scope,
    about,
    seeds,
    sides.flat().map(orderText),
    sides.map((orders) => orders.every(orderHolds)),
    sides.flat().flatMap(orderMissed),
  );
}

/** large_final and magnitude_increase lead, and where they differ. */
function best(scope: Scope, of: (criterion: Criterion) => Row[]): Claim {
  const about = {
    text: `large_final and magnitude_increase are the two best of the paper's criteria (those of signs left out): ${scope.network}`,
    paper: 'both best; stars where they differ at p = 0.05',
  };
  const means = [...deepOfShared(COMPARED, of)];
  const seeds = means[0][1].length;
  if (seeds === 0) return notRun(about, scope);
  const order = means.map(([name, values]) => ({ name, mean: mean(values) })).sort((a, b) => b.mean - a.mean);
  const leaders = order.slice(0, 2).map(({ name }) => name);
  const tested = leadingPairs(LEADING.flatMap(of));
  const apart = tested.filter(([a, b]) => differ(a, b));
  const higher = apart.filter(([a, b]) => mean(a) > mean(b)).length;
  const behind = LEADING.filter((name) => !leaders.includes(name));
  return judged(
    scope,
    about,
    seeds,
    [
      `at 20 % kept and below, ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}: ${order
        .slice(0, 3)
        .map(({ name, mean }) => `${name} ${mean.toFixed(1)}`)
        .join(', ')}`,
      tested.length === 0
        ? `no stars below ${PAIRS} seeds`
        : `stars at ${apart.length} of ${tested.length} levels (large_final better at ${higher}, magnitude_increase at ${apart.length - higher})`,
    ],
    LEADING.map((name) => !behind.includes(name)),
    behind.map((name) => `not among the two best: ${name}`),
  );
}

export const criteriaCells = (plan: Plan, network: NetworkName) =>
  ticketCells(
    plan,
    network,
    FIGURE_CRITERIA.map((criterion) => ({ criterion })),
  );

export const figure7: Experiment = {
  name: 'figure-07',
  about: 'criteria: tickets of every mask criterion by kept fraction, fc',
  minutes: 120,
  cells: (plan) => criteriaCells(plan, 'fc'),
  pictures: (rows, plan) => criteriaPictures(rows, plan, 'fc', 'figure-07'),
  claims: (rows, plan) => criteriaClaims(rows, plan, 'fc'),
};
