// Limits, the caller's or those that hold unless it says otherwise: what a file claims is held against them, and against the bytes there
// are, before memory is taken. A writer holds what it is given against the same: what no reader takes by itself is not worth writing.

import { type Placed, size } from '../src/network.js';
import { SeedmaskError } from './errors.js';

/** What a reader is ready to spend. */
export interface Limits {
  readonly maxFileBytes: number;
  /** Weights of all masks that one call decodes, one after the other or together, those of bases once more for every task that leans. */
  readonly maxWeights: number;
  /** Weights of one mask, and values between two layers. */
  readonly maxMaskWeights: number;
  readonly maxTasks: number;
}
/** What is read unless somebody says more: masks of 256 MiB, which a file of a few kB can ask for. */
export const DEFAULT_LIMITS: Limits = { maxFileBytes: 2 ** 30, maxWeights: 2 ** 31, maxMaskWeights: 2 ** 28, maxTasks: 2 ** 20 };

/** Throws 'over-limit' above a limit. */
export function within(field: string, got: number, limit: number, hint?: string): void {
  if (got > limit) throw new SeedmaskError('over-limit', { field, got, expected: limit, hint });
}

/** Throws 'truncated' where fewer bytes are there than a part needs. */
export function need(field: string, expected: number, got: number): void {
  if (got < expected) throw new SeedmaskError('truncated', { field, expected, got });
}

/** Holds the layers of a network against what a reader takes, unless its caller says otherwise. Throws 'over-limit'. */
export function checkSizes(placed: readonly Placed[], most = DEFAULT_LIMITS.maxMaskWeights): void {
  const total = placed.reduce((sum, { weights }) => sum + weights, 0);
  within('weights of a mask', total, most);
  for (const p of placed) within('values between two layers', Math.max(size(p.input), size(p.output)), most);
}
