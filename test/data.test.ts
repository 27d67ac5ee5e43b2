// Bytes to labelled images: IDX both ways, CIFAR-10's batches beside plain indexing, and files that are not what they say.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DataError, datasetFromCifar, datasetFromIdx, imagesOf, labelsOf, parseIdx, permuted, toIdx } from '../src/data.js';
import { DOMAIN, permutation } from '../src/random.js';

const RECORD = 3073;

/** A batch with these labels and values that tell every place of every record apart. */
function batchOf(labels: readonly number[], salt = 0): Uint8Array {
  const batch = Uint8Array.from({ length: labels.length * RECORD }, (_, i) => (i * 7 + (i >> 8) * 13 + salt) & 255);
  labels.forEach((label, row) => {
    batch[row * RECORD] = label;
  });
  return batch;
}

test('an IDX file of any shape reads back as it was written', () => {
  const shapes = fc.array(fc.nat(5), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(shapes, fc.infiniteStream(fc.nat(255)), (shape, stream) => {
      const values = Uint8Array.from(stream.take(shape.reduce((a, b) => a * b, 1)));
      expect(parseIdx(toIdx(shape, values), 'x')).toEqual({ shape, values });
    }),
  );
});

test('the bytes of an IDX file are those of the published description', () => {
  // http://yann.lecun.com/exdb/mnist: magic 00 00 08 rank, then big-endian sizes, then values.
  expect([...toIdx([2, 258], new Uint8Array(516).fill(9)).subarray(0, 13)]).toEqual([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 1, 2, 9]);
});

test.each<[what: string, bytes: Uint8Array, line: RegExp]>([
  ['nothing', new Uint8Array(0), /x is not an IDX file of uint8: begins with nothing/],
  ['floats', Uint8Array.from([0, 0, 13, 1, 0, 0, 0, 0]), /begins with 00 00 0d 01/],
  ['rank 0', Uint8Array.from([0, 0, 8, 0, 0, 0, 0, 0]), /rank must be 1 to 4, got 0/],
  ['rank 5', Uint8Array.from([0, 0, 8, 5, ...new Uint8Array(20)]), /rank must be 1 to 4, got 5/],
  ['a shape without its numbers', Uint8Array.from([0, 0, 8, 4, 0, 0, 0, 1]), /rank must be 1 to 4/],
  ['a value too few', toIdx([2, 3], new Uint8Array(5)), /2 x 3 needs 6 values, the file has 5/],
  ['a value too many', toIdx([2, 3], new Uint8Array(7)), /2 x 3 needs 6 values, the file has 7/],
  ['2^128 values', Uint8Array.from([0, 0, 8, 4, ...new Uint8Array(16).fill(255)]), /needs 3\.40.*e\+38 values, the file has 0/],
])('an IDX file with %s is refused', (_, bytes, line) => {
  expect(() => parseIdx(bytes, 'x')).toThrow(DataError);
  expect(() => parseIdx(bytes, 'x')).toThrow(line);
});

test('IDX pairs of rank 3 are grey, of rank 4 have channels; other ranks and counts are refused', () => {
  const labels = toIdx([2], Uint8Array.of(4, 1));
  const values = Uint8Array.from({ length: 36 }, (_, i) => i);
  expect(datasetFromIdx(toIdx([2, 2, 3, 3], values), labels, 'x')).toEqual({
    input: [2, 3, 3],
    images: values,
    labels: Uint8Array.of(4, 1),
  });
  expect(datasetFromIdx(toIdx([2, 9, 2], values), labels, 'x').input).toEqual([9, 2, 1]);
  expect(() => datasetFromIdx(toIdx([2, 18], values), labels, 'x')).toThrow(/expected rows x height x width, got 2 x 18/);
  expect(() => datasetFromIdx(toIdx([3, 4, 3], values), labels, 'x')).toThrow(/3 images but 2 labels/);
});

test('a CIFAR record of three plain colours becomes pixels of red, green, blue', () => {
  const record = new Uint8Array(RECORD);
  record[0] = 9;
  record.fill(200, 1, 1025).fill(100, 1025, 2049).fill(50, 2049);
  record[1 + 33] = 7; // the red of row 1, column 1
  const { input, images, labels } = datasetFromCifar([record], 'x');
  expect(input).toEqual([32, 32, 3]);
  expect([...labels]).toEqual([9]);
  expect([...images.subarray(0, 6)]).toEqual([200, 100, 50, 200, 100, 50]);
  expect([...images.subarray(33 * 3, 34 * 3)]).toEqual([7, 100, 50]);
});

