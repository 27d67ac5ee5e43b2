// The repository and statistics extensions of the Open Inference Protocol over a folder that changes, classify of TensorFlow Serving,
// deadlines in both spellings, and the abstain threshold of server and request.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeedmaskError } from '../codec/errors.js';
import { writeModel } from '../codec/index.js';
import { hashOf, type Listening, openStore } from '../server/index.js';
import { told } from '../server/repository/told.js';
import { folder, get, oneTask, post, sampleStore, serve, storeOf, tinyNetwork } from './server.material.js';

const ADMIN = { 'X-API-Key': 'admin' };
const ROWS = [
  [0, 255, 10, 3],
  [200, 0, 0, 99],
];

describe('repository', () => {
  const root = folder({
    'a.smk': oneTask(tinyNetwork()),
    'b/1.smk': oneTask(tinyNetwork()),
    'b/2.smk': oneTask(tinyNetwork([2, 2, 1], 3, 8)),
  });
  let server: Listening;
  beforeAll(async () => {
    server = await serve({ store: await openStore(root), adminKey: hashOf('admin') });
  });
  afterAll(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });
  const index = async (body: unknown = '') => (await post(`${server.url}/v2/repository/index`, body)).json;
  const change = (name: string, verb: string, body: unknown = '') =>
    post(`${server.url}/v2/repository/models/${name}/${verb}`, body, ADMIN);
  const classify = (name: string) => post(`${server.url}/tasks/${name}/classify`, { instances: ROWS });

  test('the index has every version; ready leaves out what does not answer', async () => {
    const ready = (name: string, version: string) => ({ name, version, state: 'READY', reason: '' });
    expect(await index()).toEqual([ready('a', '1'), ready('b', '1'), ready('b', '2')]);
    expect(await index({})).toHaveLength(3);
    const bad = await post(`${server.url}/v2/repository/index`, { ready: 'yes' });
    expect([bad.status, bad.json.field]).toEqual([400, '/ready']);
  });

  test('strangers are told files by their way in the folder, in the index, refusals and readiness; the log has all of it', async () => {
    const bytes = writeModel(oneTask(tinyNetwork()));
    bytes[bytes.length - 1] ^= 1;
    const tasks = { 't.smk': oneTask(tinyNetwork()), 't/1.smk': oneTask(tinyNetwork()), 'd/2.smk': bytes };
    const own = folder({ 'a.smk': 'junk', ...tasks });
    const store = await openStore(own);
    const logged: unknown[] = [];
    store.subscribe(({ file, error }) => logged.push([file, error?.message]));
    const at = await serve({ store, adminKey: hashOf('admin') });
    const index = async () => (await post(`${at.url}/v2/repository/index`, '')).json.map(({ reason }: { reason: string }) => reason);
    expect(store.failures.map(({ error }) => error.message).join()).toContain(`${own}/t.smk`);
    expect(await index()).toEqual([
      '',
      '',
      expect.stringMatching(/^a\.smk cannot be served: not a Seedmask model file/),
      expect.stringMatching(/^two files hold task t version 1: (t\/1\.smk and t|t\.smk and t\/1)\.smk\. /),
    ]);
    const damaged = expect.stringMatching(/^d\/2\.smk cannot be served: /);
    const junk = expect.stringMatching(/^a\.smk cannot be served: /);
    for (const [name, field, error] of [
      ['d', 'd/2.smk', damaged],
      ['a', 'a.smk', junk],
    ] as const) {
      const { status, json } = await post(`${at.url}/tasks/${name}/classify`, { instances: ROWS });
      expect([status, json.field, json.error, json.detail]).toEqual([422, field, error, error]);
      expect((await post(`${at.url}/v2/repository/models/${name}/load`, '', ADMIN)).json.error).toEqual(error);
    }
    expect((await get(`${at.url}/v2/models/d/ready`)).json.error).toEqual(damaged);
    const state = (await get(`${at.url}/v1/models/d`)).json;
    expect([state.error, state.model_version_status[0].status.error_message]).toEqual([damaged, damaged]);
    expect(await index()).toContainEqual(damaged);
    const file = join(own, 'd/2.smk');
    expect(logged).toContainEqual([file, expect.stringContaining(`${file} cannot be served`)]);
    await at.close();
    rmSync(own, { recursive: true });
  });

  test.each([
    // What the system says has paths in quotes.
    ['/srv/m', "EACCES: permission denied, open '/srv/m/x/1.smk'", "EACCES: permission denied, open 'x/1.smk'"],
    ['/srv/m/', '/srv/m/t.smk and /srv/m/t/1.smk', 't.smk and t/1.smk'],
    ['/srv/m.smk', '/srv/m.smk', 'm.smk'],
    ['/srv/m', '/srv/m', 'm'],
    ['./m', 'm/x.smk', 'x.smk'],
    // Where it is no beginning of a path it stays.
    ['m', 'model/m.smk of am/ and m', 'model/m.smk of am/ and m'],
    ['.', 'x.smk. Fetch it again.', 'x.smk. Fetch it again.'],
    ['/srv/a+b (c)', 'size of /srv/a+b (c)/x.smk', 'size of x.smk'],
  ])('from %s on, %s is told as %s', (path, got, expected) => {
    expect(told(new SeedmaskError('unreadable-file', { field: got, got, retryAfter: 1 }), path).details).toEqual({
      field: expected,
      expected: undefined,
      got: expected,
      retryAfter: 1,
    });
  });

  test('a path that a client names is no way to learn where files lie', async () => {
    const path = encodeURIComponent(join(root, 'x'));
    expect((await post(`${server.url}/tasks/${path}/classify`, { instances: ROWS })).json.got).toBe(join(root, 'x'));
  });

  test('questions about it are short: 64 KiB, whatever a request with rows may have', async () => {
    const padded = (bytes: number) => `${' '.repeat(bytes - 2)}{}`;
    expect(await index(padded(65536))).toHaveLength(3);
    for (const { status, json } of [
      await post(`${server.url}/v2/repository/index`, padded(65537)),
      await post(`${server.url}/v2/repository/index`, gzipSync(padded(65537)), { 'Content-Encoding': 'gzip' }),
      await change('a', 'load', padded(65537)),
      await change('a', 'unload', padded(65537)),
    ])
      expect([status, json.code, json.expected]).toEqual([413, 'large-body', '65536 bytes, before and after Content-Encoding']);
  });

  test('unload takes a model out and leaves others; load brings it back', async () => {
    expect((await classify('a')).status).toBe(200);
    const gone = await change('a', 'unload', { parameters: { unload_dependents: true } });
    expect([gone.status, gone.type, gone.json]).toEqual([200, 'application/json', {}]);
    const refused = await classify('a');
    expect([refused.status, refused.json.code]).toEqual([503, 'unloaded-task']);
    expect((await classify('b')).status).toBe(200);
    expect((await index()).find((entry: { name: string }) => entry.name === 'a')).toMatchObject({ state: 'UNAVAILABLE' });
    expect(await index({ ready: true })).toHaveLength(2);
    expect((await change('a', 'load')).status).toBe(200);
    expect((await classify('a')).status).toBe(200);
  });

  test('a version whose mask is damaged is not ready, once that is known', async () => {
    const bytes = writeModel(oneTask(tinyNetwork()));
    bytes[bytes.length - 1] ^= 1;
    const damaged = await serve({ store: await storeOf({ 'd/1.smk': oneTask(tinyNetwork()), 'd/2.smk': bytes }) });
    const ready = async (path: string) => {
      const { status, json } = await get(`${damaged.url}${path}`);
      return [status, json.ready, json.error];
    };
    expect(await ready('/v2/models/d/ready')).toEqual([200, true, undefined]);
    expect((await post(`${damaged.url}/tasks/d/classify`, { instances: ROWS })).status).toBe(422);
    const refused = [503, false, expect.stringContaining('2.smk cannot be served')];
    for (const path of ['/v2/models/d/ready', '/v2/models/d/versions/2/ready', '/v1/models/d']) expect(await ready(path)).toEqual(refused);
    for (const path of ['/v2/models/d/versions/1/ready', '/v1/models/d/versions/1'])
      expect(await ready(path)).toEqual([200, true, undefined]);
    const states = (await get(`${damaged.url}/v1/models/d`)).json.model_version_status;
    expect(states).toMatchObject([
      { version: '2', state: 'END', status: { error_code: 'DATA_LOSS' } },
      { version: '1', state: 'AVAILABLE' },
    ]);
    await damaged.close();
  });

  test('nor is one whose file was replaced by a damaged one before its mask was in memory', async () => {
    const own = folder({ 'd.smk': oneTask(tinyNetwork()), 'e.smk': oneTask(tinyNetwork()) });
    const store = await openStore(own);
    const at = await serve({ store });
    expect((await post(`${at.url}/tasks/e/classify`, { instances: ROWS })).status).toBe(200);
    // Half of a file each, as a copy in place leaves it for a while.
    const half = writeModel(oneTask(tinyNetwork())).subarray(0, 30);
    for (const name of ['d', 'e']) writeFileSync(join(own, `${name}.smk`), half);
    await store.refresh();
    const states = async () => (await post(`${at.url}/v2/repository/index`, '')).json.map(({ state }: { state: string }) => state);
    const readiness = (name: string) => get(`${at.url}/v2/models/${name}/ready`).then(({ status }) => status);
    const answers = (name: string) => post(`${at.url}/tasks/${name}/classify`, { instances: ROWS }).then(({ status }) => status);
    expect([await answers('d'), await readiness('d'), await answers('e'), await readiness('e')]).toEqual([422, 503, 200, 200]);
    expect(await states()).toEqual(['UNAVAILABLE', 'READY']);
    for (const name of ['d', 'e']) writeFileSync(join(own, `${name}.smk`), writeModel(oneTask(tinyNetwork())));
    await store.refresh();
    expect([await states(), await readiness('d')]).toEqual([['READY', 'READY'], 200]);
    await at.close();
    rmSync(own, { recursive: true });
  });

  test('load takes what is new in the folder, and a damaged file is named and changes nothing', async () => {
    expect((await change('c', 'load')).json.code).toBe('unknown-task');
    writeFileSync(join(root, 'c.smk'), writeModel(oneTask(tinyNetwork())));
    expect((await change('c', 'load')).status).toBe(200);
    const before = (await classify('c')).json;
    writeFileSync(join(root, 'c.smk'), 'no model file');
    const failed = await change('c', 'load');
    expect([failed.status, failed.type]).toEqual([422, 'application/json']);
    expect(failed.json.error).toContain('c.smk cannot be served');
    expect((await classify('c')).json).toEqual(before);
    expect((await index()).find((entry: { name: string }) => entry.name === 'c').reason).toContain('c.smk cannot be served');
  });

  test('a configuration of a model is refused: its file says everything', async () => {
    const { status, json } = await change('a', 'load', { parameters: { config: '{"max_batch_size": 4}' } });
    expect([status, json.field]).toEqual([400, '/parameters/config']);
    expect(json.error).toContain('a model file says everything about itself');
  });

  test('new content of a name is what is classified, and what its mask gives', async () => {
    const one = await fetch(`${server.url}/tasks/a/mask`);
    const before = (await classify('a')).json;
    writeFileSync(join(root, 'a.smk'), writeModel(oneTask(tinyNetwork([2, 2, 1], 3, 99))));
    expect((await change('a', 'load')).status).toBe(200);
    const two = await fetch(`${server.url}/tasks/a/mask`);
    expect(two.headers.get('etag')).not.toBe(one.headers.get('etag'));
    expect((await classify('a')).json).not.toEqual(before);
    expect((await fetch(`${server.url}/tasks/a/mask`, { headers: { 'If-None-Match': one.headers.get('etag')! } })).status).toBe(200);
  });
});

