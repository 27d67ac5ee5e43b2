// A task as named arrays, for programs that do their own arithmetic: safetensors and NPZ. Both hold the regenerated weights before the
// mask, the mask as a byte a weight, and what regenerates and scales them.
//
//   features.low, .scale  f32 [inputs], where raw inputs are numbers (FORMAT.md)
//   constant              uint8 [inputs], where inputs are declared constant: 1 for those whose raw value counts as 0
//   layers.i.weight  f32, dense [out, in], conv [out, k, k, in]      layers.i.mask  uint8 of that shape, 1 kept

import { type Tensor, writeSafetensors } from '../codec/index.js';
import { checkTaskMask } from '../codec/networks.js';
import { describe, inputs, keptBytes, type Mask, type Network, regenerate, weightShapes } from '../src/network.js';
import { formatSeed, keyOf } from '../src/random.js';
import type { ExportedTask } from './floats.js';
import { type NumpyArray, writeNpz } from './npz.js';

function tensorsOf(network: Network, { mask, transform: { features, constant } }: ExportedTask): [string, Tensor][] {
  checkTaskMask(network, mask, 'the mask');
  const weights = regenerate(network);
  const arrays = features ? Object.entries({ low: features.low, scale: features.scale }) : [];
  const numbers = arrays.map(([name, values]): [string, Tensor] => [`features.${name}`, { shape: [values.length], values }]);
  const width = inputs(network);
  const declared = constant && { shape: [width], values: keptBytes(constant, width) };
  return [...numbers, ...(declared ? [['constant', declared] as [string, Tensor]] : []), ...layersOf(network, mask, weights)];
}

function layersOf(network: Network, mask: Mask, weights: readonly Float32Array[]): [string, Tensor][] {
  return weightShapes(network).flatMap((shape, i): [string, Tensor][] => [
    [`layers.${i}.weight`, { shape, values: weights[i] }],
    [`layers.${i}.mask`, { shape, values: keptBytes(mask[i], weights[i].length) }],
  ]);
}

/** A safetensors file; its metadata is texts: network, seed, distribution, sigma, scale and mean of the inputs, logitScale, labels, columns. */
export const toSafetensors = (network: Network, task: ExportedTask): Uint8Array =>
  writeSafetensors(tensorsOf(network, task), {
    network: describe(network),
    seed: formatSeed(network.seed),
    distribution: network.distribution,
    sigma: String(network.sigma),
    scale: String(task.transform.scale),
    mean: String(task.transform.mean),
    logitScale: String(task.logitScale),
    labels: JSON.stringify(task.labels),
    ...(task.transform.features?.names && { columns: JSON.stringify(task.transform.features.names) }),
  });

/**
 * An .npz file: the arrays, and `seed` (uint64), `input` (int32 [height, width, channels]), `scale`, `mean` and `logitScale` (f32), `labels`
 * and, where numbers have names, `columns` (texts).
 */
export function toNpz(network: Network, task: ExportedTask): Uint8Array {
  const number = (value: number): NumpyArray => ({ shape: [], values: Float32Array.of(value) });
  const names = task.transform.features?.names;
  const seed = BigUint64Array.of(keyOf(network.seed));
  return writeNpz([
    ...tensorsOf(network, task),
    ['seed', { shape: [], values: seed }],
    ['input', { shape: [3], values: Int32Array.from(network.input) }],
    ['scale', number(task.transform.scale)],
    ['mean', number(task.transform.mean)],
    ['logitScale', number(task.logitScale)],
    ['labels', task.labels],
    ...(names ? [['columns', names] as const] : []),
  ]);
}
