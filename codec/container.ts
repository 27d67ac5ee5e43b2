// A model file: prefix | header | page table? | index | payloads. One network, one or more tasks; see FORMAT.md.
//
// Only lengths are stored, never offsets: nothing can overlap or hide, and the lengths must add up to the file exactly. Reading has
// one path and it checks everything: sizes against the caller's limits before memory is taken, every byte under a CRC-32C, the weight
// generator against a stored CRC, and finally that the header is the one this model would be given, byte for byte.

import { sha256 } from '@noble/hashes/sha2.js';
import CRC32C from 'crc-32/crc32c.js';
import { ln } from '../src/exact.js';
import { checkMask, type Mask, type Network, place, ShapeError, size } from '../src/network.js';
import type { Seed } from '../src/random.js';
import { SeedmaskError } from './errors.js';
import type { Surroundings } from './grids.js';
import { checkTables, dataValue, decodeHeader, encodeHeader, labelsValue, networkId, transformValue, weightCheck } from './header.js';
import { encode } from './msgpack.js';
import { arrange, dataKind, readColumns, recordBytes, type TaskHead, writeColumns } from './records.js';
import { decodePayload, encodePayload, type LayerCount, SCHEME_NAMES, type SchemeName } from './schemes.js';

export interface Task extends TaskHead {
  readonly mask: Mask;
}

/** What the file leans on: nothing, one of its own tasks as the base mask, or a network kept in another file. */
export type Base =
  | { readonly kind: 'none' }
  | { readonly kind: 'task'; readonly index: number }
  | { readonly kind: 'network'; readonly id: Uint8Array };

export interface Model {
  readonly network: Network;
  readonly base: Base;
  /** In increasing order of id. */
  readonly tasks: readonly Task[];
}

/** What a reader is ready to spend. */
export interface Limits {
  readonly maxFileBytes: number;
  /** Weights of all decoded masks together. */
  readonly maxWeights: number;
  readonly maxTasks: number;
}
export const DEFAULT_LIMITS: Limits = { maxFileBytes: 2 ** 30, maxWeights: 2 ** 28, maxTasks: 2 ** 20 };

/** Finds a network kept elsewhere by its 32-byte id. */
export type NetworkLookup = (id: Uint8Array) => Network | undefined;

export interface TaskInfo {
  readonly id: string;
  readonly payloadBytes: number;
  readonly kept: number;
  /** Kept fraction of all weights. */
  readonly density: number;
  /** Sum over layers of n * H(k / n) / 8. */
  readonly entropyBytes: number;
  readonly scheme: SchemeName;
  readonly layers: readonly LayerCount[];
}

export interface FileInfo {
  readonly fileBytes: number;
  /** Everything but mask payloads. */
  readonly headerBytes: number;
  readonly network: Network;
  readonly tasks: readonly TaskInfo[];
}

const MAGIC = [0x89, 0x53, 0x4d, 0x4b, 0x0d, 0x0a];
const VERSION = 1;
const HAS_BASE = 2;
const PREFIX_BYTES = 16;
const MAX_HEADER_BYTES = 2 ** 24;
const MAX_LAYER_WEIGHTS = 2 ** 31 - 1;
const PAGE = 256;
const PAGE_BYTES = 10;

interface Located {
  readonly head: TaskHead;
  readonly payload: Uint8Array;
}

interface Opened {
  readonly network: Network;
  readonly base: Base;
  readonly weights: readonly number[];
  readonly tasks: readonly Located[];
}

const around = (network: Network, head: TaskHead): Surroundings => ({ network, pixelPermutation: head.data?.pixelPermutation ?? null });
const name = (head: { id: string }, i: number): string => (head.id ? `task '${head.id}'` : `task ${i}`);

/**
 * Reads a model file.
 * @param networks where a mask-only file's network comes from
 * @throws SeedmaskError, and nothing else, for any bytes
 */
export function readModel(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): Model {
  const { network, base, tasks } = open(bytes, { ...DEFAULT_LIMITS, ...limits }, networks);
  return {
    network,
    base,
    tasks: tasks.map(({ head, payload }, i) => ({ ...head, mask: decodePayload(around(network, head), payload, name(head, i)).mask })),
  };
}

