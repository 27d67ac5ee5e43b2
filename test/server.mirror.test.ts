// Replicas that pull: what comes from a URL is served with the same bits, is what its content id says or is not served at all, stays
// when the network goes, and never leads the server to another place than the one it was given.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import fs from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { contentsOf } from '../cli/commands/contents.js';
import { pullFrom } from '../cli/pull.js';
import { contentId, type Model, networkId, SeedmaskError, writeModel } from '../codec/index.js';
import {
  createHandler,
  hashOf,
  type Listening,
  listen,
  Mirror,
  type MirrorOptions,
  openStore,
  type Store,
  Threads,
} from '../server/index.js';
import { engine, folder, get, oneTask, post, serve, tinyNetwork } from './server.material.js';

const MAIN = join(import.meta.dirname, '../dist/cli/main.js');
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
/** Removes a folder at the end, again where a look that was under way has written to it meanwhile. */
const removed = (root: string): string => {
  ends.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 10 }));
  return root;
};
const fresh = (): string => removed(mkdtempSync(join(tmpdir(), 'seedmask-')));

const network = tinyNetwork();
/** Models of one network whose masks differ: bit `i` alone is kept. */
const kept = (i: number): Model => oneTask(network, ['a', 'b', 'c'], { mask: [Uint8Array.of((1 << i) & 255, (1 << i) >> 8)] });
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const idOf = (model: Model) => hex(contentId(model));
const maskOnly = (model: Model): Uint8Array => writeModel(model, { maskOnly: true });

/** A Seedmask server over these files. */
async function origin(files: Parameters<typeof folder>[0], over: Parameters<typeof serve>[0] = {}) {
  const root = folder(files);
  removed(root);
  const store = await openStore(root);
  const server = await serve({ store, ...over });
  ends.push(() => server.close());
  return { root, store, server };
}

