// ONNX, read: the weights and biases of a chain of Conv, Gemm or MatMul, whatever exported it. Operators between them must be those of a
// Seedmask network (Relu, MaxPool 2x2, Flatten); another is refused by its name. Field numbers are those of onnx.proto3.
//
// Where an image has its channels is followed through the graph: its input's shape says it, Conv and MaxPool have them first, Transpose
// moves them. A dense layer takes its inputs in the order that they have there.

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { SeedmaskError } from '../codec/index.js';
import type { Architecture, Padding } from '../src/network.js';
import { badTensor, isFlat, LAYOUTS, type LayerTensors, type LayoutName, type NamedTensor } from './layouts.js';

interface Node {
  readonly inputs: string[];
  operator: string;
  name: string;
  readonly attributes: Map<string, readonly (number | string)[]>;
}

/** Calls `field` for every field of a message; it returns false for one that it has not read. */
function eachField(bytes: Uint8Array, field: (number: number, type: WireType, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (!field(number, type, reader)) reader.skip(type, number);
  }
}

/** Integers of one list that are read: no shape, stride or permutation has more. */
const MOST_INTEGERS = 16;

/** Repeated integers, packed or one by one; those beyond the most are left. */
function integers(type: WireType, reader: BinaryReader, into: number[]): boolean {
  const add = (value: bigint | string) => {
    if (into.length < MOST_INTEGERS) into.push(Number(value));
  };
  if (type === WireType.Varint) add(reader.int64());
  else for (const inner = new BinaryReader(reader.bytes()); inner.pos < inner.len; ) add(inner.int64());
  return true;
}

function attributeOf(bytes: Uint8Array): [string, (number | string)[]] {
  let name = '';
  const values: number[] = [];
  const texts: string[] = [];
  eachField(bytes, (number, type, reader) => {
    if (number === 1) name = reader.string();
    else if (number === 2) values[0] = reader.float();
    else if (number === 3 || number === 8) return integers(type, reader, values);
    else if (number === 4) texts[0] = reader.string();
    else return false;
    return true;
  });
  return [name, [...values, ...texts]];
}

function nodeOf(bytes: Uint8Array): Node {
  const node: Node = { inputs: [], operator: '', name: '', attributes: new Map() };
  eachField(bytes, (number, _, reader) => {
    if (number === 1) node.inputs.push(reader.string());
    else if (number === 3) node.name = reader.string();
    else if (number === 4) node.operator = reader.string();
    else if (number === 5) node.attributes.set(...attributeOf(reader.bytes()));
    else return false;
    return true;
  });
  return node;
}

const FLOAT = 1;
const MAX_RANK = 8;

/** An initialiser; null unless it is of f32. */
function tensorOf(bytes: Uint8Array): { name: string; tensor: NamedTensor | null } {
  const shape: number[] = [];
  // No tensor has more bytes than its message.
  const data = new DataView(new ArrayBuffer(bytes.length));
  let [name, type, filled, outside] = ['', 0, 0, false];
  eachField(bytes, (number, wire, reader) => {
    if (number === 1) return integers(wire, reader, shape);
    if (number === 2) type = reader.int32();
    else if (wire === WireType.LengthDelimited && (number === 4 || number === 9)) {
      // Packed float_data and raw_data are the same bytes.
      const part = reader.bytes();
      new Uint8Array(data.buffer).set(part, filled);
      filled += part.length;
    } else if (number === 8) name = reader.string();
    else if (number === 13) {
      outside = true;
      return false;
    } else return false;
    return true;
  });
  if (outside) throw badTensor(name, 'in the file itself', 'data in another file');
  if (type !== FLOAT) return { name, tensor: null };
  if (shape.length > MAX_RANK) throw badTensor(`the shape of ${name}`, `at most ${MAX_RANK} dimensions`, 'more');
  const values = Float32Array.from({ length: filled >> 2 }, (_, i) => data.getFloat32(4 * i, true));
  if (values.length !== shape.reduce((a, b) => a * b, 1)) throw badTensor(name, `${shape.join(' x ')} values`, values.length);
  return { name, tensor: { name, shape, values } };
}

/** Calls `found` for every message at the end of a path of fields. */
function within(bytes: Uint8Array, [field, ...path]: readonly number[], found: (part: Uint8Array) => void): void {
  eachField(bytes, (number, type, reader) => {
    if (number !== field || type !== WireType.LengthDelimited) return false;
    const part = reader.bytes();
    if (path.length > 0) within(part, path, found);
    else found(part);
    return true;
  });
}

