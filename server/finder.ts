// Finds the task that rows are for, among the masks of one network (src/masks/infer-task.ts): in a thread, which is handed all masks as
// one shared block and keeps what it has worked out of them; without threads on the event loop, in slices. The block is a second copy
// of the masks: it is made at the first question, and goes when one of its tasks does.

import { SeedmaskError } from '../codec/errors.js';
import type { InputTransform } from '../src/engine/engine.js';
import { createTaskInference, type InferMethod, type TaskGuess } from '../src/masks/infer-task.js';
import type { Network } from '../src/network.js';
import { tooLate } from './room.js';
import type { Rows } from './rows.js';
import type { Wish } from './scheduler.js';
import { inSlices } from './slices.js';
import type { Opened, Store, Version } from './store.js';
import type { Threads } from './threads.js';

/** Questions under way at once; each may take a thread for tens of milliseconds. */
const QUESTIONS = 16;

/** Masks beside each other in memory that threads share. */
export interface MaskBlock {
  /** Another block has another one. */
  readonly key: number;
  readonly network: Network;
  readonly transform: InputTransform;
  readonly bytes: SharedArrayBuffer;
  readonly count: number;
}

/** A guess, and the versions that its numbers stand for. */
export interface Found {
  readonly guess: TaskGuess;
  readonly versions: readonly Version[];
  /** Tasks whose mask could not be read. */
  readonly skipped: number;
  /** Milliseconds of computing, waiting apart. */
  readonly ms: number;
}

export class Finder {
  readonly #store: Store;
  readonly #threads: Pick<Threads, 'inferTask' | 'forget'> | undefined;
  #held: { readonly versions: readonly Version[]; readonly block: MaskBlock } | undefined;
  #keys = 0;
  #asked = 0;

  constructor(store: Store, threads: Pick<Threads, 'inferTask' | 'forget'> | undefined) {
    this.#store = store;
    this.#threads = threads;
    store.onDrop((version) => {
      if (!this.#held?.versions.includes(version)) return;
      this.#held = undefined;
      threads?.forget();
    });
  }

  /**
   * @param among versions of one network with one transform, two at least
   * @throws SeedmaskError (by rejection) overloaded, deadline, client-gone, few-tasks (too few masks can be read), lost-worker
   */
  async find(among: readonly Version[], rows: Rows, method: InferMethod, { deadline, gone }: Wish): Promise<Found> {
    if (this.#asked >= QUESTIONS) {
      const got = `${this.#asked} questions`;
      throw new SeedmaskError('overloaded', {
        field: 'task inference',
        expected: QUESTIONS,
        got,
        hint: 'Try again in 1 s.',
        retryAfter: 1,
      });
    }
    this.#asked++;
    try {
      const opened = await this.#open(among);
      const versions = opened.map(({ version }) => version);
      checkEnough(opened.length);
      const block = this.#threads && (await this.#blockOf(opened));
      if (gone?.()) throw new SeedmaskError('client-gone');
      if (deadline !== undefined && deadline <= performance.now()) throw tooLate();
      const { guess, ms } = block ? await this.#threads!.inferTask(block, rows, method) : await here(opened, rows, method);
      if (deadline !== undefined && deadline <= performance.now()) throw tooLate();
      return { guess, versions, skipped: among.length - opened.length, ms };
    } finally {
      this.#asked--;
    }
  }

  /** The masks that can be read; others fail alone. */
  async #open(among: readonly Version[]): Promise<Opened[]> {
    const opened: Opened[] = [];
    for (const version of among) {
      try {
        const now = this.#store.open(version);
        const found = now instanceof Promise ? await now : now;
        if (found.version.network === version.network) opened.push(found);
      } catch (error) {
        if (!(error instanceof SeedmaskError) || error.code === 'draining') throw error;
      }
    }
    return opened;
  }

  async #blockOf(opened: readonly Opened[]): Promise<MaskBlock> {
    const versions = opened.map(({ version }) => version);
    const held = this.#held;
    if (held && held.versions.length === versions.length && versions.every((version, i) => version === held.versions[i])) return held.block;
    const [{ version, packed }] = opened;
    const bytes = new SharedArrayBuffer(packed.length * opened.length);
    const all = new Uint8Array(bytes);
    await inSlices(
      (function* () {
        for (const [i, mask] of opened.entries()) {
          all.set(mask.packed, i * packed.length);
          yield;
        }
      })(),
    );
    const { scale, mean } = version.task.transform;
    const block = { key: this.#keys++, network: version.network, transform: { scale, mean }, bytes, count: opened.length };
    this.#held = { versions, block };
    return block;
  }
}

/** @throws SeedmaskError few-tasks */
export function checkEnough(count: number): void {
  if (count >= 2) return;
  const hint = 'Name more tasks of this network, serve more, or classify with the one there is.';
  throw new SeedmaskError('few-tasks', { field: '/tasks', expected: 2, got: count, hint });
}

async function here(opened: readonly Opened[], { values, count }: Rows, method: InferMethod): Promise<{ guess: TaskGuess; ms: number }> {
  const began = performance.now();
  const { network, task } = opened[0].version;
  const inference = createTaskInference(
    network,
    opened.map(({ packed }) => packed),
    { transform: task.transform },
  );
  const guess = await inSlices(inference.steps(values, count, method));
  return { guess, ms: performance.now() - began };
}
