// Which task is this, over HTTP: rows that only one mask was made for find it, in a thread and without one, for whoever may use it; every
// way to ask wrongly has its answer.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../client/index.js';
import { hashOf, type Listening, openStore, type Store, Threads } from '../server/index.js';
import { Finder } from '../server/running/finder.js';
import type { Wish } from '../server/running/scheduler.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { askSteps } from '../src/masks/ask-all.js';
import { type Network, regenerate, weighted } from '../src/network.js';
import { engine, folder, get, oneTask, post, serve, storeOf, tinyNetwork } from './server.material.js';

const TASKS = 8;
/** 80 inputs, 16 hidden units, 8 outputs. */
const network: Network = {
  input: [1, 1, 80],
  layers: [
    { kind: 'dense', units: 16, activation: 'relu' },
    { kind: 'dense', units: 8, activation: 'linear' },
  ],
  distribution: 'packed-signed-constant',
  sigma: 'glorot',
  seed: { low: 3, high: 0 },
};

/** The mask of task i leads from inputs 10 i .. 10 i + 9 over hidden units of its own to one output, positive weights alone. */
function ownerMask(task: number): Uint8Array[] {
  const [first, second] = weighted(network).map(({ weights }) => new Uint8Array(Math.ceil(weights / 8)));
  const [w1, w2] = regenerate(network);
  const set = (bits: Uint8Array, at: number) => {
    bits[at >> 3] |= 1 << (at & 7);
  };
  for (const hidden of [2 * task, 2 * task + 1]) {
    for (let i = 10 * task; i < 10 * task + 10; i++) if (w1[hidden * 80 + i] > 0) set(first, hidden * 80 + i);
    const output = [...Array(8).keys()].find((o) => w2[o * 16 + hidden] > 0);
    if (output !== undefined) set(second, output * 16 + hidden);
  }
  return [first, second];
}
const rowsOf = (task: number, rows = 1) =>
  Uint8Array.from({ length: 80 * rows }, (_, i) => (Math.floor((i % 80) / 10) === task ? 200 - (i % 7) : 0));
const files = Object.fromEntries(
  Array.from({ length: TASKS }, (_, i) => [`own${i}.smk`, oneTask(network, undefined, { mask: ownerMask(i) })]),
);

let store: Store;
let server: Listening;
let id: string;
let url: string;
const networkOf = async (at: string, headers: Record<string, string> = {}) => {
  const { json } = await get(`${at}/networks`, { headers });
  return json.networks.find(({ input }: { input: number[] }) => input[2] === 80)?.id;
};
beforeAll(async () => {
  const lonely: Network = { ...network, seed: { low: 4, high: 0 }, input: [1, 1, 9] };
  const other = oneTask({ ...network, seed: { low: 5, high: 0 }, input: [1, 1, 4] });
  store = await storeOf({ ...files, 'lonely.smk': oneTask(lonely), 'other.smk': other });
  server = await serve({ store });
  id = await networkOf(server.url);
  url = `${server.url}/networks/${id}/infer-task`;
});
afterAll(() => server.close());

