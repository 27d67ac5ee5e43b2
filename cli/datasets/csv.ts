// CSV: features and a column of classes (columns.ts). Numbers become bytes as a task makes them, or as the training rows standardise them.

import type { Dataset } from '../../src/data.js';
import { type Features, farFromZero, featureBytes, middlesOf, standardFeatures } from '../../src/features.js';
import {
  type Column,
  categoriesIn,
  chosen,
  columnNamed,
  columnsOf,
  countersOf,
  filled,
  labelColumn,
  meansOf,
  missingOf,
  numbersOf,
  place,
} from './columns.js';
import { checkClasses, inOrder, MAX_CLASSES, type Parts, parted, placeOf, refuse, type Wanted } from './labelled.js';
import type { Line, Table } from './table.js';

/** More different labels than this that are no whole numbers are a quantity, and no classes. */
const MAX_FRACTIONS = 20;
/** Nearly all of a column, and how few different numbers have no crowd. */
const [CROWD, FEW] = [0.9, 3];

/** A row with the place of its class among the names. */
interface Row extends Line {
  readonly label: number;
}

/**
 * Rows as a task takes them, by the names of its columns, or, where it does not know these, by their order; for a task that is still to be
 * learned as the training rows standardise them.
 */
export function fromCsv(train: Table, test: Table | null, wanted: Wanted): Parts {
  const known = wanted.features?.names?.map((name) => columnNamed(name, train));
  const taken = new Set(known?.map(({ source }) => source));
  const ignored = chosen(train, wanted.ignore, {
    option: '--ignore',
    among: [...train.columns.keys()].filter((column) => !taken.has(column)),
    what: known ? 'a column that the task does not take' : 'a column of the data',
  });
  const label = labelColumn(train, new Set([...taken, ...ignored]), wanted.label);
  const columns = known ?? columnsOf(train, new Set([...ignored, label]), wanted);
  if (wanted.features && wanted.features.low.length !== columns.length)
    throw refuse(train.path, `${columns.length} features`, `${wanted.features.low.length}, as the task takes`);
  const names = wanted.labels ?? classes(train, label);
  const labelled = (table: Table): Row[] => {
    const at = place(table, label, () => `the labels, as ${train.path} has`);
    const labelOf = ({ cells, number }: Line) =>
      placeOf(cells[at], names, wanted, `${label} of row ${number} in ${table.path}`, '--label names another column');
    return table.rows.map((line) => ({ ...line, label: labelOf(line) }));
  };
  const all = labelled(train);
  const parts = test ? { train: all, test: labelled(test) } : parted(all, (row) => names[row.label]);
  const lacking = () =>
    known ? `every column that the task takes: ${known.map(({ name }) => name).join(', ')}` : `the columns of ${train.path}`;
  const numbers = (table: Table, rows: readonly Row[]) => numbersOf(table, rows, columns, wanted, lacking);
  const [toLearn, toTest] = [numbers(train, parts.train), numbers(test ?? train, parts.test)];
  const features = wanted.features ?? standardised(train, toLearn, columns);
  const set = (values: Float64Array, rows: readonly Row[]): Dataset => {
    const labels = Uint8Array.from(rows, (row) => row.label);
    const images = featureBytes(filled(values, middlesOf(features)), features);
    return { input: [1, 1, columns.length], images, labels, names, features };
  };
  return {
    train: set(toLearn, parts.train),
    test: set(toTest, parts.test),
    drawn: test === null,
    columns: {
      label,
      categories: categoriesIn(columns),
      imputed: { train: missingOf(toLearn, columns), test: missingOf(toTest, columns) },
      crowded: wanted.features ? [] : crowdedColumns(toLearn, columns, features),
      counters: wanted.features ? [] : countersOf(train, columns),
    },
    files: [train, ...(test ? [test] : [])].map(({ path }) => path),
  };
}

/** How numbers become bytes by the training rows: those that are missing have the mean of the others. */
function standardised({ path }: Table, rows: Float64Array, columns: readonly Column[]): Features {
  const whole = filled(rows, meansOf(rows, columns, path));
  const features = { ...standardFeatures(whole, columns.length), names: columns.map(({ name }) => name) };
  const far = farFromZero(whole, features);
  if (far === undefined) return features;
  throw refuse(
    `${columns[far].name} of ${path}`,
    `values too far from 0 to differ in float32: ${whole[far]}, ..`,
    'a constant taken off them all, such as the least',
  );
}

/**
 * The columns in which one number lies so far off that bytes are taken from the others, each with that number: nearly all different
 * numbers lie within the width of a byte, or in a few rows it makes nearly all of the deviation by which columns are standardised, and the
 * others are more than the bytes left to them.
 */
function crowdedColumns(values: Float64Array, columns: readonly Column[], { scale }: Features): string[] {
  const width = columns.length;
  return columns.flatMap(({ name }, input) => {
    const all = Array.from({ length: values.length / width }, (_, row) => values[row * width + input]).filter(
      (value) => !Number.isNaN(value),
    );
    const sorted = Float64Array.from(new Set(all)).sort();
    if (sorted.length < FEW) return [];
    const crowd = Math.floor(CROWD * (sorted.length - 1));
    const [least, middle, most] = [sorted[0], sorted[sorted.length >> 1], sorted[sorted.length - 1]];
    const far = middle - least > most - middle ? least : most;
    const bytes = (from: number, to: number) => (to - from) * Math.abs(scale[input]);
    const left = far === least ? bytes(sorted[1], most) : bytes(least, sorted[sorted.length - 2]);
    const others = all.filter((value) => value !== far);
    const crowded =
      sorted.some((value, i) => bytes(value, sorted[i + crowd]) < 1) ||
      (others.length >= CROWD * all.length && left < sorted.length - 2 && squares(others) < (1 - CROWD) * squares(all));
    return crowded ? [`${name} (${far})`] : [];
  });
}

/** The sum of squares about the mean. */
function squares(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
}

/** The classes of a column, in order. */
function classes(table: Table, label: string): string[] {
  const at = place(table, label, () => 'the labels');
  const unlabelled = table.rows.find(({ cells }) => cells[at] === '');
  if (unlabelled) throw refuse(`${label} of row ${unlabelled.number} in ${table.path}`, 'nothing', 'a label');
  const names = [...new Set(table.rows.map(({ cells }) => cells[at]))].sort(inOrder);
  const most = names.some((name) => Number(name) % 1 !== 0 && !Number.isNaN(Number(name))) ? MAX_FRACTIONS : MAX_CLASSES;
  if (names.length <= most) {
    checkClasses(`${label} of ${table.path}`, names);
    return names;
  }
  const some = names.slice(0, 3).join(', ');
  const expected = `at most ${most} classes in the label column, no quantity (--label names another column)`;
  throw refuse(table.path, `${names.length} values of ${label} (${some}, ..)`, expected);
}
