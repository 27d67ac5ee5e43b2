// The header of a model file, between its MessagePack bytes and its meaning: one positional array
//
//   [input, layers, distribution, sigma, seed, weight check | network id] [transforms, labels, data, tasks, columns, id bytes?]?
//
// In a mask-only file, which its prefix tells, the 32-byte id of a network kept elsewhere stands for the network's six fields. A
// network-only file has the six fields and nothing more. Transforms, label sets and data sets are tables, each entry stored once; an
// entry that everybody uses is a number.
// Every field is checked here and nowhere else; write.ts lays the bytes out, msgpack.ts spells them.

import { sha256 } from '@noble/hashes/sha2.js';
import type { Features } from '../src/features.js';
import {
  type Activation,
  inputs,
  type Layer,
  MAX_KERNEL,
  type Network,
  type Padding,
  place,
  regenerate,
  type Shape,
  ShapeError,
  type SigmaRule,
  windowOf,
} from '../src/network.js';
import { DISTRIBUTIONS, type Distribution, keyOf, type Seed, seedOfKey } from '../src/random.js';
import { crc32c } from './crc32c.js';
import { SeedmaskError } from './errors.js';
import { decode, encode, type Value } from './msgpack.js';

/** What happens to a raw input x before the first layer: (x - mean) * scale in f32. */
export interface Transform {
  readonly scale: number;
  readonly mean: number;
  /** One bit an input, least significant first: inputs declared constant, whose raw value is replaced by 0. */
  readonly constant: Uint8Array | null;
  /** How raw features become the bytes that stand for them, before anything else; absent where raw values are bytes already. */
  readonly features?: Features;
}

/** What a task's data was: recorded so that it can be built again, never applied to a request. */
export interface Provenance {
  readonly dataset: string;
  readonly pixelPermutation: Seed | null;
  readonly labelPermutation: Seed | null;
}

/** A data table entry: the seeds of the permutations stand in the index, one a task. */
export interface DataKind {
  readonly dataset: string;
  readonly pixels: boolean;
  readonly labels: boolean;
}

export interface Header {
  /** Or the id of one that is kept elsewhere. */
  readonly network: Network | Uint8Array;
  /** CRC-32C of the first weights (`weightCheck`), 0 without a network. */
  readonly check: number;
  readonly transforms: readonly Transform[];
  readonly labels: readonly (readonly string[])[];
  readonly data: readonly (DataKind | null)[];
  /** 0 in a network-only file. */
  readonly tasks: number;
  /** Bit set of the index columns present. */
  readonly columns: number;
  /** Width of the id column, 0 without one. */
  readonly idBytes: number;
}

/** Labels "0".."9", label set 0. */
export const DIGITS: readonly string[] = Array.from({ length: 10 }, (_, i) => String(i));
/** 0-255 pixels / 255, transform 0. */
export const PIXELS_TRANSFORM: Transform = { scale: Math.fround(1 / 255), mean: 0, constant: null };

/** Layer codes: a pool's is followed by no size, and those after `conv linear` by the side of the kernel as well. */
const LAYERS = [
  'pool',
  'dense relu',
  'dense linear',
  'conv relu',
  'conv linear',
  'conv relu same',
  'conv linear same',
  'conv relu valid',
  'conv linear valid',
] as const;
type LayerWords = [kind: Layer['kind'], activation: Activation, padding?: Padding];
const MAX_LAYERS = 1024;
const CHECKED_WEIGHTS = 4096;
/** No weight is farther than 6.3 sigma from 0, so all of them are finite. */
const MAX_SIGMA = 2 ** 124;

// ---- fields to values (an entry's value is also its key in a table and its part of the content id) ----

