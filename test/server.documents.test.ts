// What the server says about itself: the OpenAPI document against OpenAPI's own schema and against what the server really takes and
// gives; the metrics against Prometheus's format and naming rules (https://prometheus.io/docs/practices/naming/).

import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { writeModel } from '../codec/index.js';
import type { Listening, Store } from '../server/index.js';
import { createService } from '../server/service.js';
import { engine, get, oneTask, post, sampleStore, serve, storeOf, tinyNetwork } from './server.material.js';

let store: Store;
let server: Listening;
beforeAll(async () => {
  store = await sampleStore();
  server = await serve({ store, release: '1.2.3', adminKey: '0'.repeat(64) });
});
afterAll(() => server.close());

interface Media {
  readonly schema?: Parameters<typeof z.fromJSONSchema>[0];
}
interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
const documentOf = async (at = server): Promise<Document> => (await get(`${at.url}/openapi.json`)).json;
const filled = (path: string, network: string) =>
  path
    .replace('{task}', 'tiny')
    .replace('{model}', 'tiny')
    .replace('{version}', '1')
    .replace('{label}', 'stable')
    .replace('{network}', network);

describe('OpenAPI', () => {
  test('the document is valid OpenAPI 3.1, and has every operation once', async () => {
    const document = await documentOf();
    const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
    expect(errors).toBeUndefined();
    expect([valid, document.openapi]).toEqual([true, '3.1.0']);
    const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('every route is in the document, and everything in the document is a route that answers', async () => {
    const document = await documentOf();
    const { routes } = createService({ engine, store });
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((m) => `${m.toUpperCase()} ${path}`),
    );
    expect(routes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(listed.sort());
    const [{ id }] = (await get(`${server.url}/networks`)).json.networks;
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        const response = await fetch(`${server.url}${filled(path, id)}`, { method: method.toUpperCase() });
        const text = await response.text();
        expect(text, `${method} ${path}`).not.toMatch(/unknown-route|wrong-method|malformed-v1/);
        if (method === 'get') expect(response.status, path).toBe(200);
      }
    }
  });

  test('JSON answers are what the document says, field for field', async () => {
    // A second task on the newest network of tiny.
    const twin = await sampleStore({ 'twin.smk': oneTask(tinyNetwork([2, 2, 1], 3, 8)) });
    const pair = await serve({ store: twin, release: '1.2.3', adminKey: '0'.repeat(64) });
    const document = await documentOf(pair);
    const { networks } = (await get(`${pair.url}/networks`)).json;
    const { id } = networks.find(({ tasks }: { tasks: number }) => tasks === 2);
    const rows = { instances: [[1, 2, 3, 4]] };
    const bodies: Record<string, object> = {
      '/tasks/{task}/classify': rows,
      '/networks/{network}/infer-task': rows,
      predict: rows,
      classify: { examples: [{ pixels: [1, 2, 3, 4] }] },
      infer: { inputs: [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', data: [1, 2, 3, 4] }] },
      '/v2/repository/index': {},
    };
    let checked = 0;
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { responses }] of Object.entries(methods)) {
        const schema = responses['200']?.content?.['application/json']?.schema;
        if (!schema || /\/(un)?load$/.test(path)) continue;
        const body = bodies[path] ?? bodies[path.split(/[:/]/).at(-1) ?? ''];
        const url = `${pair.url}${filled(path, id)}`;
        const { status, json } = method === 'get' ? await get(url) : await post(url, body ?? '');
        expect(status, path).toBe(200);
        const { success, error } = z.fromJSONSchema(schema).safeParse(json);
        expect(error?.issues, path).toBeUndefined();
        expect(success).toBe(true);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(25);
    await pair.close();
  });

  test('failures are the Problem of the document', async () => {
    const { json } = await post(`${server.url}/tasks/nobody/classify`, {});
    expect(json).toEqual({
      error: expect.stringContaining('no task named nobody'),
      code: 'unknown-task',
      field: 'task',
      expected: 'colour, digits, tiny',
      got: 'nobody',
      hint: 'Known here: colour, digits, tiny.',
      type: 'urn:seedmask:error:unknown-task',
      title: 'unknown task',
      status: 404,
      detail: json.error,
    });
  });

  test('keys are asked for in the document where the server asks for them', async () => {
    const security = async (at: Listening) => {
      const { paths } = await documentOf(at);
      return [paths['/tasks'].get, paths['/v2/health/live'].get, paths['/v2/repository/models/{model}/load'].post].map(
        (o) => o.security.length,
      );
    };
    expect(await security(server)).toEqual([0, 0, 2]);
    const keyed = await serve({ store, keys: [{ name: 'a', sha256: '0'.repeat(64) }] });
    expect(await security(keyed)).toEqual([2, 0, 2]);
    await keyed.close();
  });

  test('/ says where to begin', async () => {
    expect((await get(`${server.url}/`)).json).toEqual({
      name: 'seedmask',
      version: '1.2.3',
      tasks: '/tasks',
      openapi: '/openapi.json',
      metrics: '/metrics',
    });
  });
});

/** name -> type, and the samples, of a text in Prometheus's exposition format; throws where the text is no such thing. */
function parse(text: string) {
  const types = new Map<string, string>();
  const helps = new Map<string, string>();
  const samples: { readonly name: string; readonly labels: Record<string, string>; readonly value: number }[] = [];
  for (const line of text.split('\n').filter((l) => l !== '')) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line) ?? [];
    if (kind) {
      const into = kind === 'HELP' ? helps : types;
      expect(into.has(name), line).toBe(false);
      into.set(name, rest);
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!sample) throw new Error(`no sample: ${line}`);
    const labels = Object.fromEntries(
      [...(sample[2] ?? '').matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]]),
    );
    samples.push({ name: sample[1], labels, value: Number(sample[3].replace('+Inf', 'Infinity')) });
  }
  return { types, helps, samples };
}

