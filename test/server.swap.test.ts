// A store that changes while it serves: loading on demand, once for all; swaps, labels, failures, unloading; nothing is held for good.

import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { contentId, type Model, PIXELS_TRANSFORM, readModel, SeedmaskError, writeModel } from '../codec/index.js';
import { openStore, type Store, type StoreEvent, type Threads } from '../server/index.js';
import { decodeMask } from '../server/repository/decode.js';
import { Classifiers } from '../server/running/classify.js';
import { Finder } from '../server/running/finder.js';
import { Scheduler } from '../server/running/scheduler.js';
import type { Engine } from '../src/engine/engine.js';
import { engine, folder, oneTask, task, tinyNetwork } from './server.material.js';

const made: string[] = [];
afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true, force: true });
});
function disk(files: Parameters<typeof folder>[0]): string {
  const root = folder(files);
  made.push(root);
  return root;
}

/** Puts a file in another's place as writers should: whole, in one step. */
function put(root: string, name: string, model: Model | Uint8Array | string): void {
  const bytes = typeof model === 'string' || model instanceof Uint8Array ? model : writeModel(model);
  mkdirSync(join(root, name, '..'), { recursive: true });
  writeFileSync(join(root, `${name}.tmp`), bytes);
  renameSync(join(root, `${name}.tmp`), join(root, name));
}

const network = tinyNetwork();
/** Models of one network whose masks differ: bit `i` alone is kept. */
const kept = (i: number, labels = ['a', 'b', 'c']): Model =>
  oneTask(network, labels, { mask: [Uint8Array.of((1 << i) & 255, (1 << i) >> 8)] });
const NUMBERS = { low: new Float32Array(4), scale: new Float32Array(4).fill(1) };
const packedOf = async (store: Store, name: string) => (await store.open(store.version(name))).packed;
const watch = (store: Store) => {
  const events: string[] = [];
  store.subscribe(({ kind, name, version }: StoreEvent) => events.push(`${kind} ${name} ${version}`));
  return events;
};
const damaged = (model: Model) => {
  const bytes = writeModel(model);
  bytes[bytes.length - 1] ^= 1;
  return bytes;
};

/** Does something while files are opened in another way. */
async function opening<T>(otherwise: (open: typeof fs.open) => typeof fs.open, work: () => Promise<T>): Promise<T> {
  const { open } = fs;
  fs.open = otherwise(open);
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    fs.open = open;
    syncBuiltinESMExports();
  }
}

describe('on demand', () => {
  test('100 first requests decode once; opening decodes nothing', async () => {
    const store = await openStore(disk({ 'a.smk': kept(1), 'b.smk': kept(2) }));
    const events = watch(store);
    expect(store.resident).toEqual({ tasks: 0, bytes: 0 });
    const all = await Promise.all(Array.from({ length: 100 }, () => packedOf(store, 'a')));
    expect(new Set(all).size).toBe(1);
    expect(events).toEqual(['loaded a 1']);
    // 4 inputs, a byte of 3 units each
    expect(store.resident).toEqual({ tasks: 1, bytes: 4 });
    await store.warm();
    expect(events).toEqual(['loaded a 1', 'loaded b 1']);
  });

  test('what is kept warm is decoded without being asked for, also what comes later', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const events = watch(store);
    store.keepWarm();
    await expect.poll(() => events, { timeout: 5000 }).toEqual(['loaded a 1']);
    put(root, 'b.smk', kept(2));
    await store.refresh();
    await expect.poll(() => events, { timeout: 5000 }).toEqual(['loaded a 1', 'loaded b 1']);
    store.close();
  });

  test('a file that was replaced before its first request is served as it is now', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const before = store.version('a');
    put(root, 'a.smk', kept(2, ['x', 'y']));
    const { version } = await store.open(before);
    expect([version.task.labels, version === store.version('a')]).toEqual([['x', 'y'], true]);
  });

  test('a file that was taken away before its first request is gone', async () => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(2) });
    const store = await openStore(root);
    rmSync(join(root, 'a.smk'));
    await expect(packedOf(store, 'a')).rejects.toThrow('no task named a');
    expect([...store.tasks.keys()]).toEqual(['b']);
  });
});

