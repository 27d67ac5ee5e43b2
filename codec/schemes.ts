// The payload of one task: a scheme byte, the kept count of every layer, then the bits of all layers in that scheme.
// A layer that keeps nothing or everything is told by its count alone. The others are
//   raw       bits, least significant first, each layer from a whole byte
//   deflate   the raw bytes compressed (RFC 1951): what any language can read
//   adaptive  range coded; a bit's probability is the share of ones among the bits still to come, which the count makes known:
//             drawing without replacement, so a layer costs log2 of the binomial (n over k), the least that k and n allow
//   context   range coded; a bit's probability comes from the model of context.ts
//   related   as context, and the model knows the mask of another task of the file, whose place stands before the counts
// A new scheme is a new id; ids never change meaning. Here they are read; encode.ts writes them.

import { countKept, keepAll, maskBytes, weighted } from '../src/network.js';
import type { Inflate } from './deflate.js';
import { SeedmaskError } from './errors.js';
import { fitsModel, type Surroundings } from './grids.js';

/** Schemes with their ids in a payload. */
export const SCHEMES = { raw: 0, deflate: 1, adaptive: 2, context: 3, related: 4 } as const;
export type SchemeName = keyof typeof SCHEMES;
export const SCHEME_NAMES: readonly SchemeName[] = ['raw', 'deflate', 'adaptive', 'context', 'related'];

/** A layer's weights and how many of them are kept. */
export interface LayerCount {
  readonly weights: number;
  readonly kept: number;
}

export interface DecodedPayload {
  readonly scheme: SchemeName;
  readonly layers: readonly LayerCount[];
  readonly mask: Uint8Array[];
}

export const isMixed = (layer: LayerCount): boolean => layer.kept > 0 && layer.kept < layer.weights;

/** The place of the task that a payload leans on, or null. Throws 'bad-payload'. */
export const basePlace = (payload: Uint8Array, field: string): number | null =>
  payload[0] === SCHEMES.related ? readNumber(payload, 1, field, 'the place of its base').value : null;

/** Reads a number below 2^35 in LEB128, in its shortest form. */
export function readNumber(
  payload: Uint8Array,
  start: number,
  field: string,
  what: string,
): { readonly value: number; readonly end: number } {
  let at = start;
  let value = 0;
  let unit = 1;
  let byte: number;
  do {
    if (at >= payload.length) throw bad(field, 'the payload ends', what);
    byte = payload[at++];
    value += (byte & 127) * unit;
    unit *= 128;
  } while (byte & 128 && unit < 128 ** 5);
  if (byte & 128) throw bad(field, 'a number that does not end', what);
  if (byte === 0 && unit > 128) throw bad(field, 'a padded number', `${what} in its shortest form`);
  return { value, end: at };
}

/** What reads range-coded layers (mask-reader.ts). */
export interface LayerDecoder {
  /**
   * Reads the layers that their counts leave open, through the model or by shares alone, into `mask`, zeros before.
   * @returns whether the stream ended where, and as, its writer ends it
   * @throws SeedmaskError 'over-limit' where there is no memory for it
   */
  read(around: Surroundings, layers: readonly LayerCount[], body: Uint8Array, modelled: boolean, mask: readonly Uint8Array[]): boolean;
}

/** What undoes the schemes of payloads that are not plain bits. */
export interface Decoders {
  readonly inflate: Inflate;
  readonly masks: LayerDecoder;
}

/**
 * Decodes a whole payload, or throws 'unknown-scheme', 'bad-payload' or 'bad-base'; takes no more memory than twice the mask (beside a base
 * three times), the payload's size and, for the context scheme, 80 MB. The network's weights are already held against the caller's limit.
 * @param field what error messages call this task
 */