/** Sizes and counts of a model file, which is checked as `readModel` checks it. Throws SeedmaskError. */
export function inspectModel(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): FileInfo {
  const { network, weights, tasks } = open(bytes, { ...DEFAULT_LIMITS, ...limits }, networks);
  const total = weights.reduce((a, b) => a + b, 0);
  const infos = tasks.map(({ head, payload }, i) => {
    const { scheme, layers } = decodePayload(around(network, head), payload, name(head, i));
    const kept = layers.reduce((sum, l) => sum + l.kept, 0);
    const entropyBytes = layers.reduce((sum, l) => sum + entropy(l), 0) / 8;
    return { id: head.id, payloadBytes: payload.length, kept, density: kept / total, entropyBytes, scheme, layers };
  });
  const payloads = infos.reduce((sum, t) => sum + t.payloadBytes, 0);
  return { fileBytes: bytes.length, headerBytes: bytes.length - payloads, network, tasks: infos };
}

/** n * H(k / n) in bits. */
function entropy({ weights, kept }: LayerCount): number {
  const part = (k: number) => (k > 0 ? k * ln(weights / k) : 0);
  return (part(kept) + part(weights - kept)) / ln(2);
}

/**
 * Writes a model file; the same model gives the same bytes. Scales, means and sigma are rounded to f32.
 * @param options.schemes the schemes to try (default all); the smallest payload wins, task by task
 * @throws SeedmaskError when the model cannot be stored: masks that do not fit, ids unsorted or malformed, wrong base
 */
export function writeModel(model: Model, options: { readonly schemes?: readonly SchemeName[] } = {}): Uint8Array {
  const { network, base, tasks } = model;
  const schemes = options.schemes ?? SCHEME_NAMES;
  if (!schemes.some((s) => SCHEME_NAMES.includes(s))) {
    throw new SeedmaskError('bad-task', { field: 'schemes', expected: `some of ${SCHEME_NAMES.join(', ')}`, got: schemes });
  }
  fits(() => place(network), 'bad-header', 'layers', 'a network whose layers fit');
  if (base.kind === 'network' && String(base.id) !== String(networkId(network))) {
    throw new SeedmaskError('bad-base', {
      field: 'base',
      expected: `the id of this network, ${hex(networkId(network))}`,
      got: hex(base.id),
    });
  }
  tasks.forEach((task, i) => {
    fits(() => checkMask(network, task.mask), 'bad-task', `${name(task, i)} mask`, 'one bit for every weight');
  });
  const payloads = tasks.map((task) => encodePayload(around(network, task), task.mask, schemes));
  const arranged = arrange(tasks.map((task) => ({ ...task, logitScale: Math.fround(task.logitScale) })));
  const header = encodeHeader({
    ...arranged,
    base: base.kind === 'none' ? null : base.kind === 'task' ? base.index : base.id,
    network: base.kind === 'network' ? null : network,
    check: weightCheck(network),
    tasks: tasks.length,
  });

  const width = recordBytes(arranged);
  const pages = pageCount(tasks.length);
  const start = PREFIX_BYTES + header.length;
  const index = start + pages * PAGE_BYTES;
  let at = index + tasks.length * width;
  const file = new Uint8Array(payloads.reduce((sum, p) => sum + p.length, at));
  const view = new DataView(file.buffer);
  file.set(MAGIC);
  file[6] = VERSION;
  file[7] = base.kind === 'none' ? 0 : HAS_BASE;
  view.setUint32(8, header.length, true);
  file.set(header, PREFIX_BYTES);
  view.setUint32(12, crc(file.subarray(0, 12), header), true);
  payloads.forEach((payload, i) => {
    const record = file.subarray(index + i * width, index + (i + 1) * width);
    file.set(payload, at);
    at += payload.length;
    view.setUint32(record.byteOffset + 4, payload.length, true);
    writeColumns(record, arranged, tasks[i].id, arranged.rows[i]);
    view.setUint32(record.byteOffset, crc(record.subarray(4), payload), true);
  });
  for (let page = 0; page < pages; page++) {
    const total = payloads.slice(page * PAGE, (page + 1) * PAGE).reduce((sum, p) => sum + p.length, 0);
    const entry = start + page * PAGE_BYTES;
    view.setUint32(entry, total % 2 ** 32, true);
    view.setUint16(entry + 4, Math.floor(total / 2 ** 32), true);
    view.setUint32(entry + 6, crc(pageOf(file, index, width, page, tasks.length)), true);
  }
  const unlimited = { maxFileBytes: Number.MAX_SAFE_INTEGER, maxWeights: Number.MAX_SAFE_INTEGER, maxTasks: Number.MAX_SAFE_INTEGER };
  open(file, unlimited, () => network);
  return file;
}

