// Tables as people have them: words among the numbers, cells that are missing, columns that say nothing. Words become one feature a
// category and missing numbers their column's mean, as the same table is when that is done by hand; and every command reads them alike.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parted } from '../cli/datasets/labelled.js';
import { loadDataset } from '../cli/datasets/load.js';
import { readModel } from '../codec/index.js';
import { commandLine } from './cli.material.js';

const { folder, seedmask } = commandLine('columns');
const at = (name: string) => join(folder, name);
const put = (name: string, lines: readonly (readonly unknown[])[]): string => {
  writeFileSync(at(name), `${lines.map((cells) => cells.map((cell) => `"${cell}"`).join()).join('\n')}\n`);
  return at(name);
};

const MISSING = ['', '?', 'NA', 'na', 'N/A', 'NaN', 'nan', 'NULL', 'null', 'None'];
const COLOURS = ['blue', 'green', 'red=dark'];

test('words are the categories and missing cells the means of the same table made by hand', () => {
  const row = fc.record({
    size: fc.option(fc.integer({ min: -50, max: 50 })),
    colour: fc.option(fc.constantFrom(...COLOURS)),
    missing: fc.constantFrom(...MISSING),
  });
  fc.assert(
    fc.property(fc.array(row, { minLength: 20, maxLength: 60 }), (drawn) => {
      // Every category, and a number, is among the training rows: the first of each class is.
      const first = COLOURS.map((colour, i) => ({ size: i, colour, missing: '' }));
      const rows = [...first, ...first, ...drawn];
      const classOf = (i: number) => (i < 3 ? 'x' : i < 6 ? 'y' : 'xy'[i % 2]);
      const mixed = put('mixed.csv', [
        ['size', 'colour', 'label'],
        ...rows.map(({ size, colour, missing }, i) => [size ?? missing, colour ?? missing, classOf(i)]),
      ]);
      const found = loadDataset(mixed, { impute: true });
      const names = ['size', ...COLOURS.map((colour) => `colour=${colour}`)];
      const numbers = rows.map(({ size, colour }) => [size, ...COLOURS.map((c) => (colour === null ? null : Number(colour === c)))]);
      const inTraining = new Set(parted([...rows.keys()], classOf).train);
      const mean = names.map((_, column) => {
        const known = numbers.filter((cells, i) => inTraining.has(i) && cells[column] !== null).map((cells) => Number(cells[column]));
        return known.reduce((a, b) => a + b, 0) / known.length;
      });
      const byHand = loadDataset(
        put('hand.csv', [[...names, 'label'], ...numbers.map((cells, i) => [...cells.map((cell, c) => cell ?? mean[c]), classOf(i)])]),
      );
      expect(found.train.features!.names).toEqual(names);
      for (const part of ['train', 'test'] as const) {
        expect(found[part].labels).toEqual(byHand[part].labels);
        // The mean itself is the middle, 127.5, which either way may round.
        found[part].images.forEach((byte, i) => {
          expect(Math.abs(byte - byHand[part].images[i])).toBeLessThanOrEqual(byte === 128 ? 1 : 0);
        });
      }
      expect(found.columns!.categories).toEqual(new Map([['colour', 3]]));
      expect(found.columns!.imputed.train.get('size') ?? 0).toBe(rows.filter(({ size }, i) => size === null && inTraining.has(i)).length);
    }),
    { numRuns: 60 },
  );
});

/** Sixty rows in which colour and size tell the class; `id` counts them, `name` is of each its own. */
const TABLE = [
  ['id', 'name', 'size', 'colour', 'label'],
  ...Array.from({ length: 60 }, (_, i) => [i + 1, `n${i}`, 10 * (i % 2) + (i % 5), ['blue', 'red', 'green'][i % 3], 'xy'[i % 2]]),
];
const changed = (name: string, change: (cell: unknown, row: number, column: string) => unknown) =>
  put(name, [TABLE[0], ...TABLE.slice(1).map((cells, row) => cells.map((cell, i) => change(cell, row + 1, String(TABLE[0][i]))))]);
const train = (file: string, network: string, ...more: string[]) =>
  seedmask(...['train', '--data', file, '--network', network, '--epochs', '8', '--density', '.8', '--out', 'x.smk'], ...more);

