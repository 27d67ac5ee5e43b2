// Early masks, which the paper does not look at: accuracy of the untrained network by the epoch at which its mask is taken. The level is
// chosen on validation rows for every seed, age, criterion and kind of weights.

import type { Criterion } from '../../src/masks/criteria.js';
import type { Weights } from '../../src/recipes.js';
import type { Row } from '../cells/cell.js';
import { AGES, curveCells, curvesShortened, curveText, FIGURE_CRITERIA, lastAge, type Plan } from '../cells/grids.js';
import { CRITERION_STYLE, type Line, seedsOf } from '../evidence/chart.js';
import { inOrder } from '../evidence/claims.js';
import type { Experiment, Picture } from '../evidence/experiment.js';
import { bestOfSeeds, groups, perSeed, pointsOf, where } from '../evidence/rows.js';
import { bestLevelText, WEIGHTS_LABEL } from './figure-10.js';

/** Of every seed and age the level that is best on validation. */
export const bestOfAges = (rows: readonly Row[]): Row[] => [...groups(rows, 'age').values()].flatMap(bestOfSeeds);

function picture(rows: readonly Row[], { scale }: Plan, weights: Weights): Picture {
  const lines = FIGURE_CRITERIA.map(
    (criterion): Line => ({
      label: criterion,
      ...CRITERION_STYLE[criterion],
      points: pointsOf(bestOfAges(where(rows, { criterion, weights })), 'age', 'age'),
    }),
  );
  return {
    name: `early-masks-${weights}`,
    title: `Supermasks by the age of the mask, ${WEIGHTS_LABEL[weights]}: fc on MNIST`,
    caption: `${curveText(scale, 'fc', { ages: AGES[scale] })}; test accuracy without any trained weight; ${seedsOf(lines)}. At every point ${bestLevelText(where(rows, { weights, age: lastAge(scale) }))}.`,
    chart: { kind: 'curves', across: 'epochs', yLabel: 'test accuracy, %', lines },
  };
}

export const earlyMasks: Experiment = {
  name: 'early-masks',
  about: 'supermask accuracy by the epoch at which the mask is taken, fc',
  beyond: true,
  minutes: 33,
  cells: (plan) => curveCells(plan),
  pictures: (rows, plan) => (['init', 'constant'] as const).map((weights) => picture(rows, plan, weights)),
  claims(rows, plan) {
    const scope = { plan, network: 'fc', shortened: curvesShortened(plan.scale, 'fc') } as const;
    const arm = (criterion: Criterion, weights: Weights) => {
      const best = bestOfAges(where(rows, { criterion, weights }));
      return {
        name: `${criterion}, ${WEIGHTS_LABEL[weights]}`,
        over: perSeed(bestOfSeeds(best)),
        under: perSeed(where(best, { age: lastAge(plan.scale) })),
      };
    };
    return [
      inOrder(
        scope,
        {
          text: `The best age of a mask (chosen on validation rows) beats masks after ${lastAge(plan.scale)} epochs`,
          paper: 'not looked at',
        },
        (['large_final', 'large_final_same_sign'] as const).flatMap((criterion) => [arm(criterion, 'init'), arm(criterion, 'constant')]),
      ),
    ];
  },
};
