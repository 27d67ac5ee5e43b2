// What an engine is: a connector between networks and a machine that multiplies. Three verbs: classify under a mask, give the
// gradients of a batch, take an optimiser step. An engine owns its memory; callers pass plain typed arrays and get copies back.
//
// Canonical order of summation (every engine, every kernel, every thread count): a sum runs over its terms in ascending index with
// one f32 accumulator starting at +0, multiply then add, no fused multiply-add. Terms whose weight or input is 0 add nothing, so a
// kernel may skip them: with finite inputs the bits are the same. For a dense layer the index is the input; for a conv layer
// (ky, kx, channel); for a weight gradient the sample, then y, then x; for an input gradient the output unit (conv: ky, kx, filter).
// Biases are added after the sum. A signed-constant network over uint8 inputs is an integer program instead: exact in any order.

import type { Mask, Network, Parameters } from '../network.js';

/**
 * What happens to raw inputs before the first layer: x -> (x - mean) * scale. `scale` 1/255 and `mean` 0 is the registered transform.
 * A task's transform may say more of its inputs: the caller applies that to the rows first (`asInputs`), and rows to which it plainly was
 * not applied are refused.
 */
export interface InputTransform {
  readonly scale: number;
  readonly mean: number;
  /** Of a task over numbers, how they become bytes: its rows are bytes by then. */
  readonly features?: object;
  /** One bit an input: those declared constant are 0 by then. */
  readonly constant?: Uint8Array | null;
}

export const PIXELS: Pick<InputTransform, 'scale' | 'mean'> = { scale: Math.fround(1 / 255), mean: 0 };

export interface ClassifierOptions {
  /** Kept weights; absent means all of them. */
  readonly mask?: Mask;
  /** The caller's own floats instead of the regenerated weights: trained tickets, dense networks. */
  readonly parameters?: Parameters;
  /** Default PIXELS. Rows of a task whose transform has features or constant inputs go through `asInputs` first. */
  readonly transform?: InputTransform;
}

/** A network under one mask, ready to answer. */
export interface Classifier {
  /**
   * Real value of one step of integer logits, which uint8 inputs give where the network allows it (signed constants, transform with
   * mean 0, bound fits in i32). `stepOf` says what a step of given logits is.
   */
  readonly scale: number;
  readonly inputs: number;
  readonly outputs: number;
  /** What it may come to hold in the engine's memory, the f32 form of an integer program apart: what a cache should charge. */
  readonly bytes: number;
  /**
   * Logits of `rows` samples of raw values, sample-major. An integer program given f32 values (not whole pixels) computes in f32.
   * @returns rows x outputs values before softmax, in units of `stepOf`: exact integers, or reals
   * @throws ShapeError when the inputs do not hold rows x inputs values, or `asInputs` has not made of them what the transform says
   */
  logits(inputs: Uint8Array | Float32Array, rows: number): Int32Array | Float32Array;
  /** Gives the memory back; whoever asks anything afterwards gets an Error. A second time does nothing. */
  free(): void;
}

/** Real value of one step of logits that a classifier gave: its `scale` where they are integers, 1 where they are real already. */
export const stepOf = ({ scale }: Pick<Classifier, 'scale'>, logits: Int32Array | Float32Array): number =>
  logits instanceof Int32Array ? scale : 1;

/** A network of signed constants under whichever mask comes with a call: nothing is laid out for a mask, so thousands take turns freely. */
export interface AnyMask {
  /** Real value of one step of the logits. */
  readonly scale: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Held in the engine's memory. */
  readonly bytes: number;
  /**
   * The logits that `classifier` of this mask gives, bit for bit, at several times its cost a row and none before the first.
   * @param mask as `packMask` gives it
   * @param inputs rows x inputs raw values, sample-major
   * @returns rows x outputs; multiply by `scale`
   * @throws ShapeError when mask or inputs do not fit
   */
  logits(mask: Uint8Array, inputs: Uint8Array, rows: number): Int32Array;
  /** Gives the memory back; whoever asks anything afterwards gets an Error. A second time does nothing. */
  free(): void;
}

export interface AdamOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Above 0, also as f32 and times the root of 1 - beta2: a weight whose gradients are all 0 is divided by it. */
  readonly epsilon: number;
}

export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum: number;
}

export interface BernoulliStepOptions extends SgdOptions {
  /**
   * Weight of a sparsity term: the mean of p over all weights of the network, times this, is added to what a step descends (the
   * expected rate of Isik et al. 2023, arXiv 2309.10834). Not in the loss that `gradients` returns. At least 0; default 0.
   */
  readonly penalty?: number;
}

/**
 * A training run on one network. State (weights or scores, optimiser moments, gradients) lives in the engine.
 *
 * A step, `show`, `select` and `draw` use the batch of the last `gradients` up: whoever wants to step or to see gradients then calls
 * `gradients` again, or gets an Error.
 */
export interface Trainer {
  /**
   * Mean softmax cross-entropy of a batch of training rows; leaves the gradients in the engine.
   * @param rows indices into the training set
   */
  gradients(rows: Uint32Array): number;
  /** d loss / d effective weight of a weighted layer, canonical order, of the last `gradients`: ask before the step. */
  weightGradient(layer: number): Float32Array;
  /** Logits of the training set's rows under the current effective weights: rows.length x outputs. */
  logits(rows: Uint32Array): Float32Array;
  /**
   * Replaces the images of the training set, as many as there are; labels stay.
   * @throws ShapeError when there are more or fewer values
   */
  show(images: Uint8Array): void;
  /** Gives the memory back; whoever asks anything afterwards gets an Error. A second time does nothing. */
  free(): void;
}

