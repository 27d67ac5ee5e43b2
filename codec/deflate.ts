// The deflate scheme's compressor, apart from the other schemes so that a page loads it for the files that need it alone.

import { deflateRaw, Z_FINISH, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2 } from 'pako';

/** Inflates a body into exactly `size` bytes, or tells what it gives instead. */
export type Inflate = (body: Uint8Array, size: number) => Uint8Array | string;

export const deflate = (raw: Uint8Array): Uint8Array => deflateRaw(raw, { level: 9 });

/** As `Inflate`: a stream that holds more than `size` bytes is refused at that point, so a bomb costs nothing. */
export const inflate: Inflate = (body, size) => {
  const stream = new ZStream();
  zlibInflateInit2(stream, -15);
  stream.input = body;
  stream.avail_in = body.length;
  stream.output = new Uint8Array(size);
  stream.avail_out = size;
  const status = zlibInflate(stream, Z_FINISH);
  if (status === Z_STREAM_END && stream.avail_in === 0 && stream.total_out === size) return stream.output;
  return stream.msg || `a deflate stream that gives ${stream.total_out} bytes and leaves ${stream.avail_in} unread`;
};
