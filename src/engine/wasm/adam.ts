// Adam with both bias corrections folded into the rate and epsilon, as the kernels take it; the formula stands beside `adam` in
// trainers.ts. Counts its steps, in powers of the betas.

import { checkAdam } from '../checks.js';
import type { AdamOptions, Moments } from '../engine.js';

export class AdamSteps {
  /** beta1 and beta2 to the power of the steps taken. */
  powers: Moments['powers'];

  /** @param moments of the steps before, when there were any */
  constructor(moments?: Moments) {
    this.powers = moments?.powers ?? [1, 1];
  }

  /** The numbers of the next step; kernels round them to f32 once. */
  next(options: AdamOptions) {
    checkAdam(options);
    const { learningRate, beta1, beta2, epsilon } = options;
    this.powers = [this.powers[0] * beta1, this.powers[1] * beta2];
    const root = Math.sqrt(1 - this.powers[1]);
    const rate = (learningRate * root) / (1 - this.powers[0]);
    return { rate, beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, epsilon: epsilon * root };
  }
}
