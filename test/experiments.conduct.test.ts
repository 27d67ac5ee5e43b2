// Experiments end to end, small and in this thread: cells run once, results are files, a second run computes nothing and writes the same
// bytes, and what is damaged is named.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadDataset } from '../cli/datasets/load.js';
import { writeFileSafely } from '../cli/files.js';
import { shelfIn } from '../cli/shelf.js';
import { readModel, SeedmaskError } from '../codec/index.js';
import { type Cell, nameOf } from '../experiments/cells/cell.js';
import type { Lab, Shelf } from '../experiments/cells/lab.js';
import { runCell } from '../experiments/cells/run.js';
import { type Experiment, NUMBERS } from '../experiments/evidence/experiment.js';
import { escaped } from '../experiments/evidence/html.js';
import { figure2 } from '../experiments/figures/figure-02.js';
import { figure5 } from '../experiments/figures/figure-05.js';
import { figure7 } from '../experiments/figures/figure-07.js';
import { figure10 } from '../experiments/figures/figure-10.js';
import { EXPERIMENTS } from '../experiments/index.js';
import {
  type Conducted,
  checkKept,
  checkScale,
  conduct,
  heldPlan,
  missing,
  ofSeeds,
  planOf,
  publish,
  type Runner,
  results,
  usable,
} from '../experiments/sweep/conduct.js';
import { type Pool, runHere, type Watch } from '../experiments/sweep/pool.js';
import { takeOver, takeShown } from '../experiments/sweep/published.js';
import { report } from '../experiments/sweep/report.js';
import { openStore } from '../experiments/sweep/store.js';
import { conv2, fc } from '../models/index.js';
import type { Engine } from '../src/engine/engine.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { kept, type Network, type Parameters, totalKept } from '../src/network.js';
import { DOMAIN, fillWords, parseSeed } from '../src/random.js';
import { constantTwin, ticketNetwork } from '../src/tickets.js';
import type { Resumable } from '../src/training-options.js';
import { FORGETFUL } from './experiments.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-experiments-'));
const plan = planOf('quick');
const shelf = new Map<string, Parameters>();
let engine: Engine;
let lab: Lab;

beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  const mnist = loadDataset('mnist');
  // Noise in the shape of CIFAR-10: enough to see that the convolutional path runs.
  const noise = (rows: number) => {
    const words = new Uint32Array(rows * 768);
    fillWords(parseSeed('noise'), DOMAIN.sampling, 0, 0, words);
    return {
      images: new Uint8Array(words.buffer),
      labels: Uint8Array.from({ length: rows }, (_, i) => i % 10),
      input: [32, 32, 3] as const,
    };
  };
  const cifar10 = { train: noise(5100), test: noise(60) };
  const kept: Shelf = { ...FORGETFUL, get: (name) => shelf.get(name), put: (name, parameters) => shelf.set(name, parameters) };
  lab = { engine, shelf: kept, data: (name) => (name === 'mnist' ? mnist : cifar10), progress: () => undefined };
});
afterAll(() => {
  engine.close();
  rmSync(folder, { recursive: true });
});

let computed: string[] = [];
const runner: Runner = async (cells, done) => {
  for (const cell of cells) {
    computed.push(nameOf(cell));
    done(cell, await runCell(cell, lab), 1);
  }
};
const open = () => openStore(folder, writeFileSafely);
const files = () =>
  new Map(readdirSync(folder, { withFileTypes: true }).flatMap((f) => (f.isFile() ? [[f.name, readFileSync(join(folder, f.name))]] : [])));

/** An experiment on less of everything. */
const smaller = (experiment: Experiment, change: (cell: Cell) => Cell | undefined): Experiment => ({
  ...experiment,
  cells: (p) => experiment.cells(p).flatMap((cell) => change(cell) ?? []),
});
const LESS = { rows: 600, validation: 200, test: 200 };
const ARMS = ['large_final', 'magnitude_increase', 'random'];
const little = [
  smaller(figure5, (cell) => (cell.kind === 'plane' ? { ...cell, ...LESS, epochs: 1, points: 100 } : undefined)),
  smaller(figure7, (cell) => (cell.kind === 'ticket' && ARMS.includes(cell.criterion) ? { ...cell, ...LESS } : undefined)),
  smaller(figure10, (cell) =>
    cell.kind === 'curve' || cell.kind === 'archive'
      ? { ...cell, ...LESS, criteria: ['large_final', 'small_final'], powers: [4] }
      : undefined,
  ),
];

test('runs what is missing, writes every file, and a second run computes nothing and writes the same bytes', async () => {
  const first = await conduct(little, plan, open(), runner);
  expect(computed).toHaveLength(11);
  expect(first.map(({ missing, rows }) => missing === 0 && rows.length > 0)).toEqual([true, true, true]);
  const before = files();
  expect([...before.keys()].sort()).toEqual(
    [
      ...['figure-05', 'figure-07', 'figure-10'].flatMap((name) => [`${name}.csv`, `${name}.json`]),
      ...['figure-05.svg', 'figure-07.svg', 'figure-07-top.svg', 'figure-10-constant.svg', 'figure-10-init.svg'],
      ...['figure-10-constant.smk', 'figure-10-init.smk'],
    ].sort(),
  );
  computed = [];
  await conduct(little, plan, open(), runner);
  expect(computed).toEqual([]);
  expect(files()).toEqual(before);
}, 60_000);

