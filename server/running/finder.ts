// Finds the task that rows are for, among the masks of one network (guess.ts): in a thread, which is handed all masks as one shared block
// and keeps what it has worked out of them; without threads on the event loop. In slices either way, so others have their turns, and no
// longer than somebody waits for it. The block is a second copy of the masks: it is made at the first question, and goes when one of its
// tasks does.

import { SeedmaskError } from '../../codec/errors.js';
import type { Transform } from '../../codec/index.js';
import type { Engine } from '../../src/engine/engine.js';
import type { TaskGuess } from '../../src/masks/infer-task.js';
import type { Opened, Store, Version } from '../repository/store.js';
import type { Rows } from '../requests/rows.js';
import { Guesser, type Method } from './guess.js';
import type { MaskBlock } from './jobs.js';
import { takeTheSame } from './lanes.js';
import { tooLate } from './room.js';
import type { Wish } from './scheduler.js';
import { inSlices } from './slices.js';
import type { Threads } from './threads.js';

/** Questions under way at once; each may take a thread for tens of milliseconds, or seconds. */
const QUESTIONS = 16;
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

/** What is kept from one question to the next. */
type Held = { readonly versions: readonly Version[] } & ({ readonly block: MaskBlock } | { readonly guesser: Guesser });

export class Finder {
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #threads: Pick<Threads, 'inferTask' | 'forget'> | undefined;
  #held: Held | undefined;
  #keys = 0;
  #asked = 0;

  constructor(store: Store, engine: Engine, threads: Pick<Threads, 'inferTask' | 'forget'> | undefined) {
    this.#store = store;
    this.#engine = engine;
    this.#threads = threads;
    store.onDrop((version) => {
      if (this.#held?.versions.includes(version)) this.#forget();
    });
  }

  /**
   * @param among versions of one network, two at least; for `oneshot` and `binary` of one transform
   * @throws SeedmaskError (by rejection) overloaded, deadline, client-gone, few-tasks (too few masks can be read), bad-value, lost-worker
   */
  async find(among: readonly Version[], rows: Rows, method: Method, { deadline, gone }: Wish): Promise<Found> {
    if (this.#asked >= QUESTIONS) {
      const got = `${this.#asked} questions`;
      const hint = 'Try again in 1 s.';
      throw new SeedmaskError('overloaded', { field: 'task inference', expected: QUESTIONS, got, hint, retryAfter: 1 });
    }
    const check = () => {
      if (gone?.()) throw new SeedmaskError('client-gone');
      if (deadline !== undefined && deadline <= performance.now()) throw tooLate();
    };
    this.#asked++;
    const dropped = new Set<Version>();
    const unsubscribe = this.#store.onDrop((version) => dropped.add(version));
    let held: Held | undefined;
    try {
      const opened = await this.#open(among, check);
      checkEnough(opened.length);
      held = await this.#holding(opened, check);
      check();
      const { value: guess, ms } =
        'guesser' in held ? await inSlices(held.guesser.steps(rows, method), check) : await this.#inThread(held.block, rows, method, check);
      check();
      if (!guess.scores.every(Number.isFinite)) {
        const expected = 'raw values, such as pixels 0..255';
        throw new SeedmaskError('bad-value', { field: 'a row', expected, got: 'too large for f32 logits' });
      }
      return { guess, versions: held.versions, skipped: among.length - opened.length, ms };
    } finally {
      this.#asked--;
      unsubscribe();
      // One of its tasks went while it was gathered: it was for this question alone.
      if (held && held === this.#held && held.versions.some((version) => dropped.has(version))) this.#forget();
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

  /** These masks, ready to be asked; what was held of others goes. */
  async #holding(opened: readonly Opened[], check: () => void): Promise<Held> {
    const versions = opened.map(({ version }) => version);
    const held = this.#held;
    if (held && held.versions.length === versions.length && versions.every((version, i) => version === held.versions[i])) return held;
    const { value } = await inSlices(this.#gathered(opened, versions), check);
    this.#forget();
    this.#held = value;
    return value;
  }

  *#gathered(opened: readonly Opened[], versions: readonly Version[]): Generator<void, Held> {
    const [{ version, packed }] = opened;
    const transforms: Transform[] = [];
    const places = new Map<string, number>();
    const transformOf = new Uint32Array(opened.length);
    const bytes = this.#threads && new SharedArrayBuffer(packed.length * opened.length);
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
    if (bytes) return { versions, block: { ...shared, key: this.#keys++, bytes } };
    return { versions, guesser: new Guesser({ ...shared, masks: opened.map(({ packed: mask }) => mask) }, this.#engine) };
  }

  #forget(): void {
    if (!this.#held) return;
    if ('guesser' in this.#held) this.#held.guesser.free();
    else this.#threads?.forget();
    this.#held = undefined;
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
