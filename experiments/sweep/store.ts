// A folder of results: cells/NAME.json a cell, each written whole or not at all. What is there is not computed again, so a run that was
// stopped goes on, and experiments that share cells share their results.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/index.js';
import { type Cell, nameOf, RESULT, type Result, type Row } from '../cells/cell.js';

export interface Store {
  readonly folder: string;
  /** What was kept of a cell, or undefined when it has not been run. */
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
 * @throws SeedmaskError broken-run for a result that is not what was written
 */
export function openStore(folder: string, write: (path: string, bytes: Uint8Array) => void, release?: string): Store {
  const cells = join(folder, 'cells');
  mkdirSync(cells, { recursive: true });
  const fileOf = (cell: Cell) => join(cells, `${nameOf(cell)}.json`);
  const others = new Set<string>();
  const take = (result: Result) => write(fileOf(result.cell), new TextEncoder().encode(`${JSON.stringify(result)}\n`));
  return {
    folder,
    others,
    result(cell) {
      const file = fileOf(cell);
      if (!existsSync(file)) return undefined;
      const expected = `the result of ${nameOf(cell)}`;
      let got = 'another cell';
      try {
        const result = RESULT.parse(JSON.parse(readFileSync(file, 'utf8')));
        if (nameOf(result.cell) === nameOf(cell)) {
          if (result.release !== undefined && result.release !== release) others.add(result.release);
          return result;
        }
      } catch (error) {
        got = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
      }
      throw new SeedmaskError('broken-run', { field: file, got, expected, hint: 'Delete the file: the cell is computed again' });
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
