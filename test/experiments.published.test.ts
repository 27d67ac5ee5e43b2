// What is published in experiments/results is what its own rows give today: drawn again from them, every table, drawing, verdict and
// section of the report is the same. Rows of tasks are published without their masks, so these experiments are not drawn again.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const PUBLISHED = join(ROOT, 'experiments/results');
const drawn = mkdtempSync(join(tmpdir(), 'seedmask-published-'));
afterAll(() => rmSync(drawn, { recursive: true }));

/** Sections of a report, one an experiment. */
const sectionsOf = (folder: string): string[] => {
  const [body] = readFileSync(join(folder, 'report.html'), 'utf8').split('</body>');
  return body
    .split(/(?=<h2 id=)/)
    .slice(1)
    .map((text) => text.trim());
};

test('results are drawn again from their own rows to the same bytes', () => {
  const args = ['experiment', 'all', '--tasks', '1000', '--from', PUBLISHED, '--draw', '--out', drawn];
  execFileSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...args], { stdio: 'ignore' });
  const files = readdirSync(drawn).filter((name) => /\.(csv|json|svg)$/.test(name));
  expect(files.length).toBeGreaterThan(50);
  const differing = files.filter((name) => readFileSync(join(drawn, name), 'utf8') !== readFileSync(join(PUBLISHED, name), 'utf8'));
  expect(differing).toEqual([]);
  const published = new Set(sectionsOf(PUBLISHED));
  const sections = sectionsOf(drawn);
  expect(sections.length).toBeGreaterThan(10);
  expect(sections.filter((text) => !published.has(text)).map((text) => text.slice(0, 80))).toEqual([]);
});