/** A web host: paths with what they answer, now and after changes. */
async function host(paths: Record<string, RequestListener | string | Uint8Array>) {
  const asked: string[] = [];
  const server: Server = createServer((req, res) => {
    asked.push(req.url ?? '');
    const answer = paths[req.url ?? ''];
    if (typeof answer === 'function') answer(req, res);
    else res.writeHead(answer === undefined ? 404 : 200).end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, paths };
}

/** A host that has models of one task, whole, in a contents.json. */
const hosting = (models: Readonly<Record<string, Model>>, over: Parameters<typeof host>[0] = {}) => {
  const tasks = Object.entries(models).map(([task, model]) => ({ task, version: '1', content: idOf(model), url: `files/${task}.smk` }));
  const files = Object.entries(models).map(([task, model]) => [`/files/${task}.smk`, writeModel(model)]);
  return host({ '/contents.json': JSON.stringify({ tasks }), ...Object.fromEntries(files), ...over });
};

const mirror = (url: string, into: string, options: MirrorOptions = {}) => {
  const made = new Mirror(url, into, { firstWait: 1, timeout: 2000, ...options });
  ends.push(() => made.close());
  return made;
};
const failuresOf = async (at: Mirror) => (await at.sync()).failures.map(({ url, error }) => [url, error.code, error.message]);
const served = (store: Store) =>
  [...store.tasks.values()].map(({ name, versions, labels }) => [name, versions.map(({ number }) => number), [...labels]]);
const leftovers = (root: string) => readdirSync(root, { recursive: true }).filter((name) => String(name).endsWith('.tmp'));

/** Until the test ends, this call of Node's file system goes through another function. */
function instead<K extends 'readFile' | 'readdir' | 'rename' | 'rm'>(call: K, other: (real: (typeof fs)[K]) => unknown): void {
  const real = fs[call];
  fs[call] = other(real) as (typeof fs)[K];
  syncBuiltinESMExports();
  ends.push(() => {
    fs[call] = real;
    syncBuiltinESMExports();
  });
}
const failure = (code: string, syscall: string) =>
  Promise.reject(Object.assign(new Error(`${code}: on purpose, ${syscall}`), { code, syscall }));
const ROWS = { instances: [[0, 255, 10, 3]] };
const answersOf = async ({ url }: Listening, task: string) => (await post(`${url}/tasks/${task}/classify`, ROWS)).json;

/** A replica that has tasks a, p, q and t of an origin, and the origin started again over its folder as that is by then. */
async function followed(files: Parameters<typeof folder>[0]) {
  const source = folder(files);
  removed(source);
  let answers = createHandler({ engine, store: await openStore(source) });
  const { url, close } = await listen((req, res) => answers(req, res), { port: 0 });
  ends.push(() => close());
  const root = fresh();
  const follower = mirror(url, root);
  await follower.sync();
  const before = served(await openStore(root));
  expect(before.map(([name]) => name)).toEqual(['a', 'p', 'q', 't']);
  const restarted = async () => {
    const store = await openStore(source);
    answers = createHandler({ engine, store });
    return store;
  };
  return { source, url, root, follower, before, restarted };
}

describe('a replica of a server', () => {
  test('keeps what it has while the origin, started again, cannot even open the file of it', async () => {
    const archive = { ...kept(0), tasks: ['p', 'q'].map((id, i) => ({ ...kept(i + 2).tasks[0], id })) };
    const files = { 'a.smk': kept(1), 't/1.smk': kept(4), 't/labels.json': '{"stable": 1}', 'all.smk': archive };
    const { source, url, root, follower, before, restarted } = await followed(files);
    // As a copy that was cut off leaves them: of a header no whole one.
    for (const name of ['t/1.smk', 'all.smk']) {
      const file = join(source, name);
      writeFileSync(file, readFileSync(file).subarray(0, 20));
    }
    const store = await restarted();
    expect([...store.tasks.keys()]).toEqual(['a']);
    const lines = ['all', 't'].map((name) => `cannot pull ${url}/tasks/${name}/mask?version=1: the origin cannot read it now`);
    expect((await follower.sync()).failures.map(({ error }) => error.message)).toEqual(lines);
    expect(served(await openStore(root))).toEqual(before);
    // Without it, what is not listed goes.
    rmSync(join(source, 'all.smk'));
    await store.refresh();
    expect((await follower.sync()).failures.map(({ error }) => error.message)).toEqual(lines.slice(1));
    expect(served(await openStore(root))).toEqual(before.filter(([name]) => name === 'a' || name === 't'));
  });

  test('nor loses it by an archive whose file is called what no task may be, or a folder that the origin may not read', async () => {
    const pair = (ids: string[]) => ({ ...kept(0), tasks: ids.map((id, i) => ({ ...kept(i + 2).tasks[0], id })) });
    const files = { 'a.smk': kept(1), 't/2.smk': kept(4), 'my tasks.smk': pair(['p', 'q']) };
    const { source, url, root, follower, before, restarted } = await followed(files);
    const lines = async () => {
      await restarted();
      return (await follower.sync()).failures.map(({ error }) => error.message);
    };
    const line = `cannot pull all of ${url}/contents.json: the origin cannot read a file now`;
    const archive = join(source, 'my tasks.smk');
    const whole = readFileSync(archive);
    writeFileSync(archive, whole.subarray(0, 20));
    expect([await lines(), served(await openStore(root))]).toEqual([[line], before]);
    const list = async () => (await get(`${url}/contents.json`)).json;
    const { incomplete, tasks } = await list();
    expect([incomplete, tasks.map(({ task }: { task: string }) => task)]).toEqual([true, ['a', 't']]);
    writeFileSync(archive, whole);
    let closed = true;
    instead('readdir', (real) => (path: string, ...rest: []) => {
      return closed && path === join(source, 't') ? failure('EACCES', 'scandir') : real(path, ...rest);
    });
    expect([await lines(), served(await openStore(root))]).toEqual([[line], before]);
    closed = false;
    // Neither ever held a task.
    const [misnamed, version] = [join(source, 'of mine.smk'), join(source, 't/new.smk')];
    for (const file of [misnamed, version]) writeFileSync(file, writeModel(kept(5)));
    expect([await lines(), served(await openStore(root))]).toEqual([[], before]);
    expect(Object.keys(await list())).toEqual(['tasks', 'networks', 'next']);
  });

  test('nor by an archive whose file is called what its key may not know, which it is not told', async () => {
    const archive = { ...kept(0), tasks: ['p', 'q'].map((id, i) => ({ ...kept(i + 2).tasks[0], id })) };
    const source = folder({ 'a.smk': kept(1), 'secret.smk': archive });
    removed(source);
    const keys = [{ name: 'replica', sha256: hashOf('a-key'), tasks: ['a', 'p', 'q'] }];
    const started = async () => {
      const server = await serve({ store: await openStore(source), keys });
      ends.push(() => server.close());
      return server;
    };
    const root = fresh();
    const sync = async ({ url }: Listening) => {
      writeFileSync(join(root, '.content/url'), `${url}/contents.json`);
      return (await mirror(url, root, { key: 'a-key' }).sync()).failures.map(({ error }) => error.code);
    };
    mkdirSync(join(root, '.content'));
    expect(await sync(await started())).toEqual([]);
    const before = served(await openStore(root));
    expect(before.map(([name]) => name)).toEqual(['a', 'p', 'q']);
    writeFileSync(join(source, 'secret.smk'), 'junk');
    const again = await started();
    expect([await sync(again), served(await openStore(root))]).toEqual([['cannot-pull'], before]);
    const { text, json } = await get(`${again.url}/contents.json`, { headers: { 'X-API-Key': 'a-key' } });
    expect([json.incomplete, text.includes('secret')]).toEqual([true, false]);
  });

  const FILES = { 'a.smk': kept(1), 't/1.smk': kept(2), 't/2.smk': kept(3), 't/labels.json': '{"stable": 1, "next": 2}' };

  test('has its tasks, versions and labels, gives its bits, and needs it no more after a restart', async () => {
    const { server, store } = await origin(FILES);
    const root = fresh();
    expect(await mirror(server.url, root).sync()).toEqual({ tasks: 3, pulled: 4, failures: [] });
    const replica = await openStore(root);
    expect(served(replica)).toEqual(served(store));
    const other = await serve({ store: replica });
    ends.push(() => other.close());
    for (const task of ['a', 't']) expect(await answersOf(other, task)).toEqual(await answersOf(server, task));
    expect((await get(`${other.url}/contents.json`)).text).toBe((await get(`${server.url}/contents.json`)).text);
    await server.close();
    const later = mirror(server.url, root, { retries: 1 });
    await expect(later.sync()).rejects.toMatchObject({ code: 'cannot-pull', message: expect.stringContaining('/contents.json') });
    expect(served(await openStore(root))).toEqual(served(store));
  });

  test('follows swaps, labels, new and removed tasks; what has not changed is not asked for', async () => {
    const { server, root: source, store } = await origin(FILES);
    const root = fresh();
    const follower = mirror(server.url, root);
    await follower.sync();
    const replica = await openStore(root);
    expect(await follower.sync()).toEqual({ tasks: 3, pulled: 0, failures: [] });
    writeFileSync(join(source, 'new'), writeModel(kept(5)));
    renameSync(join(source, 'new'), join(source, 'a.smk'));
    writeFileSync(join(source, 'b.smk'), writeModel(kept(2)));
    rmSync(join(source, 't/2.smk'));
    writeFileSync(join(source, 't/labels.json'), '{"stable": 1}');
    await store.refresh();
    // The mask of b is the one of t: one file, pulled once.
    expect(await follower.sync()).toEqual({ tasks: 3, pulled: 1, failures: [] });
    await replica.refresh();
    expect(served(replica)).toEqual([
      ['a', ['1'], []],
      ['b', ['1'], []],
      ['t', ['1'], [['stable', '1']]],
    ]);
    expect(await replica.contentId(replica.version('a'))).toBe(idOf(kept(5)));
    expect(readdirSync(join(root, '.content')).sort()).toEqual([`${idOf(kept(2))}.smk`, `${idOf(kept(5))}.smk`, 'url'].sort());
  });

  test('reads every page, with a key, and only what the key may use', async () => {
    const key = 'a-key';
    const keys = [{ name: 'replica', sha256: hashOf(key), tasks: ['m*'] }];
    const files = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`m${i}.smk`, kept(i % 12)]));
    const { server } = await origin({ ...files, 'secret.smk': kept(1) }, { keys });
    const root = fresh();
    await expect(mirror(server.url, root).sync()).rejects.toThrow('HTTP 401. Give a key');
    expect(await mirror(server.url, root, { key }).sync()).toEqual({ tasks: 130, pulled: 13, failures: [] });
    expect((await openStore(root)).tasks.size).toBe(130);
  });

  test('a task that the origin cannot read stays as it is here, or is not there; the others come', async () => {
    const { server, root: source, store } = await origin({ 'a.smk': kept(1), 'b.smk': kept(2) });
    const root = fresh();
    const follower = mirror(server.url, root);
    await follower.sync();
    const damaged = writeModel(kept(3));
    damaged[damaged.length - 1] ^= 1;
    // Nobody has asked for it yet when it is damaged, so the origin serves what it can of it: nothing.
    for (const name of ['b.smk', 'c.smk']) writeFileSync(join(source, name), damaged);
    writeFileSync(join(source, 'd.smk'), writeModel(kept(4)));
    await store.unload('b');
    await store.refresh();
    await store.load('b').catch(() => undefined);
    const { pulled, failures } = await follower.sync();
    expect([pulled, failures.map(({ error }) => error.message)]).toEqual([
      1,
      ['b', 'c'].map((name) => `cannot pull ${server.url}/tasks/${name}/mask?version=1: the origin cannot read it now`),
    ]);
    const replica = await openStore(root);
    expect(served(replica).map(([name]) => name)).toEqual(['a', 'b', 'd']);
    expect(await replica.contentId(replica.version('b'))).toBe(idOf(kept(2)));
  });
});

