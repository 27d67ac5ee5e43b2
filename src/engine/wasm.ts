// The default engine: WebAssembly SIMD kernels, one or more threads, same bits everywhere. Networks of dense layers have programs of
// their own (below); networks with convolutions or pools are served by wasm-conv.ts.
//
// Which arithmetic serves a classifier is a rule over the file alone, never over timing or batch:
//   signed constants, whole pixels, bounds within i32   integer program: signed adds, i16 where bounds allow      wasm-integer.ts
//   otherwise, a mask that keeps under a third          f32 over the kept weights                                 wasm-kept.ts
//   otherwise                                           f32 over the non-zero inputs, dense masked weights        wasm-inference.ts
// The two f32 forms sum the same terms in the same order (engine.ts), so the rule decides speed, not bits.

import { parallelism } from '#workers';
import { checkMask, fullMask, isSignedConstant, type Mask, type Network, type Placed, totalKept, weighted } from '../network.js';
import { integerProgram } from './bounds.js';
import { checkInputs, checkParameters } from './checks.js';
import { type Classifier, type ClassifierOptions, type Engine, type InputTransform, PIXELS } from './engine.js';
import { Machine } from './machine.js';
import { createReferenceEngine } from './reference.js';
import { regenerateLayer } from './regenerate.js';
import { createConvBernoulliTrainer } from './wasm-conv-bernoulli.js';
import { createConvClassifier } from './wasm-conv-inference.js';
import { createConvDenseTrainer, createConvTopkTrainer } from './wasm-conv-training.js';
import { byNonzeroInputs, type FloatNetwork, type Program } from './wasm-inference.js';
import { integerProgramOf, listable } from './wasm-integer.js';
import { byKeptWeights } from './wasm-kept.js';
import { createAnyMask } from './wasm-packed.js';
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
    classifier: (...args) => classifier(machine, ...args) ?? reference.classifier(...args),
    denseTrainer: (...args) => createDenseTrainer(machine, ...args),
    topkTrainer: (...args) => createTopkTrainer(machine, ...args),
    bernoulliTrainer: (...args) => createBernoulliTrainer(machine, ...args),
  };
  const conv: Makers = {
    classifier: (...args) => createConvClassifier(machine, ...args),
    denseTrainer: (...args) => createConvDenseTrainer(machine, ...args),
    topkTrainer: (...args) => createConvTopkTrainer(machine, ...args),
    bernoulliTrainer: (...args) => createConvBernoulliTrainer(machine, ...args),
  };
  /** What makes something for a network: programs of dense layers, or of images. */
  const serve = (network: Network) => (network.layers.every((layer) => layer.kind === 'dense') ? dense : conv);
  return {
    name: 'wasm',
    threads,
    get memoryBytes() {
      return machine.bytes;
    },
    classifier: (network, ...rest) => serve(network).classifier(network, ...rest),
    anyMask: (network, transform) => createAnyMask(machine, network, transform),
    denseTrainer: (network, ...rest) => serve(network).denseTrainer(network, ...rest),
    topkTrainer: (network, ...rest) => serve(network).topkTrainer(network, ...rest),
    bernoulliTrainer: (network, ...rest) => serve(network).bernoulliTrainer(network, ...rest),
    close: () => machine.close(),
  };
}

/** Null where an integer program is too wide for the kernels. */
function classifier(machine: Machine, network: Network, options: ClassifierOptions = {}): Classifier | null {
  const { mask = fullMask(network, true), transform = PIXELS, parameters } = options;
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const layers = weighted(network);
  const compiled = parameters ? null : compileIntegers(machine, network, layers, mask, transform);
  if (compiled && !compiled.program) return null;
  const integers = compiled?.program ?? null;
  const floats = lazily(() => {
    const weights = parameters?.weights ?? layers.map((layer) => regenerateLayer(machine, network, layer));
    return floatProgram(machine, { layers, weights, biases: parameters?.biases ?? null, mask, transform });
  });
  const { bytes } = integers ?? floats.get();
  const inputs = layers[0].fanIn;
  const outputs = layers.at(-1)!.output[2];
  return {
    arithmetic: integers ? 'integer' : 'float',
    scale: compiled?.scale ?? 1,
    inputs,
    outputs,
    bytes,
    logits(values, rows) {
      checkInputs(values, rows, inputs);
      const run = integers && values instanceof Uint8Array ? integers : floats.get();
      const out = integers && values instanceof Uint8Array ? new Int32Array(rows * outputs) : new Float32Array(rows * outputs);
      if (rows <= run.capacity) run.chunk(values, rows, out);
      else
        for (let row = 0; row < rows; row += run.capacity) {
          const count = Math.min(run.capacity, rows - row);
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

/** The weights are needed for their signs, and let go again. */
function compileIntegers(machine: Machine, network: Network, layers: readonly Placed[], mask: Mask, transform: InputTransform) {
  if (!isSignedConstant(network)) return null;
  const weights = layers.map((layer) => regenerateLayer(machine, network, layer));
  const integers = integerProgram(network, mask, transform, weights);
  if (!integers) return null;
  return { scale: integers.scale, program: listable(layers) ? integerProgramOf(machine, layers, weights, mask, integers.bounds) : null };
}

function floatProgram(machine: Machine, network: FloatNetwork): Program {
  const total = network.layers.reduce((sum, layer) => sum + layer.weights, 0);
  const sparse = totalKept(network.mask) * 3 < total && network.layers.every((layer) => layer.fanIn <= 65535 && layer.output[2] <= 65535);
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
