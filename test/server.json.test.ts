// Large bodies are read in a thread: the same answers and the same errors as on the event loop, which stays free meanwhile; and what
// waits for threads is bounded.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listening, type Store, Threads } from '../server/index.js';
import { read } from '../server/requests/readers.js';
import { oneTask, padded, png, post, serve, storeOf, tinyNetwork } from './server.material.js';

const script = pathToFileURL(join(import.meta.dirname, '../dist/server/running/thread.js'));
const network = tinyNetwork([28, 28, 1], 10);
const ten = Array.from({ length: 10 }, (_, i) => String(i));

let store: Store;
let threads: Threads;
let apart: Listening;
let here: Listening;
beforeAll(async () => {
  store = await storeOf({ 'digits.smk': oneTask(network, ten) });
  threads = new Threads({ count: 1, script });
  [apart, here] = await Promise.all([serve({ store, threads }), serve({ store })]);
});
afterAll(async () => {
  await Promise.all([apart.close(), here.close()]);
  await threads.close();
});

const batch = (value: (i: number) => unknown, rows = 64) =>
  Array.from({ length: rows }, (_, row) => Array.from({ length: 784 }, (_, i) => value(row * 784 + i)));
const WHOLE = batch((i) => (i * 31) & 255);
const both = async (body: unknown, query = '') => {
  const [a, b] = await Promise.all([apart, here].map(({ url }) => post(`${url}/tasks/digits/classify${query}`, body)));
  return { a, b };
};

describe('in a thread as on the loop', () => {
  test.each([
    ['whole pixels', { instances: WHOLE }],
    ['a bare list', WHOLE],
    ['fractions', { instances: batch((i) => (i % 256) / 4) }],
    ['a threshold', { instances: WHOLE, abstain: 1 }],
  ])('%s', async (_, body) => {
    const { a, b } = await both(body);
    expect([a.status, b.status]).toEqual([200, 200]);
    expect(a.json).toEqual(b.json);
    expect(a.json.predictions).toHaveLength(64);
  });

  test.each([
    ['a text among the numbers', { instances: batch((i) => (i === 50_000 ? 'x' : 1)) }, 'bad-value'],
    ['a row too short', { instances: [...WHOLE, [1, 2]] }, 'bad-shape'],
    ['no instances', { rows: WHOLE }, 'bad-request'],
    ['a threshold above 1', { instances: WHOLE, abstain: 2 }, 'bad-request'],
    ['a cut end', JSON.stringify({ instances: WHOLE }).slice(0, -2), 'bad-json'],
    ['a hundred thousand brackets', '['.repeat(100_000), 'deep-body'],
  ])('%s', async (_, body, code) => {
    const { a, b } = await both(body);
    expect(a.json.code).toBe(code);
    expect([a.status, a.json]).toEqual([b.status, b.json]);
  });

  const tensor = (over: object) => ({ inputs: [{ name: 'pixels', shape: [64, 784], datatype: 'FP32', ...over }] });
  test.each([
    ['/v1/models/digits:predict', { instances: WHOLE }],
    ['/v1/models/digits:predict', { instances: batch((i) => (i % 256) / 4), signature_name: '' }],
    ['/v1/models/digits:predict', { inputs: WHOLE }],
    ['/v1/models/digits:predict', { instances: WHOLE, inputs: WHOLE }],
    ['/v1/models/digits:classify', { examples: WHOLE.map((pixels) => ({ pixels })) }],
    ['/v1/models/digits:classify', { examples: WHOLE.map((pixels) => ({ image: pixels })) }],
    ['/v2/models/digits/infer', { id: 'seven', parameters: { abstain: 0.9 }, ...tensor({ data: WHOLE }) }],
    ['/v2/models/digits/infer', { parameters: { binary_data_output: true }, ...tensor({ data: WHOLE.flat() }) }],
    ['/v2/models/digits/infer', tensor({ shape: [64, 783], data: WHOLE })],
    ['/v2/models/digits/infer', { ...tensor({ data: WHOLE }), parameters: { timeout: 0 } }],
  ])('%s, protocols of others too (%#)', async (path, body) => {
    const [a, b] = await Promise.all([apart, here].map(({ url }) => post(`${url}${path}`, body)));
    expect([a.status, a.type, Buffer.from(a.bytes).toString('latin1')]).toEqual([
      b.status,
      b.type,
      Buffer.from(b.bytes).toString('latin1'),
    ]);
  });

  test('it was a thread: one that is closed answers large bodies no more, and small ones still', async () => {
    const closed = new Threads({ count: 1, script });
    await closed.close();
    const server = await serve({ store, threads: closed });
    const url = `${server.url}/tasks/digits/classify`;
    expect((await post(url, { instances: WHOLE, abstain: 1 })).json.code).toBe('draining');
    expect((await post(url, { instances: WHOLE.slice(0, 2), abstain: 1 })).status).toBe(200);
    for (const [path, body] of [
      ['/v1/models/digits:predict', { inputs: WHOLE }],
      ['/v2/models/digits/infer', tensor({ data: WHOLE })],
    ] as const)
      expect((await post(`${server.url}${path}`, body)).json.code).toBe('draining');
    // Whole pixels are read faster than a thread is told, up to a megabyte.
    expect((await post(url, { instances: WHOLE })).status).toBe(200);
    expect((await post(url, { instances: batch((i) => 100 + (i % 100), 400) })).json.code).toBe('draining');
    await server.close();
  });
});

