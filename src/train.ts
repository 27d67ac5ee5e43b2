// The training loops: network + engine + data + schedule -> weights or a mask. Everything random comes from one seed (split, batch
// order, first scores), so a run gives the same bytes with any number of threads. Choices are made on validation rows only.

import { checkDataset, type Dataset, epochOrder, imagesOf, labelsOf, type Split } from './data.js';
import {
  type BernoulliTrainer,
  type DenseStart,
  type Engine,
  PIXELS,
  type Scores,
  type Selection,
  type TopkTrainer,
  type Trainer,
  type TrainingSet,
} from './engine/engine.js';
import { accuracyOf } from './evaluate.js';
import { cosinePi } from './exact.js';
import { EVALUATION_DRAWS, evenScores, likelierMask } from './masks/bernoulli.js';
import { checkRmsprop, type RmspropOptions, ThresholdScores } from './masks/threshold.js';
import { densityAt, initialScores, keepAt, SCHEDULE, selectionAt } from './masks/topk.js';
import { moveImages, moves } from './moves.js';
import { checkMask, type Mask, type Network, outputs, type Parameters, regenerate, ShapeError } from './network.js';
import { PAPER } from './recipes.js';
import { checkDensity, checkRun, doneOf, type Resumable, type TrainOptions } from './training-options.js';

function setOf(data: Dataset, { transform = PIXELS }: TrainOptions): TrainingSet {
  checkDataset(data);
  const { images, labels } = data;
  return { images, labels, transform };
}

interface Run {
  readonly trainer: Trainer;
  readonly network: Network;
  readonly data: Dataset;
  readonly split: Split;
  readonly options: TrainOptions;
  /** What training has moved so far. */
  readonly moved: () => readonly Float32Array[];
  /** Epochs that were done before. */
  readonly done?: number;
}

const REPORT_EVERY = 50;

/** Throws ShapeError where training has left the numbers: nothing brings a weight or score back, and whatever is made of it looks learned. */
function checkDiverged(moved: readonly Float32Array[], { learningRate }: TrainOptions): void {
  const wrong = moved.map((values) => values.find((value) => !Number.isFinite(value))).find((value) => value !== undefined);
  if (wrong === undefined) return;
  throw new ShapeError(
    `training diverged: expected finite weights and scores, got ${wrong}: choose a smaller learning rate than ${learningRate}`,
  );
}

/** Runs `step` over all epochs, reports, and lets other work in between; the last partial batch of an epoch is dropped. */
async function loop(
  { trainer, network, data, split, options, moved, done = 0 }: Run,
  step: (rows: Uint32Array, index: number, steps: number) => number,
  epochDone: (all: number, epoch: number, steps: number) => number,
): Promise<number> {
  const perEpoch = Math.floor(split.train.length / options.batch);
  const steps = perEpoch * options.epochs;
  const shown = moves(options) ? data.images.slice() : null;
  let index = done * perEpoch;
  let valAccuracy: number | null = null;
  for (let epoch = done; epoch < options.epochs; epoch++) {
    const number = (options.firstEpoch ?? 0) + epoch;
    const order = epochOrder(split.train, network.seed, number);
    if (shown) {
      moveImages(data, split.train, options, network.seed, number, shown);
      trainer.show(shown);
    }
    let [loss, count] = [0, 0];
    for (let i = 0; i < perEpoch; i++) {
      try {
        loss += step(order.subarray(i * options.batch, (i + 1) * options.batch), index++, steps);
      } catch (error) {
        // What an engine refuses where training has left the numbers is no mistake of its caller's.
        checkDiverged(moved(), options);
        throw error;
      }
      count++;
      if (i === perEpoch - 1) {
        checkDiverged(moved(), options);
        valAccuracy = epochDone(number + 1, epoch + 1, index);
      }
      if (index % REPORT_EVERY === 0 || i === perEpoch - 1) {
        options.onProgress?.({
          epoch: epoch + 1,
          epochs: options.epochs,
          step: index,
          steps,
          loss: loss / count,
          valAccuracy,
          images: (index - done * perEpoch) * options.batch,
        });
        [loss, count] = [0, 0];
        await new Promise((resolve) => setTimeout(resolve, 0));
        options.signal?.throwIfAborted();
      }
    }
  }
  return steps;
}

