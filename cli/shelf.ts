// What experiments have trained, in a folder, a safetensors file each with its name inside: weights that several cells start from, and of
// every cell of iterative pruning that is under way its last round, with the rows up to it.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, SeedmaskError, type Tensor, type TensorFile, writeSafetensors } from '../codec/index.js';
import { RESULT } from '../experiments/cells/cell.js';
import type { Begun, Shelf } from '../experiments/cells/lab.js';
import type { SharedShelf } from '../experiments/sweep/pool.js';
import type { Network, Parameters } from '../src/network.js';
import { makeFolder, writeFileSafely } from './files.js';
import { fromTensors, toTensors } from './rounds.js';

/** What stands beside a round's tensors. */
const BEGUN = z.object({ valAccuracy: z.number(), rows: RESULT.shape.rows });

/** A file that is damaged, or is of another network or seed, counts as forgotten: what it held is trained again and stored over it. */
export function shelfIn(folder: string): Shelf & SharedShelf {
  const fileOf = (name: string) => join(folder, `${name}.safetensors`);
  function found(name: string): TensorFile | undefined {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(fileOf(name));
    } catch {
      return undefined;
    }
    const file = intact(() => readSafetensors(bytes));
    return file?.metadata.get('name') === name ? file : undefined;
  }
  function write(name: string, tensors: readonly [string, Tensor][], metadata: Record<string, string> = {}): void {
    try {
      makeFolder(folder);
      writeFileSafely(fileOf(name), writeSafetensors(tensors, { name, ...metadata }));
    } catch (error) {
      // A shelf that forgets costs time alone; where results have no room either, whoever keeps them says so.
      if (!(error instanceof SeedmaskError && error.code === 'cannot-write')) throw error;
    }
  }
  return {
    folder,
    get(name) {
      const file = found(name);
      if (!file) return undefined;
      const all = (kind: string) =>
        Array.from({ length: file.tensors.size / 2 }, (_, i) => file.tensors.get(`layers.${i}.${kind}`)!.values as Float32Array);
      return { weights: all('weight'), biases: all('bias') };
    },
    put(name, { weights, biases }: Parameters) {
      const tensors = weights.flatMap((values, i): [string, Tensor][] => [
        [`layers.${i}.weight`, { shape: [values.length], values }],
        [`layers.${i}.bias`, { shape: [biases![i].length], values: biases![i] }],
      ]);
      write(name, tensors);
    },
    begun(name, network) {
      const file = found(name);
      return file && intact(() => begunOf(network, file));
    },
    putBegun(name, network, { last, rows }) {
      write(name, toTensors(network, last), { begun: JSON.stringify({ valAccuracy: last.valAccuracy, rows }) });
    },
    drop(name) {
      try {
        rmSync(fileOf(name), { force: true });
      } catch {
        // It costs room alone.
      }
    },
  };
}

function begunOf(network: Network, { metadata, tensors }: TensorFile): Begun {
  const { valAccuracy, rows } = BEGUN.parse(JSON.parse(metadata.get('begun') ?? ''));
  return { last: fromTensors(network, { round: rows.length - 1, valAccuracy }, tensors), rows };
}

/** What reading gives; undefined where it finds something else than was written. */
function intact<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SeedmaskError || error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
