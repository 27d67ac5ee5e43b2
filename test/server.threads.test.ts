// Worker threads: the bits of the event loop, and what happens when one dies, hangs, or never answers. The program of a thread is the
// built one, or a few lines that misbehave on purpose.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import workers from 'node:worker_threads';
import { afterAll, afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type PackedTask, PIXELS_TRANSFORM, readPacked, SeedmaskError, writeModel } from '../codec/index.js';
import { openStore, Threads, type ThreadsOptions } from '../server/index.js';
import type { Version } from '../server/repository/catalogue.js';
import { decodeMask, maskFile } from '../server/repository/decode.js';
import { Canary } from '../server/running/canary.js';
import { Classifiers } from '../server/running/classify.js';
import { Scheduler } from '../server/running/scheduler.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import type { Network } from '../src/network.js';
import { engine, folder, get, oneTask, post, serve, storeOf, tinyNetwork } from './server.material.js';

const BUILT = pathToFileURL(join(import.meta.dirname, '../dist/server/running/thread.js'));
const root = mkdtempSync(join(tmpdir(), 'seedmask-threads-'));
const open: Threads[] = [];
afterEach(() => Promise.all(open.splice(0).map((threads) => threads.close())));
afterAll(() => rmSync(root, { recursive: true }));

function threadsOf(options: ThreadsOptions = {}): Threads {
  const threads = new Threads({ count: 1, script: BUILT, ...options });
  open.push(threads);
  return threads;
}

/** A thread that does `first` at the first message that any thread of it gets, and `then` at all others. */
function program(first: string, then: string): URL {
  const name = `${Math.random().toString(36).slice(2)}.mjs`;
  const text = `
import { existsSync, writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
const flag = ${JSON.stringify(join(root, `${name}.flag`))};
parentPort.on('message', ({ id }) => {
  const later = existsSync(flag);
  writeFileSync(flag, '');
  if (later) { ${then} } else { ${first} }
});`;
  writeFileSync(join(root, name), text);
  return pathToFileURL(join(root, name));
}
const ANSWER = "parentPort.postMessage({ id, value: { packed: new Uint8Array(4), id: 'x' } });";
const HANG = 'for (;;);';
const DIE = 'process.exit(3);';
const THROW = "throw new Error('on purpose');";

/** The thread's own program, where the system has no memory for an engine: at the first start, or for as long as there is `flag`. */
function withoutEngine(flag: string, times: 'once' | 'while'): URL {
  const path = join(root, `${flag}.mjs`);
  const mark = JSON.stringify(join(root, flag));
  writeFileSync(join(root, flag), '');
  const text = `
import { existsSync, rmSync } from 'node:fs';
if (existsSync(${mark})) {
  WebAssembly.Memory = function none() { throw new RangeError('no memory on purpose'); };
  ${times === 'once' ? `rmSync(${mark});` : ''}
}
await import(${JSON.stringify(BUILT)});`;
  writeFileSync(path, text);
  return pathToFileURL(path);
}

/** The thread's own program, which writes the bytes of its engine's memory to a file before each message, a line each. */
function weighed(file: string): URL {
  const path = join(root, `${file}.mjs`);
  const text = `
import { appendFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
const { Memory } = WebAssembly;
const memories = [];
WebAssembly.Memory = function weighed(size) { memories.push(new Memory(size)); return memories.at(-1); };
await import(${JSON.stringify(BUILT)});
parentPort.on('message', () => appendFileSync(${JSON.stringify(join(root, file))}, memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0) + '\\n'));`;
  writeFileSync(path, text);
  return pathToFileURL(path);
}

const network = tinyNetwork();
const stored: PackedTask = readPacked(writeModel(oneTask(network))).tasks[0];
const version: Version = { name: 'tiny', number: '1', network, task: stored, file: '' };
const compute = (threads: Threads) =>
  threads.logits({ version, packed: Uint8Array.of(0xff, 0x0f), transform: PIXELS_TRANSFORM, values: new Uint8Array(4), rows: 1 });