/** Training of weights between two epochs: what the same training goes on from, to the same bits. */
export interface DenseRun extends Required<DenseStart> {
  /** Epochs done, those before `firstEpoch` among them. */
  readonly epoch: number;
  readonly valAccuracy: number;
}

export interface DenseOptions extends TrainOptions, Resumable<DenseRun> {
  /** Default: the regenerated initialisation. */
  readonly start?: readonly Float32Array[];
  /** Trains only these weights; the others keep their start values. */
  readonly mask?: Mask;
}

export interface DenseResult {
  readonly initial: readonly Float32Array[];
  /** After the last epoch: the paper's criteria look at these. */
  readonly final: Parameters;
  readonly valAccuracy: number;
  readonly steps: number;
}

/**
 * Trains the weights of a network with Adam, biases from 0.
 * @param split rows of `data` that train and validate
 * @throws ShapeError when options, split, data and network do not fit (TrainOptions says what does); DataError when `data` has other
 * values than bytes, or no such validation row; what the signal says when the run is aborted
 */
export async function trainDense(
  engine: Engine,
  network: Network,
  data: Dataset,
  split: Split,
  options: DenseOptions,
): Promise<DenseResult> {
  checkRun(split, options);
  const { begun } = options;
  const done = doneOf(options);
  const initial = options.start ?? regenerate(network);
  const set = setOf(data, options);
  const trainer = engine.denseTrainer(network, set, begun ?? { weights: initial, biases: null }, options.batch, options.mask);
  const labels = labelsOf(data, split.validation);
  let valAccuracy = begun?.valAccuracy ?? 0;
  try {
    const steps = await loop(
      { trainer, network, data, split, options, done, moved: () => Object.values(trainer.parameters()).flat() },
      (rows) => {
        const loss = trainer.gradients(rows);
        trainer.adam({ ...PAPER, learningRate: options.learningRate });
        return loss;
      },
      (all) => {
        valAccuracy = accuracyOf(trainer.logits(split.validation), labels, outputs(network));
        options.onEpoch?.(() => ({ epoch: all, ...trainer.parameters(), moments: trainer.moments(), valAccuracy }), all);
        return valAccuracy;
      },
    );
    return { initial, final: trainer.parameters(), valAccuracy, steps };
  } finally {
    trainer.free();
  }
}

/** Mask training between two epochs: what the same training goes on from, to the same bits. */
export interface MaskRun extends Required<Scores> {
  /** Epochs done, those before `firstEpoch` among them. */
  readonly epoch: number;
  /** The choice among the epochs so far; epoch 0 before there is any. */
  readonly best: Omit<MaskResult, 'steps'>;
}

interface MaskOptions extends TrainOptions, Resumable<MaskRun> {
  readonly momentum: number;
}

/** Before the first epoch. */
const NO_MASK: MaskRun['best'] = { mask: [], valAccuracy: -1, epoch: 0 };

export interface TopkOptions extends MaskOptions {
  /** Kept fraction per weighted layer. */
  readonly density: readonly number[];
  /** First scores are uniform in [0, scoreRange), the same for all layers or one a layer. */
  readonly scoreRange: number | readonly number[];
  /** A mask for a like task: its weights begin above all others. Default: none. */
  readonly start?: Mask;
  /** Makes training prefer masks that take fewer bits, once the density has arrived; default: none. */
  readonly rate?: Rate;
}

/** What the bits of a mask cost, as whoever writes it knows (codec/rate.ts). */
export interface Rate {
  /** Nats of training loss that a bit of the file is worth. */
  readonly weight: number;
  /** Bits that keeping each weight costs above pruning it, under a mask: one value a weight, canonical order. */
  readonly costs: (mask: Mask) => readonly Float32Array[];
}

