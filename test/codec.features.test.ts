// Transforms with features: how raw numbers become bytes, stored per input. They come back as they were, in both readers, and a table that
// does not fit is refused.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Model, readModel, type Transform, writeModel } from '../codec/index.js';
import { asInputs } from '../src/features.js';
import { fullMask } from '../src/network.js';
import { dense, net } from './engine.material.js';
import { ROOT } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-features-'));
afterAll(() => rmSync(folder, { recursive: true }));

const network = net([1, 1, 11], dense(4, 'linear'));
const features = {
  low: Float32Array.from({ length: 11 }, (_, i) => -i / 3),
  scale: Float32Array.from({ length: 11 }, (_, i) => 32 * (i + 1)),
};
const NAMES = Array.from({ length: 11 }, (_, i) => (i === 4 ? 'Länge, mm' : `column ${i}`));
const modelOf = (transform: Transform): Model => ({
  network,
  tasks: [{ id: '', mask: fullMask(network, true), transform, labels: ['a', 'b'], data: null, logitScale: 1 }],
});
const pixels = { scale: Math.fround(1 / 255), mean: 0, constant: null };

test('every transform comes back, beside constant inputs and without, and reader.py agrees that the file is whole', () => {
  const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
  const eleven = fc.array(finite, { minLength: 11, maxLength: 11 }).map((values) => Float32Array.from(values));
  const constants = fc.option(fc.tuple(fc.nat(255), fc.nat(7)).map((bytes) => Uint8Array.from(bytes)));
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 9 }).filter((text) => !text.startsWith('\ufeff'));
  const called = fc.option(fc.uniqueArray(name, { minLength: 11, maxLength: 11 }));
  fc.assert(
    fc.property(eleven, eleven, constants, finite, called, (low, scale, constant, mean, names) => {
      const transform = { scale: 0.5, mean, constant, features: { low, scale, ...(names && { names }) } };
      const bytes = writeModel(modelOf(transform));
      expect(readModel(bytes).tasks[0].transform).toEqual(transform);
      expect(writeModel(readModel(bytes))).toEqual(bytes);
    }),
  );
  for (const [constant, names] of [[null], [Uint8Array.of(3, 4)], [null, NAMES]] as const) {
    const file = join(folder, 'x.smk');
    writeFileSync(file, writeModel(modelOf({ ...pixels, constant, features: { ...features, ...(names && { names }) } })));
    expect(() => execFileSync('/usr/bin/python3', [join(ROOT, 'codec/reader.py'), file], { encoding: 'utf8' })).not.toThrow();
  }
});

test('numbers become bytes, then constants 0', () => {
  const raw = Float32Array.from({ length: 22 }, (_, i) => (i % 11) / 7 - (i % 11) / 3);
  const bytes = asInputs(raw, { constant: Uint8Array.of(0b1000, 0), features }, 11);
  expect([...bytes.subarray(0, 11)]).toEqual(
    Array.from({ length: 11 }, (_, i) => (i === 3 ? 0 : Math.min(255, Math.round((i / 7) * 32 * (i + 1))))),
  );
  expect(bytes.subarray(11)).toEqual(bytes.subarray(0, 11));
  expect(asInputs(raw, { constant: null }, 11)).toBe(raw);
});