describe('what is not what it says', () => {
  test('another content fails alone, in one line, and leaves what was served', async () => {
    const models = { a: kept(1), b: kept(2) };
    const paths: Parameters<typeof host>[0] = {};
    const { url } = await hosting(models, paths);
    const root = fresh();
    await mirror(url, root).sync();
    const store = await openStore(root);
    const next = await hosting({ a: kept(3), b: kept(4) }, { '/files/a.smk': writeModel(kept(7)) });
    writeFileSync(join(root, '.content/url'), `${next.url}/contents.json`);
    const [a, b] = [idOf(kept(3)), idOf(kept(7))];
    expect(await failuresOf(mirror(next.url, root))).toEqual([
      [`${next.url}/files/a.smk`, 'wrong-content', `what ${next.url}/files/a.smk gives has the content id ${b}, not ${a}`],
    ]);
    await store.refresh();
    expect(await Promise.all(['a', 'b'].map((name) => store.contentId(store.version(name))))).toEqual([idOf(kept(1)), idOf(kept(4))]);
    expect(leftovers(root)).toEqual([]);
  });

  test.each<[string, RequestListener | string | Uint8Array, RegExp]>([
    ['junk', 'junk', /^cannot pull http:\/\/127.0.0.1:\d+\/files\/a.smk: .*(not a Seedmask model file|cut short)/],
    ['half of it', writeModel(kept(1)).slice(0, -1), /cut short|adds? up/],
    [
      'two tasks',
      writeModel({ ...kept(1), tasks: ['x', 'y'].map((id) => ({ ...kept(1).tasks[0], id })) }),
      /a file of one task, got 2 tasks/,
    ],
    ['a mask without its network', maskOnly(kept(1)), /needs .*network/],
    ['more bytes than allowed', (_, res) => void res.end(Buffer.alloc(5000)), /the limit is 4096/],
    [
      'bytes without end',
      (_, res) => void setInterval(() => res.destroyed || res.write(Buffer.alloc(1000)), 1).unref(),
      /the limit is 4096/,
    ],
    ['nothing at all', () => undefined, /no whole answer within 300 ms/],
    ['a beginning', (_, res) => void res.writeHead(200, { 'Content-Length': '100' }).write('x'), /no whole answer within 300 ms/],
    [
      'an end without a beginning',
      (_, res) => void res.destroy(),
      /cannot pull .*a.smk: (other side closed|read ECONNRESET|socket hang up)/,
    ],
    ['an error', (_, res) => void res.writeHead(503).end(), /a.smk: HTTP 503$/],
    [
      'a redirect elsewhere',
      (_, res) => void res.writeHead(302, { Location: 'http://127.0.0.1:1/x' }).end(),
      /leads to http:\/\/127.0.0.1:1\. Only/,
    ],
    ['redirects in a circle', (_, res) => void res.writeHead(302, { Location: '/files/a.smk' }).end(), /more than 5 redirects/],
  ])('%s: one line, and the other task is served', async (_, answer, line) => {
    const { url } = await hosting({ a: kept(1), b: kept(2) }, { '/files/a.smk': answer });
    const root = fresh();
    const failures = await failuresOf(mirror(url, root, { retries: 1, timeout: 300, fileLimit: 4096 }));
    expect(failures).toEqual([[`${url}/files/a.smk`, expect.any(String), expect.stringMatching(line)]]);
    expect(failures[0][2]).not.toContain('\n');
    expect(served(await openStore(root))).toEqual([['b', ['1'], []]]);
    expect(leftovers(root)).toEqual([]);
  });

  test.each<[string, RequestListener]>([
    ['nothing', () => undefined],
    ['a beginning', (_, res) => void res.writeHead(200, { 'Content-Length': '100' }).write('x')],
  ])('a host that gives %s is left in time while garbage is collected', async (_, answer) => {
    const { url } = await hosting({ a: kept(1), b: kept(2) }, { '/files/a.smk': answer });
    setFlagsFromString('--expose-gc');
    const collector = setInterval(runInNewContext('gc'), 20);
    ends.push(() => clearInterval(collector));
    expect(await failuresOf(mirror(url, fresh(), { retries: 0, timeout: 1000 }))).toEqual([
      [`${url}/files/a.smk`, 'cannot-pull', `cannot pull ${url}/files/a.smk: no whole answer within 1000 ms`],
    ]);
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing in it', '', /contents.json must be a contents.json, got an empty answer/],
    ['no JSON', '{', /contents.json must be a contents.json, got the body is not valid JSON/],
    ['another document', '{"openapi": "3.1.0"}', /\/tasks must be of type array/],
    [
      'a name that is a path',
      { tasks: [{ task: '../../etc', version: '1', content: '0'.repeat(64), url: 'x' }] },
      /\/tasks\/0\/task must be a task name/,
    ],
    [
      'a version that is a path',
      { tasks: [{ task: 'a', version: '../1', content: '0'.repeat(64), url: 'x' }] },
      /\/version must be a version/,
    ],
    ['an id that is a path', { tasks: [{ task: 'a', version: '1', content: '../x', url: 'x' }] }, /64 hex digits/],
    ['a next page elsewhere', { tasks: [], next: 'http://169.254.169.254/latest' }, /it leads to http:\/\/169.254.169.254\. Only/],
    ['no tasks', { tasks: [], networks: [] }, /contents.json must be a list with at least one task, got none/],
    ['no tasks but a network', { tasks: [], networks: [{ id: '0'.repeat(64), url: 'x' }] }, /a list with at least one task, got none/],
    ['pages in a circle', { tasks: [], next: 'contents.json' }, /a list of at most/],
  ])('a document with %s changes nothing', async (_, document, line) => {
    const root = fresh();
    const good = await hosting({ a: kept(1) });
    await mirror(good.url, root).sync();
    const { url } = await host({ '/contents.json': typeof document === 'string' ? document : JSON.stringify(document) });
    writeFileSync(join(root, '.content/url'), `${url}/contents.json`);
    await expect(mirror(url, root).sync()).rejects.toThrow(line);
    expect(served(await openStore(root))).toEqual([['a', ['1'], []]]);
  });

  test('an incomplete list removes nothing and says so, whatever it has and on whichever page; one without a word of it is complete', async () => {
    const [a, b] = [kept(1), kept(2)];
    const first = { task: 'a', version: '1', content: idOf(a), url: 'files/a.smk' };
    const { url, paths } = await hosting({ a, b });
    const root = fresh();
    const follower = mirror(url, root);
    await follower.sync();
    const look = async (list: object, more: object = {}) => {
      Object.assign(paths, { '/contents.json': JSON.stringify(list), '/more.json': JSON.stringify(more) });
      const { tasks, failures } = await follower.sync();
      return [tasks, failures.map(({ error }) => error.message), served(await openStore(root)).map(([name]) => name)];
    };
    const line = `cannot pull all of ${url}/contents.json: the origin cannot read a file now`;
    const incomplete = true;
    expect(await look({ tasks: [first], incomplete })).toEqual([1, [line], ['a', 'b']]);
    expect(await look({ tasks: [], incomplete })).toEqual([0, [line], ['a', 'b']]);
    expect(await look({ tasks: [first], next: 'more.json' }, { tasks: [], incomplete })).toEqual([1, [line], ['a', 'b']]);
    expect(await look({ tasks: [first], next: 'more.json', incomplete }, { tasks: [] })).toEqual([1, [line], ['a', 'b']]);
    await expect(look({ tasks: [first], incomplete: 'no' })).rejects.toThrow('/incomplete must be of type boolean');
    // An entry of a file that is not here does the same.
    const unread = { task: 'unread', version: '0', content: null, url: 'x' };
    expect(await look({ tasks: [first, unread] })).toEqual([2, [`cannot pull ${url}/x: the origin cannot read it now`], ['a', 'b']]);
    expect(await look({ tasks: [first] })).toEqual([1, [], ['a']]);
  });

  test('a list is as long as all its pages, and its entries count whatever their bytes', async () => {
    const tasks = Array.from({ length: 20 }, (_, i) => ({ task: `t${i}`, version: '1', content: null, url: 'x' }));
    const { url } = await host({
      '/contents.json': JSON.stringify({ tasks: tasks.slice(0, 10), next: 'more.json' }),
      '/more.json': JSON.stringify({ tasks: tasks.slice(10) }),
    });
    const root = fresh();
    const line = 'more.json must be a list of at most 5119 bytes, 256 and more an entry, got 5120 so far';
    await expect(mirror(url, root, { listLimit: 5119 }).sync()).rejects.toThrow(line);
    expect((await mirror(url, root, { listLimit: 5120 }).sync()).tasks).toBe(20);
  });

  test('files elsewhere are not asked for', async () => {
    const elsewhere = await host({ '/a.smk': writeModel(kept(1)) });
    const tasks = [{ task: 'a', version: '1', content: idOf(kept(1)), url: `${elsewhere.url}/a.smk` }];
    const { url } = await host({ '/contents.json': JSON.stringify({ tasks }) });
    expect(await failuresOf(mirror(url, fresh()))).toEqual([
      [`${elsewhere.url}/a.smk`, 'cannot-pull', expect.stringContaining('it leads to')],
    ]);
    expect(elsewhere.asked).toEqual([]);
  });

  test.each(['file:///etc/passwd', 'http://['])('%s is named in the line that refuses it', async (place) => {
    const tasks = [{ task: 'a', version: '1', content: idOf(kept(1)), url: place }];
    const { url } = await host({ '/contents.json': JSON.stringify({ tasks }) });
    const line = `cannot pull ${url}/: it leads to ${place}. Only ${url} is asked; give the other URL to seedmask serve if it is yours.`;
    expect(await failuresOf(mirror(url, fresh()))).toEqual([[place, 'cannot-pull', line]]);
  });
});

