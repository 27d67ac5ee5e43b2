// The checksum of files against published values and the crc-32 package.

import CRC32C from 'crc-32/crc32c.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c } from '../codec/crc32c.js';

// RFC 3720, appendix B.4, whose bytes stand least significant first; the last is the catalogue's check value of CRC-32/ISCSI.
test.each([
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 ones', new Uint8Array(32).fill(255), 0x62a8ab43],
  ['0 .. 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['31 .. 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ['123456789', new TextEncoder().encode('123456789'), 0xe3069283],
])('published: %s', (_, bytes, crc) => {
  expect(crc32c(bytes)).toBe(crc);
});

test('any bytes, whole and in two parts', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
      const whole = Uint8Array.of(...first, ...second);
      expect(crc32c(whole)).toBe(CRC32C.buf(whole) >>> 0);
      expect(crc32c(second, crc32c(first))).toBe(crc32c(whole));
    }),
  );
});
