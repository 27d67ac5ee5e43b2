// Random networks, masks, weights and images for the tests of engines, every one a function of a seed; and the same networks
// evaluated in double precision by a few lines that share nothing with an engine.

import fc from 'fast-check';
import { type InputTransform, PIXELS, type TrainingSet } from '../src/engine/engine.js';
import {
  type Activation,
  type Architecture,
  inputs,
  type Layer,
  maskBytes,
  type Network,
  outputs,
  type Padding,
  type Parameters,
  place,
  type Shape,
  type SigmaRule,
  weightCounts,
  weighted,
} from '../src/network.js';
import { DISTRIBUTIONS, type Distribution, DOMAIN, fillWords, type Seed } from '../src/random.js';

/** A transform with a mean, which no integer program can have. */
const STANDARD: InputTransform = { scale: 0.0127, mean: 33.3 };

/** Uniform numbers in [0, 1) by address: `stream` tells the uses apart. */
export function uniforms(seed: Seed, stream: number, count: number): number[] {
  const words = new Uint32Array(count);
  fillWords(seed, DOMAIN.sampling, stream, 0, words);
  return Array.from(words, (word) => word / 4294967296);
}

export function randomMask(architecture: Architecture, seed: Seed, density: number): Uint8Array[] {
  return weightCounts(architecture).map((count, layer) => {
    const bits = new Uint8Array(maskBytes(count));
    uniforms(seed, 100 + layer, count).forEach((u, i) => {
      if (u < density) bits[i >> 3] |= 1 << (i & 7);
    });
    return bits;
  });
}

/** Pixels, about half of them 0 as in images of digits. */
export const randomPixels = (seed: Seed, count: number): Uint8Array =>
  Uint8Array.from(uniforms(seed, 1, count), (u) => Math.max(0, Math.floor(u * 512) - 256));

export const randomFloats = (seed: Seed, stream: number, count: number, scale: number): Float32Array =>
  Float32Array.from(uniforms(seed, stream, count), (u) => (u - 0.5) * scale);

export function randomParameters(architecture: Architecture, seed: Seed, withBiases: boolean): Parameters {
  const layers = weighted(architecture);
  return {
    weights: layers.map((l) => randomFloats(seed, 200 + l.stream, l.weights, 2 / Math.sqrt(l.fanIn))),
    biases: withBiases ? layers.map((l) => randomFloats(seed, 300 + l.stream, l.output[2], 0.4)) : null,
  };
}

export function randomTrainingSet(architecture: Architecture, seed: Seed, rows: number, transform: InputTransform): TrainingSet {
  const classes = outputs(architecture);
  return {
    images: randomPixels(seed, rows * inputs(architecture)),
    labels: Uint8Array.from(uniforms(seed, 2, rows), (u) => Math.floor(u * classes)),
    transform,
  };
}

// ---- networks ----

export const dense = (units: number, activation: Activation = 'relu'): Layer => ({ kind: 'dense', units, activation });
export const conv = (filters: number, activation: Activation = 'relu'): Extract<Layer, { kind: 'conv' }> => ({
  kind: 'conv',
  filters,
  activation,
});
/** A convolution with another kernel than 3x3, or without padding. */
export const window = (filters: number, kernel: number, padding: Padding = 'same', activation: Activation = 'relu'): Layer => ({
  kind: 'conv',
  filters,
  activation,
  kernel,
  padding,
});
export const pool: Layer = { kind: 'pool' };

/** A network of signed constants. */
export const net = (input: Shape, ...layers: Layer[]): Network => ({
  input,
  layers,
  distribution: 'signed-constant',
  sigma: 'glorot',
  seed: { low: 2019, high: 5 },
});

const activation = fc.constantFrom<Activation>('relu', 'relu', 'linear');
const width = (max: number) => fc.integer({ min: 1, max });
const denseLayer = (max: number) => fc.tuple(width(max), activation).map(([units, a]) => dense(units, a));
const convLayer = fc.tuple(width(9), activation).map(([filters, a]) => conv(filters, a));
const padding = fc.constantFrom<Padding>('same', 'valid');
const windowLayer = fc.tuple(width(7), width(7), padding, activation).map(([filters, kernel, p, a]) => window(filters, kernel, p, a));

