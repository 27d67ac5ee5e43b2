// Lottery-ticket criteria: which weights of a trained initialisation to keep (Zhou et al. 2019, section 3). Each gives a weight a
// score from its initial and final value; a layer keeps its highest scores. Selection is layer-wise with exact integer counts.
//
//   large_final             |wf|                       the lottery ticket's own criterion
//   large_final_same_sign   max(0, wf wi / |wi|)       |wf| where training kept the sign, else 0
//   random                  a seeded draw              the control
//
// Ties are broken by a seeded permutation, never by position: same-sign scores tie at 0 in their thousands.

import { maskBytes, type Network, weightCounts, weighted } from '../network.js';
import { DOMAIN, fillWords, permutation, type Seed } from '../random.js';

export const CRITERIA = ['random', 'large_final', 'large_final_same_sign'] as const;
export type Criterion = (typeof CRITERIA)[number];

/** Scores of one layer's weights; the highest are kept. */
export function criterionScores(criterion: Criterion, initial: Float32Array, final: Float32Array, seed: Seed, layer: number): Float32Array {
  if (criterion === 'random') {
    const words = new Uint32Array(final.length);
    fillWords(seed, DOMAIN.sampling, layer, 0, words);
    return Float32Array.from(words);
  }
  if (criterion === 'large_final') return final.map(Math.abs);
  return final.map((wf, i) => Math.max(0, wf * Math.sign(initial[i])));
}

/** Bits of the `keep` highest scores; ties in the order of a seeded permutation. */
export function keepHighest(scores: Float32Array, keep: number, seed: Seed, layer: number): Uint8Array {
  const bits = new Uint8Array(maskBytes(scores.length));
  if (keep === 0) return bits;
  const least = scores.slice().sort()[scores.length - keep];
  const ties: number[] = [];
  let chosen = 0;
  scores.forEach((score, i) => {
    if (score > least) {
      bits[i >> 3] |= 1 << (i & 7);
      chosen++;
    } else if (score === least) ties.push(i);
  });
  const order = permutation(ties.length, seed, DOMAIN.sampling, layer + 0x10000);
  for (let i = 0; i < keep - chosen; i++) bits[ties[order[i]] >> 3] |= 1 << (ties[order[i]] & 7);
  return bits;
}

/** Kept weights per layer for kept fractions per layer, rounded to the nearest whole weight. */
export const keepCounts = (network: Network, fractions: readonly number[]): number[] =>
  weightCounts(network).map((count, i) => Math.round(count * fractions[i]));

/**
 * The paper's pruning rates after `power` rounds: dense layers keep .8 a round, conv layers .9, the last layer .9.
 * @returns kept fraction per weighted layer
 */
export function paperRates(network: Network, power: number): number[] {
  const layers = weighted(network);
  return layers.map((layer, i) => (layer.layer.kind === 'conv' || i === layers.length - 1 ? 0.9 : 0.8) ** power);
}

/** The mask of a criterion at kept fractions per layer. */
export function criterionMask(
  network: Network,
  criterion: Criterion,
  initial: readonly Float32Array[],
  final: readonly Float32Array[],
  fractions: readonly number[],
  seed: Seed,
): Uint8Array[] {
  return keepCounts(network, fractions).map((keep, layer) =>
    keepHighest(criterionScores(criterion, initial[layer], final[layer], seed, layer), keep, seed, layer),
  );
}
