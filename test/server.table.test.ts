// Every route of the table against every mistake that can be made on any of them: a wrong verb, an unknown task, version, label or
// network, no key and a wrong one, no body, too large a body, and a server that drains. Rows come from the routes themselves, so a new
// route is in the table on the day it is written.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashOf, type Listening, type Store } from '../server/index.js';
import type { Route } from '../server/routes.js';
import { createService } from '../server/service.js';
import { engine, oneTask, sampleStore, serve, tinyNetwork } from './server.material.js';

const [KEY, ADMIN] = ['key-of-a-client', 'key-of-the-admin'];
const keys = [{ name: 'client', sha256: hashOf(KEY) }];
const adminKey = hashOf(ADMIN);
const BODY_LIMIT = 2000;

let store: Store;
let server: Listening;
let network: string;
beforeAll(async () => {
  // A second task on the newest network of tiny.
  store = await sampleStore({ 'twin.smk': oneTask(tinyNetwork([2, 2, 1], 3, 8)) });
  server = await serve({ store, keys, adminKey, bodyLimit: BODY_LIMIT });
  network = JSON.parse((await call('GET', '/networks')).text).networks.find(({ tasks }: { tasks: number }) => tasks === 2).id;
});
afterAll(() => server.close());

async function call(
  method: string,
  path: string,
  { body, key = ADMIN, at = server }: { body?: string; key?: string | null; at?: Listening } = {},
) {
  const headers: Record<string, string> = key === null ? {} : { Authorization: `Bearer ${key}` };
  const response = await fetch(`${at.url}${path}`, { method, body, headers });
  const text = await response.text();
  const code: unknown = response.ok || !text.startsWith('{') ? undefined : JSON.parse(text).code;
  return { status: response.status, code, text, headers: response.headers };
}
const filled = ({ path }: Route, over: Readonly<Record<string, string>> = {}) =>
  path.replace(
    /\{(\w+)\}/g,
    (_, name: string) => ({ task: 'tiny', model: 'tiny', version: '1', label: 'stable', network, ...over })[name] ?? '',
  );

/** A body that the route takes. */
const good = ({ path }: Route): string | undefined => {
  if (path.endsWith('/infer')) return '{"inputs":[{"name":"pixels","shape":[1,4],"datatype":"UINT8","data":[1,2,3,4]}]}';
  if (path.endsWith(':classify')) return '{"examples":[{"pixels":[1,2,3,4]}]}';
  return /(\/classify|\/infer-task|:predict)$/.test(path) ? '{"instances":[[1,2,3,4]]}' : undefined;
};

const { routes } = createService({ engine, store: await sampleStore() });
const table = routes.map((route): [string, Route] => [`${route.method} ${route.path}`, route]);
const has = (...parts: string[]) => table.filter(([, { path }]) => parts.some((part) => path.includes(`{${part}}`)));
const v1 = (path: string) => path.startsWith('/v1/');

test('the table is the whole server', () => {
  expect(table.length).toBeGreaterThan(35);
  expect(new Set(table.map(([name]) => name)).size).toBe(table.length);
});

