// The two sides of '#inflate', plain JavaScript and Node's zlib: the same bytes of the same streams, and the same words about the others.

import { constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { deflate, inflate as plain } from '../codec/deflate.js';
import { inflate as native } from '../codec/inflate.node.js';
import { runs } from './codec.effort.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** What both make of a body: the same, else this throws. */
function both(body: Uint8Array, size: number): Uint8Array | string {
  const [ours, nodes] = [plain(body, size), native(body, size)];
  if (typeof ours === 'string' || typeof nodes === 'string') expect(nodes).toBe(ours);
  else expect(Buffer.compare(nodes, ours)).toBe(0);
  return nodes;
}

/** Bits of every density, and runs, which make matches and all three kinds of blocks. */
const raw = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(fc.constantFrom(0, 0, 0, 0, 1, 2, 128, 255), { maxLength: 3000 }).map((list) => Uint8Array.from(list)),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 2000 }))
    .map(([part, times]) => Uint8Array.from({ length: part.length * times }, (_, i) => part[i % part.length])),
);
const { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = constants;
const options = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  strategy: fc.constantFrom(Z_DEFAULT_STRATEGY, Z_FILTERED, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE),
});

test('streams of any compressor: their bytes, where the size is right, else a word', () => {
  fc.assert(
    fc.property(raw, options, fc.integer({ min: -3, max: 3 }), (bytes, options, off) => {
      const body = deflateRawSync(bytes, options);
      const size = Math.max(0, bytes.length + off);
      const found = both(body, size);
      if (size === bytes.length) expect(Buffer.from(bytes).equals(found as Uint8Array)).toBe(true);
      else if (size < bytes.length) expect(found).toBe(`no deflate stream that ends within ${size} bytes`);
      else expect(found).toBe(`a deflate stream that gives ${bytes.length} bytes and leaves 0 unread`);
      expect(Buffer.from(bytes).equals(both(deflate(bytes), bytes.length) as Uint8Array)).toBe(true);
    }),
    { numRuns: runs(300), seed: 20261128 },
  );
});

test('streams cut short, with something behind them, in a wrapper, damaged, and noise', () => {
  let damaged = 0;
  let read = 0;
  fc.assert(
    fc.property(
      raw,
      options,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.uint8Array({ maxLength: 60 }),
      (bytes, options, place, flip, noise) => {
        const size = bytes.length;
        const body = deflateRawSync(bytes, options);
        expect(both(body.subarray(0, place % body.length), size)).toBe(`no deflate stream that ends within ${size} bytes`);
        expect(both(Buffer.concat([body, noise, Buffer.of(0)]), size)).toBe(
          `a deflate stream that gives ${size} bytes and leaves ${noise.length + 1} unread`,
        );
        for (const wrapped of [deflateSync(bytes, options), gzipSync(bytes, options)]) expect(both(wrapped, size)).toBeTypeOf('string');
        const other = Uint8Array.from(body);
        other[place % other.length] ^= flip;
        const found = both(other, size);
        if (typeof found === 'string') damaged++;
        else read++;
        both(noise, size);
      },
    ),
    { numRuns: runs(1000), seed: 20261128 },
  );
  expect(damaged).toBeGreaterThan(runs(300));
  expect(read).toBeGreaterThan(0);
});

test('a stream of 4 MB for 1,000 bytes takes a thousand and one', () => {
  const body = deflateRawSync(new Uint8Array(2 ** 22));
  const taken = vi.spyOn(Buffer, 'allocUnsafe');
  expect(native(body, 1000)).toBe(plain(body, 1000));
  expect(taken.mock.calls.flat()).toEqual([1001]);
});
