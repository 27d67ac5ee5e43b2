// Which tasks of an archive lean on which (bases.ts): what `pack --base` asks for, and that the choice is near the best there is.

import { expect, test } from 'vitest';
import { encodePayload } from '../codec/encode.js';
import { contentId, type PackedModel, readModel, readPacked, rebase, type Task, writeModel, writePacked } from '../codec/index.js';
import type { Network } from '../src/network.js';
import { runs } from './codec.effort.js';
import { alteredMask, FC, patchedMask, randomMask, task } from './vectors/models.js';

const NETWORK: Network = { ...FC, input: [14, 14, 1], layers: FC.layers.slice(-2) };

test('one base for all, the best ones, or none; what is not shorter stays', { timeout: 20_000 }, () => {
  const network: Network = { ...FC, layers: FC.layers.slice(-2) };
  const [first, second] = [1, 2].map((low) => randomMask(network, [0.02, 0.05, 0.3], { low, high: 30 }));
  const of = (id: string, mask: Uint8Array[]) => task(mask, { id });
  const tasks = [
    of('a0', first),
    of('a1', alteredMask(network, first, 400, { low: 3, high: 30 })),
    of('a2', alteredMask(network, first, 300, { low: 4, high: 30 })),
    of('b0', alteredMask(network, second, 300, { low: 5, high: 30 })),
    of('b1', second),
    of('c', randomMask(network, [0.02], { low: 6, high: 30 })),
  ];
  const plain = readPacked(writeModel({ network, tasks }));
  const basesOf = (base: string, from = plain) => rebase(from, base).tasks.map((t) => t.base);
  expect(basesOf('a0')).toEqual([undefined, 'a0', 'a0', undefined, undefined, undefined]);
  const auto = basesOf('auto');
  expect(new Set(auto.slice(0, 3).filter(Boolean)).size).toBe(1);
  expect(auto.slice(0, 3).filter(Boolean)).toHaveLength(2);
  expect(auto.slice(3, 5).filter(Boolean)).toHaveLength(1);
  expect(auto[5]).toBeUndefined();
  // Of 6 tasks each is read, held against the others as their base, and written.
  const steps: number[][] = [];
  const best = rebase(plain, 'auto', (...step) => steps.push(step));
  expect(steps).toEqual(Array.from({ length: 18 }, (_, i) => [i + 1, 18]));
  for (const [base, count] of [
    ['a0', 12],
    ['none', 12],
  ] as const) {
    let last: number[] = [];
    rebase(plain, base, (...step) => {
      last = step;
    });
    expect(last).toEqual([count, count]);
  }
  const bytes = writePacked(best);
  expect(bytes.length).toBeLessThan(0.7 * writePacked(plain).length);
  expect(contentId(readModel(bytes))).toEqual(contentId({ network, tasks }));
  expect(writePacked(rebase(readPacked(bytes), 'none'))).toEqual(writePacked(plain));
  expect(writePacked(rebase(readPacked(bytes), 'auto'))).toEqual(bytes);
  expect(() => rebase(plain, 'x')).toThrow(expect.objectContaining({ code: 'bad-base' }));
  expect(rebase({ network, tasks: [] }, 'auto').tasks).toEqual([]);
});

/** Bytes of all payloads under the best of all choices: every set of bases, every other task leaning on the one that suits it best. */
function leastBytes(tasks: readonly Task[], alone: PackedModel): number {
  const leaning = tasks.map(({ mask }) =>
    tasks.map(
      (other, place) =>
        encodePayload({ network: NETWORK, pixelPermutation: null, base: { place, mask: other.mask } }, mask, ['related']).length,
    ),
  );
  const total = (bases: number) =>
    tasks.reduce((sum, _, i) => {
      const lengths = (bases >> i) & 1 ? [] : leaning[i].filter((_, base) => (bases >> base) & 1);
      return sum + Math.min(alone.tasks[i].payload.length, ...lengths);
    }, 0);
  return Math.min(...Array.from({ length: 2 ** tasks.length }, (_, bases) => total(bases)));
}

test('auto is within a thousandth of the fewest bytes that any choice of bases gives', { timeout: 60_000 }, () => {
  for (let n = 0; n < runs(10); n++) {
    // Up to three families of masks, some children with children of their own, alike to very different degrees.
    const seed = (low: number) => ({ low, high: 100 + n });
    const family: Uint8Array[][] = Array.from({ length: 1 + (n % 3) }, (_, i) =>
      n % 2 ? patchedMask(NETWORK, 0.05 + n / 100, seed(i)) : randomMask(NETWORK, [0.03 + n / 80, 0.1, 0.3], seed(i)),
    );
    const tasks = Array.from({ length: 5 }, (_, i) => {
      const mask = alteredMask(NETWORK, family[(7 * i + n) % family.length], [5, 200, 20, 80, 40, 10][(i + n) % 6], seed(10 + i));
      if (i % 2) family.push(mask);
      return task(mask, { id: `t${i}` });
    });
    const alone = readPacked(writeModel({ network: NETWORK, tasks }));
    const bytes = rebase(alone, 'auto').tasks.reduce((sum, { payload }) => sum + payload.length, 0);
    const least = leastBytes(tasks, alone);
    expect(bytes, `archive ${n}`).toBeLessThanOrEqual(1.001 * least);
    expect(least).toBeLessThan(0.95 * alone.tasks.reduce((sum, { payload }) => sum + payload.length, 0));
  }
});

test('auto leaves alone what has nothing in common', () => {
  const tasks = Array.from({ length: 4 }, (_, i) => task(randomMask(NETWORK, [0.3], { low: i, high: 60 }), { id: `t${i}` }));
  const plain = readPacked(writeModel({ network: NETWORK, tasks }));
  expect(rebase(plain, 'auto')).toEqual(plain);
});
