// From logits to class probabilities: softmax(scale x logits), in f64 with the exact exponential of exact.ts, rounded to f32 once. The
// server and the browser give the same bits.

import { exp } from './exact.js';

/**
 * Writes the softmax of scale x logits[from .. from + n - 1] to out[at ..]; NaN where logits have overflowed.
 * @returns the index of the largest logit, ties to the lower one
 */
export function softmax(logits: Int32Array | Float32Array, from: number, n: number, scale: number, out: Float32Array, at: number): number {
  let best = 0;
  for (let i = 1; i < n; i++) if (logits[from + i] > logits[from + best]) best = i;
  const top = logits[from + best];
  const terms = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    terms[i] = exp((logits[from + i] - top) * scale);
    sum += terms[i];
  }
  for (let i = 0; i < n; i++) out[at + i] = terms[i] / sum;
  return best;
}
