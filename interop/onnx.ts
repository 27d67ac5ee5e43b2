// ONNX, written: a graph of float operators that any ONNX runtime runs. Input `input`: raw values, f32, [batch, inputs] for networks of
// dense layers and [batch, height, width, channels] for others. Outputs `logits` [batch, outputs] and `probabilities` [batch, labels].
//
//   input -> (x - mean) x scale -> Conv, MaxPool (as NCHW), Gemm, Relu -> x factor = logits -> x logitScale -> Softmax = probabilities
//
// Field numbers are those of onnx.proto3 (github.com/onnx/onnx); the wire format is @bufbuild/protobuf's.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { numberBytes } from '../codec/safetensors.js';
import type { Features } from '../src/features.js';
import { inputs, isDense, type Network, outputs, type Placed, place } from '../src/network.js';
import { type ExportedTask, type FloatModel, floatModel } from './floats.js';

const FLOAT = 1;
const INT64 = 7;
const IR_VERSION = 8;
const OPSET = 13;

type Message = BinaryWriter;
const text = (message: Message, field: number, value: string): Message => message.tag(field, WireType.LengthDelimited).string(value);
const number = (message: Message, field: number, value: number): Message => message.tag(field, WireType.Varint).int64(value);
const part = (message: Message, field: number, value: Message): Message =>
  message.tag(field, WireType.LengthDelimited).bytes(value.finish());

/** An attribute: one integer or several. */
function attribute(name: string, value: number | readonly number[]): Message {
  const message = text(new BinaryWriter(), 1, name);
  if (typeof value === 'number') number(message, 3, value);
  else for (const n of value) number(message, 8, n);
  return number(message, 20, typeof value === 'number' ? 2 : 7);
}

function tensor(name: string, shape: readonly number[], values: Float32Array | BigInt64Array): Message {
  const message = new BinaryWriter();
  for (const n of shape) number(message, 1, n);
  number(message, 2, values instanceof Float32Array ? FLOAT : INT64);
  text(message, 8, name);
  return message.tag(9, WireType.LengthDelimited).bytes(numberBytes(values));
}

/** An f32 tensor that goes in or out; the first dimension has any size. */
function value(name: string, shape: readonly number[]): Message {
  const sizes = part(new BinaryWriter(), 1, text(new BinaryWriter(), 2, 'batch'));
  for (const n of shape) part(sizes, 1, number(new BinaryWriter(), 1, n));
  const type = part(new BinaryWriter(), 1, part(number(new BinaryWriter(), 1, FLOAT), 2, sizes));
  return part(text(new BinaryWriter(), 1, name), 2, type);
}

/** A chain of operators: each takes what the one before gave. */
class Graph {
  readonly nodes: Message[] = [];
  readonly initializers: Message[] = [];
  last: string;

  constructor(input: string) {
    this.last = input;
  }

  constant(name: string, shape: readonly number[], values: Float32Array | BigInt64Array): string {
    this.initializers.push(tensor(name, shape, values));
    return name;
  }

  add(
    operator: string,
    output: string,
    others: readonly string[] = [],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
  ): void {
    const node = new BinaryWriter();
    for (const name of [this.last, ...others]) text(node, 1, name);
    text(node, 2, output);
    text(node, 3, output);
    text(node, 4, operator);
    for (const [name, held] of Object.entries(attributes)) part(node, 5, attribute(name, held));
    this.nodes.push(node);
    this.last = output;
  }

  scaled(output: string, factor: number): void {
    this.add('Mul', output, [this.constant(`${output}.factor`, [], Float32Array.of(factor))]);
  }
}

const TO_NCHW = [0, 3, 1, 2];
const TO_NHWC = [0, 2, 3, 1];

/**
 * The bytes of an .onnx file.
 * @throws SeedmaskError no-export when a network has constant inputs under a convolution
 */
