// What may wait is bounded, in rows and in bytes, and no task may fill more than half of that; who does not fit is told so at once, and
// when to come back, by the rate at which the queue was drained of late.

import { SeedmaskError } from '../../codec/errors.js';
import { Drain } from './drain.js';

export interface RoomOptions {
  /** Rows that may wait at once; default 65,536. */
  readonly queueRows?: number;
  /** Bytes that the values of these rows may take; default 256 MiB. */
  readonly queueBytes?: number;
  /** Rows that a key may have under way; default: as many as all together. */
  readonly keyLimit?: (key: string) => number;
}

/** Rows of one request, and whose. */
export interface Load {
  readonly task: string;
  readonly rows: number;
  readonly bytes: number;
  readonly key: string | undefined;
}

/** Its deadline is over. */
export const tooLate = () =>
  new SeedmaskError('deadline', { got: 'it has passed', hint: 'Ask for more time, or for fewer rows at a time.' });

/** The room of one queue. */
export class Room {
  readonly #options: RoomOptions;
  readonly #rowLimit: number;
  readonly #byteLimit: number;
  readonly #rowsOf = { task: new Map<string, number>(), key: new Map<string, number>() };
  readonly #drained = new Drain();
  #waiting = { requests: 0, rows: 0, bytes: 0 };
  /** The last refusal: a crowd is refused with the same words, and finding out where an error was made costs more than refusing. */
  #last: { readonly same: string; readonly error: SeedmaskError } | undefined;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.#rowLimit = options.queueRows ?? 65_536;
    this.#byteLimit = options.queueBytes ?? 256 * 1024 * 1024;
  }

  /** What has come and is not answered yet. */
  get waiting(): { readonly requests: number; readonly rows: number; readonly bytes: number } {
    return this.#waiting;
  }

  /** Why a request does not fit: overloaded, over-key-limit, or over-limit if it never will. Alone, anything that a request may be fits. */
  refusal({ task, rows: count, bytes, key }: Load): SeedmaskError | undefined {
    const { rows, bytes: held } = this.#waiting;
    const tooManyOfKey = this.#keyRefusal(key, count);
    if (tooManyOfKey) return tooManyOfKey;
    if (rows === 0) return undefined;
    const over = (got: string, expected: string) => this.#refuse('overloaded', 'the queue', got, expected);
    const ofTask = this.#rowsOf.task.get(task) ?? 0;
    if (rows + count > this.#rowLimit) return over(`${rows + count} rows`, `${this.#rowLimit}`);
    if (held + bytes > this.#byteLimit) return over(`${held + bytes} bytes of rows`, `${this.#byteLimit}`);
    if (ofTask > 0 && ofTask + count > this.#rowLimit / 2) return over(`${ofTask + count} rows of task ${task}`, `${this.#rowLimit / 2}`);
    return undefined;
  }

  /**
   * Rows of a key that others compute: they count for its limit, and for nothing else.
   * @returns what ends that
   * @throws SeedmaskError over-key-limit, over-limit
   */
  occupy(key: string, rows: number): () => void {
    const refusal = this.#keyRefusal(key, rows);
    if (refusal) throw refusal;
    add(this.#rowsOf.key, key, rows);
    return () => add(this.#rowsOf.key, key, -rows);
  }

  #keyRefusal(key: string | undefined, count: number): SeedmaskError | undefined {
    if (key === undefined || !this.#options.keyLimit) return undefined;
    const limit = this.#options.keyLimit(key);
    if (count > limit) {
      const field = `number of rows in one request of the key ${key}`;
      return new SeedmaskError('over-limit', { field, expected: limit, got: count, hint: 'Send the rest in further requests.' });
    }
    const got = (this.#rowsOf.key.get(key) ?? 0) + count;
    return got > limit ? this.#refuse('over-key-limit', key, `${got} rows`, `${limit} rows`) : undefined;
  }

  #refuse(code: 'overloaded' | 'over-key-limit', field: string, got: string, expected: string): SeedmaskError {
    const retryAfter = this.#drained.secondsFor(this.#waiting.rows);
    const same = `${code} ${field} ${expected} ${got} ${retryAfter}`;
    if (this.#last?.same !== same) {
      const error = new SeedmaskError(code, { field, expected, got, hint: `Try again in ${retryAfter} s.`, retryAfter });
      this.#last = { same, error };
    }
    return this.#last.error;
  }

  enter(load: Load): void {
    if (this.#waiting.requests === 0) this.#drained.start();
    this.#count(load, 1);
  }

  leave(load: Load): void {
    this.#count(load, -1);
  }

  /** Rows were answered. */
  drained(rows: number): void {
    this.#drained.add(rows);
  }

  #count({ task, rows: count, bytes, key }: Load, sign: 1 | -1): void {
    const { requests, rows, bytes: held } = this.#waiting;
    this.#waiting = { requests: requests + sign, rows: rows + sign * count, bytes: held + sign * bytes };
    add(this.#rowsOf.task, task, sign * count);
    if (key !== undefined) add(this.#rowsOf.key, key, sign * count);
  }
}

function add(sums: Map<string, number>, name: string, count: number): void {
  const sum = (sums.get(name) ?? 0) + count;
  if (sum > 0) sums.set(name, sum);
  else sums.delete(name);
}