const failed = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('work', () => {
  test('a mask decoded in a thread is the one decoded here', async () => {
    expect(await threadsOf().decode(network, stored, 0, true)).toEqual(decodeMask(network, stored, 0));
    expect(await threadsOf().maskFile(network, stored, 0)).toEqual(maskFile(network, stored, 0));
  });

  test('what is wrong with a mask is told with its code', async () => {
    const error = await failed(threadsOf().decode(network, { ...stored, payload: Uint8Array.of(99) }, 0, true));
    if (!(error instanceof SeedmaskError)) throw error;
    expect([error.code, error.message]).toEqual(['unknown-scheme', expect.stringContaining('mask scheme 99')]);
  });

  test('networks that are not light are computed in threads, bit for bit as here', async () => {
    const conv: Network = {
      input: [6, 6, 2],
      layers: [{ kind: 'conv', filters: 5, activation: 'relu' }, { kind: 'pool' }, { kind: 'dense', units: 4, activation: 'linear' }],
      distribution: 'packed-signed-constant',
      sigma: 'glorot',
      seed: { low: 3, high: 0 },
    };
    const files = folder({ 'conv.smk': oneTask(conv), 'floats.smk': oneTask({ ...tinyNetwork([6, 6, 2], 4), distribution: 'normal' }) });
    const threads = threadsOf({ count: 2 });
    const store = await openStore(files, { threads });
    const reference = createReferenceEngine();
    const classifiers = new Classifiers(reference, 1e6);
    const [inThreads, here] = [new Scheduler(store, classifiers, { threads }), new Scheduler(store, classifiers)];
    for (const name of ['conv', 'floats']) {
      const rows = { values: Uint8Array.from({ length: 72 * 40 }, (_, i) => (i * 31) & 255), count: 40 };
      const all = Array.from({ length: 6 }, () => inThreads.classify(store.version(name), rows));
      const want = await here.classify(store.version(name), rows);
      for (const answer of await Promise.all(all)) expect(answer).toEqual(want);
    }
    expect(threads.state).toMatchObject({ busy: 0, waiting: 0, lost: 0 });
    rmSync(files, { recursive: true });
  });

  test('threads start with the first job, and close at once whatever they do', async () => {
    const threads = threadsOf({ script: program(HANG, HANG), patience: 60_000 });
    expect(threads.state).toEqual({ alive: 0, busy: 0, waiting: 0, lost: 0 });
    const jobs = [1, 2, 3].map(() => failed(threads.decode(network, stored, 0, true)));
    expect(threads.state).toEqual({ alive: 1, busy: 1, waiting: 2, lost: 0 });
    await threads.close();
    for (const error of await Promise.all(jobs)) expect(error).toMatchObject({ code: 'draining' });
    expect(await failed(threads.decode(network, stored, 0, true))).toMatchObject({ code: 'draining' });
  });

  /** Many masks and many rows: a question of seconds. */
  const longQuestion = (count: number) => {
    const bytes = new SharedArrayBuffer(count * 4);
    const shared = { network, transforms: [PIXELS_TRANSFORM], transformOf: new Uint32Array(count) };
    const block = { ...shared, key: 1, bytes, logitScales: new Float64Array(count).fill(1) };
    return { block, rows: { values: new Uint8Array(4 * 256), count: 256 } };
  };

  test('jobs are done between the slices of a question', async () => {
    const threads = threadsOf();
    const { block, rows } = longQuestion(20_000);
    const order: string[] = [];
    const question = threads
      .inferTask(block, rows, 'all', new AbortController().signal)
      .then(({ value }) => order.push(`${value.cost.masks}`));
    await threads.decode(network, stored, 0, true);
    await threads.decode(network, stored, 0, false);
    order.push('jobs');
    await question;
    expect(order).toEqual(['jobs', '20000']);
    expect(threads.state).toMatchObject({ busy: 0, waiting: 0, lost: 0 });
  });

  test('a question that is called off leaves its thread to the next, and so does one that waits', async () => {
    const threads = threadsOf();
    const { block, rows } = longQuestion(20_000);
    const [running, waiting] = [new AbortController(), new AbortController()];
    const order: string[] = [];
    const ask = (name: string, signal: AbortSignal) =>
      threads.inferTask(block, rows, 'all', signal).then(
        () => order.push(name),
        (error: Error) => order.push(`${name} ${error.message}`),
      );
    const all = [ask('first', running.signal), ask('second', waiting.signal)];
    await threads.decode(network, stored, 0, true);
    expect(threads.state).toMatchObject({ busy: 1, waiting: 1 });
    waiting.abort(new Error('off'));
    running.abort(new Error('off'));
    expect(threads.state).toMatchObject({ busy: 0, waiting: 0 });
    const last = { values: rows.values.subarray(0, 4), count: 1 };
    const { value } = await threads.inferTask(block, last, 'all', new AbortController().signal);
    await Promise.all(all);
    expect([value.cost.masks, order]).toEqual([20_000, ['second off', 'first off']]);
    expect(threads.state.lost).toBe(0);
  });

  test('what was compiled for a version goes when that does, also where somebody still waited for it', async () => {
    const threads = threadsOf({ script: weighed('compiled') });
    const wide = { ...tinyNetwork([28, 28, 1], 400), distribution: 'normal' } as const;
    const kept = (i: number) => oneTask(wide, undefined, { mask: [new Uint8Array(784 * 50).fill(255 - i)] });
    const files = folder({ 'wide.smk': kept(0) });
    const store = await openStore(files, { threads });
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6), { threads });
    const ask = () => scheduler.classify(store.version('wide'), { values: new Uint8Array(784), count: 1 });
    await ask();
    for (let round = 1; round < 8; round++) {
      writeFileSync(join(files, 'wide.smk'), writeModel(kept(round)));
      const swapped = store.refresh();
      // Some of these wait until the version has gone.
      const asked: Promise<unknown>[] = [];
      const asking = setInterval(() => asked.push(ask()), 1);
      await swapped;
      clearInterval(asking);
      await Promise.all([...asked, ask()]);
    }
    rmSync(files, { recursive: true });
    await threads.decode(network, stored, 0, true);
    const bytes = readFileSync(join(root, 'compiled'), 'utf8').trim().split('\n').map(Number);
    // 784 x 400 float32 are 1.2 MB, and some room to make them in. The old one and the new are there together for a while, never eight.
    const one = bytes.find((size) => size > 1e6)!;
    expect(bytes[bytes.length - 1]).toBeLessThanOrEqual(2 * one);
  });

  test('a version that goes while many of its rows wait is compiled once more, not at every batch', async () => {
    const threads = threadsOf({ script: BUILT });
    const wide = { ...tinyNetwork([28, 28, 1], 2000), distribution: 'normal' } as const;
    const kept = (i: number) => oneTask(wide, undefined, { mask: [new Uint8Array(784 * 250).fill(255 - i)] });
    const files = folder({ 'wide.smk': kept(0) });
    const store = await openStore(files, { threads });
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6), { threads });
    await scheduler.classify(store.version('wide'), { values: new Uint8Array(784), count: 1 });
    const [drop, logits] = [vi.spyOn(threads, 'drop'), vi.spyOn(threads, 'logits')];
    const answer = scheduler.classify(store.version('wide'), { values: new Uint8Array(784 * 4000), count: 4000 });
    writeFileSync(join(files, 'wide.smk'), writeModel(kept(1)));
    await store.refresh();
    const before = logits.mock.calls.length;
    await answer;
    // Once when it goes, and once after the last of its rows.
    expect([drop.mock.calls.length, logits.mock.calls.length - before > 2]).toEqual([2, true]);
    rmSync(files, { recursive: true });
  });

  test('urgent jobs go before the others, such as large bodies', async () => {
    const threads = threadsOf({ script: program(ANSWER, ANSWER) });
    const order: string[] = [];
    const job = (name: string, urgent: boolean) => threads.decode(network, stored, 0, urgent).then(() => order.push(name));
    const body = () => threads.read('classify', new Uint8Array(9), { shape: network.input, limit: 1 }).then(() => order.push('body'));
    await Promise.all([job('first', false), job('warm', false), body(), job('asked', true)]);
    expect(order).toEqual(['first', 'asked', 'warm', 'body']);
  });
});

