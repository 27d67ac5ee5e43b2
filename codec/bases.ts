// Which task of an archive the others lean on. Masks of one network that were learned from like data, or one from the other, keep many
// weights in common: then the entropy of a mask given the other's bits, layer by layer, tells beforehand what leaning on it saves.
// Bases are taken one by one, each time the one that saves most for those that do not save more already; a base leans on none.
// What is taken is only tried: a payload that is not shorter with its base stays as it was. Trying every choice gives no archive of the
// tests (codec.bases.test.ts) a thousandth fewer bytes.

import { countBoth, countKept, type Mask, weightCounts } from '../src/network.js';
import { entropy, type PackedModel } from './container.js';
import { DECODERS } from './decoders.js';
import { encodeTask, standAlone } from './encode.js';
import { SeedmaskError } from './errors.js';
import { Bases, decodeTask, type PackedTask, type Task } from './tasks.js';

/** The most tasks that are looked at as bases, evenly spread over an archive that holds more. */
const MOST_CANDIDATES = 512;
/** Bits that a base must save for a task by the estimate: its place, and what the model has to learn of it. */
const LEAST_SAVING = 64;

/**
 * The same tasks, leaning on bases where that makes them shorter; bases they leaned on before are forgotten. All masks are in memory.
 * @param base an id, 'auto' for the best ones by that estimate, or 'none'
 * @param onTask is told how many tasks are done, of how many
 * @throws SeedmaskError 'bad-base' for an id that is not among them, and what decoding finds
 */
export function rebase(
  { network, tasks }: PackedModel,
  base: string,
  onTask: (done: number, of: number) => void = () => undefined,
): PackedModel {
  const known = new Bases(network, tasks, DECODERS);
  const alone = tasks.map((task, i) => standAlone(network, task, i, known.of(task)));
  const masks = base === 'none' ? [] : alone.map((task, i) => decodeTask(network, task, i, undefined, DECODERS).task);
  const bases = base === 'none' ? [] : base === 'auto' ? bestBases(network, masks, alone) : sameBase(masks, base);
  const shorter = (task: PackedTask, i: number): PackedTask => {
    const place = bases[i] ?? -1;
    if (place < 0) return task;
    const leaning = encodeTask(network, { ...masks[i], base: tasks[place].id }, ['related'], { place, mask: masks[place].mask });
    return leaning.payload.length < task.payload.length ? leaning : task;
  };
  const chosen = alone.map((task, i) => {
    const best = shorter(task, i);
    onTask(i + 1, tasks.length);
    return best;
  });
  return { network, tasks: chosen };
}

/** The place of one base for all tasks but itself. */
function sameBase(tasks: readonly Task[], id: string): number[] {
  const place = tasks.findIndex((task) => task.id === id);
  if (place < 0) throw new SeedmaskError('bad-base', { field: 'the archive', expected: 'a task of the name asked for as base', got: id });
  return tasks.map((_, i) => (i === place ? -1 : place));
}

/** For every task the place of its base, -1 for none. */
function bestBases(network: PackedModel['network'], tasks: readonly Task[], alone: readonly PackedTask[]): number[] {
  const every = Math.ceil(tasks.length / MOST_CANDIDATES);
  const candidates = tasks.map((_, i) => i).filter((i) => i % every === 0);
  const weights = weightCounts(network);
  const kept = tasks.map(({ mask }) => mask.map(countKept));
  const saving = candidates.map((candidate) =>
    Float64Array.from(tasks, ({ mask }, i) => {
      if (i === candidate) return 0;
      const part = entropyGiven(weights, mask, kept[i], tasks[candidate].mask, kept[candidate]);
      const whole = weights.reduce((sum, n, layer) => sum + entropy({ weights: n, kept: kept[i][layer] }), 0);
      return whole > 0 ? Math.max(0, 8 * alone[i].payload.length * (1 - part / whole) - LEAST_SAVING) : 0;
    }),
  );
  const bases = tasks.map(() => -1);
  const saved = new Float64Array(tasks.length);
  const taken = new Set<number>();
  for (;;) {
    const gains = candidates.map((candidate, c) =>
      taken.has(candidate)
        ? 0
        : saving[c].reduce((sum, s, i) => (taken.has(i) ? sum : sum + Math.max(0, s - saved[i])), 0) - saved[candidate],
    );
    const c = gains.reduce((best, gain, i) => (gain > gains[best] ? i : best), 0);
    if (candidates.length === 0 || gains[c] <= 0) return bases;
    taken.add(candidates[c]);
    bases[candidates[c]] = -1;
    saved[candidates[c]] = 0;
    for (const [i, s] of saving[c].entries()) {
      if (taken.has(i) || s <= saved[i]) continue;
      saved[i] = s;
      bases[i] = candidates[c];
    }
  }
}

/** Bits of a mask for a coder that knows another mask and how often their bits go together, layer by layer. */
function entropyGiven(weights: readonly number[], mask: Mask, kept: readonly number[], base: Mask, keptBase: readonly number[]): number {
  return weights.reduce((sum, n, layer) => {
    const both = countBoth(mask[layer], base[layer]);
    const [k, b] = [kept[layer], keptBase[layer]];
    return sum + entropy({ weights: b, kept: both }) + entropy({ weights: n - b, kept: k - both });
  }, 0);
}
