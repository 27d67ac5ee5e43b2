// Answers of one turn of the event loop are written together. A write wakes a client that sleeps, there and then, which costs several
// times what the write does; while it wakes, the writes that follow are cheap. An answer alone is written at once after its turn.
//
// Large answers are held in memory until their clients have read them. They are bounded together, those of many rows from before they are
// computed: who asks for much and does not read is told to come back, as are those who ask meanwhile.

import type { ServerResponse } from 'node:http';
import { overloaded } from './requests/overloaded.js';

/** Bytes from which an answer is counted: of smaller ones a connection has one at a time (listen.ts), and the system takes most at once. */
const LARGE = 64 * 1024;

export class Outbox {
  readonly #limit: number;
  #waiting: (() => void)[] = [];
  /** Large answers that are not out yet, with their bytes. */
  readonly #large = new Map<ServerResponse, number>();

  /** @param limit bytes of all large answers that are not out yet */
  constructor(limit = 128 * 1024 * 1024) {
    this.#limit = limit;
  }

  /** @param write must not throw */
  add(write: () => void): void {
    if (this.#waiting.push(write) === 1) setImmediate(() => this.#flush());
  }

  /**
   * Counts the bytes of an answer until it is out or its connection has gone; once more when they are known better.
   * @throws SeedmaskError overloaded: too much is unread; alone, any answer is let in
   */
  hold(bytes: number, res: ServerResponse): void {
    // One that nobody will be sent, as somebody else has answered, holds nothing, and no end of it would be told.
    if (res.headersSent || res.destroyed) return;
    this.#large.delete(res);
    if (bytes < LARGE) return;
    let held = 0;
    for (const [other, size] of this.#large) {
      // An answer that waits behind others of its connection is told nothing when that ends.
      if (other.req.socket.destroyed) this.#large.delete(other);
      else held += size;
    }
    if (held > 0 && held + bytes > this.#limit) {
      const got = `answers of ${held + bytes} bytes that are made or not read yet`;
      throw overloaded('answers', this.#limit, got);
    }
    this.#large.set(res, bytes);
    res.once('close', () => this.#large.delete(res));
  }

  #flush(): void {
    const writes = this.#waiting;
    this.#waiting = [];
    for (const write of writes) write();
  }
}
