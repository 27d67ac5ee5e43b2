// Where the parts of a model file lie, and the checks that need one part only: shared by whole reads (container.ts) and by reads of one
// task (archive.ts), so that both refuse the same things in the same words.
//
//   OFFSET            SIZE             MEANING
//   0                 16               prefix: magic 6, version 1, critical flags 1, header length u32, CRC-32C u32 of 0..11 and header
//   16                header length    header (header.ts)
//   start             10 x pages       page table, only above 256 tasks: payload bytes u48, CRC-32C u32 of the page's records
//   index             width x tasks    records (records.ts)
//   payloads          ...              one after the other, to the end of the file

import { type Network, place, size } from '../src/network.js';
import { crc32c } from './crc32c.js';
import { SeedmaskError } from './errors.js';
import { checkTables, decodeHeader, type Header, weightCheck } from './header.js';
import { hex } from './hex.js';
import { checkSizes, type Limits, need, within } from './limits.js';
import { fits } from './networks.js';
import { readColumns, recordBytes, type TaskHead } from './records.js';

export const MAGIC = [0x89, 0x53, 0x4d, 0x4b, 0x0d, 0x0a];
export const VERSION = 1;
/** The one critical flag. */
export const MASK_ONLY = 2;
export const PREFIX_BYTES = 16;
export const PAGE = 256;
export const PAGE_BYTES = 10;
const MAX_HEADER_BYTES = 2 ** 24;
const MAX_LAYER_WEIGHTS = 2 ** 31 - 1;

/** Positions, in bytes from the beginning of the file. */
export interface Layout {
  /** End of the header. */
  readonly start: number;
  /** Entries of the page table, 0 when there is none. */
  readonly pages: number;
  readonly index: number;
  /** Bytes of a record. */
  readonly width: number;
  readonly tasks: number;
  readonly payloads: number;
}

/** A header that has been read, its place in the file, and its bytes. */
export interface Begun {
  readonly header: Header;
  readonly bytes: Uint8Array;
  readonly layout: Layout;
}

/**
 * Length of the header, from the prefix.
 * @param bytes the first bytes of the file: 16, or fewer if it has no more
 */
export function headerLength(bytes: Uint8Array): number {
  const magic = bytes.subarray(0, MAGIC.length);
  if (magic.some((byte, i) => byte !== MAGIC[i])) throw new SeedmaskError('not-a-model-file', { got: hex(magic), expected: hex(MAGIC) });
  need('the prefix', PREFIX_BYTES, bytes.length);
  if (bytes[6] !== VERSION) throw new SeedmaskError('unknown-version', { got: bytes[6], expected: VERSION });
  if (bytes[7] & ~MASK_ONLY) throw new SeedmaskError('unknown-flag', { got: `0x${hex([bytes[7]])}`, expected: '0x02' });
  const length = viewOf(bytes).getUint32(8, true);
  within('header bytes', length, MAX_HEADER_BYTES);
  return length;
}

/**
 * Reads and checks the header.
 * @param bytes the file from its beginning, at least to the end of the header unless it is cut short
 */
export function begin(bytes: Uint8Array, limits: Limits): Begun {
  const length = headerLength(bytes);
  need('the header', length, bytes.length - PREFIX_BYTES);
  const start = PREFIX_BYTES + length;
  const copy = bytes.slice(PREFIX_BYTES, start);
  checksum('the header', viewOf(bytes).getUint32(12, true), crc(bytes.subarray(0, 12), copy));
  const header = decodeHeader(copy, (bytes[7] & MASK_ONLY) !== 0);
  within('tasks', header.tasks, limits.maxTasks);
  return { header, bytes: copy, layout: layoutOf(header, start) };
}

/** Holds the header against what its content is spelled as. */
export function checkCanonical({ bytes }: Begun, canonical: Uint8Array): void {
  const at = firstDifference(bytes, canonical);
  if (at >= 0) throw new SeedmaskError('not-canonical', { field: 'it', got: PREFIX_BYTES + at });
}