test('the CSV is tidy: a row a round, criterion and seed, and no bytes of archives', () => {
  const lines = (name: string) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
  const [head, ...rows] = lines('figure-07.csv');
  expect(head).toBe('network,criterion,mask0,mask1,seed,round,kept,valAccuracy,testAccuracy,towardZero');
  expect(rows).toHaveLength(ARMS.length * 2 * 3);
  expect(lines('figure-10.csv')[0]).not.toMatch(/base64|sha256/);
  // 100 of the 30,000 weights of 300 inputs and 100 units: drawn, they belong to some 85 inputs.
  const inputs = lines('figure-05.csv').flatMap((line) => line.match(/^fc,0,1,(\d+),/)?.[1] ?? []);
  expect(new Set(inputs.map((index) => Number(index) % 300)).size).toBeGreaterThan(60);
  const config = JSON.parse(readFileSync(join(folder, 'figure-07.json'), 'utf8'));
  expect(config).toMatchObject({ experiment: 'figure-07', scale: 'quick', missing: 0 });
  expect(config.cells).toHaveLength(6);
});

test('archives hold a task a mask, and say in their cell what they are', () => {
  for (const weights of ['init', 'constant']) {
    const bytes = readFileSync(join(folder, `figure-10-${weights}.smk`));
    const { network, tasks } = readModel(bytes);
    expect(network.distribution).toBe(weights === 'init' ? 'normal' : 'signed-constant');
    expect(tasks.map(({ id }) => id)).toEqual([`${weights}-large_final-p04`, `${weights}-small_final-p04`]);
    // large_final and small_final at .8^4 = .41 of a layer, .66 of the last, share few weights.
    const [large, small] = tasks.map(({ mask }) => mask);
    expect(totalKept(large)).toBe(Math.round(235200 * 0.8 ** 4) + Math.round(30000 * 0.8 ** 4) + Math.round(1000 * 0.9 ** 4));
    let both = 0;
    for (let i = 0; i < 235200; i++) both += kept(large[0], i) & kept(small[0], i);
    expect(both).toBe(0);
    const name = readdirSync(join(folder, 'cells')).filter(
      (file) => file.startsWith('archive') && readFileSync(join(folder, 'cells', file), 'utf8').includes(`"weights":"${weights}"`),
    );
    const [row] = JSON.parse(readFileSync(join(folder, 'cells', name[0]), 'utf8')).rows;
    expect(row.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  }
});

test('a run that was stopped goes on: whole cells are kept, the others computed, the bytes are those of one run', async () => {
  const before = files();
  const cells = little[1].cells(plan);
  rmSync(join(folder, 'cells', `${nameOf(cells[1])}.json`));
  expect(missing(little, plan, open()).map(nameOf)).toEqual([nameOf(cells[1])]);
  await expect(conduct(little, plan, open(), () => Promise.reject(new Error('stopped')))).rejects.toThrow('stopped');
  expect(files()).toEqual(before);
  computed = [];
  await conduct(little, plan, open(), runner);
  expect(computed).toEqual([nameOf(cells[1])]);
  expect(files()).toEqual(before);
}, 60_000);

test('a published folder gives back its cells to the digit; a selection of rows gives none; what does not belong together is named', () => {
  const other = mkdtempSync(join(tmpdir(), 'seedmask-experiments-'));
  const names = little.map(({ name }) => name);
  const [whole, fresh] = [open(), openStore(other, writeFileSafely)];
  const wanted = new Set(little.flatMap((one) => usable(one, plan, fresh)).map(nameOf));
  // A seed of one figure, and not what else is there.
  const seed = little[1].cells(planOf('quick', 1)).map(nameOf);
  expect(takeOver(folder, names, new Set(seed), fresh)).toEqual({ given: new Set(seed), copied: 3 });
  expect(readdirSync(join(other, 'cells'))).toHaveLength(3);
  const all = [...little[0].cells(plan), ...little[1].cells(plan)].map(nameOf);
  expect(takeOver(folder, names, wanted, fresh)).toEqual({ given: new Set(all), copied: 4 });
  // Twice the same files: every cell counts once.
  expect(takeOver(folder, [...names, ...names], wanted, fresh)).toEqual({ given: new Set(all), copied: 0 });
  for (const cell of [...little[0].cells(plan), ...little[1].cells(plan)])
    expect(fresh.result(cell)?.rows).toEqual(whole.result(cell)?.rows);
  expect(missing(little, plan, fresh).map(nameOf)).toEqual(little[2].cells(plan).map(nameOf));
  for (const name of ['figure-07.csv', 'figure-07.json']) writeFileSync(join(other, name), readFileSync(join(folder, name)));
  const [csv, json] = ['figure-07.csv', 'figure-07.json'].map((name) => join(other, name));
  const [head, ...lines] = readFileSync(csv, 'utf8').trimEnd().split('\n');
  const asTable = (rows: string[], end = '\n') => [head, ...rows].map((line) => line + end).join('');
  writeFileSync(csv, asTable(lines, '\r\n'));
  expect(takeOver(other, names, wanted, whole)).toEqual({ given: new Set(little[1].cells(plan).map(nameOf)), copied: 0 });
  const [, seventh] = lines;
  for (const rows of [
    [...lines].reverse(),
    lines.slice(0, -1),
    lines.map((line) => (line === seventh ? line.replace('0.', '0.1') : line)),
  ]) {
    writeFileSync(csv, asTable(rows));
    expect(() => takeOver(other, names, wanted, whole)).toThrow(`${csv} must be the rows that ${json} is about, SHA-256 `);
  }
  // Of a version that named no SHA-256.
  writeFileSync(json, readFileSync(json, 'utf8').replace(/ "sha256": .*\n/, ''));
  writeFileSync(csv, asTable(lines.slice(0, -1)));
  expect(() => takeOver(other, names, wanted, whole)).toThrow(
    `${csv} must be long enough for rows 15 to 17, which figure-07.json names, got 17 rows`,
  );
  writeFileSync(csv, asTable([...lines.slice(3), ...lines.slice(0, 3)]));
  expect(() => takeOver(other, names, wanted, whole)).toThrow(
    `${csv} must be rows 0 to 2 of ${nameOf(little[1].cells(plan)[0])}, as figure-07.json has it, got rows of another`,
  );
  writeFileSync(csv, '');
  expect(() => takeOver(other, names, wanted, whole)).toThrow(`${csv} must be rows of the 6 cells of ${json}, got none`);
  rmSync(csv);
  mkdirSync(csv);
  expect(() => takeOver(other, names, wanted, whole)).toThrow(`cannot read ${csv}: it is no regular file`);
  rmSync(csv, { recursive: true });
  writeFileSync(csv, 'network\n');
  writeFileSync(json, '{"cells": [{"kind": "ticket"}]}');
  expect(() => takeOver(other, names, wanted, whole)).toThrow(/figure-07\.json must be what `seedmask experiment` writes, got /);
  expect(() => takeOver(folder, ['figure-10'], wanted, whole)).toThrow('must be whole cells of what is asked for, got none');
  expect(takeOver(folder, ['figure-10'], wanted, whole, true)).toEqual({ given: new Set(), copied: 0 });
  expect(() => takeOver(other, ['figure-05'], wanted, whole)).toThrow('must be published results of figure-05');
  // What is damaged, and not needed, is not looked at.
  for (const name of ['figure-05.csv', 'figure-05.json']) writeFileSync(join(other, name), readFileSync(join(folder, name)));
  const plane = new Set(little[0].cells(plan).map(nameOf));
  expect(takeOver(other, ['figure-05', 'figure-07'], plane, whole)).toEqual({ given: plane, copied: 0 });
  rmSync(other, { recursive: true });
});

test('files alone, without cells, are drawn again to the same bytes; with --from they come from another folder, never over others', async () => {
  const other = mkdtempSync(join(tmpdir(), 'seedmask-experiments-'));
  const store = openStore(other, writeFileSafely);
  for (const { name } of little) takeShown(folder, name, 'full', store);
  expect(readdirSync(other)).toEqual(['cells']);
  for (const { name } of little) takeShown(folder, name, 'quick', store);
  // As many seeds as its file tells, not as this command would run.
  for (const experiment of little) await publish(results(experiment, planOf('quick', 1), store), store);
  const before = files();
  const drawn = readdirSync(other).filter((name) => name !== 'cells');
  expect(drawn).toEqual([...before.keys()].filter((name) => !name.endsWith('.smk')).sort());
  for (const name of drawn) expect(readFileSync(join(other, name)), name).toEqual(before.get(name));
  // Archives come from masks: they are named, and none is written.
  expect(results(little[2], plan, store).files).toEqual([{ name: 'figure-10-init.smk' }, { name: 'figure-10-constant.smk' }]);
  expect(missing(little, plan, store)).toHaveLength(11);
  const csv = join(other, 'figure-05.csv');
  expect(takeShown(folder, 'figure-05', 'quick', store)).toBe(false);
  writeFileSync(csv, 'network\nown\n');
  expect(takeShown(folder, 'figure-05', 'quick', store)).toBe(true);
  expect(readFileSync(csv, 'utf8')).toBe('network\nown\n');
  // One of the two, as a kill between them may leave it, is none.
  rmSync(csv);
  expect(takeShown(folder, 'figure-05', 'quick', store)).toBe(false);
  expect(readFileSync(csv)).toEqual(before.get('figure-05.csv'));
  rmSync(other, { recursive: true });
});

test('rows whose cells are not there are not written over by fewer, and rows of another experiment are named', async () => {
  const other = mkdtempSync(join(tmpdir(), 'seedmask-experiments-'));
  const store = openStore(other, writeFileSafely);
  takeShown(folder, 'figure-07', 'quick', store);
  const [csv, json] = ['figure-07.csv', 'figure-07.json'].map((name) => join(other, name));
  const before = readFileSync(csv);
  const one = planOf('quick', 1);
  const line = `${csv} holds another run: rows of cells that are not in ${join(other, 'cells')} (3), this one has other rows. They would be lost`;
  computed = [];
  await expect(conduct([little[1]], one, store, runner)).rejects.toThrow(line);
  expect([computed, readFileSync(csv)]).toEqual([[], before]);
  const [cell] = little[1].cells(one);
  // A cell of them, as of another experiment, does not take the place of them all, neither in the report nor in the files.
  const { rows, missing: none } = results(little[1], plan, store);
  store.add(cell, open().result(cell)!.rows, 1);
  expect(results(little[1], plan, store)).toMatchObject({ rows, missing: none, done: 6, published: true });
  expect(() => checkKept(little[1], [cell], store)).toThrow('(5), this one has other rows');
  // All that its file shows is taken, though fewer are asked for: what is there is not lost.
  const wanted = new Set(usable(little[1], one, store).map(nameOf));
  expect(takeOver(other, ['figure-07'], wanted, store)).toMatchObject({ copied: 5 });
  await conduct([little[1]], one, store, runner);
  expect(computed).toEqual([]);

  rmSync(join(other, 'cells'), { recursive: true });
  // Rows that are deleted are not lost; cells of another version cannot be told from each other, so none of their rows is written over.
  const table = readFileSync(csv);
  rmSync(csv);
  expect(() => checkKept(little[1], [], store)).not.toThrow();
  writeFileSync(csv, table);
  const published = readFileSync(json, 'utf8');
  writeFileSync(json, published.replace('"kind": "ticket"', '"kind": "other"'));
  expect(() => checkKept(little[1], little[1].cells(plan), store)).toThrow('cells of another version of Seedmask among its 3');
  await expect(publish(results(little[0], plan, open()), store)).resolves.toBeDefined();
  await expect(publish({ ...results(little[1], plan, open()), plan }, store)).rejects.toThrow('Move the file and its CSV away');
  expect(results(little[1], plan, store)).toMatchObject({ rows: [], done: 0 });
  writeFileSync(json, published);
  const hostile = { ...JSON.parse(readFileSync(json, 'utf8')), sha256: undefined, files: ['<script>'] };
  writeFileSync(json, JSON.stringify(hostile));
  expect(await report([results(little[1], plan, store)], plan)).toContain('writes: &lt;script&gt;.');
  writeFileSync(csv, 'criterion,round,kept,testAccuracy\nlarge_final,0,NaN,0.5\n');
  expect(() => results(little[1], plan, store)).toThrow(`${csv} must be rows that figure-07 can be drawn from, got `);
  rmSync(other, { recursive: true });
});

test('results say which version computed them, and keep it on their way through a published folder', async () => {
  const [from, to] = [1, 2].map(() => mkdtempSync(join(folder, 'release-')));
  const [old, now] = [openStore(from, writeFileSafely, '0.0.1'), openStore(to, writeFileSafely, '0.0.2')];
  const [figure] = little;
  const [cell] = figure.cells(plan);
  old.add(cell, open().result(cell)!.rows, 1);
  await publish(results(figure, plan, old), old);
  expect(JSON.parse(readFileSync(join(from, 'figure-05.json'), 'utf8')).release).toBe('0.0.1');
  expect([...old.others]).toEqual([]);
  takeOver(from, ['figure-05'], new Set([nameOf(cell)]), now);
  const held = await publish(results(figure, plan, now), now);
  expect([held.release, ...now.others]).toEqual(['0.0.1', '0.0.1']);
  expect(await report([held], plan)).toContain('Computed by Seedmask 0.0.1.');
  // Nobody knows who computed what tells no version.
  const json = join(from, 'figure-05.json');
  writeFileSync(json, readFileSync(json, 'utf8').replace(/ "release": .*\n/, ''));
  rmSync(join(to, 'cells'), { recursive: true });
  const again = openStore(to, writeFileSafely, '0.0.2');
  takeOver(from, ['figure-05'], new Set([nameOf(cell)]), again);
  expect(again.result(cell)).not.toHaveProperty('release');
});

test('an archive of fewer tasks does not stay beside that of more', async () => {
  const counted = (tasks: number): Experiment => ({
    ...little[0],
    filesNamed: /^tasks-\d+\.smk$/,
    files: () => (tasks > 0 ? [{ name: `tasks-${tasks}.smk`, bytes: Uint8Array.of(tasks) }] : []),
  });
  writeFileSync(join(folder, 'my-tasks-2.smk'), '');
  for (const tasks of [2, 9, 0]) await conduct([counted(tasks)], plan, open(), runner);
  expect([...files().keys()].filter((name) => name.includes('tasks'))).toEqual(['my-tasks-2.smk', 'tasks-9.smk']);
  for (const name of ['my-tasks-2.smk', 'tasks-9.smk']) rmSync(join(folder, name));
  await conduct([little[0]], plan, open(), runner);
});

test('a cell that fails is told at once, all others are computed, and the run ends with its failure', async () => {
  const cells = little[1].cells(plan);
  const [told, forgotten]: string[][] = [[], []];
  let closed = 0;
  const pool: Pool = {
    run: async (cell) => {
      if (cell === cells[1] || cell === cells[4]) throw new Error('its disk\nis full');
      return { rows: [{ seed: cell.seed }], seconds: 0 };
    },
    forget: (cell) => void forgotten.push(nameOf(cell)),
    close: async () => void closed++,
  };
  const watch: Watch = {
    progress: () => undefined,
    done: (cell) => void told.push(nameOf(cell)),
    failed: (cell, reason) => void told.push(`${nameOf(cell)}: ${reason}`),
  };
  await expect(runHere(cells, pool, 2, watch)).rejects.toMatchObject({
    code: 'cell-failed',
    message: `${nameOf(cells[1])} and 1 more of 6 failed: its disk is full. The other cells are stored: --draw shows them, and the same command tries these again`,
  });
  expect(told.sort()).toEqual(cells.map((cell, i) => (i === 1 || i === 4 ? `${nameOf(cell)}: its disk is full` : nameOf(cell))).sort());
  // What was stored of a cell on its way goes once its rows are kept, and no sooner.
  expect(forgotten.sort()).toEqual(told.filter((line) => !line.includes(':')));
  // Where results cannot be kept, nothing more is computed.
  told.length = 0;
  forgotten.length = 0;
  const done = () => {
    throw new SeedmaskError('cannot-write', { field: 'cells', got: 'the disk is full' });
  };
  await expect(runHere(cells, { ...pool, run: async () => ({ rows: [], seconds: 0 }) }, 2, { ...watch, done })).rejects.toThrow(
    'cannot write cells: the disk is full',
  );
  expect([told, forgotten, closed]).toEqual([[], [], 2]);
});

test('results of some seeds are shown, and what is missing is counted', async () => {
  const more = results(little[1], planOf('quick', 3), open());
  expect([more.done, more.missing]).toEqual([6, 3]);
  expect(more.pictures[0].caption).toContain('2 seeds');
  const one = results(little[1], planOf('quick', 1), open());
  expect(one.pictures[0].caption).toContain('1 seed: no range, no test');
  expect(one.pictures[0].caption).not.toContain('★');
});

test('files tell of how many tasks they are; where they do not, they are of as many as the scale has', async () => {
  await publish(results({ ...little[0], ofTasks: true }, planOf('quick', undefined, 7), open()), open());
  expect(heldPlan(little[0], 'quick', open()).tasks).toBe(7);
  expect(heldPlan(little[0], 'quick', open(), { tasks: 5 }).tasks).toBe(5);
  await publish(results(little[0], planOf('quick', undefined, 7), open()), open());
  expect(heldPlan(little[0], 'quick', open()).tasks).toBe(plan.tasks);
  const cells = (e: Experiment, tasks: number) => JSON.stringify(e.cells(planOf('budget', 1, tasks)));
  for (const e of EXPERIMENTS) expect(e.ofTasks ?? false, e.name).toBe(cells(e, 2) !== cells(e, 3));
});

test('what is of one seed alone has no number of seeds, in its file and in its command', async () => {
  expect(EXPERIMENTS.filter((one) => !ofSeeds(one)).map(({ name }) => name)).toEqual([
    ...['figure-05', 'permutations', 'permutations-study', 'unlike-tasks', 'task-matrix', 'supsup', 'unused-outputs', 'transfer'],
  ]);
  const held = await publish(results(little[0], planOf('quick', 7), open()), open());
  expect(JSON.parse(readFileSync(join(folder, 'figure-05.json'), 'utf8')).runs).toBeUndefined();
  expect(await report([held], plan)).toContain('<code>seedmask experiment figure-05 --quick --out FOLDER</code>');
  expect(heldPlan(little[0], 'quick', open(), { runs: 7 }).asked).toBeUndefined();
});

test('results of one scale are not written over by another', () => {
  expect(() => checkScale(EXPERIMENTS, plan, open())).not.toThrow();
  const first = EXPERIMENTS.find(({ name }) => little.some((own) => own.name === name))!.name;
  const message = `${join(folder, first)}.json holds another run: scale quick, this one has scale budget`;
  expect(() => checkScale(EXPERIMENTS, planOf('budget'), open())).toThrow(message);
  const damaged = openStore(mkdtempSync(join(folder, 'damaged-')), writeFileSafely);
  writeFileSync(join(damaged.folder, 'figure-07.json'), '{"scale":');
  expect(() => checkScale(EXPERIMENTS, plan, damaged)).toThrow('scale none that can be read');
});

test('the report is one page: claims with verdicts, drawings inside, nothing fetched', async () => {
  const others = EXPERIMENTS.filter(({ name }) => !little.some((own) => own.name === name));
  const page = await report(
    [...little, ...others].map((experiment) => results(experiment, plan, open())),
    plan,
  );
  expect(page).toMatch(/^<!doctype html>/);
  expect(page).not.toMatch(/<script|<link|@import|url\((?!#)|src=|NaN|undefined/);
  expect(page.match(/<svg /g)).toHaveLength(5);
  expect(page).toContain('<code>seedmask experiment figure-07 --quick --out FOLDER');
  for (const { name } of little) expect(page).toContain(`id="${name}"`);
  for (const { name } of others) expect(page).not.toContain(`id="${name}"`);
  const [, paper, beyond] = page.split(/<h2>(?:The paper's claims|Claims beyond the paper)<\/h2>/);
  expect([paper.includes('A14: '), beyond.includes('A14: ')]).toEqual([true, false]);
  expect([paper.includes('A17: '), beyond.includes('A17: ')]).toEqual([false, true]);
  // Of a quick run nothing is decided: what was run is shown, the rest folded, and no table is empty.
  const [, counts, folded] = /<p class="soft">([^.]*)\..*?<details>(.*?)<\/details>/s.exec(paper)!;
  expect(counts).toMatch(/^\d+ not decided, \d+ not run$/);
  for (const [count, verdict] of counts.split(', ').map((one) => /(\d+) (.*)/.exec(one)!.slice(1)))
    expect(paper.split(`">${verdict}</td>`).length - 1).toBe(Number(count));
  expect(folded).not.toContain('>not decided</td>');
  expect(page).not.toMatch(/<tbody>\s*<\/tbody>/);
  expect(page.match(/<\/tr>/g)!.length).toBe(page.match(/<tr>/g)!.length);
  // A narrow page has the verdict above the evidence, and names whose numbers follow, also where there is a note alone.
  expect(page.match(/class="verdict /g)!.length).toBe(page.match(/<tr><td class="verdict /g)!.length);
  expect(folded).toMatch(/<td data-name="ours"><div class="note">/);
  expect(page).toContain(escaped(NUMBERS));
  for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(page).toContain(`id="${target}"`);
  for (const link of page.matchAll(/href="([^":#]+)"/g)) expect([...files().keys()]).toContain(link[1]);
});

test('the report tells the command of what it shows, as many seeds and tasks as were asked for, and wide tables break at names', async () => {
  const tables = () => [{ title: 'T', caption: 'C', head: ['a_b'], rows: [['large_final <']] }];
  const own: Experiment = { ...little[1], ofTasks: true, tables };
  const commandOf = async (...asked: [runs?: number, tasks?: number]) =>
    /<code>(.*?)<\/code>/.exec(await report([results(own, planOf('quick', ...asked), open())], plan))![1];
  expect(await commandOf()).toBe('seedmask experiment figure-07 --quick --out FOLDER');
  expect(await commandOf(undefined, 3)).toBe('seedmask experiment figure-07 --quick --out FOLDER');
  expect(await commandOf(1, 7)).toBe('seedmask experiment figure-07 --quick --runs 1 --tasks 7 --out FOLDER');
  // The scale's number needs no words, and where none was asked for, that of the drawings has some.
  expect(await commandOf(2)).toBe('seedmask experiment figure-07 --quick --out FOLDER');
  const all = results(own, planOf('quick'), open());
  const lacking = { ...all, pictures: results(own, planOf('quick', 1), open()).pictures, cells: all.cells.slice(0, 2), missing: 4 };
  const lackingOf = async (more: Partial<Conducted>) =>
    /<code>(.*?)<.* (Cells .*?)\.<\/p>/s.exec(await report([{ ...lacking, ...more }], plan))!.slice(1);
  expect(await lackingOf({})).toEqual([
    'seedmask experiment figure-07 --quick --runs 1 --out FOLDER',
    'Cells that are not here: 4, of seeds 0, 1',
  ]);
  expect((await lackingOf({ cells: all.cells.slice(0, 3), missing: 3 }))[1]).toBe('Cells that are not here: 3, of seed 1');
  expect(await lackingOf({ experiment: little[0], missing: 1 })).toEqual([
    'seedmask experiment figure-05 --quick --out FOLDER',
    'Cells that are not here: 1',
  ]);
  expect(await report([results(own, plan, open())], plan)).toContain('<td>large_<wbr>final &lt;</td>');
});

test('a shelf that cannot be written to forgets, says so once, and stops nothing', () => {
  const said = vi.spyOn(console, 'error').mockReturnValue();
  const nowhere = shelfIn('/proc/nowhere/shelf');
  for (const name of ['x', 'y']) nowhere.put(name, { weights: [Float32Array.of(1)], biases: [Float32Array.of(0)] });
  expect(nowhere.get('x')).toBeUndefined();
  expect(said.mock.calls).toEqual([
    [expect.stringMatching(/^seedmask: warning: .*\/proc\/nowhere.*: training goes on, but what it has come to is lost/)],
  ]);
  said.mockRestore();
});

test('a cell of tickets that is stopped goes on after its last round: the same rows, and no round is trained twice', async () => {
  const cells = little[1].cells(plan).flatMap((cell) => (cell.kind === 'ticket' ? { ...cell, rounds: 3, power: 2 } : []));
  const cell = { ...cells[0], mask0: 'toward_zero', mask1: 'signed_reinit' } as const;
  const whole = await runCell(cell, lab);
  const disk = shelfIn(join(folder, 'rounds'));
  for (const last of [1, 2]) {
    const stop = new AbortController();
    const putBegun: Shelf['putBegun'] = (name, network, begun) => {
      disk.putBegun(name, network, begun);
      if (begun.last.round === last) stop.abort();
    };
    await expect(runCell(cell, { ...lab, shelf: { ...disk, putBegun }, signal: stop.signal })).rejects.toThrow('abort');
    // One file for the cell, one for the whole network, which others start from.
    expect(readdirSync(disk.folder).filter((name) => name.startsWith('ticket-'))).toEqual([`${nameOf(cell)}.safetensors`]);
  }
  const told: number[] = [];
  const again = () => runCell(cell, { ...lab, shelf: disk, progress: (fraction) => void told.push(fraction) });
  expect(JSON.stringify(await again())).toBe(JSON.stringify(whole));
  expect(Math.min(...told)).toBeGreaterThan(3 / 4);
  // All rounds are there until the rows are kept elsewhere: a kill in between costs none.
  told.length = 0;
  expect(await again()).toEqual(whole);
  expect(told).toEqual([]);
  // Another cell does not take it for its own, and a damaged one is trained again.
  const file = join(disk.folder, `${nameOf(cell)}.safetensors`);
  const bytes = readFileSync(file);
  const network = ticketNetwork(fc, parseSeed(0));
  expect(disk.begun(nameOf(cell), network)).toMatchObject({ last: { round: 3 }, rows: whole });
  expect(disk.begun(nameOf(cell), ticketNetwork(conv2, parseSeed(0)))).toBeUndefined();
  writeFileSync(join(disk.folder, `${nameOf(cells[1])}.safetensors`), bytes);
  expect(disk.begun(nameOf(cells[1]), network)).toBeUndefined();
  for (const [from, to] of [
    ['\\"round\\":3', '\\"round\\":{'],
    ['\\"rows\\"', '\\"cows\\"'],
  ]) {
    const damaged = Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1');
    expect(damaged).not.toEqual(bytes);
    writeFileSync(file, damaged);
    expect(disk.begun(nameOf(cell), network)).toBeUndefined();
  }
  writeFileSync(file, bytes.subarray(0, -1));
  expect(await again()).toEqual(whole);
  expect(Math.min(...told)).toBe(1 / 2);
  disk.drop(nameOf(cell));
  expect(disk.begun(nameOf(cell), network)).toBeUndefined();
  disk.drop(nameOf(cell));
}, 60_000);

/** Runs a cell on a shelf until an epoch is over. */
async function stoppedAfter(last: number, cell: Cell, shelf: Shelf): Promise<void> {
  const stop = new AbortController();
  const stopping =
    <R>(under: (name: string, network: Network) => Resumable<R>) =>
    (name: string, network: Network): Resumable<R> => {
      const { begun, onEpoch } = under(name, network);
      return {
        begun,
        onEpoch(run, epoch) {
          onEpoch?.(run, epoch);
          if (epoch === last) stop.abort();
        },
      };
    };
  const stopped: Shelf = { ...shelf, weights: stopping(shelf.weights), masks: stopping(shelf.masks) };
  await expect(runCell(cell, { ...lab, shelf: stopped, signal: stop.signal })).rejects.toThrow('abort');
}

const SMALL = { network: 'fc', seed: 0, rows: 512, validation: 100, test: 100 } as const;

test('a cell of tickets that is stopped in the middle of a round goes on after its last stored epoch: the same rows', async () => {
  const about = { kind: 'ticket', ...SMALL, criterion: 'large_final', mask0: 'zero', mask1: 'rewind' } as const;
  const cell = { ...about, rounds: 2, power: 4, epochs: 3 };
  const whole = await runCell(cell, lab);
  const disk = shelfIn(join(folder, 'halves'), { every: 0 });
  const left = () => readdirSync(disk.folder).filter((name) => name.includes('begun'));
  // In round 0, whose weights others may want too, in round 1 and in round 2.
  const ofWeights = 'fc-seed0-rows512-rate0.0012-epoch3-begun.safetensors';
  const ofRounds = `${nameOf(cell)}-begun.safetensors`;
  for (const [epoch, file] of [
    [2, ofWeights],
    [4, ofRounds],
    [8, ofRounds],
  ] as const) {
    await stoppedAfter(epoch, cell, disk);
    expect(left()).toEqual([file]);
  }
  const told: number[] = [];
  const again = () => runCell(cell, { ...lab, shelf: disk, progress: (fraction) => void told.push(fraction) });
  const file = join(disk.folder, ofRounds);
  const bytes = readFileSync(file);
  const rounds = readFileSync(join(disk.folder, `${nameOf(cell)}.safetensors`));
  expect(JSON.stringify(await again())).toBe(JSON.stringify(whole));
  // The last of nine epochs alone, and nothing is left of them.
  expect(Math.min(...told)).toBeGreaterThan(8 / 9);
  expect(left()).toEqual([]);
  // What is damaged, of another cell or of another round counts as forgotten.
  for (const [other, stored] of [
    [rounds, bytes.subarray(0, -1)],
    [rounds, Buffer.from(bytes.toString('latin1').replace(nameOf(cell), nameOf({ ...cell, seed: 1 })), 'latin1')],
    [rounds, Buffer.from(bytes.toString('latin1').replace('\\"powers\\":', '\\"towers\\":'), 'latin1')],
    [Buffer.alloc(0), bytes],
  ]) {
    told.length = 0;
    writeFileSync(join(disk.folder, `${nameOf(cell)}.safetensors`), other);
    writeFileSync(file, stored);
    expect(await again()).toEqual(whole);
    expect(Math.min(...told)).toBeLessThan(8 / 9);
    expect(left()).toEqual([]);
  }
}, 60_000);

test('a cell whose masks are of several ages goes on after its last stored epoch, if it has the weights of every age before', async () => {
  const masks = { criteria: ['large_final'], powers: [4], ages: [1, 3, 4] } as const;
  const cell: Cell = { kind: 'curve', ...SMALL, ...masks };
  const whole = await runCell(cell, { ...lab, shelf: FORGETFUL });
  const disk = shelfIn(join(folder, 'ages'), { every: 0 });
  const at = (what: string) => join(disk.folder, `fc-seed0-rows512-rate0.0012-epoch${what}.safetensors`);
  const told: number[] = [];
  const again = () => runCell(cell, { ...lab, shelf: disk, progress: (fraction) => void told.push(fraction) });
  for (const [lost, first] of [
    ['', 4],
    ['1', 1],
    ['4-begun', 1],
  ] as const) {
    rmSync(disk.folder, { recursive: true, force: true });
    await stoppedAfter(2, cell, disk);
    await stoppedAfter(3, cell, disk);
    expect(['1', '3', '4', '4-begun'].map((what) => existsSync(at(what)))).toEqual([true, true, false, true]);
    if (lost !== '') rmSync(at(lost));
    told.length = 0;
    expect(JSON.stringify(await again())).toBe(JSON.stringify(whole));
    // Four epochs are three tenths of the cell.
    expect(Math.round((Math.min(...told) / 0.3) * 4)).toBe(first);
    expect(['1', '3', '4', '4-begun'].map((what) => existsSync(at(what)))).toEqual([true, true, true, false]);
  }
}, 60_000);

test.each(['bernoulli', 'topk'] as const)(
  'a cell that learns a mask by %s and is stopped goes on after its last stored epoch: the same rows',
  async (method) => {
    const about = { kind: 'learned', ...SMALL, method, weights: 'constant' } as const;
    const rule =
      method === 'topk' ? { learningRate: 0.15, density: [0.1, 0.3], rescale: false } : { learningRate: 100, density: [], rescale: true };
    const cell = { ...about, ...rule, epochs: 4 };
    const whole = await runCell(cell, lab);
    const disk = shelfIn(join(folder, 'masks'), { every: 0 });
    for (const last of [1, 3]) {
      await stoppedAfter(last, cell, disk);
      expect(disk.masks(nameOf(cell), constantTwin(ticketNetwork(fc, parseSeed(0)))).begun).toMatchObject({ epoch: last });
    }
    const told: number[] = [];
    const again = () => runCell(cell, { ...lab, shelf: disk, progress: (fraction) => void told.push(fraction) });
    expect(JSON.stringify(await again())).toBe(JSON.stringify(whole));
    expect(Math.min(...told)).toBeGreaterThan(3 / 4);
    // A damaged one, and one of another network, count as forgotten.
    const file = join(disk.folder, `${nameOf(cell)}.safetensors`);
    const bytes = readFileSync(file);
    expect(disk.masks(nameOf(cell), ticketNetwork(conv2, parseSeed(0))).begun).toBeUndefined();
    for (const damaged of [
      bytes.subarray(0, -1),
      Buffer.from(bytes.toString('latin1').replace('\\"epoch\\":', '\\"epoxh\\":'), 'latin1'),
    ]) {
      expect(damaged).not.toEqual(bytes);
      writeFileSync(file, damaged);
      told.length = 0;
      expect(await again()).toEqual(whole);
      expect(Math.min(...told)).toBeLessThan(1 / 2);
    }
    // Nothing is written before it is worth it.
    const rare = shelfIn(join(folder, 'rare'), { every: Number.POSITIVE_INFINITY });
    await runCell(cell, { ...lab, shelf: rare });
    expect(existsSync(rare.folder)).toBe(false);
  },
);

test('trained weights that are damaged, or of another network or seed, count as forgotten', () => {
  const trained = join(folder, 'trained');
  const disk = shelfIn(trained);
  const weights = { weights: [Float32Array.of(1, 2)], biases: [Float32Array.of(3)] };
  expect(disk.get('a')).toBeUndefined();
  disk.put('a', weights);
  expect(disk.get('a')).toEqual(weights);
  const bytes = readFileSync(join(trained, 'a.safetensors'));
  writeFileSync(join(trained, 'b.safetensors'), bytes);
  expect(disk.get('b')).toBeUndefined();
  for (const length of [0, 7, bytes.length - 1]) {
    writeFileSync(join(trained, 'a.safetensors'), bytes.subarray(0, length));
    expect(disk.get('a')).toBeUndefined();
  }
  disk.put('a', weights);
  expect(disk.get('a')).toEqual(weights);
});

test('a result that a disk has spoilt is told once by its file, and its cell computed again', async () => {
  const cells = little[1].cells(plan);
  const file = join(folder, 'cells', `${nameOf(cells[0])}.json`);
  const [whole, before] = [readFileSync(file), files()];
  for (const bytes of [Buffer.alloc(0), whole.subarray(0, whole.length >> 1), Buffer.alloc(9)]) {
    writeFileSync(file, bytes);
    const told: string[] = [];
    const store = openStore(folder, writeFileSafely, undefined, (line) => told.push(line));
    expect(results(little[1], plan, store).missing).toBe(0);
    expect(store.result(cells[0])).toBeUndefined();
    expect(told).toEqual([
      expect.stringMatching(
        /^[^\n]*ticket-fc-[^\n]*\.json is damaged: [^\n]+It counts as not run: the experiment that it is of computes it again$/,
      ),
    ]);
    computed = [];
    await conduct([little[1]], plan, store, runner);
    expect([computed, JSON.parse(readFileSync(file, 'utf8')).rows]).toEqual([[nameOf(cells[0])], JSON.parse(String(whole)).rows]);
  }
  expect(files()).toEqual(before);
}, 60_000);

test('a damaged result is one line that names the file and says what to do', () => {
  const [cell, other] = little[0].cells(plan).concat(little[1].cells(plan));
  const file = join(folder, 'cells', `${nameOf(cell)}.json`);
  const whole = readFileSync(file);
  for (const text of [
    '[]',
    '{"cell":{},"rows":[{"a":null}],"seconds":1}',
    JSON.stringify({ cell, rows: [], seconds: 1 }),
    JSON.stringify({ cell: other, rows: [{ a: 1 }], seconds: 1 }),
  ]) {
    writeFileSync(file, text);
    expect(() => open().result(cell)).toThrow(
      /^[^\n]*plane-fc-[^\n]*\.json is damaged: [^\n]+Delete the file: the cell is computed again$/,
    );
  }
  writeFileSync(file, whole);
  expect(open().result(cell)?.rows).toHaveLength(300);
});

test('mask-0 actions of a convolutional network run, and their claims are about it', async () => {
  const conv = smaller(figure2, (cell) =>
    cell.kind === 'ticket' && cell.seed === 0 && cell.mask0 === 'toward_zero'
      ? { ...cell, rows: 128, validation: 20, test: 20, rounds: 1 }
      : undefined,
  );
  const [{ rows, claims, pictures }] = await conduct([conv], plan, open(), runner);
  expect(rows).toHaveLength(2);
  expect(pictures.map(({ name }) => name)).toEqual(['figure-02-conv2']);
  expect(claims.map(({ verdict }) => verdict)).toEqual(Array(12).fill('not run'));
}, 60_000);
