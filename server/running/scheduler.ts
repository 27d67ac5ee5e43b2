// Who is computed when, and where. Rows of light networks are computed on the event loop, at once when nobody waits, else in slices of
// a few milliseconds; rows of all others go to threads. Whatever waits for one task when its turn comes is computed together, and
// nobody is ever made to wait for company. Each request gets the bits it would get alone. (Within one, pixels beside other numbers are
// floats, as those are: rows.ts.)
//
// What may wait is bounded (room.ts). Who has gone, or is past its deadline, is never computed.

import { SeedmaskError } from '../../codec/errors.js';
import type { Network } from '../../src/network.js';
import type { Version } from '../repository/catalogue.js';
import type { Opened, Store } from '../repository/store.js';
import { type Rows, withoutSlack } from '../requests/rows.js';
import { bare } from './any-masks.js';
import { answerRows, type Classified, type Classifiers, roomFor } from './classify.js';
import type { SchedulerListener } from './events.js';
import type { Logits } from './jobs.js';
import { type Batch, type Queued, Ring, takeTheSame, withDeclared } from './lanes.js';
import { type Load, Room, type RoomOptions, tooLate } from './room.js';
import type { Threads } from './threads.js';

/** What a request may say about its own computation. */
export interface Wish {
  /** Time by the clock of `performance.now()`, milliseconds, after which nobody wants the answer. Default: never. */
  readonly deadline?: number;
  /** Whether the client has closed the connection; asked right before its rows are computed. */
  readonly gone?: () => boolean;
  /** Whose limit of rows under way counts; a name, never the key itself. */
  readonly key?: string;
}

export interface SchedulerOptions extends RoomOptions {
  /** Where rows of heavy networks are computed; default: on the event loop, in slices. */
  readonly threads?: Threads;
}

/** Milliseconds of one slice of the event loop, and what a row is thought to take before it is measured. */
const SLICE_MS = 4;
const GUESS_MS = 0.05;
/** A request below this is computed where it stands when nobody waits. */
const AT_ONCE_MS = 1;
const INLINE_ROWS = 256;
/** Between the end of a task and that of what only its network had. */
const SWEEP_MS = 250;
/** The same of threads: a batch is long enough to make messages cheap, and short enough to be fair. */
const THREAD_MS = 25;
const THREAD_GUESS_MS = 3;
const THREAD_ROWS = 1024;

/** A request. */
interface Asked {
  readonly version: Version;
  readonly rows: Rows;
  readonly wish: Wish;
  readonly arrived: number;
  /** When its first row was computed. */
  readonly started: number | undefined;
  /** Whether nobody is told of it. */
  readonly quiet: boolean;
}

/** A request in the queue. */
interface Job extends Asked, Queued {
  version: Version;
  rows: Rows;
  readonly bytes: number;
  started: number | undefined;
  done: number;
  ended: boolean;
  room: Classified | undefined;
  timer: NodeJS.Timeout | undefined;
  resolve(answer: Classified): void;
  reject(error: unknown): void;
}

/** The queue of one server. */
export class Scheduler {
  readonly #store: Store;
  readonly #classifiers: Classifiers;
  readonly #options: SchedulerOptions;
  readonly #listeners = new Set<SchedulerListener>();
  readonly #inline = new Ring<Job>(SLICE_MS, INLINE_ROWS, GUESS_MS);
  readonly #heavy = new Ring<Job>(THREAD_MS, THREAD_ROWS, THREAD_GUESS_MS);
  readonly #room: Room;
  #pumping = false;
  #sweeping: NodeJS.Timeout | undefined;
  #flying = 0;

  constructor(store: Store, classifiers: Classifiers, options: SchedulerOptions = {}) {
    this.#store = store;
    this.#classifiers = classifiers;
    this.#options = options;
    this.#room = new Room(options);
    store.onDrop((version) => {
      classifiers.drop(version);
      options.threads?.drop(version);
      this.#sweep();
    });
  }

