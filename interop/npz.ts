// NumPy's files: .npy, one array behind a line of Python literals, and .npz, a zip of them (numpy.org/doc/stable/reference/generated/
// numpy.lib.format.html). Nothing is trusted: sizes are limited before memory is taken, files are those that were zipped, and an array has
// the bytes its shape says.

import { type UnzipFileInfo, type Zippable, zipSync } from 'fflate';
import { DEFAULT_LIMITS, SeedmaskError } from '../codec/index.js';
import { numberBytes } from '../codec/safetensors.js';
import { HALF, type NumberArray, type NumberArrayConstructor, type NumberType, stored, type UnreadArray } from './numbers.js';
import { unzip } from './zip.js';

export interface NumpyArray {
  readonly shape: readonly number[];
  readonly values: NumberArray;
}

/** By their descriptors. */
const TYPES = new Map<string, NumberArrayConstructor>([
  ['<f4', Float32Array],
  ['<f8', Float64Array],
  ['|u1', Uint8Array],
  ['|i1', Int8Array],
  ['<i2', Int16Array],
  ['<u2', Uint16Array],
  ['<i4', Int32Array],
  ['<u4', Uint32Array],
  ['<i8', BigInt64Array],
  ['<u8', BigUint64Array],
]);
/** What is read besides is written as another. */
const READ = new Map<string, NumberType>([
  ...[...TYPES].map(([descriptor, type]) => [descriptor, stored(type)] as const),
  ['|b1', stored(Uint8Array)],
  ['<f2', HALF],
]);
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_HEADER = 4096;
const MAX_RANK = 8;
const MAX_ARRAYS = 4096;
/** The earliest that a zip can say: same arrays, same bytes. */
const NO_TIME = new Date(1980, 0, 1);

const bad = (field: string, expected: string, got: unknown) => new SeedmaskError('bad-checkpoint', { field, expected, got });

/** The bytes of an .npy file: of numbers, or of a list of texts, which NumPy holds in UTF-32, all as wide as the longest. */
export function writeNpy(array: NumpyArray | readonly string[]): Uint8Array {
  if ('values' in array && 'shape' in array) {
    const [descriptor] = [...TYPES].find(([, type]) => array.values instanceof type)!;
    return npy(descriptor, array.shape, numberBytes(array.values));
  }
  const texts = array.map((text) => Array.from(text, (letter) => letter.codePointAt(0) as number));
  const width = Math.max(1, ...texts.map((letters) => letters.length));
  const letters = new Uint32Array(texts.length * width);
  texts.forEach((text, i) => {
    letters.set(text, i * width);
  });
  return npy(`<U${width}`, [texts.length], numberBytes(letters));
}

function npy(descriptor: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const sizes = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  const dictionary = `{'descr': '${descriptor}', 'fortran_order': False, 'shape': ${sizes}, }`;
  // Data begins at a multiple of 64.
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + length + data.length);
  bytes.set([...MAGIC, 1, 0, length & 255, length >> 8]);
  bytes.set(new TextEncoder().encode(`${dictionary.padEnd(length - 1)}\n`), 10);
  bytes.set(data, 10 + length);
  return bytes;
}

/** The bytes of an .npz file: same arrays, same bytes. */
export function writeNpz(arrays: Iterable<readonly [string, NumpyArray | readonly string[]]>): Uint8Array {
  const files: Zippable = {};
  for (const [name, array] of arrays) files[`${name}.npy`] = [writeNpy(array), { mtime: NO_TIME }];
  return zipSync(files);
}

/** bool is read as uint8, float16 as float32. @throws SeedmaskError bad-checkpoint */
export function readNpy(bytes: Uint8Array, name: string): NumpyArray | UnreadArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte)) throw bad(name, 'a NumPy array', 'no .npy header');
  const start = bytes[6] === 1 ? 10 : 12;
  const length = start === 10 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length)
    throw bad(`the header of ${name}`, `at most ${MAX_HEADER} bytes`, `${length} bytes`);
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const [, descriptor = 'no plain type'] = /'descr':\s*'([^']+)'/.exec(header) ?? [];
  const [, fortran] = /'fortran_order':\s*(True|False)/.exec(header) ?? [];
  if (!fortran) throw bad(`the order of ${name}`, "'fortran_order' True or False", 'neither');
  const sizes = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1];
  const shape = sizes
    ?.split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  if (!shape || shape.length > MAX_RANK || !shape.every(Number.isSafeInteger))
    throw bad(`the shape of ${name}`, `at most ${MAX_RANK} whole numbers`, header);
  const type = READ.get(descriptor);
  if (!type) return { shape, type: descriptor };
  const data = new Uint8Array(bytes.subarray(start + length));
  const expected = shape.reduce((product, size) => product * size, type.bytes);
  if (data.length !== expected) throw bad(`the data of ${name}`, `${expected} bytes as its shape (${shape}) says`, `${data.length} bytes`);
  const values = type.read(data);
  return { shape, values: fortran === 'True' ? lastFastest(values, shape) : values };
}

/** Values whose first index runs fastest (Fortran's order), in C's order. */
function lastFastest(values: NumberArray, shape: readonly number[]): NumberArray {
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
export function readNpz(bytes: Uint8Array, limit = DEFAULT_LIMITS.maxFileBytes): ReadonlyMap<string, NumpyArray | UnreadArray> {
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
  return new Map(
    [...unzip(bytes, admit)].map(([file, array]) => {
      const name = file.slice(0, -'.npy'.length);
      return [name, readNpy(array, name)];
    }),
  );
}
