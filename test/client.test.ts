// The typed client against the real server, and against a server of a few lines that fails in the ways that servers do.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { secondsOf } from '../client/errors.js';
import { createClient, RequestError } from '../client/index.js';
import { pause } from '../client/retry.js';
import { contentId, readModel } from '../codec/index.js';
import { hashOf, type Listening } from '../server/index.js';
import { post, sampleStore, serve } from './server.material.js';

let server: Listening;
beforeAll(async () => {
  server = await serve({ store: await sampleStore() });
});
afterAll(() => server.close());
const ROWS = [
  [0, 255, 10, 3],
  [200, 0, 0, 99],
];

async function refusal(run: Promise<unknown>): Promise<RequestError> {
  const error = await run.then(
    () => new Error('it was answered'),
    (reason: unknown) => reason,
  );
  if (error instanceof RequestError) return error;
  throw error;
}

describe('against the server', () => {
  test('bytes, lists, typed arrays and shaped rows give the same predictions', async () => {
    const client = createClient({ url: `${server.url}/` });
    const want = (await post(`${server.url}/tasks/tiny/classify`, { instances: ROWS })).json.predictions;
    const shaped = ROWS.map(([a, b, c, d]) => [
      [a, b],
      [c, d],
    ]);
    for (const rows of [
      ROWS,
      ROWS.map((row) => Uint8Array.from(row)),
      ROWS.map((row) => Float32Array.from(row)),
      shaped,
      Uint8Array.from(ROWS.flat()),
      Uint8ClampedArray.from(ROWS.flat()),
    ]) {
      expect(await client.classify('tiny', rows)).toEqual(want);
    }
    const [old] = await client.classify('tiny', ROWS, { version: '1' });
    expect(old).toEqual((await client.classify('tiny', ROWS, { label: 'stable' }))[0]);
    expect(old).not.toEqual(want[0]);
    expect((await client.classify('tiny', ROWS, { abstain: 1 })).map(({ label }) => label)).toEqual([null, null]);
  });

  test('a name that would lead to another path is none', async () => {
    const client = createClient({ url: server.url });
    for (const name of ['', '.', '..']) {
      const asked = [client.task(name), client.mask(name), client.classify(name, ROWS)];
      for (const run of asked) await expect(run).rejects.toThrow(`task must be a name, got '${name}'`);
      for (const run of [client.network(name), client.inferTask(name, ROWS)])
        await expect(run).rejects.toThrow(`network must be a name, got '${name}'`);
    }
  });

  test('tasks page by page, one task, mask and network as the codec reads them', async () => {
    const client = createClient({ url: server.url });
    const ids: string[] = [];
    for await (const { id } of client.tasks({ limit: 1 })) ids.push(id);
    expect(ids).toEqual(['colour', 'digits', 'tiny']);
    expect((await client.page({ limit: 2 })).next).toBe('digits');
    expect((await client.task('tiny')).versionLabels).toEqual({ stable: '1', canary: '2' });
    const networks = await client.networks();
    const mask = await client.mask('tiny');
    const { id } = networks.find(({ seed }) => seed === '0x0000000000000008')!;
    const { network } = readModel((await client.network(id)).bytes);
    const model = readModel(mask.bytes, {}, () => network);
    expect(mask.id).toBe(Buffer.from(contentId(model)).toString('hex'));
    expect((await client.mask('tiny', { id: mask.id })).bytes).toEqual(mask.bytes);
  });

  test("failures are the server's, typed", async () => {
    const client = createClient({ url: server.url });
    const error = await refusal(client.classify('tinny', ROWS));
    expect(error.message).toBe('no task named tinny. Did you mean tiny?');
    expect([error.name, error.status, error.code, error.expected, error.hint]).toEqual([
      'RequestError',
      404,
      'unknown-task',
      'tiny',
      'Did you mean tiny?',
    ]);
    expect(error.requestId).toMatch(/^[A-Za-z0-9_-]{12}-[0-9a-z]+$/);
    expect((await refusal(client.mask('a/b'))).status).toBe(404);
  });

  test('rows that say not where they end are refused here, values that are no numbers there', async () => {
    const client = createClient({ url: server.url });
    for (const rows of [new Float32Array(4), new ArrayBuffer(4), 'abcd', null]) {
      await expect(client.classify('tiny', rows as unknown as Uint8Array)).rejects.toThrow('rows must be a Uint8Array of whole rows');
    }
    for (const [value, got] of [
      ['a', '"a"'],
      [null, 'null'],
    ]) {
      const error = await refusal(client.classify('tiny', [[0, value, 0, 0]] as unknown as number[][]));
      expect([error.code, error.field, error.got]).toEqual(['bad-value', '/instances/0/1', got]);
    }
  });

  test('the key goes with every call', async () => {
    const keyed = await serve({ store: await sampleStore(), keys: [{ name: 'k', sha256: hashOf('secret') }] });
    expect((await refusal(createClient({ url: keyed.url }).networks())).code).toBe('no-key');
    expect(await createClient({ url: keyed.url, key: 'secret' }).classify('tiny', ROWS)).toHaveLength(2);
    await keyed.close();
  });

  test('no server: every try is made, then one line', async () => {
    const gone = await serve({ store: await sampleStore() });
    await gone.close();
    const error = await refusal(createClient({ url: gone.url, retries: 1 }).task('tiny'));
    expect([error.status, error.code]).toEqual([0, 'no-answer']);
    expect(error.message).toMatch(/^no answer from http:\/\/127\.0\.0\.1:\d+\/tasks\/tiny: .*ECONNREFUSED/);
  });
});

