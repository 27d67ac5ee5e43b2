// A folder of iterative pruning: initial.safetensors once, round-NN.safetensors a round, and rounds.json and rounds.csv about them. A
// round counts when rounds.json names it with its file's SHA-256, and rounds.json is written last: whatever is killed when, the folder
// holds a whole number of rounds, and the run goes on after the last of them. begun-*.safetensors beside them is the training of the next
// round on its way (shelf.ts).
//
// Tensors, i counting the layers with weights: layers.i.weight (after training), layers.i.bias, layers.i.mask (a byte a weight, 1 kept),
// layers.i.start (as the round began). Dense weights are [out, in], conv weights [out, k, k, in].

import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, SeedmaskError, type Tensor, writeSafetensors } from '../codec/index.js';
import {
  bitsWhere,
  keptBytes,
  type Mask,
  type Network,
  regenerate,
  totalKept,
  totalWeights,
  weighted,
  weightShapes,
} from '../src/network.js';
import type { TicketRound } from '../src/tickets.js';
import { sha256 } from './datasets/known.js';
import { checkWritable, makeFolder, readFile, removeLeftOvers, stateOf, writeFileSafely } from './files.js';
import { counted } from './options.js';

/** Everything that decides a run's bytes, as texts and numbers. */
export type Setup = Readonly<Record<string, string | number>>;

const RECORD = z.strictObject({
  round: z.int().nonnegative(),
  /** Kept weights of all layers. */
  kept: z.int().nonnegative(),
  density: z.number(),
  /** After the round's last epoch. */
  valAccuracy: z.number(),
  testAccuracy: z.number(),
  /** Pruning, training and the accuracies on validation rows, by the process that ended the round. */
  seconds: z.number(),
  sha256: z.string(),
});
const RUN = z.strictObject({ setup: z.record(z.string(), z.union([z.string(), z.number()])), rounds: z.array(RECORD) });
export type RoundRecord = z.infer<typeof RECORD>;
type Run = z.infer<typeof RUN>;

const COLUMNS = ['round', 'kept', 'density', 'valAccuracy', 'testAccuracy', 'seconds'] as const;
const LIMIT = 2 ** 20;
/** What rounds.json tells of so many fits the limit. */
export const MOST_ROUNDS = 1000;
const FILES = /^(initial|rounds|round-\d+|begun-[0-9a-f]{12})\.(safetensors|json|csv)$/;
const BEGUN = /^(begun-[0-9a-f]{12})\.safetensors$/;

export interface RunFolder {
  readonly rounds: readonly RoundRecord[];
  /** Names the training of the next round, of this setup alone: rounds.json tells of none before the first round is stored. */
  readonly underWay: string;
  /** The last stored round; undefined when there is none. */
  last(): TicketRound | undefined;
  /** @throws SeedmaskError bad-run when another process has written to the folder since it was opened; cannot-write */
  add(round: TicketRound, result: Pick<RoundRecord, 'testAccuracy' | 'seconds'>): RoundRecord;
  /** Names of trainings on their way, of whatever setup. */
  begun(): string[];
}

/**
 * Opens a folder for a run, new or begun; makes it when it is not there. Every stored round is checked.
 * @throws SeedmaskError bad-run when it holds a run of another setup; broken-run when a round is not as it was stored, or is there without
 * rounds.json; cannot-write
 */
export function openRun(folder: string, network: Network, setup: Setup): RunFolder {
  const index = join(folder, 'rounds.json');
  makeFolder(folder);
  /** As this run left it. */
  let state = stateOf(index);
  const rounds = existsSync(index) ? readRun(index, setup).rounds : [];
  removeLeftOvers(folder, FILES);
  checkWritable(index);
  const fileOf = (round: number) => join(folder, `round-${String(round).padStart(2, '0')}.safetensors`);
  const texts = { network: String(setup['network']), seed: String(setup['seed']) };
  const stored = ({ round, sha256: expected }: RoundRecord): Uint8Array => {
    const file = fileOf(round);
    const bytes = existsSync(file) ? readFile(file) : null;
    const found = bytes && sha256(bytes);
    if (bytes && found === expected) return bytes;
    throw new SeedmaskError('broken-run', {
      field: file,
      got: bytes ? `its SHA-256 is ${found}` : 'it is not there',
      expected: `${expected} by ${index}`,
      hint: `Put the file back; or take round ${round} and all later ones out of ${index}, and they are computed again`,
    });
  };
  for (const record of rounds) stored(record);
  if (rounds.length === 0) checkUnnamed(folder, basename(fileOf(0)));
  const initial = join(folder, 'initial.safetensors');
  /** Written where it is not there or holds something else, as a run of another seed may have left it. */
  const keepInitial = () => {
    const weights = regenerate(network);
    const tensors = weightShapes(network).map((shape, i): [string, Tensor] => [`layers.${i}.weight`, { shape, values: weights[i] }]);
    const bytes = writeSafetensors(tensors, texts);
    if (!existsSync(initial) || Buffer.compare(readFile(initial), bytes) !== 0) writeFileSafely(initial, bytes);
  };
  const keepTable = () => writeFileSafely(join(folder, 'rounds.csv'), text(csv(rounds)));
  if (rounds.length > 0) {
    keepInitial();
    keepTable();
  }
  return {
    rounds,
    underWay: `begun-${sha256(text(JSON.stringify(setup))).slice(0, 12)}`,
    last() {
      const record = rounds.at(-1);
      return record && fromTensors(network, record, readSafetensors(stored(record)).tensors);
    },
    add(round, result) {
      if (stateOf(index) !== state) {
        const expected = `${counted(rounds.length, 'round')} of its own`;
        const hint = 'Choose another --out for one of the two';
        throw new SeedmaskError('bad-run', { field: index, got: 'another process has written it meanwhile', expected, hint });
      }
      if (round.round === 0) keepInitial();
      const bytes = writeSafetensors(toTensors(network, round), { ...texts, round: String(round.round) });
      writeFileSafely(fileOf(round.round), bytes);
      const total = totalKept(round.mask);
      const record: RoundRecord = {
        round: round.round,
        kept: total,
        density: total / totalWeights(network),
        valAccuracy: round.valAccuracy,
        ...result,
        sha256: sha256(bytes),
      };
      rounds.push(record);
      keepTable();
      writeFileSafely(index, text(`${JSON.stringify({ setup, rounds } satisfies Run, null, 2)}\n`));
      state = stateOf(index);
      return record;
    },
    begun: () => readdirSync(folder).flatMap((file) => BEGUN.exec(file)?.[1] ?? []),
  };
}