export const transformValue = (t: Transform): Value => {
  if (t.features) {
    const { low, scale, names } = t.features;
    const numbers = floatBytes([...low, ...scale]);
    return [{ f32: t.scale }, { f32: t.mean }, t.constant ?? new Uint8Array(0), numbers, ...(names ? [names] : [])];
  }
  if (t.constant === null && Object.is(Math.fround(t.mean), 0) && Math.fround(t.scale) === PIXELS_TRANSFORM.scale) return 0;
  return [{ f32: t.scale }, { f32: t.mean }, ...(t.constant ? [t.constant] : [])];
};

/** f32 little-endian. */
function floatBytes(values: Float32Array | readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
  return new Uint8Array(view.buffer);
}

export const labelsValue = (labels: readonly string[]): Value =>
  labels.length === 10 && labels.every((label, i) => label === DIGITS[i]) ? 0 : labels;

export const dataValue = (kind: DataKind | null): Value => {
  if (kind === null) return 0;
  const permuted = (kind.pixels ? 1 : 0) + (kind.labels ? 2 : 0);
  return kind.dataset === 'mnist' ? 1 + permuted : [kind.dataset, permuted];
};

/** A registered entry alone is its number. */
const tableValue = (entries: readonly Value[]): Value => (entries.length === 1 && typeof entries[0] === 'number' ? entries[0] : entries);

const layerValues = (layer: Layer): number[] => {
  if (layer.kind === 'pool') return [0];
  if (layer.kind === 'dense') return [LAYERS.indexOf(`dense ${layer.activation}`), layer.units];
  const { kernel, padding } = windowOf(layer);
  if (kernel === 3 && padding === 'same') return [LAYERS.indexOf(`conv ${layer.activation}`), layer.filters];
  return [LAYERS.indexOf(`conv ${layer.activation} ${padding}`), layer.filters, kernel];
};

function networkValues(network: Network, check: number): Value[] {
  const [h, w, c] = network.input;
  const { sigma } = network;
  return [
    h === 1 && w === 1 ? c : network.input,
    network.layers.flatMap(layerValues),
    DISTRIBUTIONS[network.distribution],
    sigma === 'glorot' ? 0 : sigma === 'he' ? 1 : [{ f32: sigma }],
    keyOf(network.seed),
    check,
  ];
}

/** The canonical MessagePack bytes of a header. */
export function encodeHeader(header: Header): Uint8Array {
  const network = header.network instanceof Uint8Array ? [header.network] : networkValues(header.network, header.check);
  if (header.tasks === 0) return encode(network);
  return encode([
    ...network,
    tableValue(header.transforms.map(transformValue)),
    tableValue(header.labels.map(labelsValue)),
    tableValue(header.data.map(dataValue)),
    header.tasks,
    header.columns,
    ...(header.idBytes ? [header.idBytes] : []),
  ]);
}

// ---- values to fields ----

const wrong = (field: string, expected: string, got: unknown) =>
  new SeedmaskError('bad-header', { field, expected, got: typeof got === 'bigint' ? String(got) : Array.isArray(got) ? 'a list' : got });

function uint(value: unknown, field: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw wrong(field, `an integer ${min}..${max}`, value);
  }
  return value;
}

function list(value: unknown, field: string, min: number, max: number): unknown[] {
  if (!Array.isArray(value)) throw wrong(field, 'a list', value);
  if (value.length < min || value.length > max) throw wrong(field, `${min}..${max} long`, value.length);
  return value;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '' || value.startsWith('\ufeff')) {
    throw wrong(field, 'a text that is not empty and has no byte order mark', value);
  }
  return value;
}

function finite(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(field, 'a finite number', value);
  return value;
}

/**
 * Reads header bytes. Shapes are only checked against themselves: the caller holds weights and tasks against its limits, and
 * compares `encodeHeader` of what the file means with its bytes.
 * @throws SeedmaskError 'bad-header'
 */
