// Conducts an experiment: runs the cells that the folder lacks, wherever `run` runs them, then writes NAME.csv, NAME.json and its SVGs.

import { type Cell, nameOf, type Row } from './cell.js';
import type { Claim, Experiment, Picture } from './experiment.js';
import type { Plan } from './grids.js';
import { RUNS } from './scale.js';
import { csv, type Store } from './store.js';

/** Runs cells, in any order and anywhere; hands each one's rows over as soon as they are there. */
export type Runner = (cells: readonly Cell[], done: (cell: Cell, rows: readonly Row[], seconds: number) => void) => Promise<void>;

export interface Conducted {
  readonly experiment: Experiment;
  readonly rows: readonly Row[];
  readonly pictures: readonly Picture[];
  readonly claims: readonly Claim[];
}

/** The plan of a scale; `runs` overrides the number of seeds. */
export const planOf = (scale: Plan['scale'], runs?: number): Plan => ({ scale, runs: (network) => runs ?? RUNS[scale](network) });

/** Cells of several experiments, each once, seeds outermost so that whole seeds finish first; those not yet in the store. */
export function missing(experiments: readonly Experiment[], plan: Plan, store: Store): Cell[] {
  const all = new Map(experiments.flatMap((e) => e.cells(plan)).map((cell) => [nameOf(cell), cell]));
  return [...all.values()].filter((cell) => !store.rows(cell)).sort((a, b) => a.seed - b.seed);
}

/** Runs what is missing and writes the results of every experiment. */
export async function conduct(experiments: readonly Experiment[], plan: Plan, store: Store, run: Runner): Promise<Conducted[]> {
  await run(missing(experiments, plan, store), (cell, rows, seconds) => store.add(cell, rows, seconds));
  return experiments.map((experiment) => publish(experiment, plan, store));
}

/** Writes the results of an experiment from the cells that are there. */
export function publish(experiment: Experiment, plan: Plan, store: Store): Conducted {
  const cells = experiment.cells(plan);
  const done = cells.filter((cell) => store.rows(cell));
  const all = done.flatMap((cell) => store.rows(cell)!);
  const rows = experiment.select?.(all, plan) ?? all;
  const pictures = experiment.pictures(rows, plan);
  const claims = experiment.claims(rows, plan);
  store.write(`${experiment.name}.csv`, csv(rows));
  const config = {
    experiment: experiment.name,
    about: experiment.about,
    scale: plan.scale,
    cells: done,
    missing: cells.length - done.length,
  };
  store.write(`${experiment.name}.json`, `${JSON.stringify({ ...config, claims }, null, 1)}\n`);
  for (const { name, svg } of pictures) store.write(`${name}.svg`, svg);
  return { experiment, rows, pictures, claims };
}
