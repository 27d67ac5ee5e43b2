// Data of a user's own in other forms than IDX and CIFAR-10: an .npz file as Keras saves it, CSV with a label column, PNG files in a
// folder a class. Where nothing says which rows are for testing, every fifth is, as they stand in the file or folder.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import { DEFAULT_LIMITS, SeedmaskError } from '../../codec/index.js';
import { type NumpyArray, readNpz } from '../../interop/npz.js';
import { decodePng, hasPngSignature } from '../../server/requests/png.js';
import { type Dataset, type Features, farFromZero, featureBytes, standardFeatures } from '../../src/data.js';
import type { Shape } from '../../src/network.js';
import { readFile, reading, statusOf } from '../files.js';

/** Of a CSV or PNG file. */
const MAX_BYTES = 2 ** 26;
/** While a CSV file is read, a cell takes some 50 bytes, however short it is, and a line as many as four cells. */
const [MAX_CELLS, CELLS_OF_LINE] = [2 ** 24, 4];
const MAX_CLASSES = 256;
const LABEL_COLUMNS = ['label', 'class', 'target', 'species', 'y'];
const TEST_EVERY = 5;
/** What a model file can say: so many names, of so many bytes each. */
const [MAX_COLUMNS, MAX_NAME_BYTES] = [65_535, 255];
/** Numbers within these bounds keep their mean and deviation finite in float32. */
const LARGEST = 1e37;
/** More different labels than this that are no whole numbers are a quantity, and no classes. */
const MAX_FRACTIONS = 20;

const refuse = (field: string, got: unknown, expected: string) => new SeedmaskError('no-dataset', { field, got, expected });

export interface LoadedData {
  /** What a model file records: the known name, or the folder's own name without the way to it. */
  readonly name: string;
  readonly train: Dataset;
  readonly test: Dataset;
}

/** What a trained task says of its data: how numbers become bytes, and what its classes are called, in its order. */
export interface TaskData {
  readonly features?: Features;
  readonly labels: readonly string[];
}

const fits = (name: string): boolean => !name.startsWith('\ufeff') && new TextEncoder().encode(name).length <= MAX_NAME_BYTES;

/** Names of classes that no model file can say are refused before anything is learned. */
function checkClasses(where: string, names: readonly string[]): void {
  const long = names.find((name) => !fits(name));
  if (long !== undefined) throw refuse(where, `the class ${long}`, `names of at most ${MAX_NAME_BYTES} bytes, without a byte order mark`);
}

/** The place of a class among the names, which are the task's own where there is one. */
function placeOf(label: string, names: readonly string[], task: TaskData | undefined, where: string): number {
  const place = names.indexOf(label);
  if (place < 0) throw refuse(where, `label ${label}`, `${task ? 'a label of the task: ' : ''}${names.join(', ')}`);
  return place;
}

/** The names of classes in a folder's labels.txt, one a line, if there is one: one for every label of its parts. */
export function classNames(folder: string, parts: readonly Dataset[]): { readonly names?: readonly string[] } {
  const path = join(folder, 'labels.txt');
  if (!existsSync(path)) return {};
  const names = new TextDecoder()
    .decode(readFile(path, 2 ** 20))
    .trimEnd()
    .split(/\r?\n/);
  if (names.length > MAX_CLASSES || names.some((name) => name === ''))
    throw refuse(path, `${names.length} lines`, `1 to ${MAX_CLASSES} names, one a line`);
  checkClasses(path, names);
  const label = Math.max(...parts.map(({ labels }) => labels.reduce((most, value) => Math.max(most, value), 0)));
  if (label >= names.length) throw refuse(path, `${names.length} names`, `at least ${label + 1}, one a line: there is a label ${label}`);
  return { names };
}

/** The data of a path, or null where it is none of these forms. Named labels are the places of their names in a given task. */
export function loadOwn(source: string, task?: TaskData): LoadedData | null {
  const status = statusOf(source);
  const name = basename(resolve(source));
  if (status?.isFile() && source.endsWith('.npz')) return { name, ...fromNpz(source) };
  if (status?.isFile() && source.endsWith('.csv')) return { name, ...fromCsv(table(source), null, task) };
  if (!status?.isDirectory()) return null;
  const [train, test] = ['train.csv', 'test.csv'].map((file) => join(source, file));
  if (existsSync(train)) return { name, ...fromCsv(table(train), existsSync(test) ? table(test) : null, task) };
  const images = pngFolders(source, task);
  return images && { name, ...images };
}