describe('a file that is replaced whenever it is read', () => {
  /** Replaces a.smk right before each of the next `times` reads. */
  async function replacing<T>(root: string, times: number, work: () => Promise<T>): Promise<T> {
    let left = times;
    const replaced =
      (open: typeof fs.open): typeof fs.open =>
      (...args) => {
        if (left-- > 0) put(root, 'a.smk', kept(left % 12));
        return open(...args);
      };
    return opening(replaced, work);
  }

  test('is not left out when a store opens', async () => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(2) });
    const store = await replacing(root, 3, () => openStore(root));
    expect([...store.tasks.keys()]).toEqual(['a', 'b']);
    expect(await store.contentId(store.version('a'))).toBe(Buffer.from(contentId(kept(0))).toString('hex'));
  });

  test('answers a first request once it stands still, and says so if it does not', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const id = await replacing(root, 3, () => store.contentId(store.version('a')));
    expect(id).toBe(Buffer.from(contentId(kept(0))).toString('hex'));
    const other = await openStore(root);
    await expect(replacing(root, 1000, () => other.contentId(other.version('a')))).rejects.toMatchObject({ code: 'starting', status: 503 });
  });
});

describe('swaps', () => {
  test('a file overwritten in place is noticed, also with the size and the time that it had; one of other permissions stays', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const file = join(root, 'a.smk');
    utimesSync(file, 1, 1);
    const store = await openStore(root);
    const [first, version] = [await packedOf(store, 'a'), store.version('a')];
    const events = watch(store);
    chmodSync(file, 0o600);
    await store.refresh();
    expect([store.version('a') === version, await packedOf(store, 'a')]).toEqual([true, first]);
    expect(events).toEqual([]);
    expect(writeModel(kept(2)).length).toBe(readFileSync(file).length);
    writeFileSync(file, writeModel(kept(2)));
    utimesSync(file, 1, 1);
    await store.refresh();
    expect(events).toEqual(['loaded a 1', 'unloaded a 1']);
    expect(await packedOf(store, 'a')).not.toEqual(first);
  });

  test('the new content is loaded before anyone sees it; the same content stays', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const first = await packedOf(store, 'a');
    const version = store.version('a');
    const events = watch(store);
    // The same mask in another scheme is other bytes of the same content.
    put(root, 'a.smk', writeModel(kept(1), { schemes: ['deflate'] }));
    await store.refresh();
    expect([store.version('a') === version, events]).toEqual([true, []]);
    put(root, 'a.smk', kept(2));
    await store.refresh();
    expect([store.version('a') === version, events]).toEqual([false, ['loaded a 1', 'unloaded a 1']]);
    expect(await packedOf(store, 'a')).not.toEqual(first);
    expect(store.resident).toEqual({ tasks: 1, bytes: 4 });
  });

  test.each([
    ['its payload', damaged(kept(2))],
    ['its beginning', Buffer.from('junk')],
    ['its end', writeModel(kept(2)).slice(0, -1)],
  ])('a file damaged in %s leaves the old one serving, and says so', async (_, bytes) => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(3) });
    const store = await openStore(root);
    const before = await packedOf(store, 'a');
    const events = watch(store);
    put(root, 'a.smk', bytes);
    await store.refresh();
    await store.refresh();
    expect(events).toEqual(['failed a 1']);
    expect(await packedOf(store, 'a')).toBe(before);
    expect([...store.entries()][0]).toMatchObject({ name: 'a', state: 'READY', reason: expect.stringContaining('a.smk cannot be served') });
    await expect(store.load('a')).rejects.toThrow('a.smk cannot be served');
    put(root, 'a.smk', kept(2));
    await store.load('a');
    expect(await packedOf(store, 'a')).not.toEqual(before);
    expect(store.failures).toEqual([]);
  });

  test.each([
    ['another network', oneTask(tinyNetwork([4, 4, 1]))],
    ['numbers', oneTask(network, undefined, { transform: { ...PIXELS_TRANSFORM, features: NUMBERS } })],
  ])('rows that were read for what a file was are not answered by %s', async (_, model) => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(2), 'c.smk': kept(3) });
    const store = await openStore(root);
    const scheduler = new Scheduler(store, new Classifiers(engine, 1e6));
    const [before, ...others] = ['a', 'b', 'c'].map((name) => store.version(name));
    put(root, 'a.smk', model);
    const late = scheduler.classify(before, { values: Uint8Array.of(1, 2, 3, 4), count: 1 });
    await expect(late).rejects.toMatchObject({ code: 'starting', status: 503, details: { retryAfter: 1 } });
    const finder = new Finder(store, engine, undefined);
    const { skipped } = await finder.find([before, ...others], { values: Uint8Array.of(1, 2, 3, 4), count: 1 }, 'all', {});
    expect(skipped).toBe(1);
  });

  test('a thread that is lost while a new state is decoded: the next look takes it', async () => {
    const root = disk({ 'a.smk': kept(1) });
    let lost = 0;
    const decode: Threads['decode'] = async (of, stored, place) => {
      if (lost-- > 0) throw new SeedmaskError('lost-worker', { field: 'mask a', got: 'no answer' });
      return decodeMask(of, stored, place);
    };
    const store = await openStore(root, { threads: { decode } as Threads });
    const idOf = async () => store.contentId(store.version('a'));
    const ids = [1, 2].map((i) => Buffer.from(contentId(kept(i))).toString('hex'));
    expect(await idOf()).toBe(ids[0]);
    put(root, 'a.smk', kept(2));
    lost = 1;
    await store.refresh();
    expect([await idOf(), store.failures]).toEqual([ids[0], []]);
    await store.refresh();
    expect(await idOf()).toBe(ids[1]);
  });

  test('all tasks of an archive change at once, or none', async () => {
    const archive = (bit: number): Model => ({
      network,
      tasks: ['x', 'y', 'z'].map((id, i) => task(network, id, ['a'], { mask: [Uint8Array.of(1 << ((bit + i) & 7), 0)] })),
    });
    const root = disk({ 'all.smk': archive(0) });
    const store = await openStore(root);
    const before = await Promise.all(['x', 'y', 'z'].map((name) => packedOf(store, name)));
    put(root, 'all.smk', damaged(archive(3)));
    await store.refresh();
    expect(await Promise.all(['x', 'y', 'z'].map((name) => packedOf(store, name)))).toEqual(before);
    expect(store.resident.tasks).toBe(3);
    put(root, 'all.smk', archive(3));
    await store.refresh();
    const after = await Promise.all(['x', 'y', 'z'].map((name) => packedOf(store, name)));
    for (const [i, packed] of after.entries()) expect(packed).not.toEqual(before[i]);
    expect([store.failures, store.resident.tasks]).toEqual([[], 3]);
  });

  test('a new version serves once it is loaded; a damaged one never', async () => {
    const root = disk({ 't/1.smk': kept(1), 't/labels.json': '{"stable": 1}' });
    const store = await openStore(root);
    await packedOf(store, 't');
    put(root, 't/2.smk', kept(2));
    put(root, 't/3.smk', damaged(kept(3)));
    put(root, 't/labels.json', '{"stable": 2, "next": 3}');
    await store.refresh();
    expect(store.task('t').versions.map(({ number }) => number)).toEqual(['1', '2']);
    expect([...store.task('t').labels]).toEqual([['stable', '2']]);
    expect(store.failures.map(({ file }) => file.slice(root.length))).toEqual(['/t/3.smk', '/t/labels.json']);
  });

  test('labels move only to what is loaded, and stay where they were otherwise', async () => {
    const root = disk({ 't/1.smk': kept(1), 't/2.smk': kept(2), 't/labels.json': '{"stable": 1}' });
    const store = await openStore(root);
    for (const text of ['{"stable": 7}', '{', '[]']) {
      put(root, 't/labels.json', text);
      await store.refresh();
      expect([...store.task('t').labels]).toEqual([['stable', '1']]);
    }
    put(root, 't/labels.json', '{"stable": 2}');
    await store.refresh();
    expect([store.version('t', { label: 'stable' }).number, store.resident.tasks, store.failures]).toEqual(['2', 1, []]);
    rmSync(join(root, 't/labels.json'));
    await store.refresh();
    expect([...store.task('t').labels]).toEqual([]);
  });

  test('a label of a version that was never read and whose file is damaged by now holds up nobody else', async () => {
    const root = disk({ 'a.smk': kept(0), 'u/1.smk': kept(1), 'u/2.smk': kept(2), 'u/labels.json': '{"stable": 1}' });
    const store = await openStore(root);
    put(root, 't/1.smk', kept(3));
    await store.refresh();
    put(root, 't/1.smk', 'junk');
    await store.refresh();
    put(root, 't/labels.json', '{"stable": 1}');
    put(root, 'u/labels.json', '{"stable": 2}');
    await store.refresh();
    const of = (name: string) => [...store.task(name).labels];
    expect([of('t'), of('u')]).toEqual([[], [['stable', '2']]]);
    expect(store.failures.map(({ file, error }) => [file.slice(root.length), error.code])).toEqual([
      ['/t/1.smk', 'bad-model-file'],
      ['/t/labels.json', 'bad-store'],
    ]);
    expect(store.failures[1].error.message).toMatch(
      /label stable in .* must be a version that can be read, got .*1\.smk, which has changed$/,
    );
    await store.load('a');
    put(root, 't/1.smk', kept(3));
    await store.refresh();
    expect([of('t'), store.failures]).toEqual([[['stable', '1']], []]);
  });

  test('tasks of an archive that is renamed answer all the time, and their masks stay', async () => {
    const all = (...ids: string[]): Model => ({ network, tasks: ids.map((id) => task(network, id, ['a'])) });
    const root = disk({ 'a.smk': kept(1), 'old.smk': all('x', 'y', 'z') });
    const store = await openStore(root);
    await store.warm();
    const [x, y] = ['x', 'y'].map((name) => store.version(name));
    const events = watch(store);
    const seen: string[][] = [];
    store.subscribe(() => seen.push([...store.tasks.keys()]));
    put(root, 'a.smk', kept(2));
    rmSync(join(root, 'old.smk'));
    put(root, 'renamed.smk', all('w', 'x', 'y'));
    await store.refresh();
    // What is not in the new one goes last, when everything else is in place.
    expect(events).toEqual(['loaded a 1', 'unloaded a 1', 'unloaded z 1']);
    expect(seen).toEqual([
      ['a', 'x', 'y', 'z'],
      ['a', 'x', 'y', 'z'],
      ['a', 'w', 'x', 'y'],
    ]);
    expect([store.version('x'), store.version('y'), x.file]).toEqual([x, y, join(root, 'renamed.smk')]);
    expect([store.open(x) instanceof Promise, store.failures]).toEqual([false, []]);
    expect((await store.maskFile(x)).bytes.length).toBeGreaterThan(0);
  });

  test('of two files with one task the one that serves stays', async () => {
    const root = disk({ 'b.smk': kept(1) });
    const store = await openStore(root);
    put(root, 'b/1.smk', kept(2));
    await store.refresh();
    expect(store.version('b').file).toBe(join(root, 'b.smk'));
    expect(store.failures[0].error.code).toBe('task-clash');
  });

  test('a folder that is watched needs no telling', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const unwatch = store.watch(5);
    put(root, 'b.smk', kept(2));
    await expect.poll(() => [...store.tasks.keys()], { timeout: 5000 }).toEqual(['a', 'b']);
    unwatch();
  });

  test('a watch that is ended in the middle of a look does not look again', async () => {
    const store = await openStore(disk({ 'a.smk': kept(1) }));
    const looks: (() => void)[] = [];
    store.refresh = () => new Promise((resolve) => looks.push(resolve));
    const unwatch = store.watch(1);
    await expect.poll(() => looks.length, { timeout: 5000 }).toBe(1);
    unwatch();
    looks[0]();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(looks).toHaveLength(1);
  });
});

