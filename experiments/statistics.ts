// What several runs say together: mean, least and greatest, and whether two arms that share their seeds differ (Student's paired t test).

import { createRequire } from 'node:module';
import { optionalNow } from './optional.js';

const require = createRequire(import.meta.url);

export interface Summary {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly n: number;
}

/** @throws RangeError without values */
export function summary(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('a summary needs at least one value');
  return {
    mean: values.reduce((sum, v) => sum + v, 0) / values.length,
    min: Math.min(...values),
    max: Math.max(...values),
    n: values.length,
  };
}

/** Differences count as real below this two-sided p; the paper's. */
const SIGNIFICANT = 0.05;
/** Of two pairs no star: accuracies are whole counts, two equal differences are common, and their p is 0. */
export const PAIRS = 3;

/** Whether a star is due: enough pairs, and they differ. */
export const differ = (a: readonly number[], b: readonly number[]): boolean => a.length >= PAIRS && pairedTest(a, b) < SIGNIFICANT;

/**
 * Two-sided p of the paired t test that `a` and `b` have one mean; 1 when no pair differs.
 * @param a values by run, two at least
 * @param b values of the same runs, in the same order
 */
export function pairedTest(a: readonly number[], b: readonly number[]): number {
  const n = a.length;
  const differences = a.map((value, i) => value - b[i]);
  const { mean } = summary(differences);
  const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (n - 1);
  if (variance === 0) return mean === 0 ? 1 : 0;
  // Required when first used: every command would wait for it at its start.
  const { studentt } = optionalNow('a paired test', 'jstat', () => require('jstat') as typeof import('jstat'));
  // Where the means hardly differ its half is a little more than a half.
  return Math.min(1, 2 * studentt.cdf(-Math.abs(mean) / Math.sqrt(variance / n), n - 1));
}
