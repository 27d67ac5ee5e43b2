// The commonest body by far, {"instances": [[0, 255, ...], ...]} of whole pixels, read straight from its bytes into rows: no strings, no
// lists of numbers, a small part of what JSON.parse and the checks behind it cost. Anything else, be it wrong or only unusual, is not
// understood here and left to those that explain.

import type { Rows } from './rows.js';

const KEY = Buffer.from('"instances"');

/**
 * Rows of a body of exactly that form, white space aside: rows of `width` whole numbers 0..255; null for every other body.
 * @param limit rows at most
 */
export function pixelsOf(body: Uint8Array, width: number, limit: number): Rows | null {
  let at = skip(body, 0);
  if (body[at] !== 0x7b) return null;
  at = skip(body, at + 1);
  for (const byte of KEY) if (body[at++] !== byte) return null;
  at = skip(body, at);
  if (body[at] !== 0x3a) return null;
  at = skip(body, at + 1);
  if (body[at] !== 0x5b) return null;
  // A number takes two bytes or more, its comma included.
  const values = new Uint8Array(Math.min(limit, Math.ceil(body.length / (2 * width))) * width);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let count = 0;
  for (let end = 0x2c; end === 0x2c; count++) {
    if ((count + 1) * width > values.length) return null;
    at = rowOf(body, view, skip(body, at + 1), values, count * width, width);
    if (at < 0) return null;
    end = body[at];
    if (end !== 0x2c && end !== 0x5d) return null;
  }
  at = skip(body, at + 1);
  if (body[at] !== 0x7d || skip(body, at + 1) !== body.length) return null;
  return { values: values.subarray(0, count * width), count };
}

/** `0,0,` as four bytes. */
const ZEROS = 0x302c302c;

/** Reads one list of numbers; returns where the next thing behind it is, or -1. */
function rowOf(body: Uint8Array, view: DataView, begin: number, values: Uint8Array, first: number, width: number): number {
  const { length } = body;
  if (begin >= length || body[begin] !== 0x5b) return -1;
  const last = first + width - 1;
  // Where three digits and what ends them are sure to be there.
  const near = length - 4;
  let at = begin + 1;
  for (let k = first; k <= last; k++) {
    // Most pixels of most images: two zeros at a time, which stand in `values` already.
    while (k + 1 < last && at <= near && view.getUint32(at) === ZEROS) {
      at += 4;
      k += 2;
    }
    while (at < length && isSpace(body[at])) at++;
    if (at > near) return -1;
    const a = body[at] - 0x30;
    if (a >>> 0 > 9) return -1;
    let value = a;
    let end = body[++at];
    if (a !== 0) {
      const b = end - 0x30;
      if (b >>> 0 <= 9) {
        value = value * 10 + b;
        end = body[++at];
        const c = end - 0x30;
        if (c >>> 0 <= 9) {
          value = value * 10 + c;
          end = body[++at];
        }
      }
    }
    // A fourth digit, or one behind a 0, is no end.
    if (value > 255) return -1;
    while (isSpace(end)) end = body[++at];
    if (end !== (k === last ? 0x5d : 0x2c)) return -1;
    at++;
    values[k] = value;
  }
  return skip(body, at);
}

const isSpace = (byte: number): boolean => byte <= 0x20 && (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);

/** Past white space as JSON has it. */
function skip(body: Uint8Array, from: number): number {
  let at = from;
  while (at < body.length && isSpace(body[at])) at++;
  return at;
}
