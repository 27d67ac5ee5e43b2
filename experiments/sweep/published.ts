// Results out of a published folder: NAME.json says which cells NAME.csv shows, and where the rows of each are that it shows whole, so a
// run on another machine can begin where the published one ended. Rows whose cells are not published are still there to be drawn. The
// JSON names its CSV by SHA-256, so rows of another run, or fewer of them, are not taken for its own.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/index.js';
import { CELL, type Cell, nameOf, type Row } from '../cells/cell.js';
import { csv } from '../evidence/rows.js';
import { readText, type Store } from './store.js';

const MOST_CELLS = 1e5;

const PUBLISHED = z.looseObject({
  scale: z.string(),
  /** The versions of Seedmask that computed its cells; folders of older versions have none. */
  release: z.string().max(100).optional(),
  /** Of NAME.csv; folders of older versions have none. */
  sha256: z.string().optional(),
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
  readonly release?: string;
  readonly rows: readonly Row[];
  readonly cells: readonly Cell[];
  /** Where the rows of each cell are, of those that are shown whole. */
  readonly spans: readonly (readonly [first: number, count: number] | null)[];
  /** Cells that had not been run. */
  readonly missing: number;
  /** Names of the further files that were written. */
  readonly files: readonly string[];
}

/** What NAME.json names its NAME.csv by, in hexadecimal. */
export const digest = (table: string): string => createHash('sha256').update(table).digest('hex');

/**
 * Copies the cells that a published folder gives and the store lacks.
 * @param names of experiments, any of which may show the cells, in the order to look
 * @param wanted names of cells
 * @param rowsWillDo whether a folder that gives none of them is good too, for its rows
 * @returns the names of the cells that the folder gives, each once, and how many of them were copied
 * @throws SeedmaskError bad-store when the folder gives none of them, or its CSV and JSON do not belong together; no-file, over-limit
 */
export function takeOver(
  folder: string,
  names: readonly string[],
  wanted: ReadonlySet<string>,
  store: Store,
  rowsWillDo = false,
): { readonly given: ReadonlySet<string>; readonly copied: number } {
  const there = names.filter((name) => hasFiles(folder, name));
  if (there.length === 0) {
    throw new SeedmaskError('bad-store', {
      field: folder,
      got: 'no NAME.json with its NAME.csv of any of them',
      expected: `published results of ${names.join(', ')}`,
      hint: 'Name a folder such as experiments/results.',
    });
  }
  const given = new Set<string>();
  let copied = 0;
  for (const experiment of there) {
    // Of others than are needed it does not matter whether they can be read.
    if (given.size === wanted.size) break;
    const { release, whole } = published(folder, experiment);
    for (const { cell, rows } of whole) {
      const name = nameOf(cell);
      if (!wanted.has(name) || given.has(name)) continue;
      given.add(name);
      if (store.result(cell)) continue;
      store.take({ cell, rows: [...rows], seconds: 0, release });
      copied++;
    }
  }
  if (given.size === 0 && !rowsWillDo) {
    throw new SeedmaskError('bad-store', {
      field: folder,
      got: 'none: cells of other experiments, seeds or scales, selections of rows, or rows without their masks',
      expected: 'whole cells of what is asked for',
      hint: 'Leave --from away to compute them, or name --out that folder if its cells are there.',
    });
  }
  return { given, copied };
}

/**
 * Copies the files of an experiment that the store has not both of: rows that can be drawn where cells, with their masks, are not
 * published.
 * @returns whether the store has other rows of it, which stay
 * @throws SeedmaskError bad-store for files that do not belong together; no-file, over-limit
 */
export function takeShown(folder: string, name: string, scale: string, store: Store): boolean {
  const files = filesOf(folder, name);
  if (shownIn(folder, name)?.scale !== scale) return false;
  if (hasFiles(store.folder, name)) return store.read(`${name}.csv`) !== readText(files[1]);
  for (const file of files) store.write(basename(file), new TextEncoder().encode(readText(file)));
  return false;
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
 * What a folder shows of an experiment, or undefined where it has not both files of it.
 * @throws SeedmaskError bad-store for files that do not belong together; no-file, over-limit
 */
export function shownIn(folder: string, name: string): Shown | undefined {
  const [json, table] = filesOf(folder, name);
  if (!hasFiles(folder, name)) return undefined;
  const { scale, release, sha256, cells, rows: spans = [], missing = 0, files = [] } = described(json);
  const rows = rowsOf(table);
  // Of the rows, not of the bytes: other ends of lines, as git may write them, are no other rows.
  const found = digest(csv(rows));
  if (sha256 !== undefined && found !== sha256)
    throw foreign(table, `SHA-256 ${found}`, `the rows that ${json} is about, SHA-256 ${sha256}`);
  if (cells.length > 0 && rows.length === 0) throw foreign(table, 'none', `rows of the ${cells.length} cells of ${json}`);
  return { scale, release, rows, cells, spans, missing, files };
}

/** A row without its empty fields: a table has a column for what only some cells measure. */
const valuesOf = (row: Row): Row => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== ''));

const filesOf = (folder: string, name: string) => [`${name}.json`, `${name}.csv`].map((file) => join(folder, file));
const hasFiles = (folder: string, name: string): boolean => filesOf(folder, name).every((file) => existsSync(file));

/** The cells of one experiment that are shown whole, with their rows, and the versions that computed them. */
function published(folder: string, name: string): { release?: string; whole: { cell: Cell; rows: readonly Row[] }[] } {
  const [json, table] = filesOf(folder, name);
  const { release, cells, spans, rows } = shownIn(folder, name)!;
  const whole = spans.flatMap((span, i) => {
    if (!span) return [];
    const own = rows.slice(span[0], span[0] + span[1]);
    if (own.length < span[1])
      throw foreign(table, `${rows.length} rows`, `long enough for rows ${span[0]} to ${span[0] + span[1] - 1}, which ${name}.json names`);
    if (!cells[i]) throw foreign(json, `${cells.length} cells`, `a cell for each of its ${spans.length} spans of rows`);
    if (!own.every((row) => isOf(row, cells[i])))
      throw foreign(table, 'rows of another', `rows ${span[0]} to ${span[0] + span[1] - 1} of ${nameOf(cells[i])}, as ${name}.json has it`);
    return { cell: cells[i], rows: own.map(valuesOf) };
  });
  return { release, whole };
}

/** Whether a row agrees with its cell wherever both say something, such as the seed. */
const isOf = (row: Row, cell: Cell): boolean =>
  Object.entries(cell).every(([key, value]) => !(typeof value === 'string' || typeof value === 'number') || (row[key] ?? value) === value);

function described(file: string): z.infer<typeof PUBLISHED> {
  try {
    return PUBLISHED.parse(JSON.parse(readText(file)));
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    const got = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw foreign(file, got, 'what `seedmask experiment` writes');
  }
}

/** CSV (RFC 4180) as `csv` of rows.ts writes it: what reads as a finite number is one. */
function rowsOf(file: string): Row[] {
  const whole = readText(file);
  try {
    const records: Record<string, string>[] = parse(whole, { columns: true });
    const isNumber = (value: string) => String(Number(value)) === value && Number.isFinite(Number(value));
    return records.map((record) =>
      Object.fromEntries(Object.entries(record).map(([key, value]) => [key, isNumber(value) ? Number(value) : value])),
    );
  } catch (error) {
    throw foreign(file, (error as Error).message, 'a CSV file with one line of names');
  }
}

const foreign = (field: string, got: string, expected: string) =>
  new SeedmaskError('bad-store', { field, got, expected, hint: 'Draw the folder again where its cells are, with --draw.' });
