// CSV: numbers and a column of classes. Columns are found by their names, wherever they stand and whatever stands beside them; numbers
// become bytes as a task makes them, or as the training rows standardise them.

import { parse } from 'csv-parse/sync';
import { SeedmaskError } from '../../codec/index.js';
import { editDistance } from '../../server/spelling.js';
import type { Dataset } from '../../src/data.js';
import { type Features, farFromZero, featureBytes, standardFeatures } from '../../src/features.js';
import { readFile } from '../files.js';
import { LABEL_COLUMNS } from '../options.js';
import {
  checkClasses,
  fits,
  inOrder,
  MAX_BYTES,
  MAX_CLASSES,
  MAX_NAME_BYTES,
  type Parts,
  parted,
  placeOf,
  refuse,
  type Wanted,
} from './labelled.js';

/** While a CSV file is read, a cell takes some 50 bytes, however short it is, and a line as many as four cells. */
const [MAX_CELLS, CELLS_OF_LINE] = [2 ** 24, 4];
/** What a model file can say. */
const MAX_COLUMNS = 65_535;
/** Numbers within these bounds keep their mean and deviation finite in float32. */
const LARGEST = 1e37;
/** Of one file, each of its lines: some are written by several programs. */
const LINE_ENDS = ['\r\n', '\n', '\r'];
/** More different labels than this that are no whole numbers are a quantity, and no classes. */
const MAX_FRACTIONS = 20;
/** Nearly all of a column, and how few different numbers have no crowd. */
const [CROWD, FEW] = [0.9, 3];

export interface Table {
  readonly path: string;
  /** Where each named column stands. */
  readonly columns: ReadonlyMap<string, number>;
  readonly rows: readonly Line[];
}

/** A row with its number in the file, by which errors name it whichever part it falls to. */
interface Line {
  readonly number: number;
  readonly cells: readonly string[];
}

/** A row with the place of its class among the names. */
interface Row extends Line {
  readonly label: number;
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

const isNumber = (cell: string): boolean => cell !== '' && Number.isFinite(Number(cell));

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
  names.forEach((name, i) => {
    const wrong = name === '' ? `column ${i + 1} without a name` : columns.has(name) ? `two columns named ${name}` : null;
    if (wrong ?? !fits(name))
      throw refuse(path, wrong ?? `the name ${name}`, `distinct names of 1 to ${MAX_NAME_BYTES} bytes (pandas: to_csv(index=False))`);
    columns.set(name, i);
  });
  return { path, columns, rows: rest.map((cells, i) => ({ number: i + 1, cells })) };
}

/**
 * The column of classes: the one asked for, else the one with the first of the names for it that there is, else the last; never one that
 * the task takes as a number.
 */
function labelColumn({ path, columns }: Table, taken: ReadonlySet<string>, asked?: string): string {
  const free = [...columns.keys()].filter((column) => !taken.has(column));
  if (asked !== undefined) {
    if (free.includes(asked)) return asked;
    const distance = (column: string) => editDistance(column.toLowerCase(), asked.toLowerCase());
    const expected = `a column of classes: ${free.sort((a, b) => distance(a) - distance(b)).join(', ')}`;
    throw new SeedmaskError('bad-option', { field: '--label', expected, got: asked }, path);
  }
  const called = (name: string) => free.find((column) => column.toLowerCase() === name);
  const label = LABEL_COLUMNS.map(called).find((column) => column !== undefined) ?? free.at(-1);
  if (label === undefined) throw refuse(path, 'no column of labels', `one beside ${[...taken].join(', ')}`);
  return label;
}

function place({ path, columns }: Table, name: string, what: () => string): number {
  const at = columns.get(name);
  if (at === undefined) throw refuse(path, `no column ${name} among ${[...columns.keys()].join(', ')}`, what());
  return at;
}

/**
 * Numbers become bytes as the task makes them, or as the training rows standardise them. Columns are found by their names, wherever they
 * stand and whatever stands beside them; where a task does not know its names, by their order.
 */
