// What goes in comes out, once: model -> bytes -> model is the identity, bytes -> model -> bytes too, and the bytes are few.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DECODERS } from '../codec/decoders.js';
import { encodePayload, withBasePlace } from '../codec/encode.js';
import {
  contentId,
  inspectModel,
  type Model,
  PIXELS_TRANSFORM,
  readModel,
  SCHEMES,
  type SchemeName,
  type Task,
  writeModel,
} from '../codec/index.js';
import { decodePayload } from '../codec/schemes.js';
import { fullMask, type Layer, MAX_KERNEL, type Network, place, regenerate } from '../src/network.js';
import { DISTRIBUTIONS, type Distribution, DOMAIN, permutation } from '../src/random.js';
import { runs } from './codec.effort.js';
import {
  ARCHIVE_MODEL,
  alteredMask,
  FC,
  PACKED_MODEL,
  PATCHES_MODEL,
  PERMUTED_MODEL,
  patchedMask,
  randomMask,
  SMALL_CONV,
  TINY,
  TINY_MODEL,
  task,
  WINDOWS,
} from './vectors/models.js';

test('layers that are one object are layers of their own: only the first sees permuted pixels', () => {
  const hidden: Layer = { kind: 'dense', units: 64, activation: 'relu' };
  const network: Network = { ...TINY, input: [8, 8, 1], layers: [hidden, hidden, { kind: 'dense', units: 3, activation: 'linear' }] };
  const data = { dataset: 'mnist', pixelPermutation: { low: 5, high: 0 }, labelPermutation: null };
  const mask = patchedMask(network, 0.2, { low: 9, high: 0 });
  const bytes = writeModel({ network, tasks: [task(mask, { labels: ['a', 'b', 'c'], data })] });
  expect(readModel(bytes).tasks[0].mask).toEqual(mask);
});

const half = fc.nat(0xffffffff);
const seed = fc.record({ low: half, high: half });
const activation = fc.constantFrom('relu' as const, 'linear' as const);
const size = fc.integer({ min: 1, max: 9 });
const layer: fc.Arbitrary<Layer> = fc.oneof(
  fc.record({ kind: fc.constant('dense' as const), units: fc.integer({ min: 1, max: 40 }), activation }),
  fc.record({ kind: fc.constant('conv' as const), filters: size, activation }),
  // 3x3 with zeros around the image is the record above.
  fc
    .oneof(
      fc.record({ kernel: fc.constantFrom(1, 2, 4, 5, MAX_KERNEL), padding: fc.constant('same' as const) }),
      fc.record({ kernel: fc.constantFrom(1, 2, 3), padding: fc.constant('valid' as const) }),
    )
    .chain((window) =>
      fc.record({ kind: fc.constant('conv' as const), filters: size, activation }).map((conv) => ({ ...conv, ...window })),
    ),
);
const network: fc.Arbitrary<Network> = fc.record({
  input: fc.oneof(
    fc.tuple(size, size, size),
    fc.tuple(
      fc.constant(1),
      fc.constant(1),
      fc.nat(300).map((n) => n + 1),
    ),
  ),
  layers: fc
    .tuple(fc.boolean(), fc.array(layer, { minLength: 1, maxLength: 9 }))
    .map(([pool, layers]) => (pool ? [layers[0], { kind: 'pool' as const }, ...layers.slice(1)] : layers)),
  distribution: fc.constantFrom(...(Object.keys(DISTRIBUTIONS) as Distribution[])),
  sigma: fc.oneof(fc.constantFrom('glorot' as const, 'he' as const, 1), fc.float({ min: Math.fround(0.001), max: 8, noNaN: true })),
  seed,
});
/** A pool needs 2x2 pixels below it, a kernel without padding as many as its own. */
function fits(n: Network): boolean {
  try {
    place(n);
    return true;
  } catch {
    return false;
  }
}
const outputs = (n: Network) => {
  const last = n.layers.filter((l) => l.kind !== 'pool').at(-1);
  return last?.kind === 'dense' ? last.units : last?.kind === 'conv' ? last.filters : 0;
};
const f32 = fc.float({ noNaN: true, noDefaultInfinity: true });
const density = fc.oneof(fc.constantFrom(0, 1, 0.5, 0.01), fc.double({ min: 0, max: 1, noNaN: true }));
const content = fc.record({
  density: fc.array(density, { minLength: 1, maxLength: 3 }),
  bits: seed,
  scale: f32,
  mean: f32,
  names: fc.array(fc.string({ minLength: 1, maxLength: 70, unit: 'grapheme' }), { minLength: 1, maxLength: 3 }),
  data: fc.option(
    fc.record({ dataset: fc.constantFrom('mnist', 'cifar10', 'é'), pixelPermutation: fc.option(seed), labelPermutation: fc.option(seed) }),
  ),
  logitScale: fc.float({ min: Math.fround(1e-6), max: 1e6, noNaN: true }),
  constant: fc.boolean(),
});

