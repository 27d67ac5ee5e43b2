// Why early masks are better: supermasks of several ages with one cause at a time undone (probe.ts), and the same training at a quarter
// of the learning rate, which asks whether epochs or the distance that weights have moved is what ages a mask.

import type { Criterion } from '../../src/masks/criteria.js';
import type { Row } from '../cells/cell.js';
import { type Plan, PROBE_CRITERIA, PROBE_RATES, probeCells } from '../cells/grids.js';
import { extentOf, rowsText } from '../cells/scale.js';
import { type Line, type Style, seedsOf, styled } from '../evidence/chart.js';
import { inOrder, type Order } from '../evidence/claims.js';
import type { Claim, Experiment, Picture } from '../evidence/experiment.js';
import { groups, perSeed, pointsOf, where } from '../evidence/rows.js';
import { summary } from '../statistics.js';
import { bestOfAges } from './early-masks.js';

const [RATE] = PROBE_RATES;

/** The weights and masks of probe.ts in words. */
const VARIANTS: Readonly<Record<string, Style & { readonly label: string }>> = {
  init: { label: 'initial weights', ...styled('blue') },
  init_final_signs: { label: 'trained signs', ...styled('green', true) },
  final_init_signs: { label: 'trained magnitudes', ...styled('orange', true) },
  final: { label: 'trained weights', ...styled('orange') },
  init_centred: { label: 'fitted class offsets', ...styled('purple', true) },
  constant: { label: 'equal magnitudes', ...styled('red') },
  young_1: { label: 'young mask of layer 1', ...styled('teal') },
  young_2: { label: 'young mask of layer 2', ...styled('teal', true) },
  young_3: { label: 'young mask of layer 3', ...styled('grey', true) },
};

/** Accuracy by age, one line for every cause that is undone. */
function causes(rows: readonly Row[], { scale }: Plan, criterion: Criterion): Picture {
  const own = where(rows, { criterion, learningRate: RATE });
  const lines = Object.entries(VARIANTS).map(
    ([weights, style]): Line => ({ ...style, points: pointsOf(bestOfAges(where(own, { weights })), 'age', 'age') }),
  );
  return {
    name: `early-masks-why-${criterion}`,
    title: `What ages a mask of ${criterion}: fc on MNIST`,
    caption: `fc: ${rowsText(scale, 'fc')}. Test accuracy under the mask, by its age: of trained weights, of initial weights, and of initial weights with one thing changed (where that changes nothing, lines coincide): signs or magnitudes as training left them, magnitudes all equal, offsets of the classes fitted, or one layer under the youngest mask. Level chosen on validation rows for every point; ${seedsOf(lines)}.`,
    chart: { kind: 'curves', across: 'epochs', yLabel: 'test accuracy, %', lines },
  };
}

/** Accuracy of untrained masks by the distance moved, at two learning rates. */
function distance(rows: readonly Row[], { scale }: Plan): Picture {
  const lines = PROBE_CRITERIA.flatMap((criterion, c) =>
    PROBE_RATES.map((learningRate, r): Line => {
      const own = bestOfAges(where(rows, { criterion, learningRate, weights: 'init' }));
      return {
        label: `${criterion.replace('large_final_', '')}, rate ${learningRate}`,
        ...styled(c === 0 ? 'blue' : 'green', r === 1),
        points: pointsOf(own, 'age', 'movement'),
      };
    }),
  ).filter(({ points }) => points.length > 0);
  return {
    name: 'early-masks-why-distance',
    title: 'Masks by the distance that weights have moved: fc on MNIST',
    caption: `fc: ${rowsText(scale, 'fc')}; test accuracy of untrained masks after 1 to ${Math.max(...rows.map((row) => Number(row['age'])))} epochs at two learning rates, the level of every point chosen on validation rows; ${seedsOf(lines)}.`,
    chart: { kind: 'curves', across: 'moved', yLabel: 'test accuracy, %', lines },
  };
}

/** By seed, at the youngest and at the oldest age, the accuracy under a mask with one cause undone. */
function ends(
  rows: readonly Row[],
  criterion: Criterion,
  weights: string,
  learningRate: number = RATE,
): [youngest: Map<number, number>, oldest: Map<number, number>] {
  const best = bestOfAges(where(rows, { criterion, weights, learningRate }));
  const ages = [...groups(best, 'age').keys()].map(Number);
  const at = (age: number) => perSeed(where(best, { age }));
  return [at(Math.min(...ages)), at(Math.max(...ages))];
}

const oldest = (...of: Parameters<typeof ends>): Map<number, number> => ends(...of)[1];

/** By seed, the points between the two. */
function lost(...of: Parameters<typeof ends>): Map<number, number> {
  const [young, old] = ends(...of);
  return new Map([...old].flatMap(([seed, accuracy]) => (young.has(seed) ? [[seed, young.get(seed)! - accuracy]] : [])));
}