test('train, eval, transfer and prune leave columns out, take words as categories and fill in what is missing', () => {
  changed('whole.csv', (cell) => cell);
  changed('holes.csv', (cell, row, column) => (row % 7 === 3 && /size|colour/.test(column) ? 'NA' : cell));
  const learned = train('holes.csv', 'fc:4-16-2', '--ignore', 'id,name', '--impute', '--json');
  expect(learned.stderr).toBe('');
  const parts = parted(TABLE.slice(1), (cells) => String(cells[4]));
  const lacking = (rows: typeof TABLE) => rows.filter(([id]) => Number(id) % 7 === 3).length;
  const missing = lacking(TABLE);
  const columns = { label: 'label', categories: { colour: 3 }, imputed: { size: missing, colour: missing } };
  expect(JSON.parse(learned.stdout)).toMatchObject(columns);
  expect(train('holes.csv', 'fc:4-16-2', '--ignore', 'id', '--ignore', 'name', '--impute').stdout).toContain(
    `\nlabel column label, 2 classes; categories of colour (3); filled in size (${missing}), colour (${missing})\n`,
  );
  const { transform } = readModel(new Uint8Array(readFileSync(at('x.smk')))).tasks[0];
  expect(transform.features?.names).toEqual(['size', 'colour=blue', 'colour=green', 'colour=red']);
  // The task knows its columns: those beside them are left out, and words are its categories.
  const evaluate = (file: string, ...more: string[]) => seedmask('eval', 'x.smk', '--data', file, ...more);
  expect(evaluate('whole.csv').status).toBe(0);
  expect(JSON.parse(evaluate('holes.csv', '--impute', '--json').stdout)).toMatchObject({ imputed: { size: lacking(parts.test) } });
  expect(JSON.parse(evaluate('holes.csv', '--impute', '--json', '--all').stdout)).toMatchObject(columns);
  expect(evaluate('holes.csv', '--impute', '--all').stdout).toMatch(/\nlabel column label; categories of colour \(3\); filled in size/);
  expect(evaluate('holes.csv').stderr).toMatch(
    /size of row 3 in holes.csv: 'NA', expected a number .*\. Fill it in \(--impute: with the mean\), or leave its row out of the file\n$/,
  );
  // Codes and booleans as other programs write them: a column of whole numbers with a gap has parts.
  const words = [['code', 'on', 'label'], ...Array.from({ length: 20 }, (_, i) => [`${i % 3}`, i % 4 < 2 ? 'True' : 'False', 'xy'[i % 2]])];
  const coded = loadDataset(put('coded.csv', words), { categories: ['code'] }).train;
  const others = words.map((cells) => cells.map((cell) => (/^\d$/.test(cell) ? `${cell}.0` : cell.length > 3 ? cell.toLowerCase() : cell)));
  expect(loadDataset(put('others.csv', others), { features: coded.features, labels: coded.names }).train.images).toEqual(coded.images);
  changed('pink.csv', (cell, row) => (row === 5 && cell === 'red' ? 'pink' : cell));
  expect(evaluate('pink.csv').stderr).toMatch(
    /colour of row 5 in pink.csv: 'pink', expected a category of the task: blue, green, red\. Let --impute take it for missing, or leave its/,
  );
  expect(JSON.parse(evaluate('pink.csv', '--all', '--impute', '--json').stdout).imputed).toEqual({ colour: 1 });
  expect(evaluate('whole.csv', '--ignore', 'colour').stderr).toBe(
    'seedmask: whole.csv: --ignore must be a column that the task does not take: id, name, label, got colour\n',
  );
  const known = ['transfer', 'x.smk', 'holes.csv', '--epochs', '1', '--json'];
  expect(JSON.parse(seedmask(...known, '--impute').stdout)).toMatchObject(columns);
  expect(seedmask(...known).stderr).toMatch(/'NA', expected a number/);
  const pruned = seedmask(
    ...['prune', '--data', 'holes.csv', '--network', 'fc:4-16-2', '--ignore', 'id,name', '--impute', '--epochs', '1'],
    ...['--out', 'y.smk', '--json'],
  );
  expect(JSON.parse(pruned.stdout)).toMatchObject(columns);
}, 60_000);

test('a column of whole numbers that only rise is told; in another order, or with parts, they are not', () => {
  const counters = (name: string, change: (row: number) => unknown) =>
    loadDataset(
      changed(name, (cell, row, column) => (column === 'id' ? change(row) : cell)),
      { ignore: ['name'] },
    ).columns!.counters;
  expect(counters('from5.csv', (row) => row + 4)).toEqual(['id']);
  expect(counters('swapped.csv', (row) => (row === 8 ? 9 : row === 9 ? 8 : row))).toEqual([]);
  expect(counters('even.csv', (row) => 2 * row)).toEqual(['id']);
  expect(counters('twice.csv', (row) => row >> 1)).toEqual([]);
  expect(counters('halves.csv', (row) => row / 2)).toEqual([]);
  changed('whole.csv', (cell) => cell);
  expect(train('whole.csv', 'fc:5-16-2', '--ignore', 'name').stderr).toMatch(
    /^seedmask: warning: the numbers of id only rise from row to row, as a count does, and are learned from: --ignore leaves a column out$/m,
  );
});

