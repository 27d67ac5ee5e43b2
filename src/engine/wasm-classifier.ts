// A network under one mask, on the machine. Networks of dense layers have programs of their own; wasm-conv-inference.ts has the others.
//
// Which arithmetic serves a classifier is a rule over the file alone, never over timing or batch:
//   signed constants, whole pixels, bounds within i32   integer program: signed adds, i16 where bounds allow      wasm-integer.ts
//   otherwise, a mask that keeps under a third          f32 over the kept weights                                 wasm-kept.ts
//   otherwise                                           f32 over the non-zero inputs, dense masked weights        wasm-inference.ts
// The two f32 forms sum the same terms in the same order (engine.ts), so the rule decides speed, not bits.

import { checkMask, fullMask, isDense, isSignedConstant, type Mask, type Network, type Placed, totalKept, weighted } from '../network.js';
import { integerProgram } from './bounds.js';
import { checkInputs, checkParameters } from './checks.js';
import { type Classifier, type ClassifierOptions, type InputTransform, PIXELS } from './engine.js';
import type { Machine } from './machine.js';
import { regenerateLayer } from './regenerate.js';
import { createConvClassifier } from './wasm-conv-inference.js';
import { byNonzeroInputs, type FloatNetwork, type Program } from './wasm-inference.js';
import { integerProgramOf, listable } from './wasm-integer.js';
import { byKeptWeights } from './wasm-kept.js';

/** Null where an integer program is too wide for the kernels. */
export function createClassifier(machine: Machine, network: Network, options: ClassifierOptions = {}): Classifier | null {
  return isDense(network) ? classifier(machine, network, options) : createConvClassifier(machine, network, options);
}

function classifier(machine: Machine, network: Network, options: ClassifierOptions): Classifier | null {
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
