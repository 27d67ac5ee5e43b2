// Rows as objects: {"pixels": [...]} or {"features": [...]} names the one input a task has; of tasks over numbers every number may stand
// by its column, as a table's rows are written (pandas: to_json(orient="records")), with words where the task has categories of them.

import { SeedmaskError } from '../../codec/errors.js';
import { categoryOf } from '../../src/features.js';
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

/** Throws over-limit where rows by name would be too many numbers. @param more keys that every row has besides */
export function checkNamed(count: number, { columns = [] }: Input, limit: number, field: string, more = 0): void {
  checkCount(count, { limit: Math.min(limit, Math.floor(MAX_NUMBERS / Math.max(1, columns.length + more))), field });
}

/**
 * The instances with lists in place of those that are objects; what names neither the input nor numbers stays as it is.
 * @param limit rows at most
 * @param field JSON pointer of the instances
 * @throws SeedmaskError bad-request, bad-value, over-limit
 */
export function unnamed(instances: unknown, input: Input, limit: number, field: string): unknown {
  const named = (value: unknown): value is Named => isObject(value) && (input.columns !== undefined || namesInput(Object.keys(value)));
  const read = rowReader(input);
  if (named(instances)) return [read(instances, field)];
  if (!Array.isArray(instances) || !instances.some(named)) return instances;
  checkNamed(instances.length, input, limit, field);
  return instances.map((instance, i) => (named(instance) ? read(instance, `${field}/${i}`) : instance));
}

/** Where an object has the number of a column: by its name, or as a word. */
interface Place {
  readonly key: string;
  readonly category?: string;
}

/** A reader of objects, one after the other: what it has found of one holds for all with the same keys. */
export function rowReader({ name, columns }: Input): (named: Named, field: string) => unknown {
  let keys: readonly string[] = [];
  let places: readonly Place[] | undefined;
  return (named, field) => {
    const given = Object.keys(named);
    if (namesInput(given)) return named[given[0]];
    if (!columns) throw wrong(field, { name }, brief(given.join(', ')));
    if (!places || given.length !== keys.length || given.some((key, i) => key !== keys[i])) {
      places = columns.map((column) => placeOf(column, named, field, { name, columns }));
      keys = given;
    }
    const known = new Set<string>();
    const row = places.map(({ key, category }) => {
      const value = named[key];
      if (category === undefined) return typeof value === 'number' ? value : refuseValue(value, pointer(field, key));
      const is = says(value, category);
      if (is) known.add(key);
      return Number(is);
    });
    const unknown = places.find(({ key, category }) => category !== undefined && !known.has(key));
    if (unknown) throw noCategory(named[unknown.key], unknown.key, places, field);
    return row;
  };
}

function placeOf(column: string, named: Named, field: string, input: Input): Place {
  const has = (key: string) => Object.hasOwn(named, key);
  if (has(column)) return { key: column };
  const found = categoryOf(column, has);
  if (found) return { key: found.source, category: found.category };
  throw wrong(field, input, `no ${brief(column)}`);
}

/** Whether a value is a category: the word, or what JSON has for a number and for True, which are words in a table. */
function says(value: unknown, category: string): boolean {
  if (typeof value === 'number') return category.trim() !== '' && Number(category) === value;
  return value === category || (typeof value === 'boolean' && category.toLowerCase() === String(value));
}

const pointer = (field: string, key: string): string => `${field}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

function noCategory(value: unknown, key: string, places: readonly Place[], field: string): SeedmaskError {
  const categories = places.flatMap((place) => (place.key === key && place.category !== undefined ? [place.category] : []));
  return new SeedmaskError('bad-value', {
    field: pointer(field, key),
    expected: `one of ${brief(categories.join(', '))}`,
    got: brief(value),
    hint: `For one that is missing send ${brief(`${key}=${categories[0]}`)} and so on with the means of GET /tasks/NAME.`,
  });
}

const wrong = (field: string, { name, columns }: Input, got: string): SeedmaskError =>
  new SeedmaskError('bad-request', {
    field,
    expected: `an object with the one feature '${name}', a list of values${columns ? `, or with ${brief(columns.join(', '))}` : ''}`,
    got,
  });
