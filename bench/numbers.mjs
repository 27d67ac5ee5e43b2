// Masks over numbers with the defaults of `seedmask train`: mean and range of validation and test accuracy over seeds, of data made from
// seeds here and of your own CSV files.
//
//   npm run build && node bench/numbers.mjs [--seeds 5] [--hidden 64] [FILE.csv ...]

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import seedrandom from 'seedrandom';
import { loadDataset } from '../dist/cli/datasets.js';

const { values, positionals } = parseArgs({
  options: { seeds: { type: 'string', default: '5' }, hidden: { type: 'string', default: '64' } },
  allowPositionals: true,
});
const folder = mkdtempSync(join(tmpdir(), 'seedmask-numbers-'));
const cli = new URL('../dist/cli/main.js', import.meta.url).pathname;

const random = seedrandom('numbers');
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
/** A class and its numbers, 600 rows. */
const MADE = {
  'three blobs, 4 features': blobs(4, 3, 4, 1),
  'two moons, 2 features': (i) => {
    const angle = Math.PI * random();
    const [x, y] = i % 2 ? [1 - Math.cos(angle), 0.5 - Math.sin(angle)] : [Math.cos(angle), Math.sin(angle)];
    return [i % 2, x + 0.15 * normal(), y + 0.15 * normal()];
  },
  'three classes, 13 features': blobs(13, 3, 1.2, 1),
  'two classes, 30 skewed features': (() => {
    const row = blobs(30, 2, 0.7, 1);
    return (i) => row(i).map((value, at) => (at === 0 ? value : Math.exp(value / 2)));
  })(),
};

/** Classes that are normal around centres of their own, every feature on a scale of its own. */
function blobs(features, classes, apart, width) {
  const centres = Array.from({ length: classes }, () => Array.from({ length: features }, () => apart * normal()));
  return (i) => [i % classes, ...centres[i % classes].map((at, f) => (at + width * normal()) * 10 ** (f % 3))];
}

const files = Object.entries(MADE).map(([name, row]) => {
  const rows = Array.from({ length: 600 }, (_, i) => row(i));
  const path = join(folder, `${name}.csv`);
  writeFileSync(path, `label,${rows[0].slice(1).map((_, i) => `f${i}`)}\n${rows.map((cells) => cells.join()).join('\n')}\n`);
  return path;
});
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
const round = (x) => x.toFixed(3);
console.log('| data | rows | network | validation | test (range) | bytes | seconds |\n|---|---|---|---|---|---|---|');
for (const file of [...files, ...positionals]) {
  const { train, test } = loadDataset(file);
  const network = `fc:${train.input[2]}-${values.hidden}-${train.names.length}`;
  const runs = Array.from({ length: Number(values.seeds) }, (_, seed) => {
    const words = ['train', '--data', file, '--network', network, '--seed', String(seed), '--out', join(folder, 'x.smk'), '--json'];
    const { stdout, stderr, status } = spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return { ...JSON.parse(stdout), bytes: readFileSync(join(folder, 'x.smk')).length };
  });
  const of = (key) => runs.map((run) => run[key]);
  const tests = of('testAccuracy');
  const range = `${round(mean(tests))} (${round(Math.min(...tests))} to ${round(Math.max(...tests))})`;
  const rows = train.labels.length + test.labels.length;
  console.log(
    `| ${basename(file, '.csv')} | ${rows} | ${network} | ${round(mean(of('valAccuracy')))} | ${range} | ${Math.round(mean(of('bytes')))} | ${mean(of('trainSeconds')).toFixed(2)} |`,
  );
}
rmSync(folder, { recursive: true });
