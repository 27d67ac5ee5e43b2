// Labelled rows of a user's own, whatever form they have: what their classes may be called, which place a class has among a task's, and
// which rows are for testing where nothing says so: a fifth of each class, drawn once and for all, so that `train`, `eval` and `transfer`
// mean the same rows.

import { SeedmaskError } from '../../codec/index.js';
import type { Dataset, Features } from '../../src/data.js';
import { DOMAIN, parseSeed, permutation } from '../../src/random.js';

/** Of a CSV or PNG file. */
export const MAX_BYTES = 2 ** 26;
export const MAX_CLASSES = 256;
/** What a model file can say: names of so many bytes. */
export const MAX_NAME_BYTES = 255;
/** Of each class, one row in so many is for testing. */
export const TEST_EVERY = 5;
/** What the rows for testing are drawn by. The split into training and validation rows, by a seed of the user's, is stream 0. */
const [DRAWN_BY, STREAM] = [parseSeed(0), 1];

export const refuse = (field: string, got: unknown, expected: string) => new SeedmaskError('no-dataset', { field, got, expected });

/** Rows to learn from and rows to test with. */
export interface Parts {
  readonly train: Dataset;
  readonly test: Dataset;
  /** Nothing said which rows are for testing, so that they were drawn (`parted`). */
  readonly drawn?: boolean;
  /** The column of classes, where there are columns. */
  readonly label?: string;
}

/** What is wanted of rows, whatever form they have. */
export interface Wanted {
  /** How a task makes bytes of numbers; default: they are standardised by the training rows. */
  readonly features?: Features;
  /** What a task calls its classes, in its order, for labels that have names; default: these are numbered in order. */
  readonly labels?: readonly string[];
  /** The column of classes; default: the one whose name says so, else the last. */
  readonly label?: string;
  /** All rows are for testing, those to learn from as well. */
  readonly whole?: boolean;
}

export const fits = (name: string): boolean => !name.startsWith('\ufeff') && new TextEncoder().encode(name).length <= MAX_NAME_BYTES;

/** Names of classes that no model file can say are refused before anything is learned. */
export function checkClasses(where: string, names: readonly string[]): void {
  const long = names.find((name) => !fits(name));
  if (long !== undefined) throw refuse(where, `the class ${long}`, `names of at most ${MAX_NAME_BYTES} bytes, without a byte order mark`);
}

/** The place of a class among the names, which are the task's own where there is one. */
export function placeOf(label: string, names: readonly string[], { labels }: Wanted, where: string): number {
  const place = names.indexOf(label);
  if (place < 0) throw refuse(where, `label ${label}`, `a label of the ${labels ? 'task' : 'training rows'}: ${names.join(', ')}`);
  return place;
}

/** Numbers as numbers, other names by letters. */
export const inOrder = (a: string, b: string): number => Number(a) - Number(b) || (a < b ? -1 : Number(a > b));

/**
 * A fifth of each class for testing, rounded down, the others for training; both as they stand. The rows are walked in one fixed random
 * order, and of each class every fifth that is met is for testing: a file sorted by class, or one whose rows go round the classes, is
 * parted as well as a shuffled one, and no class is left without training rows.
 */
export function parted<T>(rows: readonly T[], classOf: (row: T) => string): { train: T[]; test: T[] } {
  const met = new Map<string, number>();
  const isTest = new Uint8Array(rows.length);
  for (const i of permutation(rows.length, DRAWN_BY, DOMAIN.dataSplit, STREAM)) {
    const name = classOf(rows[i]);
    const times = (met.get(name) ?? 0) + 1;
    met.set(name, times);
    if (times % TEST_EVERY === 0) isTest[i] = 1;
  }
  return { train: rows.filter((_, i) => !isTest[i]), test: rows.filter((_, i) => isTest[i]) };
}
