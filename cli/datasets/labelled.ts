// Labelled rows of a user's own, whatever form they have: what their classes may be called, which place a class has among a task's, and
// which rows are for testing where nothing says so: a fifth of each class, drawn once and for all, so that `train`, `eval` and `transfer`
// mean the same rows, also of a file that has grown.

import { SeedmaskError } from '../../codec/index.js';
import type { Dataset } from '../../src/data.js';
import type { Features } from '../../src/features.js';
import { DOMAIN, fillWords, parseSeed } from '../../src/random.js';

/** Of a CSV or PNG file. */
export const MAX_BYTES = 2 ** 26;
export const MAX_CLASSES = 256;
/** What a model file can say: names of so many bytes. */
export const MAX_NAME_BYTES = 255;
/** Of so many rows of a class, one is for testing. */
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
  /** What the columns were taken for, where there are columns. */
  readonly columns?: TakenColumns;
  /** What was read, and may not be written over. */
  readonly files: readonly string[];
}

/** What the columns of a table were taken for. */
export interface TakenColumns {
  /** That of classes. */
  readonly label: string;
  /** How many categories those of words have. */
  readonly categories: ReadonlyMap<string, number>;
  /** How many cells were filled in, in rows to learn from and in those to test with. */
  readonly imputed: Readonly<Record<'train' | 'test', ReadonlyMap<string, number>>>;
  /** Those whose bytes tell few of their numbers apart, each with the number that lies too far from the others. */
  readonly crowded: readonly string[];
  /** Those whose whole numbers only rise, as a count of rows does. */
  readonly counters: readonly string[];
}

/** What is wanted of rows, whatever form they have. */
export interface Wanted {
  /** How a task makes bytes of numbers; default: they are standardised by the training rows. */
  readonly features?: Features;
  /** What a task calls its classes, in its order, for labels that have names; default: these are numbered in order. */
  readonly labels?: readonly string[];
  /** The column of classes; default: the one whose name says so, else the last. */
  readonly label?: string;
  /** Columns to leave out: names, or several parted by commas. */
  readonly ignore?: readonly string[];
  /** Columns whose numbers are categories, as `ignore`; of a task that is not known yet. */
  readonly categories?: readonly string[];
  /** Missing numbers are filled in: with the mean of the training rows, or what the task has for it. */
  readonly impute?: boolean;
  /** Of images that may have either, 1 or 3, as a network takes them; default: as they are. */
  readonly channels?: number;
  /** All rows are for testing, those to learn from as well. */
  readonly whole?: boolean;
  /** A file that will be written: the data must not be read from it. */
  readonly out?: string;
}

export const fits = (name: string): boolean => !name.startsWith('\ufeff') && new TextEncoder().encode(name).length <= MAX_NAME_BYTES;

/** Names of classes that no model file can say are refused before anything is learned. */
export function checkClasses(where: string, names: readonly string[]): void {
  const long = names.find((name) => !fits(name));
  if (long !== undefined) throw refuse(where, `the class ${long}`, `names of at most ${MAX_NAME_BYTES} bytes, without a byte order mark`);
}

/** The place of a class among the names, which are the task's own where there is one. */
export function placeOf(label: string, names: readonly string[], { labels }: Wanted, where: string, hint?: string): number {
  const place = names.indexOf(label);
  if (place >= 0) return place;
  const expected = `a label of the ${labels ? 'task' : 'training rows'}: ${names.join(', ')}`;
  throw new SeedmaskError('no-dataset', { field: where, got: label === '' ? 'no label' : `label ${label}`, expected, hint });
}

/** Numbers as numbers, other names by letters. */
export const inOrder = (a: string, b: string): number => Number(a) - Number(b) || (a < b ? -1 : Number(a > b));

/**
 * About a fifth of each class for testing, the others for training; both as they stand. Of every five rows of a class, in their order, one
 * is for testing, never the first, drawn by the number of the five: a file sorted by class, or one whose rows go round the classes, is
 * parted as well as a shuffled one, no class is left without training rows, and a row's part stays when others are added behind.
 */
export function parted<T>(rows: readonly T[], classOf: (row: T) => string): { train: T[]; test: T[] } {
  const drawn = new Uint32Array(Math.ceil(rows.length / TEST_EVERY));
  fillWords(DRAWN_BY, DOMAIN.dataSplit, STREAM, 0, drawn);
  const met = new Map<string, number>();
  const parts = { train: [] as T[], test: [] as T[] };
  for (const row of rows) {
    const name = classOf(row);
    const before = met.get(name) ?? 0;
    met.set(name, before + 1);
    const chosen = 1 + (drawn[Math.floor(before / TEST_EVERY)] % (TEST_EVERY - 1));
    parts[before % TEST_EVERY === chosen ? 'test' : 'train'].push(row);
  }
  return parts;
}