/** Steps between looks at what bits cost, an epoch at most. */
const RATE_EVERY = 200;
/** Bits: a weight that costs more than this loses its score no faster. */
const MOST_BITS = 8;

export interface MaskResult {
  readonly mask: Uint8Array[];
  readonly valAccuracy: number;
  /** Epoch whose mask was chosen, from 1. */
  readonly epoch: number;
  readonly steps: number;
}

/**
 * Learns a mask with SGD and a cosine learning rate (masks/topk.ts). Returns the mask, exactly at its target density, of the epoch
 * with the best validation accuracy; of equals, the later.
 * @param split rows of `data` that train and validate
 * @throws ShapeError when options, split, data and network do not fit (TrainOptions says what does); DataError when `data` has other
 * values than bytes, or no such validation row; what the signal says when the run is aborted
 */
export async function trainTopk(engine: Engine, network: Network, data: Dataset, split: Split, options: TopkOptions): Promise<MaskResult> {
  const done = checkMaskRun(network, split, options);
  checkDensity(network, options.density);
  const set = setOf(data, options);
  const { rate, begun, epochs } = options;
  const perEpoch = Math.floor(split.train.length / options.batch);
  const first = densityAt(options.density, done * perEpoch, epochs * perEpoch);
  const start = begun ?? { scores: initialScores(network, options.scoreRange, options.start) };
  const trainer = engine.topkTrainer(network, set, start, selectionAt(network, first), options.batch);
  const labels = labelsOf(data, split.validation);
  const target = keepAt(network, options.density);
  const every = Math.min(RATE_EVERY, perEpoch);
  let best = begun?.best ?? NO_MASK;
  try {
    const steps = await loop(
      { trainer, network, data, split, options, done, moved: () => trainer.scores() },
      (rows, index, steps) => {
        const loss = trainer.gradients(rows);
        const density = densityAt(options.density, index + 1, steps);
        const learningRate = (options.learningRate / 2) * (1 + cosinePi(index / steps));
        trainer.step({ learningRate, momentum: options.momentum }, selectionAt(network, density));
        if (rate && index >= SCHEDULE * steps && (index + 1) % every === 0) {
          // As far as the momentum of a constant gradient carries in as many steps.
          const push = (-rate.weight * every * learningRate) / (1 - options.momentum);
          const costs = rate.costs(trainer.mask(keepAt(network, density)));
          trainer.nudge(costs.map((bits) => bits.map((cost) => push * Math.max(-MOST_BITS, Math.min(MOST_BITS, cost)))));
        }
        if ((index + 1) % perEpoch === 0) trainer.select(selectionAt(network, density));
        return loss;
      },
      (all, epoch, steps) => {
        const valAccuracy = accuracyOf(trainer.logits(split.validation), labels, outputs(network));
        const atTarget = keepAt(network, densityAt(options.density, steps, perEpoch * epochs)).every((k, i) => k === target[i]);
        if (atTarget && valAccuracy >= best.valAccuracy) best = { mask: trainer.mask(target), valAccuracy, epoch };
        options.onEpoch?.(() => runOf(trainer, all, best), all);
        return valAccuracy;
      },
    );
    return { ...best, steps };
  } finally {
    trainer.free();
  }
}

/** The epochs that were done before. */
function checkMaskRun(network: Network, split: Split, options: MaskOptions): number {
  const { momentum, begun } = options;
  checkRun(split, options, { momentum });
  if (begun && begun.best.epoch > 0) checkMask(network, begun.best.mask);
  return doneOf(options);
}

const runOf = (trainer: TopkTrainer | BernoulliTrainer, epoch: number, best: MaskRun['best']): MaskRun => ({
  epoch,
  scores: trainer.scores(),
  velocities: trainer.velocities(),
  best,
});

export interface BernoulliOptions extends MaskOptions {
  /** Dynamic weight rescaling (Zhou et al. 2019, section 5.2). */
  readonly rescale: boolean;
  /** Weight of the sparsity term: the mean probability of a weight to be kept. Reported losses are without it. Default 0. */
  readonly penalty?: number;
}

