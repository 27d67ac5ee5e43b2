// Digits as people draw them: every row again, shifted by up to 3 pixels and turned by up to 15 degrees, by a seed.

import { DOMAIN, fillWords } from '../dist/src/random.js';

const relu = (layer) => ({ ...layer, activation: 'relu' });

/** How digits.smk is made; densities, epochs and rate were chosen on validation rows. */
export const MOVED = {
  architecture: {
    input: [28, 28, 1],
    layers: [
      relu({ kind: 'conv', filters: 16 }),
      { kind: 'pool' },
      relu({ kind: 'conv', filters: 32 }),
      { kind: 'pool' },
      relu({ kind: 'conv', filters: 32 }),
      { kind: 'dense', units: 10, activation: 'linear' },
    ],
  },
  density: [0.5, 0.2, 0.1, 0.1],
  epochs: 4,
  learningRate: 0.1,
  copies: 3,
};

/**
 * @param data rows of 28 x 28 grey pixels
 * @param copies moved copies of every row, in the order of the rows
 * @param turn degrees at most, either way
 */
export function moved({ input, images, labels }, copies, seed, { shift = 3, turn = 15 } = {}) {
  const [height, width] = input;
  const size = height * width;
  const rows = labels.length;
  const out = { input, images: new Uint8Array(rows * copies * size), labels: new Uint8Array(rows * copies) };
  const words = new Uint32Array(rows * copies * 4);
  fillWords(seed, DOMAIN.sampling, 0, 0, words);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let copy = 0; copy < copies; copy++, to++) {
      const [dx, dy, angle] = [0, 1, 2].map((k) => words[to * 4 + k] / 2 ** 31 - 1);
      out.labels[to] = labels[row];
      place(images.subarray(row * size, (row + 1) * size), out.images.subarray(to * size, (to + 1) * size), width, height, {
        dx: Math.round(dx * shift),
        dy: Math.round(dy * shift),
        radians: (angle * turn * Math.PI) / 180,
      });
    }
  }
  return out;
}

/** Bilinear; what falls outside is 0. The rotation is by shear and division alone, so that every machine gives the same pixels. */
function place(from, to, width, height, { dx, dy, radians }) {
  const t = radians / 2;
  // cos and sin by the half-angle's tangent, itself a cubic: exact enough, and made of + - * / alone.
  const tangent = t + (t * t * t) / 3;
  const [cos, sin] = [(1 - tangent * tangent) / (1 + tangent * tangent), (2 * tangent) / (1 + tangent * tangent)];
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2];
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : from[y * width + x]);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const [u, v] = [x - dx - cx, y - dy - cy];
      const [sx, sy] = [cos * u + sin * v + cx, cos * v - sin * u + cy];
      const [x0, y0] = [Math.floor(sx), Math.floor(sy)];
      const [fx, fy] = [sx - x0, sy - y0];
      const upper = at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx;
      const lower = at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx;
      to[i] = Math.floor(upper * (1 - fy) + lower * fy + 0.5);
    }
  }
}
