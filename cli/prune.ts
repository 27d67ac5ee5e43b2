// seedmask prune: train the weights once, keep a lottery-ticket mask, throw the training away. What is written is an untrained
// network under a mask: initial weights (or signed constants of the same signs), biases zero (Zhou et al. 2019, section 4).

import { Command, Option } from 'commander';
import { type Model, writeModel } from '../codec/index.js';
import { type Dataset, imagesOf, type Split, split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { accuracyOf } from '../src/evaluate.js';
import { CRITERIA, type Criterion, criterionMask, paperRates } from '../src/masks/criteria.js';
import { type Architecture, describe, type Network, outputs, totalKept, totalWeights } from '../src/network.js';
import type { Seed } from '../src/random.js';
import { type DenseResult, PAPER, trainDense } from '../src/train.js';
import { loadDataset } from './datasets.js';
import { checkWritable, writeFileSafely } from './files.js';
import { fraction, networkOption, type Output, outputOf, positiveInteger, seedOption, threadsOption } from './options.js';
import { trainingBar } from './progress.js';
import { accuracy, taskModel } from './train.js';

/** Which untrained weights stand under the mask. */
export type Untrained = 'init' | 'constant';

/** The network whose training makes the masks: the paper's Glorot normal initialisation. */
export const ticketNetwork = (architecture: Architecture, seed: Seed): Network => ({
  ...architecture,
  distribution: 'normal',
  sigma: 'glorot',
  seed,
});

/** The same network with every weight replaced by a constant of its sign. */
export const constantTwin = (network: Network): Network => ({ ...network, distribution: 'signed-constant' });

/** The most rounds of the paper's one-shot curves. */
const MOST_ROUNDS = 24;

export interface Ticket {
  readonly model: Model;
  readonly bytes: Uint8Array;
  readonly rounds: number;
  readonly valAccuracy: number;
}

/**
 * The best one-shot mask of a criterion: kept fractions .8^p (last layer .9^p), p = 1 .. 24, chosen on validation rows with the
 * untrained weights that will stand under it. `keep` fixes the fraction of the hidden layers instead.
 */
export function bestTicket(
  engine: Engine,
  network: Network,
  dense: DenseResult,
  criterion: Criterion,
  weights: Untrained,
  data: { readonly train: Dataset; readonly name: string },
  parts: Split,
  keep?: number,
): Ticket {
  const untrained = weights === 'init' ? network : constantTwin(network);
  const images = imagesOf(data.train, parts.validation);
  const labels = Uint8Array.from(parts.validation, (row) => data.train.labels[row]);
  // keep = .8^p for a p that need not be whole: the last layer then keeps .9^p.
  const powers = keep === undefined ? Array.from({ length: MOST_ROUNDS }, (_, i) => i + 1) : [Math.log(keep) / Math.log(0.8)];
  let best: { mask: Uint8Array[]; rounds: number; valAccuracy: number } | null = null;
  for (const rounds of powers) {
    const mask = criterionMask(network, criterion, dense.initial, dense.final.weights, paperRates(network, rounds), network.seed);
    const classifier = engine.classifier(untrained, { mask });
    const valAccuracy = accuracyOf(classifier.logits(images, labels.length), labels, outputs(network));
    classifier.free();
    if (!best || valAccuracy > best.valAccuracy) best = { mask, rounds, valAccuracy };
  }
  const { mask, rounds, valAccuracy } = best!;
  const model = taskModel(engine, untrained, mask, data.train, parts.validation, data.name);
  return { model, bytes: writeModel(model), rounds, valAccuracy };
}

interface Options extends Output {
  data: string;
  network: Architecture;
  criterion: Criterion;
  oneshot?: boolean;
  keep?: number;
  weights: Untrained;
  epochs: number;
  seed: Seed;
  threads?: number;
  out: string;
}

export function pruneCommand(): Command {
  return new Command('prune')
    .description('train once, keep a lottery-ticket mask, write the untrained network under it')
    .requiredOption('--data <name>', 'mnist, or a folder of IDX files')
    .addOption(networkOption())
    .addOption(new Option('--criterion <name>', 'which weights to keep').choices([...CRITERIA]).default('large_final_same_sign'))
    .option('--oneshot', 'prune once after training (the only way so far)')
    .option('--keep <fraction>', 'kept fraction of the hidden layers; default: the best of .8^1 .. .8^24 on validation rows', fraction)
    .addOption(
      new Option('--weights <kind>', 'weights under the mask: the initial ones, or constants of their signs')
        .choices(['init', 'constant'])
        .default('init'),
    )
    .option('--epochs <n>', 'passes over the training rows before pruning (the paper: 55)', positiveInteger, 3)
    .addOption(seedOption())
    .addOption(threadsOption())
    .requiredOption('--out <file>', 'model file to write (.smk)')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask prune --data mnist --network fc --criterion large_final_same_sign --oneshot --weights constant --out untrained.smk
  seedmask prune --data mnist --network fc --criterion large_final --oneshot --keep 0.2 --epochs 55 --out ticket.smk`,
    )
    .action(async (options: Options) => run(options));
}

async function run(options: Options): Promise<void> {
  checkWritable(options.out);
  const data = loadDataset(options.data);
  const network = ticketNetwork(options.network, options.seed);
  const engine = await createWasmEngine({ threads: options.threads });
  const parts = split(data.train.labels.length, 5000, options.seed);
  const bar = trainingBar('train weights', options.json === true);
  const started = performance.now();
  const dense = await trainDense(engine, network, data.train, parts, { ...PAPER, epochs: options.epochs, onProgress: bar.update });
  bar.stop();
  const trainSeconds = (performance.now() - started) / 1000;
  const ticket = bestTicket(engine, network, dense, options.criterion, options.weights, data, parts, options.keep);
  writeFileSafely(options.out, ticket.bytes);
  const testAccuracy = accuracy(engine, ticket.model, data.test.images, data.test.labels);
  const kept = totalKept(ticket.model.tasks[0].mask);
  const weights = totalWeights(network);
  outputOf(options).print(
    {
      network: describe(network),
      weights,
      kept,
      density: kept / weights,
      criterion: options.criterion,
      untrained: options.weights,
      rounds: ticket.rounds,
      trainedValAccuracy: dense.valAccuracy,
      valAccuracy: ticket.valAccuracy,
      testAccuracy,
      fileBytes: ticket.bytes.length,
      trainSeconds,
      file: options.out,
    },
    () =>
      `${options.criterion} after ${options.epochs} epochs, ${options.weights === 'init' ? 'initial weights' : 'signed constants'}, ` +
      `${kept.toLocaleString('en')} of ${weights.toLocaleString('en')} kept\n` +
      `validation ${ticket.valAccuracy.toFixed(4)}   test ${testAccuracy.toFixed(4)}   (trained weights: validation ${dense.valAccuracy.toFixed(4)})\n` +
      `${options.out}: ${ticket.bytes.length.toLocaleString('en')} bytes`,
  );
  engine.close();
}
