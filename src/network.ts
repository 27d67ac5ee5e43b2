// A network is a layer list, a seed and a weight distribution; a mask is one bit per weight. Together they are a classifier.
//
//   input [H, W, C] -> dense | conv k x k, stride 1, 'same' or 'valid' | max-pool 2x2 stride 2 -> logits
//
// Activations belong to weighted layers. Tensors are NHWC, so flattening before a dense layer moves nothing and is no layer.
// Order of weights = PRNG index = mask bit: dense W[out][in]; conv W[out][ky][kx][in]. There are no biases in a stored network.
// This file knows shapes and counts; it computes no activations (src/engine does).

import { DISTRIBUTIONS, type Distribution, fillWeights, type Seed } from './random.js';

export type Activation = 'linear' | 'relu';
export type Layer = { readonly kind: 'dense'; readonly units: number; readonly activation: Activation } | Conv | { readonly kind: 'pool' };

/** `same` keeps height and width: floor((k - 1) / 2) zeros above and to the left, the rest below and to the right; `valid` adds none. */
export type Padding = 'same' | 'valid';
export interface Conv {
  readonly kind: 'conv';
  readonly filters: number;
  readonly activation: Activation;
  /** Side of the square kernel, 1 to MAX_KERNEL; default 3. */
  readonly kernel?: number;
  /** Default `same`. */
  readonly padding?: Padding;
}
export const MAX_KERNEL = 16;

/** [height, width, channels]; a plain vector of n features is [1, 1, n]. */
export type Shape = readonly [number, number, number];

/** A network without its seed: what `models/` defines. */
export interface Architecture {
  readonly input: Shape;
  readonly layers: readonly Layer[];
}

/**
 * How sigma follows from a layer's fan-in and fan-out (for conv: k x k x channels in, k x k x filters out), or one stored f32 for all layers.
 * `glorot` = sqrt(2 / (fanIn + fanOut)), the paper's; `he` = sqrt(2 / fanIn). Never depends on a mask's density.
 */
export type SigmaRule = 'glorot' | 'he' | number;

export interface Network extends Architecture {
  readonly distribution: Distribution;
  readonly sigma: SigmaRule;
  readonly seed: Seed;
}

/** Packed bits per weighted layer, least significant bit first: bit i & 7 of byte i >> 3 keeps weight i. Padding bits are 0. */
export type Mask = readonly Uint8Array[];

/** Trained floats in canonical order; biases has one vector of `units` per weighted layer, or null for none. */
export interface Parameters {
  readonly weights: readonly Float32Array[];
  readonly biases: readonly Float32Array[] | null;
}

/** A layer with everything that follows from its place in the network. */
export interface Placed {
  readonly layer: Layer;
  readonly input: Shape;
  readonly output: Shape;
  /** Number of weights; 0 for a pool. */
  readonly weights: number;
  readonly fanIn: number;
  readonly fanOut: number;
  /** Side of a convolution's kernel; 0 for other layers. */
  readonly kernel: number;
  /** Rows of zeros that a convolution reads above its input, and columns to the left of it. */
  readonly before: number;
  /** Position among the weighted layers, which is the PRNG stream; -1 for a pool. */
  readonly stream: number;
}

export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

export const size = (shape: Shape): number => shape[0] * shape[1] * shape[2];

/** Throws ShapeError unless an input has the form of one. */
export function checkShape(input: Shape): void {
  if (input?.length !== 3 || input.some((n) => !(Number.isInteger(n) && n > 0)))
    throw new ShapeError(`input shape [${input}] is not three positive integers [height, width, channels]`);
}

/** Walks the layers and returns each with its shapes and counts. Throws ShapeError when a layer does not fit. */
export function place(architecture: Architecture): Placed[] {
  const placed: Placed[] = [];
  let input = architecture.input;
  let stream = 0;
  checkShape(input);
  architecture.layers.forEach((layer, i) => {
    checkWord(i, 'kind', layer.kind);
    if (layer.kind !== 'pool') checkWord(i, 'activation', layer.activation);
    const [h, w, c] = input;
    let next: Placed;
    if (layer.kind === 'pool') {
      if (h < 2 || w < 2) throw new ShapeError(`layer ${i}: a 2x2 pool needs at least 2x2 pixels, got ${h}x${w}`);
      const output: Shape = [Math.floor(h / 2), Math.floor(w / 2), c];
      next = { layer, input, output, weights: 0, fanIn: 0, fanOut: 0, kernel: 0, before: 0, stream: -1 };
    } else if (layer.kind === 'conv') {
      checkWidth(layer.filters, i, 'filters');
      const { kernel, padding } = windowOf(layer);
      checkKernel(kernel, padding, input, i);
      const taps = kernel * kernel;
      const lost = padding === 'valid' ? kernel - 1 : 0;
      next = {
        layer,
        input,
        output: [h - lost, w - lost, layer.filters],
        weights: taps * c * layer.filters,
        fanIn: taps * c,
        fanOut: taps * layer.filters,
        kernel,
        before: padding === 'valid' ? 0 : (kernel - 1) >> 1,
        stream,
      };
    } else {
      checkWidth(layer.units, i, 'units');
      const n = size(input);
      const { units } = layer;
      next = { layer, input, output: [1, 1, units], weights: n * units, fanIn: n, fanOut: units, kernel: 0, before: 0, stream };
    }
    if (next.stream >= 0) stream++;
    placed.push(next);
    input = next.output;
  });
  if (stream === 0) throw new ShapeError('a network needs at least one layer with weights');
  return placed;
}