describe('a file that is refused for a cause outside itself', () => {
  /** The next `times` reads of a file fail as they do where too many are open. */
  async function starved<T>(times: number, work: () => Promise<T>): Promise<T> {
    let left = times;
    const failure = () => Object.assign(new Error('EMFILE: too many open files, open'), { code: 'EMFILE', syscall: 'open' });
    return opening(
      (open) =>
        (...args) =>
          left-- > 0 ? Promise.reject(failure()) : open(...args),
      work,
    );
  }

  test('another file with its task: it is told once, and served when that goes', async () => {
    const both: Model = { network, tasks: ['a', 'b'].map((id) => task(network, id, ['x'])) };
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const events = watch(store);
    put(root, 'z.smk', both);
    for (let i = 0; i < 3; i++) await store.refresh();
    expect([events, store.failures.map(({ error }) => error.code)]).toEqual([['failed z 1'], ['task-clash']]);
    rmSync(join(root, 'a.smk'));
    await store.refresh();
    expect([[...store.tasks.keys()], store.failures]).toEqual([['a', 'b'], []]);
  });

  test('the system, when it is opened: it is served once it can be read', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await starved(2, () => openStore(root));
    expect(store.failures.map(({ error }) => [error.code, error.status])).toEqual([['unreadable-file', 503]]);
    await store.refresh();
    expect([[...store.tasks.keys()], store.failures]).toEqual([['a'], []]);
  });

  test('the system, when labels are read: they hold once they can be read', async () => {
    const root = disk({ 't/1.smk': kept(1), 't/labels.json': '{"stable": 1}' });
    const { readFile } = fs;
    const failure = Object.assign(new Error('EMFILE: too many open files, open'), { code: 'EMFILE', syscall: 'open' });
    fs.readFile = (() => Promise.reject(failure)) as typeof readFile;
    syncBuiltinESMExports();
    const store = await openStore(root).finally(() => {
      fs.readFile = readFile;
      syncBuiltinESMExports();
    });
    expect(store.failures.map(({ file, error }) => [file, error.code])).toEqual([[join(root, 't/labels.json'), 'unreadable-file']]);
    await store.refresh();
    expect([[...store.task('t').labels], store.failures]).toEqual([[['stable', '1']], []]);
  });

  test('the system, when its mask is read: the next request has it', async () => {
    const store = await openStore(disk({ 'a.smk': kept(1) }));
    await expect(starved(1, () => packedOf(store, 'a'))).rejects.toThrow(/a.smk cannot be read: EMFILE.* Look at its permissions/);
    expect([...store.entries()][0].state).toBe('READY');
    expect((await packedOf(store, 'a')).length).toBe(4);
  });

  test('load reads a mask again that was damaged, whatever its file looks like', async () => {
    const root = disk({ 'a.smk': damaged(kept(1)) });
    const file = join(root, 'a.smk');
    utimesSync(file, 1, 1);
    const store = await openStore(root);
    await expect(packedOf(store, 'a')).rejects.toThrow('cannot be served');
    writeFileSync(file, writeModel(kept(1)));
    utimesSync(file, 1, 1);
    await store.load('a');
    expect((await packedOf(store, 'a')).length).toBe(4);
  });
});