test('rows that come one after another go before the others, which get their turn all the same', async () => {
  const threads = threadsOf({ script: program(ANSWER, ANSWER) });
  const order: string[] = [];
  const rows = async () => {
    for (let i = 0; i < 20; i++) {
      await compute(threads);
      order.push('rows');
    }
  };
  const body = () => threads.read('classify', new Uint8Array(9), { shape: network.input, limit: 1 }).then(() => order.push('body'));
  await Promise.all([rows(), body(), body()]);
  expect(order.map((name, i) => (name === 'body' ? i : -1)).filter((i) => i >= 0)).toEqual([5, 10]);
});

describe('a thread that is lost', () => {
  test.each([
    ['dies', DIE],
    ['throws', THROW],
    ['hangs', HANG],
  ])('%s once: another does its job', async (_, first) => {
    const threads = threadsOf({ script: program(first, ANSWER), startup: 2000, patience: 1500 });
    const jobs = [1, 2, 3].map(() => threads.decode(network, stored, 0, true));
    expect(threads.trusted).toBe(true);
    expect((await Promise.all(jobs)).map(({ id }) => id)).toEqual(['x', 'x', 'x']);
    // A mask is decoded without the engine that rows need.
    expect([threads.state.lost, threads.trusted]).toEqual([1, false]);
    await compute(threads);
    expect([threads.state.lost, threads.trusted]).toEqual([1, true]);
    const server = await serve({ threads });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain('\nseedmask_lost_threads_total 1\n');
    await server.close();
  });

  test.each([
    ['dies', DIE, 'it ended with code 3'],
    ['throws', THROW, 'on purpose'],
    ['hangs', HANG, 'no answer within 2'],
  ])('%s twice over one job: that fails with 503, never hung', async (_, always, text) => {
    const threads = threadsOf({ script: program(always, always), startup: 500, patience: 1500 });
    const error = await failed(threads.decode(network, stored, 0, true));
    if (!(error instanceof SeedmaskError)) throw error;
    expect([error.code, error.status, error.details.retryAfter]).toEqual(['lost-worker', 503, 1]);
    expect(error.message).toContain(text);
    expect([threads.state.lost, threads.trusted]).toEqual([2, false]);
  });

  const floats = oneTask({ ...tinyNetwork(), distribution: 'normal' });
  const ask = ({ url }: { url: string }) => post(`${url}/tasks/floats/classify`, { instances: [[0, 1, 2, 3]] });

  test('gets no engine once: the next one does, and answers', async () => {
    const threads = threadsOf({ script: withoutEngine('once', 'once') });
    const server = await serve({ threads, store: await storeOf({ 'floats.smk': floats }) });
    expect((await ask(server)).status).toBe(200);
    expect([threads.state.lost, threads.trusted]).toEqual([1, true]);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('\nseedmask_lost_threads_total 1\n');
    await server.close();
  });

  test('gets no engine, again and again: 503 and not ready, whatever else threads do, until there is one', async () => {
    const threads = threadsOf({ script: withoutEngine('never', 'while') });
    const server = await serve({ threads, store: await storeOf({ 'floats.smk': floats }) });
    const ready = async () => (await get(`${server.url}/v2/health/ready`)).status;
    expect(await ready()).toBe(200);
    const { status, json, headers } = await ask(server);
    expect([status, json.code, headers.get('retry-after')]).toEqual([503, 'lost-worker', '1']);
    expect(json.error).toContain('its engine did not start: no memory on purpose');
    await threads.decode(network, stored, 0, true);
    expect([threads.state.lost, threads.trusted]).toEqual([2, false]);
    await expect.poll(ready, { timeout: 20_000 }).toBe(503);
    rmSync(join(root, 'never'));
    await expect.poll(ready, { timeout: 20_000, interval: 300 }).toBe(200);
    expect((await ask(server)).status).toBe(200);
    await server.close();
  });

  test('readiness asks the next thread, and is back when that answers', async () => {
    const threads = threadsOf({ script: program(HANG, HANG), patience: 50, startup: 100 });
    const store = await openStore(folder({ 'a.smk': oneTask(network) }));
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6));
    const canary = new Canary(scheduler, threads, { patience: 400, holds: 0 });
    expect(await canary.sings()).toBe(true);
    await failed(threads.decode(network, stored, 0, true));
    expect(await canary.sings()).toBe(false);
    const recovered = threadsOf({ script: BUILT });
    Object.defineProperty(recovered, 'trusted', { get: () => false });
    expect(await new Canary(scheduler, recovered, { patience: 20_000 }).sings()).toBe(true);
  });
});