/** Every fifth row for testing, the others for training. */
function parted<T>(rows: readonly T[]): { train: T[]; test: T[] } {
  const isTest = (i: number) => i % TEST_EVERY === TEST_EVERY - 1;
  return { train: rows.filter((_, i) => !isTest(i)), test: rows.filter((_, i) => isTest(i)) };
}

// ---- NPZ ----

function arraysOf(path: string): ReturnType<typeof readNpz> {
  const bytes = readFile(path);
  try {
    return readNpz(bytes);
  } catch (error) {
    throw error instanceof SeedmaskError ? new SeedmaskError(error.code, error.details, path) : error;
  }
}

/** What NumPy calls the type of values. */
const typeOf = (values: NumpyArray['values']): string => values.constructor.name.replace(/^Big|Array$/g, '').toLowerCase();

function fromNpz(path: string): { train: Dataset; test: Dataset } {
  const arrays = arraysOf(path);
  const pick = (name: string) => {
    const array = arrays.get(name);
    if (!array) throw refuse(path, `arrays ${[...arrays.keys()].join(', ') || '(none)'}`, 'x_train, y_train, x_test, y_test');
    return array;
  };
  const part = (set: string): Dataset => {
    const [x, y] = [pick(`x_${set}`), pick(`y_${set}`)];
    if (!(x.values instanceof Uint8Array)) throw refuse(`x_${set} of ${path}`, typeOf(x.values), 'uint8 values 0 to 255');
    const [rows, ...shape] = x.shape;
    if (shape.length < 1 || shape.length > 3)
      throw refuse(`x_${set} of ${path}`, `shape [${x.shape}]`, '[rows, features], [rows, height, width] or with channels');
    const [height, width, channels] = shape.length === 1 ? [1, 1, shape[0]] : [shape[0], shape[1], shape[2] ?? 1];
    const { values } = y;
    if (values.length !== rows) throw refuse(`y_${set} of ${path}`, `${values.length} labels`, `${rows}, as x_${set} has rows`);
    const labels = Uint8Array.from<number | bigint>(values, Number);
    const wrong = labels.findIndex((label, i) => label !== Number(values[i]));
    if (wrong >= 0) throw refuse(`y_${set} of ${path}`, `label ${values[wrong]}`, `whole numbers 0 to ${MAX_CLASSES - 1}`);
    return { input: [height, width, channels], images: x.values, labels };
  };
  return { train: part('train'), test: part('test') };
}

// ---- CSV ----

interface Table {
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

/** The delimiter that parts the first line most often, quoted names aside. */
function delimiterOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(10);
  const line = new TextDecoder().decode(bytes.subarray(0, end < 0 ? undefined : end)).replace(/"[^"]*"/g, '');
  const times = (delimiter: string) => line.split(delimiter).length;
  return [',', ';', '\t'].reduce((best, delimiter) => (times(delimiter) > times(best) ? delimiter : best));
}

/** Letters of another encoding would all be read as one, and classes that differ in them as one class. */
function checkUnicode(path: string, bytes: Uint8Array): void {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse(path, 'bytes that are no UTF-8', 'a CSV file in UTF-8, or in UTF-16 with its mark');
  }
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

function table(path: string): Table {
  const bytes = readFile(path, MAX_BYTES);
  checkUnicode(path, bytes);
  const delimiter = delimiterOf(bytes);
  checkCells(path, bytes, delimiter);
  let rows: string[][];
  try {
    rows = parse(bytes, { bom: true, trim: true, skip_empty_lines: true, delimiter });
  } catch (error) {
    throw refuse(path, (error as Error).message, 'a CSV file');
  }
  const [names, ...rest] = rows;
  if (!names || names.length < 2 || rest.length < 2) {
    const got = names?.length === 1 && rest.length > 1 ? `one column, ${names[0]}` : `${rows.length} lines`;
    throw refuse(path, got, 'a line of column names, of features and a label parted by , ; or tabs, and at least two rows');
  }
  if (names.length > MAX_COLUMNS) throw refuse(path, `${names.length} columns`, `at most ${MAX_COLUMNS}`);
  const number = names.find((column) => column !== '' && Number.isFinite(Number(column)));
  if (number !== undefined) throw refuse(path, `the number ${number} in the first line`, 'a line of column names before the rows');
  const columns = new Map<string, number>();
  names.forEach((name, i) => {
    const wrong = name === '' ? `column ${i + 1} without a name` : columns.has(name) ? `two columns named ${name}` : null;
    if (wrong ?? !fits(name))
      throw refuse(path, wrong ?? `the name ${name}`, `distinct names of 1 to ${MAX_NAME_BYTES} bytes (pandas: to_csv(index=False))`);
    columns.set(name, i);
  });
  return { path, columns, rows: rest.map((cells, i) => ({ number: i + 1, cells })) };
}

