// Integer programs: exact against double precision, and never beyond i32. The bounds are checked where they can be reached.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fc as lenet } from '../models/index.js';
import { I32_LARGEST, integerBounds, integerProgram } from '../src/engine/bounds.js';
import { PIXELS, stepOf } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { fullMask, inputs, maskBytes, type Network, outputs, regenerate, sigmaOf, weightCounts, weighted } from '../src/network.js';
import {
  conv,
  convArchitecture,
  dense,
  denseArchitecture,
  evaluate,
  net,
  networkOf,
  pool,
  randomFloats,
  randomMask,
  randomPixels,
  scenario,
} from './engine.material.js';

const engine = createReferenceEngine();

/** Signs of the kept weights, 0 for the others. */
const signsOf = (network: Network, mask: Uint8Array[]): number[][] =>
  regenerate(network).map((w, layer) => Array.from(w, (v, i) => ((mask[layer][i >> 3] >> (i & 7)) & 1) * Math.sign(v)));

test.each([
  ['dense', denseArchitecture],
  ['conv', convArchitecture],
])('%s: logits are exact integers within the bounds of every layer', (_, architecture) => {
  let programs = 0;
  fc.assert(
    fc.property(scenario(architecture, 1), (s) => {
      const network: Network = { ...networkOf(s), distribution: 'signed-constant' };
      const mask = randomMask(network, s.seed, s.density);
      const pixels = randomPixels(s.seed, inputs(network));
      const signs = signsOf(network, mask);
      const bounds = integerBounds(network, mask);
      // Cut after each weighted layer, whose activation is left out: the values that the bounds speak of.
      network.layers.forEach((layer, i) => {
        if (layer.kind === 'pool') return;
        const cut: Network = { ...network, layers: [...network.layers.slice(0, i), { ...layer, activation: 'linear' }] };
        const { low, high, largest } = bounds[weightCounts(cut).length - 1];
        evaluate(cut, signs, null, Array.from(pixels)).forEach((z, at) => {
          expect(z).toBeGreaterThanOrEqual(low[at % low.length]);
          expect(z).toBeLessThanOrEqual(high[at % low.length]);
          expect(Math.abs(z)).toBeLessThanOrEqual(largest);
        });
      });
      const classifier = engine.classifier(network, { mask });
      const logits = classifier.logits(pixels, 1);
      if (logits instanceof Float32Array) return;
      programs++;
      // + 0: an f64 evaluation may give -0, which is the integer 0.
      expect([...logits]).toEqual(evaluate(network, signs, null, Array.from(pixels)).map((z) => z + 0));
    }),
    { seed: 3, numRuns: 60 },
  );
  expect(programs).toBeGreaterThan(30);
});

test('logits in units of their step are the same of bytes and of floats', () => {
  const network = net([6, 6, 2], conv(5), pool, dense(9), dense(4, 'linear'));
  const classifier = engine.classifier(network);
  const pixels = randomPixels(network.seed, 3 * 72);
  const [a, b, c] = weighted(network).map((layer) => sigmaOf('glorot', layer));
  expect(classifier.scale).toBe(PIXELS.scale * a * b * c);
  const floats = classifier.logits(Float32Array.from(pixels), 3);
  expect(floats).toBeInstanceOf(Float32Array);
  const integers = classifier.logits(pixels, 3);
  expect([stepOf(classifier, integers), stepOf(classifier, floats)]).toEqual([classifier.scale, 1]);
  integers.forEach((logit, i) => {
    expect(logit * stepOf(classifier, integers)).toBeCloseTo(floats[i], 5);
  });
});

test('the bounds of one unit are the sums of 255 over its kept signs', () => {
  const weights = [Float32Array.of(1, 1, -1, 1, -1, -1), Float32Array.of(1, -1, -1, -1)];
  const bounds = integerBounds(net([1, 1, 3], dense(2, 'relu'), dense(2, 'linear')), [Uint8Array.of(0b111011), Uint8Array.of(15)], weights);
  // Kept: + + of unit 0 (its third weight is dropped), + - - of unit 1; after the relu the lows are 0.
  expect([...bounds[0].low]).toEqual([0, -510]);
  expect([...bounds[0].high]).toEqual([510, 255]);
  expect([...bounds[1].low]).toEqual([-255, -765]);
  expect([...bounds[1].high]).toEqual([510, 0]);
  expect(bounds.map((b) => b.largest)).toEqual([510, 765]);
  const linear = integerBounds(net([1, 1, 3], dense(2, 'linear'), dense(2, 'linear')), [Uint8Array.of(63), Uint8Array.of(15)], weights);
  // Linear: unit 0 in [-255, 510], unit 1 in [-510, 255]; u0 - u1 in [-510, 1020] and -u0 - u1 in [-765, 765].
  expect([...linear[1].low]).toEqual([-510, -765]);
  expect([...linear[1].high]).toEqual([1020, 765]);
});

