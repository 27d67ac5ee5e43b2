// A model file: prefix | header | page table? | index | payloads. One network, one or more tasks; see FORMAT.md.
//
// Only lengths are stored, never offsets: nothing can overlap or hide, and the lengths must add up to the file exactly. Reading has
// one path and it checks everything: sizes against the caller's limits before memory is taken, every byte under a CRC-32C, the weight
// generator against a stored CRC, and finally that the header is the one this model would be given, byte for byte. Positions and the
// checks of single parts are layout.ts's; archive.ts reads one task and leaves the rest.

import { sha256 } from '@noble/hashes/sha2.js';
import { ln } from '../src/exact.js';
import { type Mask, type Network, totalWeights } from '../src/network.js';
import type { Seed } from '../src/random.js';
import { DECODERS } from './decoders.js';
import { SeedmaskError } from './errors.js';
import { dataValue, encodeHeader, labelsValue, networkId, transformValue } from './header.js';
import { admit, begin, checkCanonical, checkPage, checkTask, pageEntry, pageTasks, payloadLengths, readHeads } from './layout.js';
import { DEFAULT_LIMITS, type Limits, need, within } from './limits.js';
import { encode } from './msgpack.js';
import { type FindNetwork, lookedUp, type NetworkLookup, notFound } from './networks.js';
import { arrange, dataKind, type TaskHead } from './records.js';
import type { LayerCount, SchemeName } from './schemes.js';
import { Bases, decodeTask, nameBases, type PackedTask, type Task } from './tasks.js';

/** What a file says, however it is stored. */
export interface Model {
  readonly network: Network;
  /** In increasing order of id; none in a network-only file. */
  readonly tasks: readonly Task[];
}

/** A model to be taken apart or put together without decoding its masks. */
export interface PackedModel {
  readonly network: Network;
  readonly tasks: readonly PackedTask[];
}

export interface TaskInfo extends TaskHead {
  readonly payloadBytes: number;
  readonly kept: number;
  /** Kept fraction of all weights. */
  readonly density: number;
  /** Sum over layers of n * H(k / n) / 8. */
  readonly entropyBytes: number;
  readonly scheme: SchemeName;
  /** Id of the task that the payload leans on, or null. */
  readonly base: string | null;
  /** Names of the columns of a table whose rows it takes, null where they have none; undefined where it takes pixels. */
  readonly columns: readonly string[] | null | undefined;
  readonly layers: readonly LayerCount[];
}

export interface FileInfo {
  readonly fileBytes: number;
  /** Everything but mask payloads. */
  readonly headerBytes: number;
  readonly network: Network;
  /** Whether the file leaves the network out and names it by its id. */
  readonly maskOnly: boolean;
  readonly tasks: readonly TaskInfo[];
  /** See `contentId`. */
  readonly contentId: Uint8Array;
}

interface Opened extends PackedModel {
  readonly maskOnly: boolean;
}

/**
 * Reads a model file.
 * @param networks where a mask-only file's network comes from
 * @throws SeedmaskError, and nothing else, for any bytes
 */
export function readModel(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): Model {
  const { network, tasks } = open(bytes, limits, finder(networks));
  const bases = new Bases(network, tasks, DECODERS);
  return { network, tasks: tasks.map((task, i) => decodeTask(network, task, i, bases.of(task), DECODERS).task) };
}

/** Sizes and counts of a model file, which is checked as `readModel` checks it, one mask and its base in memory at a time. Throws SeedmaskError. */
export function inspectModel(bytes: Uint8Array, limits: Partial<Limits> = {}, networks?: NetworkLookup): FileInfo {
  const { network, maskOnly, tasks } = open(bytes, limits, finder(networks));
  const total = totalWeights(network);
  const content = new ContentHash(network);
  const bases = new Bases(network, tasks, DECODERS);
  const infos = tasks.map((task, i) => {
    const { scheme, layers, mask } = decodeTask(network, task, i, bases.of(task), DECODERS);
    content.add(task, mask);
    const kept = layers.reduce((sum, l) => sum + l.kept, 0);
    const entropyBytes = layers.reduce((sum, l) => sum + entropy(l), 0) / 8;
    const { id, transform, labels, data, logitScale } = task;
    return {
      ...{ id, transform, labels, data, logitScale },
      payloadBytes: task.payload.length,
      kept,
      density: kept / total,
      entropyBytes,
      scheme,
      base: task.base ?? null,
      columns: transform.features && (transform.features.names ?? null),
      layers,
    };
  });
  const payloads = infos.reduce((sum, t) => sum + t.payloadBytes, 0);
  return { fileBytes: bytes.length, headerBytes: bytes.length - payloads, network, maskOnly, tasks: infos, contentId: content.digest() };
}

/** n * H(k / n) in bits: what a layer's mask takes for a coder that knows its count alone. */
export function entropy({ weights, kept }: LayerCount): number {
  const part = (k: number) => (k > 0 ? k * ln(weights / k) : 0);
  return (part(kept) + part(weights - kept)) / ln(2);
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

export const finder =
  (networks: NetworkLookup | undefined): FindNetwork =>
  (id) =>
    lookedUp(id, networks?.(id));

/** Everything about a file but the decoded masks, all of it checked. Reading has this one path. */
export function open(bytes: Uint8Array, some: Partial<Limits>, find: FindNetwork): Opened {
  const limits = { ...DEFAULT_LIMITS, ...some };
  within('file bytes', bytes.length, limits.maxFileBytes);
  const begun = begin(bytes, limits);
  const { header, layout } = begun;
  const { start, index, width } = layout;
  const network = header.network instanceof Uint8Array ? find(header.network) : header.network;
  const layers = admit(header, network, limits).length;

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
  const masks = tasks.length + named.filter((task) => task.base !== undefined).length;
  const hint = 'Set maxWeights higher, or use openArchive';
  within('weights of all tasks and their bases', masks * totalWeights(network), limits.maxWeights, hint);
  return { network, maskOnly: network !== header.network, tasks: named };
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
export class ContentHash {
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
