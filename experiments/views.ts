// Tasks from the same digits that are unlike one another: what is done to the images, and what is asked about them. Everything that is
// drawn comes from a seed, so a view is the same on any machine.

import type { Dataset } from '../src/data.js';
import { DOMAIN, fillWords, type Seed } from '../src/random.js';

export const VIEWS = ['plain', 'quarter-turn', 'half-turn', 'mirrored', 'inverted', 'noisy', 'left-half', 'parity', 'below-five'] as const;
export type View = (typeof VIEWS)[number];

/** Where pixel (y, x) of a square image of a side comes from. */
type From = (y: number, x: number, side: number) => readonly [y: number, x: number];
const MOVED: Partial<Record<View, From>> = {
  'quarter-turn': (y, x, side) => [side - 1 - x, y],
  'half-turn': (y, x, side) => [side - 1 - y, side - 1 - x],
  mirrored: (y, x, side) => [y, side - 1 - x],
};
/** A pixel's value, and a random byte for it. */
const CHANGED: Partial<Record<View, (value: number, noise: number, x: number, side: number) => number>> = {
  inverted: (value) => 255 - value,
  noisy: (value, noise) => Math.min(255, value + (noise >> 1)),
  'left-half': (value, _noise, x, side) => (x < side / 2 ? value : 0),
};
/** The classes of tasks that ask for something other than the digit, and a digit's class. */
const ASKED: Partial<Record<View, { readonly names: readonly string[]; readonly classOf: (digit: number) => number }>> = {
  parity: { names: ['even', 'odd'], classOf: (digit) => digit % 2 },
  'below-five': { names: ['below five', 'five or more'], classOf: (digit) => (digit < 5 ? 0 : 1) },
};

/** Names of a view's classes, if they are not the digits. */
export const classNames = (view: View): readonly string[] | undefined => ASKED[view]?.names;

/**
 * Square grey images as a view shows them, and the labels that it asks for; `plain` is the data itself.
 * @param seed of the noise
 */
export function viewOf(data: Dataset, view: View, seed: Seed): Dataset {
  const asked = ASKED[view];
  const labels = asked ? data.labels.map(asked.classOf) : data.labels;
  const [from, change] = [MOVED[view], CHANGED[view]];
  if (!from && !change) return { ...data, labels };
  const { images } = data;
  const [side] = data.input;
  const size = side * side;
  const out = new Uint8Array(images.length);
  const words = new Uint32Array(size / 4);
  const noise = new Uint8Array(words.buffer);
  for (let row = 0, start = 0; start < images.length; row++, start += size) {
    if (view === 'noisy') fillWords(seed, DOMAIN.sampling, row, 0, words);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const [fromY, fromX] = from ? from(y, x, side) : [y, x];
        const value = images[start + fromY * side + fromX];
        out[start + y * side + x] = change ? change(value, noise[y * side + x], x, side) : value;
      }
    }
  }
  return { ...data, images: out, labels };
}