describe('the right task is found', () => {
  test.each(['all', 'oneshot', 'binary'])('of raw bytes, by %s', async (method) => {
    for (let task = 0; task < TASKS; task++) {
      const { status, json } = await post(`${url}?method=${method}`, rowsOf(task, 2));
      expect([status, json.task]).toEqual([200, `own${task}`]);
      expect(json.tasks[0].task).toBe(`own${task}`);
      expect(json.confidence).toBeGreaterThan(1 / TASKS);
      const cost = { all: { masks: 8, passes: 8 }, oneshot: { masks: 8, passes: 1 }, binary: { masks: 14, passes: 3 } }[method];
      expect(json.cost).toEqual({ milliseconds: expect.any(Number), tasks: 8, skipped: 0, rows: 2, ...cost });
    }
  });

  test('its rows count for the limit of a key, and no longer than they are under way', async () => {
    const limited = await serve({ store, keyLimit: () => 3 });
    const at = `${limited.url}/networks/${id}/infer-task`;
    for (let i = 0; i < 3; i++) expect((await post(at, rowsOf(2, 3))).json).toMatchObject({ task: 'own2' });
    const over = await post(at, rowsOf(2, 4));
    expect([over.status, over.json.code, over.json.got]).toEqual([413, 'over-limit', '4']);
    await limited.close();
  });

  test('of JSON, among named tasks', async () => {
    const instances = [[...rowsOf(3)]];
    expect((await post(url, { instances })).json).toMatchObject({ task: 'own3', cost: { tasks: 8 } });
    expect((await post(url, { instances, tasks: ['own1', 'own3', 'own1'] })).json).toMatchObject({ task: 'own3', cost: { tasks: 2 } });
    expect((await post(`${url}?tasks=own3,own5`, { instances, method: 'binary' })).json).toMatchObject({
      task: 'own3',
      cost: { passes: 1 },
    });
  });

  test('in a thread as on the event loop, also after tasks have come and gone', async () => {
    const script = pathToFileURL(join(import.meta.dirname, '../dist/server/running/thread.js'));
    const threads = new Threads({ count: 1, script });
    const root = folder(files);
    const changing = await openStore(root, { threads });
    const threaded = await serve({ store: changing, threads });
    const ask = async (task: number, query = '') => (await post(`${threaded.url}/networks/${id}/infer-task${query}`, rowsOf(task))).json;
    for (const query of ['', '?method=oneshot', '?method=binary', '?tasks=own2,own6,own7', '']) {
      for (const task of [2, 6, 2]) {
        const { json } = await post(url + query, rowsOf(task));
        const found = await ask(task, query);
        expect({ ...found, cost: null }).toEqual({ ...json, cost: null });
      }
    }
    await changing.unload('own2');
    expect((await ask(2)).cost.tasks).toBe(7);
    expect((await ask(6)).task).toBe('own6');
    await changing.load('own2');
    expect(await ask(2)).toMatchObject({ task: 'own2', cost: { tasks: 8 } });
    await threaded.close();
    await threads.close();
  });

  test('by the client', async () => {
    const client = createClient({ url: server.url });
    const guess = await client.inferTask(id, rowsOf(4, 3));
    expect([guess.task, guess.cost.rows]).toEqual(['own4', 3]);
    expect((await client.inferTask(id, [rowsOf(4)], { tasks: ['own4', 'own0'], method: 'binary' })).cost.tasks).toBe(2);
  });
});