describe('mistakes', () => {
  test.each(table.filter(([, { path }]) => !path.endsWith('load')))('%s answers a sound request', async (_, route) => {
    const { status, code } = await call(route.method, filled(route), { body: good(route) });
    expect([status, code]).toEqual(route.path.endsWith(':regress') ? [400, 'bad-request'] : [200, undefined]);
  });

  test.each(table)('%s: a wrong verb', async (_, route) => {
    const { status, code, headers } = await call('DELETE', filled(route));
    expect([status, code]).toEqual(v1(route.path) ? [400, 'malformed-v1'] : [405, 'wrong-method']);
    if (!v1(route.path)) expect(headers.get('allow')).toContain(route.method);
  });

  test.each(has('task', 'model'))('%s: an unknown task', async (_, route) => {
    const { status, code, text } = await call(route.method, filled(route, { task: 'nobody', model: 'nobody' }), { body: good(route) });
    expect([status, code]).toEqual([404, 'unknown-task']);
    expect(JSON.parse(text).error).not.toMatch(/\.\.\./);
  });

  test.each(has('version', 'label', 'network'))('%s: an unknown version, label or network', async (_, route) => {
    const { status, code } = await call(route.method, filled(route, { version: '9', label: 'beta', network: 'f'.repeat(64) }), {
      body: good(route),
    });
    const what = ['label', 'version', 'network'].find((name) => route.path.includes(`{${name}}`));
    expect([status, code]).toEqual([404, what === 'network' ? 'unknown-network' : `unknown-task-${what}`]);
  });

  test.each(table)('%s: no key, a wrong one, a client where the admin is needed', async (_, route) => {
    const of = async (key: string | null) =>
      (await call(route.method, filled(route), { key, body: route.method === 'GET' ? undefined : '[]' })).code;
    const [none, wrong, client] = [await of(null), await of('wrong'), await of(KEY)];
    if (route.access === 'open') expect([none, wrong]).not.toEqual(expect.arrayContaining([expect.stringMatching(/key/)]));
    else expect([none, wrong]).toEqual(['no-key', 'unknown-key']);
    expect(client === 'not-admin').toBe(route.access === 'admin');
  });

  test.each(table.filter(([, { method }]) => method === 'POST'))('%s: no body', async (_, route) => {
    if (route.path.endsWith('/unload')) return;
    const { status, code } = await call('POST', filled(route));
    if (route.about.optionalBody) expect(status).toBe(200);
    else expect([status, code]).toEqual([400, route.path.endsWith(':regress') ? 'bad-request' : 'no-body']);
  });

  test.each(table.filter(([, { method, path }]) => method === 'POST' && !path.endsWith(':regress')))(
    '%s: too large a body',
    async (_, route) => {
      const { status, code } = await call('POST', filled(route), { body: 'x'.repeat(BODY_LIMIT + 1) });
      expect([status, code]).toEqual([413, 'large-body']);
    },
  );

  test.each(table.filter(([, { method, path }]) => method === 'POST' && !path.endsWith(':regress')))('%s: no JSON', async (_, route) => {
    const { status, code } = await call('POST', filled(route), { body: '{"' });
    expect([status, code]).toEqual([400, 'bad-json']);
  });
});

describe('draining', () => {
  test('readiness is 503 and all else goes on, for who is still there', async () => {
    const draining = await serve({ store, keys, adminKey });
    draining.handler.drain();
    for (const [name, route] of table.filter(([, { path }]) => !path.endsWith('load'))) {
      const { status } = await call(route.method, filled(route), { body: good(route), at: draining });
      const state = /^\/v2\/(.*\/)?ready$/.test(route.path) || /^\/v1\/models\/\{model\}(\/(versions|labels)\/\{\w+\})?$/.test(route.path);
      expect(status, name).toBe(state && route.method === 'GET' ? 503 : route.path.endsWith(':regress') ? 400 : 200);
    }
    await draining.close();
  });
});

describe('under /v1 everything else is malformed, in the words of TensorFlow Serving', () => {
  test.each([
    ['GET', '/v1'],
    ['GET', '/v1/'],
    ['GET', '/v1/models/'],
    ['GET', '/v1/nothing'],
    ['GET', '/v1/models/tiny/'],
    ['GET', '/v1/models/tiny/versions/x'],
    ['GET', '/v1/models/tiny/versions/1/labels/stable'],
    ['GET', '/v1/models/tiny:predict'],
    ['POST', '/v1/models/tiny'],
    ['POST', '/v1/models/:predict'],
    ['POST', '/v1/models/tiny:explain'],
    ['PUT', '/V1/models/tiny:predict'],
  ])('%s %s', async (method, path) => {
    const { status, text, headers } = await call(method, path);
    expect([status, headers.get('content-type')]).toEqual([400, 'application/json']);
    expect(JSON.parse(text).error).toBe(`Malformed request: ${method} ${path}`);
  });

  test('outside it is 404', async () => {
    expect((await call('GET', '/v10/models')).status).toBe(404);
    expect((await call('GET', '/v3')).status).toBe(404);
  });
});