test('a folder on a web host, listed by seedmask contents', async () => {
  const alone = writeModel({ network, tasks: [] });
  const files = { 'a.smk': kept(1), 't/2.smk': maskOnly(kept(2)), 't/labels.json': '{"stable": 2}', 'network.smk': alone };
  const root = folder(files);
  removed(root);
  const list = JSON.stringify(await contentsOf(root));
  const { url } = await host({
    '/models/contents.json': list,
    ...Object.fromEntries(['a.smk', 't/2.smk', 'network.smk'].map((name) => [`/models/${name}`, readFileSync(join(root, name))])),
  });
  const into = fresh();
  expect(await mirror(`${url}/models`, into).sync()).toEqual({ tasks: 2, pulled: 3, failures: [] });
  expect(served(await openStore(into))).toEqual(served(await openStore(root)));
  // A network that is damaged on this disk, as after a crash, is pulled again.
  const held = join(into, `${Buffer.from(networkId(network)).toString('hex')}.smk`);
  writeFileSync(
    held,
    Uint8Array.from(alone, (byte, i) => (i === 20 ? byte ^ 1 : byte)),
  );
  expect(await mirror(`${url}/models`, into).sync()).toEqual({ tasks: 2, pulled: 1, failures: [] });
  expect(readFileSync(held)).toEqual(Buffer.from(alone));
  expect((await mirror(`${url}/models`, into).sync()).pulled).toBe(0);
  rmSync(join(root, 'network.smk'));
  await expect(contentsOf(root)).rejects.toThrow('with a file of the network of');
  writeFileSync(join(root, 'b.smk'), writeModel({ ...kept(1), tasks: ['x', 'y'].map((id) => ({ ...kept(1).tasks[0], id })) }));
  await expect(contentsOf(root)).rejects.toThrow('a file of one task, got 2 tasks');
});

