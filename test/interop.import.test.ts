// What comes in: the same weights as safetensors, NPZ, LayersModel and ONNX, in the layouts of PyTorch and Keras, give one network; masks
// with a seed give a model file; and what cannot be taken is refused in one line that names the tensor, layer or operator.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readModel, readSafetensors, SeedmaskError, type Tensor, writeSafetensors } from '../codec/index.js';
import {
  type LayerTensors,
  type NamedTensor,
  pickLayers,
  readLayersModel,
  readLayersModelIndex,
  readNpz,
  readOnnxLayers,
  readTensors,
  toLayersModel,
  toMask,
  toNpz,
  toOnnx,
  toParameters,
  writeNpz,
} from '../interop/index.js';
import { criterionMask, paperRates } from '../src/masks/criteria.js';
import { fullMask, type Network, type Parameters, regenerate, weighted, weightShapes } from '../src/network.js';
import { commandLine } from './cli.material.js';
import { conv, dense, net, pool, randomMask, randomParameters, window } from './engine.material.js';
import { shipped } from './interop.material.js';

const { folder, seedmask } = commandLine('import');

const images: Network = { ...net([9, 8, 2], conv(5), window(4, 5, 'valid'), pool, dense(7), dense(3, 'linear')), distribution: 'normal' };
const parameters = randomParameters(images, images.seed, true);
const names = ['conv1', 'conv2', 'fc1', 'fc2'];

/** Place of a canonical weight [out][y][x][in] in PyTorch's [out][in][y][x]; of a dense layer [out][y][x][in] behind an image as well. */
function torchOrder(values: Float32Array, units: number, [h, w, c]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  for (let o = 0; o < units; o++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) for (let i = 0; i < c; i++) out[((o * c + i) * h + y) * w + x] = values[((o * h + y) * w + x) * c + i];
  return out;
}
const kerasOrder = (values: Float32Array, units: number): Float32Array =>
  values.map((_, at) => values[(at % units) * (values.length / units) + Math.floor(at / units)]);

type Named = [string, Tensor][];
const torch: Named = weighted(images).flatMap(({ layer, input, output, kernel, fanIn }, i): Named => {
  const units = output[2];
  const block = layer.kind === 'conv' ? [kernel, kernel, input[2]] : input;
  const shape = layer.kind === 'conv' ? [units, input[2], kernel, kernel] : [units, fanIn];
  return [
    [`${names[i]}.weight`, { shape, values: torchOrder(parameters.weights[i], units, block) }],
    [`${names[i]}.bias`, { shape: [units], values: parameters.biases![i] }],
  ];
});
const keras: Named = weighted(images).flatMap(({ layer, input, output, kernel, fanIn }, i): Named => {
  const units = output[2];
  const shape = layer.kind === 'conv' ? [kernel, kernel, input[2], units] : [fanIn, units];
  return [
    [`${names[i]}/kernel`, { shape, values: kerasOrder(parameters.weights[i], units) }],
    [`${names[i]}/bias`, { shape: [units], values: parameters.biases![i] }],
  ];
});

const given = (layers: LayerTensors[]): Parameters => toParameters(images, layers);

test('weights of PyTorch and of Keras, from safetensors and NPZ, in whatever order they stand', () => {
  expect(given(pickLayers(images, new Map(torch), 'weight', undefined, 'torch'))).toEqual(parameters);
  expect(given(pickLayers(images, new Map([...torch].reverse()), 'weight'))).toEqual(parameters);
  expect(given(pickLayers(images, readSafetensors(writeSafetensors(keras)).tensors, 'weight'))).toEqual(parameters);
  expect(given(pickLayers(images, readNpz(writeNpz(keras)), 'weight'))).toEqual(parameters);
  const own = new Map(weightShapes(images).map((shape, i) => [`w${i}`, { shape, values: parameters.weights[i] }]));
  expect(given(pickLayers(images, own, 'weight', ['w0', 'w1', 'w2', 'w3']))).toEqual({ ...parameters, biases: null });
});

test('biases of arrays without names, of Keras names and of names in capitals', () => {
  const network = net([1, 1, 5], dense(4), dense(3, 'linear'));
  const { weights, biases } = randomParameters(network, network.seed, true);
  const spelled = ([first, last]: readonly [string, string][]): Map<string, Tensor> =>
    new Map([
      [last[1], { shape: [3], values: biases![1] }],
      [last[0], { shape: [4, 3], values: kerasOrder(weights[1], 3) }],
      [first[0], { shape: [5, 4], values: kerasOrder(weights[0], 4) }],
      [first[1], { shape: [4], values: biases![0] }],
    ]);
  const ways: readonly [string, string][][] = [
    // np.savez(file, *model.get_weights()); the second pair shows that numbers are compared as such.
    [
      ['arr_8', 'arr_9'],
      ['arr_10', 'arr_11'],
    ],
    [
      ['dense/kernel:0', 'dense/bias:0'],
      ['dense_1/kernel:0', 'dense_1/bias:0'],
    ],
    [
      ['fc1_Weight', 'fc1_Bias'],
      ['fc2_Weight', 'fc2_Bias'],
    ],
    [
      ['fc1weight', 'fc1bias'],
      ['fc2weight', 'fc2bias'],
    ],
  ];
  for (const way of ways)
    for (const names of [undefined, way.map(([weight]) => weight)])
      expect(toParameters(network, pickLayers(network, spelled(way), 'weight', names))).toEqual({ weights, biases });
});

test('vectors of our own exports are no biases', () => {
  const network = { ...net([1, 1, 4], dense(3, 'linear')), distribution: 'normal' as const };
  const features = { low: new Float32Array(4), scale: new Float32Array(4).fill(1) };
  const transform = { scale: 1, mean: 0, constant: Uint8Array.of(2), features };
  const task = { mask: fullMask(network, true), transform, labels: ['a'], logitScale: 1 };
  expect(toParameters(network, pickLayers(network, readNpz(toNpz(network, task)), 'weight')).weights).toEqual(regenerate(network));
});

test('names that are the beginning of others come first', () => {
  const network = net([1, 1, 3], dense(3), dense(3), dense(3, 'linear'));
  for (const order of [
    ['dense/kernel', 'dense_2/kernel', 'dense_10/kernel'],
    ['dense_kernel', 'dense_2_kernel', 'dense_10_kernel'],
    ['block.9.weight', 'block.10.a.weight', 'block_1.0.weight'],
  ]) {
    const layers = new Map([...order].reverse().map((name) => [name, zeros(3, 3)]));
    expect(pickLayers(network, layers, 'weight', undefined, 'keras').map(({ weight }) => weight.name)).toEqual(order);
  }
});

/** The two files that `model.save` writes, as the handler of http sends them. */
async function savedFiles(model: tf.LayersModel, config: tf.io.SaveConfig) {
  let sent: FormData | undefined;
  const fetchFunc = async (_: unknown, init?: RequestInit) => {
    sent = init?.body as FormData;
    return new Response();
  };
  await model.save(tf.io.http('http://localhost/', { fetchFunc }), config);
  const [json, weights] = await Promise.all(
    ['model.json', 'model.weights.bin'].map(async (name) => new Uint8Array(await (sent!.get(name) as Blob).arrayBuffer())),
  );
  return { json: JSON.parse(new TextDecoder().decode(json)) as Record<string, unknown>, weights };
}