describe('statistics', () => {
  test('rows, runs and times of a version; failures apart; all models at once', async () => {
    const server = await serve({ bodyLimit: 1000 });
    const stats = async (path: string) => (await get(`${server.url}/v2/models/${path}`)).json.model_stats;
    const before = Date.now();
    for (let i = 0; i < 3; i++) await post(`${server.url}/tasks/tiny/classify`, { instances: ROWS });
    await post(`${server.url}/v1/models/tiny/versions/1:predict`, { instances: [ROWS[0]] });
    await post(`${server.url}/tasks/tiny/classify`, { instances: [[1]] });
    await post(`${server.url}/tasks/tiny/classify`, { instances: [ROWS[0]] }, { 'X-Timeout-Ms': '0' });
    await post(`${server.url}/tasks/tiny/classify`, new Uint8Array(1004));
    const [one, two] = await stats('tiny/stats');
    expect([one.name, one.version, one.inference_count, two.version, two.inference_count]).toEqual(['tiny', '1', 1, '2', 6]);
    expect(two.last_inference).toBeGreaterThanOrEqual(before);
    expect([two.inference_stats.success.count, two.inference_stats.fail.count, two.inference_stats.queue.count]).toEqual([3, 3, 3]);
    // How rows fall into runs is the scheduler's affair; none is lost and none is run twice.
    const runs: { batch_size: number; compute_infer: { count: number } }[] = two.batch_stats;
    expect(runs.reduce((sum, run) => sum + run.compute_infer.count, 0)).toBe(two.execution_count);
    expect(runs.reduce((sum, run) => sum + run.batch_size * run.compute_infer.count, 0)).toBe(6);
    const { success, compute_input, compute_infer, compute_output, cache_hit } = two.inference_stats;
    expect(compute_infer.count).toBe(3);
    expect(success.ns).toBeGreaterThan(compute_input.ns + compute_output.ns);
    expect(cache_hit).toEqual({ count: 0, ns: 0 });
    expect(await stats('tiny/versions/2/stats')).toEqual([two]);
    expect((await stats('stats')).map((s: { name: string; version: string }) => `${s.name} ${s.version}`)).toEqual([
      'colour 1',
      'digits 1',
      'tiny 1',
      'tiny 2',
    ]);
    expect((await get(`${server.url}/v2/models/nobody/stats`)).status).toBe(404);
    await server.close();
  });
});

