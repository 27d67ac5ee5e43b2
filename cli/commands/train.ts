// seedmask train: learn a mask on a network whose weights never change, and write it as seed + mask. Methods: topk (small files),
// the paper's bernoulli, and SupSup's threshold. With a target, densities are searched (target.ts); with --squeeze, the mask is squeezed
// (squeeze.ts).

import { Command, Option } from 'commander';
import { inspectModel } from '../../codec/index.js';
import { labelsOf, type Split } from '../../src/data.js';
import type { Engine } from '../../src/engine/engine.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { RMSPROP } from '../../src/masks/threshold.js';
import { describe, type Network, outputs, totalKept, totalWeights, weightCounts } from '../../src/network.js';
import type { Seed } from '../../src/random.js';
import {
  bernoulliTraining,
  CONV_EPOCHS,
  FC_EPOCHS,
  METHODS,
  type Method,
  maskNetwork,
  TOPK,
  TOPK_NUMBERS_RATE,
  topkTraining,
  WEIGHTS,
  type Weights,
} from '../../src/recipes.js';
import { channelsOf, checkFits, checkMoves, columnsJson, columnsLine, oddities, seenBy, unseen } from '../datasets/fit.js';
import { loadDataset } from '../datasets/load.js';
import type { LoadedData } from '../datasets/own-data.js';
import { checkNoInput, checkWritable, writeFileSafely } from '../files.js';
import {
  classNamesOf,
  partsOf,
  permutedSource,
  RATE,
  type TaskOptions,
  type TaskSource,
  type TrainedTask,
  trainTask,
  warningOf,
} from '../learn.js';
import {
  batchOption,
  defaultShift,
  learningRateOption,
  mirrorOption,
  rateOption,
  ratesOf,
  rotateOption,
  shiftOption,
} from '../learning-options.js';
import { type NamedNetwork, networkOption } from '../network-option.js';
import {
  type ColumnOptions,
  categoriesOption,
  columnOptionsOf,
  dataOption,
  densities,
  densityOption,
  fraction,
  ignoreOption,
  imputeOption,
  labelOption,
  named,
  notNegative,
  type Output,
  outputOf,
  permuteLabelsOption,
  permutePixelsOption,
  positiveInteger,
  refuseGiven,
  seedOption,
  threadsOption,
} from '../options.js';
import { counting, training, warn } from '../progress.js';
import { type SqueezeReport, squeezeTask, withCheck } from '../squeeze.js';
import { type Goal, list, type Outcome, search } from '../target.js';
import { createTfjsNodeEngine } from '../tfjs-node.js';

const ENGINES = ['wasm', 'reference', 'tfjs-node'] as const;
type EngineName = (typeof ENGINES)[number];

const RATES =
  `the method's: topk ${ratesOf(topkTraining)}, ${TOPK_NUMBERS_RATE} over numbers; ` +
  `bernoulli ${ratesOf(bernoulliTraining)}; threshold ${RMSPROP.learningRate}`;

/** Training runs of a search. */
const TRIALS = 6;

interface Options extends Output, ColumnOptions {
  data: string;
  network: NamedNetwork;
  method: Method;
  weights: Weights;
  rescale?: boolean;
  penalty?: number;
  density?: number[];
  rate?: number;
  shift?: number;
  rotate?: number;
  mirror?: boolean;
  permutePixels?: Seed;
  permuteLabels?: Seed;
  targetBytes?: number;
  targetAccuracy?: number;
  trials?: number;
  squeeze?: boolean;
  epochs?: number;
  batch?: number;
  learningRate?: number;
  seed: Seed;
  threads?: number;
  engine: EngineName;
  out: string;
}

