// A TensorFlow.js LayersModel, read: the weights of its Dense and Conv2D layers in order. A model must be a chain of layers that a
// Seedmask network has, each reading the one before it; another is refused by its name. The caller reads the files.

import { z } from 'zod';
import type { Padding } from '../src/network.js';
import { Chain } from './chain.js';
import { badTensor, LAYOUTS, type LayerTensors, type NamedTensor } from './layouts.js';

const COUNT = z
  .int()
  .nonnegative()
  .max(2 ** 31);
const CONFIG = z.looseObject({ name: z.string().optional() });
const LAYERS = z.array(z.looseObject({ class_name: z.string(), config: CONFIG })).max(4096);
const TOPOLOGY = z.looseObject({ class_name: z.string(), config: z.union([z.looseObject({ layers: LAYERS }), LAYERS]) });
/** Bytes of a number in the files, by its type there. */
const BYTES = { float32: 4, int32: 4, bool: 1, complex64: 8, float16: 2, uint16: 2, uint8: 1 } as const;
const TYPE = z.enum(Object.keys(BYTES) as (keyof typeof BYTES)[]);
const WEIGHT = z.looseObject({
  name: z.string(),
  shape: z.array(COUNT).max(8),
  dtype: TYPE,
  quantization: z.looseObject({ dtype: TYPE.exclude(['float32']) }).optional(),
});
const MODEL = z.looseObject({
  // The converter of Keras models puts `model_config` around what model.save writes.
  modelTopology: z.preprocess((topology) => (topology as { model_config?: unknown } | undefined)?.model_config ?? topology, TOPOLOGY),
  weightsManifest: z.array(
    z.looseObject({ paths: z.array(z.string().regex(/^(\.\/)?[^/\\:]+$/, 'a plain file name')), weights: z.array(WEIGHT) }),
  ),
});
type Layer = z.infer<typeof LAYERS>[number];

/** What a model.json says: its layers, and the files of their weights in order. */
export interface LayersModelIndex {
  readonly files: readonly string[];
  readonly layers: readonly Layer[];
  /** All tensors in order, also those that no layer reads, with the types that the files hold. */
  readonly weights: readonly { readonly name: string; readonly shape: readonly number[]; readonly type: keyof typeof BYTES }[];
}

