// Labelled rows of a user's own, whatever form they have: what their classes may be called, which place a class has among a task's, and
// which rows are for testing where nothing says so: every fifth, as they stand in the file or folder.

import { SeedmaskError } from '../../codec/index.js';
import type { Features } from '../../src/data.js';

/** Of a CSV or PNG file. */
export const MAX_BYTES = 2 ** 26;
export const MAX_CLASSES = 256;
/** What a model file can say: names of so many bytes. */
export const MAX_NAME_BYTES = 255;
const TEST_EVERY = 5;

export const refuse = (field: string, got: unknown, expected: string) => new SeedmaskError('no-dataset', { field, got, expected });

/** What a trained task says of its data: how numbers become bytes, and what its classes are called, in its order. */
export interface TaskData {
  readonly features?: Features;
  readonly labels: readonly string[];
}

export const fits = (name: string): boolean => !name.startsWith('\ufeff') && new TextEncoder().encode(name).length <= MAX_NAME_BYTES;

/** Names of classes that no model file can say are refused before anything is learned. */
export function checkClasses(where: string, names: readonly string[]): void {
  const long = names.find((name) => !fits(name));
  if (long !== undefined) throw refuse(where, `the class ${long}`, `names of at most ${MAX_NAME_BYTES} bytes, without a byte order mark`);
}

/** The place of a class among the names, which are the task's own where there is one. */
export function placeOf(label: string, names: readonly string[], task: TaskData | undefined, where: string): number {
  const place = names.indexOf(label);
  if (place < 0) throw refuse(where, `label ${label}`, `${task ? 'a label of the task: ' : ''}${names.join(', ')}`);
  return place;
}

/** Numbers as numbers, other names by letters. */
export const inOrder = (a: string, b: string): number => Number(a) - Number(b) || (a < b ? -1 : Number(a > b));

/** Every fifth row for testing, the others for training. */
export function parted<T>(rows: readonly T[]): { train: T[]; test: T[] } {
  const isTest = (i: number) => i % TEST_EVERY === TEST_EVERY - 1;
  return { train: rows.filter((_, i) => !isTest(i)), test: rows.filter((_, i) => isTest(i)) };
}
