// What was trained, in a folder, a safetensors file each with its name inside: weights that several cells start from, and how far a cell or
// a training came that is under way. Of iterative pruning it is the last round, with the rows up to it; of weights and of a learned mask it
// is the state between two epochs: what the optimiser carries, and the best mask so far.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, SeedmaskError, type Tensor, type TensorFile, writeSafetensors } from '../codec/index.js';
import { RESULT } from '../experiments/cells/cell.js';
import type { Begun, Shelf } from '../experiments/cells/lab.js';
import type { SharedShelf } from '../experiments/sweep/pool.js';
import { keptBytes, type Network, type Parameters, weighted } from '../src/network.js';
import type { DenseRun, MaskRun } from '../src/train.js';
import type { Resumable } from '../src/training-options.js';
import { makeFolder, writeFileSafely } from './files.js';
import { warn } from './progress.js';
import { bitsOf, fromTensors, pickTensor, toTensors } from './rounds.js';

/** What stands beside a round's tensors. */
const BEGUN = z.object({ valAccuracy: z.number(), rows: RESULT.shape.rows });

/** Values a layer, one a weight or one a unit. */
type Arrays = readonly Tensor['values'][];

/** How a training under way is stored: arrays by name, and what stands beside them. */
interface Form<Run> {
  readonly write: (run: Run) => { readonly arrays: Readonly<Record<string, Arrays>>; readonly about: object };
  /** @param all the arrays of a name: one value a weight, or a unit */
  readonly read: (about: unknown, all: <T extends Tensor['values']>(name: string, ofUnits?: boolean) => T[]) => Run;
}

const ABOUT_MASK = z.object({ epoch: z.int().min(1), best: z.object({ epoch: z.int().min(0), valAccuracy: z.number() }) });
const MASK: Form<MaskRun> = {
  write: ({ epoch, scores, velocities, best: { mask, ...best } }) => ({
    arrays: {
      ...{ score: scores, velocity: velocities },
      ...(best.epoch > 0 && { mask: mask.map((bits, i) => keptBytes(bits, scores[i].length)) }),
    },
    about: { epoch, best },
  }),
  read(about, all) {
    const { epoch, best } = ABOUT_MASK.parse(about);
    const mask = best.epoch > 0 ? all<Uint8Array>('mask').map(bitsOf) : [];
    return { epoch, scores: all('score'), velocities: all('velocity'), best: { ...best, mask } };
  },
};

const POWER = z.number().min(0).lt(1);
const ABOUT_WEIGHTS = z.object({ epoch: z.int().min(1), valAccuracy: z.number(), powers: z.tuple([POWER, POWER]) });
const WEIGHTS: Form<DenseRun> = {
  write: ({ epoch, valAccuracy, weights, biases, moments: { first, second, powers } }) => ({
    arrays: {
      ...{ weight: weights, 'weight.first': first.weights, 'weight.second': second.weights },
      ...{ bias: biases!, 'bias.first': first.biases!, 'bias.second': second.biases! },
    },
    about: { epoch, valAccuracy, powers },
  }),
  read(about, all) {
    const { powers, ...rest } = ABOUT_WEIGHTS.parse(about);
    const both = (of = ''): Parameters => ({ weights: all(`weight${of}`), biases: all(`bias${of}`, true) });
    return { ...rest, ...both(), moments: { first: both('.first'), second: both('.second'), powers } };
  },
};

/** Milliseconds between two stores of a training under way: an epoch of a small network takes less than writing it would be worth. */
const EVERY = 20_000;

/** A file that is damaged, or is of another network or seed, counts as forgotten: what it held is trained again and stored over it. */
export function shelfIn(folder: string, { every = EVERY } = {}): Shelf & SharedShelf {
  let last = performance.now();
  let told = false;
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
      if (!(error instanceof SeedmaskError && error.code === 'cannot-write')) throw error;
      // A shelf that forgets costs time alone; where results have no room either, whoever keeps them says so.
      if (!told) warn(`${error.message}: training goes on, but what it has come to is lost if it is stopped`);
      told = true;
    }
  }
  /** Trainings of one form on their way. */
  const underWay =
    <Run>(form: Form<Run>) =>
    (name: string, network: Network): Resumable<Run> => {
      const file = found(name);
      return {
        begun: file && intact(() => form.read(JSON.parse(file.metadata.get('begun') ?? ''), reader(network, file))),
        onEpoch(run) {
          if (performance.now() - last < every) return;
          const { arrays, about } = form.write(run());
          const tensors = Object.entries(arrays).flatMap(([kind, layers]) =>
            layers.map((values, i): [string, Tensor] => [`layers.${i}.${kind}`, { shape: [values.length], values }]),
          );
          write(name, tensors, { begun: JSON.stringify(about) });
          last = performance.now();
        },
      };
    };
  return {
    folder,
    weights: underWay(WEIGHTS),
    masks: underWay(MASK),
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

/** Reads arrays of a file by their name. */
const reader =
  (network: Network, { tensors }: TensorFile) =>
  <T extends Tensor['values']>(name: string, ofUnits = false): T[] =>
    weighted(network).map(({ weights, output }, i) => {
      const field = `layers.${i}.${name}`;
      const values = pickTensor<T>(tensors, field, ofUnits ? output[2] : weights);
      if (values.every(Number.isFinite)) return values;
      throw new SeedmaskError('bad-tensors', { field, expected: 'finite values', got: 'others' });
    });

/** What reading gives; undefined where it finds something else than was written. */
function intact<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SeedmaskError || error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