  /** Frees what was made for networks without tasks, in a while; who waits for an answer of one may need it once more. */
  #sweep(): void {
    this.#sweeping ??= setTimeout(() => {
      this.#sweeping = undefined;
      this.#classifiers.keepOnly(this.#store.networks);
      if (this.#room.waiting.requests > 0) this.#sweep();
    }, SWEEP_MS).unref();
  }

  /** Networks that something is held for. */
  get networks(): number {
    return this.#classifiers.networks;
  }

  /** What has come and is not answered yet. */
  get waiting(): { readonly requests: number; readonly rows: number; readonly bytes: number } {
    return this.#room.waiting;
  }

  /** Compiled tasks now, and the bytes they are charged for. */
  get compiled(): { readonly tasks: number; readonly bytes: number } {
    return this.#classifiers.size;
  }

  /** From now on `listener` is told; call what is returned to end that. */
  subscribe(listener: SchedulerListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Classifies rows of raw values under one task: bit for bit what each, as bytes or as floats, would get alone.
   * @param rows values of rows.count x inputs; not to be changed before the answer
   * @throws SeedmaskError (by rejection) overloaded, over-key-limit, over-limit (of the key), deadline, client-gone, lost-worker,
   * unloaded-task, bad-model-file (the mask does not decode), starting (a version that takes other rows is in its place), bad-value
   */
  classify(version: Version, rows: Rows, wish: Wish = {}): Promise<Classified> {
    return this.#ask(version, rows, wish, () => this.#store.open(version), false);
  }

  /** The same with a mask that is no task's, let in whatever waits, and told to no listener: how a server asks itself. */
  probe(opened: Opened, rows: Rows): Promise<Classified> {
    return this.#ask(opened.version, rows, {}, () => opened, true);
  }

  /** Rows of a key that are computed elsewhere (`Room.occupy`). Throws SeedmaskError over-key-limit, over-limit. */
  occupy(key: string, rows: number): () => void {
    return this.#room.occupy(key, rows);
  }

  /** Why not even one row of a request could be let in, before its body is read: overloaded or over-key-limit. */
  noRoom(version: Version, key: string): SeedmaskError | undefined {
    const refusal = this.#room.refusal({ task: version.name, rows: 1, bytes: 1, key });
    if (!refusal) return undefined;
    for (const listener of this.#listeners) listener.request?.({ version, rows: 0, key, error: refusal, queueMs: 0, computeMs: 0 });
    return refusal;
  }

  async #ask(version: Version, rows: Rows, wish: Wish, open: () => Opened | Promise<Opened>, quiet: boolean): Promise<Classified> {
    const asked: Asked = { version, rows, wish, arrived: performance.now(), started: undefined, quiet };
    const refusal = quiet ? undefined : this.#refusal(asked);
    if (refusal) {
      this.#tell(asked, refusal);
      throw refusal;
    }
    const opened = open();
    if (!(opened instanceof Promise) && this.#isAtOnce(version, rows)) return this.#runAtOnce(asked, opened);
    return this.#wait(asked, opened);
  }

  /** A request gets in line. */
  #wait({ version, rows, wish, arrived, quiet }: Asked, opened: Opened | Promise<Opened>): Promise<Classified> {
    return new Promise((resolve, reject) => {
      const job: Job = {
        version,
        rows,
        wish,
        bytes: rows.values.byteLength,
        arrived,
        quiet,
        next: 0,
        started: undefined,
        done: 0,
        ended: false,
        room: undefined,
        timer: undefined,
        wanted: () => this.#wanted(job),
        resolve,
        reject,
      };
      this.#room.enter(loadOf(job));
      job.rows = withoutSlack(rows);
      this.#expire(job);
      if (opened instanceof Promise) {
        opened.then((found) => this.#enqueue(job, found)).catch((error: unknown) => this.#fail(job, error));
        return;
      }
      try {
        this.#enqueue(job, opened);
      } catch (error) {
        this.#fail(job, error);
      }
    });
  }

  /** Makes what the first request of each network would have to wait for; the loop turns in between. */
  async prepare(): Promise<void> {
    const networks = new Set<Network>();
    for (const { versions } of this.#store.tasks.values()) {
      for (const version of versions) {
        if (networks.has(version.network)) continue;
        networks.add(version.network);
        this.#classifiers.isLight(version);
        await new Promise(setImmediate);
      }
    }
  }

  // ---- in and out ----

  #refusal({ version, rows: { count, values }, wish: { key, deadline, gone }, arrived }: Asked): SeedmaskError | undefined {
    if (deadline !== undefined && deadline <= arrived) return tooLate();
    if (gone?.()) return new SeedmaskError('client-gone');
    return this.#room.refusal({ task: version.name, rows: count, bytes: values.byteLength, key });
  }

  /** Whether rows are computed where they stand: nobody waits, and they take less than a turn of the loop. */
  #isAtOnce(version: Version, { values, count }: Rows): boolean {
    if (this.#pumping || count > INLINE_ROWS) return false;
    return this.#inline.cost(version, count) <= AT_ONCE_MS && this.#isInline(version, values);
  }

  /** One request alone, which never waits: nothing is counted for it. */
  #runAtOnce({ rows, wish, arrived, quiet }: Asked, { version, packed }: Opened): Classified {
    const started = performance.now();
    const begun: Asked = { version, rows, wish, arrived, started, quiet };
    try {
      const found = this.#classifiers.logits(version, packed, withDeclared(version, rows.values), rows.count);
      const ms = performance.now() - started;
      if (!quiet) for (const listener of this.#listeners) listener.batch?.({ version, rows: rows.count, requests: 1, ms });
      const room = roomFor(version.task, rows.count);
      answerRows(version.task, found, 0, rows.count, room, 0);
      this.#tell(begun, undefined);
      return room;
    } catch (error) {
      this.#tell(begun, error instanceof SeedmaskError ? error : new SeedmaskError('internal'));
      throw error;
    } finally {
      this.#inline.learn(version, rows.count, performance.now() - started);
    }
  }

  /** A request that waits is answered at its deadline, also where its turn does not come. */
  #expire(job: Job): void {
    const { deadline } = job.wish;
    if (deadline === undefined) return;
    job.timer = setTimeout(() => this.#wanted(job), Math.min(2 ** 31 - 1, Math.ceil(deadline - performance.now()) + 1));
  }

  /** Whether a request shall still be computed; ends those that shall not. */
  #wanted(job: Job): boolean {
    if (job.ended) return false;
    const { deadline, gone } = job.wish;
    if (gone?.()) this.#fail(job, new SeedmaskError('client-gone'));
    else if (deadline !== undefined && deadline <= performance.now()) this.#fail(job, tooLate());
    return !job.ended;
  }

  #fail(job: Job, error: unknown): void {
    if (job.ended) return;
    this.#end(job, error instanceof SeedmaskError ? error : new SeedmaskError('internal'));
    job.reject(error);
  }

  #end(job: Job, error: SeedmaskError | undefined): void {
    job.ended = true;
    clearTimeout(job.timer);
    this.#room.leave(loadOf(job));
    this.#tell(job, error);
  }

  #tell({ version, rows, wish, arrived, started, quiet }: Asked, error: SeedmaskError | undefined): void {
    if (quiet) return;
    const now = performance.now();
    const queueMs = (started ?? now) - arrived;
    const computeMs = started === undefined ? 0 : now - started;
    for (const listener of this.#listeners) listener.request?.({ version, rows: rows.count, key: wish.key, error, queueMs, computeMs });
  }

  // ---- computing ----

  #isInline(version: Version, values: Uint8Array | Float32Array): boolean {
    return !this.#options.threads || (values instanceof Uint8Array && this.#classifiers.isLight(version));
  }

  #enqueue(job: Job, { version, packed }: Opened): void {
    if (!this.#wanted(job)) return;
    if (!takeTheSame(job.version, version)) throw new SeedmaskError('starting', { got: 'the file was replaced', retryAfter: 1 });
    job.version = version;
    const inline = this.#isInline(version, job.rows.values);
    (inline ? this.#inline : this.#heavy).push(version, packed, job);
    if (inline) this.#pump();
    else this.#dispatch();
  }

  /** Computes what waits for the event loop, a slice at a time, others' turns in between. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const slice = () => {
      const until = performance.now() + SLICE_MS;
      while (this.#runInline() && performance.now() < until);
      if (this.#inline.size > 0) setImmediate(slice);
      else this.#pumping = false;
    };
    setImmediate(slice);
  }

  /** One batch on the event loop; false when nothing waits. */
  #runInline(): boolean {
    const batch = this.#inline.next();
    if (!batch) return false;
    const started = this.#begin(batch);
    try {
      const { version, packed } = batch.lane;
      this.#deliver(batch, this.#classifiers.logits(version, packed, batch.values, batch.rows), started);
    } catch (error) {
      for (const { job } of batch.parts) this.#fail(job, error);
    }
    const ms = performance.now() - started;
    this.#inline.charge(batch, ms);
    this.#inline.learn(batch.lane.version, batch.rows, ms);
    return true;
  }

  /** Gives threads what waits for them. */
  #dispatch(): void {
    const threads = this.#options.threads;
    if (!threads) return;
    while (this.#flying < threads.count) {
      const batch = this.#heavy.next();
      if (!batch) return;
      this.#flying++;
      void this.#runInThread(batch, threads).finally(() => {
        this.#flying--;
        this.#dispatch();
      });
    }
  }

  async #runInThread(batch: Batch<Job>, threads: Threads): Promise<void> {
    const started = this.#begin(batch);
    const { version, packed } = batch.lane;
    try {
      const transform = bare(version.task.transform);
      const values = batch.values.slice();
      const found = await threads.logits({ version, packed, transform, values, rows: batch.rows });
      this.#deliver(batch, found, started);
      this.#heavy.learn(version, batch.rows, found.ms);
    } catch (error) {
      for (const { job } of batch.parts) this.#fail(job, error);
    }
    // Who still waited for one that is dropped by now has had it compiled once more: the last of them lets it go.
    if (batch.lane.jobs.length === 0 && !this.#store.serves(version)) threads.drop(version);
    this.#heavy.charge(batch, performance.now() - started);
  }

  #begin({ parts }: Batch<Job>): number {
    const started = performance.now();
    for (const { job } of parts) job.started ??= started;
    return started;
  }

  #deliver({ lane, parts, rows }: Batch<Job>, found: Logits, started: number): void {
    const { version } = lane;
    const ms = performance.now() - started;
    this.#room.drained(rows);
    if (parts.some(({ job }) => !job.quiet))
      for (const listener of this.#listeners) listener.batch?.({ version, rows, requests: parts.length, ms });
    let from = 0;
    for (const { job, first, count } of parts) {
      try {
        job.room ??= roomFor(version.task, job.rows.count);
        if (!job.ended) answerRows(version.task, found, from, count, job.room, first);
        job.done += count;
        if (!job.ended && job.done === job.rows.count) {
          this.#end(job, undefined);
          job.resolve(job.room);
        }
      } catch (error) {
        this.#fail(job, error);
      }
      from += count;
    }
  }
}

const loadOf = ({ version, rows, bytes, wish }: Job): Load => ({ task: version.name, rows: rows.count, bytes, key: wish.key });
