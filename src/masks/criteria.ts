// Mask criteria: which weights of a trained initialisation to keep (Zhou et al. 2019, section 3). Each gives a weight a score from its
// initial value wi and its final value wf; a layer keeps its highest scores, in an exact whole number.
//
// The paper's factor `a` equalises the percentiles of the two magnitudes in a layer, for the cut at hand. Ranks (how many of the
// candidates are strictly smaller) do that for every cut at once: a weight passes both percentiles q exactly if the smaller of its
// two ranks does. The authors find q by bisection and hit the count about; here it is exact, and there is no float to tune.
//
// What was pruned stays pruned: with `among`, only weights kept so far are ranked and kept. Ties are broken by a seeded permutation,
// never by position: same-sign scores tie at 0 in their thousands. Scores are f64, so differences of f32 weights lose nothing.
//
// Streams of DOMAIN.sampling: `layer` for random scores, 0x10000 + layer for ties, from 0x10000000 on the actions (actions.ts).

import { exp, ln } from '../exact.js';
import { countKept, kept, type Mask, maskBytes, type Network, ShapeError, weightCounts, weighted } from '../network.js';
import { DOMAIN, fillWords, permutation, type Seed } from '../random.js';
import { unknownName } from '../spelling.js';

/** What each criterion takes for the score of a weight, whose initial value is wi and whose final value is wf. */
export const CRITERION_SCORES = {
  random: 'a seeded draw: the control',
  large_final: '|wf|: the criterion of lottery tickets',
  small_final: '-|wf|',
  large_init: '|wi|',
  small_init: '-|wi|',
  large_init_large_final: 'min(a |wf|, |wi|), a making the two alike: the smaller of their ranks',
  small_init_small_final: '-max(a |wf|, |wi|), a making the two alike: the larger of their ranks',
  magnitude_increase: '|wf| - |wi|',
  movement: '|wf - wi|',
  large_final_same_sign: 'max(0, wf sign(wi)): |wf| where training kept the sign, else 0',
  large_final_diff_sign: 'max(0, -wf sign(wi)): |wf| where training changed the sign, else 0',
} as const;
export type Criterion = keyof typeof CRITERION_SCORES;
export const CRITERIA = Object.keys(CRITERION_SCORES) as readonly Criterion[];

/** A criterion of one's own: the score of a weight alone. */
export type WeightScore = (wi: number, wf: number) => number;

/** Throws ShapeError for a name that no criterion has. */
export function checkCriterion(criterion: Criterion | WeightScore): void {
  if (typeof criterion === 'function' || CRITERIA.includes(criterion)) return;
  throw new ShapeError(`criterion: ${unknownName(String(criterion), CRITERIA)}`);
}

/** Scores of one layer's weights; the highest are kept. Ranks are taken among the weights that `among` keeps. */
export function criterionScores(
  criterion: Criterion | WeightScore,
  initial: Float32Array,
  final: Float32Array,
  seed: Seed,
  layer: number,
  among?: Uint8Array,
): Float64Array {
  checkCriterion(criterion);
  const score = (of: WeightScore) => new Float64Array(final.length).map((_, i) => of(initial[i], final[i]));
  if (typeof criterion === 'function') return score(criterion);
  switch (criterion) {
    case 'random': {
      const words = new Uint32Array(final.length);
      fillWords(seed, DOMAIN.sampling, layer, 0, words);
      return Float64Array.from(words);
    }
    case 'large_final':
      return score((_, wf) => Math.abs(wf));
    case 'small_final':
      return score((_, wf) => -Math.abs(wf));
    case 'large_init':
      return score((wi) => Math.abs(wi));
    case 'small_init':
      return score((wi) => -Math.abs(wi));
    case 'large_init_large_final':
    case 'small_init_small_final': {
      const [a, b] = [ranks(initial, among), ranks(final, among)];
      return criterion === 'large_init_large_final' ? a.map((r, i) => Math.min(r, b[i])) : a.map((r, i) => -Math.max(r, b[i]));
    }
    case 'magnitude_increase':
      return score((wi, wf) => Math.abs(wf) - Math.abs(wi));
    case 'movement':
      return score((wi, wf) => Math.abs(wf - wi));
    case 'large_final_same_sign':
      return score((wi, wf) => Math.max(0, wf * Math.sign(wi)));
    case 'large_final_diff_sign':
      return score((wi, wf) => Math.max(0, -wf * Math.sign(wi)));
  }
}