/** What a convolution says of its kernel, with the defaults. */
export const windowOf = ({ kernel = 3, padding = 'same' }: Conv): { kernel: number; padding: Padding } => ({ kernel, padding });

/** What a layer may say: a misspelt word would pass for another. */
const WORDS = { kind: ['dense', 'conv', 'pool'], activation: ['relu', 'linear'], padding: ['same', 'valid'] };

function checkWord(layer: number, field: keyof typeof WORDS, got: string): void {
  if (!WORDS[field].includes(got)) throw new ShapeError(`layer ${layer}: ${field} must be ${WORDS[field].join(' or ')}, got ${got}`);
}

/** Throws ShapeError unless weights can be drawn: a known distribution, a sigma, and a seed of two halves, as `parseSeed` makes it. */
export function checkNetwork({ distribution, sigma, seed: { low, high } }: Network): void {
  const demand = (fine: boolean, name: string, expected: string, got: unknown) => {
    if (!fine) throw new ShapeError(`${name} must be ${expected}, got ${got}`);
  };
  const known = Object.keys(DISTRIBUTIONS);
  demand(known.includes(distribution), 'distribution', known.join(' or '), distribution);
  demand(sigma === 'glorot' || sigma === 'he' || Number.isFinite(sigma), 'sigma', 'glorot, he or a number', sigma);
  for (const half of [low, high]) demand(half === half >>> 0, 'seed', 'what parseSeed makes', half);
}

function checkKernel(kernel: number, padding: Padding, [h, w]: Shape, layer: number): void {
  if (!(Number.isInteger(kernel) && kernel > 0 && kernel <= MAX_KERNEL))
    throw new ShapeError(`layer ${layer}: kernel must be an integer from 1 to ${MAX_KERNEL}, got ${kernel}`);
  checkWord(layer, 'padding', padding);
  if (padding === 'valid' && (h < kernel || w < kernel))
    throw new ShapeError(
      `layer ${layer}: a ${kernel}x${kernel} kernel without padding needs at least ${kernel}x${kernel} pixels, got ${h}x${w}`,
    );
}

function checkWidth(n: number, layer: number, what: string): void {
  if (!(Number.isInteger(n) && n > 0)) throw new ShapeError(`layer ${layer}: ${what} must be a positive integer, got ${n}`);
}

/** The layers that have weights, in stream order. */
export const weighted = (architecture: Architecture): Placed[] => place(architecture).filter((p) => p.weights > 0);

/** Weights per weighted layer. */
export const weightCounts = (architecture: Architecture): number[] => weighted(architecture).map((p) => p.weights);

/** Total number of weights. */
export const totalWeights = (architecture: Architecture): number => weightCounts(architecture).reduce((a, b) => a + b, 0);

/** Shapes of the weight arrays: dense [out, in], conv [out, k, k, in]. */
export const weightShapes = (architecture: Architecture): number[][] =>
  weighted(architecture).map(({ input, output, fanIn, kernel }) => (kernel ? [output[2], kernel, kernel, input[2]] : [output[2], fanIn]));

/** Number of logits. */
export const outputs = (architecture: Architecture): number => size(place(architecture).at(-1)!.output);

/** Number of input values. */
export const inputs = (architecture: Architecture): number => size(architecture.input);

/** The f32 sigma of a weighted layer. */
export function sigmaOf(rule: SigmaRule, layer: Placed): number {
  if (rule === 'glorot') return Math.fround(Math.sqrt(2 / (layer.fanIn + layer.fanOut)));
  if (rule === 'he') return Math.fround(Math.sqrt(2 / layer.fanIn));
  return Math.fround(rule);
}

/** Whether all layers are dense. */
export const isDense = ({ layers }: Architecture): boolean => layers.every((layer) => layer.kind === 'dense');

/** Whether a layer cuts what is below 0. */
export const hasRelu = (layer: Layer): boolean => layer.kind !== 'pool' && layer.activation === 'relu';

/** Whether every weight of a layer is plus or minus one constant. */
export const isSignedConstant = (network: Network): boolean =>
  network.distribution === 'signed-constant' || network.distribution === 'packed-signed-constant';

/**
 * Regenerates the weights from the seed: one Float32Array per weighted layer, canonical order.
 * @param limit at most so many of a layer's weights, the first ones; default all
 * @throws ShapeError when the network is none
 */
