// Hostile model files, one or more for every error code of the codec. A file is taken apart into prefix, header values, index
// records and payloads, one thing is made wrong, and the checksums are put right again so that only the wrong thing is left to find.

import CRC32C from 'crc-32/crc32c.js';
import { deflateRaw } from 'pako';
import { encodePayload } from '../../codec/encode.js';
import { weightCheck } from '../../codec/header.js';
import { networkId, readModel, writeModel } from '../../codec/index.js';
import { encode, type Value } from '../../codec/msgpack.js';
import type { Network } from '../../src/network.js';
import { ARCHIVE_MODEL, TINY, TINY_MODEL } from '../vectors/models.js';

const bytes = (...parts: readonly (ArrayLike<number> | number)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : Array.from(part))));
const u32 = (n: number) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const crc = (data: Uint8Array) => CRC32C.buf(data);

/** A file from a header's bytes and records without their CRC and length, every checksum right. */
export function seal(header: Uint8Array, tasks: readonly { columns: Uint8Array; payload: Uint8Array }[], flags = 0): Uint8Array {
  const start = bytes([0x89, 0x53, 0x4d, 0x4b, 0x0d, 0x0a, 1, flags], u32(header.length));
  const records = tasks.map(({ columns, payload }) => {
    const rest = bytes(u32(payload.length), columns);
    return bytes(u32(crc(bytes(rest, payload))), rest);
  });
  return bytes(start, u32(crc(bytes(start, header))), header, ...records, ...tasks.map((t) => t.payload));
}

/** Takes a small file (no page table) apart. */
export function open(
  file: Uint8Array,
  tasks: number,
): { header: Uint8Array; tasks: { columns: Uint8Array; payload: Uint8Array }[]; flags: number } {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const start = 16 + view.getUint32(8, true);
  let width = 8;
  const total = () => Array.from({ length: tasks }, (_, i) => view.getUint32(start + i * width + 4, true)).reduce((a, b) => a + b, 0);
  while (start + tasks * width + total() !== file.length) width++;
  let at = start + tasks * width;
  const parts = Array.from({ length: tasks }, (_, i) => {
    const record = start + i * width;
    const payload = file.slice(at, at + view.getUint32(record + 4, true));
    at += payload.length;
    return { columns: file.slice(record + 8, record + width), payload };
  });
  return { header: file.slice(16, start), tasks: parts, flags: file[7] };
}

/** A network of linear dense layers: the plain file's, 6 inputs and 24 weights, or another. */
const linear = (inputs: number, ...units: readonly number[]): Network => ({
  input: [1, 1, inputs],
  layers: units.map((n) => ({ kind: 'dense', units: n, activation: 'linear' })),
  distribution: 'signed-constant',
  sigma: 'glorot',
  seed: { low: 5, high: 0 },
});
const check = (...units: readonly number[]): number => weightCheck(linear(6, ...units));
/** Header fields of the plain file, in order. */
const PLAIN: readonly Value[] = [6, [2, 4], 1, 0, 5, check(4), 0, [['a']], 0, 1, 0];
/** 24 weights, 3 kept, raw: scheme, count, bits. */
const PLAIN_PAYLOAD = bytes(0, 3, [0b111, 0, 0]);

export function plain(change: Record<number, Value> = {}, payload: Uint8Array = PLAIN_PAYLOAD, columns: Uint8Array = bytes()): Uint8Array {
  return seal(encode(PLAIN.map((value, i) => change[i] ?? value)), [{ columns, payload }]);
}

/** The plain file with `count` header bytes from `at` replaced by others. */
function spelled(at: number, count: number, replacement: readonly number[]): Uint8Array {
  const header = encode(PLAIN);
  return seal(bytes(header.slice(0, at), replacement, header.slice(at + count)), [{ columns: bytes(), payload: PLAIN_PAYLOAD }]);
}

/** The plain file with these bytes as its label. */
function relabelled(utf8: readonly number[]): Uint8Array {
  const { header, tasks } = open(plain({ 7: [['a'.repeat(utf8.length)]] }), 1);
  const at = header.indexOf(0x61);
  return seal(bytes(header.slice(0, at), utf8, header.slice(at + utf8.length)), tasks);
}

