// Masks to payloads, and tasks to what stands in a file: the writing half of schemes.ts and tasks.ts. Apart from them, because who
// only reads, such as a page, need not load it.

import { countKept, kept, type Mask, type Network, weighted } from '../src/network.js';
import { ContextModel, shareOfOnes } from './context.js';
import { DECODERS } from './decoders.js';
import { deflate } from './deflate.js';
import { SeedmaskError } from './errors.js';
import { type BaseMask, fitsModel, gridOf, hintsOf, type Surroundings } from './grids.js';
import { RangeEncoder } from './rangecoder.js';
import { taskName } from './records.js';
import {
  basePlace,
  isMixed,
  isModelled,
  knownTo,
  type LayerCount,
  type RangeScheme,
  readNumber,
  SCHEME_NAMES,
  SCHEMES,
  type SchemeName,
} from './schemes.js';
import { baseOfStored, checkBaseTask, decodeTask, type PackedTask, placesOf, type StoredTask, surroundingsOf, type Task } from './tasks.js';

/**
 * The shortest payload among `schemes`; of equally short ones the lowest id.
 * @param mask must have passed `checkMask`
 * @throws SeedmaskError 'bad-task' when `schemes` has none that takes the network
 */
export function encodePayload(around: Surroundings, mask: Mask, schemes: readonly SchemeName[]): Uint8Array {
  const layers = weighted(around.network).map(({ weights }, i) => ({ weights, kept: countKept(mask[i]) }));
  const raw = concat(mask.filter((_, i) => isMixed(layers[i])));
  const coded = (scheme: RangeScheme): Uint8Array => {
    const coder = new RangeEncoder();
    codeLayers(scheme, around, layers, coder, mask);
    return coder.finish();
  };
  const takes = (name: SchemeName) =>
    schemes.includes(name) && (!isModelled(name) || fitsModel(around.network)) && (name !== 'related' || around.base !== undefined);
  const counts = layers.flatMap((l) => leb128(l.kept));
  const payloads = SCHEME_NAMES.filter(takes).map((name) => {
    const base = name === 'related' && around.base ? leb128(around.base.place) : [];
    const body = name === 'raw' ? raw : name === 'deflate' ? deflate(raw) : coded(name);
    return concat([Uint8Array.from([SCHEMES[name], ...base, ...counts]), body]);
  });
  if (payloads.length === 0) {
    throw new SeedmaskError('bad-task', { field: 'schemes', expected: 'one that takes every layer of the network', got: schemes });
  }
  return payloads.reduce((a, b) => (b.length < a.length ? b : a));
}

/** The same payload, leaning on a task at another place. */
export function withBasePlace(payload: Uint8Array, place: number): Uint8Array {
  const { end } = readNumber(payload, 1, 'a task', 'the place of its base');
  return concat([Uint8Array.from([SCHEMES.related, ...leb128(place)]), payload.subarray(end)]);
}

/** Writes every bit that the counts leave open. */
function codeLayers(scheme: RangeScheme, around: Surroundings, layers: readonly LayerCount[], coder: RangeEncoder, mask: Mask): void {
  const model = new ContextModel();
  const known = knownTo(scheme, around);
  weighted(around.network).forEach((placed, i) => {
    if (!isMixed(layers[i])) model.skip();
    else if (isModelled(scheme)) model.code(gridOf(known, placed, layers[i].kept), hintsOf(known.network, placed), coder, mask[i]);
    else codeAdaptive(layers[i], coder, mask[i]);
  });
}

function codeAdaptive({ weights, kept: count }: LayerCount, coder: RangeEncoder, bits: Uint8Array): void {
  let ones = count;
  for (let i = 0; ones > 0 && ones < weights - i; i++) ones -= coder.code(shareOfOnes(ones, weights - i), kept(bits, i));
}

function leb128(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb128(Math.floor(value / 128))];
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * A task with its mask encoded in the scheme that is shortest.
 * @param known the mask of the task that it may lean on, which its `base` names
 */
export function encodeTask(network: Network, { mask, base, ...head }: Task, schemes: readonly SchemeName[], known?: BaseMask): PackedTask {
  const payload = encodePayload(surroundingsOf(network, head, known), mask, schemes);
  const leans = base !== undefined && basePlace(payload, 'a task') !== null;
  return { ...head, payload, ...(leans ? { base } : {}) };
}

/** The same task with its payload written anew, without its base. */
export function standAlone(network: Network, packed: PackedTask, place: number, known: BaseMask | undefined): PackedTask {
  if (!known) return packed;
  const { base: _, ...task } = decodeTask(network, packed, place, known, DECODERS).task;
  return encodeTask(network, task, SCHEME_NAMES);
}

/** The same of a stored task. Throws SeedmaskError. */
export function standAloneStored(network: Network, stored: StoredTask, place: number): PackedTask {
  const { leansOn: _, ...packed } = stored;
  return standAlone(network, packed, place, baseOfStored(network, stored));
}

/** Tasks in the order of a file, each payload with the place that its base has there. Throws 'bad-base'. */
export function placeBases(tasks: readonly PackedTask[]): PackedTask[] {
  const places = placesOf(tasks);
  return tasks.map((task, i) => {
    const leans = basePlace(task.payload, taskName(task, i)) !== null;
    if (!leans && task.base === undefined) return task;
    if (!leans) {
      const expected = `a payload that leans on task ${task.base}, its base`;
      throw new SeedmaskError('bad-base', { field: taskName(task, i), expected, got: 'one that stands alone' });
    }
    const place = places.get(task.base ?? '') ?? -1;
    checkBaseTask(task, i, task.base ?? 'of no name', place < 0 ? undefined : tasks[place].base !== undefined);
    return { ...task, payload: withBasePlace(task.payload, place) };
  });
}

/**
 * The mask that a task may lean on when it is written. Throws 'bad-base'.
 * @param places of the tasks by their ids (`placesOf`)
 */
export function baseToTry(tasks: readonly Task[], places: ReadonlyMap<string, number>, task: Task, i: number): BaseMask | undefined {
  if (task.base === undefined) return undefined;
  const place = places.get(task.base) ?? -1;
  checkBaseTask(task, i, task.base, place < 0 ? undefined : tasks[place].base !== undefined);
  return { place, mask: tasks[place].mask };
}
