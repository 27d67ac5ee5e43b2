// What networks and masks are trained with when nothing is said, for any network: the paper's choices, and ours, which were made on
// validation rows (bench/README.md). `seedmask train` also moves images by a pixel, prices bits, and takes smaller batches of few rows.
//
//   const network = maskNetwork(architecture, seed);
//   const { mask } = await trainTopk(engine, network, data, rows, topkTraining(network, data));

import type { Dataset } from './data.js';
import { convDensity, scoreRanges, spread } from './masks/topk.js';
import type { Architecture, Network } from './network.js';
import type { Seed } from './random.js';

/** The paper's training of the full network: Adam 1.2e-3, batch 60 (its FC on MNIST; it trains 55 epochs). */
export const PAPER = { batch: 60, learningRate: 1.2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

const convLayers = ({ layers }: Architecture): number => layers.filter((layer) => layer.kind === 'conv').length;

/** The same for any network: 2e-4 with two conv layers (27 epochs), 3e-4 with more (Conv4: 34 epochs, Conv6: 40). */
export function paperTraining(network: Architecture): Record<keyof typeof PAPER, number> {
  const conv = convLayers(network);
  return { ...PAPER, learningRate: conv === 0 ? PAPER.learningRate : conv <= 2 ? 2e-4 : 3e-4 };
}

/** How a mask is learned: at a given density, drawn with learned probabilities, or where scores pass a threshold. */
export const METHODS = ['topk', 'bernoulli', 'threshold'] as const;
export type Method = (typeof METHODS)[number];

/** The untrained weights under a mask: as they are initialised, or constants with a sign. */
export const WEIGHTS = ['init', 'constant'] as const;
export type Weights = (typeof WEIGHTS)[number];

/**
 * The network of a learned mask: signs packed one bit a weight, or normal draws, whose size is He's, for bernoulli Glorot's as in the
 * paper: with its normal draws, the initialisation whose training makes tickets.
 */
export const maskNetwork = (architecture: Architecture, seed: Seed, method: Method = 'topk', weights: Weights = 'constant'): Network => ({
  ...architecture,
  distribution: weights === 'init' ? 'normal' : 'packed-signed-constant',
  sigma: method === 'bernoulli' ? 'glorot' : 'he',
  seed,
});

/** Our default learned mask of an FC network. */
export const TOPK = { batch: 128, learningRate: 0.15, momentum: 0.9, scoreRange: 0.01 } as const;
/** Its learning rate in networks with convolutions, and over numbers. */
export const TOPK_CONV_RATE = 0.3;
export const TOPK_NUMBERS_RATE = 0.03;

/** Kept fraction of dense layers, first to last, of 784-300-100-10. Small layers keep more, as `convDensity` says. */
export const FC_DENSITY = [0.025, 0.08, 0.3] as const;
/** Passes over the data, without and with convolutions. */
export const FC_EPOCHS = 24;
export const CONV_EPOCHS = 10;

/**
 * The same for any network: with convolutions the range of a layer's scores grows with its output, and rate, densities (`convDensity`) and
 * epochs are others.
 * @param data what is learned: rows of numbers take a rate of their own
 */
export function topkTraining(
  network: Architecture,
  { features }: Pick<Dataset, 'features'> = {},
): Record<'batch' | 'learningRate' | 'momentum' | 'epochs', number> & Record<'scoreRange' | 'density', number[]> {
  const convolves = convLayers(network) > 0;
  const bySize = convDensity(network);
  return {
    ...TOPK,
    learningRate: features ? TOPK_NUMBERS_RATE : convolves ? TOPK_CONV_RATE : TOPK.learningRate,
    scoreRange: scoreRanges(network, TOPK.scoreRange),
    density: convolves ? bySize : spread(FC_DENSITY, bySize.length).map((density, i) => Math.max(density, bySize[i])),
    epochs: convolves ? CONV_EPOCHS : FC_EPOCHS,
  };
}

/** The paper's learned supermask of an FC network (SGD with rate 100: a score sees a weight times a quarter of its gradient), in batches of ours. */
export const BERNOULLI = { batch: 128, learningRate: 100, momentum: 0.9, rescale: false } as const;

/**
 * The same for any network. Of convolutional ones the paper's rates are not known to us: 100 with two conv layers, 50 with four and 20
 * with six are those of a re-run of its method (Ramanujan et al. 2020), which lets them fall by a cosine; here they stay.
 */
export function bernoulliTraining(network: Architecture): Record<'batch' | 'learningRate' | 'momentum', number> & { rescale: boolean } {
  const conv = convLayers(network);
  return { ...BERNOULLI, learningRate: conv <= 2 ? BERNOULLI.learningRate : conv <= 4 ? 50 : 20 };
}
