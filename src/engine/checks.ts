// What every engine asks of its callers, checked once at the edge: shapes and counts, refused with a ShapeError that says what was
// found and what was expected.

import { inputs, kept, type Network, outputs, type Parameters, ShapeError, totalWeights, weighted } from '../network.js';
import type { AdamOptions, BernoulliStepOptions, DenseStart, InputTransform, Scores, Selection, TrainingSet } from './engine.js';

/** Throws ShapeError unless `raw` holds rows x width values. */
export function checkInputs(raw: Uint8Array | Float32Array, rows: number, width: number): void {
  if (!(Number.isInteger(rows) && rows >= 0)) throw new ShapeError(`rows must be a whole number, got ${rows}`);
  if (raw.length !== rows * width) throw new ShapeError(`got ${raw.length} input values, expected ${rows} rows x ${width} values`);
}

/** Throws ShapeError where what a transform says beyond scale and mean has not been done to rows of `width` values. */
export function checkApplied(raw: Uint8Array | Float32Array, { features, constant }: InputTransform, width: number): void {
  const found =
    features && !(raw instanceof Uint8Array)
      ? 'numbers that are not bytes yet'
      : constant && raw.some((value, i) => value !== 0 && kept(constant, i % width))
        ? 'values in inputs declared constant'
        : '';
  if (found) throw new ShapeError(`the rows have ${found}: pass what asInputs(rows, transform, ${width}) makes of them`);
}

/** Throws ShapeError unless the arrays have the lengths of the network's weights and, when there are any, biases. */
export function checkParameters(network: Network, { weights, biases }: Parameters): void {
  checkLayers('weights', weights, network);
  weighted(network).forEach((layer, i) => {
    checkLength(`weights of layer ${i}`, weights[i].length, layer.weights);
    if (biases) checkLength(`biases of layer ${i}`, biases[i]?.length ?? 0, layer.output[2]);
  });
}

/** The same of parameters to begin with, and of the moments to go on with, where there are any. */
export function checkStart(network: Network, { moments, ...parameters }: DenseStart): void {
  for (const values of moments ? [parameters, moments.first, moments.second] : [parameters]) checkParameters(network, values);
}

/** Throws ShapeError unless there is one score per weight, and of velocities, where there are any, one too. */
export function checkScores(network: Network, { scores, velocities }: Scores): void {
  for (const [what, values] of Object.entries({ scores, velocities })) {
    if (!values) continue;
    checkLayers(what, values, network);
    weighted(network).forEach((layer, i) => {
      checkLength(`${what} of layer ${i}`, values[i].length, layer.weights);
    });
  }
}

/** The same of scores that are ranked, or what is added to such: none is above all others for ever, and none has no place. */
export function checkRanked(network: Network, start: Scores): void {
  checkScores(network, start);
  start.scores.forEach((layer, i) => {
    const wrong = layer.find((score) => !(score < Number.POSITIVE_INFINITY));
    if (wrong !== undefined) throw new ShapeError(`scores of layer ${i} must be numbers below Infinity, got ${wrong}`);
  });
}

/** Throws ShapeError unless every layer keeps a whole number of its weights. */
export function checkKeep(network: Network, keep: readonly number[]): void {
  checkLayers('keep', keep, network);
  weighted(network).forEach(({ weights }, i) => {
    if (!(Number.isInteger(keep[i]) && keep[i] >= 0 && keep[i] <= weights))
      throw new ShapeError(`keep of layer ${i} must be a whole number from 0 to its ${weights} weights, got ${keep[i]}`);
  });
}

/** The same, and that every layer has a finite gain. */
export function checkSelection(network: Network, { keep, gain }: Selection): void {
  checkKeep(network, keep);
  checkLayers('gain', gain, network);
  gain.forEach((value, i) => {
    if (!Number.isFinite(value)) throw new ShapeError(`gain of layer ${i} must be a finite number, got ${value}`);
  });
}

