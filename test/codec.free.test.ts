// Free bits change nothing: the reference engine gives the same logits with them as without, bit for bit, on random networks, masks,
// transforms and inputs; and by hand on a network small enough to say which bits they are.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clearFreeBits, settleFreeBits } from '../codec/free.js';
import { type Task, writeModel } from '../codec/index.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { asInputs } from '../src/features.js';
import { checkMask, fullMask, inputs, kept, type Network, regenerate, totalKept } from '../src/network.js';
import {
  conv,
  convArchitecture,
  dense,
  denseArchitecture,
  networkOf,
  pool,
  randomFloats,
  randomMask,
  randomPixels,
  scenario,
  uniforms,
} from './engine.material.js';
import { task } from './vectors/models.js';

const engine = createReferenceEngine();

/** The logits of five samples of pixels and of five of floats, negative ones among them. */
function logitsOf(network: Network, { mask, transform }: Task): (Int32Array | Float32Array)[] {
  const width = inputs(network);
  const classifier = engine.classifier(network, { mask, transform });
  const hidden = (raw: Uint8Array | Float32Array) => asInputs(raw, transform, width);
  const pixels = hidden(randomPixels(network.seed, 5 * width));
  return [classifier.logits(pixels, 5), classifier.logits(hidden(randomFloats(network.seed, 9, 5 * width, 300)), 5)];
}

const sparse = fc.constantFrom(0, 0.01, 0.05, 0.2, 0.5, 1);

test('no logit changes, a second time changes nothing, and the file does not grow', { timeout: 60_000 }, () => {
  let cleared = 0;
  const property = fc.property(
    scenario(fc.oneof(denseArchitecture, convArchitecture), 1),
    fc.tuple(sparse, sparse, sparse),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (s, densities, share) => {
      const network = networkOf(s);
      const constant = new Uint8Array(Math.ceil(inputs(network) / 8));
      uniforms(s.seed, 3, inputs(network)).forEach((u, i) => {
        if (u < share) constant[i >> 3] |= 1 << (i & 7);
      });
      const mask = densities.map((density) => randomMask(network, s.seed, density));
      const before = task(
        fullMask(network, false).map((_, layer) => mask[layer % 3][layer]),
        { transform: { ...s.transform, constant: s.biases ? constant : null }, labels: ['a'] },
      );
      const after = { ...before, mask: clearFreeBits(network, before.mask, before.transform) };
      checkMask(network, after.mask);
      expect(after.mask.every((bits, l) => bits.every((byte, i) => (byte & ~before.mask[l][i]) === 0))).toBe(true);
      expect(clearFreeBits(network, after.mask, after.transform)).toEqual(after.mask);
      cleared += totalKept(before.mask) - totalKept(after.mask);
      const [want, got] = [before, after].map((one) => logitsOf(network, one));
      // A mask of fewer weights may fit an integer program, whose integers are other numbers than the floats were.
      if (want[0].constructor === got[0].constructor) expect(got).toEqual(want);
      else expect(got[1]).toEqual(want[1]);

      const settled = settleFreeBits(network, before);
      expect([before.mask, after.mask]).toContainEqual(settled.mask);
      expect(settleFreeBits(network, settled)).toEqual(settled);
      const bytes = ({ mask }: Task) => writeModel({ network, tasks: [{ ...before, mask }] }).length;
      expect(bytes(settled)).toBe(Math.min(bytes(before), bytes(after)));
    },
  );
  fc.assert(property, { seed: 1905, numRuns: 200 });
  expect(cleared).toBeGreaterThan(1000);
});

/** A mask from the kept places of each layer. */
const maskOf = (network: Network, ...places: number[][]): Uint8Array[] =>
  fullMask(network, false).map((bits, layer) => {
    for (const i of places[layer]) bits[i >> 3] |= 1 << (i & 7);
    return bits;
  });
const placesOf = (mask: readonly Uint8Array[]): number[][] =>
  mask.map((bits) => Array.from({ length: 8 * bits.length }, (_, i) => i).filter((i) => kept(bits, i)));

