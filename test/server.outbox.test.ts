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

test('rows times classes are bounded in every protocol, before any is computed', async () => {
  const labels = Array.from({ length: 250 }, (_, i) => String(i).padStart(250, '0'));
  const store = await sampleStore({ 'many.smk': oneTask(tinyNetwork([2, 2, 1], 250), labels) });
  const { url, close } = await serve({ store });
  // 64 MiB, in 250 times 28 bytes and a label.
  const most = Math.floor(2 ** 26 / (250 * 278));
  const instances = Array.from({ length: most + 1 }, () => [1, 2, 3, 4]);
  const raw = { inputs: [{ name: 'pixels', shape: [most + 1, 4], datatype: 'UINT8', data: instances }], outputs: [{ name: 'label' }] };
  const asked: [string, unknown][] = [
    ['/tasks/many/classify', { instances }],
    ['/tasks/many/classify', new Uint8Array(4 * (most + 1))],
    ['/v1/models/many:predict', { instances }],
    ['/v1/models/many:classify', { examples: instances.map((pixels) => ({ pixels })) }],
    ['/v2/models/many/infer', raw],
  ];
  const error = `number of rows, each answered with 250 probabilities, is ${most + 1}, the limit is ${most}. Send the rest in further requests.`;
  for (const [path, body] of asked) {
    const { status, json } = await post(`${url}${path}`, body);
    expect([status, json.code, json.error], path).toEqual([413, 'over-limit', error]);
  }
  expect((await post(`${url}/tasks/many/classify`, new Uint8Array(4 * most))).json.predictions).toHaveLength(most);
  expect((await post(`${url}/tasks/tiny/classify`, new Uint8Array(4 * (most + 1)))).json.predictions).toHaveLength(most + 1);
  await close();
});
