// The payload of one task: a scheme byte, the kept count of every layer, then the bits of all layers in that scheme.
// A layer that keeps nothing or everything is told by its count alone. The others are
//   raw       bits, least significant first, each layer from a whole byte
//   deflate   the raw bytes compressed (RFC 1951): what any language can read
//   adaptive  range coded; a bit's probability is the share of ones among the bits still to come, which the count makes known:
//             drawing without replacement, so a layer costs log2 of the binomial (n over k), the least that k and n allow
// A new scheme is a new id; ids never change meaning.

import { deflateRaw, Z_FINISH, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2 } from 'pako';
import { countKept, kept, type Mask, maskBytes } from '../src/network.js';
import { SeedmaskError } from './errors.js';
import { RangeDecoder, RangeEncoder } from './rangecoder.js';

/** Schemes with their ids in a payload. */
export const SCHEMES = { raw: 0, deflate: 1, adaptive: 2 } as const;
export type SchemeName = keyof typeof SCHEMES;
export const SCHEME_NAMES: readonly SchemeName[] = ['raw', 'deflate', 'adaptive'];

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

const isMixed = (layer: LayerCount): boolean => layer.kept > 0 && layer.kept < layer.weights;

/**
 * The shortest payload among `schemes`; of equally short ones the lowest id.
 * @param weights weights per layer; the mask must have passed `checkMask`
 */
export function encodePayload(weights: readonly number[], mask: Mask, schemes: readonly SchemeName[]): Uint8Array {
  const layers = weights.map((n, i) => ({ weights: n, kept: countKept(mask[i]) }));
  const raw = concat(mask.filter((_, i) => isMixed(layers[i])));
  const bodies = SCHEME_NAMES.filter((name) => schemes.includes(name)).map((name) => ({
    name,
    body: name === 'raw' ? raw : name === 'deflate' ? deflateRaw(raw, { level: 9 }) : encodeAdaptive(layers, mask),
  }));
  const best = bodies.reduce((a, b) => (b.body.length < a.body.length ? b : a));
  return concat([Uint8Array.from([SCHEMES[best.name], ...layers.flatMap((l) => leb128(l.kept))]), best.body]);
}

/**
 * Decodes a whole payload, or throws 'unknown-scheme' or 'bad-payload'; takes no more memory than the mask and the payload's size.
 * @param weights weights per layer, already held against the caller's limit
 * @param field what error messages call this task
 */
export function decodePayload(weights: readonly number[], payload: Uint8Array, field: string): DecodedPayload {
  const scheme = SCHEME_NAMES.find((name) => SCHEMES[name] === payload[0]);
  if (!scheme) throw new SeedmaskError('unknown-scheme', { field, got: payload[0], expected: SCHEME_NAMES.join(', ') });
  let at = 1;
  const layers = weights.map((n, i) => {
    let count = 0;
    let unit = 1;
    let byte: number;
    do {
      if (at >= payload.length) throw bad(field, 'the payload ends', `the kept count of layer ${i}`);
      byte = payload[at++];
      count += (byte & 127) * unit;
      unit *= 128;
    } while (byte & 128 && unit < 128 ** 5);
    if (byte === 0 && unit > 128) throw bad(field, 'a padded number', `the kept count of layer ${i} in its shortest form`);
    if (byte & 128 || count > n) throw bad(field, `${count} or more kept in layer ${i}`, `at most ${n}`);
    return { weights: n, kept: count };
  });
  const body = payload.subarray(at);
  const mixed = layers.filter(isMixed);
  const rawBytes = mixed.reduce((sum, l) => sum + maskBytes(l.weights), 0);
  if (scheme === 'adaptive') return { scheme, layers, mask: decodeAdaptive(layers, body, field) };
  const raw = scheme === 'deflate' ? inflate(body, rawBytes, field) : body;
  if (raw.length !== rawBytes) throw bad(field, `${raw.length} bytes of bits`, `${rawBytes}`);
  return { scheme, layers, mask: splitRaw(layers, raw, field) };
}

