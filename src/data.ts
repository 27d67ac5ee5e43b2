// Bytes to typed arrays: IDX files (MNIST and its like) and the seeded split into training and validation rows. The caller reads
// the files; nothing here touches a disk.

import type { Shape } from './network.js';
import { DOMAIN, permutation, type Seed } from './random.js';

/** Labelled images: rows x inputs uint8, sample-major (NHWC), one label a row. */
export interface Dataset {
  readonly input: Shape;
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

export class DataError extends Error {
  override readonly name = 'DataError';
}

/**
 * Parses an IDX file of uint8 (http://yann.lecun.com/exdb/mnist): 00 00 08 rank, rank big-endian u32 dimensions, values.
 * @throws DataError when magic, rank or length are not as announced
 */
export function parseIdx(bytes: Uint8Array, name: string): { shape: number[]; values: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || view.getUint16(0) !== 0 || bytes[2] !== 8) {
    throw new DataError(`${name} is not an IDX file of uint8: begins with ${hex(bytes.subarray(0, 4))}, expected 00 00 08 and the rank`);
  }
  const rank = bytes[3];
  if (rank < 1 || rank > 4 || bytes.length < 4 + 4 * rank) throw new DataError(`${name}: IDX rank must be 1 to 4, got ${rank}`);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const count = shape.reduce((a, b) => a * b, 1);
  const values = bytes.subarray(4 + 4 * rank);
  if (values.length !== count)
    throw new DataError(`${name}: IDX shape ${shape.join(' x ')} needs ${count} values, the file has ${values.length}`);
  return { shape, values };
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(' ') || 'nothing';

/** Images and labels of one IDX pair. */
export function datasetFromIdx(images: Uint8Array, labels: Uint8Array, name: string): Dataset {
  const pixels = parseIdx(images, `${name} images`);
  const classes = parseIdx(labels, `${name} labels`);
  if (pixels.shape.length < 3) throw new DataError(`${name} images: expected rows x height x width, got ${pixels.shape.join(' x ')}`);
  if (classes.values.length !== pixels.shape[0]) {
    throw new DataError(`${name}: ${pixels.shape[0]} images but ${classes.values.length} labels`);
  }
  return { input: [pixels.shape[1], pixels.shape[2], pixels.shape[3] ?? 1], images: pixels.values, labels: classes.values };
}

export interface Split {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/** `validation` rows drawn by the seed, the rest for training; both ascending. The paper: 55,000 / 5,000 of MNIST. */
export function split(rows: number, validation: number, seed: Seed): Split {
  if (!(Number.isInteger(validation) && validation > 0 && validation < rows)) {
    throw new DataError(`a validation set must have 1 to ${rows - 1} of the ${rows} rows, got ${validation}`);
  }
  const order = permutation(rows, seed, DOMAIN.dataSplit);
  return { validation: order.subarray(0, validation).slice().sort(), train: order.subarray(validation).slice().sort() };
}

/** The rows of one epoch in the order they are visited. */
export function epochOrder(rows: Uint32Array, seed: Seed, epoch: number): Uint32Array {
  return permutation(rows.length, seed, DOMAIN.batchOrder, epoch).map((i) => rows[i]);
}

/** A copy of the images of some rows, for evaluation. */
export function imagesOf({ input, images }: Dataset, rows: Uint32Array): Uint8Array {
  const width = input[0] * input[1] * input[2];
  const out = new Uint8Array(rows.length * width);
  rows.forEach((row, i) => {
    out.set(images.subarray(row * width, (row + 1) * width), i * width);
  });
  return out;
}

/** A copy of the rows with 0 in every input declared constant (one bit an input, least significant first). */
export function withConstants<T extends Uint8Array | Float32Array>(raw: T, constant: Uint8Array, width: number): T {
  const values = raw.slice() as T;
  for (let i = 0; i < values.length; i++) {
    const input = i % width;
    if ((constant[input >> 3] >> (input & 7)) & 1) values[i] = 0;
  }
  return values;
}
