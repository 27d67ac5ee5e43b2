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
  // Bytes are what a raw body is: float32.
  const bytes = new Uint8Array(Float32Array.from(LISTS.flat()).buffer);
  const raw = await fetch(`${server.url}/tasks/people/classify`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/msgpack' },
    body: Uint8Array.from(encodeMsgpack({ instances: bytes })),
  });
  expect(((await raw.json()) as { predictions: unknown }).predictions).toEqual(want);
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
  ['a number beyond float32', { ...PEOPLE[0], age: 1e39 }, '/instances/0/age', /within float32/, '1e+39'],
  ['a word that lacks', { age: 1 }, '/instances/0', /age, sex/, 'neither "sex" nor "sex=female"'],
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
  // Codes: the same word before the same number, and none where several are.
  const codes = rowReader({ name: 'features', columns: ['k=7', 'k=007', 'k=1e3', 'k=0x10', 'k=5', 'k=05'] });
  expect([7, '7', '007', '1e3'].map((k) => codes({ k }, ''))).toEqual(
    [7, 7, 70, 700].map((_, i) => Array.from({ length: 6 }, (_, at) => Number(at === [0, 0, 1, 2][i]))),
  );
  for (const k of ['7.0', 1000, 16, '5.0', null, [7], 2 ** 53])
    expect(() => codes({ k }, ''), String(k)).toThrow(/expected one of "7, 007/);
  expect(codes({ k: 5 }, '')).toEqual([0, 0, 0, 0, 1, 0]);
  expect(() => read({ a: 'True', 'a=True': 1, b: 4, 'c/d': 2 }, '/0')).toThrow(/^\/0 .* "a=True" beside a word that says it/);
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
  // Rows that name their one input are as long as they are.
  const lists = many.map(() => ({ features: columns.map(() => 0) }));
  expect(unnamed(lists, input, 100, '')).toHaveLength(65);
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
client = Client(sys.argv[2])
labels, probabilities = client.classify("people", rows)
class Frame:
    """What a DataFrame has of use here."""
    columns = ["age", "sex"]
    def to_dict(self, how):
        assert how == "records"
        return rows
def refusal(call, *words):
    try:
        call(*words)
    except ValueError as error:
        return str(error)
print(json.dumps({
    "labels": labels,
    "probabilities": probabilities.tolist(),
    "frame": client.classify("people", Frame())[0],
    "refused": [
        refusal(client.classify, "people", [{**rows[0], "age": float("nan")}]),
        refusal(client.classify, "people", np.zeros((6, 2))),
        refusal(client.infer, "people", Frame()),
        refusal(client.classify, "tiny", np.zeros((1, 1, 2, 2))),
    ],
}))
`;
  const folder = join(import.meta.dirname, '../client');
  const { stdout } = await promisify(execFile)(PYTHON ?? 'python3', ['-c', script, folder, server.url, JSON.stringify(PEOPLE)]);
  const { labels, probabilities, frame, refused } = JSON.parse(stdout);
  expect(frame).toEqual(labels);
  expect(refused).toEqual([
    'age of row 0 is nan: for one that is missing send the mean, as GET /tasks/NAME has it',
    'rows must be [rows, 6] or [rows, 1, 1, 6], got [6, 2]',
    `columns must be [${names.map((name) => `'${name}'`).join(', ')}], in this order, or rows dicts`,
    'rows must be [rows, 4] or [rows, 2, 2, 1], got [1, 1, 2, 2]',
  ]);
  expect(labels).toEqual(want.map(({ label }) => label));
  expect(probabilities).toEqual(want.map((row) => row.probabilities.map(Math.fround)));
});
