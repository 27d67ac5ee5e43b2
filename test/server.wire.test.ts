// What real clients put on the wire and demand of answers, beyond the protocols' texts: no Content-Type, no body, nothing but 200 for
// success, an object with a string `error` in every failure, exactly application/json, names with slashes, binary by default,
// unknown parameters. Bytes on raw sockets, as tritonclient and KServe's client were seen to send them.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text as streamText } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp, createHandler, hashOf, type Listening, listen } from '../server/index.js';
import { engine, post, raw, sampleStore, serve } from './server.material.js';

const ADMIN = 'admin-secret';
let server: Listening;
beforeAll(async () => {
  server = await serve({ store: await sampleStore(), adminKey: hashOf(ADMIN) });
});
afterAll(() => server.close());

const INFER = JSON.stringify({ inputs: [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', data: [0, 255, 10, 3] }] });
/** Sends one request, headers as they are, and takes the answer apart. */
async function wire(method: string, path: string, headers: readonly string[] = [], body: string | Uint8Array = '') {
  const length = body.length > 0 ? [`Content-Length: ${body.length}`] : [];
  const head = [`${method} ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, ...length, '', ''].join('\r\n');
  const text = await raw(server.url, head, body);
  const end = text.indexOf('\r\n\r\n');
  const lines = text.slice(0, end).split('\r\n');
  return { status: Number(lines[0].split(' ')[1]), headers: lines.slice(1), body: text.slice(end + 4) };
}

describe('what real clients do', () => {
  test('1. no Content-Type at all, JSON or binary', async () => {
    expect((await wire('POST', '/v2/models/tiny/infer', [], INFER)).status).toBe(200);
    const json = JSON.stringify({ inputs: [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', parameters: { binary_data_size: 4 } }] });
    const body = Buffer.concat([Buffer.from(json), Buffer.of(0, 255, 10, 3)]);
    expect((await wire('POST', '/v2/models/tiny/infer', [`Inference-Header-Content-Length: ${json.length}`], body)).status).toBe(200);
    expect((await wire('POST', '/v1/models/tiny:predict', [], '{"instances":[[1,2,3,4]]}')).status).toBe(200);
    expect((await wire('POST', '/v2/repository/index', [], '{"ready":true}')).status).toBe(200);
  });

  test('2. a POST without a body and without Content-Length', async () => {
    const { status, body } = await wire('POST', '/v2/repository/index');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toContainEqual({ name: 'digits', version: '1', state: 'READY', reason: '' });
  });

  test('3. success is 200, also of load and unload', async () => {
    const other = await serve({ store: await sampleStore(), adminKey: hashOf(ADMIN) });
    for (const verb of ['load', 'unload']) {
      const path = `/v2/repository/models/colour/${verb}`;
      const text = await raw(other.url, `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: ${ADMIN}\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    }
    await other.close();
  });

  const failing: [string, string, string?][] = [
    ['GET', '/v2/models/nobody'],
    ['GET', '/v2/models/tiny/versions/9'],
    ['POST', '/v2/models/tiny/infer'],
    ['POST', '/v2/models/tiny/infer', '{'],
    ['POST', '/v2/repository/models/tiny/load'],
    ['DELETE', '/v2/models/tiny'],
    ['GET', '/v2/nothing'],
    ['POST', '/v1/models/nobody:predict', '{}'],
    ['POST', '/v1/models/tiny:predict', '{}'],
    ['GET', '/v1/nothing'],
  ];
  test.each(failing)(
    '4, 5. %s %s %s fails with an object, a text in error, and exactly application/json',
    async (method, path, body = '') => {
      const answer = await wire(method, path, [], body);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.headers).toContain('Content-Type: application/json');
      expect(JSON.parse(answer.body)).toMatchObject({
        error: expect.stringMatching(/\S/),
        status: answer.status,
        title: expect.any(String),
      });
    },
  );

  test('5. problem+json for who asks for it, and on our own routes', async () => {
    const type = (answer: { headers: string[] }) => answer.headers.find((line) => line.startsWith('Content-Type:'));
    const named = await wire('GET', '/v2/models/nobody', ['Accept: application/problem+json, */*']);
    expect(type(named)).toBe('Content-Type: application/problem+json');
    expect(JSON.parse(named.body).error).toContain('no task named nobody');
    expect(type(await wire('GET', '/tasks/nobody'))).toBe('Content-Type: application/problem+json');
    expect(type(await wire('GET', '/tasks/nobody', ['Accept: application/json']))).toBe('Content-Type: application/json');
    for (const [path, accept, want] of [
      ['/tasks/nobody', 'Application/JSON', 'json'],
      ['/tasks/nobody', 'application/problem+json;q=0, */*', 'json'],
      ['/tasks/nobody', 'application/json;q=0', 'problem+json'],
      ['/tasks/nobody', 'application/jsonl', 'problem+json'],
      ['/v2/models/nobody', 'application/problem+json;q=0', 'json'],
      ['/v2/models/nobody', 'text/x-application/problem+json', 'json'],
      ['/v2/models/nobody', 'application/json; q=0.0, */*', 'problem+json'],
      ['/v2/models/nobody', 'application/json, application/problem+json', 'problem+json'],
    ])
      expect(type(await wire('GET', path, [`Accept: ${accept}`])), `${path}, ${accept}`).toBe(`Content-Type: application/${want}`);
  });

  test('6. names: a slash leads nowhere, percent-encoding is undone, what no name may hold is unknown', async () => {
    expect((await wire('POST', '/v2/models/a/b/versions/2/infer', [], INFER)).status).toBe(404);
    expect((await wire('POST', '/v2/models/t%69ny/infer', [], INFER)).status).toBe(200);
    for (const name of ['tiny%3Ax', 'tiny%40x', 'ti%20ny', '~tiny', '%2e%2e', 'a%2Fb']) {
      const { status, body } = await wire('POST', `/v2/models/${name}/infer`, [], INFER);
      expect([status, JSON.parse(body).code], name).toEqual([404, 'unknown-task']);
    }
  });

  test('7. two infers with binary answers on one kept connection', async () => {
    const body = JSON.stringify({ ...JSON.parse(INFER), parameters: { binary_data_output: true } });
    const request = `POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n`;
    const text = await raw(server.url, `${request}\r\n${body}`, `${request}Connection: close\r\n\r\n${body}`);
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(text.match(/Inference-Header-Content-Length: \d+/g)).toHaveLength(2);
  });

  test('8. unknown parameters of every level pass', async () => {
    const body = JSON.stringify({
      parameters: { task: 'z', priority: 1, sequence_id: 3, sequence_start: true },
      inputs: [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', data: [1, 2, 3, 4], parameters: { x: 'y' } }],
      outputs: [{ name: 'label', parameters: { z: 1 } }],
      more: 1,
    });
    expect((await wire('POST', '/v2/models/tiny/infer', [], body)).status).toBe(200);
  });
});

