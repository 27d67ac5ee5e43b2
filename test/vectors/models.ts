// Sample models for the codec's tests, all from fixed numbers: networks by hand, mask bits from Philox (domain 3, the sampling domain).

import { DIGITS, type Model, PIXELS_TRANSFORM, type Task } from '../../codec/index.js';
import { fullMask, maskBytes, type Network, regenerate, weightCounts, weighted } from '../../src/network.js';
import { type Distribution, DOMAIN, fillWords, type Seed } from '../../src/random.js';

/** A mask whose layer i keeps each weight with probability density[i mod length]. */
export function randomMask(network: Network, density: readonly number[], seed: Seed): Uint8Array[] {
  return weightCounts(network).map((n, layer) => {
    const words = new Uint32Array(n);
    fillWords(seed, DOMAIN.sampling, layer, 0, words);
    const bits = new Uint8Array(maskBytes(n));
    words.forEach((word, i) => {
      if (word < density[layer % density.length] * 2 ** 32) bits[i >> 3] |= 1 << (i & 7);
    });
    return bits;
  });
}

export const task = (mask: Uint8Array[], more: Partial<Task> = {}): Task => ({
  id: '',
  mask,
  transform: PIXELS_TRANSFORM,
  labels: DIGITS,
  data: null,
  logitScale: 1,
  ...more,
});

/** The paper's FC network, with a seed that needs all 64 bits. */
export const FC: Network = {
  input: [28, 28, 1],
  layers: [
    { kind: 'dense', units: 300, activation: 'relu' },
    { kind: 'dense', units: 100, activation: 'relu' },
    { kind: 'dense', units: 10, activation: 'linear' },
  ],
  distribution: 'signed-constant',
  sigma: 'glorot',
  seed: { low: 0x89abcdef, high: 0xf1234567 },
};

/** A few hundred weights with every kind of layer, odd sizes and a pool that drops a row. */
export const SMALL_CONV: Network = {
  input: [5, 4, 2],
  layers: [{ kind: 'conv', filters: 3, activation: 'relu' }, { kind: 'pool' }, { kind: 'dense', units: 11, activation: 'linear' }],
  distribution: 'signed-constant',
  sigma: 'he',
  seed: { low: 7, high: 0 },
};