/** An input of the graph; a size is 0 where the file leaves it open. */
function inputOf(bytes: Uint8Array): GraphInput {
  let name = '';
  const shape: number[] = [];
  eachField(bytes, (number, _, reader) => {
    if (number === 1) name = reader.string();
    return number === 1;
  });
  within(bytes, [2, 1, 2, 1], (dimension) => {
    const size: number[] = [];
    eachField(dimension, (number, type, reader) => number === 1 && integers(type, reader, size));
    if (shape.length <= MAX_RANK) shape.push(Math.max(0, size[0] ?? 0));
  });
  return { name, shape };
}

interface GraphInput {
  readonly name: string;
  readonly shape: readonly number[];
}
interface Graph {
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, NamedTensor | null>;
  /** Of what is classified. */
  readonly shape: readonly number[];
}

function graphOf(file: Uint8Array): Graph {
  const nodes: Node[] = [];
  const initializers = new Map<string, NamedTensor | null>();
  const inputs: GraphInput[] = [];
  try {
    eachField(file, (number, _, model) => {
      if (number !== 7) return false;
      eachField(model.bytes(), (inGraph, __, reader) => {
        if (inGraph === 1) nodes.push(nodeOf(reader.bytes()));
        else if (inGraph === 5) {
          const { name, tensor } = tensorOf(reader.bytes());
          initializers.set(name, tensor);
        } else if (inGraph === 11) inputs.push(inputOf(reader.bytes()));
        else return false;
        return true;
      });
      return true;
    });
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw badTensor('the ONNX file', 'a ModelProto', (error as Error).message);
  }
  if (nodes.length === 0) throw badTensor('the ONNX file', 'a ModelProto', 'no graph');
  // Older files list their initializers among the inputs.
  return { nodes, initializers, shape: inputs.find(({ name }) => !initializers.has(name))?.shape ?? [] };
}

const SUPPORTED = 'Conv, Gemm, MatMul with Add, Relu, MaxPool, Flatten, Reshape, Transpose, Dropout, Identity, a first Mul by 1/255';
const WITHOUT_WEIGHTS = new Set(['Relu', 'MaxPool', 'Flatten', 'Reshape', 'Transpose', 'Dropout', 'Identity', 'Constant']);
/** Between a layer and the Add of its bias. */
const BEFORE_BIAS = new Set(['Flatten', 'Reshape', 'Transpose', 'Dropout', 'Identity', 'Constant']);
/** What an attribute must say where it is given. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, readonly (number | string)[]>>>> = {
  Conv: { strides: [1], dilations: [1], group: [1] },
  MaxPool: { kernel_shape: [2], strides: [2], pads: [0], auto_pad: ['NOTSET', 'VALID'], dilations: [1], ceil_mode: [0] },
  Gemm: { transA: [0], alpha: [1], beta: [1] },
};
/** What stands for an attribute that is not given, and is not what the table expects. */
const DEFAULTS: Readonly<Record<string, readonly number[]>> = { strides: [1] };

/**
 * The layers of an ONNX file in order.
 * @param layout whether images have their channels first, where the graph leaves it open
 * @throws SeedmaskError bad-checkpoint that names the operator or tensor
 */
