// seedmask prune: lottery tickets. Once: train the weights, keep a mask, throw the training away; what is written is an untrained
// network under a mask: initial weights (or signed constants of the same signs), biases zero (Zhou et al. 2019, section 4). With
// --rounds: prune, restart and train again and again; what is written is a folder of checkpoints (rounds.ts), and a run that was
// killed goes on where it stopped.

import { createHash } from 'node:crypto';
import { Command, Option } from 'commander';
import { hex } from '../../codec/hex.js';
import { networkId, SeedmaskError } from '../../codec/index.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { actionConflict, MASK0, MASK0_VALUES, MASK1, MASK1_VALUES, type Mask0, type Mask1 } from '../../src/masks/actions.js';
import { CRITERIA, CRITERION_SCORES, type Criterion, keepToward, mostRounds } from '../../src/masks/criteria.js';
import { describe, type Network, outputs, totalKept, totalWeights, weightCounts } from '../../src/network.js';
import { formatSeed, type Seed } from '../../src/random.js';
import { PAPER, paperTraining, WEIGHTS, type Weights } from '../../src/recipes.js';
import { type TicketOptions, ticketNetwork, tickets } from '../../src/tickets.js';
import { trainDense } from '../../src/train.js';
import { checkRun } from '../../src/training-options.js';
import { channelsOf, checkFits, columnsJson, columnsLine, oddities, seenBy, unseen } from '../datasets/fit.js';
import { loadDataset } from '../datasets/load.js';
import type { LoadedData } from '../datasets/own-data.js';
import { checkNoInput, checkWritable, writeFileSafely } from '../files.js';
import { accuracy, accuracyUnder, batchOf, classNamesOf, emptyLayer, partsOf } from '../learn.js';
import { batchOption, learningRateOption, ratesOf } from '../learning-options.js';
import { type NamedNetwork, networkOption } from '../network-option.js';
import {
  type ColumnOptions,
  categoriesOption,
  columnOptionsOf,
  dataOption,
  fraction,
  ignoreOption,
  imputeOption,
  labelOption,
  named,
  type Output,
  outputOf,
  positiveInteger,
  refuseGiven,
  seedOption,
  threadsOption,
  upTo,
} from '../options.js';
import { type TrainingBar, training, warn } from '../progress.js';
import { MOST_ROUNDS, openRun, type RoundRecord, type Setup } from '../rounds.js';
import { shelfIn } from '../shelf.js';
import { bestTicket } from '../ticket.js';

interface Options extends Output, ColumnOptions {
  data: string;
  network: NamedNetwork;
  criterion?: Criterion;
  oneshot?: boolean;
  keep?: number;
  weights: Weights;
  rounds?: number;
  mask0?: Mask0;
  mask1?: Mask1;
  epochs: number;
  batch?: number;
  learningRate?: number;
  seed: Seed;
  threads?: number;
  out: string;
}

