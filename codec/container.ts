// A model file: prefix | header | page table? | index | payloads. One network, one or more tasks; see FORMAT.md.
//
// Only lengths are stored, never offsets: nothing can overlap or hide, and the lengths must add up to the file exactly. Reading has
// one path and it checks everything: sizes against the caller's limits before memory is taken, every byte under a CRC-32C, the weight
// generator against a stored CRC, and finally that the header is the one this model would be given, byte for byte. Positions and the
// checks of single parts are layout.ts's; archive.ts reads one task and leaves the rest.

import { sha256 } from '@noble/hashes/sha2.js';
import { ln } from '../src/exact.js';
import { checkMask, type Mask, type Network, place, totalWeights } from '../src/network.js';
import type { Seed } from '../src/random.js';
import { DECODERS } from './decoders.js';
import { SeedmaskError } from './errors.js';
import { dataValue, encodeHeader, labelsValue, networkId, transformValue, weightCheck } from './header.js';
import {
  admit,
  type Base,
  baseOf,
  begin,
  checkCanonical,
  checkPage,
  checkTask,
  crc,
  DEFAULT_LIMITS,
  type FindNetwork,
  firstDifference,
  fits,
  HAS_BASE,
  hex,
  type Limits,
  layoutOf,
  lookedUp,
  MAGIC,
  type NetworkLookup,
  need,
  notFound,
  PAGE_BYTES,
  PREFIX_BYTES,
  pageEntry,
  pageTasks,
  payloadLengths,
  readHeads,
  taskName,
  VERSION,
  viewOf,
  within,
} from './layout.js';
import { encode } from './msgpack.js';
import { arrange, dataKind, type TaskHead, writeColumns } from './records.js';
import { type LayerCount, SCHEME_NAMES, type SchemeName } from './schemes.js';
import { Bases, baseToTry, decodeTask, encodeTask, nameBases, type PackedTask, placeBases, type Task } from './tasks.js';

export interface Model {
  readonly network: Network;
  readonly base: Base;
  /** In increasing order of id; none in a network-only file. */
  readonly tasks: readonly Task[];
}

/** A model to be taken apart or put together without decoding its masks. */
export interface PackedModel {
  readonly network: Network;
  readonly tasks: readonly PackedTask[];
}

export interface TaskInfo {
  readonly id: string;
  readonly payloadBytes: number;
  readonly kept: number;
  /** Kept fraction of all weights. */
  readonly density: number;
  /** Sum over layers of n * H(k / n) / 8. */
  readonly entropyBytes: number;
  readonly scheme: SchemeName;
  /** Id of the task that the payload leans on, or null. */
  readonly base: string | null;
  readonly layers: readonly LayerCount[];
}

export interface FileInfo {
  readonly fileBytes: number;
  /** Everything but mask payloads. */
  readonly headerBytes: number;
  readonly network: Network;
  readonly base: Base;
  readonly tasks: readonly TaskInfo[];
  /** See `contentId`. */
  readonly contentId: Uint8Array;
}

/** What `verifyModel` has found right; what is wrong it throws. */
export interface Verified {
  readonly fileBytes: number;
  readonly network: Network;
  readonly base: Base;
  readonly tasks: number;
  /** Payloads by their scheme. */
  readonly schemes: Readonly<Record<SchemeName, number>>;
  /** Deflate payloads that another compressor wrote: valid, but not the bytes that this one gives. */
  readonly foreignDeflate: number;
  readonly contentId: Uint8Array;
}

interface Opened {
  readonly network: Network;
  readonly base: Base;
  readonly tasks: readonly PackedTask[];
}

/**
 * Reads a model file.
 * @param networks where a mask-only file's network comes from
 * @throws SeedmaskError, and nothing else, for any bytes
 */
export function readModel(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): Model {
  const { network, base, tasks } = open(bytes, limits, finder(networks));
  const bases = new Bases(network, tasks, DECODERS);
  return { network, base, tasks: tasks.map((task, i) => decodeTask(network, task, i, bases.of(task), DECODERS).task) };
}