describe('a system that gives no thread', () => {
  /** No thread can be started until the test ends, or what is returned is called. */
  const none = () => {
    const { Worker } = workers;
    workers.Worker = function refused() {
      throw Object.assign(new Error('EAGAIN on purpose'), { code: 'ERR_WORKER_INIT_FAILED' });
    } as never;
    syncBuiltinESMExports();
    const again = () => {
      workers.Worker = Worker;
      syncBuiltinESMExports();
    };
    onTestFinished(again);
    return again;
  };

  test('leaves the work to those that live', async () => {
    const threads = threadsOf({ count: 3, script: program(ANSWER, ANSWER) });
    await threads.decode(network, stored, 0, true);
    none();
    const jobs = [1, 2, 3, 4].map(() => threads.decode(network, stored, 0, true));
    expect((await Promise.all(jobs)).map(({ id }) => id)).toEqual(['x', 'x', 'x', 'x']);
    expect([threads.state, threads.trusted]).toEqual([{ alive: 1, busy: 0, waiting: 0, lost: 0 }, true]);
  });

  test('and none lives: every job fails with 503, and is done by nobody later', async () => {
    const threads = threadsOf({ count: 2, script: program(DIE, ANSWER) });
    const first = failed(threads.decode(network, stored, 0, true));
    const again = none();
    // Its thread dies while no other can be started.
    for (const error of [await first, await failed(threads.decode(network, stored, 0, false))]) {
      expect(error).toMatchObject({ code: 'lost-worker', message: expect.stringContaining('no thread can be started: EAGAIN on purpose') });
    }
    expect([threads.state, threads.trusted]).toEqual([{ alive: 0, busy: 0, waiting: 0, lost: 1 }, false]);
    again();
    await compute(threads);
    expect([threads.state.alive, threads.trusted]).toEqual([1, true]);
  });
});