describe('under every mask, rows are what they are to its own task', () => {
  const url = (at: Listening) => `${at.url}/networks/`;
  const ask = async (at: Listening, body: unknown, query = '') => {
    const [{ id }] = (await get(`${at.url}/networks`)).json.networks;
    return post(`${url(at)}${id}/infer-task${query}`, body);
  };

  test('inputs declared constant, temperatures, and networks that only a compiled mask can serve', async () => {
    const conv: Network = {
      input: [6, 6, 2],
      layers: [{ kind: 'conv', filters: 5, activation: 'relu' }, { kind: 'pool' }, { kind: 'dense', units: 4, activation: 'linear' }],
      distribution: 'packed-signed-constant',
      sigma: 'glorot',
      seed: { low: 3, high: 0 },
    };
    for (const of of [tinyNetwork([6, 6, 2], 4), conv, { ...conv, distribution: 'normal' } satisfies Network]) {
      const constant = Uint8Array.of(255, 255, 1, 0, 0, 0, 0, 0, 0);
      const labels = ['a', 'b', 'c', 'd'];
      const models = {
        'plain.smk': oneTask(of, labels),
        'cold.smk': oneTask(of, labels, { logitScale: 0.25 }),
        'still.smk': oneTask(of, labels, { transform: { scale: Math.fround(1 / 255), mean: 0, constant } }),
      };
      const at = await serve({ store: await storeOf(models) });
      const rows = Uint8Array.from({ length: 72 * 20 }, (_, i) => (i * 31) & 255);
      const { json } = await ask(at, rows);
      const reference = createReferenceEngine();
      const classifier = reference.classifier(of);
      for (const { task, score } of json.tasks) {
        const values = rows.map((value, i) => (task === 'still' && (constant[(i % 72) >> 3] >> (i % 8)) & 1 ? 0 : value));
        const { scale } = classifier;
        const logitScale = task === 'cold' ? 0.25 : 1;
        const logits = (first: number, count: number) => classifier.logits(values.subarray(first * 72, (first + count) * 72), count);
        const steps = askSteps([{ outputs: 4, scale, logitScale, logits }], 20);
        let step = steps.next();
        while (!step.done) step = steps.next();
        expect(score, `${of.distribution} ${task}`).toBeCloseTo(step.value.scores[0], 4);
      }
      expect(json.tasks.length).toBe(3);
      await at.close();
    }
  });

  test('tasks over numbers take numbers, and not beside tasks over pixels', async () => {
    const of = tinyNetwork([1, 1, 3], 3);
    const numbers = (low: number) => ({
      scale: Math.fround(1 / 255),
      mean: 0,
      constant: null,
      features: { low: Float32Array.of(low, low, low), scale: Float32Array.of(16, 16, 16) },
    });
    const models = {
      'a.smk': oneTask(of, undefined, { transform: numbers(0) }),
      'b.smk': oneTask(of, undefined, { transform: numbers(-9) }),
    };
    const at = await serve({ store: await storeOf(models) });
    const row = [1.5, 2.25, -0.5];
    const json = await ask(at, { instances: [row] });
    const raw = await ask(at, new Uint8Array(Float32Array.from(row).buffer));
    expect([json.status, raw.status]).toEqual([200, 200]);
    expect({ ...raw.json, cost: null }).toEqual({ ...json.json, cost: null });
    await at.close();
    const mixed = await serve({ store: await storeOf({ ...models, 'c.smk': oneTask(of) }) });
    const refused = await ask(mixed, { instances: [[1, 2, 3]] });
    expect([refused.status, refused.json.hint]).toEqual([400, 'Name such tasks.']);
    expect((await ask(mixed, { instances: [[1, 2, 3]] }, '?tasks=a,b')).status).toBe(200);
    await mixed.close();
  });

  test("numbers that overflow are the client's mistake", async () => {
    const of = { ...tinyNetwork([1, 1, 3], 3), distribution: 'normal' } satisfies Network;
    const at = await serve({ store: await storeOf({ 'a.smk': oneTask(of), 'b.smk': oneTask(of, undefined, { logitScale: 2 }) }) });
    const { status, json } = await ask(at, { instances: [[3e38, 3e38, 3e38]] });
    expect([status, json.code]).toEqual([400, 'bad-value']);
    await at.close();
  });
});

