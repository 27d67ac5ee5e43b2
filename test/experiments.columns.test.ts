// What experiments/README.md says in the words of the report: the columns, every one of every published CSV and no other, and whose
// numbers figures have.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COLUMNS } from '../experiments/evidence/columns.js';
import { NUMBERS } from '../experiments/evidence/experiment.js';
import { glossary } from '../experiments/evidence/glossary.js';
import { escaped } from '../experiments/evidence/html.js';

const EXPERIMENTS = join(import.meta.dirname, '..', 'experiments');
const RESULTS = join(EXPERIMENTS, 'results');
const README = readFileSync(join(EXPERIMENTS, 'README.md'), 'utf8');

test('every column of every published CSV is explained, and no other', () => {
  const tables = readdirSync(RESULTS).filter((name) => name.endsWith('.csv'));
  expect(tables.length).toBeGreaterThan(20);
  const columns = new Set(tables.flatMap((name) => readFileSync(join(RESULTS, name), 'utf8').split('\n', 1)[0].split(',')));
  expect(COLUMNS.map(({ name }) => name).sort()).toEqual([...columns].sort());
});

test('README and report explain them in the same words', () => {
  const lines = COLUMNS.map(({ name, meaning, unit = '' }) => `| \`${name}\` | ${meaning} | ${unit} |`);
  const [, section] = README.split('\n## Columns\n');
  expect(section.split('\n## ')[0].match(/^\| `.*$/gm)).toEqual(lines);
  for (const { meaning } of COLUMNS) expect(glossary()).toContain(escaped(meaning));
});

test('README and help say in the same words whose numbers figures have', () => {
  const help = execFileSync(process.execPath, [join(EXPERIMENTS, '../dist/cli/main.js'), 'experiment', '--help'], { encoding: 'utf8' });
  for (const text of [README, help]) expect(text.replaceAll('\n', ' ')).toContain(NUMBERS);
});
