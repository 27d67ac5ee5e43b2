// safetensors: named arrays in one file, the checkpoint form that any language reads (github.com/huggingface/safetensors). Float32 and
// uint8 arrays, which is all that training leaves, and bool as uint8 when reading; other types are refused by name, but for those who read
// the stored bytes themselves (interop/safetensors.ts).
//
//   OFFSET   SIZE  MEANING
//   0        8     n, length of the header, little-endian, a multiple of 8 when written here
//   8        n     JSON {"__metadata__": {text: text}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}, ...}, then spaces
//   8 + n    ...   arrays, little-endian, row-major, offsets from here; one after the other without holes
//
// Float arrays are written before bytes, so that every one is aligned. Nothing is trusted: the header's length is limited before it is
// read, and offsets must cover the data exactly once, in which case no array is larger than the file.

import { SeedmaskError } from './errors.js';

export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | Uint8Array;
}

export interface TensorFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** An array as it is stored. */
export interface StoredTensor {
  /** Its dtype: F32, BF16, I64, .. */
  readonly type: string;
  readonly shape: readonly number[];
  /** A copy. */
  readonly raw: Uint8Array<ArrayBuffer>;
}

const METADATA = '__metadata__';
/** Bytes an element. */
const TYPES = new Map([
  ['F32', 4],
  ['U8', 1],
  ['BOOL', 1],
]);
const MAX_HEADER = 1 << 20;
const MAX_RANK = 8;

/** The bytes of numbers as files have them: little-endian, as every machine is whose memory the kernels share. No copy. */
export const numberBytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Same arrays in the same order, same bytes. */
export function writeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const ordered = [...tensors].sort(([, a], [, b]) => b.values.BYTES_PER_ELEMENT - a.values.BYTES_PER_ELEMENT);
  let end = 0;
  const entries = ordered.map(([name, { shape, values }]) => {
    const begin = end;
    end += values.byteLength;
    return [name, { dtype: values instanceof Float32Array ? 'F32' : 'U8', shape, data_offsets: [begin, end] }] as const;
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries([[METADATA, metadata], ...entries])));
  const start = 8 + Math.ceil(header.length / 8) * 8;
  const out = new Uint8Array(start + end).fill(0x20, 8 + header.length, start);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(start - 8), true);
  out.set(header, 8);
  let at = start;
  for (const [, { values }] of ordered) {
    out.set(numberBytes(values), at);
    at += values.byteLength;
  }
  return out;
}

/** @throws SeedmaskError bad-tensors, or over-limit for a header above 1 MiB */
export function readSafetensors(bytes: Uint8Array): TensorFile {
  const { metadata, tensors } = readStoredTensors(bytes, (type, name) => {
    const bytesEach = TYPES.get(type);
    if (bytesEach === undefined) throw bad(`dtype of ${name}`, [...TYPES.keys()].join(' or '), type);
    return bytesEach;
  });
  return {
    metadata,
    tensors: new Map(
      [...tensors].map(([name, { type, shape, raw }]) => [name, { shape, values: type === 'F32' ? new Float32Array(raw.buffer) : raw }]),
    ),
  };
}

/** Bytes that an element of a type takes; undefined where its shape is not to be held against them. */
type BytesOf = (type: string, name: string) => number | undefined;

/** @throws SeedmaskError as `readSafetensors` does, and what `bytesOf` throws */
export function readStoredTensors(
  bytes: Uint8Array,
  bytesOf: BytesOf,
): { readonly metadata: ReadonlyMap<string, string>; readonly tensors: ReadonlyMap<string, StoredTensor> } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 8) throw bad('the file', 'at least 8 bytes', `${bytes.length} bytes`);
  const length = view.getBigUint64(0, true);
  if (length > MAX_HEADER)
    throw new SeedmaskError('over-limit', { field: 'safetensors header', got: `${length} bytes`, expected: MAX_HEADER });
  if (length > bytes.length - 8) throw bad('the header', `in the file's ${bytes.length} bytes`, `${length} bytes`);
  const start = 8 + Number(length);
  const { [METADATA]: metadata = {}, ...entries } = parse(bytes.subarray(8, start));
  const sized = Object.entries(entries).map(([name, entry]) => ({ name, ...checkEntry(name, entry, bytesOf) }));
  sized.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of sized) {
    if (begin !== covered) throw bad(`data_offsets of ${name}`, `[${covered}, ...]: no holes, no overlaps`, [begin, end]);
    covered = end;
  }
  if (covered !== bytes.length - start) throw bad('the data', `${covered} bytes as the offsets say`, `${bytes.length - start} bytes`);
  return {
    metadata: checkMetadata(metadata),
    tensors: new Map(
      sized.map(({ name, type, shape, begin, end }) => {
        // Buffer.slice would make no copy.
        return [name, { type, shape, raw: new Uint8Array(bytes.subarray(start + begin, start + end)) }];
      }),
    ),
  };
}

const bad = (field: string, expected: unknown, got: unknown) => new SeedmaskError('bad-tensors', { field, expected, got });

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function parse(header: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch (error) {
    throw bad('the header', 'UTF-8 JSON', (error as Error).message);
  }
  if (!isObject(value)) throw bad('the header', 'a JSON object', value);
  return value;
}

function checkMetadata(value: unknown): Map<string, string> {
  if (!isObject(value)) throw bad(METADATA, 'an object of texts', value);
  return new Map(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== 'string') throw bad(`${METADATA}.${key}`, 'a text', text);
      return [key, text];
    }),
  );
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function checkEntry(name: string, entry: unknown, bytesOf: BytesOf): { type: string; shape: number[]; begin: number; end: number } {
  if (!isObject(entry)) throw bad(name, 'an object with dtype, shape and data_offsets', entry);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') throw bad(`dtype of ${name}`, 'a text', dtype);
  const bytesEach = bytesOf(dtype, name);
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount)) {
    throw bad(`shape of ${name}`, `at most ${MAX_RANK} whole numbers`, shape);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw bad(`data_offsets of ${name}`, 'two whole numbers', offsets);
  }
  const [begin, end] = offsets as [number, number];
  if (bytesEach === undefined && end < begin) throw bad(`data_offsets of ${name}`, 'a beginning and an end', offsets);
  const size = bytesEach === undefined ? end - begin : shape.reduce((a: number, b: number) => a * b, bytesEach);
  if (end - begin !== size) throw bad(`data_offsets of ${name}`, `${size} bytes for shape [${shape}]`, offsets);
  return { type: dtype, shape, begin, end };
}
