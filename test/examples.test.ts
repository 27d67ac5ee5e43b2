// Every example runs, and does what it says. Needs the built package, as `npm test` leaves it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ROOT } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));
const run = (name: string, ...words: string[]) =>
  execFileSync(process.execPath, [join(ROOT, 'examples', `${name}.mjs`), ...words], { encoding: 'utf8', cwd: folder });
const trained = (name: string) => join(ROOT, 'models', 'trained', `${name}.smk`);

test('train', () => {
  expect(run('train', 'own.smk', '1')).toMatch(/^own.smk: accuracy 0.9\d+ on validation rows\n$/);
  expect(run('classify', 'own.smk').split('\n')).toHaveLength(6);
}, 120_000);

test('pack, and swap masks of the packed file', () => {
  expect(run('pack', 'both.smk', trained('mnist-tiny'), trained('mnist'))).toMatch(/^both.smk: 2 tasks in \d+ bytes\n$/);
  const [first, second] = run('swap', 'both.smk').trimEnd().split('\n');
  // The first test digit is a 7: README's logits of the one, others of the other.
  expect(first).toBe('mnist -32142 -14996 24870 24675 -92062 -32410 -127190 143192 -17801 17948');
  expect(second).toMatch(/^mnist-tiny( -?\d+){10}$/);
});

test('classify', () => {
  expect(run('classify', trained('mnist'))).toBe('7\n2\n1\n0\n4\n');
});

test('each has less than 20 lines of code, and a line that says how it is run', () => {
  const names = readdirSync(join(ROOT, 'examples'));
  expect(names.sort()).toEqual(['classify.mjs', 'pack.mjs', 'swap.mjs', 'train.mjs']);
  for (const name of names) {
    const lines = readFileSync(join(ROOT, 'examples', name), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines[0], name).toContain(`node examples/${name}`);
    expect(lines.filter((line) => line !== '' && !line.startsWith('//')).length, name).toBeLessThan(20);
  }
});
