// The grids that experiments share: equal cells are computed once, whichever experiment asks first.

import type { Mask0, Mask1 } from '../src/masks/actions.js';
import { CRITERIA, type Criterion } from '../src/masks/criteria.js';
import type { Cell, CurveCell, LearnedCell, NetworkName, PlaneCell, Setting, TicketCell } from './cell.js';
import { extentOf, type ScaleName } from './scale.js';

export interface Plan {
  readonly scale: ScaleName;
  /** Seeds 0 .. runs - 1. */
  runs(network: NetworkName): number;
}

/** One cell list a seed, seeds outermost: a run that is stopped has whole seeds. */
export const perSeed = <C extends Cell>(plan: Plan, network: NetworkName, cells: (setting: Setting) => C[]): C[] =>
  Array.from({ length: plan.runs(network) }, (_, seed) => cells(settingOf(plan.scale, network, seed))).flat();

function settingOf(scale: ScaleName, network: NetworkName, seed: number): Setting {
  const { rows, validation, test } = extentOf(scale, network);
  return { network, seed, rows, validation, test };
}

export interface Arm {
  readonly criterion: Criterion;
  readonly mask0?: Mask0;
  readonly mask1?: Mask1;
}

export const ticketCells = (plan: Plan, network: NetworkName, arms: readonly Arm[]): TicketCell[] => {
  const { rounds, power, epochs } = extentOf(plan.scale, network);
  return perSeed(plan, network, (setting) =>
    arms.map(({ criterion, mask0 = 'zero', mask1 = 'rewind' }) => ({
      kind: 'ticket',
      ...setting,
      criterion,
      mask0,
      mask1,
      rounds,
      power,
      epochs,
    })),
  );
};

const AGES = { quick: [1, 2], budget: [1, 2, 3, 6, 12, 25, 55], full: [1, 2, 3, 6, 12, 25, 55] } as const;
const POWERS = { quick: [4, 8], budget: range(24), full: range(24) } as const;

/** Untrained masks of the fully connected network, at the paper's 55 epochs and earlier. */
export const curveCells = (plan: Plan): CurveCell[] =>
  perSeed(plan, 'fc', (setting) => [{ kind: 'curve', ...setting, criteria: CRITERIA, powers: POWERS[plan.scale], ages: AGES[plan.scale] }]);

/** The oldest masks of the curves: the paper's. */
export const lastAge = (scale: ScaleName): number => Math.max(...AGES[scale]);

export const planeCells = (plan: Plan, network: NetworkName, points: number): PlaneCell[] =>
  perSeed({ ...plan, runs: () => 1 }, network, (setting) => [
    { kind: 'plane', ...setting, epochs: network === 'fc' ? lastAge(plan.scale) : extentOf(plan.scale, network).epochs, points },
  ]);

const LEARNING_RATES: Record<NetworkName, number> = { fc: 100, conv2: 100, conv4: 50, conv6: 20 };
const LEARNED_EPOCHS: Record<ScaleName, (network: NetworkName) => number> = {
  quick: () => 1,
  budget: (network) => (network === 'fc' ? 100 : 20),
  full: (network) => (network === 'fc' ? 2000 : 100),
};
/** Kept fractions of topk masks: of fc the command line's default, of the others one half, which Ramanujan et al. 2020 call safe. */
const TOPK_DENSITY: Record<NetworkName, readonly number[]> = { fc: [0.025, 0.08, 0.3], conv2: [0.5], conv4: [0.5], conv6: [0.5] };
const TOPK_EPOCHS: Record<ScaleName, number> = { quick: 1, budget: 24, full: 100 };

/** The paper's learned masks, both kinds of weights, with and without rescaling, and topk. */
export const learnedCells = (plan: Plan, network: NetworkName): LearnedCell[] =>
  perSeed(plan, network, (setting) => [
    ...(['init', 'constant'] as const).flatMap((weights) =>
      [false, true].map(
        (rescale): LearnedCell => ({
          kind: 'learned',
          ...setting,
          method: 'bernoulli',
          weights,
          rescale,
          density: [],
          learningRate: LEARNING_RATES[network],
          epochs: LEARNED_EPOCHS[plan.scale](network),
        }),
      ),
    ),
    {
      kind: 'learned',
      ...setting,
      method: 'topk',
      weights: 'constant',
      rescale: false,
      density: TOPK_DENSITY[network],
      learningRate: 0.15,
      epochs: TOPK_EPOCHS[plan.scale],
    },
  ]);

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}
