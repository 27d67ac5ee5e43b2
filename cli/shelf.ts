// Trained weights of experiments in a folder, a safetensors file each, with its name inside.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors, SeedmaskError, type Tensor, writeSafetensors } from '../codec/index.js';
import type { Shelf } from '../experiments/cells/lab.js';
import type { Parameters } from '../src/network.js';
import { makeFolder, writeFileSafely } from './files.js';

/** A file that is damaged, or is of another network or seed, counts as forgotten: the weights are trained again and stored over it. */
export function shelfIn(folder: string): Shelf {
  const fileOf = (name: string) => join(folder, `${name}.safetensors`);
  return {
    get(name) {
      let bytes: Uint8Array;
      try {
        bytes = readFileSync(fileOf(name));
      } catch {
        return undefined;
      }
      const found = readable(bytes);
      if (found?.metadata.get('name') !== name) return undefined;
      const all = (kind: string) =>
        Array.from({ length: found.tensors.size / 2 }, (_, i) => found.tensors.get(`layers.${i}.${kind}`)!.values as Float32Array);
      return { weights: all('weight'), biases: all('bias') };
    },
    put(name, { weights, biases }: Parameters) {
      makeFolder(folder);
      const tensors = weights.flatMap((values, i): [string, Tensor][] => [
        [`layers.${i}.weight`, { shape: [values.length], values }],
        [`layers.${i}.bias`, { shape: [biases![i].length], values: biases![i] }],
      ]);
      writeFileSafely(fileOf(name), writeSafetensors(tensors, { name }));
    },
  };
}

function readable(bytes: Uint8Array): ReturnType<typeof readSafetensors> | undefined {
  try {
    return readSafetensors(bytes);
  } catch (error) {
    if (error instanceof SeedmaskError) return undefined;
    throw error;
  }
}
