// Large answers travel compressed to clients that say they take gzip. Small ones do not: below some tens of kilobytes a connection
// is faster than zlib. The work is done on zlib's own threads, at the fastest level, so other requests do not wait for it. The bytes are
// others then, and the ETag says so by being weak: nobody goes on in one form with a part of the other (RFC 9110, 8.8.3.3).

import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { takes } from './accept.js';
import type { Answer } from './answer.js';

/** Bytes from which an answer is worth compressing. */
const LARGE = 32 * 1024;
const run = promisify<string | Uint8Array, { readonly level: number }, Buffer>(gzip);

/** Whether an answer is large and text: then it depends on Accept-Encoding. */
export const isLarge = ({ status, type, body }: Answer): boolean =>
  body.length >= LARGE && status === 200 && /^(application\/(json|msgpack)|text\/)/.test(type);

/**
 * A large answer, compressed if `accept` (Accept-Encoding) takes gzip. A part of it is never compressed, and a 304 in its place has the ETag
 * that it would have.
 */
export async function compressed(answer: Answer, accept: string | undefined): Promise<Answer> {
  const { status, body, headers } = answer;
  const vary = { ...headers, Vary: headers?.['Vary'] === undefined ? 'Accept-Encoding' : `${headers['Vary']}, Accept-Encoding` };
  if (status === 206 || !takes(accept, ['gzip', 'x-gzip'], '*')) return { ...answer, headers: vary };
  const etag = headers?.['ETag'];
  const weak = { ...vary, ...(etag && { ETag: `W/${etag}` }) };
  if (status === 304) return { ...answer, headers: weak };
  const small = await run(body, { level: constants.Z_BEST_SPEED });
  return { ...answer, body: small, headers: { ...weak, 'Content-Encoding': 'gzip' } };
}