describe('classify of TensorFlow Serving', () => {
  let server: Listening;
  beforeAll(async () => {
    server = await serve({ store: await sampleStore() });
  });
  afterAll(() => server.close());
  const ask = (body: unknown, path = '/v1/models/tiny:classify') => post(`${server.url}${path}`, body);

  test('results: a list of [label, score] for each example, in the order of the classes', async () => {
    const { predictions } = (await ask({ instances: ROWS }, '/v1/models/tiny:predict')).json;
    const want = { results: predictions.map((scores: number[]) => scores.map((score, i) => ['abc'[i], score])) };
    expect((await ask({ examples: ROWS.map((pixels) => ({ pixels })) })).json).toEqual(want);
    expect(
      (await ask({ signature_name: 'serving_default', context: { pixels: ROWS[0] }, examples: [{}, { pixels: ROWS[1] }] })).json,
    ).toEqual(want);
    expect((await ask({ examples: [{ pixels: ROWS[0] }] }, '/v1/models/tiny/labels/stable:classify')).status).toBe(200);
  });

  test.each([
    ['no examples', { instances: ROWS }, '/examples'],
    ['none', { examples: [] }, '/examples'],
    ['another feature', { examples: [{ x: ROWS[0] }] }, '/examples/0'],
    ['two features', { examples: [{ pixels: ROWS[0], age: 3 }] }, '/examples/0'],
    ['a list', { examples: [ROWS[0]] }, '/examples/0'],
    ['a short row', { examples: [{ pixels: ROWS[0] }, { pixels: [1] }] }, '/examples/1'],
  ])('%s', async (_, body, field) => {
    const { status, json } = await ask(body);
    expect([status, json.field]).toEqual([400, field]);
  });

  test('regress says that there is no such signature', async () => {
    const { status, json } = await ask({ examples: [{ pixels: ROWS[0] }] }, '/v1/models/tiny:regress');
    expect([status, json.error]).toEqual([
      400,
      'the signature of regress must be tensorflow/serving/regress, got tensorflow/serving/predict. These models classify: use :predict or :classify.',
    ]);
  });
});

