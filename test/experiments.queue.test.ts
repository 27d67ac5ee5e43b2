// Cells on a real Redis, with real workers that are killed, stopped and cut off: results are those of a local run, each counted once.

import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Job, Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SeedmaskError } from '../codec/index.js';
import { RELEASE } from '../dist/cli/release.js';
import { type Cell, nameOf } from '../experiments/cells/cell.js';
import type { Pool } from '../experiments/sweep/pool.js';
import { openQueue, PREFIX, queueName, runOnQueue } from '../experiments/sweep/queue.js';
import type { Connection } from '../experiments/sweep/redis.js';
import { workOn } from '../experiments/sweep/worker.js';
import { brief, cleanUp, connected, folder, here, long, noRedis, redisServer, type Server, seedmask } from './experiments.material.js';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 30_000 });
afterAll(cleanUp);

/** Submits cells; how often each was handed over, and what the submitter said. */
async function submit(cells: readonly Cell[], connection: Connection, lines: string[] = []) {
  const rows = new Map<string, object[]>();
  const watch = {
    progress: () => undefined,
    done: (cell: Cell, result: readonly object[]) => void rows.set(nameOf(cell), [...(rows.get(nameOf(cell)) ?? []), result]),
    failed: (cell: Cell, reason: string) => void lines.push(`${nameOf(cell)} failed: ${reason}`),
  };
  const error = await runOnQueue(cells, connection, RELEASE, watch, (line) => lines.push(line)).then(
    () => undefined,
    (reason: SeedmaskError) => reason,
  );
  return { error, lines, results: cells.map((cell) => rows.get(nameOf(cell))) };
}

/** Each cell handed over once, with the rows of this machine. */
const local = async (cells: readonly Cell[]) => (await here(cells)).map((rows) => [rows]);

/** A worker inside this process, with rows that cost nothing. */
const pretend = (connection: Connection, run: (cell: Cell, signal?: AbortSignal) => Promise<void>, lines: string[] = []) => {
  const pool: Pool = {
    run: async (cell, progress, signal) => {
      progress(0.5);
      await run(cell, signal);
      return { rows: [{ seed: cell.seed }], seconds: 0 };
    },
    forget: () => undefined,
    close: async () => undefined,
  };
  const say = (line: string) => void lines.push(line);
  return workOn(connection, RELEASE, pool, { threads: 1, lock: 30, drain: true, stop: new AbortController().signal, say });
};

/** What workers of this version have trained here. */
const SHELF = join(folder, 'no-cache', 'seedmask', 'trained', queueName(RELEASE));

const figure = ['experiment', 'figure-07', '--quick', '--runs', '1'];
const files = (out: string) => ['figure-07.csv', 'figure-07.json'].map((name) => readFileSync(join(folder, out, name), 'utf8'));

if (noRedis) test.skip(`queues on Redis: ${noRedis}`);

