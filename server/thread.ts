// What a worker thread of the server does: one job after the other, each a message in and a message out. It decodes masks, reads large JSON, finds
// the task of rows that name none and, for networks too large for the event loop, computes logits with an engine of its own. It keeps
// compiled tasks, and the masks it was asked to choose from last.

import { parentPort, workerData } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { SeedmaskError } from '../codec/errors.js';
import type { StoredTask } from '../codec/index.js';
import type { Classifier, Engine, InputTransform } from '../src/engine/engine.js';
import { unpackMask } from '../src/engine/packed.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { createTaskInference, type InferMethod, type TaskInference } from '../src/masks/infer-task.js';
import type { Network, Shape } from '../src/network.js';
import { decodeMask } from './decode.js';
import type { MaskBlock } from './finder.js';

export type Job =
  | { readonly kind: 'decode'; readonly network: Network; readonly stored: StoredTask; readonly place: number }
  | {
      readonly kind: 'logits';
      /** Names the task: another mask has another one. */
      readonly key: number;
      readonly network: Network;
      readonly packed: Uint8Array;
      readonly transform: InputTransform;
      readonly values: Uint8Array | Float32Array;
      readonly rows: number;
    }
  | { readonly kind: 'decode-json'; readonly body: Uint8Array; readonly shape: Shape; readonly limit: number }
  | ({
      readonly kind: 'infer-task';
      readonly values: Uint8Array | Float32Array;
      readonly rows: number;
      readonly method: InferMethod;
    } & MaskBlock);

/** Not a job: what a thread holds for 'infer-task' is not needed any more. It is not answered. */
export interface Forget {
  readonly kind: 'forget';
}

/** Answer of 'logits'. */
export interface Logits {
  readonly logits: Int32Array | Float32Array;
  readonly outputs: number;
  /** Real value of one step of the logits. */
  readonly scale: number;
}

/** What comes back: a value, an expected failure, or the text of another. */
export type Reply =
  | { readonly value: unknown }
  | { readonly code: SeedmaskError['code']; readonly details: SeedmaskError['details'] }
  | { readonly fault: string };

/** What the thread was started with. */
export interface ThreadData {
  /** Bytes that compiled tasks may hold together. */
  readonly compiledLimit: number;
}

/** Does jobs; holds an engine from the first 'logits' on. */
class Thread {
  readonly #compiled: LRUCache<number, Classifier>;
  #engine: Promise<Engine> | undefined;
  /** Of the block asked last. */
  #inference: { readonly key: number; readonly of: TaskInference } | undefined;

  constructor({ compiledLimit }: ThreadData) {
    this.#compiled = new LRUCache({
      maxSize: compiledLimit,
      sizeCalculation: ({ bytes }) => Math.max(1, bytes),
      dispose: (classifier) => classifier.free(),
    });
  }

  async run(job: Job): Promise<{ readonly value: unknown; readonly moved: ArrayBuffer[] }> {
    if (job.kind === 'decode') {
      const value = decodeMask(job.network, job.stored, job.place);
      return { value, moved: [value.packed.buffer] };
    }
    if (job.kind === 'decode-json') {
      // Schemas take a while to load, and most threads never need them.
      const { decodeClassify } = await import('./content.js');
      const value = decodeClassify(job.body, 'application/json', job);
      return { value, moved: [value.rows.values.buffer as ArrayBuffer] };
    }
    if (job.kind === 'infer-task') {
      const began = performance.now();
      const guess = this.#inferenceOf(job).infer(job.values, job.rows, job.method);
      return { value: { guess, ms: performance.now() - began }, moved: [] };
    }
    this.#engine ??= createWasmEngine({ threads: 1 });
    const engine = await this.#engine;
    const { key, network, packed, transform, values, rows } = job;
    const held = this.#compiled.get(key);
    const classifier = held ?? engine.classifier(network, { mask: unpackMask(network, packed), transform });
    try {
      const logits = classifier.logits(values, rows);
      const value: Logits = { logits, outputs: classifier.outputs, scale: logits instanceof Int32Array ? classifier.scale : 1 };
      return { value, moved: [logits.buffer as ArrayBuffer] };
    } finally {
      if (!held) {
        this.#compiled.set(key, classifier);
        // One that is larger than all that may be held is not taken.
        if (!this.#compiled.has(key)) classifier.free();
      }
    }
  }

  forget(): void {
    this.#inference = undefined;
  }

  #inferenceOf({ key, network, transform, bytes, count }: MaskBlock): TaskInference {
    if (this.#inference?.key === key) return this.#inference.of;
    const length = bytes.byteLength / count;
    const masks = Array.from({ length: count }, (_, i) => new Uint8Array(bytes, i * length, length));
    this.#inference = { key, of: createTaskInference(network, masks, { transform }) };
    return this.#inference.of;
  }
}

const port = parentPort;
if (port) {
  const thread = new Thread(workerData as ThreadData);
  port.on('message', async (job: Job | Forget) => {
    if (job.kind === 'forget') return thread.forget();
    try {
      const { value, moved } = await thread.run(job);
      port.postMessage({ value } satisfies Reply, moved);
    } catch (error) {
      const reply: Reply =
        error instanceof SeedmaskError
          ? { code: error.code, details: error.details }
          : { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
      port.postMessage(reply);
    }
  });
}