test('a LayersModel that TensorFlow.js saved, also with its optimiser, and as the converter of Keras models writes it', async () => {
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [9, 8, 2], filters: 5, kernelSize: 3, padding: 'same', activation: 'relu' }),
      tf.layers.conv2d({ filters: 4, kernelSize: 5, activation: 'relu' }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 7, activation: 'relu' }),
      tf.layers.dropout({ rate: 0.2 }),
      tf.layers.dense({ units: 3, activation: 'softmax' }),
    ],
  });
  model.setWeights(keras.map(([, { shape, values }]) => tf.tensor(values as Float32Array, [...shape])));
  // An optimiser has tensors that no layer reads, int32 among them.
  model.compile({ optimizer: tf.train.momentum(0.1, 0.9), loss: 'categoricalCrossentropy' });
  for (const includeOptimizer of [false, true]) {
    const { json, weights } = await savedFiles(model, { includeOptimizer });
    expect(json).toMatchObject({ modelTopology: { class_name: 'Sequential' }, weightsManifest: [{ paths: ['./model.weights.bin'] }] });
    const converted = { ...json, modelTopology: { keras_version: '2.15.0', backend: 'tensorflow', model_config: json['modelTopology'] } };
    for (const form of [json, converted]) {
      const index = readLayersModelIndex(new TextEncoder().encode(JSON.stringify(form)));
      expect(index.files).toEqual(['model.weights.bin']);
      expect(index.weights.map(({ type }) => type).includes('int32')).toBe(includeOptimizer);
      expect(given(readLayersModel(index, weights))).toEqual(parameters);
    }
  }
});

test('our own exports come back: LayersModel and ONNX, of images and of vectors', () => {
  const vector: Network = { ...net([1, 1, 19], dense(11), dense(6, 'linear')), distribution: 'uniform' };
  const behind: Network = { ...net([2, 3, 2], dense(5), conv(3), dense(2, 'linear')), distribution: 'uniform' };
  for (const network of [images, vector, behind]) {
    const task = {
      mask: fullMask(network, true),
      transform: { scale: Math.fround(1 / 255), mean: 0, constant: null },
      labels: ['a', 'b'],
      logitScale: 2,
    };
    const want = { weights: regenerate(network), biases: null };
    const files = toLayersModel(network, task);
    expect(toParameters(network, readLayersModel(readLayersModelIndex(files.get('model.json')!), files.get('weights.bin')!))).toEqual(want);
    expect(toParameters(network, readOnnxLayers(toOnnx(network, task), network))).toEqual(want);
  }
});

// ---- ONNX as PyTorch exports it: NCHW to the end, Flatten without Transpose ----

const text = (message: BinaryWriter, field: number, value: string) => message.tag(field, WireType.LengthDelimited).string(value);
const part = (message: BinaryWriter, field: number, value: BinaryWriter) =>
  message.tag(field, WireType.LengthDelimited).bytes(value.finish());

interface Operator {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, readonly number[] | string | BinaryWriter>>;
  readonly output?: string;
}
/** Its first input, where it is called x, is what the operator before it gives; where it is called input, that of the graph. */
const node = (operator: string, inputs: string[], attributes: Operator['attributes'] = {}, output?: string): Operator => ({
  operator,
  inputs,
  attributes,
  output,
});

function encoded({ operator, inputs, attributes, output }: Operator, before: string, given: string): BinaryWriter {
  const message = new BinaryWriter();
  for (const [i, input] of inputs.entries()) text(message, 1, i === 0 && input === 'x' ? before : input);
  text(text(message, 2, output ?? given), 4, operator);
  for (const [name, values] of Object.entries(attributes)) {
    const attribute = text(new BinaryWriter(), 1, name);
    if (typeof values === 'string') text(attribute, 4, values);
    else if (values instanceof BinaryWriter) part(attribute, 5, values);
    else for (const value of values) attribute.tag(8, WireType.Varint).int64(value);
    part(message, 5, attribute);
  }
  return message;
}

/** @param type of its raw data, else of float_data */
function tensorOf(name: string, { shape, values }: Tensor, type = 1, raw?: ArrayBufferView): BinaryWriter {
  const tensor = new BinaryWriter();
  const dims = new BinaryWriter();
  for (const size of shape) dims.int64(size);
  part(tensor, 1, dims).tag(2, WireType.Varint).int32(type);
  text(tensor, 8, name);
  if (raw) return tensor.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength));
  const floats = new BinaryWriter();
  for (const value of values) floats.float(value);
  return part(tensor, 4, floats);
}

/** @param input sizes of the graph's input behind the batch, 0 where they have but a name */
function onnx(nodes: Operator[], tensors: Named, type = 1, input: number[] = []): Uint8Array {
  return graph(
    nodes,
    tensors.map(([name, tensor]) => tensorOf(name, tensor, type)),
    input,
  );
}

function graph(nodes: Operator[], tensors: BinaryWriter[], input: number[] = []): Uint8Array {
  const graph = new BinaryWriter();
  const sizes = part(new BinaryWriter(), 1, text(new BinaryWriter(), 2, 'batch'));
  for (const size of input)
    part(sizes, 1, size ? new BinaryWriter().tag(1, WireType.Varint).int64(size) : text(new BinaryWriter(), 2, 'any'));
  const shape = part(new BinaryWriter(), 1, part(new BinaryWriter(), 2, sizes));
  if (input.length > 0) part(graph, 11, part(text(new BinaryWriter(), 1, 'input'), 2, shape));
  let before = 'input';
  for (const [i, one] of nodes.entries()) {
    part(graph, 1, encoded(one, before, `given ${i}`));
    before = one.output ?? `given ${i}`;
  }
  for (const tensor of tensors) part(graph, 5, tensor);
  return part(new BinaryWriter(), 7, graph).finish();
}
const layer = (operator: string, name: string, attributes = {}) => node(operator, ['x', `${name}.weight`, `${name}.bias`], attributes);