describe.skipIf(noRedis)('a queue on Redis', () => {
  let server: Server;
  beforeAll(async () => {
    server = await redisServer('--appendonly', 'no');
  });
  afterAll(() => server.stop());

  test('two workers and a submitter that is killed: the files of a local run, each cell computed once', async () => {
    const url = server.url();
    const alone = seedmask(...figure, '--out', 'alone');
    expect(await alone.ended()).toBe(0);
    const first = seedmask(...figure, '--out', 'queued', '--queue', url);
    const workers = [1, 2].map(() => seedmask('worker', '--queue', url, '--threads', '1', '--json'));
    await first.said(/^1\/11 /m);
    first.child.kill('SIGKILL');
    await first.ended();
    const second = seedmask(...figure, '--out', 'queued', '--queue', url, '--json');
    expect(await second.ended()).toBe(0);
    for (const { child } of workers) child.kill('SIGTERM');
    expect(await Promise.all(workers.map((worker) => worker.ended()))).toEqual([0, 0]);
    const tallies = workers.map((worker) => JSON.parse(worker.out()));
    expect(tallies.reduce((sum, { computed }) => sum + computed, 0)).toBe(11);
    for (const { computed, failed } of tallies) {
      expect(computed).toBeGreaterThan(0);
      expect(failed).toBe(0);
    }
    expect(second.err()).toBe('');
    expect(files('queued')).toEqual(files('alone'));
    // A submitter that is killed while it writes leaves a file that has not got its name yet.
    expect(readdirSync(join(folder, 'queued', 'cells')).filter((name) => name.endsWith('.json'))).toHaveLength(11);
  });

  test('a worker killed in the middle of a cell: another goes on with its rounds, and it counts once', async () => {
    const url = server.url();
    const cells = [long(1), brief(2)];
    const connection = await connected(url);
    const submitted = submit(cells, connection);
    const dying = seedmask('worker', '--queue', url, '--threads', '1', '--lock', '2');
    const queue = await openQueue(queueName(RELEASE), connection);
    while ((await queue.getActiveCount()) === 0) await sleep(20);
    const [job] = await queue.getActive();
    const rounds = () =>
      (existsSync(SHELF) ? readdirSync(SHELF) : []).filter((name) => name.endsWith('.safetensors') && name.startsWith('ticket-'));
    while (rounds().length === 0) await sleep(20);
    dying.child.kill('SIGKILL');
    await dying.ended();
    expect(await queue.getJobState(job.id!)).toBe('active');
    const heir = seedmask('worker', '--queue', url, '--threads', '1', '--lock', '2', '--drain');
    const { error, results } = await submitted;
    expect(error).toBeUndefined();
    expect(await heir.ended()).toBe(0);
    expect(heir.err()).toContain(`${job.id} goes back to the queue: its worker is not heard of`);
    expect(results).toEqual(await local(cells));
    expect((await queue.getJob(job.id!))!.stalledCounter).toBe(1);
    expect(rounds()).toEqual([]);
    await queue.close();
    connection.close();
  });

  test('a worker told to stop gives its cell back at once and exits 0; another goes on', async () => {
    const url = server.url();
    const connection = await connected(url);
    const submitted = submit([long(3)], connection);
    const queue = await openQueue(queueName(RELEASE), connection);
    const name = nameOf(long(3));
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const worker = seedmask('worker', '--queue', url, '--threads', '1');
      while ((await queue.getJobState(name)) !== 'active') await sleep(20);
      worker.child.kill(signal);
      expect([await worker.ended(), worker.err()]).toEqual([0, expect.stringContaining(`${name} goes back to the queue`)]);
      expect(worker.out()).toBe('0 computed, 0 failed, 1 given back\n');
      expect(await queue.getJobState(name)).toBe('waiting');
    }
    expect(await pretend(connection, async () => undefined)).toEqual({ computed: 1, failed: 0, returned: 0, left: 0 });
    expect((await submitted).results).toEqual([[[{ seed: 3 }]]]);
    await queue.close();
    connection.close();
  });

  test('what workers have trained stays for a week', async () => {
    mkdirSync(join(SHELF, '../0.0.0-format1'), { recursive: true });
    mkdirSync(SHELF, { recursive: true });
    const [older, old, young] = [join(SHELF, '../0.0.0-format1/old'), join(SHELF, 'old'), join(SHELF, 'young')];
    for (const file of [older, old, young]) writeFileSync(file, '');
    for (const file of [older, old, join(older, '..')]) utimesSync(file, 0, Date.now() / 1000 - 7.1 * 24 * 3600);
    utimesSync(young, 0, Date.now() / 1000 - 6.9 * 24 * 3600);
    expect(await seedmask('worker', '--queue', server.url(), '--drain').ended()).toBe(0);
    expect([join(older, '..'), old, young].map((file) => existsSync(file))).toEqual([false, false, true]);
  });

  test('two submitters of the same cells both get them, and a Redis that forgot everything is told again', async () => {
    const url = server.url();
    const connections = [await connected(url), await connected(url)];
    const cells = [brief(4), brief(5), brief(6)];
    const both = Promise.all(connections.map((connection) => submit(cells, connection)));
    const queue = await openQueue(queueName(RELEASE), connections[0]);
    while ((await queue.getWaitingCount()) < 3) await sleep(20);
    await connections[0].redis.flushdb();
    while ((await queue.getWaitingCount()) < 3) await sleep(20);
    let ran = 0;
    await pretend(connections[0], async () => void ran++);
    for (const { results, error } of await both) {
      expect(error).toBeUndefined();
      expect(results).toEqual([4, 5, 6].map((seed) => [[{ seed }]]));
    }
    expect(ran).toBe(3);
    await queue.close();
    for (const connection of connections) connection.close();
  });

  test('a cell that fails is tried three times and named with its reason; the others are kept; a new start tries it again', async () => {
    const connection = await connected(server.url());
    const cells = [brief(7), brief(8)];
    const tries = new Map<number, number>();
    const lines: string[] = [];
    const submitted = submit(cells, connection);
    const queue = await openQueue(queueName(RELEASE), connection);
    const waiting = async () => {
      while ((await queue.getWaitingCount()) === 0) await sleep(20);
    };
    await waiting();
    const worker = pretend(
      connection,
      async ({ seed }) => {
        const tried = (tries.get(seed) ?? 0) + 1;
        tries.set(seed, tried);
        if (seed === 7 || tried === 1) throw new Error('the disk\nis \u001b[31mfull');
      },
      lines,
    );
    const { error, results } = await submitted;
    expect(error).toBeInstanceOf(SeedmaskError);
    expect(error!.message).toBe(
      `${nameOf(brief(7))} failed: the disk is [31mfull. The other cells are stored: --draw shows them, and the same command tries these again`,
    );
    expect(results).toEqual([undefined, [[{ seed: 8 }]]]);
    expect(await worker).toMatchObject({ computed: 1, failed: 1 });
    expect([...tries.values()]).toEqual([3, 2]);
    expect(lines).toContain(`${nameOf(brief(7))} failed, attempt 1 of 3: the disk is [31mfull; it is tried again`);
    expect(lines).toContain(`${nameOf(brief(7))} failed, attempt 3 of 3: the disk is [31mfull`);
    const again = submit(cells, connection);
    await waiting();
    await pretend(connection, async () => undefined);
    expect(await again).toMatchObject({ error: undefined, results: [[[{ seed: 7 }]], [[{ seed: 8 }]]] });
    await queue.close();
    connection.close();
  });

  test.each([
    ['a later look finds it', 'failed', false],
    ['the first look finds it', 'getJob', true],
    ['it is removed', 'remove', true],
  ] as const)('a failed cell that another submitter puts in again while %s is waited for', async (_, moment, first) => {
    const connection = await connected(server.url());
    const queue = await openQueue(queueName(RELEASE), connection);
    const cell = brief(['failed', 'getJob', 'remove'].indexOf(moment) + 20);
    const name = nameOf(cell);
    const { Worker } = await import('bullmq');
    const worker = new Worker(queue.name, null, { connection: connection.redis, prefix: PREFIX });
    const put = async () => {
      await queue.add('cell', cell, { jobId: name });
      return (await worker.getNextJob('token'))!;
    };
    const job = await put();
    const fail = () => job.moveToFailed(new Error('once'), 'token');
    if (first) await fail();
    const { getJob } = Queue.prototype;
    const { remove } = Job.prototype;
    // What the other submitter does, and a worker after it.
    const again = async () => {
      vi.restoreAllMocks();
      await remove.call(job);
      const taken = await put();
      setTimeout(() => void taken.moveToCompleted({ cell, rows: [{ seed: 1 }], seconds: 0 }, 'token', false), 1500);
    };
    if (moment === 'remove') {
      vi.spyOn(Job.prototype, 'remove').mockImplementation(async function refused(this: Job) {
        await again();
        return remove.call(this);
      });
    } else {
      vi.spyOn(Queue.prototype, 'getJob').mockImplementation(async function late(this: Queue, id: string) {
        if (!first && !(await job.isFailed())) return getJob.call(this, id);
        await again();
        return getJob.call(this, id);
      });
    }
    const submitted = submit([cell], connection);
    if (!first) await sleep(500).then(fail);
    expect(await submitted).toMatchObject({ error: undefined, results: [[[{ seed: 1 }]]] });
    await worker.close();
    await queue.close();
    connection.close();
  });

  test('a first look that an outage cut off is no look: what failed in an earlier run is tried again', async () => {
    const connection = await connected(server.url());
    const queue = await openQueue(queueName(RELEASE), connection);
    const [cell, name] = [brief(30), nameOf(brief(30))];
    const { Worker } = await import('bullmq');
    const worker = new Worker(queue.name, null, { connection: connection.redis, prefix: PREFIX });
    await queue.add('cell', cell, { jobId: name });
    await (await worker.getNextJob('token'))!.moveToFailed(new Error('once'), 'token');
    const cut = Object.assign(new Error('Command aborted due to connection close'), { name: 'AbortError' });
    const getJob = vi.spyOn(Queue.prototype, 'getJob').mockRejectedValueOnce(cut);
    const submitted = submit([cell], connection);
    while ((await queue.getWaitingCount()) === 0 && getJob.mock.calls.length < 3) await sleep(20);
    vi.restoreAllMocks();
    await pretend(connection, async () => undefined);
    expect(await submitted).toMatchObject({ error: undefined, results: [[[{ seed: 30 }]]] });
    await worker.close();
    await queue.close();
    connection.close();
  });

  test('a cell whose data is not on the worker goes back with one clear line; a drained worker says so and exits 1', async () => {
    const url = server.url();
    const connection = await connected(url);
    const cells: Cell[] = [{ ...brief(9), network: 'conv2' }, brief(9)];
    const lines: string[] = [];
    const submitted = submit(cells, connection, lines);
    const worker = seedmask('worker', '--queue', url, '--threads', '1', '--drain');
    expect(await worker.ended()).toBe(1);
    expect(worker.err().match(/^cells on cifar10 go back to the queue: no data set in cifar10: .*$/gm)).toHaveLength(1);
    const left = '1 cell is left (1 computed, 0 failed, 0 given back)';
    expect(worker.err()).toContain(`seedmask: no data set in ${url}: ${left}, expected their data set`);
    expect(worker.out()).toBe('');
    const queue = await openQueue(queueName(RELEASE), connection);
    const job = (await queue.getJob(nameOf(cells[0])))!;
    expect([await job.getState(), job.attemptsMade]).toEqual(['delayed', 0]);
    while (!lines.some((line) => /^a worker has not the data: no data set in cifar10/.test(line))) await sleep(20);
    await job.promote();
    await pretend(connection, async () => undefined);
    expect((await submitted).error).toBeUndefined();
    await queue.close();
    connection.close();
  });

  test('hostile jobs, results and progress fail clearly, and the worker goes on', async () => {
    const url = server.url();
    const connection = await connected(url);
    const queue = await openQueue(queueName(RELEASE), connection);
    const good = brief(10);
    const hostile: [id: string, data: unknown, why: RegExp][] = [
      ['text', 'rm -rf', /expected object/],
      ['kind', { ...good, kind: '../../etc' }, /Expected 'ticket' /],
      ['extra', { ...good, shell: 'ls' }, /[Uu]nrecognized key/],
      ['epochs', { ...good, epochs: 1e9 }, /epochs/],
      ['proto', JSON.parse('{"__proto__":{"kind":"plane"}}'), /Expected 'ticket' /],
      ['seed', { ...good, seed: -1 }, /seed/],
      [`${nameOf(brief(11))}`, good, /it holds plane-fc-seed10-/],
    ];
    await queue.addBulk(
      hostile.map(([jobId, data]) => ({ name: 'cell', data, opts: { jobId, attempts: 1e9, backoff: { type: 'no such', delay: -1 } } })),
    );
    await queue.add('no cell', good, { jobId: nameOf(good) });
    await connection.redis.hset(`${PREFIX}:${queue.name}:text`, 'progress', '{"fraction":"\\u001b"}');
    const lines: string[] = [];
    expect(await pretend(connection, async () => undefined, lines)).toMatchObject({ computed: 1, failed: hostile.length });
    for (const [id, , why] of hostile) {
      const { failedReason, attemptsMade } = (await queue.getJob(id))!;
      expect(failedReason, id).toMatch(why);
      expect(failedReason, id).toContain(`job ${id} is not what Seedmask put there`);
      expect(attemptsMade).toBe(1);
    }
    // A result that is none, and the result of another cell.
    const cells = [brief(12), brief(13), brief(14)];
    const results = ['nonsense', { cell: brief(12), rows: [], seconds: 1 }, { cell: brief(14), rows: [{ a: null }], seconds: 1 }];
    const submitted = submit(cells, connection);
    while ((await queue.getWaitingCount()) < 3) await sleep(20);
    const { Worker } = await import('bullmq');
    const liar = new Worker(queue.name, async (job) => results[cells.findIndex((cell) => nameOf(cell) === job.id)], {
      connection: connection.redis,
      prefix: PREFIX,
    });
    const { error, lines: said } = await submitted;
    expect(error).toMatchObject({ code: 'cell-failed' });
    expect(error!.message).toContain('and 2 more of 3 failed: its result is not what Seedmask put there');
    expect(said.filter((line) => / failed: its result is not what Seedmask put there: /.test(line))).toHaveLength(3);
    await liar.close();
    await queue.close();
    connection.close();
  });

  test('a job that is not even JSON does not stop a worker', async () => {
    const connection = await connected(server.url());
    const queue = await openQueue(queueName(RELEASE), connection);
    await queue.add('cell', {}, { jobId: 'broken' });
    await connection.redis.hset(`${PREFIX}:${queue.name}:broken`, 'data', '{');
    await queue.add('cell', brief(15), { jobId: nameOf(brief(15)) });
    const stop = new AbortController();
    const lines: string[] = [];
    const pool: Pool = { run: async () => ({ rows: [], seconds: 0 }), forget: () => undefined, close: async () => undefined };
    const options = { threads: 1, lock: 1, drain: false, stop: stop.signal, say: (line: string) => void lines.push(line) };
    const working = workOn(connection, RELEASE, pool, options);
    while ((await queue.getCompletedCount()) === 0) await sleep(20);
    stop.abort();
    expect(await working).toMatchObject({ computed: 1, left: 0 });
    expect(lines.some((line) => /JSON/.test(line))).toBe(true);
    await queue.close();
    connection.close();
  });

  test('a worker leaves the cells of another version alone, and says so', async () => {
    const url = server.url();
    const connection = await connected(url);
    const watch = { progress: () => undefined, done: () => undefined, failed: () => undefined };
    const stranger = runOnQueue([brief(16)], connection, '9.9.9', watch, () => undefined);
    const other: Queue = new Queue(queueName('9.9.9'), { connection: connection.redis, prefix: PREFIX });
    while ((await other.getWaitingCount()) === 0) await sleep(20);
    const worker = seedmask('worker', '--queue', url, '--drain');
    expect(await worker.ended()).toBe(0);
    expect(worker.err()).toContain(
      `cells of Seedmask 9.9.9-format1 wait on ${url.replace(/\/0$/, '')}; this worker is ${queueName(RELEASE)}`,
    );
    expect(await other.getWaitingCount()).toBe(1);
    await other.close();
    connection.close();
    await expect(stranger).rejects.toThrow();
  });
});

