// Shapes, counts and sigmas of networks, and the packed bits of masks. The paper's networks are checked against the published
// weight counts (Zhou et al. 2019, table 1; repeated by the code of Koster et al. 2022).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { conv2, conv4, conv6, fc as lenet, lenet5 } from '../models/index.js';
import {
  type Architecture,
  checkMask,
  countBoth,
  countKept,
  describe as describeNetwork,
  fullMask,
  inputs,
  isSignedConstant,
  kept,
  type Layer,
  maskBytes,
  type Network,
  outputs,
  place,
  regenerate,
  type Shape,
  ShapeError,
  sigmaOf,
  size,
  totalWeights,
  weightCounts,
  weighted,
} from '../src/network.js';
import { DISTRIBUTIONS, type Distribution } from '../src/random.js';

const dense = (units: number): Layer => ({ kind: 'dense', units, activation: 'relu' });
const conv = (filters: number): Extract<Layer, { kind: 'conv' }> => ({ kind: 'conv', filters, activation: 'relu' });
const pool: Layer = { kind: 'pool' };
const net = (input: Shape, ...layers: Layer[]): Architecture => ({ input, layers });

// Totals as published; a layer's count is fan-in x units (conv: 9 x channels in x filters). Sigmas are sqrt(2 / (fanIn + fanOut)) to
// five decimals, worked out apart from this code.
const PAPER: [string, Architecture, number, number[], number[]][] = [
  ['fc', lenet, 266_200, [235_200, 30_000, 1_000], [0.04295, 0.07071, 0.13484]],
  ['conv2', conv2, 4_300_992, [1_728, 36_864, 4_194_304, 65_536, 2_560], [0.05759, 0.04167, 0.01096, 0.0625, 0.08671]],
  [
    'conv4',
    conv4,
    2_425_024,
    [1_728, 36_864, 73_728, 147_456, 2_097_152, 65_536, 2_560],
    [0.05759, 0.04167, 0.03402, 0.02946, 0.01539, 0.0625, 0.08671],
  ],
  [
    'conv6',
    conv6,
    2_261_184,
    [1_728, 36_864, 73_728, 147_456, 294_912, 589_824, 1_048_576, 65_536, 2_560],
    [0.05759, 0.04167, 0.03402, 0.02946, 0.02406, 0.02083, 0.02144, 0.0625, 0.08671],
  ],
];

test.each(PAPER)('%s has the weights and sigmas of the paper', (_, architecture, total, counts, sigmas) => {
  expect(totalWeights(architecture)).toBe(total);
  expect(weightCounts(architecture)).toEqual(counts);
  expect(weighted(architecture).map((layer) => Number(sigmaOf('glorot', layer).toFixed(5)))).toEqual(sigmas);
  expect(outputs(architecture)).toBe(10);
});

// 25 x 20 + 25 x 20 x 50 + 4 x 4 x 50 x 500 + 500 x 10, as Caffe's model has without its 580 biases (431,080 parameters in all).
test('LeNet-5 has the weights of Caffe', () => {
  expect(weightCounts(lenet5)).toEqual([500, 25_000, 400_000, 5_000]);
  expect(totalWeights(lenet5) + 20 + 50 + 500 + 10).toBe(431_080);
});

test('the paper networks read MNIST and CIFAR-10 images', () => {
  expect(inputs(lenet)).toBe(784);
  expect([conv2, conv4, conv6].map(inputs)).toEqual([3072, 3072, 3072]);
});

test('sigma is an f32: glorot, he or the stored number', () => {
  const [layer] = weighted(net([4, 4, 2], conv(8)));
  expect([layer.fanIn, layer.fanOut]).toEqual([18, 72]);
  expect(sigmaOf('glorot', layer)).toBe(Math.fround(Math.sqrt(2 / 90)));
  expect(sigmaOf('he', layer)).toBe(Math.fround(1 / 3));
  expect(sigmaOf(0.1, layer)).toBe(Math.fround(0.1));
});

test('a pool drops the odd last row and column, and has no stream', () => {
  const placed = place(net([7, 5, 3], conv(4), pool, pool, dense(2)));
  expect(placed.map((p) => p.output)).toEqual([
    [7, 5, 4],
    [3, 2, 4],
    [1, 1, 4],
    [1, 1, 2],
  ]);
  expect(placed.map((p) => p.stream)).toEqual([0, -1, -1, 1]);
  expect(placed.map((p) => p.weights)).toEqual([108, 0, 0, 8]);
});

