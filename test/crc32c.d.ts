// The `crc-32` package ships CRC-32C (Castagnoli, as in iSCSI, RFC 3720) without type declarations; this is the part used here.

declare module 'crc-32/crc32c.js' {
  const CRC32C: {
    /** CRC-32C of `data` as a signed 32-bit number; `seed` is the CRC of what came before. */
    buf(data: Uint8Array, seed?: number): number;
  };
  export default CRC32C;
}
