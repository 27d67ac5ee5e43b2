// Learning a task: a mask on a network whose weights never change, packed as seed + mask with its temperature and its free bits settled.
// Everything is chosen on validation rows; test rows are only reported.

import { DIGITS, type Model, maskPrices, PIXELS_TRANSFORM, type Provenance, settleFreeBits, writeModel } from '../codec/index.js';
import { type Dataset, imagesOf, labelsOf, permuted, type Split, split } from '../src/data.js';
import type { ClassifierOptions, Engine } from '../src/engine/engine.js';
import { accuracyOf, logitScaleOf } from '../src/evaluate.js';
import { RMSPROP } from '../src/masks/threshold.js';
import type { Reach } from '../src/moves.js';
import { countKept, type Mask, type Network, outputs } from '../src/network.js';
import type { Seed } from '../src/random.js';
import { bernoulliTraining, type Method, TOPK, topkTraining } from '../src/recipes.js';
import { type BernoulliResult, type MaskResult, trainBernoulli, trainThreshold, trainTopk } from '../src/train.js';
import type { Progress } from '../src/training-options.js';
import type { LoadedData } from './datasets/own-data.js';

/** Pixels by which training images are moved at most, and the worth of a bit in nats of training loss: the same. */
export const SHIFT = 1;
export const RATE = 1e-6;

/** Training and validation rows: 5,000 to validate of MNIST and CIFAR-10, a tenth of what is smaller. */
export const partsOf = ({ labels: { length } }: Dataset, seed: Seed): Split =>
  split(length, Math.min(5000, Math.max(1, Math.floor(length / 10))), seed);

/** Rows of a step: as many as are wanted, or an eighth of a small training set, as a batch that is not full is dropped. */
export const batchOf = (rows: number, wanted: number): number => Math.min(wanted, Math.ceil(rows / 8));

export interface TrainedTask {
  readonly model: Model;
  /** The model file. */
  readonly bytes: Uint8Array;
  readonly fileBytes: number;
  readonly valAccuracy: number;
  readonly testAccuracy: number;
  /** What it was learned with. */
  readonly batch: number;
  readonly learningRate: number;
  readonly trainSeconds: number;
  readonly steps: number;
  /** bernoulli: mean accuracies of ten drawn masks, which is what the paper reports. */
  readonly drawn: { readonly valAccuracy: number; readonly testAccuracy: number } | null;
}

/** The seeds by which a task's pixels and classes are permuted; the file tells them, so that `eval` can build the task. */
export type Permutations = Omit<Provenance, 'dataset'>;
export const UNPERMUTED: Permutations = { pixelPermutation: null, labelPermutation: null };

/** Where a task is learned from. */
export interface TaskSource extends Pick<LoadedData, 'name' | 'train' | 'test'> {
  readonly permutations?: Permutations;
}

/** What the classes of a data set are called. */
export const classNamesOf = ({ names }: Dataset, outputs: number): readonly string[] =>
  names ?? (outputs === DIGITS.length ? DIGITS : Array.from({ length: outputs }, (_, i) => String(i)));

/** A data set as a task sees it whose pixels and classes are permuted by seeds. */
export function permutedSource({ name, train, test }: TaskSource, outputs: number, pixels?: Seed, classLabels?: Seed): TaskSource {
  const [pixelPermutation, labelPermutation] = [pixels ?? null, classLabels ?? null];
  const classes = classNamesOf(train, outputs).length;
  const seen = (set: Dataset) => ({ ...set, ...permuted(set, pixelPermutation, labelPermutation, { classes }) });
  return { name, train: seen(train), test: seen(test), permutations: { pixelPermutation, labelPermutation } };
}

/** A one-task model with its temperature fitted on validation rows, and its free bits as they are cheapest. */
export function taskModel(
  engine: Engine,
  network: Network,
  mask: Uint8Array[],
  { train, name, permutations = UNPERMUTED }: Omit<TaskSource, 'test'>,
  validation: Uint32Array,
): Model {
  const labels = classNamesOf(train, outputs(network));
  const logitScale = logitScaleOf(engine, network, { mask }, train, validation, labels.length);
  const data = { dataset: name, ...permutations };
  const transform = { ...PIXELS_TRANSFORM, ...(train.features && { features: train.features }) };
  const task = settleFreeBits(network, { id: '', mask, transform, labels, data, logitScale });
  return { network, tasks: [task] };
}

export type Labelled = Pick<Dataset, 'images' | 'labels'>;

/** Some rows of a set. */
export const rowsOf = (set: Dataset, rows: Uint32Array): Labelled => ({ images: imagesOf(set, rows), labels: labelsOf(set, rows) });

/** Accuracy of a one-task model on labelled images. */
export const accuracy = (engine: Engine, { network, tasks: [task] }: Model, set: Labelled): number =>
  accuracyUnder(engine, network, { mask: task.mask, transform: task.transform }, set, task.labels.length);

/** Accuracies of a one-task model on validation rows and on the test set. */
export const accuracies = (
  engine: Engine,
  model: Model,
  data: { readonly train: Dataset; readonly test: Dataset },
  validation: Uint32Array,
): { valAccuracy: number; testAccuracy: number } => ({
  valAccuracy: accuracy(engine, model, rowsOf(data.train, validation)),
  testAccuracy: accuracy(engine, model, data.test),
});

