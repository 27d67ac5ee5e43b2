// The grids that experiments share: equal cells are computed once, whichever experiment asks first.

import type { Mask0, Mask1 } from '../../src/masks/actions.js';
import type { Criterion } from '../../src/masks/criteria.js';
import { BERNOULLI, bernoulliTraining, FC_DENSITY, PAPER, TOPK, TOPK_CONV_RATE } from '../../src/recipes.js';
import {
  ARCHITECTURES,
  type ArchiveCell,
  type CurveCell,
  type LearnedCell,
  type NetworkName,
  type PaperCell,
  type PlaneCell,
  type ProbeCell,
  type Setting,
  type TicketCell,
} from './cell.js';
import { epochsText, extentOf, range, rowsText, type ScaleName } from './scale.js';

export interface Plan {
  readonly scale: ScaleName;
  /** Seeds 0 .. runs - 1. */
  runs(network: NetworkName): number;
  /** Seeds of every network where that many were asked for; absent where they are the scale's. */
  readonly asked?: number;
  /** Tasks that share a network, where an experiment has many. */
  readonly tasks: number;
}

/** One cell list a seed, seeds outermost: a run that is stopped has whole seeds. */
const eachSeed = <C extends PaperCell>(plan: Plan, network: NetworkName, cells: (setting: Setting) => C[]): C[] =>
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