describe('loading and unloading', () => {
  test('an unloaded task is out of service until it is loaded, also when its file changes', async () => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(2) });
    const store = await openStore(root);
    await store.warm();
    await store.unload('a');
    const error = await packedOf(store, 'a').catch((reason: unknown) => reason);
    if (!(error instanceof SeedmaskError)) throw error;
    expect([error.code, error.status]).toEqual(['unloaded-task', 503]);
    expect([...store.entries()].map(({ name, state, reason }) => [name, state, reason])).toEqual([
      ['a', 'UNAVAILABLE', 'unloaded'],
      ['b', 'READY', ''],
    ]);
    put(root, 'a.smk', kept(3));
    await store.refresh();
    expect([...store.tasks.keys(), store.resident.tasks]).toEqual(['b', 1]);
    await store.load('a');
    expect([...store.tasks.keys(), store.resident.tasks]).toEqual(['a', 'b', 2]);
    await expect(store.load('nobody')).rejects.toThrow('no task named nobody');
    await expect(store.unload('nobody')).rejects.toThrow('no task named nobody');
  });

  test('a task that is unloaded while its file is swapped holds no mask', async () => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(2) });
    const store = await openStore(root);
    await store.warm();
    put(root, 'a.smk', kept(3));
    put(root, 'b.smk', kept(4));
    const swap = store.refresh();
    // When the first is in memory the second is on its way.
    const away = new Promise<void>((resolve) => {
      const end = store.subscribe(({ kind, name }) => {
        if (kind !== 'loaded' || name !== 'a') return;
        end();
        setImmediate(() => resolve(store.unload('b')));
      });
    });
    await Promise.all([swap, away]);
    expect([...store.tasks.keys(), store.resident.tasks]).toEqual(['a', 1]);
    await store.load('b');
    expect(store.resident.tasks).toBe(2);
  });

  test('a mask is handed out as a model file of its own, named by its content', async () => {
    const root = disk({ 'a.smk': kept(1) });
    const store = await openStore(root);
    const { bytes, id } = await store.maskFile(store.version('a'));
    expect(bytes).toEqual(writeModel(kept(1), { maskOnly: true }));
    expect(id).toBe(Buffer.from(contentId(readModel(readFileSync(join(root, 'a.smk'))))).toString('hex'));
  });

  test('the model file is that of the file as it is now; a task that goes out of service meanwhile has none', async () => {
    const root = disk({ 'a.smk': kept(1), 'b.smk': kept(1) });
    const store = await openStore(root);
    await store.warm();
    put(root, 'a.smk', kept(2));
    const file = await store.maskFile(store.version('a'));
    expect(file.id).toBe(Buffer.from(contentId(kept(2))).toString('hex'));
    for (const name of ['a.smk', 'b.smk']) put(root, name, 'junk');
    // One that was written before is that of the mask in service.
    expect(await store.maskFile(store.version('a'))).toEqual(file);
    await expect(store.maskFile(store.version('b'))).rejects.toThrow('it changed and cannot be read as it is now');
    const late = store.maskFile(store.version('b'));
    await Promise.all([store.unload('b'), expect(late).rejects.toMatchObject({ code: 'unloaded-task' })]);
  });

  /** Live classifiers, and masks in memory, after so many rounds of loading, answering and unloading. */
  async function rounds(count: number, leak: boolean) {
    let live = 0;
    const classifier: Engine['classifier'] = (...args) => {
      const inner = engine.classifier(...args);
      live++;
      const free = () => {
        if (!leak) live--;
        inner.free();
      };
      return { ...inner, bytes: 48, logits: inner.logits, free };
    };
    const store = await openStore(disk({ 'a.smk': kept(1), 'b.smk': kept(2) }));
    const scheduler = new Scheduler(store, new Classifiers({ ...engine, classifier }, 1e6));
    for (let i = 0; i < count; i++) {
      await store.load('a');
      // Floats need a compiled form.
      await scheduler.classify(store.version('a'), { values: Float32Array.of(1, 2, 3, 4.5), count: 1 });
      await store.unload('a');
    }
    return { live, ...store.resident, compiled: scheduler.compiled.tasks };
  }
  test('200 rounds leave nothing behind, and one that leaks is caught (1,000 and memory: bench/server-life.mjs)', async () => {
    expect(await rounds(200, false)).toEqual({ live: 0, tasks: 0, bytes: 0, compiled: 0 });
    expect((await rounds(20, true)).live).toBe(20);
  });
});

