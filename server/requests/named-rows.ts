// Rows as objects: {"pixels": [...]} names the one input a task has; of tasks over numbers {"features": [...]}, or every number by its
// column, as a table's rows are written (pandas: to_json(orient="records")), with words where the task has categories of them.

import { SeedmaskError } from '../../codec/errors.js';
import { categoryOf } from '../../src/features.js';
import { brief } from './rows.js';

/** What the one input is called, and its values where they have names. */
export interface Input {
  readonly name: string;
  readonly columns?: readonly string[];
}

export const PIXELS: Input = { name: 'pixels' };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

const namesInput = (keys: readonly string[], name: string): boolean => keys.length === 1 && (keys[0] === name || keys[0] === 'pixels');

/**
 * The instances with lists in place of those that are objects; what names neither the input nor numbers stays as it is.
 * @param field JSON pointer of the instances
 * @throws SeedmaskError bad-request, bad-value
 */
export function unnamed(instances: unknown, input: Input, field: string): unknown {
  const named = (value: unknown): value is Record<string, unknown> =>
    isObject(value) && (input.columns !== undefined || namesInput(Object.keys(value), input.name));
  if (named(instances)) return [rowOf(instances, input, field)];
  if (!Array.isArray(instances) || !instances.some(named)) return instances;
  return instances.map((instance, i) => (named(instance) ? rowOf(instance, input, `${field}/${i}`) : instance));
}

/** The row of an object: its one feature, or its numbers by their names, whatever stands beside them. */
export function rowOf(named: Readonly<Record<string, unknown>>, { name, columns }: Input, field: string): unknown {
  const given = Object.keys(named);
  if (namesInput(given, name)) return named[given[0]];
  const has = (key: string) => Object.hasOwn(named, key);
  // Of every key that says a category, whether the task knows it.
  const said = new Map<string, boolean>();
  const row = columns?.map((column) => {
    if (has(column)) return named[column];
    const { source, category } = categoryOf(column, has) ?? {};
    if (source === undefined) throw wrong(field, { name, columns }, `no ${brief(column)}`);
    const is = named[source] === category;
    said.set(source, is || said.get(source) === true);
    return Number(is);
  });
  if (!row || !columns) throw wrong(field, { name }, brief(given.join(', ')));
  for (const [source, known] of said) {
    if (known) continue;
    const categories = columns.flatMap((column) => (column.startsWith(`${source}=`) ? [column.slice(source.length + 1)] : []));
    throw new SeedmaskError('bad-value', {
      field: `${field}/${source}`,
      expected: brief(categories.join(', ')),
      got: brief(named[source]),
    });
  }
  return row;
}

const wrong = (field: string, { name, columns }: Input, got: string): SeedmaskError =>
  new SeedmaskError('bad-request', {
    field,
    expected: `an object with the one feature '${name}', a list of values${columns ? `, or with ${brief(columns.join(', '))}` : ''}`,
    got,
  });
