// Rows as objects, as tables are written: every number by its name, words where the task has categories, whatever stands beside them. Each
// form gives what the list of the same numbers gives, from both clients too.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '../client/index.js';
import { PIXELS_TRANSFORM } from '../codec/index.js';
import type { Listening } from '../server/index.js';
import { encodeMsgpack } from '../server/requests/msgpack.js';
import { rowReader, unnamed } from '../server/requests/named-rows.js';
import { readExamples } from '../server/requests/tfserving-bodies.js';
import { featureBytes } from '../src/features.js';
import { oneTask, PYTHON, post, serve, storeOf, tinyNetwork } from './server.material.js';

const names = ['age', 'sex=female', 'sex=male', 'length', 'a=b=c', 'constructor'];
const features = { low: new Float32Array(6), scale: Float32Array.of(2, 255, 255, 10, 255, 1), names };
const network = tinyNetwork([1, 1, 6], 3);
const PEOPLE = [
  { age: 22, sex: 'male', length: 1.5, 'a=b': 'c', ['constructor']: 7 },
  { age: 0.5, sex: 'female', length: 20, 'a=b=c': 0, ['constructor']: 0 },
];
const LISTS = [
  [22, 0, 1, 1.5, 1, 7],
  [0.5, 1, 0, 20, 0, 0],
];

let server: Listening;
let want: { label: string; probabilities: number[] }[];
beforeAll(async () => {
  const nameless = { ...PIXELS_TRANSFORM, features: { low: features.low, scale: features.scale } };
  server = await serve({
    store: await storeOf({
      'people.smk': oneTask(network, ['a', 'b', 'c'], { transform: { ...PIXELS_TRANSFORM, features } }),
      'nameless.smk': oneTask(network, ['a', 'b', 'c'], { transform: nameless }),
      'tiny.smk': oneTask(tinyNetwork()),
    }),
  });
  want = (await post(`${server.url}/tasks/people/classify`, { instances: LISTS })).json.predictions;
  expect(want[0]).not.toEqual(want[1]);
});
afterAll(() => server.close());

const classify = async (body: unknown, task = 'people') => (await post(`${server.url}/tasks/${task}/classify`, body)).json;

test('classify takes objects as instances, alone, as the whole body, among lists, and in msgpack', async () => {
  expect((await classify({ instances: PEOPLE })).predictions).toEqual(want);
  expect((await classify(PEOPLE)).predictions).toEqual(want);
  expect((await classify({ instances: PEOPLE[1] })).predictions).toEqual([want[1]]);
  expect((await classify({ instances: [LISTS[0], PEOPLE[1]] })).predictions).toEqual(want);
  expect((await classify({ instances: LISTS.map((row) => ({ features: row })) })).predictions).toEqual(want);
  const packed = await fetch(`${server.url}/tasks/people/classify`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/msgpack' },
    body: Uint8Array.from(encodeMsgpack({ instances: PEOPLE })),
  });
  expect(((await packed.json()) as { predictions: unknown }).predictions).toEqual(want);
});

test('what stands beside the names is left alone, and a large body is read in a thread', async () => {
  const more = PEOPLE.map((row, i) => ({ id: i, label: 'b', ...row }));
  expect((await classify({ instances: more })).predictions).toEqual(want);
  const many = Array.from({ length: 2000 }, (_, i) => more[i % 2]);
  expect(JSON.stringify(many).length).toBeGreaterThan(64 * 1024);
  expect((await classify({ instances: many })).predictions).toEqual(many.map((_, i) => want[i % 2]));
});

test('TensorFlow Serving: predict in row form, and examples with what they share', async () => {
  const { predictions } = (await post(`${server.url}/v1/models/people:predict`, { instances: PEOPLE })).json;
  expect(predictions).toEqual(want.map(({ probabilities }) => probabilities));
  const { age, sex, ...context } = PEOPLE[0];
  const { results } = (await post(`${server.url}/v1/models/people:classify`, { context, examples: [{ age, sex }, PEOPLE[1]] })).json;
  expect(results.map((scores: [string, number][]) => scores.map(([, p]) => p))).toEqual(predictions);
});

test.each([
  ['a number that lacks', { sex: 'male' }, '/instances/0', /age, sex=female/, 'no "age"'],
  ['a category that the task does not know', { ...PEOPLE[0], sex: 'Male' }, '/instances/0/sex', /female, male/, '"Male"'],
  ['a number for a category', { ...PEOPLE[0], sex: 1 }, '/instances/0/sex', /female, male/, '1'],
  ['text for a number', { ...PEOPLE[0], age: '22' }, '/instances/0/age', /a finite number/, '"22"'],
  ['null', { ...PEOPLE[0], age: null }, '/instances/0/age', /a finite number/, 'null'],
  ['null for a category', { ...PEOPLE[0], sex: null }, '/instances/0/sex', /one of "female, male"/, 'null'],
  ['a number that every object has', { ...PEOPLE[1], constructor: undefined }, '/instances/0', /age, sex/, 'no "constructor"'],
  ['nothing', {}, '/instances/0', /one feature 'features'/, 'no "age"'],
])('%s is refused in one line', async (_, instance, field, expected, got) => {
  expect(await classify({ instances: [instance] })).toMatchObject({ field, expected: expect.stringMatching(expected), got });
});

