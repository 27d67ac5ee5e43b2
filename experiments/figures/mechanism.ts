// The mechanism: why some criteria work. A mask that zeroes weights which training moved toward zero does a part of the training itself;
// so, for every criterion, the fraction of the weights it prunes that had moved toward zero, by round, and for masks taken once.

import type { Criterion } from '../../src/masks/criteria.js';
import type { Row } from '../cells/cell.js';
import { curveCells, curveText, FIGURE_CRITERIA, lastAge, type Plan } from '../cells/grids.js';
import { runText, shortened } from '../cells/scale.js';
import { CRITERION_STYLE, type Line, seedsOf } from '../evidence/chart.js';
import { inOrder, notRun, undecided } from '../evidence/claims.js';
import type { Experiment, Picture } from '../evidence/experiment.js';
import { has, nearLevel, perSeed, pointsOf, sameSeeds, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';
import { criteriaCells, deepOfShared } from './figure-07.js';

/** Points above random tickets, or below, from which a criterion is better or worse. */
const APART = 1;

/** Rows of one-shot masks carry their age; tickets' carry their round. */
const oneShot = (rows: readonly Row[]): Row[] => where(rows, { weights: 'init' });
const inRounds = (rows: readonly Row[]): Row[] => rows.filter((row) => has(row, 'round'));

interface Sorted {
  readonly better: readonly Criterion[];
  readonly worse: readonly Criterion[];
}

/** Criteria by their tickets at 20 % kept and below, as figure 7 has them; undefined while a criterion has no seed in common with the others. */
function sorted(rows: readonly Row[]): Sorted | undefined {
  const means = deepOfShared(FIGURE_CRITERIA, (criterion) => where(inRounds(rows), { criterion }));
  const random = means.get('random')!;
  if (random.length === 0) return undefined;
  const lead = (criterion: Criterion) => summary(means.get(criterion)!).mean - summary(random).mean;
  return {
    better: FIGURE_CRITERIA.filter((criterion) => lead(criterion) > APART),
    worse: FIGURE_CRITERIA.filter((criterion) => lead(criterion) < -APART),
  };
}

function picture(all: readonly Row[], by: string, name: string, title: string, caption: string): Picture[] {
  const rows = sameSeeds(all, ['criterion']);
  const lines = FIGURE_CRITERIA.map(
    (criterion): Line => ({
      label: criterion,
      ...CRITERION_STYLE[criterion],
      points: pointsOf(where(rows, { criterion }), by, 'kept', 'towardZero'),
    }),
  ).filter(({ points }) => points.length > 0);
  const chart = { kind: 'curves', across: 'kept', yLabel: 'of the pruned weights, moved toward zero, %', lines } as const;
  return lines.length === 0 ? [] : [{ name, title, caption: `${caption}; ${seedsOf(lines)}.`, chart }];
}

export const mechanism: Experiment = {
  name: 'mechanism',
  about: 'per criterion, the fraction of pruned weights that training had moved toward zero',
  minutes: 150,
  cells: (plan) => [...curveCells(plan), ...criteriaCells(plan, 'fc')],
  select: (rows, plan) => rows.filter((row) => has(row, 'towardZero') && (has(row, 'round') || row['age'] === lastAge(plan.scale))),
  pictures: (rows, { scale }) => [
    ...picture(
      oneShot(rows),
      'power',
      'mechanism-once',
      'Pruned weights that had moved toward zero, masks taken once: fc on MNIST',
      curveText(scale, 'fc'),
    ),
    ...picture(
      inRounds(rows),
      'round',
      'mechanism-rounds',
      'Pruned weights that had moved toward zero, round by round: fc on MNIST',
      `${runText(scale, 'fc')}; of the weights that a round prunes`,
    ),
  ],
  claims(rows: readonly Row[], plan: Plan) {
    // Of the curves nothing is shortened where nothing is of the tickets.
    const scope = { plan, network: 'fc', shortened: shortened(plan.scale, 'fc') } as const;
    const about = {
      text: 'Criteria whose tickets are more than a point better than random ones at 20 % kept and below prune more weights that training moved toward zero than chance does, at half kept; those whose tickets are as much worse, fewer',
      paper: 'good criteria above random',
    };
    const found = sorted(rows);
    if (!found) return [notRun(about, scope)];
    const { better, worse } = found;
    if (better.length + worse.length === 0) return [undecided(about, 'no criterion is more than a point from random tickets')];
    const of = (criterion: Criterion) => perSeed(nearLevel(where(oneShot(rows), { criterion }), 0.5), 'towardZero');
    const over = (a: Criterion, b: Criterion) => ({ name: `${a} over ${b}`, over: of(a), under: of(b) });
    return [
      inOrder(scope, about, [
        ...better.map((criterion) => over(criterion, 'random')),
        ...worse.map((criterion) => over('random', criterion)),
      ]),
    ];
  },
};
