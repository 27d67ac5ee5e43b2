// seedmask eval: how good a task of a model file is on the test rows of its data, or on all of them, per class and as a confusion matrix.

import Table from 'cli-table3';
import { Command } from 'commander';
import { oneLine } from '../../codec/one-line.js';
import { permuted } from '../../src/data.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { type Evaluation, evaluate } from '../../src/evaluate.js';
import { asInputs } from '../../src/features.js';
import { inputs } from '../../src/network.js';
import { checkFits, checkKind, columnsJson, columnsLine } from '../datasets/fit.js';
import { sha256 } from '../datasets/known.js';
import { loadDataset } from '../datasets/load.js';
import type { LoadedData } from '../datasets/own-data.js';
import { networkFileOption, readTask } from '../models.js';
import {
  type ColumnOptions,
  columnOptionsOf,
  counted,
  dataOption,
  ignoreOption,
  imputeOption,
  labelOption,
  type Output,
  outputOf,
  threadsOption,
} from '../options.js';

interface Options extends Output, ColumnOptions {
  data: string;
  all?: boolean;
  task?: string;
  network?: string;
  threads?: number;
}

export function makeCommand(): Command {
  return new Command('eval')
    .argument('<file>', 'model file (.smk)')
    .addOption(dataOption())
    .addOption(labelOption())
    .addOption(ignoreOption())
    .addOption(imputeOption())
    .option('--all', 'test all rows of the data, those to learn from as well: for data kept apart')
    .option('--task <id>', 'which task of a file with several')
    .addOption(networkFileOption())
    .addOption(threadsOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask eval models/trained/mnist.smk --data mnist
  seedmask eval --json --data mnist archive.smk --task permuted
  seedmask eval plants.smk --data holdout.csv --all
  seedmask eval mask.smk --network network.smk --data mnist`,
    )
    .action(run);
}

async function run(file: string, options: Options): Promise<void> {
  const { network, task } = await readTask(file, options.task, options.network);
  const { features } = task.transform;
  const { input } = network;
  const data = loadDataset(options.data, {
    features,
    labels: task.labels,
    channels: input[2],
    ...columnOptionsOf(options),
    whole: options.all,
  });
  checkFits(data, network, { classes: task.labels.length });
  checkKind(data, features);
  const [pixels, classLabels] = [task.data?.pixelPermutation ?? null, task.data?.labelPermutation ?? null];
  const test = permuted(data.test, pixels, classLabels, { classes: task.labels.length });
  const engine = await createWasmEngine({ threads: options.threads });
  const classifier = engine.classifier(network, { mask: task.mask, transform: task.transform });
  const { constant } = task.transform;
  // Features are bytes already, made as the task makes them.
  const images = asInputs(test.images, { constant }, inputs(network));
  const result = evaluate(classifier, images, test.labels, { labelNames: task.labels, logitScale: task.logitScale });
  engine.close();
  outputOf(options).print(
    {
      task: task.id,
      ...columnsJson(data.columns, rowsOf(options)),
      testAccuracy: result.accuracy,
      nll: result.nll,
      ece: result.ece,
      part: options.all ? 'all' : 'test',
      samples: result.samples,
      logitsSha256: logitsSha256(result.logits),
      perClass: result.perClass,
      confusion: result.confusion,
    },
    () => text(file, partOf(data, options), data.columns && columnsLine(data.columns, rowsOf(options)), result),
  );
}

/** SHA-256 of the logits in test order, little-endian: i32 for an integer program, else f32. */
export function logitsSha256(logits: Int32Array | Float32Array): string {
  return sha256(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
}

/** The rows that are tested. */
const rowsOf = ({ all }: Options) => ({ parts: all ? (['train', 'test'] as const) : (['test'] as const) });

/** The same in words. */
const partOf = ({ name, test, drawn }: LoadedData, { all }: Options): string => {
  const rows = test.labels.length.toLocaleString('en');
  if (all) return `all ${rows} rows of ${name}`;
  return `${rows} test rows of ${name}${drawn ? ' (a fifth of each class; --all: every row)' : ''}`;
};

/** A matrix of more classes is wider than any screen: the lines of its pairs are what people read. */
const MATRIX_CLASSES = 30;
/** Lines of confused pairs: beside a matrix, and in place of one. */
const [FEW_PAIRS, MANY_PAIRS] = [3, 10];

const rightOf = ({ accuracy }: Evaluation['perClass'][number]): string => (accuracy === null ? '-' : `${(100 * accuracy).toFixed(1)} %`);

function matrix({ perClass, confusion }: Evaluation): string {
  const table = new Table({ head: ['truth \\ said', ...perClass.map((c) => c.label), 'right'], style: { head: [], border: [] } });
  confusion.forEach((row, i) => {
    table.push([perClass[i].label, ...row.map((n, j) => (n === 0 ? '.' : i === j ? `[${n}]` : String(n))), rightOf(perClass[i])]);
  });
  return table.toString();
}

/** How many rows a class has, and how many of them are right. */
const linesOf = ({ perClass }: Evaluation): string =>
  perClass.map((c) => `${rightOf(c).padStart(7)} of ${counted(c.samples, 'row')}: ${c.label}`).join('\n');

function text(file: string, rows: string, columns: string | undefined, evaluation: Evaluation): string {
  const result = { ...evaluation, perClass: evaluation.perClass.map((c) => ({ ...c, label: oneLine(c.label) })) };
  const { accuracy, nll, ece, perClass, confusion, logits } = result;
  const fits = perClass.length <= MATRIX_CLASSES;
  const worst = confusion
    .flatMap((row, i) => row.map((n, j) => ({ n, i, j })))
    .filter(({ n, i, j }) => i !== j && n > 0)
    .sort((a, b) => b.n - a.n)
    .slice(0, fits ? FEW_PAIRS : MANY_PAIRS)
    .map(({ n, i, j }) => `${perClass[i].label} taken for ${perClass[j].label} ${n} times`);
  return [
    `${file}: accuracy ${accuracy.toFixed(4)} on ${rows}, NLL ${nll.toFixed(4)}, ECE ${ece.toFixed(4)}`,
    ...(columns === undefined ? [] : [columns]),
    `logits ${logitsSha256(logits)} (${logits instanceof Int32Array ? 'integers' : 'f32'})`,
    fits ? matrix(result) : linesOf(result),
    worst.length ? `Most confused: ${worst.join('; ')}.` : 'No mistakes.',
  ].join('\n');
}