test('swaps under load: every answer is that of one version, none fails', async () => {
  const root = disk({ 'a.smk': kept(0), 'b.smk': kept(5) });
  const store = await openStore(root);
  const scheduler = new Scheduler(store, new Classifiers(engine, 1e6));
  const rows = { values: Uint8Array.of(50, 100, 150, 200), count: 1 };
  const known = new Set<string>();
  const models = Array.from({ length: 12 }, (_, i) => kept(i));
  for (const model of models) {
    const other = await openStore(disk({ 'a.smk': model }));
    const answer = await new Scheduler(other, new Classifiers(engine, 1e6)).classify(other.version('a'), rows);
    known.add(answer.probabilities.join());
  }
  expect(known.size).toBeGreaterThan(6);
  let swapping = true;
  let answered = 0;
  const seen = new Set<string>();
  const clients = Array.from({ length: 8 }, async () => {
    while (swapping) {
      seen.add((await scheduler.classify(store.version('a'), rows)).probabilities.join());
      answered++;
      await new Promise(setImmediate);
    }
  });
  for (let i = 0; i < 100; i++) {
    put(root, 'a.smk', models[i % models.length]);
    await store.refresh();
  }
  swapping = false;
  await Promise.all(clients);
  expect([...seen].filter((answer) => !known.has(answer))).toEqual([]);
  expect(answered).toBeGreaterThan(100);
  expect(seen.size).toBeGreaterThan(4);
  expect(store.resident.tasks).toBe(1);
});