/** A server that answers its calls one by one with these, then with 200 and an empty list. */
async function scripted(...answers: ((req: IncomingMessage, res: ServerResponse) => void)[]) {
  const calls: IncomingMessage['headers'][] = [];
  const http = createServer((req, res) => {
    calls.push(req.headers);
    const answer = answers[calls.length - 1];
    if (answer) answer(req, res);
    else res.writeHead(200, { 'Content-Type': 'application/json' }).end('{"tasks":[],"next":null}');
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      http.close(() => resolve());
      http.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, calls, close };
}
/** A signal that counts who listens to it. */
function listened() {
  const controller = new AbortController();
  const signal = Object.assign(controller.signal, { listeners: 0 });
  for (const [name, by] of [
    ['addEventListener', 1],
    ['removeEventListener', -1],
  ] as const) {
    const own = signal[name].bind(signal) as (...given: unknown[]) => void;
    signal[name] = (...given: unknown[]) => {
      signal.listeners += by;
      own(...given);
    };
  }
  return { signal, abort: (reason: unknown) => controller.abort(reason) };
}
const refuse =
  (status: number, headers: Record<string, string> = {}) =>
  (_req: IncomingMessage, res: ServerResponse) =>
    res.writeHead(status, headers).end('{"error":"busy","code":"overloaded"}');

describe('tries', () => {
  test('429, 503, a cut connection and half an answer are tried again, and Retry-After is kept', async () => {
    const fake = await scripted(
      refuse(503, { 'Retry-After': '0' }),
      refuse(429, { 'Retry-After': '0' }),
      (req) => req.socket.destroy(),
      (_req, res) => {
        res.writeHead(200, { 'Content-Length': '100' }).write('{"tasks":[');
        setTimeout(() => res.socket?.destroy(), 20);
      },
    );
    expect(await createClient({ url: fake.url }).page()).toEqual({ tasks: [], next: null });
    expect(fake.calls).toHaveLength(5);
    await fake.close();
  });

  test('what another try cannot change is not tried again, nor what would wait too long', async () => {
    for (const [status, headers] of [
      [400, {}],
      [401, {}],
      [404, {}],
      [500, {}],
      [504, {}],
      [503, { 'Retry-After': '31' }],
    ] as const) {
      const fake = await scripted(refuse(status, headers));
      const error = await refusal(createClient({ url: fake.url }).page());
      expect([error.status, error.message, fake.calls.length]).toEqual([status, 'busy', 1]);
      await fake.close();
    }
  });

  test('as often as was asked for', async () => {
    const fake = await scripted(...Array.from({ length: 9 }, () => refuse(503, { 'Retry-After': '0' })));
    expect((await refusal(createClient({ url: fake.url, retries: 2 }).page())).retryAfter).toBe(0);
    expect(fake.calls).toHaveLength(3);
    expect((await refusal(createClient({ url: fake.url, retries: 0 }).page())).code).toBe('overloaded');
    expect(fake.calls).toHaveLength(4);
    await fake.close();
    // Where the server names no time our own is no reason to make fewer.
    const silent = await scripted(...Array.from({ length: 9 }, () => refuse(503)));
    await refusal(createClient({ url: silent.url, retries: 7, longestWait: 20 }).page());
    expect(silent.calls).toHaveLength(8);
    await silent.close();
  });

  test('limits that are no numbers are refused before anything is asked', async () => {
    for (const wrong of [Number.NaN, -1, '9', null]) {
      const got = `must be a number of 0 or more, got ${wrong}`;
      for (const name of ['retries', 'longestWait', 'largestAnswer'])
        expect(() => createClient({ url: 'http://localhost', [name]: wrong })).toThrow(`${name} ${got}`);
      await expect(createClient({ url: 'http://localhost' }).page({ timeout: wrong as number })).rejects.toThrow(`timeout ${got}`);
    }
  });

  test('a key that no header takes, and a password in the URL, are refused without being shown', async () => {
    const key = 'key must be of visible ASCII characters alone';
    for (const wrong of ['secret\nkey', 'secret key', 'secr\u00e9t'])
      expect(() => createClient({ url: 'http://localhost', key: wrong })).toThrow(new RangeError(key));
    const url = 'url must be without a name and password; an API key goes into key';
    for (const wrong of ['http://me:secret@localhost', 'HTTPS://secret@localhost/x', ' http:/me:secret@localhost'])
      expect(() => createClient({ url: wrong })).toThrow(new RangeError(url));
    const fake = await scripted((req, res) => res.end(JSON.stringify({ tasks: [], next: req.headers.authorization })));
    // As it is read from a file, and addresses that have an @ further on.
    expect((await createClient({ url: `${fake.url}/a@b`, key: ' secret\n' }).page()).next).toBe('Bearer secret');
    await fake.close();
  });

  test('a signal ends a call where there is no AbortSignal.any, and is let go of', async () => {
    const any = Object.getOwnPropertyDescriptor(AbortSignal, 'any')!;
    Reflect.deleteProperty(AbortSignal, 'any');
    const reason = new Error('enough');
    const fake = await scripted(
      (_req, res) => res.end('{"tasks":[]}'),
      () => {},
    );
    try {
      const { signal, abort } = listened();
      const client = createClient({ url: fake.url });
      expect((await client.page({ signal })).tasks).toEqual([]);
      expect(signal.listeners).toBe(0);
      const call = client.page({ signal, timeout: 60_000 });
      setTimeout(() => abort(reason), 100);
      await expect(call).rejects.toBe(reason);
    } finally {
      Object.defineProperty(AbortSignal, 'any', any);
      await fake.close();
    }
  });

  test('a signal ends a call before it, during it and between two tries, with its own reason', async () => {
    const reason = new Error('enough');
    const fake = await scripted(() => {}, refuse(503, { 'Retry-After': '20' }));
    const client = createClient({ url: fake.url });
    await expect(client.page({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(fake.calls).toHaveLength(0);
    for (let i = 0; i < 2; i++) {
      const controller = new AbortController();
      const call = client.page({ signal: controller.signal });
      setTimeout(() => controller.abort(reason), 100);
      await expect(call).rejects.toBe(reason);
    }
    expect(fake.calls).toHaveLength(2);
    await fake.close();
  });

  test('a signal and a timeout end a call also while the words of a failure are on their way', async () => {
    const begin = (status: number) => (_req: IncomingMessage, res: ServerResponse) =>
      void res.writeHead(status, { 'Retry-After': '20', 'Content-Length': '100' }).write('{"error":');
    const fake = await scripted(begin(404), begin(503), begin(404));
    const reason = new Error('enough');
    for (let i = 0; i < 2; i++) {
      const controller = new AbortController();
      const call = createClient({ url: fake.url }).page({ signal: controller.signal });
      setTimeout(() => controller.abort(reason), 200);
      await expect(call).rejects.toBe(reason);
    }
    expect((await refusal(createClient({ url: fake.url, retries: 0 }).page({ timeout: 60 }))).code).toBe('no-answer');
    expect(fake.calls).toHaveLength(3);
    await fake.close();
  });

  test('a timeout is told to the server, and ends the try', async () => {
    const fake = await scripted(() => {});
    const error = await refusal(createClient({ url: fake.url, retries: 0 }).page({ timeout: 60 }));
    expect([error.code, fake.calls[0]['x-timeout-ms']]).toEqual(['no-answer', '60']);
    await fake.close();
  });

  test('a time that no timer holds is none: of a try, and of a wait', async () => {
    const slow = (_req: IncomingMessage, res: ServerResponse) => void setTimeout(() => res.end('{"tasks":[],"next":null}'), 60);
    const fake = await scripted(slow, slow, refuse(503, { 'Retry-After': '3000000' }));
    const client = createClient({ url: fake.url, retries: 0 });
    for (const timeout of [2 ** 31, Number.POSITIVE_INFINITY]) expect((await client.page({ timeout })).tasks).toEqual([]);
    expect(fake.calls.map((headers) => headers['x-timeout-ms'])).toEqual(['2147483648', undefined]);
    const controller = new AbortController();
    const call = createClient({ url: fake.url, longestWait: Number.POSITIVE_INFINITY }).page({ signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 200);
    await expect(call).rejects.toThrow('enough');
    expect(fake.calls).toHaveLength(3);
    await fake.close();
  });

  test('a timeout ends the try while garbage is collected, also after thousands of calls', async () => {
    const fake = await scripted(() => {});
    let quick = true;
    const page = () => new Response('{"tasks":[]}');
    const client = createClient({ url: fake.url, retries: 0, fetch: async (...asked) => (quick ? page() : fetch(...asked)) });
    // What is compiled forgets what it needs no more; what is interpreted does not.
    for (let i = 0; i < 15_000; i++) await client.page({ timeout: 60 });
    quick = false;
    setFlagsFromString('--expose-gc');
    const collector = setInterval(runInNewContext('gc'), 20);
    const error = await refusal(client.page({ timeout: 500 }));
    clearInterval(collector);
    expect(error.message).toBe(`no answer from ${fake.url}/tasks: longer than 500 ms`);
    await fake.close();
  }, 30_000);

  test("the server's word that time is over comes before the client's own, and is not tried again", async () => {
    const late = (req: IncomingMessage, res: ServerResponse) =>
      void setTimeout(() => res.writeHead(504).end('{"error":"too late","code":"deadline"}'), Number(req.headers['x-timeout-ms']) + 20);
    const fake = await scripted(late, late);
    const error = await refusal(createClient({ url: fake.url }).page({ timeout: 60 }));
    expect([error.code, error.status, fake.calls.length]).toEqual(['deadline', 504, 1]);
    await fake.close();
  });

  test('something on the way that is no Seedmask server', async () => {
    const fake = await scripted(
      (_req, res) => res.writeHead(403).end('<html>proxy</html>'),
      (_req, res) => res.end('<html>hello</html>'),
    );
    const client = createClient({ url: fake.url });
    const proxy = await refusal(client.page());
    expect([proxy.code, proxy.message]).toEqual(['not-seedmask', 'HTTP 403 from something that is no Seedmask server: <html>proxy</html>']);
    const page = await refusal(client.page());
    expect([page.code, page.status, page.message]).toEqual([
      'not-seedmask',
      200,
      'HTTP 200 from something that is no Seedmask server: <html>hello</html>',
    ]);
    expect(fake.calls).toHaveLength(2);
    await fake.close();
  });

  test('what something else says is one line, also if it says a page', async () => {
    const page = '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n\u001b[31m</html>';
    const fake = await scripted((_req, res) => res.writeHead(502).end(page));
    const { message } = await refusal(createClient({ url: fake.url, retries: 0 }).page());
    expect(message).toMatch(/: <html> <head><title>502 Bad Gateway<\/title><\/head> \[31m<\/html>$/);
    await fake.close();
  });

  test('an answer is read up to a limit and not tried again, a refusal up to its own', async () => {
    const endless = (status: number, pieces: number) => (_req: IncomingMessage, res: ServerResponse) => {
      res.writeHead(status);
      for (let i = 0; i < pieces; i++) res.write('x'.repeat(1024));
    };
    const fake = await scripted(endless(200, 2), endless(404, 80));
    const client = createClient({ url: fake.url, largestAnswer: 1024 });
    const { code, message } = await refusal(client.page());
    expect([code, message]).toEqual(['not-seedmask', `the answer from ${fake.url}/tasks is larger than 1024 bytes`]);
    expect((await refusal(client.page())).message).toMatch(/^HTTP 404 from something that is no Seedmask server: x{120}$/);
    expect(fake.calls).toHaveLength(2);
    await fake.close();
  });

  test('pages that lead nowhere else end the list with a failure', async () => {
    const again = (_req: IncomingMessage, res: ServerResponse) => res.end('{"tasks":[],"next":"a"}');
    const fake = await scripted(again, again, again);
    const walk = async () => {
      for await (const task of createClient({ url: fake.url }).tasks()) expect(task).toBeNull();
    };
    expect((await refusal(walk())).message).toMatch(/no Seedmask server: after the tasks from a on come those from a on$/);
    expect(fake.calls).toHaveLength(2);
    await fake.close();
  });

  test('JSON of something else is never taken for an answer', async () => {
    const texts = ['null', '[]', '{}', 'null', '{"tasks":null}', '{"tasks":[],"next":5}'];
    const fake = await scripted(...texts.map((text) => (_: IncomingMessage, res: ServerResponse) => res.end(text)));
    const client = createClient({ url: fake.url, retries: 0 });
    const classify = () => client.classify('tiny', ROWS);
    const page = () => client.page();
    for (const call of [classify, classify, () => client.networks(), page, page, page]) {
      const { code, status, message } = await refusal(call());
      const [, text] = /^HTTP 200 from something that is no Seedmask server: (.*)$/.exec(message)!;
      expect([code, status, texts.includes(text)]).toEqual(['not-seedmask', 200, true]);
    }
    await fake.close();
  });

  test('waits: the server says how long, else they double; chance adds up to a half', () => {
    const busy = (retryAfter?: number) => new RequestError('busy', { status: 503, code: 'overloaded', retryAfter });
    expect([0, 1, 2].map((tries) => pause(busy(), tries, 30_000, () => 0))).toEqual([100, 200, 400]);
    expect(pause(busy(2), 5, 30_000, () => 1)).toBe(3000);
    // What chance adds is no reason to give up.
    expect([pause(busy(2), 5, 2000, () => 1), pause(busy(2.1), 5, 2000, () => 0)]).toEqual([2000, null]);
    // Nor is a longest wait that is shorter than our own.
    expect([pause(busy(), 19, 30_000), pause(busy(), 2000, 30_000), pause(busy(), 0, 50)]).toEqual([30_000, 30_000, 50]);
    expect(pause(new RequestError('no', { status: 404, code: 'unknown-task' }), 0, 30_000)).toBeNull();
    expect([secondsOf('7', 0), secondsOf(null, 0), secondsOf('soon', 0)]).toEqual([7, undefined, undefined]);
    expect([secondsOf('1.5', 0), secondsOf('-1', 0), secondsOf('', 0)]).toEqual([1.5, undefined, undefined]);
    // The date of RFC 9110, 5.6.7, is 784111777 seconds after 1970.
    expect(secondsOf('Sun, 06 Nov 1994 08:49:37 GMT', 784111770_000)).toBe(7);
  });
});
