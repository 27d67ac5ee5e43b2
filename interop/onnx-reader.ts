// ONNX, read: the weights and biases of a chain of Conv, Gemm or MatMul, whatever exported it. Operators between them must be those of a
// Seedmask network (Relu, MaxPool 2x2, Flatten); another is refused by its name. Field numbers are those of onnx.proto3.

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { SeedmaskError } from '../codec/index.js';
import { badTensor, type LayerTensors, type NamedTensor } from './layouts.js';

interface Node {
  readonly inputs: string[];
  operator: string;
  name: string;
  readonly attributes: Map<string, readonly number[]>;
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

function attributeOf(bytes: Uint8Array): [string, number[]] {
  let name = '';
  const values: number[] = [];
  eachField(bytes, (number, type, reader) => {
    if (number === 1) name = reader.string();
    else if (number === 2) values[0] = reader.float();
    else if (number === 3 || number === 8) return integers(type, reader, values);
    else return false;
    return true;
  });
  return [name, values];
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

interface Graph {
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, NamedTensor | null>;
}

function graphOf(file: Uint8Array): Graph {
  const nodes: Node[] = [];
  const initializers = new Map<string, NamedTensor | null>();
  try {
    eachField(file, (number, _, model) => {
      if (number !== 7) return false;
      eachField(model.bytes(), (inGraph, __, reader) => {
        if (inGraph === 1) nodes.push(nodeOf(reader.bytes()));
        else if (inGraph === 5) {
          const { name, tensor } = tensorOf(reader.bytes());
          initializers.set(name, tensor);
        } else return false;
        return true;
      });
      return true;
    });
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw badTensor('the ONNX file', 'a ModelProto', (error as Error).message);
  }
  if (nodes.length === 0) throw badTensor('the ONNX file', 'a ModelProto', 'no graph');
  return { nodes, initializers };
}

const SUPPORTED = 'Conv, Gemm, MatMul with Add, Relu, MaxPool, Flatten, Reshape, Transpose, Dropout, Identity, a first Mul by 1/255';
/** What only images need, whose channels come first unless they were transposed. */
const IMAGES = /^(Conv|MaxPool|Flatten|Reshape)$/;
const WITHOUT_WEIGHTS = new Set(['Relu', 'MaxPool', 'Flatten', 'Reshape', 'Transpose', 'Dropout', 'Identity', 'Constant']);
/** What an attribute must say where it is given. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  Conv: { strides: 1, dilations: 1, group: 1 },
  MaxPool: { kernel_shape: 2, strides: 2, pads: 0 },
  Gemm: { transA: 0, alpha: 1, beta: 1 },
};

/**
 * The layers of an ONNX file in order.
 * @throws SeedmaskError bad-checkpoint that names the operator or tensor
 */
export function readOnnxLayers(file: Uint8Array): LayerTensors[] {
  const { nodes, initializers } = graphOf(file);
  const layers: LayerTensors[] = [];
  const last = nodes.findLastIndex(({ operator }) => /^(Conv|Gemm|MatMul)$/.test(operator));
  if (last < 0) throw badTensor('the ONNX graph', 'layers of Conv, Gemm or MatMul', nodes.map(({ operator }) => operator).join(', '));
  // A chain of dense layers alone takes its inputs as they come.
  let channelsFirst = nodes.slice(0, last).some(({ operator }) => IMAGES.test(operator));
  nodes.slice(0, last + 2).forEach((node, i) => {
    const { operator, inputs, attributes } = node;
    const title = `operator ${operator}${node.name ? ` ${node.name}` : ''}`;
    const held = (input: number): NamedTensor => {
      const tensor = initializers.get(inputs[input] ?? '');
      if (!tensor) throw badTensor(`input ${input} of ${title}`, 'an f32 initializer', inputs[input] ?? 'nothing');
      return tensor;
    };
    for (const [name, expected] of Object.entries(EXPECTED[operator] ?? {})) {
      const wrong = attributes.get(name)?.find((value) => value !== expected);
      if (wrong !== undefined) throw badTensor(`${name} of ${title}`, expected, wrong);
    }
    const bias = (input: number) => (inputs.length > input ? { bias: held(input) } : {});
    if (operator === 'Conv') layers.push({ weight: held(1), ...bias(2), layout: { unitsLast: false, channelsFirst: true } });
    else if (operator === 'Gemm')
      layers.push({ weight: held(1), ...bias(2), layout: { unitsLast: !attributes.get('transB')?.[0], channelsFirst } });
    else if (operator === 'MatMul') layers.push({ weight: held(1), layout: { unitsLast: true, channelsFirst } });
    else if (operator === 'Add' && nodes[i - 1]?.operator === 'MatMul') {
      const found = initializers.get(inputs[0]) ?? held(1);
      layers.push({ ...layers.pop()!, bias: found });
    } else if (operator === 'Transpose') channelsFirst = attributes.get('perm')?.[1] === 3;
    else if (i > last || WITHOUT_WEIGHTS.has(operator)) return;
    else if (operator === 'Mul' && layers.length === 0 && isPixelScale(held(1))) return;
    else throw badTensor(title, SUPPORTED, operator);
  });
  // Behind the first dense layer there is no image, whatever the flag says: layouts.ts then finds one channel order.
  return layers;
}

const isPixelScale = ({ values }: NamedTensor): boolean => values.length === 1 && Math.abs(Number(values[0]) * 255 - 1) < 1e-6;
