// Committed bytes: the format cannot drift without this file saying so. test/vectors/*.json were each written once
// by writeModel from ./vectors/models.ts and are read by codec/reader.py as well (codec.reader.test.ts); they are never written again,
// what is new in the format gets a new file.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { contentId, networkId, readModel, SCHEMES, type SchemeName, writeModel } from '../codec/index.js';
import { RangeDecoder, RangeEncoder } from '../codec/rangecoder.js';
import {
  ARCHIVE_MODEL,
  FEATURES_MODEL,
  NUMBERS_MODEL,
  PACKED_MODEL,
  PATCHES_MODEL,
  PERMUTED_MODEL,
  RELATED_MODEL,
  RELATED_PACKED_MODEL,
  TINY_MODEL,
  WINDOWS_MODEL,
} from './vectors/models.js';

interface Vector {
  readonly name: string;
  readonly scheme: SchemeName;
  readonly file: string;
  readonly networkId: string;
  readonly contentId: string;
  /** Packed bits per task and layer. */
  readonly masks: readonly (readonly string[])[];
}
const vectors: readonly Vector[] = ['model-v1', 'schemes-v1', 'related-v1', 'kernels-v1', 'features-v1'].flatMap((name) =>
  JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8')),
);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const models = new Map([
  ['tiny', TINY_MODEL],
  ['archive', ARCHIVE_MODEL],
  ['patches', PATCHES_MODEL],
  ['permuted', PERMUTED_MODEL],
  ['packed', PACKED_MODEL],
  ['windows', WINDOWS_MODEL],
  ['features', FEATURES_MODEL],
  ['numbers', NUMBERS_MODEL],
  ['related', RELATED_MODEL],
  ['related, packed signs', RELATED_PACKED_MODEL],
]);

describe.each(vectors)('$name, $scheme', ({ name, scheme, file, masks, ...ids }) => {
  const model = models.get(name)!;
  const read = readModel(Uint8Array.from(Buffer.from(file, 'hex')));

  test('is read as the model it was', () => {
    expect(read).toEqual(model);
    expect(read.tasks.map((t) => t.mask.map(hex))).toEqual(masks);
    expect(hex(networkId(read.network))).toBe(ids.networkId);
    expect(hex(contentId(read))).toBe(ids.contentId);
  });

  test('is written as it was', () => {
    // A base leans on none.
    const written = writeModel(model, { schemes: scheme === 'related' ? ['context', 'related'] : [scheme] });
    expect(hex(written)).toBe(file);
  });
});

test('there is a vector for every scheme', () => {
  expect(new Set(vectors.map((v) => v.scheme))).toEqual(new Set(Object.keys(SCHEMES)));
});

describe('range coder', () => {
  test('carries run through settled 0xff bytes', () => {
    // 0-bits of probability 1/65536 push low towards the top of its interval; later ones overflow it into the bytes before.
    const bits = Array.from({ length: 4000 }, (_, i) => (i * i) % 7 === 1 || i % 5 === 0);
    const shares = bits.map((_, i) => [1, 65535, 32768, 40000, 3][i % 5]);
    const encoder = new RangeEncoder();
    bits.forEach((bit, i) => {
      encoder.code(shares[i], Number(bit));
    });
    const bytes = encoder.finish();
    const decoder = new RangeDecoder(bytes);
    expect(bits.map((_, i) => decoder.code(shares[i]) === 1)).toEqual(bits);
    expect(decoder.finished()).toBe(true);
  });

  test('has one stream for its bits: any other is refused or says other bits', () => {
    const bits = Array.from({ length: 40 }, (_, i) => Number(i % 3 === 0));
    const encoder = new RangeEncoder();
    for (const bit of bits) encoder.code(20000, bit);
    const bytes = encoder.finish();
    const ends = (stream: Uint8Array) => {
      const decoder = new RangeDecoder(stream);
      const same = bits.every((bit) => decoder.code(20000) === bit);
      return same && decoder.finished();
    };
    expect(ends(bytes)).toBe(true);
    expect(ends(bytes.slice(0, -1))).toBe(false);
    for (let i = 0; i < bytes.length * 8; i++) expect(ends(bytes.map((b, at) => (at === i >> 3 ? b ^ (1 << (i & 7)) : b)))).toBe(false);
    for (let last = 0; last < 256; last++) expect(ends(Uint8Array.from([...bytes, last]))).toBe(false);
  });

  test('says nothing in no bytes', () => {
    expect(new RangeEncoder().finish()).toEqual(new Uint8Array(0));
    expect(new RangeDecoder(new Uint8Array(0)).finished()).toBe(true);
  });
});