describe('readiness', () => {
  test('a wrong answer, a failure and no answer at all are not ready', async () => {
    const wrong = { probabilities: Float32Array.of(1, 0, 0), best: Uint32Array.of(0), labels: ['a', 'b', 'c'], rows: 1 };
    const answers: (() => Promise<typeof wrong>)[] = [
      () => Promise.resolve(wrong),
      () => Promise.reject(new Error('broken')),
      () => new Promise(() => undefined),
    ];
    for (const probe of answers) expect(await new Canary({ probe }, undefined, { patience: 50 }).sings()).toBe(false);
  });

  test('many probes at once ask once', async () => {
    let asked = 0;
    const probe = () => {
      asked++;
      return Promise.reject(new Error('broken'));
    };
    const canary = new Canary({ probe }, undefined);
    await Promise.all(Array.from({ length: 50 }, () => canary.sings()));
    expect(asked).toBe(1);
  });

  test('an engine that computes wrongly turns the server unready; it stays alive and says so', async () => {
    const anyMask: typeof engine.anyMask = (...args) => {
      const inner = engine.anyMask(...args);
      return inner && { ...inner, logits: (_, __, rows) => new Int32Array(rows * inner.outputs) };
    };
    const server = await serve({ engine: { ...engine, anyMask } });
    const { status, json } = await get(`${server.url}/v2/health/ready`);
    expect([status, json]).toEqual([503, { live: true, ready: false, error: 'the server does not answer its own question' }]);
    expect((await get(`${server.url}/v2/health/live`)).status).toBe(200);
    expect((await post(`${server.url}/tasks/tiny/classify`, { instances: [[0, 1, 2, 3]] })).status).toBe(200);
    await server.close();
  });
});
