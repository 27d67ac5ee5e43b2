// NumPy's files: .npy, one array behind a line of Python literals, and .npz, a zip of them (numpy.org/doc/stable/reference/generated/
// numpy.lib.format.html). Zip is fflate's. Nothing is trusted: sizes are limited before memory is taken, and an array has the bytes its
// shape says.

import { type UnzipFileInfo, unzipSync, type Zippable, zipSync } from 'fflate';
import { DEFAULT_LIMITS, SeedmaskError } from '../codec/index.js';

export type NumpyValues =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export interface NumpyArray {
  readonly shape: readonly number[];
  readonly values: NumpyValues;
}

/** Little-endian descriptors; bool is read as uint8, float16 (which JavaScript lacks here) as float32. */
const TYPES = {
  '<f4': Float32Array,
  '<f8': Float64Array,
  '|u1': Uint8Array,
  '|b1': Uint8Array,
  '|i1': Int8Array,
  '<i2': Int16Array,
  '<u2': Uint16Array,
  '<i4': Int32Array,
  '<u4': Uint32Array,
  '<i8': BigInt64Array,
  '<u8': BigUint64Array,
} as const;
const HALF = '<f2';
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_HEADER = 4096;
const MAX_RANK = 8;
const MAX_ARRAYS = 4096;
/** The earliest that a zip can say: same arrays, same bytes. */
const NO_TIME = new Date(1980, 0, 1);

const bad = (field: string, expected: string, got: unknown) => new SeedmaskError('bad-checkpoint', { field, expected, got });

/** The bytes of an .npy file. */
export function writeNpy({ shape, values }: NumpyArray): Uint8Array {
  const descriptor = Object.entries(TYPES).find(([, type]) => values instanceof type)![0];
  const sizes = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  const dictionary = `{'descr': '${descriptor}', 'fortran_order': False, 'shape': ${sizes}, }`;
  // Data begins at a multiple of 64.
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + length + values.byteLength);
  bytes.set([...MAGIC, 1, 0, length & 255, length >> 8]);
  bytes.set(new TextEncoder().encode(`${dictionary.padEnd(length - 1)}\n`), 10);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + length);
  return bytes;
}

/** The bytes of an .npz file: same arrays, same bytes. */
export function writeNpz(arrays: Iterable<readonly [string, NumpyArray]>): Uint8Array {
  const files: Zippable = {};
  for (const [name, array] of arrays) files[`${name}.npy`] = [writeNpy(array), { mtime: NO_TIME }];
  return zipSync(files);
}

/** @throws SeedmaskError bad-checkpoint */
export function readNpy(bytes: Uint8Array, name: string): NumpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte)) throw bad(name, 'a NumPy array', 'no .npy header');
  const start = bytes[6] === 1 ? 10 : 12;
  const length = start === 10 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length)
    throw bad(`the header of ${name}`, `at most ${MAX_HEADER} bytes`, `${length} bytes`);
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const [, descriptor] = /'descr':\s*'([^']+)'/.exec(header) ?? [];
  const type = descriptor === HALF ? Uint16Array : Object.entries(TYPES).find(([known]) => known === descriptor)?.[1];
  if (!type) throw bad(`the type of ${name}`, [...Object.keys(TYPES), HALF].join(', '), descriptor ?? 'no plain type');
  const [, fortran] = /'fortran_order':\s*(True|False)/.exec(header) ?? [];
  if (!fortran) throw bad(`the order of ${name}`, "'fortran_order' True or False", 'neither');
  const sizes = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1];
  const shape = sizes
    ?.split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  if (!shape || shape.length > MAX_RANK || !shape.every(Number.isSafeInteger))
    throw bad(`the shape of ${name}`, `at most ${MAX_RANK} whole numbers`, header);
  const data = bytes.slice(start + length);
  const expected = shape.reduce((product, size) => product * size, type.BYTES_PER_ELEMENT);
  if (data.length !== expected) throw bad(`the data of ${name}`, `${expected} bytes as its shape (${shape}) says`, `${data.length} bytes`);
  const stored = new type(data.buffer);
  const values = descriptor === HALF ? Float32Array.from(stored as Uint16Array, fromHalf) : stored;
  return { shape, values: fortran === 'True' ? lastFastest(values, shape) : values };
}

/** The number that 16 bits name: a sign, five bits of exponent, ten of fraction (IEEE 754 binary16). */
function fromHalf(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const finite = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  const size = exponent < 31 ? finite : fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  return bits & 0x8000 ? -size : size;
}

/** Values whose first index runs fastest (Fortran's order), in C's order. */
function lastFastest(values: NumpyValues, shape: readonly number[]): NumpyValues {
  const out = values.slice();
  for (let at = 0; at < values.length; at++) {
    let [place, left] = [0, at];
    for (const size of shape) {
      place = place * size + (left % size);
      left = Math.floor(left / size);
    }
    out[place] = values[at];
  }
  return out;
}

/**
 * The arrays of an .npz file by name, in the file's order.
 * @param limit bytes that all arrays may take
 * @throws SeedmaskError bad-checkpoint, or over-limit before memory is taken
 */
export function readNpz(bytes: Uint8Array, limit = DEFAULT_LIMITS.maxFileBytes): ReadonlyMap<string, NumpyArray> {
  let total = 0;
  let count = 0;
  const admit = ({ name, size, originalSize }: UnzipFileInfo): boolean => {
    // What is stored as it is takes the bytes of its body, whatever it says of itself.
    total += Math.max(size, originalSize);
    if (total > limit)
      throw new SeedmaskError('over-limit', { field: `${name} in the .npz file`, got: `${total} bytes`, expected: `${limit} bytes` });
    if (++count > MAX_ARRAYS)
      throw new SeedmaskError('over-limit', { field: 'the .npz file', got: `${count} arrays`, expected: MAX_ARRAYS });
    return name.endsWith('.npy');
  };
  let files: Record<string, Uint8Array>;
  try {
    files = unzipSync(bytes, { filter: admit });
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw bad('the .npz file', 'a zip of .npy files', (error as Error).message);
  }
  return new Map(
    Object.entries(files).map(([file, array]) => {
      const name = file.slice(0, -'.npy'.length);
      return [name, readNpy(array, name)];
    }),
  );
}