/** How many of the candidates' magnitudes are strictly smaller than each weight's. */
function ranks(weights: Float32Array, among?: Uint8Array): Float64Array {
  const sorted = candidates(weights.map(Math.abs), among).sort();
  return new Float64Array(weights).map((w) => {
    const magnitude = Math.abs(w);
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < magnitude) low = middle + 1;
      else high = middle;
    }
    return Number.isNaN(w) ? w : low;
  });
}

/** A copy of the values that compete. */
function candidates<T extends Float32Array | Float64Array>(values: T, among?: Uint8Array): T {
  const copy = values.slice() as T;
  if (!among) return copy;
  let count = 0;
  for (let i = 0; i < values.length; i++) if (kept(among, i)) copy[count++] = values[i];
  return copy.subarray(0, count) as T;
}

/**
 * Bits of the `keep` highest scores; ties in the order of a seeded permutation.
 * @param among only weights kept here can be kept
 * @param doubt what is wrong where a score is not a number
 * @throws ShapeError when `keep` is no whole number, fewer weights compete, or a score is not a number
 */
export function keepHighest(
  scores: Float64Array,
  keep: number,
  seed: Seed,
  layer: number,
  among?: Uint8Array,
  doubt = 'the training diverged',
): Uint8Array {
  if (!(Number.isInteger(keep) && keep >= 0))
    throw new ShapeError(`layer ${layer}: keep must be a whole number of weights, got ${keep}: keepCounts makes them of fractions`);
  const bits = new Uint8Array(maskBytes(scores.length));
  if (keep === 0) return bits;
  const sorted = candidates(scores, among).sort();
  if (!(keep <= sorted.length)) throw new ShapeError(`layer ${layer}: cannot keep ${keep} of ${sorted.length} weights`);
  if (Number.isNaN(sorted[sorted.length - 1])) throw new ShapeError(`layer ${layer}: a score is not a number: ${doubt}`);
  const least = sorted[sorted.length - keep];
  const ties: number[] = [];
  let chosen = 0;
  scores.forEach((score, i) => {
    if (among && !kept(among, i)) return;
    if (score > least) {
      bits[i >> 3] |= 1 << (i & 7);
      chosen++;
    } else if (score === least) ties.push(i);
  });
  const order = permutation(ties.length, seed, DOMAIN.sampling, layer + 0x10000);
  for (let i = 0; i < keep - chosen; i++) bits[ties[order[i]] >> 3] |= 1 << (ties[order[i]] & 7);
  return bits;
}

/** The mask that keeps `keep` weights a layer, whole numbers, by a criterion. */
export function criterionMaskOf(
  criterion: Criterion | WeightScore,
  initial: readonly Float32Array[],
  final: readonly Float32Array[],
  keep: readonly number[],
  seed: Seed,
  among?: Mask,
): Uint8Array[] {
  const doubt = typeof criterion === 'function' ? 'the training diverged, or the criterion gives none' : undefined;
  return keep.map((count, layer) => {
    const scores = criterionScores(criterion, initial[layer], final[layer], seed, layer, among?.[layer]);
    return keepHighest(scores, count, seed, layer, among?.[layer], doubt);
  });
}

/** The same at kept fractions per layer: once, after training. */
export const criterionMask = (
  network: Network,
  criterion: Criterion | WeightScore,
  initial: readonly Float32Array[],
  final: readonly Float32Array[],
  fractions: readonly number[],
  seed: Seed,
): Uint8Array[] => criterionMaskOf(criterion, initial, final, keepCounts(network, fractions), seed);

// ---- how many ----

