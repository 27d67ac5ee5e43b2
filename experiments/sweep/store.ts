// A folder of results: cells/NAME.json a cell, each written whole or not at all. What is there is not computed again, so a run that was
// stopped goes on, and experiments that share cells share their results. A file that a disk has spoilt is told, and its cell is computed
// again; one that may be of value elsewhere, as another version's, is refused.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/index.js';
import { type Cell, nameOf, RESULT, type Result, type Row } from '../cells/cell.js';

export interface Store {
  readonly folder: string;
  /** What was kept of a cell, or undefined when it has not been run or its file is spoilt. */
  result(cell: Cell): Result | undefined;
  /** Keeps what was computed now. */
  add(cell: Cell, rows: readonly Row[], seconds: number): void;
  /** Keeps what was computed elsewhere. */
  take(result: Result): void;
  /** Other versions that computed results which were read. */
  readonly others: ReadonlySet<string>;
  /** Another file of the folder as text, or undefined when there is none; throws SeedmaskError as `readText` does. */
  read(name: string): string | undefined;
  /** Writes another file of the folder. */
  write(name: string, bytes: Uint8Array): void;
  /** Removes the files of such names, but for some. */
  removeOthers(names: RegExp, but: readonly string[]): void;
}

/**
 * @param write writes a file whole or not at all
 * @param release the version of Seedmask that computes cells now
 * @param tell told once of each file that is no JSON, as a full disk may leave one: its cell counts as not run
 * @throws SeedmaskError (by `result`) broken-run for what is no result of the cell; no-file, over-limit
 */
export function openStore(
  folder: string,
  write: (path: string, bytes: Uint8Array) => void,
  release?: string,
  tell: (line: string) => void = console.error,
): Store {
  const cells = join(folder, 'cells');
  mkdirSync(cells, { recursive: true });
  const fileOf = (cell: Cell) => join(cells, `${nameOf(cell)}.json`);
  const others = new Set<string>();
  const told = new Set<string>();
  const take = (result: Result) => write(fileOf(result.cell), new TextEncoder().encode(`${JSON.stringify(result)}\n`));
  return {
    folder,
    others,
    result(cell) {
      const file = fileOf(cell);
      if (!existsSync(file)) return undefined;
      const broken = (got: string, hint: string) =>
        new SeedmaskError('broken-run', { field: file, got, expected: `the result of ${nameOf(cell)}`, hint });
      let found: unknown;
      try {
        found = JSON.parse(readText(file));
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        if (!told.has(file)) tell(broken(error.message, 'It counts as not run: the experiment that it is of computes it again').message);
        told.add(file);
        return undefined;
      }
      const { data: result, error } = RESULT.safeParse(found);
      if (!result || nameOf(result.cell) !== nameOf(cell))
        throw broken(error ? z.prettifyError(error) : 'another cell', 'Delete the file: the cell is computed again');
      if (result.release !== undefined && result.release !== release) others.add(result.release);
      return result;
    },
    add: (cell, rows, seconds) => take({ cell, rows: [...rows], seconds: Math.round(100 * seconds) / 100, release }),
    take,
    read: (name) => (existsSync(join(folder, name)) ? readText(join(folder, name)) : undefined),
    write: (name, bytes) => write(join(folder, name), bytes),
    removeOthers(names, but) {
      for (const name of readdirSync(folder)) if (names.test(name) && !but.includes(name)) rmSync(join(folder, name));
    },
  };
}

const MOST_BYTES = 1 << 28;

/** @throws SeedmaskError no-file, or over-limit before memory is taken */
export function readText(path: string): string {
  const unreadable = (got: string) => new SeedmaskError('no-file', { field: path, got });
  try {
    const status = statSync(path);
    // Asked first: opening a pipe would wait for who writes to it.
    if (!status.isFile()) throw unreadable('it is no regular file');
    if (status.size > MOST_BYTES)
      throw new SeedmaskError('over-limit', { field: path, got: `${status.size} bytes`, expected: `${MOST_BYTES} bytes` });
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw error instanceof SeedmaskError ? error : unreadable((error as Error).message);
  }
}
