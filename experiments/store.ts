// A folder of results: cells/NAME.json a cell, each written whole or not at all. What is there is not computed again, so a run that was
// stopped goes on, and experiments that share cells share their results.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../codec/index.js';
import { type Cell, nameOf, type Row } from './cell.js';

const RESULT = z.strictObject({
  cell: z.record(z.string(), z.unknown()),
  rows: z.array(z.record(z.string(), z.union([z.string(), z.number()]))),
  /** How long it took where it ran; decides nothing. */
  seconds: z.number(),
});

export interface Store {
  readonly folder: string;
  /** A cell's rows, or undefined when it has not been run. */
  rows(cell: Cell): readonly Row[] | undefined;
  add(cell: Cell, rows: readonly Row[], seconds: number): void;
  /** Writes another file of the folder. */
  write(name: string, text: string): void;
}

const LEFT_OVER = /\.json\.[0-9a-f]{12}\.tmp$/;

/**
 * @param write writes a file whole or not at all
 * @throws SeedmaskError broken-run for a result that is not what was written
 */
export function openStore(folder: string, write: (path: string, bytes: Uint8Array) => void): Store {
  const cells = join(folder, 'cells');
  mkdirSync(cells, { recursive: true });
  for (const name of readdirSync(cells)) if (LEFT_OVER.test(name)) rmSync(join(cells, name));
  const fileOf = (cell: Cell) => join(cells, `${nameOf(cell)}.json`);
  return {
    folder,
    rows(cell) {
      const file = fileOf(cell);
      if (!existsSync(file)) return undefined;
      const expected = `the result of ${nameOf(cell)}`;
      try {
        const result = RESULT.parse(JSON.parse(readFileSync(file, 'utf8')));
        if (nameOf(result.cell as unknown as Cell) === nameOf(cell)) return result.rows;
      } catch (error) {
        const got = error instanceof z.ZodError ? z.prettifyError(error).replace(/\s*\n\s*/g, ' ') : (error as Error).message;
        throw new SeedmaskError('broken-run', { field: file, got, expected, hint: 'Delete the file: the cell is computed again' });
      }
      throw new SeedmaskError('broken-run', {
        field: file,
        got: 'another cell',
        expected,
        hint: 'Delete the file: the cell is computed again',
      });
    },
    add: (cell, rows, seconds) => write(fileOf(cell), text(`${JSON.stringify({ cell, rows, seconds: Math.round(seconds) })}\n`)),
    write: (name, content) => write(join(folder, name), text(content)),
  };
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Tidy CSV (RFC 4180): the union of the rows' columns in order of appearance. */
export function csv(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const field = (value: string | number | undefined) =>
    typeof value === 'string' && /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value ?? '');
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))].map((line) => `${line.map(field).join(',')}\n`).join('');
}
