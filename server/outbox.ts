// Answers of one turn of the event loop are written together. A write wakes a client that sleeps, there and then, which costs several
// times what the write does; while it wakes, the writes that follow are cheap. An answer alone is written at once after its turn.

export class Outbox {
  #waiting: (() => void)[] = [];

  /** @param write must not throw */
  add(write: () => void): void {
    if (this.#waiting.push(write) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const writes = this.#waiting;
    this.#waiting = [];
    for (const write of writes) write();
  }
}
