// Weights as other programs lay them out, into canonical order: dense W[out][in], conv W[out][ky][kx][in], inputs as height, width,
// channel. Everything that comes in passes here: shapes, counts, and that numbers are numbers; a complaint names the tensor.
//
//   seedmask  dense [out, in]   conv [out, k, k, in]
//   torch     dense [out, in]   conv [out, in, k, k]   a dense layer behind an image reads channel, height, width
//   keras     dense [in, out]   conv [k, k, in, out]

import { SeedmaskError } from '../codec/index.js';
import {
  type Activation,
  type Architecture,
  describe,
  isDense,
  maskBytes,
  type Network,
  type Padding,
  type Parameters,
  type Placed,
  place,
  regenerate,
  weighted,
  windowOf,
} from '../src/network.js';
import { formatSeed } from '../src/random.js';
import type { UnreadArray } from './numbers.js';

/** An array by its name, in its file's own order. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: ArrayLike<number | bigint>;
}

/** An array of a file of named ones; one that is not of numbers is no layer's, and refused where it is named as one. */
export type FileArray = Omit<NamedTensor, 'name'> | UnreadArray;

/** Where a tensor has its units, and an image its channels. */
export interface Layout {
  readonly unitsLast: boolean;
  readonly channelsFirst: boolean;
}

export const LAYOUTS = {
  seedmask: { unitsLast: false, channelsFirst: false },
  torch: { unitsLast: false, channelsFirst: true },
  keras: { unitsLast: true, channelsFirst: false },
} as const satisfies Record<string, Layout>;
export type LayoutName = keyof typeof LAYOUTS;

/** A layer's tensors, each with its layout. */
export interface LayerTensors {
  readonly weight: NamedTensor;
  readonly bias?: NamedTensor;
  readonly layout: Layout;
  /** Of a convolution whose file says it. */
  readonly padding?: Padding;
  /** What follows it, where the file says it; a softmax behind the last layer is none. */
  readonly activation?: Activation;
  /** 2x2 pools between the layer before it, or the input, and it, and between it and the next, where the file says it. */
  readonly pools?: readonly [before: number, behind: number];
  /** The weights that a file has beside a mask: they must be the seed's. */
  readonly under?: NamedTensor;
}

export const badTensor = (field: string, expected: unknown, got: unknown, hint?: string): SeedmaskError =>
  new SeedmaskError('bad-checkpoint', { field, expected, got, hint });

const shapeOf = ({ layer, input, output, fanIn, kernel }: Placed, { unitsLast, channelsFirst }: Layout): number[] => {
  const units = output[2];
  if (layer.kind === 'dense') return unitsLast ? [fanIn, units] : [units, fanIn];
  const window = channelsFirst ? [input[2], kernel, kernel] : [kernel, kernel, input[2]];
  return unitsLast ? [...window, units] : [units, ...window];
};

const isShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** Values of a tensor in canonical order. Throws SeedmaskError bad-checkpoint unless its shape is the layer's. */
function canonical(placed: Placed, { name, shape, values }: NamedTensor, layout: Layout): Float64Array {
  const wanted = shapeOf(placed, layout);
  if (!isShape(shape, wanted))
    throw badTensor(`the shape of ${name}`, `[${wanted}], as layer ${placed.stream} of the network`, `[${shape}]`);
  const { fanIn, kernel, layer, input } = placed;
  const units = placed.output[2];
  const [height, width, channels] = layer.kind === 'dense' ? input : [kernel, kernel, input[2]];
  return Float64Array.from({ length: units * fanIn }, (_, i) => {
    const unit = Math.floor(i / fanIn);
    let at = i % fanIn;
    if (layout.channelsFirst) at = (at % channels) * height * width + Math.floor(at / channels);
    return Number(values[layout.unitsLast ? at * units + unit : unit * fanIn + at]);
  });
}

function finite({ name }: NamedTensor, values: Float64Array): Float32Array {
  const floats = Float32Array.from(values);
  const at = floats.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw badTensor(name, 'finite f32 numbers', `${values[at]} at ${at}`);
  return floats;
}

/** Throws SeedmaskError bad-checkpoint where a file says that it computes another network of the same shapes. */
function checkComputed(architecture: Architecture, layers: readonly LayerTensors[]): void {
  /** Pools before every layer with weights, and behind the last. */
  const pools = [0];
  for (const { stream } of place(architecture)) {
    if (stream < 0) pools[pools.length - 1]++;
    else pools.push(0);
  }
  weighted(architecture).forEach(({ layer, kernel }, i) => {
    if (layer.kind === 'pool') return;
    const { weight, padding, activation, pools: passed } = layers[i];
    const hold = (what: string, expected: string, got: string | undefined) => {
      if (got !== undefined && got !== expected)
        throw badTensor(`the ${what} ${weight.name}`, `${expected}, as layer ${i} of the network`, got, 'Take its network with --network');
    };
    // Around a single tap there is nothing to add.
    if (layer.kind === 'conv' && kernel > 1) hold('padding of', windowOf(layer).padding, padding);
    hold('activation of', layer.activation, activation);
    hold('2x2 pools before and behind', `${pools[i]} and ${pools[i + 1]}`, passed?.join(' and '));
  });
}

