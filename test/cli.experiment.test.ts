// seedmask experiment on a folder whose cells are there: it draws and reports as many seeds as the folder's files tell, and what another
// process may be writing stays.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { removeLeftOvers } from '../cli/files.js';
import { dataOfCell, nameOf } from '../experiments/cells/cell.js';
import { figure7 } from '../experiments/figures/figure-07.js';
import { figure8 } from '../experiments/figures/figure-08.js';
import { unlikeTasks } from '../experiments/figures/unlike-tasks.js';
import { planOf } from '../experiments/sweep/conduct.js';

vi.setConfig({ testTimeout: 60_000 });

const folder = mkdtempSync(join(tmpdir(), 'seedmask-experiment-'));
afterAll(() => rmSync(folder, { recursive: true }));
const MAIN = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');
const experiment = (...words: string[]) =>
  spawnSync(process.execPath, [MAIN, 'experiment', ...words, '--quick', '--out', folder], { encoding: 'utf8' });
const at = (name: string) => join(folder, name);
const text = (name: string) => readFileSync(at(name), 'utf8');

// One seed more than the scale has.
mkdirSync(at('cells'));
for (const cell of figure7.cells(planOf('quick', 3))) {
  if (cell.kind !== 'ticket') continue;
  const { network, seed, criterion, mask0, mask1 } = cell;
  const rows = [0, 1].map((round) => {
    const accuracy = 0.9 + 0.01 * seed;
    return { network, criterion, mask0, mask1, seed, round, kept: 0.2 ** round, valAccuracy: accuracy, testAccuracy: accuracy };
  });
  writeFileSync(at(`cells/${nameOf(cell)}.json`), JSON.stringify({ cell, rows, seconds: 1 }));
}

test('--draw and the report keep the seeds that were asked for, and the report links what is there', () => {
  expect(experiment('figure-07', '--runs', '3', '--draw')).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(text('figure-07.json'))).toMatchObject({ scale: 'quick', runs: 3, missing: 0 });
  const whole = ['figure-07.csv', 'figure-07.json', 'figure-07.svg'].map(text);
  expect(experiment('figure-07', '--draw').status).toBe(0);
  expect(['figure-07.csv', 'figure-07.json', 'figure-07.svg'].map(text)).toEqual(whole);
  // Shares cells with figure 7, as the mechanism does, which nobody asks for.
  expect(experiment('figure-08', '--draw').status).toBe(0);
  const page = text('report.html');
  expect(page.match(/<h2 id="[^"]*"/g)).toEqual(['<h2 id="figure-07"', '<h2 id="figure-08"']);
  expect(page.match(/range of \d seeds/g)).toEqual([3, 3, 2, 2].map((seeds) => `range of ${seeds} seeds`));
  for (const [, link] of page.matchAll(/href="([^":#]+)"/g)) expect(existsSync(at(link)), link).toBe(true);
  expect(experiment('figure-07', '--runs', '1', '--draw').status).toBe(0);
  expect(JSON.parse(text('figure-07.json'))).toMatchObject({ runs: 1, missing: 0 });
});

test('temporary files are removed once they are old, and never where nothing is run', () => {
  const [old, young, beside] = ['cells/old.json', 'cells/young.json', 'report.html'].map((name) => at(`${name}.0123456789ab.tmp`));
  for (const file of [old, young, beside]) writeFileSync(file, '{');
  for (const file of [old, beside]) utimesSync(file, 0, 0);
  const left = () => readdirSync(at('cells')).filter((name) => name.endsWith('.tmp'));
  expect(experiment('figure-07', '--draw').status).toBe(0);
  expect([left().length, existsSync(beside)]).toEqual([2, true]);
  expect(experiment('figure-07', '--runs', '3').status).toBe(0);
  expect([left(), existsSync(beside)]).toEqual([['young.json.0123456789ab.tmp'], false]);
  expect(() => removeLeftOvers(at('none'), /x/)).toThrow(`cannot read ${at('none')}: there is no such file or folder`);
});

test('rows without cells: drawn from another folder that has nothing else, all of them; what cannot be read is one line', () => {
  const [from, out] = ['from', 'out'].map(at);
  mkdirSync(from);
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [MAIN, 'experiment', 'figure-07', '--draw', '--quick', ...words], { encoding: 'utf8' });
  const [csv, json] = ['csv', 'json'].map((end) => join(from, `figure-07.${end}`));
  writeFileSync(csv, text('figure-07.csv'));
  // As if the cells' masks were not published.
  writeFileSync(json, JSON.stringify({ ...JSON.parse(text('figure-07.json')), rows: [] }));
  const whole = run('--from', from, '--out', out);
  expect(whole).toMatchObject({ status: 0, stderr: `${from} gives 0 cells; 0 copied\n` });
  expect(run('--runs', '1', '--out', out).stderr).toBe(
    'figure-07: cells of it are not here, so all rows that its files have are drawn, not those asked for\n',
  );
  writeFileSync(csv, text('figure-07.csv').replaceAll('0.9,', '0.8,'));
  writeFileSync(json, JSON.stringify({ ...JSON.parse(readFileSync(json, 'utf8')), sha256: undefined }));
  expect(run('--from', from, '--out', out)).toMatchObject({
    status: 0,
    stdout: whole.stdout,
    stderr: expect.stringContaining(`figure-07: ${out} has other rows than ${from}; they stay until its figure-07.csv is deleted\n`),
  });
  rmSync(csv);
  mkdirSync(csv);
  expect(run('--out', from)).toMatchObject({ status: 1, stderr: `seedmask: cannot read ${csv}: it is no regular file\n` });
  // Rows of one that nobody asks for would only be missed in the report, when all is computed.
  writeFileSync(join(out, 'figure-07.csv'), text('figure-07.csv').replaceAll('0.9,', '0.7,'));
  const other = spawnSync(process.execPath, [MAIN, 'experiment', 'figure-01', '--quick', '--out', out], { encoding: 'utf8' });
  expect(other).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^seedmask: [^\n]*figure-07\.csv must be the rows that [^\n]*\n$/),
  });
  expect(readdirSync(join(out, 'cells'))).toEqual([]);
});

