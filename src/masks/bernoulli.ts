// The Bernoulli mask method (Zhou et al. 2019, section 5.1): every weight has a score and is kept with probability sigmoid(score),
// drawn anew for each batch; scores learn straight-through. What is trained is a distribution over masks. A model file needs one
// definite mask: here the likelier bit of every weight. The paper reports the mean accuracy of ten drawn masks instead. A penalty on the
// mean probability (engine.ts) makes masks keep fewer weights.

import { bitsWhere, type Network, weightCounts } from '../network.js';

/** Draws for evaluation count from here, draws for training from 0. */
export const EVALUATION_DRAWS = 2 ** 31;

/** Every weight is kept with probability 1/2. */
export const evenScores = (network: Network): Float32Array[] => weightCounts(network).map((count) => new Float32Array(count));

/** The definite mask: bits with probability >= 1/2, that is score >= 0. */
export const likelierMask = (scores: readonly Float32Array[]): Uint8Array[] =>
  scores.map((layer) => bitsWhere(layer, (score) => score >= 0));