test('ONNX with channels first, packed dimensions and float_data', () => {
  const nodes = [
    layer('Conv', 'conv1', { pads: [1, 1, 1, 1], strides: [1, 1] }),
    node('Relu', ['x']),
    layer('Conv', 'conv2'),
    node('Relu', ['x']),
    node('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [2, 2] }),
    node('Flatten', ['x']),
    layer('Gemm', 'fc1', { transB: [1] }),
    node('Relu', ['x']),
    layer('Gemm', 'fc2', { transB: [1] }),
  ];
  const file = onnx(
    nodes,
    torch.map(([name, tensor]): Named[number] => [name, tensor]),
  );
  // Integer attributes of one value stand in field 3 in real files; both are read.
  expect(given(readOnnxLayers(file, images))).toEqual(parameters);
});

test('MatMul and Add are a dense layer', () => {
  const network = net([1, 1, 5], dense(3, 'linear'));
  const { weights, biases } = randomParameters(network, network.seed, true);
  const tensors: Named = [
    ['w', { shape: [5, 3], values: kerasOrder(weights[0], 3) }],
    ['b', { shape: [3], values: biases![0] }],
  ];
  expect(toParameters(network, readOnnxLayers(onnx([node('MatMul', ['x', 'w']), node('Add', ['x', 'b'])], tensors), network))).toEqual({
    weights,
    biases,
  });
});

test('dense layers on images of several channels: our own ONNX comes back, and a shape that says no order is asked for it', () => {
  const network = { ...net([2, 2, 3], dense(4), dense(2, 'linear')), distribution: 'normal' as const };
  const made = { mask: fullMask(network, true), transform: { scale: 1, mean: 0, constant: null }, labels: ['a', 'b'], logitScale: 1 };
  expect(toParameters(network, readOnnxLayers(toOnnx(network, made), network)).weights).toEqual(regenerate(network));
  const tensors = new Map([
    ['a.weight', { shape: [4, 12], values: new Float32Array(48) }],
    ['b.weight', { shape: [2, 4], values: new Float32Array(8) }],
  ]);
  expect(() => pickLayers(network, tensors, 'weight')).toThrow(
    /the layout must be named with --layout, got shapes that fit seedmask and torch/,
  );
  expect(pickLayers(network, tensors, 'weight', undefined, 'torch')[0].layout.channelsFirst).toBe(true);
});

test('ONNX of dense layers alone: the shape of its input says where an image has its channels, else --layout', () => {
  const network = net([2, 2, 3], dense(1, 'linear'));
  const values = Float32Array.from({ length: 12 }, (_, i) => i);
  const read = (operator: string, input: number[], layout?: 'torch' | 'keras') => {
    const file = onnx([node(operator, ['x']), node('MatMul', ['x', 'w'])], [['w', { shape: [12, 1], values }]], 1, input);
    return [...toParameters(network, readOnnxLayers(file, network, layout)).weights[0]];
  };
  const last = [...values];
  const first = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11];
  for (const operator of ['Flatten', 'Reshape']) {
    expect(read(operator, [2, 2, 3])).toEqual(last);
    expect(read(operator, [3, 2, 2])).toEqual(first);
    expect(read(operator, [0, 0, 3])).toEqual(last);
    expect(read(operator, [12])).toEqual(last);
    expect(read(operator, [0, 0, 0], 'torch')).toEqual(first);
    expect(read(operator, [], 'keras')).toEqual(last);
    expect(said(() => read(operator, [0, 0, 0]))).toBe(
      'the layout must be named with --layout, got a graph that leaves open where its images have their channels',
    );
  }
});

test('the command hands --layout to ONNX', () => {
  const file = onnx([node('Flatten', ['x']), node('MatMul', ['x', 'w'])], [['w', zeros(12, 2)]], 1, [0, 0, 0]);
  writeFileSync(join(folder, 'open.onnx'), file);
  writeFileSync(join(folder, 'open.json'), '{"input": [2, 2, 3], "layers": [{"kind": "dense", "units": 2, "activation": "linear"}]}');
  const words = ['import', '--initial', 'open.onnx', '--final', 'open.onnx', '--network', 'open.json', '--criterion', 'large_final'];
  expect(seedmask(...words).stderr).toMatch(/^seedmask: open.onnx: the layout must be named with --layout/);
  expect(seedmask(...words, '--layout', 'torch').stderr).toBe('');
});

test('ONNX: an Add is the bias of the layer before it, or refused', () => {
  const [flat, image] = [net([1, 1, 2], dense(3, 'linear')), net([3, 3, 2], window(3, 1, 'same', 'linear'))];
  const read = (network: Network, operators: (() => Operator)[], bias: number[]) => {
    const shape = network === flat ? [2, 3] : [3, 2, 1, 1];
    const held: Named = [
      ['w', { shape, values: new Float32Array(6) }],
      ['b', { shape: bias, values: Float32Array.of(7, 8, 9) }],
    ];
    return toParameters(
      network,
      readOnnxLayers(
        onnx(
          operators.map((make) => make()),
          held,
        ),
        network,
      ),
    ).biases?.map((values) => [...values]);
  };
  const gemm = () => node('Gemm', ['x', 'w']);
  const conv = () => node('Conv', ['x', 'w']);
  const add = () => node('Add', ['x', 'b']);
  const taken: [Network, (() => Operator)[], number[]][] = [
    [flat, [gemm, add], [3]],
    [flat, [() => node('MatMul', ['x', 'w']), () => node('Identity', ['x']), add], [1, 3]],
    [image, [conv, add], [1, 3, 1, 1]],
    [image, [conv, () => node('Transpose', ['x'], { perm: [0, 2, 3, 1] }), add], [3]],
  ];
  for (const given of taken) expect(read(...given)).toEqual([[7, 8, 9]]);
  expect(said(() => read(image, [conv, add], [3]))).toMatch(/the shape of b must be \[units, 1, 1\], a value for each channel, got \[3\]/);
  expect(said(() => read(flat, [gemm, add, add], [3]))).toMatch(/operator Add must be the bias of a layer before it, got a second one/);
  for (const nodes of [
    [gemm, () => node('Relu', ['x']), add],
    [add, gemm],
  ])
    expect(said(() => read(flat, nodes, [3]))).toMatch(/operator Add must be the bias of a layer before it, got no such layer/);
});

test('ONNX: what is done to probabilities is no layer and no bias', () => {
  const operators = [node('Gemm', ['x', 'w']), node('Softmax', ['x']), node('Add', ['x', 'b']), node('Log', ['x'])];
  const held: Named = [
    ['w', zeros(2, 3)],
    ['b', { shape: [1], values: Float32Array.of(1e-9) }],
  ];
  expect(readOnnxLayers(onnx(operators, held), net([1, 1, 2], dense(3, 'linear')))).toMatchObject([{ weight: { name: 'w' } }]);
});

test('what files say of padding is held against the network', () => {
  const network = (kernel: number, padding: 'same' | 'valid') => net([6, 6, 1], window(2, kernel, padding, 'linear'));
  const read = (kernel: number, padding: 'same' | 'valid', attributes: Record<string, number[] | string>) => {
    const file = onnx([node('Conv', ['x', 'w'], attributes)], [['w', zeros(2, 1, kernel, kernel)]]);
    return said(() => toParameters(network(kernel, padding), readOnnxLayers(file, network(kernel, padding))));
  };
  expect(read(4, 'same', { pads: [1, 1, 2, 2] })).toBe('nothing');
  expect(read(4, 'same', { auto_pad: 'SAME_UPPER' })).toBe('nothing');
  expect(read(3, 'same', { auto_pad: 'SAME_LOWER' })).toBe('nothing');
  expect(read(3, 'valid', { auto_pad: 'VALID' })).toBe('nothing');
  expect(read(1, 'same', {})).toBe('nothing');
  expect(read(3, 'same', {})).toBe('the padding of w must be same, as layer 0 of the network, got valid. Take its network with --network');
  expect(read(3, 'valid', { pads: [1, 1, 1, 1] })).toMatch(/^the padding of w must be valid, as layer 0 of the network, got same\. /);
  expect(read(4, 'same', { pads: [2, 2, 1, 1] })).toBe('pads of operator Conv must be 0 or 1, 1, 2, 2, got 2, 2, 1, 1');
  expect(read(4, 'same', { auto_pad: 'SAME_LOWER' })).toMatch(/^auto_pad of operator Conv must be NOTSET, .*, got SAME_LOWER$/);
  const [keras] = layersModel(
    [{ class_name: 'Conv2D', config: { name: 'c', padding: 'same', use_bias: false } }],
    [{ name: 'c/kernel', shape: [3, 3, 1, 2], dtype: 'float32' }],
    72,
  );
  expect(said(() => toParameters(network(3, 'valid'), [keras]))).toMatch(/the padding of c\/kernel must be valid, .* got same/);
});

// ---- graphs of the same shapes that compute something else ----

const square3 = (name: string): Named => [[name, zeros(4, 4)]];
/** What a graph of square matrices is told for a network of two such layers with a ReLU between them. */
const asTwo = (...nodes: Operator[]) => {
  const network = net([1, 1, 4], dense(4), dense(4, 'linear'));
  return said(() => toParameters(network, readOnnxLayers(onnx(nodes, [...square3('v'), ...square3('w')], 1, [4]), network)));
};
const [gemm1, gemm2, relu] = [node('Gemm', ['x', 'v'], {}, 'hidden'), node('Gemm', ['x', 'w']), node('Relu', ['x'])];