/** Weights and biases in canonical order, biases null where no layer has one. */
export function toParameters(architecture: Architecture, layers: readonly LayerTensors[]): Parameters {
  const placed = weighted(architecture);
  if (layers.length !== placed.length) {
    const got = `${layers.length}: ${layers.map(({ weight }) => weight.name).join(', ')}`;
    throw badTensor(
      'weight tensors',
      `${placed.length}, as ${describe(architecture)} has layers`,
      got,
      'Take their network with --network, or name them in order with --tensors',
    );
  }
  checkComputed(architecture, layers);
  const weights = layers.map(({ weight, layout }, i) => finite(weight, canonical(placed[i], weight, layout)));
  if (layers.every(({ bias }) => !bias)) return { weights, biases: null };
  const biases = layers.map(({ bias }, i) => {
    const units = placed[i].output[2];
    if (!bias) return new Float32Array(units);
    if (!isShape(bias.shape, [units])) throw badTensor(`the shape of ${bias.name}`, `[${units}]`, `[${bias.shape}]`);
    return finite(bias, Float64Array.from<number | bigint>(bias.values, Number));
  });
  return { weights, biases };
}

/**
 * Packed bits of tensors of 0 and 1.
 * @throws SeedmaskError bad-checkpoint also where the file says that the seed's weights are not those under the mask, or has biases
 */
export function toMask(network: Network, layers: readonly LayerTensors[]): Uint8Array[] {
  const { weights: masks, biases } = toParameters(network, layers);
  const hint = 'Name the masks alone with --tensors';
  biases?.forEach((values, layer) => {
    const at = values.findIndex((value) => value !== 0);
    if (at >= 0)
      throw badTensor(layers[layer].bias!.name, '0 everywhere, as a model file stores no biases', `${values[at]} at ${at}`, hint);
  });
  const placed = weighted(network);
  const regenerated = layers.some(({ under }) => under) ? regenerate(network) : [];
  layers.forEach(({ under, layout }, layer) => {
    if (!under) return;
    const values = canonical(placed[layer], under, layout);
    const at = regenerated[layer].findIndex((value, i) => !(Math.abs(value - values[i]) <= 1e-5 * Math.abs(value)));
    if (at >= 0)
      throw badTensor(
        under.name,
        `the ${network.distribution} weights of seed ${formatSeed(network.seed)} and sigma ${network.sigma}, so ${regenerated[layer][at]} at ${at}`,
        values[at],
        'Say which they are with --seed, --sigma and --distribution, or name the masks alone with --tensors',
      );
  });
  return masks.map((values, layer) => {
    const bits = new Uint8Array(maskBytes(values.length));
    values.forEach((value, i) => {
      if (value !== 0 && value !== 1) throw badTensor(layers[layer].weight.name, '0 or 1 everywhere', value);
      bits[i >> 3] |= value << (i & 7);
    });
    return bits;
  });
}

/** What a tensor's name ends in, by what it is; the rest is the layer's. `weight_mask` and `weight_orig` are PyTorch's, of pruned layers. */
const WORDS = { weight: 'weight|kernel', mask: 'mask|weight_mask', bias: 'bias', under: 'weight_orig|weight|kernel' };
/** @param before what stands before the word: nothing is asked where a weight was found by its shape, such as `fc1weight` */
const ending = (what: keyof typeof WORDS, before = ''): RegExp => new RegExp(`${before}(${WORDS[what]})(:\\d+)?$`, 'i');
const endingApart = (what: keyof typeof WORDS): RegExp => ending(what, '(?<![A-Za-z0-9])');
function layerOf(name: string, what: keyof typeof WORDS): string | null {
  const layer = name.replace(ending(what), '');
  return layer === name ? null : layer;
}
export const FLOATS = 'floats of 16, 32 or 64 bits';
const NUMBERS = `${FLOATS}, integers or bool, little-endian`;
/** NumPy's types of texts, objects, records, bytes and times. */
const NO_NUMBERS = /^[<>|=]?[USOVMm]\d*\b|^no plain type/;
/** Vectors of our own exports (tensors.ts) that are no layer's. */
const OURS = new Set(['input', 'constant', 'features.low', 'features.scale']);

/**
 * The layers of a file of named tensors (safetensors, NPZ): those that `names` lists, or those called weight, kernel or, for masks,
 * mask, in the order of their names with numbers as numbers. A bias is called like its weight; of numbered arrays it is the next.
 * @param layout absent: the one that fits, if there is but one
 */