test('--from takes the cells that are asked for, each once, and names the experiments of which it has none', () => {
  const out = at('taken');
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [MAIN, 'experiment', ...words, '--quick', '--draw', '--from', folder, '--out', out], { encoding: 'utf8' });
  expect(experiment('figure-07', '--runs', '3', '--draw').status).toBe(0);
  const cells = figure7.cells(planOf('quick', 2)).length;
  expect(run('figure-07', 'figure-01').stderr).toBe(
    `${folder} gives ${cells} cells, none of figure-01; ${cells} copied\n` +
      `figure-01 is not drawn: of it ${folder} has no figure-01.csv and no figure-01.json\n`,
  );
  expect(readdirSync(join(out, 'cells'))).toHaveLength(cells);
  // Figure 8 shares arms with figure 7.
  const shared = figure8.cells(planOf('quick', 2)).filter((cell) => existsSync(at(`cells/${nameOf(cell)}.json`))).length;
  expect(run('figure-08').stderr).toBe(`${folder} gives ${shared} cells; 0 copied\n`);
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'experiment', 'figure-01', '--quick', '--from', folder, '--out', out], {
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([1, expect.stringMatching(/must be whole cells of what is asked for, got none: [^\n]*\n$/)]);
});

test('what cannot be drawn of what is asked for is told, with what there is of it and what to do', () => {
  const [from, out] = ['halves', 'unfinished'].map(at);
  for (const one of [from, join(out, 'cells')]) mkdirSync(one, { recursive: true });
  const draw = (...words: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'experiment', ...words, '--draw'], { encoding: 'utf8' });
    return [status, ...stderr.trimEnd().split('\n')];
  };
  const what = 'Leave --draw away: a run that was stopped goes on where it stopped. Or name another scale: --quick, --full or neither';
  const asked = 'must be a folder with results of';
  // A run that was killed before its first cell was finished, in the names of the paper's figures.
  expect(draw('figure-06', 'figure-03', 'figure-09', '--out', out)).toEqual([
    1,
    `seedmask: ${out} ${asked} figure-02, figure-05 at the budget scale, got no finished cell that is asked for. ${what}`,
  ]);
  expect(draw('all', '--out', at('nowhere'))).toEqual([
    1,
    `seedmask: ${at('nowhere')} ${asked} any experiment at the budget scale, got no such folder. ${what}`,
  ]);
  for (const name of readdirSync(at('cells'))) writeFileSync(join(out, 'cells', name), readFileSync(at(`cells/${name}`)));
  expect(draw('figure-07', '--out', out)).toEqual([
    1,
    `seedmask: ${out} ${asked} figure-07 at the budget scale, got cells of the quick scale alone. ${what}`,
  ]);
  expect(draw('figure-07', 'figure-01', '--quick', '--out', out)).toEqual([
    0,
    `figure-01 is not drawn: of it ${out} has no finished cell that is asked for`,
  ]);
  // Of another folder, one of the two files.
  for (const name of ['figure-07.csv', 'figure-07.json']) writeFileSync(join(from, name), text(name));
  writeFileSync(join(from, 'figure-07b.json'), text('figure-07.json'));
  expect(draw('figure-07', 'figure-07b', '--quick', '--from', from, '--out', at('half-drawn'))).toEqual([
    0,
    expect.stringMatching(/ gives \d+ cells, none of figure-07b; \d+ copied$/),
    `figure-07b is not drawn: of it ${from} has no figure-07b.csv`,
  ]);
  expect(draw('figure-07', '--from', from, '--out', at('not-drawn'))).toEqual([
    1,
    `${from} gives 0 cells, none of figure-07; 0 copied`,
    `seedmask: ${from} ${asked} figure-07 at the budget scale, got no rows of the budget scale. ${what}`,
  ]);
});