test('seedmask contents --out writes the list whole, or leaves the one that is there', async () => {
  const root = folder({ 'a.smk': kept(1), 'contents.json': 'old' });
  removed(root);
  const contents = (out: string) =>
    spawnSync(process.execPath, [MAIN, 'contents', root, '--out', join(root, out), '--json'], { encoding: 'utf8' });
  expect(contents('a.smk').stderr).toBe(`seedmask: cannot write ${join(root, 'a.smk')}: it is an input. Give --out another name\n`);
  writeFileSync(join(root, 'b.smk'), 'junk');
  expect([contents('contents.json').status, readFileSync(join(root, 'contents.json'), 'utf8')]).toEqual([1, 'old']);
  rmSync(join(root, 'b.smk'));
  const file = join(root, 'contents.json');
  expect(JSON.parse(contents('contents.json').stdout)).toEqual({ file, tasks: 1, networks: 0 });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(await contentsOf(root));
});

describe('seedmask contents refuses', () => {
  const alone = writeModel({ network, tasks: [] });
  test.each<[string, Parameters<typeof folder>[0]]>([
    ['an empty folder', {}],
    ['a folder with a network alone', { 'network.smk': alone }],
  ])('%s', async (_, files) => {
    const root = folder(files);
    removed(root);
    await expect(contentsOf(root)).rejects.toThrow(`${root} must be a folder with at least one file of a task, got none`);
  });

  test('a file, in one line and nothing on stdout', () => {
    const root = folder({ 'a.smk': kept(1) });
    removed(root);
    const file = join(root, 'a.smk');
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'contents', file], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toBe(`seedmask: ${file} must be a folder, got a file. URLs in the list are relative to it.\n`);
  });
});

test('what may be gone in a moment is asked for again; redirects at home are followed', async () => {
  let left = 2;
  const { url, asked } = await hosting(
    { a: kept(1) },
    {
      '/files/a.smk': (_, res) => void (left-- > 0 ? res.writeHead(503).end() : res.writeHead(307, { Location: '/moved' }).end()),
      '/moved': writeModel(kept(1)),
    },
  );
  expect(await mirror(`${url}/`, fresh()).sync()).toEqual({ tasks: 1, pulled: 1, failures: [] });
  expect(asked).toEqual(['/contents.json', '/files/a.smk', '/files/a.smk', '/files/a.smk', '/moved']);
});

test('a list that was redirected is relative to where it is, asked for first and again', async () => {
  const redirect =
    (to: string): RequestListener =>
    (_, res) =>
      void res.writeHead(302, { Location: to }).end();
  const list = (body: string): RequestListener => {
    return (req, res) => void (req.headers['if-none-match'] ? res.writeHead(304).end() : res.setHeader('ETag', '"1"').end(body));
  };
  const [a, b] = [kept(1), kept(2)];
  const tasksOf = (task: string, model: Model) => [{ task, version: '1', content: idOf(model), url: `${task}.smk` }];
  const { url, paths, asked } = await host({
    '/contents.json': redirect('/v1/contents.json'),
    '/v1/contents.json': list(JSON.stringify({ tasks: tasksOf('a', a), next: 'more.json' })),
    '/v1/more.json': list(JSON.stringify({ tasks: tasksOf('b', b) })),
    '/v1/a.smk': writeModel(a),
    '/v1/b.smk': writeModel(b),
  });
  const root = fresh();
  const follower = mirror(url, root);
  expect(await follower.sync()).toEqual({ tasks: 2, pulled: 2, failures: [] });
  // The same list, unchanged, has moved on, and a file is gone here.
  for (const name of ['contents.json', 'more.json', 'a.smk', 'b.smk']) paths[`/v2/${name}`] = paths[`/v1/${name}`];
  paths['/contents.json'] = redirect('/v2/contents.json');
  rmSync(join(root, '.content', `${idOf(a)}.smk`));
  expect(await follower.sync()).toEqual({ tasks: 2, pulled: 1, failures: [] });
  expect(asked.at(-1)).toBe('/v2/a.smk');
});

