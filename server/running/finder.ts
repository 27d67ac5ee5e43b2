// Finds the task that rows are for, among the masks of one network (guess.ts): in a thread, which is handed all masks as one shared block
// and keeps what it has worked out of them; without threads on the event loop. In slices either way, so others have their turns, and no
// longer than somebody waits for it. The block is a second copy of the masks: it is made once for all questions about the same ones, stays
// for the next, and goes when one of its tasks does or others are asked about. All blocks together are bounded.

import { SeedmaskError } from '../../codec/errors.js';
import type { Transform } from '../../codec/index.js';
import type { Engine } from '../../src/engine/engine.js';
import type { TaskGuess } from '../../src/masks/infer-task.js';
import type { Opened, Store, Version } from '../repository/store.js';
import type { Method } from '../requests/content.js';
import { overloaded } from '../requests/overloaded.js';
import type { Rows } from '../requests/rows.js';
import { Guesser } from './guess.js';
import type { MaskBlock } from './jobs.js';
import { takeTheSame } from './lanes.js';
import { tooLate } from './room.js';
import type { Wish } from './scheduler.js';
import { inSlices } from './slices.js';
import type { Threads } from './threads.js';

/** Questions under way at once; each may take a thread for tens of milliseconds, or seconds. */
const QUESTIONS = 16;
/** Bytes of the masks that one question may look at, and of all blocks together. */
export const BYTES_LIMIT = 512 * 1024 * 1024;
/** Milliseconds between two looks at whether somebody still waits for a thread's answer. */
const LOOK_MS = 10;

/** A guess, and the versions that its numbers stand for. */
export interface Found {
  readonly guess: TaskGuess;
  readonly versions: readonly Version[];
  /** Tasks whose mask could not be read. */
  readonly skipped: number;
  /** Milliseconds of computing, waiting apart. */
  readonly ms: number;
}

type Held = { readonly block: MaskBlock } | { readonly guesser: Guesser };

/** Masks gathered for all questions about them. */
interface Gathered {
  readonly versions: readonly Version[];
  /** Of the block. */
  readonly bytes: number;
  readonly held: Promise<Held>;
  /** Questions under way. */
  questions: number;
  /** Whether it is of no use to other questions: a task of it has gone, or it could not be made. */
  stale: boolean;
}

export class Finder {
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #threads: Pick<Threads, 'inferTask' | 'forget'> | undefined;
  readonly #limit: number;
  /** Those of questions under way; or, where there is none, at most one for the next. */
  readonly #gathered = new Set<Gathered>();
  #keys = 0;
  #asked = 0;

  /** @param limit bytes of all blocks together */
  constructor(store: Store, engine: Engine, threads: Pick<Threads, 'inferTask' | 'forget'> | undefined, limit = BYTES_LIMIT) {
    this.#store = store;
    this.#engine = engine;
    this.#threads = threads;
    this.#limit = limit;
    store.onDrop((version) => {
      for (const gathered of this.#gathered) {
        gathered.stale ||= gathered.versions.includes(version);
        this.#settle(gathered);
      }
    });
  }

  /**
   * @param among versions of one network, two at least; for `oneshot` and `binary` of one transform
   * @throws SeedmaskError (by rejection) overloaded, deadline, client-gone, few-tasks (too few masks can be read), bad-value, lost-worker
   */
  async find(among: readonly Version[], rows: Rows, method: Method, { deadline, gone }: Wish): Promise<Found> {
    if (this.#asked >= QUESTIONS) throw overloaded('task inference', QUESTIONS, `${this.#asked} questions`);
    const check = () => {
      if (gone?.()) throw new SeedmaskError('client-gone');
      if (deadline !== undefined && deadline <= performance.now()) throw tooLate();
    };
    this.#asked++;
    const dropped = new Set<Version>();
    const unsubscribe = this.#store.onDrop((version) => dropped.add(version));
    let gathered: Gathered | undefined;
    try {
      const opened = await this.#open(among, check);
      checkEnough(opened.length);
      gathered = this.#gather(opened, dropped);
      const held = await gathered.held;
      check();
      const { value: guess, ms } =
        'guesser' in held ? await inSlices(held.guesser.steps(rows, method), check) : await this.#inThread(held.block, rows, method, check);
      check();
      if (!guess.scores.every(Number.isFinite)) {
        const expected = 'raw values, such as pixels 0..255';
        throw new SeedmaskError('bad-value', { field: 'a row', expected, got: 'too large for f32 logits' });
      }
      return { guess, versions: gathered.versions, skipped: among.length - opened.length, ms };
    } finally {
      this.#asked--;
      unsubscribe();
      if (gathered) {
        gathered.questions--;
        this.#settle(gathered);
      }
    }
  }

  /** Calls a thread's work off as soon as `check` throws. */
  async #inThread(block: MaskBlock, rows: Rows, method: Method, check: () => void) {
    const stop = new AbortController();
    const look = setInterval(() => {
      try {
        check();
      } catch (error) {
        stop.abort(error);
      }
    }, LOOK_MS);
    try {
      return await this.#threads!.inferTask(block, rows, method, stop.signal);
    } finally {
      clearInterval(look);
    }
  }