/** Throws RangeError unless the first step's epsilon is above 0 in f32. */
export function checkAdam({ beta2, epsilon }: AdamOptions): void {
  if (!(Math.fround(epsilon * Math.sqrt(1 - beta2)) > 0)) throw new RangeError(`epsilon must be a number above 0, got ${epsilon}`);
}

/** What a Bernoulli step's penalty adds to d loss / d p of each weight; throws RangeError unless it is a number of at least 0. */
export function pushOf(network: Network, { penalty = 0 }: BernoulliStepOptions): number {
  if (!(Number.isFinite(penalty) && penalty >= 0)) throw new RangeError(`penalty must be a number of at least 0, got ${penalty}`);
  return penalty / totalWeights(network);
}

/** Throws ShapeError unless images and labels are as many as each other and fit the network, and the batch is at least 1. */
export function checkTrainingSet(network: Network, data: TrainingSet, batch: number): void {
  if (!(Number.isInteger(batch) && batch > 0)) throw new ShapeError(`batch must be a positive whole number, got ${batch}`);
  checkInputs(data.images, data.labels.length, inputs(network));
  const count = outputs(network);
  const row = data.labels.findIndex((label) => label >= count);
  if (row >= 0) throw new ShapeError(`row ${row} has label ${data.labels[row]}, the network has outputs 0 to ${count - 1}`);
}

/** Throws ShapeError unless every row is in the training set. */
export function checkRows(rows: Uint32Array, data: TrainingSet): void {
  const row = rows.find((index) => index >= data.labels.length);
  if (row !== undefined) throw new ShapeError(`row ${row} is outside the training set of ${data.labels.length} rows`);
}

/** The same, and that they are 1 to `batch`. */
export function checkBatch(rows: Uint32Array, data: TrainingSet, batch: number): void {
  checkRows(rows, data);
  if (rows.length < 1 || rows.length > batch) throw new ShapeError(`a batch has 1 to ${batch} rows, got ${rows.length}`);
}

/** The entry of a weighted layer; throws ShapeError when there is no such layer. */
export function pick<T>(layers: readonly T[], layer: number): T {
  if (!(layer in layers)) throw new ShapeError(`weighted layer ${layer} does not exist, the network has 0 to ${layers.length - 1}`);
  return layers[layer];
}

function checkLayers(what: string, list: readonly unknown[], network: Network): void {
  const expected = weighted(network).length;
  if (list.length !== expected) throw new ShapeError(`${what} has ${list.length} layers, the network has ${expected} with weights`);
}

function checkLength(what: string, got: number, expected: number): void {
  if (got !== expected) throw new ShapeError(`${what}: got ${got} values, expected ${expected}`);
}

/** The batch of the last `gradients`, until a step or a new mask uses it up. */
export class Batch {
  #stands = false;

  made(): void {
    this.#stands = true;
  }

  /** Throws an Error when there is nothing to step on or to read gradients of. */
  check(): void {
    if (!this.#stands)
      throw new Error('there is no batch: call gradients(rows) before each step, and ask for its gradients before the step');
  }

  usedUp(): void {
    this.#stands = false;
  }

  /** For a step: throws without a batch, and uses it up. */
  use(): void {
    this.check();
    this.usedUp();
  }
}

/**
 * What an engine made, until it is freed: from then on its verbs throw an Error, where they would read and overwrite what others keep in
 * the same memory by then. A second `free` does nothing.
 */
export function untilFreed<T extends { free(): void }>(what: string, made: T): T {
  let freed = false;
  const guarded = Object.entries(made).flatMap(([name, verb]: [string, unknown]) => {
    if (typeof verb !== 'function') return [];
    const ask = (...given: unknown[]): unknown => {
      if (freed) throw new Error(`this ${what} has been freed`);
      return verb(...given);
    };
    return [[name, ask] as const];
  });
  const free = (): void => {
    if (!freed) made.free();
    freed = true;
  };
  return { ...made, ...Object.fromEntries(guarded), free };
}