test('a conv filter has one bound, that of a pixel inside the image; a pool changes none', () => {
  const network = net([5, 5, 1], conv(2), pool, dense(1, 'linear'));
  const bounds = integerBounds(network, fullMask(network, true), [new Float32Array(9 * 2).fill(1), new Float32Array(2 * 2 * 2).fill(-1)]);
  expect([...bounds[0].high]).toEqual([9 * 255, 9 * 255]);
  expect([...bounds[1].low]).toEqual([-8 * 9 * 255]);
  expect(bounds.map((b) => b.largest)).toEqual([9 * 255, 8 * 9 * 255]);
});

/** A mask that keeps the first `counts[layer]` positive weights of each of the first `units[layer]` units, among inputs that live. */
function positives(network: Network, units: number[], counts: number[]): Uint8Array[] {
  let living = inputs(network);
  return regenerate(network).map((w, layer) => {
    const { fanIn } = weighted(network)[layer];
    const bits = new Uint8Array(maskBytes(w.length));
    for (let unit = 0; unit < units[layer]; unit++) {
      let left = counts[layer];
      for (let i = 0; i < living && left > 0; i++) {
        const index = unit * fanIn + i;
        if (w[index] <= 0) continue;
        bits[index >> 3] |= 1 << (index & 7);
        left--;
      }
      expect(left).toBe(0);
    }
    living = units[layer];
    return bits;
  });
}

test('the largest multiple of 255 below 2^31 runs in i32, one more path of it in floats', () => {
  const network = net([1, 1, 700], dense(640), dense(320), dense(1, 'linear'));
  // 2147483520 = 255 x 273 x 241 x 128 <= 2^31 - 1 = 2147483647.
  const fits = positives(network, [640, 320, 1], [273, 241, 128]);
  const classifier = engine.classifier(network, { mask: fits });
  expect(integerBounds(network, fits)[2].largest).toBe(2147483520);
  expect(I32_LARGEST).toBe(2 ** 31 - 1);
  const white = new Uint8Array(700).fill(255);
  expect(classifier.logits(white, 1)).toEqual(Int32Array.of(2147483520));

  const over = positives(network, [640, 320, 1], [273, 241, 129]);
  const floats = engine.classifier(network, { mask: over });
  const logits = floats.logits(white, 1);
  expect(stepOf(floats, logits)).toBe(1);
  const [logit] = logits as Float32Array;
  const sigma = weighted(network).reduce((product, layer) => product * sigmaOf('glorot', layer), PIXELS.scale);
  expect(logit / (sigma * 255 * 273 * 241 * 129)).toBeCloseTo(1, 4);
});

test('LeNet-300-100 fits i32 even with every weight kept', () => {
  expect(engine.classifier({ ...net([1, 1, 1]), ...lenet }).logits(new Uint8Array(784), 1)).toBeInstanceOf(Int32Array);
});

test('only signed constants, a positive scale without a mean, and no given weights make an integer program', () => {
  const network = net([1, 1, 4], dense(3), dense(2, 'linear'));
  const mask = fullMask(network, true);
  expect(integerProgram(network, mask, PIXELS)?.bounds.length).toBe(2);
  expect(integerProgram({ ...network, distribution: 'packed-signed-constant' }, mask, PIXELS)).not.toBeNull();
  for (const distribution of ['uniform', 'normal', 'truncated-normal'] as const) {
    expect(integerProgram({ ...network, distribution }, mask, PIXELS)).toBeNull();
  }
  for (const transform of [
    { scale: 1, mean: 0.5 },
    { scale: -1, mean: 0 },
    { scale: 0, mean: 0 },
    { scale: Number.POSITIVE_INFINITY, mean: 0 },
    { scale: Number.NaN, mean: 0 },
  ]) {
    expect(integerProgram(network, mask, transform)).toBeNull();
  }
  expect(integerProgram({ ...network, sigma: -0.5 }, mask, PIXELS)).toBeNull();
  const parameters = { weights: regenerate(network), biases: null };
  const classifier = engine.classifier(network, { parameters });
  expect(classifier.scale).toBe(1);
  expect(classifier.logits(new Uint8Array(4), 1)).toBeInstanceOf(Float32Array);
});

test('one unit, no kept weight, no rows', () => {
  const network = net([1, 1, 1], dense(1, 'linear'));
  const [weight] = regenerate(network)[0];
  expect([...engine.classifier(network).logits(Uint8Array.of(200, 3), 2)]).toEqual([200, 3].map((v) => v * Math.sign(weight)));
  const empty = engine.classifier(network, { mask: fullMask(network, false) });
  expect([...empty.logits(Uint8Array.of(200), 1)]).toEqual([0]);
  expect([...empty.logits(randomFloats(network.seed, 1, 1, 9), 1)]).toEqual([0]);
  expect(empty.logits(new Uint8Array(0), 0).length).toBe(0);
  expect(outputs(network)).toBe(1);
});