export function makeCommand(): Command {
  return new Command('prune')
    .addOption(dataOption())
    .addOption(labelOption())
    .addOption(ignoreOption())
    .addOption(categoriesOption())
    .addOption(imputeOption())
    .addOption(networkOption())
    .addOption(
      new Option(
        '--criterion <name>',
        'which weights to keep, one of those below (default: large_final_same_sign, with --rounds large_final)',
      ).argParser(named(CRITERIA)),
    )
    .addOption(new Option('--oneshot', 'prune once after training: the default').conflicts('rounds'))
    .addOption(
      new Option(
        '--keep <fraction>',
        'kept fraction of the hidden dense layers (conv layers and the last keep more), with --rounds after the last one, at an even pace; ' +
          'default: the best of .8^1 .. .8^24 on validation rows, with --rounds .8 a round',
      ).argParser(fraction),
    )
    .addOption(
      new Option('--weights <kind>', 'weights under the mask: init (the initial ones) or constant (of their signs)')
        .argParser(named(WEIGHTS))
        .default('init')
        .conflicts('rounds'),
    )
    .addOption(
      new Option('--rounds <n>', 'prune that often, and train again after each (the paper: 24); --out is a folder').argParser(
        upTo(MOST_ROUNDS, 'rounds'),
      ),
    )
    .addOption(
      new Option('--mask0 <action>', 'with --rounds, what pruned weights become, one of those below (default: zero)').argParser(
        named(MASK0),
      ),
    )
    .addOption(
      new Option('--mask1 <action>', 'with --rounds, what kept weights restart from, one of those below (default: rewind)').argParser(
        named(MASK1),
      ),
    )
    .option(
      '--epochs <n>',
      'passes over the training rows before pruning, in every round (the paper: 55 of fc; 27, 34 and 40 of conv2, conv4 and conv6)',
      positiveInteger,
      3,
    )
    .addOption(batchOption(PAPER.batch))
    .addOption(learningRateOption(`the paper's, ${ratesOf(paperTraining)}`))
    .addOption(seedOption())
    .addOption(threadsOption())
    .requiredOption('--out <path>', 'model file to write (.smk); with --rounds a folder of safetensors checkpoints')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Criteria, each by the score whose highest weights are kept; wi is a weight's initial value, wf its final one:
${listOf(CRITERION_SCORES)}

Actions on pruned weights (--mask0), ws the value a round started from:
${listOf(MASK0_VALUES)}

Actions on kept weights (--mask1):
${listOf(MASK1_VALUES)}

Columns of rounds.csv: round, kept (weights), density (kept of all: what experiments call kept), valAccuracy, testAccuracy, seconds.

Examples:
  seedmask prune --data mnist --network fc --criterion large_final_same_sign --oneshot --weights constant --out untrained.smk
  seedmask prune --data mnist --network fc --criterion large_final --oneshot --keep 0.2 --epochs 55 --out ticket.smk
  seedmask prune --data mnist --network fc --criterion large_final --rounds 24 --epochs 12 --out tickets
  seedmask prune --data mnist --network fc --criterion large_final --rounds 1 --keep 0.05 --epochs 12 --out once-and-again
  seedmask prune --data cifar10 --network conv2 --rounds 24 --epochs 20 --out photos
  seedmask prune --data mnist --network fc --rounds 12 --mask0 toward_zero --mask1 signed_reinit --out variant

A run with --rounds that was stopped goes on when it is started again with the same options: after its last round, or one of the last epochs
of the next. Without --keep it takes more --rounds, too.`,
    )
    .action(async (options: Options, command: Command) => {
      if (options.rounds !== undefined) return inRounds(options, options.rounds);
      refuseGiven(command, ['mask0', 'mask1'], '--rounds');
      return once(options);
    });
}

const listOf = (words: Readonly<Record<string, string>>): string =>
  Object.entries(words)
    .map(([name, meaning]) => `  ${name.padEnd(24)}${meaning}`)
    .join('\n');

async function once(options: Options): Promise<void> {
  const criterion = options.criterion ?? 'large_final_same_sign';
  const { architecture, file } = options.network;
  checkWritable(options.out);
  checkNoInput(options.out, [file]);
  const data = loadDataset(options.data, { ...columnOptionsOf(options), channels: channelsOf(architecture), out: options.out });
  checkFits(data, architecture);
  const network = ticketNetwork(seenBy(architecture, data.train), options.seed);
  const engine = await createWasmEngine({ threads: options.threads });
  const parts = rowsToLearn(data, network, options.seed);
  const started = performance.now();
  const steps = paperSteps(network, parts.train.length, options);
  const dense = await training('train weights', options.json === true, ({ update }) =>
    trainDense(engine, network, data.train, parts, { ...steps, epochs: options.epochs, onProgress: update }),
  );
  const trainSeconds = (performance.now() - started) / 1000;
  const ticket = bestTicket(engine, network, dense, criterion, options.weights, data, parts, options.keep);
  writeFileSafely(options.out, ticket.bytes);
  const empty = emptyLayer(ticket.model);
  if (empty) warn(`${empty}: try a higher --keep`);
  const testAccuracy = accuracy(engine, ticket.model, data.test);
  const trainedTestAccuracy = accuracyUnder(engine, network, { parameters: dense.final }, data.test);
  const kept = totalKept(ticket.model.tasks[0].mask);
  const weights = totalWeights(network);
  outputOf(options).print(
    {
      network: describe(network),
      ...columnsJson(data.columns),
      weights,
      kept,
      density: kept / weights,
      criterion,
      untrained: options.weights,
      biases: 'zero',
      rounds: ticket.rounds,
      ...steps,
      trainedValAccuracy: dense.valAccuracy,
      trainedTestAccuracy,
      valAccuracy: ticket.valAccuracy,
      testAccuracy,
      fileBytes: ticket.bytes.length,
      trainSeconds,
      file: options.out,
    },
    () =>
      (data.columns ? `${columnsLine(data.columns)}\n` : '') +
      `${criterion} after ${options.epochs} epochs, ${options.weights === 'init' ? 'initial weights' : 'signed constants'}, biases zero, ` +
      `${kept.toLocaleString('en')} of ${weights.toLocaleString('en')} kept\n` +
      `validation ${ticket.valAccuracy.toFixed(4)}   test ${testAccuracy.toFixed(4)}   ` +
      `(trained weights: validation ${dense.valAccuracy.toFixed(4)}   test ${trainedTestAccuracy.toFixed(4)})\n` +
      `${options.out}: ${ticket.bytes.length.toLocaleString('en')} bytes`,
  );
  engine.close();
}

async function inRounds(options: Options, rounds: number): Promise<void> {
  const { criterion = 'large_final', mask0 = 'zero', mask1 = 'rewind', keep, epochs, seed } = options;
  const conflict = actionConflict(mask0, mask1);
  if (conflict) throw new SeedmaskError('bad-option', { field: '--mask1', expected: 'rewind', got: mask1, hint: conflict });
  const { architecture } = options.network;
  // As it was named, whatever form the rows have: a run is known by it, and the weights are the same.
  const network = ticketNetwork(architecture, seed);
  const counts = countsOf(network, rounds, keep);
  const data = loadDataset(options.data, { ...columnOptionsOf(options), channels: channelsOf(architecture) });
  checkFits(data, architecture);
  const parts = rowsToLearn(data, network, seed);
  const steps = paperSteps(network, parts.train.length, options);
  checkRun(parts, { ...steps, epochs });
  const setup: Setup = {
    network: describe(network),
    seed: formatSeed(seed),
    data: data.name,
    dataSha256: digestOf(data),
    criterion,
    mask0,
    mask1,
    epochs,
    ...steps,
    networkId: hex(networkId(network)),
    // Where it leads decides every round on the way.
    ...(keep !== undefined && { keep, rounds }),
  };
  const run = openRun(options.out, network, setup);
  const shelf = shelfIn(options.out);
  const json = options.json === true;
  const say = (text: string) => {
    if (!json) console.log(text);
  };
  const stored = run.rounds.length;
  if (data.columns) say(columnsLine(data.columns));
  const goal = keep === undefined ? '' : `, ${keep} of the hidden dense layers after round ${rounds}`;
  say(`${criterion}, mask-0 ${mask0}, mask-1 ${mask1}, ${epochs} epochs a round${goal}`);
  for (const record of run.rounds.slice(0, rounds + 1)) say(`${rowOf(record)}  stored`);
  const last = stored <= rounds ? run.last() : undefined;
  const engine = await createWasmEngine({ threads: options.threads });
  const go = async (bar: TrainingBar) => {
    const { begun, onEpoch } = shelf.weights(run.underWay, network);
    const done = (begun?.epoch ?? 0) - stored * epochs;
    if (done > 0 && done <= epochs) say(`round ${String(stored).padStart(2)}  goes on after epoch ${done} of ${epochs}`);
    const settings: TicketOptions = {
      ...steps,
      epochs,
      rounds,
      keep: counts,
      criterion,
      mask0,
      mask1,
      ...{ begun, onEpoch },
      onProgress: (p, round) =>
        bar.update({ ...p, step: round * p.steps + p.step, steps: (rounds + 1) * p.steps }, `round ${round}/${rounds}`),
    };
    let started = performance.now();
    for await (const round of tickets(engine, network, data.train, parts, settings, last)) {
      const seconds = Math.round(performance.now() - started) / 1000;
      const record = run.add(round, { testAccuracy: accuracyUnder(engine, network, { parameters: round.final }, data.test), seconds });
      bar.stop();
      say(rowOf(record));
      started = performance.now();
    }
    for (const name of run.begun()) shelf.drop(name);
  };
  if (stored <= rounds) await training('prune and train', json || !process.stderr.isTTY, go, true);
  engine.close();
  const weights = totalWeights(network);
  const shown = run.rounds.slice(0, rounds + 1);
  outputOf(options).print(
    {
      network: describe(network),
      weights,
      criterion,
      mask0,
      mask1,
      keep,
      epochs,
      ...steps,
      resumedFrom: stored,
      rounds: shown,
      folder: options.out,
    },
    () => `${options.out}: checkpoints, rounds.json, rounds.csv`,
  );
}

/** Batch and learning rate: the paper's, of few rows a smaller batch, where none is given. */
const paperSteps = (
  network: Network,
  rows: number,
  { batch = batchOf(rows, PAPER.batch), learningRate = paperTraining(network).learningRate }: Pick<Options, 'batch' | 'learningRate'>,
) => ({ batch, learningRate });

/**
 * What layers keep round by round on the way to `keep`; undefined by the paper's rates.
 * @throws SeedmaskError bad-option, where a round would prune nothing, or all of a layer
 */
function countsOf(network: Network, rounds: number, keep?: number): number[][] | undefined {
  const refuse = (field: string, expected: string, got: number) => new SeedmaskError('bad-option', { field, expected, got });
  if (keep === undefined) {
    const most = mostRounds(network);
    if (rounds <= most) return undefined;
    throw refuse('--rounds', `at most ${most}, as a later round prunes nothing more of ${describe(network)}`, rounds);
  }
  const all = weightCounts(network);
  const counts = keepToward(network, keep, rounds);
  const same = (now: readonly number[], before: readonly number[]) => now.every((n, layer) => n === before[layer]);
  // First what no number of rounds helps.
  if (counts[rounds - 1].includes(0)) throw refuse('--keep', `so large that every layer of ${describe(network)} keeps a weight`, keep);
  if (same(counts[rounds - 1], all)) throw refuse('--keep', `smaller, as it prunes nothing of ${describe(network)}`, keep);
  const idle = counts.findIndex((now, i) => same(now, counts[i - 1] ?? all));
  if (idle >= 0) throw refuse('--rounds', `fewer on the way to --keep ${keep}, as round ${idle + 1} would prune nothing`, rounds);
  return counts;
}

/** Rows of training and validation, and on stderr what a user should know of them. */
function rowsToLearn(data: LoadedData, network: Network, seed: Seed): ReturnType<typeof partsOf> {
  const parts = partsOf(data.train, seed);
  warn(unseen(data.train, parts.train, classNamesOf(data.train, outputs(network))), ...oddities(data));
  return parts;
}

const rowOf = ({ round, density, valAccuracy, testAccuracy, seconds }: RoundRecord): string =>
  `round ${String(round).padStart(2)}  kept ${(100 * density).toFixed(2).padStart(6)} %  validation ${valAccuracy.toFixed(4)}  ` +
  `test ${testAccuracy.toFixed(4)}  ${seconds.toFixed(1)} s`;

/** Of all images and labels: another data set under the same name is another run. */
function digestOf({ train, test }: LoadedData): string {
  const hash = createHash('sha256');
  for (const { images, labels } of [train, test]) hash.update(images).update(labels);
  return hash.digest('hex');
}
