// Requests that wait, a lane for each task, served in turns (deficit round-robin, Shreedhar and Varghese 1995): each turn gives a lane
// the same time, what it overdraws it waits for, so a task with many requests never keeps the others from theirs.

import { asInputs } from '../../src/features.js';
import { inputs } from '../../src/network.js';
import { takesNumbers, type Version } from '../repository/catalogue.js';
import type { Rows } from '../requests/rows.js';

/** What a lane holds: rows to be computed, some of them perhaps under way or done. */
export interface Queued {
  readonly rows: Rows;
  /** The first row that nobody computes yet. */
  next: number;
  /** Whether it shall still be computed; may end the request, and is asked right before. */
  wanted(): boolean;
}

/** Rows of one task that are computed together. */
export interface Batch<J extends Queued> {
  readonly lane: Lane<J>;
  readonly parts: readonly { readonly job: J; readonly first: number; readonly count: number }[];
  readonly rows: number;
  /** rows x inputs, inputs declared constant replaced. */
  readonly values: Uint8Array | Float32Array;
}

/** Values as the transform of the task declares them. */
export function withDeclared({ network, task }: Version, values: Uint8Array | Float32Array): Uint8Array | Float32Array {
  return asInputs(values, task.transform, inputs(network));
}

/** Whether rows that were read for one version are rows of another as well. */
export const takeTheSame = (a: Version, b: Version): boolean => a.network === b.network && takesNumbers(a) === takesNumbers(b);

/** The requests of one task. */
class Lane<J extends Queued> {
  readonly version: Version;
  readonly packed: Uint8Array;
  readonly jobs: J[] = [];
  /** Milliseconds that it may still use. */
  deficit = 0;

  constructor(version: Version, packed: Uint8Array) {
    this.version = version;
    this.packed = packed;
  }

  /** At most `most` rows of bytes, or of floats, from the front; null when nobody wants any. */
  take(most: number): Batch<J> | null {
    const parts: { job: J; first: number; count: number }[] = [];
    let rows = 0;
    while (this.jobs.length > 0 && rows < most) {
      const job = this.jobs[0];
      if (!job.wanted()) {
        this.jobs.shift();
        continue;
      }
      if (parts.length > 0 && parts[0].job.rows.values.constructor !== job.rows.values.constructor) break;
      const count = Math.min(most - rows, job.rows.count - job.next);
      parts.push({ job, first: job.next, count });
      rows += count;
      job.next += count;
      if (job.next === job.rows.count) this.jobs.shift();
    }
    return rows === 0 ? null : { lane: this, parts, rows, values: this.#values(parts, rows) };
  }

  #values(parts: Batch<J>['parts'], rows: number): Uint8Array | Float32Array {
    const width = inputs(this.version.network);
    const of = ({ job, first, count }: Batch<J>['parts'][number]) => job.rows.values.subarray(first * width, (first + count) * width);
    let values = of(parts[0]);
    if (parts.length > 1) {
      const all = values instanceof Uint8Array ? new Uint8Array(rows * width) : new Float32Array(rows * width);
      let at = 0;
      for (const part of parts) {
        all.set(of(part), at);
        at += part.count * width;
      }
      values = all;
    }
    return withDeclared(this.version, values);
  }
}

/** Lanes in turns. */
export class Ring<J extends Queued> {
  readonly #lanes = new Map<Version, Lane<J>>();
  /** Milliseconds a row, of late, by a moving average. */
  readonly #costs = new WeakMap<Version, number>();
  readonly #quantum: number;
  readonly #most: number;
  readonly #guess: number;

  /**
   * @param quantum milliseconds of one turn, and so of one batch, about
   * @param most rows of one batch at most
   * @param guess milliseconds a row of a task of which nothing is known yet
   */
  constructor(quantum: number, most: number, guess: number) {
    this.#quantum = quantum;
    this.#most = most;
    this.#guess = guess;
  }

  /** Tasks that wait. */
  get size(): number {
    return this.#lanes.size;
  }

  /** Milliseconds that rows of a task will take, as things are. */
  cost(version: Version, rows: number): number {
    return rows * (this.#costs.get(version) ?? this.#guess);
  }

  push(version: Version, packed: Uint8Array, job: J): void {
    let lane = this.#lanes.get(version);
    if (!lane) {
      lane = new Lane(version, packed);
      this.#lanes.set(version, lane);
    }
    lane.jobs.push(job);
  }

  /** The next batch, or null when nothing waits. */
  next(): Batch<J> | null {
    // A lane whose turn is over is met again at the end of the map.
    for (const lane of this.#lanes.values()) {
      // Alone, there is nobody to owe time to.
      lane.deficit = (this.#lanes.size > 1 ? Math.min(lane.deficit, 0) : 0) + this.#quantum;
      const most = Math.floor(lane.deficit / this.cost(lane.version, 1));
      const batch = lane.deficit > 0 ? lane.take(Math.max(1, Math.min(this.#most, most))) : null;
      this.#lanes.delete(lane.version);
      if (lane.jobs.length > 0) this.#lanes.set(lane.version, lane);
      if (batch) return batch;
    }
    return null;
  }

  /** Tells what a batch took of its lane's time. */
  charge({ lane }: Batch<J>, ms: number): void {
    lane.deficit = Math.max(lane.deficit - ms, -100 * this.#quantum);
  }

  /** Tells what rows of a task took to compute, their way to a thread and back not counted: it decides how many the next batch has. */
  learn(version: Version, rows: number, ms: number): void {
    const known = this.cost(version, 1);
    this.#costs.set(version, known + (ms / rows - known) / 4);
  }
}