/** Kept weights per layer for kept fractions per layer, rounded to the nearest whole weight. */
export const keepCounts = (network: Network, fractions: readonly number[]): number[] =>
  weightCounts(network).map((count, i) => Math.round(count * fractions[i]));

/** From this many conv layers on they keep 85 % a round: the paper's Conv6. */
const DEEP = 6;

/** The paper's pruning rates as the per cent kept a round: conv layers 90 (Conv6: 85), dense layers 80, the last layer 90. */
export function paperPercents(network: Network): number[] {
  const layers = weighted(network);
  const conv = layers.filter(({ layer }) => layer.kind === 'conv').length >= DEEP ? 85 : 90;
  return layers.map(({ layer }, i) => (i === layers.length - 1 ? 90 : layer.kind === 'conv' ? conv : 80));
}

/** Kept fractions after `power` rounds, which need not be whole: for masks taken once. ECMAScript leaves ** to the machine. */
export const paperRates = (network: Network, power: number): number[] =>
  paperPercents(network).map((percent) => exp(power * ln(percent / 100)));

/**
 * Kept weights per layer after each of `rounds` rounds that come to a kept fraction of the hidden dense layers at an even pace.
 * @throws ShapeError for a fraction that is not above 0 and at most 1, or no whole number of rounds
 */
export function keepToward(network: Network, fraction: number, rounds: number): number[][] {
  if (!(fraction > 0 && fraction <= 1)) throw new ShapeError(`a kept fraction must be above 0 and at most 1, got ${fraction}`);
  if (!(Number.isInteger(rounds) && rounds >= 1)) throw new ShapeError(`rounds must be a whole number of at least 1, got ${rounds}`);
  const all = roundsTo(fraction);
  return Array.from({ length: rounds }, (_, i) => keepCounts(network, paperRates(network, all * ((i + 1) / rounds))));
}

/** Throws ShapeError unless there are counts of every layer for every round, no layer's above those of the round before. */
export function checkKeptCounts(network: Network, counts: readonly (readonly number[])[], rounds: number): void {
  if (counts.length !== rounds) throw new ShapeError(`keep has counts of ${counts.length} rounds, there are ${rounds}`);
  let before: readonly number[] = weightCounts(network);
  for (const [i, keep] of counts.entries()) {
    const fits = (most: number, layer: number) => Number.isInteger(keep[layer]) && keep[layer] >= 0 && keep[layer] <= most;
    if (!(Array.isArray(keep) && keep.length === before.length && before.every(fits))) {
      const got = Array.isArray(keep) ? keep.join(', ') : `no array but ${keep}`;
      throw new ShapeError(`keep of round ${i + 1} must be whole numbers of at most ${before.join(', ')}, got ${got}`);
    }
    before = keep;
  }
}

/** Rounds after which a dense layer has come to keep this fraction. */
export const roundsTo = (kept: number): number => ln(kept) / ln(0.8);

/**
 * Kept weights per layer after one more round, or `rounds` more at once: of n kept weights floor(n (100 - percent) / 100) are pruned, in
 * integers. The authors compute the same floor in floats, where (1 - .8) x 100 is 19.999999999999996: where n x 20 / 100 is whole they prune one less (the
 * FC network's first layer: 47,039 of 235,200, here 47,040).
 */
export function nextKeep(network: Network, mask: Mask, rounds = 1): number[] {
  let keep = mask.map(countKept);
  for (let round = 0; round < rounds; round++) keep = pruned(network, keep);
  return keep;
}

const pruned = (network: Network, keep: readonly number[]): number[] =>
  paperPercents(network).map((percent, i) => keep[i] - Math.floor((keep[i] * (100 - percent)) / 100));

/** How many rounds prune a weight: in a later one the floor is 0 for every layer. */
export function mostRounds(network: Network): number {
  let [rounds, keep] = [0, weightCounts(network)];
  for (;;) {
    const next = pruned(network, keep);
    if (next.every((n, i) => n === keep[i])) return rounds;
    [rounds, keep] = [rounds + 1, next];
  }
}