describe('deadlines', () => {
  let server: Listening;
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(() => server.close());
  const infer = (timeout: unknown) =>
    post(`${server.url}/v2/models/tiny/infer`, {
      parameters: { timeout },
      inputs: [{ name: 'pixels', shape: [1, 4], datatype: 'UINT8', data: ROWS[0] }],
    });

  test('timeout of the Open Inference Protocol counts microseconds', async () => {
    expect((await infer(60_000_000)).status).toBe(200);
    // 0 is Triton's word for none.
    expect((await infer(0)).status).toBe(200);
    const late = await infer(1);
    expect([late.status, late.type, late.json.code]).toEqual([504, 'application/json', 'deadline']);
    expect((await infer(-1)).json.field).toBe('/parameters/timeout');
    expect((await infer(1.5)).json.field).toBe('/parameters/timeout');
  });

  test('X-Timeout-Ms holds on every protocol', async () => {
    for (const path of ['/tasks/tiny/classify', '/v1/models/tiny:predict']) {
      const ask = (ms: string) => post(`${server.url}${path}`, { instances: ROWS }, { 'X-Timeout-Ms': ms });
      expect((await ask('60000')).status).toBe(200);
      expect((await ask('0')).json.code).toBe('deadline');
      for (const bad of ['soon', '-1', 'NaN', '', '0x10']) {
        const { status, json } = await ask(bad);
        expect([status, json.field]).toEqual([400, 'X-Timeout-Ms']);
      }
    }
  });
});

