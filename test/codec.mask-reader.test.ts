// The reader in WebAssembly against the plain one: the same bits and the same verdict, on what the encoder wrote and on streams of noise.

import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { ContextModel, shareOfOnes } from '../codec/context.js';
import { DECODERS } from '../codec/decoders.js';
import { inflate } from '../codec/deflate.js';
import { encodePayload } from '../codec/encode.js';
import { gridOf, hintsOf, type Surroundings } from '../codec/grids.js';
import { readPacked } from '../codec/index.js';
import { READER, READER_BYTES } from '../codec/kernel.js';
import { MaskReader } from '../codec/mask-reader.js';
import { RangeDecoder } from '../codec/rangecoder.js';
import { decodePayload, type LayerCount } from '../codec/schemes.js';
import { countKept, kept, type Layer, maskBytes, type Network, weighted } from '../src/network.js';
import { DISTRIBUTIONS, type Distribution } from '../src/random.js';
import { ATTACKS } from './attacks/files.js';
import { runs } from './codec.effort.js';
import { randomMask } from './vectors/models.js';

interface Reading {
  readonly mask: Uint8Array[];
  readonly finished: boolean;
}

const zeros = ({ network }: Surroundings): Uint8Array[] => weighted(network).map(({ weights }) => new Uint8Array(maskBytes(weights)));

function plain(around: Surroundings, counts: readonly LayerCount[], body: Uint8Array, modelled: boolean): Reading {
  const coder = new RangeDecoder(body);
  const model = new ContextModel();
  const mask = zeros(around);
  weighted(around.network).forEach((placed, i) => {
    const { weights, kept } = counts[i];
    if (kept === 0 || kept === weights) model.skip();
    else if (modelled) model.code(gridOf(around, placed, kept), hintsOf(around.network, placed), coder, mask[i]);
    else {
      for (let at = 0, ones = kept; at < weights && ones > 0; at++) {
        const left = weights - at;
        const bit = ones === left ? 1 : coder.code(shareOfOnes(ones, left));
        mask[i][at >> 3] |= bit << (at & 7);
        ones -= bit;
      }
    }
  });
  return { mask, finished: coder.finished() };
}

function fast(around: Surroundings, counts: readonly LayerCount[], body: Uint8Array, modelled: boolean): Reading {
  const mask = zeros(around);
  const finished = DECODERS.masks.read(around, counts, body, modelled, mask);
  return { mask, finished };
}

const half = fc.nat(0xffffffff);
const seed = fc.record({ low: half, high: half });
const small = fc.integer({ min: 1, max: 12 });
const activation = fc.constant('relu' as const);
const layer: fc.Arbitrary<Layer> = fc.oneof(
  fc.record({ kind: fc.constant('dense' as const), units: fc.integer({ min: 1, max: 50 }), activation }),
  fc.record({ kind: fc.constant('conv' as const), filters: small, activation }),
  fc.record({
    kind: fc.constant('conv' as const),
    filters: small,
    activation,
    kernel: fc.constant(5),
    padding: fc.constant('same' as const),
  }),
);
const network: fc.Arbitrary<Network> = fc.record({
  input: fc.tuple(small, small, small),
  layers: fc.array(layer, { minLength: 1, maxLength: 4 }),
  distribution: fc.constantFrom(...(Object.keys(DISTRIBUTIONS) as Distribution[])),
  sigma: fc.constant('he' as const),
  seed,
});
const around: fc.Arbitrary<Surroundings> = fc
  .record({ network, pixelPermutation: fc.option(seed), leaning: fc.boolean(), bits: seed })
  .map(({ network, pixelPermutation, leaning, bits }) => ({
    network,
    pixelPermutation,
    base: leaning ? { place: 0, mask: randomMask(network, [0.3], bits) } : undefined,
  }));
const density = fc.double({ min: 0, max: 1, noNaN: true });

const countsOf = (around: Surroundings, keptOf: (weights: number, layer: number) => number): LayerCount[] =>
  weighted(around.network).map(({ weights }, i) => ({ weights, kept: keptOf(weights, i) }));
