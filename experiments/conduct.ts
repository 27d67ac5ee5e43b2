// Conducts an experiment: runs the cells that the folder lacks, wherever `run` runs them, then writes NAME.csv, NAME.json and its SVGs.

import { join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../codec/index.js';
import { CELL, type Cell, nameOf, type Row } from './cell.js';
import type { Claim, Experiment, Picture, Table } from './experiment.js';
import type { Plan } from './grids.js';
import { drawing } from './optional.js';
import { digest, type Shown, shownIn, spanOf } from './published.js';
import { MOST_RUNS, MOST_TASKS, RUNS, TASKS } from './scale.js';
import { csv, type Store } from './store.js';

/** Runs cells, in any order and anywhere; hands each one's rows over as soon as they are there. */
export type Runner = (cells: readonly Cell[], done: (cell: Cell, rows: readonly Row[], seconds: number) => void) => Promise<void>;

export interface Conducted {
  readonly experiment: Experiment;
  /** By which its rows were looked at. */
  readonly plan: Plan;
  readonly rows: readonly Row[];
  readonly pictures: readonly Picture[];
  readonly tables: readonly Table[];
  readonly claims: readonly Claim[];
  /** Further files of it; one whose masks are not in the folder has its name alone. */
  readonly files: readonly { readonly name: string; readonly bytes?: Uint8Array }[];
  /** The cells whose rows it shows. */
  readonly cells: readonly Cell[];
  /** Where the rows of each are, of those that are shown whole. */
  readonly spans: readonly (readonly [first: number, count: number] | null)[];
  /** Cells of its plan that the folder holds, and those it lacks. */
  readonly done: number;
  readonly missing: number;
  /** Whether its files are in the folder: cells alone may be there for the sake of another experiment. */
  readonly published: boolean;
}

/** The plan of a scale; `runs` overrides the number of seeds, `tasks` that of tasks on one network. */
export const planOf = (scale: Plan['scale'], runs?: number, tasks = TASKS[scale]): Plan => ({
  scale,
  runs: (network) => runs ?? RUNS[scale](network),
  ...(runs !== undefined && { asked: runs }),
  tasks,
});

/** The plan by which the folder holds an experiment: seeds and tasks as told here, else as NAME.json tells, else the scale's. */
export function heldPlan({ name }: Experiment, scale: Plan['scale'], store: Store, told: { runs?: number; tasks?: number } = {}): Plan {
  const held = PUBLISHED.safeParse(parsed(store.read(`${name}.json`) ?? '')).data;
  return planOf(scale, told.runs ?? held?.runs, told.tasks ?? held?.tasks);
}

/** Cells that start from weights which others train come last: two that start together would train the same twice. */
const turn = (cell: Cell): number => (cell.kind === 'plane' || cell.kind === 'archive' ? 1e9 : 0) + cell.seed;

/** Cells of several experiments, each once, seeds outermost so that whole seeds finish first; those not yet in the store. */
export function missing(experiments: readonly Experiment[], plan: Plan, store: Store): Cell[] {
  const all = new Map(experiments.flatMap((e) => e.cells(plan)).map((cell) => [nameOf(cell), cell]));
  return [...all.values()].filter((cell) => !store.result(cell)).sort((a, b) => turn(a) - turn(b));
}

/** Runs what is missing and writes the results of every experiment. */
export async function conduct(experiments: readonly Experiment[], plan: Plan, store: Store, run: Runner): Promise<Conducted[]> {
  for (const experiment of experiments) checkKept(experiment, experiment.cells(plan), store);
  await run(missing(experiments, plan, store), (cell, rows, seconds) => store.add(cell, rows, seconds));
  const all: Conducted[] = [];
  for (const experiment of experiments) all.push(await publish(results(experiment, plan, store), store));
  return all;
}

/**
 * A folder holds cells of any scale, but CSV, JSON, drawings and report of one.
 * @throws SeedmaskError bad-run when results of another scale would be written over
 */
export function checkScale(experiments: readonly Experiment[], plan: Plan, store: Store): void {
  for (const { name } of experiments) {
    const text = store.read(`${name}.json`);
    const found = PUBLISHED.safeParse(parsed(text ?? JSON.stringify({ scale: plan.scale })));
    const scale = found.success ? found.data.scale : 'none that can be read';
    if (scale === plan.scale) continue;
    throw new SeedmaskError('bad-run', {
      field: join(store.folder, `${name}.json`),
      got: `scale ${scale}`,
      expected: `scale ${plan.scale}`,
      hint: 'Choose another folder with --out, or delete the file.',
    });
  }
}

/**
 * Rows whose cells a folder has not, as one that was published, cannot be written again.
 * @param next cells whose rows are to be written
 * @throws SeedmaskError bad-run when rows of other cells would be lost
 */
export function checkKept({ name }: Experiment, next: readonly Cell[], store: Store): void {
  const names = new Set(next.map(nameOf));
  const shown = PUBLISHED.safeParse(parsed(store.read(`${name}.json`) ?? '')).data?.cells ?? [];
  const lost = shown.filter((cell) => !names.has(nameOf(cell)) && !store.result(cell));
  if (lost.length === 0) return;
  throw new SeedmaskError('bad-run', {
    field: join(store.folder, `${name}.csv`),
    got: `rows of cells that are not in ${join(store.folder, 'cells')} (${lost.length})`,
    expected: 'other rows',
    hint: `They would be lost: copy whole cells there with --from ${store.folder}, or choose another folder with --out`,
  });
}

const PUBLISHED = z.looseObject({
  scale: z.string(),
  runs: z.int().positive().max(MOST_RUNS).optional(),
  tasks: z.int().positive().max(MOST_TASKS).optional(),
  /** None where they are of another version. */
  cells: z.array(CELL).catch([]),
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * What an experiment makes of the cells that are there; where none is, of the rows of its own files, which a published folder has.
 * @throws SeedmaskError broken-run for a damaged cell; bad-store for files that do not belong together or are of another experiment
 */
export function results(experiment: Experiment, plan: Plan, store: Store): Conducted {
  const held = (cells: readonly Cell[]) => cells.flatMap((cell) => store.result(cell) ?? []);
  const own = experiment.cells(plan);
  const done = held(own);
  const alone = done.length === 0 ? shownIn(store.folder, experiment.name) : undefined;
  if (alone) return shownResults(experiment, heldPlan(experiment, plan.scale, store), alone, store);
  const shown = [...done, ...held(experiment.also?.(plan) ?? [])];
  const all = shown.flatMap((one) => one.rows);
  const rows = experiment.select?.(all, plan) ?? all;
  return {
    ...drawnFrom(experiment, rows, plan),
    files: experiment.files?.(shown, plan) ?? [],
    done: done.length,
    cells: shown.map(({ cell }) => cell),
    spans: shown.map((one) => spanOf(one.rows, rows)),
    missing: own.length - done.length,
    published: store.read(`${experiment.name}.json`) !== undefined,
  };
}

function shownResults(experiment: Experiment, plan: Plan, shown: Shown, { folder }: Store): Conducted {
  const { rows, files, cells, spans, missing } = shown;
  try {
    const drawn = drawnFrom(experiment, rows, plan);
    return { ...drawn, files: files.map((name) => ({ name })), done: cells.length, cells, spans, missing, published: true };
  } catch (error) {
    // What another version wrote may lack a column.
    const expected = `rows that ${experiment.name} can be drawn from`;
    throw new SeedmaskError('bad-store', { field: join(folder, `${experiment.name}.csv`), got: (error as Error).message, expected });
  }
}

const drawnFrom = (experiment: Experiment, rows: readonly Row[], plan: Plan) => ({
  experiment,
  plan,
  rows,
  pictures: rows.length > 0 ? experiment.pictures(rows, plan) : [],
  tables: rows.length > 0 ? (experiment.tables?.(rows, plan) ?? []) : [],
  claims: experiment.claims(rows, plan),
});

/** Writes NAME.csv, NAME.json (it tells `heldPlan` what was asked for, and `shownIn` which rows are its own), its drawings and further files. */
export async function publish(conducted: Conducted, store: Store): Promise<Conducted> {
  const { experiment, plan, rows, pictures, tables, claims, files, cells, spans, missing } = conducted;
  const { name, about, ofTasks } = experiment;
  const { scale, asked, tasks } = plan;
  const current = files.map((file) => file.name);
  const text = (value: string) => new TextEncoder().encode(value);
  const { drawnAlone } = await drawing();
  const table = csv(rows);
  store.write(`${name}.csv`, text(table));
  store.write(
    `${name}.json`,
    text(
      `${JSON.stringify({ experiment: name, about, scale, runs: asked, tasks: ofTasks && tasks, sha256: digest(table), cells, rows: spans, missing, claims, tables, files: current }, null, 1)}\n`,
    ),
  );
  for (const picture of pictures) store.write(`${picture.name}.svg`, text(drawnAlone(picture)));
  for (const { name, bytes } of files) if (bytes) store.write(name, bytes);
  if (experiment.filesNamed && files.some(({ bytes }) => bytes)) store.removeOthers(experiment.filesNamed, current);
  return { ...conducted, published: true };
}
