// The server around the routes: one answer from handler and app, mounting, wrong paths and verbs, compiled tasks, ports, draining.

import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import express from 'express';
import { describe, expect, test } from 'vitest';
import { SeedmaskError } from '../codec/errors.js';
import { createApp, createHandler, listen } from '../server/index.js';
import type { Opened, Store } from '../server/repository/store.js';
import { Classifiers } from '../server/running/classify.js';
import { Scheduler } from '../server/running/scheduler.js';
import type { AnyMask, Classifier, Engine } from '../src/engine/engine.js';
import { engine, get, oneTask, post, raw, sampleStore, serve, storeOf, tinyNetwork } from './server.material.js';

const ROWS = { instances: [[0, 255, 10, 3]] };
const store = await sampleStore();

/** An engine whose classifiers are watched: how many live, and what they do before they answer. */
function watched(before: () => void = () => {}): { readonly engine: Engine; live(): number; made(): number } {
  let live = 0;
  let made = 0;
  const classifier = (...args: Parameters<Engine['classifier']>): Classifier => {
    const inner = engine.classifier(...args);
    live++;
    made++;
    const { scale, inputs, outputs } = inner;
    const bytes = 48;
    const logits: Classifier['logits'] = (values, rows) => {
      before();
      return inner.logits(values, rows);
    };
    const free = () => {
      live--;
      inner.free();
    };
    return { scale, inputs, outputs, bytes, logits, free };
  };
  const anyMask: Engine['anyMask'] = (...args) => {
    const inner = engine.anyMask(...args);
    if (!inner) return null;
    const logits: AnyMask['logits'] = (...operands) => {
      before();
      return inner.logits(...operands);
    };
    return { ...inner, logits };
  };
  return { engine: { ...engine, classifier, anyMask }, live: () => live, made: () => made };
}

