// The deflate scheme in plain JavaScript, apart from the other schemes so that a page loads it for the files that need it alone. Node
// inflates with its own zlib (inflate.node.ts), which is several times faster.

import { deflateRaw, Z_FINISH, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2 } from 'pako';

/** Inflates a body into exactly `size` bytes, all of the body read, or tells what it gives instead. */
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
  if (status !== Z_STREAM_END) return endless(size);
  return stream.avail_in === 0 && stream.total_out === size ? stream.output : other(stream.total_out, stream.avail_in);
};

/** What is said of a stream that is damaged or cut short, or that would give more. */
export const endless = (size: number): string => `no deflate stream that ends within ${size} bytes`;

/** What is said of a stream that ends elsewhere. */
export const other = (gives: number, unread: number): string => `a deflate stream that gives ${gives} bytes and leaves ${unread} unread`;
