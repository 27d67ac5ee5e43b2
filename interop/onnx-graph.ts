// An ONNX file as nodes and constants. Constants are its initialisers, and what Constant nodes hold; another name that an Identity gives
// one is taken for it. Only the nodes that compute are left. Field numbers are those of onnx.proto3.

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { SeedmaskError } from '../codec/index.js';
import { badTensor, type FileArray } from './layouts.js';
import { BFLOAT, HALF, type NumberType, stored } from './numbers.js';

export interface Node {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly operator: string;
  /** What complaints call it. */
  readonly title: string;
  readonly attributes: ReadonlyMap<string, readonly (number | string)[]>;
}

export interface OnnxGraph {
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Constant>;
  /** Sizes of what is classified; 0 where the file leaves one open. */
  readonly shape: readonly number[];
}

export type Constant = FileArray & { readonly name: string };

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

interface Attribute {
  readonly name: string;
  readonly values: readonly (number | string)[];
  readonly tensor?: Constant;
}

function attributeOf(bytes: Uint8Array): Attribute {
  let name = '';
  let tensor: Constant | undefined;
  const values: number[] = [];
  const texts: string[] = [];
  eachField(bytes, (number, type, reader) => {
    if (number === 1) name = reader.string();
    else if (number === 2) values[0] = reader.float();
    else if (number === 3 || number === 8) return integers(type, reader, values);
    else if (number === 4) texts[0] = reader.string();
    else if (number === 5) tensor = tensorOf(reader.bytes());
    else return false;
    return true;
  });
  return { name, values: [...values, ...texts], tensor };
}

/** @returns a node, or the constant that it is */
function nodeOf(bytes: Uint8Array): Node | Constant {
  const [inputs, outputs]: string[][] = [[], []];
  const attributes = new Map<string, readonly (number | string)[]>();
  let [name, operator] = ['', ''];
  let value: Constant | undefined;
  eachField(bytes, (number, _, reader) => {
    if (number === 1) inputs.push(reader.string());
    else if (number === 2) outputs.push(reader.string());
    else if (number === 3) name = reader.string();
    else if (number === 4) operator = reader.string();
    else if (number === 5) {
      const attribute = attributeOf(reader.bytes());
      attributes.set(attribute.name, attribute.values);
      value ??= attribute.tensor;
    } else return false;
    return true;
  });
  // A scalar or a list of numbers is no layer's.
  if (operator === 'Constant') return { ...(value ?? { shape: [], type: 'no tensor' }), name: outputs[0] ?? '' };
  return { inputs, outputs, operator, title: `operator ${operator}${name ? ` ${name}` : ''}`, attributes };
}

/** Number types of TensorProto that are read. */
const TYPES = new Map<number, NumberType>([
  [1, stored(Float32Array)],
  [10, HALF],
  [11, stored(Float64Array)],
  [16, BFLOAT],
]);
const TYPE_NAMES =
  'UNDEFINED FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 STRING BOOL FLOAT16 DOUBLE UINT32 UINT64 COMPLEX64 COMPLEX128'.split(' ');
const MAX_RANK = 8;

function tensorOf(bytes: Uint8Array): Constant {
  const shape: number[] = [];
  // No tensor has more bytes than its message.
  const data = new Uint8Array(bytes.length);
  let [name, type, filled, outside, inWords] = ['', 0, 0, false, false];
  eachField(bytes, (number, wire, reader) => {
    if (number === 1) return integers(wire, reader, shape);
    if (number === 2) type = reader.int32();
    else if (wire === WireType.LengthDelimited && (number === 4 || number === 9 || number === 10)) {
      // Packed float_data, double_data and raw_data are the same bytes.
      const part = reader.bytes();
      data.set(part, filled);
      filled += part.length;
    } else if (number === 8) name = reader.string();
    else {
      // Other data, of which halves may be a word each.
      outside ||= number === 13;
      inWords ||= number === 5;
      return false;
    }
    return true;
  });
  const field = name || 'a constant';
  if (outside)
    throw badTensor(
      field,
      'in the file itself',
      'data in another file',
      'Export it in one (PyTorch: torch.onnx.export with external_data=False)',
    );
  const read = TYPES.get(type);
  const words = inWords && filled === 0 ? ' in int32_data' : '';
  if (!read || words) return { name, shape, type: (TYPE_NAMES[type] ?? `number ${type}`) + words };
  if (shape.length > MAX_RANK) throw badTensor(`the shape of ${field}`, `at most ${MAX_RANK} dimensions`, 'more');
  const size = shape.reduce((a, b) => a * b, 1);
  if (filled !== size * read.bytes) throw badTensor(field, `${shape.join(' x ')} values`, filled / read.bytes);
  return { name, shape, values: read.read(data.slice(0, filled)) };
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

interface GraphInput {
  readonly name: string;
  readonly shape: readonly number[];
}

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

/** @throws SeedmaskError bad-checkpoint */
export function graphOf(file: Uint8Array): OnnxGraph {
  const all: Node[] = [];
  const constants = new Map<string, Constant>();
  const inputs: GraphInput[] = [];
  const hold = (constant: Constant) => constants.set(constant.name, constant);
  try {
    within(file, [7], (graph) =>
      eachField(graph, (number, _, reader) => {
        if (number === 1) {
          const node = nodeOf(reader.bytes());
          if ('operator' in node) all.push(node);
          else hold(node);
        } else if (number === 5) hold(tensorOf(reader.bytes()));
        else if (number === 11) inputs.push(inputOf(reader.bytes()));
        else return false;
        return true;
      }),
    );
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw badTensor('the ONNX file', 'a ModelProto', (error as Error).message);
  }
  const nodes = all.filter(({ operator, inputs: [of], outputs: [name] }) => {
    const same = operator === 'Identity' ? constants.get(of) : undefined;
    if (same) constants.set(name, same);
    return !same;
  });
  if (nodes.length === 0) throw badTensor('the ONNX file', 'a ModelProto', 'no graph');
  // Older files list their initialisers among the inputs.
  return { nodes, constants, shape: inputs.find(({ name }) => !constants.has(name))?.shape ?? [] };
}
