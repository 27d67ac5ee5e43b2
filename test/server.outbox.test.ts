// Answers wait for the end of their turn, all of it, and no longer; what clients do not read is bounded.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createHandler } from '../server/index.js';
import { Outbox } from '../server/outbox.js';
import { type Call, respond } from '../server/routes.js';
import { createService } from '../server/service.js';
import { engine, get, oneTask, post, sampleStore, serve, tinyNetwork } from './server.material.js';

test('what is added in one turn is written after it, together and in order; what is added then, after the next', async () => {
  const outbox = new Outbox();
  const written: string[] = [];
  outbox.add(() => {
    written.push('first');
    outbox.add(() => written.push('third'));
  });
  await Promise.resolve();
  outbox.add(() => written.push('second'));
  expect(written).toEqual([]);
  await setImmediate();
  expect(written).toEqual(['first', 'second']);
  await setImmediate();
  expect(written).toEqual(['first', 'second', 'third']);
});

test('an answer that somebody else gave meanwhile stands, and the process too', async () => {
  const handler = createHandler({ engine, store: await sampleStore() });
  const server = createServer((req, res) => {
    globalThis.setImmediate(() => {
      res.writeHead(503).write('timed');
      setTimeout(() => res.end(' out'), 20);
    });
    handler(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/health/live`);
    expect([response.status, await response.text()]).toEqual([503, 'timed out']);
  } finally {
    server.close();
  }
});

test('what clients leave unread is bounded: the next large answer is refused, a small one is not, until they go', async () => {
  const service = createService({ engine, store: await sampleStore(), unreadLimit: 150_000_000 });
  // The system takes up to some 40 MB for a connection that nobody reads.
  const [large, small] = [Buffer.alloc(60_000_000), Buffer.from('1')];
  const server = createServer((req, res) => {
    const answer = () => ({ status: 200, type: 'application/json', body: req.url === '/small' ? small : large });
    void respond({ path: '/', access: 'open', answer }, {}, req, res, service);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ask = (path: string, method = 'GET') =>
    get(`http://127.0.0.1:${port}${path}`, { method, headers: { 'Accept-Encoding': 'identity' } });
  expect((await ask('/', 'HEAD')).status).toBe(200);
  const idle = connect(port, '127.0.0.1').on('error', () => {});
  idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2));
  await expect.poll(async () => (await ask('/', 'HEAD')).status, { timeout: 20_000 }).toBe(503);
  const { status, headers, json } = await ask('/');
  expect([status, headers.get('retry-after'), json.code, json.field]).toEqual([503, '1', 'overloaded', 'answers']);
  expect(json.error).toBe(
    'too much at once: answers of 180000000 bytes that are made or not read yet, the limit is 150000000. Try again in 1 s.',
  );
  expect((await ask('/small')).json).toBe(1);
  // The second of them is told nothing of the end of its connection.
  idle.destroy();
  await expect.poll(async () => (await ask('/', 'HEAD')).status, { timeout: 20_000 }).toBe(200);
  server.close();
});

test('a large answer that comes after somebody else has answered is not counted', async () => {
  const service = createService({ engine, store: await sampleStore(), unreadLimit: 150_000 });
  const large = { status: 200, type: 'application/octet-stream', body: Buffer.alloc(100_000) };
  const server = createServer((req, res) => {
    const late = async () => {
      await once(res.end('timed out'), 'close');
      return large;
    };
    void respond({ path: '/', access: 'open', answer: req.url === '/late' ? late : () => large }, {}, req, res, service);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await (await fetch(`${url}/late`)).text()).toBe('timed out');
  for (let i = 0; i < 3; i++) {
    const { status, headers } = await fetch(url, { method: 'HEAD' });
    expect([status, headers.get('content-length')]).toEqual([200, '100000']);
  }
  server.close();
});

test('room for a large answer is kept before it is made, and given back where it is smaller', async () => {
  const service = createService({ engine, store: await sampleStore(), unreadLimit: 150_000 });
  const doors: (() => void)[] = [];
  const answer = async (call: Call) => {
    call.reserve(100_000);
    await new Promise<void>((open) => doors.push(open));
    return { status: 200, type: 'application/json', body: '1' };
  };
  const server = createServer((req, res) => void respond({ path: '/', access: 'open', answer }, {}, req, res, service)).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const ask = () => get(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const first = ask();
  await expect.poll(() => doors.length).toBe(1);
  expect((await ask()).json).toMatchObject({
    code: 'overloaded',
    field: 'answers',
    got: 'answers of 200000 bytes that are made or not read yet',
  });
  doors[0]();
  expect((await first).json).toBe(1);
  const third = ask();
  await expect.poll(() => doors.length).toBe(2);
  doors[1]();
  expect((await third).status).toBe(200);
  server.close();
});

test('rows times classes are bounded by what each protocol writes of them, before any is computed', async () => {
  const labels = Array.from({ length: 250 }, (_, i) => String(i).padStart(250, '0'));
  const store = await sampleStore({ 'many.smk': oneTask(tinyNetwork([2, 2, 1], 250), labels) });
  const { url, close } = await serve({ store, rowLimit: 100_000 });
  const raw = (rows: number) => new Uint8Array(4 * rows);
  const tensor = (rows: number, outputs: object[]): [Uint8Array, Record<string, string>] => {
    const input = { name: 'pixels', shape: [rows, 4], datatype: 'UINT8', parameters: { binary_data_size: 4 * rows } };
    const head = Buffer.from(JSON.stringify({ inputs: [input], outputs }));
    return [Buffer.concat([head, raw(rows)]), { 'Inference-Header-Content-Length': String(head.length) }];
  };
  const list = (rows: number) => Array.from({ length: rows }, () => [1, 2, 3, 4]);
  const infer = (outputs: object[]) => ['/v2/models/many/infer', (rows: number) => tensor(rows, outputs)] as const;
  const probabilities = { name: 'probabilities' };
  const binary = { ...probabilities, parameters: { binary_data: true } };
  // Of 64 MiB: bytes of 250 values, as text (28), f32 in msgpack (5) or f32 (4), and of labels (250) with what stands around them.
  const asked: [bytes: number, path: string, body: (rows: number) => readonly [unknown, Record<string, string>?]][] = [
    [250 * 28 + 250 + 32, '/tasks/many/classify', (rows) => [{ instances: list(rows) }]],
    [250 * 28 + 250 + 32, '/tasks/many/classify', (rows) => [raw(rows)]],
    [250 * 5 + 250 + 32, '/tasks/many/classify', (rows) => [raw(rows), { Accept: 'application/msgpack' }]],
    [250 * 28, '/v1/models/many:predict', (rows) => [{ instances: list(rows) }]],
    [250 * (28 + 250), '/v1/models/many:classify', (rows) => [{ examples: list(rows).map((pixels) => ({ pixels })) }]],
    [250 * 28, ...infer([probabilities])],
    [250 * 4 + 254, ...infer([binary, { name: 'label' }])],
    [3 * (28 + 8 + 254), ...infer([{ ...probabilities, parameters: { classification: 3 } }])],
    // Computed are all probabilities, whatever is told of them.
    [250 * 4, ...infer([{ name: 'label' }])],
  ];
  for (const [bytes, path, body] of asked) {
    const most = Math.floor(2 ** 26 / Math.max(bytes, 250 * 4));
    const { status, json } = await post(`${url}${path}`, ...body(most + 1));
    const error = `number of rows, each answered with 250 probabilities, is ${most + 1}, the limit is ${most}. Send the rest in further requests.`;
    expect([status, json.code, json.error], path).toEqual([413, 'over-limit', error]);
  }
  const most = Math.floor(2 ** 26 / (250 * 278));
  expect((await post(`${url}/v1/models/many:classify`, { examples: list(most).map((pixels) => ({ pixels })) })).json.results).toHaveLength(
    most,
  );
  expect((await post(`${url}/tasks/tiny/classify`, raw(most + 1))).json.predictions).toHaveLength(most + 1);
  // Too many for values as text.
  const [body, headers] = tensor(10_000, [binary]);
  const answer = await fetch(`${url}/v2/models/many/infer`, { method: 'POST', body: Uint8Array.from(body), headers });
  const bytes = (await answer.arrayBuffer()).byteLength - Number(answer.headers.get('Inference-Header-Content-Length'));
  expect([answer.status, bytes]).toEqual([200, 10_000 * 250 * 4]);
  await close();
});