export const denseArchitecture: fc.Arbitrary<Architecture> = fc.record({
  input: fc.tuple(fc.constant(1), fc.constant(1), width(67)),
  layers: fc.tuple(fc.array(denseLayer(37), { maxLength: 2 }), denseLayer(17)).map(([hidden, last]) => [...hidden, last]),
});

export const convArchitecture: fc.Arbitrary<Architecture> = fc
  .record({
    input: fc.tuple(width(9), width(9), width(5)),
    body: fc.array(fc.oneof(convLayer, windowLayer, fc.constant(pool)), { minLength: 1, maxLength: 4 }),
    last: denseLayer(11),
    image: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ input, body, last, image }) => {
    const layers = fitting(input, body);
    // One in four ends in an image, if that leaves it a weight.
    return { input, layers: image === 0 && layers.some(({ kind }) => kind === 'conv') ? layers : [...layers, last] };
  });

/** The layers without those that an image is too small for. */
function fitting(input: Shape, layers: readonly Layer[]): Layer[] {
  let [height, columns] = input;
  return layers.filter((layer) => {
    const least = layer.kind === 'pool' ? 2 : layer.kind === 'conv' && layer.padding === 'valid' ? layer.kernel! : 1;
    if (height < least || columns < least) return false;
    [height, columns] = [height, columns].map((side) => (layer.kind === 'pool' ? side >> 1 : side - least + 1));
    return true;
  });
}

const half = fc.integer({ min: 0, max: 0xffffffff });
const seeds: fc.Arbitrary<Seed> = fc.record({ low: half, high: half });
const distributions = fc.constantFrom(...(Object.keys(DISTRIBUTIONS) as Distribution[]));
const densities = fc.oneof(fc.constantFrom(0, 0.03, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }));
const transforms = fc.constantFrom(PIXELS, STANDARD);

/** A network with everything else that a test of it needs. */
export const scenario = (architecture: fc.Arbitrary<Architecture>, maxBatch: number) =>
  fc.record({
    architecture,
    seed: seeds,
    distribution: distributions,
    sigma: fc.constantFrom<SigmaRule>('glorot', 'he', 0.25),
    density: densities,
    transform: transforms,
    batch: width(maxBatch),
    biases: fc.boolean(),
  });
export type Scenario = ReturnType<typeof scenario> extends fc.Arbitrary<infer T> ? T : never;

export const networkOf = ({ architecture, distribution, sigma, seed }: Scenario): Network => ({
  ...architecture,
  distribution,
  sigma,
  seed,
});

// ---- a second opinion ----

/**
 * Logits of one sample in double precision, indexed by (y, x, channel) and summed in no particular order: exact for integers.
 * @param x the transformed inputs
 */
export function evaluate(
  architecture: Architecture,
  weights: readonly ArrayLike<number>[],
  biases: readonly ArrayLike<number>[] | null,
  x: number[],
): number[] {
  let values = x;
  for (const { layer, input, output, kernel, stream } of place(architecture)) {
    const [height, width, channels] = input;
    // What 'same' loses nothing for: as many zeros above as below, one less of an even kernel's odd number.
    const zeros = Math.floor((output[0] + kernel - 1 - height) / 2);
    const at = (y: number, x: number, c: number) =>
      y < 0 || y >= height || x < 0 || x >= width ? 0 : values[(y * width + x) * channels + c];
    const sum = (y: number, x: number, unit: number) => {
      let z = biases ? biases[stream][unit] : 0;
      if (layer.kind === 'dense') for (let i = 0; i < values.length; i++) z += weights[stream][unit * values.length + i] * values[i];
      else
        for (let k = 0; k < kernel * kernel; k++)
          for (let c = 0; c < channels; c++)
            z +=
              weights[stream][(unit * kernel * kernel + k) * channels + c] *
              at(y + Math.floor(k / kernel) - zeros, x + (k % kernel) - zeros, c);
      return z;
    };
    const one = (y: number, x: number, unit: number) => {
      if (layer.kind !== 'pool') return layer.activation === 'relu' ? Math.max(0, sum(y, x, unit)) : sum(y, x, unit);
      return Math.max(...[0, 1, 2, 3].map((corner) => at(2 * y + (corner >> 1), 2 * x + (corner & 1), unit)));
    };
    const next: number[] = [];
    for (let y = 0; y < output[0]; y++)
      for (let x = 0; x < output[1]; x++) for (let unit = 0; unit < output[2]; unit++) next.push(one(y, x, unit));
    values = next;
  }
  return values;
}
