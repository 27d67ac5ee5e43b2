// Convolutions and pools of the wasm engine against the reference engine, bit for bit, on the shapes that kernels get wrong: images of
// one pixel, odd sizes, widths that are no multiple of 4, one channel and five, more filters than a tile, empty masks and filters, pools
// that drop a row, two pools in a row; and both forms of every layer (kept weights, non-zero inputs), with one thread and two.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Engine, PIXELS } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { type Architecture, inputs, type Network, place, weightCounts } from '../src/network.js';
import type { Distribution } from '../src/random.js';
import {
  conv,
  dense,
  pool,
  randomFloats,
  randomMask,
  randomParameters,
  randomPixels,
  randomTrainingSet,
  window,
} from './engine.material.js';
import { expectSameBits } from './engine.suite.js';

// The reference engine is slow, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

const SHAPES: [string, Architecture][] = [
  ['one pixel', { input: [1, 1, 1], layers: [conv(5), conv(3, 'linear'), dense(4, 'linear')] }],
  ['one row', { input: [1, 9, 2], layers: [conv(4), conv(6), dense(3, 'linear')] }],
  ['one column', { input: [9, 1, 3], layers: [conv(4), conv(6), dense(3, 'linear')] }],
  ['odd sizes, pools drop a row and a column', { input: [7, 5, 5], layers: [conv(6), pool, conv(7), pool, dense(9), dense(4, 'linear')] }],
  ['two pools in a row', { input: [8, 9, 1], layers: [conv(5), pool, pool, dense(5, 'linear')] }],
  ['a pool first', { input: [6, 7, 3], layers: [pool, conv(5, 'linear'), conv(4), dense(5, 'linear')] }],
  ['a convolution after a dense layer', { input: [3, 3, 2], layers: [conv(3), dense(6), conv(5), dense(4, 'linear')] }],
  ['wider than a tile of positions', { input: [3, 50, 1], layers: [conv(3), conv(2), dense(3, 'linear')] }],
  ['more filters than a tile', { input: [5, 6, 3], layers: [conv(37), conv(41), pool, dense(33), dense(10, 'linear')] }],
  ['whole slices of channels', { input: [14, 3, 4], layers: [conv(32), conv(8), pool, dense(3, 'linear')] }],
  [
    'dense layers of one and five units',
    { input: [6, 6, 1], layers: [conv(4), dense(1, 'linear'), dense(5, 'linear'), dense(3, 'linear')] },
  ],
  ['a logit layer with a relu', { input: [4, 4, 4], layers: [conv(8), pool, dense(3)] }],
  ['an image of logits', { input: [4, 3, 2], layers: [conv(5), conv(3, 'linear')] }],
  ['pooled logits of a relu', { input: [6, 5, 1], layers: [conv(9), conv(5), pool] }],
  ['more units than a draw', { input: [3, 3, 6], layers: [conv(70), pool, dense(67), dense(3, 'linear')] }],
  ['LeNet-5 in small', { input: [12, 13, 1], layers: [window(5, 5, 'valid'), pool, window(7, 3, 'valid'), dense(9), dense(4, 'linear')] }],
  ['five by five, a border of two', { input: [6, 7, 3], layers: [window(9, 5), window(5, 5), pool, dense(4, 'linear')] }],
  ['even kernels', { input: [6, 5, 2], layers: [window(5, 2), window(6, 4), window(3, 2, 'valid'), dense(4, 'linear')] }],
  ['kernels of one pixel', { input: [4, 5, 6], layers: [window(7, 1), window(33, 1, 'valid'), pool, dense(4, 'linear')] }],
  ['a kernel larger than the image', { input: [3, 2, 2], layers: [window(5, 7), window(4, 16), dense(3, 'linear')] }],
  ['a kernel as large as the image', { input: [4, 4, 3], layers: [window(6, 4, 'valid'), window(5, 3), dense(3, 'linear')] }],
  ['slices of channels under an even kernel', { input: [14, 4, 1], layers: [window(32, 1), window(4, 2), dense(3, 'linear')] }],
  ['slices of channels under a large one', { input: [5, 6, 1], layers: [window(32, 1), window(4, 5, 'valid'), dense(3, 'linear')] }],
  ['wide images without a border', { input: [5, 30, 4], layers: [window(6, 3, 'valid'), window(5, 2), pool, dense(3, 'linear')] }],
  ['a dense layer wider than a block', { input: [12, 12, 4], layers: [conv(4), dense(7, 'linear')] }],
];

