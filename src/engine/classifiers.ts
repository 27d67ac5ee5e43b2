// An engine that classifies and does not train: what a page loads. The same programs and bits as the engine of wasm.ts, over kernels
// that leave training out.

import { parallelism } from '#workers';
import { untilFreed } from './checks.js';
import type { Engine } from './engine.js';
import { CLASSIFY } from './kernels-classify.js';
import { createClassifier } from './wasm/classifier.js';
import { Machine } from './wasm/machine.js';

export type Classifiers = Pick<Engine, 'threads' | 'classifier' | 'close'>;

/**
 * Compiles the kernels and starts the threads.
 * @param options.threads default 1; at most what the machine or the page can run at once. From 2 on all kernels are loaded.
 */
export async function createClassifiers(options: { threads?: number } = {}): Promise<Classifiers> {
  const threads = Math.max(1, Math.min(options.threads ?? 1, parallelism()));
  const machine = await Machine.create(threads, threads > 1 ? (await import('./kernels.js')).KERNELS.shared : CLASSIFY);
  return {
    threads,
    classifier: (...args) => untilFreed('classifier', createClassifier(machine, ...args)),
    close: () => machine.close(),
  };
}
