// A cell is one piece of an experiment's grid: everything that decides one result, as plain JSON. Equal cells give equal rows on any
// machine, so a cell has a name made from its content, is computed once, and serves every figure that asks for it.

import { createHash } from 'node:crypto';
import type * as definitions from '../models/index.js';
import type { Mask0, Mask1 } from '../src/masks/actions.js';
import type { Criterion } from '../src/masks/criteria.js';

export type NetworkName = keyof typeof definitions;

/** The paper's data for a network: digits for fc, CIFAR-10 for the convolutional ones. */
export const dataOf = (network: NetworkName): 'mnist' | 'cifar10' => (network === 'fc' ? 'mnist' : 'cifar10');

/** What is trained, on how much. */
export interface Setting {
  readonly network: NetworkName;
  /** Seed of the weights, the split, the batch order and every other draw. */
  readonly seed: number;
  /** Training rows used, the first of the seed's split. */
  readonly rows: number;
  /** Validation and test rows used, the first of each: 5,000 and 10,000 are all. */
  readonly validation: number;
  readonly test: number;
}

/** Iterative pruning: round 0 trains the whole network, each further round prunes and trains what is left. */
export interface TicketCell extends Setting {
  readonly kind: 'ticket';
  readonly criterion: Criterion;
  readonly mask0: Mask0;
  readonly mask1: Mask1;
  readonly rounds: number;
  /** Rounds of the paper's rates that one round prunes at once. */
  readonly power: number;
  /** Epochs in every round. */
  readonly epochs: number;
}

/** Untrained supermasks: masks of every criterion, level and age under initial weights and signed constants. */
export interface CurveCell extends Setting {
  readonly kind: 'curve';
  readonly criteria: readonly Criterion[];
  /** Levels: rounds of the paper's rates that a mask prunes at once. */
  readonly powers: readonly number[];
  /** Epochs of training after which masks are taken, ascending. */
  readonly ages: readonly number[];
}

/** A learned supermask of an untrained network. */
export interface LearnedCell extends Setting {
  readonly kind: 'learned';
  readonly method: 'bernoulli' | 'topk';
  readonly weights: 'init' | 'constant';
  /** Dynamic weight rescaling (bernoulli). */
  readonly rescale: boolean;
  /** Kept fraction per layer (topk), the last of them for all further layers; empty for bernoulli. */
  readonly density: readonly number[];
  readonly learningRate: number;
  readonly epochs: number;
}

/** Points (initial, final) of every layer after training: what the criteria look at. */
export interface PlaneCell extends Setting {
  readonly kind: 'plane';
  readonly epochs: number;
  /** Weights sampled a layer, evenly by position. */
  readonly points: number;
}

/** What ages a mask: masks of one criterion and several ages, under weights and masks put together in different ways. */
export interface ProbeCell extends Setting {
  readonly kind: 'probe';
  readonly criterion: Criterion;
  readonly powers: readonly number[];
  readonly ages: readonly number[];
  readonly learningRate: number;
}

export type Cell = TicketCell | CurveCell | LearnedCell | PlaneCell | ProbeCell;

/** One tidy row of a result: what it is about, and what was measured. */
export type Row = Readonly<Record<string, string | number>>;

/** A file name for a cell: a few words to read, then its content's hash. */
export function nameOf(cell: Cell): string {
  const canonical = JSON.stringify(Object.entries(cell).sort(([a], [b]) => (a < b ? -1 : 1)));
  const hash = createHash('sha256').update(canonical).digest('hex').slice(0, 12);
  const words =
    cell.kind === 'ticket'
      ? `${cell.criterion}-${cell.mask0}-${cell.mask1}`
      : cell.kind === 'learned'
        ? cell.method
        : cell.kind === 'probe'
          ? cell.criterion
          : '';
  return [cell.kind, cell.network, words, `seed${cell.seed}`, hash].filter(Boolean).join('-');
}
