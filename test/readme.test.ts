// README's example prints what README says, and its dependency table is package.json's.

import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createHandler, listen, openStore } from '../server/index.js';
import { createReferenceEngine } from '../src/engine/reference.js';

const ROOT = join(import.meta.dirname, '..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  exports: Record<string, { default: string; types: string }>;
  bin: { seedmask: string };
};

/** Node's words for a program as it would stand in the working directory: in that of this package, 'seedmask' is this package. */
const run = (program: string): string[] => ['--input-type=module', '--eval', program];

test('the ten lines print what stands below them', () => {
  const [, program] = /```js\n([\s\S]*?)```/.exec(readme)!;
  const [, printed] = /prints\n\n```\n(.*)\n```/.exec(readme)!;
  expect(execFileSync(process.execPath, run(program), { cwd: ROOT, encoding: 'utf8' }).trim()).toBe(printed);
});

test('the client example runs against a server of the shipped models', async () => {
  const [program] = [...readme.matchAll(/```js\n([\s\S]*?)```/g)]
    .map(([, text]) => text)
    .filter((text) => text.includes('seedmask/client'));
  const store = await openStore(join(ROOT, 'models', 'trained'));
  const server = await listen(createHandler({ engine: createReferenceEngine(), store }), { port: 0 });
  const { stdout } = await promisify(execFile)(process.execPath, run(program.replace('http://localhost:8080', server.url)), { cwd: ROOT });
  await server.close();
  expect(stdout).toMatch(
    /^cifar10 3072\ndigits 784\nmnist 784\nmnist-lenet5 784\nmnist-same-sign 784\nmnist-tiny 784\n(?:p0\d{3} 784\n){100}\d \d+ [0-9a-f]{64}\n$/,
  );
}, 30_000);

test('the dependency table lists the dependencies, and each of them runs on Node 20', () => {
  const listed = [...readme.matchAll(/^\| `([^`]+)` \| [^|]+ \|$/gm)]
    .map((row) => row[1])
    .filter((name) => !name.endsWith('/') && !name.startsWith('GET') && !name.startsWith('POST'));
  expect(Object.keys(manifest.dependencies).every((name) => listed.includes(name))).toBe(true);
  for (const name of Object.keys(manifest.dependencies)) {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as {
      engines?: { node?: string };
    };
    const least = /(\d+)/.exec(engines?.node ?? '0')![1];
    expect(Number(least), name).toBeLessThanOrEqual(20);
  }
});

test('every export and the program exist after a build', async () => {
  for (const { default: file, types } of Object.values(manifest.exports)) {
    expect(Object.keys(await import(join(ROOT, file))).length).toBeGreaterThan(0);
    expect(readFileSync(join(ROOT, types), 'utf8')).toMatch(/export/);
  }
  expect(readFileSync(join(ROOT, manifest.bin.seedmask), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});