describe('abstaining', () => {
  test('below the threshold of server or request the label is null; the request wins', async () => {
    const server = await serve({ abstain: 1 });
    const labels = async (query: string, body: object = {}) => {
      const { json } = await post(`${server.url}/tasks/tiny/classify${query}`, { instances: ROWS, ...body });
      return json.predictions.map((p: { label: string | null }) => p.label);
    };
    const [sure] = [await labels('?abstain=0')];
    expect(sure).toEqual(sure.map(() => expect.stringMatching(/^[abc]$/)));
    expect(await labels('')).toEqual([null, null]);
    expect(await labels('', { abstain: 0 })).toEqual(sure);
    const twice = await post(`${server.url}/tasks/tiny/classify?abstain=1`, { instances: ROWS, abstain: 0 });
    expect([twice.status, twice.json.error]).toEqual([400, '?/abstain must be absent where the body has one, got 1']);
    const { json } = await post(`${server.url}/tasks/tiny/classify?abstain=0`, { instances: ROWS });
    const most: number[] = json.predictions.map((p: { probabilities: number[] }) => Math.max(...p.probabilities));
    const between = (most[0] + most[1]) / 2;
    expect(most[0]).not.toBe(most[1]);
    expect(await labels(`?abstain=${between}`)).toEqual(sure.map((label: string, i: number) => (most[i] < between ? null : label)));
    expect(await labels('?abstain=1e-7')).toEqual(sure);
    expect(await labels(`?abstain=${most[0]}`)).toEqual([sure[0], most[1] < most[0] ? null : sure[1]]);
    for (const bad of ['2', '-1', 'x', '', '0x1'].map((text) => `?abstain=${text}`)) {
      const { status, json: problem } = await post(`${server.url}/tasks/tiny/classify${bad}`, { instances: ROWS });
      expect([status, problem.field]).toEqual([400, '?/abstain']);
    }
    await server.close();
  });
});
