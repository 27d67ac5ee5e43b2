// Iterative pruning on a small problem: counts, frozen weights, the same bytes by every engine, and a run that goes on from a stored
// round gives what the straight run gives.

import { expect, test } from 'vitest';
import { type Dataset, split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { MASK0, MASK1 } from '../src/masks/actions.js';
import { keepToward } from '../src/masks/criteria.js';
import { countKept, kept, type Network, regenerate, ShapeError } from '../src/network.js';
import { DOMAIN, fillWords, parseSeed } from '../src/random.js';
import { PAPER } from '../src/recipes.js';
import { nextTicket, type TicketOptions, type TicketRound, tickets } from '../src/tickets.js';
import { type DenseRun, trainDense } from '../src/train.js';

const network: Network = {
  input: [4, 4, 1],
  layers: [
    { kind: 'dense', units: 12, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
  distribution: 'normal',
  sigma: 'glorot',
  seed: parseSeed('tickets test'),
};
const ROWS = 330;
const noise = new Uint32Array(ROWS * 16);
fillWords(network.seed, DOMAIN.sampling, 1, 0, noise);
// Noise with four bright pixels a class.
const labels = Uint8Array.from({ length: ROWS }, (_, row) => row % 3);
const images = Uint8Array.from(noise, (word, i) => (word % 90) + ((i & 15) >> 2 === labels[i >> 4] ? 110 : 0));
const data: Dataset = { input: [4, 4, 1], images, labels };
const parts = split(ROWS, 30, network.seed);
const options = {
  ...PAPER,
  batch: 30,
  epochs: 3,
  learningRate: 0.02,
  rounds: 4,
  criterion: 'large_final',
  mask0: 'zero',
  mask1: 'rewind',
} satisfies TicketOptions;

async function run(engine: Engine, changes: Partial<TicketOptions> = {}, last?: TicketRound, of = network): Promise<TicketRound[]> {
  const rounds: TicketRound[] = [];
  for await (const round of tickets(engine, of, data, parts, { ...options, ...changes }, last)) rounds.push(round);
  return rounds;
}
const engine = createReferenceEngine();
const initial = regenerate(network);

test('a lottery ticket: kept counts fall by the rates, kept weights rewind, pruned ones stay 0, biases begin at 0', async () => {
  const rounds = await run(engine);
  // 192 - 38 = 154, - 30 = 124, - 24 = 100, - 20 = 80; 36 - 3 = 33, - 3 = 30, - 3 = 27, - 2 = 25.
  expect(rounds.map(({ mask }) => mask.map(countKept))).toEqual([
    [192, 36],
    [154, 33],
    [124, 30],
    [100, 27],
    [80, 25],
  ]);
  const dense = await trainDense(engine, network, data, parts, { ...options, epochs: 3 });
  expect(rounds[0].final).toEqual(dense.final);
  for (const { mask, start, final } of rounds) {
    start.forEach((w, layer) => {
      expect([...w]).toEqual([...initial[layer]].map((wi, i) => (kept(mask[layer], i) ? wi : 0)));
      final.weights[layer].forEach((wf, i) => {
        if (!kept(mask[layer], i)) expect(wf).toBe(0);
      });
    });
    expect(final.biases!.flatMap((b) => [...b]).some((b) => b !== 0)).toBe(true);
  }
  expect(rounds[4].valAccuracy).toBeGreaterThan(0.9);
});

test('frozen at init: pruned weights never leave their initialisation', async () => {
  const { start, final, mask } = (await run(engine, { mask0: 'init' })).at(-1)!;
  expect(start).toEqual(initial);
  final.weights.forEach((w, layer) => {
    w.forEach((wf, i) => {
      if (!kept(mask[layer], i)) expect(wf).toBe(initial[layer][i]);
    });
  });
});

// The scores of the paper's table of criteria; wi is what the round began with.
test.each([
  ['small_final', 'zero', 'rewind', (_: number, wf: number) => -Math.abs(wf)],
  ['large_final', 'init', 'rewind', (_: number, wf: number) => Math.abs(wf)],
  ['movement', 'zero', 'reinit', (wi: number, wf: number) => Math.abs(wf - wi)],
  ['magnitude_increase', 'zero', 'redraw', (wi: number, wf: number) => Math.abs(wf) - Math.abs(wi)],
] as const)('%s, %s, %s: a round prunes the lowest scores of what the round before trained', async (criterion, mask0, mask1, score) => {
  const rounds = await run(engine, { criterion, mask0, mask1 });
  for (const { round, mask } of rounds.slice(1)) {
    const before = rounds[round - 1];
    mask.forEach((bits, layer) => {
      const scores = { kept: [] as number[], pruned: [] as number[] };
      before.start[layer].forEach((wi, i) => {
        const was = kept(before.mask[layer], i);
        if (kept(bits, i)) expect(was).toBe(1);
        if (was) scores[kept(bits, i) ? 'kept' : 'pruned'].push(score(wi, before.final.weights[layer][i]));
      });
      expect(Math.max(...scores.pruned)).toBeLessThanOrEqual(Math.min(...scores.kept));
    });
  }
});

test('every action: the same bytes by the reference engine, the kernels, one thread and two', async () => {
  const engines = [await createWasmEngine({ threads: 1 }), await createWasmEngine({ threads: 2 })];
  const pairs = [...MASK0.map((mask0) => ({ mask0 })), ...MASK1.map((mask1) => ({ mask0: 'toward_zero' as const, mask1 }))];
  for (const changes of pairs) {
    const expected = await run(engine, { ...changes, rounds: 2, epochs: 1 });
    for (const other of engines) expect(await run(other, { ...changes, rounds: 2, epochs: 1 })).toEqual(expected);
  }
  const conv: Network = { ...network, layers: [{ kind: 'conv', filters: 6, activation: 'relu' }, { kind: 'pool' }, network.layers[1]] };
  for (const mask0 of ['zero', 'init'] as const) {
    const changes = { mask0, rounds: 3, epochs: 1 };
    const expected = await run(engine, changes, undefined, conv);
    for (const other of engines) expect(await run(other, changes, undefined, conv)).toEqual(expected);
  }
  for (const other of engines) other.close();
});

test.each([
  { criterion: 'large_final', mask0: 'zero', mask1: 'rewind' },
  { criterion: 'movement', mask0: 'toward_zero_reshuffled', mask1: 'reshuffle' },
  { criterion: 'random', mask0: 'init', mask1: 'redraw' },
] as const)('a run that goes on after any round gives the same bytes: $criterion, $mask0, $mask1', async (changes) => {
  const straight = await run(engine, changes);
  for (const last of straight) expect(await run(engine, changes, last)).toEqual(straight.slice(last.round + 1));
});

test('a run that goes on in the middle of any round gives the same bytes, and what belongs to another round is left alone', async () => {
  const runs: DenseRun[] = [];
  const straight = await run(engine, { mask0: 'init', onEpoch: (run) => runs.push(run()) });
  expect(runs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  for (const begun of runs) {
    const round = Math.floor((begun.epoch - 1) / 3);
    for (const last of [straight[round - 1], straight[round], straight[2]]) {
      const trained: number[] = [];
      const from = last ? last.round + 1 : 0;
      const onEpoch = (_: unknown, epoch: number) => trained.push(epoch);
      expect(await run(engine, { mask0: 'init', begun, onEpoch }, last)).toEqual(straight.slice(from));
      // Epochs of the rounds before the one under way, then those that it lacks.
      const skipped = round < from ? [] : Array.from({ length: begun.epoch - 3 * round }, (_, i) => 3 * round + 1 + i);
      const all = Array.from({ length: 15 - 3 * from }, (_, i) => 3 * from + 1 + i);
      expect(trained).toEqual(all.filter((epoch) => !skipped.includes(epoch)));
    }
  }
});

test.each<[what: string, changes: object, line: string | RegExp]>([
  ['an impossible pair', { mask0: 'toward_zero_all', mask1: 'reinit' }, /goes with mask-1 rewind only/],
  [
    'a mistyped criterion',
    { criterion: 'large_finl' },
    /^criterion: did you mean large_final\? expected one of random, .*, got 'large_finl'$/,
  ],
  ['a criterion like none', { criterion: 'mine' }, /^criterion: expected one of random, large_final, .*, got 'mine'$/],
  ['no criterion', { criterion: undefined }, /^criterion: expected one of .*, got 'undefined'$/],
  [
    'a mistyped mask-0 action',
    { mask0: 'towards_zero' },
    /^mask0: did you mean toward_zero\? expected one of zero, .*, got 'towards_zero'$/,
  ],
  ['a mistyped mask-1 action', { mask1: 'Rewind' }, /^mask1: did you mean rewind\? expected one of rewind, .*, got 'Rewind'$/],
  ['what every object has', { mask1: 'toString' }, /^mask1: expected one of rewind, /],
  ['counts of too few rounds', { keep: [[100, 30]] }, 'keep has counts of 1 rounds, there are 4'],
  [
    'counts that rise',
    {
      rounds: 2,
      keep: [
        [100, 30],
        [101, 20],
      ],
    },
    'keep of round 2 must be whole numbers of at most 100, 30, got 101, 20',
  ],
  ['part of a weight', { rounds: 1, keep: [[9.5, 30]] }, 'keep of round 1 must be whole numbers of at most 192, 36, got 9.5, 30'],
  ['a layer too few', { rounds: 1, keep: [[9]] }, 'keep of round 1 must be whole numbers of at most 192, 36, got 9'],
  ['a layer left out', { rounds: 1, keep: [[9, undefined]] }, 'keep of round 1 must be whole numbers of at most 192, 36, got 9, '],
  ['counts of no layers', { rounds: 2, keep: [5, 5] }, 'keep of round 1 must be whole numbers of at most 192, 36, got no array but 5'],
  [
    'a round left out',
    { rounds: 2, keep: [[9, 9], undefined] },
    'keep of round 2 must be whole numbers of at most 9, 9, got no array but undefined',
  ],
  ['counts of another kind', { rounds: 1, keep: [Uint32Array.of(9, 9)] }, /keep of round 1 .* of at most 192, 36, got no array but 9,9$/],
])('%s is refused before anything is trained', async (_, changes, line) => {
  let steps = 0;
  const failed = run(engine, { ...changes, onProgress: () => steps++ });
  await expect(failed).rejects.toThrow(line);
  await expect(failed).rejects.toBeInstanceOf(ShapeError);
  expect(steps).toBe(0);
});

test('rounds on the way to a fraction keep exactly what is said, and what was pruned stays pruned', async () => {
  const keep = keepToward(network, 0.1, 3);
  // 192 x .1^(1/3), .1^(2/3), .1; the last layer 36 x .9^p, p = ln .1 / ln .8 = 10.3189 by thirds.
  expect(keep).toEqual([
    [89, 25],
    [41, 17],
    [19, 12],
  ]);
  const rounds = await run(engine, { rounds: 3, keep });
  expect(rounds.slice(1).map(({ mask }) => mask.map(countKept))).toEqual(keep);
  for (let i = 1; i < rounds.length; i++)
    rounds[i].mask.forEach((bits, layer) => {
      expect(bits.every((byte, at) => (byte & ~rounds[i - 1].mask[layer][at]) === 0)).toBe(true);
    });
  expect(await run(engine, { rounds: 3, keep }, rounds[1])).toEqual(rounds.slice(2));
  for (const fraction of [0, -1, 1.1, Number.NaN]) expect(() => keepToward(network, fraction, 3)).toThrow(/above 0 and at most 1, got/);
  for (const rounds of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    const line = `rounds must be a whole number of at least 1, got ${rounds}`;
    expect(() => keepToward(network, 0.1, rounds)).toThrow(new ShapeError(line));
  }
  expect(() => nextTicket(network, initial, rounds[3], { ...options, keep })).toThrow(
    new ShapeError('keep has counts of 3 rounds, none of round 4'),
  );
});

test("a criterion of one's own is a score of wi and wf", async () => {
  const changes = { rounds: 2, epochs: 1 };
  const named = await run(engine, { ...changes, criterion: 'magnitude_increase' });
  expect(await run(engine, { ...changes, criterion: (wi, wf) => Math.abs(wf) - Math.abs(wi) })).toEqual(named);
  await expect(run(engine, { ...changes, criterion: () => Number.NaN })).rejects.toThrow(
    /a score is not a number: .* the criterion gives none/,
  );
});
