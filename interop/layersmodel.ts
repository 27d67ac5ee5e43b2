// A TensorFlow.js LayersModel, written: model.json (a Sequential of Keras layers) and weights.bin, for tf.loadLayersModel. Input: raw
// values, [batch, inputs] for networks of dense layers and [batch, height, width, channels] for others; output: logits [batch, outputs].
// Labels and logitScale (probabilities = softmax(logitScale x logits)) and names of columns stand in userDefinedMetadata.
//
// Numbers become bytes in layers too, with every rounding where FORMAT.md has it: a depthwise kernel of ones and a bias subtracts, another
// multiplies, a ReLU clamps, and a table of 256 rows takes whole parts, as an Embedding casts its input to int32.

import { numberBytes } from '../codec/safetensors.js';
import type { Features } from '../src/features.js';
import { inputs, isDense, type Network, place, windowOf } from '../src/network.js';
import { type ExportedTask, type FloatModel, floatModel } from './floats.js';

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * The two files of a LayersModel by their names, that first which tells of the other.
 * @throws SeedmaskError no-export when a network has constant inputs under a convolution
 */
export function toLayersModel(network: Network, task: ExportedTask): ReadonlyMap<string, Uint8Array> {
  const model = floatModel(network, task);
  const columns = task.transform.features?.names;
  const { layers, weights } = sequential(model, task.transform.features);
  const bytes = new Uint8Array(weights.reduce((sum, { values }) => sum + values.byteLength, 0));
  let at = 0;
  for (const { values } of weights) {
    bytes.set(numberBytes(values), at);
    at += values.byteLength;
  }
  const file = {
    format: 'layers-model',
    generatedBy: 'seedmask',
    convertedBy: null,
    modelTopology: {
      keras_version: 'tfjs-layers 4.22.0',
      backend: 'tensor_flow.js',
      model_config: { class_name: 'Sequential', config: { name: 'seedmask', layers } },
    },
    weightsManifest: [{ paths: ['weights.bin'], weights: weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })) }],
    userDefinedMetadata: { labels: task.labels, logitScale: task.logitScale, ...(columns && { columns }) },
  };
  return new Map([
    ['model.json', new TextEncoder().encode(JSON.stringify(file))],
    ['weights.bin', bytes],
  ]);
}

function sequential(model: FloatModel, features?: Features): { layers: object[]; weights: Weight[] } {
  const form = isDense(model) ? [inputs(model)] : model.input;
  const layers: object[] = [];
  const weights: Weight[] = [];
  const add = (kind: string, name: string, config: object) => {
    const shape = layers.length === 0 ? { batch_input_shape: [null, ...form], dtype: 'float32' } : {};
    layers.push({ class_name: kind, config: { name, trainable: true, ...shape, ...config } });
  };
  if (features) {
    const width = features.low.length;
    const perInput = (name: string, kernel: Float32Array, bias?: Float32Array) => {
      add('DepthwiseConv2D', name, { kernel_size: [1, 1], data_format: 'channels_last', use_bias: bias !== undefined });
      weights.push({ name: `${name}/depthwise_kernel`, shape: [1, 1, width, 1], values: kernel });
      if (bias) weights.push({ name: `${name}/bias`, shape: [width], values: bias });
    };
    add('Reshape', 'features', { target_shape: [1, 1, width] });
    perInput(
      'features_from',
      new Float32Array(width).fill(1),
      features.low.map((low) => -low),
    );
    perInput('features_steps', features.scale);
    add('ReLU', 'features_within', { max_value: 255 });
    add('Rescaling', 'features_half', { scale: 1, offset: 0.5 });
    add('Embedding', 'features_whole', { input_dim: 256, output_dim: 1 });
    weights.push({ name: 'features_whole/embeddings', shape: [256, 1], values: Float32Array.from({ length: 256 }, (_, i) => i) });
    add('Reshape', 'features_bytes', { target_shape: form });
  }
  const { scale, mean } = model.transform;
  if (scale !== 1 || mean !== 0) add('Rescaling', 'transform', { scale, offset: -mean * scale });
  let flat = isDense(model);
  for (const [i, { layer, stream, input, output, fanIn, kernel }] of place(model).entries()) {
    const name = `layer${i}`;
    if (layer.kind === 'pool') {
      add('MaxPooling2D', name, { pool_size: [2, 2], strides: [2, 2], padding: 'valid', data_format: 'channels_last' });
      continue;
    }
    if (layer.kind === 'dense' && !flat) add('Flatten', `${name}_flat`, {});
    // What dense layers give is an image of one pixel.
    if (layer.kind === 'conv' && flat) add('Reshape', `${name}_image`, { target_shape: input });
    flat = layer.kind === 'dense';
    const common = { activation: layer.activation, use_bias: model.biases !== null };
    if (layer.kind === 'dense') add('Dense', name, { units: layer.units, ...common });
    else {
      const { padding } = windowOf(layer);
      const window = { kernel_size: [kernel, kernel], strides: [1, 1], dilation_rate: [1, 1], padding, data_format: 'channels_last' };
      add('Conv2D', name, { filters: layer.filters, ...window, ...common });
    }
    const units = output[2];
    const shape = layer.kind === 'dense' ? [fanIn, units] : [kernel, kernel, input[2], units];
    // Canonical order has the unit first, Keras has it last.
    const values = model.weights[stream].map((_, at) => model.weights[stream][(at % units) * fanIn + Math.floor(at / units)]);
    weights.push({ name: `${name}/kernel`, shape, values });
    if (model.biases) weights.push({ name: `${name}/bias`, shape: [units], values: model.biases[stream] });
  }
  if (!flat) add('Flatten', 'output_flat', {});
  if (model.factor !== 1) add('Rescaling', 'logits', { scale: model.factor, offset: 0 });
  return { layers, weights };
}
