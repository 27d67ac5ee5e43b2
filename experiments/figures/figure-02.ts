// Figures 2 and 3: what pruned weights become. Frozen at zero, at their initial value, or at zero only if training moved them toward it
// (variant 1; variant 2 also for kept weights), with two controls that zero as many weights in other places.

import { MASK0, type Mask0 } from '../../src/masks/actions.js';
import { CONVOLUTIONAL, type NetworkName, onItsData, type Row } from '../cells/cell.js';
import { type Plan, ticketCells } from '../cells/grids.js';
import { runText, shortened } from '../cells/scale.js';
import { type Line, type Style, seedsOf, styled } from '../evidence/chart.js';
import { inOrder, type Order, oneErrorOf, type Scope } from '../evidence/claims.js';
import type { Claim, Experiment, Picture } from '../evidence/experiment.js';
import { deepMeans, levelsAbove, pointsOf, sameSeeds, where } from '../evidence/rows.js';

const LABELS: Record<Mask0, string> = {
  zero: 'zero',
  init: 'initial value',
  toward_zero: 'zero if toward (v. 1)',
  toward_zero_all: 'kept too (v. 2)',
  toward_zero_reshuffled: 'as many, anywhere',
  toward_zero_reversed: 'zero if away',
};
const STYLES: Record<Mask0, Style> = {
  zero: styled('blue'),
  init: styled('orange'),
  toward_zero: styled('green'),
  toward_zero_all: styled('purple'),
  toward_zero_reshuffled: styled('grey', true),
  toward_zero_reversed: styled('green', true),
};

const CONTROLS: readonly Mask0[] = ['toward_zero_reshuffled', 'toward_zero_reversed'];

/** Levels at which arms are compared. */
const DEEP = 0.5;

type Networks = (plan: Plan) => readonly NetworkName[];

function picture(name: string, all: readonly Row[], plan: Plan, network: NetworkName): Picture {
  const rows = sameSeeds(all, ['mask0']);
  const lines = MASK0.map(
    (mask0): Line => ({ label: LABELS[mask0], ...STYLES[mask0], points: pointsOf(where(rows, { mask0 }), 'round', 'kept') }),
  ).filter(({ points }) => points.length > 0);
  return {
    name: `${name}-${network}`,
    title: `What pruned weights become: ${onItsData(network)}`,
    caption: `${runText(plan.scale, network)}; masks of large_final; test accuracy after a round's last epoch; ${seedsOf(lines)}.`,
    chart: { kind: 'curves', across: 'kept', yLabel: 'test accuracy, %', lines },
  };
}

/** @param isRun whether this plan runs the network at all */
function claims(rows: readonly Row[], plan: Plan, network: NetworkName, isRun: boolean): Claim[] {
  const scope: Scope = {
    plan,
    network,
    shortened: shortened(plan.scale, network),
    absent: isRun ? undefined : `${network} is run with --full alone`,
  };
  const of = (mask0: Mask0) => where(rows, { network, mask0 });
  const arm = (mask0: Mask0) => deepMeans(of(mask0), DEEP);
  const over = (better: Mask0, worse: Mask0, slack?: number): Order => {
    const [above, levels] = levelsAbove(of(better), of(worse), DEEP);
    return {
      name: `${better} over ${worse}`,
      over: arm(better),
      under: arm(worse),
      slack,
      detail: `above at ${above} of ${levels} levels`,
    };
  };
  const [zero, init] = [arm('zero'), arm('init')];
  const higher = new Map([...zero].flatMap(([seed, value]) => (init.has(seed) ? [[seed, Math.max(value, init.get(seed)!)]] : [])));
  const notAbove = (control: Mask0) => ({ name: `the better of zero and init over ${control}`, over: higher, under: arm(control) });
  // The acceptance bands ask it of the convolutional networks.
  const numbered = (text: string) => (network === 'fc' ? `${text[0].toUpperCase()}${text.slice(1)}` : `A16: ${text}`);
  return [
    inOrder(
      scope,
      {
        text: numbered(`at half kept and below, pruned weights of ${network} are better zero than frozen at their initial values`),
        paper: 'zero above initial',
        ...(network === 'fc' && { why: 'which of the two leads changes with depth (experiments/README.md, "Rules")' }),
      },
      [over('zero', 'init')],
    ),
    inOrder(
      scope,
      {
        text: numbered(`at half kept and below, variant 1 (zero only what moved toward zero) is above both, in ${network}`),
        paper: 'above zero and initial',
      },
      [over('toward_zero', 'zero'), over('toward_zero', 'init')],
    ),
    inOrder(
      scope,
      {
        text: numbered(`at half kept and below, variant 2 (kept weights restart from zero too) is not below variant 1, in ${network}`),
        paper: 'at least variant 1',
        why: 'weights that restart from zero have to be learned again: how far it falls short depends on the steps of a round (experiments/README.md, "What holds variant 2 back")',
      },
      [over('toward_zero_all', 'toward_zero', oneErrorOf(arm('toward_zero'), scope))],
    ),
    inOrder(
      scope,
      {
        text: `Controls, at half kept and below: as many zeros in other places of ${network} are below variant 1, and not above both zero and initial`,
        paper: 'both below variant 1',
      },
      CONTROLS.flatMap((control) => [over('toward_zero', control), notAbove(control)]),
    ),
  ];
}

/** @param claimed networks that it makes claims about: of those that a scale does not run, the report says so */
const mask0Figure = (
  name: string,
  about: string,
  minutes: Experiment['minutes'],
  networksOf: Networks,
  claimed: readonly NetworkName[],
): Experiment => ({
  name,
  about,
  minutes,
  cells: (plan) =>
    networksOf(plan).flatMap((network) =>
      ticketCells(
        plan,
        network,
        MASK0.map((mask0) => ({ criterion: 'large_final', mask0 })),
      ),
    ),
  pictures: (rows, plan) =>
    networksOf(plan)
      .map((network) => ({ network, own: where(rows, { network }) }))
      .filter(({ own }) => own.length > 0)
      .map(({ network, own }) => picture(name, own, plan, network)),
  claims: (rows, plan) => claimed.flatMap((network) => claims(rows, plan, network, networksOf(plan).includes(network))),
});

export const figure2 = mask0Figure(
  'figure-02',
  'figures 2 and 3, mask-0 actions: what pruned weights become, with both controls',
  150,
  ({ scale }) => (scale === 'full' ? CONVOLUTIONAL : ['conv2']),
  CONVOLUTIONAL,
);

export const figure2b = mask0Figure('figure-02b', 'mask-0 actions: the same, fc', 80, () => ['fc'], ['fc']);
