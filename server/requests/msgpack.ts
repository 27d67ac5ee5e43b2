// msgpack in and out. `msgpackr` decodes, but a scan of depth, counts and lengths runs first, and extension types are refused: they
// are where msgpackr would build records (and code for them), dates or typed arrays out of a stranger's bytes.

import { Packr, Unpackr } from 'msgpackr';
import { SeedmaskError } from '../../codec/errors.js';
import { checkCounts, DEPTH_LIMIT, tooDeep } from './json.js';

/** Its media types, the registered one first. */
export const MSGPACK = ['application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack'];

const FLOAT32_ALWAYS = 1;

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, moreTypes: false, int64AsType: 'number' });
const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false, variableMapSize: true, useFloat32: FLOAT32_ALWAYS });

/** The value as msgpack; numbers that are not whole become f32. */
export function encodeMsgpack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** The msgpack of a map with these entries and, as the last, a list of `count` items, piece by piece. */
export function* msgpackPieces(entries: Readonly<Record<string, unknown>>, list: string, count: number, items: Iterable<unknown>) {
  const others = Object.entries(entries);
  yield Uint8Array.of(0x80 | (others.length + 1));
  for (const [name, value] of others) yield* [encodeMsgpack(name), encodeMsgpack(value)];
  yield encodeMsgpack(list);
  const head = Buffer.of(0xdd, 0, 0, 0, 0);
  head.writeUInt32BE(count, 1);
  yield head;
  for (const item of items) yield encodeMsgpack(item);
}

/**
 * Decodes one msgpack value of maps, lists, strings, bytes and numbers.
 * @throws SeedmaskError bad-msgpack, deep-body, over-limit
 */
export function decodeMsgpack(body: Uint8Array): unknown {
  scan(body);
  const value: unknown = unpackr.unpack(body);
  return value;
}

/** Bytes of a fixed-size value after its head byte, by head byte 0xc0 .. 0xdf; -1 for what has a length or is refused. */
const FIXED = [0, -1, 0, 0, -1, -1, -1, -1, -1, -1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1];
/** Head byte -> bytes of its length field, for strings, byte strings, lists and maps. */
const LENGTHS: ReadonlyMap<number, number> = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
  [0xdc, 2],
  [0xdd, 4],
  [0xde, 2],
  [0xdf, 4],
]);

/** Throws unless the bytes are exactly one value within the limits. */
function scan(body: Uint8Array): void {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  /** Values still to come, per open container, and whether it is a map: of a map's, keys leave an odd count. */
  const open: number[] = [1];
  const maps: boolean[] = [false];
  let at = 0;
  let containers = 0;
  let keys = 0;
  const refuse = (got: string) =>
    new SeedmaskError('bad-msgpack', { field: `byte ${at}`, expected: 'msgpack', got: `${got} at byte ${at}` });
  while (open.length > 0) {
    if (open[open.length - 1] === 0) {
      open.pop();
      maps.pop();
      continue;
    }
    open[open.length - 1]--;
    const isKey = maps[maps.length - 1] && open[open.length - 1] % 2 === 1;
    if (at >= body.length) throw refuse('it ends early');
    const head = body[at];
    let length = 0;
    let children = -1;
    let step = 1;
    if (head >= 0xc0 && head < 0xe0) {
      const fixed = FIXED[head - 0xc0];
      const width = LENGTHS.get(head);
      if (width !== undefined) {
        if (at + 1 + width > body.length) throw refuse('it ends early');
        length = width === 1 ? body[at + 1] : width === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1);
        step += width;
        if (head >= 0xdc) {
          children = head >= 0xde ? 2 * length : length;
          length = 0;
        }
      } else if (fixed >= 0) length = fixed;
      else throw refuse(`extension type 0x${head.toString(16)}`);
    } else if (head >= 0xa0 && head < 0xc0) length = head & 31;
    else if (head >= 0x90 && head < 0xa0) children = head & 15;
    else if (head >= 0x80 && head < 0x90) children = 2 * (head & 15);
    if (length > body.length - at - step || children > body.length - at - step) throw refuse('a length runs past the end');
    if (isKey && (children >= 0 || (head >= 0xc4 && head <= 0xc6))) throw refuse('a list, a map or bytes as a key');
    at += step + length;
    if (children >= 0) {
      const isMap = head < 0x90 || head >= 0xde;
      if (isMap) keys += children / 2;
      checkCounts(++containers, keys);
      if (open.length > DEPTH_LIMIT) throw tooDeep();
      open.push(children);
      maps.push(isMap);
    }
  }
  if (at !== body.length) throw refuse('a second value begins');
}