const isOpen = ({ weights, kept }: LayerCount): boolean => kept > 0 && kept < weights;

/** The coded part of a payload: behind its scheme, the place of its base and a LEB128 count a layer. */
function bodyOf(payload: Uint8Array, numbers: number): Uint8Array {
  let at = 1;
  for (let left = numbers; left > 0; at++) if (payload[at] < 128) left--;
  return payload.subarray(at);
}

test('what the encoder wrote: the mask, to the bit, and the plain reader agrees', () => {
  fc.assert(
    fc.property(around, fc.array(density, { minLength: 1, maxLength: 3 }), seed, (around, densities, bits) => {
      const mask = randomMask(around.network, densities, bits);
      const counts = countsOf(around, (_, i) => countKept(mask[i]));
      for (const scheme of ['adaptive', 'context', ...(around.base ? (['related'] as const) : [])] as const) {
        const known = scheme === 'related' ? around : { ...around, base: undefined };
        const body = bodyOf(encodePayload(around, mask, [scheme]), mask.length + (scheme === 'related' ? 1 : 0));
        const read = fast(known, counts, body, scheme !== 'adaptive');
        expect(read).toEqual(plain(known, counts, body, scheme !== 'adaptive'));
        expect(read.finished).toBe(true);
        weighted(around.network).forEach(({ weights }, i) => {
          if (isOpen(counts[i])) for (let at = 0; at < weights; at++) expect(kept(read.mask[i], at)).toBe(kept(mask[i], at));
        });
      }
    }),
    { numRuns: runs(60), seed: 20261128 },
  );
});

test('noise, and streams that end too soon: the same bits are made of it, and the same is said of its end', () => {
  let ended = 0;
  fc.assert(
    fc.property(around, density, fc.uint8Array({ maxLength: 60 }), fc.boolean(), (around, share, body, modelled) => {
      const counts = countsOf(around, (weights) => Math.round(share * weights));
      const read = fast(around, counts, body, modelled);
      expect(read).toEqual(plain(around, counts, body, modelled));
      if (read.finished) ended++;
    }),
    { numRuns: runs(300), seed: 20261128 },
  );
  expect(ended).toBeGreaterThan(0);
});

