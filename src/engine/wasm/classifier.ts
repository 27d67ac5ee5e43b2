// A network under one mask, on the machine.
//
// Which arithmetic serves a classifier is a rule over the file alone, never over timing or batch:
//   signed constants, whole pixels, bounds within i32   integer program: signed adds, i16 where bounds allow      integer.ts
//   otherwise, a mask that keeps under a third          f32 over the kept weights                                 kept.ts
//   otherwise                                           f32 over the non-zero inputs, dense masked weights        inference.ts
// The two f32 forms sum the same terms in the same order (engine.ts), so the rule decides speed, not bits. Networks with convolutions
// have one program, in i32 or in f32 by the first rule: conv-inference.ts. So have integers of layers too wide for lists of 16-bit numbers.

import {
  checkMask,
  fullMask,
  inputs,
  isDense,
  isSignedConstant,
  type Mask,
  type Network,
  outputs,
  type Placed,
  totalKept,
  weighted,
} from '../../network.js';
import { integerProgram } from '../bounds.js';
import { checkApplied, checkInputs, checkParameters } from '../checks.js';
import { type Classifier, type ClassifierOptions, type InputTransform, PIXELS } from '../engine.js';
import { convProgram } from './conv-inference.js';
import { byNonzeroInputs, type FloatNetwork, type Program } from './inference.js';
import { integerProgramOf, listable } from './integer.js';
import { byKeptWeights } from './kept.js';
import type { Machine } from './machine.js';
import { regenerateLayer } from './regenerate.js';

/**
 * @throws ShapeError when mask or parameters do not fit
 */
export function createClassifier(machine: Machine, network: Network, options: ClassifierOptions = {}): Classifier {
  const { mask = fullMask(network, true), transform = PIXELS, parameters } = options;
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const layers = weighted(network);
  const compiled = parameters ? null : compileIntegers(machine, network, layers, mask, transform);
  const integers = compiled?.program ?? null;
  // Laid out later, perhaps: the caller's mask may be another by then.
  const own = integers ? mask.map((bits) => bits.slice()) : mask;
  const floats = lazily(() => {
    const weights = parameters?.weights ?? layers.map((layer) => regenerateLayer(machine, network, layer));
    return floatProgram(machine, network, { layers, weights, biases: parameters?.biases ?? null, mask: own, transform });
  });
  const { bytes } = integers ?? floats.get();
  const width = inputs(network);
  const count = outputs(network);
  return {
    scale: compiled?.scale ?? 1,
    inputs: width,
    outputs: count,
    bytes,
    logits(values, rows) {
      checkInputs(values, rows, width);
      checkApplied(values, transform, width);
      const run = integers && values instanceof Uint8Array ? integers : floats.get();
      const out = integers && values instanceof Uint8Array ? new Int32Array(rows * count) : new Float32Array(rows * count);
      if (rows <= run.capacity) run.chunk(values, rows, out);
      else
        for (let row = 0; row < rows; row += run.capacity) {
          const end = Math.min(rows, row + run.capacity);
          run.chunk(values.subarray(row * width, end * width), end - row, out.subarray(row * count, end * count));
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
  const { scale, bounds } = integers;
  if (isDense(network) && listable(layers)) return { scale, program: integerProgramOf(machine, layers, weights, mask, bounds) };
  // Layers too wide for lists: an image of one pixel, so that its channels are not padded one by one.
  const wide: Network = isDense(network) ? { ...network, input: [1, 1, inputs(network)] } : network;
  return { scale, program: convProgram(machine, wide, { layers, weights, biases: null, mask, transform }, 'i32') };
}

function floatProgram(machine: Machine, network: Network, floats: FloatNetwork): Program {
  if (!isDense(network)) return convProgram(machine, network, floats, 'f32');
  const total = floats.layers.reduce((sum, layer) => sum + layer.weights, 0);
  const sparse = totalKept(floats.mask) * 3 < total && floats.layers.every((layer) => layer.fanIn <= 65535 && layer.output[2] <= 65535);
  return sparse ? byKeptWeights(machine, floats) : byNonzeroInputs(machine, floats);
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
