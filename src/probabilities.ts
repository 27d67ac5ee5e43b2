// From logits to class probabilities: softmax(scale x logits), in f64 with the exact exponential of exact.ts. What evaluates, the server
// and the browser give the same bits.

import { exp } from './exact.js';

/** Index of the largest of `classes` values, the first of equals. */
export function argmax(values: ArrayLike<number>, start: number, classes: number): number {
  let best = 0;
  for (let j = 1; j < classes; j++) if (values[start + j] > values[start + best]) best = j;
  return best;
}

/** Softmax of scale x logits[start .. start + classes - 1]; NaN where logits have overflowed. */
export function softmax(logits: ArrayLike<number>, start: number, classes: number, scale: number): Float64Array {
  const top = logits[start + argmax(logits, start, classes)];
  const out = new Float64Array(classes);
  let sum = 0;
  for (let j = 0; j < classes; j++) sum += out[j] = exp((logits[start + j] - top) * scale);
  for (let j = 0; j < classes; j++) out[j] /= sum;
  return out;
}