const model: fc.Arbitrary<Model> = fc
  .tuple(network.filter(fits), fc.array(content, { minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([net, contents, named]) => ({
    network: net,
    tasks: contents.map((c, i) => {
      const inputs = net.input[0] * net.input[1] * net.input[2];
      const constant = new Uint8Array(Math.ceil(inputs / 8));
      constant[0] = 1;
      return task(randomMask(net, c.density, c.bits), {
        id: contents.length > 1 || named ? `task-${i}` : '',
        transform: { scale: c.scale, mean: c.mean, constant: c.constant ? constant : null },
        labels: c.names.slice(0, outputs(net)),
        data: c.data,
        logitScale: c.logitScale,
      });
    }),
  }));

describe('any model', () => {
  test('comes back as it was, and its bytes are written again the same', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(model, (m) => {
        const bytes = writeModel(m);
        const back = readModel(bytes);
        expect(back).toEqual(m);
        expect(writeModel(back)).toEqual(bytes);
        for (const scheme of ['raw', 'adaptive'] as const) {
          expect(bytes.length).toBeLessThanOrEqual(writeModel(m, { schemes: [scheme] }).length);
        }
      }),
      { seed: 20240, numRuns: runs(150) },
    );
  });

  test('is the same content in every scheme', () => {
    for (const m of [TINY_MODEL, ARCHIVE_MODEL, PATCHES_MODEL, PERMUTED_MODEL, PACKED_MODEL]) {
      const id = contentId(m);
      for (const scheme of (Object.keys(SCHEMES) as SchemeName[]).filter((name) => name !== 'related')) {
        const bytes = writeModel(m, { schemes: [scheme] });
        expect(inspectModel(bytes).tasks.map((t) => t.scheme)).toEqual(m.tasks.map(() => scheme));
        expect(readModel(bytes)).toEqual(m);
        expect(contentId(readModel(bytes))).toEqual(id);
      }
    }
  });

  test('comes back from contexts too, and its bytes are written again the same', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(model, (m) => {
        const bytes = writeModel(m, { schemes: ['context'] });
        const back = readModel(bytes);
        expect(back).toEqual(m);
        expect(writeModel(back, { schemes: ['context'] })).toEqual(bytes);
      }),
      { seed: 20261, numRuns: runs(150) },
    );
  });

  test('comes back from leaning on any other mask, which costs little when it tells nothing', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(model, seed, fc.constantFrom(1, 2, 30), (m, bits, rate) => {
        const [first] = m.tasks;
        const mask = alteredMask(m.network, first.mask, rate, bits);
        const tasks = [
          { ...first, id: 'a', mask, base: 'b' },
          { ...first, id: 'b' },
        ];
        const bytes = writeModel({ ...m, tasks }, { schemes: ['context', 'related'] });
        const back = readModel(bytes);
        expect(back.tasks.map((t) => t.mask)).toEqual(tasks.map((t) => t.mask));
        expect(writeModel(back, { schemes: ['context', 'related'] })).toEqual(bytes);
        const around = { network: m.network, pixelPermutation: first.data?.pixelPermutation ?? null, base: { place: 1, mask: first.mask } };
        const related = encodePayload(around, mask, ['related']);
        expect(decodePayload(around, related, 'a task', DECODERS)).toMatchObject({ scheme: 'related', mask });
        expect(() => decodePayload({ ...around, base: undefined }, related, 'a task', DECODERS)).toThrow(
          /needs the mask it leans on, got none/,
        );
        expect(withBasePlace(withBasePlace(related, 300), 1)).toEqual(related);
      }),
      { seed: 20262, numRuns: runs(100) },
    );
  });

  test('means that f32 rounds to 0 are stored as 0', () => {
    for (const [mean, stored] of [
      [1e-60, 0],
      [-1e-60, -0],
    ]) {
      const m: Model = { ...TINY_MODEL, tasks: [{ ...TINY_MODEL.tasks[0], transform: { ...PIXELS_TRANSFORM, mean } }] };
      expect(readModel(writeModel(m)).tasks[0].transform.mean).toBe(stored);
      expect(contentId(m)).toEqual(contentId(readModel(writeModel(m))));
    }
  });

  test('has another content id when anything that matters changes', () => {
    const [first] = TINY_MODEL.tasks;
    const variants: Model[] = [
      TINY_MODEL,
      { ...TINY_MODEL, network: { ...TINY, seed: { low: 1, high: 3 } } },
      ...[
        { id: 'x' },
        { logitScale: 2 },
        { labels: ['cat', 'cow'] },
        { mask: fullMask(TINY, true) },
        { transform: { scale: 0.5, mean: -1, constant: null } },
        { data: null },
        { data: { dataset: 'pets', pixelPermutation: { low: 9, high: 7 }, labelPermutation: null } },
        { data: { dataset: 'pets', pixelPermutation: null, labelPermutation: { low: 9, high: 8 } } },
      ].map((change) => ({ ...TINY_MODEL, tasks: [{ ...first, ...change }] })),
    ];
    expect(new Set(variants.map((v) => String(contentId(v)))).size).toBe(variants.length);
  });
});