export function decodePayload(around: Surroundings, payload: Uint8Array, field: string, decoders: Decoders): DecodedPayload {
  const scheme = SCHEME_NAMES.find((name) => SCHEMES[name] === payload[0]);
  if (!scheme) throw new SeedmaskError('unknown-scheme', { field, got: payload[0], expected: SCHEME_NAMES.join(', ') });
  let at = scheme === 'related' ? readNumber(payload, 1, field, 'the place of its base').end : 1;
  const layers = weighted(around.network).map(({ weights: n }, i) => {
    const { value, end } = readNumber(payload, at, field, `the kept count of layer ${i}`);
    at = end;
    if (value > n) throw bad(field, `${value} kept in layer ${i}`, `at most ${n}`);
    return { weights: n, kept: value };
  });
  const body = payload.subarray(at);
  const mixed = layers.filter(isMixed);
  const rawBytes = mixed.reduce((sum, l) => sum + maskBytes(l.weights), 0);
  if (scheme === 'related' && !around.base) throw new SeedmaskError('bad-base', { field, expected: 'the mask it leans on', got: 'none' });
  if (scheme !== 'raw' && scheme !== 'deflate') return { scheme, layers, mask: decodeRange(scheme, around, layers, body, field, decoders) };
  const raw = scheme === 'deflate' ? decoders.inflate(body, rawBytes) : body;
  if (typeof raw === 'string') throw bad(field, raw, `${rawBytes} bytes, all read`);
  if (raw.length !== rawBytes) throw bad(field, `${raw.length} bytes of bits`, `${rawBytes}`);
  return { scheme, layers, mask: splitRaw(layers, raw, field) };
}

function splitRaw(layers: readonly LayerCount[], raw: Uint8Array, field: string): Uint8Array[] {
  let at = 0;
  const mask = maskOfCounts(layers);
  layers.forEach((layer, i) => {
    if (!isMixed(layer)) return;
    const n = layer.weights;
    const bits = mask[i];
    bits.set(raw.subarray(at, at + bits.length));
    at += bits.length;
    if (n & 7 && bits[bits.length - 1] >> (n & 7)) throw bad(field, `bits beyond the ${n} weights of layer ${i}`, 'zeros there');
    const found = countKept(bits);
    if (found !== layer.kept) throw bad(field, `${found} kept bits in layer ${i}`, `${layer.kept}, its stored count`);
  });
  return mask;
}

/** What the counts tell alone, else nothing kept yet; the layers share one buffer, because a server holds thousands of masks. */
function maskOfCounts(layers: readonly LayerCount[]): Uint8Array[] {
  const all = new Uint8Array(layers.reduce((sum, { weights }) => sum + maskBytes(weights), 0));
  let at = 0;
  return layers.map(({ weights, kept }) => {
    const bits = all.subarray(at, at + maskBytes(weights));
    at += bits.length;
    if (kept === weights) keepAll(bits, weights);
    return bits;
  });
}

export type RangeScheme = Exclude<SchemeName, 'raw' | 'deflate'>;

export const isModelled = (scheme: SchemeName): boolean => scheme === 'context' || scheme === 'related';

/** A coded bit shrinks the coder's range by 1/65,793 or more, so a byte tells fewer than this many apart. */
const MOST_BITS_A_BYTE = 2 ** 19;

function decodeRange(
  scheme: RangeScheme,
  around: Surroundings,
  layers: readonly LayerCount[],
  body: Uint8Array,
  field: string,
  decoders: Decoders,
): Uint8Array[] {
  if (isModelled(scheme) && !fitsModel(around.network)) throw bad(field, `the ${scheme} scheme`, 'another, for layers of this size');
  const least = layers.reduce((sum, { weights, kept }) => sum + Math.min(kept, weights - kept), 0);
  const most = (body.length + 5) * MOST_BITS_A_BYTE;
  if (least >= most) throw bad(field, `${least} or more bits in ${body.length} bytes`, `fewer than ${most}`);
  const mask = maskOfCounts(layers);
  if (!decoders.masks.read(knownTo(scheme, around), layers, body, isModelled(scheme), mask))
    throw bad(field, 'a range coder that does not end with the payload', 'the one encoding of the mask');
  return mask;
}

/** Only the related scheme leans on a base. */
export const knownTo = (scheme: RangeScheme, around: Surroundings): Surroundings =>
  scheme === 'related' ? around : { ...around, base: undefined };

const bad = (field: string, got: string, expected: string) => new SeedmaskError('bad-payload', { field, got, expected });