const network = (architecture: Architecture, distribution: Distribution = 'normal'): Network => ({
  ...architecture,
  distribution,
  sigma: 'he',
  seed: { low: 77, high: 3 },
});

describe.each([1, 2])('convolutions with %i threads', (threads) => {
  const reference = createReferenceEngine();
  let engine: Engine;
  beforeAll(async () => {
    engine = await createWasmEngine({ threads });
  });
  afterAll(() => engine.close());

  describe.each(SHAPES)('%s', (_, architecture) => {
    test.each([0, 0.1, 0.6, 1])('logits at density %f', (density) => {
      for (const distribution of ['signed-constant', 'normal'] as const) {
        const net = network(architecture, distribution);
        const mask = randomMask(net, net.seed, density);
        for (const parameters of [undefined, randomParameters(net, net.seed, true)]) {
          const got = engine.classifier(net, { mask, parameters });
          const want = reference.classifier(net, { mask, parameters });
          expect(got.scale).toBe(want.scale);
          for (const rows of [1, 3, 5, 19]) {
            const pixels = randomPixels(net.seed, rows * inputs(net));
            expectSameBits(`${rows} rows`, got.logits(pixels, rows), want.logits(pixels, rows));
          }
          const floats = randomFloats(net.seed, 9, 2 * inputs(net), 100);
          expectSameBits('floats', got.logits(floats, 2), want.logits(floats, 2));
          got.free();
        }
      }
    });

    test.each([1, 3, 5, 18])('gradients and steps of dense training, batch %i', (batch) => {
      const net = network(architecture);
      const data = randomTrainingSet(net, net.seed, batch + 2, PIXELS);
      const start = randomParameters(net, net.seed, true);
      const got = engine.denseTrainer(net, data, start, batch);
      const want = reference.denseTrainer(net, data, start, batch);
      for (let step = 0; step < 3; step++) {
        const rows = Uint32Array.from({ length: step === 1 ? Math.ceil(batch / 2) : batch }, (_, i) => (i + step) % (batch + 2));
        expect(got.gradients(rows)).toBe(want.gradients(rows));
        start.weights.forEach((_, layer) => {
          expectSameBits(`dW${layer}`, got.weightGradient(layer), want.weightGradient(layer));
          expectSameBits(`dBias${layer}`, got.biasGradient(layer), want.biasGradient(layer));
        });
        // A step that is refused leaves the batch as it is.
        for (const trainer of [got, want]) {
          expect(() => trainer.adam({ learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 0 })).toThrow('epsilon must be');
          trainer.adam({ learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
        }
        got.parameters().weights.forEach((w, layer) => {
          expectSameBits(`weights ${layer} after step ${step}`, w, want.parameters().weights[layer]);
        });
      }
      got.free();
    });

    test.each([0, 0.1, 0.6])('topk training at density %f', (density) => {
      const net = network(architecture, 'signed-constant');
      const counts = weightCounts(net);
      const data = randomTrainingSet(net, net.seed, 8, PIXELS);
      const scores = counts.map((n, layer) => randomFloats(net.seed, 500 + layer, n, 1));
      const keep = counts.map((n) => Math.round(n * density));
      const gain = counts.map(() => 1.5);
      const [got, want] = [engine, reference].map((e) => e.topkTrainer(net, data, { scores }, { keep, gain }, 5));
      for (let step = 0; step < 5; step++) {
        const rows = Uint32Array.from({ length: 5 - (step % 2) }, (_, i) => (3 * i + step) % 8);
        expect(got.gradients(rows)).toBe(want.gradients(rows));
        counts.forEach((_, layer) => {
          expectSameBits(`dW${layer}`, got.weightGradient(layer), want.weightGradient(layer));
        });
        // From one form of the layers to the other, and everything kept once.
        const now = step === 2 ? counts : step === 3 ? counts.map((n) => n >> 1) : keep;
        for (const trainer of [got, want]) {
          trainer.step({ learningRate: 0.3, momentum: 0.9 }, { keep: now, gain });
          if (step !== 1) continue;
          trainer.nudge(counts.map((n, layer) => randomFloats(net.seed, 520 + layer, n, 1)));
          trainer.show(randomPixels({ low: 4, high: 4 }, data.images.length));
        }
        got.scores().forEach((s, layer) => {
          expectSameBits(`scores ${layer} after step ${step}`, s, want.scores()[layer]);
        });
        expectSameBits('logits', got.logits(rows), want.logits(rows));
      }
      got.free();
    });

    test.each([
      [false, -2],
      [false, 0],
      [true, 0],
      [true, 2],
    ])('bernoulli training, rescaled %s, scores about %f', (rescale, middle) => {
      const net = network(architecture, middle === 0 ? 'normal' : 'signed-constant');
      const counts = weightCounts(net);
      const data = randomTrainingSet(net, net.seed, 8, PIXELS);
      const scores = counts.map((n, layer) => randomFloats(net.seed, 700 + layer, n, 3).map((s) => s + middle));
      const [got, want] = [engine, reference].map((e) => e.bernoulliTrainer(net, data, { scores }, rescale, 5));
      for (let step = 0; step < 4; step++) {
        const rows = Uint32Array.from({ length: 5 - (step % 2) }, (_, i) => (3 * i + step) % 8);
        expect(got.mask()).toEqual(want.mask());
        expect(got.gradients(rows)).toBe(want.gradients(rows));
        counts.forEach((_, layer) => {
          expectSameBits(`dW${layer}`, got.weightGradient(layer), want.weightGradient(layer));
        });
        expectSameBits('logits', got.logits(Uint32Array.of(7, 1)), want.logits(Uint32Array.of(7, 1)));
        for (const trainer of [got, want]) {
          trainer.step({ learningRate: 5, momentum: 0.9, penalty: step * counts.length }, step + 1);
          if (step === 2) trainer.draw(0xffffffff);
        }
        got.scores().forEach((s, layer) => {
          expectSameBits(`scores ${layer} after step ${step}`, s, want.scores()[layer]);
        });
      }
      got.free();
    });
  });

  test('a mask with empty filters and one with a single weight', () => {
    const net = network({ input: [6, 6, 3], layers: [conv(9), conv(5), pool, dense(4, 'linear')] }, 'signed-constant');
    const layers = place(net).filter((layer) => layer.weights > 0);
    const empty = randomMask(net, net.seed, 0.5);
    // Filters 0, 3, 6 of the first layer are 27 bits each.
    for (let i = 0; i < layers[0].weights; i++) if (Math.floor(i / 27) % 3 === 0) empty[0][i >> 3] &= ~(1 << (i & 7));
    const single = randomMask(net, net.seed, 0).map((bits) => bits.map((_, i) => (i === 1 ? 4 : 0)));
    const pixels = randomPixels(net.seed, 4 * inputs(net));
    for (const mask of [empty, single]) {
      expectSameBits('logits', engine.classifier(net, { mask }).logits(pixels, 4), reference.classifier(net, { mask }).logits(pixels, 4));
    }
  });

  test('a network whose outputs are an image is served too', () => {
    const net = network({ input: [4, 4, 1], layers: [conv(2), pool] }, 'signed-constant');
    const pixels = randomPixels(net.seed, 2 * inputs(net));
    expectSameBits('logits', engine.classifier(net).logits(pixels, 2), reference.classifier(net).logits(pixels, 2));
  });

  test('random sizes of two convolutions', () => {
    const size = fc.integer({ min: 1, max: 20 });
    const property = fc.property(
      size,
      size,
      size,
      size,
      fc.integer({ min: 1, max: 6 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (h, w, c, f, n, d) => {
        const net = network({ input: [h, w, c], layers: [conv(f), conv(3), dense(2, 'linear')] });
        const data = randomTrainingSet(net, net.seed, n, PIXELS);
        const start = randomParameters(net, net.seed, false);
        const mask = randomMask(net, net.seed, d);
        const zeroed = { ...start, weights: start.weights.map((v, l) => v.map((x, i) => ((mask[l][i >> 3] >> (i & 7)) & 1 ? x : 0))) };
        const [got, want] = [engine, reference].map((e) => e.denseTrainer(net, data, zeroed, n, mask));
        const rows = Uint32Array.from({ length: n }, (_, i) => i);
        for (let step = 0; step < 2; step++) {
          expect(got.gradients(rows)).toBe(want.gradients(rows));
          start.weights.forEach((_, layer) => {
            expectSameBits(`dW${layer}`, got.weightGradient(layer), want.weightGradient(layer));
          });
          for (const trainer of [got, want]) trainer.sgd({ learningRate: 0.1, momentum: 0.9 });
        }
        got.free();
      },
    );
    fc.assert(property, { seed: 1, numRuns: 40 });
  });
});
