// The k highest scores as mask bits, ties to the lower index. Typed-array sort is native and compares numbers, so the k-th score
// comes from a sorted copy; src/engine/trainers.ts has the slow definition that a test compares this with.

import { maskBytes } from '../../network.js';

/** @param k 0 .. scores.length */
export function highest(scores: Float32Array, k: number): Uint8Array {
  const bits = new Uint8Array(maskBytes(scores.length));
  if (k === 0) return bits;
  const least = scores.slice().sort()[scores.length - k];
  let ties = k;
  for (const score of scores) if (score > least) ties--;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] > least || (scores[i] === least && ties-- > 0)) bits[i >> 3] |= 1 << (i & 7);
  }
  return bits;
}