test('a kernel has its own taps; without padding it loses the rows and columns that it does not fit', () => {
  const [same, valid, even] = place(
    net([9, 8, 3], { ...conv(4), kernel: 5 }, { ...conv(2), kernel: 5, padding: 'valid' }, { ...conv(6), kernel: 4 }, dense(2)),
  );
  expect([same.output, valid.output, even.output]).toEqual([
    [9, 8, 4],
    [5, 4, 2],
    [5, 4, 6],
  ]);
  expect([same.weights, same.fanIn, same.fanOut]).toEqual([300, 75, 100]);
  // Two zeros before and after; none; one before and two after, as TensorFlow's 'same'.
  expect([same.before, valid.before, even.before]).toEqual([2, 0, 1]);
});

test('each layer reads what the one before writes', () => {
  const layers = fc.array(fc.constantFrom(conv(3), conv(5), { ...conv(2), kernel: 4, padding: 'valid' as const }, dense(4), pool), {
    minLength: 1,
    maxLength: 6,
  });
  const side = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(fc.tuple(side, side, side), layers, (input, list) => {
      const architecture = net(input, ...list, dense(3));
      try {
        const placed = place(architecture);
        placed.forEach((p, i) => {
          expect(p.input).toEqual(i === 0 ? input : placed[i - 1].output);
          expect(p.weights).toBe(p.layer.kind === 'pool' ? 0 : p.fanIn * p.output[2]);
          if (p.layer.kind === 'dense') expect(p.fanIn).toBe(size(p.input));
        });
      } catch (error) {
        // Only a pool or a kernel on an image too small for it is refused.
        expect(String(error)).toMatch(
          /^ShapeError: layer \d: a (2x2 pool needs at least 2x2 pixels, got (1x\d+|\d+x1)|4x4 kernel without padding needs at least 4x4 pixels, got ([1-3]x\d+|\d+x[1-3]))$/,
        );
      }
    }),
    { seed: 1, numRuns: 200 },
  );
});

test.each([
  [net([0, 1, 1], dense(2)), 'input shape [0,1,1] is not three positive integers [height, width, channels]'],
  // What a script without types may pass.
  [net([784] as unknown as Shape, dense(2)), 'input shape [784] is not three positive integers [height, width, channels]'],
  [net([1, 1, 2.5], dense(2)), 'input shape [1,1,2.5] is not three positive integers [height, width, channels]'],
  [net([1, 4, 1], pool, dense(2)), 'layer 0: a 2x2 pool needs at least 2x2 pixels, got 1x4'],
  [net([1, 1, 4], dense(0)), 'layer 0: units must be a positive integer, got 0'],
  [net([4, 4, 1], pool, conv(-1)), 'layer 1: filters must be a positive integer, got -1'],
  [net([4, 4, 1], { ...conv(2), kernel: 0 }), 'layer 0: kernel must be an integer from 1 to 16, got 0'],
  [net([4, 4, 1], { ...conv(2), kernel: 17 }), 'layer 0: kernel must be an integer from 1 to 16, got 17'],
  [net([4, 4, 1], { ...conv(2), kernel: 2.5 }), 'layer 0: kernel must be an integer from 1 to 16, got 2.5'],
  [
    net([9, 8, 1], pool, { ...conv(2), kernel: 5, padding: 'valid' }),
    'layer 1: a 5x5 kernel without padding needs at least 5x5 pixels, got 4x4',
  ],
  [net([4, 4, 1], pool), 'a network needs at least one layer with weights'],
])('refused: %#', (architecture, message) => {
  expect(() => place(architecture)).toThrow(new ShapeError(message));
});

test('a word that layers or networks do not know is refused, where it would have passed for another', () => {
  const first = (layer: object) => net([4, 4, 1], layer as Layer, dense(2));
  for (const [architecture, message] of [
    [first({ kind: 'fc', units: 3, activation: 'relu' }), 'layer 0: kind must be dense or conv or pool, got fc'],
    [first({ kind: 'dense', units: 3, activation: 'ReLU' }), 'layer 0: activation must be relu or linear, got ReLU'],
    [first({ kind: 'conv', filters: 3 }), 'layer 0: activation must be relu or linear, got undefined'],
    [first({ ...conv(3), padding: 'VALID' }), 'layer 0: padding must be same or valid, got VALID'],
  ] as const)
    expect(() => place(architecture)).toThrow(new ShapeError(message));
  const network: Network = { ...net([1, 1, 3], dense(2)), distribution: 'normal', sigma: 'he', seed: { low: 1, high: 2 } };
  const half = 'seed must be what parseSeed makes, got';
  for (const [wrong, message] of [
    [{ distribution: 'constant' }, `distribution must be ${Object.keys(DISTRIBUTIONS).join(' or ')}, got constant`],
    [{ distribution: 'toString' }, `distribution must be ${Object.keys(DISTRIBUTIONS).join(' or ')}, got toString`],
    [{ sigma: 'xavier' }, 'sigma must be glorot, he or a number, got xavier'],
    [{ sigma: Number.NaN }, 'sigma must be glorot, he or a number, got NaN'],
    [{ seed: 7 }, `${half} undefined`],
    [{ seed: { low: 2 ** 32, high: 0 } }, `${half} 4294967296`],
  ] as [object, string][])
    expect(() => regenerate({ ...network, ...wrong })).toThrow(new ShapeError(message));
});

