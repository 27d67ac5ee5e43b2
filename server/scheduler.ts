// Who is computed when. Requests come with rows of one task; each gets its own answer, and everyone who wants to know (metrics,
// statistics, logs) is told how long it waited, how long it was computed, and with how many other rows.

import { SeedmaskError } from '../codec/errors.js';
import type { Classified, Classifiers } from './classify.js';
import type { Rows } from './rows.js';
import type { Version } from './store.js';

/** What a request may say about its own computation. */
export interface Wish {
  /** Time by the clock of `performance.now()`, milliseconds, after which nobody wants the answer. Default: never. */
  readonly deadline?: number;
  /** Whether the client has closed the connection; asked right before its rows are computed. */
  readonly gone?: () => boolean;
  /** Whose limit of rows under way counts; a name, never the key itself. */
  readonly key?: string;
}

/** One request that has ended, whichever way. Times are milliseconds. */
export interface RequestEvent {
  readonly version: Version;
  readonly rows: number;
  readonly key: string | undefined;
  /** Undefined when it was answered. */
  readonly error: SeedmaskError | undefined;
  /** Between its arrival and the first of its rows being computed, or its refusal. */
  readonly queueMs: number;
  /** From there to its last row. */
  readonly computeMs: number;
}

/** One run of the engine: rows of one task, of one or more requests. */
export interface BatchEvent {
  readonly version: Version;
  readonly rows: number;
  readonly requests: number;
  readonly ms: number;
}

/** Told synchronously; must not throw. */
export interface SchedulerListener {
  request?(event: RequestEvent): void;
  batch?(event: BatchEvent): void;
}

/** The queue of one server. */
export class Scheduler {
  readonly #classifiers: Classifiers;
  readonly #listeners = new Set<SchedulerListener>();

  constructor(classifiers: Classifiers) {
    this.#classifiers = classifiers;
  }

  /** What waits now. */
  get waiting(): { readonly requests: number; readonly rows: number; readonly bytes: number } {
    return { requests: 0, rows: 0, bytes: 0 };
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
   * Classifies rows of raw values under one task: bit for bit what each row would get alone.
   * @param rows values of rows.count x inputs
   * @throws SeedmaskError (by rejection) overloaded, over-key-limit, deadline, client-gone, lost-worker, unloaded-task, bad-model-file
   * (the mask does not decode), bad-value
   */
  async classify(version: Version, rows: Rows, wish: Wish = {}): Promise<Classified> {
    const started = performance.now();
    let error: SeedmaskError | undefined;
    try {
      return await this.#classifiers.classify(version, rows);
    } catch (reason) {
      error = reason instanceof SeedmaskError ? reason : new SeedmaskError('internal');
      throw reason;
    } finally {
      const ms = performance.now() - started;
      for (const listener of this.#listeners) {
        listener.batch?.({ version, rows: rows.count, requests: 1, ms });
        listener.request?.({ version, rows: rows.count, key: wish.key, error, queueMs: 0, computeMs: ms });
      }
    }
  }
}
