// A CSV file as cells: which delimiter, which encoding, which names of columns; all of it checked before it takes memory.

import { parse } from 'csv-parse/sync';
import { SeedmaskError } from '../../codec/index.js';
import { readFile } from '../files.js';
import { LABEL_COLUMNS } from '../options.js';
import { fits, MAX_BYTES, MAX_NAME_BYTES, refuse } from './labelled.js';

/** While a CSV file is read, a cell takes some 50 bytes, however short it is, and a line as many as four cells. */
export const MAX_CELLS = 2 ** 24;
const CELLS_OF_LINE = 4;
/** What a model file can say. */
export const MAX_COLUMNS = 65_535;
/** Of one file, each of its lines: some are written by several programs. */
const LINE_ENDS = ['\r\n', '\n', '\r'];

export interface Table {
  readonly path: string;
  /** Where each named column stands. */
  readonly columns: ReadonlyMap<string, number>;
  /** Columns that the file has no name for, which go by their place. */
  readonly unnamed: ReadonlySet<string>;
  readonly rows: readonly Line[];
}

/** A row with its number in the file, by which errors name it whichever part it falls to. */
export interface Line {
  readonly number: number;
  readonly cells: readonly string[];
}

/** The delimiter that parts the first line most often, quoted names aside; of a .tsv file tabs. */
function delimiterOf(path: string, bytes: Uint8Array): string {
  if (/\.tsv$/i.test(path)) return '\t';
  const end = bytes.indexOf(10);
  const line = new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end)).replace(/"[^"]*"/g, '');
  const times = (delimiter: string) => line.split(delimiter).length;
  return [',', ';', '\t'].reduce((best, delimiter) => (times(delimiter) > times(best) ? delimiter : best));
}

/** A file as UTF-8. Letters of another encoding would all be read as one, and classes that differ in them as one class. */
function unicode(path: string, bytes: Uint8Array): Uint8Array {
  const mark = 256 * bytes[0] + bytes[1];
  const encoding = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8';
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return encoding === 'utf-8' ? bytes : new TextEncoder().encode(text);
  } catch {
    throw refuse(path, `bytes that are no ${encoding.toUpperCase()}`, 'a CSV file in UTF-8, or in UTF-16 with its mark');
  }
}

export const isNumber = (cell: string): boolean => cell !== '' && Number.isFinite(Number(cell));

/** Whether a first line names columns, though some by numbers: it names the one of classes, by a word that is no class. */
function namesColumns(first: readonly string[], rows: readonly (readonly string[])[], label: string | undefined): boolean {
  if (label !== undefined) return first.includes(label);
  const at = first.findIndex((name) => LABEL_COLUMNS.includes(name.toLowerCase()));
  return at >= 0 && rows.every((cells) => cells[at] !== first[at]);
}

/** Short cells take far more memory than bytes: they are counted before there are any. What stands in quotes is counted as well. */
function checkCells(path: string, bytes: Uint8Array, delimiter: string): void {
  const [between, carriageReturn, newline] = [delimiter.charCodeAt(0), 13, 10];
  let [lines, cells] = [1, 1];
  bytes.forEach((byte, i) => {
    const ends = byte === newline || (byte === carriageReturn && bytes[i + 1] !== newline);
    if (ends) lines++;
    if (ends || byte === between) cells++;
  });
  if (cells + CELLS_OF_LINE * lines <= MAX_CELLS) return;
  const expected = `${MAX_CELLS} cells, each line counted as ${CELLS_OF_LINE} more`;
  throw new SeedmaskError('over-limit', { field: path, got: `${lines} lines of ${cells} cells`, expected });
}

/** @param label the column of classes, where it is known */
export function table(path: string, label?: string): Table {
  const bytes = unicode(path, readFile(path, MAX_BYTES));
  const delimiter = delimiterOf(path, bytes);
  checkCells(path, bytes, delimiter);
  let rows: string[][];
  try {
    rows = parse(bytes, { bom: true, trim: true, skip_empty_lines: true, delimiter, record_delimiter: LINE_ENDS });
  } catch (error) {
    throw refuse(path, (error as Error).message, 'a CSV file');
  }
  const [names, ...rest] = rows;
  if (!names || names.length < 2 || rest.length < 2) {
    const got = names?.length === 1 && rest.length > 1 ? `one column, ${names[0]}` : `${rows.length} lines`;
    throw refuse(path, got, 'a line of column names, of features and a label parted by , ; or tabs, and at least two rows');
  }
  if (names.length > MAX_COLUMNS) throw refuse(path, `${names.length} columns`, `at most ${MAX_COLUMNS}`);
  const number = names.find(isNumber);
  if (number !== undefined && !namesColumns(names, rest, label))
    throw refuse(path, `the number ${number} in the first line`, 'a line of column names before the rows (if it is one: --label NAME)');
  const columns = new Map<string, number>();
  const unnamed = new Set<string>();
  names.forEach((given, i) => {
    const name = given || `column-${i + 1}`;
    if (!given) unnamed.add(name);
    const wrong = columns.has(name) ? `two columns named ${name}` : fits(name) ? null : `the name ${name}`;
    if (wrong) throw refuse(path, wrong, `distinct names of 1 to ${MAX_NAME_BYTES} bytes`);
    columns.set(name, i);
  });
  return { path, columns, unnamed, rows: rest.map((cells, i) => ({ number: i + 1, cells })) };
}