test('files that were not pulled stay, and so does what another URL gave', async () => {
  const root = folder({ 'a/1.smk': kept(9), 'own.smk': kept(8) });
  removed(root);
  const { url } = await hosting({ a: kept(1), b: kept(2) });
  expect(await failuresOf(mirror(url, root))).toEqual([
    [`${url}/files/a.smk`, 'cannot-write', expect.stringContaining('a file that was not pulled is there')],
  ]);
  expect(readFileSync(join(root, 'a/1.smk'))).toEqual(Buffer.from(writeModel(kept(9))));
  const other = await hosting({ c: kept(3) });
  await expect(mirror(other.url, root).sync()).rejects.toThrow(`what was pulled from ${other.url}/contents.json, got that of ${url}`);
  writeFileSync(join(root, '.content/url'), `${other.url}/contents.json`);
  await mirror(other.url, root).sync();
  expect(served(await openStore(root)).map(([name]) => name)).toEqual(['a', 'c', 'own']);
});

test('links and folders that were not pulled stay as they are, with their labels', async () => {
  const root = folder({
    'a/own.txt': 'mine',
    'b/labels.json': '{"mine": 7}',
    'b/7.smk': kept(7),
    'c/labels.json': '{}',
    'own.smk': kept(8),
  });
  removed(root);
  const own = '../own.smk';
  symlinkSync(own, join(root, 'a/1.smk'));
  const models = { a: kept(1), b: kept(2), c: kept(3) };
  const tasks = Object.entries(models).map(([task, model]) => {
    return { task, version: '1', labels: ['stable'], content: idOf(model), url: `files/${task}.smk` };
  });
  const { url } = await hosting(models, { '/contents.json': JSON.stringify({ tasks }) });
  const follower = mirror(url, root);
  const lines = [
    [`${url}/files/a.smk`, 'cannot-write', `cannot write ${join(root, 'a/1.smk')}: a file that was not pulled is there`],
    [`${url}/files/b.smk`, 'cannot-write', `cannot write ${join(root, 'b')}: a folder that was not pulled is there`],
  ];
  expect((await failuresOf(follower)).sort()).toEqual(lines);
  expect((await failuresOf(follower)).sort()).toEqual(lines);
  expect([readlinkSync(join(root, 'a/1.smk')), readdirSync(join(root, 'a')).sort()]).toEqual([own, ['1.smk', 'own.txt']]);
  expect([readdirSync(join(root, 'b')).sort(), readFileSync(join(root, 'b/labels.json'), 'utf8')]).toEqual([
    ['7.smk', 'labels.json'],
    '{"mine": 7}',
  ]);
  expect(readFileSync(join(root, 'c/labels.json'), 'utf8')).toBe('{"stable":1}');
});

test('a task comes again into a folder that a file of others has kept; a look lists a folder once, however many versions it has', async () => {
  const versions = Array.from({ length: 9 }, (_, i) => ({
    task: 'a',
    version: String(i),
    content: idOf(kept(1)),
    url: 'files/a.smk',
  }));
  const [all, none] = [versions, []].map((tasks) => JSON.stringify({ tasks: [...tasks, { ...versions[0], task: 'b' }] }));
  const { url, paths } = await hosting({ a: kept(1) }, { '/contents.json': all });
  const root = fresh();
  const follower = mirror(url, root);
  await follower.sync();
  writeFileSync(join(root, 'a/.DS_Store'), '');
  paths['/contents.json'] = none;
  await follower.sync();
  expect(readdirSync(join(root, 'a'))).toEqual(['.DS_Store']);
  paths['/contents.json'] = all;
  expect((await follower.sync()).failures).toEqual([]);
  expect(readdirSync(join(root, 'a'))).toHaveLength(10);
  let listed = 0;
  instead('readdir', (real) => (path: string, ...more: []) => {
    if (path.endsWith('/a')) listed++;
    return real(path, ...more);
  });
  await follower.sync();
  expect(listed).toBe(1);
});

test('a file that was damaged on the disk of the replica comes again', async () => {
  const { url } = await hosting({ a: kept(1) });
  const root = fresh();
  const follower = mirror(url, root);
  await follower.sync();
  const file = join(root, 'a/1.smk');
  // A sound one stays, whatever the store has said of it.
  await follower.recheck(file);
  expect(existsSync(file)).toBe(true);
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(join(root, 'a', readlinkSync(file)), bytes);
  const store = await openStore(root);
  const rechecked: Promise<boolean>[] = [];
  store.subscribe(({ kind, file: failed }) => {
    if (kind === 'failed') rechecked.push(follower.recheck(failed));
  });
  await expect(store.contentId(store.version('a'))).rejects.toThrow('cannot be served');
  await Promise.all(rechecked);
  expect(existsSync(file)).toBe(false);
  expect(await follower.sync()).toEqual({ tasks: 1, pulled: 1, failures: [] });
  await store.refresh();
  expect(await store.contentId(store.version('a'))).toBe(idOf(kept(1)));
});

test('a file that cannot be read for a cause outside itself stays', async () => {
  const { url } = await hosting({ a: kept(1) });
  const root = fresh();
  const follower = mirror(url, root);
  await follower.sync();
  const file = join(root, 'a/1.smk');
  let code = '';
  instead('readFile', () => () => failure(code, 'open'));
  for (code of ['EMFILE', 'EACCES', 'EIO']) expect([code, await follower.recheck(file), existsSync(file)]).toEqual([code, false, true]);
  // A link to nothing is none of these.
  code = 'ENOENT';
  expect(await follower.recheck(file)).toBe(true);
});

test('files that the store could not read are read again one after another', async () => {
  const { url } = await hosting({ a: kept(1), b: kept(2), c: kept(3) });
  const root = fresh();
  await mirror(url, root).sync();
  const threads = new Threads({ count: 1, script: pathToFileURL(join(import.meta.dirname, '../dist/server/running/thread.js')) });
  ends.push(() => threads.close());
  const source = await pullFrom(url, { cache: root }, threads, pino({ level: 'silent' }), new Promise<void>(() => undefined));
  const store = await openStore(root);
  const error = new SeedmaskError('starting');
  Object.defineProperty(store, 'failures', { value: ['a', 'b', 'c'].map((name) => ({ file: join(root, name, '1.smk'), error })) });
  let [now, most, all] = [0, 0, 0];
  instead('readFile', (real) => async (...args: Parameters<typeof real>) => {
    most = Math.max(most, ++now);
    all++;
    return real(...args).finally(() => now--);
  });
  await source.mend(store);
  expect([most, all]).toEqual([1, 3]);
});