export function fromCsv(train: Table, test: Table | null, wanted: Wanted): Parts {
  const own = wanted.features?.names;
  const label = labelColumn(train, new Set(own), wanted.label);
  const columns = own ?? [...train.columns.keys()].filter((column) => column !== label);
  if (wanted.features && wanted.features.low.length !== columns.length)
    throw refuse(train.path, `${columns.length} features`, `${wanted.features.low.length}, as the task takes`);
  const names = wanted.labels ?? classes(train, label);
  const labelled = (table: Table): Row[] => {
    const at = place(table, label, () => `the labels, as ${train.path} has`);
    return table.rows.map((line) => ({ ...line, label: placeOf(line.cells[at], names, wanted, `row ${line.number} of ${table.path}`) }));
  };
  const numbers = (table: Table, rows: readonly Row[]): number[] => {
    const what = () => (own ? `every column that the task takes: ${own.join(', ')}` : `the columns of ${train.path}`);
    const places = columns.map((name) => place(table, name, what));
    return rows.flatMap(({ number, cells }) =>
      places.map((at, i) => numberOf(cells[at], () => `${columns[i]} of row ${number} in ${table.path}`)),
    );
  };
  const all = labelled(train);
  const parts = test ? { train: all, test: labelled(test) } : parted(all, (row) => names[row.label]);
  const [known, unknown] = [numbers(train, parts.train), numbers(test ?? train, parts.test)];
  const features = wanted.features ?? { ...standardFeatures(known, columns.length), names: columns };
  const far = wanted.features ? undefined : farFromZero(known, features);
  if (far !== undefined)
    throw refuse(
      `${columns[far]} of ${train.path}`,
      `values too far from 0 to differ in float32: ${known[far]}, ..`,
      'a constant taken off them all, such as the least',
    );
  const set = (values: readonly number[], rows: readonly Row[]): Dataset => {
    const labels = Uint8Array.from(rows, (row) => row.label);
    return { input: [1, 1, columns.length], images: featureBytes(values, features), labels, names, features };
  };
  return {
    train: set(known, parts.train),
    test: set(unknown, parts.test),
    drawn: test === null,
    label,
    crowded: wanted.features ? [] : crowdedColumns(known, columns, features),
    files: [train, ...(test ? [test] : [])].map(({ path }) => path),
  };
}

/**
 * The columns in which one number lies so far off that bytes are taken from the others, each with that number: nearly all different
 * numbers lie within the width of a byte, or in a few rows it makes nearly all of the deviation by which columns are standardised, and the
 * others are more than the bytes left to them.
 */
function crowdedColumns(values: readonly number[], columns: readonly string[], { scale }: Features): string[] {
  const width = columns.length;
  return columns.flatMap((column, input) => {
    const all = Array.from({ length: values.length / width }, (_, row) => values[row * width + input]);
    const sorted = Float64Array.from(new Set(all)).sort();
    if (sorted.length < FEW) return [];
    const crowd = Math.floor(CROWD * (sorted.length - 1));
    const [least, middle, most] = [sorted[0], sorted[sorted.length >> 1], sorted[sorted.length - 1]];
    const far = middle - least > most - middle ? least : most;
    const bytes = (from: number, to: number) => (to - from) * Math.abs(scale[input]);
    const left = far === least ? bytes(sorted[1], most) : bytes(least, sorted[sorted.length - 2]);
    const others = all.filter((value) => value !== far);
    const crowded =
      sorted.some((value, i) => bytes(value, sorted[i + crowd]) < 1) ||
      (others.length >= CROWD * all.length && left < sorted.length - 2 && squares(others) < (1 - CROWD) * squares(all));
    return crowded ? [`${column} (${far})`] : [];
  });
}

/** The sum of squares about the mean. */
function squares(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

/** The classes of a column, in order. */
function classes(table: Table, label: string): string[] {
  const at = place(table, label, () => 'the labels');
  const unlabelled = table.rows.find(({ cells }) => cells[at] === '');
  if (unlabelled) throw refuse(`${label} of row ${unlabelled.number} in ${table.path}`, 'nothing', 'a label');
  const names = [...new Set(table.rows.map(({ cells }) => cells[at]))].sort(inOrder);
  const most = names.some((name) => Number(name) % 1 !== 0 && !Number.isNaN(Number(name))) ? MAX_FRACTIONS : MAX_CLASSES;
  if (names.length <= most) {
    checkClasses(`${label} of ${table.path}`, names);
    return names;
  }
  const some = names.slice(0, 3).join(', ');
  const expected = `at most ${most} classes in the label column, no quantity (--label names another column)`;
  throw refuse(table.path, `${names.length} values of ${label} (${some}, ..)`, expected);
}

function numberOf(cell: string, where: () => string): number {
  const value = Number(cell);
  if (cell !== '' && Math.abs(value) <= LARGEST) return value;
  const expected = `a number${cell === '' ? '' : ` from -${LARGEST} to ${LARGEST}, with a decimal point`}`;
  const hint = 'Fill it in, or leave its row or column out of the file';
  throw new SeedmaskError('no-dataset', { field: where(), got: cell === '' ? 'nothing' : `'${cell}'`, expected, hint });
}
