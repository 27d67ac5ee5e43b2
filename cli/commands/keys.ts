// seedmask keys: API keys for seedmask serve. A key is made here and shown once; the file keeps its SHA-256, and the server no more.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SeedmaskError } from '../../codec/index.js';
import { hashOf, type KeyRecord, readKeys } from '../../server/index.js';
import { textOf } from '../access.js';
import { rewrite } from '../files.js';
import { type Output, outputOf } from '../options.js';

interface Addition extends Output {
  readonly file: string;
  readonly task?: readonly string[];
  readonly limit?: KeyRecord['limit'];
  readonly admin?: boolean;
}

export function makeCommand(): Command {
  const add = new Command('add')
    .description('make a key and keep its hash; the key is shown once')
    .argument('[name]', "what logs call the key's owner; none with --admin")
    .requiredOption('--file <file>', 'the key file, made if there is none; with --admin the file of the admin key')
    .addOption(new Option('--task <name...>', 'tasks it may use; a last * stands for any end; default: all').conflicts('admin'))
    .addOption(new Option('--limit <n/s>', 'requests in so many seconds, such as 600/60').argParser(limit).conflicts('admin'))
    .option('--admin', 'the key that may load and unload models')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask keys add lab --file keys.json
  seedmask keys add partner --file keys.json --task mnist --task 'acme-*' --limit 600/60
  seedmask keys add --admin --file admin.key
  seedmask serve models/trained --keys keys.json --admin-key-file admin.key`,
    )
    .action(async (name: string | undefined, options: Addition) => {
      const key = `smk_${randomBytes(32).toString('base64url')}`;
      const owner = await (options.admin ? addAdmin : addKey)(name, hashOf(key), options);
      outputOf(options).print(
        { name: owner, key, file: options.file },
        () => `${key}\n(the key of ${owner}, shown once; ${options.file} keeps its hash)`,
      );
    });
  return new Command('keys').addCommand(add);
}

async function addAdmin(name: string | undefined, hash: string, { file }: Addition): Promise<string> {
  if (name !== undefined) throw new SeedmaskError('bad-option', { field: 'the name', expected: 'absent with --admin', got: name });
  await rewrite(file, () => {
    if (existsSync(file)) {
      throw new SeedmaskError('cannot-write', {
        field: file,
        got: 'it is there already',
        hint: 'Remove it first: its key will no longer do.',
      });
    }
    return { bytes: Buffer.from(`sha256:${hash}\n`) };
  });
  return 'admin';
}

async function addKey(name: string | undefined, sha256: string, { file, task, limit }: Addition): Promise<string> {
  if (name === undefined) throw new SeedmaskError('bad-option', { field: 'the name', expected: 'one word, or --admin', got: 'nothing' });
  await rewrite(file, () => {
    const keys = existsSync(file) ? readKeys(textOf(file), file) : [];
    if (keys.some((key) => key.name === name)) {
      throw new SeedmaskError('bad-option', { field: 'the name', expected: `new in ${file}`, got: name, hint: 'Remove its entry first.' });
    }
    const text = `${JSON.stringify({ keys: [...keys, { name, sha256, tasks: task, limit }] }, null, 2)}\n`;
    readKeys(text, 'the new entry');
    return { bytes: Buffer.from(text) };
  });
  return name;
}

function limit(text: string): KeyRecord['limit'] {
  const [, requests, seconds] = /^([1-9]\d{0,8})\/([1-9]\d{0,4})$/.exec(text) ?? [];
  if (requests === undefined) throw new InvalidArgumentError(`expected requests/seconds such as 600/60, got '${text}'.`);
  return { requests: Number(requests), seconds: Number(seconds) };
}
