// CRC-32C (Castagnoli, as in iSCSI: RFC 3720, appendix B.4), a byte at a time. Of our own, because a page loads it: the `crc-32` package,
// which the tests hold it against, is a kilobyte of the forty that the page's runtime may have.

const POLYNOMIAL = 0x82f63b78;
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  return crc;
});

/**
 * @param before the CRC of the bytes in front of these
 * @returns an unsigned number of 32 bits
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}