/**
 * Accuracy of a network under a mask, with parameters, or both.
 * @param classes the first so many outputs: the others name nothing
 */
export function accuracyUnder(
  engine: Engine,
  network: Network,
  options: ClassifierOptions,
  { images, labels }: Labelled,
  classes = outputs(network),
): number {
  const classifier = engine.classifier(network, options);
  const result = accuracyOf(classifier.logits(images, labels.length), labels, outputs(network), classes);
  classifier.free();
  return result;
}

/** What a mask that answers alike to everything lacks, or null. */
export function emptyLayer({ tasks: [{ mask }] }: Model): string | null {
  const empty = mask.findIndex((bits) => countKept(bits) === 0);
  return empty < 0 ? null : `layer ${empty + 1} of those with weights keeps none of them`;
}

/**
 * Why a learned task is of no use, in one line, or null: it answers alike whatever it is shown, or no better than without looking.
 * @param labels of the validation rows
 * @param given the learning rate where it is not the method's own
 */
export function warningOf(
  { model, valAccuracy }: Pick<TrainedTask, 'model' | 'valAccuracy'>,
  labels: Uint8Array,
  given: Pick<TaskOptions, 'learningRate'> = {},
): string | null {
  const rate = given.learningRate === undefined ? '' : 'another --learning-rate, ';
  const empty = emptyLayer(model);
  if (empty) return `${empty}: try ${rate}a higher --density (topk) or another --seed`;
  const samples = new Uint32Array(256);
  for (const label of labels) samples[label]++;
  const chance = Math.max(...samples) / labels.length;
  if (valAccuracy > chance) return null;
  if (chance === 1)
    return `the validation rows (${labels.length}) are all of one class: their accuracy, ${valAccuracy.toFixed(4)}, says nothing of others`;
  const found = `validation accuracy ${valAccuracy.toFixed(4)} is no better than always saying the most frequent class (${chance.toFixed(4)})`;
  return `${found}: try ${rate}more --epochs, a higher --density (topk) or a larger --network`;
}

/** Training images are moved within the reach. */
export interface TaskOptions extends Reach {
  readonly method?: Method;
  /** Dynamic weight rescaling (bernoulli). */
  readonly rescale?: boolean;
  /** Weight of the mean probability of a weight to be kept, in the loss (bernoulli). */
  readonly penalty?: number;
  /** Kept fraction per weighted layer (topk). */
  readonly density: readonly number[];
  /** Rows of a step, and how far it goes; default: the method's own. */
  readonly batch?: number;
  readonly learningRate?: number;
  /** Nats of training loss that a bit of the file is worth (topk); 0 for none. */
  readonly rate?: number;
  readonly epochs: number;
  /** The mask of a like task that training begins at (topk); default: none. */
  readonly start?: Mask;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** A model and its file. */
export function encoded(model: Model): Pick<TrainedTask, 'model' | 'bytes' | 'fileBytes'> {
  const bytes = writeModel(model);
  return { model, bytes, fileBytes: bytes.length };
}

/** Learns a mask and packs it; everything is chosen on validation rows, the test set is only reported. */
export async function trainTask(
  engine: Engine,
  network: Network,
  data: TaskSource,
  parts: Split,
  options: TaskOptions,
): Promise<TrainedTask> {
  const started = performance.now();
  const { permutations = UNPERMUTED } = data;
  const around = { network, pixelPermutation: permutations.pixelPermutation };
  const rate = options.rate ? { weight: options.rate, costs: maskPrices(around).costs } : undefined;
  const { method = 'topk', rescale = false } = options;
  const recipes = { topk: topkTraining(network, data.train), bernoulli: bernoulliTraining(network), threshold: RMSPROP };
  const { batch = batchOf(parts.train.length, TOPK.batch), learningRate = recipes[method].learningRate } = options;
  const how = { ...options, batch, learningRate };
  const learn = {
    topk: () => trainTopk(engine, network, data.train, parts, { ...recipes.topk, ...how, rate }),
    bernoulli: () => trainBernoulli(engine, network, data.train, parts, { ...recipes.bernoulli, ...how, rescale }),
    threshold: () => trainThreshold(engine, network, data.train, parts, { ...recipes.threshold, ...how }),
  };
  const learned: MaskResult & Partial<BernoulliResult> = await learn[method]();
  const trainSeconds = (performance.now() - started) / 1000;
  const modelOf = (mask: Uint8Array[]) => taskModel(engine, network, mask, data, parts.validation);
  const model = modelOf(learned.mask);
  const drawn = (learned.drawn ?? []).map((mask) => accuracies(engine, modelOf(mask), data, parts.validation));
  const mean = (of: (a: (typeof drawn)[number]) => number) => drawn.reduce((sum, a) => sum + of(a), 0) / drawn.length;
  return {
    ...encoded(model),
    ...accuracies(engine, model, data, parts.validation),
    batch,
    learningRate,
    trainSeconds,
    steps: learned.steps,
    drawn: drawn.length ? { valAccuracy: mean((a) => a.valAccuracy), testAccuracy: mean((a) => a.testAccuracy) } : null,
  };
}