/** The column of classes: the one with the first of the names for it that there is, else the last; never one that the task takes as a number. */
function labelColumn({ path, columns }: Table, taken: ReadonlySet<string>): string {
  const free = [...columns.keys()].filter((column) => !taken.has(column));
  const called = (name: string) => free.find((column) => column.toLowerCase() === name);
  const label = LABEL_COLUMNS.map(called).find((column) => column !== undefined) ?? free.at(-1);
  if (label === undefined) throw refuse(path, 'no column of labels', `one beside ${[...taken].join(', ')}`);
  return label;
}

function place({ path, columns }: Table, name: string, what: string): number {
  const at = columns.get(name);
  if (at === undefined) throw refuse(path, `no column ${name} among ${[...columns.keys()].join(', ')}`, what);
  return at;
}

/**
 * Numbers become bytes as the task makes them, or as the training rows standardise them. Columns are found by their names, wherever they
 * stand and whatever stands beside them; where a task does not know its names, by their order.
 */
function fromCsv(train: Table, test: Table | null, task?: TaskData): { train: Dataset; test: Dataset } {
  const own = task?.features?.names;
  const label = labelColumn(train, new Set(own));
  const columns = own ?? [...train.columns.keys()].filter((column) => column !== label);
  if (task?.features && task.features.low.length !== columns.length)
    throw refuse(train.path, `${columns.length} features`, `${task.features.low.length}, as the task takes`);
  const names = task?.labels ?? classes(train, label);
  const numbers = (table: Table): number[] => {
    const places = columns.map((name) => place(table, name, own ? 'every column that the task takes' : `the columns of ${train.path}`));
    return table.rows.flatMap(({ number, cells }) =>
      places.map((at, i) => numberOf(cells[at], () => `${columns[i]} of row ${number} in ${table.path}`)),
    );
  };
  const parts = test ? { train: train.rows, test: test.rows } : parted(train.rows);
  const tables = [
    { ...train, rows: parts.train },
    { ...(test ?? train), rows: parts.test },
  ];
  const [known, unknown] = tables.map(numbers);
  const features = task?.features ?? { ...standardFeatures(known, columns.length), names: columns };
  const far = task?.features ? undefined : farFromZero(known, features);
  if (far !== undefined)
    throw refuse(
      `${columns[far]} of ${train.path}`,
      `values too far from 0 to differ in float32: ${known[far]}, ..`,
      'a constant taken off them all, such as the least',
    );
  const set = (values: readonly number[], table: Table): Dataset => {
    const at = place(table, label, `the labels, as ${train.path} has`);
    const labels = Uint8Array.from(table.rows, ({ number, cells }) => placeOf(cells[at], names, task, `row ${number} of ${table.path}`));
    return { input: [1, 1, columns.length], images: featureBytes(values, features), labels, names, features };
  };
  return { train: set(known, tables[0]), test: set(unknown, tables[1]) };
}

/** The classes of a column, in order. */
function classes(table: Table, label: string): string[] {
  const at = place(table, label, 'the labels');
  const unlabelled = table.rows.find(({ cells }) => cells[at] === '');
  if (unlabelled) throw refuse(`${label} of row ${unlabelled.number} in ${table.path}`, 'nothing', 'a label');
  const names = [...new Set(table.rows.map(({ cells }) => cells[at]))].sort(inOrder);
  const most = names.some((name) => Number(name) % 1 !== 0 && !Number.isNaN(Number(name))) ? MAX_FRACTIONS : MAX_CLASSES;
  if (names.length <= most) {
    checkClasses(`${label} of ${table.path}`, names);
    return names;
  }
  const some = names.slice(0, 3).join(', ');
  const expected = `at most ${most} classes in the label column (named ${LABEL_COLUMNS.join(', ')}, else the last), no quantity`;
  throw refuse(table.path, `${names.length} values of ${label} (${some}, ..)`, expected);
}

