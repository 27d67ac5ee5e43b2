// Transforms with features: how raw numbers become bytes, stored per input. They come back as they were, in both readers, and a table that
// does not fit is refused.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Model, readModel, SeedmaskError, type Transform, writeModel } from '../codec/index.js';
import { decode, encode, type Value } from '../codec/msgpack.js';
import { asInputs } from '../src/data.js';
import { fullMask } from '../src/network.js';
import { open, seal } from './attacks/files.js';
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
  base: { kind: 'none' },
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

const bytesOf = (low: Float32Array, scale: Float32Array) => new Uint8Array(Float32Array.from([...low, ...scale]).buffer);
const eleven = new Float32Array(11);
const fits = bytesOf(eleven, eleven);
test.each<[string, Uint8Array, Uint8Array, RegExp, Value?]>([
  ['a name too few', fits, new Uint8Array(0), /features names must be 11..11 long, got 10/, NAMES.slice(1)],
  ['an empty name', fits, new Uint8Array(0), /names\[1\] must be a text that is not empty/, NAMES.with(1, '')],
  ['a name twice', fits, new Uint8Array(0), /features names must be distinct/, NAMES.with(1, 'column 0')],
  ['names that are no list', fits, new Uint8Array(0), /features names must be a list, got 7/, 7],

  [
    'too few',
    bytesOf(eleven.subarray(8), eleven.subarray(8)),
    new Uint8Array(0),
    /transforms\[0\] features must be 88 bytes, got 24 bytes/,
  ],
  ['half of them', bytesOf(eleven, eleven.subarray(1)), new Uint8Array(0), /features must be bytes, 8 an input, got 84 bytes/],
  ['none', new Uint8Array(0), new Uint8Array(0), /features must be bytes, 8 an input, got 0 bytes/],
  ['NaN', bytesOf(eleven, Float32Array.from(eleven).fill(Number.NaN, 4)), new Uint8Array(0), /features must be a finite number, got null/],
  ['a constant of one byte', bytesOf(eleven, eleven), new Uint8Array(1), /constant inputs must be 11 bits with zero padding, got 1 bytes/],
])('%s: refused by both readers', (_, table, constant, line, names) => {
  const parts = open(writeModel(modelOf({ ...pixels, features })), 1);
  const values = decode(parts.header) as Value[];
  const sealed = (entry: Value[]) => seal(encode(values.map((value, i) => (i === 6 ? [entry] : value))), parts.tasks);
  const numbers = [{ f32: pixels.scale }, { f32: 0 }];
  expect(readModel(sealed([...numbers, new Uint8Array(0), bytesOf(features.low, features.scale)]))).toEqual(
    modelOf({ ...pixels, features }),
  );
  const named = [...numbers, new Uint8Array(0), bytesOf(features.low, features.scale), NAMES];
  expect(readModel(sealed(named))).toEqual(modelOf({ ...pixels, features: { ...features, names: NAMES } }));
  const bytes = sealed([...numbers, constant, table, ...(names === undefined ? [] : [names])]);
  expect(() => readModel(bytes)).toThrow(line);
  expect(() => readModel(bytes)).toThrow(SeedmaskError);
  writeFileSync(join(folder, 'wrong.smk'), bytes);
  expect(() => execFileSync('/usr/bin/python3', [join(ROOT, 'codec/reader.py'), join(folder, 'wrong.smk')], { stdio: 'pipe' })).toThrow();
});
