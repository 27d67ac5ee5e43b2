// The commonest body by far, {"instances": [[0, 255, ...], ...]} of whole pixels, read straight from its bytes into rows: no strings, no
// lists of numbers, a fifth of what JSON.parse and the checks behind it cost. Anything else, be it wrong or only unusual, is not
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
  let count = 0;
  for (let end = 0x2c; end === 0x2c; count++) {
    if ((count + 1) * width > values.length) return null;
    at = rowOf(body, skip(body, at + 1), values, count * width, width);
    if (at < 0) return null;
    end = body[at];
    if (end !== 0x2c && end !== 0x5d) return null;
  }
  at = skip(body, at + 1);
  if (body[at] !== 0x7d || skip(body, at + 1) !== body.length) return null;
  return { values: values.subarray(0, count * width), count };
}

/** Reads one list of numbers; returns where the next thing behind it is, or -1. */
function rowOf(body: Uint8Array, begin: number, values: Uint8Array, first: number, width: number): number {
  const { length } = body;
  if (begin >= length || body[begin] !== 0x5b) return -1;
  const end = first + width;
  let at = begin + 1;
  for (let k = first; k < end; k++) {
    while (at < length && isSpace(body[at])) at++;
    let value = 0;
    const start = at;
    for (; at < length; at++) {
      const digit = body[at] - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > 255) return -1;
    }
    // No digit; or one that begins with 0 and goes on, which JSON has not.
    if (at === start || (at - start > 1 && body[start] === 0x30)) return -1;
    while (at < length && isSpace(body[at])) at++;
    if (at >= length || body[at] !== (k === end - 1 ? 0x5d : 0x2c)) return -1;
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