test('so is a large PNG, which may be chunks without end around its few pixels, and float32 of megabytes', async () => {
  const image = png(28, 28, (i) => [i & 255, i & 255, i & 255, 255], 0);
  const { a, b } = await both(padded(image, 1, 70_000));
  expect([a.status, a.json]).toEqual([200, b.json]);
  expect(a.json).toEqual((await both(image)).b.json);
  const threads = { read: () => new Promise<never>(() => undefined) };
  const kept = (body: Uint8Array, numbers: boolean) =>
    !(read('classify', body, { shape: [28, 28, 1], limit: 10_000, numbers }, { threads }, () => 0) instanceof Promise);
  for (const numbers of [false, true]) {
    expect([kept(image, numbers), kept(padded(image, 1000, 70), numbers)]).toEqual([true, false]);
    expect([kept(new Uint8Array(3136 * 100), numbers), kept(new Uint8Array(3136 * 1000), numbers)]).toEqual([true, !numbers]);
  }
});

test('bytes of JSON that wait for threads are bounded; alone, any body is let in', async () => {
  const busy = new Threads({ count: 1, script });
  const body = Buffer.from(`{"instances": [[${' '.repeat(40 * 1024 * 1024)}]]}`);
  const read = () => busy.read('classify', body, { shape: network.input, limit: 10, type: 'application/json' });
  const first = read().catch((error: unknown) => error);
  await expect(read()).rejects.toMatchObject({ code: 'overloaded', details: { retryAfter: 1 } });
  expect(await first).toMatchObject({ code: 'bad-shape' });
  await busy.close();
});

describe('answers of many rows are written in turns, with the same bytes', () => {
  const many = Array.from({ length: 300 }, (_, row) => new Array(784).fill(row % 200));
  const asTensor = (rows: number[][], over: object = {}) => ({
    inputs: [{ name: 'pixels', shape: [rows.length, 784], datatype: 'UINT8', data: rows }],
    ...over,
  });
  /** The lists of rows in an answer. */
  type Lists = Record<string, unknown[]>;
  test.each<[string, (rows: number[][]) => unknown, (json: Lists, rows: number) => unknown[][]]>([
    ['/tasks/digits/classify', (instances) => ({ instances }), ({ predictions }) => [predictions]],
    ['/v1/models/digits:predict', (instances) => ({ instances }), ({ predictions }) => [predictions]],
    ['/v1/models/digits:predict', (inputs) => ({ inputs }), ({ outputs }) => [outputs]],
    ['/v1/models/digits:classify', (rows) => ({ examples: rows.map((pixels) => ({ pixels })) }), ({ results }) => [results]],
    [
      '/v2/models/digits/infer',
      (rows) => asTensor(rows, { id: 'x' }),
      ({ outputs }, rows) =>
        (outputs as { data: unknown[]; shape: number[] }[]).map(({ data, shape }) => {
          expect(data.length).toBe(shape.reduce((a, b) => a * b));
          const each = data.length / rows;
          return Array.from({ length: rows }, (_, row) => data.slice(row * each, (row + 1) * each));
        }),
    ],
  ])('%s (%#)', async (path, bodyOf, listsOf) => {
    const whole = await post(`${here.url}${path}`, bodyOf(many));
    const first = await post(`${here.url}${path}`, bodyOf(many.slice(0, 256)));
    const rest = await post(`${here.url}${path}`, bodyOf(many.slice(256)));
    expect([whole.status, whole.type]).toEqual([200, 'application/json']);
    const [all, a, b] = [listsOf(whole.json, 300), listsOf(first.json, 256), listsOf(rest.json, 44)];
    expect(all).toEqual(all.map((_, i) => [...a[i], ...b[i]]));
    expect(all.every((list) => list.length === 300)).toBe(true);
    const text = Buffer.from(whole.bytes).toString();
    expect(text).toBe(JSON.stringify(whole.json));
    // Nothing but rows is different from an answer that is written at once.
    const bare = (json: object) =>
      JSON.parse(JSON.stringify(json, (key, value) => (/^(predictions|results|data|shape)$/.test(key) ? null : value)));
    if (!path.endsWith('predict')) expect(bare(whole.json)).toEqual(bare(first.json));
  });
});
