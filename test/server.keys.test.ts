// Who may do what, and what the server tells about it: keys and their tasks and limits, the admin key, request ids in and out and in
// every line of the log, and never a key in any of it. Headers for browsers.

import { createHash, randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeedmaskError } from '../codec/errors.js';
import { createApp, createHandler, hashOf, type Listening, readAdminKey, readKeys } from '../server/index.js';
import type { ServerOptions } from '../server/service.js';
import { traceOf } from '../server/trace.js';
import { engine, get, oneTask, post, sampleStore, serve, tinyNetwork } from './server.material.js';

const key = (name: string) => `smk_${createHash('sha256').update(name).digest('base64url')}`;
const [ALL, TINY, STAR, FEW, ADMIN] = ['all', 'tiny', 'star', 'few', 'admin'].map(key);
const keys = readKeys(
  JSON.stringify({
    keys: [
      { name: 'all', sha256: hashOf(ALL) },
      { name: 'tiny', sha256: hashOf(TINY), tasks: ['tiny'] },
      { name: 'star', sha256: hashOf(STAR), tasks: ['col*', 'none'] },
      { name: 'few', sha256: hashOf(FEW), limit: { requests: 2, seconds: 60 } },
    ],
  }),
  'test',
);
const bearer = (k: string) => ({ Authorization: `Bearer ${k}` });
const ROW = { instances: [[1, 2, 3, 4]] };

/** A server whose log lines are kept. */
async function logged(over: Partial<ServerOptions> = {}) {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = pino({ level: 'debug', base: null }, sink);
  const server = await serve({ store: await sampleStore(), keys, adminKey: hashOf(ADMIN), log, ...over });
  return { ...server, lines, entries: () => lines.map((line) => JSON.parse(line)) };
}

let server: Listening & { readonly lines: string[]; entries(): Record<string, unknown>[] };
beforeAll(async () => {
  server = await logged();
});
afterAll(() => server.close());
const classify = (task: string, headers: Record<string, string> = {}) => post(`${server.url}/tasks/${task}/classify`, ROW, headers);

