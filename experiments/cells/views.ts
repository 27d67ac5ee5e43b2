// Tasks of grey images of 28 x 28 that are unlike one another: what is done to the digits, what is asked about them, and photographs in
// their place. Everything that is drawn comes from a seed, so a view is the same on any machine.

import { CIFAR10_CLASSES, type Dataset } from '../../src/data.js';
import { DOMAIN, fillWords, type Seed } from '../../src/random.js';

export const VIEWS = [
  'plain',
  'quarter-turn',
  'half-turn',
  'mirrored',
  'inverted',
  'noisy',
  'left-half',
  'parity',
  'below-five',
  'photographs',
] as const;
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
export const classNames = (view: View): readonly string[] | undefined => (view === 'photographs' ? CIFAR10_CLASSES : ASKED[view]?.names);

/** What a view is a view of. */
export const dataOfView = (view: View): 'mnist' | 'cifar10' => (view === 'photographs' ? 'cifar10' : 'mnist');

/** The middle 28 x 28 of larger images in colour, grey: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), in whole numbers. */
function grey({ input: [height, width], images, labels }: Dataset): Dataset {
  const side = 28;
  const [top, left] = [(height - side) >> 1, (width - side) >> 1];
  const out = new Uint8Array(labels.length * side * side);
  for (let row = 0, to = 0; row < labels.length; row++) {
    for (let y = 0; y < side; y++) {
      let from = 3 * ((row * height + top + y) * width + left);
      for (let x = 0; x < side; x++, from += 3)
        out[to++] = (299 * images[from] + 587 * images[from + 1] + 114 * images[from + 2] + 500) / 1000;
    }
  }
  return { input: [side, side, 1], images: out, labels };
}

/**
 * Square grey images as a view shows them, and the labels that it asks for; `plain` is the data itself, `photographs` wants CIFAR-10.
 * @param seed of the noise
 */
export function viewOf(data: Dataset, view: View, seed: Seed): Dataset {
  if (view === 'photographs') return grey(data);
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