export interface BernoulliResult extends MaskResult {
  /** Ten masks drawn from the scores after the last epoch: the paper reports their mean accuracy. */
  readonly drawn: readonly Uint8Array[][];
}

/**
 * Learns probabilities of masks (masks/bernoulli.ts) at a constant learning rate. Returns the likelier mask of the epoch in which that
 * mask had the best validation accuracy; of equals, the later.
 * @param split rows of `data` that train and validate
 * @throws ShapeError when options, split, data and network do not fit (TrainOptions says what does); DataError when `data` has other
 * values than bytes, or no such validation row; what the signal says when the run is aborted
 */
export async function trainBernoulli(
  engine: Engine,
  network: Network,
  data: Dataset,
  split: Split,
  options: BernoulliOptions,
): Promise<BernoulliResult> {
  const done = checkMaskRun(network, split, options);
  const set = setOf(data, options);
  const { begun } = options;
  const start = begun ?? { scores: evenScores(network) };
  const trainer = engine.bernoulliTrainer(network, set, start, options.rescale, options.batch);
  if (begun) trainer.draw(done * Math.floor(split.train.length / options.batch));
  const images = imagesOf(data, split.validation);
  const labels = labelsOf(data, split.validation);
  let best = begun?.best ?? NO_MASK;
  try {
    const steps = await loop(
      { trainer, network, data, split, options, done, moved: () => trainer.scores() },
      (rows, index) => {
        const loss = trainer.gradients(rows);
        trainer.step(options, index + 1);
        return loss;
      },
      (all, epoch) => {
        const mask = likelierMask(trainer.scores());
        const classifier = engine.classifier(network, { mask, transform: set.transform });
        const valAccuracy = accuracyOf(classifier.logits(images, labels.length), labels, outputs(network));
        classifier.free();
        if (valAccuracy >= best.valAccuracy) best = { mask, valAccuracy, epoch };
        options.onEpoch?.(() => runOf(trainer, all, best), all);
        return valAccuracy;
      },
    );
    const drawn = Array.from({ length: 10 }, (_, i) => {
      trainer.draw(EVALUATION_DRAWS + i);
      return trainer.mask();
    });
    return { ...best, drawn, steps };
  } finally {
    trainer.free();
  }
}

export interface ThresholdOptions extends TrainOptions, RmspropOptions {}

/**
 * Learns scores whose sign is the mask (masks/threshold.ts) at a constant learning rate. Returns the mask of the epoch with the best
 * validation accuracy; of equals, the later.
 * @param split rows of `data` that train and validate
 * @throws ShapeError when options, split, data and network do not fit (TrainOptions says what does); DataError when `data` has other
 * values than bytes, or no such validation row; what the signal says when the run is aborted
 */
export async function trainThreshold(
  engine: Engine,
  network: Network,
  data: Dataset,
  split: Split,
  options: ThresholdOptions,
): Promise<MaskResult> {
  checkRun(split, options);
  checkRmsprop(options);
  const set = setOf(data, options);
  const state = new ThresholdScores(network);
  const selection = (): Selection => ({ keep: state.kept(), gain: state.scores.map(() => 1) });
  const trainer = engine.topkTrainer(network, set, { scores: state.scores }, selection(), options.batch);
  const labels = labelsOf(data, split.validation);
  let best = NO_MASK;
  try {
    const steps = await loop(
      { trainer, network, data, split, options, moved: () => state.scores },
      (rows) => {
        const loss = trainer.gradients(rows);
        trainer.nudge(state.scores.map((_, layer) => state.move(layer, trainer.weightGradient(layer), options)));
        trainer.select(selection());
        return loss;
      },
      (_, epoch) => {
        const valAccuracy = accuracyOf(trainer.logits(split.validation), labels, outputs(network));
        if (valAccuracy >= best.valAccuracy) best = { mask: trainer.mask(state.kept()), valAccuracy, epoch };
        return valAccuracy;
      },
    );
    return { ...best, steps };
  } finally {
    trainer.free();
  }
}
