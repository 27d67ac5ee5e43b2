// Which task of an archive the others lean on. Masks of one network that were learned from like data, or one from the other, keep many
// weights in common: then the entropy of a mask given the other's bits, layer by layer, tells beforehand what leaning on it saves.
// Bases are taken one by one, each time the one that saves most for those that do not save more already; a base leans on none.
// What is taken is only tried: a payload that is not shorter with its base stays as it was. Trying every choice gives no archive of the
// tests (codec.bases.test.ts) a thousandth fewer bytes.

import { countKept, ones, weightCounts } from '../src/network.js';
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
 * @param onStep is told how many steps are done, of how many: a task read, a base held against all tasks, a task written
 * @throws SeedmaskError 'bad-base' for an id that is not among them, and what decoding finds
 */
export function rebase(
  { network, tasks }: PackedModel,
  base: string,
  onStep: (done: number, of: number) => void = () => undefined,
): PackedModel {
  const every = Math.ceil(tasks.length / MOST_CANDIDATES);
  const candidates = base === 'auto' ? tasks.map((_, i) => i).filter((i) => i % every === 0) : [];
  let done = 0;
  /** What came of a step, which is done. */
  const step = <T>(result: T): T => {
    onStep(++done, 2 * tasks.length + candidates.length);
    return result;
  };
  const known = new Bases(network, tasks, DECODERS);
  const alone: PackedTask[] = [];
  const masks: Task[] = [];
  tasks.forEach((packed, i) => {
    alone.push(standAlone(network, packed, i, known.of(packed)));
    if (base !== 'none') masks.push(decodeTask(network, alone[i], i, undefined, DECODERS).task);
    step(i);
  });
  const bases = base === 'none' ? [] : base === 'auto' ? bestBases(network, masks, alone, candidates, step) : sameBase(masks, base);
  const shorter = (task: PackedTask, i: number): PackedTask => {
    const place = bases[i] ?? -1;
    if (place < 0) return task;
    const leaning = encodeTask(network, { ...masks[i], base: tasks[place].id }, ['related'], { place, mask: masks[place].mask });
    return leaning.payload.length < task.payload.length ? leaning : task;
  };
  return { network, tasks: alone.map((task, i) => step(shorter(task, i))) };
}

/** The place of one base for all tasks but itself. */
function sameBase(tasks: readonly Task[], id: string): number[] {
  const place = tasks.findIndex((task) => task.id === id);
  if (place < 0) throw new SeedmaskError('bad-base', { field: 'the archive', expected: 'a task of the name asked for as base', got: id });
  return tasks.map((_, i) => (i === place ? -1 : place));
}

/**
 * For every task the place of its base, -1 for none.
 * @param step takes what is known of a candidate, as soon as it is
 */
function bestBases(
  network: PackedModel['network'],
  tasks: readonly Task[],
  alone: readonly PackedTask[],
  candidates: readonly number[],
  step: (saving: Float64Array) => Float64Array,
): number[] {
  const weights = weightCounts(network);
  const kept = tasks.map(({ mask }) => mask.map(countKept));
  const whole = kept.map((counts) => weights.reduce((sum, n, layer) => sum + entropy({ weights: n, kept: counts[layer] }), 0));
  const masks = tasks.map(({ mask }) => mask.map(wordsOf));
  const saving = candidates.map((candidate) =>
    step(
      Float64Array.from(tasks, (_, i) => {
        if (i === candidate || whole[i] === 0) return 0;
        const part = entropyGiven(weights, masks[i], kept[i], masks[candidate], kept[candidate]);
        return Math.max(0, 8 * alone[i].payload.length * (1 - part / whole[i]) - LEAST_SAVING);
      }),
    ),
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

/** A mask's bits, 32 in a word: every mask is held against hundreds of others. */
type Words = readonly Uint32Array[];

function wordsOf(bits: Uint8Array): Uint32Array {
  const words = new Uint32Array(Math.ceil(bits.length / 4));
  new Uint8Array(words.buffer).set(bits);
  return words;
}

function countBoth(a: Uint32Array, b: Uint32Array): number {
  let n = 0;
  for (let i = 0; i < a.length; i++) n += ones(a[i] & b[i]);
  return n;
}

/** Bits of a mask for a coder that knows another mask and how often their bits go together, layer by layer. */
function entropyGiven(weights: readonly number[], mask: Words, kept: readonly number[], base: Words, keptBase: readonly number[]): number {
  return weights.reduce((sum, n, layer) => {
    const both = countBoth(mask[layer], base[layer]);
    const [k, b] = [kept[layer], keptBase[layer]];
    return sum + entropy({ weights: b, kept: both }) + entropy({ weights: n - b, kept: k - both });
  }, 0);
}
