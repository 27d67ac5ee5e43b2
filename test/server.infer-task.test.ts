// Which task is this, over HTTP: rows that only one mask was made for find it, in a thread and without one, for whoever may use it; every
// way to ask wrongly has its answer.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../client/index.js';
import { Finder } from '../server/finder.js';
import { hashOf, type Listening, openStore, type Store, Threads } from '../server/index.js';
import { type Network, regenerate, weighted } from '../src/network.js';
import { folder, get, oneTask, post, serve, storeOf } from './server.material.js';

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
  test.each(['oneshot', 'binary'])('of raw bytes, by %s', async (method) => {
    for (let task = 0; task < TASKS; task++) {
      const { status, json } = await post(`${url}?method=${method}`, rowsOf(task, 2));
      expect([status, json.task]).toEqual([200, `own${task}`]);
      expect(json.tasks[0].task).toBe(`own${task}`);
      expect(json.confidence).toBeGreaterThan(1 / TASKS);
      const cost = method === 'oneshot' ? { masks: 8, passes: 1 } : { masks: 14, passes: 3 };
      expect(json.cost).toEqual({ milliseconds: expect.any(Number), tasks: 8, skipped: 0, rows: 2, ...cost });
    }
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
    const script = pathToFileURL(join(import.meta.dirname, '../dist/server/thread.js'));
    const threads = new Threads({ count: 1, script });
    const root = folder(files);
    const changing = await openStore(root, { threads });
    const threaded = await serve({ store: changing, threads });
    const ask = async (task: number) => (await post(`${threaded.url}/networks/${id}/infer-task`, rowsOf(task))).json;
    for (const task of [2, 6, 2]) {
      const { json } = await post(url, rowsOf(task));
      const found = await ask(task);
      expect({ ...found, cost: null }).toEqual({ ...json, cost: null });
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
    expect(await code(`${url}?method=guess`, rowsOf(1))).toEqual([400, 'bad-request']);
    expect(await code(url, { instances: [[...rowsOf(1)]], method: 'guess' })).toEqual([400, 'bad-request']);
    expect(await code(`${server.url}/networks/${'0'.repeat(64)}/infer-task`, rowsOf(1))).toEqual([404, 'unknown-network']);
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
    const busy = new Finder(store, { inferTask: () => new Promise(() => undefined), forget: () => undefined });
    const among = [0, 1].map((i) => store.version(`own${i}`));
    const ask = () => busy.find(among, { values: rowsOf(0), count: 1 }, 'oneshot', {});
    for (let i = 0; i < 16; i++) void ask();
    await expect(ask()).rejects.toMatchObject({ code: 'overloaded', status: 503, details: { retryAfter: 1 } });
  });

  test('tasks of two input transforms are not laid on one another', async () => {
    const scaled = oneTask(network, undefined, { mask: ownerMask(1), transform: { scale: 1, mean: 0, constant: null } });
    const mixed = await serve({ store: await storeOf({ ...files, 'scaled.smk': scaled }) });
    const at = `${mixed.url}/networks/${id}/infer-task`;
    expect(await code(at, rowsOf(1))).toEqual([400, 'bad-request']);
    expect((await post(`${at}?tasks=own0,own1`, rowsOf(1))).json.task).toBe('own1');
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