function splitRaw(layers: readonly LayerCount[], raw: Uint8Array, field: string): Uint8Array[] {
  let at = 0;
  const mask = emptyMask(layers);
  layers.forEach((layer, i) => {
    const n = layer.weights;
    const bits = mask[i];
    if (!isMixed(layer)) {
      if (layer.kept) keepFrom(bits, 0, n);
      return;
    }
    bits.set(raw.subarray(at, at + bits.length));
    at += bits.length;
    if (n & 7 && bits[bits.length - 1] >> (n & 7)) throw bad(field, `bits beyond the ${n} weights of layer ${i}`, 'zeros there');
    const found = countKept(bits);
    if (found !== layer.kept) throw bad(field, `${found} kept bits in layer ${i}`, `${layer.kept}, its stored count`);
  });
  return mask;
}

/** Nothing kept yet; the layers share one buffer, because a server holds thousands of masks. */
function emptyMask(layers: readonly LayerCount[]): Uint8Array[] {
  const sizes = layers.map((layer) => maskBytes(layer.weights));
  const all = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return all.subarray(at - size, at);
  });
}

/** Inflates into exactly `size` bytes: a stream that holds more is refused at that point, so a bomb costs nothing. */
function inflate(body: Uint8Array, size: number, field: string): Uint8Array {
  const stream = new ZStream();
  zlibInflateInit2(stream, -15);
  stream.input = body;
  stream.avail_in = body.length;
  stream.output = new Uint8Array(size);
  stream.avail_out = size;
  const status = zlibInflate(stream, Z_FINISH);
  if (status === Z_STREAM_END && stream.avail_in === 0 && stream.total_out === size) return stream.output;
  throw bad(
    field,
    stream.msg || `a deflate stream that gives ${stream.total_out} bytes and leaves ${stream.avail_in} unread`,
    `${size} bytes, all read`,
  );
}

/** Probability of a kept weight, in 1/65536, when `ones` of the `left` weights to come are kept (0 < ones < left < 2^31). */
const shareOfOnes = (ones: number, left: number): number => Math.min(Math.max(Math.floor((ones * 65536) / left), 1), 65535);

function encodeAdaptive(layers: readonly LayerCount[], mask: Mask): Uint8Array {
  const coder = new RangeEncoder();
  layers.forEach((layer, l) => {
    let ones = layer.kept;
    for (let left = layer.weights; ones > 0 && ones < left; left--) {
      const bit = kept(mask[l], layer.weights - left);
      coder.put(bit, shareOfOnes(ones, left));
      ones -= bit;
    }
  });
  return coder.finish();
}

function decodeAdaptive(layers: readonly LayerCount[], body: Uint8Array, field: string): Uint8Array[] {
  const coder = new RangeDecoder(body);
  const mask = emptyMask(layers);
  layers.forEach((layer, l) => {
    const n = layer.weights;
    const bits = mask[l];
    let ones = layer.kept;
    let i = 0;
    for (; ones > 0 && ones < n - i; i++) {
      if (coder.get(shareOfOnes(ones, n - i))) {
        bits[i >> 3] |= 1 << (i & 7);
        ones--;
      }
    }
    if (ones > 0) keepFrom(bits, i, n);
  });
  if (!coder.finished()) throw bad(field, 'a range coder that does not end with the payload', 'the one encoding of the mask');
  return mask;
}

/** Sets bits start .. end-1. */
function keepFrom(bits: Uint8Array, start: number, end: number): void {
  let i = start;
  for (; i < end && i & 7; i++) bits[i >> 3] |= 1 << (i & 7);
  if (i < end) bits.fill(255, i >> 3, end >> 3);
  if (i < end && end & 7) bits[end >> 3] = (1 << (end & 7)) - 1;
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

const bad = (field: string, got: string, expected: string) => new SeedmaskError('bad-payload', { field, got, expected });
