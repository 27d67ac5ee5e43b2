// README's examples print what README says.

import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createHandler, listen, openStore } from '../server/index.js';
import { createReferenceEngine } from '../src/engine/reference.js';

const ROOT = join(import.meta.dirname, '..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

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
