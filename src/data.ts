// Bytes to typed arrays: IDX files (MNIST and its like), CIFAR-10's binary batches, and the seeded split into training and
// validation rows. The caller reads the files; nothing here touches a disk. No file makes an array larger than itself.

import type { Features } from './features.js';
import { checkShape, type Shape, size } from './network.js';
import { DOMAIN, permutation, type Seed } from './random.js';

/** Labelled images: rows x inputs uint8, sample-major (NHWC), one label a row. */
export interface Dataset {
  readonly input: Shape;
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  /** What the labels 0, 1, .. are called, where the data says so. */
  readonly names?: readonly string[];
  /** How the bytes were made of numbers, where the data has other values than bytes. */
  readonly features?: Features;
}

export class DataError extends Error {
  override readonly name = 'DataError';
}

/** Throws ShapeError for another form of input, DataError for images or labels that are other values, or not as many. */
export function checkDataset({ input, images, labels }: Dataset): void {
  checkShape(input);
  checkBytes('images', images, 'featureBytes makes bytes of other numbers');
  checkBytes('labels', labels, 'they are classes 0, 1, .., and names says what these are called');
  const expected = labels.length * size(input);
  if (images.length !== expected)
    throw new DataError(`${labels.length} labels and input [${input}] need ${expected} values in images, got ${images.length}`);
}

/** Arrays of bytes, also of another frame or of a canvas. */
const BYTES = /^\[object Uint8(Clamped)?Array\]$/;