/** @param epochs in every round; default the scale's */
export const ticketCells = (
  plan: Plan,
  network: NetworkName,
  arms: readonly Arm[],
  epochs = extentOf(plan.scale, network).epochs,
): TicketCell[] => {
  const { rounds, power } = extentOf(plan.scale, network);
  return eachSeed(plan, network, (setting) =>
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

/** Criteria that figures compare: the paper's, in its order. Cells name them: with another here, masks taken once are new cells. */
export const FIGURE_CRITERIA = [
  'random',
  'large_final',
  'small_final',
  'large_init',
  'small_init',
  'large_init_large_final',
  'small_init_small_final',
  'magnitude_increase',
  'movement',
  'large_final_same_sign',
  'large_final_diff_sign',
] as const satisfies readonly Criterion[];
export type FigureCriterion = (typeof FIGURE_CRITERIA)[number];

export const AGES = { quick: [1, 2], budget: [1, 2, 3, 6, 12, 25, 55], full: [1, 2, 3, 6, 12, 25, 55] } as const;
const POWERS = { quick: [4, 8], budget: range(24), full: range(24) } as const;
/** Of convolutional networks: scoring a mask costs as much as training on as many rows, so few criteria and, but at full, few levels. */
const CONV_CRITERIA = ['random', 'large_final', 'large_final_same_sign'] as const;
export const CONV_POWERS = { quick: [4], budget: [2, 4, 6, 9, 12], full: range(24) } as const;

/** Untrained masks: of fc at the paper's 55 epochs and earlier, of the others after training. */
export const curveCells = (plan: Plan, network: NetworkName = 'fc'): CurveCell[] =>
  eachSeed(plan, network, (setting) => [{ kind: 'curve', ...setting, ...gridOf(plan.scale, network) }]);

const gridOf = (scale: ScaleName, network: NetworkName): Pick<CurveCell, 'criteria' | 'powers' | 'ages'> =>
  network === 'fc'
    ? { criteria: FIGURE_CRITERIA, powers: POWERS[scale], ages: AGES[scale] }
    : { criteria: CONV_CRITERIA, powers: CONV_POWERS[scale], ages: [extentOf(scale, network).epochs] };

/** The oldest masks of the curves: the paper's. */
export const lastAge = (scale: ScaleName, network: NetworkName = 'fc'): number => Math.max(...gridOf(scale, network).ages);

/** One line for captions: how masks of curves were made; default at the scale's levels and the oldest age. */
export function curveText(scale: ScaleName, network: NetworkName, shown: Partial<Pick<CurveCell, 'powers' | 'ages'>> = {}): string {
  const { criteria, powers, ages } = { ...gridOf(scale, network), ages: [lastAge(scale, network)], ...shown };
  const part =
    criteria.length < FIGURE_CRITERIA.length
      ? `, ${criteria.join(', ')} at ${powers.length} ${powers.length === 1 ? 'level' : 'levels'}`
      : '';
  return `${network}: weights and masks after ${ages.join(', ')} ${ages.length === 1 && ages[0] === 1 ? 'epoch' : 'epochs'} on ${rowsText(scale, network)}, pruned once${part}`;
}

/** What is shorter than the paper's definition of curves, or undefined where nothing is. */
export const curvesShortened = (scale: ScaleName, network: NetworkName, shown?: Parameters<typeof curveText>[2]): string | undefined =>
  lastAge(scale, network) === lastAge('full', network) && extentOf(scale, network).rows === extentOf('full', network).rows
    ? undefined
    : `shortened run: ${curveText(scale, network, shown)} (the paper: ${paperCurves(network)})`;

/** The same of the weights that the curves' masks are taken from. */
export const trainedShortened = (scale: ScaleName, network: NetworkName): string | undefined =>
  curvesShortened(scale, network) &&
  `shortened run: ${network}: trained for ${epochsText(lastAge(scale, network))} on ${rowsText(scale, network)} (the paper: ${paperCurves(network)})`;

const paperCurves = (network: NetworkName): string => `${epochsText(lastAge('full', network))} on ${rowsText('full', network)}`;

/** Weights sampled a layer for drawing. */
const PLANE_POINTS = 2000;

/** Of fc, and of the first seed. */
export const planeCells = (plan: Plan): PlaneCell[] =>
  eachSeed({ ...plan, runs: () => 1 }, 'fc', (setting) => [
    { kind: 'plane', ...setting, epochs: lastAge(plan.scale), points: PLANE_POINTS, chosen: 'drawn' },
  ]);

/** The masks of fc's curves at the paper's age as two files, of the first seed. */
export const archiveCells = (plan: Plan): ArchiveCell[] =>
  eachSeed({ ...plan, runs: () => 1 }, 'fc', (setting) =>
    (['init', 'constant'] as const).map((weights) => ({
      kind: 'archive',
      ...setting,
      weights,
      criteria: FIGURE_CRITERIA,
      powers: POWERS[plan.scale],
      epochs: lastAge(plan.scale),
    })),
  );

export const PROBE_CRITERIA = ['large_final', 'large_final_same_sign'] as const;
/** Learning rates of probes: the paper's, and a quarter, at which the same number of epochs moves the weights less. */
export const PROBE_RATES = [PAPER.learningRate, PAPER.learningRate / 4] as const;
const PROBE_AGES = { quick: [1, 2], budget: [1, 3, 6, 12, 25, 55], full: [1, 3, 6, 12, 25, 55] } as const;
const PROBE_POWERS = { quick: [4], budget: [2, 4, 6, 8, 10, 12], full: [2, 4, 6, 8, 10, 12] } as const;

/** What ages the masks of fc's curves. */
export const probeCells = (plan: Plan): ProbeCell[] =>
  eachSeed(plan, 'fc', (setting) =>
    PROBE_CRITERIA.flatMap((criterion) =>
      PROBE_RATES.map((learningRate): ProbeCell => {
        const [ages, powers] = [PROBE_AGES[plan.scale], PROBE_POWERS[plan.scale]];
        return { kind: 'probe', ...setting, criterion, ages, powers, learningRate };
      }),
    ),
  );

/** Of the paper's learned masks. */
const rateOf = (network: NetworkName): number => bernoulliTraining(ARCHITECTURES[network]).learningRate;
const LEARNED_EPOCHS: Record<ScaleName, (network: NetworkName) => number> = {
  quick: () => 1,
  budget: (network) => (network === 'fc' ? 100 : 20),
  full: (network) => (network === 'fc' ? 2000 : 100),
};
/** Kept fractions of topk masks: of fc the command line's default, of the others one half, which Ramanujan et al. 2020 call safe. */
const TOPK_DENSITY: Record<NetworkName, readonly number[]> = { fc: FC_DENSITY, conv2: [0.5], conv4: [0.5], conv6: [0.5] };
const TOPK_EPOCHS: Record<ScaleName, number> = { quick: 1, budget: 24, full: 100 };

/**
 * How learned masks differ from the source of their definition, at every scale in the batches: for fc the authors' command, for the
 * others a later re-run, because the paper's own numbers are not known to us.
 */
export function learnedShortened(scale: ScaleName, network: NetworkName, epochs = LEARNED_EPOCHS[scale](network)): string {
  const text = (at: ScaleName, epochs: number, batch: number) => `${epochsText(epochs)} on ${rowsText(at, network)} in batches of ${batch}`;
  const rate = rateOf(network);
  const [source, batch, ours, theirs] =
    network === 'fc'
      ? ['the authors', 250, '', '']
      : ['the re-run by Ramanujan et al. 2020', 60, ` at a constant rate of ${rate}`, ` at a rate that falls from ${rate} by a cosine`];
  const whole = LEARNED_EPOCHS.full(network);
  return `${scale === 'full' && epochs === whole ? '' : 'shortened run: '}${network}: learned masks drawn after ${text(scale, epochs, BERNOULLI.batch)}${ours}, the definite one of the epoch that is best on validation rows (${source}: ${text('full', whole, batch)}${theirs})`;
}

/** How our topk masks were learned. */
export const topkText = (scale: ScaleName, network: NetworkName, epochs = TOPK_EPOCHS[scale]): string =>
  `${network}: topk masks of the epoch that is best on validation rows, of ${epochsText(epochs)} on ${rowsText(scale, network)}, densities ${TOPK_DENSITY[network].join(', ')}`;

/** The paper's learned masks, both kinds of weights, with and without rescaling, and topk. */
export const learnedCells = (plan: Plan, network: NetworkName): LearnedCell[] =>
  eachSeed(plan, network, (setting) => [
    ...(['init', 'constant'] as const).flatMap((weights) =>
      [false, true].map(
        (rescale): LearnedCell => ({
          kind: 'learned',
          ...setting,
          method: 'bernoulli',
          weights,
          rescale,
          density: [],
          learningRate: rateOf(network),
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
      learningRate: network === 'fc' ? TOPK.learningRate : TOPK_CONV_RATE,
      epochs: TOPK_EPOCHS[plan.scale],
    },
  ]);