test('handler and app give the same bytes on every kind of route and mistake', async () => {
  const byHandler = await serve({ store });
  const byApp = await listen(createApp({ engine, store, report: () => {} }), { port: 0 });
  const calls: [string, string, string][] = [
    ['POST', '/tasks/tiny/classify', JSON.stringify(ROWS)],
    ['POST', '/tasks/tiny/classify?verbose=1', JSON.stringify(ROWS)],
    ['POST', '/tasks/t%69ny/classify', JSON.stringify(ROWS)],
    ['POST', '/tasks/tiny%/classify', JSON.stringify(ROWS)],
    ['POST', '/tasks/%2e%2e%2f%2e%2e%2fetc%2fpasswd/classify', JSON.stringify(ROWS)],
    ['POST', '/tasks/../../etc/passwd/classify', JSON.stringify(ROWS)],
    ['POST', '/tasks/nobody/classify', '{'],
    ['POST', '/tasks/tiny/classify', '{'],
    ['GET', '/tasks/tiny/classify', ''],
    ['GET', '/tasks', ''],
    ['HEAD', '/tasks', ''],
    ['DELETE', '/tasks', ''],
    ['POST', '/v1/models/tiny/versions/1:predict', JSON.stringify(ROWS)],
    ['POST', '/V1/models/tiny/labels/stable:predict', JSON.stringify(ROWS)],
    ['GET', '/v1/models/tiny', ''],
    [
      'POST',
      '/v2/models/tiny/infer',
      JSON.stringify({ inputs: [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', data: ROWS.instances[0] }] }),
    ],
    ['GET', '/v2/health/ready', ''],
    ['POST', '/v2/repository/index', ''],
    ['GET', '/', ''],
    ['GET', '/nothing', ''],
  ];
  const statuses: number[] = [];
  for (const [method, path, body] of calls) {
    const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: r-1\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
    const [one, two] = (await Promise.all([raw(byHandler.url, head, body), raw(byApp.url, head, body)])).map((text) =>
      text.replace(/Date: .*\r\n/, ''),
    );
    expect(one).toBe(two);
    expect(one).toContain('X-Request-Id: r-1\r\n');
    const own = Number(one.slice(9, 12)) >= 400 && !/^\/v[12]/i.test(path);
    expect(one).toContain(`Content-Type: application/${own ? 'problem+json' : 'json'}\r\n`);
    statuses.push(Number(one.slice(9, 12)));
  }
  expect(statuses).toEqual([200, 400, 200, 400, 404, 404, 404, 400, 405, 200, 200, 405, 200, 200, 200, 200, 200, 200, 200, 404]);
  await Promise.all([byHandler.close(), byApp.close()]);
});

test('405 names the verbs, 404 the routes, HEAD has no body', async () => {
  const server = await serve({ store });
  const wrong = await get(`${server.url}/tasks/tiny/classify`);
  expect([wrong.status, wrong.headers.get('allow'), wrong.json.code]).toEqual([405, 'POST', 'wrong-method']);
  expect((await get(`${server.url}/v2`, { method: 'DELETE' })).headers.get('allow')).toBe('GET, HEAD');
  expect((await get(`${server.url}/v2/repository/index`, { method: 'PUT' })).headers.get('allow')).toBe('POST');
  const unknown = await get(`${server.url}/predict`);
  expect([unknown.status, unknown.json.code]).toEqual([404, 'unknown-route']);
  expect(unknown.json.hint).toContain('POST /tasks/NAME/classify');
  const head = await fetch(`${server.url}/tasks`, { method: 'HEAD' });
  expect([head.status, (await head.text()).length, Number(head.headers.get('content-length')) > 100]).toEqual([200, 0, true]);
  await server.close();
});

test('the app works under a prefix of a bigger app, also behind its body parsers', async () => {
  const outer = express();
  outer.get('/', (_req, res) => {
    res.send('home');
  });
  outer.use(express.json());
  outer.use('/models', createApp({ engine, store }));
  const server = await listen(outer, { port: 0 });
  const alone = await serve({ store });
  const want = (await post(`${alone.url}/tasks/tiny/classify`, ROWS)).json;
  for (const type of ['text/csv', 'application/json']) {
    expect((await post(`${server.url}/models/tasks/tiny/classify`, ROWS, { 'Content-Type': type })).json).toEqual(want);
  }
  expect((await get(`${server.url}/models/v2/health/live`)).json).toEqual({ live: true });
  expect((await get(`${server.url}/models/none`)).json.code).toBe('unknown-route');
  const { tasks, openapi } = (await get(`${server.url}/models/`)).json as { tasks: string; openapi: string };
  const [{ url }] = ((await get(`${server.url}${openapi}`)).json as { servers: { url: string }[] }).servers;
  for (const path of [tasks, `${url}/tasks`]) expect((await get(`${server.url}${path}`)).status).toBe(200);
  expect(await (await fetch(`${server.url}/`)).text()).toBe('home');
  await Promise.all([server.close(), alone.close()]);
});

test('a fault of the server is a 500 that tells the client nothing, and is reported', async () => {
  const reports: unknown[] = [];
  const broken = watched(() => {
    throw new Error('secret path');
  });
  const server = await serve({ store, engine: broken.engine, report: (error) => reports.push(error) });
  const { status, json } = await post(`${server.url}/tasks/tiny/classify`, ROWS);
  expect([status, json.code, JSON.stringify(json).includes('secret')]).toEqual([500, 'internal', false]);
  expect(reports).toEqual([new Error('secret path')]);
  expect((await get(`${server.url}/v2/health/live`)).status).toBe(200);
  await server.close();
});

describe('compiled tasks', async () => {
  const rows = { values: Uint8Array.of(0, 255, 10, 3), count: 1 };
  // Floats need a compiled form at once.
  const floats = Float32Array.of(0, 255, 10.5, 3);
  const three = await storeOf({
    'a.smk': oneTask(tinyNetwork()),
    'b.smk': oneTask(tinyNetwork([2, 2, 1], 3, 1)),
    'c.smk': oneTask(tinyNetwork([2, 2, 1], 3, 2)),
  });
  const open = async (from: Store, name: string) => from.open(from.version(name));
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => open(three, name)));
  const use = (classifiers: Classifiers, { version, packed }: Opened, values: Uint8Array | Float32Array = floats) =>
    classifiers.logits(version, packed, values, values.length / 4);

  test('the least recently used one goes when the cap is reached', () => {
    const watch = watched();
    // Two watched classifiers of 48 bytes fit.
    const classifiers = new Classifiers(watch.engine, 96);
    for (const opened of [a, b, a, c]) use(classifiers, opened);
    expect([watch.made(), watch.live(), classifiers.size]).toEqual([3, 2, { tasks: 2, bytes: 96 }]);
    use(classifiers, a);
    expect(watch.made()).toBe(3);
    use(classifiers, b);
    expect([watch.made(), watch.live()]).toEqual([4, 2]);
    classifiers.drop(b.version);
    expect([watch.live(), classifiers.size]).toEqual([1, { tasks: 1, bytes: 48 }]);
  });

  test('one larger than the cap answers and is freed', () => {
    const watch = watched();
    const classifiers = new Classifiers(watch.engine, 47);
    expect(use(classifiers, a).logits.length).toBe(3);
    expect([watch.made(), watch.live()]).toEqual([1, 0]);
  });

  test.each([
    ['kept', 1e6, 1],
    ['freed where it is too large', 47, 0],
  ])('one whose rows find no room in the engine is %s, not lost', (_, cap, live) => {
    const watch = watched(() => {
      throw new RangeError('the memory of the kernels has no room');
    });
    const classifiers = new Classifiers(watch.engine, cap);
    expect(() => use(classifiers, a)).toThrow('no room');
    expect([watch.live(), classifiers.size.tasks]).toEqual([live, live]);
    classifiers.drop(a.version);
    expect(watch.live()).toBe(0);
  });

  test('whole pixels are compiled for after many rows, and answer the same before and after', () => {
    const watch = watched();
    const classifiers = new Classifiers(watch.engine, 1e6);
    const before = use(classifiers, a, rows.values);
    expect(watch.made()).toBe(0);
    use(classifiers, a, new Uint8Array(4 * 2000));
    expect(watch.made()).toBe(1);
    expect(use(classifiers, a, rows.values)).toEqual(before);
  });

  test('one that had to go is worth compiling again after as many rows as at first, and one too large for the cap never', () => {
    const watch = watched();
    const many = new Uint8Array(4 * 1024);
    const classifiers = new Classifiers(watch.engine, 48);
    for (const opened of [a, b]) use(classifiers, opened, many);
    expect([watch.made(), watch.live()]).toEqual([2, 1]);
    use(classifiers, a, rows.values);
    expect(watch.made()).toBe(2);
    use(classifiers, a, many);
    expect(watch.made()).toBe(3);
    const small = new Classifiers(watch.engine, 47);
    for (let i = 0; i < 3; i++) use(small, a, many);
    expect([watch.made(), watch.live()]).toEqual([4, 1]);
  });

  test('inputs declared constant are replaced by 0', async () => {
    // bit 1: the second input, whatever the client sends there
    const transform = { scale: Math.fround(1 / 255), mean: 0, constant: Uint8Array.of(0b0010) };
    const store = await storeOf({
      'constant.smk': oneTask(tinyNetwork(), ['x', 'y', 'z'], { transform }),
      'plain.smk': oneTask(tinyNetwork()),
    });
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6));
    const plain = await scheduler.classify(store.version('plain'), { values: Uint8Array.of(9, 0, 10, 3), count: 1 });
    for (const values of [Uint8Array.of(9, 255, 10, 3), Float32Array.of(9, 77, 10, 3)]) {
      const answer = await scheduler.classify(store.version('constant'), { values, count: 1 });
      for (const [i, p] of plain.probabilities.entries()) expect(answer.probabilities[i]).toBeCloseTo(p, 6);
      expect(values[1]).toBeGreaterThan(0);
    }
  });

  test('the logit scale sharpens', async () => {
    const store = await storeOf({
      'sharp.smk': oneTask(tinyNetwork(), ['x', 'y', 'z'], { logitScale: 3 }),
      'plain.smk': oneTask(tinyNetwork()),
    });
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6));
    const [plain, scaled] = await Promise.all(['plain', 'sharp'].map((name) => scheduler.classify(store.version(name), rows)));
    const cubes = Array.from(plain.probabilities, (p) => p ** 3);
    const total = cubes.reduce((x, y) => x + y, 0);
    for (const [i, cube] of cubes.entries()) expect(scaled.probabilities[i]).toBeCloseTo(cube / total, 5);
  });
});

