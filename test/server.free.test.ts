// What is not needed any more goes: networks without tasks, in the engine and in the store; slack behind the rows that wait. What can
// fail beside a file, a folder that is gone or cannot be read, is told, and fails alone.

import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { readPacked, writeModel, writePacked } from '../codec/index.js';
import { openStore } from '../server/index.js';
import { withoutSlack } from '../server/requests/rows.js';
import { Classifiers } from '../server/running/classify.js';
import { Scheduler } from '../server/running/scheduler.js';
import type { Threads } from '../server/running/threads.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { engine, folder, get, oneTask, post, serve, tinyNetwork } from './server.material.js';

/** Folders that cannot be listed, and paths of which the system can say nothing. */
const blocked = new Set<string>();
const lost = new Set<string>();
vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof import('node:fs/promises')>();
  const readdir = (path: string) =>
    blocked.has(path) ? Promise.reject(new Error(`EACCES: permission denied, scandir '${path}'`)) : actual.readdir(path);
  const refusal = (path: string) => Object.assign(new Error(`EIO: i/o error, stat '${path}'`), { code: 'EIO', syscall: 'stat' });
  const stat = (path: string) => (lost.has(path) ? Promise.reject(refusal(path)) : actual.stat(path));
  return { ...actual, readdir, stat };
});
const roots: string[] = [];
afterEach(() => {
  blocked.clear();
  lost.clear();
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});
function folderOf(files: Parameters<typeof folder>[0]): string {
  const root = folder(files);
  roots.push(root);
  return root;
}

const network = (low: number) => tinyNetwork([28, 28, 1], 10, low);
const ten = Array.from({ length: 10 }, (_, i) => String(i));
const rows = { values: new Uint8Array(784).fill(9), count: 1 };

describe('networks without tasks are freed', () => {
  test('loaded and unloaded in turn, again and again, they take no more memory than once', async () => {
    const wasm = await createWasmEngine({ threads: 1 });
    const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const root = folderOf(Object.fromEntries(names.map((name, i) => [`${name}.smk`, oneTask(network(i + 1), ten)])));
    const store = await openStore(root);
    const scheduler = new Scheduler(store, new Classifiers(wasm, 1e6));
    const turn = async () => {
      for (const name of names) {
        await store.load(name);
        await scheduler.classify(store.version(name), rows);
        await store.unload(name);
      }
      await vi.waitUntil(() => scheduler.networks === 0, { timeout: 5000 });
    };
    for (const name of names) await store.unload(name);
    await turn();
    const once = wasm.memoryBytes;
    for (let i = 0; i < 10; i++) await turn();
    expect(wasm.memoryBytes).toBe(once);
    await store.load('n0');
    await scheduler.classify(store.version('n0'), rows);
    expect([scheduler.networks, store.networks.size]).toEqual([1, 1]);
    wasm.close();
  });

  test('one that another task still needs stays, and answers as before', async () => {
    const root = folderOf({ 'a.smk': oneTask(network(1), ten), 'b.smk': oneTask(network(1), ten), 'c.smk': oneTask(network(2), ten) });
    const store = await openStore(root);
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6));
    const answer = await scheduler.classify(store.version('a'), rows);
    for (const name of ['b', 'c']) await scheduler.classify(store.version(name), rows);
    expect(scheduler.networks).toBe(2);
    for (const name of ['b', 'c']) await store.unload(name);
    await vi.waitUntil(() => scheduler.networks === 1, { timeout: 5000 });
    expect(await scheduler.classify(store.version('a'), rows)).toEqual(answer);
  });

  test('the store forgets one with its last file: a mask-only file cannot lean on it any more', async () => {
    const root = folderOf({ 'network.smk': { ...oneTask(network(1), ten), tasks: [] }, 'other.smk': oneTask(network(2), ten) });
    const store = await openStore(root);
    const mask = writePacked(readPacked(writeModel(oneTask(network(1), ten))), { maskOnly: true });
    rmSync(join(root, 'network.smk'));
    await store.refresh();
    writeFileSync(join(root, 'late.smk'), mask);
    await store.refresh();
    expect(store.failures.map(({ file, error }) => [file, error.code])).toEqual([[join(root, 'late.smk'), 'bad-base']]);
    writeFileSync(join(root, 'network.smk'), writeModel({ ...oneTask(network(1), ten), tasks: [] }));
    await store.refresh();
    expect(store.failures).toEqual([]);
    expect([...store.tasks.keys()]).toEqual(['late', 'other']);
  });
});