/** Throws SeedmaskError broken-run where there are rounds that no rounds.json names, but for the first: it is there before it is named. */
function checkUnnamed(folder: string, first: string): void {
  const stray = readdirSync(folder).find((name) => /^round-\d+\.safetensors$/.test(name) && name !== first);
  if (stray === undefined) return;
  throw new SeedmaskError('broken-run', {
    field: join(folder, stray),
    got: 'no rounds.json beside it',
    expected: 'one that names it',
    hint: 'Put rounds.json back, or choose another --out',
  });
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const csv = (rounds: readonly RoundRecord[]): string =>
  [COLUMNS, ...rounds.map((record) => COLUMNS.map((column) => record[column]))].map((row) => `${row.join(',')}\n`).join('');

function readRun(index: string, setup: Setup): Run {
  let run: Run;
  try {
    run = RUN.parse(JSON.parse(new TextDecoder().decode(readFile(index, LIMIT))));
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new SeedmaskError('broken-run', { field: index, got: why, expected: 'what seedmask prune --rounds wrote' });
  }
  run.rounds.forEach(({ round }, i) => {
    if (round !== i) throw new SeedmaskError('broken-run', { field: index, got: `round ${round} at place ${i}`, expected: `round ${i}` });
  });
  for (const key of new Set([...Object.keys(setup), ...Object.keys(run.setup)])) {
    if (setup[key] === run.setup[key]) continue;
    const said = (value?: string | number) => (value === undefined ? `no ${key}` : `${key} ${value}`);
    throw new SeedmaskError('bad-run', {
      field: index,
      got: said(run.setup[key]),
      expected: said(setup[key]),
      hint: 'Use the options it was started with, or another --out',
    });
  }
  return run;
}

// ---- a round as tensors ----

export function toTensors(network: Network, { mask, start, final }: TicketRound): [string, Tensor][] {
  return weightShapes(network).flatMap((shape, i): [string, Tensor][] => [
    [`layers.${i}.weight`, { shape, values: final.weights[i] }],
    [`layers.${i}.bias`, { shape: [shape[0]], values: final.biases![i] }],
    [`layers.${i}.mask`, { shape, values: keptBytes(mask[i], start[i].length) }],
    [`layers.${i}.start`, { shape, values: start[i] }],
  ]);
}

/** @throws SeedmaskError bad-tensors for a round of another network; the file must be one that was written */
export function fromTensors(
  network: Network,
  { round, valAccuracy }: Pick<TicketRound, 'round' | 'valAccuracy'>,
  tensors: ReadonlyMap<string, Tensor>,
): TicketRound {
  const layers = weighted(network).map(({ weights, output }, i) => {
    const pick = <T extends Tensor['values']>(name: string, length: number) => pickTensor<T>(tensors, `layers.${i}.${name}`, length);
    return {
      weight: pick<Float32Array>('weight', weights),
      bias: pick<Float32Array>('bias', output[2]),
      mask: bitsOf(pick<Uint8Array>('mask', weights)),
      start: pick<Float32Array>('start', weights),
    };
  });
  const mask: Mask = layers.map((layer) => layer.mask);
  const final = { weights: layers.map((layer) => layer.weight), biases: layers.map((layer) => layer.bias) };
  return { round, mask, start: layers.map((layer) => layer.start), final, valAccuracy };
}

/** @throws SeedmaskError bad-tensors unless there is one of that name and so many values */
export function pickTensor<T extends Tensor['values']>(tensors: ReadonlyMap<string, Tensor>, field: string, length: number): T {
  const values = tensors.get(field)?.values;
  if (values?.length === length) return values as T;
  throw new SeedmaskError('bad-tensors', { field, expected: `${length} values`, got: values?.length ?? 'nothing' });
}

/** A mask from one byte a weight. */
export const bitsOf = (bytes: Uint8Array): Uint8Array => bitsWhere(bytes, (bit) => (bit & 1) === 1);
