// Sweeps beyond one machine: cells as jobs of a BullMQ queue in Redis, computed by `seedmask worker` (worker.ts) wherever one runs.
//
// What goes over the wire, as JSON in Redis under the keys seedmask:*
//   job        id nameOf(cell), data the cell
//   progress   { fraction: 0..1, note? } while a worker has it; a note says why it waits
//   result     { cell, rows, seconds }, what a folder of results holds (store.ts); after failures a line of text
// No code, no path, no weight, no image. Whoever can write to the queue decides what workers compute and what submitters store, within
// the closed schemas of cell.ts: it belongs on a trusted network.
//
// A job's id is its cell's name, so a cell is in the queue once however many submitters ask for it. Finished jobs stay for WEEK, so that
// a submitter which was away collects them, and several can. The submitter keeps nothing in memory that Redis does not have: it asks for
// the state of every cell it lacks, once a second, and adds those the queue does not know, also after Redis lost its memory.
//
// Results of two versions never meet: the queue's name holds the version of Seedmask and FORMAT.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Queue } from 'bullmq';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/index.js';
import { type Cell, nameOf, RESULT } from '../cells/cell.js';
import { optional } from '../optional.js';
import { cellsFailed, type Failed, type Watch } from './pool.js';
import { type Connection, plain } from './redis.js';

/** Raised by one when the same cell begins to give other rows within one version of Seedmask. */
const FORMAT = 1;
export const PREFIX = 'seedmask';
/** A set of the names of all queues that cells were put into. */
export const QUEUES = `${PREFIX}:queues`;
const WEEK = 7 * 24 * 3600;
/** Times a cell that fails is tried, and milliseconds between them. */
export const ATTEMPTS = 3;
const RETRY_MS = 2000;
const POLL_MS = 1000;
/** Entries of BullMQ's log of events, which nothing here reads and which repeats results. */
const EVENTS = 100;
/** Cells put into Redis at once. */
const CHUNK = 200;

/** @param release version of this package */
export const queueName = (release: string): string => `${release}-format${FORMAT}`;

const PROGRESS = z.strictObject({ fraction: z.number().min(0).max(1), note: z.string().max(300).optional() });
export type Progress = z.infer<typeof PROGRESS>;

export async function openQueue(name: string, { redis }: Connection): Promise<Queue> {
  const bullmq = await optional('a queue', 'bullmq', () => import('bullmq'));
  const queue = new bullmq.Queue(name, { connection: redis, prefix: PREFIX, streams: { events: { maxLen: EVENTS } } });
  // The connection reports its own errors, and commands throw theirs.
  queue.on('error', () => undefined);
  return queue;
}

/**
 * Puts cells into the queue and hands over results as they come, until none is missing.
 * @param say told what a person should know: what waits, and why
 * @throws SeedmaskError no-queue; cell-failed after all other cells are done
 */
export async function runOnQueue(
  cells: readonly Cell[],
  connection: Connection,
  release: string,
  watch: Watch,
  say: (line: string) => void,
): Promise<void> {
  const open = new Map(cells.map((cell) => [nameOf(cell), cell]));
  const queue = await openQueue(queueName(release), connection);
  const failed: Failed[] = [];
  const notes = new Set<string>();

  async function look(first: boolean): Promise<void> {
    const states = await Promise.all([...open.keys()].map(async (name) => [name, await queue.getJobState(name)] as const));
    const unknown: string[] = [];
    for (const [name, state] of states) {
      if (state === 'unknown') unknown.push(name);
      if (state === 'waiting') continue;
      const job: Job | undefined = await queue.getJob(name);
      if (state === 'completed' && job) collect(name, job);
      else if (state === 'failed' && job) {
        // Another submitter that begins may just have put it in again.
        if ((await job.getState()) !== 'failed') continue;
        const { failedReason = 'no reason told', stalledCounter } = job;
        if (!first) settle(name, stalledCounter ? `${failedReason} (${stalledCounter} workers died over it)` : failedReason);
        else if (await isRemoved(job)) unknown.push(name);
      } else if (job) show(name, job.progress);
    }
    for (let at = 0; at < unknown.length; at += CHUNK) {
      await queue.addBulk(unknown.slice(at, at + CHUNK).map((name) => jobOf(name, open.get(name)!)));
    }
  }

  function collect(name: string, job: Job): void {
    const { data, error } = RESULT.safeParse(job.returnvalue);
    if (!data || nameOf(data.cell) !== name) {
      const got = error ? z.prettifyError(error) : 'the result of another cell';
      settle(name, new SeedmaskError('bad-cell', { field: 'its result', got: plain(got) }).message);
      return;
    }
    watch.done(data.cell, data.rows, data.seconds);
    open.delete(name);
  }

  function settle(name: string, reason: string): void {
    failed.push([name, plain(reason)]);
    watch.failed(open.get(name)!, plain(reason));
    open.delete(name);
  }

  function show(name: string, progress: unknown): void {
    const { data } = PROGRESS.safeParse(progress);
    if (data) watch.progress(open.get(name)!, data.fraction);
    if (!data?.note || notes.has(data.note)) return;
    notes.add(data.note);
    say(plain(data.note));
  }

  async function collectAll(): Promise<void> {
    await connection.redis.sadd(QUEUES, queue.name);
    const workers = await queue.getWorkersCount();
    const who = workers === 1 ? '1 worker' : `${workers} workers`;
    say(`cells on ${connection.shown}: ${open.size}, ${who}${workers ? '' : `; start one: seedmask worker --queue ${connection.shown}`}`);
    for (let first = true; ; ) {
      if (await patiently(() => look(first))) first = false;
      if (open.size === 0) break;
      await sleep(POLL_MS);
    }
  }

  try {
    await untilLost(connection, collectAll());
  } finally {
    await queue.close();
  }
  if (failed.length > 0) throw cellsFailed(failed, cells.length);
}

const jobOf = (name: string, cell: Cell) => ({
  name: 'cell',
  data: cell,
  opts: {
    jobId: name,
    attempts: ATTEMPTS,
    backoff: { type: 'fixed', delay: RETRY_MS },
    removeOnComplete: { age: WEEK },
    removeOnFail: { age: WEEK },
    stackTraceLimit: 0,
  },
});

/** False for a job that a worker has by now. */
async function isRemoved(job: Job): Promise<boolean> {
  try {
    await job.remove();
    return true;
  } catch (error) {
    if (/locked by another worker/.test((error as Error).message)) return false;
    throw error;
  }
}

/** Whether it came to its end: a transaction that an outage cut off is not repeated by the client, but by the next look. */
async function patiently(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    return false;
  }
}

/** The work, or the reason why the connection ended under it; a refusal of Redis itself as one line. */
export async function untilLost<T>({ lost, shown }: Connection, work: Promise<T>): Promise<T> {
  try {
    return await Promise.race([work, lost]);
  } catch (error) {
    const { name, message } = error as Error;
    const closed = /connection is closed/i.test(message);
    // Commands fail a moment before the connection says that it ended.
    if (closed) await Promise.race([lost, sleep(1000)]);
    if (closed || name === 'ReplyError') throw new SeedmaskError('no-queue', { field: shown, got: plain(message).replace(/\.$/, '') });
    throw error;
  }
}
