// When to come back: the rate at which a queue was drained of late says how long what waits now will take.

/** How fast the queue is drained: rows answered in the time in which someone waited, the last seconds of it counting most. */
export class Drain {
  #rows = 0;
  #ms = 0;
  #since = 0;

  /** Someone waits from now on. */
  start(): void {
    this.#since = performance.now();
  }

  /** Rows were answered; someone has waited all the time since `start` or the last call. */
  add(rows: number): void {
    this.#rows += rows;
    const now = performance.now();
    this.#ms += now - this.#since;
    this.#since = now;
    if (this.#ms < 2000) return;
    this.#ms /= 2;
    this.#rows /= 2;
  }

  /** Whole seconds until so many rows are gone, 1 to 60. */
  secondsFor(rows: number): number {
    return this.#rows === 0 ? 1 : Math.min(60, Math.max(1, Math.ceil((rows * this.#ms) / this.#rows / 1000)));
  }
}
