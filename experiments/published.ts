// Results out of a published folder: NAME.json says which cells NAME.csv shows, and where the rows of each are that it shows whole, so a
// run on another machine can begin where the published one ended. Rows whose cells are not published are still there to be drawn.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { SeedmaskError } from '../codec/index.js';
import { CELL, type Cell, type Row } from './cell.js';
import type { Store } from './store.js';

const MOST_BYTES = 1 << 28;
const MOST_CELLS = 1e5;

const PUBLISHED = z.looseObject({
  scale: z.string(),
  cells: z.array(CELL).max(MOST_CELLS),
  rows: z
    .array(z.tuple([z.int().min(0), z.int().positive()]).nullable())
    .max(MOST_CELLS)
    .optional(),
  missing: z.int().min(0).optional(),
  files: z.array(z.string().max(100)).max(MOST_CELLS).optional(),
});

/** What an experiment's NAME.json and NAME.csv show. */
export interface Shown {
  readonly scale: string;
  readonly rows: readonly Row[];
  readonly cells: readonly Cell[];
  /** Where the rows of each cell are, of those that are shown whole. */
  readonly spans: readonly (readonly [first: number, count: number] | null)[];
  /** Cells that had not been run. */
  readonly missing: number;
  /** Names of the further files that were written. */
  readonly files: readonly string[];
}

/**
 * Copies the cells that a published folder gives and the store lacks.
 * @param names of experiments
 * @returns cells that the folder gives, and how many of them were copied
 * @throws SeedmaskError bad-store when the folder gives no cell of them, or its CSV and JSON do not belong together
 */
export function takeOver(folder: string, names: readonly string[], store: Store): { readonly given: number; readonly copied: number } {
  const there = names.filter((name) => existsSync(join(folder, `${name}.json`)) && existsSync(join(folder, `${name}.csv`)));
  if (there.length === 0) {
    throw new SeedmaskError('bad-store', {
      field: folder,
      got: 'neither NAME.json with NAME.csv of them',
      expected: `published results of ${names.join(', ')}`,
      hint: 'Name a folder such as experiments/results.',
    });
  }
  let [given, copied] = [0, 0];
  for (const name of there) {
    for (const { cell, rows } of published(folder, name)) {
      given++;
      if (store.result(cell)) continue;
      store.add(cell, rows, 0);
      copied++;
    }
  }
  if (given === 0) {
    throw new SeedmaskError('bad-store', {
      field: folder,
      got: 'selections of rows, or rows without their masks',
      expected: `whole cells of ${names.join(', ')}`,
      hint: 'Leave --from away to compute them, or name --out that folder if its cells are there.',
    });
  }
  return { given, copied };
}

/**
 * Copies the files of an experiment that the store has none of: rows that can be drawn where cells, with their masks, are not published.
 * @throws SeedmaskError bad-store for files that do not belong together
 */
export function takeShown(folder: string, name: string, scale: string, store: Store): void {
  if (store.read(`${name}.json`) !== undefined || shownIn(folder, name)?.scale !== scale) return;
  for (const file of filesOf(folder, name)) store.write(basename(file), readFileSync(file));
}

/**
 * Where the CSV of `rows` shows a cell whole: its first row and their number; null where a selection is shown.
 * @param own the cell's rows, the same objects
 */
export function spanOf(own: readonly Row[], rows: readonly Row[]): [first: number, count: number] | null {
  const first = rows.indexOf(own[0]);
  return first >= 0 && own.every((row, i) => rows[first + i] === row) ? [first, own.length] : null;
}

/**
 * What a folder shows of an experiment, or undefined where it has no files of it.
 * @throws SeedmaskError bad-store for files that do not belong together
 */
export function shownIn(folder: string, name: string): Shown | undefined {
  const [json, csv] = filesOf(folder, name);
  if (!existsSync(json) || !existsSync(csv)) return undefined;
  const { scale, cells, rows: spans = [], missing = 0, files = [] } = described(json);
  return { scale, rows: rowsOf(csv), cells, spans, missing, files };
}

/** A row without its empty fields: a table has a column for what only some cells measure. */
const valuesOf = (row: Row): Row => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== ''));

const filesOf = (folder: string, name: string) => [`${name}.json`, `${name}.csv`].map((file) => join(folder, file));

/** The cells of one experiment that are shown whole, with their rows. */
function published(folder: string, name: string): { cell: Cell; rows: readonly Row[] }[] {
  const [json, csv] = filesOf(folder, name);
  const { cells, spans, rows } = shownIn(folder, name)!;
  return spans.flatMap((span, i) => {
    if (!span) return [];
    const own = rows.slice(span[0], span[0] + span[1]);
    if (own.length < span[1])
      throw foreign(csv, `${rows.length} rows`, `long enough for rows ${span[0]} to ${span[0] + span[1] - 1}, which ${name}.json names`);
    if (!cells[i]) throw foreign(json, `${cells.length} cells`, `a cell for each of its ${spans.length} spans of rows`);
    return { cell: cells[i], rows: own.map(valuesOf) };
  });
}

function described(file: string): z.infer<typeof PUBLISHED> {
  try {
    return PUBLISHED.parse(JSON.parse(text(file)));
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    const got = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw foreign(file, got, 'what `seedmask experiment` writes');
  }
}

/** CSV (RFC 4180) as `csv` of store.ts writes it: what reads as a number is one. */
function rowsOf(file: string): Row[] {
  const whole = text(file);
  try {
    const records: Record<string, string>[] = parse(whole, { columns: true });
    return records.map((record) =>
      Object.fromEntries(Object.entries(record).map(([key, value]) => [key, String(Number(value)) === value ? Number(value) : value])),
    );
  } catch (error) {
    throw foreign(file, (error as Error).message, 'a CSV file with one line of names');
  }
}

function text(file: string): string {
  const { size } = statSync(file);
  if (size > MOST_BYTES) throw foreign(file, `${size} bytes`, `at most ${MOST_BYTES}`);
  return readFileSync(file, 'utf8');
}

const foreign = (field: string, got: string, expected: string) =>
  new SeedmaskError('bad-store', { field, got, expected, hint: 'Draw the folder again where its cells are, with --draw.' });