const transform = { scale: 1, mean: 0, constant: null };
const small = (low: number): Network => ({
  input: [1, 1, 4],
  layers: [dense(3), dense(3), dense(2, 'linear')],
  distribution: 'packed-signed-constant',
  sigma: 'he',
  seed: { low, high: 0 },
});

test('constants, dead units and units that nothing reads, by hand', () => {
  // A seed whose second layer has + at its first weight and at the one that reads unit 2.
  const low = Array.from({ length: 100 }, (_, i) => i).find((i) => [0, 5].every((at) => regenerate(small(i))[1][at] > 0))!;
  const network = small(low);
  // Unit 0 reads inputs 0 and 1, unit 1 nothing but input 3, unit 2 input 2. Second layer: unit 0 reads 0 and 1, unit 1 reads 2,
  // unit 2 reads nothing. Outputs: 0 reads 0 and 2; 1 reads 2. So unit 1 of the second layer is not read, nor then unit 2 below it.
  const mask = maskOf(network, [0, 1, 7, 10], [0, 1, 5], [0, 2, 5]);
  expect(placesOf(clearFreeBits(network, mask, transform))).toEqual([[0, 1, 7], [0, 1], [0]]);
  // Input 3 constant: unit 1 dies as well, and the weight that reads it goes.
  const constant = Uint8Array.of(8);
  expect(placesOf(clearFreeBits(network, mask, { ...transform, constant }))).toEqual([[0, 1], [0], [0]]);
  // With a mean the constant is not 0.
  expect(placesOf(clearFreeBits(network, mask, { ...transform, mean: 1, constant }))).toEqual([[0, 1, 7], [0, 1], [0]]);
});

test('a unit of negative weights above a relu is dead; above the inputs it is not, nor when it is linear', () => {
  const seeds = Array.from({ length: 200 }, (_, i) => i);
  const low = seeds.find((i) => regenerate(small(i)).every((w) => w[0] < 0))!;
  const network = small(low);
  expect(placesOf(clearFreeBits(network, maskOf(network, [0], [0], [0]), transform))).toEqual([[], [], []]);
  const linear: Network = { ...network, layers: [dense(3), dense(3, 'linear'), dense(2, 'linear')] };
  const mask = maskOf(linear, [0], [0], [0]);
  expect(clearFreeBits(linear, mask, transform)).toEqual(mask);
  const above: Network = { ...network, layers: [dense(3, 'linear'), dense(3), dense(2, 'linear')] };
  expect(clearFreeBits(above, mask, transform)).toEqual(mask);
});

test('a filter lives where its channel lives, and is read where anything reads it', () => {
  const network: Network = {
    input: [4, 4, 2],
    layers: [conv(2, 'linear'), pool, dense(1, 'linear')],
    distribution: 'normal',
    sigma: 'he',
    seed: { low: 3, high: 3 },
  };
  // Filter 0 reads channel 1 of its centre tap, filter 1 channel 0 of its last; the output reads filter 0 at two of four places.
  const mask = maskOf(network, [9, 18 + 16], [0, 6]);
  expect(placesOf(clearFreeBits(network, mask, transform))).toEqual([[9], [0, 6]]);
  // Channel 1 constant at all places but one lives; at all of them it does not.
  const constant = new Uint8Array(4).fill(0xaa);
  expect(placesOf(clearFreeBits(network, mask, { ...transform, constant }))).toEqual([[], []]);
  expect(placesOf(clearFreeBits(network, mask, { ...transform, constant: Uint8Array.of(0xaa, 0xaa, 0x2a, 0xaa) }))).toEqual([[9], [0, 6]]);
});

test('a mask that keeps everything stays, as holes would cost bytes', () => {
  const network = small(1);
  const full = task(fullMask(network, true), { transform: { ...transform, constant: Uint8Array.of(1) }, labels: ['a'] });
  expect(totalKept(clearFreeBits(network, full.mask, full.transform))).toBe(4 * 3 + 9 + 6 - 3);
  expect(settleFreeBits(network, full)).toEqual(full);
  expect(() => settleFreeBits(network, { ...full, mask: full.mask.map((bits) => bits.subarray(1)) })).toThrow(
    'the mask must be one bit for every weight, got mask layer 0 has',
  );
});