export function decodeHeader(bytes: Uint8Array, maskOnly: boolean): Header {
  const fields = list(decode(bytes), 'the header', 6, 12);
  const network = maskOnly ? idField(fields.shift()) : networkField(fields.splice(0, 5));
  const check = maskOnly ? 0 : uint(fields.shift(), 'weight check', 0, 0xffffffff);
  if (!maskOnly && fields.length === 0) return { network, check, transforms: [], labels: [], data: [], tasks: 0, columns: 0, idBytes: 0 };
  const transforms = table(fields.shift(), 'transforms', transformField);
  const labels = table(fields.shift(), 'labels', labelsField);
  const data = table(fields.shift(), 'data', dataField);
  const tasks = uint(fields.shift(), 'task count', 1, 0xffffffff);
  const columns = uint(fields.shift(), 'index columns', 0, 127);
  const idBytes = columns & 1 ? uint(fields.shift(), 'id width', 1, 128) : 0;
  if (fields.length > 0) throw wrong('the header', 'without further fields', `${fields.length} more`);
  return { network, check, transforms, labels, data, tasks, columns, idBytes };
}

function idField(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrong('network id', '32 bytes', value);
  if (value.length !== 32) throw wrong('network id', '32 bytes', `${value.length} bytes`);
  return Uint8Array.from(value);
}

function networkField([inputValue, layersValue, distributionId, sigmaValue, seedValue]: readonly unknown[]): Network {
  const size = (value: unknown, field: string) => uint(value, field, 1, 0xffffffff);
  const sizes = Array.isArray(inputValue) ? list(inputValue, 'input shape', 3, 3) : [1, 1, inputValue];
  const input: Shape = [size(sizes[0], 'input height'), size(sizes[1], 'input width'), size(sizes[2], 'input channels')];
  const codes = list(layersValue, 'layers', 1, 3 * MAX_LAYERS);
  const layers: Layer[] = [];
  for (let i = 0; i < codes.length; ) {
    const [kind, activation, padding] = LAYERS[uint(codes[i++], 'layer code', 0, LAYERS.length - 1)].split(' ') as LayerWords;
    if (kind === 'pool') {
      layers.push({ kind });
      continue;
    }
    const units = size(codes[i++], 'layer size');
    if (kind === 'dense') layers.push({ kind, units, activation });
    else if (padding === undefined) layers.push({ kind, filters: units, activation });
    else layers.push({ kind, filters: units, activation, kernel: uint(codes[i++], 'kernel', 1, MAX_KERNEL), padding });
  }
  if (layers.length > MAX_LAYERS) throw wrong('layers', `at most ${MAX_LAYERS}`, layers.length);
  const network = {
    input,
    layers,
    distribution: distributionField(distributionId),
    sigma: sigmaField(sigmaValue),
    seed: seedField(seedValue),
  };
  try {
    place(network);
  } catch (error) {
    if (error instanceof ShapeError) throw wrong('layers', 'a network whose layers fit', error.message);
    throw error;
  }
  return network;
}

function distributionField(value: unknown): Distribution {
  for (const name of Object.keys(DISTRIBUTIONS) as Distribution[]) if (DISTRIBUTIONS[name] === value) return name;
  throw wrong('distribution', `one of ${Object.values(DISTRIBUTIONS).join(', ')}`, value);
}

function sigmaField(value: unknown): SigmaRule {
  if (value === 0) return 'glorot';
  if (value === 1) return 'he';
  const sigma = finite(list(value, 'sigma', 1, 1)[0], 'sigma');
  if (sigma <= 0 || sigma > MAX_SIGMA) throw wrong('sigma', 'above 0 and at most 2^124', sigma);
  return sigma;
}

function seedField(value: unknown): Seed {
  // A float comes as a number too.
  const whole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  if (whole && value >= 0 && value < 2 ** 64) return seedOfKey(BigInt(value));
  throw wrong('seed', 'an integer from 0 to 2^64 - 1', value);
}

function table<T>(value: unknown, field: string, entry: (value: unknown, field: string) => T): T[] {
  if (typeof value === 'number') return [entry(value, field)];
  return list(value, field, 1, 65535).map((item, i) => entry(item, `${field}[${i}]`));
}

