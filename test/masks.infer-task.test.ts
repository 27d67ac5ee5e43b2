// Task inference: the fast gradients equal those of the plain loops, the scores are what finite differences of the entropy say, and a
// mask that was trained for the inputs is found among others.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packMask } from '../src/engine/packed.js';
import { exp, ln } from '../src/exact.js';
import { createTaskInference, denseGradients, inferTask, laidOut, superposedGradients } from '../src/masks/infer-task.js';
import { inputs, type Layer, type Mask, type Network, outputs, regenerate, ShapeError, weightCounts } from '../src/network.js';
import { fillWords } from '../src/random.js';
import { denseArchitecture, evaluate, randomFloats } from './engine.material.js';

const dense = (...units: number[]): Layer[] =>
  units.map((n, i) => ({ kind: 'dense', units: n, activation: i < units.length - 1 ? 'relu' : 'linear' }));
const network = (input: Network['input'], layers: Layer[], low = 5): Network => ({
  input,
  layers,
  distribution: 'signed-constant',
  sigma: 'he',
  seed: { low, high: 0 },
});
const small = network([1, 1, 13], dense(21, 9, 5));
const convolutions = network([6, 6, 2], [{ kind: 'conv', filters: 3, activation: 'relu' }, { kind: 'pool' }, ...dense(7, 4)]);

/** Random masks of a density. */
function randomMasks(of: Network, count: number, density: number, seed = 1): Mask[] {
  return Array.from({ length: count }, (_, m) =>
    weightCounts(of).map((n, layer) => {
      const words = new Uint32Array(n);
      fillWords({ low: seed, high: m }, 3, layer, 0, words);
      const bits = new Uint8Array(Math.ceil(n / 8));
      words.forEach((word, i) => {
        if (word < density * 2 ** 32) bits[i >> 3] |= 1 << (i & 7);
      });
      return bits;
    }),
  );
}

function pixels(count: number, zeros: number, seed = 9): Uint8Array {
  const words = new Uint32Array(count);
  fillWords({ low: seed, high: 1 }, 3, 0, 0, words);
  return Uint8Array.from(words, (word) => (word % 100 < zeros ? 0 : word >>> 24));
}

/**
 * Mean entropy of a network whose weights are the sum of a_i x mask i x weight, in double precision, logits times a fixed scale; without
 * a scale, the one that brings the logits to the given root mean square.
 */
function entropy(of: Network, masks: readonly Mask[], a: readonly number[], x: Uint8Array, sharpness: number, fixed?: number) {
  const weights = regenerate(of).map((layer, l) =>
    Float64Array.from(
      layer,
      (weight, bit) => weight * masks.reduce((sum, mask, m) => sum + a[m] * ((mask[l][bit >> 3] >> (bit & 7)) & 1), 0),
    ),
  );
  const width = inputs(of);
  const rows = x.length / width;
  const logits = Array.from({ length: rows }, (_, row) =>
    evaluate(
      of,
      weights,
      null,
      Array.from(x.subarray(row * width, (row + 1) * width), (value) => value / 255),
    ),
  );
  const n = outputs(of);
  let squares = 0;
  for (const row of logits) for (const z of row) squares += (z - row.reduce((p, q) => p + q) / n) ** 2;
  const scale = fixed ?? sharpness / Math.sqrt(squares / (rows * n));
  let h = 0;
  for (const row of logits) {
    const top = Math.max(...row);
    const p = row.map((z) => exp(scale * (z - top)));
    const sum = p.reduce((q, r) => q + r);
    h -= p.reduce((total, q) => total + (q / sum) * ln(q / sum), 0) / rows;
  }
  return { h, scale };
}

/** -dH/da of each mask, by central differences. */
function slopes(of: Network, masks: readonly Mask[], x: Uint8Array, sharpness = 1): number[] {
  const a = masks.map(() => 1 / masks.length);
  const { scale } = entropy(of, masks, a, x, sharpness);
  return masks.map((_, i) => {
    const moved = (step: number) => a.map((value, m) => (m === i ? value + step : value));
    const at = (step: number) => entropy(of, masks, moved(step), x, sharpness, scale).h;
    return -(at(1e-5) - at(-1e-5)) / 2e-5;
  });
}