const tiny = writeModel(TINY_MODEL);
const archive = writeModel(ARCHIVE_MODEL);
const patched = (file: Uint8Array, at: number, value: number) => bytes(file.slice(0, at), value, file.slice(at + 1));
const u16 = (n: number) => [n & 255, n >>> 8];
const f32 = (x: number) => Array.from(new Uint8Array(Float32Array.of(x).buffer));
const ids = (...names: readonly string[]) =>
  seal(
    encode([...PLAIN.slice(0, 9), names.length, 1, 2]),
    names.map((id) => ({ columns: bytes(new TextEncoder().encode(id.padEnd(2, '\0'))), payload: PLAIN_PAYLOAD })),
  );

/** The plain file's network alone, with some fields changed or added. */
const alone = (change: Record<number, Value> = {}, more: readonly Value[] = [], flags = 0) =>
  seal(encode([...PLAIN.slice(0, 6).map((value, i) => change[i] ?? value), ...more]), [], flags);
/** One dense layer. */
const wide = (inputs: number, units: number, payload: Uint8Array): Uint8Array =>
  plain({ 0: inputs, 1: [2, units], 5: weightCheck(linear(inputs, units)) }, payload);
/** A filter over two channels, each of as many pixels as there may be values. */
const BROAD: Network = { ...linear(1, 1), input: [2 ** 14, 2 ** 14, 2], layers: [{ kind: 'conv', filters: 1, activation: 'linear' }] };
/** 254 layers, of many units of one input and of one unit of many inputs in turns. */
const TO_AND_FRO = Array.from({ length: 254 }, (_, i) => (i & 1 ? 1 : 2 ** 16));
const SPELLED_OUT: Network = { ...linear(6, 1), layers: [{ kind: 'conv', filters: 4, activation: 'relu' }] };
const PLAIN_NETWORK = readModel(plain()).network;
/** The plain file's weights, 6 kept. */
const contexts = encodePayload({ network: PLAIN_NETWORK, pixelPermutation: null }, [bytes(0x12, 0x84, 0x09)], ['context']);

/** The plain file with a transform of more than two parts. */
const withFeatures = (...more: readonly Value[]) => plain({ 6: [[{ f32: 1 }, { f32: 0 }, ...more]] });

/** The plain file with three tasks a, b, c of these payloads. */
const three = (...payloads: readonly Uint8Array[]) =>
  seal(
    encode([...PLAIN.slice(0, 9), payloads.length, 1, 1]),
    payloads.map((payload, i) => ({ columns: bytes(0x61 + i), payload })),
  );
const BASE_MASK = [bytes(0x12, 0x84, 0x09)];
/** Leans on the task at `place`: the mask of the base, less one weight. */
const related = (place: number, mask = [bytes(0x12, 0x84, 0x01)]) =>
  encodePayload({ network: PLAIN_NETWORK, pixelPermutation: null, base: { place, mask: BASE_MASK } }, mask, ['related']);
const based = related(1);
const MANY = 8;
/** A task of 2^28 weights that leans on another: with its base, beyond what is left when the others are counted. */
const WIDE = [2 ** 20, 2 ** 8] as const;
const crowd = (leaning: number) =>
  seal(
    encode([WIDE[0], [2, WIDE[1]], 1, 0, 5, weightCheck(linear(...WIDE)), 0, [['a']], 0, MANY, 1, 2]),
    Array.from({ length: MANY }, (_, i) => ({
      columns: new TextEncoder().encode(i.toString(16).padStart(2, '0')),
      payload: i < leaning ? bytes(4, MANY - 1, 0) : bytes(2, 0),
    })),
  );