test('a column without a name, as pandas writes its index, is learned from by nobody, and found by its place to be left out', () => {
  const rows = Array.from({ length: 20 }, (_, row) => [(7 * row) % 20, row % 7, row % 2 ? 'a' : 'b', '']);
  put('index.csv', [['', 'size', 'kind', ''], ...rows]);
  const load = (...ignore: string[]) => loadDataset(at('index.csv'), { ignore });
  expect(() => load()).toThrow(/column-1 without a name, expected a name for what is learned \(--ignore column-1; /);
  expect(() => load('column-1')).toThrow(/column-4 without a name/);
  expect(load('column-1,column-4').train).toMatchObject({ names: ['a', 'b'], features: { names: ['size'] } });
  // A task finds its columns by their names, whatever stands beside them.
  expect(train('index.csv', 'fc:1-8-2', '--ignore', 'column-1,column-4').status).toBe(0);
  expect(seedmask('eval', 'x.smk', '--data', 'index.csv').stderr).toBe('');
});

test('without --impute a word for nothing is one more category, and an empty cell is refused', () => {
  const names = (words: readonly string[], impute = false) =>
    loadDataset(
      put('words.csv', [['c', 'n', 'label'], ...Array.from({ length: 20 }, (_, i) => [words[i % words.length], i % 3, 'xy'[i % 2]])]),
      {
        impute,
      },
    ).train.features!.names;
  expect(names(['a', 'b', '?'])).toEqual(['c=?', 'c=a', 'c=b', 'n']);
  expect(train('words.csv', 'fc:4-8-2').stderr).toMatch(
    /^seedmask: warning: c=\? is learned as a category: --impute takes it for missing$/m,
  );
  expect(names(['a', 'b', '?'], true)).toEqual(['c=a', 'c=b', 'n']);
  expect(() => names(['a', 'b', ''])).toThrow(
    /c of row 3 in .*: nothing, expected a category of the training rows: a, b. Let --impute take it for missing/,
  );
});

const rows = (cell: (i: number) => unknown, count = 20) => [
  ['c', 'n', 'label'],
  ...Array.from({ length: count }, (_, i) => [cell(i), i % 3, 'xy'[i % 2]]),
];
const wrong: [what: string, lines: readonly (readonly unknown[])[], wanted: Parameters<typeof loadDataset>[1], message: RegExp][] = [
  ['decimal commas', rows((i) => `${i % 4},5`), {}, /c of row 1 in .*: '0,5', expected a number .* with a decimal point\. Mend it/],
  ['percent', rows((i) => `${i % 4} %`), {}, /'0 %', expected a number/],
  ['money', rows((i) => `$1,00${i % 4}`), {}, /'\$1,000', expected a number/],
  ['a word among numbers', rows((i) => (i === 4 ? 'four' : i)), {}, /c of row 5 in .*: 'four', expected a number/],
  ['digits without end', rows((i) => `${'1 '.repeat(50_000)}x${i}`, 130), {}, /130 different words/],
  [
    'names',
    rows((i) => `n${i}`, 130),
    {},
    /130 different words \(n0, n1, ..\), expected numbers, or at most 64 categories\. --ignore c leaves/,
  ],
  ['nothing', rows(() => 'NA'), { impute: true }, /c of .*: nothing in any training row, expected a number at least, or --ignore c$/],
  ['no such column', rows((i) => i), { ignore: ['N'] }, /--ignore must be a column of the data: (n, c|c, n), label, got N$/],
  ['all columns', rows((i) => i), { ignore: ['c,n'] }, /no column of features, expected one beside c, n, label$/],
  ['the column of classes', rows((i) => i), { ignore: ['n'], label: 'n' }, /--label must be a column of classes: .*, got n$/],
  ['a long word', rows((i) => 'ab'[i % 2].repeat(254)), {}, /the category a+\.\.\., expected at most 255 bytes with its column$/],
];

test.each(wrong)('%s is refused in one line', (_, lines, wanted, message) => {
  expect(() => loadDataset(put('wrong.csv', lines), wanted)).toThrow(message);
});

test('a column and a category of one name are refused, and what stands in a column of its own is read there', () => {
  const lines = (category: string) => [
    ['c', 'c=a', 'label'],
    ...Array.from({ length: 20 }, (_, i) => [[category, 'b'][i % 2], i % 3, 'xy'[i % 2]]),
  ];
  expect(() => loadDataset(put('both.csv', lines('a')))).toThrow(
    /a category c=a of the column c beside the column c=a, expected names apart$/,
  );
  const { train } = loadDataset(put('both.csv', lines('z')));
  expect(train.features!.names).toEqual(['c=b', 'c=z', 'c=a']);
  expect(loadDataset(at('both.csv'), { features: train.features, labels: train.names }).train.images).toEqual(train.images);
});

test('a name with a comma is left out by itself, and options of columns are refused where there are none', () => {
  const lines = [['a, b', 'a', 'label'], ...Array.from({ length: 20 }, (_, i) => [i % 4, i % 3, 'xy'[i % 2]])];
  expect(loadDataset(put('comma.csv', lines), { ignore: ['a, b'] }).train.features!.names).toEqual(['a']);
  expect(() => loadDataset('mnist', { ignore: ['a', 'b'] })).toThrow(/^--ignore must be left away: mnist has no columns, got a,b$/);
  expect(() => loadDataset('mnist', { impute: true })).toThrow(/^--impute must be left away: mnist has no columns, got true$/);
});

test('--categories takes numbers for words, and a column where one is among words', () => {
  const lines = rows((i) => [1, 2, 'x'][i % 3]);
  const { train } = loadDataset(put('codes.csv', lines), { categories: ['c,n'] });
  expect(train.features!.names).toEqual(['c=1', 'c=2', 'c=x', 'n=0', 'n=1', 'n=2']);
  // A task that knows them reads them as they are.
  expect(loadDataset(at('codes.csv'), { features: train.features, labels: train.names }).train.images).toEqual(train.images);
  expect(() => loadDataset(at('codes.csv'))).toThrow(
    /c of row 3 in .*: 'x', expected a number .*, as 1 in row 1\. Mend it, take the column for words \(--categories c\), leave/,
  );
  expect(() => loadDataset(at('codes.csv'), { categories: ['label'] })).toThrow(
    /--categories must be a column of features: (n, c|c, n), got label$/,
  );
  const pruned = seedmask(
    ...['prune', '--data', 'codes.csv', '--network', 'fc:4-8-2', '--categories', 'c', '--epochs', '1', '--out', 'y.smk', '--json'],
  );
  expect(JSON.parse(pruned.stdout).categories).toEqual({ c: 3 });
});

test('a category that reads as one of another column is refused: a task could not find it again', () => {
  const of = (a: (i: number) => unknown, other: string) =>
    put('near.csv', [['a', other, 'label'], ...Array.from({ length: 20 }, (_, i) => [a(i), 'cd'[i % 2], 'xy'[i % 2]])]);
  // The column is the longest that the name begins with.
  const { features, names } = loadDataset(of((i) => i, 'a=b')).train;
  expect(features!.names).toEqual(['a', 'a=b=c', 'a=b=d']);
  const { images } = loadDataset(at('near.csv')).train;
  expect(loadDataset(at('near.csv'), { features, labels: names }).train.images).toEqual(images);
  expect(() => loadDataset(of((i) => ['b=c', 'q'][i % 2], 'a=b'))).toThrow(
    /a category a=b=c of the column a beside the column a=b, expected names apart$/,
  );
});

test('a class that a word for nothing names is told, and which column was taken where a label is none of the task', () => {
  changed('lost.csv', (cell, row, column) => (column === 'label' && row % 9 === 0 ? 'NA' : cell));
  expect(train('lost.csv', 'fc:4-16-3', '--ignore', 'id,name').stderr).toMatch(
    /^seedmask: warning: NA in label is learned as a class: leave these rows out if their label is missing$/m,
  );
  expect(train('lost.csv', 'fc:4-16-2', '--ignore', 'id,name').stderr).toMatch(
    /--data must be of at most 2 classes, as the network has, got 3 in lost.csv \(NA, x, y\)\. Take other data/,
  );
  changed('whole.csv', (cell) => cell);
  expect(train('whole.csv', 'fc:4-16-2', '--ignore', 'id,name').status).toBe(0);
  expect(seedmask('eval', 'x.smk', '--data', 'whole.csv', '--label', 'name').stderr).toBe(
    'seedmask: no data set in name of row 1 in whole.csv: label n0, expected a label of the task: x, y. --label names another column\n',
  );
  expect(train('whole.csv', 'fc:3-16-2', '--ignore', 'id,name').stderr).toMatch(
    /got 4 values in whole.csv \(size, colour=blue, colour=green and 1 more\)\. Take other data or --network fc:4-64-2\n$/,
  );
});
