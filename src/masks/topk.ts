// The topk mask method: a variant of edge-popup (Ramanujan et al. 2020) with a density schedule. Every weight has a score; a layer
// keeps its highest scores at the current density; scores learn straight-through while the weights never change.
//
// The density falls from 1/2 to its target over the first 40 % of the steps (cubic, Zhu and Gupta 2017), so that weights compete
// before they are cut. Activations keep their size because a layer's weights are multiplied by 1 / sqrt(density) while it falls;
// with zero biases such a factor changes no prediction, and it is not stored.

import type { Selection } from '../engine/engine.js';
import { exp, ln } from '../exact.js';
import { type Architecture, checkMask, kept, type Mask, type Network, weightCounts, weighted } from '../network.js';
import { DOMAIN, fillWords } from '../random.js';

const START_DENSITY = 0.5;
export const SCHEDULE = 0.4;

/**
 * Ranges of first scores in which one learning rate suits all layers: a weight of a convolution meets the gradients of every pixel of
 * the output, so its score moves so many times as far. Only the ratio of a score to its moves matters.
 * @param range of a dense layer
 */
export const scoreRanges = (network: Architecture, range: number): number[] =>
  weighted(network).map(({ output: [height, width] }) => range * height * width);

/**
 * First scores: uniform in [0, range) from the network's seed.
 * @param ranges of all layers, or of each
 * @param start a mask whose weights begin a range higher, above all others
 * @throws ShapeError when it is the mask of another network
 */
export function initialScores(network: Network, ranges: number | readonly number[], start?: Mask): Float32Array[] {
  if (start) checkMask(network, start);
  return weighted(network).map((layer, i) => {
    const range = typeof ranges === 'number' ? ranges : ranges[i];
    const words = new Uint32Array(layer.weights);
    fillWords(network.seed, DOMAIN.scoreInit, layer.stream, 0, words);
    return Float32Array.from(words, (word, at) => (word / 4294967296 + (start ? kept(start[i], at) : 0)) * range);
  });
}

/** Density of each layer at a step. Layers whose target is at least 1/2 have it from the start. */
export function densityAt(target: readonly number[], step: number, steps: number): number[] {
  const before = 1 - Math.min(1, step / (SCHEDULE * steps));
  // ECMAScript leaves ** to the machine.
  const left = before * before * before;
  return target.map((density) => (density >= START_DENSITY ? density : START_DENSITY * left + density * (1 - left)));
}

/** Whole kept weights per layer, at least one. */
export const keepAt = (network: Network, density: readonly number[]): number[] =>
  weightCounts(network).map((count, i) => Math.min(count, Math.max(1, Math.round(count * density[i]))));

/** Keeps the variance of activations: He initialisation of the kept weights. */
export const gainAt = (density: readonly number[]): number[] => density.map((d) => Math.fround(1 / Math.sqrt(d)));

/** Both, for a trainer. */
export const selectionAt = (network: Network, density: readonly number[]): Selection => ({
  keep: keepAt(network, density),
  gain: gainAt(density),
});

/**
 * A density for each layer of a network of convolutions: 15 n^0.4 of its n weights, so that the larger a layer, the smaller the kept
 * part, at most a half. Chosen on validation rows of MNIST (bench/README.md).
 */
export const convDensity = (network: Architecture): number[] =>
  weightCounts(network).map((n) => Math.min(START_DENSITY, 15 * exp(-0.6 * ln(n))));

/** One density a layer: a shorter list repeats its last entry. */
export const spread = (density: readonly number[], layers: number): number[] =>
  Array.from({ length: layers }, (_, i) => density[Math.min(i, density.length - 1)]);
