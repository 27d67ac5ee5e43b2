// Who may ask a server: the options that name key files, and the environment where they are left away.

import { Option } from 'commander';
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

/** @throws SeedmaskError no-file, over-limit or bad-keys */
export function accessOf({ keys, adminKeyFile }: KeyOptions): { readonly keys?: readonly KeyRecord[]; readonly adminKey?: string } {
  const { SEEDMASK_KEYS: keyText, SEEDMASK_ADMIN_KEY: adminText } = process.env;
  const records = keys === undefined ? keyText && readKeys(keyText, 'SEEDMASK_KEYS') : readKeys(textOf(keys), keys);
  const admin =
    adminKeyFile === undefined
      ? adminText && readAdminKey(adminText, 'SEEDMASK_ADMIN_KEY')
      : readAdminKey(textOf(adminKeyFile), adminKeyFile);
  return { keys: records || undefined, adminKey: admin || undefined };
}
