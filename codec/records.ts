// The index of a model file: one fixed-width record a task, so that a task is found by arithmetic or, ids being sorted, by bisection.
//
//   record = CRC-32C u32 | payload length u32 | id? | logit scale f32? | transform u16? | labels u16? | data u16? | pixel seed u64? | label seed u64?
//
// The CRC covers the rest of the record and the payload. A column exists when some task's value is not its default: '', 1,
// entry 0, seed 0. The u16 columns point into the header's tables, whose entries are distinct and ordered by first use.

import type { Seed } from '../src/random.js';
import { SeedmaskError } from './errors.js';
import { type DataKind, dataValue, type Header, labelsValue, type Provenance, type Transform, transformValue } from './header.js';
import { encode, type Value } from './msgpack.js';

/** What the index and the tables tell about a task. */
export interface TaskHead {
  /** '' in a one-task file, which is named by its file name. */
  readonly id: string;
  readonly transform: Transform;
  /** Names of the first outputs; outputs beyond them are not classified. */
  readonly labels: readonly string[];
  readonly data: Provenance | null;
  /** Probabilities are softmax(logitScale * logits). */
  readonly logitScale: number;
}

/** What error messages call a task. */
export const taskName = (head: { readonly id: string }, i: number): string => (head.id ? `task '${head.id}'` : `task ${i}`);

type Tables = Pick<Header, 'transforms' | 'labels' | 'data' | 'columns' | 'idBytes'>;

/** What a task's id may be: nothing that needs escaping in a URL or a file name. */
export const TASK_ID = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;
export const TASK_ID_TEXT = '1 to 128 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit';
const COLUMN = { id: 1, scale: 2, transform: 4, labels: 8, data: 16, pixelSeed: 32, labelSeed: 64 } as const;
const WIDTH = { scale: 4, transform: 2, labels: 2, data: 2, pixelSeed: 8, labelSeed: 8 } as const;
type Column = keyof typeof WIDTH;
const COLUMNS: readonly Column[] = ['scale', 'transform', 'labels', 'data', 'pixelSeed', 'labelSeed'];

/** Bytes of a record. */
export const recordBytes = (tables: Tables): number =>
  COLUMNS.reduce((sum, name) => sum + (tables.columns & COLUMN[name] ? WIDTH[name] : 0), 8 + tables.idBytes);

export const dataKind = (data: Provenance | null): DataKind | null =>
  data && { dataset: data.dataset, pixels: data.pixelPermutation !== null, labels: data.labelPermutation !== null };

/** Distinct entries in order of first use, and each item's place among them. */
function tabulate<T>(items: readonly T[], value: (item: T) => Value): { entries: T[]; places: number[] } {
  const entries: T[] = [];
  const byItem = new Map<T, number>();
  const byKey = new Map<string, number>();
  const places = items.map((item) => {
    const known = byItem.get(item);
    if (known !== undefined) return known;
    const key = encode(value(item)).join();
    const place = byKey.get(key) ?? entries.push(item) - 1;
    byKey.set(key, place);
    byItem.set(item, place);
    return place;
  });
  return { entries, places };
}

/** The tables and columns these tasks need, and each task's values in the columns. */
export function arrange(heads: readonly TaskHead[]): Tables & { readonly rows: readonly Record<Column, number | Seed>[] } {
  const transforms = tabulate(
    heads.map((h) => h.transform),
    transformValue,
  );
  const labels = tabulate(
    heads.map((h) => h.labels),
    labelsValue,
  );
  const data = tabulate(
    heads.map((h) => dataKind(h.data)),
    dataValue,
  );
  const idBytes = heads.reduce((width, h) => Math.max(width, h.id.length), 0);
  const rows = heads.map((h, i) => ({
    scale: h.logitScale,
    transform: transforms.places[i],
    labels: labels.places[i],
    data: data.places[i],
    pixelSeed: h.data?.pixelPermutation ?? 0,
    labelSeed: h.data?.labelPermutation ?? 0,
  }));
  const isDefault = (name: Column, value: number | Seed) =>
    typeof value === 'number' ? value === (name === 'scale' ? 1 : 0) : value.low === 0 && value.high === 0;
  const needed = (name: Column) => rows.some((row) => !isDefault(name, row[name]));
  const columns = COLUMNS.reduce((bits, name) => bits | (needed(name) ? COLUMN[name] : 0), idBytes ? COLUMN.id : 0);
  return { transforms: transforms.entries, labels: labels.entries, data: data.entries, columns, idBytes, rows };
}

/** Writes a record's columns behind its CRC and length. */
export function writeColumns(record: Uint8Array, tables: Tables, id: string, row: Record<Column, number | Seed>): void {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  for (let i = 0; i < id.length; i++) record[8 + i] = id.charCodeAt(i);
  let at = 8 + tables.idBytes;
  for (const name of COLUMNS) {
    if (!(tables.columns & COLUMN[name])) continue;
    const value = row[name];
    if (typeof value !== 'number') {
      view.setUint32(at, value.low, true);
      view.setUint32(at + 4, value.high, true);
    } else if (name === 'scale') view.setFloat32(at, value, true);
    else if (WIDTH[name] === 2) view.setUint16(at, value, true);
    at += WIDTH[name];
  }
}

/**
 * Reads a record's columns.
 * @param previous the id before this one
 * @throws SeedmaskError 'bad-task' or 'not-canonical'
 */
export function readColumns(record: Uint8Array, header: Header, task: number, previous: string | null): TaskHead {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  const bad = (name: string, expected: unknown, got: unknown) =>
    new SeedmaskError('bad-task', { field: `task ${task} ${name}`, expected, got });
  const starts = new Map<Column, number>();
  let at = 8 + header.idBytes;
  for (const name of COLUMNS) {
    if (!(header.columns & COLUMN[name])) continue;
    starts.set(name, at);
    at += WIDTH[name];
  }
  const place = (name: Column, count: number): number => {
    const start = starts.get(name);
    const value = start === undefined ? 0 : view.getUint16(start, true);
    if (value >= count) throw bad(name, `below ${count}, the entries of its table`, value);
    return value;
  };
  const seed = (name: Column, used: boolean): Seed | null => {
    const start = starts.get(name);
    const value = start === undefined ? { low: 0, high: 0 } : { low: view.getUint32(start, true), high: view.getUint32(start + 4, true) };
    if (!used && (value.low || value.high)) throw new SeedmaskError('not-canonical', { field: `task ${task} ${name}`, got: start });
    return used ? value : null;
  };

  const id = String.fromCharCode(...record.subarray(8, 8 + header.idBytes)).replace(/\0+$/, '');
  if (header.idBytes && !TASK_ID.test(id)) throw bad('id', TASK_ID_TEXT, id);
  if (previous !== null && id <= previous) throw bad('id', `above the id before it, '${previous}'`, id);
  const scaleStart = starts.get('scale');
  const logitScale = scaleStart === undefined ? 1 : view.getFloat32(scaleStart, true);
  if (!(logitScale > 0 && logitScale < Number.POSITIVE_INFINITY)) throw bad('logit scale', 'above 0 and finite', String(logitScale));
  const kind = header.data[place('data', header.data.length)];
  const pixelPermutation = seed('pixelSeed', kind?.pixels === true);
  const labelPermutation = seed('labelSeed', kind?.labels === true);
  return {
    id,
    transform: header.transforms[place('transform', header.transforms.length)],
    labels: header.labels[place('labels', header.labels.length)],
    data: kind && { dataset: kind.dataset, pixelPermutation, labelPermutation },
    logitScale,
  };
}