describe('what Node would pass over, or refuse without a word, is one JSON object with an id', () => {
  test.each([
    ['HTTP/1.1 without a Host', 'GET /tasks HTTP/1.1\r\nX-Request-Id: r-1\r\nConnection: close\r\n\r\n', 'Host'],
    ['two Hosts', 'GET /tasks HTTP/1.1\r\nHost: x\r\nX-Request-Id: r-1\r\nhost: x\r\nConnection: close\r\n\r\n', 'Host'],
    [
      'a transfer coding that nobody undoes',
      'POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nX-Request-Id: r-1\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding',
    ],
    [
      'an expectation that nobody knows',
      'POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nX-Request-Id: r-1\r\nExpect: tea\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx',
      'Expect',
    ],
  ])('%s', async (_, sent, field) => {
    const [head, body] = (await raw(server.url, sent)).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nX-Request-Id: r-1\r\nContent-Type: application\/(problem\+)?json\r\n/);
    expect(JSON.parse(body)).toMatchObject({ code: 'bad-request', status: 400, field });
  });

  test('HTTP/1.0 needs no Host', async () => {
    expect(await raw(server.url, 'GET /v2/health/live HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });
});

describe('Expect: 100-continue', () => {
  const ask = (path: string, length: number, body: string) =>
    raw(
      server.url,
      `POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`,
      body,
    );

  test('invites a body that is wanted', async () => {
    expect(await ask('/v2/models/tiny/infer', INFER.length, INFER)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });
  test.each([
    ['too large', '/tasks/tiny/classify', 2 ** 24 + 1, 413],
    ['of a task that is not there', '/tasks/nobody/classify', 4, 404],
    ['of who has no key', '/v2/repository/models/tiny/load', 4, 401],
  ])('invites none that is %s', async (_, path, length, status) => {
    expect(await ask(path, length, '')).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe('a refusal whose connection ends with it', () => {
  test.each([
    ['413, by its length', '/tasks/tiny/classify', `Content-Length: ${2 ** 24 + 1}\r\n`, 413],
    ['413, by what came', '/v2/repository/index', `Content-Length: ${2 ** 24 + 1}\r\n`, 413],
    ['401', '/v2/repository/models/tiny/load', `Content-Length: ${2 ** 24 + 1}\r\n`, 401],
    ['415', '/tasks/tiny/classify', `Content-Encoding: x\r\nContent-Length: ${2 ** 24 + 1}\r\n`, 415],
  ])(
    'comes whole to who still sends: %s',
    async (_, path, headers, status) => {
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`;
      const { hostname, port } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      // It writes all it has before it reads.
      socket.write(head);
      await new Promise((resolve, reject) => {
        socket.on('error', reject).write(Buffer.alloc(2 ** 24 + 1), resolve);
      });
      const text = await streamText(socket);
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(JSON.parse(text.split('\r\n\r\n')[1])).toMatchObject({ status });
    },
    20_000,
  );

  test('and waits a moment, not for ever', async () => {
    const head = `POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${2 ** 24 + 1}\r\n\r\n`;
    const begun = performance.now();
    expect(await raw(server.url, head, 'x')).toMatch(/^HTTP\/1\.1 413 /);
    expect(performance.now() - begun).toBeGreaterThan(900);
  }, 20_000);
});

test('HEAD with a body that is still on its way is answered at once', async () => {
  const { hostname, port } = new URL(server.url);
  const begun = performance.now();
  const socket = connect(Number(port), hostname);
  socket.write('HEAD /tasks HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  const [head] = await once(socket, 'data');
  expect(performance.now() - begun).toBeLessThan(900);
  expect(String(head)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s);
  socket.destroy();
});

test('an encoding that is not known here is told those that are, in the header for it (RFC 9110, 12.5.3)', async () => {
  const { status, headers } = await wire('POST', '/v2/models/tiny/infer', ['Content-Encoding: zstd'], INFER);
  expect(status).toBe(415);
  expect(headers).toContain('Accept-Encoding: gzip, x-gzip, deflate, br, identity');
});

describe('request targets of every form (RFC 9112, 3.2)', () => {
  test.each([
    ['GET', 'http://x/tasks/tiny', 200],
    ['GET', 'http://x', 200],
    ['POST', 'http://x:80/v2/models/tiny/infer', 200],
    ['GET', 'http://x/nothing', 404],
    ['GET', 'http://[/tasks', 404],
    ['OPTIONS', '*', 404],
    ['OPTIONS', '/tasks', 405],
    ['GET', '//tasks', 404],
  ])('%s %s answers in JSON: %i', async (method, path, status) => {
    const answer = await wire(method, path, [], method === 'POST' ? INFER : '');
    expect(answer.status).toBe(status);
    expect(answer.headers.find((line) => line.startsWith('Content-Type:'))).toMatch(/^Content-Type: application\/(problem\+)?json$/);
    expect(typeof JSON.parse(answer.body)).toBe('object');
  });

  test('a refusal has the type of its path, also behind a host', async () => {
    const type = async (path: string) => (await wire('GET', path)).headers.find((line) => line.startsWith('Content-Type:'));
    expect(await type('http://x/v2/models/nobody')).toBe('Content-Type: application/json');
    expect(await type('http://v2/tasks/nobody')).toBe('Content-Type: application/problem+json');
  });

  test('one without a path gets the same from the app alone', async () => {
    const app = createServer(createApp({ engine, store: await sampleStore(), report: () => {} })).listen(0, '127.0.0.1');
    await once(app, 'listening');
    const { port } = app.address() as AddressInfo;
    const ask = async (url: string) =>
      (await raw(url, 'GET http://[/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).split('\r\n\r\n')[1];
    const body = await ask(`http://127.0.0.1:${port}`);
    expect(JSON.parse(body)).toMatchObject({ code: 'unknown-route', got: 'GET http://[/tasks' });
    expect(body).toBe(await ask(server.url));
    app.close();
  });
});

describe('query parameters that nobody knows', () => {
  const ask = async (method: string, path: string, body = '') => {
    const answer = await wire(method, path, [], body);
    return [answer.status, JSON.parse(answer.body).error];
  };
  test('are refused on our own routes, with the nearest that is known', async () => {
    expect(await ask('POST', '/tasks/tiny/classify?abstian=0.5', '{"instances":[[1,2,3,4]]}')).toEqual([
      400,
      'a query parameter must be one of version, label, abstain, got abstian. Did you mean abstain?',
    ]);
    expect((await ask('GET', '/tasks?page=2'))[1]).toBe('a query parameter must be one of limit, next, got page');
    expect((await ask('GET', '/tasks/tiny?x='))[1]).toBe('a query parameter must be absent: this route has none, got x');
  });
  test('so is one that is there twice, of which one would not be heard', async () => {
    const { status, body } = await wire('GET', '/tasks?limit=1&limit=2');
    expect([status, JSON.parse(body).error]).toEqual([400, '?limit must be there once, got 2 times']);
  });
  test('pass where the protocols, scrapers and browsers send what they like', async () => {
    expect((await wire('POST', '/v2/models/tiny/infer?x=1', [], INFER)).status).toBe(200);
    expect((await wire('POST', '/v1/models/tiny:predict?x=1', [], '{"instances":[[1,2,3,4]]}')).status).toBe(200);
    for (const path of ['/v2/health/ready?x=1', '/metrics?collect[]=x', '/?utm=1', '/openapi.json?x'])
      expect((await wire('GET', path)).status, path).toBe(200);
  });
});

describe('requests sent before the answer to the one before them', () => {
  /** A server that answers each after 20 ms with its path, and those that it has begun but not ended, at most. */
  async function slow() {
    const seen = { begun: 0, most: 0 };
    let now = 0;
    const { url, close } = await listen(
      (req, res) => {
        seen.begun++;
        seen.most = Math.max(seen.most, ++now);
        setTimeout(() => {
          now--;
          res.end(`${req.url} `);
        }, 20);
      },
      { port: 0 },
    );
    return { url, close, seen };
  }
  const asked = (count: number) => Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`).join('');

  test('wait for it, and are answered in order', async () => {
    const { url, close, seen } = await slow();
    const text = await raw(url, asked(30), 'GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect([...text.matchAll(/\r\n(\/\w+) /g)].map(([, path]) => path)).toEqual([...Array.from({ length: 30 }, (_, i) => `/${i}`), '/end']);
    expect(seen).toEqual({ begun: 31, most: 1 });
    await close();
  });

  test('are 65 at most: a connection with more is ended, and nothing of what waited is begun', async () => {
    const { url, close, seen } = await slow();
    await expect(raw(url, asked(66)).catch(() => '')).resolves.toBe('');
    expect(seen.begun).toBe(1);
    await close();
    expect(seen.begun).toBe(1);
  });
});

test('a request that waits for the answer before it is not slow by that, however long its body', async () => {
  const { url, close } = await listen(
    async (req, res) => {
      if (req.url === '/slow') await new Promise((resolve) => setTimeout(resolve, 900));
      const body = await streamText(req);
      res.end(`${req.url} ${body.length} `);
    },
    { port: 0, headersTimeout: 200, requestTimeout: 300 },
  );
  const second = `POST /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`;
  const text = await raw(url, `GET /slow HTTP/1.1\r\nHost: x\r\n\r\n${second}`);
  expect(text.match(/\/(slow|large) \d+/g)).toEqual(['/slow 0', '/large 300000']);
  await close();
});

test('whose answer came before the end of its body is told nothing more, and counted once', async () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const handler = createHandler({ engine, store: await sampleStore(), log });
  const { url, close } = await listen(handler, { port: 0, headersTimeout: 200, requestTimeout: 300 });
  const text = await raw(url, 'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n');
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413']);
  expect(lines.map(({ code }) => code)).toEqual(['large-body']);
  await close();
});

test('what is no request behind one that is whole is refused behind its answer', async () => {
  const first = `POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: ${INFER.length}\r\n\r\n${INFER}`;
  const broken = 'POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n';
  for (const parts of [
    [`${first}no HTTP\r\n\r\n`],
    [first, 'no HTTP\r\n\r\n', 'nor this\r\n\r\n'],
    [`${first}${first}no\r\n\r\n`],
    [first + broken],
  ]) {
    const text = await raw(server.url, ...parts);
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([...text.matchAll(/"model_name"/g)].map(() => 'HTTP/1.1 200').concat('HTTP/1.1 400'));
    expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*"code":"no-http"/);
  }
});

test('what is refused before it comes to a route is counted and logged, once and by its own name', async () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const handler = createHandler({ engine, store: await sampleStore(), log });
  const { url, close } = await listen(handler, { port: 0, headersTimeout: 200, requestTimeout: 600 });
  const body = 'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"inst';
  const sent = ['GET / HTTP/1.1\r\nHost:', 'no HTTP\r\n\r\n', `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n\r\n`, body];
  const refused = ['GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\n\r\n'];
  const texts = await Promise.all([...sent, ...refused].map((text) => raw(url, text)));
  await raw(url, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(66)).catch(() => '');
  const gone = connect(Number(new URL(url).port), '127.0.0.1');
  gone.write(body, () => gone.destroy());
  await expect.poll(() => lines.length, { timeout: 5000 }).toBe(8);
  const told = lines.map(({ route, status, code }) => `${route} ${status} ${code}`).sort();
  expect(told).toEqual([
    '/tasks/{task}/classify 408 slow-request',
    '/tasks/{task}/classify 499 client-gone',
    'none 400 bad-request',
    'none 400 bad-request',
    'none 400 no-http',
    'none 408 slow-request',
    'none 431 large-head',
    'none 503 overloaded',
  ]);
  const ids = new Set(lines.map(({ requestId }) => requestId));
  for (const [i, text] of texts.entries()) if (i !== 3) expect(ids.has(/X-Request-Id: (\S+)/.exec(text)?.[1]), text).toBe(true);
  const { text: metrics } = await fetch(`${url}/metrics`).then(async (response) => ({ text: await response.text() }));
  for (const [reason, count] of Object.entries({ 'slow-request': 2, 'no-http': 1, 'large-head': 1, 'client-gone': 1, 'bad-request': 2 }))
    expect(metrics).toContain(`seedmask_rejected_total{reason="${reason}"} ${count}\n`);
  await close();
});

describe('compression', () => {
  const rows = Array.from({ length: 1000 }, (_, i) => [i & 255, (i >> 3) & 255, 7, 9]);

  test('large answers go out as gzip to who takes it, and to nobody else', async () => {
    const body = JSON.stringify({ instances: rows });
    const ask = async (...accept: string[]) => {
      const { headers, body: text } = await wire('POST', '/tasks/tiny/classify', accept, body);
      return { headers, bytes: Buffer.from(text, 'latin1') };
    };
    const plain = await ask();
    expect(plain.headers).not.toContain('Content-Encoding: gzip');
    expect(plain.headers).toContain('Vary: Accept-Encoding');
    for (const accept of ['gzip', 'br;q=1.0, gzip;q=0.8', '*', 'GZIP']) {
      const { headers, bytes } = await ask(`Accept-Encoding: ${accept}`);
      expect(headers).toContain('Content-Encoding: gzip');
      expect(headers).toContain(`Content-Length: ${bytes.length}`);
      expect(gunzipSync(bytes).equals(plain.bytes)).toBe(true);
      expect(bytes.length).toBeLessThan(plain.bytes.length / 2);
    }
    for (const accept of ['identity', 'gzip;q=0', '*;q=0', 'gzip;q=0, *', 'br']) {
      expect((await ask(`Accept-Encoding: ${accept}`)).bytes.equals(plain.bytes), accept).toBe(true);
    }
  }, 30_000);

  test('small answers do not', async () => {
    const { headers } = await wire('GET', '/tasks', ['Accept-Encoding: gzip']);
    expect(headers.join()).not.toContain('Content-Encoding');
  });

  test('a bomb of zeros is 413 and never takes memory of its size', async () => {
    // A body may have 16 MiB.
    const limit = 16 * 1024 * 1024;
    const bomb = gzipSync(Buffer.alloc(5 * limit), { level: 9 });
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 1);
    const { status, json } = await post(`${server.url}/tasks/tiny/classify`, bomb, { 'Content-Encoding': 'gzip' });
    clearInterval(watch);
    expect([status, json.code]).toEqual([413, 'large-body']);
    expect(most).toBeLessThan(2 * limit);
  }, 30_000);
});

describe('slow clients', () => {
  test('headers, or a body, that do not come to their end are cut with 408; others are served meanwhile', async () => {
    const handler = createHandler({ engine, store: await sampleStore() });
    const patient = await listen(handler, { port: 0, headersTimeout: 200, requestTimeout: 600 });
    const half = 'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\n';
    const [headers, body] = await Promise.all([
      raw(patient.url, half),
      raw(patient.url, `${half}Content-Length: 100\r\n\r\n{"inst`),
      post(`${patient.url}/tasks/tiny/classify`, { instances: [[1, 2, 3, 4]] }).then(({ status }) => expect(status).toBe(200)),
    ]);
    for (const text of [headers, body]) {
      expect(text).toMatch(/^HTTP\/1\.1 408 /);
      expect(JSON.parse(text.split('\r\n\r\n')[1])).toMatchObject({ code: 'slow-request', status: 408 });
    }
    await patient.close();
  });

  test.each([
    ['two lengths', 'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n', 400, 'no-http'],
    ['no HTTP', '\0\0\0\r\n\r\n', 400, 'no-http'],
    ['a coding without chunks', 'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nx', 400, 'no-http'],
    ['another version', 'GET / HTTP/9.9\r\n\r\n', 400, 'no-http'],
    ['a head without end', `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n\r\n`, 431, 'large-head'],
  ])('%s: refused in JSON, as everything else', async (_, sent, status, code) => {
    const [head, body] = (await raw(server.url, sent)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*Content-Type: application/json`));
    // RFC 9110, 6.6.1.
    expect(Math.abs(Date.parse(/^Date: (.+ GMT)\r?$/m.exec(head)?.[1] ?? '') - Date.now())).toBeLessThan(60_000);
    expect(JSON.parse(body)).toMatchObject({ code, status, error: expect.stringMatching(/.{20}/) });
  });
});
