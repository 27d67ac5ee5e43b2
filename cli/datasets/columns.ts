// What the columns of a table are taken for: one of classes, some left out, the others features. A column of numbers is one feature; a
// column of words one for each category, 1 or 0, named `sex=male`. Columns are found by their names, wherever they stand and whatever
// stands beside them; a missing number is NaN until the mean of its column is known.

import { SeedmaskError } from '../../codec/index.js';
import { categoryMeant, categoryOf, type FeatureSource, wordsOf } from '../../src/features.js';
import { editDistance } from '../../src/spelling.js';
import { LABEL_COLUMNS } from '../options.js';
import { fits, inOrder, MAX_NAME_BYTES, refuse, type Wanted } from './labelled.js';
import { isNumber, type Line, MAX_CELLS, MAX_COLUMNS, type Table } from './table.js';

/** A feature, which a column of the table gives. */
export interface Column extends FeatureSource {
  readonly name: string;
}

/** Words for a number that is missing, in any case, as pandas, R and databases write them. */
const MISSING = new Set(['', '?', 'na', '<na>', 'n/a', '#n/a', 'nan', '-nan', 'nat', 'null', 'none']);
export const isMissing = (cell: string): boolean => MISSING.has(cell.toLowerCase());

/** More different words than this are names or texts, and no categories. */
const MAX_CATEGORIES = 64;
/** What is meant for a number, though no program takes it for one: decimal commas, thousands, currencies, percent. */
const LIKE_A_NUMBER = /^[-+]?\p{Sc}?[\d.,'\s]*\d[\d.,'\s]*\s*[%\p{Sc}]?$/u;
const LONGEST_NUMBER = 40;
/** Numbers within these bounds keep their mean and deviation finite in float32. */
const LARGEST = 1e37;
/** Fewer rows than this are not counted by their numbers, but by chance. */
const COUNTED = 10;

const nearestFirst = (names: readonly string[], asked: string): string[] => {
  const distance = (name: string) => editDistance(name.toLowerCase(), asked.toLowerCase());
  return [...names].sort((a, b) => distance(a) - distance(b));
};

/** What columns an option may name, and what they are called in its error. */
interface Choice {
  readonly option: '--ignore' | '--categories';
  readonly among: readonly string[];
  readonly what: string;
}

/**
 * The columns that an option names: each name as it was given, or several parted by commas.
 * @throws SeedmaskError bad-option, for one that it may not name
 */
export function chosen({ path, columns }: Table, asked: readonly string[] = [], { option, among, what }: Choice): Set<string> {
  const parts = (text: string) => text.split(',').map((name) => name.trim());
  const names = asked.flatMap((text) => (columns.has(text) ? [text] : parts(text).filter(Boolean)));
  const wrong = names.find((name) => !among.includes(name));
  if (wrong === undefined) return new Set(names);
  const expected = `${what}: ${nearestFirst(among, wrong).join(', ')}`;
  throw new SeedmaskError('bad-option', { field: option, expected, got: wrong }, path);
}

/**
 * The column of classes: the one asked for, else the one with the first of the names for it that there is, else the last with a
 * name; never one that the task takes as a feature, or that is left out.
 */
export function labelColumn({ path, columns, unnamed }: Table, taken: ReadonlySet<string>, asked?: string): string {
  const free = [...columns.keys()].filter((column) => !taken.has(column));
  if (asked !== undefined) {
    if (free.includes(asked)) return asked;
    const expected = `a column of classes: ${nearestFirst(free, asked).join(', ')}`;
    throw new SeedmaskError('bad-option', { field: '--label', expected, got: asked }, path);
  }
  const called = (name: string) => free.find((column) => column.toLowerCase() === name);
  const label = LABEL_COLUMNS.map(called).find((column) => column !== undefined) ?? free.findLast((column) => !unnamed.has(column));
  if (label === undefined) throw refuse(path, 'no column of labels', `one beside ${[...taken].join(', ')}`);
  return label;
}

/** Where a column stands. */
export function place({ path, columns }: Table, name: string, what: () => string): number {
  const at = columns.get(name);
  if (at === undefined) throw refuse(path, `no column ${name} among ${[...columns.keys()].join(', ')}`, what());
  return at;
}

/** The feature that a task knows by a name: a column of that name, or a category of a column. */
export const columnNamed = (name: string, { columns }: Table): Column => ({
  source: name,
  ...(columns.has(name) ? {} : categoryOf(name, (field) => columns.has(field))),
  name,
});