export function makeCommand(): Command {
  return new Command('train')
    .addOption(dataOption())
    .addOption(labelOption())
    .addOption(ignoreOption())
    .addOption(categoriesOption())
    .addOption(imputeOption())
    .addOption(networkOption())
    .addOption(
      new Option(
        '--method <name>',
        'how masks are learned: topk keeps a given density, bernoulli draws with learned probabilities, threshold keeps scores of at least 0',
      )
        .argParser(named(METHODS))
        .default('topk'),
    )
    .addOption(
      new Option(
        '--weights <kind>',
        "untrained weights under the mask: constant (plus or minus one value a layer, He's, for bernoulli Glorot's) or init (normal draws of that deviation)",
      )
        .argParser(named(WEIGHTS))
        .default('constant'),
    )
    .addOption(densityOption())
    .option('--target-bytes <n>', 'search the densities that give the best accuracy in a file of at most n bytes (topk)', positiveInteger)
    .addOption(
      new Option('--target-accuracy <a>', 'search the densities that reach an accuracy on validation rows in the fewest bytes (topk)')
        .argParser(fraction)
        .conflicts('targetBytes'),
    )
    .option('--trials <n>', `with a target: the most training runs, the first of them short (default: ${TRIALS})`, positiveInteger)
    .option(
      '--squeeze',
      'after training, flip bits that save bytes and do not raise the training loss; half of the validation rows check it',
    )
    .addOption(shiftOption(', of other methods than topk'))
    .addOption(rotateOption())
    .addOption(mirrorOption())
    .addOption(permutePixelsOption())
    .addOption(permuteLabelsOption())
    .addOption(rateOption())
    .option('--rescale', 'multiply the drawn weights of a layer by all / drawn (bernoulli)')
    .option('--penalty <x>', 'weight of the mean probability to be kept in the loss: fewer weights are kept (bernoulli)', notNegative)
    .option('--epochs <n>', `passes over the training rows (default: ${FC_EPOCHS}, with convolutions ${CONV_EPOCHS})`, positiveInteger)
    .addOption(batchOption(TOPK.batch))
    .addOption(learningRateOption(RATES))
    .addOption(seedOption())
    .addOption(threadsOption())
    .addOption(new Option('--engine <name>', 'reference is slow; tfjs-node needs its npm package').choices(ENGINES).default('wasm'))
    .requiredOption('--out <file>', 'model file to write (.smk)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask train --data mnist --network fc --out digits.smk
  seedmask train --data mnist --network lenet5 --out lenet5.smk
  seedmask train --data mnist --network lenet5 --shift 3 --rotate 10 --epochs 30 --out handwriting.smk
  seedmask train --data cifar10 --network 32x32x3:conv32-conv32-pool-conv64-conv64-pool-conv128-conv128-pool-10 --density .5,.3,.2,.15,.1,.1,.2 --mirror --epochs 20 --out photographs.smk
  seedmask train --data mnist --network fc:784-100-10 --density 0.05,0.2 --epochs 5 --seed 7 --out small.smk
  seedmask train --data mnist --network 28x28x1:conv8-pool-conv16k5v-pool-10 --out own.smk
  seedmask train --data mnist --network fc --target-bytes 2000 --out at-most-2000.smk
  seedmask train --data mnist --network fc --target-accuracy 0.975 --trials 8 --squeeze --out good-enough.smk
  seedmask train --data mnist --network fc --method bernoulli --rescale --epochs 30 --out drawn.smk
  seedmask train --data mnist --network fc --method bernoulli --rescale --penalty 2 --out fewer.smk
  seedmask train --data mnist --network fc --method bernoulli --weights init --epochs 30 --out paper.smk
  seedmask train --data mnist --network fc --method threshold --epochs 5 --out threshold.smk
  seedmask train --data passengers.csv --network fc:8-64-2 --label survived --ignore id,name --impute --out passengers.smk
  seedmask train --data mnist --network fc --permute-pixels 42 --out p42.smk`,
    )
    .action(async (options: Options, command: Command) => {
      checkOptions(options, command);
      await run(options);
    });
}

async function engineOf({ engine, threads }: Options): Promise<Engine> {
  if (engine === 'tfjs-node') return createTfjsNodeEngine();
  return engine === 'reference' ? createReferenceEngine() : createWasmEngine({ threads });
}

/** What goes with one method alone. */
const ONLY = {
  topk: ['rate', 'targetBytes', 'targetAccuracy', 'squeeze'],
  bernoulli: ['rescale', 'penalty'],
  threshold: [],
} as const satisfies Record<Method, readonly (keyof Options)[]>;

function checkOptions(options: Options, command: Command): void {
  const { method } = options;
  if (method !== 'topk') refuseGiven(command, ['density'], `--method topk: ${method} masks find their own density`);
  for (const other of METHODS) if (other !== method) refuseGiven(command, ONLY[other], `--method ${other}`);
  if (goalOf(options) === null) refuseGiven(command, ['trials'], '--target-bytes or --target-accuracy');
  if (options.engine !== 'wasm') refuseGiven(command, ['threads'], '--engine wasm');
}

const goalOf = ({ targetBytes, targetAccuracy }: Options): Goal | null =>
  targetBytes !== undefined ? { bytes: targetBytes } : targetAccuracy !== undefined ? { accuracy: targetAccuracy } : null;

/** What is to be learned, and how. */
interface Work {
  readonly loaded: LoadedData;
  /** The data as the task sees it. */
  readonly data: TaskSource;
  readonly classes: readonly string[];
  readonly network: Network;
  readonly parts: Split;
  /** Rows on which a squeezed mask is checked; null where none is squeezed. */
  readonly check: Uint32Array | null;
  readonly validationLabels: Uint8Array;
  readonly settings: TaskOptions;
}

interface TrialRow extends Pick<Outcome, 'valAccuracy' | 'fileBytes'> {
  readonly density: readonly number[];
  readonly epochs: number;
  readonly reached: boolean;
  /** Not empty, nor as good as guessing. */
  readonly useful: boolean;
}

async function run(options: Options): Promise<void> {
  const work = workOf(options);
  const engine = await engineOf(options);
  warn(unseen(work.data.train, work.parts.train, work.classes), ...oddities(work.loaded));
  const { task: learned, trials } = await learn(engine, work, options);
  const squeezed = work.check && (await squeeze(engine, work, learned, work.check, options));
  const task = squeezed?.task ?? learned;
  writeFileSafely(options.out, task.bytes);
  warn(warningOf(task, work.validationLabels, work.settings));
  print(options, work, task, trials, squeezed?.report);
  engine.close();
}

/** Loads the data; throws when it is not of the network's kind, or an option does not go with it. */
function workOf(options: Options): Work {
  const { network: given, method, weights, seed, rescale, penalty, rotate, mirror, rate = RATE, batch, learningRate } = options;
  checkWritable(options.out);
  checkNoInput(options.out, [given.file]);
  const loaded = loadDataset(options.data, { ...columnOptionsOf(options), channels: channelsOf(given.architecture), out: options.out });
  checkFits(loaded, given.architecture);
  checkMoves(loaded, options);
  const data = permutedSource(loaded, outputs(given.architecture), options.permutePixels, options.permuteLabels);
  const network = maskNetwork(seenBy(given.architecture, data.train), seed, method, weights);
  const defaults = topkTraining(network);
  const density = densities(options.density, defaults.density.length, defaults.density);
  const { epochs = defaults.epochs, shift = method === 'topk' ? defaultShift(data.train, options.permutePixels !== undefined) : 0 } =
    options;
  const rows = partsOf(data.train, seed);
  const { parts, check } = options.squeeze ? withCheck(rows) : { parts: rows, check: null };
  return {
    loaded,
    data,
    classes: classNamesOf(data.train, outputs(network)),
    network,
    parts,
    check,
    validationLabels: labelsOf(data.train, parts.validation),
    settings: { method, rescale, penalty, shift, rotate, mirror, rate, density, epochs, batch, learningRate },
  };
}

/** The task of one run, or the best of a search for a goal with its trials. */
async function learn(
  engine: Engine,
  { data, network, parts, validationLabels, settings }: Work,
  options: Options,
): Promise<{ task: TrainedTask; trials?: readonly TrialRow[] }> {
  const goal = goalOf(options);
  const quiet = options.json === true;
  const runOf = (density: readonly number[], epochs: number): Promise<TrainedTask> =>
    training(
      'train',
      quiet || (goal !== null && !process.stderr.isTTY),
      ({ update }) => trainTask(engine, network, data, parts, { ...settings, density, epochs, onProgress: update }),
      goal !== null,
    );
  if (!goal) return { task: await runOf(settings.density, settings.epochs) };
  const trials: TrialRow[] = [];
  const useful = (task: TrainedTask) => warningOf(task, validationLabels) === null;
  const { outcome } = await search({
    weights: weightCounts(network),
    goal,
    base: settings.density,
    epochs: settings.epochs,
    trials: options.trials ?? TRIALS,
    run: async (density, epochs) => {
      const task = await runOf(density, epochs);
      return { ...task, headerBytes: inspectModel(task.bytes).headerBytes };
    },
    useful,
    onTrial({ density, epochs, outcome }, reached) {
      const { valAccuracy, fileBytes } = outcome;
      trials.push({ density, epochs, valAccuracy, fileBytes, reached, useful: useful(outcome) });
      if (!quiet) show(trials);
    },
  });
  return { task: outcome, trials };
}

/** The last trial as a row of a table on stderr. */
function show(trials: readonly TrialRow[]): void {
  const { density, epochs, valAccuracy, fileBytes, reached, useful } = trials[trials.length - 1];
  if (trials.length === 1) console.error('trial  epochs  validation   bytes  target   densities');
  const columns = [String(trials.length).padStart(5), String(epochs).padStart(6), valAccuracy.toFixed(4).padStart(10)];
  console.error(
    `${columns.join('  ')}  ${String(fileBytes).padStart(6)}  ${reached ? 'reached' : useful ? 'missed ' : 'useless'}  ${list(density)}`,
  );
}

/** The learned task in fewer bytes, while it still reaches what was asked for. */
function squeeze(engine: Engine, { data, parts }: Work, learned: TrainedTask, check: Uint32Array, options: Options) {
  const goal = goalOf(options);
  const enough = ({ valAccuracy }: Outcome) => !goal || !('accuracy' in goal) || valAccuracy >= goal.accuracy;
  return counting('squeeze', options.json === true, (update) =>
    squeezeTask(engine, learned, data, { parts, check, enough, onProgress: ({ round, rounds }) => update(round, rounds) }),
  );
}

function print(
  options: Options,
  { loaded, classes, network }: Work,
  task: TrainedTask,
  trials: readonly TrialRow[] | undefined,
  squeezed: SqueezeReport | undefined,
): void {
  const kept = totalKept(task.model.tasks[0].mask);
  const all = totalWeights(network);
  outputOf(options).print(
    {
      network: describe(network),
      untrained: options.weights,
      ...columnsJson(loaded.columns),
      classes: classes.length,
      weights: all,
      kept,
      density: kept / all,
      valAccuracy: task.valAccuracy,
      testAccuracy: task.testAccuracy,
      ...(task.drawn && { drawnValAccuracy: task.drawn.valAccuracy, drawnTestAccuracy: task.drawn.testAccuracy }),
      fileBytes: task.fileBytes,
      batch: task.batch,
      learningRate: task.learningRate,
      trainSeconds: task.trainSeconds,
      steps: task.steps,
      stepsPerSecond: task.steps / task.trainSeconds,
      ...(trials && { trials }),
      ...(squeezed && { squeeze: squeezed }),
      file: options.out,
    },
    () =>
      `${describe(network)}, ${all.toLocaleString('en')} ${options.weights === 'init' ? 'initial ' : ''}weights, ${kept.toLocaleString('en')} kept\n` +
      (loaded.columns ? `${columnsLine(loaded.columns, { classes: classes.length })}\n` : '') +
      `validation ${task.valAccuracy.toFixed(4)}   test ${task.testAccuracy.toFixed(4)}   ${task.trainSeconds.toFixed(1)} s\n` +
      (task.drawn
        ? `mean of ten drawn masks: validation ${task.drawn.valAccuracy.toFixed(4)}   test ${task.drawn.testAccuracy.toFixed(4)}\n`
        : '') +
      (squeezed ? `${textOf(squeezed)}\n` : '') +
      `${options.out}: ${task.fileBytes.toLocaleString('en')} bytes`,
  );
}

const textOf = (report: SqueezeReport): string =>
  `squeezed ${report.bytesBefore.toLocaleString('en')} to ${report.bytesAfter.toLocaleString('en')} bytes by ${report.flips} flips, ` +
  `training loss ${report.lossBefore.toFixed(4)} to ${report.lossAfter.toFixed(4)}, ` +
  `accuracy on rows that chose nothing ${report.checkAccuracyBefore.toFixed(4)} to ${report.checkAccuracyAfter.toFixed(4)}: ` +
  (report.taken ? 'taken' : `thrown away, ${report.thrownAwayFor}`);
