// seedmask eval: how good a task of a model file is on its test set, per class and as a confusion matrix.

import { createHash } from 'node:crypto';
import Table from 'cli-table3';
import { Command } from 'commander';
import { SeedmaskError, type Task } from '../codec/index.js';
import { asInputs, type Dataset } from '../src/data.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { type Evaluation, evaluate } from '../src/evaluate.js';
import { inputs } from '../src/network.js';
import { DOMAIN, permutation } from '../src/random.js';
import { checkFits, loadDataset } from './datasets.js';
import { networkFileOption, readTask } from './models.js';
import { dataOption, type Output, outputOf, threadsOption } from './options.js';

interface Options extends Output {
  data: string;
  task?: string;
  network?: string;
  threads?: number;
}

export function evalCommand(): Command {
  return new Command('eval')
    .argument('<file>', 'model file (.smk)')
    .addOption(dataOption())
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
  seedmask eval mask.smk --network network.smk --data mnist`,
    )
    .action(async (file: string, options: Options) => run(file, options));
}

/** The test set as the task sees it: its pixel and label permutations applied. */
function asSeen(task: Task, test: Dataset): Dataset {
  const width = test.input[0] * test.input[1] * test.input[2];
  let { images, labels } = test;
  if (task.data?.pixelPermutation) {
    const order = permutation(width, task.data.pixelPermutation, DOMAIN.pixelPermutation);
    images = new Uint8Array(test.images.length);
    for (let row = 0; row < images.length; row += width) for (let i = 0; i < width; i++) images[row + i] = test.images[row + order[i]];
  }
  if (task.data?.labelPermutation) {
    const order = permutation(task.labels.length, task.data.labelPermutation, DOMAIN.labelPermutation);
    labels = test.labels.map((label) => order[label]);
  }
  return { ...test, images, labels };
}

async function run(file: string, options: Options): Promise<void> {
  const { network, task } = await readTask(file, options.task, options.network);
  const { features } = task.transform;
  const data = loadDataset(options.data, { features, labels: task.labels });
  const raw = data.test;
  const width = inputs(network);
  if (raw.labels.length === 0)
    throw new SeedmaskError('no-dataset', { field: options.data, got: 'no test images', expected: 'at least one' });
  checkFits(data, network, task.labels.length);
  if ((features === undefined) !== (raw.features === undefined)) {
    const [expected, got] = features ? ['numbers (CSV), as the task takes', 'images'] : ['images, as the task takes', 'numbers'];
    throw new SeedmaskError('bad-option', { field: '--data', expected, got });
  }
  const test = asSeen(task, raw);
  const engine = await createWasmEngine({ threads: options.threads });
  const classifier = engine.classifier(network, { mask: task.mask, transform: task.transform });
  const { constant } = task.transform;
  // Features are bytes already, made as the task makes them.
  const images = asInputs(test.images, { constant }, width);
  const result = evaluate(classifier, images, test.labels, { labelNames: task.labels, logitScale: task.logitScale });
  engine.close();
  outputOf(options).print(
    {
      task: task.id,
      testAccuracy: result.accuracy,
      nll: result.nll,
      ece: result.ece,
      samples: result.samples,
      logitsSha256: logitsSha256(result.logits),
      perClass: result.perClass,
      confusion: result.confusion,
    },
    () => text(file, result),
  );
}

/** SHA-256 of the logits in test order, little-endian: i32 for an integer program, else f32. */
export function logitsSha256(logits: Int32Array | Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
    .digest('hex');
}

function text(file: string, { samples, accuracy, nll, ece, perClass, confusion, logits }: Evaluation): string {
  const table = new Table({ head: ['truth \\ said', ...perClass.map((c) => c.label), 'right'], style: { head: [], border: [] } });
  confusion.forEach((row, i) => {
    table.push([
      perClass[i].label,
      ...row.map((n, j) => (n === 0 ? '.' : i === j ? `[${n}]` : String(n))),
      `${(100 * perClass[i].accuracy).toFixed(1)} %`,
    ]);
  });
  const worst = confusion
    .flatMap((row, i) => row.map((n, j) => ({ n, i, j })))
    .filter(({ n, i, j }) => i !== j && n > 0)
    .sort((a, b) => b.n - a.n)
    .slice(0, 3)
    .map(({ n, i, j }) => `${perClass[i].label} taken for ${perClass[j].label} ${n} times`);
  return [
    `${file}: accuracy ${accuracy.toFixed(4)} on ${samples.toLocaleString('en')} samples, NLL ${nll.toFixed(4)}, ECE ${ece.toFixed(4)}`,
    `logits ${logitsSha256(logits)} (${logits instanceof Int32Array ? 'integers' : 'f32'})`,
    table.toString(),
    worst.length ? `Most confused: ${worst.join('; ')}.` : 'No mistakes.',
  ].join('\n');
}