describe('metrics', () => {
  test('the format and the names pass the rules of promtool check metrics', async () => {
    await post(`${server.url}/tasks/tiny/classify`, { instances: [[1, 2, 3, 4]] });
    const response = await fetch(`${server.url}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const { types, helps, samples } = parse(await response.text());
    expect(types.size).toBeGreaterThan(10);
    for (const [name, type] of types) {
      expect(name).toMatch(/^seedmask_[a-z][a-z0-9_]*$/);
      expect(helps.get(name), name).toBeTruthy();
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name).not.toMatch(
        /_(counter|gauge|histogram|summary|count|sum|bucket)$|milliseconds|_ms\b|minutes|kilobytes|megabytes|percent/,
      );
    }
    for (const { name, labels } of samples) {
      const base = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
      expect(types.has(base), name).toBe(true);
      if (types.get(base) !== 'histogram') expect(Object.keys(labels)).not.toContain('le');
    }
  });

  test('requests by route and status, rows and abstentions by task, refusals by code, batches and both halves of the time', async () => {
    const fresh = await serve({ store });
    const value = async (name: string, labels: Record<string, string> = {}) => {
      const { samples } = parse(await (await fetch(`${fresh.url}/metrics`)).text());
      return samples.find((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))?.value;
    };
    await post(`${fresh.url}/tasks/tiny/classify`, {
      instances: [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
    });
    await post(`${fresh.url}/tasks/tiny/classify?abstain=1`, {
      instances: [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 9, 9, 9],
      ],
    });
    await post(`${fresh.url}/tasks/tiny/classify`, {});
    await post(`${fresh.url}/tasks/nobody-${'x'.repeat(50)}/classify`, {});
    await get(`${fresh.url}/nothing/at/all`);
    // Refused by the scheduler: it never waited for its turn to the end.
    await post(`${fresh.url}/tasks/tiny/classify`, { instances: [[1, 2, 3, 4]] }, { 'X-Timeout-Ms': '0' });
    const classify = { route: '/tasks/{task}/classify' };
    expect(await value('seedmask_requests_total', { ...classify, status: '200' })).toBe(2);
    expect(await value('seedmask_requests_total', { ...classify, status: '400' })).toBe(1);
    expect(await value('seedmask_requests_total', { route: 'none', status: '404' })).toBe(1);
    expect(await value('seedmask_request_duration_seconds_count', classify)).toBe(5);
    expect(await value('seedmask_rows_total', { task: 'tiny' })).toBe(5);
    expect(await value('seedmask_abstained_rows_total', { task: 'tiny' })).toBe(3);
    expect(await value('seedmask_rejected_total', { reason: 'bad-request' })).toBe(1);
    expect(await value('seedmask_rejected_total', { reason: 'unknown-task' })).toBe(1);
    expect(await value('seedmask_queue_duration_seconds_count')).toBe(2);
    expect(await value('seedmask_compute_duration_seconds_count')).toBe(2);
    expect(await value('seedmask_batch_rows_sum')).toBe(5);
    expect(await value('seedmask_tasks')).toBe(3);
    expect(await value('seedmask_process_resident_memory_bytes')).toBeGreaterThan(1e6);
    await fresh.close();
  });

  test('hundreds of tasks and any paths leave the number of series bounded', async () => {
    const many = await storeOf(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`t${i}.smk`, oneTask(tinyNetwork())])));
    const fresh = await serve({ store: many });
    for (let i = 0; i < 200; i++) {
      await post(`${fresh.url}/tasks/t${i}/classify`, Uint8Array.of(1, 2, 3, 4));
      await get(`${fresh.url}/path/${i}`);
    }
    const text = await (await fetch(`${fresh.url}/metrics`)).text();
    const { samples } = parse(text);
    const tasks = samples.filter(({ name }) => name === 'seedmask_rows_total');
    expect(tasks.length).toBe(51);
    expect(tasks.find(({ labels }) => labels['task'] === 'other')?.value).toBe(150);
    expect(text.length).toBeLessThan(200_000);
    await fresh.close();
  });
});

test('10,000 tasks are listed a page at a time, each once, and the last page says so', async () => {
  const network = tinyNetwork();
  const names = Array.from({ length: 10_000 }, (_, i) => `t${String(i).padStart(5, '0')}`);
  const archive = { network, tasks: names.map((id) => ({ ...oneTask(network).tasks[0], id })) };
  const big = await serve({ store: await storeOf({ 'all.smk': writeModel(archive, { schemes: ['raw'] }) }) });
  const seen: string[] = [];
  let next: string | null = null;
  do {
    const query: string = next === null ? '' : `&next=${encodeURIComponent(next)}`;
    const { json } = await get(`${big.url}/tasks?limit=999${query}`);
    seen.push(...json.tasks.map((t: { id: string }) => t.id));
    expect(json.tasks.length).toBeLessThanOrEqual(999);
    next = json.next;
  } while (next !== null);
  expect(seen).toEqual(names);
  const first = (await get(`${big.url}/tasks`)).json;
  expect([first.tasks.length, first.next]).toEqual([1000, 't00999']);
  expect((await get(`${big.url}/tasks?next=zzz`)).json).toEqual({ tasks: [], next: null });
  for (const limit of ['0', '1001', '1.5', 'x', '-1', '', '0x10']) {
    const { status, json } = await get(`${big.url}/tasks?limit=${limit}`);
    expect([status, json.field]).toEqual([400, '?/limit']);
  }
  await big.close();
}, 60_000);
