// JSON of strangers: it is scanned for depth and counts before JSON.parse sees it, so a hundred thousand brackets are a clear answer here and
// no deep recursion later. msgpack has the same limits.

import { SeedmaskError } from '../../codec/errors.js';

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

/** Whether the first byte that is not white space (or a byte order mark) opens an object or a list. */
export function isJson(body: Uint8Array): boolean {
  let i = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  while (i < body.length && (body[i] === 0x20 || (body[i] >= 0x09 && body[i] <= 0x0d))) i++;
  return body[i] === 0x7b || body[i] === 0x5b;
}
