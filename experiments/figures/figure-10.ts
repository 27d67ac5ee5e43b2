// Figure 10: supermasks. Accuracy of networks that were never trained, by kept fraction, under masks of every criterion; once with
// initial weights, once with signed constants. All masks of seed 0 are written as two model files too, a task a mask.

import type { Criterion } from '../../src/masks/criteria.js';
import type { Weights } from '../../src/recipes.js';
import type { Row } from '../cells/cell.js';
import { archiveCells, curveCells, curvesShortened, curveText, FIGURE_CRITERIA, lastAge, type Plan } from '../cells/grids.js';
import { CRITERION_STYLE, type Line, seedsOf } from '../evidence/chart.js';
import { inBands } from '../evidence/claims.js';
import type { Experiment, Picture } from '../evidence/experiment.js';
import { bestOfSeeds, groups, has, percents, perSeed, pointsOf, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';

export const WEIGHTS_LABEL = { init: 'initial weights', constant: 'signed constants' } as const satisfies Record<Weights, string>;

/**
 * For captions: that a level is chosen, and where that leaves masks which know nothing: the best of many is above chance.
 * @param rows of one kind of weights and one age
 */
export function bestLevelText(rows: readonly Row[]): string {
  const random = where(rows, { criterion: 'random' });
  const chance =
    random.length > 0
      ? `: random masks so chosen reach ${summary(percents(bestOfSeeds(random))).mean.toFixed(1)} %, where a guess is 10`
      : '';
  return `the best of ${groups(rows, 'power').size} levels on validation rows${chance}`;
}

function picture(rows: readonly Row[], { scale }: Plan, weights: Weights): Picture {
  const lines = FIGURE_CRITERIA.map(
    (criterion): Line => ({
      label: criterion,
      ...CRITERION_STYLE[criterion],
      points: pointsOf(where(rows, { criterion, weights }), 'power', 'kept'),
    }),
  );
  return {
    name: `figure-10-${weights}`,
    title: `Supermasks of an untrained network, ${WEIGHTS_LABEL[weights]}: fc on MNIST`,
    caption: `${curveText(scale, 'fc')}; test accuracy without any trained weight, biases zero; ${seedsOf(lines)}. Claims take of every seed ${bestLevelText(where(rows, { weights }))}.`,
    chart: { kind: 'curves', across: 'kept', yLabel: 'test accuracy, %', lines },
  };
}

export const figure10: Experiment = {
  name: 'figure-10',
  about: 'supermasks of every criterion by kept fraction, fc; also as model files to serve',
  minutes: 35,
  cells: (plan) => [...curveCells(plan), ...archiveCells(plan)],
  select: (rows, plan) => where(rows, { age: lastAge(plan.scale) }).filter((row) => row['criterion'] !== 'none'),
  pictures: (rows, plan) => (['init', 'constant'] as const).map((weights) => picture(rows, plan, weights)),
  files: (results) =>
    results
      .flatMap(({ rows }) => rows)
      .filter((row) => has(row, 'archive'))
      .map((row) => ({ name: `figure-10-${row['archive']}.smk`, bytes: Buffer.from(String(row['base64']), 'base64') })),
  claims(rows, plan) {
    const scope = { plan, network: 'fc', shortened: curvesShortened(plan.scale, 'fc') } as const;
    const best = (criterion: Criterion, weights: Weights) => bestOfSeeds(where(rows, { criterion, weights }));
    const [same, constant] = (['init', 'constant'] as const).map((weights) => best('large_final_same_sign', weights));
    return [
      inBands(scope, { text: 'A3: large_final_same_sign classifies digits with initial weights', paper: '79.3 %' }, [
        { values: percents(same), low: 74, high: 85 },
      ]),
      inBands(
        scope,
        { text: 'A4: and better with signed constants', paper: '86.3 %' },
        [{ values: percents(constant), low: 82, high: 90 }],
        [{ name: 'over initial weights', over: perSeed(constant), under: perSeed(same), every: true }],
      ),
      inBands(
        scope,
        {
          text: 'A5: masks of large_final_diff_sign and small_final classify hardly better than chance',
          paper: 'at or below chance',
        },
        (['large_final_diff_sign', 'small_final'] as const).map((criterion) => ({
          name: criterion,
          values: percents(best(criterion, 'init')),
          low: 0,
          high: 20,
        })),
      ),
    ];
  },
};