/** Sizes and counts of a model file, which is checked as `readModel` checks it, one mask and its base in memory at a time. Throws SeedmaskError. */
export function inspectModel(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): FileInfo {
  const { network, base, tasks } = open(bytes, limits, finder(networks));
  const total = totalWeights(network);
  const content = new ContentHash(network);
  const bases = new Bases(network, tasks, DECODERS);
  const infos = tasks.map((task, i) => {
    const { scheme, layers, mask } = decodeTask(network, task, i, bases.of(task), DECODERS);
    content.add(task, mask);
    const kept = layers.reduce((sum, l) => sum + l.kept, 0);
    const entropyBytes = layers.reduce((sum, l) => sum + entropy(l), 0) / 8;
    return {
      id: task.id,
      payloadBytes: task.payload.length,
      kept,
      density: kept / total,
      entropyBytes,
      scheme,
      base: task.base ?? null,
      layers,
    };
  });
  const payloads = infos.reduce((sum, t) => sum + t.payloadBytes, 0);
  return { fileBytes: bytes.length, headerBytes: bytes.length - payloads, network, base, tasks: infos, contentId: content.digest() };
}

/** n * H(k / n) in bits: what a layer's mask takes for a coder that knows its count alone. */
export function entropy({ weights, kept }: LayerCount): number {
  const part = (k: number) => (k > 0 ? k * ln(weights / k) : 0);
  return (part(kept) + part(weights - kept)) / ln(2);
}

/**
 * Every check there is: those of a read, and that the file is what Seedmask writes for its content, payload by payload and as a whole.
 * @param onTask is told how many tasks are done, of how many
 * @throws SeedmaskError the first thing that is wrong
 */
export function verifyModel(
  bytes: Uint8Array,
  limits: Partial<Limits> = {},
  networks?: NetworkLookup,
  onTask: (done: number, of: number) => void = () => undefined,
): Verified {
  const { network, base, tasks } = open(bytes, limits, finder(networks));
  const schemes = Object.fromEntries(SCHEME_NAMES.map((name) => [name, 0])) as Record<SchemeName, number>;
  const content = new ContentHash(network);
  const bases = new Bases(network, tasks, DECODERS);
  let foreignDeflate = 0;
  tasks.forEach((packed, i) => {
    const known = bases.of(packed);
    const { scheme, mask, task } = decodeTask(network, packed, i, known, DECODERS);
    const at = firstDifference(encodeTask(network, task, [scheme], known).payload, packed.payload);
    if (at >= 0 && scheme !== 'deflate') {
      const got = `bytes that differ from it at ${at}`;
      throw new SeedmaskError('bad-payload', { field: taskName(task, i), got, expected: `the one ${scheme} encoding of its mask` });
    }
    if (at >= 0) foreignDeflate++;
    schemes[scheme]++;
    content.add(task, mask);
    onTask(i + 1, tasks.length);
  });
  const at = firstDifference(assemble(network, base, tasks), bytes);
  if (at >= 0) throw new SeedmaskError('not-canonical', { field: 'the file', got: at });
  return { fileBytes: bytes.length, network, base, tasks: tasks.length, schemes, foreignDeflate, contentId: content.digest() };
}

/**
 * Reads a model file for its payloads as they are: views into `bytes`, checked by their CRCs and not decoded. Throws SeedmaskError.
 */
export function readPacked(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): PackedModel {
  const { network, tasks } = open(bytes, limits, finder(networks));
  return { network, tasks };
}

/** The same for a file that holds its network: without the means to know another by its id, which a page need not load. */
export function readStandAlone(bytes: Uint8Array, limits: Partial<Limits> = {}): PackedModel {
  const { network, tasks } = open(bytes, limits, (id) => {
    throw notFound(id, 'none');
  });
  return { network, tasks };
}

/**
 * Writes a model file around payloads, as they are but for the places of bases: who may hold broken ones reads the result.
 * @param options.maskOnly leave the network out: the file names it by its id
 * @throws SeedmaskError as `writeModel`
 */