/** Everything about a file but the decoded masks, all of it checked. */
function open(bytes: Uint8Array, limits: Limits, networks?: NetworkLookup): Opened {
  within('file bytes', bytes.length, limits.maxFileBytes);
  const magic = bytes.subarray(0, MAGIC.length);
  if (magic.some((byte, i) => byte !== MAGIC[i])) throw new SeedmaskError('not-a-model-file', { got: hex(magic), expected: hex(MAGIC) });
  need('the prefix', PREFIX_BYTES, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[6] !== VERSION) throw new SeedmaskError('unknown-version', { got: bytes[6], expected: VERSION });
  if (bytes[7] & ~HAS_BASE) throw new SeedmaskError('unknown-flag', { got: `0x${hex([bytes[7]])}`, expected: '0x02' });
  const headerBytes = view.getUint32(8, true);
  within('header bytes', headerBytes, MAX_HEADER_BYTES);
  need('the header', headerBytes, bytes.length - PREFIX_BYTES);
  const start = PREFIX_BYTES + headerBytes;
  const headerCopy = bytes.slice(PREFIX_BYTES, start);
  checksum('the header', view.getUint32(12, true), crc(bytes.subarray(0, 12), headerCopy));

  const header = decodeHeader(headerCopy, (bytes[7] & HAS_BASE) !== 0);
  within('tasks', header.tasks, limits.maxTasks);
  if (typeof header.base === 'number' && header.base >= header.tasks) {
    throw new SeedmaskError('bad-base', { field: 'base task', expected: `an index below ${header.tasks}`, got: header.base });
  }
  const network = header.network ?? lookUp(header.base, networks);
  const placed = fits(() => place(network), 'bad-base', 'the network looked up', 'layers that fit');
  const weights = placed.filter((p) => p.weights > 0).map((p) => p.weights);
  for (const n of weights) within('weights of a layer', n, MAX_LAYER_WEIGHTS);
  within('weights of all tasks', weights.reduce((a, b) => a + b, 0) * header.tasks, limits.maxWeights);
  for (const p of placed) within('values between two layers', Math.max(size(p.input), size(p.output)), limits.maxWeights);
  checkTables(header, network, size(placed[placed.length - 1].output));
  const check = header.network ? weightCheck(network) : header.check;
  if (check !== header.check) throw new SeedmaskError('wrong-generator', { got: hex32(check), expected: hex32(header.check) });

  const width = recordBytes(header);
  const pages = pageCount(header.tasks);
  const index = start + pages * PAGE_BYTES;
  const payloadStart = index + header.tasks * width;
  need('the index and the shortest payloads', payloadStart - start + header.tasks * (1 + weights.length), bytes.length - start);
  const lengths = Array.from({ length: header.tasks }, (_, i) => view.getUint32(index + i * width + 4, true));
  const end = lengths.reduce((a, b) => a + b, payloadStart);
  need('the whole file', end, bytes.length);
  if (end < bytes.length) throw new SeedmaskError('trailing-bytes', { got: bytes.length, expected: end });
  for (let page = 0; page < pages; page++) {
    const entry = start + page * PAGE_BYTES;
    const total = lengths.slice(page * PAGE, (page + 1) * PAGE).reduce((a, b) => a + b, 0);
    const stored = view.getUint32(entry, true) + view.getUint16(entry + 4, true) * 2 ** 32;
    if (stored !== total)
      throw new SeedmaskError('bad-header', { field: `index page ${page} payload bytes`, expected: total, got: stored });
    checksum(`index page ${page}`, view.getUint32(entry + 6, true), crc(pageOf(bytes, index, width, page, header.tasks)));
  }

  let at = payloadStart;
  let previous: string | null = null;
  const tasks = lengths.map((length, i) => {
    const record = bytes.subarray(index + i * width, index + (i + 1) * width);
    const payload = bytes.subarray(at, at + length);
    at += length;
    checksum(`task ${i}`, view.getUint32(index + i * width, true), crc(record.subarray(4), payload));
    const head = readColumns(record, header, i, previous);
    previous = head.id;
    return { head, payload };
  });
  const canonical = encodeHeader({ ...header, ...arrange(tasks.map((t) => t.head)) });
  const different = headerCopy.findIndex((byte, i) => byte !== canonical[i]);
  if (different >= 0 || canonical.length !== headerCopy.length) {
    throw new SeedmaskError('not-canonical', { field: 'it', got: PREFIX_BYTES + (different < 0 ? headerCopy.length : different) });
  }
  return { network, base: baseOf(header.base), weights, tasks };
}