const packed = (of: Network, masks: readonly Mask[]) => masks.map((mask) => packMask(of, mask));

test.each<[string, Network, rows: number, density: number, sharpness: number]>([
  ['one row', small, 1, 0.5, 1],
  ['three rows, sharper', small, 3, 0.3, 2],
  ['a convolution, a relu and a pool', convolutions, 2, 0.6, 1],
])('scores are minus the derivatives of the entropy, by central differences: %s', (_, of, rows, density, sharpness) => {
  const masks = randomMasks(of, 5, density);
  const x = pixels(inputs(of) * rows, 40);
  const found = inferTask(of, packed(of, masks), x, rows, { sharpness });
  slopes(of, masks, x, sharpness).forEach((slope, i) => {
    expect(found.scores[i]).toBeCloseTo(slope, 3);
  });
  expect(found.best).toBe(found.scores.indexOf(Math.max(...found.scores)));
  expect(found.confidence).toBeGreaterThan(1 / 5);
});

test('dense layers have the gradients that the plain loops have', () => {
  const rows = 2;
  fc.assert(
    fc.property(denseArchitecture, fc.nat(), (architecture, low) => {
      const of = network(architecture.input, [...architecture.layers], low);
      const laid = laidOut(of, regenerate(of));
      // Small integers: sums of their products have the same bits in both precisions, so a relu passes the same units.
      const sum = randomFloats(of.seed, 1, laid.bits, 14).map(Math.round);
      const x = Float32Array.from(pixels(rows * inputs(of), 40, low), (value) => value >> 4);
      const [fast, plain] = [denseGradients, superposedGradients].map((gradients) => {
        const steps = gradients(of, laid, sum, x, rows, 1);
        let step = steps.next();
        while (!step.done) step = steps.next();
        return step.value;
      });
      const most = plain.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      plain.forEach((value, bit) => {
        expect(Math.abs(fast[bit] - value)).toBeLessThanOrEqual(1e-5 * most);
      });
    }),
  );
});

test('without a relu between, and with convolutions, derivatives are those of the entropy too', () => {
  // A network with a convolution of 1x1 outputs is a dense one: both ways through the code must agree.
  const linear: Layer[] = [
    { kind: 'dense', units: 6, activation: 'linear' },
    { kind: 'dense', units: 4, activation: 'linear' },
  ];
  const masks = randomMasks(network([1, 1, 9], linear), 4, 0.5);
  const flat = network([3, 3, 1], linear);
  const asConv = network(
    [3, 3, 1],
    [
      { kind: 'conv', filters: 6, activation: 'linear', kernel: 3, padding: 'valid' },
      { kind: 'dense', units: 4, activation: 'linear' },
    ],
  );
  const weights = regenerate(flat);
  const x = pixels(18, 30);
  const one = inferTask(flat, packed(flat, masks), x, 2, { weights });
  const other = inferTask(asConv, packed(asConv, masks), x, 2, { weights });
  one.scores.forEach((score, i) => {
    expect(other.scores[i]).toBeCloseTo(score, 4);
  });
  slopes(flat, masks, x).forEach((slope, i) => {
    expect(one.scores[i]).toBeCloseTo(slope, 3);
  });
});

test('any number of masks, of any density, are added up right: the scores times 1/k add up to the change of all together', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 40 }), fc.double({ min: 0.02, max: 1, noNaN: true }), fc.nat(1000), (count, density, seed) => {
      const masks = randomMasks(small, count, density, seed);
      const x = pixels(26, 30, seed);
      const { scores } = inferTask(small, packed(small, masks), x, 2);
      const a = masks.map(() => 1 / count);
      const { scale } = entropy(small, masks, a, x, 1);
      if (!Number.isFinite(scale)) return;
      const at = (step: number) =>
        entropy(
          small,
          masks,
          a.map((value) => value * (1 + step)),
          x,
          1,
          scale,
        ).h;
      const slope = (at(1e-5) - at(-1e-5)) / 2e-5;
      expect(scores.reduce((sum, score) => sum + score / count, 0)).toBeCloseTo(-slope, 3);
    }),
    { numRuns: 60 },
  );
});

