// A worker of a queue of cells (queue.ts): takes them one a thread, computes them off this thread, so that the locks which say that it is
// alive are renewed on time, and hands their results to Redis.
//
// What happens to a cell under way when
//   the worker is told to stop           it goes back to the head of the queue at once
//   the worker dies                      its lock runs out; any other worker puts it back, up to DEATHS times
//   it fails                             it is tried ATTEMPTS times, seconds apart, then it stays failed with its reason
//   its data set is not here             it goes back and is offered again HOLD_MS later; it counts as no attempt
//   Redis went away for too long         the lock ran out, so the result is not taken; it is kept here and given when the cell comes again
//   it is no cell                        it fails at once
// A result is taken from whoever holds the lock, once.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/index.js';
import { CELL, type Cell, dataOfCell, nameOf, type Result } from '../cells/cell.js';
import { optional } from '../optional.js';
import type { Pool } from './pool.js';
import { ATTEMPTS, openQueue, PREFIX, type Progress, QUEUES, queueName, untilLost } from './queue.js';
import { type Connection, plain, reasonOf } from './redis.js';

const DEATHS = 20;
const HOLD_MS = 10_000;
const LOOK_MS = 500;
const PROGRESS_MS = 1000;

export interface WorkerOptions {
  readonly threads: number;
  /** Seconds after which a worker that was not heard of counts as dead. */
  readonly lock: number;
  /** Ends when the queue has no cell left that could be computed here. */
  readonly drain: boolean;
  /** Ends now; cells under way go back. */
  readonly stop: AbortSignal;
  /** Told one line for every cell that was computed, failed or went back. */
  say(line: string): void;
}

export interface Tally {
  readonly computed: number;
  readonly failed: number;
  readonly returned: number;
  /** Cells left in the queue because their data is not here. */
  readonly left: number;
}