export function pickLayers(
  architecture: Architecture,
  tensors: ReadonlyMap<string, FileArray>,
  what: 'weight' | 'mask',
  names?: readonly string[],
  layout?: LayoutName,
): LayerTensors[] {
  const all = [...tensors.keys()];
  /** Of an array of numbers, also of a type that is not read: one that is a layer's is refused by it. */
  const rank = (name: string): number | undefined => {
    const array = tensors.get(name);
    return array && ('values' in array || !NO_NUMBERS.test(array.type)) ? array.shape.length : undefined;
  };
  const get = (name: string): NamedTensor => {
    const tensor = tensors.get(name);
    if (!tensor) throw badTensor(`tensor ${name}`, `one of ${all.join(', ')}`, 'no such name');
    if (!('values' in tensor)) throw badTensor(`the type of ${name}`, NUMBERS, tensor.type);
    return { name, ...tensor };
  };
  const chosen = (names ?? named(all, what, (name) => (rank(name) ?? 0) > 1)).map(get);
  for (const { name, shape } of chosen) {
    if (shape.length !== 2 && shape.length !== 4)
      throw badTensor(name, 'a tensor of a dense or conv layer (2 or 4 dimensions)', `shape [${shape}]`);
  }
  const { unitsLast, channelsFirst } = LAYOUTS[layout ?? fitting(architecture, chosen)];
  const layers = chosen.map((weight): LayerTensors => {
    const layer = layerOf(weight.name, what);
    const beside = (part: 'bias' | 'under') => (layer === null ? undefined : all.find((name) => layerOf(name, part) === layer));
    const next = weight.name.replace(/\d+$/, (digits) => String(Number(digits) + 1));
    const follows = layer === null && rank(next) === 1 ? next : undefined;
    const [bias, under] = what === 'mask' && names ? [] : [beside('bias') ?? follows, what === 'mask' ? beside('under') : undefined];
    const held = { ...(bias !== undefined && { bias: get(bias) }), ...(under !== undefined && { under: get(under) }) };
    return { weight, layout: { unitsLast, channelsFirst }, ...held };
  });
  if (!names)
    checkBiases(
      all.filter((name) => rank(name) === 1 && !OURS.has(name)),
      layers,
      what,
    );
  return layers;
}

/** Throws SeedmaskError bad-checkpoint where no layer has taken a vector: a network without its biases is another. */
function checkBiases(vectors: readonly string[], layers: readonly LayerTensors[], what: 'weight' | 'mask'): void {
  const taken = new Set(layers.flatMap(({ bias, under }) => [bias?.name, under?.name]));
  const left = vectors.filter((name) => !taken.has(name));
  if (left.length > 0)
    throw badTensor(
      left.join(', '),
      `called like the ${what} that it belongs to, as fc.bias is beside fc.${what}`,
      'a vector of no layer',
      `Call it so, or list the ${what}s alone with --tensors`,
    );
}

function named(all: readonly string[], what: 'weight' | 'mask', isLayer: (name: string) => boolean): string[] {
  const end = endingApart(what);
  const found = all.filter((name) => end.test(name));
  return (found.length ? found : all.filter(isLayer)).sort(inOrder(end));
}

const { compare } = new Intl.Collator('en', { numeric: true });
/** Layers in the order of their names, part by part: what is but the beginning of another comes first, as dense before dense_1. */
function inOrder(end: RegExp): (a: string, b: string) => number {
  const parts = (name: string) =>
    name
      .replace(end, '')
      .replace(/[\W_]+$/, '')
      .split(/[./]/);
  return (a, b) => {
    const [ours, theirs] = [parts(a), parts(b)];
    const at = ours.findIndex((part, i) => i >= theirs.length || compare(part, theirs[i]) !== 0);
    if (at < 0) return ours.length - theirs.length;
    return at < theirs.length ? compare(ours[at], theirs[at]) : 1;
  };
}

/** Whether channels first and channels last are the same order of inputs. */
export const isFlat = ({ input: [height, width, channels] }: Architecture): boolean => channels === 1 || height * width === 1;

/** The layout in which every shape is the network's. Without any, the first, whose complaint will name a tensor. */
function fitting(architecture: Architecture, tensors: readonly NamedTensor[]): LayoutName {
  const placed = weighted(architecture);
  const names = (Object.keys(LAYOUTS) as LayoutName[]).filter(
    (name) => name !== 'torch' || !(isDense(architecture) && isFlat(architecture)),
  );
  const fit = names.filter((name) => tensors.every(({ shape }, i) => placed[i] && isShape(shape, shapeOf(placed[i], LAYOUTS[name]))));
  if (fit.length > 1) throw badTensor('the layout', 'named with --layout', `shapes that fit ${fit.join(' and ')}`);
  return fit[0] ?? 'seedmask';
}
