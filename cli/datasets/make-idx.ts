// The IDX files of the data sets known by name, made of what their npm packages hold (known.ts).
//
// MNIST's package holds IDX files already. CIFAR-10's holds PNG files with an image a row, 32 x 32 pixels one after the other;
// they are decoded once, because that takes ten times as long as reading the IDX files.

import { decodePng } from '../../server/requests/png.js';
import { toIdx } from '../../src/data.js';
import { KNOWN, type KnownName } from './known.js';

/** Every file a data set has, of its package's files. */
export const MAKE: Record<KnownName, (source: (file: string) => Uint8Array) => Record<string, Uint8Array>> = {
  mnist: (source) => Object.fromEntries(Object.keys(KNOWN.mnist.files).map((file) => [file, source(file)])),
  cifar10: (source) => {
    const train = [1, 2, 3, 4, 5].map((batch) => source(`data_batch_${batch}.png`));
    return {
      'train-images-idx4-ubyte': imagesOfRows(train, 10_000, 32, 32),
      'train-labels-idx1-ubyte': labelsOfJson(source('train_lables.json')),
      't10k-images-idx4-ubyte': imagesOfRows([source('test_batch.png')], 10_000, 32, 32),
      't10k-labels-idx1-ubyte': labelsOfJson(source('test_lables.json')),
    };
  },
};

/** An IDX file, rows x height x width x 3, of RGB PNG files that hold one image of height x width pixels in each of their rows. */
export function imagesOfRows(files: readonly Uint8Array[], rows: number, height: number, width: number): Uint8Array {
  const values = new Uint8Array(files.length * rows * height * width * 3);
  files.forEach((file, i) => {
    values.set(decodePng(file, [rows, height * width, 3]), (i * values.length) / files.length);
  });
  return toIdx([files.length * rows, height, width, 3], values);
}

/** An IDX file of a JSON list of labels. */
export function labelsOfJson(json: Uint8Array): Uint8Array {
  const labels = Uint8Array.from(JSON.parse(new TextDecoder().decode(json)) as number[]);
  return toIdx([labels.length], labels);
}