test('ONNX: a ReLU that is missing, or too many, is said', () => {
  const hint = 'Take its network with --network';
  expect(asTwo(gemm1, relu, gemm2)).toBe('nothing');
  expect(asTwo(gemm1, gemm2)).toBe(`the activation of v must be relu, as layer 0 of the network, got linear. ${hint}`);
  expect(asTwo(gemm1, relu, gemm2, relu)).toBe(`the activation of w must be linear, as layer 1 of the network, got relu. ${hint}`);
  expect(asTwo(gemm1, relu, gemm2, node('Softmax', ['x']), relu)).toBe('nothing');
  expect(asTwo(gemm1, node('Softmax', ['x']), gemm2)).toMatch(/^operator Softmax must be Conv, Gemm, .*, got Softmax$/);
});

test('ONNX: what is no chain is refused', () => {
  expect(asTwo(gemm1, relu, node('Gemm', ['hidden', 'w']))).toBe(
    'what operator Gemm takes must be given 1 alone, as the layers form a chain, got hidden',
  );
  expect(asTwo(gemm1, relu, node('Gemm', ['input', 'w']))).toMatch(/^what operator Gemm takes must be given 1 alone, .*, got input$/);
  expect(asTwo(gemm1, relu, node('Add', ['x', 'hidden']), gemm2)).toMatch(/^what operator Add takes must be .*, got given 1 and hidden$/);
  expect(asTwo(gemm1, relu, gemm2, node('Add', ['x', 'hidden']))).toMatch(/^input 1 of operator Add must be .*, got hidden$/);
  expect(asTwo(gemm1, node('Transpose', ['v']), relu, gemm2)).toMatch(
    /^what operator Transpose takes must be hidden alone, .*, got constants$/,
  );
  // What is made of the logits, or beside them, is no layer.
  const beside = [node('ArgMax', ['x'], {}, 'best'), node('Cast', ['best']), node('Relu', ['hidden']), node('Softmax', ['logits'])];
  expect(asTwo(gemm1, relu, node('Gemm', ['x', 'w'], {}, 'logits'), ...beside)).toBe('nothing');
});

test('pools are counted where they stand', () => {
  const weights: Named = [
    ['a', zeros(8, 1, 3, 3)],
    ['b', zeros(8, 8, 3, 3)],
    ['c', zeros(3, 8 * 2 * 2)],
  ];
  const conv1 = node('Conv', ['x', 'a'], { pads: [1, 1, 1, 1] });
  const conv2 = node('Conv', ['x', 'b'], { pads: [1, 1, 1, 1] });
  const pooling = node('MaxPool', ['x'], { kernel_shape: [2, 2], strides: [2, 2] });
  const tail = [node('Flatten', ['x']), node('Gemm', ['x', 'c'], { transB: [1] })];
  const network = net([8, 8, 1], conv(8), pool, conv(8), pool, dense(3, 'linear'));
  const read = (...nodes: Operator[]) => said(() => toParameters(network, readOnnxLayers(onnx(nodes, weights, 1, [1, 8, 8]), network)));
  expect(read(conv1, relu, pooling, conv2, pooling, relu, ...tail)).toBe('nothing');
  expect(read(conv1, relu, conv2, relu, pooling, pooling, ...tail)).toBe(
    'the 2x2 pools before and behind a must be 0 and 1, as layer 0 of the network, got 0 and 0. Take its network with --network',
  );
  expect(read(pooling, conv1, relu, conv2, relu, pooling, ...tail)).toMatch(/ a must be 0 and 1, .* got 1 and 0\./);
  const ending = net([8, 8, 1], conv(8), pool, conv(8), pool);
  const image = (...nodes: Operator[]) => said(() => toParameters(ending, readOnnxLayers(onnx(nodes, weights.slice(0, 2)), ending)));
  expect(image(conv1, relu, pooling, conv2, relu, pooling)).toBe('nothing');
  expect(image(conv1, relu, pooling, conv2, relu)).toMatch(/behind b must be 1 and 1, as layer 1 of the network, got 1 and 0/);
});

test('a LayersModel is held against the network too, whichever way its graph is written', async () => {
  const network = net([4, 4, 1], conv(4), pool, dense(4), dense(4, 'linear'));
  const [four, relued] = [{ units: 4 }, { units: 4, activation: 'relu' as const }];
  const convolved = { filters: 4, kernelSize: 3, padding: 'same' as const, activation: 'relu' as const };
  const pooling = () => tf.layers.maxPooling2d({ poolSize: 2 });
  /** What is said of the layers of a model, in a Sequential, or in a graph that ends in the last of them. */
  const read = async (layers: tf.layers.Layer[], graph: (input: tf.SymbolicTensor) => tf.SymbolicTensor | tf.SymbolicTensor[]) => {
    const input = tf.input({ shape: [4, 4, 1] });
    const models = [tf.model({ inputs: input, outputs: graph(input) })];
    if (layers.length > 0) models.push(tf.sequential({ layers: [tf.layers.inputLayer({ inputShape: [4, 4, 1] }), ...layers] }));
    return models.map((model) => {
      const json = { modelTopology: model.toJSON(null, false), weightsManifest: [] as object[] };
      const weights = model.weights.map(({ originalName, shape }) => ({ name: originalName, shape, dtype: 'float32' }));
      json.weightsManifest.push({ paths: ['w.bin'], weights });
      const bytes = weights.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a! * b!, 1)!, 0);
      const index = readLayersModelIndex(new TextEncoder().encode(JSON.stringify(json)));
      return said(() => toParameters(network, readLayersModel(index, new Uint8Array(bytes))));
    });
  };
  const both = (make: () => tf.layers.Layer[]) =>
    read(make(), (input) => make().reduce((given, layer) => layer.apply(given) as tf.SymbolicTensor, input));
  const { conv2d, dense: full, flatten, activation, softmax } = tf.layers;
  expect(await both(() => [conv2d(convolved), pooling(), flatten({}), full(relued), full(four), softmax({})])).toEqual([
    'nothing',
    'nothing',
  ]);
  expect(
    await both(() => [
      conv2d({ ...convolved, activation: 'linear' }),
      pooling(),
      activation({ activation: 'relu' }),
      flatten({}),
      full(four),
      tf.layers.reLU({}),
      full({ ...four, activation: 'softmax' }),
    ]),
  ).toEqual(['nothing', 'nothing']);
  for (const line of await both(() => [conv2d(convolved), pooling(), flatten({}), full(four), full(four)]))
    expect(line).toMatch(/^the activation of dense\S*\/kernel must be relu, as layer 1 of the network, got linear/);
  for (const line of await both(() => [conv2d(convolved), pooling(), flatten({}), full({ ...four, activation: 'softmax' }), full(four)]))
    expect(line).toMatch(/^the softmax of layer dense\S* must be behind all layers, got Dense dense\S* behind it$/);
  for (const line of await both(() => [pooling(), conv2d(convolved), flatten({}), full(relued), full(four)]))
    expect(line).toMatch(/^the 2x2 pools before and behind conv2d\S* must be 0 and 1, .*, got 1 and 0\./);
  // Two heads on one trunk, and two inputs.
  const trunk = (input: tf.SymbolicTensor) =>
    [conv2d(convolved), pooling(), flatten({})].reduce((given, layer) => layer.apply(given) as tf.SymbolicTensor, input);
  const [heads] = await read([], (input) => {
    const shared = trunk(input);
    return [full(relued), full(four)].map((layer) => layer.apply(shared) as tf.SymbolicTensor);
  });
  expect(heads).toMatch(/^what layer dense\S* reads must be dense\S* alone, as the layers form a chain, got flatten\S*$/);
  const reads = (inbound: object) =>
    said(() =>
      layersModel([
        { class_name: 'InputLayer', config: { name: 'in' } },
        { class_name: 'Flatten', config: { name: 'flat' }, inbound_nodes: inbound },
      ]),
    );
  // As Keras 2 and 3 write it.
  const keras3 = (name: string) => ({ class_name: '__keras_tensor__', config: { shape: [null, 4], keras_history: [name, 0, 0] } });
  for (const inbound of [[[['in', 0, 0, {}]]], [['in', 0, 0, {}]], [{ args: [keras3('in')], kwargs: {} }]])
    expect(reads(inbound)).toBe('nothing');
  for (const inbound of [
    [
      [
        ['in', 0, 0, {}],
        ['other', 0, 0, {}],
      ],
    ],
    [{ args: [[keras3('in'), keras3('other')]], kwargs: {} }],
  ]) // prettier-ignore
    expect(reads(inbound)).toBe('what layer flat reads must be in alone, as the layers form a chain, got in and other');
  const second = ['a', 'b'].map((name) => ({ class_name: 'InputLayer', config: { name } }));
  expect(said(() => layersModel(second))).toBe('what layer b reads must be a alone, as the layers form a chain, got an input of its own');
});

