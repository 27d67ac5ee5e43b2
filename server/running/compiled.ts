// Tasks that are compiled, on the event loop and in each thread: they hold so many bytes together, and who was asked least recently goes.

import { LRUCache } from 'lru-cache';
import type { Classifier } from '../../src/engine/engine.js';

/** Classifiers by what tells their tasks apart; one that goes is freed. */
export class Compiled<K extends {}> extends LRUCache<K, Classifier> {
  /**
   * @param cap bytes that they may hold together
   * @param gone told which one has gone
   */
  constructor(cap: number, gone?: (key: K) => void) {
    super({
      maxSize: cap,
      sizeCalculation: ({ bytes }) => Math.max(1, bytes),
      dispose: (classifier, key) => {
        classifier.free();
        gone?.(key);
      },
    });
  }

  /** What `ask` gets of a task's classifier. One that `compile` makes is kept, but for one that is larger than all that may be held. */
  ask<T>(key: K, compile: () => Classifier, ask: (classifier: Classifier) => T): T {
    const held = this.get(key);
    if (held) return ask(held);
    const made = compile();
    try {
      return ask(made);
    } finally {
      if (!this.set(key, made).has(key)) made.free();
    }
  }
}
