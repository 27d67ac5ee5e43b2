// Masks and networks as files: a client that has both answers as the server does, asks for parts, and never fetches twice.

import { rmSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contentId, networkId, openArchive, readModel, writeModel } from '../codec/index.js';
import type { Listening, Store } from '../server/index.js';
import type { Network } from '../src/network.js';
import { engine, folder, get, oneTask, post, sampleStore, serve, storeOf, task, tinyNetwork } from './server.material.js';

let store: Store;
let server: Listening;
beforeAll(async () => {
  store = await sampleStore();
  server = await serve({ store });
});
afterAll(() => server.close());

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
async function file(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(`${server.url}${path}`, { method, headers });
  return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
}
const ROWS = [
  [0, 255, 10, 3],
  [200, 0, 0, 99],
];

describe('masks', () => {
  test('mask and network together answer as the server does, bit for bit', async () => {
    const mask = await file('/tasks/tiny/mask');
    expect([mask.status, mask.headers.get('content-type')]).toEqual([200, 'application/octet-stream']);
    const [{ id }] = (await get(`${server.url}/networks`)).json.networks.filter((n: { seed: string }) => n.seed === '0x0000000000000008');
    const bytes = await file(`/networks/${id}`, { Accept: 'application/octet-stream' });
    const { network } = readModel(bytes.bytes);
    const model = readModel(mask.bytes, {}, (wanted) => (hex(wanted) === id ? network : undefined));
    for (const accept of ['application/json, application/octet-stream;q=0', '*/*', 'application/octet-stream; q=0.0'])
      expect((await file(`/networks/${id}`, { Accept: accept })).headers.get('content-type'), accept).toBe('application/json');
    expect(mask.headers.get('etag')).toBe(`W/"${hex(contentId(model))}"`);
    expect(id).toBe(hex(networkId(network)));
    const { mask: bits, transform, logitScale, labels } = model.tasks[0];
    const classifier = engine.classifier(network, { mask: bits, transform: { scale: transform.scale, mean: transform.mean } });
    const logits = classifier.logits(Uint8Array.from(ROWS.flat()), 2);
    const { predictions } = (await post(`${server.url}/tasks/tiny/classify`, { instances: ROWS })).json;
    predictions.forEach(({ label, probabilities }: { label: string; probabilities: number[] }, row: number) => {
      const scaled = Array.from(logits.subarray(3 * row, 3 * row + 3), (x) => x * classifier.scale * logitScale);
      const terms = scaled.map((x) => Math.exp(x - Math.max(...scaled)));
      const total = terms.reduce((a, b) => a + b, 0);
      for (const [i, p] of probabilities.entries()) expect(p).toBeCloseTo(terms[i] / total, 6);
      expect(label).toBe(labels[scaled.indexOf(Math.max(...scaled))]);
    });
  });

  test('a version or a label may be named', async () => {
    const tags = await Promise.all(
      ['', '?version=1', '?label=stable', '?label=canary'].map(async (query) =>
        (await file(`/tasks/tiny/mask${query}`)).headers.get('etag'),
      ),
    );
    expect(tags[0]).toBe(tags[3]);
    expect(tags[1]).toBe(tags[2]);
    expect(tags[0]).not.toBe(tags[1]);
    for (const name of ['version', 'label'])
      expect((await get(`${server.url}/tasks/tiny/mask?${name}=`)).json).toMatchObject({
        code: 'bad-request',
        field: `?/${name}`,
        got: '""',
      });
    const unknown = await get(`${server.url}/tasks/tiny/mask?version=7`);
    expect([unknown.status, unknown.json.code]).toEqual([404, 'unknown-task-version']);
    for (const both of [
      await get(`${server.url}/tasks/tiny/mask?version=2&label=canary`),
      await post(`${server.url}/tasks/tiny/classify?version=2&label=stable`, { instances: ROWS }),
    ])
      expect([both.status, both.json.code, both.json.expected]).toEqual([400, 'bad-request', 'said by its number or by a label']);
  });

  test('the address alone is asked again, the address with the content id never changes', async () => {
    const plain = await file('/tasks/tiny/mask');
    expect(plain.headers.get('cache-control')).toBe('no-cache');
    const id = plain.headers.get('etag')!.slice(3, -1);
    const pinned = await file(`/tasks/tiny/mask?id=${id}`);
    expect(pinned.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(pinned.bytes).toEqual(plain.bytes);
    const other = await get(`${server.url}/tasks/tiny/mask?id=${'0'.repeat(64)}`);
    expect([other.status, other.json.code, other.json.got]).toEqual([404, 'unknown-content', id]);
    const bad = await get(`${server.url}/tasks/tiny/mask?id=latest`);
    expect([bad.status, bad.json.field]).toEqual([400, '?/id']);
  });

  test('If-None-Match gives 304 and nothing else', async () => {
    const whole = await file('/tasks/tiny/mask');
    const etag = whole.headers.get('etag')!;
    for (const tag of [etag, etag.slice(2), `"x", ${etag}`, '*']) {
      const { status, headers, bytes } = await file('/tasks/tiny/mask', { 'If-None-Match': tag });
      expect([status, bytes.length, headers.get('etag'), headers.get('content-type')]).toEqual([304, 0, etag, null]);
    }
    expect((await file('/tasks/tiny/mask', { 'If-None-Match': '"x"' })).status).toBe(200);
  });

  test('a failing If-Match gives 412, before Range and If-None-Match are looked at; weak tags match nothing', async () => {
    const [{ id }] = (await get(`${server.url}/networks`)).json.networks;
    const bytes = { Accept: 'application/octet-stream' };
    for (const [path, tag, headers] of [
      [`/networks/${id}`, `"${id}"`, bytes],
      ['/contents.json', (await file('/contents.json')).headers.get('etag')!, {}],
    ] as const) {
      for (const match of ['"x"', `W/${tag}`, '"x", "y"']) {
        const more = { Range: 'bytes=0-9', 'If-None-Match': tag };
        const { status, json } = await get(`${server.url}${path}`, { headers: { ...headers, ...more, 'If-Match': match } });
        expect([status, json.code, json.field, json.got], path).toEqual([412, 'unmet-condition', 'If-Match', match]);
      }
      const range = { ...headers, Range: 'bytes=0-9' };
      for (const match of [tag, `"x", ${tag}`, '*']) expect((await file(path, { ...range, 'If-Match': match })).status).toBe(206);
      // There is no date: RFC 9110, 13.1.4.
      expect((await file(path, { ...range, 'If-Unmodified-Since': new Date(0).toUTCString() })).status).toBe(206);
      expect((await file(path, { ...range, 'If-Range': tag })).status).toBe(206);
    }
  });

  test('one mask that is stored in two ways has one weak tag, which holds no parts of the two together', async () => {
    const half = oneTask(tinyNetwork([28, 28, 1], 10), undefined, { mask: [new Uint8Array(980).fill(0x0f)] });
    const [one, two] = await Promise.all(
      (['raw', 'deflate'] as const).map(async (scheme) =>
        serve({ store: await storeOf({ 'digits.smk': writeModel(half, { schemes: [scheme] }) }) }),
      ),
    );
    const mask = async ({ url }: Listening, headers: Record<string, string> = {}) => {
      const response = await fetch(`${url}/tasks/digits/mask`, { headers });
      return { status: response.status, etag: response.headers.get('etag')!, size: (await response.arrayBuffer()).byteLength };
    };
    const [raw, small] = [await mask(one), await mask(two)];
    expect([raw.etag, raw.size > small.size]).toEqual([small.etag, true]);
    // RFC 9110, 8.8.1: strong is what no two representations have whose bytes differ.
    expect(raw.etag).toMatch(/^W\/"[0-9a-f]{64}"$/);
    const range = { Range: 'bytes=10-' };
    for (const headers of [{ 'If-Range': raw.etag }, { 'If-Range': raw.etag.slice(2) }])
      expect(await mask(two, { ...range, ...headers })).toEqual({ ...small, status: 200 });
    for (const match of [raw.etag, raw.etag.slice(2)]) expect((await mask(two, { ...range, 'If-Match': match })).status).toBe(412);
    expect((await mask(two, { ...range, 'If-Match': '*' })).status).toBe(206);
    expect((await mask(two, { 'If-None-Match': raw.etag })).status).toBe(304);
    await Promise.all([one.close(), two.close()]);
  });

  test('ranges: one part, several, too far, of another content', async () => {
    const { bytes, headers } = await file('/tasks/tiny/mask');
    const size = bytes.length;
    expect(headers.get('accept-ranges')).toBe('bytes');
    const part = async (range: string, more: Record<string, string> = {}) => file('/tasks/tiny/mask', { Range: range, ...more });
    for (const [range, from, to] of [
      ['bytes=0-9', 0, 10],
      ['bytes=5-', 5, size],
      ['bytes=-4', size - 4, size],
      ['bytes=10-99999', 10, size],
      ['bytes=0-4,5-9', 0, 10],
    ] as const) {
      const answer = await part(range);
      expect([answer.status, answer.headers.get('content-range')]).toEqual([206, `bytes ${from}-${to - 1}/${size}`]);
      expect(answer.headers.get('content-length')).toBe(String(to - from));
      expect(answer.bytes).toEqual(bytes.subarray(from, to));
    }
    for (const range of ['bytes=0-1,8-9', 'lines=0-1', 'bytes=x']) {
      const answer = await part(range);
      expect([answer.status, answer.bytes.length]).toEqual([200, size]);
    }
    const beyond = await fetch(`${server.url}/tasks/tiny/mask`, { headers: { Range: `bytes=${size}-` } });
    expect([beyond.status, beyond.headers.get('content-range'), (await beyond.json()).code]).toEqual([416, `bytes */${size}`, 'bad-range']);
    expect((await part('bytes=0-9', { 'If-Range': '"x"' })).status).toBe(200);
  });

  test('HEAD gives the headers of GET', async () => {
    const whole = await file('/tasks/tiny/mask');
    const head = await file('/tasks/tiny/mask', {}, 'HEAD');
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    for (const name of ['content-length', 'etag', 'cache-control', 'content-type', 'accept-ranges']) {
      expect(head.headers.get(name)).toBe(whole.headers.get(name));
    }
    // RFC 9110, 14.2: a Range is for GET alone.
    for (const range of ['bytes=0-9', 'bytes=99999-']) {
      const { status, headers } = await file('/tasks/tiny/mask', { Range: range }, 'HEAD');
      expect([status, headers.get('content-length')]).toEqual([200, whole.headers.get('content-length')]);
    }
  });

  test('of the files of a page a range too far and a condition that fails are the mistakes of the client', async () => {
    const reported: unknown[] = [];
    const page = await serve({ web: { '/': import.meta.dirname }, report: (error) => reported.push(error) });
    const at = `${page.url}/server.files.test.ts`;
    const size = statSync(import.meta.filename).size;
    const beyond = await get(at, { headers: { Range: `bytes=${size}-` } });
    expect([beyond.status, beyond.headers.get('content-range'), beyond.json.code]).toEqual([416, `bytes */${size}`, 'bad-range']);
    expect(beyond.json.error).toBe(`the range bytes=${size}- lies outside the ${size} bytes`);
    // RFC 9110, 13.1.1 and 13.1.4.
    const old = new Date(0).toUTCString();
    for (const [headers, field, got] of [
      [{ 'If-Match': '"x"' }, 'If-Match', '"x"'],
      [{ 'If-Unmodified-Since': old }, 'If-Unmodified-Since', old],
      [{ 'If-Match': '"x"', 'If-Unmodified-Since': old }, 'If-Match', '"x"'],
    ] as const) {
      const { status, type, json } = await get(at, { headers });
      expect([status, type, json.status, json.code, json.field, json.got]).toEqual([
        412,
        'application/problem+json',
        412,
        'unmet-condition',
        field,
        got,
      ]);
      expect(json.error).toBe(`the file is not as ${field} wants it: ${got}. Ask without it for the file as it is.`);
    }
    const etag = (await fetch(at)).headers.get('etag')!;
    expect((await fetch(at, { headers: { 'If-Match': etag, 'If-Unmodified-Since': old } })).status).toBe(200);
    expect(reported).toEqual([]);
    await page.close();
  });

  test('an archive reads a task over ranges of it', async () => {
    const known: Network = store.version('tiny').network;
    const archive = await openArchive(
      async (offset, length) => (await file('/tasks/tiny/mask', { Range: `bytes=${offset}-${offset + length - 1}` })).bytes,
      { networks: () => known },
    );
    expect((await archive.task(0)).labels).toEqual(['a', 'b', 'c']);
  });
});

describe('networks', () => {
  test('each once, with how many tasks it has and what regenerates it', async () => {
    const { status, json } = await get(`${server.url}/networks`);
    expect(status).toBe(200);
    // tiny has two versions on two networks; digits and colour have one each.
    expect(json.networks.map((n: { network: string; tasks: number }) => [n.network, n.tasks]).sort()).toEqual([
      ['fc:12-4', 1],
      ['fc:4-3', 1],
      ['fc:4-3', 1],
      ['fc:784-10', 1],
    ]);
    const one = (await get(`${server.url}/networks/${json.networks[0].id}`)).json;
    expect(one).toEqual(json.networks[0]);
    expect(one).toMatchObject({ distribution: 'signed-constant', sigma: 'glorot', layers: [{ kind: 'dense', activation: 'linear' }] });
  });

  test('bytes for who accepts them, pinned by their id', async () => {
    const [{ id }] = (await get(`${server.url}/networks`)).json.networks;
    const bytes = await file(`/networks/${id}`, { Accept: 'application/octet-stream' });
    expect([bytes.headers.get('etag'), bytes.headers.get('vary')]).toEqual([`"${id}"`, 'Accept']);
    expect(bytes.headers.get('cache-control')).toContain('immutable');
    expect(readModel(bytes.bytes).tasks).toEqual([]);
    expect((await file(`/networks/${id}`, { Accept: 'application/octet-stream', 'If-None-Match': `"${id}"` })).status).toBe(304);
  });

  test('an unknown id', async () => {
    const { status, json } = await get(`${server.url}/networks/abc`);
    expect([status, json.code, json.error]).toEqual([404, 'unknown-network', 'no network with the id abc. GET /networks lists them.']);
  });
});

test('no file of a page hides a route', async () => {
  const root = folder({ 'index.html': 'page', metrics: 'mine', 'openapi.json': 'mine' });
  const page = await serve({ web: { '/': root } });
  const texts = ['/', '/metrics', '/openapi.json'].map(async (path) => (await fetch(`${page.url}${path}`)).text());
  expect((await Promise.all(texts)).map((text) => text.slice(0, 4))).toEqual(['page', '# HE', '{"op']);
  await page.close();
  rmSync(root, { recursive: true });
});

test('a list that is compressed on its way has a weak ETag, which goes for the plain one as well', async () => {
  const network = tinyNetwork();
  const tasks = Array.from({ length: 200 }, (_, i) => task(network, `t${100 + i}`, ['a']));
  const many = await serve({ store: await storeOf({ 'all.smk': { network, tasks } }) });
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetch(`${many.url}/contents.json?limit=1000`, { headers });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const plain = await ask({ 'Accept-Encoding': 'identity' });
  const small = await ask({ 'Accept-Encoding': 'gzip' });
  const etag = plain.headers.get('etag')!;
  expect([etag[0], small.headers.get('content-encoding'), small.headers.get('etag')]).toEqual(['"', 'gzip', `W/${etag}`]);
  expect(small.text).toBe(plain.text);
  // RFC 9110, 15.4.5 and 15.3.7: with the headers that the whole answer would have.
  for (const tag of [etag, `W/${etag}`]) {
    for (const [coding, own] of [
      ['gzip', `W/${etag}`],
      ['identity', etag],
    ] as const) {
      const { status, headers } = await ask({ 'If-None-Match': tag, 'Accept-Encoding': coding });
      expect([status, headers.get('etag'), headers.get('vary')]).toEqual([304, own, 'Accept-Encoding']);
    }
  }
  const part = await ask({ Range: 'bytes=5-9', 'Accept-Encoding': 'gzip' });
  expect([part.status, part.text, part.headers.get('etag'), part.headers.get('vary')]).toEqual([
    206,
    plain.text.slice(5, 10),
    etag,
    'Accept-Encoding',
  ]);
  // RFC 9110, 13.1.5: what came compressed is not gone on with.
  expect((await ask({ Range: 'bytes=5-9', 'If-Range': `W/${etag}` })).status).toBe(200);
  await many.close();
});