/** What Adam carries into the next step. */
export interface Moments {
  /** Running means of the gradients. */
  readonly first: Parameters;
  /** The same of their squares. */
  readonly second: Parameters;
  /** beta1 and beta2 to the power of the steps taken, as so many products gave them. */
  readonly powers: readonly [number, number];
}

/** Parameters to begin with, or to go on with. */
export interface DenseStart extends Parameters {
  /** Default: those before the first step. */
  readonly moments?: Moments;
}

/** Trains float weights and biases. */
export interface DenseTrainer extends Trainer {
  /** d loss / d bias of a weighted layer, of the last `gradients`: ask before the step. */
  biasGradient(layer: number): Float32Array;
  adam(options: AdamOptions): void;
  sgd(options: SgdOptions): void;
  parameters(): { weights: Float32Array[]; biases: Float32Array[] };
  /** Of Adam; a trainer made of these and the parameters goes on with the same bits. */
  moments(): Moments;
}

/** Scores to begin with, or to go on with. */
export interface Scores {
  /** One value a weight, canonical order. */
  readonly scores: readonly Float32Array[];
  /** What momentum carries into the next step, one value a score; default: 0, before the first. */
  readonly velocities?: readonly Float32Array[];
}

/** What the mask of a topk trainer keeps. */
export interface Selection {
  /** Kept weights per layer. */
  readonly keep: readonly number[];
  /** Multiplies every weight of a layer (keeps activations steady while the density falls; not stored). */
  readonly gain: readonly number[];
}

/** Trains scores; the effective weight is gain x sign or gain x weight where the score is among the layer's `k` highest. */
export interface TopkTrainer extends Trainer {
  /**
   * The fused mask step: the mask is cut at the `keep`-th highest score of each layer as the scores stand, momentum SGD moves the
   * scores with the straight-through gradient dL/dW' x gain x W, and the new scores from the cut on are kept: so about `keep`.
   */
  step(options: SgdOptions, selection: Selection): void;
  /** Keeps the `keep` highest scores of each layer (and those equal to the last of them). */
  select(selection: Selection): void;
  /**
   * Adds to the scores, each sum rounded to f32. The mask follows at the next step or selection.
   * @param amounts finite, one a weight, canonical order
   */
  nudge(amounts: readonly Float32Array[]): void;
  scores(): Float32Array[];
  /** What momentum carries into the next step, one value a score; a trainer made of both goes on with the same bits. */
  velocities(): Float32Array[];
  /** Exactly `keep` weights per layer: the highest scores, ties to the lower index. */
  mask(keep: readonly number[]): Uint8Array[];
}

/**
 * Trains scores whose sigmoid is the probability p that a weight is kept; every step draws a mask (Zhou et al. 2019, section 5.1). The
 * effective weight W' is the weight where the drawn mask keeps it; with dynamic weight rescaling (section 5.2 there), times N / S, all
 * weights of the layer over those drawn. Draws have numbers and addresses (draws.ts): a draw depends on the scores, the network's
 * seed and its number alone.
 */
export interface BernoulliTrainer extends Trainer {
  /**
   * Momentum SGD on the scores with the straight-through gradient (dL/dm + penalty / weights of the network) x p(1 - p); then mask
   * `draw` is drawn.
   * dL/dm = dL/dW' x (N / S) W - (1 / S) sum of W' dL/dW' over the layer; without rescaling dL/dW' x W. The sum is taken as output times
   * its gradient over samples and units, which is equal (Euler), in f64, ascending.
   */
  step(options: BernoulliStepOptions, draw: number): void;
  /** Draws mask number `draw` of the present scores. */
  draw(draw: number): void;
  scores(): Float32Array[];
  /** What momentum carries into the next step, one value a score; a trainer made of both, and its next draw, go on with the same bits. */
  velocities(): Float32Array[];
  /** The mask drawn last. */
  mask(): Uint8Array[];
}

export interface TrainingSet {
  /** rows x inputs, sample-major raw uint8 values. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly transform: InputTransform;
}

export interface Engine {
  readonly name: 'reference' | 'wasm' | 'tfjs';
  readonly threads: number;
  /** Bytes of the kernels' memory, which grows as needed and never shrinks; 0 where arrays are all there is. */
  readonly memoryBytes: number;
  /** @throws ShapeError when mask or parameters do not fit */
  classifier(network: Network, options?: ClassifierOptions): Classifier;
  /** Null unless the network is an integer program under every mask: dense layers of signed constants whose sums fit in i32. */
  anyMask(network: Network, transform?: InputTransform): AnyMask | null;
  /**
   * @param mask trains only the weights it keeps: a lottery ticket. The others keep their start values, and their gradients are
   * reported as 0. Where those values are 0, cost falls with the density.
   */
  denseTrainer(network: Network, data: TrainingSet, start: DenseStart, batch: number, mask?: Mask): DenseTrainer;
  topkTrainer(network: Network, data: TrainingSet, start: Scores, selection: Selection, batch: number): TopkTrainer;
  /** Starts with draw 0. */
  bernoulliTrainer(network: Network, data: TrainingSet, start: Scores, rescale: boolean, batch: number): BernoulliTrainer;
  /** Stops the threads and gives memory back; classifiers answer no more, and nothing else made by this engine may be used. */
  close(): void;
}
