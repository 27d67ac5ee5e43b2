// Inflates with Node's zlib. Behind the package import '#inflate'; elsewhere that is the inflate of deflate.ts, and both give the same
// bytes and say the same of what they refuse (test/codec.inflate.test.ts).

import { type InflateRaw, inflateRawSync } from 'node:zlib';
import { endless, type Inflate, other } from './deflate.js';

/** Damaged; cut short; more than the most. */
const REFUSED = new Set<string | undefined>(['Z_DATA_ERROR', 'Z_BUF_ERROR', 'ERR_BUFFER_TOO_LARGE']);

/** As `Inflate`. One byte more than `size` is taken, or 64, and a stream that fills them is refused. */
export const inflate: Inflate = (body, size) => {
  const options = { info: true, chunkSize: Math.max(64, size + 1), maxOutputLength: Math.max(1, size) };
  try {
    const { buffer, engine } = inflateRawSync(body, options) as unknown as { readonly buffer: Uint8Array; readonly engine: InflateRaw };
    if (buffer.length > size) return endless(size);
    const unread = body.length - engine.bytesWritten;
    return unread === 0 && buffer.length === size ? buffer : other(buffer.length, unread);
  } catch (error) {
    if (REFUSED.has((error as NodeJS.ErrnoException).code)) return endless(size);
    throw error;
  }
};