describe('keys', () => {
  test('none, a wrong one, the right one in either header', async () => {
    const none = await classify('tiny');
    expect([none.status, none.json.code, none.headers.get('www-authenticate')]).toEqual([401, 'no-key', 'Bearer realm="seedmask"']);
    expect(none.json.hint).toContain('Authorization: Bearer KEY');
    for (const wrong of [key('x'), `${ALL}x`, ALL.slice(0, -1), hashOf(ALL), '0']) {
      expect((await classify('tiny', bearer(wrong))).json.code).toBe('unknown-key');
      expect((await classify('tiny', { 'X-API-Key': wrong })).status).toBe(401);
    }
    for (const headers of [bearer(ALL), { Authorization: `bearer  ${ALL}` }, { 'X-API-Key': ALL }]) {
      expect((await classify('tiny', headers)).status).toBe(200);
    }
    for (const other of [`Basic ${ALL}`, 'Bearer', `Bearer ${ALL} ${ALL}`]) {
      expect((await classify('tiny', { Authorization: other })).json.code).toBe('no-key');
    }
  });

  test('a key may use its tasks, whether they exist or not, in every protocol', async () => {
    expect((await classify('tiny', bearer(TINY))).status).toBe(200);
    for (const path of ['/tasks/colour/classify', '/v1/models/colour:predict', '/v2/models/colour/infer', '/tasks/nobody/classify']) {
      const { status, json } = await post(`${server.url}${path}`, ROW, bearer(TINY));
      expect([status, json.code]).toEqual([403, 'forbidden-task']);
      expect(json.error).toMatch(/^this API key may not use the task (colour|nobody), only tiny$/);
    }
    expect((await get(`${server.url}/tasks/colour/mask`, { headers: bearer(TINY) })).status).toBe(403);
    expect((await post(`${server.url}/tasks/colour/classify`, { instances: [new Array(12).fill(1)] }, bearer(STAR))).status).toBe(200);
    expect((await classify('none', bearer(STAR))).json.code).toBe('unknown-task');
    expect((await classify('tiny', bearer(STAR))).status).toBe(403);
  });

  test('of an unknown task it hears no name but those that it may use, in every protocol', async () => {
    // One letter from `none`, and another's.
    const other = await logged({ store: await sampleStore({ 'nona.smk': oneTask(tinyNetwork()) }) });
    const { paths } = (await get(`${other.url}/openapi.json`)).json;
    const routes = Object.keys(paths).filter((path) => /[{](task|model)[}]/.test(path) && !path.startsWith('/v2/repository'));
    expect(routes.length).toBeGreaterThan(15);
    for (const path of routes) {
      const at = `${other.url}${path.replace(/[{](task|model)[}]/, 'none').replace(/[{]\w+[}]/, '1')}`;
      for (const method of Object.keys(paths[path])) {
        const { status, json } = await get(at, { method, headers: bearer(STAR), ...(method === 'post' && { body: JSON.stringify(ROW) }) });
        expect([status, json.hint, json.expected], path).toEqual([404, 'Known here: colour.', 'colour']);
      }
    }
    const near = async (name: string, k: string) => (await post(`${other.url}/tasks/${name}/classify`, ROW, bearer(k))).json.hint;
    expect([await near('colours', STAR), await near('none', ALL)]).toEqual(['Did you mean colour?', 'Did you mean nona?']);
    await other.close();
  });

  test('lists show what the key may use', async () => {
    const listed = async (path: string, k: string) => (await get(`${server.url}${path}`, { headers: bearer(k) })).json;
    expect((await listed('/tasks', TINY)).tasks.map((t: { id: string }) => t.id)).toEqual(['tiny']);
    expect((await listed('/tasks?limit=1', STAR)).tasks.map((t: { id: string }) => t.id)).toEqual(['colour']);
    expect((await listed('/tasks?limit=1', STAR)).next).toBe(null);
    expect(await listed('/v1/models', STAR)).toEqual({ models: ['colour'] });
    expect((await listed('/networks', STAR)).networks.map((n: { network: string }) => n.network)).toEqual(['fc:12-4']);
    const stats: { name: string }[] = (await listed('/v2/models/stats', TINY)).model_stats;
    expect(new Set(stats.map(({ name }) => name))).toEqual(new Set(['tiny']));
    const private_ = await fetch(`${server.url}/tasks/tiny/mask`, { headers: bearer(TINY) });
    const pinned = await fetch(`${server.url}/tasks/tiny/mask?id=${private_.headers.get('etag')!.slice(3, -1)}`, { headers: bearer(TINY) });
    expect(pinned.headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
  });

  test('beyond its limit a key gets 429 and is told when to come again', async () => {
    for (let i = 0; i < 2; i++) expect((await classify('tiny', bearer(FEW))).status).toBe(200);
    const third = await classify('tiny', bearer(FEW));
    expect([third.status, third.json.code]).toEqual([429, 'key-limit']);
    expect(third.json.error).toBe('the key of few has made its 2 requests in 60 s');
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(50);
    expect((await classify('tiny', bearer(ALL))).status).toBe(200);
  });

  test('open routes need none', async () => {
    for (const path of ['/', '/v2', '/v2/health/live', '/v2/health/ready', '/openapi.json', '/metrics']) {
      const response = await fetch(`${server.url}${path}`);
      expect([response.status, (await response.text()).length > 0], path).toEqual([200, true]);
    }
    expect((await post(`${server.url}/v2/repository/index`, '')).status).toBe(200);
  });

  test('load and unload: closed without an admin key, then for the admin alone', async () => {
    const store = await sampleStore();
    const closed = await serve({ store });
    for (const verb of ['load', 'unload']) {
      const path = `/v2/repository/models/tiny/${verb}`;
      const { status, type, json } = await post(`${closed.url}${path}`, '');
      expect([status, type, json.code]).toEqual([403, 'application/json', 'admin-closed']);
      expect(json.error).toContain('this server has no admin key');
      expect((await post(`${server.url}${path}`, '')).json.code).toBe('no-key');
      expect((await post(`${server.url}${path}`, '', bearer(key('x')))).json.code).toBe('unknown-key');
      const client = await post(`${server.url}${path}`, '', bearer(ALL));
      expect([client.status, client.json.code]).toEqual([403, 'not-admin']);
      expect((await post(`${server.url}/v2/repository/models/tiny/load`, '', bearer(ADMIN))).status).toBe(200);
    }
    await closed.close();
    const open = await serve({ store, adminKey: hashOf(ADMIN) });
    expect((await post(`${open.url}/tasks/tiny/classify`, ROW)).status).toBe(200);
    await open.close();
  });

  test('the admin key opens everything', async () => {
    expect((await classify('tiny', bearer(ADMIN))).status).toBe(200);
  });

  const sha256 = '0'.repeat(64);
  test.each<[string, string, string]>([
    ['no JSON', '{keys', 'test must be JSON such as'],
    ['no list', '{}', '/keys of test must be'],
    ['no hash', '{"keys": [{"name": "a", "sha256": "smk_secret"}]}', '/keys/0/sha256 of test must be a SHA-256'],
    ['no name', `{"keys": [{"sha256": "${sha256}"}]}`, '/keys/0/name of test'],
    ['a key itself', `{"keys": [{"name": "a", "sha256": "${sha256}", "key": "smk_secret"}]}`, 'free of other fields'],
    ['a bad task', `{"keys": [{"name": "a", "sha256": "${sha256}", "tasks": ["a b"]}]}`, '/keys/0/tasks/0 of test must be a task name'],
    [
      'two stars',
      `{"keys": [{"name": "a", "sha256": "${sha256}", "tasks": ["*", "b*", "b**"]}]}`,
      '/keys/0/tasks/2 of test must be a task name',
    ],
    ['a bad limit', `{"keys": [{"name": "a", "sha256": "${sha256}", "limit": {"requests": 0, "seconds": 1}}]}`, '/keys/0/limit/requests'],
    [
      'a name twice',
      `{"keys": [{"name": "a", "sha256": "${sha256}"}, {"name": "a", "sha256": "${'1'.repeat(64)}"}]}`,
      'another name than every key',
    ],
    ['a hash twice', `{"keys": [{"name": "a", "sha256": "${sha256}"}, {"name": "b", "sha256": "${sha256}"}]}`, 'another sha256'],
  ])('a key file with %s is one line that shows no secret', (_, text, line) => {
    const read = () => readKeys(text, 'test');
    expect(read).toThrow(SeedmaskError);
    expect(read).toThrow(line);
    expect(read).not.toThrow(/smk_secret|\n/);
  });

  test('an admin key file holds the hash, not the key', () => {
    expect(readAdminKey(`sha256:${sha256}\n`, 'f')).toBe(sha256);
    for (const text of ['', ADMIN, sha256, `sha256:${sha256}\nmore`]) {
      expect(() => readAdminKey(text, 'f')).toThrow(
        'f must be one line of sha256: and 64 hex digits, the hash of the key and not the key itself',
      );
      if (text) expect(() => readAdminKey(text, 'f')).not.toThrow(text);
    }
  });
});

test('hashes that are none are refused when the server is made, not with each request', async () => {
  const store = await sampleStore();
  for (const [options, field] of [
    [{ adminKey: `sha256:${hashOf(ADMIN)}` }, 'adminKey'],
    [{ adminKey: ADMIN }, 'adminKey'],
    [{ keys: [...keys, { name: 'lab', sha256: hashOf(ALL).toUpperCase() }] }, 'keys[4].sha256'],
  ] as const)
    for (const make of [createApp, createHandler])
      expect(() => make({ store, engine, ...options })).toThrow(
        new SeedmaskError('bad-keys', {
          field,
          expected: 'a SHA-256: 64 hex digits in lower case',
          hint: 'hashOf makes it of the key, readKeys and readAdminKey of files.',
        }),
      );
});

test('any text and any JSON is a key file or one clear line', () => {
  const entry = fc.record(
    {
      name: fc.oneof(fc.string(), fc.constant('a')),
      sha256: fc.oneof(fc.string(), fc.constant('0'.repeat(64))),
      tasks: fc.jsonValue(),
      limit: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ keys: fc.array(entry) }).map((value) => JSON.stringify(value)),
  );
  let read = 0;
  fc.assert(
    fc.property(text, (file) => {
      try {
        for (const { sha256 } of readKeys(file, 'test')) {
          expect(sha256).toMatch(/^[0-9a-f]{64}$/);
          read++;
        }
      } catch (error) {
        if (!(error instanceof SeedmaskError)) throw error;
        expect(error.message).toMatch(/^[^\n]*test[^\n]*$/);
      }
    }),
    { seed: 11, numRuns: 2000 },
  );
  expect(read).toBeGreaterThan(0);
});

