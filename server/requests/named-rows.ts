// Rows as objects: {"pixels": [...]} or {"features": [...]} names the one input a task has; of tasks over numbers every number may stand
// by its column, as a table's rows are written (pandas: to_json(orient="records")), with words where the task has categories of them.

import { SeedmaskError } from '../../codec/errors.js';
import { categoryMeant, categoryOf, type FeatureSource, wordsOf } from '../../src/features.js';
import { brief, checkCount, refuseValue } from './rows.js';

/** What the one input is called, and its values where they have names. */
export interface Input {
  readonly name: string;
  readonly columns?: readonly string[];
}

export const PIXELS: Input = { name: 'pixels' };

/** Numbers of rows by name in one request: a word of few letters can stand for thousands, which no limit of bytes bounds. */
const MAX_NUMBERS = 2 ** 20;

type Named = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Named =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

const namesInput = (keys: readonly string[]): boolean => keys.length === 1 && (keys[0] === 'features' || keys[0] === 'pixels');

/** Whether a value names the one input, and nothing else. */
export const isInput = (value: unknown): value is Named => isObject(value) && namesInput(Object.keys(value));

/** Throws over-limit for too many rows, and where those by name would be too many numbers. @param more keys that every row has besides */
export function checkNamed(rows: readonly unknown[], { columns = [] }: Input, limit: number, field: string, more = 0): void {
  checkCount(rows.length, { limit, field });
  const byName = rows.filter((row) => isObject(row) && !isInput(row));
  checkCount(byName.length, { limit: Math.floor(MAX_NUMBERS / Math.max(1, columns.length + more)), field });
}

/**
 * The instances with lists in place of those that are objects; what names neither the input nor numbers stays as it is.
 * @param limit rows at most
 * @param field JSON pointer of the instances
 * @throws SeedmaskError bad-request, bad-value, over-limit
 */
export function unnamed(instances: unknown, input: Input, limit: number, field: string): unknown {
  const named = (value: unknown): value is Named => (input.columns ? isObject(value) : isInput(value));
  const read = rowReader(input);
  if (named(instances)) return [read(instances, field)];
  if (!Array.isArray(instances) || !instances.some(named)) return instances;
  checkNamed(instances, input, limit, field);
  return instances.map((instance, i) => (named(instance) ? read(instance, `${field}/${i}`) : instance));
}

/** Where objects of the same keys have their numbers, and the categories of each key that has words. */
interface Plan {
  readonly keys: readonly string[];
  readonly places: readonly FeatureSource[];
  readonly categories: ReadonlyMap<string, readonly string[]>;
}

/** A reader of objects, one after the other: what it has found of one holds for all with the same keys. */
export function rowReader(input: Input): (named: Named, field: string) => unknown {
  let plan: Plan | undefined;
  return (named, field) => {
    const keys = Object.keys(named);
    if (namesInput(keys)) return named[keys[0]];
    if (!plan || keys.length !== plan.keys.length || keys.some((key, i) => key !== plan?.keys[i])) plan = planOf(keys, input, field);
    const meant = new Map<string, string>();
    for (const [key, categories] of plan.categories) {
      const category = categoryMeant(named[key], categories);
      if (category === undefined) throw noCategory(named[key], key, categories, field);
      meant.set(key, category);
    }
    return plan.places.map(({ source, category }) => {
      if (category !== undefined) return Number(meant.get(source) === category);
      const value = named[source];
      return typeof value === 'number' && Number.isFinite(Math.fround(value)) ? value : refuseValue(value, pointer(field, source));
    });
  };
}

function planOf(keys: readonly string[], { name, columns }: Input, field: string): Plan {
  if (!columns) throw wrong(field, { name }, brief(keys.join(', ')));
  const given = new Set(keys);
  const has = (key: string) => given.has(key);
  const places = columns.map((column): FeatureSource => {
    const found = has(column) ? { source: column } : categoryOf(column, has);
    if (found) return found;
    const word = column.slice(0, Math.max(0, column.lastIndexOf('=')));
    throw wrong(field, { name, columns }, word ? `neither ${brief(word)} nor ${brief(column)}` : `no ${brief(column)}`);
  });
  const categories = wordsOf(places);
  const twice = places.find(({ source, category }) => category === undefined && categoryOf(source, (field) => categories.has(field)));
  if (twice) throw wrong(field, { name, columns }, `${brief(twice.source)} beside a word that says it`);
  return { keys, places, categories };
}

const pointer = (field: string, key: string): string => `${field}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

const noCategory = (value: unknown, key: string, categories: readonly string[], field: string): SeedmaskError =>
  new SeedmaskError('bad-value', {
    field: pointer(field, key),
    expected: `one of ${brief(categories.join(', '))}`,
    got: brief(value),
    hint: `For one that is missing send ${brief(`${key}=${categories[0]}`)} and so on with the means of GET /tasks/NAME.`,
  });

const wrong = (field: string, { name, columns }: Input, got: string): SeedmaskError =>
  new SeedmaskError('bad-request', {
    field,
    expected: `an object with the one feature '${name}', a list of values${columns ? `, or with ${brief(columns.join(', '))}` : ''}`,
    got,
  });