const baseOf = (base: number | Uint8Array | null): Base =>
  base === null ? { kind: 'none' } : typeof base === 'number' ? { kind: 'task', index: base } : { kind: 'network', id: base };

function lookUp(id: number | Uint8Array | null, networks?: NetworkLookup): Network {
  if (!(id instanceof Uint8Array))
    throw new SeedmaskError('bad-base', { field: 'a file without a network', expected: 'a network id', got: id });
  const network = networks?.(id);
  const found = network ? hex(fits(() => networkId(network), 'bad-base', 'the network looked up', 'layers that fit')) : 'none';
  if (network && found === hex(id)) return network;
  const hint = 'Give the file that holds this network as well';
  throw new SeedmaskError('bad-base', { field: 'a mask-only file', expected: `the network ${hex(id)}`, got: found, hint });
}

/**
 * Names a model's content, however it is stored: SHA-256 of "seedmask model 1\n", the network's id, and for each task one
 * MessagePack array [id, logit scale, transform, labels, data, pixel seed?, label seed?] and the packed bits of its layers.
 */
export function contentId(model: Model): Uint8Array {
  const hash = sha256.create().update(new TextEncoder().encode('seedmask model 1\n')).update(networkId(model.network));
  for (const { id, logitScale, transform, labels, data, mask } of model.tasks) {
    const seeds = [data?.pixelPermutation, data?.labelPermutation].filter((seed) => !!seed).map(seedBytes);
    hash.update(encode([id, { f32: logitScale }, transformValue(transform), labelsValue(labels), dataValue(dataKind(data)), ...seeds]));
    for (const bits of mask) hash.update(bits);
  }
  return hash.digest();
}

function seedBytes(seed: Seed): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, seed.low, true);
  view.setUint32(4, seed.high, true);
  return new Uint8Array(view.buffer);
}

const pageCount = (tasks: number): number => (tasks > PAGE ? Math.ceil(tasks / PAGE) : 0);
const pageOf = (file: Uint8Array, index: number, width: number, page: number, tasks: number): Uint8Array =>
  file.subarray(index + page * PAGE * width, index + Math.min((page + 1) * PAGE, tasks) * width);

const crc = (first: Uint8Array, second: Uint8Array = new Uint8Array(0)): number => CRC32C.buf(second, CRC32C.buf(first)) >>> 0;
const hex = (bytes: ArrayLike<number>): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
const hex32 = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

function within(field: string, got: number, limit: number): void {
  if (got > limit) throw new SeedmaskError('over-limit', { field, got, expected: limit });
}

function need(field: string, expected: number, got: number): void {
  if (got < expected) throw new SeedmaskError('truncated', { field, expected, got });
}

function checksum(field: string, stored: number, computed: number): void {
  if (stored !== computed) throw new SeedmaskError('bad-checksum', { field, got: hex32(computed), expected: hex32(stored) });
}

/** Runs a check of shapes; its complaint becomes ours. */
function fits<T>(check: () => T, code: 'bad-task' | 'bad-header' | 'bad-base', field: string, expected: string): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof ShapeError) throw new SeedmaskError(code, { field, expected, got: error.message });
    throw error;
  }
}
