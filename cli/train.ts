// seedmask train: learn a mask on a network whose weights never change, and write it as seed + mask. Two methods: topk (small files)
// and the paper's bernoulli.

import { Command, InvalidArgumentError, Option } from 'commander';
import { DIGITS, type Model, PIXELS_TRANSFORM, writeModel } from '../codec/index.js';
import { type Dataset, imagesOf, labelsOf, type Split, split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { evaluate, fitLogitScale } from '../src/evaluate.js';
import { spread } from '../src/masks/topk.js';
import { type Architecture, describe, type Network, outputs, totalKept, totalWeights, weightCounts } from '../src/network.js';
import type { Seed } from '../src/random.js';
import { BERNOULLI, type Progress, TOPK, trainBernoulli, trainTopk } from '../src/train.js';
import { checkFits, loadDataset } from './datasets.js';
import { checkWritable, writeFileSafely } from './files.js';
import {
  dataOption,
  densityOption,
  networkOption,
  notNegative,
  type Output,
  outputOf,
  positiveInteger,
  seedOption,
  threadsOption,
} from './options.js';
import { trainingBar } from './progress.js';

/** Kept fraction of dense layers, first to last, and passes over the data: chosen on validation rows (bench/README.md). */
export const FC_DENSITY = [0.025, 0.08, 0.3] as const;
export const FC_EPOCHS = 24;

/** What `--method` accepts. */
export const METHODS = ['topk', 'bernoulli'] as const;
export type Method = (typeof METHODS)[number];

export interface TrainedTask {
  readonly model: Model;
  readonly bytes: Uint8Array;
  readonly valAccuracy: number;
  readonly testAccuracy: number;
  readonly trainSeconds: number;
  readonly steps: number;
  /** bernoulli: mean accuracies of ten drawn masks, which is what the paper reports. */
  readonly drawn: { readonly valAccuracy: number; readonly testAccuracy: number } | null;
}

/** The network of a learned mask: packed signs, one bit a weight; He's constant, for bernoulli Glorot's as in the paper. */
export const maskNetwork = (architecture: Architecture, seed: Seed, method: Method = 'topk'): Network => ({
  ...architecture,
  distribution: 'packed-signed-constant',
  sigma: method === 'topk' ? 'he' : 'glorot',
  seed,
});

/** A one-task model with its temperature fitted on validation rows. */
export function taskModel(engine: Engine, network: Network, mask: Uint8Array[], data: Dataset, rows: Uint32Array, dataset: string): Model {
  const classifier = engine.classifier(network, { mask });
  const labels = labelsOf(data, rows);
  const names = classifier.outputs === DIGITS.length ? DIGITS : Array.from({ length: classifier.outputs }, (_, i) => String(i));
  const logitScale = fitLogitScale(classifier, imagesOf(data, rows), labels, names.length);
  classifier.free();
  const provenance = { dataset, pixelPermutation: null, labelPermutation: null };
  return {
    network,
    base: { kind: 'none' },
    tasks: [{ id: '', mask, transform: PIXELS_TRANSFORM, labels: names, data: provenance, logitScale }],
  };
}

/** Accuracy of a one-task model on labelled images. */
export function accuracy(engine: Engine, model: Model, images: Uint8Array, labels: Uint8Array): number {
  const [task] = model.tasks;
  const classifier = engine.classifier(model.network, { mask: task.mask, transform: task.transform });
  const result = evaluate(classifier, images, labels, { labelNames: task.labels, logitScale: task.logitScale });
  classifier.free();
  return result.accuracy;
}

export interface TaskOptions {
  readonly method?: Method;
  /** Dynamic weight rescaling (bernoulli). */
  readonly rescale?: boolean;
  /** Weight of the mean probability of a weight to be kept, in the loss (bernoulli). */
  readonly penalty?: number;
  /** Kept fraction per weighted layer (topk). */
  readonly density: readonly number[];
  readonly epochs: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Learns a mask and packs it; everything is chosen on validation rows, the test set is only reported. */
export async function trainTask(
  engine: Engine,
  network: Network,
  data: { readonly train: Dataset; readonly test: Dataset; readonly name: string },
  parts: Split,
  options: TaskOptions,
): Promise<TrainedTask> {
  const started = performance.now();
  const learned =
    options.method === 'bernoulli'
      ? await trainBernoulli(engine, network, data.train, parts, { ...BERNOULLI, ...options, rescale: options.rescale ?? false })
      : { ...(await trainTopk(engine, network, data.train, parts, { ...TOPK, ...options })), drawn: [] };
  const trainSeconds = (performance.now() - started) / 1000;
  const modelOf = (mask: Uint8Array[]) => taskModel(engine, network, mask, data.train, parts.validation, data.name);
  const images = imagesOf(data.train, parts.validation);
  const labels = labelsOf(data.train, parts.validation);
  const accuracies = (model: Model) => ({
    valAccuracy: accuracy(engine, model, images, labels),
    testAccuracy: accuracy(engine, model, data.test.images, data.test.labels),
  });
  const model = modelOf(learned.mask);
  const drawn = learned.drawn.map((mask) => accuracies(modelOf(mask)));
  const mean = (of: (a: (typeof drawn)[number]) => number) => drawn.reduce((sum, a) => sum + of(a), 0) / drawn.length;
  return {
    model,
    bytes: writeModel(model),
    ...accuracies(model),
    trainSeconds,
    steps: learned.steps,
    drawn: drawn.length ? { valAccuracy: mean((a) => a.valAccuracy), testAccuracy: mean((a) => a.testAccuracy) } : null,
  };
}

interface Options extends Output {
  data: string;
  network: Architecture;
  method: Method;
  rescale?: boolean;
  penalty?: number;
  density?: number[];
  epochs: number;
  seed: Seed;
  threads?: number;
  engine: 'wasm' | 'reference';
  out: string;
}

export function trainCommand(): Command {
  return new Command('train')
    .description('learn a mask on a random network and write seed + mask')
    .addOption(dataOption())
    .addOption(networkOption())
    .addOption(
      new Option('--method <name>', 'how masks are learned: topk at a given density, or drawn with learned probabilities')
        .choices(METHODS)
        .default('topk'),
    )
    .addOption(densityOption())
    .option('--rescale', 'multiply the drawn weights of a layer by all / drawn (bernoulli)')
    .option('--penalty <x>', 'weight of the mean probability to be kept in the loss: fewer weights are kept (bernoulli)', notNegative)
    .option('--epochs <n>', 'passes over the training rows', positiveInteger, FC_EPOCHS)
    .addOption(seedOption())
    .addOption(threadsOption())
    .option('--engine <name>', 'wasm or reference (slow)', 'wasm')
    .requiredOption('--out <file>', 'model file to write (.smk)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask train --data mnist --network fc --out digits.smk
  seedmask train --data mnist --network fc:784-100-10 --density 0.05,0.2 --epochs 5 --seed 7 --out small.smk
  seedmask train --data mnist --network fc --method bernoulli --rescale --epochs 30 --out drawn.smk
  seedmask train --data mnist --network fc --method bernoulli --rescale --penalty 2 --out fewer.smk`,
    )
    .action(async (options: Options) => run(options));
}

async function run(options: Options): Promise<void> {
  checkWritable(options.out);
  if (options.method === 'bernoulli' && options.density)
    throw new InvalidArgumentError('--density goes with --method topk: bernoulli masks find their own density');
  if (options.method !== 'bernoulli')
    for (const name of ['rescale', 'penalty'] as const)
      if (options[name] !== undefined) throw new InvalidArgumentError(`--${name} goes with --method bernoulli`);
  const data = loadDataset(options.data);
  checkFits(data, options.network, outputs(options.network));
  const network = maskNetwork(options.network, options.seed, options.method);
  const layers = weightCounts(network).length;
  const density = spread(options.density ?? [...FC_DENSITY], layers);
  const engine = options.engine === 'reference' ? createReferenceEngine() : await createWasmEngine({ threads: options.threads });
  const bar = trainingBar('train', options.json === true);
  const result = await trainTask(engine, network, data, split(data.train.labels.length, 5000, options.seed), {
    method: options.method,
    rescale: options.rescale,
    penalty: options.penalty,
    density,
    epochs: options.epochs,
    onProgress: bar.update,
  });
  bar.stop();
  writeFileSafely(options.out, result.bytes);
  const kept = totalKept(result.model.tasks[0].mask);
  const weights = totalWeights(network);
  outputOf(options).print(
    {
      network: describe(network),
      weights,
      kept,
      density: kept / weights,
      valAccuracy: result.valAccuracy,
      testAccuracy: result.testAccuracy,
      ...(result.drawn && { drawnValAccuracy: result.drawn.valAccuracy, drawnTestAccuracy: result.drawn.testAccuracy }),
      fileBytes: result.bytes.length,
      trainSeconds: result.trainSeconds,
      steps: result.steps,
      stepsPerSecond: result.steps / result.trainSeconds,
      file: options.out,
    },
    () =>
      `${describe(network)}, ${weights.toLocaleString('en')} weights, ${kept.toLocaleString('en')} kept\n` +
      `validation ${result.valAccuracy.toFixed(4)}   test ${result.testAccuracy.toFixed(4)}   ${result.trainSeconds.toFixed(1)} s\n` +
      (result.drawn
        ? `mean of ten drawn masks: validation ${result.drawn.valAccuracy.toFixed(4)}   test ${result.drawn.testAccuracy.toFixed(4)}\n`
        : '') +
      `${options.out}: ${result.bytes.length.toLocaleString('en')} bytes`,
  );
  engine.close();
}
