// Whether labelled rows fit a network and a task, and what a user should know of rows that do.

import { SeedmaskError } from '../../codec/index.js';
import { oneLine } from '../../codec/one-line.js';
import type { Dataset } from '../../src/data.js';
import { categoryOf, type Features } from '../../src/features.js';
import type { Reach } from '../../src/moves.js';
import { type Architecture, describe, inputs, isDense, outputs, type Shape } from '../../src/network.js';
import { formatSeed, type Seed } from '../../src/random.js';
import { isMissing } from './columns.js';
import type { TakenColumns } from './labelled.js';
import type { LoadedData } from './own-data.js';

/** Channels of images that may have either: a network of convolutions says of how many it is. */
export const channelsOf = (architecture: Architecture): number | undefined => (isDense(architecture) ? undefined : architecture.input[2]);

/** What a result says of columns. */
interface ColumnsShown {
  readonly classes?: number;
  /** The rows that it is about; default: all. */
  readonly parts?: readonly ('train' | 'test')[];
}

function imputedIn({ imputed }: TakenColumns, parts: ColumnsShown['parts'] = ['train', 'test']): Map<string, number> {
  const counts = new Map<string, number>();
  for (const part of parts) for (const [name, count] of imputed[part]) counts.set(name, (counts.get(name) ?? 0) + count);
  return counts;
}

/** What columns were taken for, as results say it. */
export function columnsLine(columns: TakenColumns, { classes, parts }: ColumnsShown = {}): string {
  const each = (what: string, counts: ReadonlyMap<string, number>) =>
    counts.size > 0
      ? [
          `${what} ${listed(
            [...counts].map(([name, count]) => `${name} (${count})`),
            SOME,
          )}`,
        ]
      : [];
  const labels = `label column ${oneLine(columns.label)}${classes === undefined ? '' : `, ${classes} classes`}`;
  return [labels, ...each('categories of', columns.categories), ...each('filled in', imputedIn(columns, parts))].join('; ');
}

/** The same for programs; nothing where there are no columns. */
export function columnsJson(columns: TakenColumns | undefined, { parts }: ColumnsShown = {}): object {
  if (!columns) return {};
  const imputed = imputedIn(columns, parts);
  return {
    label: columns.label,
    ...(columns.categories.size > 0 && { categories: Object.fromEntries(columns.categories) }),
    ...(imputed.size > 0 && { imputed: Object.fromEntries(imputed) }),
  };
}

/** Whether rows are images, whose values have neighbours in two directions. */
export const isImage = (input: Shape): boolean => input[0] > 1 && input[1] > 1;

/** What is done to a data set's images. */
export interface Moves extends Reach {
  readonly permutePixels?: Seed;
}

/** Throws SeedmaskError unless the rows are images where they are to be moved or turned, and have pixels where these are permuted. */
export function checkMoves({ name, train: { input, features } }: LoadedData, moves: Moves): void {
  if (features && moves.permutePixels) {
    const expected = `left away: the rows of ${name} are numbers, found by the names of their columns`;
    throw new SeedmaskError('bad-option', { field: '--permute-pixels', expected, got: formatSeed(moves.permutePixels) });
  }
  if (isImage(input) && !moves.permutePixels) return;
  const why = isImage(input) ? ' with --permute-pixels, whose images have no neighbours' : `: the rows of ${name} are no images`;
  for (const move of ['shift', 'rotate', 'mirror'] as const) {
    const got = moves[move];
    if (!got) continue;
    const [none, given] = got === true ? ['left away', 'given'] : ['0', String(got)];
    throw new SeedmaskError('bad-option', { field: `--${move}`, expected: `${none}${why}`, got: given });
  }
}

/**
 * Throws SeedmaskError bad-option unless rows are numbers where a task takes numbers, and pixels where it takes these.
 * @param features how the task makes bytes of numbers, if it takes them
 * @param field where the data was named
 */
export function checkKind({ train }: LoadedData, features: Features | undefined, field = '--data'): void {
  if ((features === undefined) === (train.features === undefined)) return;
  const [expected, got] = features ? ['numbers (CSV), as the task takes', 'images'] : ['images, as the task takes', 'numbers'];
  throw new SeedmaskError('bad-option', { field, expected, got });
}

/** That columns tell a task nothing, as all their numbers lie beyond one end of those that it tells apart; in one line, or null. */
export function beyond({ images, features }: Dataset): string | null {
  const { low, names } = features ?? { low: [] };
  const same = (input: number, byte: number) => {
    for (let at = input; at < images.length; at += low.length) if (images[at] !== byte) return false;
    return true;
  };
  const lost = [...low.keys()].filter((input) => same(input, 0) || same(input, 255));
  if (lost.length === 0) return null;
  const columns = listed(lost.map((input) => names?.[input] ?? String(input + 1)));
  return `all numbers of ${columns} lie beyond those that the known task tells apart: seedmask train takes them by their own range`;
}

