// Integer programs of the WebAssembly engine against the reference: every size of tile and what is left of it, every width of
// activations, and networks made by hand whose sums are the largest that i16, a segment of it, or i32 can hold.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fc as lenet } from '../models/index.js';
import { createClassifiers } from '../src/engine/classifiers.js';
import type { Classifier, Engine } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { type Activation, inputs, maskBytes, type Network, regenerate, weighted } from '../src/network.js';
import { conv, dense, net, randomMask, randomPixels } from './engine.material.js';
import { expectSameBits } from './engine.suite.js';

const BATCHES = [1, 3, 4, 16, 19, 39, 40, 64, 65, 257];

/** Keeps the first weights of each sign: [layer][unit] -> how many positive and how many negative ones. */
function keeping(network: Network, counts: (layer: number, unit: number) => [positive: number, negative: number]): Uint8Array[] {
  const weights = regenerate(network);
  return weighted(network).map((placed, layer) => {
    const bits = new Uint8Array(maskBytes(placed.weights));
    for (let unit = 0; unit < placed.output[2]; unit++) {
      const left = counts(layer, unit);
      for (let i = unit * placed.fanIn; i < (unit + 1) * placed.fanIn; i++) {
        const sign = weights[layer][i] > 0 ? 0 : 1;
        if (left[sign]-- > 0) bits[i >> 3] |= 1 << (i & 7);
      }
      if (Math.max(...left) > 0) throw new RangeError(`layer ${layer}, unit ${unit} has too few weights of one sign`);
    }
    return bits;
  });
}

