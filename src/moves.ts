// Moved images: what training shows of a row, anew in every epoch, so that a network learns what does not depend on the place or the
// slant of a digit, or on the side that a thing faces. Mirror images, turns about the middle and shifts by whole pixels are drawn by seed
// and epoch, and made of + - * / alone, so every machine sees the same bytes.

import type { Dataset } from './data.js';
import { cosinePi } from './exact.js';
import { DOMAIN, fillWords, type Seed } from './random.js';

/** How far images are moved at most. */
export interface Reach {
  /** Whole pixels, both ways; default 0. */
  readonly shift?: number;
  /** Degrees, both ways, at most 90; default 0. */
  readonly rotate?: number;
  /** Whether images are mirrored left to right, each with probability 1/2 (random horizontal flips); default false. */
  readonly mirror?: boolean;
}

/** Whether images are moved at all. */
export const moves = ({ shift, rotate, mirror }: Reach): boolean => Boolean(shift || rotate || mirror);

/**
 * The images with those of some rows mirrored, turned, then shifted, each as the seed and the epoch draw it; what moves in is 0. A turned
 * pixel is the mean of the four it lies between, weighted by how near they are (bilinear) and rounded.
 * @param out where to write them; images of other rows stay as they are there
 */
export function moveImages(
  data: Dataset,
  rows: Uint32Array,
  { shift = 0, rotate = 0, mirror = false }: Reach,
  seed: Seed,
  epoch: number,
  out: Uint8Array,
): void {
  const [height, width, channels] = data.input;
  const size = height * width * channels;
  const places = new Uint32Array(rows.length);
  const angles = new Uint32Array(rotate ? rows.length : 0);
  fillWords(seed, DOMAIN.shifts, epoch, 0, places);
  fillWords(seed, DOMAIN.turns, epoch, 0, angles);
  const mirrors = new Uint32Array(mirror ? rows.length : 0);
  fillWords(seed, DOMAIN.mirrors, epoch, 0, mirrors);
  const other = new Uint8Array(size);
  const drawn = (draw: number, most: number) => Math.max(-most, Math.min(most, (draw % (2 * shift + 1)) - shift));
  rows.forEach((row, i) => {
    const own = data.images.subarray(row * size, (row + 1) * size);
    const image = mirrors[i] >>> 31 ? mirrored(own, data.input, other) : own;
    const to = out.subarray(row * size, (row + 1) * size);
    const [right, down] = [drawn(places[i] & 0xffff, width), drawn(places[i] >>> 16, height)];
    if (rotate) turned(image, data.input, ((angles[i] + 0.5) / 2 ** 31 - 1) * rotate, right, down, to);
    else shifted(image, data.input, right, down, to);
  });
}

function mirrored(image: Uint8Array, [height, width, channels]: Dataset['input'], out: Uint8Array): Uint8Array {
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = width - 1; x >= 0; x--) {
      const from = (y * width + x) * channels;
      for (let c = 0; c < channels; c++) out[at++] = image[from + c];
    }
  }
  return out;
}

function shifted(image: Uint8Array, [height, width, channels]: Dataset['input'], right: number, down: number, out: Uint8Array): void {
  const line = width * channels;
  const size = height * line;
  const columns = right * channels;
  const offset = down * line + columns;
  out.fill(0);
  if (Math.abs(offset) >= size) return;
  // All lines at once; what has come from a neighbouring line is put out again.
  out.set(image.subarray(Math.max(0, -offset), size - Math.max(0, offset)), Math.max(0, offset));
  for (let end = line; end <= size; end += line) {
    for (let at = columns > 0 ? end - line : end + columns; at < (columns > 0 ? end - line + columns : end); at++) out[at] = 0;
  }
}

/** An image turned clockwise by so many degrees, then shifted. */
function turned(
  image: Uint8Array,
  [height, width, channels]: Dataset['input'],
  degrees: number,
  right: number,
  down: number,
  out: Uint8Array,
): void {
  const sine = cosinePi(0.5 - degrees / 180);
  const cosine = cosinePi(Math.abs(degrees) / 180);
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  const value = (y: number, x: number, c: number) =>
    y < 0 || y >= height || x < 0 || x >= width ? 0 : image[(y * width + x) * channels + c];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [dx, dy] = [x - right - middleX, y - down - middleY];
      const fromX = middleX + cosine * dx + sine * dy;
      const fromY = middleY + cosine * dy - sine * dx;
      const [x0, y0] = [Math.floor(fromX), Math.floor(fromY)];
      const [fx, fy] = [fromX - x0, fromY - y0];
      for (let c = 0; c < channels; c++, at++) {
        const top = value(y0, x0, c) * (1 - fx) + value(y0, x0 + 1, c) * fx;
        const bottom = value(y0 + 1, x0, c) * (1 - fx) + value(y0 + 1, x0 + 1, c) * fx;
        out[at] = Math.floor(top * (1 - fy) + bottom * fy + 0.5);
      }
    }
  }
}