test('cells whose data is not here are left out in one line; an experiment asked for by name that can run nothing is refused', () => {
  const out = at('without');
  mkdirSync(join(out, 'cells'), { recursive: true });
  const env = { ...process.env, XDG_CACHE_HOME: at('no-cache') };
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [MAIN, 'experiment', ...words, '--quick', '--out', out], { encoding: 'utf8', env });
  const none = /^seedmask: no data set in cifar10: not here, [^\n]* Run: seedmask data get cifar10\n$/;
  expect(run('figure-07b', 'unlike-tasks')).toMatchObject({ status: 1, stdout: '', stderr: expect.stringMatching(none) });
  const cells = unlikeTasks.cells(planOf('quick')).filter((cell) => dataOfCell(cell)[0] === 'mnist');
  const left = cells.find((cell) => cell.kind === 'task' && cell.pixels === 1);
  for (const cell of cells) {
    if (cell.kind !== 'task' || cell === left) continue;
    const { view, learningRate } = cell;
    const row = { task: view, network: 'fc', method: 'topk', view, learningRate, kept: 0.1, valAccuracy: 0.9, testAccuracy: 0.9, bytes: 9 };
    writeFileSync(join(out, 'cells', `${nameOf(cell)}.json`), JSON.stringify({ cell, rows: [row], seconds: 1 }));
  }
  const { status, stderr, stdout } = run('unlike-tasks');
  expect(stderr).toMatch(
    /^no cifar10 here: left out 5 cells of unlike-tasks\. Run: seedmask data get cifar10\n1\/1 task-topk-plain-pixels1-[^\n]*\n$/,
  );
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^unlike-tasks: \d+ rows, 5 cells not run yet\n[^\n]*report\.html\n$/)]);
  expect(JSON.parse(readFileSync(join(out, 'unlike-tasks.json'), 'utf8'))).toMatchObject({ missing: 5 });
  // What is left of it needs photographs.
  expect(run('unlike-tasks')).toMatchObject({ status: 1, stderr: expect.stringMatching(none) });
});

test('--runs and --tasks are refused where they do nothing', () => {
  expect(experiment('permutations', 'figure-05', '--runs', '3').stderr).toMatch(
    /--runs goes with an experiment of several seeds, such as figure-07/,
  );
  expect(experiment('figure-07', '--tasks', '3').stderr).toMatch(/--tasks goes with an experiment of tasks, such as permutations/);
});

test('an --out without a name is told', () => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'experiment', 'figure-07', '--quick', '--out', ''], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([1, 'seedmask: cannot write the output: an empty name\n']);
});