/** @throws SeedmaskError no-package, no-queue */
export async function workOn(connection: Connection, release: string, pool: Pool, options: WorkerOptions): Promise<Tally> {
  const { threads, lock, drain, stop, say } = options;
  const { Worker, DelayedError, UnrecoverableError, WaitingError } = await optional('a queue', 'bullmq', () => import('bullmq'));
  const [computed, failed, returned] = [new Set<string>(), new Set<string>(), new Set<string>()];
  /** Results that Redis has not taken yet. */
  const results = new Map<string, Result>();
  /** Cells whose data is not here, and what was said about it. */
  const held = new Set<string>();
  const once = onceEach(say);

  async function process(job: Job, token?: string): Promise<Result> {
    const cell = cellOf(job);
    const name = nameOf(cell);
    try {
      const result: Result = results.get(name) ?? { cell, ...(await pool.run(cell, progressOf(job), stop)) };
      results.set(name, result);
      return result;
    } catch (error) {
      if (stop.aborted) {
        await job.moveToWait(token!);
        returned.add(name);
        say(`${name} goes back to the queue`);
        throw new WaitingError();
      }
      if (error instanceof SeedmaskError && error.code === 'no-dataset') {
        held.add(name);
        const note = `cells on ${dataOfCell(cell).join(' and ')} go back to the queue: ${error.message}`;
        once(note);
        await job.updateProgress({ fraction: 0, note: `a worker has not the data: ${error.message}`.slice(0, 300) } satisfies Progress);
        await job.moveToDelayed(Date.now() + HOLD_MS, token);
        throw new DelayedError();
      }
      throw new Error(reasonOf(error as Error));
    }
  }

  /** @throws UnrecoverableError, because another attempt would find the same */
  function cellOf(job: Job): Cell {
    const { data, error } = CELL.safeParse(job.data);
    if (data && nameOf(data) === job.id) return data;
    const got = error ? z.prettifyError(error) : `it holds ${nameOf(data)}`;
    throw new UnrecoverableError(
      new SeedmaskError('bad-cell', { field: `job ${plain(String(job.id)).slice(0, 100)}`, got: plain(got) }).message,
    );
  }

  const worker = new Worker(queueName(release), process, {
    connection: connection.redis,
    prefix: PREFIX,
    concurrency: threads,
    lockDuration: lock * 1000,
    stalledInterval: lock * 500,
    maxStalledCount: DEATHS,
    drainDelay: 1,
    runRetryDelay: LOOK_MS,
    autorun: false,
  });
  worker.on('completed', (job, { cell, seconds }: Result) => {
    const name = String(job.id);
    pool.forget(cell);
    results.delete(name);
    held.delete(name);
    computed.add(name);
    failed.delete(name);
    say(`${name}: ${seconds.toFixed(0)} s`);
  });
  worker.on('failed', (job, error) => {
    const name = plain(String(job?.id)).slice(0, 100);
    failed.add(name);
    const last = error instanceof UnrecoverableError || (job?.attemptsMade ?? 0) >= (job?.opts.attempts ?? ATTEMPTS);
    say(
      `${name} failed, attempt ${job?.attemptsMade} of ${job?.opts.attempts}: ${plain(error.message)}${last ? '' : '; it is tried again'}`,
    );
  });
  worker.on('stalled', (name) => say(`${name} goes back to the queue: its worker is not heard of`));
  worker.on('error', (error) => {
    const reason = reasonOf(error);
    if (/missing lock|lock mismatch|renew lock/i.test(reason)) say('a lock ran out: a cell may be computed again, and is counted once');
    // The connection tells of outages itself.
    else if (!/ECONN|closed|EPIPE|ETIMEDOUT/i.test(reason)) once(reason);
  });

  const queue = await openQueue(queueName(release), connection);
  let left = 0;
  async function untilDone(): Promise<void> {
    // A connection that breaks before it is ready is never mended by BullMQ, so nothing is taken before.
    await worker.waitUntilReady();
    worker.run().catch((error: Error) => once(reasonOf(error)));
    for (let round = 0; !stop.aborted; round++) {
      if (round % 20 === 0) await tellOfOthers(connection, queue.name, once);
      // One command for all counts: between two, a cell could go from one state to another unseen.
      const { waiting, active, prioritized, delayed } = await queue.getJobCounts('waiting', 'active', 'prioritized', 'delayed');
      if (drain && waiting + active + prioritized === 0) {
        const jobs = delayed ? await queue.getDelayed() : [];
        left = jobs.length;
        if (left === delayed && jobs.every((job) => held.has(String(job.id)))) return;
      }
      await sleep(LOOK_MS, undefined, { signal: stop }).catch(() => undefined);
    }
    left = 0;
  }
  try {
    await untilLost(connection, untilDone());
    await untilLost(connection, worker.close());
  } catch (error) {
    connection.close();
    await worker.close(true);
    throw error;
  } finally {
    await queue.close();
  }
  return { computed: computed.size, failed: failed.size, returned: returned.size, left };
}

/** Tells the queue of a cell's progress now and then; that it could not be told changes nothing. */
function progressOf(job: Job): (fraction: number) => void {
  let told = Number.NEGATIVE_INFINITY;
  return (fraction) => {
    if (performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    job.updateProgress({ fraction: Math.min(1, Math.max(0, fraction)) } satisfies Progress).catch(() => undefined);
  };
}

/** Cells of other versions stay where they are, and the person is told. */
async function tellOfOthers(connection: Connection, own: string, say: (line: string) => void): Promise<void> {
  for (const name of await connection.redis.smembers(QUEUES)) {
    if (name === own || !/^[\w.+-]{1,64}$/.test(name)) continue;
    const queue = await openQueue(name, connection);
    const waiting = await queue.getJobCountByTypes('waiting', 'delayed', 'prioritized');
    await queue.close();
    if (waiting) say(`cells of Seedmask ${name} wait on ${connection.shown}; this worker is ${own} and leaves them alone`);
  }
}

function onceEach(say: (line: string) => void): (line: string) => void {
  const said = new Set<string>();
  return (line) => {
    if (said.has(line)) return;
    said.add(line);
    say(line);
  };
}
