// An experiment is a figure or table of the paper as a value: the cells it needs, and what it makes of their rows.

import type { Cell, Row } from './cell.js';
import type { Plan } from './grids.js';
import type { ScaleName } from './scale.js';

/** A drawing for the report. */
export interface Picture {
  /** File name without `.svg`. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

export interface Claim {
  /** What the paper says, with the number of its acceptance band where there is one. */
  readonly text: string;
  readonly paper: string;
  /** Our numbers: mean, least, greatest, runs. */
  readonly ours: string;
  readonly verdict: 'holds' | 'partly' | 'fails' | 'not run';
  /** Why, where it does not hold, and what was done differently. */
  readonly note?: string;
}

export interface Experiment {
  readonly name: string;
  /** One line for help and report. */
  readonly about: string;
  /** Minutes on two cores, rounded, alone and from nothing. */
  readonly minutes: Record<ScaleName, number>;
  cells(plan: Plan): Cell[];
  /** The rows of its cells that go into its CSV; default all. */
  select?(rows: readonly Row[], plan: Plan): Row[];
  pictures(rows: readonly Row[], plan: Plan): Picture[];
  claims(rows: readonly Row[], plan: Plan): Claim[];
}
