// The default engine: WebAssembly SIMD kernels, one or more threads, same bits everywhere. Networks of dense layers have programs of
// their own (below); networks with convolutions or pools that end in a dense layer are served by wasm-conv.ts. What is left, images
// as outputs and Bernoulli masks of convolutions, is answered by the reference engine: the same bits, slowly.
//
// Which arithmetic serves a classifier is a rule over the file alone, never over timing or batch:
//   signed constants, whole pixels, bounds within i32   integer program, i16 where a layer's bound fits, else i32 (signed adds)
//   otherwise, a mask that keeps under a quarter, no biases   f32 over the kept weights (lists of each unit's kept weights)
//   otherwise                                           f32 over the non-zero inputs (dense masked weights)
// The two f32 forms sum the same terms in the same order (engine.ts), so the rule decides speed, not bits.

import { parallelism } from '#workers';
import { checkMask, fullMask, type Network, totalKept, weighted } from '../network.js';
import { integerProgram } from './bounds.js';
import { checkInputs, checkParameters } from './checks.js';
import { type Classifier, type ClassifierOptions, type Engine, PIXELS } from './engine.js';
import { Machine } from './machine.js';
import { createReferenceEngine } from './reference.js';
import { regenerateLayer } from './regenerate.js';
import { createConvClassifier } from './wasm-conv-inference.js';
import { createConvDenseTrainer, createConvTopkTrainer } from './wasm-conv-training.js';
import { byKeptWeights, byNonzeroInputs, CHUNK, type FloatNetwork, integerProgramOf, type Program } from './wasm-inference.js';
import { createBernoulliTrainer, createDenseTrainer, createTopkTrainer } from './wasm-training.js';

/**
 * Compiles the kernels and starts the threads.
 * @param options.threads 1 uses unshared memory; default: what the machine can run at once, at most 8
 */
export async function createWasmEngine(options: { threads?: number } = {}): Promise<Engine> {
  const threads = options.threads ?? Math.min(8, parallelism());
  if (!Number.isInteger(threads) || threads < 1 || threads > 64)
    throw new RangeError(`threads must be an integer from 1 to 64, got ${threads}`);
  const machine = await Machine.create(threads);
  const reference = createReferenceEngine();
  type Makers = Pick<Engine, 'classifier' | 'denseTrainer' | 'topkTrainer' | 'bernoulliTrainer'>;
  const dense: Makers = {
    classifier: (...args) => classifier(machine, ...args),
    denseTrainer: (...args) => createDenseTrainer(machine, ...args),
    topkTrainer: (...args) => createTopkTrainer(machine, ...args),
    bernoulliTrainer: (...args) => createBernoulliTrainer(machine, ...args),
  };
  const conv: Makers = {
    classifier: (...args) => createConvClassifier(machine, ...args),
    denseTrainer: (...args) => createConvDenseTrainer(machine, ...args),
    topkTrainer: (...args) => createConvTopkTrainer(machine, ...args),
    bernoulliTrainer: reference.bernoulliTrainer,
  };
  /** What makes something for a network: programs of dense layers, of images, or the reference engine. */
  const serve = (network: Network) => {
    if (network.layers.every((layer) => layer.kind === 'dense')) return dense;
    return network.layers.at(-1)?.kind === 'dense' ? conv : reference;
  };
  return {
    name: 'wasm',
    threads,
    classifier: (network, ...rest) => serve(network).classifier(network, ...rest),
    denseTrainer: (network, ...rest) => serve(network).denseTrainer(network, ...rest),
    topkTrainer: (network, ...rest) => serve(network).topkTrainer(network, ...rest),
    bernoulliTrainer: (network, ...rest) => serve(network).bernoulliTrainer(network, ...rest),
    close: () => machine.close(),
  };
}

function classifier(machine: Machine, network: Network, options: ClassifierOptions = {}): Classifier {
  const { mask = fullMask(network, true), transform = PIXELS, parameters } = options;
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const layers = weighted(network);
  const weights = parameters?.weights ?? layers.map((layer) => regenerateLayer(machine, network, layer));
  const program = parameters ? null : integerProgram(network, mask, transform, weights);
  const floats = lazily(() => floatProgram(machine, { layers, weights, biases: parameters?.biases ?? null, mask, transform }));
  const integers = program ? integerProgramOf(machine, layers, weights, mask, program.bounds) : null;
  const inputs = layers[0].fanIn;
  const outputs = layers.at(-1)!.output[2];
  return {
    arithmetic: program ? 'integer' : 'float',
    scale: program?.scale ?? 1,
    inputs,
    outputs,
    logits(values, rows) {
      checkInputs(values, rows, inputs);
      const run = integers && values instanceof Uint8Array ? integers : floats.get();
      const out = integers && values instanceof Uint8Array ? new Int32Array(rows * outputs) : new Float32Array(rows * outputs);
      for (let row = 0; row < rows; row += CHUNK) {
        const count = Math.min(CHUNK, rows - row);
        run.chunk(values.subarray(row * inputs, (row + count) * inputs), count, out.subarray(row * outputs, (row + count) * outputs));
      }
      return out;
    },
    free() {
      integers?.free();
      floats.made()?.free();
    },
  };
}

function floatProgram(machine: Machine, network: FloatNetwork): Program {
  const total = network.layers.reduce((sum, layer) => sum + layer.weights, 0);
  const sparse = !network.biases && totalKept(network.mask) * 4 < total;
  return sparse ? byKeptWeights(machine, network) : byNonzeroInputs(machine, network);
}

/** The f32 form of an integer program is rarely asked for: it is laid out at the first call. */
function lazily<T>(make: () => T): { get(): T; made(): T | null } {
  let value: T | null = null;
  return {
    get() {
      value ??= make();
      return value;
    },
    made: () => value,
  };
}
