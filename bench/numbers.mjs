// Masks over numbers with the defaults of `seedmask train`: mean and range of validation and test accuracy over seeds, and how honest the
// probabilities are (negative log-likelihood and calibration error of the test rows), of data made from seeds here and of your own CSV
// files.
//
//   npm run build && node bench/numbers.mjs [--seeds 5] [--hidden 64] [--rows 600] [--missing 0] [FILE.csv ...]
//
// --missing leaves so large a part of all numbers out, drawn by a seed, and fills them in as `--impute` does.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import seedrandom from 'seedrandom';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { partsOf, RATE, trainTask } from '../dist/cli/learn.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { evaluate } from '../dist/src/evaluate.js';
import { describe } from '../dist/src/network.js';
import { parseSeed } from '../dist/src/random.js';
import { maskNetwork, topkTraining } from '../dist/src/recipes.js';

const { values, positionals } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    hidden: { type: 'string', default: '64' },
    rows: { type: 'string', default: '600' },
    missing: { type: 'string', default: '0' },
  },
  allowPositionals: true,
});
const folder = mkdtempSync(join(tmpdir(), 'seedmask-numbers-'));
const engine = await createWasmEngine({ threads: 1 });

const random = seedrandom('numbers');
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
/** A class and its numbers, a row. */
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
    return (i) => row(i).map((value, at) => (at === 0 ? value : Math.exp(value / 2 / 10 ** ((at - 1) % 3))));
  })(),
};

/** Classes that are normal around centres of their own, every feature on a scale of its own. */
function blobs(features, classes, apart, width) {
  const centres = Array.from({ length: classes }, () => Array.from({ length: features }, () => apart * normal()));
  return (i) => [i % classes, ...centres[i % classes].map((at, f) => (at + width * normal()) * 10 ** (f % 3))];
}

const files = Object.entries(MADE).map(([name, row]) => {
  const rows = Array.from({ length: Number(values.rows) }, (_, i) => row(i));
  const path = join(folder, `${name}.csv`);
  writeFileSync(path, `label,${rows[0].slice(1).map((_, i) => `f${i}`)}\n${rows.map((cells) => cells.join()).join('\n')}\n`);
  return path;
});
/** A copy of a file without some of its numbers; classes stay. @param {string} file */
function holed(file) {
  const [names, ...lines] = readFileSync(file, 'utf8')
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(','));
  const label = loadDataset(file, { impute: true }).columns?.label;
  const drawn = seedrandom('missing');
  const rows = lines.map((cells) => cells.map((cell, i) => (names[i] !== label && drawn() < Number(values.missing) ? '' : cell)));
  const path = join(folder, `${basename(file, '.csv')} with holes.csv`);
  writeFileSync(path, `${[names, ...rows].map((cells) => cells.join()).join('\n')}\n`);
  return path;
}
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
const round = (x) => x.toFixed(3);
console.log(
  '| data | rows | network | validation | test (range) | bytes | seconds | test NLL | calibration error |\n|---|---|---|---|---|---|---|---|---|',
);
for (const file of [...files, ...positionals]) {
  const data = loadDataset(Number(values.missing) > 0 ? holed(file) : file, { impute: true });
  const { train, test } = data;
  /** @type {import('../dist/src/network.js').Architecture} */
  const architecture = {
    input: train.input,
    layers: [
      { kind: 'dense', units: Number(values.hidden), activation: 'relu' },
      { kind: 'dense', units: train.names.length, activation: 'linear' },
    ],
  };
  const network = describe(architecture);
  const { density, epochs } = topkTraining(architecture);
  const runs = [];
  for (let seed = 0; seed < Number(values.seeds); seed++) {
    const key = parseSeed(seed);
    const parts = partsOf(train, key);
    const run = await trainTask(engine, maskNetwork(architecture, key), data, parts, { density, epochs, rate: RATE });
    runs.push({ ...run, ...honesty(run.model, test) });
  }
  const of = (key) => runs.map((run) => run[key]);
  const tests = of('testAccuracy');
  const range = `${round(mean(tests))} (${round(Math.min(...tests))} to ${round(Math.max(...tests))})`;
  const rows = train.labels.length + test.labels.length;
  console.log(
    `| ${basename(file, '.csv')} | ${rows} | ${network} | ${round(mean(of('valAccuracy')))} | ${range} | ${Math.round(mean(of('fileBytes')))} | ${mean(of('trainSeconds')).toFixed(2)} | ${round(mean(of('nll')))} | ${round(mean(of('ece')))} |`,
  );
}
/** Negative log-likelihood and expected calibration error of a one-task model. */
/** @param {import('../dist/codec/index.js').Model} model */
function honesty({ network, tasks: [task] }, { images, labels }) {
  const classifier = engine.classifier(network, { mask: task.mask, transform: task.transform });
  const found = evaluate(classifier, images, labels, { labelNames: task.labels, logitScale: task.logitScale });
  classifier.free();
  return found;
}
engine.close();
rmSync(folder, { recursive: true });
