// One way to read a body, whatever its Content-Type says: raw bytes under one limit, also after gzip or deflate.

import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { SeedmaskError } from '../../codec/errors.js';

/**
 * @param most bytes that this body may have, where that is less than others may
 * @throws SeedmaskError (by rejection) large-body, unknown-encoding, broken-body
 */
export type BodyReader = (req: IncomingMessage, most?: number) => Promise<Uint8Array>;

const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', () => createInflate()],
  ['br', () => createBrotliDecompress()],
]);

/** Told of a body while it comes. */
export interface Intake {
  /** How many bytes have come, each time some do, after Content-Encoding; what it throws ends the reading. */
  grow(bytes: number): void;
  /** No more will come; told once or more. */
  end(): void;
}

/**
 * Reads a whole body of at most `limit` bytes, before and after Content-Encoding. A body that an outer Express app has parsed already
 * is taken back as JSON.
 * @throws SeedmaskError (by rejection) large-body, unknown-encoding, broken-body, client-gone, slow-request, no-http
 */
export function readBody(req: IncomingMessage & { body?: unknown }, limit: number, intake?: Intake): Promise<Uint8Array> {
  const { body } = req;
  if (body instanceof Uint8Array) return Promise.resolve(body);
  if (body !== undefined) return Promise.resolve(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
  if (req.readableEnded) return Promise.resolve(new Uint8Array(0));
  const encoding = (req.headers['content-encoding'] || 'identity').trim().toLowerCase();
  if (encoding !== 'identity' && !DECODERS.has(encoding)) return Promise.reject(unknownEncoding(encoding));
  if (Number(req.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge(limit));
  return new Promise((resolve, reject) => {
    const decoder = DECODERS.get(encoding)?.();
    const stream: Readable = decoder ? req.pipe(decoder) : req;
    const parts: Uint8Array[] = [];
    let length = 0;
    let came = 0;
    // Compressed, nothing can be any number of bytes.
    const count = (part: Uint8Array) => {
      came += part.length;
      if (came > limit) finish(tooLarge(limit));
    };
    const take = (part: Uint8Array) => {
      parts.push(part);
      length += part.length;
      if (length > limit) return finish(tooLarge(limit));
      try {
        intake?.grow(part.length);
      } catch (error) {
        finish(error);
      }
    };
    const broken = (error: Error) => finish(brokenBody(error, req));
    // Of a body that came whole, what is still being decoded goes on. Whoever ended the request may have said why (listen.ts).
    const cut = (error: unknown = req.errored) => {
      if (!req.readableEnded) finish(error instanceof SeedmaskError ? error : new SeedmaskError('client-gone'));
    };
    const end = () => finish();
    const finish = (error?: unknown) => {
      intake?.end();
      // A body that has come whole and plain says nothing any more: its listeners may stay.
      if (error === undefined && !decoder) return resolve(parts.length === 1 ? parts[0] : Buffer.concat(parts, length));
      stream.off('data', take).off('end', end);
      req.off('data', count).off('error', cut).off('close', cut);
      if (decoder) {
        req.unpipe(decoder);
        decoder.off('error', broken).on('error', () => {});
        decoder.destroy();
      }
      if (error === undefined) resolve(parts.length === 1 ? parts[0] : Buffer.concat(parts, length));
      else reject(error);
    };
    if (req.destroyed) return cut();
    req.on('error', cut).on('close', cut);
    if (decoder) {
      req.on('data', count);
      decoder.on('error', broken);
    }
    stream.on('data', take).on('end', end);
  });
}

const tooLarge = (limit: number): SeedmaskError =>
  new SeedmaskError('large-body', {
    field: 'the body',
    expected: `${limit} bytes, before and after Content-Encoding`,
    hint: 'Send less in a request: fewer rows, or uint8 as application/octet-stream.',
  });

const unknownEncoding = (got: string): SeedmaskError =>
  new SeedmaskError('unknown-encoding', { field: 'Content-Encoding', expected: [...DECODERS.keys(), 'identity'].join(', '), got });

function brokenBody(error: Error, { headers }: IncomingMessage): SeedmaskError {
  const encoding = headers['content-encoding'];
  const hint = encoding ? `Content-Encoding says ${encoding}: compress the body, or leave the header out.` : undefined;
  return new SeedmaskError('broken-body', { field: 'the body', got: error.message, hint });
}
