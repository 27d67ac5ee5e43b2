// CRCs of 32 bits, a byte at a time. Of our own, because a page loads them: the `crc-32` package, which the tests hold them against, is a
// kilobyte of the forty that the page's runtime may have.

/**
 * @param before the CRC of the bytes in front of these
 * @returns an unsigned number of 32 bits
 */
type Crc = (bytes: Uint8Array, before?: number) => number;

/** @param polynomial its bits from the lowest power on */
export function crcBy(polynomial: number): Crc {
  const table = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
    return crc;
  });
  return (bytes, before = 0) => {
    let crc = ~before;
    for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]) & 255];
    return ~crc >>> 0;
  };
}

/** Castagnoli's, as in iSCSI (RFC 3720, appendix B.4). */
export const crc32c = crcBy(0x82f63b78);