test('a large payload leaves nothing behind for the next', () => {
  const network: Network = {
    input: [1, 1, 3000],
    layers: [{ kind: 'dense', units: 4000, activation: 'relu' }],
    distribution: 'normal',
    sigma: 'he',
    seed: { low: 1, high: 2 },
  };
  const large: Surroundings = { network, pixelPermutation: null, base: undefined };
  const few: Surroundings = { ...large, network: { ...network, input: [5, 5, 1] } };
  const body = Uint8Array.from({ length: 200 }, (_, i) => (37 * i) & 255);
  const some = countsOf(few, () => 700);
  const first = fast(few, some, body, true);
  expect(first).toEqual(plain(few, some, body, true));
  expect(countKept(first.mask[0])).toBeGreaterThan(0);
  fast(
    large,
    countsOf(large, () => 1000),
    body,
    true,
  );
  expect(fast(few, some, body, true)).toEqual(first);
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A reader of its own, and what its WebAssembly exports: one entry an instance, whose functions a test may replace. */
function watched(): { readonly reader: MaskReader; readonly kernels: Record<string, unknown>[] } {
  const { Instance } = WebAssembly;
  const kernels: Record<string, unknown>[] = [];
  class Watched {
    readonly exports: Record<string, unknown>;
    constructor(module: WebAssembly.Module) {
      this.exports = { ...new Instance(module).exports };
      kernels.push(this.exports);
    }
  }
  vi.spyOn(WebAssembly, 'Instance').mockImplementation(Watched as typeof Instance);
  const bytes = inflate(Buffer.from(READER, 'base64'), READER_BYTES) as Uint8Array;
  return { reader: new MaskReader(new WebAssembly.Module(bytes.slice())), kernels };
}

/** Layers of many units of one input, and of one unit of many inputs, in turns. */
const toAndFro = (layers: number): Surroundings => ({
  network: {
    input: [1, 1, 1],
    layers: Array.from({ length: layers }, (_, i) => ({ kind: 'dense', units: i % 2 ? 1 : 2 ** 15, activation: 'relu' })),
    distribution: 'signed-constant',
    sigma: 'he',
    seed: { low: 1, high: 2 },
  },
  pixelPermutation: null,
});

test('layers take memory one by one: many need no more than two', () => {
  const { reader, kernels } = watched();
  const taken = [2, 60].map((layers) => {
    const around = toAndFro(layers);
    const counts = countsOf(around, () => 9);
    const mask = zeros(around);
    reader.read(around, counts, Uint8Array.of(1, 2, 3), true, mask);
    expect(mask).toEqual(plain(around, counts, Uint8Array.of(1, 2, 3), true).mask);
    expect(kernels.length).toBe(1);
    return (kernels[0]['memory'] as WebAssembly.Memory).buffer.byteLength;
  });
  // Beside the log odds of the layer before, 64 kB that a first layer does not have.
  expect(taken[1] - taken[0]).toBeLessThanOrEqual(2 ** 17);
});

test('the attack of 254 layers takes what its largest take, and not 300 MB', () => {
  const { reader, kernels } = watched();
  const [, , file] = ATTACKS.find(([, what]) => what.startsWith('contexts of 254 layers'))!;
  const { network, tasks } = readPacked(file);
  const read = () => decodePayload({ network, pixelPermutation: null }, tasks[0].payload, 'it', { inflate, masks: reader });
  expect(file.length).toBeLessThan(2000);
  expect(weighted(network).length).toBe(254);
  expect(read).toThrow(expect.objectContaining({ code: 'bad-payload' }));
  expect((kernels[0]['memory'] as WebAssembly.Memory).buffer.byteLength).toBeLessThan(5e6);
});

/** The reader's WebAssembly, which may take as many pages more than it begins with. */
function limited(pages: number): WebAssembly.Module {
  const bytes = inflate(Buffer.from(READER, 'base64'), READER_BYTES) as Uint8Array;
  const memory = [5, 3, 1, 0];
  const at = bytes.findIndex((_, i) => memory.every((byte, j) => bytes[i + j] === byte));
  const least = bytes[at + 4];
  return new WebAssembly.Module(
    Buffer.concat([bytes.subarray(0, at), Buffer.of(5, 4, 1, 1, least, least + pages), bytes.subarray(at + 5)]),
  );
}

test('a reader that finds no memory says so, and reads the next payload', () => {
  const reader = new MaskReader(limited(2));
  const body = Uint8Array.of(1, 2, 3);
  const read = (around: Surroundings, modelled: boolean) => {
    const counts = countsOf(around, () => 9);
    const mask = zeros(around);
    reader.read(around, counts, body, modelled, mask);
    expect(mask).toEqual(plain(around, counts, body, modelled).mask);
  };
  const large = toAndFro(2);
  const small: Surroundings = { ...large, network: { ...large.network, input: [5, 5, 1], layers: large.network.layers.slice(1) } };
  const message = /^memory to read a mask is more than the \d+ bytes it has, the limit is what the system gives$/;
  for (let times = 0; times < 2; times++) {
    expect(() => read(large, true)).toThrow(expect.objectContaining({ code: 'over-limit', message: expect.stringMatching(message) }));
    read(small, true);
    read(small, false);
  }
});

test('what is not for want of memory stays as it is', () => {
  const { reader, kernels } = watched();
  const around = toAndFro(2);
  const counts = countsOf(around, () => 9);
  const body = Uint8Array.of(1, 2, 3);
  reader.read(around, counts, body, true, zeros(around));
  kernels[0]['layer'] = () => {
    throw new WebAssembly.RuntimeError('memory access out of bounds');
  };
  expect(() => reader.read(around, counts, body, true, zeros(around))).toThrow(WebAssembly.RuntimeError);
  const mask = zeros(around);
  reader.read(around, counts, body, true, mask);
  expect(mask).toEqual(plain(around, counts, body, true).mask);
});
