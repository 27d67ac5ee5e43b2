// Bytes and speed of mask payloads on real masks: ours beside general compressors on the packed bits, and beside the entropy bound of a
// coder that knows only how many weights each layer keeps.
//
//   npm run build && node bench/codec.mjs [--masks FOLDER] [--roaring FOLDER] [options of rounds.mjs]
//
// The masks are made by the commands below, about two minutes, into FOLDER, where a later run finds them again; without it they are
// thrown away. brotli and zlib are Node's; zstd and xz are the installed programs, roaring is the npm package roaring-wasm (in FOLDER after
// npm install --prefix FOLDER roaring-wasm): each is left out aloud where it is not there.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { inspectModel, readModel, writeModel } from '../dist/codec/index.js';
import { countKept, totalWeights, weightCounts } from '../dist/src/network.js';
import { openBench, range, rate } from './rounds.mjs';

const CONV = {
  input: [28, 28, 1],
  layers: [
    { kind: 'conv', filters: 16, activation: 'relu' },
    { kind: 'conv', filters: 16, activation: 'relu' },
    { kind: 'pool' },
    { kind: 'conv', filters: 32, activation: 'relu' },
    { kind: 'conv', filters: 32, activation: 'relu' },
    { kind: 'pool' },
    { kind: 'dense', units: 10, activation: 'linear' },
  ],
};
const topk = (density, epochs, network = 'fc') => [
  'train',
  '--network',
  network,
  '--density',
  density,
  '--epochs',
  epochs,
  '--shift',
  '0',
  '--rate',
  '0',
];
const large = (keep) => ['prune', '--network', 'fc', '--criterion', 'large_final', '--oneshot', '--keep', keep, '--epochs', '3'];
const MASKS = [
  ['topk .03 .1 .3', topk('.03,.1,.3', '10')],
  ['topk .03 .1 .3, 9 epochs', topk('.03,.1,.3', '9')],
  ['topk .02 .05 .3', topk('.02,.05,.3', '20')],
  ['topk .01 .05 .3', topk('.01,.05,.3', '20')],
  ['bernoulli', ['train', '--network', 'fc', '--method', 'bernoulli', '--epochs', '4']],
  ...['.5', '.2', '.1', '.05'].map((keep) => [`large_final ${keep}`, large(keep)]),
  ['same sign, constants', ['prune', '--network', 'fc', '--weights', 'constant', '--oneshot', '--epochs', '3']],
  ['conv topk .5 .2 .1 .1 .05', (folder) => topk('.5,.2,.1,.1,.05', '2', join(folder, 'conv.json'))],
];

/** [a mask, what it leans on]: trained alike, pruned further or less, and by another method. */
const PAIRS = [
  ['topk .03 .1 .3, 9 epochs', 'topk .03 .1 .3'],
  ['topk .02 .05 .3', 'topk .03 .1 .3'],
  ['large_final .1', 'large_final .2'],
  ['large_final .2', 'large_final .1'],
  ['topk .03 .1 .3', 'bernoulli'],
];

/** Tasks of the archive whose reading is timed beside that of one-task files: it checks the network's first weights once. */
const TASKS = 50;

/** Milliseconds of this process alone: the other core and other programs do not count. */
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const bench = openBench({ masks: { type: 'string' }, roaring: { type: 'string', default: '.' } });
const folder = bench.o.masks ?? bench.folder;
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'conv.json'), JSON.stringify(CONV));

/** The model of a mask, made by the command line unless it is there. */
function make(name, options) {
  const file = join(folder, `${name.replaceAll(/[ ,]+/g, '-')}.smk`);
  if (!existsSync(file)) {
    const args = typeof options === 'function' ? options(folder) : options;
    const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [main, ...args, '--data', 'mnist', '--seed', '0', '--out', file], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
  }
  return readModel(readFileSync(file));
}

/** Bytes of a program's output, or null where it is not installed. */
const piped = (program, args) => (bits) => {
  const { status, stdout } = spawnSync(program, args, { input: bits, maxBuffer: 1e9 });
  return status === 0 ? stdout : null;
};
/** A bitmap of the kept weights' places, with runs where they are shorter, in the form that all roaring libraries read. */
async function roaringBytes() {
  try {
    const roaring = createRequire(resolve(bench.o.roaring, 'package.json'))('roaring-wasm');
    await roaring.roaringLibraryInitialize();
    return (bits) => {
      const places = [];
      for (let i = 0; i < 8 * bits.length; i++) if ((bits[i >> 3] >> (i & 7)) & 1) places.push(i);
      const bitmap = new roaring.RoaringBitmap32(places);
      bitmap.runOptimize();
      const bytes = bitmap.serialize('portable');
      bitmap.dispose();
      return bytes;
    };
  } catch {
    return () => null;
  }
}
const compressors = {
  'brotli -11': (bits) =>
    brotliCompressSync(bits, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 } }),
  'zstd -19': piped('zstd', ['-19', '-c', '--no-check']),
  'xz -9e': piped('xz', ['-9e', '-c', '--format=lzma']),
  roaring: await roaringBytes(),
};
for (const [name, compress] of Object.entries(compressors)) {
  if (compress(Buffer.alloc(8))) continue;
  bench.say(`without ${name}: it is not installed`);
  delete compressors[name];
}