/** Numbers as numbers, other names by letters. */
const inOrder = (a: string, b: string): number => Number(a) - Number(b) || (a < b ? -1 : Number(a > b));

function numberOf(cell: string, where: () => string): number {
  const value = Number(cell);
  if (cell !== '' && Math.abs(value) <= LARGEST) return value;
  throw refuse(where(), cell === '' ? 'nothing' : `'${cell}'`, `a number from -${LARGEST} to ${LARGEST}, with a decimal point`);
}

// ---- PNG files by class ----

/** train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png. */
function pngFolders(folder: string, task?: TaskData): { train: Dataset; test: Dataset } | null {
  const both = ['train', 'test'].map((part) => join(folder, part));
  if (both.every((part) => classesOf(part).length > 0)) {
    const [train, test] = both.map((part) => filesOf(part, classesOf(part)));
    return imagesOfBoth(train, test, task?.labels ?? classesOf(both[0]), task);
  }
  const classes = classesOf(folder);
  if (classes.length === 0) return null;
  const { train, test } = parted(filesOf(folder, classes));
  return imagesOfBoth(train, test, task?.labels ?? classes, task);
}

function imagesOfBoth(train: readonly Labelled[], test: readonly Labelled[], names: readonly string[], task?: TaskData) {
  const input = sizeOf(train[0].path);
  return { train: images(train, names, input, task), test: images(test, names, input, task) };
}

interface Labelled {
  readonly path: string;
  readonly name: string;
}

const isPng = (file: string): boolean => file.toLowerCase().endsWith('.png');

const namesIn = (folder: string): string[] => reading(folder, () => readdirSync(folder));

/** Folders that hold PNG files. */
function classesOf(folder: string): string[] {
  if (!statusOf(folder)?.isDirectory()) return [];
  const entries = reading(folder, () => readdirSync(folder, { withFileTypes: true }));
  const folders = entries.filter((entry) => entry.isDirectory());
  const names = folders.map((entry) => entry.name).filter((name) => namesIn(join(folder, name)).some(isPng));
  if (names.length > MAX_CLASSES) throw refuse(folder, `${names.length} folders of PNG files`, `at most ${MAX_CLASSES} classes`);
  checkClasses(folder, names);
  return names.sort(inOrder);
}

const filesOf = (folder: string, names: readonly string[]): Labelled[] =>
  names.flatMap((name) =>
    namesIn(join(folder, name))
      .filter(isPng)
      .sort()
      .map((file) => ({ path: join(folder, name, file), name })),
  );

function readPng(path: string): Uint8Array {
  const bytes = readFile(path, MAX_BYTES);
  if (!hasPngSignature(bytes)) throw refuse(path, 'it is no PNG file', 'a PNG image');
  return bytes;
}

/** Height, width and channels of the first image, which all must have. */
function sizeOf(path: string): Shape {
  const bytes = readPng(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [view.getUint32(20), view.getUint32(16), bytes[25] === 0 || bytes[25] === 4 ? 1 : 3];
}

function images(files: readonly Labelled[], names: readonly string[], input: Shape, task?: TaskData): Dataset {
  const width = input[0] * input[1] * input[2];
  const total = files.length * width;
  if (!(total <= DEFAULT_LIMITS.maxFileBytes)) {
    throw new SeedmaskError('over-limit', {
      field: `${files.length} images of ${input.join(' x ')}`,
      got: `${total} bytes`,
      expected: `${DEFAULT_LIMITS.maxFileBytes} bytes`,
    });
  }
  const values = new Uint8Array(total);
  const labels = Uint8Array.from(files, ({ path, name }, i) => {
    try {
      values.set(decodePng(readPng(path), input), i * width);
    } catch (error) {
      if (!(error instanceof SeedmaskError) || error.code !== 'bad-image') throw error;
      throw refuse(path, error.message, `images like the first, ${input.join(' x ')}`);
    }
    return placeOf(name, names, task, path);
  });
  return { input, images: values, labels, names };
}