describe.skipIf(noRedis)('a Redis that goes away', () => {
  test('and comes back in the middle: everybody waits, nothing is lost, nothing counts twice', async () => {
    const server = await redisServer('--appendonly', 'yes', '--appendfsync', 'always');
    const url = server.url();
    const connection = await connected(url);
    const cells = [long(20), brief(21), brief(22)];
    const submitted = submit(cells, connection);
    const worker = seedmask('worker', '--queue', url, '--threads', '1', '--lock', '3', '--drain');
    const queue = await openQueue(queueName(RELEASE), connection);
    while ((await queue.getActiveCount()) === 0) await sleep(20);
    await server.stop('SIGKILL');
    await worker.said(/is away; waiting up to 120 s/);
    await sleep(1000);
    await server.start();
    const { error, results } = await submitted;
    expect(error).toBeUndefined();
    expect(await worker.ended()).toBe(0);
    expect(worker.err()).toMatch(/is back/);
    expect(connection.lines).toEqual([expect.stringMatching(/is away/), expect.stringMatching(/is back/)]);
    expect(results).toEqual(await local(cells));
    await queue.close();
    connection.close();
    await server.stop();
  });

  test('and stays away: submitter and worker end with one line after their patience', async () => {
    const server = await redisServer('--appendonly', 'no');
    const url = server.url();
    const [one, two] = [await connected(url, 1), await connected(url, 1)];
    const submitted = submit([brief(30)], one);
    const idle: Pool = { run: () => new Promise(() => undefined), forget: () => undefined, close: async () => undefined };
    const stop = new AbortController().signal;
    const working = workOn(two, RELEASE, idle, { threads: 1, lock: 30, drain: false, stop, say: () => undefined });
    const lost = expect(working).rejects.toMatchObject({
      code: 'no-queue',
      message: expect.stringMatching(/away for 1 s: connect ECONNREFUSED/),
    });
    await sleep(500);
    await server.stop('SIGKILL');
    const { error } = await submitted;
    expect(error!.message).toMatch(
      /^cannot work on the queue at redis:\/\/127\.0\.0\.1:\d+: away for 1 s: connect ECONNREFUSED .*\. Start it, then this command again/,
    );
    await lost;
    one.close();
    two.close();
  });

  test('or was never there, or wants a password: one line, without the password', async () => {
    const server = await redisServer('--appendonly', 'no', '--requirepass', 'hush-hush');
    const place = `127.0.0.1:${server.port}`;
    const answers: [url: string, line: RegExp][] = [
      [`redis://${place}`, /it asks for a password. Put it into the URL/],
      [`redis://:swordfish@${place}`, /it refuses this user or password/],
      [`http://:swordfish@${place}`, /--queue must be redis:.*, got a URL of http:\/\//],
      [`redis://:hush-hush@${place}/64`, /cannot work on the queue at redis:\/\/[\d.:]+\/64: it has no database 64\. Correct the URL/],
      ['redis://:swordfish@127.0.0.1:1', /connect ECONNREFUSED 127\.0\.0\.1:1\. Is redis-server running there\?/],
    ];
    mkdirSync(join(folder, 'absent'), { recursive: true });
    const runs = answers.flatMap(([url, line]) => [
      { line, run: seedmask('worker', '--queue', url, '--drain') },
      { line, run: seedmask(...figure, '--out', 'absent', '--queue', url) },
    ]);
    runs.push({ line: /expected 1 to 3600 seconds, got 3601/, run: seedmask('worker', '--queue', `redis://${place}`, '--lock', '3601') });
    for (const { line, run } of runs) {
      expect(await run.ended()).toBe(1);
      expect(run.err()).toMatch(line);
      expect(run.err()).toMatch(/^seedmask: .*\n$/);
      expect(run.err() + run.out()).not.toMatch(/swordfish|hush/);
    }
    const right = seedmask('worker', '--queue', `redis://:hush-hush@${place}`, '--drain');
    expect(await right.ended()).toBe(0);
    expect(right.err() + right.out()).not.toMatch(/hush/);
    await server.stop();
  });
});