describe('archives', () => {
  test.each([1, 2, 255, 256, 257, 512, 513, 600])('%i tasks come back', (n) => {
    const m: Model = {
      network: SMALL_CONV,
      tasks: Array.from({ length: n }, (_, i) =>
        task(randomMask(SMALL_CONV, [0.2], { low: i, high: 1 }), {
          id: `t${String(i).padStart(4, '0')}`,
          data: { dataset: 'mnist', pixelPermutation: { low: i, high: 5 }, labelPermutation: null },
        }),
      ),
    };
    const bytes = writeModel(m);
    expect(readModel(bytes)).toEqual(m);
  });

  test('a mask-only file needs its network, that one and no other', () => {
    const bytes = writeModel(TINY_MODEL, { maskOnly: true });
    expect(readModel(bytes, {}, () => TINY)).toEqual(TINY_MODEL);
    expect(() => readModel(bytes)).toThrow(/a mask-only file needs the network [0-9a-f]{64}, got none/);
    expect(() => readModel(bytes, {}, () => SMALL_CONV)).toThrow(/needs the network/);
    expect(() => writeModel({ network: TINY, tasks: [] }, { maskOnly: true })).toThrow(
      /the tasks of a mask-only file must be one or more, got none/,
    );
  });
});

describe('the bytes are few', () => {
  const mnist = { dataset: 'mnist', pixelPermutation: null, labelPermutation: null };

  // The bound is a promise of the design: everything but the payload of a one-task FC file takes at most 64 bytes.
  test.each([[[28, 28, 1] as const], [[1, 1, 784] as const]])(
    'input %j: a one-task FC file costs 64 bytes or less beside its payload',
    (input) => {
      const m: Model = {
        network: { ...FC, input },
        tasks: [task(randomMask(FC, [0.02, 0.05, 0.3], { low: 1, high: 0 }), { data: mnist, logitScale: 0.3 })],
      };
      expect(inspectModel(writeModel(m)).headerBytes).toBeLessThanOrEqual(64);
    },
  );

  test('a task in an archive costs 32 bytes or less beside its payload', () => {
    const archive = (n: number): Model => ({
      network: TINY,
      tasks: Array.from({ length: n }, (_, i) =>
        task(fullMask(TINY, true), {
          id: `task${1000 + i}`,
          labels: ['a'],
          data: { dataset: 'mnist', pixelPermutation: { low: i + 1, high: i }, labelPermutation: null },
          logitScale: 0.5 + i / 1024,
        }),
      ),
    });
    const bytes = (n: number) => inspectModel(writeModel(archive(n))).headerBytes;
    expect((bytes(600) - bytes(257)) / (600 - 257)).toBeLessThanOrEqual(32);
    expect((bytes(200) - bytes(2)) / 198).toBeLessThanOrEqual(32);
  });

  // sum of n * H(k / n) / 8 is what a coder that knows only k and n needs on average; 8 bytes, the design's promise, pay for scheme,
  // counts and ending.
  test.each([[[0.5]], [[0.1]], [[0.01]], [[0.02, 0.05, 0.3]]])(
    'densities %j: within 8 bytes of the entropy, and not above raw bits',
    (density) => {
      const mask = randomMask(FC, density, { low: 11, high: 12 });
      const m: Model = { network: FC, tasks: [task(mask)] };
      const [info] = inspectModel(writeModel(m, { schemes: ['raw', 'adaptive'] })).tasks;
      const [raw] = inspectModel(writeModel(m, { schemes: ['raw'] })).tasks;
      expect(info.payloadBytes).toBeLessThanOrEqual(info.entropyBytes + 8);
      expect(info.payloadBytes).toBeGreaterThan(info.entropyBytes - 8);
      expect(info.payloadBytes).toBeLessThanOrEqual(raw.payloadBytes);
      // A scheme byte, and 3 + 2 + 2 for the counts at most.
      expect(raw.payloadBytes).toBeLessThanOrEqual(8 + mask.reduce((sum, bits) => sum + bits.length, 0));
    },
  );

  // Bounds of the design for learned masks (0.75) and what patches without any context would cost (1).
  test('contexts tell patches of signs in less than three quarters of the entropy, also under permuted pixels', () => {
    const network: Network = { ...FC, layers: FC.layers.slice(-1) };
    const mask = (order: ArrayLike<number>): Uint8Array[] => {
      const weights = regenerate(network)[0];
      const bits = new Uint8Array(weights.length / 8);
      for (let i = 0; i < weights.length; i++) {
        const pixel = order[i % 784];
        const patch = (Math.floor(pixel / 28 / 7) + Math.floor((pixel % 28) / 7) + Math.floor(i / 784)) % 3;
        if (patch === (weights[i] > 0 ? 0 : 1)) bits[i >> 3] |= 1 << (i & 7);
      }
      return [bits];
    };
    const seed = { low: 5, high: 6 };
    const payload = (order: ArrayLike<number>, data: Task['data']) =>
      inspectModel(writeModel({ network, tasks: [task(mask(order), { data })] })).tasks[0];
    const data = { dataset: 'mnist', pixelPermutation: null, labelPermutation: null };
    const plain = payload(
      Array.from({ length: 784 }, (_, i) => i),
      data,
    );
    const order = permutation(784, seed, DOMAIN.pixelPermutation);
    const known = payload(order, { ...data, pixelPermutation: seed });
    const unknown = payload(order, data);
    expect(plain.scheme).toBe('context');
    expect(plain.payloadBytes).toBeLessThan(0.75 * plain.entropyBytes);
    expect(known.payloadBytes).toBeLessThan(0.75 * known.entropyBytes);
    expect(unknown.payloadBytes).toBeGreaterThan(0.95 * unknown.entropyBytes);
  });

  test('only a dense first layer is modelled with its pixels where they belong', () => {
    const dense: Network = { ...FC, input: [6, 6, 1], layers: [{ kind: 'dense', units: 36, activation: 'relu' }, ...FC.layers.slice(-1)] };
    const sameUnderPermutation = (network: Network, mask: Uint8Array[]) => {
      const [plain, permuted] = [null, { low: 5, high: 6 }].map((pixelPermutation) =>
        encodePayload({ network, pixelPermutation }, mask, ['context']),
      );
      return Buffer.compare(plain, permuted) === 0;
    };
    const masks = (network: Network) => patchedMask(network, 0.3, { low: 9, high: 1 });
    for (const network of [WINDOWS, SMALL_CONV]) expect(sameUnderPermutation(network, masks(network))).toBe(true);
    expect(sameUnderPermutation(dense, masks(dense))).toBe(false);
    expect(sameUnderPermutation(dense, [fullMask(dense, true)[0], masks(dense)[1]])).toBe(true);
  });

  test('a scheme that does not take the network is not asked', () => {
    const network: Network = { ...TINY, input: [1, 1, 2 ** 20 + 1], layers: [{ kind: 'dense', units: 1, activation: 'linear' }] };
    const m: Model = { network, tasks: [task(fullMask(network, true), { labels: ['a'] })] };
    expect(() => writeModel(m, { schemes: ['context'] })).toThrow(/schemes must be one that takes every layer of the network/);
    expect(readModel(writeModel(m))).toEqual(m);
  });

  test('layers that keep nothing or everything cost only their count', () => {
    const sizes = (['raw', 'deflate', 'adaptive', 'context'] as SchemeName[]).map((scheme) => {
      const m: Model = { network: FC, tasks: [task(fullMask(FC, true))] };
      return inspectModel(writeModel(m, { schemes: [scheme] })).tasks[0].payloadBytes;
    });
    // scheme byte + counts 235200, 30000 and 1000 in 3, 3 and 2 bytes; an empty deflate stream is 03 00
    expect(sizes).toEqual([9, 11, 9, 9]);
  });

  test('inspect counts what is there', () => {
    const info = inspectModel(writeModel(TINY_MODEL));
    const kept = TINY_MODEL.tasks[0].mask
      .flatMap((bits) => [...bits])
      .reduce((n, byte) => n + byte.toString(2).replaceAll('0', '').length, 0);
    expect(info.tasks[0].kept).toBe(kept);
    expect(info.tasks[0].density).toBe(kept / 45);
    expect(info.tasks[0].layers.map((l) => l.weights)).toEqual([30, 15]);
    expect(info.headerBytes + info.tasks[0].payloadBytes).toBe(info.fileBytes);
  });
});

