// Rows picked out, matched by seed, gathered into the points of a line, and written as a table.

import type { Row } from '../cells/cell.js';
import { type Summary, summary } from '../statistics.js';

/** Rows that have all of these values. */
export const where = (rows: readonly Row[], match: Row): Row[] =>
  rows.filter((row) => Object.entries(match).every(([column, value]) => row[column] === value));

/** Whether a row has a value of that name: an empty field of a table is none. */
export const has = (row: Row, column: string): boolean => (row[column] ?? '') !== '';

/** Rows in groups of one value of a column, in order of appearance. */
export function groups(rows: readonly Row[], column: string): Map<string | number, Row[]> {
  const found = new Map<string | number, Row[]>();
  for (const row of rows) {
    const group = found.get(row[column]);
    if (group) group.push(row);
    else found.set(row[column], [row]);
  }
  return found;
}

/**
 * The rows of the seeds that every line has, so that a drawing compares like with like while some lines are a seed ahead; all rows
 * where no seed is in every line.
 * @param columns whose values tell lines apart
 */
export function sameSeeds(rows: readonly Row[], columns: readonly string[]): readonly Row[] {
  const seeds = new Map<string, Set<unknown>>();
  for (const row of rows) {
    const line = columns.map((column) => row[column]).join();
    seeds.set(line, (seeds.get(line) ?? new Set()).add(row['seed']));
  }
  const shared = rows.filter((row) => [...seeds.values()].every((own) => own.has(row['seed'])));
  return shared.length > 0 ? shared : rows;
}

/** A column's numbers. */
export const numbers = (rows: readonly Row[], column: string): number[] =>
  rows.map((row) => row[column]).filter((v) => typeof v === 'number');

/** A column in per cent: the unit of every accuracy that is shown. */
export const percents = (rows: readonly Row[], column = 'testAccuracy'): number[] => numbers(rows, column).map((v) => 100 * v);

/** The mean of what masks take in a file, as tables show it: "2,034". */
export const meanBytes = (rows: readonly Row[]): string => Math.round(summary(numbers(rows, 'bytes')).mean).toLocaleString('en');

/** One point of a line: where, and what the seeds gave there, in per cent. */
export interface Point extends Summary {
  readonly x: number;
}

/**
 * Points of a line, ascending in x: the rows of one group are one point.
 * @param by the column that groups
 * @param x the column that places a group, as the mean of its rows
 */
export const pointsOf = (rows: readonly Row[], by: string, x: string, column = 'testAccuracy'): Point[] =>
  [...groups(rows, by).values()]
    .filter((group) => percents(group, column).length > 0)
    .map((group) => ({ x: summary(numbers(group, x)).mean, ...summary(percents(group, column)) }))
    .sort((a, b) => a.x - b.x);

/** The row that is best on validation: the choice that test rows have no say in. */
export const bestOf = (rows: readonly Row[]): Row => rows.reduce((best, row) => (row['valAccuracy'] > best['valAccuracy'] ? row : best));

export const bestOfSeeds = (rows: readonly Row[]): Row[] => [...groups(rows, 'seed').values()].map(bestOf);

/** The rows of the level whose kept fraction is nearest; none of none. */
export function nearLevel(rows: readonly Row[], kept: number): Row[] {
  const distance = (row: Row) => Math.abs(Math.log(Number(row['kept']) / kept));
  const [nearest] = [...rows].sort((a, b) => distance(a) - distance(b));
  return rows.filter((row) => row['kept'] === nearest['kept']);
}

/** The rows of the largest kept fraction that is not above this one; none of none. */
export const levelAtMost = (rows: readonly Row[], kept: number): Row[] =>
  nearLevel(
    rows.filter((row) => Number(row['kept']) <= kept),
    kept,
  );

/** Each seed's mean in per cent over its rows that keep at most so much. */
export function deepMeans(rows: readonly Row[], most: number): Map<number, number> {
  const deep = rows.filter((row) => Number(row['kept']) <= most);
  return new Map([...groups(deep, 'seed')].map(([seed, own]) => [Number(seed), summary(percents(own)).mean]));
}

/** Two arms at every level of the first: the values of the seeds that both have there, in pairs. */
export const pairsByLevel = (a: readonly Row[], b: readonly Row[]): [a: number[], b: number[]][] =>
  [...groups(a, 'round')].map(([round, rows]) => pairs(perSeed(rows), perSeed(where(b, { round }))));

/** At how many levels that keep at most so much the mean of one arm is above that of another, over the seeds of both: [above, of]. */
export function levelsAbove(a: readonly Row[], b: readonly Row[], most: number): [above: number, of: number] {
  const deep = a.filter((row) => Number(row['kept']) <= most);
  const levels = pairsByLevel(deep, b).filter(([ours]) => ours.length > 0);
  return [levels.filter(([ours, theirs]) => summary(ours).mean > summary(theirs).mean).length, levels.length];
}

/** Per cent by seed of rows of which each seed has one. */
export const perSeed = (rows: readonly Row[], column = 'testAccuracy'): Map<number, number> =>
  new Map(rows.map((row) => [Number(row['seed']), 100 * Number(row[column])]));

/** The values of the seeds that both sides have, in pairs. */
export function pairs(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): [a: number[], b: number[]] {
  const shared = [...a.keys()].filter((seed) => b.has(seed));
  return [shared.map((seed) => a.get(seed)!), shared.map((seed) => b.get(seed)!)];
}

/** Tidy CSV (RFC 4180): the union of the rows' columns in order of appearance. */
export function csv(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const field = (value: string | number | undefined) =>
    typeof value === 'string' && /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value ?? '');
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))].map((line) => `${line.map(field).join(',')}\n`).join('');
}
