// Who may ask a server: the options that name key files, and the environment where they are left away.

import { Option } from 'commander';
import { SeedmaskError } from '../codec/index.js';
import { type KeyRecord, readAdminKey, readKeys } from '../server/index.js';
import { readFile } from './files.js';

/** Bytes of a key file at most. */
const FILE_LIMIT = 4 * 1024 * 1024;

export const textOf = (file: string): string => Buffer.from(readFile(file, FILE_LIMIT)).toString();

/** Where keys come from: files, or else the environment, which holds the text of such files. */
export interface KeyOptions {
  readonly keys?: string;
  readonly adminKeyFile?: string;
}

export const keyOptions = (): Option[] => [
  new Option('--keys <file>', 'API keys that clients need (seedmask keys add); or the text of such a file in SEEDMASK_KEYS'),
  new Option(
    '--admin-key-file <file>',
    'hash of the key for load and unload (seedmask keys add --admin); or its line in SEEDMASK_ADMIN_KEY',
  ),
];

/**
 * What the environment says under a name; undefined where it says nothing. One that is empty is a secret that did not come, and no wish for
 * a server without keys.
 * @throws SeedmaskError bad-option
 */
export function fromEnvironment(name: string): string | undefined {
  const text = process.env[name];
  if (text?.trim() !== '') return text;
  const hint = 'Unset it to do without, or look where its value should come from.';
  throw new SeedmaskError('bad-option', { field: name, expected: 'set to something, or not at all', got: 'nothing in it', hint });
}

/** @throws SeedmaskError no-file, over-limit, bad-keys or bad-option */
export function accessOf({ keys, adminKeyFile }: KeyOptions): { readonly keys?: readonly KeyRecord[]; readonly adminKey?: string } {
  const said = <T>(file: string | undefined, name: string, read: (text: string, source: string) => T): T | undefined => {
    const text = file === undefined ? fromEnvironment(name) : textOf(file);
    return text === undefined ? undefined : read(text, file ?? name);
  };
  return { keys: said(keys, 'SEEDMASK_KEYS', readKeys), adminKey: said(adminKeyFile, 'SEEDMASK_ADMIN_KEY', readAdminKey) };
}
