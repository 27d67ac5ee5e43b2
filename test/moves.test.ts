// Images moved for training: whole-pixel shifts and turns, against the plainest statement of each.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cosinePi } from '../src/exact.js';
import { moveImages } from '../src/moves.js';
import type { Seed } from '../src/random.js';

test('images are moved by whole pixels, each row by its own draw, and rows that are not named stay', () => {
  const size = fc.integer({ min: 1, max: 6 });
  const word = fc.nat(0xffffffff);
  const seed: fc.Arbitrary<Seed> = fc.record({ low: word, high: word });
  fc.assert(
    fc.property(
      size,
      size,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 7 }),
      seed,
      fc.nat(9),
      (h, w, c, reach, key, epoch) => {
        const width = h * w * c;
        const images = Uint8Array.from({ length: 40 * width }, (_, i) => 1 + ((i * 31 + (i >> 6)) % 255));
        const out = images.slice();
        const rows = Uint32Array.from({ length: 39 }, (_, i) => i + 1);
        moveImages({ input: [h, w, c], images, labels: new Uint8Array(40) }, rows, { shift: reach }, key, epoch, out);
        expect(out.subarray(0, width)).toEqual(images.subarray(0, width));
        const moved = (row: number, down: number, right: number) =>
          Uint8Array.from({ length: width }, (_, i) => {
            const [y, x] = [Math.floor(i / (w * c)) - down, (Math.floor(i / c) % w) - right];
            return y >= 0 && y < h && x >= 0 && x < w ? images[row * width + (y * w + x) * c + (i % c)] : 0;
          });
        const range = Array.from({ length: 2 * reach + 1 }, (_, i) => i - reach);
        for (const row of rows) {
          const got = out.slice(row * width, (row + 1) * width);
          const same = range.some((down) => range.some((right) => Buffer.compare(moved(row, down, right), got) === 0));
          expect(same, `row ${row}`).toBe(true);
        }
      },
    ),
    { seed: 4711, numRuns: 60 },
  );
});

test('every move up to the reach is drawn, by the seed and the epoch', () => {
  // One bright pixel in the middle of 5 x 5 tells where its image went; 200 draws of 9 moves miss one with probability 5e-10.
  const rows = Uint32Array.from({ length: 200 }, (_, i) => i);
  const images = Uint8Array.from({ length: 200 * 25 }, (_, i) => (i % 25 === 12 ? 255 : 0));
  const data = { input: [5, 5, 1], images, labels: new Uint8Array(200) } as const;
  const places = (low: number, epoch: number) => {
    const out = new Uint8Array(images.length);
    moveImages(data, rows, { shift: 1 }, { low, high: 0 }, epoch, out);
    return Array.from(rows, (row) => out.subarray(row * 25, (row + 1) * 25).indexOf(255));
  };
  expect([...new Set(places(1, 0))].sort((a, b) => a - b)).toEqual([6, 7, 8, 11, 12, 13, 16, 17, 18]);
  expect(places(1, 0)).toEqual(places(1, 0));
  expect(places(1, 1)).not.toEqual(places(1, 0));
  expect(places(2, 0)).not.toEqual(places(1, 0));
});

/** A picture of 9 x 9 whose bright pixels tell every place and channel apart, in as many rows as asked. */
const pictures = (rows: number, channels: number) => ({
  input: [9, 9, channels] as const,
  images: Uint8Array.from({ length: rows * 81 * channels }, (_, i) => 1 + ((i * 31) % 255)),
  labels: new Uint8Array(rows),
});