export function writePacked({ network, tasks }: PackedModel, options: { readonly maskOnly?: boolean } = {}): Uint8Array {
  const base: Base = options.maskOnly ? { kind: 'network', id: networkId(network) } : { kind: 'none' };
  checkFit(network);
  checkBase(network, base, tasks);
  return assemble(network, base, tasks);
}

/**
 * Writes a model file; the same model gives the same bytes. Scales, means and sigma are rounded to f32. Without tasks it is a
 * network-only file.
 * @param options.schemes the schemes to try (default all); the smallest payload wins, task by task
 * @throws SeedmaskError when the model cannot be stored: masks that do not fit, ids unsorted or malformed, wrong base
 */
export function writeModel(model: Model, options: { readonly schemes?: readonly SchemeName[] } = {}): Uint8Array {
  const { network, base, tasks } = model;
  const schemes = options.schemes ?? SCHEME_NAMES;
  if (!schemes.some((s) => SCHEME_NAMES.includes(s))) {
    throw new SeedmaskError('bad-task', { field: 'schemes', expected: `some of ${SCHEME_NAMES.join(', ')}`, got: schemes });
  }
  checkFit(network);
  checkBase(network, base, tasks);
  tasks.forEach((task, i) => {
    fits(() => checkMask(network, task.mask), 'bad-task', `${taskName(task, i)} mask`, 'one bit for every weight');
  });
  const written = tasks.map((task, i) => encodeTask(network, task, schemes, baseToTry(tasks, task, i)));
  return assemble(network, base, written);
}

const checkFit = (network: Network) => fits(() => place(network), 'bad-header', 'layers', 'a network whose layers fit');

function checkBase(network: Network, base: Base, tasks: readonly unknown[]): void {
  if (base.kind === 'network' && String(base.id) !== String(networkId(network))) {
    const expected = `the id of this network, ${hex(networkId(network))}`;
    throw new SeedmaskError('bad-base', { field: 'base', expected, got: hex(base.id) });
  }
  if (base.kind !== 'none' && tasks.length === 0) {
    throw new SeedmaskError('bad-task', { field: 'a file with a base', expected: 'one task or more', got: 'none' });
  }
}

/** Lays the parts out, and reads the result once: what cannot be read is not written. */
function assemble(network: Network, base: Base, unplaced: readonly PackedTask[]): Uint8Array {
  const tasks = placeBases(unplaced);
  const arranged = arrange(tasks.map((task) => ({ ...task, logitScale: Math.fround(task.logitScale) })));
  const header = encodeHeader({
    ...arranged,
    base: base.kind === 'none' ? null : base.kind === 'task' ? base.index : base.id,
    network: base.kind === 'network' ? null : network,
    check: weightCheck(network),
    tasks: tasks.length,
  });

  const layout = layoutOf({ ...arranged, tasks: tasks.length }, PREFIX_BYTES + header.length);
  const { start, index, width } = layout;
  let at = layout.payloads;
  const file = new Uint8Array(tasks.reduce((sum, { payload }) => sum + payload.length, at));
  const view = viewOf(file);
  file.set(MAGIC);
  file[6] = VERSION;
  file[7] = base.kind === 'none' ? 0 : HAS_BASE;
  view.setUint32(8, header.length, true);
  file.set(header, PREFIX_BYTES);
  view.setUint32(12, crc(file.subarray(0, 12), header), true);
  tasks.forEach(({ id, payload }, i) => {
    const record = file.subarray(index + i * width, index + (i + 1) * width);
    file.set(payload, at);
    at += payload.length;
    view.setUint32(record.byteOffset + 4, payload.length, true);
    writeColumns(record, arranged, id, arranged.rows[i]);
    view.setUint32(record.byteOffset, crc(record.subarray(4), payload), true);
  });
  for (let page = 0; page < layout.pages; page++) {
    const { first, end } = pageTasks(layout, page);
    const total = tasks.slice(first, end).reduce((sum, { payload }) => sum + payload.length, 0);
    const entry = start + page * PAGE_BYTES;
    view.setUint32(entry, total % 2 ** 32, true);
    view.setUint16(entry + 4, Math.floor(total / 2 ** 32), true);
    view.setUint32(entry + 6, crc(file.subarray(index + first * width, index + end * width)), true);
  }
  const most = Number.MAX_SAFE_INTEGER;
  open(file, { maxFileBytes: most, maxWeights: most, maxMaskWeights: most, maxTasks: most }, () => network);
  return file;
}

