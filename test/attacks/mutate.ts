// Model files that are nearly right. A valid file is taken apart into header tokens, records, payloads and page table; a few of these are
// changed by chance; the file is put together again with right checksums, lengths and counts, most of the time, so that what is wrong
// lies deep; and sometimes the bytes are cut, flipped or joined to another file's at the end. Everything follows from the case's number.

import CRC32C from 'crc-32/crc32c.js';
import { decodeHeader, type Header, weightCheck } from '../../codec/header.js';
import { layoutOf, PAGE, PREFIX_BYTES } from '../../codec/layout.js';
import { encode } from '../../codec/msgpack.js';
import { recordBytes } from '../../codec/records.js';
import { weightCounts } from '../../src/network.js';
import { DOMAIN, fillWords } from '../../src/random.js';

/** Numbers of one case, by address: case n of a seed is the same whichever cases ran before. */
export class Chance {
  readonly #seed: number;
  readonly #words = new Uint32Array(64);
  readonly #stream: number;
  #taken = 0;

  constructor(seed: number, stream: number) {
    this.#seed = seed;
    this.#stream = stream;
  }

  /** 0 .. n-1 */
  below(n: number): number {
    const at = this.#taken++ % this.#words.length;
    if (at === 0) fillWords({ low: this.#seed, high: 0 }, DOMAIN.sampling, this.#stream, this.#taken - 1, this.#words);
    return Math.floor((this.#words[at] / 2 ** 32) * n);
  }

  /** True once in n times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

interface Parts {
  version: number;
  flags: number;
  /** The header's MessagePack tokens: an array's is its length, and its items follow. */
  tokens: number[][];
  tasks: { columns: number[]; payload: number[] }[];
}

/** Bytes of the token at `at`, without the items of an array. */
function tokenBytes(bytes: Uint8Array, at: number): number {
  const token = bytes[at];
  const fixed: Record<number, number> = { 204: 2, 205: 3, 206: 5, 202: 5, 207: 9, 220: 3 };
  if (token >= 0xa0 && token < 0xc0) return 1 + (token & 31);
  if (token === 0xc4 || token === 0xd9) return 2 + bytes[at + 1];
  if (token === 0xc5) return 3 + bytes[at + 1] * 256 + bytes[at + 2];
  return fixed[token] ?? 1;
}

const itemsOf = (token: readonly number[]): number =>
  token[0] >= 0x90 && token[0] < 0xa0 ? token[0] & 15 : token[0] === 0xdc ? token[1] * 256 + token[2] : 0;

/** Where each field of the header begins among the tokens. */
function fieldStarts(tokens: readonly number[][]): number[] {
  const starts: number[] = [];
  let at = 1;
  while (at < tokens.length) {
    starts.push(at);
    for (let open = 1; open > 0 && at < tokens.length; at++) open += itemsOf(tokens[at]) - 1;
  }
  return starts;
}

/** Takes a valid file apart. */
function dissect(file: Uint8Array): Parts {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const bytes = file.subarray(PREFIX_BYTES, PREFIX_BYTES + view.getUint32(8, true));
  const tokens: number[][] = [];
  for (let at = 0; at < bytes.length; at += tokens[tokens.length - 1].length) {
    tokens.push([...bytes.subarray(at, at + tokenBytes(bytes, at))]);
  }
  const layout = layoutOf(decodeHeader(bytes, (file[7] & 2) !== 0), PREFIX_BYTES + bytes.length);
  let at = layout.payloads;
  const tasks = Array.from({ length: layout.tasks }, (_, i) => {
    const record = layout.index + i * layout.width;
    const payload = [...file.subarray(at, at + view.getUint32(record + 4, true))];
    at += payload.length;
    return { columns: [...file.subarray(record + 8, record + layout.width)], payload };
  });
  return { version: file[6], flags: file[7], tokens, tasks };
}

const u32 = (n: number) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const crc = (...parts: readonly (readonly number[])[]) => u32(parts.reduce((sum, part) => CRC32C.buf(Uint8Array.from(part), sum), 0));

/** Puts the parts together; one in `once` of each kind of checksum and length is wrong. */
function join({ version, flags, tokens, tasks }: Parts, chance: Chance, once: number): Uint8Array {
  const slip = (bytes: number[], of = 1): number[] => {
    if (chance.once(once * of)) bytes[chance.below(bytes.length)] ^= 1 << chance.below(8);
    return bytes;
  };
  const header = tokens.flat();
  const start = [0x89, 0x53, 0x4d, 0x4b, 0x0d, 0x0a, version, flags, ...slip(u32(header.length))];
  const records = tasks.map(({ columns, payload }) => {
    const rest = [...slip(u32(payload.length), tasks.length), ...columns];
    return [...slip(crc(rest, payload), tasks.length), ...rest];
  });
  const pages: number[] = [];
  for (let first = 0; tasks.length > PAGE && first < tasks.length; first += PAGE) {
    const total = tasks.slice(first, first + PAGE).reduce((sum, { payload }) => sum + payload.length, 0);
    pages.push(...slip([...u32(total), 0, 0]), ...slip(crc(...records.slice(first, first + PAGE))));
  }
  return Uint8Array.from([start, slip(crc(start, header)), header, pages, ...records, ...tasks.map((t) => t.payload)].flat());
}

// ---- what is changed ----

/** Tokens that a reader may trip over, well-formed or not. */
const TOKENS: readonly (readonly number[])[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 9, 127].map((n) => [n]),
  [0xcc, 128],
  [0xcc, 5],
  [0xcd, 1, 0],
  [0xcd, 255, 255],
  [0xce, 0, 1, 0, 0],
  [0xce, 255, 255, 255, 255],
  [0xcf, 0, 0, 0, 1, 0, 0, 0, 0],
  [0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
  [0xca, 0x3f, 0x80, 0, 0],
  [0xca, 0, 0, 0, 0],
  [0xca, 0x80, 0, 0, 0],
  [0xca, 0x7f, 0xc0, 0, 0],
  [0xca, 0x7f, 0x80, 0, 0],
  [0xca, 0, 0, 0, 1],
  [0xa0],
  [0xa1, 0x61],
  [0xa2, 0xff, 0xfe],
  [0xa3, 0xef, 0xbb, 0xbf],
  [0xd9, 1, 0x61],
  [0xc4, 0],
  [0xc4, 1, 1],
  [0xc5, 0, 1, 7],
  [0xc6, 255, 255, 255, 255],
  [0x90],
  [0x91],
  [0x92],
  [0x93],
  [0xdc, 0, 1],
  [0xdc, 255, 255],
  [0xdd, 255, 255, 255, 255],
  [0xc0],
  [0xc3],
  [0x81],
  [0xe0],
];

/** Changes some bytes, or their number. */
function scramble(bytes: number[], chance: Chance, resize: boolean): void {
  const at = chance.below(bytes.length + 1);
  const kind = chance.below(resize ? 6 : 3);
  if (kind === 0 && bytes.length) bytes[at % bytes.length] ^= 1 << chance.below(8);
  else if (kind === 1 && bytes.length) bytes[at % bytes.length] = chance.of([0, 1, 127, 128, 255]);
  else if (kind === 2 && bytes.length) bytes[at % bytes.length] = (bytes[at % bytes.length] + chance.of([1, 255])) & 255;
  else if (kind === 3) bytes.splice(at, 1 + chance.below(3));
  else if (kind === 4) bytes.splice(at, 0, ...Array.from({ length: 1 + chance.below(3) }, () => chance.below(256)));
  else if (kind === 5) bytes.splice(at, bytes.length, ...bytes.slice(chance.below(bytes.length + 1)));
}

function changeHeader({ tokens }: Parts, chance: Chance, donor: Parts): void {
  const at = chance.below(tokens.length);
  switch (chance.below(6)) {
    case 0:
      tokens[at] = [...chance.of(TOKENS)];
      break;
    case 1:
      scramble(tokens[at], chance, false);
      break;
    case 2:
      tokens.splice(at, 1);
      break;
    case 3:
      tokens.splice(at, 0, [...chance.of(TOKENS)]);
      break;
    case 4:
      tokens[at] = [...chance.of(donor.tokens)];
      break;
    default: {
      const other = chance.below(tokens.length);
      [tokens[at], tokens[other]] = [tokens[other], tokens[at]];
    }
  }
  // A length that fits again: the header's own, so that a lost or added field is the only thing wrong.
  if (tokens.length && chance.below(2)) {
    const fields = fieldStarts(tokens).length;
    tokens[0] = [...encode(Array.from({ length: Math.min(fields, 65535) }, () => 0)).subarray(0, fields < 16 ? 1 : 3)];
  }
}

function changeTasks({ tasks }: Parts, chance: Chance, donor: Parts): void {
  if (tasks.length === 0) {
    tasks.push(...donor.tasks.slice(0, 1 + chance.below(2)));
    return;
  }
  const at = chance.below(tasks.length);
  const other = chance.below(tasks.length);
  switch (chance.below(6)) {
    case 0:
      tasks.splice(at, 1);
      break;
    case 1:
      tasks.splice(at, 0, { columns: [...tasks[other].columns], payload: [...tasks[other].payload] });
      break;
    case 2:
      [tasks[at], tasks[other]] = [tasks[other], tasks[at]];
      break;
    case 3:
      tasks[at].payload = [...tasks[other].payload];
      break;
    case 4:
      if (donor.tasks.length) tasks[at].payload = [...chance.of(donor.tasks).payload];
      break;
    default:
      scramble(tasks[at].columns, chance, chance.once(8));
  }
}

/** Changes a payload; counts of fewer than 128 kept weights are one byte each, behind the scheme. */
function changePayload({ tasks }: Parts, chance: Chance): void {
  if (tasks.length === 0) return;
  const { payload } = chance.of(tasks);
  const count = 1 + chance.below(2);
  switch (chance.below(8)) {
    case 0:
      payload[0] = chance.below(6);
      break;
    case 1:
      if (count < payload.length) payload[count] = chance.of([0, 1, (payload[count] + 1) & 255, (payload[count] + 255) & 255, 128, 255]);
      break;
    case 2:
      // The same count, spelled longer than it must be.
      payload.splice(count, 1, payload[count] | 128, ...chance.of([[0], [128, 0], [1]]));
      break;
    case 3: {
      // One bit more, and a count that says so.
      const at = chance.below(payload.length);
      const bit = 1 << chance.below(8);
      if (at > 2 && !(payload[at] & bit)) payload[count]++;
      payload[at] |= bit;
      break;
    }
    case 4:
      // Nothing kept, which fits a network of any size.
      payload.splice(0, payload.length, chance.of([0, 2, 3]), ...Array.from({ length: 1 + chance.below(3) }, () => 0));
      break;
    default:
      scramble(payload, chance, true);
  }
}

/** Another size of a layer or of the input, and masks that keep nothing, which fit it. */
function changeSizes(parts: Parts, chance: Chance): void {
  const fields = fieldStarts(parts.tokens);
  const first = parts.flags & 2 ? 1 : 0;
  const field = first + chance.of([0, 1, 1]);
  if (fields[field] === undefined || fields[field + 1] === undefined) return;
  const at = fields[field] + chance.below(fields[field + 1] - fields[field]);
  if (itemsOf(parts.tokens[at])) return;
  parts.tokens[at] = [...encode(chance.of([1, 2, 3, 9, 200, 700, 3000, 20_000, 2 ** 31, 2 ** 32 - 1]))];
  const layers = 1 + chance.below(2);
  for (const { payload } of parts.tasks)
    payload.splice(0, payload.length, chance.of([0, 2, 3]), ...Array.from({ length: layers }, () => 0));
}

/** The first tokens of transforms that are written out: an array that two floats begin. */
const transformsIn = (tokens: readonly number[][]): number[] =>
  tokens.flatMap((token, at) => (itemsOf(token) > 1 && tokens[at + 1]?.[0] === 0xca && tokens[at + 2]?.[0] === 0xca ? [at] : []));

const numberOf = ([first, ...rest]: readonly number[]): number => (rest.length ? rest.reduce((sum, byte) => 256 * sum + byte, 0) : first);

/** Inputs of the network that the header has, or else of the one that most cases are given. */
function inputsOf({ tokens, flags }: Parts): number {
  const field = fieldStarts(tokens)[flags & 2 && tokens[1]?.[0] !== 0xc4 ? 1 : 0];
  if (field === undefined || tokens[field][0] === 0xc4) return 6;
  const sizes = itemsOf(tokens[field]) === 3 ? tokens.slice(field + 1, field + 4) : [tokens[field]];
  return sizes.reduce((product, size) => product * numberOf(size), 1);
}

/** f32 that transforms have, or must not have: 0, 1, -2, the least, the largest, -0, infinity, not a number. */
const FLOATS = [0, 0x3f800000, 0xc0000000, 1, 0x7f7fffff, 0x80000000, 0x7f800000, 0x7fc00000];

/** Another transform in place of one, most of them right: with constant inputs, with features, or without. */
function changeTransform(parts: Parts, chance: Chance): void {
  const { tokens } = parts;
  const inputs = inputsOf(parts);
  if (inputs > 300) return;
  const float = () => FLOATS[chance.below(chance.once(40) ? 8 : 6)];
  const bits = Array.from({ length: Math.ceil(inputs / 8) }, () => chance.below(256));
  if (inputs % 8 && !chance.once(20)) bits[bits.length - 1] &= (1 << (inputs % 8)) - 1;
  const features = Array.from({ length: 2 * inputs }, () => u32(float())).flat();
  const bins = chance.of([[], [bits], [bits, features], [[], features]]);
  const items = [
    ...[float(), float()].map((word) => [0xca, ...u32(word).reverse()]),
    ...bins.map((bin) => [...encode(Uint8Array.from(bin))]),
  ];
  const entry = [[0x90 + items.length], ...items];
  const written = transformsIn(tokens);
  if (written.length && chance.below(4)) {
    const at = chance.of(written);
    tokens.splice(at, 1 + itemsOf(tokens[at]), ...entry);
  } else {
    // The only entry, where it is the registered one.
    const starts = fieldStarts(tokens);
    const at = starts[parts.flags & 2 && tokens[1]?.[0] === 0xc4 ? 1 : parts.flags & 2 ? 7 : 6];
    if (at !== undefined && tokens[at].length === 1 && itemsOf(tokens[at]) === 0) tokens.splice(at, 1, [0x91], ...entry);
  }
}

/** A bin of so many bytes in place of one, unless that is empty or no bin. */
function resized(token: readonly number[], bytes: number): number[] {
  const old = token[0] === 0xc4 ? token.slice(2) : token[0] === 0xc5 ? token.slice(3) : [];
  return old.length === 0 ? [...token] : [...encode(Uint8Array.from({ length: bytes }, (_, i) => old[i] ?? 0))];
}

/** Makes counts, widths, the inputs of transforms and the weight check right for what the header now says, if it says anything. */
function repair(parts: Parts, chance: Chance): void {
  const starts = fieldStarts(parts.tokens);
  const base = parts.flags & 2 ? 1 : 0;
  const inline = base === 0 || parts.tokens[starts[0]]?.[0] !== 0xc4;
  const checkAt = inline ? starts[base + 5] : undefined;
  const countAt = starts[base + (inline ? 6 : 0) + 3];
  if (countAt !== undefined && chance.below(4)) parts.tokens[countAt] = [...encode(parts.tasks.length)];
  const inputs = inputsOf(parts);
  if (inputs <= 300 && chance.below(4)) {
    for (const at of transformsIn(parts.tokens)) {
      const bins = parts.tokens.slice(at + 3, at + 1 + itemsOf(parts.tokens[at]));
      parts.tokens.splice(at + 3, bins.length, ...bins.map((bin, i) => resized(bin, i ? 8 * inputs : Math.ceil(inputs / 8))));
    }
  }
  let header: Header;
  try {
    header = decodeHeader(Uint8Array.from(parts.tokens.flat()), base === 1);
  } catch {
    return;
  }
  const { network } = header;
  if (!(network instanceof Uint8Array) && checkAt !== undefined && network.layers.length < 9 && Math.max(...weightCounts(network)) < 1e7) {
    if (chance.below(8)) parts.tokens[checkAt] = [...encode(weightCheck(network))];
  }
  const width = recordBytes(header) - 8;
  if (width > 200 || chance.once(8)) return;
  for (const task of parts.tasks) {
    task.columns.length = Math.min(task.columns.length, width);
    while (task.columns.length < width) task.columns.push(chance.of([0, 0, 1, 0x3f, 0x80]));
  }
}

/** A case: one of the corpus, changed. */
export function mutated(corpus: readonly Uint8Array[], chance: Chance): Uint8Array {
  const parts = dissect(chance.of(corpus));
  const donor = dissect(chance.of(corpus));
  if (chance.once(20)) parts.tokens = donor.tokens.map((token) => [...token]);
  if (chance.once(20)) parts.tasks = donor.tasks.map(({ columns, payload }) => ({ columns: [...columns], payload: [...payload] }));
  const edits = chance.below(4);
  for (let edit = 0; edit < edits; edit++) {
    const kind = chance.below(27);
    if (kind > 23) changeTransform(parts, chance);
    else if (kind < 5) changeHeader(parts, chance, donor);
    else if (kind < 9) changeSizes(parts, chance);
    else if (kind < 15) changeTasks(parts, chance, donor);
    else if (kind < 23) changePayload(parts, chance);
    else if (chance.below(3)) parts.flags ^= chance.of([2, 2, 2, 1, 128]);
    else parts.version = chance.below(4);
  }
  if (chance.below(8)) repair(parts, chance);
  const bytes = join(parts, chance, edits ? 400 : 12);
  switch (chance.below(24)) {
    case 0:
      return bytes.slice(0, chance.below(bytes.length + 1));
    case 1: {
      const other = chance.of(corpus);
      return Uint8Array.from([...bytes.subarray(0, chance.below(bytes.length + 1)), ...other.subarray(chance.below(other.length + 1))]);
    }
    case 2:
      bytes[chance.below(bytes.length)] ^= 1 << chance.below(8);
      return bytes;
    case 3:
      return Uint8Array.from([...bytes, ...Array.from({ length: chance.below(9) }, () => chance.below(256))]);
    default:
      return bytes;
  }
}