test('turned pixels are the bilinear means of where they came from, by Math.sin and Math.cos', () => {
  const data = pictures(60, 2);
  const rows = Uint32Array.from({ length: 60 }, (_, i) => i);
  const out = new Uint8Array(data.images.length);
  moveImages(data, rows, { rotate: 90 }, { low: 3, high: 1 }, 2, out);
  const at = (row: number, y: number, x: number, c: number) =>
    y < 0 || y > 8 || x < 0 || x > 8 ? 0 : data.images[((row * 9 + y) * 9 + x) * 2 + c];
  /** How far row `row` is from a turn by an angle: 1 at most, a rounding, for the right one. */
  const off = (row: number, angle: number): number => {
    let most = 0;
    for (let i = 0; i < 162 && most <= 1; i++) {
      const [y, x, c] = [Math.floor(i / 18) - 4, (Math.floor(i / 2) % 9) - 4, i % 2];
      const [fx, fy] = [4 + Math.cos(angle) * x + Math.sin(angle) * y, 4 + Math.cos(angle) * y - Math.sin(angle) * x];
      let value = 0;
      for (const ny of [Math.floor(fy), Math.floor(fy) + 1])
        for (const nx of [Math.floor(fx), Math.floor(fx) + 1])
          value += at(row, ny, nx, c) * (1 - Math.abs(fy - ny)) * (1 - Math.abs(fx - nx));
      most = Math.max(most, Math.abs(value - out[row * 162 + i]));
    }
    return most;
  };
  const found = Array.from(rows, (row) => {
    for (let k = -18000; k <= 18000; k++) if (off(row, (k / 18000) * (Math.PI / 2)) <= 1) return k / 200;
    return Number.NaN;
  });
  // Every row has an angle within the reach, and the angles spread over it: of 60, each quarter holds some (missed with p < 1e-6).
  expect(found.every((angle) => Math.abs(angle) <= 90)).toBe(true);
  for (const quarter of [-90, -45, 0, 45]) expect(found.some((angle) => angle >= quarter && angle < quarter + 45)).toBe(true);
});

test('half of the images are mirrored left to right, drawn apart from its shift and its turn', () => {
  const data = pictures(400, 3);
  const rows = Uint32Array.from({ length: 400 }, (_, i) => i);
  const moved = (reach: object, of = data, epoch = 4) => {
    const out = new Uint8Array(data.images.length);
    moveImages(of, rows, reach, { low: 5, high: 2 }, epoch, out);
    return Array.from(rows, (row) => out.slice(row * 243, (row + 1) * 243));
  };
  const other = Uint8Array.from(data.images, (_, i) => {
    const x = Math.floor(i / 3) % 9;
    return data.images[i + 3 * (8 - 2 * x)];
  });
  const [plain, flipped] = [moved({}), moved({}, { ...data, images: other })];
  const sides = (of: Uint8Array[]) => of.map((image, row) => [plain, flipped].findIndex((side) => Buffer.compare(side[row], image) === 0));
  const drawn = sides(moved({ mirror: true }));
  expect(drawn).not.toContain(-1);
  // Of 400 halves 150 to 250: missed with a probability of 6e-7.
  const mirrored = drawn.reduce((sum, side) => sum + side, 0);
  expect(mirrored).toBeGreaterThan(150);
  expect(mirrored).toBeLessThan(250);
  expect(sides(moved({ mirror: true }, data, 5))).not.toEqual(drawn);
  // The image is mirrored first: what it shows is then shifted and turned as it would have been.
  const [still, turned] = [moved({ shift: 2, rotate: 20 }), moved({ shift: 2, rotate: 20 }, { ...data, images: other })];
  expect(moved({ shift: 2, rotate: 20, mirror: true })).toEqual(drawn.map((side, row) => [still, turned][side][row]));
  expect(moved({ mirror: false })).toEqual(plain);
});

test('a turn too small to see leaves images as a shift does, and turns are drawn by the seed and the epoch', () => {
  const data = pictures(40, 1);
  const rows = Uint32Array.from({ length: 39 }, (_, i) => i + 1);
  const moved = (reach: object, low = 1, epoch = 0) => {
    const out = data.images.slice();
    moveImages(data, rows, reach, { low, high: 0 }, epoch, out);
    return out;
  };
  expect(moved({ shift: 2, rotate: 1e-6 })).toEqual(moved({ shift: 2 }));
  expect(moved({ rotate: 20 })).toEqual(moved({ rotate: 20 }));
  expect(moved({ rotate: 20 }, 2)).not.toEqual(moved({ rotate: 20 }));
  expect(moved({ rotate: 20 }, 1, 1)).not.toEqual(moved({ rotate: 20 }));
  expect(moved({ rotate: 20 }).subarray(0, 81)).toEqual(data.images.subarray(0, 81));
});

test('the cosine of moves and schedules is right to 1e-9', () => {
  for (let i = 0; i <= 1000; i++) expect(Math.abs(cosinePi(i / 1000) - Math.cos((Math.PI * i) / 1000))).toBeLessThan(1e-9);
});
