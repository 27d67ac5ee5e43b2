// Options that several commands share, each parsed and checked once, with one clear line when it is wrong.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_LIMITS } from '../codec/index.js';
import { spread } from '../src/masks/topk.js';
import { parseSeed, type Seed } from '../src/random.js';
import { knownNames } from '../src/spelling.js';
import { KNOWN_NAMES } from './datasets/known.js';

/** Data of a user's own, in place of a name. */
export const FORMS = 'a .csv, .tsv or .npz file, a folder of PNG files by class, train.csv, IDX files or CIFAR-10 batches';

/** What a column of classes may be called, in any case. */
export const LABEL_COLUMNS = ['label', 'class', 'target', 'species', 'y'];

const SEED_FORM = 'a whole number below 2^64 (decimal or 0x), or any text';

/** How a command prints its result. */
export interface Output {
  readonly json?: boolean;
}

/** One JSON object with --json, else text for people. */
export function outputOf({ json }: Output): { print(value: object, text: () => string): void } {
  return { print: (value, text) => console.log(json ? JSON.stringify(value) : text()) };
}

/** "1 task", "2 tasks". */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** The option as it is typed. */
const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Refuses options that were given where they would do nothing: each goes with something that is not there. */
export function refuseGiven(command: Command, names: readonly string[], companion: string): void {
  const given = names.find((name) => command.getOptionValueSource(name) === 'cli');
  if (given !== undefined) throw new InvalidArgumentError(`${flagOf(given)} goes with ${companion}`);
}

/** A parser of seeds. Blank text is no seed, but a variable of the shell that is not set. */
function seed(text: string): Seed {
  if (text.trim() === '') throw new InvalidArgumentError(`expected ${SEED_FORM}, got '${text}'.`);
  return parseSeed(text);
}

/** A parser of numbers: none is written with blanks alone. */
const number =
  (expected: string, fits: (n: number) => boolean) =>
  (text: string): number => {
    const n = text.trim() === '' ? Number.NaN : Number(text);
    if (!fits(n)) throw new InvalidArgumentError(`expected ${expected}, got '${text}'.`);
    return n;
  };

export const positiveInteger = number('a positive whole number', (n) => Number.isInteger(n) && n > 0);
export const wholeNumber = number('a whole number of at least 0', (n) => Number.isInteger(n) && n >= 0);
export const notNegative = number('a number of at least 0', (n) => Number.isFinite(n) && n >= 0);
export const positive = number('a number above 0', (n) => n > 0 && Number.isFinite(n));
/** Of waiting: timers hold no more than 24 days, and nobody means more than one. */
export const seconds = number('seconds from 0 to 86400, a day', (n) => n >= 0 && n <= 86_400);
export const mebibytes = number('a whole number of MiB from 1 to 1024', (n) => Number.isInteger(n) && n >= 1 && n <= 1024);
export const degrees = number('degrees from 0 to 90', (n) => n >= 0 && n <= 90);
export const fraction = number('a fraction above 0 and at most 1', (n) => n > 0 && n <= 1);
const port = number('a port from 0 (any free one) to 65535', (n) => Number.isInteger(n) && n >= 0 && n <= 65535);

/** An option of origins as browsers send them, to the letter: one with a path, or without a scheme, would never match. */
export function origins(text: string, earlier: readonly string[] = []): string[] {
  const { origin } = URL.canParse(text) ? new URL(text) : { origin: '' };
  // Schemes of browsers' own, as of their extensions, have the origin "null".
  const fits = text === '*' || text === origin || (origin === 'null' && /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/.test(text));
  if (!fits) throw new InvalidArgumentError(`expected an origin such as https://example.org, without a path, or '*', got '${text}'.`);
  return [...earlier, text];
}

/** A fraction that keeps at least one weight of the largest layer there may be. */
function density(text: string): number {
  const n = fraction(text);
  if (n * DEFAULT_LIMITS.maxMaskWeights < 1)
    throw new InvalidArgumentError(
      `expected a fraction of at least ${1 / DEFAULT_LIMITS.maxMaskWeights}, one weight of the largest network, got '${text}'.`,
    );
  return n;
}

/** A parser of one of a list of names. */
export const named =
  <T extends string>(names: readonly T[]) =>
  (text: string): T => {
    const found = names.find((name) => name === text);
    if (found === undefined) throw new InvalidArgumentError(`${knownNames(text, names)}.`);
    return found;
  };

/** A parser of 1 to `most` of what is counted. */
export const upTo =
  (most: number, what: string) =>
  (text: string): number => {
    const n = positiveInteger(text);
    if (n > most) throw new InvalidArgumentError(`expected 1 to ${most} ${what}, got ${n}.`);
    return n;
  };

export const dataOption = (): Option => new Option('--data <name>', `${KNOWN_NAMES}, or ${FORMS}`).makeOptionMandatory();

export const labelOption = (): Option =>
  new Option('--label <column>', `the column of classes in CSV data (default: the first of ${LABEL_COLUMNS.join(', ')}, else the last)`);

/** A parser of options that may be given again and again. */
const repeated = (text: string, earlier: readonly string[] = []): string[] => [...earlier, text];

export const ignoreOption = (): Option =>
  new Option('--ignore <columns>', 'columns of CSV data to leave out, comma-separated; may be repeated').argParser(repeated);

export const categoriesOption = (): Option =>
  new Option(
    '--categories <columns>',
    'columns of CSV data whose numbers are categories, as words are, comma-separated; may be repeated',
  ).argParser(repeated);

export const imputeOption = (): Option =>
  new Option(
    '--impute',
    'fill in what is missing in CSV data (nothing, ?, NA, N/A, NaN, NaT, null, None) or is no known category: the mean of the training rows, of a known task its own',
  );

/** What is said of the columns of CSV data. */
export interface ColumnOptions {
  readonly label?: string;
  readonly ignore?: readonly string[];
  readonly categories?: readonly string[];
  readonly impute?: boolean;
}

export const columnOptionsOf = ({ label, ignore, categories, impute }: ColumnOptions): ColumnOptions => ({
  label,
  ignore,
  categories,
  impute,
});

export const densityOption = (): Option =>
  new Option('--density <list>', 'kept fraction per layer, comma-separated; the last repeats').argParser((text) =>
    text.split(',').map(density),
  );

/**
 * A density for each layer with weights, or the defaults where none is given.
 * @throws InvalidArgumentError for more densities than layers
 */
export function densities(given: readonly number[] | undefined, layers: number, defaults: readonly number[]): number[] {
  if (given && given.length > layers) {
    throw new InvalidArgumentError(`--density has ${given.length} fractions, expected at most ${layers}, one for every layer with weights`);
  }
  return spread(given ?? defaults, layers);
}

export const permutePixelsOption = (): Option =>
  new Option('--permute-pixels <seed>', "the task has the data's pixels permuted by a seed, which its file tells").argParser(seed);

export const permuteLabelsOption = (): Option =>
  new Option('--permute-labels <seed>', "the task has the data's classes permuted by a seed, which its file tells").argParser(seed);

export const seedOption = (): Option => new Option('--seed <seed>', SEED_FORM).argParser(seed).default(parseSeed(0), '0');

export const threadsOption = (about = 'threads; default: all this machine has, at most 8'): Option =>
  new Option('--threads <n>', about).argParser(upTo(64, 'threads'));

export const portOption = (): Option => new Option('--port <n>', '0 takes any free port').argParser(port).default(8080);