/** @throws SeedmaskError bad-checkpoint */
export function readLayersModelIndex(json: Uint8Array): LayersModelIndex {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(json));
  } catch (error) {
    throw badTensor('model.json', 'JSON', (error as Error).message);
  }
  const parsed = MODEL.safeParse(value);
  if (!parsed.success) throw badTensor('model.json', 'a LayersModel', z.prettifyError(parsed.error));
  const { modelTopology, weightsManifest } = parsed.data;
  const { config } = modelTopology;
  return {
    files: weightsManifest.flatMap(({ paths }) => paths.map((path) => path.replace(/^\.\//, ''))),
    layers: Array.isArray(config) ? config : config.layers,
    weights: weightsManifest.flatMap((group) =>
      group.weights.map(({ name, shape, dtype, quantization }) => ({ name, shape, type: quantization?.dtype ?? dtype })),
    ),
  };
}

const PASSED = new Set(['InputLayer', 'Flatten', 'Reshape', 'Dropout', 'ReLU', 'Softmax', 'Activation']);
const SUPPORTED = 'Dense, Conv2D, MaxPooling2D, Flatten, Reshape, ReLU, Softmax, Activation, Dropout, a first Rescaling by 1/255';

/**
 * The weighted layers.
 * @param data the bytes of the index's files, one after the other
 * @throws SeedmaskError bad-checkpoint that names the layer or tensor
 */
export function readLayersModel({ layers, weights }: LayersModelIndex, data: Uint8Array): LayerTensors[] {
  const counts = weights.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  const total = weights.reduce((sum, { type }, i) => sum + BYTES[type] * counts[i], 0);
  if (total !== data.length) throw badTensor('the weight files', `${total} bytes, as model.json says`, `${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let at = 0;
  const tensors = new Map(
    weights.map(({ name, shape, type }, i) => {
      const from = at;
      at += BYTES[type] * counts[i];
      const length = type === 'float32' ? counts[i] : 0;
      return [name, { name, shape, type, values: Float32Array.from({ length }, (_, k) => view.getFloat32(from + 4 * k, true)) }];
    }),
  );
  const tensorOf = (name: string, part: string): NamedTensor => {
    const own = `${name}/${part}`;
    const found = tensors.get(own) ?? [...tensors.values()].find((tensor) => tensor.name.endsWith(`/${own}`));
    if (!found) throw badTensor(`${part} of layer ${name}`, `a tensor ${own}`, 'none');
    if (found.type !== 'float32') throw badTensor(found.name, 'float32, not quantized', found.type);
    return found;
  };
  const chain = new Chain();
  let before: string | null = null;
  let softmax: string | null = null;
  layers.forEach((layer, i) => {
    const { class_name: kind, config } = layer;
    const name = config.name ?? String(i);
    checkReads(layer, name, before);
    before = name;
    const must = (key: string, expected: readonly unknown[]) => {
      const value = config[key];
      const wrong = [value].flat().find((one) => one !== undefined && one !== null && !expected.includes(one));
      if (wrong !== undefined) throw badTensor(`${key} of layer ${name}`, expected.join(' or '), wrong);
    };
    const activation = ({ ReLU: 'relu', Softmax: 'softmax' } as Readonly<Record<string, unknown>>)[kind] ?? config['activation'];
    if (softmax !== null && (activation === 'relu' || /^(Dense|Conv2D|MaxPooling2D)$/.test(kind)))
      throw badTensor(`the softmax of layer ${softmax}`, 'behind all layers', `${kind} ${name} behind it`);
    if (activation === 'softmax') softmax = name;
    if (kind === 'Dense' || kind === 'Conv2D') {
      must('activation', ['linear', 'relu', 'softmax']);
      must('strides', [1]);
      must('dilation_rate', [1]);
      must('padding', ['valid', 'same']);
      must('data_format', ['channels_last', 'channelsLast']);
      const bias = config['use_bias'] !== false && { bias: tensorOf(name, 'bias') };
      chain.add({
        weight: tensorOf(name, 'kernel'),
        layout: LAYOUTS.keras,
        ...bias,
        ...(kind === 'Conv2D' && { padding: paddingOf(config) }),
      });
    } else if (kind === 'MaxPooling2D') {
      must('pool_size', [2]);
      must('strides', [2]);
      must('padding', ['valid']);
      must('data_format', ['channels_last', 'channelsLast']);
      chain.pool();
    } else if (kind === 'ReLU') {
      must('max_value', ['none']);
      must('negative_slope', [0]);
      must('threshold', [0]);
    } else if (kind === 'Activation') must('activation', ['linear', 'relu', 'softmax']);
    else if (kind === 'Rescaling' && !chain.last) {
      // A list of scales is no number, and no distance from one.
      if (!(Math.abs(Number(config['scale']) * 255 - 1) <= 1e-6) || Number(config['offset'] ?? 0) !== 0)
        throw badTensor(`layer ${name}`, 'scale 1/255, offset 0', `scale ${config['scale']}, offset ${config['offset']}`);
    } else if (kind === 'Rescaling' && layers.slice(i).every((layer) => layer.class_name === 'Rescaling')) return;
    else if (!PASSED.has(kind)) throw badTensor(`layer ${name}`, SUPPORTED, kind);
    if (activation !== 'relu') return;
    if (!chain.last) throw badTensor(`layer ${name}`, 'behind a layer with weights', 'a ReLU of the input');
    chain.say({ activation });
  });
  return chain.layers;
}

/** Throws SeedmaskError bad-checkpoint where a layer of a graph reads anything but the layer before it. */
function checkReads({ class_name: kind, inbound_nodes: inbound }: Layer, name: string, before: string | null): void {
  const reads = kind === 'InputLayer' && before !== null ? ['an input of its own'] : readsOf(inbound);
  if (reads.length > 1 || (reads.length === 1 && reads[0] !== before))
    throw badTensor(`what layer ${name} reads`, `${before ?? 'nothing'} alone, as the layers form a chain`, reads.join(' and '));
}

/** Names of the layers that a layer of a graph reads: [name, 0, 0, ..] at some depth, by the version of Keras. In a Sequential there are none. */
function readsOf(inbound: unknown, depth = 8): string[] {
  if (depth === 0 || typeof inbound !== 'object' || inbound === null) return [];
  if (Array.isArray(inbound) && typeof inbound[0] === 'string' && typeof inbound[1] === 'number') return [inbound[0]];
  return Object.values(inbound).flatMap((part) => readsOf(part, depth - 1));
}

/** Keras's default is to add nothing. */
const paddingOf = (config: z.infer<typeof CONFIG>): Padding => (config['padding'] === 'same' ? 'same' : 'valid');