test('ONNX: weights in Constants, under other names, as doubles and halves; an input that is left open is none', () => {
  const network = net([1, 1, 2], dense(3, 'linear'));
  const values = Float32Array.of(1, -2, 0.5, 4, -0.25, 8);
  const weight = { shape: [3, 2], values };
  const gemm = (name: string, bias: string[] = []) => node('Gemm', ['x', name, ...bias], { transB: [1] });
  const constant = (tensor: BinaryWriter, output: string) => node('Constant', [], { value: tensor }, output);
  const read = (nodes: Operator[], ...tensors: BinaryWriter[]) => toParameters(network, readOnnxLayers(graph(nodes, tensors), network));
  const want = { weights: [values], biases: null };
  const whole = () => tensorOf('w', weight);
  expect(read([gemm('w', [''])], whole())).toEqual(want);
  expect(read([node('Identity', ['w'], {}, 'again'), node('Gemm', ['input', 'again'], { transB: [1] })], whole())).toEqual(want);
  const held = [constant(tensorOf('', weight), 'w'), constant(tensorOf('', { shape: [3], values: values.slice(3) }), 'b')];
  expect(read([...held, node('Gemm', ['input', 'w', 'b'], { transB: [1] })])).toEqual({ weights: [values], biases: [values.slice(3)] });
  // Raw: double, and binary16 and bfloat16 of the same numbers.
  expect(read([gemm('w')], tensorOf('w', weight, 11, Float64Array.from(values)))).toEqual(want);
  expect(read([gemm('w')], tensorOf('w', weight, 10, Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x4400, 0xb400, 0x4800)))).toEqual(want);
  expect(read([gemm('w')], tensorOf('w', weight, 16, Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0x4080, 0xbe80, 0x4100)))).toEqual(want);
  expect(said(() => read([constant(tensorOf('', weight, 6), 'w'), node('Gemm', ['input', 'w'])]))).toMatch(/got w of type INT32$/);
  expect(said(() => read([node('Constant', [], { value_floats: [1] }, 'w'), node('Gemm', ['input', 'w'])]))).toMatch(
    /got w of type no tensor$/,
  );
});

// ---- masks ----

test('a mask and a seed give a model file: the export of a task comes back as its mask', () => {
  const { network, task } = shipped('mnist-tiny');
  writeFileSync(join(folder, 'tiny.npz'), toNpz(network, task));
  const seed = String((BigInt(network.seed.high) << 32n) | BigInt(network.seed.low));
  const words = ['import', '--mask', 'tiny.npz', '--seed', seed, '--out', 'tiny.smk'];
  const { stdout, stderr } = seedmask(...words, '--json');
  expect(stderr).toBe('');
  expect(seedmask(...words).stdout).toContain('; without --data it takes pixels of 0 to 255, and its classes are 0 to 9\n');
  expect(JSON.parse(stdout)).toMatchObject({ network: 'fc:784-300-100-10', file: 'tiny.smk' });
  const model = readModel(new Uint8Array(readFileSync(join(folder, 'tiny.smk'))));
  expect(model.network).toEqual(network);
  expect(model.tasks[0].mask).toEqual(task.mask);
});

test('masks of any integer type and of floats', () => {
  const mask = randomMask(images, images.seed, 0.3);
  const bits = weightShapes(images).map((shape, i) => ({
    shape,
    values: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, k) => (mask[i][k >> 3] >> (k & 7)) & 1),
  }));
  for (const make of [Uint8Array, Float32Array, Int32Array]) {
    const arrays = new Map(bits.map(({ shape, values }, i) => [`layers.${i}.mask`, { shape, values: make.from(values) }]));
    expect(toMask(images, pickLayers(images, arrays, 'mask'))).toEqual(mask);
  }
});

