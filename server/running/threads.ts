// Worker threads for what would hold up the event loop. A thread does one job at a time; the others wait here, the urgent ones first. Large
// bodies are not urgent: a few would keep everybody's rows waiting for seconds.
// Beside it, it may have a question of which task rows are for: long work, done in slices between jobs, which can be called off.
// A thread that dies, gets no engine or exceeds a job's time is replaced; its job goes to the new one once, then fails with lost-worker:
// never hung. Where the system gives no new one, those that live do the work; where none lives, it fails with lost-worker too.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { SeedmaskError } from '../../codec/errors.js';
import type { StoredTask } from '../../codec/index.js';
import type { TaskGuess } from '../../src/masks/infer-task.js';
import { type Network, totalWeights } from '../../src/network.js';
import type { Version } from '../repository/catalogue.js';
import type { Decoded, Decoder } from '../repository/decode.js';
import type { Method } from '../requests/content.js';
import { overloaded } from '../requests/overloaded.js';
import type { BodyThreads, Read, Reader, Reading } from '../requests/readers.js';
import type { Rows } from '../requests/rows.js';
import type { Job, MaskBlock, Message, Reply, TimedLogits } from './jobs.js';

export interface ThreadsOptions {
  /** How many; default: one less than the machine runs at once, at least 1, at most 8. */
  readonly count?: number;
  /** Milliseconds that a job may take besides what its network is known to need, on a machine that has other work; default 10,000. */
  readonly patience?: number;
  /** Milliseconds more for the first job of a thread, which has to start; default 30,000. */
  readonly startup?: number;
  /** The program of a thread; default: thread.js beside this file, as it is built. */
  readonly script?: URL;
}

/** Bytes of bodies that may wait for threads; alone, any body is let in. */
const READING_LIMIT = 64 * 1024 * 1024;

/** Urgent jobs in a row that the others wait for at most. */
const PASSES = 4;

interface Waiting {
  readonly id: number;
  readonly job: Job;
  /** What error texts call it. */
  readonly field: string;
  readonly limit: number;
  /** Threads it may still be given to. */
  tries: number;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** What a thread may have at a time: a job, and beside it a question. */
type Place = 'doing' | 'question';

interface Seat extends Record<Place, Waiting | undefined> {
  readonly worker: Worker;
  /** Key of the masks that it holds for questions. */
  block: number | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Whether it has answered before. */
  started: boolean;
}

/** A few threads, started at their first job. */
export class Threads implements Decoder, BodyThreads {
  readonly count: number;
  readonly #script: URL;
  readonly #patience: number;
  readonly #startup: number;
  readonly #seats = new Set<Seat>();
  readonly #urgent: Waiting[] = [];
  readonly #rest: Waiting[] = [];
  readonly #questions: Waiting[] = [];
  /** Urgent jobs in a row that others had to wait for. */
  #passed = 0;
  #nextId = 0;
  /** Numbers that tell versions apart in threads. */
  readonly #keys = new WeakMap<Version, number>();
  #nextKey = 0;
  /** Bytes of bodies that threads read, or shall. */
  #reading = 0;
  #lost = 0;
  #trusted = true;
  #closed = false;

  constructor(options: ThreadsOptions = {}) {
    this.count = options.count ?? Math.min(8, Math.max(1, availableParallelism() - 1));
    this.#script = options.script ?? new URL('./thread.js', import.meta.url);
    this.#patience = options.patience ?? 10_000;
    this.#startup = options.startup ?? 30_000;
  }