describe('finding', () => {
  // Mask i leads from inputs 10 i .. 10 i + 9 over two hidden units of its own to output i: sure of inputs that lie there.
  const wide = network([1, 1, 80], dense(16, 8), 3);
  const weights = weightCounts(wide).map((n) => new Float32Array(n).fill(1));
  const owners = Array.from({ length: 8 }, (_, task) => {
    const [first, second] = [new Uint8Array(160), new Uint8Array(16)];
    for (const hidden of [2 * task, 2 * task + 1]) {
      for (let bit = hidden * 80 + 10 * task; bit < hidden * 80 + 10 * task + 10; bit++) first[bit >> 3] |= 1 << (bit & 7);
      second[(task * 16 + hidden) >> 3] |= 1 << ((task * 16 + hidden) & 7);
    }
    return packMask(wide, [first, second]);
  });
  const rowsOf = (task: number, rows: number) =>
    Uint8Array.from({ length: 80 * rows }, (_, i) => (Math.floor((i % 80) / 10) === task ? 200 - (i % 7) : 0));

  test.each(['oneshot', 'binary'] as const)('%s finds the mask that its inputs were made for', (method) => {
    const inference = createTaskInference(wide, owners, { weights });
    for (let task = 0; task < 8; task++) {
      for (const rows of [1, 3]) {
        const found = inference.infer(rowsOf(task, rows), rows, method);
        expect(found.best).toBe(task);
        expect(found.confidence).toBeGreaterThan(1 / 8);
        expect(found.cost).toEqual(method === 'oneshot' ? { passes: 1, masks: 8 } : { passes: 3, masks: 8 + 4 + 2 });
      }
    }
  });

  test('inputs that say nothing give every mask the same confidence', () => {
    const found = inferTask(wide, owners, new Uint8Array(80), 1, { weights });
    expect(found.best).toBe(0);
    expect(found.confidence).toBeCloseTo(1 / 8, 12);
  });

  test('in steps the answer is the same, and others have their turn', () => {
    const many = Array.from({ length: 300 }, (_, i) => owners[i % 8]);
    const inference = createTaskInference(wide, many, { weights });
    const steps = inference.steps(rowsOf(5, 1), 1);
    let turns = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) turns++;
    expect(turns).toBeGreaterThan(6);
    expect(step.value).toEqual(createTaskInference(wide, many, { weights }).infer(rowsOf(5, 1), 1));
    expect(step.value.best).toBe(5);
  });
});

test('what does not fit is refused', () => {
  const masks = randomMasks(small, 2, 0.5).map((mask) => packMask(small, mask));
  const x = new Uint8Array(13);
  expect(() => inferTask(small, masks.slice(1), x, 1)).toThrow(new ShapeError('to tell tasks apart takes at least 2 masks, got 1'));
  expect(() => inferTask(small, [masks[0], masks[1].subarray(1)], x, 1)).toThrow('packed mask 1 has');
  expect(() => inferTask(small, masks, x, 2)).toThrow('got 13 input values, expected 2 rows x 13 values');
  expect(() => inferTask(small, masks, new Uint8Array(0), 0)).toThrow('at least 1 row');
  expect(() => inferTask(convolutions, masks, new Uint8Array(72), 1)).toThrow('packed mask 0 has');
  for (const method of ['oneshot', 'binary'] as const)
    expect(() => inferTask(small, masks, new Float32Array(13).fill(Number.NaN), 1, { method })).toThrow(
      new ShapeError('no mask can be told from another: a value of the rows is no number, or too large for f32'),
    );
  const transform = { scale: 1, mean: 0, features: { low: new Float32Array(13), scale: new Float32Array(13).fill(1) } };
  expect(() => inferTask(small, masks, new Float32Array(13).fill(3), 1, { transform })).toThrow('pass what asInputs(rows, transform, 13)');
});
