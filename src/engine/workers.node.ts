// Starts kernel threads in Node. Behind the package import '#workers'; its browser twin is workers.browser.ts.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

export interface KernelThreads {
  /** Resolves when every thread waits for work. */
  readonly ready: Promise<void>;
  terminate(): void;
}

/** Word of the control block (assembly/threads.ts) that a thread sets when a kernel traps in it: it comes to no barrier any more. */
const FAILED = 4;

/** A thread instantiates the module over the shared memory and serves tapes: thread 1 .. threads-1 (0 is the caller). */
export function startWorkers(module: WebAssembly.Module, memory: WebAssembly.Memory, control: number, threads: number): KernelThreads {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { module, memory, control, thread, threads } = workerData;
    const wait = (address, value) => Atomics.wait(new Int32Array(memory.buffer), address >> 2, value);
    const { exports } = new WebAssembly.Instance(module, { env: { memory, wait } });
    parentPort.postMessage('ready');
    try { exports.serve(control, thread, threads); }
    catch { Atomics.store(new Int32Array(memory.buffer), (control >> 2) + ${FAILED}, 1); }`;
  const workers: Worker[] = [];
  const started = (_: unknown, i: number) =>
    new Promise<void>((resolve, reject) => {
      const workerData = { module, memory, control, thread: i + 1, threads };
      // Without this process's own options: --input-type=module would be about the source above too. Throws where the system has no thread.
      const worker = new Worker(source, { eval: true, execArgv: [], workerData });
      workers.push(worker);
      worker.once('error', reject);
      worker.once('message', () => {
        // A waiting thread does not keep the process alive; starting ones do.
        worker.unref();
        resolve();
      });
    });
  const ready = Promise.all(Array.from({ length: threads - 1 }, started));
  return {
    ready: ready.then(() => undefined),
    terminate: () => {
      for (const worker of workers) void worker.terminate();
    },
  };
}

/** Threads this machine can run at once. */
export const parallelism = (): number => availableParallelism();

/**
 * What the starting thread does while it waits at a barrier.
 * @param address of the barrier's generation, word 1 of the control block
 * @throws Error within a second when a kernel has trapped in another thread, which will not come
 */
export const wait = (memory: WebAssembly.Memory, address: number, value: number): void => {
  const words = new Int32Array(memory.buffer);
  Atomics.wait(words, address >> 2, value, 1000);
  if (Atomics.load(words, (address >> 2) - 1 + FAILED)) throw new Error('a kernel failed in another thread');
};
