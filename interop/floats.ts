// A task as a dense network of floats, the form that other programs take: pruned weights are 0, everything is written out.
//
// A network that is an integer program stays one: its weights become +1, -1 and 0 and one factor at the end makes the logits real.
// Sums of whole numbers below 2^24 are exact in f32 in any order, so other programs agree with ours to the last factor, ties included.

import { SeedmaskError, type Task } from '../codec/index.js';
import { checkTaskMask } from '../codec/networks.js';
import { integerProgram } from '../src/engine/bounds.js';
import type { InputTransform } from '../src/engine/engine.js';
import { type Architecture, inputs, kept, maskedWeights, type Network, regenerate, weighted } from '../src/network.js';

/** What is exported of a task: the rest of it is provenance. */
export type ExportedTask = Pick<Task, 'mask' | 'transform' | 'labels' | 'logitScale'>;

/** logits = factor x layers((x - mean) x scale). */
export interface FloatModel extends Architecture {
  /** Canonical order, one array a weighted layer; 0 where pruned. */
  readonly weights: readonly Float32Array[];
  /** One vector a weighted layer, or null for none. */
  readonly biases: readonly Float32Array[] | null;
  readonly transform: InputTransform;
  readonly factor: number;
}

/** The least float32 with all its digits. */
const LEAST = 2 ** -126;

/**
 * @throws SeedmaskError bad-task for the mask of another network; no-export when constant inputs lie under a convolution, or float32 has no
 * room for the factor
 */
export function floatModel(network: Network, task: ExportedTask): FloatModel {
  const { transform, mask } = task;
  checkTaskMask(network, mask, 'the mask');
  const program = integerProgram(network, mask, transform);
  const factor = program ? program.scale : 1;
  if (!(factor >= LEAST && Number.isFinite(Math.fround(factor))))
    throw new SeedmaskError('no-export', {
      field: 'the task',
      got: `a factor of ${factor} at its logits`,
      expected: 'factors within float32',
    });
  const weights = maskedWeights(regenerate(network), mask).map((layer) => (program ? layer.map(Math.sign) : layer));
  return {
    input: network.input,
    layers: network.layers,
    weights,
    biases: withoutConstants(network, task, weights),
    transform: program ? { scale: 1, mean: 0 } : { scale: transform.scale, mean: transform.mean },
    factor,
  };
}

/** Inputs declared constant leave the weights, and what they add becomes biases; null when that is nothing. */
function withoutConstants(network: Network, { transform }: ExportedTask, weights: readonly Float32Array[]): Float32Array[] | null {
  const { constant, scale, mean } = transform;
  if (!constant) return null;
  checkConstants(network, constant);
  const biases = weighted(network).map(({ output }) => new Float32Array(output[2]));
  const width = inputs(network);
  const value = Math.fround(Math.fround(0 - mean) * scale);
  weights[0].forEach((w, i) => {
    if (!kept(constant, i % width)) return;
    weights[0][i] = 0;
    biases[0][Math.floor(i / width)] += w * value;
  });
  return value === 0 ? null : biases;
}

/** Throws SeedmaskError no-export unless the layer that reads constant inputs gives each of them weights of its own. */
export function checkConstants(network: Architecture, constant: Uint8Array | null): void {
  if (constant?.some((bits) => bits !== 0) && network.layers[0].kind !== 'dense')
    throw new SeedmaskError('no-export', {
      field: 'the input transform',
      got: 'constant inputs under a convolution',
      expected: 'dense layers there',
    });
}