/** The features of all columns but some. */
export function columnsOf(table: Table, without: ReadonlySet<string>, { impute, categories: asked }: Wanted): Column[] {
  const sources = [...table.columns.keys()].filter((source) => !without.has(source));
  const unnamed = sources.find((source) => table.unnamed.has(source));
  // A count of rows, as pandas writes its index: learned from it tells the class wherever rows were written class by class.
  if (unnamed !== undefined)
    throw refuse(table.path, `${unnamed} without a name`, `a name for what is learned (--ignore ${unnamed}; pandas: to_csv(index=False))`);
  const codes = chosen(table, asked, { option: '--categories', among: sources, what: 'a column of features' });
  const features = sources.flatMap((source): Column[] => {
    const categories = categoriesOf(table, source, { impute, codes: codes.has(source) });
    return categories ? categories.map((category) => ({ name: `${source}=${category}`, source, category })) : [{ name: source, source }];
  });
  if (features.length === 0) throw refuse(table.path, 'no column of features', `one beside ${[...without].join(', ')}`);
  if (features.length > MAX_COLUMNS) throw refuse(table.path, `${features.length} features`, `at most ${MAX_COLUMNS}`);
  const met = new Set<string>();
  for (const { name, source, category } of features) {
    if (!fits(name))
      throw refuse(`${source} of ${table.path}`, `the category ${category}`, `at most ${MAX_NAME_BYTES} bytes with its column`);
    // By its name a task finds the feature again.
    if (met.has(name) || columnNamed(name, table).source !== source)
      throw refuse(
        table.path,
        `a category ${name} of the column ${source} beside the column ${columnNamed(name, table).source}`,
        'names apart',
      );
    met.add(name);
  }
  return features;
}

/** The words of a column in which nothing is a number, or numbers are codes, in order; null for a column of numbers. */
function categoriesOf(
  { path, rows, columns }: Table,
  source: string,
  { impute = false, codes }: { readonly impute?: boolean; readonly codes: boolean },
): string[] | null {
  const at = columns.get(source) as number;
  const all = [...new Set(rows.map(({ cells }) => cells[at]))];
  const words = all.filter((cell) => !isMissing(cell));
  if (words.length === 0 || (!codes && words.some((word) => isNumber(word) || (word.length <= LONGEST_NUMBER && LIKE_A_NUMBER.test(word)))))
    return null;
  // Where nothing is filled in, what stands for a missing number is one more category; only nothing is none.
  const categories = impute ? words : all.filter((cell) => cell !== '');
  if (categories.length <= MAX_CATEGORIES) return categories.sort(inOrder);
  const expected = `numbers, or at most ${MAX_CATEGORIES} categories`;
  throw new SeedmaskError('no-dataset', {
    field: `${source} of ${path}`,
    got: `${categories.length} different words (${categories.slice(0, 2).join(', ')}, ..)`,
    expected,
    hint: `--ignore ${source} leaves the column out`,
  });
}

/**
 * The features of rows, sample-major; NaN for what is missing, where it is to be filled in.
 * @throws SeedmaskError no-dataset, for a cell that is no number or no known category; over-limit
 */
export function numbersOf(
  table: Table,
  rows: readonly Line[],
  columns: readonly Column[],
  { impute = false, features }: Wanted,
  what: () => string,
): Float64Array {
  if (rows.length * columns.length > MAX_CELLS) {
    const got = `${rows.length} rows of ${columns.length} features`;
    throw new SeedmaskError('over-limit', { field: table.path, got, expected: `${MAX_CELLS} numbers` });
  }
  const places = columns.map(({ source }) => place(table, source, what));
  const known = new Map(
    [...wordsOf(columns)].map(([source, words]): [string, Categories] => [
      source,
      { words, meant: new Map(words.map((word) => [word, word])) },
    ]),
  );
  const values = new Float64Array(rows.length * columns.length);
  rows.forEach(({ number, cells }, row) => {
    columns.forEach(({ source, category }, i) => {
      const cell = cells[places[i]];
      const categories = known.get(source);
      const value = categories ? has(cell, category, categories) : numberIn(cell);
      // A word that is no category says as little as none.
      if (value === undefined && !(impute && (categories || isMissing(cell))))
        throw wrongCell(table, source, { number, cell, categories: categories?.words, whose: features ? 'task' : 'training rows' });
      values[row * columns.length + i] = value ?? Number.NaN;
    });
  });
  return values;
}