/** [error code, what is wrong, the file] */
type Attack = readonly [string, string, Uint8Array];
export const ATTACKS: readonly Attack[] = [
  ['not-a-model-file', 'a PNG', bytes([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
  ['not-a-model-file', 'line ends were converted', patched(tiny, 4, 0x0a)],
  ['truncated', 'nothing at all', bytes()],
  ['truncated', 'the magic alone', tiny.slice(0, 6)],
  ['truncated', 'half a header', tiny.slice(0, 30)],
  ['truncated', 'one byte is missing', tiny.slice(0, -1)],
  ['truncated', '100,000 tasks in a file of 70 bytes', plain({ 9: 100_000 })],
  ['truncated', 'payloads too short for the counts of their layers', three(bytes(3), bytes(3), bytes(3))],
  ['trailing-bytes', 'something follows the last payload', bytes(tiny, 0)],
  ['unknown-version', 'version 2', patched(tiny, 6, 2)],
  ['unknown-flag', 'biases, reserved', patched(tiny, 7, 1)],
  ['unknown-flag', 'flag bit 7', patched(tiny, 7, 128)],
  ['bad-checksum', 'a header byte differs', patched(tiny, 20, tiny[20] ^ 1)],
  ['bad-checksum', 'a payload byte differs', patched(tiny, tiny.length - 1, tiny[tiny.length - 1] ^ 1)],
  ['bad-checksum', 'an index byte differs', patched(archive, archive.length - 60, archive[archive.length - 60] ^ 1)],

  ['bad-header', 'a map', spelled(1, 1, [0x80])],
  ['bad-header', 'nil', spelled(1, 1, [0xc0])],
  ['bad-header', 'the unused token', spelled(1, 1, [0xc1])],
  ['bad-header', 'true', spelled(1, 1, [0xc3])],
  ['bad-header', 'an extension', spelled(1, 1, [0xd4, 1, 0])],
  ['bad-header', 'a timestamp', spelled(1, 1, [0xd6, 0xff, 0, 0, 0, 0])],
  ['bad-header', 'a float64', spelled(1, 1, [0xcb, 0x40, 0x18, 0, 0, 0, 0, 0, 0])],
  ['bad-header', 'a negative number', spelled(1, 1, [0xff])],
  ['bad-header', 'an int8', spelled(1, 1, [0xd0, 6])],
  ['bad-header', 'a str16', spelled(1, 1, [0xda, 0, 1, 0x61])],
  ['bad-header', 'an array32 of 4 G elements', spelled(1, 1, [0xdd, 0xff, 0xff, 0xff, 0xff])],
  ['bad-header', 'an array16 longer than the header', spelled(1, 1, [0xdc, 0xff, 0xff])],
  ['bad-header', 'a bin32 longer than the header', spelled(1, 1, [0xc6, 0xff, 0xff, 0xff, 0xff])],
  ['bad-header', '100,000 nested arrays', seal(new Uint8Array(100_000).fill(0x91), [])],
  ['bad-header', 'an empty header', seal(bytes(), [])],
  ['bad-header', 'two values', spelled(0, 0, [0])],
  ['bad-header', 'no array', seal(encode(7), [])],
  ['bad-header', 'too few fields', seal(encode(PLAIN.slice(0, 8)), [])],
  ['bad-header', 'a field too many', seal(encode([...PLAIN, 0]), [])],
  ['bad-header', 'an input of zero pixels', plain({ 0: [0, 1, 1] })],
  ['bad-header', 'an input of two dimensions', plain({ 0: [1, 6] })],
  ['bad-header', 'no layers', plain({ 1: [] })],
  ['bad-header', 'a layer code that is not known', plain({ 1: [9, 4] })],
  ['bad-header', 'a convolution without its kernel', plain({ 1: [7, 4] })],
  ['bad-header', 'a kernel of no pixels', plain({ 1: [5, 4, 0] })],
  ['bad-header', 'a kernel too large', plain({ 1: [6, 4, 17] })],
  ['bad-header', 'a kernel that is a text', plain({ 1: [5, 4, '5'] })],
  ['bad-header', 'a kernel larger than its image, without padding', plain({ 0: [4, 5, 1], 1: [7, 4, 5] })],
  ['bad-header', 'a kernel after the record that has none', plain({ 1: [3, 4, 5] })],
  ['bad-header', 'a dense layer of no size', plain({ 1: [2] })],
  ['bad-header', 'a dense layer of size 0', plain({ 1: [2, 0] })],
  ['bad-header', 'only a pool', plain({ 0: [4, 4, 1], 1: [0] })],
  ['bad-header', 'a pool of one pixel', plain({ 1: [0, 2, 4] })],
  ['bad-header', '1,025 layers without a size', plain({ 0: [4, 4, 1], 1: [...Array(1025).fill(0), 2, 4] })],
  ['bad-header', 'a transform whose constant inputs are a number', plain({ 6: [[{ f32: 1 }, { f32: 0 }, 7]] })],
  ['bad-header', '1,025 layers', plain({ 0: 1, 1: Array.from({ length: 2050 }, (_, i) => (i & 1 ? 1 : 2)) })],
  ['bad-header', '1,025 layers with kernels', plain({ 0: 1, 1: Array.from({ length: 3075 }, (_, i) => [6, 1, 1][i % 3]) })],
  ['bad-header', 'a distribution that is not known', plain({ 2: 6 })],
  ['bad-header', 'a sigma rule that is not known', plain({ 3: 2 })],
  ['bad-header', 'sigma zero', plain({ 3: [{ f32: 0 }] })],
  ['bad-header', 'a sigma whose weights are infinite', plain({ 3: [{ f32: 2 ** 127 }] })],
  ['bad-header', 'a sigma one step above the largest', plain({ 3: [{ f32: 2 ** 124 * (1 + 2 ** -23) }] })],
  ['bad-header', 'sigma not a number', plain({ 3: [{ f32: Number.NaN }] })],
  ['bad-header', 'a seed that is a text', plain({ 4: '__proto__' })],
  ['bad-header', 'a seed that is a float', plain({ 4: { f32: 0.5 } })],
  ['bad-header', 'a seed of 2^64, as a float', plain({ 4: { f32: 2 ** 64 } })],
  ['bad-header', 'a seed below zero, as a float', plain({ 4: { f32: -1 } })],
  ['bad-header', 'a transform that is not registered', plain({ 6: 1 })],
  ['bad-header', 'an infinite scale', plain({ 6: [[{ f32: Number.POSITIVE_INFINITY }, { f32: 0 }]] })],
  ['bad-header', 'constant inputs of another size', plain({ 6: [[{ f32: 1 }, { f32: 0 }, bytes(0, 0)]] })],
  ['bad-header', 'constant bits beyond the inputs', plain({ 6: [[{ f32: 1 }, { f32: 0 }, bytes(0xff)]] })],
  ['bad-header', 'features that are a number', withFeatures(bytes(), 7)],
  ['bad-header', 'features of no inputs', withFeatures(bytes(), bytes())],
  ['bad-header', 'features of half an input', withFeatures(bytes(), new Uint8Array(44))],
  ['bad-header', 'features of fewer inputs', withFeatures(bytes(), new Uint8Array(40))],
  ['bad-header', 'features of more inputs', withFeatures(bytes(), new Uint8Array(56))],
  ['bad-header', 'the last feature not a number', withFeatures(bytes(), bytes(new Uint8Array(44), f32(Number.NaN)))],
  ['bad-header', 'an infinite feature', withFeatures(bytes(), bytes(f32(Number.NEGATIVE_INFINITY), new Uint8Array(44)))],
  ['bad-header', 'constant bits beyond the inputs, beside features', withFeatures(bytes(0xff), new Uint8Array(48))],
  ['bad-header', 'constant inputs of another size, beside features', withFeatures(bytes(0, 0), new Uint8Array(48))],
  ['bad-header', 'names of inputs that are no list', withFeatures(bytes(), new Uint8Array(48), 7)],
  ['bad-header', 'a name of an input too few', withFeatures(bytes(), new Uint8Array(48), ['a', 'b', 'c', 'd', 'e'])],
  ['bad-header', 'an input with an empty name', withFeatures(bytes(), new Uint8Array(48), ['a', '', 'c', 'd', 'e', 'f'])],
  ['bad-header', 'two inputs of one name', withFeatures(bytes(), new Uint8Array(48), ['a', 'b', 'c', 'd', 'e', 'a'])],
  ['bad-header', 'a transform of six parts', withFeatures(bytes(), new Uint8Array(48), ['a', 'b', 'c', 'd', 'e', 'f'], 0)],
  ['bad-header', 'more labels than outputs', plain({ 7: [['a', 'b', 'c', 'd', 'e']] })],
  ['bad-header', 'an empty label', plain({ 7: [['']] })],
  ['bad-header', 'no labels', plain({ 7: [[]] })],
  ['bad-header', 'a label that is a number', plain({ 7: [[3]] })],
  ['bad-header', 'an empty table', plain({ 8: [] })],
  ['bad-header', 'a data set that is not registered', plain({ 8: 5 })],
  ['bad-header', 'a data set without a name', plain({ 8: [['', 0]] })],
  ['bad-header', 'permutations that are not known', plain({ 8: [['x', 4]] })],
  ['bad-header', 'zero tasks', plain({ 9: 0 })],
  ['bad-header', 'an index column that is not known', plain({ 10: 128 })],
  ['bad-header', 'an id column of no width', seal(encode([...PLAIN.slice(0, 10), 1, 0]), [])],

  ['not-canonical', 'a 3x3 kernel written out', plain({ 1: [5, 4, 3], 5: weightCheck(SPELLED_OUT) })],
  ['not-canonical', 'a number in two bytes instead of one', spelled(1, 1, [0xcc, 6])],
  ['bad-header', 'a number in nine bytes instead of one', spelled(1, 1, [0xcf, 0, 0, 0, 0, 0, 0, 0, 6])],
  ['not-canonical', 'a seed in nine bytes instead of one', spelled(7, 1, [0xcf, 0, 0, 0, 0, 0, 0, 0, 5])],
  ['not-canonical', 'a long form of a short array', spelled(0, 1, [0xdc, 0, 11])],
  ['not-canonical', 'a vector as three dimensions', plain({ 0: [1, 1, 6] })],
  ['not-canonical', 'registered labels written out', plain({ 1: [2, 10], 5: check(10), 7: [Array.from('0123456789')] }, bytes(0, 0))],
  ['not-canonical', 'a registered data set written out', plain({ 8: [['mnist', 0]] })],
  ['not-canonical', 'an integer where a float stands', plain({ 6: [[3, { f32: 0 }]] })],
  ['not-canonical', 'a float for the registered transform', plain({ 6: [{ f32: 0 }] })],
  ['not-canonical', 'a float for the registered labels', plain({ 1: [2, 10], 5: check(10), 7: [{ f32: 0 }] }, bytes(0, 0))],
  ['not-canonical', 'a label in overlong UTF-8', relabelled([0xc1, 0xa1])],
  ['not-canonical', 'a label that is no UTF-8', relabelled([0xff, 0x61])],
  ['not-canonical', 'a label with half a surrogate pair', relabelled([0xed, 0xa0, 0x80])],
  ['not-canonical', 'a table entry that nothing uses', plain({ 7: [['a'], ['b']] })],
  ['not-canonical', 'a column that nothing needs', plain({ 10: 2 }, PLAIN_PAYLOAD, bytes(f32(1)))],
  ['not-canonical', 'a seed for a permutation that is not', plain({ 8: 1, 10: 32 }, PLAIN_PAYLOAD, bytes(new Uint8Array(8).fill(1)))],
  ['not-canonical', 'ids wider than the longest', ids('a', 'b')],

  ['bad-task', 'ids that are not sorted', ids('b', 'a0')],
  ['bad-task', 'one id twice', ids('a0', 'a0')],
  [
    'bad-task',
    'two tasks without ids',
    seal(encode([...PLAIN.slice(0, 9), 2, 0]), Array(2).fill({ columns: bytes(), payload: PLAIN_PAYLOAD })),
  ],
  ['bad-task', 'an id that is a path', ids('..')],
  ['bad-task', 'an id with a zero inside', ids('\0a')],
  ['bad-task', 'a label set that is not there', plain({ 10: 8 }, PLAIN_PAYLOAD, bytes(u16(1)))],
  ['bad-task', 'a logit scale that is not a number', plain({ 10: 2 }, PLAIN_PAYLOAD, bytes(f32(Number.NaN)))],
  ['bad-task', 'a negative logit scale', plain({ 10: 2 }, PLAIN_PAYLOAD, bytes(f32(-1)))],

  ['wrong-generator', 'a weight check of other weights', plain({ 5: 1 })],

  ['bad-header', 'a network alone, less a field', seal(encode(PLAIN.slice(0, 5)), [])],
  ['bad-header', 'a network alone and a table', alone({}, [0])],
  ['bad-header', 'a network alone and a count of no tasks', alone({}, [[], [], [], 0, 0])],
  ['bad-header', 'a network alone that claims to be masks', alone({}, [], 2)],
  ['trailing-bytes', 'a network alone and a byte', bytes(alone(), 0)],
  ['wrong-generator', 'a network alone of other weights', alone({ 5: 1 })],
  ['not-canonical', 'a network alone, spelled longer', seal(bytes(0x96, 0xcc, encode(PLAIN.slice(0, 6)).slice(1)), [])],
  ['over-limit', 'a network alone of 2^28 weights and one more', alone({ 0: 2 ** 28 + 1, 1: [2, 1] })],

  ['over-limit', 'a header of 4 GB', bytes(tiny.slice(0, 8), [255, 255, 255, 255], tiny.slice(12))],
  ['over-limit', '4 G tasks', plain({ 9: 0xffffffff })],
  ['over-limit', 'a layer of 2^64 weights', plain({ 0: 0xffffffff, 1: [2, 0xffffffff] })],
  ['over-limit', 'layers whose product wraps to 0 in 32 bits', plain({ 0: [65536, 65536, 1], 1: [2, 65536] })],
  ['over-limit', 'few weights on 2^60 pixels', plain({ 0: [2 ** 30, 2 ** 30, 1], 1: [4, 1] })],
  ['over-limit', 'few weights on 2^29 values that 2^28 follow', plain({ 0: BROAD.input, 1: [4, 1], 5: weightCheck(BROAD) })],
  ['over-limit', '2^28 weights and one more, all zero', plain({ 0: 2 ** 28 + 1, 1: [2, 1] }, bytes(0, 0))],

  ['unknown-scheme', 'scheme 5', plain({}, bytes(5, 0))],
  [
    'unknown-scheme',
    'a task without a payload',
    seal(
      encode([...PLAIN.slice(0, 9), 2, 1, 1]),
      [bytes(), PLAIN_PAYLOAD].map((payload, i) => ({ columns: bytes(0x61 + i), payload })),
    ),
  ],
  [
    'bad-payload',
    'no kept count',
    seal(encode([...PLAIN.slice(0, 1), [2, 4, 2, 4], ...PLAIN.slice(2, 5), check(4, 4), ...PLAIN.slice(6)]), [
      { columns: bytes(), payload: bytes(0, 0x80, 0x80) },
    ]),
  ],
  ['bad-payload', 'a kept count in two bytes instead of one', plain({}, bytes(0, 0x83, 0, [0b111, 0, 0]))],
  ['bad-payload', 'a kept count above the weights', plain({}, bytes(0, 25, [255, 255, 255]))],
  ['bad-payload', 'an endless kept count', plain({}, new Uint8Array(40).fill(255, 1))],
  ['bad-payload', 'a kept count that does not match', plain({}, bytes(0, 4, [0b111, 0, 0]))],
  ['bad-payload', 'raw bits cut short', plain({}, bytes(0, 3, [0b111, 0]))],
  ['bad-payload', 'raw bits and more', plain({}, bytes(0, 3, [0b111, 0, 0, 0]))],
  ['bad-payload', 'raw bits of an empty layer', plain({}, bytes(0, 0, [0, 0, 0]))],
  ['bad-payload', 'a deflate stream of 16 MB for 3 bytes', plain({}, bytes(1, 3, deflateRaw(new Uint8Array(2 ** 24))))],
  ['bad-payload', 'a deflate stream of 2 bytes for 3', plain({}, bytes(1, 3, deflateRaw(bytes(7, 0))))],
  ['bad-payload', 'a deflate stream cut short', plain({}, bytes(1, 3, deflateRaw(bytes(7, 0, 0)).slice(0, -1)))],
  ['bad-payload', 'a deflate stream and more', plain({}, bytes(1, 3, deflateRaw(bytes(7, 0, 0)), 0))],
  ['bad-payload', 'a deflate stream that is none', plain({}, bytes(1, 3, [7, 7, 7]))],
  ['bad-payload', 'a range coder cut short', plain({}, bytes(2, 3))],
  ['bad-payload', 'a range coder and more', plain({}, bytes(2, 3, [1, 2, 3, 4, 5, 6]))],
  ['bad-payload', 'a range coder with nothing to say', plain({}, bytes(2, 0, [0]))],
  ['bad-payload', 'contexts without a body', plain({}, contexts.slice(0, 2))],
  ['bad-payload', 'contexts and more', plain({}, bytes(contexts, 0))],
  ['bad-payload', 'contexts with nothing to say', plain({}, bytes(3, 24, [0]))],
  ['bad-payload', 'contexts of another kept count', plain({}, bytes(3, 7, contexts.slice(2)))],
  ['bad-payload', 'contexts for 2^20 inputs and one more', wide(2 ** 20 + 1, 1, bytes(3, 1, [1, 2, 3]))],
  ['bad-payload', 'contexts for 2^20 inputs and one more, none kept', wide(2 ** 20 + 1, 1, bytes(3, 0))],
  ['bad-payload', 'contexts for 2^20 units and one more', wide(1, 2 ** 20 + 1, bytes(3, 1, [1, 2, 3]))],
  [
    'bad-payload',
    'contexts of 254 layers, half of them of 2^16 inputs',
    plain(
      { 0: 1, 1: TO_AND_FRO.flatMap((units) => [2, units]), 5: weightCheck(linear(1, ...TO_AND_FRO)) },
      bytes(3, new Uint8Array(254).fill(9), [1, 2, 3]),
    ),
  ],
  // 2^27 of 2^28 weights kept, in LEB128: a mask of 32 MB is never made, and no random word either.
  ...([2, 3] as const).map((scheme): Attack => {
    const most = bytes(scheme, [0x80, 0x80, 0x80, 0x40], new Uint8Array(200).fill(1));
    return ['bad-payload', `scheme ${scheme}: 2^27 ones in 200 bytes`, wide(2 ** 20, 2 ** 8, most)];
  }),

  ['bad-base', 'a task that leans on itself, alone', plain({}, related(0))],
  ['bad-base', 'a task that leans on itself', three(contexts, based, contexts)],
  ['bad-base', 'two tasks that lean on each other', three(based, related(0), contexts)],
  ['bad-base', 'three tasks in a ring', three(based, related(2), related(0))],
  ['bad-base', 'a base that leans on another', three(based, related(2), contexts)],
  ['bad-base', 'a base one place behind the last', three(related(3), contexts, contexts)],
  ['bad-base', 'a base at place 2^32, which is 0 in 32 bits', three(bytes(4, 0x80, 0x80, 0x80, 0x80, 0x10, based.slice(2)), contexts)],
  ['bad-payload', 'the place of a base in two bytes instead of one', three(bytes(4, 0x81, 0, based.slice(2)), contexts)],
  ['bad-payload', 'the place of a base cut short', three(bytes(4, 0x81), contexts)],
  ['bad-payload', 'the place of a base without end', three(bytes(4, new Uint8Array(40).fill(255)), contexts)],
  ['bad-payload', 'a place and nothing behind it', three(bytes(4, 1), contexts)],
  ['bad-payload', 'a base whose payload has a count of another layer', three(based, bytes(0, 3, 3, [0b111, 0, 0]))],
  ['bad-payload', 'a base that does not decode', three(based, bytes(contexts, 0))],
  ['bad-payload', 'bits beyond those that a base leaves open', three(bytes(based, 0), contexts)],
  ['over-limit', 'masks within the limit, beyond it with the base of one', crowd(1)],
  ['bad-header', 'the index of a task, and the network', seal(encode([0, ...PLAIN]), [{ columns: bytes(), payload: PLAIN_PAYLOAD }], 2)],
  ['bad-base', 'masks without their network', writeModel(TINY_MODEL, { maskOnly: true })],
  [
    'bad-header',
    'an id of 31 bytes, and no network',
    seal(encode([new Uint8Array(31), ...PLAIN.slice(6)]), [{ columns: bytes(), payload: PLAIN_PAYLOAD }], 2),
  ],
];

/** What the masks below are masks of, and its id. */
export const MASKED: Network = linear(6, 4);
const MASKED_ID = networkId(MASKED);
const REST = PLAIN.slice(6);
const masks = (base: Value, change: Record<number, Value> = {}, payload: Uint8Array = PLAIN_PAYLOAD, columns = bytes(), flags = 2) =>
  seal(encode([base, ...REST.map((value, i) => change[i + 6] ?? value)]), [{ columns, payload }], flags);

/** Files of masks alone, read with MASKED at hand: [error code, what is wrong, the file]. The first would be fine. */
export const MASK_ONLY_ATTACKS: readonly (readonly [string, string, Uint8Array])[] = [
  ['ok', 'nothing', masks(MASKED_ID)],
  ['bad-base', 'the id of another network', masks(networkId(TINY))],
  ['bad-base', 'an id of zeros', masks(new Uint8Array(32))],
  ['bad-base', 'an id with one bit flipped', masks(MASKED_ID.map((byte, i) => (i === 31 ? byte ^ 1 : byte)))],
  ['bad-header', 'an id of 31 bytes', masks(MASKED_ID.slice(1))],
  ['bad-header', 'an id of 33 bytes', masks(bytes(MASKED_ID, 0))],
  ['bad-header', 'an id of no bytes', masks(bytes())],
  ['bad-header', 'an id in hexadecimal', masks(Array.from(MASKED_ID, (b) => b.toString(16).padStart(2, '0')).join(''))],
  ['bad-header', 'a path', masks('../network.smk')],
  ['bad-header', 'a list of ids', masks([MASKED_ID, MASKED_ID])],
  ['bad-header', 'the index of a task, and no network', masks(0)],
  ['bad-header', 'an id without the flag', masks(MASKED_ID, {}, PLAIN_PAYLOAD, bytes(), 0)],
  ['bad-header', 'an id and the network as well', seal(encode([MASKED_ID, ...PLAIN]), [{ columns: bytes(), payload: PLAIN_PAYLOAD }], 2)],
  ['bad-header', 'an id and nothing more', seal(encode([MASKED_ID]), [], 2)],
  ['bad-header', 'no tasks', seal(encode([MASKED_ID, 0, [['a']], 0, 0, 0]), [], 2)],
  [
    'not-canonical',
    'an id in bin 16',
    seal(bytes(0x96, 0xc5, 0, encode([MASKED_ID, ...REST]).slice(2)), [{ columns: bytes(), payload: PLAIN_PAYLOAD }], 2),
  ],
  ['unknown-flag', 'biases that the network elsewhere would need', masks(MASKED_ID, {}, PLAIN_PAYLOAD, bytes(), 3)],
  ['bad-header', 'more labels than the network has outputs', masks(MASKED_ID, { 7: [['a', 'b', 'c', 'd', 'e']] })],
  ['bad-header', 'constant inputs beyond those of the network', masks(MASKED_ID, { 6: [[{ f32: 1 }, { f32: 0 }, bytes(0xff)]] })],
  ['bad-payload', 'a mask of more layers', masks(MASKED_ID, {}, bytes(0, 3, 3, [0b111, 0, 0, 0b111, 0, 0]))],
  ['bad-payload', 'a mask of more weights', masks(MASKED_ID, {}, bytes(0, 3, [0b111, 0, 0, 0]))],
  ['bad-base', 'a mask that leans on itself', masks(MASKED_ID, {}, related(0))],
  ['bad-base', 'a mask that leans on one behind the last', masks(MASKED_ID, {}, related(1))],
  ['bad-payload', 'bits beyond the weights', masks(MASKED_ID, {}, bytes(2, 25))],
  ['over-limit', '2^24 tasks', masks(MASKED_ID, { 9: 2 ** 24 })],
  ['truncated', 'the payload is missing', masks(MASKED_ID).slice(0, -PLAIN_PAYLOAD.length)],
  ['trailing-bytes', 'the network behind the masks', bytes(masks(MASKED_ID), encode(PLAIN.slice(0, 6)))],
  ['bad-checksum', 'a bit of the id', patched(masks(MASKED_ID), 30, masks(MASKED_ID)[30] ^ 1)],
];