test('tasks whose values have no names take the one feature, or lists', async () => {
  expect((await classify({ instances: LISTS.map((row) => ({ features: row })) }, 'nameless')).predictions).toEqual(want);
  expect(await classify({ instances: PEOPLE }, 'nameless')).toMatchObject({ field: '/instances/0', got: '[] (it is an object)' });
  const { predictions } = await classify({ instances: [[1, 2, 3, 4]] }, 'tiny');
  for (const input of ['pixels', 'features']) {
    expect((await classify({ instances: [{ [input]: [1, 2, 3, 4] }] }, 'tiny')).predictions).toEqual(predictions);
    const predicted = await post(`${server.url}/v1/models/tiny:predict`, { instances: [{ [input]: [1, 2, 3, 4] }] });
    expect(predicted.json.predictions).toEqual([predictions[0].probabilities]);
  }
});

test('booleans and numbers are the words that a table has for them, and keys in another order are found again', async () => {
  const read = rowReader({ name: 'features', columns: ['a=False', 'a=True', 'b', 'c/d=1', 'c/d=2.0'] });
  expect(read({ a: true, b: 3, 'c/d': 1 }, '')).toEqual([0, 1, 3, 1, 0]);
  expect(read({ b: 4, 'c/d': 2, a: 'False' }, '')).toEqual([1, 0, 4, 0, 1]);
  expect(read({ 'a=True': 0.25, 'a=False': 0.75, b: 4, 'c/d': '2.0' }, '')).toEqual([0.75, 0.25, 4, 0, 1]);
  expect(() => read({ a: 1, b: 4, 'c/d': 2 }, '/0')).toThrow(
    /^\/0\/a is 1, expected one of "False, True"\. For one that is missing send "a=False" and so/,
  );
  expect(() => read({ a: true, b: 4, 'c/d': 3 }, '/0')).toThrow(/^\/0\/c~1d is 3, expected one of "1, 2\.0"/);
});

test('a word that stands for many numbers is counted as they are before there are any', async () => {
  const columns = Array.from({ length: 2 ** 14 }, (_, i) => `w=${i}`);
  const input = { name: 'features', columns };
  expect(unnamed([{ w: '7' }], input, 100, '')).toEqual([columns.map((_, i) => Number(i === 7))]);
  const many = Array.from({ length: 65 }, () => ({ w: '7' }));
  expect(() => unnamed(many, input, 100, '/instances')).toThrow(/number of rows in \/instances is 65, (the limit is|expected) 64/);
  expect(() => unnamed(many, { name: 'features', columns: ['w'] }, 64, '')).toThrow(/65/);
  const context = Object.fromEntries(columns.map((_, i) => [`x${i}`, 0]));
  const body = Buffer.from(JSON.stringify({ context, examples: many.map(() => ({ w: 1 })) }));
  expect(() => readExamples(body, { shape: [1, 1, 1], limit: 100, input: { name: 'features', columns: ['w'] } })).toThrow(/is 65, .* 63/);
});

test('what stands for a missing number is told, and becomes the byte 128', async () => {
  const { means } = await createClient({ url: server.url }).task('people');
  expect(means).toEqual([64, 128 / 255, 128 / 255, 12.8, 128 / 255, 128].map((value) => expect.closeTo(value, 5)));
  expect([...featureBytes(means!, features)]).toEqual(Array(6).fill(128));
  expect((await createClient({ url: server.url }).task('tiny')).means).toBeUndefined();
});

test('the typed client sends rows by name', async () => {
  const client = createClient({ url: server.url });
  expect(await client.classify('people', PEOPLE)).toEqual(want);
  expect(await client.classify('people', LISTS)).toEqual(want);
  expect(
    await client.classify(
      'people',
      LISTS.map((row) => Float32Array.from(row)),
    ),
  ).toEqual(want);
  expect(await client.classify('people', [{ ...LISTS[0], length: 6 }])).toEqual([want[0]]);
});

test.skipIf(!PYTHON && !process.env['CI'])('client/client.py sends rows by name', async () => {
  const script = `
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from client import Client
rows = json.loads(sys.argv[3])
rows[0]["age"] = np.float64(rows[0]["age"])
labels, probabilities = Client(sys.argv[2]).classify("people", rows)
print(json.dumps({"labels": labels, "probabilities": probabilities.tolist()}))
`;
  const folder = join(import.meta.dirname, '../client');
  const { stdout } = await promisify(execFile)(PYTHON ?? 'python3', ['-c', script, folder, server.url, JSON.stringify(PEOPLE)]);
  const { labels, probabilities } = JSON.parse(stdout);
  expect(labels).toEqual(want.map(({ label }) => label));
  expect(probabilities).toEqual(want.map((row) => row.probabilities.map(Math.fround)));
});
