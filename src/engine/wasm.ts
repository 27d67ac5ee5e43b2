// The default engine: WebAssembly SIMD kernels, one or more threads, same bits everywhere. Networks of dense layers have programs of
// their own; networks with convolutions or pools are served by wasm/conv.ts.

import { parallelism } from '#workers';
import { isDense, type Network } from '../network.js';
import { untilFreed } from './checks.js';
import type { Engine } from './engine.js';
import { KERNELS } from './kernels.js';
import { createClassifier } from './wasm/classifier.js';
import { createConvBernoulliTrainer } from './wasm/conv-bernoulli.js';
import { createConvDenseTrainer, createConvTopkTrainer } from './wasm/conv-training.js';
import { Machine } from './wasm/machine.js';
import { createAnyMask } from './wasm/packed.js';
import { createBernoulliTrainer, createDenseTrainer, createTopkTrainer } from './wasm/training.js';

/**
 * Compiles the kernels and starts the threads.
 * @param options.threads 1 uses unshared memory; default: what the machine can run at once, at most 8
 */
export async function createWasmEngine(options: { threads?: number } = {}): Promise<Engine> {
  const threads = options.threads ?? Math.min(8, parallelism());
  const machine = await Machine.create(threads, threads > 1 ? KERNELS.shared : KERNELS.single);
  type Makers = Pick<Engine, 'denseTrainer' | 'topkTrainer' | 'bernoulliTrainer'>;
  const dense: Makers = {
    denseTrainer: (...args) => createDenseTrainer(machine, ...args),
    topkTrainer: (...args) => createTopkTrainer(machine, ...args),
    bernoulliTrainer: (...args) => createBernoulliTrainer(machine, ...args),
  };
  const conv: Makers = {
    denseTrainer: (...args) => createConvDenseTrainer(machine, ...args),
    topkTrainer: (...args) => createConvTopkTrainer(machine, ...args),
    bernoulliTrainer: (...args) => createConvBernoulliTrainer(machine, ...args),
  };
  /** What makes something for a network: programs of dense layers, or of images. */
  const serve = (network: Network) => (isDense(network) ? dense : conv);
  return {
    name: 'wasm',
    threads,
    get memoryBytes() {
      return machine.bytes;
    },
    classifier: (...args) => untilFreed('classifier', createClassifier(machine, ...args)),
    anyMask(network, transform) {
      const made = createAnyMask(machine, network, transform);
      return made && untilFreed('network under any mask', made);
    },
    denseTrainer: (network, ...rest) => untilFreed('trainer', serve(network).denseTrainer(network, ...rest)),
    topkTrainer: (network, ...rest) => untilFreed('trainer', serve(network).topkTrainer(network, ...rest)),
    bernoulliTrainer: (network, ...rest) => untilFreed('trainer', serve(network).bernoulliTrainer(network, ...rest)),
    close: () => machine.close(),
  };
}