export function toOnnx(network: Network, task: ExportedTask): Uint8Array {
  const model = floatModel(network, task);
  const shape = isDense(network) ? [inputs(network)] : network.input;
  const graph = new Graph('input');
  if (task.transform.features) addFeatures(graph, task.transform.features, shape);
  const { mean, scale } = model.transform;
  if (mean !== 0) graph.add('Sub', 'centred', [graph.constant('mean', [], Float32Array.of(mean))]);
  if (scale !== 1) graph.scaled('scaled', scale);
  addLayers(graph, model);
  graph.scaled('logits', model.factor);
  const labels = task.labels.length;
  if (labels < outputs(network)) {
    const range = [0, labels, 1].map((n, i) => graph.constant(`classes.${i}`, [1], BigInt64Array.of(BigInt(n))));
    graph.add('Slice', 'classes', [range[0], range[1], range[2]]);
  }
  graph.scaled('tempered', task.logitScale);
  graph.add('Softmax', 'probabilities', [], { axis: 1 });
  const body = new BinaryWriter();
  for (const node of graph.nodes) part(body, 1, node);
  text(body, 2, 'seedmask');
  for (const held of graph.initializers) part(body, 5, held);
  part(body, 11, value('input', shape));
  part(body, 12, value('logits', [outputs(network)]));
  part(body, 12, value('probabilities', [labels]));
  const file = text(number(new BinaryWriter(), 1, IR_VERSION), 2, 'seedmask');
  part(file, 7, body);
  part(file, 8, number(text(new BinaryWriter(), 1, ''), 2, OPSET));
  const columns = task.transform.features?.names;
  for (const [key, value] of Object.entries({ labels: task.labels, ...(columns && { columns }) }))
    part(file, 14, text(text(new BinaryWriter(), 1, key), 2, JSON.stringify(value)));
  return file.finish();
}

/** Numbers become bytes: round((x - low) x scale), clamped. */
function addFeatures(graph: Graph, { low, scale }: Features, shape: readonly number[]): void {
  const [least, most] = [0, 255].map((limit) => graph.constant(`features.${limit}`, [], Float32Array.of(limit)));
  graph.add('Sub', 'features.from', [graph.constant('features.low', shape, low)]);
  graph.add('Mul', 'features.steps', [graph.constant('features.scale', shape, scale)]);
  graph.add('Clip', 'features.within', [least, most]);
  graph.add('Add', 'features.half', [graph.constant('features.up', [], Float32Array.of(0.5))]);
  graph.add('Floor', 'features');
}

function addLayers(graph: Graph, model: FloatModel): void {
  let image = false;
  const asImage = (wanted: boolean, layer: string) => {
    if (image !== wanted) graph.add('Transpose', `${layer}.turned`, [], { perm: wanted ? TO_NCHW : TO_NHWC });
    image = wanted;
  };
  let flat = isDense(model);
  for (const [i, placed] of place(model).entries()) {
    const name = `layer${i}`;
    const { layer, stream, input, output } = placed;
    if (layer.kind !== 'dense') {
      if (flat) {
        // What dense layers give is an image of one pixel.
        graph.add('Reshape', `${name}.image`, [graph.constant(`${name}.shape`, [4], BigInt64Array.of(0n, BigInt(input[2]), 1n, 1n))]);
        [image, flat] = [true, false];
      }
      asImage(true, name);
    }
    if (layer.kind === 'pool') {
      graph.add('MaxPool', name, [], { kernel_shape: [2, 2], strides: [2, 2] });
      continue;
    }
    const bias = model.biases ? [graph.constant(`${name}.bias`, [output[2]], model.biases[stream])] : [];
    if (layer.kind === 'conv') addConv(graph, name, placed, model.weights[stream], bias);
    else {
      if (!flat) {
        asImage(false, name);
        graph.add('Flatten', `${name}.flat`);
        flat = true;
      }
      // Canonical order is [out, in], which Gemm takes transposed.
      graph.add('Gemm', name, [graph.constant(`${name}.weight`, [output[2], placed.fanIn], model.weights[stream]), ...bias], { transB: 1 });
    }
    if (layer.activation === 'relu') graph.add('Relu', `${name}.relu`);
  }
  if (flat) return;
  asImage(false, 'output');
  graph.add('Flatten', 'output.flat');
}

/** [out, k, k, in] becomes ONNX's [out, in, k, k]. */
function addConv(
  graph: Graph,
  name: string,
  { kernel, before, input, output }: Placed,
  weights: Float32Array,
  bias: readonly string[],
): void {
  const [channels, taps] = [input[2], kernel * kernel];
  const turned = weights.map((_, i) => {
    const [filter, channel, tap] = [Math.floor(i / (channels * taps)), Math.floor(i / taps) % channels, i % taps];
    return weights[(filter * taps + tap) * channels + channel];
  });
  const lost = input[0] - output[0];
  const after = kernel - 1 - lost - before;
  graph.add('Conv', name, [graph.constant(`${name}.weight`, [output[2], channels, kernel, kernel], turned), ...bias], {
    kernel_shape: [kernel, kernel],
    pads: [before, before, after, after],
  });
}