/** What /metrics says of a server's files. */
const failuresOf = async ({ url }: { readonly url: string }) =>
  /^seedmask_store_failures (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];

describe('folders', () => {
  test('one that vanishes is told once, in events, failures and /metrics; what was served goes on; and back again', async () => {
    const root = folderOf({ 'a.smk': oneTask(network(1), ten) });
    const store = await openStore(root);
    const events: string[] = [];
    store.subscribe(({ kind, file }) => events.push(`${kind} ${file}`));
    const server = await serve({ store });
    const gauge = () => failuresOf(server);
    expect(await gauge()).toBe('0');
    renameSync(root, `${root}-away`);
    for (let i = 0; i < 3; i++) await expect(store.refresh()).rejects.toMatchObject({ code: 'bad-store' });
    expect(events.filter((event) => event === `failed ${root}`)).toHaveLength(1);
    expect(store.failures.map(({ file }) => file)).toEqual([root]);
    expect(await gauge()).toBe('1');
    renameSync(`${root}-away`, root);
    await store.refresh();
    expect([store.failures, await gauge()]).toEqual([[], '0']);
    expect((await post(`${server.url}/tasks/a/classify`, new Uint8Array(784))).status).toBe(200);
    await server.close();
  });

  test('a mask that turns out not to decode is a failure as well, in /metrics too, until its file is sound', async () => {
    const bytes = writeModel(oneTask(network(1), ten));
    const bad = bytes.slice();
    bad[bad.length - 1] ^= 1;
    const root = folderOf({ 'a.smk': bad, 'b.smk': oneTask(network(2), ten) });
    const store = await openStore(root);
    const server = await serve({ store });
    const gauge = () => failuresOf(server);
    await store.warm();
    expect(store.failures.map(({ file, error }) => [file, error.code])).toEqual([[join(root, 'a.smk'), 'bad-model-file']]);
    expect(await gauge()).toBe('1');
    writeFileSync(join(root, 'a.smk'), bytes);
    await store.refresh();
    expect([store.failures, await gauge()]).toEqual([[], '0']);
    await server.close();
  });

  test('a folder of versions that cannot be read fails alone, and what was served from it goes on', async () => {
    const root = folderOf({ 'a.smk': oneTask(network(1), ten), 'b/2.smk': oneTask(network(2), ten) });
    const store = await openStore(root);
    expect([...store.tasks.keys()]).toEqual(['a', 'b']);
    blocked.add(join(root, 'b'));
    writeFileSync(join(root, 'c.smk'), writeModel(oneTask(network(3), ten)));
    await store.refresh();
    expect([...store.tasks.keys()]).toEqual(['a', 'b', 'c']);
    expect(store.failures.map(({ file, error }) => [file, error.code])).toEqual([[join(root, 'b'), 'bad-store']]);
    expect(store.failures[0].error.message).toContain('EACCES');
    blocked.clear();
    await store.refresh();
    expect([store.failures, [...store.tasks.keys()]]).toEqual([[], ['a', 'b', 'c']]);
  });

  const labelled = () =>
    folderOf({ 'a.smk': oneTask(network(1), ten), 'b/1.smk': oneTask(network(2), ten), 'b/labels.json': '{"stable": 1}' });
  test.each(['b', 'b/1.smk', 'b/labels.json', 'a.smk'])(
    'a path of which nothing is known for a while, %s, takes no task and no label along',
    async (path) => {
      const root = labelled();
      const store = await openStore(root);
      const events: string[] = [];
      store.subscribe(({ kind }) => events.push(kind));
      const served = () => [[...store.tasks.keys()], [...store.task('b').labels]];
      const before = served();
      lost.add(join(root, path));
      for (let i = 0; i < 2; i++) await store.refresh();
      expect([served(), store.failures.length, events]).toEqual([before, 1, ['failed']]);
      expect(store.failures[0].error.message).toContain('EIO');
      lost.clear();
      await store.refresh();
      expect([served(), store.failures]).toEqual([before, []]);
    },
  );

  test('labels stay where their folder cannot be listed; a label that came too early is no failure once its version is there', async () => {
    const root = labelled();
    const store = await openStore(root);
    blocked.add(join(root, 'b'));
    await store.refresh();
    expect([...store.task('b').labels]).toEqual([['stable', '1']]);
    blocked.clear();
    writeFileSync(join(root, 'b/labels.json'), '{"stable": 2}\n');
    await store.refresh();
    expect(store.failures).toHaveLength(1);
    writeFileSync(join(root, 'b/2.smk'), writeModel(oneTask(network(3), ten)));
    await store.refresh();
    expect([store.failures, [...store.task('b').labels]]).toEqual([[], [['stable', '2']]]);
  });

  test('at the start it fails alone too', async () => {
    const root = folderOf({ 'a.smk': oneTask(network(1), ten), 'b/2.smk': oneTask(network(2), ten) });
    blocked.add(join(root, 'b'));
    const store = await openStore(root);
    expect([...store.tasks.keys()]).toEqual(['a']);
    expect(() => store.version('b')).toThrow('EACCES');
    expect(existsSync(join(root, 'b/2.smk'))).toBe(true);
  });
});

