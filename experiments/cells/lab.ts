// What a cell needs around it: an engine, data, and a shelf on which trained weights wait for the next cell that starts from them.

import { type Dataset, imagesOf, labelsOf, type Split, split } from '../../src/data.js';
import type { Engine } from '../../src/engine/engine.js';
import { accuracyOf } from '../../src/evaluate.js';
import { type Mask, type Network, outputs, type Parameters } from '../../src/network.js';
import { parseSeed } from '../../src/random.js';
import { paperTraining } from '../../src/recipes.js';
import { type TicketRound, ticketNetwork } from '../../src/tickets.js';
import { type DenseRun, type MaskRun, trainDense } from '../../src/train.js';
import type { Progress, Resumable } from '../../src/training-options.js';
import { ARCHITECTURES, dataOf, type Row, type Setting } from './cell.js';

/** Iterative pruning on its way: the last round that was finished, and the rows up to it, one a round. */
export interface Begun {
  readonly last: TicketRound;
  readonly rows: readonly Row[];
}

/** What was trained, by name; a shelf that forgets only costs time. */
export interface Shelf {
  get(name: string): Parameters | undefined;
  put(name: string, parameters: Parameters): void;
  /** How far iterative pruning came that was stopped, by its cell's name. */
  begun(name: string, network: Network): Begun | undefined;
  /** Takes the place of what was there of that cell. */
  putBegun(name: string, network: Network, begun: Begun): void;
  /** What a training of weights is told, to go on where it was stopped, and to store now and then how far it is. */
  weights(name: string, network: Network): Resumable<DenseRun>;
  /** The same of a mask that is learned. */
  masks(name: string, network: Network): Resumable<MaskRun>;
  /** Forgets what is stored under that name of what is on its way. */
  drop(name: string): void;
}

export interface Lab {
  readonly engine: Engine;
  readonly shelf: Shelf;
  data(name: 'mnist' | 'cifar10'): { readonly train: Dataset; readonly test: Dataset };
  /** As many bytes to write to, kept from cell to cell under a name: taking tens of MB anew costs more than filling them. */
  room?(name: string, bytes: number): Uint8Array;
  /** Progress of the cell under way, 0 to 1. */
  progress(fraction: number): void;
  readonly signal?: AbortSignal;
}

/** A cell's network and data, ready to train and to score. */
export interface Bench {
  readonly network: Network;
  readonly train: Dataset;
  readonly parts: Split;
  /**
   * Accuracies of a network under a mask or with parameters.
   * @param centred subtracts every class's mean validation logit first: biases of the last layer, fitted the simplest way
   */
  score(network: Network, options: { readonly mask?: Mask; readonly parameters?: Parameters }, centred?: boolean): Score;
}

export interface Score {
  readonly valAccuracy: number;
  readonly testAccuracy: number;
}

/** Of all training rows, as everywhere. */
export const VALIDATION_ROWS = 5000;

export function benchOf(lab: Lab, setting: Setting): Bench {
  const { train, test } = lab.data(dataOf(setting.network));
  const seed = parseSeed(setting.seed);
  const whole = split(train.labels.length, VALIDATION_ROWS, seed);
  const parts = { train: whole.train.subarray(0, setting.rows), validation: whole.validation.subarray(0, setting.validation) };
  const sets = [
    { images: imagesOf(train, parts.validation), labels: labelsOf(train, parts.validation) },
    {
      images: test.images.subarray(0, setting.test * (test.images.length / test.labels.length)),
      labels: test.labels.subarray(0, setting.test),
    },
  ];
  return {
    network: ticketNetwork(ARCHITECTURES[setting.network], seed),
    train,
    parts,
    score(network, options, centred = false) {
      const classifier = lab.engine.classifier(network, options);
      try {
        const logits = sets.map(({ images, labels }) => Float64Array.from(classifier.logits(images, labels.length)));
        if (centred) centre(logits, outputs(network));
        const [valAccuracy, testAccuracy] = sets.map(({ labels }, i) => accuracyOf(logits[i], labels, outputs(network)));
        return { valAccuracy, testAccuracy };
      } finally {
        classifier.free();
      }
    },
  };
}

/** Reports how far a cell is, lets other work in, and ends the cell where that is asked for. */
export async function advance(lab: Lab, fraction: number): Promise<void> {
  lab.progress(fraction);
  await new Promise((resolve) => setTimeout(resolve, 0));
  lab.signal?.throwIfAborted();
}

/** Reports a training run that is so large a part of its cell. */
export const progressOf =
  (lab: Lab, part = 1) =>
  ({ step, steps }: Progress): void =>
    lab.progress((part * step) / steps);

/** The first validation rows: as many as fit a task's logit scale. */
export const scaleRowsOf = ({ validation }: Split): Uint32Array => validation.subarray(0, 1000);

/** Subtracts the column means of the first array from all, in place. */
function centre(logits: readonly Float64Array[], width: number): void {
  const mean = new Float64Array(width);
  logits[0].forEach((value, i) => {
    mean[i % width] += (value * width) / logits[0].length;
  });
  for (const values of logits) for (let i = 0; i < values.length; i++) values[i] -= mean[i % width];
}

/** Parameters after so many epochs of the paper's training; a longer run passes through those of a shorter one, so each is trained once. */
export async function trainedAt(
  lab: Lab,
  setting: Setting,
  bench: Bench,
  ages: readonly number[],
  { part = 1, learningRate = paperTraining(bench.network).learningRate } = {},
): Promise<Parameters[]> {
  const { network, seed, rows } = setting;
  const nameAt = (age: number) => `${network}-seed${seed}-rows${rows}-rate${learningRate}-epoch${age}`;
  const underWay = `${nameAt(Math.max(...ages))}-begun`;
  const found = ages.map((age) => lab.shelf.get(nameAt(age)));
  const taken = new Map<number, Parameters>(ages.flatMap((age, i) => (found[i] ? [[age, found[i]]] : [])));
  const lacking = ages.find((age) => !taken.has(age));
  if (lacking !== undefined) {
    const { begun, onEpoch } = lab.shelf.weights(underWay, bench.network);
    await trainDense(lab.engine, bench.network, bench.train, bench.parts, {
      ...paperTraining(bench.network),
      learningRate,
      epochs: Math.max(...ages),
      signal: lab.signal,
      onProgress: progressOf(lab, part),
      // Not from behind an age whose parameters are lost.
      begun: begun && begun.epoch < lacking ? begun : undefined,
      onEpoch(run, epoch) {
        if (ages.includes(epoch)) {
          const { weights, biases } = run();
          taken.set(epoch, { weights, biases });
          lab.shelf.put(nameAt(epoch), { weights, biases });
        }
        onEpoch?.(run, epoch);
      },
    });
  }
  lab.shelf.drop(underWay);
  return ages.map((age) => taken.get(age)!);
}
