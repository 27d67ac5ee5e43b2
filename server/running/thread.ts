// What a worker thread of the server does: one job after the other, each a message in and a message out. It decodes and writes masks, reads
// large bodies and, for networks too large for the event loop, computes logits with an engine of its own. Between jobs, in slices, it looks
// for the task of rows that name none. It keeps compiled tasks, and the masks it was asked to choose from last.

import { parentPort } from 'node:worker_threads';
import { SeedmaskError } from '../../codec/errors.js';
import { type Engine, stepOf } from '../../src/engine/engine.js';
import { unpackMask } from '../../src/engine/packed.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { decodeMask, maskFile } from '../repository/decode.js';
import { Compiled } from './compiled.js';
import { type Asking, Guesser } from './guess.js';
import type { Job, MaskBlock, Message, Reply, TimedLogits } from './jobs.js';
import { inSlices } from './slices.js';

type Question = Extract<Job, { kind: 'infer-task' }>;

/** Bytes that compiled tasks may hold together. */
const COMPILED_LIMIT = 128 * 1024 * 1024;
/** Milliseconds between two signs of life. */
const SIGN_MS = 250;
const CANCELLED = new Error('the question was cancelled');

/** Does jobs; holds an engine from the first 'logits' on. */
class Thread {
  readonly #compiled = new Compiled<number>(COMPILED_LIMIT);
  #engine: Promise<Engine> | undefined;
  /** Of the block asked last. */
  #held: { readonly key: number; readonly asking: Asking; guesser?: Guesser } | undefined;
  /** Id of the question under way. */
  #question: number | undefined;

  /** @param sign tells that a question is under way */
  async run(id: number, job: Job, sign: () => void): Promise<{ readonly value: unknown; readonly moved: ArrayBuffer[] }> {
    if (job.kind === 'decode') {
      const value = decodeMask(job.network, job.stored, job.place);
      return { value, moved: [value.packed.buffer] };
    }
    if (job.kind === 'mask-file') {
      const value = maskFile(job.network, job.stored, job.place);
      return { value, moved: [value.buffer] };
    }
    if (job.kind === 'read') {
      // Schemas take a while to load, and most threads never need them.
      const { READERS } = await import('../requests/readers.js');
      const value = READERS[job.reader](job.body, job.reading);
      return { value, moved: [value.rows.values.buffer as ArrayBuffer] };
    }
    this.#engine ??= startEngine();
    if (job.kind === 'infer-task') return { value: await this.#guess(id, job, this.#engine, sign), moved: [] };
    const engine = await this.#engine;
    const { key, network, packed, transform, values, rows } = job;
    const compile = () => engine.classifier(network, { mask: unpackMask(network, packed), transform });
    const value = this.#compiled.ask(key, compile, (classifier): TimedLogits => {
      const started = performance.now();
      const logits = classifier.logits(values, rows);
      const ms = performance.now() - started;
      return { logits, outputs: classifier.outputs, scale: stepOf(classifier, logits), ms };
    });
    return { value, moved: [value.logits.buffer as ArrayBuffer] };
  }

  cancel(question: number): void {
    if (this.#question === question) this.#question = undefined;
  }

  drop(key: number): void {
    this.#compiled.delete(key);
  }

  forget(): void {
    this.#held?.guesser?.free();
    this.#held = undefined;
  }

  async #guess(id: number, { block, values, rows, method }: Question, loading: Promise<Engine>, sign: () => void) {
    this.#question = id;
    if ('bytes' in block) {
      this.forget();
      this.#held = { key: block.key, asking: askingOf(block) };
    }
    const held = this.#held;
    if (held?.key !== block.key) throw new Error('it holds other masks than those of the question');
    const engine = await loading;
    const goOn = () => {
      if (this.#question !== id) throw CANCELLED;
    };
    goOn();
    held.guesser ??= new Guesser(held.asking, engine);
    let signed = performance.now();
    const check = () => {
      goOn();
      if (performance.now() < signed + SIGN_MS) return;
      signed = performance.now();
      sign();
    };
    try {
      return await inSlices(held.guesser.steps({ values, count: rows }, method), check);
    } finally {
      if (this.#held !== held) held.guesser.free();
    }
  }
}

/** A thread that gets no engine is of no use: it ends, is lost like any other, and the next one tries again. The job is not answered here. */
async function startEngine(): Promise<Engine> {
  try {
    return await createWasmEngine({ threads: 1 });
  } catch (cause) {
    setImmediate(() => {
      throw new Error(`its engine did not start: ${cause instanceof Error ? cause.message : cause}`, { cause });
    });
    return new Promise<never>(() => undefined);
  }
}

function askingOf({ bytes, logitScales, ...shared }: MaskBlock): Asking {
  const length = bytes.byteLength / logitScales.length;
  return { ...shared, logitScales, masks: Array.from(logitScales, (_, i) => new Uint8Array(bytes, i * length, length)) };
}

const port = parentPort;
if (port) {
  const thread = new Thread();
  const reply = (message: Reply, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);
  port.on('message', async (message: Message) => {
    if (message === 'forget') return thread.forget();
    if ('cancel' in message) return thread.cancel(message.cancel);
    if ('drop' in message) return thread.drop(message.drop);
    const { id, job } = message;
    try {
      const { value, moved } = await thread.run(id, job, () => reply({ id, underWay: true }));
      reply({ id, value }, moved);
    } catch (error) {
      if (error === CANCELLED) return;
      if (error instanceof SeedmaskError) reply({ id, code: error.code, details: error.details });
      else reply({ id, fault: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}