test('whatever the headers, the id is sound and a trace is the one that was sent', () => {
  const hex = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
  const parent = fc.oneof(
    fc.string(),
    fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((parts) => parts.join('-')),
  );
  fc.assert(
    fc.property(fc.string(), parent, (id, traceparent) => {
      const trace = traceOf({ 'x-request-id': id, traceparent }, () => 'fresh');
      expect(trace.id).toMatch(/^[A-Za-z0-9._~:/+=@-]{1,128}$/);
      if (trace.traceId === undefined) expect(trace.traceparent).toBeUndefined();
      else expect([traceparent.split('-')[1], trace.traceparent?.split('-')[1]]).toEqual([trace.traceId, trace.traceId]);
    }),
    { seed: 12, numRuns: 1000 },
  );
});

describe('request ids and the log', () => {
  test('an id comes back as it was; without a sound one the server makes it', async () => {
    const id = async (headers: Record<string, string>) =>
      (await classify('tiny', { ...bearer(ALL), ...headers })).headers.get('x-request-id');
    expect(await id({ 'X-Request-Id': 'abc-123' })).toBe('abc-123');
    const made = [await id({}), await id({ 'X-Request-Id': 'a b' }), await id({ 'X-Request-Id': 'x'.repeat(129) })];
    for (const one of made) expect(one).toMatch(/^[A-Za-z0-9_-]{12}-[0-9a-z]+$/);
    expect(new Set(made).size).toBe(3);
    expect((await get(`${server.url}/nothing`, { headers: { 'X-Request-Id': 'lost' } })).headers.get('x-request-id')).toBe('lost');
  });

  // The traceparent of https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
  test('a W3C trace goes on under a new span; what is none is left out', async () => {
    const parent = async (traceparent: string) => (await classify('tiny', { ...bearer(ALL), traceparent })).headers.get('traceparent');
    const ours = await parent(`00-${TRACE}-00f067aa0ba902b7-01`);
    expect(ours).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(ours).not.toContain('00f067aa0ba902b7');
    expect(await parent(`01-${TRACE}-00f067aa0ba902b7-00-future`)).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    for (const bad of [
      `ff-${TRACE}-00f067aa0ba902b7-01`,
      `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      `00-${TRACE}-00f067aa0ba902b7-01-more`,
      `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
      'x',
    ]) {
      expect(await parent(bad)).toBeNull();
    }
  });

  test('every answer is a line with its id, and no line holds a key', async () => {
    const secret = `smk_${randomBytes(32).toString('base64url')}`;
    await classify('tiny', { ...bearer(ALL), 'X-Request-Id': 'line-1', traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
    await classify('tiny', { ...bearer(secret), 'X-Request-Id': 'line-2' });
    await post(`${server.url}/tasks/tiny/classify?key=${secret}`, ROW, { 'X-API-Key': TINY, 'X-Request-Id': 'line-3' });
    const of = (id: string) => server.entries().filter((entry) => entry['requestId'] === id);
    expect(of('line-1')).toEqual([
      expect.objectContaining({
        traceId: TRACE,
        method: 'POST',
        route: '/tasks/{task}/classify',
        task: 'tiny',
        caller: 'all',
        status: 200,
        level: 20,
      }),
    ]);
    expect(of('line-2')).toEqual([expect.objectContaining({ status: 401, code: 'unknown-key', level: 30 })]);
    expect(of('line-3')).toHaveLength(1);
    for (const entry of server.entries()) if (entry['msg'] === 'answered') expect(entry['requestId']).toMatch(/\S/);
    const all = server.lines.join('');
    expect(server.lines.length).toBeGreaterThan(50);
    for (const k of [ALL, TINY, STAR, FEW, ADMIN, secret]) {
      expect(all).not.toContain(k);
      expect(all).not.toContain(hashOf(k));
    }
  });

  test('a fault of the server stands in the log under the id that the client got', async () => {
    const broken = await logged({
      keys: undefined,
      report: undefined,
      engine: {
        ...engine,
        anyMask: () => {
          throw new Error('broken inside');
        },
      },
    });
    const { status, json } = await post(`${broken.url}/tasks/tiny/classify`, ROW, { 'X-Request-Id': 'fault' });
    expect([status, json.code, JSON.stringify(json).includes('broken inside')]).toEqual([500, 'internal', false]);
    const [fault, answered] = broken.entries().filter((entry) => entry['requestId'] === 'fault');
    expect(fault).toMatchObject({ level: 50, err: { message: 'broken inside' } });
    expect(answered).toMatchObject({ level: 40, status: 500, code: 'internal' });
    await broken.close();
  });
});

describe('browsers', () => {
  const origin = 'https://page.example';
  test('no headers for other origins unless asked for', async () => {
    const { headers } = await get(`${server.url}/v2`, { headers: { Origin: origin } });
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('content-security-policy')).toBeNull();
  });

  test('the origins that were named may ask, be preflighted and read our headers', async () => {
    const open = await serve({ cors: [origin] });
    const asked = await post(`${open.url}/tasks/tiny/classify`, ROW, { Origin: origin });
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([200, origin]);
    // A cache must keep answers to different origins apart, also where they differ by more.
    const [network] = (await get(`${open.url}/networks`)).json.networks;
    expect((await get(`${open.url}/networks/${network.id}`, { headers: { Origin: origin } })).headers.get('vary')).toBe('Origin, Accept');
    const exposed = asked.headers.get('access-control-expose-headers')!.split(',');
    expect(exposed).toEqual(
      expect.arrayContaining(['Inference-Header-Content-Length', 'X-Request-Id', 'Retry-After', 'ETag', 'Content-Range']),
    );
    const flight = await fetch(`${open.url}/tasks/tiny/classify`, {
      method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,x-request-id' },
    });
    expect([flight.status, flight.headers.get('access-control-allow-headers')]).toEqual([204, 'authorization,x-request-id']);
    const other = await get(`${open.url}/v2`, { headers: { Origin: 'https://other.example' } });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
    const refused = await post(`${open.url}/tasks/tiny/classify`, {}, { Origin: origin });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([400, origin]);
    await open.close();
    const all = await serve({ cors: ['*'] });
    expect((await get(`${all.url}/v2`, { headers: { Origin: origin } })).headers.get('access-control-allow-origin')).toBe('*');
    await all.close();
  });

  test("helmet's headers come with every answer, and let a page compile WebAssembly and start threads", async () => {
    const safe = await serve({ helmet: true });
    for (const { headers } of [
      await get(`${safe.url}/v2`),
      await post(`${safe.url}/tasks/tiny/classify`, ROW),
      await get(`${safe.url}/none`),
    ]) {
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toMatch(/script-src 'self' 'wasm-unsafe-eval'/);
      expect(headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests');
      expect([headers.get('cross-origin-opener-policy'), headers.get('cross-origin-embedder-policy')]).toEqual([
        'same-origin',
        'require-corp',
      ]);
    }
    await safe.close();
  });
});
