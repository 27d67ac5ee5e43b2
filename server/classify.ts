// Rows in, probabilities out, without holding up the event loop: a task's mask is compiled by the engine at its first request, kept
// in a byte-capped cache (least recently used goes first), and run a chunk of rows at a time with a turn of the loop in between.
//
// Only the first labels.length outputs are classes. probabilities = softmax(logitScale x logits), in f64 with the exact exponential
// of src/exact.ts, rounded to f32 once: the same bits on every machine. The label is read from the logits, ties to the lower index.

import { SeedmaskError } from '../codec/errors.js';
import { withConstants } from '../src/data.js';
import type { Classifier, Engine } from '../src/engine/engine.js';
import { exp } from '../src/exact.js';
import { inputs } from '../src/network.js';
import type { Rows } from './rows.js';
import type { Version } from './store.js';

/** Answers for `rows` samples, sample-major. */
export interface Classified {
  readonly rows: number;
  /** Names of the classes, in output order. */
  readonly labels: readonly string[];
  /** Index into `labels` per row. */
  readonly best: Uint32Array;
  /** rows x labels.length. */
  readonly probabilities: Float32Array;
}

/** Rows of one chunk at most, and the milliseconds a chunk should take: the event loop waits no longer. */
const CHUNK_ROWS = 256;
const CHUNK_MS = 4;

/** A compiled task. `users` requests are running on it; a dropped one is freed by its last user. */
interface Compiled {
  readonly classifier: Classifier;
  readonly bytes: number;
  users: number;
  dropped: boolean;
  /** Rows that lately took no more than CHUNK_MS. */
  chunk: number;
}

/** The compiled tasks of one server. */
export class Classifiers {
  readonly #engine: Engine;
  readonly #cap: number;
  /** In order of last use, oldest first. */
  readonly #compiled = new Map<Version, Compiled>();
  #bytes = 0;

  /** @param cap bytes that compiled tasks may hold together; the one in use is never refused */
  constructor(engine: Engine, cap: number) {
    this.#engine = engine;
    this.#cap = cap;
  }

  /** Tasks compiled now, and the bytes they are charged for. */
  get size(): { readonly tasks: number; readonly bytes: number } {
    return { tasks: this.#compiled.size, bytes: this.#bytes };
  }

  /** Classifies rows of raw values under one task. @param rows values of rows.count x inputs */
  async classify(version: Version, rows: Rows): Promise<Classified> {
    const { labels, logitScale, transform } = version.task;
    const width = inputs(version.network);
    const best = new Uint32Array(rows.count);
    const probabilities = new Float32Array(rows.count * labels.length);
    const compiled = this.#lease(version);
    try {
      const { classifier } = compiled;
      for (let first = 0; first < rows.count; ) {
        if (first > 0) await new Promise(setImmediate);
        const started = performance.now();
        const count = Math.min(compiled.chunk, rows.count - first);
        const raw = rows.values.subarray(first * width, (first + count) * width);
        const values = transform.constant ? withConstants(raw, transform.constant, width) : raw;
        const logits = classifier.logits(values, count);
        const scale = logits instanceof Int32Array ? classifier.scale * logitScale : logitScale;
        for (let row = 0; row < count; row++) {
          const from = row * classifier.outputs;
          best[first + row] = softmax(logits, from, labels.length, scale, probabilities, (first + row) * labels.length);
        }
        first += count;
        const took = performance.now() - started;
        if (took > CHUNK_MS) compiled.chunk = Math.max(1, compiled.chunk >> 1);
        else if (count === compiled.chunk && took < CHUNK_MS / 2) compiled.chunk = Math.min(CHUNK_ROWS, compiled.chunk * 2);
      }
    } finally {
      compiled.users--;
      if (compiled.dropped && compiled.users === 0) compiled.classifier.free();
    }
    return { rows: rows.count, labels, best, probabilities };
  }

  /** The compiled form of a task, made if need be, as the most recently used one. */
  #lease(version: Version): Compiled {
    const held = this.#compiled.get(version);
    if (held) {
      this.#compiled.delete(version);
      this.#compiled.set(version, held);
      held.users++;
      return held;
    }
    const { mask, transform } = version.task;
    const classifier = this.#engine.classifier(version.network, { mask, transform: { scale: transform.scale, mean: transform.mean } });
    const { bytes } = classifier;
    for (const [oldest, entry] of this.#compiled) {
      if (this.#bytes + bytes <= this.#cap) break;
      this.#compiled.delete(oldest);
      this.#bytes -= entry.bytes;
      entry.dropped = true;
      if (entry.users === 0) entry.classifier.free();
    }
    const compiled: Compiled = { classifier, bytes, users: 1, dropped: false, chunk: 16 };
    this.#compiled.set(version, compiled);
    this.#bytes += bytes;
    return compiled;
  }
}

/**
 * Writes softmax(scale x logits[from .. from + n - 1]) to out[at ..] and returns the index of the largest logit.
 * @throws SeedmaskError bad-value when huge inputs have overflowed the logits
 */
function softmax(logits: Int32Array | Float32Array, from: number, n: number, scale: number, out: Float32Array, at: number): number {
  let best = 0;
  for (let i = 1; i < n; i++) if (logits[from + i] > logits[from + best]) best = i;
  const top = logits[from + best];
  const terms = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    terms[i] = exp((logits[from + i] - top) * scale);
    sum += terms[i];
  }
  if (Number.isNaN(sum)) {
    throw new SeedmaskError('bad-value', {
      field: 'a row',
      expected: 'raw values, such as pixels 0..255',
      got: 'too large for f32 logits',
    });
  }
  for (let i = 0; i < n; i++) out[at + i] = terms[i] / sum;
  return best;
}
