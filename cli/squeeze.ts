// --squeeze: the rate-distortion pass of src/squeeze.ts over a learned task. Half of the validation rows choose (epoch, densities,
// temperature); the other half choose nothing and check what the flips have done. A squeezed mask that loses there is thrown away.

import { maskPrices, SeedmaskError } from '../codec/index.js';
import type { Split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { type SqueezeProgress, squeeze } from '../src/squeeze.js';
import { accuracies, accuracy, encoded, rowsOf, type TaskSource, type TrainedTask, taskModel, UNPERMUTED } from './learn.js';

/** The most accuracy on the checking rows that a squeezed mask may lose. */
const MOST_LOST = 0.002;

export interface SqueezeReport {
  /** Whether the squeezed mask was taken. */
  readonly taken: boolean;
  /** Why it was not, or null. */
  readonly thrownAwayFor: string | null;
  readonly flips: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Nats, training rows. */
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** On the rows that chose nothing. */
  readonly checkAccuracyBefore: number;
  readonly checkAccuracyAfter: number;
}

export interface SqueezeSettings {
  readonly parts: Split;
  readonly check: Uint32Array;
  /** What a squeezed task must still be, beside passing the check. */
  readonly enough: (task: TrainedTask) => boolean;
  readonly onProgress?: (progress: SqueezeProgress) => void;
}

/**
 * The validation rows in two halves, alternately: those that choose, and those that check.
 * @throws SeedmaskError bad-option where one of them would be empty
 */
export function withCheck({ train, validation }: Split): { parts: Split; check: Uint32Array } {
  if (validation.length < 2) {
    const expected = 'left away with fewer than 2 validation rows (a tenth of the training rows): none would check what it does';
    throw new SeedmaskError('bad-option', { field: '--squeeze', expected, got: String(validation.length) });
  }
  return { parts: { train, validation: validation.filter((_, i) => i % 2 === 0) }, check: validation.filter((_, i) => i % 2 === 1) };
}

/** The task in fewer bytes, or as it was. */
export async function squeezeTask(
  engine: Engine,
  before: TrainedTask,
  data: TaskSource,
  { parts, check, enough, onProgress }: SqueezeSettings,
): Promise<{ task: TrainedTask; report: SqueezeReport }> {
  const { network, tasks } = before.model;
  const [task] = tasks;
  const { permutations = UNPERMUTED } = data;
  const { mask, flips, lossBefore, lossAfter } = await squeeze(engine, network, data.train, parts.train, task.mask, {
    logitScale: task.logitScale,
    ...maskPrices({ network, pixelPermutation: permutations.pixelPermutation }),
    onProgress,
  });
  const model = taskModel(engine, network, mask, data, parts.validation);
  const after = { ...before, ...encoded(model), ...accuracies(engine, model, data, parts.validation) };
  const rows = rowsOf(data.train, check);
  const [checkAccuracyBefore, checkAccuracyAfter] = [before, after].map((one) => accuracy(engine, one.model, rows));
  const loses = checkAccuracyAfter < checkAccuracyBefore - MOST_LOST && `more than ${MOST_LOST} of accuracy lost there`;
  const thrownAwayFor =
    loses || (after.fileBytes > before.fileBytes && 'no bytes saved') || (!enough(after) && 'the target missed') || null;
  const taken = thrownAwayFor === null;
  const bytes = { bytesBefore: before.fileBytes, bytesAfter: after.fileBytes };
  return {
    task: taken ? after : before,
    report: { taken, thrownAwayFor, flips, ...bytes, lossBefore, lossAfter, checkAccuracyBefore, checkAccuracyAfter },
  };
}