export const TINY: Network = {
  input: [1, 1, 6],
  layers: [
    { kind: 'dense', units: 5, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
  distribution: 'normal',
  sigma: 0.125,
  seed: { low: 1, high: 2 },
};

const TINY_LABELS = ['cat', 'dog'];

/** One task, every optional field of a one-task file in use. */
export const TINY_MODEL: Model = {
  network: TINY,
  tasks: [
    task(randomMask(TINY, [0.4], { low: 3, high: 0 }), {
      labels: TINY_LABELS,
      transform: { scale: 0.5, mean: -1, constant: Uint8Array.from([0b100010]) },
      data: { dataset: 'pets', pixelPermutation: { low: 9, high: 8 }, labelPermutation: null },
      logitScale: 2.5,
    }),
  ],
};

/** Three tasks that share and differ: every index column is there. */
export const ARCHIVE_MODEL: Model = {
  network: TINY,
  tasks: [
    task(randomMask(TINY, [0.5], { low: 4, high: 0 }), { id: 'a', labels: TINY_LABELS }),
    task(randomMask(TINY, [0.1, 1], { low: 5, high: 0 }), {
      id: 'a.b',
      labels: ['x', 'y', 'zé'],
      data: { dataset: 'mnist', pixelPermutation: { low: 1, high: 0 }, labelPermutation: { low: 0, high: 0 } },
      logitScale: 0.75,
    }),
    task(randomMask(TINY, [0], { low: 6, high: 0 }), {
      id: 'b',
      labels: TINY_LABELS,
      transform: { scale: 1, mean: 0, constant: null },
    }),
  ],
};

/** Images, pools, filters and vectors; sizes in the random words; a full layer between two others. */
export const PATCHES: Network = {
  input: [6, 5, 2],
  layers: [
    { kind: 'conv', filters: 4, activation: 'relu' },
    { kind: 'pool' },
    { kind: 'dense', units: 9, activation: 'relu' },
    { kind: 'dense', units: 2, activation: 'relu' },
    { kind: 'dense', units: 7, activation: 'linear' },
  ],
  distribution: 'truncated-normal',
  sigma: 'glorot',
  seed: { low: 0xfedcba98, high: 0x76543210 },
};

/** What contexts see in learned masks: patches of one sign, units and inputs that keep more than others. */
export function patchedMask(network: Network, density: number, bits: Seed): Uint8Array[] {
  const weights = regenerate(network);
  return weighted(network).map(({ fanIn, weights: n, stream }) => {
    const words = new Uint32Array(n);
    fillWords(bits, DOMAIN.sampling, stream, 0, words);
    const mask = new Uint8Array(maskBytes(n));
    for (let i = 0; i < n; i++) {
      const wave = Math.sign(((i % fanIn) % 13) - 6) * Math.sign(weights[stream][i]) * (Math.floor(i / fanIn) % 2 ? 1 : -1);
      const p = wave > 0 ? 2 * density : density / 8;
      if (words[i] < p * 2 ** 32) mask[i >> 3] |= 1 << (i & 7);
    }
    return mask;
  });
}

/** One task whose payload holds layers told by counts alone, between layers that are coded. */
export const PATCHES_MODEL: Model = {
  network: PATCHES,
  tasks: [
    task(
      patchedMask(PATCHES, 0.3, { low: 31, high: 0 }).map((bits, i) => (i === 2 ? fullMask(PATCHES, true)[i] : bits)),
      { labels: TINY_LABELS },
    ),
  ],
};

/** Kernels of every kind of record: 3x3 same as ever, others, even ones, without padding; the taps are contexts. */
export const WINDOWS: Network = {
  input: [9, 8, 2],
  layers: [
    { kind: 'conv', filters: 4, activation: 'relu', kernel: 5, padding: 'same' },
    { kind: 'conv', filters: 3, activation: 'linear', kernel: 4, padding: 'same' },
    { kind: 'conv', filters: 5, activation: 'relu', kernel: 3, padding: 'valid' },
    { kind: 'conv', filters: 4, activation: 'linear', kernel: 2, padding: 'valid' },
    { kind: 'conv', filters: 3, activation: 'relu' },
    { kind: 'conv', filters: 6, activation: 'linear', kernel: 1, padding: 'same' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
  distribution: 'signed-constant',
  sigma: 'he',
  seed: { low: 55, high: 66 },
};
export const WINDOWS_MODEL: Model = {
  network: WINDOWS,
  tasks: [task(patchedMask(WINDOWS, 0.25, { low: 35, high: 0 }), { labels: TINY_LABELS })],
};

/** Numbers that become bytes: with names of the inputs, without, and beside constant inputs. */
const NUMBERS: Network = {
  ...TINY,
  input: [1, 1, 3],
  layers: [{ kind: 'dense', units: 4, activation: 'linear' }],
  distribution: 'signed-constant',
};
const features = { low: Float32Array.of(-1.5, 0, 1000), scale: Float32Array.of(127.5, 0.25, -3) };
export const NUMBERS_MODEL: Model = {
  network: NUMBERS,
  tasks: [
    { constant: null, features: { ...features, names: ['size', 'Länge, mm', 'z'] } },
    { constant: null, features },
    { constant: Uint8Array.of(0b010), features: { ...features, names: ['a', 'b', 'c'] } },
  ].map((more, i) =>
    task(randomMask(NUMBERS, [0.5], { low: 40 + i, high: 0 }), {
      id: 'abc'[i],
      labels: TINY_LABELS,
      transform: { scale: PIXELS_TRANSFORM.scale, mean: 0, ...more },
    }),
  ),
};

const permuted = (distribution: Distribution): Network => ({
  ...PATCHES,
  input: [7, 6, 1],
  layers: [
    { kind: 'dense', units: 8, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
  distribution,
});
const PERMUTED = permuted('signed-constant');
const PACKED = permuted('packed-signed-constant');
const permutedData = { dataset: 'mnist', pixelPermutation: { low: 77, high: 1 }, labelPermutation: null };

/** Signed constants over permuted pixels: sizes are known, and where each pixel belongs. */
export const PERMUTED_MODEL: Model = {
  network: PERMUTED,
  tasks: [task(patchedMask(PERMUTED, 0.2, { low: 32, high: 0 }), { labels: TINY_LABELS, data: permutedData })],
};

/** Packed signs, pixels in place, and two tasks. */
export const PACKED_MODEL: Model = {
  network: PACKED,
  tasks: [
    task(patchedMask(PACKED, 0.1, { low: 33, high: 0 }), { id: 'a', labels: TINY_LABELS }),
    task(patchedMask(PACKED, 0.4, { low: 34, high: 0 }), { id: 'b', labels: TINY_LABELS, data: permutedData }),
  ],
};

/** A mask with one weight in `rate` turned over, by chance. */
export function alteredMask(network: Network, mask: readonly Uint8Array[], rate: number, seed: Seed): Uint8Array[] {
  const turned = randomMask(network, [1 / rate], seed);
  return mask.map((bits, layer) => bits.map((byte, at) => byte ^ turned[layer][at]));
}

/** Three tasks of a network, of which the first and the last lean on the second. */
const leaning = (network: Network, data: Task['data']): Model => {
  const base = patchedMask(network, 0.3, { low: 35, high: 0 });
  const more = { labels: TINY_LABELS, data };
  return {
    network,
    tasks: [
      task(alteredMask(network, base, 20, { low: 36, high: 0 }), { id: 'a', base: 'b', ...more }),
      task(base, { id: 'b', ...more }),
      task(alteredMask(network, base, 9, { low: 37, high: 0 }), { id: 'c', base: 'b', ...more }),
    ],
  };
};

/** Sizes in the random words, filters and images. */
export const RELATED_MODEL = leaning(PATCHES, null);
/** Packed signs, and pixels that are modelled where they belong. */
export const RELATED_PACKED_MODEL = leaning(PACKED, permutedData);

/** Tasks over numbers: how each input becomes a byte stands in the transform, beside constant inputs and without. */
export const FEATURES_MODEL: Model = {
  network: TINY,
  tasks: [null, Uint8Array.of(0b100100)].map((constant, i) =>
    task(randomMask(TINY, [0.4], { low: 38 + i, high: 0 }), {
      id: `sensor-${i}`,
      labels: TINY_LABELS,
      transform: {
        scale: 0.5,
        mean: -1,
        constant,
        features: { low: Float32Array.of(-1.5, 0, 1e30, -0, 3.25, 2 ** -149), scale: Float32Array.of(1, 51.25, 0, -2, 1e-30, 1e38) },
      },
    }),
  ),
};