const SCHEMES = /** @type {const} */ (['context', 'adaptive', 'deflate', 'raw']);
const sizes = [];
const speeds = [];
for (const [name, options] of MASKS) {
  if (!bench.wanted(name)) continue;
  const model = make(name, options);
  const files = Object.fromEntries(SCHEMES.map((scheme) => [scheme, writeModel(model, { schemes: [scheme] })]));
  const payload = (file) => inspectModel(file).tasks[0].payloadBytes;
  const info = inspectModel(files.context).tasks[0];
  const bits = Buffer.concat(model.tasks[0].mask);
  const others = Object.fromEntries(Object.entries(compressors).map(([peer, compress]) => [peer, compress(bits).length]));
  const best = Math.min(...Object.values(others));
  sizes.push({
    mask: name,
    'order 0': Math.round(info.entropyBytes),
    ...Object.fromEntries(SCHEMES.map((scheme) => [scheme, payload(files[scheme])])),
    ...others,
    'of order 0': (info.payloadBytes / info.entropyBytes).toFixed(3),
    'of the best other': (info.payloadBytes / best).toFixed(3),
  });
  const weights = totalWeights(model.network);
  const read = (scheme) => (seconds) => rate(() => readModel(files[scheme]), seconds, cpu) * weights;
  const many = Array.from({ length: TASKS }, (_, i) => ({ ...model.tasks[0], id: String(i).padStart(2, '0') }));
  const archive = writeModel({ ...model, tasks: many }, { schemes: ['deflate'] });
  const write = (scheme) => (seconds) => rate(() => writeModel(model, { schemes: [scheme] }), seconds, cpu) * weights;
  const rates = await bench.contest({
    ...Object.fromEntries(SCHEMES.map((scheme) => [scheme, read(scheme)])),
    [`deflate, ${TASKS} tasks in a file`]: (seconds) => rate(() => readModel(archive), seconds, cpu) * weights * TASKS,
    'writing context': write('context'),
  });
  speeds.push({ mask: name, ...Object.fromEntries(Object.entries(rates).map(([what, list]) => [what, range(list.map((x) => x / 1e6))])) });
}

/** Sum over the layers of n * H(m | b) / 8. */
function entropyGiven(mask, base, network) {
  const part = (k, n) => (k > 0 && k < n ? k * Math.log2(n / k) + (n - k) * Math.log2(n / (n - k)) : 0);
  const bits = weightCounts(network).map((n, layer) => {
    const both = countKept(mask[layer].map((byte, i) => byte & base[layer][i]));
    const [k, b] = [countKept(mask[layer]), countKept(base[layer])];
    return part(both, b) + part(k - both, n - b);
  });
  return bits.reduce((a, b) => a + b) / 8;
}

const leaning = [];
for (const pair of PAIRS) {
  if (!pair.every(bench.wanted)) continue;
  const [model, base] = pair.map((name) => make(name, MASKS.find(([mask]) => mask === name)[1]));
  const tasks = [
    { ...model.tasks[0], id: 'a', base: 'b' },
    { ...base.tasks[0], id: 'b' },
  ];
  const bytes = (schemes) => inspectModel(writeModel({ ...model, tasks }, { schemes })).tasks[0];
  const alone = bytes(['context']);
  const related = bytes(['related', 'context']);
  const given = entropyGiven(model.tasks[0].mask, base.tasks[0].mask, model.network);
  const [mask, other] = pair;
  leaning.push({
    mask,
    'leans on': other,
    'H(m|b) / H(m)': (given / alone.entropyBytes).toFixed(3),
    'H(m|b)': Math.round(given),
    context: alone.payloadBytes,
    related: related.scheme === 'related' ? related.payloadBytes : 'not shorter',
    'related / context': (related.payloadBytes / alone.payloadBytes).toFixed(3),
  });
}
bench.list('Mask payloads', 'bytes; schemes with their counts, the others on the packed bits alone', sizes);
bench.list(
  'Masks that lean on another',
  "bytes; what a coder needs that knows each layer's counts and the other mask, and what ours needs",
  leaning,
);
bench.list(
  'Reading a file, of one task where nothing else is said, every check included',
  'million weights a second of processor time, one core',
  speeds,
);
bench.close();