/** The categories of a column, and what each cell that was met means. */
interface Categories {
  readonly words: readonly string[];
  readonly meant: Map<string, string | undefined>;
}

/** 1 or 0; undefined where a cell is no category. */
function has(cell: string, category: string | undefined, { words, meant }: Categories): number | undefined {
  if (!meant.has(cell)) meant.set(cell, isMissing(cell) ? undefined : categoryMeant(cell, words));
  const found = meant.get(cell);
  return found === undefined ? undefined : Number(found === category);
}

function numberIn(cell: string): number | undefined {
  const value = Number(cell);
  return cell !== '' && Math.abs(value) <= LARGEST ? value : undefined;
}

interface WrongCell {
  readonly number: number;
  readonly cell: string;
  /** Of a column of words. */
  readonly categories: readonly string[] | undefined;
  readonly whose: 'task' | 'training rows';
}

/** A cell that is no number, or no category, with what can be done about it. */
function wrongCell({ path, columns, rows }: Table, source: string, { number, cell, categories, whose }: WrongCell): SeedmaskError {
  const at = columns.get(source) as number;
  const other = rows.find(({ cells }) => isNumber(cells[at]));
  const range = cell === '' ? '' : ` from -${LARGEST} to ${LARGEST}, with a decimal point`;
  const expected = categories
    ? `a category of the ${whose}: ${categories.join(', ')}`
    : `a number${range}${other && !isMissing(cell) ? `, as ${other.cells[at]} in row ${other.number}` : ''}`;
  const words = whose === 'task' ? 'Mend it' : `Mend it, take the column for words (--categories ${source})`;
  const fill = categories ? 'Let --impute take it for missing' : isMissing(cell) ? 'Fill it in (--impute: with the mean)' : words;
  const ignore = whose === 'task' ? '' : `, or its column (--ignore ${source})`;
  return new SeedmaskError('no-dataset', {
    field: `${source} of row ${number} in ${path}`,
    got: cell === '' ? 'nothing' : `'${cell}'`,
    expected,
    hint: `${fill}, ${ignore ? '' : 'or '}leave its row out of the file${ignore}`,
  });
}

/** The mean of every column, of what is not missing. */
export function meansOf(values: Float64Array, columns: readonly Column[], path: string): Float64Array {
  return Float64Array.from(columns, ({ source }, input) => {
    let [sum, count] = [0, 0];
    for (let at = input; at < values.length; at += columns.length) {
      if (Number.isNaN(values[at])) continue;
      sum += values[at];
      count++;
    }
    if (count > 0) return sum / count;
    throw refuse(`${source} of ${path}`, 'nothing in any training row', `a number at least, or --ignore ${source}`);
  });
}

/** The values with those of a row in place of what is missing; the same array where nothing is. */
export const filled = (values: Float64Array, row: Float64Array): Float64Array =>
  values.includes(Number.NaN) ? values.map((value, at) => (Number.isNaN(value) ? row[at % row.length] : value)) : values;

/** How many cells of each column are missing, of those that lack any. */
export function missingOf(values: Float64Array, columns: readonly Column[]): ReadonlyMap<string, number> {
  const missing = new Map<string, number>();
  columns.forEach(({ source }, input) => {
    let count = 0;
    for (let at = input; at < values.length; at += columns.length) if (Number.isNaN(values[at])) count++;
    if (count > 0) missing.set(source, count);
  });
  return missing;
}

/** How many categories each column of words has. */
export const categoriesIn = (columns: readonly Column[]): ReadonlyMap<string, number> =>
  new Map([...wordsOf(columns)].map(([source, words]) => [source, words.length]));

/** The columns whose whole numbers only rise from row to row, as a count of rows does. */
export const countersOf = ({ rows, columns }: Table, features: readonly Column[]): string[] =>
  rows.length < COUNTED
    ? []
    : features
        .filter(({ source, category }) => {
          const at = columns.get(source) as number;
          const whole = ({ cells }: Line) => isNumber(cells[at]) && Number.isInteger(Number(cells[at]));
          const rises = (line: Line, row: number) => row === 0 || Number(line.cells[at]) > Number(rows[row - 1].cells[at]);
          return category === undefined && rows.every((line, row) => whole(line) && rises(line, row));
        })
        .map(({ name }) => name);