  /** Threads alive, threads at work, jobs that wait, and threads that were lost and replaced so far. */
  get state(): { readonly alive: number; readonly busy: number; readonly waiting: number; readonly lost: number } {
    const busy = [...this.#seats].filter((seat) => seat.doing ?? seat.question).length;
    const waiting = this.#urgent.length + this.#rest.length + this.#questions.length;
    return { alive: this.#seats.size, busy, waiting, lost: this.#lost };
  }

  /** False from the loss of a thread, or from when there is none and none can be started, until one computes again. */
  get trusted(): boolean {
    return this.#trusted;
  }

  async decode(network: Network, stored: StoredTask, place: number, urgent: boolean): Promise<Decoded> {
    const job: Job = { kind: 'decode', network, stored, place };
    return (await this.#add(job, `mask ${stored.id || place}`, this.#limit(network, 1), urgent ? this.#urgent : this.#rest)) as Decoded;
  }

  async maskFile(network: Network, stored: StoredTask, place: number): Promise<Uint8Array> {
    const job: Job = { kind: 'mask-file', network, stored, place };
    return (await this.#add(job, `mask ${stored.id || place}`, this.#limit(network, 1), this.#urgent)) as Uint8Array;
  }

  /**
   * Logits of rows under one mask.
   * @param job.version whose network and mask: threads keep it compiled under its identity
   * @throws SeedmaskError (by rejection) lost-worker
   */
  async logits({ version, ...job }: Omit<Extract<Job, { kind: 'logits' }>, 'kind' | 'key' | 'network'> & { readonly version: Version }) {
    let key = this.#keys.get(version);
    if (key === undefined) {
      key = this.#nextKey++;
      this.#keys.set(version, key);
    }
    const { name, network } = version;
    const limit = this.#limit(network, job.rows);
    return (await this.#add({ kind: 'logits', key, network, ...job }, `task ${name}`, limit, this.#urgent)) as TimedLogits;
  }

  /**
   * Which of a block's masks rows are for, and the milliseconds that it took, those of other jobs apart.
   * @param signal calls it off
   * @throws SeedmaskError (by rejection) lost-worker; the signal's reason
   */
  async inferTask(
    block: MaskBlock,
    { values, count }: Rows,
    method: Method,
    signal: AbortSignal,
  ): Promise<{ value: TaskGuess; ms: number }> {
    const job: Job = { kind: 'infer-task', block, values: values.slice(), rows: count, method };
    // It gives signs of life: this is the time between two of them.
    const found = this.#add(job, 'task inference', this.#limit(block.network, 256), this.#questions, signal);
    return (await found) as { value: TaskGuess; ms: number };
  }

  async read<R extends Reader>(reader: R, body: Uint8Array, reading: Reading): Promise<Read<R>> {
    const job: Job = { kind: 'read', reader, body, reading };
    // Hardly 100 ns a byte.
    const ms = this.#patience + body.length * 1e-3;
    const got = `${this.#reading + body.length} bytes to read`;
    if (this.#reading > 0 && this.#reading + body.length > READING_LIMIT) {
      throw overloaded('bodies', READING_LIMIT, got);
    }
    this.#reading += body.length;
    try {
      return (await this.#add(job, 'a large body', ms, this.#rest)) as Read<R>;
    } finally {
      this.#reading -= body.length;
    }
  }

  /** Threads let go of what they have compiled for a version. */
  drop(version: Version): void {
    const drop = this.#keys.get(version);
    if (drop !== undefined) for (const seat of this.#seats) tell(seat, { drop });
  }

  /** Threads let go of a block of masks, by its key. */
  forget(key: number): void {
    for (const seat of this.#seats) {
      if (seat.block !== key) continue;
      seat.block = undefined;
      tell(seat, 'forget');
    }
  }

  /** Stops all threads; what is under way or waits fails with draining. */
  async close(): Promise<void> {
    this.#closed = true;
    const left = [this.#urgent, this.#rest, this.#questions].flatMap((queue) => queue.splice(0));
    for (const waiting of left) waiting.reject(new SeedmaskError('draining'));
    await Promise.all([...this.#seats].map((seat) => this.#dismiss(seat, new SeedmaskError('draining'))));
  }

  /** 2 us a weight is ten times what laying out a mask takes, and for a row of dense layers a thousand times what that takes. */
  #limit(network: Network, rows: number): number {
    return this.#patience + totalWeights(network) * 0.002 * (1 + rows / 16);
  }

  /** @param limit milliseconds that it may take */
  #add(job: Job, field: string, limit: number, queue: Waiting[], signal?: AbortSignal): Promise<unknown> {
    if (this.#closed) return Promise.reject(new SeedmaskError('draining'));
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { id: this.#nextId++, job, field, limit, tries: 2, resolve, reject };
      signal?.addEventListener('abort', () => this.#cancel(waiting, queue, signal.reason), { once: true });
      queue.push(waiting);
      this.#deal();
    });
  }

  #cancel(waiting: Waiting, queue: Waiting[], reason: Error): void {
    const at = queue.indexOf(waiting);
    if (at >= 0) queue.splice(at, 1);
    const seat = [...this.#seats].find(({ question }) => question === waiting);
    if (seat) {
      this.#free(seat, waiting.id);
      tell(seat, { cancel: waiting.id });
    }
    waiting.reject(reason);
    this.#deal();
  }

  /** Gives what waits to threads that can take it. */
  #deal(): void {
    while (this.#urgent.length + this.#rest.length > 0 && this.#give('doing', () => this.#next()));
    while (this.#questions.length > 0 && this.#give('question', () => this.#questions.shift()));
  }

  #next(): Waiting | undefined {
    const urgent = this.#rest.length === 0 || (this.#urgent.length > 0 && this.#passed < PASSES);
    this.#passed = urgent && this.#rest.length > 0 ? this.#passed + 1 : 0;
    return (urgent ? this.#urgent : this.#rest).shift();
  }

  /** Gives the next one to a thread that has nothing to do, a new one, or one whose place for it is free; false when there is none. */
  #give(place: Place, next: () => Waiting | undefined): boolean {
    const seats = [...this.#seats];
    let seat = seats.find(({ doing, question }) => !doing && !question);
    try {
      if (!seat && seats.length < this.count) seat = this.#hire();
    } catch (error) {
      if (seats.length === 0) {
        this.#trusted = false;
        giveUp(next(), `no thread can be started: ${(error as Error).message}`);
        return true;
      }
    }
    seat ??= seats.find((one) => !one[place]);
    const waiting = seat && next();
    if (!seat || !waiting) return false;
    const { id, job } = waiting;
    waiting.tries--;
    seat[place] = waiting;
    this.#watch(seat);
    if (job.kind !== 'infer-task') tell(seat, { id, job });
    else {
      const { key } = job.block;
      tell(seat, { id, job: seat.block === key ? { ...job, block: { key } } : job });
      seat.block = key;
    }
    return true;
  }

  /** From now on the thread has the time of what it does, or ends with what waits for it. */
  #watch(seat: Seat): void {
    clearTimeout(seat.timer);
    const waiting = seat.doing ?? seat.question;
    if (!waiting) {
      // A thread that waits does not keep the process alive.
      seat.worker.unref();
      return;
    }
    seat.worker.ref();
    const limit = waiting.limit + (seat.started ? 0 : this.#startup);
    seat.timer = setTimeout(() => void this.#lose(seat, `no answer within ${Math.round(limit)} ms`), limit);
  }

  /** @throws Error when the system gives no thread */
  #hire(): Seat {
    const worker = new Worker(this.#script);
    const seat: Seat = { worker, doing: undefined, question: undefined, block: undefined, timer: undefined, started: false };
    this.#seats.add(seat);
    worker.on('message', (reply: Reply) => {
      if ('underWay' in reply) {
        if (seat.question?.id === reply.id && !seat.doing) this.#watch(seat);
        return;
      }
      const waiting = this.#free(seat, reply.id);
      if (!waiting) return;
      seat.started = true;
      if ('value' in reply) {
        // Masks and bodies are read without an engine, and say nothing of it.
        this.#trusted ||= waiting.job.kind === 'logits';
        waiting.resolve(reply.value);
      } else waiting.reject('code' in reply ? new SeedmaskError(reply.code, reply.details) : new Error(reply.fault));
      // First what is urgent may come of the answer, such as the next rows of the same queue.
      setImmediate(() => this.#deal());
    });
    worker.on('error', (error) => void this.#lose(seat, error.message));
    worker.on('exit', (code) => void this.#lose(seat, `it ended with code ${code}`));
    return seat;
  }

  /** Ends what a thread does under an id. */
  #free(seat: Seat, id: number): Waiting | undefined {
    for (const place of PLACES) {
      const waiting = seat[place];
      if (waiting?.id !== id) continue;
      seat[place] = undefined;
      this.#watch(seat);
      return waiting;
    }
    return undefined;
  }

  /** Its job is tried again, on a new thread, unless that is how this one was lost; so is its question. */
  async #lose(seat: Seat, got: string): Promise<void> {
    if (!this.#seats.delete(seat)) return;
    this.#lost++;
    this.#trusted = false;
    for (const place of PLACES) {
      const waiting = seat[place] && this.#free(seat, seat[place].id);
      if (waiting && waiting.tries > 0 && !this.#closed) (place === 'doing' ? this.#urgent : this.#questions).unshift(waiting);
      else giveUp(waiting, got);
    }
    clearTimeout(seat.timer);
    if (!this.#closed) this.#deal();
    await seat.worker.terminate();
  }

  async #dismiss(seat: Seat, error: Error): Promise<void> {
    this.#seats.delete(seat);
    for (const place of PLACES) if (seat[place]) this.#free(seat, seat[place].id)?.reject(error);
    await seat.worker.terminate();
  }
}

const PLACES: readonly Place[] = ['doing', 'question'];

const giveUp = (waiting: Waiting | undefined, got: string): void =>
  waiting?.reject(new SeedmaskError('lost-worker', { field: waiting.field, got, hint: 'Try again.', retryAfter: 1 }));

const tell = ({ worker }: Seat, message: Message): void => worker.postMessage(message);
