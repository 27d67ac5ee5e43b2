// What a training run is told and tells, and what it asks of its callers, checked before anything is made: a run that takes no step, that
// has no row to choose by, or whose numbers are none would end like one that has learned.

import type { Split } from './data.js';
import type { InputTransform } from './engine/engine.js';
import type { Reach } from './moves.js';
import { type Network, ShapeError, weighted } from './network.js';

export interface Progress {
  /** Counted from 1. */
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  /** Mean loss over the steps since the last report. */
  readonly loss: number;
  /** Accuracy on the validation rows after the last epoch that this run finished, or null in its first. */
  readonly valAccuracy: number | null;
  /** Trained on by this run, whatever another did before it. */
  readonly images: number;
}

/**
 * Training images are moved within the reach, anew in every epoch. Whoever trains gets a ShapeError for numbers that are out of range, for
 * fewer training rows than a batch, where there is no validation row to choose by, and by the end of an epoch in which it diverged.
 */
export interface TrainOptions extends Reach {
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly transform?: InputTransform;
  /** The number of the first epoch, which decides its batch order; default 0. */
  readonly firstEpoch?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** A training that was stopped between two epochs goes on from there, to the same bits. */
export interface Resumable<Run> {
  /** Made by a run of the same network, data and options. */
  readonly begun?: Run;
  /** After every epoch, with the run so far for whoever asks, and the number of epochs done, those before `firstEpoch` among them. */
  readonly onEpoch?: (run: () => Run, epoch: number) => void;
}

/** How many epochs of a run were done before it was stopped; throws ShapeError unless it has them. */
export function doneOf({ epochs, firstEpoch = 0, begun }: TrainOptions & { readonly begun?: { readonly epoch: number } }): number {
  if (!begun) return 0;
  const done = begun.epoch - firstEpoch;
  if (Number.isInteger(done) && done >= 1 && done <= epochs) return done;
  throw new ShapeError(`a run of ${epochs} epochs goes on from epoch ${firstEpoch + 1} to ${firstEpoch + epochs}, got ${begun.epoch}`);
}

/**
 * Throws ShapeError unless the run takes steps, has validation rows, and its numbers lie within their ranges; what its signal says when
 * that was aborted already.
 * @param finite further options of the method that must be finite numbers, by name
 */
export function checkRun({ train, validation }: Split, options: TrainOptions, finite: Readonly<Record<string, number>> = {}): void {
  const { epochs, batch, learningRate, shift = 0, rotate = 0, signal } = options;
  signal?.throwIfAborted();
  checkWhole('epochs', epochs, 1);
  checkWhole('batch', batch, 1);
  checkWhole('shift', shift, 0);
  if (!(rotate >= 0 && rotate <= 90)) throw new ShapeError(`rotate must be a number of degrees from 0 to 90, got ${rotate}`);
  for (const [name, value] of Object.entries({ learningRate, ...finite }))
    if (!Number.isFinite(value)) throw new ShapeError(`${name} must be a finite number, got ${value}`);
  if (train.length < batch)
    throw new ShapeError(
      `${train.length} training rows are fewer than a batch of ${batch}, so no step would be taken: choose a smaller batch`,
    );
  if (validation.length === 0) throw new ShapeError('training needs at least 1 validation row to choose by, got 0');
}

function checkWhole(name: string, value: number, least: number): void {
  if (!(Number.isInteger(value) && value >= least))
    throw new ShapeError(`${name} must be a whole number of at least ${least}, got ${value}`);
}

/** Throws ShapeError unless every weighted layer has a density to come to. */
export function checkDensity(network: Network, density: readonly number[]): void {
  const layers = weighted(network).length;
  if (density.length !== layers) throw new ShapeError(`density has ${density.length} layers, the network has ${layers} with weights`);
  density.forEach((part, i) => {
    if (!(part > 0 && part <= 1)) throw new ShapeError(`density of layer ${i} must be above 0 and at most 1, got ${part}`);
  });
}