test('describe names the layers', () => {
  expect(describeNetwork(lenet)).toBe('fc:784-300-100-10');
  expect(describeNetwork(conv2)).toBe('32x32x3:conv64-conv64-pool-256-256-10');
  expect(describeNetwork(lenet5)).toBe('28x28x1:conv20k5v-pool-conv50k5v-pool-500-10');
  const kernels: Layer[] = [
    { ...conv(2), kernel: 3, padding: 'same' },
    { ...conv(3), kernel: 3, padding: 'valid' },
    { ...conv(4), kernel: 4 },
  ];
  expect(describeNetwork(net([9, 9, 1], ...kernels))).toBe('9x9x1:conv2-conv3k3v-conv4k4');
});

// ---- weights ----

const small = net([5, 4, 2], conv(3), pool, dense(6), dense(3));

test.each(Object.keys(DISTRIBUTIONS) as Distribution[])(
  'regenerate(%s) gives the same weights again, others for another seed',
  (distribution) => {
    const network: Network = { ...small, distribution, sigma: 'he', seed: { low: 11, high: 22 } };
    const weights = regenerate(network);
    expect(weights.map((w) => w.length)).toEqual(weightCounts(small));
    expect(regenerate(network)).toEqual(weights);
    expect(regenerate({ ...network, seed: { low: 11, high: 23 } })).not.toEqual(weights);
    expect(weights[1].subarray(0, 18)).not.toEqual(weights[2].subarray(0, 18));
    expect(regenerate(network, 4)).toEqual(weights.map((w) => w.subarray(0, 4)));
    const signed = isSignedConstant(network);
    expect(signed).toBe(distribution.endsWith('signed-constant'));
    weighted(network).forEach((layer, i) => {
      const magnitudes = new Set(weights[i].map(Math.abs));
      if (signed) expect([...magnitudes]).toEqual([sigmaOf('he', layer)]);
      else expect(magnitudes.size).toBeGreaterThan(layer.weights / 2);
    });
  },
);

// ---- masks ----

test('a full mask keeps every weight and leaves the padding 0', () => {
  const mask = fullMask(small, true);
  expect(mask.map(countKept)).toEqual(weightCounts(small));
  expect(mask.map((bits) => bits.length)).toEqual(weightCounts(small).map(maskBytes));
  expect(fullMask(small, false).map(countKept)).toEqual([0, 0, 0]);
  checkMask(small, mask);
  // 3 x 3 = 9 weights: one whole byte and one bit.
  expect(fullMask(net([1, 1, 3], dense(3)), true)).toEqual([Uint8Array.of(255, 1)]);
});

test('countKept counts the bits that kept() reads, least significant first', () => {
  expect([...Array(16).keys()].filter((i) => kept(Uint8Array.of(0b10000001, 0b00000010), i))).toEqual([0, 7, 9]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bits) => {
      const indices = [...Array(bits.length * 8).keys()];
      expect(countKept(bits)).toBe(indices.filter((i) => kept(bits, i)).length);
    }),
    { seed: 2 },
  );
});

test('countBoth counts the bits that are set in both, and leaves them as they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(255), (bits, turn) => {
      const other = bits.map((byte, i) => byte ^ (turn + i));
      const before = [bits.slice(), other.slice()];
      expect(countBoth(bits, other)).toBe(countKept(bits.map((byte, i) => byte & other[i])));
      expect([bits, other]).toEqual(before);
    }),
    { seed: 3 },
  );
});

test.each([
  [[Uint8Array.of(1, 0)], 'mask has 1 layers, the network has 2'],
  [[Uint8Array.of(1), Uint8Array.of(1)], 'mask layer 0 has 1 bytes, expected 2 for 9 weights'],
  [[Uint8Array.of(255, 3), Uint8Array.of(1)], 'mask layer 0 has bits beyond its 9 weights'],
  [[Uint8Array.of(255, 1), Uint8Array.of(64)], 'mask layer 1 has bits beyond its 6 weights'],
])('checkMask refuses: %#', (mask, message) => {
  expect(() => checkMask(net([1, 1, 3], dense(3), dense(2)), mask)).toThrow(new ShapeError(message));
});
