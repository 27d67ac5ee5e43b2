// A disk that fails under the commands that write model files: every open, write, sync, close and rename fails once, in the built
// program, and afterwards there is the file that was there before and nothing else. A module loaded before the program puts the failing
// call in place of Node's own; it counts only files that are being written.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { writeModel } from '../codec/index.js';
import { toIdx } from '../src/data.js';
import { ARCHIVE_MODEL, randomMask, SMALL_CONV, task } from './vectors/models.js';

// Child processes, one of which trains.
vi.setConfig({ testTimeout: 60_000 });

const MAIN = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'seedmask-disk-'));
afterAll(() => rmSync(folder, { recursive: true }));

writeFileSync(
  join(folder, 'failing.mjs'),
  `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { FAILING, NTH } = process.env;
const written = new Set();
const real = { ...fs };
let met = 0;
const fails = (call) => call === FAILING && ++met === Number(NTH);
const full = () => { throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }); };
fs.openSync = (path, flags, ...more) => {
  if (flags === 'wx' && fails('openSync')) full();
  const file = real.openSync(path, flags, ...more);
  if (flags === 'wx') written.add(file);
  return file;
};
fs.writeSync = (file, bytes, ...more) => {
  if (!written.has(file) || !fails('writeSync')) return real.writeSync(file, bytes, ...more);
  real.writeSync(file, bytes.subarray(0, bytes.length >> 1), ...more);
  full();
};
fs.fsyncSync = (file) => (fails('fsyncSync') ? full() : real.fsyncSync(file));
fs.closeSync = (file) => {
  const ours = written.delete(file);
  real.closeSync(file);
  if (ours && fails('closeSync')) full();
};
fs.renameSync = (from, to) => (fails('renameSync') ? full() : real.renameSync(from, to));
syncBuiltinESMExports();
process.on('exit', () => process.stderr.write(met >= Number(NTH) ? '' : 'never met'));
`,
);
// 5,000 rows are for validation; 2 x 2 pixels.
mkdirSync(join(folder, 'data'));
for (const [name, rows] of [
  ['train', 5200],
  ['t10k', 10],
] as const) {
  writeFileSync(
    join(folder, 'data', `${name}-images-idx3-ubyte`),
    toIdx(
      [rows, 2, 2],
      Uint8Array.from({ length: 4 * rows }, (_, i) => i * i),
    ),
  );
  writeFileSync(
    join(folder, 'data', `${name}-labels-idx1-ubyte`),
    toIdx(
      [rows],
      Uint8Array.from({ length: rows }, (_, i) => i % 10),
    ),
  );
}
writeFileSync(join(folder, 'archive.smk'), writeModel(ARCHIVE_MODEL));
const old = writeModel({ network: SMALL_CONV, tasks: [task(randomMask(SMALL_CONV, [0.3], { low: 1, high: 0 }))] });

const COMMANDS = {
  train: ['train', '--data', 'data', '--network', 'fc:4-10', '--epochs', '1', '--threads', '1', '--json'],
  pack: ['pack', 'archive.smk'],
  extract: ['extract', 'archive.smk', '--task', 'a'],
};
// train and pack open and close an empty file first, to fail before the work and not after it.
const CALLS = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync'].flatMap((call) =>
  (Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]).flatMap((command) =>
    (command !== 'extract' && /open|close/.test(call) ? [1, 2] : [1]).map((nth) => [command, call, nth] as const),
  ),
);

test.each([
  ['openSync', 2],
  ['writeSync', 2],
  ['fsyncSync', 2],
  ['closeSync', 2],
  ['renameSync', 1],
])('export to tfjs: %s fails at its call %i, and both files are of one model', (call, nth) => {
  const place = join(folder, `tfjs-${call}`);
  const files = { 'model.json': 'old', 'weights.bin': 'old weights' };
  mkdirSync(place);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(place, name), text);
  const words = ['--import', join(folder, 'failing.mjs'), MAIN, 'export', 'archive.smk', '--task', 'a', '--to', 'tfjs', '--out', place];
  const env = { ...process.env, FAILING: call, NTH: String(nth) };
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', cwd: folder, env });
  expect([status, stdout, stderr]).toEqual([1, '', `seedmask: cannot write ${join(place, 'weights.bin')}: the disk is full\n`]);
  expect(Object.fromEntries(readdirSync(place).map((name) => [name, readFileSync(join(place, name), 'utf8')]))).toEqual(files);
});

test.each(CALLS)('%s: %s fails at its call %i, and nothing is lost', (command, call, nth) => {
  const place = join(folder, `${command}-${call}-${nth}`);
  mkdirSync(place);
  const out = join(place, 'x.smk');
  writeFileSync(out, old);
  const words = ['--import', join(folder, 'failing.mjs'), MAIN, ...COMMANDS[command], '--out', out];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, FAILING: call, NTH: String(nth) },
  });
  expect([status, stdout, stderr.trimEnd()]).toEqual([1, '', expect.stringContaining(`cannot write ${out}: the disk is full`)]);
  expect(stderr.trimEnd()).not.toContain('\n');
  expect(readdirSync(place)).toEqual(['x.smk']);
  expect(new Uint8Array(readFileSync(out))).toEqual(old);
});