export function regenerate(network: Network, limit = Number.POSITIVE_INFINITY): Float32Array[] {
  checkNetwork(network);
  return weighted(network).map((layer) => {
    const out = new Float32Array(Math.min(layer.weights, limit));
    fillWeights(network.distribution, sigmaOf(network.sigma, layer), network.seed, layer.stream, 0, out);
    return out;
  });
}

/**
 * What `seedmask inspect` prints and `--network` accepts: 'fc:784-300-100-10', or with convolutions and pools
 * '28x28x1:conv16-pool-conv50k5v-pool-10', where k5 is a 5x5 kernel in place of 3x3 and v `valid` padding.
 */
export function describe(architecture: Architecture): string {
  const layers = architecture.layers.map((l) => (l.kind === 'pool' ? 'pool' : l.kind === 'conv' ? nameOf(l) : `${l.units}`));
  return isDense(architecture)
    ? `fc:${[inputs(architecture), ...layers].join('-')}`
    : `${architecture.input.join('x')}:${layers.join('-')}`;
}

function nameOf(layer: Conv): string {
  const { kernel, padding } = windowOf(layer);
  const valid = padding === 'valid' ? 'v' : '';
  return `conv${layer.filters}${kernel !== 3 || valid ? `k${kernel}${valid}` : ''}`;
}

// ---- masks ----

export const maskBytes = (weights: number): number => Math.ceil(weights / 8);

/** A mask that keeps nothing, or everything. */
export function fullMask(architecture: Architecture, keep: boolean): Uint8Array[] {
  return weightCounts(architecture).map((n) => {
    const bits = new Uint8Array(maskBytes(n));
    if (keep) keepAll(bits, n);
    return bits;
  });
}

/** Sets the bits of all weights of a layer. */
export function keepAll(bits: Uint8Array, weights: number): void {
  bits.fill(255);
  if (weights & 7) bits[bits.length - 1] = (1 << (weights & 7)) - 1;
}

export const kept = (bits: Uint8Array, i: number): number => (bits[i >> 3] >> (i & 7)) & 1;

/** Weights, 0 where the mask does not keep them. */
export const maskedWeights = (weights: readonly Float32Array[], mask: Mask): Float32Array[] =>
  weights.map((layer, l) => layer.map((w, i) => (kept(mask[l], i) ? w : 0)));

/** Bits of the values that satisfy a condition. */
export function bitsWhere(values: Float32Array | Uint32Array | Uint8Array, is: (value: number) => boolean): Uint8Array {
  const bits = new Uint8Array(maskBytes(values.length));
  for (let i = 0; i < values.length; i++) if (is(values[i])) bits[i >> 3] |= 1 << (i & 7);
  return bits;
}

/** Bits of the values that are not 0. */
export const nonzero = (values: Float32Array): Uint8Array => bitsWhere(values, (value) => value !== 0);

/** A byte for each of a layer's weights: 1 where it is kept. */
export const keptBytes = (bits: Uint8Array, weights: number): Uint8Array => Uint8Array.from({ length: weights }, (_, i) => kept(bits, i));

/** Number of kept weights in a layer's bits. */
export function countKept(bits: Uint8Array): number {
  let n = 0;
  // Four bytes at once; past the end there are zeros.
  for (let i = 0; i < bits.length; i += 4) n += ones(bits[i] | (bits[i + 1] << 8) | (bits[i + 2] << 16) | (bits[i + 3] << 24));
  return n;
}

/** Number of weights that both of two layers' bits keep. */
export function countBoth(a: Uint8Array, b: Uint8Array): number {
  let n = 0;
  for (let i = 0; i < a.length; i++) n += ones(a[i] & b[i]);
  return n;
}

/** Number of bits set in a word of 32, whose sums are added side by side: of two bits, of four, of eight. */
export function ones(word: number): number {
  let sums = (word - ((word >>> 1) & 0x55555555)) | 0;
  sums = (sums & 0x33333333) + ((sums >>> 2) & 0x33333333);
  return Math.imul((sums + (sums >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Number of kept weights of all layers. */
export const totalKept = (mask: Mask): number => mask.reduce((sum, bits) => sum + countKept(bits), 0);

/** The fraction of all weights that a mask keeps. */
export const density = (network: Architecture, mask: Mask): number => totalKept(mask) / totalWeights(network);

/** Throws ShapeError unless the mask has the network's layers, lengths and zero padding. */
export function checkMask(architecture: Architecture, mask: Mask): void {
  const counts = weightCounts(architecture);
  if (mask.length !== counts.length) throw new ShapeError(`mask has ${mask.length} layers, the network has ${counts.length}`);
  counts.forEach((n, i) => {
    if (mask[i].length !== maskBytes(n))
      throw new ShapeError(`mask layer ${i} has ${mask[i].length} bytes, expected ${maskBytes(n)} for ${n} weights`);
    if (n & 7 && mask[i][mask[i].length - 1] >> (n & 7)) throw new ShapeError(`mask layer ${i} has bits beyond its ${n} weights`);
  });
}