/** Other arrays would pass for bytes, and mean something else. */
function checkBytes(what: string, values: object | undefined, hint: string): void {
  if (!BYTES.test(Object.prototype.toString.call(values)))
    throw new DataError(`${what} must be a Uint8Array, got ${values?.constructor.name}: ${hint}`);
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

/** The IDX file of uint8 values of a shape of 1 to 4 dimensions: what parseIdx reads. */
export function toIdx(shape: readonly number[], values: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length);
  bytes.set([0, 0, 8, shape.length]);
  const view = new DataView(bytes.buffer);
  shape.forEach((size, i) => {
    view.setUint32(4 + 4 * i, size);
  });
  bytes.set(values, 4 + 4 * shape.length);
  return bytes;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(' ') || 'nothing';

/**
 * Images and labels of one IDX pair: rows x height x width, or with channels behind, and rows labels.
 * @param name of the set, for messages
 * @throws DataError when one is no IDX file of uint8, images have no height and width, or there are more of one than of the other
 */
export function datasetFromIdx(images: Uint8Array, labels: Uint8Array, name: string): Dataset {
  const pixels = parseIdx(images, `${name} images`);
  const classes = parseIdx(labels, `${name} labels`);
  if (pixels.shape.length < 3) throw new DataError(`${name} images: expected rows x height x width, got ${pixels.shape.join(' x ')}`);
  if (classes.values.length !== pixels.shape[0]) {
    throw new DataError(`${name}: ${pixels.shape[0]} images but ${classes.values.length} labels`);
  }
  return { input: [pixels.shape[1], pixels.shape[2], pixels.shape[3] ?? 1], images: pixels.values, labels: classes.values };
}

const CIFAR = { height: 32, width: 32, channels: 3, classes: 10 } as const;

/** What CIFAR-10 shows, by label: the order of its batches.meta.txt (https://www.cs.toronto.edu/~kriz/cifar.html). */
export const CIFAR10_CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'] as const;

/**
 * Images and labels of CIFAR-10 batches in order (binary version, https://www.cs.toronto.edu/~kriz/cifar.html): records of a label
 * byte, then 32 x 32 values of red, of green and of blue, row by row.
 * @throws DataError when a length is no multiple of 3,073 bytes or a label is above 9
 */
export function datasetFromCifar(batches: readonly Uint8Array[], name: string): Dataset {
  const { height, width, channels, classes } = CIFAR;
  const plane = height * width;
  const record = 1 + channels * plane;
  batches.forEach((batch, b) => {
    if (batch.length === 0 || batch.length % record !== 0) {
      throw new DataError(`${name} batch ${b + 1}: expected records of ${record} bytes, got ${batch.length} bytes`);
    }
    for (let at = 0; at < batch.length; at += record) {
      if (batch[at] >= classes)
        throw new DataError(`${name} batch ${b + 1}: record ${at / record} has label ${batch[at]}, expected 0 to ${classes - 1}`);
    }
  });
  const rows = batches.reduce((sum, batch) => sum + batch.length / record, 0);
  const images = new Uint8Array(rows * channels * plane);
  const labels = new Uint8Array(rows);
  let row = 0;
  for (const batch of batches) {
    for (let at = 0; at < batch.length; at += record, row++) {
      labels[row] = batch[at];
      const image = images.subarray(row * channels * plane, (row + 1) * channels * plane);
      for (let c = 0; c < channels; c++)
        for (let pixel = 0; pixel < plane; pixel++) image[pixel * channels + c] = batch[at + 1 + c * plane + pixel];
    }
  }
  return { input: [height, width, channels], images, labels };
}

export interface Split {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * `validation` rows drawn by the seed, the rest for training; both ascending. The paper: 55,000 / 5,000 of MNIST.
 * @param rows how many there are, numbered from 0
 * @param validation how many of them validate
 * @throws DataError unless at least one row is left for each
 */
export function split(rows: number, validation: number, seed: Seed): Split {
  if (rows < 2) throw new DataError(`rows for training and rows for validation need two at least, got ${rows}`);
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

/**
 * A copy of the images of some rows, for evaluation.
 * @throws ShapeError, DataError when the data is no Dataset or has no such row
 */
export function imagesOf(data: Dataset, rows: Uint32Array): Uint8Array {
  checkThere(data, rows);
  const { input, images } = data;
  const width = input[0] * input[1] * input[2];
  const out = new Uint8Array(rows.length * width);
  rows.forEach((row, i) => {
    out.set(images.subarray(row * width, (row + 1) * width), i * width);
  });
  return out;
}

/**
 * The labels of some rows.
 * @throws ShapeError, DataError when the data is no Dataset or has no such row
 */
export function labelsOf(data: Dataset, rows: Uint32Array): Uint8Array {
  checkThere(data, rows);
  return Uint8Array.from(rows, (row) => data.labels[row]);
}

function checkThere(data: Dataset, rows: Uint32Array): void {
  checkDataset(data);
  const { labels } = data;
  const row = rows.find((index) => index >= labels.length);
  if (row !== undefined) throw new DataError(`there is no row ${row}: the data has the rows 0 to ${labels.length - 1}`);
}

/**
 * The task of a permuted data set: pixel i of a row is pixel order[i] of the original, and a class c is called order[c]. Every channel is
 * an input of its own. null leaves the pixels, or the classes, where they are.
 * @param classes how many classes there are
 * @param out where to write permuted images, as many values as there are
 */
export function permuted(
  { input, images, labels }: Dataset,
  pixels: Seed | null,
  classLabels: Seed | null,
  { classes = 10, out }: { readonly classes?: number; readonly out?: Uint8Array } = {},
): Dataset {
  const names = classLabels && permutation(classes, classLabels, DOMAIN.labelPermutation);
  return {
    input,
    images: pixels ? permutedPixels(images, permutation(input[0] * input[1] * input[2], pixels, DOMAIN.pixelPermutation), out) : images,
    labels: names ? labels.map((label) => names[label]) : labels,
  };
}

/** Rows whose value i is value order[i] of the original row. */
export function permutedPixels(images: Uint8Array, order: Uint32Array, out: Uint8Array = new Uint8Array(images.length)): Uint8Array {
  for (let row = 0; row < images.length; row += order.length) for (let i = 0; i < order.length; i++) out[row + i] = images[row + order[i]];
  return out;
}
