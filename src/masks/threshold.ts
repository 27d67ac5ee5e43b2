// The threshold mask method (Mallya et al. 2018; SupSup, Wortsman et al. 2020): a weight is kept while its score is at least 0, so the
// density is whatever training makes of it. Scores learn straight-through with RMSprop: each moves by its gradient, dL/dW' x W, over the
// root of a running mean of its squares. Division and square root are exact (IEEE 754), so a run gives the same bits anywhere.

import { type Network, regenerate, ShapeError, weighted } from '../network.js';
import { DOMAIN, fillWords } from '../random.js';

/** RMSprop as SupSup uses it; the other two are its library's defaults. */
export const RMSPROP = { learningRate: 1e-4, decay: 0.99, epsilon: 1e-8 } as const;
export interface RmspropOptions {
  readonly learningRate: number;
  readonly decay: number;
  readonly epsilon: number;
}

/** Throws ShapeError unless every move is a number: a mean has a part in 0 .. 1, and no root of squares may be divided by 0. */
export function checkRmsprop({ decay, epsilon }: RmspropOptions): void {
  if (!(decay >= 0 && decay < 1)) throw new ShapeError(`decay must be at least 0 and below 1, got ${decay}`);
  if (!(epsilon > 0 && epsilon < Number.POSITIVE_INFINITY)) throw new ShapeError(`epsilon must be a finite number above 0, got ${epsilon}`);
}

/** First scores: uniform in -1 / sqrt(fan-in) .. 1 / sqrt(fan-in) from the network's seed, so about half of the weights are kept. */
export function signedScores(network: Network): Float32Array[] {
  return weighted(network).map((layer) => {
    const words = new Uint32Array(layer.weights);
    fillWords(network.seed, DOMAIN.scoreInit, layer.stream, 0, words);
    const reach = 1 / Math.sqrt(layer.fanIn);
    return Float32Array.from(words, (word) => ((2 * word) / 4294967296 - 1) * reach);
  });
}

/** Scores and what RMSprop remembers of them. */
export class ThresholdScores {
  readonly scores: readonly Float32Array[];
  readonly #weights: readonly Float32Array[];
  readonly #squares: readonly Float32Array[];

  constructor(network: Network) {
    this.scores = signedScores(network);
    this.#weights = regenerate(network);
    this.#squares = this.scores.map(({ length }) => new Float32Array(length));
  }

  /**
   * Moves the scores of a layer.
   * @param gradient d loss / d effective weight of every weight of the layer
   * @returns what was added, one value a weight
   */
  move(layer: number, gradient: Float32Array, { learningRate, decay, epsilon }: RmspropOptions): Float32Array {
    const [scores, weights, squares] = [this.scores[layer], this.#weights[layer], this.#squares[layer]];
    const moves = new Float32Array(scores.length);
    for (let i = 0; i < scores.length; i++) {
      const g = gradient[i] * weights[i];
      squares[i] = decay * squares[i] + (1 - decay) * g * g;
      moves[i] = (-learningRate * g) / (Math.sqrt(squares[i]) + epsilon);
      scores[i] += moves[i];
    }
    return moves;
  }

  /** Kept weights per layer. */
  kept(): number[] {
    return this.scores.map((layer) => layer.reduce((sum, score) => sum + (score >= 0 ? 1 : 0), 0));
  }
}