/** An order whose evidence names the means that its difference is of. */
const withMeans = <O extends Pick<Order, 'over' | 'under'>>(order: O): O & Pick<Order, 'detail'> => {
  const arms = [order.over, order.under].map((arm) => [...arm.values()]);
  if (arms.some((arm) => arm.length === 0)) return order;
  return { ...order, detail: arms.map((arm) => summary(arm).mean.toFixed(1)).join(' against ') };
};

/** By seed, how far masks of the lower rate are from those of the higher: after as many epochs, and at the nearest distance; means of ages. */
function gaps(rows: readonly Row[], criterion: Criterion): { over: Map<number, number>; under: Map<number, number> } {
  const [fast, slow] = PROBE_RATES.map((learningRate) => bestOfAges(where(rows, { criterion, weights: 'init', learningRate })));
  const [over, under] = [new Map<number, number>(), new Map<number, number>()];
  for (const [seed, own] of groups(slow, 'seed')) {
    const others = where(fast, { seed });
    const pairs = own.flatMap((row) => {
      const apart = (other: Row) => Math.abs(Math.log(Number(other['movement']) / Number(row['movement'])));
      const gap = (other: Row) => 100 * Math.abs(Number(other['testAccuracy']) - Number(row['testAccuracy']));
      const asFar = () => others.reduce((nearest, other) => (apart(other) < apart(nearest) ? other : nearest));
      return where(others, { age: row['age'] }).map((asLong) => [gap(asLong), gap(asFar())]);
    });
    if (pairs.length === 0) continue;
    over.set(Number(seed), summary(pairs.map(([asLong]) => asLong)).mean);
    under.set(Number(seed), summary(pairs.map(([, asFar]) => asFar)).mean);
  }
  return { over, under };
}

function claims(rows: readonly Row[], plan: Plan): Claim[] {
  const { rows: trained } = extentOf(plan.scale, 'fc');
  const scope = { plan, network: 'fc', shortened: trained === 55000 ? undefined : `${trained} training rows` } as const;
  const paper = 'not looked at';
  const over = (criterion: Criterion, better: string, worse: string) => ({
    name: `${criterion}, ${better} over ${worse}`,
    over: oldest(rows, criterion, better),
    under: oldest(rows, criterion, worse),
  });
  const slower = (criterion: Criterion) => ({
    name: `${criterion}, rate ${PROBE_RATES[1]} over ${RATE}`,
    over: oldest(rows, criterion, 'init', PROBE_RATES[1]),
    under: oldest(rows, criterion, 'init'),
  });
  const asFar = (criterion: Criterion) =>
    withMeans({
      name: `${criterion}, rate ${PROBE_RATES[1]} nearer to ${RATE} at the nearest distance than after as many epochs, mean of ages`,
      ...gaps(rows, criterion),
    });
  return [
    inOrder(scope, { text: 'Old masks of large_final fail by flipped signs: with the signs of training they are better', paper }, [
      over('large_final', 'init_final_signs', 'init'),
      over('large_final', 'init_final_signs', 'final_init_signs'),
    ]),
    // Initial signs with trained magnitudes are there the trained network itself, which says nothing.
    inOrder(
      scope,
      { text: 'Old masks that kept their signs fail by magnitudes: equal ones are better, and lose less from the youngest mask on', paper },
      [
        over('large_final_same_sign', 'constant', 'init'),
        withMeans({
          name: 'large_final_same_sign, loss with age under init over that under constant',
          over: lost(rows, 'large_final_same_sign', 'init'),
          under: lost(rows, 'large_final_same_sign', 'constant'),
        }),
      ],
    ),
    inOrder(scope, { text: 'Lost biases of the last layer are a smaller part of it than signs or magnitudes', paper }, [
      over('large_final', 'init_final_signs', 'init_centred'),
      over('large_final_same_sign', 'constant', 'init_centred'),
    ]),
    inOrder(
      scope,
      {
        text: 'Distance ages a mask more than epochs: at a quarter of the learning rate the oldest masks are better, and over all ages what moved as far is nearer in accuracy than what trained as long',
        paper,
      },
      [...PROBE_CRITERIA.map(slower), ...PROBE_CRITERIA.map(asFar)],
    ),
  ];
}

export const earlyMasksWhy: Experiment = {
  name: 'early-masks-why',
  about: 'what ages a mask: signs, magnitudes, offsets, layers, distance moved',
  beyond: true,
  minutes: 30,
  cells: probeCells,
  pictures: (rows, plan) => [
    ...PROBE_CRITERIA.filter((criterion) => where(rows, { criterion, learningRate: RATE }).length > 0).map((criterion) =>
      causes(rows, plan, criterion),
    ),
    distance(rows, plan),
  ],
  claims,
};