describe('the queue', () => {
  test('an engine that fails while a mask is being opened fails that request, and nobody waits for ever', async () => {
    const store = await openStore(folderOf({ 'a.smk': oneTask(network(1), ten) }));
    const anyMask = () => {
      throw new Error('out of memory');
    };
    const threads = { count: 1, logits: () => new Promise<never>(() => undefined) } as unknown as Threads;
    const scheduler = new Scheduler(store, new Classifiers({ ...engine, anyMask }, 1e6), { threads });
    // Opened by a promise, then at once.
    for (let i = 0; i < 2; i++) await expect(scheduler.classify(store.version('a'), rows)).rejects.toThrow('out of memory');
    expect(scheduler.waiting).toEqual({ requests: 0, rows: 0, bytes: 0 });
  });

  test('rows that wait keep no larger buffer alive than they take', () => {
    const body = new Uint8Array(65_536).subarray(100, 884).fill(7);
    const { values, count } = withoutSlack({ values: body, count: 1 });
    expect([values.buffer.byteLength, count]).toEqual([784, 1]);
    expect(values).toEqual(body);
    const whole = new Uint8Array(784);
    expect(withoutSlack({ values: whole, count: 1 }).values).toBe(whole);
  });

  test('a full queue refuses before the body has come', async () => {
    const floats = { ...tinyNetwork([2, 2, 1], 3), distribution: 'normal' } as const;
    const store = await openStore(folderOf({ 'f.smk': oneTask(floats) }));
    const threads = {
      count: 1,
      trusted: true,
      state: { lost: 0 },
      logits: () => new Promise<never>(() => undefined),
    } as unknown as Threads;
    const server = await serve({ store, threads, queueRows: 1 });
    const stuck = new AbortController();
    const first = fetch(`${server.url}/tasks/f/classify`, { method: 'POST', body: new Uint8Array(4), signal: stuck.signal }).catch(() => 0);
    const waiting = async () => /^seedmask_waiting_rows (\d+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1];
    await vi.waitUntil(async () => (await waiting()) === '1', { timeout: 5000 });
    const { hostname, port } = new URL(server.url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('data', (data) => {
        socket.destroy();
        resolve(String(data));
      });
      socket.on('error', reject);
      socket.write('POST /tasks/f/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n');
    });
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('"code":"overloaded"');
    expect(answer).toMatch(/retry-after: 1/i);
    expect((await get(`${server.url}/tasks`)).status).toBe(200);
    stuck.abort();
    await first;
    void server.close();
  });
});