/** Where two byte strings first differ, or -1. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at >= 0 || a.length === b.length ? at : a.length;
}

/** Where the parts lie behind a header that ends at `start`. */
export function layoutOf(header: Pick<Header, 'transforms' | 'labels' | 'data' | 'columns' | 'idBytes' | 'tasks'>, start: number): Layout {
  const { tasks } = header;
  const pages = tasks > PAGE ? Math.ceil(tasks / PAGE) : 0;
  const width = recordBytes(header);
  const index = start + pages * PAGE_BYTES;
  return { start, pages, index, width, tasks, payloads: index + tasks * width };
}

/** Tasks first .. end-1 of a page. */
export const pageTasks = ({ tasks }: Layout, page: number): { readonly first: number; readonly end: number } => ({
  first: page * PAGE,
  end: Math.min((page + 1) * PAGE, tasks),
});

/** What the page table says about a page. */
export function pageEntry(table: Uint8Array, page: number): { readonly bytes: number; readonly crc: number } {
  const view = viewOf(table);
  const at = page * PAGE_BYTES;
  return { bytes: view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32, crc: view.getUint32(at + 6, true) };
}

/** Payload lengths of these records. */
export function payloadLengths(records: Uint8Array, width: number): number[] {
  const view = viewOf(records);
  return Array.from({ length: records.length / width }, (_, i) => view.getUint32(i * width + 4, true));
}

/** Checks the records of one page against the page table. */
export function checkPage(entry: { readonly bytes: number; readonly crc: number }, page: number, records: Uint8Array, width: number): void {
  const total = payloadLengths(records, width).reduce((a, b) => a + b, 0);
  if (entry.bytes !== total) {
    throw new SeedmaskError('bad-header', { field: `index page ${page} payload bytes`, expected: total, got: entry.bytes });
  }
  checksum(`index page ${page}`, entry.crc, crc(records));
}

/** Checks a record's CRC over itself and its payload. */
export function checkTask(record: Uint8Array, payload: Uint8Array, task: number): void {
  checksum(`task ${task}`, viewOf(record).getUint32(0, true), crc(record.subarray(4), payload));
}

/** The heads of records whose first belongs to task `first`; `before` is the id in front of it, if known. */
export function readHeads(records: Uint8Array, { header, layout }: Begun, first: number, before: string | null): TaskHead[] {
  let previous = before;
  return Array.from({ length: records.length / layout.width }, (_, i) => {
    const head = readColumns(records.subarray(i * layout.width, (i + 1) * layout.width), header, first + i, previous);
    previous = head.id;
    return head;
  });
}

/**
 * Holds a network against the header, the limits and the weight check.
 * @param network the header's, or the one looked up
 * @returns weights per weighted layer
 */
export function admit(header: Header, network: Network, limits: Limits): number[] {
  const placed = fits(() => place(network), 'bad-base', 'the network looked up', 'layers that fit');
  const weights = placed.filter((p) => p.weights > 0).map((p) => p.weights);
  for (const n of weights) within('weights of a layer', n, MAX_LAYER_WEIGHTS);
  checkSizes(placed, Math.min(limits.maxWeights, limits.maxMaskWeights));
  checkTables(header, network, size(placed[placed.length - 1].output));
  const check = header.network === network ? weightCheck(network) : header.check;
  if (check !== header.check) throw new SeedmaskError('wrong-generator', { got: hex32(check), expected: hex32(header.check) });
  return weights;
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
export const crc = (first: Uint8Array, second: Uint8Array = new Uint8Array(0)): number => crc32c(second, crc32c(first));
const hex32 = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

function checksum(field: string, stored: number, computed: number): void {
  if (stored !== computed) throw new SeedmaskError('bad-checksum', { field, got: hex32(computed), expected: hex32(stored) });
}