  /** The masks that can be read; others fail alone. */
  async #open(among: readonly Version[], check: () => void): Promise<Opened[]> {
    const opened: Opened[] = [];
    for (const version of among) {
      try {
        const now = this.#store.open(version);
        const found = now instanceof Promise ? await now : now;
        if (takeTheSame(version, found.version)) opened.push(found);
        if (now instanceof Promise) check();
      } catch (error) {
        if (!(error instanceof SeedmaskError) || PASSED_ON.includes(error.code)) throw error;
      }
    }
    return opened;
  }

  /**
   * These masks for one more question.
   * @param dropped versions that went while they were opened: then it is for this question alone
   * @throws SeedmaskError overloaded
   */
  #gather(opened: readonly Opened[], dropped: ReadonlySet<Version>): Gathered {
    const versions = opened.map(({ version }) => version);
    const same = (others: readonly Version[]) => others.length === versions.length && versions.every((version, i) => version === others[i]);
    let gathered = [...this.#gathered].find((one) => !one.stale && same(one.versions));
    if (!gathered) {
      for (const one of this.#gathered) if (one.questions === 0) this.#drop(one);
      const bytes = this.#threads ? opened.length * opened[0].packed.length : 0;
      let sum = bytes;
      for (const one of this.#gathered) sum += one.bytes;
      if (sum > this.#limit) throw overloaded('task inference', this.#limit, `questions about ${sum} bytes of masks`);
      const held = inSlices(this.#copied(opened, bytes)).then(({ value }) => value);
      const made: Gathered = { versions, bytes, held, questions: 0, stale: versions.some((version) => dropped.has(version)) };
      held.catch(() => {
        made.stale = true;
      });
      this.#gathered.add(made);
      gathered = made;
    }
    gathered.questions++;
    return gathered;
  }

  /** Lets go of what no question needs, nor will. */
  #settle(gathered: Gathered): void {
    if (gathered.questions === 0 && (gathered.stale || this.#gathered.size > 1)) this.#drop(gathered);
  }

  #drop(gathered: Gathered): void {
    this.#gathered.delete(gathered);
    void gathered.held.then(
      (held) => ('guesser' in held ? held.guesser.free() : this.#threads?.forget(held.block.key)),
      () => undefined,
    );
  }

  /** @param length bytes of a block for threads */
  *#copied(opened: readonly Opened[], length: number): Generator<void, Held> {
    const [{ version, packed }] = opened;
    const transforms: Transform[] = [];
    const places = new Map<string, number>();
    const transformOf = new Uint32Array(opened.length);
    const bytes = this.#threads && new SharedArrayBuffer(length);
    const all = bytes && new Uint8Array(bytes);
    for (const [i, { version, packed: mask }] of opened.entries()) {
      const { transform } = version.task;
      const name = JSON.stringify(transform, (_, value: unknown) => (ArrayBuffer.isView(value) ? Object.values(value) : value));
      const place = places.get(name) ?? transforms.push(transform) - 1;
      places.set(name, place);
      transformOf[i] = place;
      all?.set(mask, i * packed.length);
      yield;
    }
    const { network } = version;
    const logitScales = Float64Array.from(opened, ({ version: { task } }) => task.logitScale);
    const shared = { network, logitScales, transforms, transformOf };
    if (bytes) return { block: { ...shared, key: this.#keys++, bytes } };
    return { guesser: new Guesser({ ...shared, masks: opened.map(({ packed: mask }) => mask) }, this.#engine) };
  }
}

/** Failures of a mask that are not its own. */
const PASSED_ON: readonly string[] = ['draining', 'client-gone', 'deadline'];

/** @throws SeedmaskError few-tasks */
export function checkEnough(count: number): void {
  if (count >= 2) return;
  const hint = 'Name more tasks of this network, serve more, or classify with the one there is.';
  throw new SeedmaskError('few-tasks', { field: '/tasks', expected: 2, got: count, hint });
}