function transformField(value: unknown, field: string): Transform {
  if (value === 0) return PIXELS_TRANSFORM;
  const [scale, mean, constant = null, features = null, names = null] = list(value, field, 2, 5);
  if (constant !== null && !(constant instanceof Uint8Array)) throw wrong(`${field} constant inputs`, 'bytes', constant);
  return {
    scale: finite(scale, `${field} scale`),
    mean: finite(mean, `${field} mean`),
    constant: constant === null || (features !== null && constant.length === 0) ? null : Uint8Array.from(constant),
    ...(features !== null && { features: featuresField(features, names, `${field} features`) }),
  };
}

function featuresField(value: unknown, names: unknown, field: string): Features {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length % 8 !== 0) {
    throw wrong(field, 'bytes, 8 an input', value instanceof Uint8Array ? `${value.length} bytes` : value);
  }
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const numbers = Float32Array.from({ length: value.length / 4 }, (_, i) => finite(view.getFloat32(4 * i, true), field));
  const inputs = numbers.length / 2;
  const features = { low: numbers.slice(0, inputs), scale: numbers.slice(inputs) };
  if (names === null) return features;
  const called = list(names, `${field} names`, inputs, inputs).map((name, i) => text(name, `${field} names[${i}]`));
  if (new Set(called).size < inputs) throw wrong(`${field} names`, 'distinct', called.join(', '));
  return { ...features, names: called };
}

function labelsField(value: unknown, field: string): readonly string[] {
  return value === 0 ? DIGITS : list(value, field, 1, 65535).map((label, i) => text(label, `${field}[${i}]`));
}

function dataField(value: unknown, field: string): DataKind | null {
  if (value === 0) return null;
  const [dataset, permuted] = Array.isArray(value) ? list(value, field, 2, 2) : ['mnist', uint(value, field, 1, 4) - 1];
  const bits = uint(permuted, `${field} permutations`, 0, 3);
  return { dataset: text(dataset, `${field} name`), pixels: (bits & 1) === 1, labels: (bits & 2) === 2 };
}

/** Throws 'bad-header' unless the fields of a header can say what a network is. */
export const checkFields = (network: Network): void => void decodeHeader(encode(networkValues(network, 0)), false);

// ---- identity ----

/** CRC-32C over the first 4,096 weights of every layer: two weight generators that agree here agree. */
export function weightCheck(network: Network): number {
  let crc = 0;
  for (const weights of regenerate(network, CHECKED_WEIGHTS)) crc = crc32c(floatBytes(weights), crc);
  return crc;
}

/** The 32 bytes that name a network: SHA-256 of "seedmask network 1\n" and its six header fields as one array. */
export function networkId(network: Network): Uint8Array {
  const fields = encode(networkValues(network, weightCheck(network)));
  return sha256.create().update(new TextEncoder().encode('seedmask network 1\n')).update(fields).digest();
}

/** Throws 'bad-header' unless the entries fit the network: a constant bit for every input, no more labels than outputs. */
export function checkTables(header: Header, network: Network, outputs: number): void {
  const n = inputs(network);
  header.transforms.forEach(({ constant, features }, i) => {
    if (features && features.low.length !== n)
      throw wrong(`transforms[${i}] features`, `${8 * n} bytes`, `${8 * features.low.length} bytes`);
    if (constant && (constant.length !== Math.ceil(n / 8) || (n & 7 && constant[constant.length - 1] >> (n & 7)))) {
      throw wrong(`transforms[${i}] constant inputs`, `${n} bits with zero padding`, `${constant.length} bytes`);
    }
  });
  header.labels.forEach((labels, i) => {
    if (labels.length > outputs) throw wrong(`labels[${i}]`, `at most ${outputs} long, the network's outputs`, labels.length);
  });
}
