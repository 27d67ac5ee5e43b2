// What experiments have trained, in a folder, a safetensors file each with its name inside: weights that several cells start from, and how
// far a cell came that is under way: of iterative pruning its last round, with the rows up to it, of a learned mask scores and velocities.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, SeedmaskError, type Tensor, type TensorFile, writeSafetensors } from '../codec/index.js';
import { RESULT } from '../experiments/cells/cell.js';
import type { Begun, Shelf } from '../experiments/cells/lab.js';
import type { SharedShelf } from '../experiments/sweep/pool.js';
import { keptBytes, type Network, type Parameters, weighted, weightShapes } from '../src/network.js';
import type { MaskRun } from '../src/train.js';
import { makeFolder, writeFileSafely } from './files.js';
import { bitsOf, fromTensors, pickTensor, toTensors } from './rounds.js';

/** What stands beside a round's tensors. */
const BEGUN = z.object({ valAccuracy: z.number(), rows: RESULT.shape.rows });

/** The same beside what a mask is learned from. */
const BEGUN_MASK = z.object({ epoch: z.int().min(1), best: z.object({ epoch: z.int().min(0), valAccuracy: z.number() }) });

/** Milliseconds between two stores of a mask that is learned: an epoch of a small network takes less than writing it would be worth. */
const MASK_EVERY = 20_000;

/** A file that is damaged, or is of another network or seed, counts as forgotten: what it held is trained again and stored over it. */
export function shelfIn(folder: string, { maskEvery = MASK_EVERY } = {}): Shelf & SharedShelf {
  let lastMask = performance.now();
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
    begunMask(name, network) {
      const file = found(name);
      return file && intact(() => begunMaskOf(network, file));
    },
    putBegunMask(name, network, run) {
      if (performance.now() - lastMask < maskEvery) return;
      const { epoch, scores, velocities, best } = run();
      const tensors = weightShapes(network).flatMap((shape, i): [string, Tensor][] => [
        [`layers.${i}.score`, { shape, values: scores[i] }],
        [`layers.${i}.velocity`, { shape, values: velocities[i] }],
        ...(best.epoch > 0 ? [[`layers.${i}.mask`, { shape, values: keptBytes(best.mask[i], scores[i].length) }] as [string, Tensor]] : []),
      ]);
      const about = { epoch, best: { epoch: best.epoch, valAccuracy: best.valAccuracy } };
      write(name, tensors, { begun: JSON.stringify(about) });
      lastMask = performance.now();
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

function begunMaskOf(network: Network, { metadata, tensors }: TensorFile): MaskRun {
  const { epoch, best } = BEGUN_MASK.parse(JSON.parse(metadata.get('begun') ?? ''));
  const all = <T extends Tensor['values']>(kind: string): T[] =>
    weighted(network).map(({ weights }, i) => pickTensor<T>(tensors, `layers.${i}.${kind}`, weights));
  const mask = best.epoch > 0 ? all<Uint8Array>('mask').map(bitsOf) : [];
  const [scores, velocities] = [all<Float32Array>('score'), all<Float32Array>('velocity')];
  if (![...scores, ...velocities].every((layer) => layer.every(Number.isFinite)))
    throw new SeedmaskError('bad-tensors', { field: 'scores and velocities', expected: 'finite', got: 'others' });
  return { epoch, scores, velocities, best: { ...best, mask } };
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