describe('ports', () => {
  test('a port in use is one clear line', async () => {
    const first = await serve({ store });
    const port = Number(new URL(first.url).port);
    const error = await listen(() => {}, { port }).catch((reason: unknown) => reason);
    if (!(error instanceof SeedmaskError)) throw error;
    expect([error.code, error.message]).toEqual([
      'cannot-listen',
      `cannot listen on 127.0.0.1:${port}: the port is in use. Choose another with --port, or stop the program that holds it.`,
    ]);
    await first.close();
    await (await listen(() => {}, { port })).close();
  });
  test('an address that is not ours', async () => {
    // 192.0.2.1: RFC 5737, an address for documentation
    await expect(listen(() => {}, { port: 0, host: '192.0.2.1' })).rejects.toThrow('this machine has no such address');
  });
});

describe('draining', () => {
  test('what is in flight finishes, readiness answers 503 meanwhile, then the port is free', async () => {
    const handler = createHandler({ engine, store });
    let arrived = () => {};
    const inFlight = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const watch = (req: IncomingMessage, res: ServerResponse) => {
      if (req.method === 'POST') arrived();
      handler(req, res);
    };
    const server = await listen(Object.assign(watch, { drain: handler.drain }), { port: 0 });
    const body = JSON.stringify(ROWS);
    const headers = { 'Content-Length': body.length };
    const flying = request(`${server.url}/tasks/tiny/classify`, { method: 'POST', headers });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      flying.on('response', resolve).on('error', reject);
    });
    flying.write(body.slice(0, 5));
    await inFlight;
    let closed = false;
    const closing = server.close().then(() => {
      closed = true;
    });
    const ready = await get(`${server.url}/v2/health/ready`);
    expect([ready.status, ready.headers.get('connection')]).toEqual([503, 'close']);
    expect(ready.json).toEqual({ live: true, ready: false, error: 'the server is shutting down' });
    expect((await get(`${server.url}/v2/health/live`)).status).toBe(200);
    expect((await get(`${server.url}/v2/models/tiny/ready`)).json.ready).toBe(false);
    expect((await get(`${server.url}/v1/models/tiny`)).json).toMatchObject({
      ready: false,
      model_version_status: [{ state: 'UNLOADING' }, {}],
    });
    expect(closed).toBe(false);
    flying.end(body.slice(5));
    const answer = await answered;
    expect([answer.statusCode, answer.headers.connection]).toEqual([200, 'close']);
    expect(await text(answer)).toContain('"predictions"');
    await closing;
    await expect(fetch(`${server.url}/v2`)).rejects.toThrow();
    await server.close();
  });

  test('what came while the event loop was held up is answered before the port is given back', async () => {
    const { url, close } = await listen(createHandler({ engine, store, report: () => {} }), { port: 0, drainDelay: 20 });
    const asking = `const { parentPort, workerData } = require('node:worker_threads');
      parentPort.on('message', () => fetch(workerData).then(({ status }) => status, (error) => String(error.cause)).then((said) => parentPort.postMessage(said)));`;
    const client = new Worker(asking, { eval: true, workerData: `${url}/v2/health/live` });
    const ask = () => {
      client.postMessage('');
      return once(client, 'message');
    };
    expect(await ask()).toEqual([200]);
    const closed = close();
    const [said] = [ask(), Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500)];
    expect(await said).toEqual([200]);
    await closed;
    await client.terminate();
  });

  test('a connection that has sent nothing holds no drain up', async () => {
    const server = await serve({ store });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const ended = once(socket, 'close');
    await once(socket, 'connect');
    expect((await get(`${server.url}/v2/health/live`)).status).toBe(200);
    const begun = performance.now();
    await server.close();
    await ended;
    // drainLimit is 10 s.
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test('a request that is on its way when the drain begins is answered', async () => {
    const server = await serve({ store });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    await once(socket, 'connect');
    const closed = server.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.write('GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
    await closed;
  });

  test('a connection that never ends is cut at the limit', async () => {
    const server = await listen(() => {}, { port: 0, drainLimit: 100 });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const ended = new Promise((resolve) => socket.on('close', resolve).on('error', () => {}));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close();
    await ended;
    expect(socket.destroyed).toBe(true);
  });
});
