// An experiment is a figure or table of the paper as a value: the cells it needs, and what it makes of their rows.

import type { Cell, Result, Row } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import type { Chart } from './chart.js';

/** Whose numbers the names of figures have. */
export const NUMBERS =
  'Figures have the numbers of the article about the paper (Uber AI 2019, "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask"); those of the PDF may differ. The article\'s figure 4 has nothing to compute here that we know of.';

/** A drawing: a file of its own, and a part of the report. */
export interface Picture {
  /** File name without `.svg`. */
  readonly name: string;
  readonly title: string;
  /** What was run, how often, and how to read it. */
  readonly caption: string;
  readonly chart: Chart;
}

export interface Table {
  readonly title: string;
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** `not decided`: its cells are there, but not at a scale or level that decides it; `not run`: cells that it needs are not there. */
export type Verdict = 'holds' | 'partly' | 'fails' | 'not decided' | 'not run';

export interface Claim {
  /** What the paper or we say, with the number of its acceptance band where there is one. */
  readonly text: string;
  readonly paper: string;
  /** Where the means of ours have to lie for it to hold: a band of ours, not the paper's. */
  readonly accepted?: string;
  /** Our numbers: mean, least, greatest, runs. */
  readonly ours: string;
  /** Seeds behind them, where they are of seeds. */
  readonly seeds?: number;
  readonly verdict: Verdict;
  /** Why, where it does not hold, and what was done differently. */
  readonly note?: string;
}

export interface Experiment {
  readonly name: string;
  /** One line for help and report. */
  readonly about: string;
  /** It asks what the paper gives no number for. */
  readonly beyond?: true;
  /** Minutes at the budget scale on two cores, rounded, alone and from nothing. */
  readonly minutes: number;
  cells(plan: Plan): Cell[];
  /** Its cells are as many as the tasks of a plan. */
  readonly ofTasks?: true;
  /** Cells of other experiments whose rows it shows too where they are there; never run for it. */
  also?(plan: Plan): Cell[];
  /** The rows of its cells that go into its CSV and to what follows; default all. */
  select?(rows: readonly Row[], plan: Plan): Row[];
  /** Pictures and tables are asked for where there are rows. */
  pictures(rows: readonly Row[], plan: Plan): Picture[];
  tables?(rows: readonly Row[], plan: Plan): Table[];
  claims(rows: readonly Row[], plan: Plan): Claim[];
  /** What the names of its further files are where they tell how much is in them: one of another name is out of date. */
  readonly filesNamed?: RegExp;
  /** Further files, from the results of its cells. */
  files?(results: readonly Result[], plan: Plan): { readonly name: string; readonly bytes: Uint8Array }[];
}
