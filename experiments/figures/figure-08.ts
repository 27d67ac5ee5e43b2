// Figure 8: what kept weights restart from, and whether their sign is kept. Masks of large_final, FC on MNIST; random masks as the floor.
// `reinit` permutes the layer's initialisation, as the authors' code does; `redraw` draws anew, as the word says.

import { MASK1, type Mask1 } from '../../src/masks/actions.js';
import { dataOf, type NetworkName, onItsData, type Row } from '../cells/cell.js';
import { type Plan, ticketCells } from '../cells/grids.js';
import { runText, shortened } from '../cells/scale.js';
import { CRITERION_STYLE, leavingText, mask1Style, nearTop, seedsOf } from '../evidence/chart.js';
import { inBands, inOrder, type Order, type Scope } from '../evidence/claims.js';
import type { Claim, Experiment, Picture } from '../evidence/experiment.js';
import { deepMeans, pairs, pointsOf, sameSeeds, where } from '../evidence/rows.js';

/** Kept fractions at which the actions are told apart: deep pruning. */
const DEEP = 0.1;

/** Points that are hardly any: of CIFAR-10 the tolerance of trained networks (A13), of MNIST, where all lies closer, half of it. */
const NEAR = { mnist: 1, cifar10: 2 } as const;

const FREE = ['reinit', 'redraw', 'reshuffle', 'constant'] as const;
type Free = (typeof FREE)[number];

const LABELS: Record<Mask1, string> = {
  rewind: 'rewind',
  reinit: 'reinit (permuted)',
  signed_reinit: 'reinit, sign kept',
  redraw: 'redraw (new draw)',
  signed_redraw: 'redraw, sign kept',
  reshuffle: 'reshuffle',
  signed_reshuffle: 'reshuffle, sign kept',
  constant: 'constant',
  signed_constant: 'constant, sign kept',
};

const armOf = (rows: readonly Row[], mask1: Mask1): Row[] => where(rows, { criterion: 'large_final', mask1 });

export function signsPictures(all: readonly Row[], plan: Plan, network: NetworkName, name: string): Picture[] {
  const rows = sameSeeds(all, ['criterion', 'mask1']);
  const lines = [
    ...MASK1.map((mask1) => ({ label: LABELS[mask1], ...mask1Style(mask1), points: pointsOf(armOf(rows, mask1), 'round', 'kept') })),
    {
      label: 'random mask, rewind',
      ...CRITERION_STYLE.random,
      points: pointsOf(where(rows, { criterion: 'random', mask1: 'rewind' }), 'round', 'kept'),
    },
  ].filter(({ points }) => points.length > 0);
  const picture = (suffix: string, title: string, range?: [number, number]): Picture => ({
    name: `${name}${suffix}`,
    title: `${title}: ${onItsData(network)}`,
    caption: `${[
      `${runText(plan.scale, network)}; masks of large_final; test accuracy after a round's last epoch; ${seedsOf(lines)}`,
      'Dashed: signs free. reinit permutes the initial weights of the layer; redraw draws new ones',
      ...leavingText(lines, range),
    ].join('. ')}.`,
    chart: { kind: 'curves', across: 'kept', yLabel: 'test accuracy, %', lines, range },
  });
  return [picture('', 'What kept weights restart from'), picture('-top', 'The same, the best of them near', nearTop(lines))];
}

export function signsClaims(rows: readonly Row[], plan: Plan, network: NetworkName): Claim[] {
  const scope: Scope = { plan, network, shortened: shortened(plan.scale, network) };
  const near = NEAR[dataOf(network)];
  const arm = (mask1: Mask1) => deepMeans(armOf(rows, mask1), DEEP);
  const over = (better: Mask1, worse: Mask1): Order => ({ name: `${better} over ${worse}`, over: arm(better), under: arm(worse) });
  const signed = (action: Free): Mask1 => `signed_${action}`;
  const lead = (a: Mask1, b: Mask1): [seed: number, points: number][] => {
    const seeds = [...arm(a).keys()].filter((seed) => arm(b).has(seed));
    const [left, right] = pairs(arm(a), arm(b));
    return seeds.map((seed, i) => [seed, left[i] - right[i]]);
  };
  return [
    inOrder(
      scope,
      {
        text: `A15: at 10 % kept and below, restarts that keep the sign are above those that do not, in ${network}`,
        paper: 'sign-kept above sign-free',
      },
      FREE.map((action) => over(signed(action), action)),
    ),
    inBands(
      scope,
      {
        text: `A15: restarts that keep the sign are about as good as rewinding, and nearer to it than to their sign-free form, in ${network}`,
        paper: 'sign-kept about as rewind',
        accepted: `within ${near} ${near === 1 ? 'point' : 'points'} of rewinding`,
      },
      FREE.map((action) => ({
        name: `${signed(action)} against rewind`,
        values: lead(signed(action), 'rewind').map(([, points]) => points),
        low: -near,
        high: near,
        signed: true,
      })),
      FREE.map((action) => ({
        // Its lead, not its distance: what lies far below its sign-free form is not near rewinding.
        name: `${signed(action)} leads ${action} by more than it is away from rewind`,
        over: new Map(lead(signed(action), action)),
        under: new Map(lead(signed(action), 'rewind').map(([seed, points]) => [seed, Math.abs(points)])),
      })),
    ),
    inOrder(scope, { text: `Re-initialised tickets are below rewound ones, in ${network}`, paper: 'reinit below rewind' }, [
      over('rewind', 'reinit'),
      over('rewind', 'redraw'),
    ]),
  ];
}

export const signsCells = (plan: Plan, network: NetworkName) =>
  ticketCells(plan, network, [...MASK1.map((mask1) => ({ criterion: 'large_final' as const, mask1 })), { criterion: 'random' }]);

export const figure8: Experiment = {
  name: 'figure-08',
  about: 'mask-1 actions and signs: what kept weights restart from, fc',
  minutes: 110,
  cells: (plan) => signsCells(plan, 'fc'),
  pictures: (rows, plan) => signsPictures(rows, plan, 'fc', 'figure-08'),
  claims: (rows, plan) => signsClaims(rows, plan, 'fc'),
};