test('CIFAR batches of any lengths come in order, every value in its place', () => {
  const batches = fc.array(fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(batches, (all) => {
      const files = all.map((labels, i) => batchOf(labels, i));
      const { images, labels } = datasetFromCifar(files, 'x');
      expect([...labels]).toEqual(all.flat());
      const records = all.flatMap((list, i) => list.map((_, row) => files[i].subarray(row * RECORD + 1, (row + 1) * RECORD)));
      const wanted = records.flatMap((planes) =>
        Array.from({ length: 1024 }, (_, pixel) => [planes[pixel], planes[1024 + pixel], planes[2048 + pixel]]).flat(),
      );
      expect(Buffer.compare(images, Uint8Array.from(wanted))).toBe(0);
    }),
    { numRuns: 20 },
  );
});

test.each<[what: string, batches: Uint8Array[], line: RegExp]>([
  ['an empty batch', [batchOf([1]), new Uint8Array(0)], /x batch 2: expected records of 3073 bytes, got 0 bytes/],
  ['a record cut short', [batchOf([1, 2]).subarray(0, 2 * RECORD - 1)], /batch 1: expected records of 3073 bytes, got 6145 bytes/],
  ['a byte too many', [new Uint8Array(RECORD + 1)], /got 3074 bytes/],
  ['CIFAR-100 records', [new Uint8Array(3074)], /got 3074 bytes/],
  ['label 10', [batchOf([0]), batchOf([1, 9, 10])], /batch 2: record 2 has label 10, expected 0 to 9/],
])('CIFAR batches with %s are refused', (_, batches, line) => {
  expect(() => datasetFromCifar(batches, 'x')).toThrow(DataError);
  expect(() => datasetFromCifar(batches, 'x')).toThrow(line);
});

test('changed and shortened files give a data set of the announced size or a DataError, never anything else', () => {
  const idx = toIdx([2, 3, 2, 3], new Uint8Array(36).fill(5));
  const labels = toIdx([2], Uint8Array.of(3, 7));
  const change = fc.record({ at: fc.nat(), value: fc.nat(255), length: fc.nat() });
  const changed = (bytes: Uint8Array, { at, value, length }: { at: number; value: number; length: number }) => {
    const copy = bytes.slice();
    copy[at % copy.length] = value;
    return length % 3 === 0 ? copy.subarray(0, length % (copy.length + 1)) : copy;
  };
  let [whole, refused] = [0, 0];
  const settles = (read: () => { input: readonly number[]; images: Uint8Array; labels: Uint8Array }) => {
    try {
      const { input, images, labels: found } = read();
      expect(images.length).toBe(found.length * input[0] * input[1] * input[2]);
      whole++;
    } catch (error) {
      expect(error).toBeInstanceOf(DataError);
      refused++;
    }
  };
  fc.assert(
    fc.property(change, (c) => {
      settles(() => datasetFromIdx(changed(idx, c), labels, 'x'));
      settles(() => datasetFromIdx(idx, changed(labels, c), 'x'));
      settles(() => datasetFromCifar([batchOf([3]), changed(batchOf([4, 5]), { ...c, at: (c.at % 2) * RECORD })], 'x'));
    }),
    { seed: 10, numRuns: 300 },
  );
  expect(Math.min(whole, refused)).toBeGreaterThan(50);
});

test('rows that are not there are refused, in place of black images of class 0', () => {
  const data = { input: [1, 1, 2] as const, images: Uint8Array.of(1, 2, 3, 4), labels: Uint8Array.of(5, 6) };
  expect([imagesOf(data, Uint32Array.of(1)), labelsOf(data, Uint32Array.of(1))]).toEqual([Uint8Array.of(3, 4), Uint8Array.of(6)]);
  for (const of of [imagesOf, labelsOf]) {
    expect(() => of(data, Uint32Array.of(0, 2))).toThrow(new DataError('there is no row 2: the data has the rows 0 to 1'));
    expect(() => of({ ...data, input: [1, 1, 3] }, Uint32Array.of(1))).toThrow(DataError);
  }
});

test('a permuted task moves pixels and renames classes by its seeds, and an un-permuting reader finds the original', () => {
  const data = { input: [2, 3, 1] as const, images: Uint8Array.from({ length: 12 }, (_, i) => i), labels: Uint8Array.from([3, 7]) };
  const seed = { low: 5, high: 0 };
  const order = permutation(6, seed, DOMAIN.pixelPermutation);
  const names = permutation(10, seed, DOMAIN.labelPermutation);
  const both = permuted(data, seed, seed);
  expect([...order]).not.toEqual([0, 1, 2, 3, 4, 5]);
  for (const row of [0, 1]) for (let i = 0; i < 6; i++) expect(both.images[row * 6 + i]).toBe(data.images[row * 6 + order[i]]);
  expect([...both.labels]).toEqual([names[3], names[7]]);
  expect(permuted(data, null, null)).toEqual(data);
  expect(permuted(data, seed, null).labels).toEqual(data.labels);
  expect(permuted(data, null, seed).images).toEqual(data.images);
});
