// A dense network under its mask as an ONNX file, for ONNX Runtime beside us: MatMul, Relu, Softmax over raw pixels, float32. The bytes
// are written by hand, since all that is needed of protobuf is varints and lengths (onnx.proto: the numbers are its field numbers).

import { regenerate } from '../dist/src/index.js';
import { kept, weighted } from '../dist/src/network.js';

const varint = (n) => {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
};
const number = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field, ...parts) => {
  const all = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([varint(field * 8 + 2), varint(all.length), all]);
};
const FLOAT = 1;

const tensor = (name, dims, values) =>
  bytes(5, ...dims.map((n) => number(1, n)), number(2, FLOAT), bytes(8, name), bytes(9, new Uint8Array(values.buffer)));
const node = (type, given, made) => bytes(1, ...given.map((name) => bytes(1, name)), bytes(2, made), bytes(4, type));
const rows = (field, name, width) =>
  bytes(field, bytes(1, name), bytes(2, bytes(1, number(1, FLOAT), bytes(2, bytes(1, bytes(2, 'n')), bytes(1, number(1, width))))));

/**
 * @param network dense layers alone
 * @param task its mask, transform (with mean 0) and logit scale
 * @returns an ONNX file: pixels [n, inputs] -> probabilities [n, outputs]
 */
export function onnxOf(network, { mask, transform, logitScale }) {
  const weights = regenerate(network);
  const layers = weighted(network);
  const nodes = [];
  const tensors = [];
  let last = 'pixels';
  layers.forEach(({ fanIn, output: [, , units], layer }, l) => {
    const scale = (l === 0 ? transform.scale : 1) * (l === layers.length - 1 ? logitScale : 1);
    const turned = new Float32Array(fanIn * units);
    weights[l].forEach((w, i) => {
      if (kept(mask[l], i)) turned[(i % fanIn) * units + Math.floor(i / fanIn)] = w * scale;
    });
    tensors.push(tensor(`w${l}`, [fanIn, units], turned));
    nodes.push(node('MatMul', [last, `w${l}`], `z${l}`));
    last = `z${l}`;
    if (layer.kind === 'pool' || layer.activation !== 'relu') return;
    nodes.push(node('Relu', [last], `a${l}`));
    last = `a${l}`;
  });
  nodes.push(node('Softmax', [last], 'probabilities'));
  const [first, end] = [layers[0].fanIn, layers.at(-1).output[2]];
  const graph = bytes(7, ...nodes, bytes(2, 'seedmask'), ...tensors, rows(11, 'pixels', first), rows(12, 'probabilities', end));
  return Buffer.concat([number(1, 8), graph, bytes(8, number(2, 17))]);
}