describe('nobody waits for the answer', () => {
  const among = () => [0, 1].map((i) => store.version(`own${i}`));
  const rows = { values: rowsOf(0, 256), count: 256 };

  test('on the event loop, work ends at the next slice', async () => {
    let looks = 0;
    const finder = new Finder(store, engine, undefined);
    const question = finder.find(among(), rows, 'all', { gone: () => ++looks > 2 });
    await expect(question).rejects.toMatchObject({ code: 'client-gone' });
  });

  test.each<[code: string, wish: Wish]>([
    ['client-gone', { gone: () => true }],
    ['deadline', { deadline: 0 }],
  ])('in a thread, it is called off: %s', async (code, wish) => {
    let begun = false;
    const signals: AbortSignal[] = [];
    const inferTask = (...[, , , signal]: Parameters<Threads['inferTask']>) => {
      begun = true;
      signals.push(signal);
      return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const finder = new Finder(store, engine, { inferTask, forget: () => undefined });
    const later = {
      gone: () => begun && wish.gone !== undefined,
      deadline: wish.deadline === undefined ? undefined : performance.now() + 50,
    };
    await expect(finder.find(among(), rows, 'all', later)).rejects.toMatchObject({ code });
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
  });
});

test('masks of a task that goes while they are gathered are held for that question alone', async () => {
  const changing = await storeOf(files);
  changing.subscribe(({ kind, name }) => {
    if (kind === 'loaded' && name === 'own1') void changing.unload('own0');
  });
  let forgotten = 0;
  const inferTask = async () => ({ value: { scores: [1, 0] } as never, ms: 0 });
  const finder = new Finder(changing, engine, { inferTask, forget: () => forgotten++ });
  const ask = async (...names: string[]) => {
    const among = names.map((name) => changing.version(name));
    await finder.find(among, { values: rowsOf(0), count: 1 }, 'all', {});
    return forgotten;
  };
  expect(await ask('own0', 'own1')).toBe(1);
  expect([await ask('own1', 'own2'), await ask('own1', 'own2')]).toEqual([1, 1]);
});

describe('the masks of questions under way', () => {
  /** A finder over threads that answer when told, of at most so many bytes, and the blocks that they were given. */
  const waiting = (limit?: number) => {
    const blocks: SharedArrayBuffer[] = [];
    const ends: (() => void)[] = [];
    const inferTask = (block: Parameters<Threads['inferTask']>[0]) => {
      blocks.push(block.bytes);
      return new Promise<Awaited<ReturnType<Threads['inferTask']>>>((resolve) => {
        ends.push(() => resolve({ value: { scores: [1, 0] } as never, ms: 0 }));
      });
    };
    const finder = new Finder(store, engine, { inferTask, forget: () => undefined }, limit);
    const ask = (...tasks: number[]) => {
      const among = tasks.map((i) => store.version(`own${i}`));
      return finder.find(among, { values: rowsOf(0), count: 1 }, 'all', {});
    };
    return { blocks, ends, ask };
  };

  test('lie in memory once, also where the first questions come together', async () => {
    const { blocks, ends, ask } = waiting();
    const questions = [ask(0, 1), ask(0, 1), ask(2, 3), ask(0, 1)];
    await expect.poll(() => blocks.length).toBe(4);
    expect(new Set(blocks).size).toBe(2);
    for (const end of ends) end();
    expect(await Promise.all(questions)).toHaveLength(4);
  });

  test('are bounded together; what no question needs gives way', async () => {
    const two = 2 * (await store.open(store.version('own0'))).packed.length;
    const { blocks, ends, ask } = waiting(2 * two);
    const questions = [ask(0, 1), ask(0, 1), ask(2, 3)];
    await expect.poll(() => blocks.length).toBe(3);
    const refused = await ask(4, 5).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'overloaded', status: 503, details: { retryAfter: 1 } });
    expect(String(refused)).toContain(`questions about ${3 * two} bytes of masks, the limit is ${2 * two}`);
    ends[2]();
    await questions[2];
    const other = ask(4, 5);
    await expect.poll(() => blocks.length).toBe(4);
    for (const end of ends) end();
    expect(await Promise.all([...questions, other])).toHaveLength(4);
    const all = ask(0, 1, 2, 3);
    await expect.poll(() => blocks.length).toBe(5);
    ends[4]();
    await all;
  });
});

test('a mask that cannot be read leaves the others to choose from', async () => {
  const root = folder(files);
  const damaged = await openStore(root);
  writeFileSync(join(root, 'own7.smk'), 'gone');
  const served = await serve({ store: damaged });
  const { json } = await post(`${served.url}/networks/${id}/infer-task`, rowsOf(1));
  expect(json).toMatchObject({ task: 'own1', cost: { tasks: 7, skipped: 1 } });
  await served.close();
});

