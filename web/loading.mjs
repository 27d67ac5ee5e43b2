// What a page loads at once, for both builds: no module of ours or of a library works by being imported, so what is not used stays out;
// what undoes the deflate scheme is a file of its own; and of the table of refusals a page has those that its own files may throw.

import { readdirSync, readFileSync } from 'node:fs';

export const loading = {
  treeshake: { moduleSideEffects: false },
  output: { codeSplitting: { groups: [{ name: 'inflate', test: /pako|codec.deflate/ }] } },
};

/** A line of the table in codec/errors.ts. */
const REFUSAL = /^ {2}'?([a-z0-9-]+)'?: \[\d+, .*\n/gm;

/** The plugin that leaves out the other refusals. */
export const refusals = {
  name: 'refusals',
  enforce: 'pre',
  transform(text, id) {
    if (!/codec\/errors\.ts$/.test(id)) return undefined;
    const texts = ['../codec/', './'].flatMap((folder) => textsIn(new URL(folder, import.meta.url))).join('\n');
    return text.replace(REFUSAL, (line, code) => (texts.includes(`'${code}'`) ? line : ''));
  },
};

const textsIn = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.ts') && !['errors.ts', 'safetensors.ts'].includes(name))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'));
