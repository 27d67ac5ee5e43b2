// Conducts an experiment: runs the cells that the folder lacks, wherever `run` runs them, then writes NAME.csv, NAME.json and its SVGs.

import { join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/index.js';
import { CELL, type Cell, nameOf, type Result, type Row } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { MOST_RUNS, MOST_TASKS, RUNS, TASKS } from '../cells/scale.js';
import { drawing } from '../evidence/drawing.js';
import type { Claim, Experiment, Picture, Table } from '../evidence/experiment.js';
import { csv } from '../evidence/rows.js';
import { digest, shownIn, spanOf } from './published.js';
import type { Store } from './store.js';

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
  /** The versions of Seedmask that computed its cells, where that is known. */
  readonly release?: string;
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

/** Whether an experiment has cells of every seed that is asked for; others are of the first alone. */
export const ofSeeds = ({ cells }: Experiment): boolean => cells(planOf('quick', 2)).length > cells(planOf('quick', 1)).length;

/** What a plan asks of an experiment: of one that is of the first seed alone no number of seeds. */
const planFor = (experiment: Experiment, plan: Plan): Plan => (ofSeeds(experiment) ? plan : planOf(plan.scale, undefined, plan.tasks));

/** The plan by which the folder holds an experiment: seeds and tasks as told here, else as NAME.json tells, else the scale's. */
export function heldPlan(one: Experiment, scale: Plan['scale'], store: Store, told: { runs?: number; tasks?: number } = {}): Plan {
  const held = headOf(one.name, store);
  return planFor(one, planOf(scale, told.runs ?? held?.runs, told.tasks ?? held?.tasks));
}

/** Cells that start from weights which others train come last: two that start together would train the same twice. */
const turn = (cell: Cell): number => (cell.kind === 'plane' || cell.kind === 'archive' ? 1e9 : 0) + cell.seed;

/** Cells of several experiments, each once, seeds outermost so that whole seeds finish first; those not yet in the store. */
export function missing(experiments: readonly Experiment[], plan: Plan, store: Store): Cell[] {
  const all = new Map(experiments.flatMap((e) => e.cells(plan)).map((cell) => [nameOf(cell), cell]));
  return [...all.values()].filter((cell) => !store.result(cell)).sort((a, b) => turn(a) - turn(b));
}

/** Runs what is missing and writes the results of every experiment of which there are any. */
export async function conduct(experiments: readonly Experiment[], plan: Plan, store: Store, run: Runner): Promise<Conducted[]> {
  for (const experiment of experiments) checkKept(experiment, experiment.cells(plan), store);
  await run(missing(experiments, plan, store), (cell, rows, seconds) => store.add(cell, rows, seconds));
  const all: Conducted[] = [];
  for (const experiment of experiments) {
    const held = results(experiment, plan, store);
    all.push(held.done > 0 ? await publish(held, store) : held);
  }
  return all;
}

/**
 * A folder holds cells of any scale, but CSV, JSON, drawings and report of one.
 * @throws SeedmaskError bad-run when results of another scale would be written over
 */
export function checkScale(experiments: readonly Experiment[], plan: Plan, store: Store): void {
  for (const { name } of experiments) {
    if (store.read(`${name}.json`) === undefined) continue;
    const held = headOf(name, store)?.scale;
    if (held === plan.scale) continue;
    throw new SeedmaskError('bad-run', {
      field: join(store.folder, `${name}.json`),
      got: `scale ${held ?? 'none that can be read'}`,
      expected: `scale ${plan.scale}`,
      hint: `${held ? 'Name its scale (--quick, --full or neither)' : 'Delete the file'}, or choose another folder with --out`,
    });
  }
}

/** Cells that the files of an experiment show, but for those that are `known`, and that the folder has not: one that was published has none. */
function gone({ name }: Experiment, known: readonly Cell[], store: Store): Cell[] {
  const names = new Set(known.map(nameOf));
  const shown = store.read(`${name}.csv`) === undefined ? [] : (headOf(name, store)?.cells ?? []);
  return shown.filter((cell) => !names.has(nameOf(cell)) && !store.result(cell));
}

/** What an experiment can use: the cells of a plan, those whose rows it shows too, and those that its files in the folder show without them. */
export const usable = (experiment: Experiment, plan: Plan, store: Store): Cell[] => [
  ...experiment.cells(plan),
  ...(experiment.also?.(plan) ?? []),
  ...gone(experiment, [], store),
];

/** Throws SeedmaskError bad-run where an experiment's files show cells of another version: nobody knows whether their rows can be written again. */
function checkReadable({ name }: Experiment, store: Store): void {
  const foreign = store.read(`${name}.csv`) === undefined ? 0 : (headOf(name, store)?.foreign ?? 0);
  if (foreign === 0) return;
  throw new SeedmaskError('bad-run', {
    field: join(store.folder, `${name}.json`),
    got: `cells of another version of Seedmask among its ${foreign}`,
    expected: 'cells that it can read',
    hint: 'Move the file and its CSV away, or choose another folder with --out',
  });
}

/**
 * Rows whose cells a folder has not cannot be written again.
 * @param next cells to be run
 * @throws SeedmaskError bad-run when rows of other cells, or of cells of another version, would be lost
 */
export function checkKept(experiment: Experiment, next: readonly Cell[], store: Store): void {
  checkReadable(experiment, store);
  const lost = gone(experiment, next, store).length;
  if (lost === 0) return;
  throw new SeedmaskError('bad-run', {
    field: join(store.folder, `${experiment.name}.csv`),
    got: `rows of cells that are not in ${join(store.folder, 'cells')} (${lost})`,
    expected: 'other rows',
    hint: `They would be lost: copy whole cells there with --from ${store.folder}, or choose another folder with --out`,
  });
}

const HEAD = z.looseObject({
  scale: z.string(),
  runs: z.int().positive().max(MOST_RUNS).optional(),
  tasks: z.int().positive().max(MOST_TASKS).optional(),
  cells: z.array(z.unknown()).catch([]),
});

/** What NAME.json tells, of whatever version it is; undefined where there is none that can be read. */
function headOf(name: string, store: Store) {
  try {
    const { data } = HEAD.safeParse(JSON.parse(store.read(`${name}.json`) ?? ''));
    if (!data) return undefined;
    const cells = z.array(CELL).safeParse(data.cells).data;
    /** How many cells there are that this version cannot read: it does not tell them from each other. */
    const foreign = cells ? 0 : data.cells.length;
    return { ...data, cells: cells ?? [], foreign };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * What an experiment makes of the cells that are there; where its own files show others too, as in a published folder, of their rows.
 * @throws SeedmaskError broken-run for a damaged cell; bad-store for files that do not belong together or are of another experiment
 */
export function results(experiment: Experiment, asked: Plan, store: Store): Conducted {
  const plan = planFor(experiment, asked);
  const held = (cells: readonly Cell[]) => cells.flatMap((cell) => store.result(cell) ?? []);
  const own = experiment.cells(plan);
  const done = held(own);
  const shown = [...done, ...held(experiment.also?.(plan) ?? [])];
  const cells = shown.map(({ cell }) => cell);
  if (gone(experiment, cells, store).length > 0) return shownResults(experiment, heldPlan(experiment, plan.scale, store), store);
  const all = shown.flatMap((one) => one.rows);
  const rows = experiment.select?.(all, plan) ?? all;
  return {
    ...drawnFrom(experiment, rows, plan),
    files: experiment.files?.(shown, plan) ?? [],
    done: done.length,
    ...releaseOf(shown),
    cells,
    spans: shown.map((one) => spanOf(one.rows, rows)),
    missing: own.length - done.length,
    published: store.read(`${experiment.name}.json`) !== undefined,
  };
}

function shownResults(experiment: Experiment, plan: Plan, { folder }: Store): Conducted {
  const { release, rows, files, cells, spans, missing } = shownIn(folder, experiment.name)!;
  try {
    const drawn = drawnFrom(experiment, rows, plan);
    return { ...drawn, files: files.map((name) => ({ name })), done: cells.length, release, cells, spans, missing, published: true };
  } catch (error) {
    // What another version wrote may lack a column.
    const expected = `rows that ${experiment.name} can be drawn from`;
    throw new SeedmaskError('bad-store', { field: join(folder, `${experiment.name}.csv`), got: (error as Error).message, expected });
  }
}

function releaseOf(results: readonly Result[]): Pick<Conducted, 'release'> {
  const all = new Set(results.flatMap(({ release }) => release?.split(', ') ?? []));
  return all.size > 0 ? { release: [...all].sort().join(', ') } : {};
}

const drawnFrom = (experiment: Experiment, rows: readonly Row[], plan: Plan) => ({
  experiment,
  plan,
  rows,
  pictures: rows.length > 0 ? experiment.pictures(rows, plan) : [],
  tables: rows.length > 0 ? (experiment.tables?.(rows, plan) ?? []) : [],
  claims: experiment.claims(rows, plan),
});

/**
 * Writes NAME.csv, NAME.json (it tells `heldPlan` what was asked for, and `shownIn` which rows are its own), its drawings and further files.
 * @throws SeedmaskError bad-run when rows of cells of another version would be lost
 */
export async function publish(conducted: Conducted, store: Store): Promise<Conducted> {
  const { experiment, plan, rows, pictures, tables, claims, files, cells, spans, missing } = conducted;
  checkReadable(experiment, store);
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
      `${JSON.stringify({ experiment: name, about, release: conducted.release, scale, runs: asked, tasks: ofTasks && tasks, sha256: digest(table), cells, rows: spans, missing, claims, tables, files: current }, null, 1)}\n`,
    ),
  );
  for (const picture of pictures) store.write(`${picture.name}.svg`, text(drawnAlone(picture)));
  for (const { name, bytes } of files) if (bytes) store.write(name, bytes);
  if (experiment.filesNamed && files.some(({ bytes }) => bytes)) store.removeOthers(experiment.filesNamed, current);
  return { ...conducted, published: true };
}