test('what cannot be pulled is told once, and what the folder has of it is looked at all the same', async () => {
  const { url, paths, asked } = await hosting({ a: kept(1) });
  const root = fresh();
  const lines: { msg: string; reason?: string; err?: { message: string } }[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const threads = new Threads({ count: 1, script: pathToFileURL(join(import.meta.dirname, '../dist/server/running/thread.js')) });
  ends.push(() => threads.close());
  const source = await pullFrom(url, { cache: root }, threads, log, new Promise<void>(() => undefined));
  const store = await openStore(root);
  let looks = 0;
  let failing: Error | undefined;
  const { refresh } = store;
  store.refresh = async () => {
    looks++;
    if (failing) throw failing;
    return refresh.call(store);
  };
  const end = source.watch(store, 5);
  const looked = async () => {
    const before = [looks, asked.length];
    await expect.poll(() => looks > before[0] + 3 && asked.length > before[1] + 3).toBe(true);
  };
  const gone: RequestListener = (_, res) => void res.writeHead(404).end();
  const answers = paths['/contents.json'];
  for (const answer of [gone, answers, gone]) {
    paths['/contents.json'] = answer;
    await looked();
  }
  const line = ['not pulled', `cannot pull ${url}/contents.json: HTTP 404`];
  expect(lines.map(({ msg, reason }) => [msg, reason])).toEqual([line, line]);
  paths['/contents.json'] = answers;
  failing = new SeedmaskError('bad-store');
  await looked();
  expect(lines).toHaveLength(2);
  failing = new Error('on purpose');
  await looked();
  expect(lines[2]).toMatchObject({ msg: 'failed', err: { message: 'on purpose' } });
  end();
});

test('failures of one file are told once each, and so is one whose system text has a drawn name', async () => {
  const tasks = ['a', 'b', 'c'].map((task) => ({ task, version: '1', labels: ['x'], content: idOf(kept(1)), url: 'files/a.smk' }));
  const { url, asked } = await hosting({ a: kept(1) }, { '/contents.json': JSON.stringify({ tasks }) });
  const root = folder({ 'a/7.smk': kept(7), 'b/7.smk': kept(7) });
  removed(root);
  mkdirSync(join(root, 'c/labels.json'), { recursive: true });
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line).reason) });
  const threads = new Threads({ count: 1, script: pathToFileURL(join(import.meta.dirname, '../dist/server/running/thread.js')) });
  ends.push(() => threads.close());
  const source = await pullFrom(url, { cache: root }, threads, log, new Promise<void>(() => undefined));
  const end = source.watch(await openStore(root), 5);
  const before = asked.length;
  await expect.poll(() => asked.length > before + 3).toBe(true);
  end();
  expect(lines.sort()).toEqual([
    `cannot write ${join(root, 'a')}: a folder that was not pulled is there`,
    `cannot write ${join(root, 'b')}: a folder that was not pulled is there`,
    expect.stringMatching(/labels\.json: EISDIR: .*\/\*\.tmp'/),
  ]);
});

test('what cannot be listed, written or removed in the folder stops nothing else', async () => {
  const files = (tasks: Record<string, [Model, string[]]>) => ({
    '/contents.json': JSON.stringify({
      tasks: Object.entries(tasks).map(([task, [model, labels]]) => ({
        task,
        version: '1',
        labels,
        content: idOf(model),
        url: `${task}.smk`,
      })),
    }),
    ...Object.fromEntries(Object.entries(tasks).map(([task, [model]]) => [`/${task}.smk`, writeModel(model)])),
  });
  const { url, paths } = await host(files({ a: [kept(1), []], gone: [kept(2), []], old: [kept(3), []] }));
  const root = fresh();
  const follower = mirror(url, root);
  mkdirSync(join(root, 'lost+found'));
  instead(
    'readdir',
    (real) =>
      (path: string, ...more: []) =>
        path.endsWith('lost+found') ? failure('EACCES', 'scandir') : real(path, ...more),
  );
  expect(await follower.sync()).toEqual({ tasks: 3, pulled: 3, failures: [] });
  Object.assign(paths, files({ a: [kept(1), ['x']], b: [kept(4), ['x']] }));
  const [label, link] = [join(root, 'a/labels.json'), join(root, 'gone/1.smk')];
  instead('rename', (real) => (from: string, to: string) => (to === label ? failure('EACCES', 'rename') : real(from, to)));
  instead(
    'rm',
    (real) =>
      (path: string, ...more: []) =>
        path === link ? failure('EACCES', 'unlink') : real(path, ...more),
  );
  expect(await failuresOf(follower)).toEqual(
    [
      [label, 'rename'],
      [link, 'unlink'],
    ].map(([path, call]) => [path, 'cannot-write', `cannot write ${path}: EACCES: on purpose, ${call}`]),
  );
  expect([existsSync(join(root, 'b/labels.json')), existsSync(join(root, 'old'))]).toEqual([true, false]);
});

test('a network stays while a file that leans on it is served; one that is missing makes no mask a damaged one', async () => {
  const other = tinyNetwork([2, 2, 1], 3, 9);
  const alone = (of: typeof network) => writeModel({ network: of, tasks: [] });
  const listed = (model: Model) =>
    JSON.stringify({
      tasks: [{ task: 'a', version: '1', content: idOf(model), url: 'a.smk' }],
      networks: [{ id: hex(networkId(model.network)), url: 'network.smk' }],
    });
  const files = { '/contents.json': listed(kept(1)), '/network.smk': alone(network), '/a.smk': maskOnly(kept(1)) };
  const { url, paths } = await host(files);
  const root = fresh();
  const follower = mirror(url, root);
  expect(await follower.sync()).toMatchObject({ pulled: 2, failures: [] });
  Object.assign(paths, { '/contents.json': listed(oneTask(other)), '/network.smk': alone(other), '/a.smk': 'junk' });
  expect((await follower.sync()).failures).toHaveLength(1);
  const store = await openStore(root);
  expect(await store.contentId(store.version('a'))).toBe(idOf(kept(1)));
  rmSync(join(root, `${hex(networkId(network))}.smk`));
  expect(await mirror(url, root).recheck(join(root, 'a/1.smk'))).toBe(false);
});

