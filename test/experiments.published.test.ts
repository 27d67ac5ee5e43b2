// What is published in experiments/results is what its own rows give today: drawn again from them, every table, drawing, verdict and
// the report is the same.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const PUBLISHED = join(ROOT, 'experiments/results');
const drawn = mkdtempSync(join(tmpdir(), 'seedmask-published-'));
afterAll(() => rmSync(drawn, { recursive: true }));

/** Written by bench/tasks.mjs, and with the archive of a thousand masks, which is not published. */
const OTHERS = /^(tasks-(served|memory)\.|permutations-\d+\.)/;

test('results are drawn again from their own rows to the same bytes', () => {
  const args = ['experiment', 'all', '--from', PUBLISHED, '--draw', '--out', drawn];
  execFileSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...args], { stdio: 'ignore' });
  const files = readdirSync(PUBLISHED).filter((name) => !OTHERS.test(name));
  expect(files.length).toBeGreaterThan(75);
  expect([...readdirSync(drawn)].filter((name) => name !== 'cells')).toEqual(files);
  expect(files.filter((name) => !readFileSync(join(drawn, name)).equals(readFileSync(join(PUBLISHED, name))))).toEqual([]);
});