export function readOnnxLayers(file: Uint8Array, architecture: Architecture, layout?: LayoutName): LayerTensors[] {
  const { nodes, initializers, shape } = graphOf(file);
  const layers: LayerTensors[] = [];
  const last = nodes.findLastIndex(({ operator }) => /^(Conv|Gemm|MatMul)$/.test(operator));
  if (last < 0) throw badTensor('the ONNX graph', 'layers of Conv, Gemm or MatMul', nodes.map(({ operator }) => operator).join(', '));
  let channelsFirst = orderOf(shape, architecture) ?? (layout && LAYOUTS[layout].channelsFirst);
  let [flattened, awaitsBias, answered] = [false, false, false];
  nodes.forEach((node, i) => {
    const { operator, inputs, attributes } = node;
    const title = `operator ${operator}${node.name ? ` ${node.name}` : ''}`;
    const held = (input: number): NamedTensor => {
      const tensor = initializers.get(inputs[input] ?? '');
      if (!tensor) throw badTensor(`input ${input} of ${title}`, 'an f32 initializer', inputs[input] ?? 'nothing');
      return tensor;
    };
    const bias = (input: number) => (inputs.length > input ? { bias: held(input) } : {});
    const dense = (unitsLast: boolean) => {
      // A vector is taken as it comes, and so is what a dense layer gave.
      if (channelsFirst === undefined && flattened && shape.length !== 2 && layers.length === 0 && !isFlat(architecture))
        throw badTensor('the layout', 'named with --layout', 'a graph that leaves open where its images have their channels');
      return { weight: held(1), ...bias(2), layout: { unitsLast, channelsFirst: channelsFirst ?? false } };
    };
    checkAttributes(node, title);
    if (operator === 'Conv') {
      const weight = held(1);
      channelsFirst = true;
      layers.push({ weight, ...bias(2), layout: LAYOUTS.torch, padding: paddingOf(node, title, weight.shape[2] ?? 1) });
    } else if (operator === 'Gemm') layers.push(dense(!attributes.get('transB')?.[0]));
    else if (operator === 'MatMul') layers.push(dense(true));
    else if (operator === 'Add' && !answered) {
      const layer = layers.at(-1);
      if (!layer || layer.bias || !awaitsBias)
        throw badTensor(title, 'the bias of a layer before it', layer?.bias && awaitsBias ? 'a second one' : 'no such layer');
      const image = layer.weight.shape.length > 2 && channelsFirst;
      layers.push({ ...layers.pop()!, bias: biasOf(initializers.get(inputs[0]) ?? held(1), image ? 2 : 0) });
    } else if (operator === 'Transpose') channelsFirst = attributes.get('perm')?.[1] === 3;
    else if (i <= last && operator === 'Mul' && layers.length === 0 && isPixelScale(held(1))) return;
    else if (i <= last && !WITHOUT_WEIGHTS.has(operator)) throw badTensor(title, SUPPORTED, operator);
    if (operator === 'MaxPool') channelsFirst = true;
    answered ||= i > last && /Softmax$/.test(operator);
    flattened ||= operator === 'Flatten' || operator === 'Reshape';
    awaitsBias = /^(Conv|Gemm|MatMul)$/.test(operator) || (awaitsBias && (operator === 'Add' || BEFORE_BIAS.has(operator)));
  });
  return layers;
}

function checkAttributes({ operator, attributes }: Node, title: string): void {
  for (const [name, expected] of Object.entries(EXPECTED[operator] ?? {})) {
    const values = attributes.get(name) ?? DEFAULTS[name];
    const wrong = values?.find((value) => !expected.includes(value));
    if (wrong !== undefined) throw badTensor(`${name} of ${title}`, expected.join(' or '), wrong);
  }
}

/** Whether an image of this shape has its channels first; undefined where the shape does not tell. */
function orderOf(shape: readonly number[], { input: [height, width, channels] }: Architecture): boolean | undefined {
  const is = (...sizes: number[]) => shape.length === 4 && sizes.every((size, i) => shape[i + 1] === 0 || shape[i + 1] === size);
  const [first, last] = [is(channels, height, width), is(height, width, channels)];
  return first === last ? undefined : first;
}

/** What a Conv adds around its image. */
function paddingOf({ attributes }: Node, title: string, kernel: number): Padding {
  const [rule = 'NOTSET'] = attributes.get('auto_pad') ?? [];
  if (rule === 'VALID') return 'valid';
  if (rule === 'SAME_UPPER' || (rule === 'SAME_LOWER' && kernel % 2 === 1)) return 'same';
  if (rule !== 'NOTSET') throw badTensor(`auto_pad of ${title}`, 'NOTSET, VALID or SAME_UPPER', rule);
  const pads = attributes.get('pads') ?? [];
  const [before, after] = [(kernel - 1) >> 1, kernel >> 1];
  const same = [before, before, after, after];
  if (pads.every((n) => n === 0)) return 'valid';
  if (pads.join() !== same.join()) throw badTensor(`pads of ${title}`, `0 or ${same.join(', ')}`, pads.join(', '));
  return 'same';
}

/** A bias that an Add spreads over an image whose channels have so many dimensions behind them. */
function biasOf({ name, shape, values }: NamedTensor, behind: number): NamedTensor {
  const units = shape.length - 1 - behind;
  if (units < 0 || shape.some((size, i) => size !== 1 && i !== units)) {
    const expected = behind > 0 ? '[units, 1, 1], a value for each channel' : '[units]';
    throw badTensor(`the shape of ${name}`, expected, `[${shape}]`);
  }
  return { name, shape: [shape[units]], values };
}

const isPixelScale = ({ values }: NamedTensor): boolean => values.length === 1 && Math.abs(Number(values[0]) * 255 - 1) < 1e-6;
