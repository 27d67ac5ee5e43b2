// Adam with both bias corrections folded into the rate and epsilon, as the kernels take it; the formula stands beside `adam` in
// trainers.ts. Counts its steps.

import { checkAdam } from '../checks.js';
import type { AdamOptions } from '../engine.js';

export class AdamSteps {
  #beta1t = 1;
  #beta2t = 1;

  /** The numbers of the next step; kernels round them to f32 once. */
  next(options: AdamOptions) {
    checkAdam(options);
    const { learningRate, beta1, beta2, epsilon } = options;
    this.#beta1t *= beta1;
    this.#beta2t *= beta2;
    const root = Math.sqrt(1 - this.#beta2t);
    const rate = (learningRate * root) / (1 - this.#beta1t);
    return { rate, beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, epsilon: epsilon * root };
  }
}