test('metrics count questions and looks', async () => {
  const before = await (await fetch(`${server.url}/metrics`)).text();
  await post(url, rowsOf(1));
  const after = await (await fetch(`${server.url}/metrics`)).text();
  const of = (text: string, name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
  expect(of(after, 'seedmask_task_inference_masks_total') - of(before, 'seedmask_task_inference_masks_total')).toBe(8);
  const count = 'seedmask_task_inference_duration_seconds_count';
  expect(of(after, count) - of(before, count)).toBe(1);
});

describe('mistakes', () => {
  const code = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const { status, json } = await post(path, body, headers);
    return [status, json.code];
  };
  test('a network without a second task, a task of another network, an unknown one, a strange method', async () => {
    const { json } = await get(`${server.url}/networks`);
    const lonely = json.networks.find(({ input }: { input: number[] }) => input[2] === 9).id;
    const refused = await post(`${server.url}/networks/${lonely}/infer-task`, new Uint8Array(9));
    expect([refused.status, refused.json.code]).toEqual([409, 'few-tasks']);
    expect(refused.json.error).toBe(
      'to tell tasks apart takes 2 of them at least, got 1. Name more tasks of this network, serve more, or classify with the one there is.',
    );
    expect(await code(`${url}?tasks=own1`, rowsOf(1))).toEqual([409, 'few-tasks']);
    expect(await code(`${url}?tasks=own1,other`, rowsOf(1))).toEqual([400, 'bad-request']);
    expect(await code(`${url}?tasks=own1,nobody`, rowsOf(1))).toEqual([404, 'unknown-task']);
    // Errors name tasks of this network alone.
    const hint = async (names: string) => (await post(`${url}?tasks=${names}`, rowsOf(1))).json.hint;
    expect(await hint('nobody')).toBe('Known here: own0, own1, own2, own3, own4 and 3 more.');
    expect(await hint('other')).toBe('Known here: own0, own1, own2, own3, own4 and 3 more.');
    expect(await hint('Own1')).toBe('Did you mean own1?');
    expect(await code(`${url}?method=guess`, rowsOf(1))).toEqual([400, 'bad-request']);
    expect(await code(url, { instances: [[...rowsOf(1)]], method: 'guess' })).toEqual([400, 'bad-request']);
    expect(await code(`${server.url}/networks/${'0'.repeat(64)}/infer-task`, rowsOf(1))).toEqual([404, 'unknown-network']);
  });

  test('what the query says and the body says again', async () => {
    const instances = [[...rowsOf(1)]];
    const twice = async (query: string, more: object) => (await post(`${url}?${query}`, { instances, ...more })).json;
    expect((await twice('method=all', { method: 'all' })).error).toBe('?/method must be absent where the body has one, got all');
    expect((await twice('tasks=own1,own2', { tasks: ['own1', 'own3'] })).field).toBe('?/tasks');
    expect((await twice('tasks=own1,own2', { method: 'binary' })).task).toBe('own1');
  });

  test('rows of a wrong size, and too many of them', async () => {
    expect(await code(url, new Uint8Array(81))).toEqual([415, 'unknown-body']);
    expect(await code(url, { instances: [[1, 2, 3]] })).toEqual([400, 'bad-shape']);
    expect(await code(url, new Uint8Array(80 * 257))).toEqual([413, 'over-limit']);
  });

  test('time that is over', async () => {
    expect(await code(url, rowsOf(1), { 'X-Timeout-Ms': '0' })).toEqual([504, 'deadline']);
  });

  test('too many questions at once: at most 16 wait for threads, the next is told when to come back', async () => {
    const busy = new Finder(store, engine, { inferTask: () => new Promise(() => undefined), forget: () => undefined });
    const among = [0, 1].map((i) => store.version(`own${i}`));
    const ask = () => busy.find(among, { values: rowsOf(0), count: 1 }, 'oneshot', {});
    for (let i = 0; i < 16; i++) void ask();
    await expect(ask()).rejects.toMatchObject({ code: 'overloaded', status: 503, details: { retryAfter: 1 } });
  });

  test('tasks of two input transforms are asked one by one, but not laid on one another', async () => {
    const scaled = oneTask(network, undefined, { mask: ownerMask(1), transform: { scale: 1, mean: 0, constant: null } });
    const mixed = await serve({ store: await storeOf({ ...files, 'scaled.smk': scaled }) });
    const at = `${mixed.url}/networks/${id}/infer-task`;
    expect(await code(`${at}?method=oneshot`, rowsOf(1))).toEqual([400, 'bad-request']);
    expect((await post(`${at}?method=oneshot&tasks=own0,own1`, rowsOf(1))).json.task).toBe('own1');
    const { json } = await post(at, rowsOf(1));
    expect([json.cost.tasks, json.tasks.slice(0, 2).map(({ task }: { task: string }) => task)]).toEqual([9, ['scaled', 'own1']]);
    await mixed.close();
  });

  test('a key chooses among its own tasks alone', async () => {
    const keys = [{ name: 'lab', sha256: hashOf('k'), tasks: ['own1', 'own2', 'lonely'] }];
    const keyed = await serve({ store, keys });
    const at = `${keyed.url}/networks/${id}/infer-task`;
    const headers = { Authorization: 'Bearer k' };
    expect((await post(at, rowsOf(2), headers)).json).toMatchObject({ task: 'own2', cost: { tasks: 2 } });
    expect(await code(`${at}?tasks=own1,own3`, rowsOf(1), headers)).toEqual([403, 'forbidden-task']);
    expect(await code(at, rowsOf(1))).toEqual([401, 'no-key']);
    await keyed.close();
  });
});