/** A safetensors file of arrays of any type. */
function safetensors(arrays: Record<string, { dtype: string; shape: number[]; raw: ArrayBufferView }>): Uint8Array {
  const parts = Object.values(arrays).map(({ raw }) => Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength));
  let end = 0;
  const entries = Object.entries(arrays).map(([name, { dtype, shape, raw }]) => {
    const begin = end;
    end += raw.byteLength;
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  return Buffer.concat([Buffer.from(BigUint64Array.of(BigInt(header.length)).buffer), header, ...parts]);
}

test('safetensors of every number that PyTorch has, as masks and as weights', () => {
  const bits = [1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 1];
  const mask = [Uint8Array.of(0b01011001, 0b1000)];
  for (const [dtype, raw] of [
    ['I64', BigInt64Array.from(bits, BigInt)],
    ['U64', BigUint64Array.from(bits, BigInt)],
    ['I32', Int32Array.from(bits)],
    ['U32', Uint32Array.from(bits)],
    ['I16', Int16Array.from(bits)],
    ['U16', Uint16Array.from(bits)],
    ['I8', Int8Array.from(bits)],
    ['F64', Float64Array.from(bits)],
    ['F16', Uint16Array.from(bits, (bit) => bit * 0x3c00)],
    ['BF16', Uint16Array.from(bits, (bit) => bit * 0x3f80)],
    ['BOOL', Uint8Array.from(bits)],
  ] as const)
    expect(toMask(one, pickLayers(one, readTensors(safetensors({ 'fc.mask': { dtype, shape: [3, 4], raw } })), 'mask'))).toEqual(mask);
  // -2.5, the least number above 0, infinity: IEEE 754's binary16, and the first halves of its binary32.
  const read = (dtype: string, ...raw: number[]) => readTensors(safetensors({ x: { dtype, shape: [3], raw: Uint16Array.from(raw) } }));
  expect(read('F16', 0xc100, 1, 0x7c00).get('x')).toEqual({ shape: [3], values: Float32Array.of(-2.5, 2 ** -24, Infinity) });
  expect(read('BF16', 0xc020, 1, 0x7f80).get('x')).toEqual({ shape: [3], values: Float32Array.of(-2.5, 2 ** -133, Infinity) });
});

test("what is no number beside the weights is nobody's concern until it is named", () => {
  const fp8 = { dtype: 'F8_E4M3', shape: [2], raw: Uint8Array.of(1, 2) };
  const weight = { dtype: 'F32', shape: [3, 4], raw: new Float32Array(12) };
  const tensors = readTensors(safetensors({ 'fc.weight': weight, scales: fp8 }));
  expect(toParameters(one, pickLayers(one, tensors, 'weight', ['fc.weight'])).weights).toEqual([new Float32Array(12)]);
  // Numbers of a type that is not read: a vector that no layer takes may be its biases.
  expect(said(() => pickLayers(one, tensors, 'weight'))).toMatch(/^scales must be called like the weight that it belongs to/);
  const script = `
import numpy as np, sys
weight = np.arange(12, dtype='<f4').reshape(3, 4)
names = np.array(['one', 'two', 'three'])
np.savez(sys.argv[1] + '/named.npz', **{'fc.weight': weight, 'names': names, 'table': np.array([['a', 'b']]), 'who': np.array([None], object)})
np.savez(sys.argv[1] + '/words.npz', **{'fc.weight': np.array([['a', 'b'], ['c', 'd']]), 'big': weight.astype('>f4')})
np.savez(sys.argv[1] + '/bias.npz', arr_0=weight, arr_1=np.array([1, 2, 3], '>f4'))
`;
  expect(spawnSync('/usr/bin/python3', ['-c', script, folder]).status).toBe(0);
  const [named, words, bias] = ['named', 'words', 'bias'].map((name) => readNpz(readFileSync(join(folder, `${name}.npz`))));
  const twelve = Float32Array.from({ length: 12 }, (_, i) => i);
  for (const names of [undefined, ['fc.weight']])
    expect(toParameters(one, pickLayers(one, named, 'weight', names))).toEqual({ weights: [twelve], biases: null });
  const expected = 'must be floats of 16, 32 or 64 bits, integers or bool, little-endian, got';
  expect(said(() => pickLayers(one, tensors, 'weight', ['scales']))).toBe(`the type of scales ${expected} F8_E4M3`);
  expect(said(() => pickLayers(one, words, 'weight'))).toBe(`the type of fc.weight ${expected} <U1`);
  expect(said(() => pickLayers(one, bias, 'weight'))).toBe(`the type of arr_1 ${expected} >f4`);
  expect(said(() => pickLayers(one, words, 'weight', ['big']))).toBe(`the type of big ${expected} >f4`);
  const backwards = safetensors({ x: { ...fp8, shape: [] } });
  const at = Buffer.from(backwards).indexOf('[0,2]');
  backwards.set(Buffer.from('[2,0]'), at);
  expect(said(() => readTensors(backwards))).toMatch(/data_offsets of x must be a beginning and an end, got/);
});

test('an .npz of which a bit has changed is refused, or its arrays are those that were written', () => {
  const script = `
import numpy as np, sys
arrays = {'fc.weight': np.arange(12, dtype='<f4').reshape(3, 4), 'fc.bias': np.arange(3, dtype='<f8')}
for name, save in (('stored', np.savez), ('deflated', np.savez_compressed)): save(sys.argv[1] + '/' + name + '.npz', **arrays)
`;
  expect(spawnSync('/usr/bin/python3', ['-c', script, folder]).status).toBe(0);
  for (const name of ['stored', 'deflated']) {
    const bytes = readFileSync(join(folder, `${name}.npz`));
    const written = [...readNpz(bytes).values()];
    const refused = new Set<string>();
    for (let bit = 0; bit < 8 * bytes.length; bit += 3) {
      const damaged = Uint8Array.from(bytes);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      refused.add(
        said(() => {
          for (const array of readNpz(damaged).values()) expect(written).toContainEqual(array);
        }),
      );
    }
    const crc = /^fc\.weight\.npy in the \.npz file must be CRC-32 [0-9a-f]{8}, got CRC-32 [0-9a-f]{8}\. It is damaged: copy it again$/;
    expect([...refused].some((line) => crc.test(line))).toBe(true);
  }
  expect(said(() => readNpz(new Uint8Array(100)))).toBe('the .npz file must be a zip of .npy files, got no directory at its end');
});

test('a zip whose directory only its zip64 records place is read', () => {
  const values = Float32Array.of(1, 2, 3);
  const bytes = writeNpz([['x', { shape: [3], values }]]);
  const end = bytes.length - 22;
  const large = new Uint8Array(bytes.length + 76);
  large.set(bytes.subarray(0, end));
  large.set(bytes.subarray(end), end + 76);
  const view = new DataView(large.buffer);
  const begin = view.getUint32(end + 76 + 16, true);
  // APPNOTE.TXT 4.3.14: the record, 56 bytes; 4.3.15: what tells where it is, 20 bytes.
  view.setUint32(end, 0x06064b50, true);
  view.setBigUint64(end + 4, 44n, true);
  for (const at of [24, 32]) view.setBigUint64(end + at, 1n, true);
  view.setBigUint64(end + 40, BigInt(end - begin), true);
  view.setBigUint64(end + 48, BigInt(begin), true);
  view.setUint32(end + 56, 0x07064b50, true);
  view.setBigUint64(end + 64, BigInt(end), true);
  view.setUint32(end + 72, 1, true);
  view.setUint32(end + 76 + 16, 0xffffffff, true);
  expect([...readNpz(large)]).toEqual([['x', { shape: [3], values }]]);
});

test('--layout says where channels are only where the graph does not: a Transpose does', () => {
  const network = net([4, 4, 2], conv(3), dense(3, 'linear'));
  const weights: Named = [
    ['c', { shape: [3, 2, 3, 3], values: Float32Array.from({ length: 54 }, (_, i) => i) }],
    ['d', { shape: [48, 3], values: Float32Array.from({ length: 144 }, (_, i) => i) }],
  ];
  const nodes = [
    node('Reshape', ['x']),
    node('Transpose', ['x'], { perm: [0, 3, 1, 2] }),
    node('Conv', ['x', 'c'], { pads: [1, 1, 1, 1] }),
    node('Relu', ['x']),
    node('Flatten', ['x']),
    node('MatMul', ['x', 'd']),
  ];
  const read = (layout?: 'torch') => toParameters(network, readOnnxLayers(onnx(nodes, weights, 1, [32]), network, layout));
  expect(read('torch')).toEqual(read());
});

test('halves in int32_data are not read, and refused only where a layer takes them', () => {
  const tensors = () => {
    const half = part(new BinaryWriter(), 1, new BinaryWriter().int64(1)).tag(2, WireType.Varint).int32(10);
    return [tensorOf('w', zeros(4, 3)), text(part(half, 5, new BinaryWriter().int32(0x3c00)), 8, 'half')];
  };
  const read = (weight: string) => readOnnxLayers(graph([node('MatMul', ['x', weight])], tensors()), one);
  expect(read('w')).toHaveLength(1);
  expect(said(() => read('half'))).toMatch(/got half of type FLOAT16 in int32_data$/);
});

// ---- the command ----

test('initial and final weights give every criterion, and the masks of one', () => {
  const network = net([1, 1, 6], dense(8), dense(3, 'linear'));
  const file = (name: string, seed: number, texts?: Record<string, string>) => {
    const { weights } = randomParameters(network, { low: seed, high: 0 }, false);
    writeFileSync(
      join(folder, name),
      writeSafetensors(
        weightShapes(network).map((shape, i) => [`layers.${i}.weight`, { shape, values: weights[i] }]),
        texts,
      ),
    );
    return weights;
  };
  const [initial, final] = [file('a.safetensors', 1), file('b.safetensors', 2)];
  const words = ['import', '--initial', 'a.safetensors', '--final', 'b.safetensors', '--network', 'fc:6-8-3', '--keep', '0.5'];
  const { criteria } = JSON.parse(seedmask(...words, '--json').stdout);
  expect(criteria).toHaveLength(11);
  // Half of 48, and .9^(ln .5 / ln .8) = .7209 of 24.
  expect(criteria[1]).toMatchObject({ criterion: 'large_final', kept: 24 + 17 });
  expect(seedmask(...words, '--criterion', 'movement', '--out', 'masks.safetensors').stderr).toBe('');
  const { tensors } = readSafetensors(new Uint8Array(readFileSync(join(folder, 'masks.safetensors'))));
  const rates = paperRates({ ...network, distribution: 'normal' }, Math.log(0.5) / Math.log(0.8));
  expect(toMask(network, pickLayers(network, tensors, 'mask'))).toEqual(
    criterionMask(network, 'movement', initial, final, rates, { low: 0, high: 0 }),
  );
  // As checkpoints of `seedmask prune` tell their seed.
  for (const [name, seed] of Object.entries({ a: '7', b: '7', c: '8' })) file(`${name}7.safetensors`, 1, { network: 'fc:6-8-3', seed });
  file('other.safetensors', 1, { seed: '8' });
  const ofSeeds = (final: string) => seedmask('import', '--initial', 'a7.safetensors', '--final', final, '--network', 'fc:6-8-3').stderr;
  expect(ofSeeds('b7.safetensors')).toBe('');
  expect(ofSeeds('b.safetensors')).toBe('');
  expect(ofSeeds('other.safetensors')).toBe('');
  expect(ofSeeds('c7.safetensors')).toBe('seedmask: --final must be of the seed 7, as --initial is, got one of the seed 8\n');
});

test('a report with test accuracies, on the data of a folder', () => {
  const { network, task } = shipped('mnist-tiny');
  mkdirSync(join(folder, 'model'));
  for (const [name, bytes] of toLayersModel({ ...network, distribution: 'normal' }, { ...task, mask: fullMask(network, true) }))
    writeFileSync(join(folder, 'model', name), bytes);
  const { stdout, stderr } = seedmask(
    'import',
    '--initial',
    'model/model.json',
    '--final',
    'model/model.json',
    '--criterion',
    'large_final',
    '--data',
    'mnist',
    '--json',
  );
  expect(stderr).toBe('');
  const report = JSON.parse(stdout);
  expect(report.criteria[0].finalAccuracy).toBe(report.criteria[0].initialAccuracy);
  expect(report.trainedAccuracy).toBeLessThan(0.3);
}, 60_000);

// ---- what is refused ----

const said = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SeedmaskError)) throw error;
    expect(error.message).not.toContain('\n');
    return error.message;
  }
  return 'nothing';
};
const one = net([1, 1, 4], dense(3, 'linear'));
const square = net([1, 1, 4], dense(4, 'linear'));
const tensors = (...list: NamedTensor[]) => new Map(list.map(({ name, ...tensor }) => [name, tensor]));
const zeros = (...shape: number[]) => ({ shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
const sevens = { shape: [3], values: Float32Array.of(7, 7, 7) };
const layersModel = (layers: object[], weights: object[] = [], bytes = 0) =>
  readLayersModel(
    readLayersModelIndex(
      new TextEncoder().encode(
        JSON.stringify({
          modelTopology: { model_config: { class_name: 'Sequential', config: { layers } } },
          weightsManifest: [{ paths: ['w.bin'], weights }],
        }),
      ),
    ),
    new Uint8Array(bytes),
  );

test.each<[what: string, work: () => unknown, line: RegExp]>([
  [
    'a shape',
    () => toParameters(one, pickLayers(one, tensors({ name: 'fc.weight', ...zeros(3, 5) }), 'weight')),
    /the shape of fc.weight must be \[3,4\], as layer 0 of the network, got \[3,5\]/,
  ],
  [
    'too many layers',
    () => toParameters(one, pickLayers(one, tensors({ name: 'a.weight', ...zeros(3, 4) }, { name: 'b.weight', ...zeros(3, 3) }), 'weight')),
    /weight tensors must be 1, as fc:4-3 has layers, got 2: a.weight, b.weight. Take their network with --network, or name them in order with --tensors/,
  ],
  [
    'another layer',
    () => pickLayers(one, tensors({ name: 'bn.weight', ...zeros(3) }), 'weight'),
    /bn.weight must be a tensor of a dense or conv layer \(2 or 4 dimensions\), got shape \[3\]/,
  ],
  [
    'either way round',
    () => pickLayers(square, tensors({ name: 'a.weight', ...zeros(4, 4) }), 'weight'),
    /the layout must be named with --layout, got shapes that fit seedmask and keras/,
  ],
  [
    'a name that is not there',
    () => pickLayers(one, tensors({ name: 'a.weight', ...zeros(3, 4) }), 'weight', ['b']),
    /tensor b must be one of a.weight, got no such name/,
  ],
  [
    'NaN',
    () =>
      toParameters(
        one,
        pickLayers(one, tensors({ name: 'a.weight', shape: [3, 4], values: new Float32Array(12).fill(Number.NaN, 7) }), 'weight'),
      ),
    /a.weight must be finite f32 numbers, got NaN at 7/,
  ],
  [
    'a bias of another length',
    () => toParameters(one, pickLayers(one, tensors({ name: 'a.weight', ...zeros(3, 4) }, { name: 'a.bias', ...zeros(4) }), 'weight')),
    /the shape of a.bias must be \[3\], got \[4\]/,
  ],
  [
    'a mask of 2',
    () => toMask(one, pickLayers(one, tensors({ name: 'mask', shape: [3, 4], values: new Uint8Array(12).fill(2) }), 'mask')),
    /mask must be 0 or 1 everywhere, got 2/,
  ],
  [
    'biases beside a mask',
    () =>
      toMask(one, pickLayers(one, tensors({ name: 'a.mask', ...zeros(3, 4) }, { name: 'a.bias', shape: [3], values: [0, 2, 0] }), 'mask')),
    /a.bias must be 0 everywhere, as a model file stores no biases, got 2 at 1. Name the masks alone with --tensors/,
  ],
  [
    'weights beside a mask that are not those of the seed',
    () => toMask(one, pickLayers(one, tensors({ name: 'a.mask', ...zeros(3, 4) }, { name: 'a.weight', ...zeros(3, 4) }), 'mask')),
    /a.weight must be the [a-z-]+ weights of seed \d+ and sigma [a-z]+, so -?0.\d+ at 0, got 0. Say which they are with --seed, --sigma and --distribution, or/,
  ],
  [
    'biases beside a mask of PyTorch',
    () => toMask(one, pickLayers(one, tensors({ name: 'fc.weight_mask', ...zeros(3, 4) }, { name: 'fc.bias', ...sevens }), 'mask')),
    /fc.bias must be 0 everywhere, as a model file stores no biases, got 7 at 0/,
  ],
  [
    'foreign weights beside a mask of PyTorch',
    () =>
      toMask(one, pickLayers(one, tensors({ name: 'fc.weight_mask', ...zeros(3, 4) }, { name: 'fc.weight_orig', ...zeros(3, 4) }), 'mask')),
    /fc.weight_orig must be the [a-z-]+ weights of seed \d+ and sigma [a-z]+, so -?0.\d+ at 0, got 0/,
  ],
  [
    'a bias that no layer takes',
    () => pickLayers(one, tensors({ name: 'w0', ...zeros(3, 4) }, { name: 'b0', ...zeros(3) }), 'weight'),
    /b0 must be called like the weight that it belongs to, as fc.bias is beside fc.weight, got a vector of no layer. Call it so, or list the weights alone with --tensors/,
  ],
  [
    'a LayersModel with an LSTM',
    () => layersModel([{ class_name: 'LSTM', config: { name: 'memory' } }]),
    /layer memory must be Dense, Conv2D, .*, got LSTM/,
  ],
  ['strides', () => layersModel([{ class_name: 'Conv2D', config: { name: 'c', strides: [2, 2] } }]), /strides of layer c must be 1, got 2/],
  ...[[0.5, 0.25, 3], 'x', undefined, 2].map((scale): [string, () => unknown, RegExp] => [
    `a Rescaling by ${scale}`,
    () => layersModel([{ class_name: 'Rescaling', config: { name: 's', scale } }]),
    /^layer s must be scale 1\/255, offset 0, got scale /,
  ]),
  ...Object.entries({ max_value: 6, negative_slope: 0.3, threshold: 1 }).map(([key, value]): [string, () => unknown, RegExp] => [
    `a ReLU with ${key}`,
    () => layersModel([{ class_name: 'ReLU', config: { name: 'r', max_value: null, negative_slope: 0, [key]: value } }]),
    new RegExp(`${key} of layer r must be (none|0), got ${value}`),
  ]),
  [
    'a MaxPool that says no strides',
    () => readOnnxLayers(onnx([node('MaxPool', ['x'], { kernel_shape: [2, 2] }), node('MatMul', ['x', 'w'])], [['w', zeros(4, 3)]]), one),
    /strides of operator MaxPool must be 2, got 1/,
  ],
  [
    'a tanh',
    () => layersModel([{ class_name: 'Dense', config: { name: 'd', activation: 'tanh' } }]),
    /activation of layer d must be linear or relu or softmax, got tanh/,
  ],
  ...[{ dtype: 'float16' }, { dtype: 'float32', quantization: { dtype: 'float16' } }].map((type): [string, () => unknown, RegExp] => [
    'float16 weights',
    () => layersModel([{ class_name: 'Dense', config: { name: 'd', use_bias: false } }], [{ name: 'd/kernel', shape: [1], ...type }], 2),
    /^d\/kernel must be float32, not quantized, got float16$/,
  ]),
  [
    'texts among the weights',
    () => layersModel([], [{ name: 'd/words', shape: [1], dtype: 'string' }]),
    /model.json must be a LayersModel, got .*one of "float32"/,
  ],
  [
    'files that are too short',
    () => layersModel([], [{ name: 'd/kernel', shape: [2, 2], dtype: 'float32' }], 15),
    /the weight files must be 16 bytes, as model.json says, got 15 bytes/,
  ],
  [
    'a way out of the folder',
    () =>
      readLayersModelIndex(
        new TextEncoder().encode(
          '{"modelTopology":{"model_config":{"class_name":"x","config":[]}},"weightsManifest":[{"paths":["../x"],"weights":[]}]}',
        ),
      ),
    /a plain file name/,
  ],
  ['a graph model', () => readLayersModelIndex(new TextEncoder().encode('{"format":"graph-model"}')), /model.json must be a LayersModel/],
  [
    'an LSTM in ONNX',
    () => readOnnxLayers(onnx([node('LSTM', ['x']), node('MatMul', ['x', 'w'])], [['w', zeros(4, 3)]]), one),
    /operator LSTM must be Conv, Gemm, .*, got LSTM/,
  ],
  [
    'a strided Conv',
    () => readOnnxLayers(onnx([node('Conv', ['x', 'w'], { strides: [2, 2] })], [['w', zeros(4, 3, 3, 3)]]), one),
    /strides of operator Conv must be 1, got 2/,
  ],
  [
    'weights that are computed',
    () => readOnnxLayers(onnx([node('MatMul', ['x', 'y'])], []), one),
    /what operator MatMul takes must be the image alone, as the layers form a chain, got input and y/,
  ],
  [
    'integers in ONNX',
    () => readOnnxLayers(onnx([node('MatMul', ['x', 'w'])], [['w', zeros(4, 3)]], 7), one),
    /input 1 of operator MatMul must be an initializer or Constant of floats of 16, 32 or 64 bits, got w of type INT64/,
  ],
  [
    'data outside an ONNX file',
    () => readOnnxLayers(graph([node('MatMul', ['x', 'w'])], [part(tensorOf('w', zeros(4, 3)), 13, new BinaryWriter())]), one),
    /^w must be in the file itself, got data in another file\. .*external_data=False/,
  ],
  [
    'a ReLU of the image',
    () => readOnnxLayers(onnx([node('Relu', ['x']), node('MatMul', ['x', 'w'])], [['w', zeros(4, 3)]]), one),
    /^operator Relu must be behind a layer, got the image itself$/,
  ],
  [
    'an image whose sides change places',
    () => readOnnxLayers(onnx([node('Transpose', ['x'], { perm: [0, 1, 3, 2] }), node('MatMul', ['x', 'w'])], [['w', zeros(4, 3)]]), one),
    /^perm of operator Transpose must be 0,3,1,2 or 0,2,3,1, got 0,1,3,2$/,
  ],
  [
    'dimensions without end',
    () =>
      readOnnxLayers(
        onnx([node('MatMul', ['x', 'w'])], [['w', { shape: [4, 3, ...Array(9).fill(1)], values: new Float32Array(12) }]]),
        one,
      ),
    /the shape of w must be at most 8 dimensions, got more/,
  ],
  ['no ONNX at all', () => readOnnxLayers(new TextEncoder().encode('hello, world'), one), /the ONNX file must be a ModelProto/],
])('%s is refused in one line', (_, work, line) => {
  expect(said(work)).toMatch(line);
});

test('damaged ONNX files are refused with a SeedmaskError, whatever is damaged', () => {
  const file = toOnnx(one, {
    mask: fullMask(one, true),
    transform: { scale: 1, mean: 0, constant: null },
    labels: ['a', 'b', 'c'],
    logitScale: 1,
  });
  const change = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(change, fc.nat(file.length), (changes, end) => {
      const bytes = file.slice(0, Math.max(1, end));
      for (const [place, value] of changes) if (place < bytes.length) bytes[place] = value;
      said(() => toParameters(one, readOnnxLayers(bytes, one)));
    }),
    { numRuns: 500 },
  );
});

test('the command names the file, and what it lacks', () => {
  expect(seedmask('import').stderr).toBe('seedmask: --initial must be given, or --mask, got nothing\n');
  expect(seedmask('import', '--mask', 'tiny.npz').stderr).toBe('seedmask: --out must be given with --mask, got nothing\n');
  expect(seedmask('import', '--initial', 'x.pt', '--final', 'x.pt').stderr).toMatch(
    /^seedmask: x.pt: .* must be .safetensors, .npz, .onnx or .json/,
  );
  expect(seedmask('import', '--mask', 'a.safetensors', '--network', 'fc', '--out', 'x.smk').stderr).toMatch(
    /^seedmask: a.safetensors: .*layers.0.weight.*\n$/,
  );
});