test.each([
  ['ftp://host/x', 'http:// or https:// with a host'],
  ['https://', 'http:// or https:// with a host'],
  ['https://me:secret@host/', 'without a name and password'],
  ['http://10.0.0.7:8080/', 'https, as it is another machine'],
])('%s is refused', (url, line) => {
  expect(() => new Mirror(url, '/nowhere')).toThrow(line);
  expect(() => new Mirror(url, '/nowhere')).not.toThrow('secret');
});

test('so is a key that no header takes, before anything is asked, and it is not shown', () => {
  const line = 'the key to pull with must be of visible ASCII characters alone, got others';
  for (const key of ['secret\nkey', 'secr\u00e9t']) expect(() => new Mirror('https://host', '/nowhere', { key })).toThrow(line);
  expect(() => new Mirror('https://host', '/nowhere', { key: 'secret\n' })).not.toThrow();
});

describe('seedmask serve URL', () => {
  const start = (...args: string[]) => startWith({}, ...args);
  const startWith = (env: Record<string, string>, ...args: string[]) => {
    const child = spawn(process.execPath, [MAIN, 'serve', ...args, '--port', '0', '--json'], { env: { ...process.env, ...env } });
    ends.push(() => child.kill('SIGKILL'));
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      err += text;
    });
    return { child, err: () => err, line: async () => JSON.parse(String((await once(child.stdout, 'data'))[0])) };
  };

  test('follows the origin, ends in good order, and starts again without it', async () => {
    const { server, root: source, store } = await origin({ 'a.smk': kept(1) });
    const cache = fresh();
    const first = start(server.url, '--cache', cache, '--poll', '0.1');
    const { url, tasks } = await first.line();
    expect(tasks).toEqual(['a']);
    writeFileSync(join(source, 'b.smk'), writeModel(kept(2)));
    await store.refresh();
    await expect.poll(() => post(`${url}/tasks/b/classify`, ROWS).then(({ status }) => status), { timeout: 60_000 }).toBe(200);
    first.child.kill('SIGTERM');
    expect(await once(first.child, 'exit')).toEqual([0, null]);
    await server.close();
    const second = start(server.url, '--cache', cache);
    expect((await second.line()).tasks).toEqual(['a', 'b']);
    // Its tries take about as long as a start with something to serve waits for them.
    expect(second.err()).toMatch(/not pulled|serving what was pulled before/);
  }, 120_000);

  test('shows the origin the key of the environment', async () => {
    const keys = [{ name: 'replica', sha256: hashOf('a-key'), tasks: ['m*'] }];
    const { server } = await origin({ 'm.smk': kept(1), 'secret.smk': kept(2) }, { keys });
    expect((await startWith({ SEEDMASK_PULL_KEY: 'a-key' }, server.url).line()).tasks).toEqual(['m']);
    for (const [env, line] of [
      [{}, /^seedmask: cannot pull .*: HTTP 401\. Give a key.*SEEDMASK_PULL_KEY.*\n$/],
      [{ SEEDMASK_PULL_KEY: '' }, /^seedmask: SEEDMASK_PULL_KEY must be set to something, or not at all, got nothing in it\. .*\n$/],
    ] as const) {
      const { child, err } = startWith(env, server.url, '--log', 'silent');
      expect(await once(child, 'close')).toEqual([1, null]);
      expect(err()).toMatch(line);
    }
  }, 120_000);

  test('asks another machine over plain http with --allow-http alone', async () => {
    const { url } = await hosting({ a: kept(1) });
    // No name of the loopback, but it leads there.
    const other = url.replace('127.0.0.1', '0.0.0.0');
    expect((await start(other, '--allow-http').line()).tasks).toEqual(['a']);
    const { child, err } = start(other);
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(err()).toMatch(
      /^seedmask: .*must be https, as it is another machine, got .*--allow-http says that the network between is yours\.\n$/,
    );
  }, 120_000);

  test('an origin that has lost its folder takes nothing from a replica that runs', async () => {
    const { url: source, paths } = await hosting({ a: kept(1) });
    const cache = fresh();
    const replica = start(source, '--cache', cache, '--poll', '0.1');
    const { url } = await replica.line();
    paths['/contents.json'] = '{"tasks":[],"networks":[]}';
    await expect.poll(replica.err, { timeout: 60_000 }).toContain('a list with at least one task, got none');
    expect((await post(`${url}/tasks/a/classify`, ROWS)).status).toBe(200);
    expect(served(await openStore(cache))).toEqual([['a', ['1'], []]]);
  }, 120_000);

  test('a signal while the origin stalls ends it at once, without a word', async () => {
    const { url, asked } = await host({ '/contents.json': () => undefined });
    const { child, err } = start(url);
    await expect.poll(() => asked.length, { timeout: 60_000 }).toBe(1);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(err()).toBe('');
  }, 120_000);

  test('a header that was damaged in the cache is noticed at the start, and the file comes again', async () => {
    const { url: source } = await hosting({ a: kept(1) });
    const cache = fresh();
    await mirror(source, cache).sync();
    const blob = join(cache, '.content', `${idOf(kept(1))}.smk`);
    const bytes = readFileSync(blob);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(blob, bytes);
    const replica = start(source, '--cache', cache, '--poll', '0');
    const { url } = await replica.line();
    expect((await post(`${url}/tasks/a/classify`, ROWS)).status).toBe(200);
    expect(replica.err()).toContain('damaged');
  }, 120_000);

  test('nothing there is one line and exit 1', async () => {
    const { url } = await host({});
    const { child, err } = start(url, '--log', 'silent');
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(err()).toBe(`seedmask: cannot pull ${url}/contents.json: HTTP 404\n`);
  });
});