describe.each([1, 2])('integer programs, %i threads', (threads) => {
  const reference = createReferenceEngine();
  let engine: Engine;
  beforeAll(async () => {
    engine = await createWasmEngine({ threads });
  });
  afterAll(() => engine.close());

  const both = (network: Network, mask: Uint8Array[], use: (got: Classifier, want: Classifier) => void) => {
    const got = engine.classifier(network, { mask });
    const want = reference.classifier(network, { mask });
    expect(got.scale).toBe(want.scale);
    use(got, want);
    got.free();
    want.free();
  };
  /** Prefixes of the same samples, in calls of every size. */
  const expectSameLogits = (got: Classifier, want: Classifier, pixels: Uint8Array, batches = BATCHES) => {
    const rows = Math.max(...batches);
    const wanted = want.logits(pixels.subarray(0, rows * want.inputs), rows);
    for (const batch of batches) {
      const logits = got.logits(pixels.subarray(0, batch * got.inputs), batch);
      expectSameBits(`batch ${batch}`, logits, wanted.slice(0, batch * got.outputs));
    }
  };

  test('random shapes, masks and batches', () => {
    const width = (max: number) => fc.integer({ min: 1, max });
    const layer = fc.tuple(width(75), fc.constantFrom<Activation>('relu', 'linear')).map(([units, activation]) => dense(units, activation));
    const property = fc.property(
      width(210),
      fc.array(layer, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(0, 0.03, 0.2, 0.6, 1),
      fc.nat(),
      (features, layers, density, seed) => {
        const network: Network = { ...net([1, 1, features], ...layers), seed: { low: seed, high: 1 } };
        const pixels = randomPixels(network.seed, 257 * features);
        pixels.fill(255, 0, features);
        both(network, randomMask(network, network.seed, density), (got, want) => expectSameLogits(got, want, pixels));
      },
    );
    fc.assert(property, { seed: 20190503, numRuns: 40 });
  });

  test('units that keep nothing, or one weight', () => {
    const network = net([1, 1, 33], dense(18), dense(7), dense(5, 'linear'));
    const pixels = randomPixels(network.seed, 257 * 33);
    const mask = keeping(network, (_, unit) => (unit % 3 === 0 ? [0, 0] : unit % 3 === 1 ? [1, 0] : [1, 1]));
    both(network, mask, (got, want) => expectSameLogits(got, want, pixels));
  });

  test.each([
    ['packed-signed-constant', 0.03, 0.1, 0.3],
    ['packed-signed-constant', 0.5, 0.5, 0.5],
    ['normal', 0.03, 0.1, 0.3],
  ] as const)('LeNet-300-100 of %s at %f %f %f, dealt to the threads', (distribution, first, second, third) => {
    const network: Network = { ...lenet, distribution, sigma: 'he', seed: { low: 3, high: 3 } };
    const masks = [first, second, third].map((density) => randomMask(network, network.seed, density));
    // The reference is slow: it answers few samples, which come again and again.
    const few = randomPixels(network.seed, 23 * 784);
    const pixels = Uint8Array.from({ length: 641 * 784 }, (_, i) => few[i % few.length]);
    both(
      network,
      masks.map((mask, layer) => mask[layer]),
      (got, want) => {
        const logits = want.logits(few, 23);
        for (const batch of [1, 65, 257, 641]) {
          const answers = got.logits(pixels.subarray(0, batch * 784), batch);
          expect(answers.length).toBe(batch * 10);
          for (let row = 0; row < batch; row += 23) {
            const some = answers.subarray(row * 10, (row + 23) * 10);
            expectSameBits(`batch ${batch}, row ${row}`, some, logits.subarray(0, some.length));
          }
        }
      },
    );
  });

  // Every sum of whole pixels is at most a multiple of 255: the last below 32768 is 128 x 255.
  test.each([
    [128, 'i16'],
    [129, 'segments of i16'],
    [300, 'segments of i16'],
  ])('a first layer that sums %i pixels of one sign: %s', (count) => {
    const network = net([1, 1, 700], dense(6, 'linear'), dense(2, 'linear'));
    const mask = keeping(network, (layer, unit) => (layer === 1 ? [unit, 1 - unit] : unit % 2 ? [count, 0] : [0, count]));
    const weights = regenerate(network)[1];
    const fed = [0, 1].map((unit) => {
      const chosen = Array.from(weights.subarray(unit * 6, unit * 6 + 6)).findIndex((w) => w > 0 === (unit === 1));
      return (chosen % 2 ? 1 : -1) * (unit === 1 ? 1 : -1) * count * 255;
    });
    const pixels = new Uint8Array(700 * 65).fill(255);
    both(network, mask, (got, want) => {
      expect(Array.from(got.logits(pixels.subarray(0, 700), 1))).toEqual(fed);
      expectSameLogits(got, want, pixels, [1, 16, 64, 65]);
    });
  });

  test('a second layer whose segments are full: eight inputs of at most 16 x 255', () => {
    const network = net([1, 1, 90], dense(160), dense(3), dense(1, 'linear'));
    const mask = keeping(network, (layer) => (layer === 0 ? [16, 0] : layer === 1 ? [64, 0] : [1, 0]));
    const pixels = randomPixels(network.seed, 65 * 90);
    for (const row of [0, 17, 64]) pixels.fill(255, row * 90, (row + 1) * 90);
    both(network, mask, (got, want) => {
      expect(Array.from(got.logits(pixels.subarray(0, 90), 1))).toEqual([16 * 64 * 255]);
      expectSameLogits(got, want, pixels, [1, 16, 64, 65]);
    });
  });

  // 255 x 241 x 128 x 273 = 2147483520 is the last multiple of 255 below 2^31.
  const widest = net([1, 1, 640], dense(340), dense(660), dense(2, 'linear'));
  const product = (more: number) =>
    keeping(
      widest,
      (layer, unit) =>
        [[241, 0] as const, [128, 0] as const, unit ? ([273 + more, 0] as const) : ([0, 273 + more] as const)][layer].slice() as [
          number,
          number,
        ],
    );

  test('sums up to 2147483520 in i32', () => {
    const features = inputs(widest);
    const pixels = new Uint8Array(features * 17).fill(255);
    both(widest, product(0), (got, want) => {
      expect(got.logits(pixels.subarray(0, features), 1)).toEqual(Int32Array.of(-2147483520, 2147483520));
      expectSameLogits(got, want, pixels, [1, 17]);
    });
  });

  test('one weight more is a float program', () => {
    const pixels = new Uint8Array(inputs(widest) * 2).fill(255);
    both(widest, product(1), (got, want) => {
      expect(got.logits(pixels, 2)).toBeInstanceOf(Float32Array);
      expectSameLogits(got, want, pixels, [1, 2]);
    });
  });

  test.each([
    net([1, 1, 2], dense(32753, 'linear')),
    net([1, 1, 32753], dense(5), dense(3, 'linear')),
    net([105, 104, 3], dense(5, 'linear'), dense(3, 'linear')),
  ])('a layer wider than 16-bit lists: on the kernels too', async (network) => {
    const pixels = randomPixels(network.seed, inputs(network) * 17);
    const mask = randomMask(network, network.seed, 0.5);
    both(network, mask, (got, want) => {
      expect(got.logits(pixels, 17)).toBeInstanceOf(Int32Array);
      expectSameLogits(got, want, pixels, [1, 17]);
    });
    // Has nothing but kernels to answer with.
    const classifiers = await createClassifiers({ threads });
    expect(classifiers.classifier(network, { mask }).logits(pixels, 17)).toEqual(
      reference.classifier(network, { mask }).logits(pixels, 17),
    );
    classifiers.close();
  });

  test('no mask of a float network is asked for integers, and no weight is regenerated to find out', () => {
    const before = engine.memoryBytes;
    const wide = net([1, 1, 4096], dense(4096), dense(10, 'linear'));
    expect(engine.anyMask({ ...wide, distribution: 'normal' })).toBeNull();
    expect(engine.anyMask(net([32, 32, 4], conv(4), dense(4096), dense(10, 'linear')))).toBeNull();
    expect(engine.memoryBytes).toBe(before);
  });
});
