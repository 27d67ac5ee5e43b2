// One way to read a body, whatever its Content-Type says: raw bytes under one limit, also after gzip or deflate. Then one decision
// what those bytes are: the Content-Type when it names a kind we know, else the bytes themselves, since clients send wrong or none.
//
// JSON is scanned for depth before JSON.parse sees it: a hundred thousand brackets are a clear answer here and no deep recursion later.

import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { type Shape, size } from '../../src/network.js';
import { brief } from './rows.js';

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
  new SeedmaskError('unknown-encoding', { field: 'Content-Encoding', expected: 'gzip, deflate, br or none', got });

function brokenBody(error: Error, { headers }: IncomingMessage): SeedmaskError {
  const encoding = headers['content-encoding'];
  const hint = encoding ? `Content-Encoding says ${encoding}: compress the body, or leave the header out.` : undefined;
  return new SeedmaskError('broken-body', { field: 'the body', got: error.message, hint });
}

export type BodyKind = 'json' | 'msgpack' | 'png' | 'pixels';

const KINDS: ReadonlyMap<string, BodyKind> = new Map([
  ['application/json', 'json'],
  ['application/msgpack', 'msgpack'],
  ['application/x-msgpack', 'msgpack'],
  ['application/vnd.msgpack', 'msgpack'],
  ['image/png', 'png'],
  ['application/octet-stream', 'pixels'],
]);

/** What curl says of whatever it sends: no more than no Content-Type would. */
const FORM = 'application/x-www-form-urlencoded';

/**
 * What a body is: by its Content-Type if that is one of ours. Else it is what its bytes plainly are; and where nobody says another type,
 * whole rows of raw values, which may begin with any byte: exactly one row of pixels is that row, also where it looks like something else.
 * @param reading shape of the rows, whether raw ones are float32, and the Content-Type
 * @throws SeedmaskError no-body, unknown-body
 */
export function kindOf(body: Uint8Array, { shape, numbers = false, type = '' }: RawRows): BodyKind {
  const expected = 'JSON, application/octet-stream, application/msgpack or image/png';
  if (body.length === 0) {
    throw new SeedmaskError('no-body', {
      field: 'the body',
      expected,
      hint: 'Send {"instances": [[...]]} with one list of values per row.',
    });
  }
  const named = type.split(';', 1)[0].trim().toLowerCase();
  const said = KINDS.get(named);
  if (said) return said;
  const row = size(shape) * (numbers ? 4 : 1);
  const begin = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, BEGIN)).toString('latin1');
  const one = body.length === row;
  const rows = (named === '' || named === FORM) && body.length % row === 0 && !(numbers ? isText(body, begin) : !one && isList(begin));
  if (rows && one) return 'pixels';
  if (PNG.every((byte, i) => body[i] === byte)) return 'png';
  if (rows ? isPlainlyJson(body) : isJson(body)) return 'json';
  if (isMsgpackMap(body)) return 'msgpack';
  if (rows) return 'pixels';
  throw new SeedmaskError('unknown-body', {
    field: 'Content-Type',
    expected,
    got: `${body.length} bytes of ${type || 'no declared type'}`,
    hint: TEXT.test(begin)
      ? 'Of texts JSON alone is read: send {"instances": [[...]]} with one list of numbers per row.'
      : `Rows of raw values are application/octet-stream, and a multiple of ${row} bytes.`,
  });
}

/** What a body of raw values would be. */
export interface RawRows {
  /** The network's input. */
  readonly shape: Shape;
  /** Whether they are float32, in place of uint8. */
  readonly numbers?: boolean;
  /** Content-Type. */
  readonly type?: string;
}

/** Bytes from the beginning that tell whether a body is text. */
const BEGIN = 4096;
/** Printable ASCII and white space. */
const TEXT = /^[\t-\r -~]*$/;
/** Bytes from which on float32 numbers are hardly ever printable alone (four are one time in twenty). */
const TELLING = 16;
/** Whether what could be float32 numbers is a text: all of it printable and long enough to tell, or a list. */
const isText = (body: Uint8Array, begin: string): boolean => TEXT.test(begin) && (body.length >= TELLING || isJson(body) || isList(begin));
/** Whether a text is a list of numbers, such as a line of CSV: hardly any pictures have those bytes alone, both digits and what parts them. */
const isList = (text: string): boolean => /^[-\d.,;\s]*$/.test(text) && /\d[,;\s]/.test(text);

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether the first byte that is not white space (or a byte order mark) opens an object or a list. */
function isJson(body: Uint8Array): boolean {
  let i = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  while (i < body.length && (body[i] === 0x20 || (body[i] >= 0x09 && body[i] <= 0x0d))) i++;
  return body[i] === 0x7b || body[i] === 0x5b;
}

