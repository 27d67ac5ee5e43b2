// Starts kernel threads in a browser. Behind the package import '#workers'; its Node twin is workers.node.ts. A page that is not
// cross-origin isolated has no SharedArrayBuffer, so one thread is all it can run.

import type { KernelThreads } from './workers.node.js';

/** A thread instantiates the module over the shared memory and serves tapes: thread 1 .. threads-1 (0 is the caller). */
export function startWorkers(module: WebAssembly.Module, memory: WebAssembly.Memory, control: number, threads: number): KernelThreads {
  const source = `onmessage = ({ data: [module, memory, control, thread, threads] }) => {
    const wait = (address, value) => Atomics.wait(new Int32Array(memory.buffer), address >> 2, value);
    const { exports } = new WebAssembly.Instance(module, { env: { memory, wait } });
    postMessage('ready');
    exports.serve(control, thread, threads);
  };`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const workers: Worker[] = [];
  const started = (_: unknown, i: number) =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(url);
      workers.push(worker);
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage([module, memory, control, i + 1, threads]);
    });
  const ready = Promise.all(Array.from({ length: threads - 1 }, started));
  return {
    ready: ready.then(() => undefined).finally(() => URL.revokeObjectURL(url)),
    terminate: () => {
      for (const worker of workers) worker.terminate();
    },
  };
}

/** Threads this page can run at once. */
export const parallelism = (): number => (globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1);

/** What the starting thread does while it waits at a barrier: a page may not sleep, so it spins; a worker sleeps. */
export const wait = (memory: WebAssembly.Memory, address: number, value: number): void => {
  if (typeof document === 'undefined') Atomics.wait(new Int32Array(memory.buffer), address >> 2, value);
};
