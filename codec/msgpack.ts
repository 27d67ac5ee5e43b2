// The closed subset of MessagePack that a model file's header is written in: unsigned integers and lengths in their shortest form,
// bin, str up to 255 bytes, f32, arrays. No map, extension, float64, nil, boolean or negative number; nothing deeper than four arrays.
// `scan` walks untrusted bytes without recursion or allocation and refuses everything else before `decode` builds a value; `encode`
// writes the one canonical form, so comparing it with what was read proves that a header has no second spelling.

import { SeedmaskError } from './errors.js';

/** A value to encode. A number is an unsigned integer; `f32` marks a 32-bit float. */
export type Value = number | bigint | string | Uint8Array | { readonly f32: number } | readonly Value[];

const MAX_DEPTH = 4;
const SUBSET = 'an unsigned integer, f32, bin, str or array';

/** Canonical bytes of a value whose integers lie below 2^64. Throws 'bad-header' for texts and lists that the subset does not have. */
export function encode(value: Value): Uint8Array {
  const out: number[] = [];
  write(value, out);
  return Uint8Array.from(out);
}

function write(value: Value, out: number[]): void {
  if (typeof value === 'number' || typeof value === 'bigint') {
    if (value < 128) out.push(Number(value));
    else if (value < 0x100) out.push(0xcc, Number(value));
    else if (value < 0x10000) out.push(0xcd, ...bigEndian(value, 2));
    else if (value < 0x1_0000_0000) out.push(0xce, ...bigEndian(value, 4));
    else out.push(0xcf, ...bigEndian(value, 8));
  } else if (typeof value === 'string') {
    const text = new TextEncoder().encode(value);
    if (text.length > 255) throw new SeedmaskError('bad-header', { field: 'a text', expected: 'at most 255 bytes of UTF-8', got: value });
    if (new TextDecoder('utf-8', { ignoreBOM: true }).decode(text) !== value) {
      throw new SeedmaskError('bad-header', { field: 'a text', expected: 'well-formed Unicode', got: value });
    }
    if (text.length < 32) out.push(0xa0 + text.length, ...text);
    else out.push(0xd9, ...bigEndian(text.length, 1), ...text);
  } else if (value instanceof Uint8Array) {
    const n = value.length;
    if (n < 0x100) out.push(0xc4, n);
    else if (n < 0x10000) out.push(0xc5, ...bigEndian(n, 2));
    else out.push(0xc6, ...bigEndian(n, 4));
    for (const byte of value) out.push(byte);
  } else if ('f32' in value) {
    const four = new DataView(new ArrayBuffer(4));
    four.setFloat32(0, value.f32);
    out.push(0xca, ...bigEndian(four.getUint32(0), 4));
  } else {
    if (value.length > 65535) throw new SeedmaskError('bad-header', { field: 'a list', expected: 'at most 65535 long', got: value.length });
    if (value.length < 16) out.push(0x90 + value.length);
    else out.push(0xdc, ...bigEndian(value.length, 2));
    for (const item of value) write(item, out);
  }
}

function bigEndian(value: number | bigint, bytes: number): number[] {
  const big = BigInt(value);
  return Array.from({ length: bytes }, (_, i) => Number((big >> BigInt(8 * (bytes - 1 - i))) & 255n));
}

/** Decodes exactly one value, which `scan` must pass; integers from 2^32 on come as bigint, bin as views. Throws 'bad-header'. */
export function decode(bytes: Uint8Array): unknown {
  scan(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  /** Passes n bytes and tells where they began. */
  const pass = (n: number): number => {
    at += n;
    return at - n;
  };
  const big = (n: number): number => (n === 1 ? bytes[pass(1)] : n === 2 ? view.getUint16(pass(2)) : view.getUint32(pass(4)));
  const take = (n: number): Uint8Array => bytes.subarray(pass(n), at);
  const text = (n: number): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(take(n));
  const list = (n: number): unknown[] => Array.from({ length: n }, read);
  function read(): unknown {
    const token = big(1);
    if (token < 0x80) return token;
    if (token < 0xa0) return list(token & 15);
    if (token < 0xc0) return text(token & 31);
    if (token <= 0xc6) return take(big(2 ** (token - 0xc4)));
    if (token === 0xca) return view.getFloat32(pass(4));
    if (token === 0xcf) return view.getBigUint64(pass(8));
    if (token < 0xcf) return big(2 ** (token - 0xcc));
    return token === 0xd9 ? text(big(1)) : list(big(2));
  }
  return read();
}

/** Throws 'bad-header' unless the bytes are exactly one value of the subset: types, depth, and every length within what is there. */
export function scan(bytes: Uint8Array): void {
  const open = [1];
  let at = 0;
  const fail = (expected: string, got: string) => new SeedmaskError('bad-header', { field: `byte ${at}`, expected, got });
  const skip = (n: number, unit = 'bytes') => {
    if (n > bytes.length - at) throw fail(`${n} ${unit}`, `${bytes.length - at}`);
    at += n;
  };
  const length = (n: number): number => {
    skip(n);
    let value = 0;
    for (let i = at - n; i < at; i++) value = value * 256 + bytes[i];
    return value;
  };
  const enter = (count: number) => {
    if (open.length > MAX_DEPTH) throw fail(`at most ${MAX_DEPTH} nested arrays`, `${open.length}`);
    if (count > bytes.length - at) throw fail(`${count} array elements`, `${bytes.length - at} bytes`);
    open.push(count);
  };
  while (open.length > 0) {
    if (open[open.length - 1]-- === 0) {
      open.pop();
      continue;
    }
    skip(1);
    const token = bytes[at - 1];
    if (token < 0x80) continue;
    if (token < 0x90) throw fail(SUBSET, `a map (${hex(token)})`);
    if (token < 0xa0) enter(token & 15);
    else if (token < 0xc0) skip(token & 31);
    else if (token === 0xc4 || token === 0xd9) skip(length(1));
    else if (token === 0xc5) skip(length(2));
    else if (token === 0xc6) skip(length(4));
    else if (token === 0xdc) enter(length(2));
    else if (token === 0xcc) skip(1);
    else if (token === 0xcd) skip(2);
    else if (token === 0xce || token === 0xca) skip(4);
    else if (token === 0xcf) skip(8);
    else throw fail(SUBSET, hex(token));
  }
  if (at !== bytes.length) throw fail('the end of the header', `${bytes.length - at} more bytes`);
}

const hex = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`;