/** Whether an object opens and a name in it, or lists and a number, and what opened first closes last. */
function isPlainlyJson(body: Uint8Array): boolean {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length);
  const begin = /^(?:\xef\xbb\xbf)?\s*(?:(\{)\s*["'}]|\[[\s[]*(?:-?\d|[\]{"]))/.exec(text.toString('latin1', 0, 64));
  return (
    begin !== null &&
    text
      .toString('latin1', Math.max(0, body.length - 64))
      .trimEnd()
      .endsWith(begin[1] ? '}' : ']')
  );
}

/** Whether a msgpack map (its size in 4, 16 or 32 bits, and small) opens, with a short word as its first key. */
function isMsgpackMap(body: Uint8Array): boolean {
  const key =
    body[0] >> 4 === 8 ? 1 : body[0] === 0xde && body[1] === 0 ? 3 : body[0] === 0xdf && body[1] + body[2] + body[3] === 0 ? 5 : 0;
  if (key === 0 || body[key] >> 5 !== 5) return false;
  const word = body.subarray(key + 1, key + 1 + (body[key] & 31));
  return word.length > 0 && word.every((byte) => byte === 0x5f || (byte >= 0x61 && byte <= 0x7a));
}

/** How deep lists and objects may nest, and how many there may be, and keys of objects, in JSON and in msgpack. */
export const DEPTH_LIMIT = 32;
const CONTAINER_LIMIT = 4_000_000;
const KEY_LIMIT = 500_000;

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses a JSON body.
 * @throws SeedmaskError no-body, deep-body, over-limit, bad-json
 */
export function parseJson(body: Uint8Array): unknown {
  if (body.length === 0) throw new SeedmaskError('no-body', { field: 'the body', expected: 'a JSON object' });
  checkNesting(body);
  try {
    return JSON.parse(decoder.decode(body));
  } catch (error) {
    throw new SeedmaskError('bad-json', {
      field: 'the body',
      expected: 'JSON',
      got: error instanceof Error ? error.message : String(error),
      hint: jsonHint(body),
    });
  }
}

/** Throws deep-body or over-limit by the brackets and colons outside strings. */
function checkNesting(body: Uint8Array): void {
  let depth = 0;
  let containers = 0;
  let keys = 0;
  for (let i = 0; i < body.length; i++) {
    const c = body[i];
    if (c === 0x22) {
      for (i++; i < body.length && body[i] !== 0x22; i++) if (body[i] === 0x5c) i++;
    } else if (c === 0x5b || c === 0x7b) {
      containers++;
      if (++depth > DEPTH_LIMIT) throw tooDeep();
    } else if (c === 0x5d || c === 0x7d) depth--;
    else if (c === 0x3a) keys++;
  }
  checkCounts(containers, keys);
}

export const tooDeep = (): SeedmaskError => new SeedmaskError('deep-body', { field: 'the body', expected: DEPTH_LIMIT });
/** Throws over-limit where a body has more lists and objects, or keys of objects, than rows need. */
export function checkCounts(containers: number, keys: number): void {
  const over = (what: string, expected: number, got: number, hint?: string) =>
    new SeedmaskError('over-limit', { field: `number of ${what} in the body`, expected, got, hint });
  if (containers > CONTAINER_LIMIT) throw over('lists and objects', CONTAINER_LIMIT, containers);
  if (keys > KEY_LIMIT) throw over('keys of objects', KEY_LIMIT, keys, 'Send rows as lists of numbers, or fewer of them.');
}

function jsonHint(body: Uint8Array): string | undefined {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (!isJson(body)) return 'The body must be a JSON object; PNG, msgpack and raw bytes go to POST /tasks/NAME/classify.';
  if (text.includes('NaN') || text.includes('Infinity')) return 'JSON has no NaN or Infinity: replace such values before sending.';
  if (text.includes("'")) return 'JSON strings take double quotes.';
  if (/,\s*[\]}]/.test(text.toString('latin1', 0, 65536))) return 'JSON takes no comma before a closing bracket.';
  return undefined;
}

/**
 * Checks the outer shape of a decoded request.
 * @param field JSON pointer of `value`; '' is the whole body
 * @throws SeedmaskError bad-request at the first part that differs
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown, field = '', hint?: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  let got: unknown = value;
  for (const key of issue.path) got = typeof got === 'object' && got !== null ? Reflect.get(got, key) : undefined;
  const pointer = [field, ...issue.path.map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
  throw new SeedmaskError('bad-request', {
    field: pointer || 'the body',
    expected: issue.code === 'invalid_type' && issue.message.startsWith('Invalid input') ? `of type ${issue.expected}` : issue.message,
    got: brief(got),
    hint,
  });
}

export const Fraction = z.number('a number from 0 to 1').min(0, 'a number from 0 to 1').max(1, 'a number from 0 to 1');

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** A number as queries and headers have it: in decimal digits alone, where Number() takes nothing for 0 and 0x10 for 16. */
export const decimal = <T>(schema: z.ZodType<T>) =>
  z.preprocess((text) => (typeof text === 'string' && DECIMAL.test(text) ? Number(text) : text), schema);