test('the largest sigma makes finite weights of every distribution', () => {
  for (const distribution of Object.keys(DISTRIBUTIONS) as Distribution[]) {
    const network: Network = { ...TINY, sigma: 2 ** 124, distribution };
    const m: Model = { ...TINY_MODEL, network };
    expect(readModel(writeModel(m))).toEqual(m);
    expect(regenerate({ ...network, layers: [{ kind: 'dense', units: 4096, activation: 'linear' }] })[0].every(Number.isFinite)).toBe(true);
  }
});

describe('the writer refuses what it cannot store', () => {
  const change = (more: object): Model => ({ ...TINY_MODEL, tasks: [{ ...TINY_MODEL.tasks[0], ...more }] });
  const [first, second] = ARCHIVE_MODEL.tasks;
  test.each<[string, Model, RegExp]>([
    ['a mask of another network', change({ mask: fullMask(FC, true) }), /mask must be one bit for every weight/],
    ['a label set longer than the outputs', change({ labels: ['a', 'b', 'c', 'd'] }), /at most 3 long/],
    ['no labels', change({ labels: [] }), /labels\[0\]/],
    ['a label with a lone surrogate', change({ labels: ['\ud800'] }), /well-formed Unicode/],
    ['a label with a byte order mark', change({ labels: ['\ufeffa'] }), /byte order mark/],
    ['a long label with a byte order mark', change({ labels: ['\ufeff' + 'a'.repeat(200)] }), /canonical|byte order mark/],
    ['a label of 256 bytes', change({ labels: ['é'.repeat(128)] }), /at most 255 bytes/],
    ['a malformed id', change({ id: '../x' }), /id must be/],
    ['a logit scale of zero', change({ logitScale: 0 }), /logit scale must be above 0/],
    ['a scale that is not finite', change({ transform: { scale: Number.NaN, mean: 0, constant: null } }), /finite/],
    ['a constant bitmap of the wrong size', change({ transform: { scale: 1, mean: 0, constant: new Uint8Array(2) } }), /6 bits/],
    ['unsorted ids', { ...ARCHIVE_MODEL, tasks: [second, first] }, /above the id before it, 'a.b'/],
    ['two tasks of one name', { ...ARCHIVE_MODEL, tasks: [first, first] }, /above the id before it/],
    [
      'a sigma whose weights are infinite',
      { ...TINY_MODEL, network: { ...TINY, sigma: 1e38 } },
      /sigma must be above 0 and at most 2\^124/,
    ],
    [
      'more weights than a reader takes',
      { ...TINY_MODEL, network: { ...TINY, layers: [{ kind: 'dense', units: 2 ** 27, activation: 'linear' }] } },
      /weights of a mask is \d+, the limit is 268435456/,
    ],
    ['a seed that is no seed', { ...TINY_MODEL, network: { ...TINY, seed: 7 as never } }, /weights can be drawn, got seed must be/],
    ['a layer that does not fit', { ...TINY_MODEL, network: { ...TINY, layers: [{ kind: 'pool' }] } }, /2x2 pool/],
  ])('%s', (_, m, message) => {
    expect(() => writeModel(m)).toThrow(message);
    expect(() => writeModel(m)).toThrow(expect.objectContaining({ name: 'SeedmaskError' }));
  });
});