const finder =
  (networks: NetworkLookup | undefined): FindNetwork =>
  (id) =>
    lookedUp(id, id instanceof Uint8Array ? networks?.(id) : undefined);

/** Everything about a file but the decoded masks, all of it checked. Reading has this one path. */
function open(bytes: Uint8Array, some: Partial<Limits>, find: FindNetwork): Opened {
  const limits = { ...DEFAULT_LIMITS, ...some };
  within('file bytes', bytes.length, limits.maxFileBytes);
  const begun = begin(bytes, limits);
  const { header, layout } = begun;
  const { start, index, width } = layout;
  const { base } = header;
  const network = header.network ?? find(base);
  const layers = admit(header, network, limits, header.tasks).length;

  need('the index and the shortest payloads', layout.payloads - start + header.tasks * (1 + layers), bytes.length - start);
  const records = bytes.subarray(index, layout.payloads);
  const lengths = payloadLengths(records, width);
  const end = lengths.reduce((a, b) => a + b, layout.payloads);
  need('the whole file', end, bytes.length);
  if (end < bytes.length) throw new SeedmaskError('trailing-bytes', { got: bytes.length, expected: end });
  for (let page = 0; page < layout.pages; page++) {
    const tasks = pageTasks(layout, page);
    checkPage(pageEntry(bytes.subarray(start, index), page), page, records.subarray(tasks.first * width, tasks.end * width), width);
  }

  let at = layout.payloads;
  let previous: string | null = null;
  const tasks = lengths.map((length, i) => {
    const record = records.subarray(i * width, (i + 1) * width);
    const payload = bytes.subarray(at, at + length);
    at += length;
    checkTask(record, payload, i);
    const [head] = readHeads(record, begun, i, previous);
    previous = head.id;
    return { ...head, payload };
  });
  checkCanonical(begun, encodeHeader({ ...header, ...arrange(tasks) }));
  const named = nameBases(tasks);
  const leaning = named.filter((task) => task.base !== undefined).length;
  within('weights of all tasks and their bases', (tasks.length + leaning) * totalWeights(network), limits.maxWeights);
  return { network, base: baseOf(base), tasks: named };
}

/**
 * Names a model's content, however it is stored: SHA-256 of "seedmask model 1\n", the network's id, and for each task one
 * MessagePack array [id, logit scale, transform, labels, data, pixel seed?, label seed?] and the packed bits of its layers.
 */
export function contentId(model: Model): Uint8Array {
  const hash = new ContentHash(model.network);
  for (const task of model.tasks) hash.add(task, task.mask);
  return hash.digest();
}

/** The content id of tasks that come one by one. */
class ContentHash {
  readonly #hash = sha256.create();

  constructor(network: Network) {
    this.#hash.update(new TextEncoder().encode('seedmask model 1\n')).update(networkId(network));
  }

  add({ id, logitScale, transform, labels, data }: TaskHead, mask: Mask): void {
    const seeds = [data?.pixelPermutation, data?.labelPermutation].filter((seed) => !!seed).map(seedBytes);
    const values = [id, { f32: logitScale }, transformValue(transform), labelsValue(labels), dataValue(dataKind(data)), ...seeds];
    this.#hash.update(encode(values));
    for (const bits of mask) this.#hash.update(bits);
  }

  digest(): Uint8Array {
    return this.#hash.digest();
  }
}

function seedBytes(seed: Seed): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, seed.low, true);
  view.setUint32(4, seed.high, true);
  return new Uint8Array(view.buffer);
}
