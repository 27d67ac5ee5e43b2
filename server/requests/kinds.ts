// What the bytes of a body are, decided once: the Content-Type when it names a kind we know, else the bytes themselves, since clients send
// wrong or none.

import { SeedmaskError } from '../../codec/errors.js';
import { type Shape, size } from '../../src/network.js';
import { isJson } from './json.js';
import { MSGPACK } from './msgpack.js';
import { beginsAsPng } from './png.js';

export type BodyKind = 'json' | 'msgpack' | 'png' | 'pixels';

const KINDS: ReadonlyMap<string, BodyKind> = new Map([
  ['application/json', 'json'],
  ...MSGPACK.map((type): [string, BodyKind] => [type, 'msgpack']),
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
  if (beginsAsPng(body)) return 'png';
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
