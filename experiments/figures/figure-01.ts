// Figure 1: what a network can do that was never trained. Initial weights alone, under a random mask, and under the mask of large_final.

import type { Row } from '../cells/cell.js';
import { curveCells, curvesShortened, curveText, lastAge, type Plan } from '../cells/grids.js';
import { seedsText } from '../evidence/chart.js';
import { inBands } from '../evidence/claims.js';
import type { Experiment, Picture } from '../evidence/experiment.js';
import { bestOfSeeds, nearLevel, percents, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';

/** The rows of its three bars, one a seed. */
function bars(rows: readonly Row[], { scale }: Plan) {
  const masked = (criterion: string) => where(rows, { criterion, weights: 'init', age: lastAge(scale) });
  return [
    { label: 'initial weights', paper: 10, paperText: 'about 10', rows: where(rows, { criterion: 'none', weights: 'init' }) },
    { label: 'under a random mask, half kept', paper: 10, paperText: 'about 10', rows: nearLevel(masked('random'), 0.5) },
    { label: 'under the mask of large_final', paper: 40, paperText: 'near 40', rows: bestOfSeeds(masked('large_final')) },
  ];
}

export const figure1: Experiment = {
  name: 'figure-01',
  about: 'untrained accuracies: initial weights, a random mask, the mask of large_final',
  minutes: 33,
  cells: (plan) => curveCells(plan),
  select: (rows, plan) => bars(rows, plan).flatMap((bar) => bar.rows),
  pictures(rows, plan) {
    const shown = bars(rows, plan)
      .filter((bar) => bar.rows.length > 0)
      .map(({ rows, ...bar }) => ({ ...bar, ...summary(percents(rows)) }));
    const picture: Picture = {
      name: 'figure-01',
      title: 'Untrained networks on MNIST',
      caption: `${curveText(plan.scale, 'fc')}; test accuracy of initial weights that no training has touched, level of large_final chosen on validation rows; ${seedsText(shown)}; red: the paper.`,
      chart: { kind: 'bars', bars: shown },
    };
    return [picture];
  },
  claims(rows, plan) {
    const scope = { plan, network: 'fc', shortened: curvesShortened(plan.scale, 'fc') } as const;
    const [initial, random, large] = bars(rows, plan).map((bar) => percents(bar.rows));
    const chance = { low: 7, high: 14, each: [4, 20] } as const;
    return [
      inBands(scope, { text: 'A1: an untrained network guesses, and so it does under a random mask', paper: 'about 10 %' }, [
        { name: 'initial weights', values: initial, ...chance },
        { name: 'random mask', values: random, ...chance },
      ]),
      inBands(scope, { text: 'A2: the same weights under the mask of large_final classify, untrained', paper: 'near 40 %' }, [
        { values: large, low: 30, high: 100 },
      ]),
    ];
  },
};