/** What a user should know of columns that a task is to learn from, a line each. */
export function oddities({ columns, train: { names = [], features } }: LoadedData): string[] {
  if (!columns) return [];
  const { crowded, counters, categories } = columns;
  const words = features?.names?.filter((name) => {
    const found = categoryOf(name, (source) => categories.has(source));
    return found && isMissing(found.category);
  });
  const unsaid = names.filter(isMissing);
  return [
    crowded.length > 0 &&
      `nearly all numbers of ${listed(crowded)} take up little of the 256 bytes, so far off is the one in brackets: leave its row out, or fill it in`,
    counters.length > 0 &&
      `the numbers of ${listed(counters)} only rise from row to row, as a count does, and are learned from: --ignore leaves a column out`,
    words && words.length > 0 && `${listed(words)} is learned as a category: --impute takes it for missing`,
    unsaid.length > 0 &&
      `${listed(unsaid)} in ${oneLine(columns.label)} is learned as a class: leave these rows out if their label is missing`,
  ].filter((line) => typeof line === 'string');
}

/** A task that is known, whose network is as it is. */
interface Known {
  readonly classes: number;
  /** Where the data was named; default --data. */
  readonly field?: string;
}

/**
 * Throws SeedmaskError bad-option unless the network takes the images and has a class for every label and every name of a class.
 * Networks of dense layers alone take images of any form with as many values.
 * @param known whose network it is; default: one that --network names, and a complaint names one that fits
 */
export function checkFits(data: LoadedData, network: Architecture, known?: Known): void {
  const { name, train, test } = data;
  const { classes, field = '--data' } = known ?? { classes: outputs(network) };
  const form = (shape: Shape) => (isDense(network) ? `${inputs({ input: shape, layers: [] })} values` : shape.join(' x '));
  const hint = `Take other data or ${(known ? undefined : networkFor(data)) ?? 'another network'}`;
  if (form(train.input) !== form(network.input)) {
    const called = train.features?.names ? ` (${listed(train.features.names)})` : '';
    const expected = `${train.features ? 'rows of numbers, each' : 'images'} of ${form(network.input)}, as ${describe(network)} takes`;
    throw new SeedmaskError('bad-option', { field, expected, got: `${form(train.input)} in ${name}${called}`, hint });
  }
  const named = train.names?.length ?? 0;
  if (named > classes) {
    const expected = `of at most ${classes} classes, as the network has`;
    throw new SeedmaskError('bad-option', { field, expected, got: `${named} in ${name} (${listed(train.names ?? [])})`, hint });
  }
  for (const { labels } of [train, test]) {
    const label = labels.find((value) => value >= classes);
    if (label === undefined) continue;
    const expected = `labels below ${classes}, as the network has`;
    throw new SeedmaskError('bad-option', { field, expected, got: `${label} in ${name}`, hint });
  }
}

/** Pixels. */
const LARGE_IMAGE = 2 ** 16;

/** The --network of a small one that rows fit; undefined for large images, which want more than one pool. */
function networkFor({ train: { input, labels, names = [] }, test }: LoadedData): string | undefined {
  const most = (among: Uint8Array) => among.reduce((a, b) => Math.max(a, b), 0);
  const classes = Math.max(names.length, most(labels) + 1, most(test.labels) + 1);
  if (!isImage(input)) return `--network fc:${inputs({ input, layers: [] })}-64-${classes}`;
  return input[0] * input[1] > LARGE_IMAGE ? undefined : `--network ${input.join('x')}:conv16-pool-${classes}`;
}

/**
 * That a task will know classes of which it has learned from no row, in one line, or null.
 * @param rows to learn from
 * @param names of the classes
 */
export function unseen({ labels }: Dataset, rows: Uint32Array, names: readonly string[]): string | null {
  const seen = new Uint8Array(names.length);
  for (const row of rows) seen[labels[row]] = 1;
  const lacking = names.filter((_, label) => !seen[label]);
  if (lacking.length === 0) return null;
  return `no training row of ${lacking.length === 1 ? 'class' : 'classes'} ${listed(lacking)}, which the task cannot learn`;
}

/** How many names are told. */
const [FEW, SOME] = [3, 10];

/** The first names; others are counted. */
const listed = (names: readonly string[], most = FEW): string =>
  oneLine(names.slice(0, most).join(', ') + (names.length > most ? ` and ${names.length - most} more` : ''));

/**
 * A network that the rows fit, as it sees them: dense layers alone take images in the images' own form, which a list of widths does not
 * tell; and numbers are no image, however many there are.
 */
export const seenBy = (network: Architecture, { input, features }: Dataset): Architecture =>
  isDense(network) && (features || isImage(input)) ? { ...network, input } : network;
