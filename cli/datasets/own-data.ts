// Data of a user's own in other forms than IDX and CIFAR-10: an .npz file as Keras saves it, CSV with a label column (csv.ts), PNG files in
// a folder a class (png-folders.ts).

import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { SeedmaskError } from '../../codec/index.js';
import { type NumpyArray, readNpz } from '../../interop/npz.js';
import type { Dataset } from '../../src/data.js';
import { readFile, reading, statusOf } from '../files.js';
import { fromCsv } from './csv.js';
import { checkClasses, MAX_CLASSES, type Parts, refuse, type Wanted } from './labelled.js';
import { pngFolders } from './png-folders.js';
import { table } from './table.js';

export interface LoadedData extends Parts {
  /** What a model file records: the known name, or the folder's own name without the way to it. */
  readonly name: string;
}

/** The names of classes in a file, one a line, if it is there: one for every label of its parts. */
export function classNames(path: string, parts: readonly Dataset[]): { readonly names?: readonly string[] } {
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

/** The data of a path, or null where it is none of these forms. Named labels are the places of their names. */
export function loadOwn(source: string, wanted: Wanted): LoadedData | null {
  const status = statusOf(source);
  const name = basename(resolve(source));
  if (status?.isFile() && /\.npz$/i.test(source)) return { name, ...fromNpz(source) };
  if (status?.isFile() && /\.[ct]sv$/i.test(source)) return { name, ...fromCsv(table(source, wanted.label), null, wanted) };
  if (!status?.isDirectory()) return null;
  const files = reading(source, () => readdirSync(source)).sort();
  const [train, test] = [/^train\.[ct]sv$/i, /^test\.[ct]sv$/i].map((named) => files.find((file) => named.test(file)));
  const read = (file: string) => table(join(source, file), wanted.label);
  if (train) return { name, ...fromCsv(read(train), test ? read(test) : null, wanted) };
  const images = pngFolders(source, wanted);
  return images && { name, ...images };
}

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

function fromNpz(path: string): Parts {
  const arrays = arraysOf(path);
  const pick = (name: string) => {
    const array = arrays.get(name);
    if (!array) throw refuse(path, `arrays ${[...arrays.keys()].join(', ') || '(none)'}`, 'x_train, y_train, x_test, y_test');
    if (!('values' in array)) throw refuse(`${name} of ${path}`, `type ${array.type}`, 'numbers');
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
  return { train: part('train'), test: part('test'), files: [path] };
}
