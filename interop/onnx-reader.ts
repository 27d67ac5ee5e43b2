// ONNX, read: the weights and biases of a chain of Conv, Gemm or MatMul, whatever exported it. Operators between them must be those of a
// Seedmask network (Relu, MaxPool 2x2, Flatten), each taking what the one before gave; another is refused by its name.
//
// Where an image has its channels is followed through the graph: its input's shape says it, Conv and MaxPool have them first, Transpose
// moves them. A dense layer takes its inputs in the order that they have there.

import type { Architecture, Padding } from '../src/network.js';
import { Chain } from './chain.js';
import { badTensor, FLOATS, isFlat, LAYOUTS, type LayerTensors, type LayoutName, type NamedTensor } from './layouts.js';
import { graphOf, type Node } from './onnx-graph.js';

const SUPPORTED = 'Conv, Gemm, MatMul with Add, Relu, MaxPool, Flatten, Reshape, Transpose, Dropout, Identity, a first Mul by 1/255';
const WITHOUT_WEIGHTS = new Set(['Relu', 'MaxPool', 'Flatten', 'Reshape', 'Transpose', 'Dropout', 'Identity']);
/** Between a layer and the Add of its bias. */
const BEFORE_BIAS = new Set(['Flatten', 'Reshape', 'Transpose', 'Dropout', 'Identity']);
/** What an attribute must say where it is given. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, readonly (number | string)[]>>>> = {
  Conv: { strides: [1], dilations: [1], group: [1] },
  MaxPool: { kernel_shape: [2], strides: [2], pads: [0], auto_pad: ['NOTSET', 'VALID'], dilations: [1], ceil_mode: [0] },
  Gemm: { transA: [0], alpha: [1], beta: [1] },
};
/** What stands for an attribute that is not given, and is not what the table expects. */
const DEFAULTS: Readonly<Record<string, readonly number[]>> = { strides: [1] };

const hasWeights = (operator: string): boolean => /^(Conv|Gemm|MatMul)$/.test(operator);

/**
 * The layers of an ONNX file in order.
 * @param layout whether images have their channels first, where the graph leaves it open
 * @throws SeedmaskError bad-checkpoint that names the operator or tensor
 */
export function readOnnxLayers(file: Uint8Array, architecture: Architecture, layout?: LayoutName): LayerTensors[] {
  const { nodes, constants, shape } = graphOf(file);
  const chain = new Chain();
  const last = nodes.findLastIndex(({ operator }) => hasWeights(operator));
  if (last < 0) throw badTensor('the ONNX graph', 'layers of Conv, Gemm or MatMul', nodes.map(({ operator }) => operator).join(', '));
  let channelsFirst = orderOf(shape, architecture);
  let [flattened, awaitsBias, answered] = [false, false, false];
  /** What the chain has come to; nothing yet is the image. */
  let given: string | undefined;
  nodes.forEach((node, i) => {
    const { operator, inputs, attributes, title } = node;
    const taken = inputs.filter((name) => name !== '' && !constants.has(name));
    // Of the logits anything may be made.
    if (i > last && !taken.includes(given!)) return;
    if (i <= last && (taken.length !== 1 || (given !== undefined && taken[0] !== given)))
      throw badTensor(
        `what ${title} takes`,
        `${given ?? 'the image'} alone, as the layers form a chain`,
        taken.join(' and ') || 'constants',
      );
    given = node.outputs[0] ?? '';
    const held = (input: number): NamedTensor => {
      const constant = constants.get(inputs[input] ?? '');
      if (constant && 'values' in constant) return constant;
      const got = constant ? `${inputs[input]} of type ${constant.type}` : inputs[input] || 'nothing';
      throw badTensor(`input ${input} of ${title}`, `an initializer or Constant of ${FLOATS}`, got);
    };
    const bias = (input: number) => (inputs[input] ? { bias: held(input) } : {});
    const dense = (unitsLast: boolean) => {
      // What the graph leaves open of an image its reader may know.
      const order = channelsFirst ?? (layout && !chain.last ? LAYOUTS[layout].channelsFirst : undefined);
      // A vector is taken as it comes, and so is what a dense layer gave.
      if (order === undefined && flattened && shape.length !== 2 && !chain.last && !isFlat(architecture))
        throw badTensor('the layout', 'named with --layout', 'a graph that leaves open where its images have their channels');
      chain.add({ weight: held(1), ...bias(2), layout: { unitsLast, channelsFirst: order ?? false } });
      channelsFirst = undefined;
    };
    checkAttributes(node);
    if (operator === 'Conv') {
      const weight = held(1);
      channelsFirst = true;
      chain.add({ weight, ...bias(2), layout: LAYOUTS.torch, padding: paddingOf(node, weight.shape[2] ?? 1) });
    } else if (operator === 'Gemm') dense(!attributes.get('transB')?.[0]);
    else if (operator === 'MatMul') dense(true);
    else if (operator === 'Add' && !answered) {
      const layer = chain.last;
      if (!layer || layer.bias || !awaitsBias)
        throw badTensor(title, 'the bias of a layer before it', layer?.bias && awaitsBias ? 'a second one' : 'no such layer');
      const image = layer.weight.shape.length > 2 && channelsFirst;
      chain.say({ bias: biasOf(held(constants.has(inputs[0]) ? 0 : 1), image ? 2 : 0) });
    } else if (operator === 'Transpose') channelsFirst = transposed(node, channelsFirst, i <= last);
    else if (operator === 'Relu' && !answered) {
      if (!chain.last) throw badTensor(title, 'behind a layer', 'the image itself');
      chain.say({ activation: 'relu' });
    } else if (operator === 'MaxPool' && !answered) {
      chain.pool();
      channelsFirst = true;
    } else if (i <= last && operator === 'Mul' && !chain.last && isPixelScale(held(constants.has(inputs[0]) ? 0 : 1))) return;
    else if (i <= last && !WITHOUT_WEIGHTS.has(operator)) throw badTensor(title, SUPPORTED, operator);
    answered ||= i > last && /Softmax$/.test(operator);
    flattened ||= operator === 'Flatten' || operator === 'Reshape';
    awaitsBias = hasWeights(operator) || (awaitsBias && (operator === 'Add' || BEFORE_BIAS.has(operator)));
  });
  return chain.layers;
}

function checkAttributes({ operator, attributes, title }: Node): void {
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

const [TO_FIRST, TO_LAST] = ['0,3,1,2', '0,2,3,1'];
/** Whether channels are first behind a Transpose. Throws SeedmaskError bad-checkpoint for one that moves anything else, where that counts. */
function transposed({ attributes, title }: Node, channelsFirst: boolean | undefined, counts: boolean): boolean {
  const perm = attributes.get('perm')?.join();
  const moves = channelsFirst === undefined ? [TO_FIRST, TO_LAST] : [channelsFirst ? TO_LAST : TO_FIRST];
  if (counts && !moves.includes(perm ?? '')) throw badTensor(`perm of ${title}`, moves.join(' or '), perm ?? 'none');
  return perm === TO_FIRST;
}

/** What a Conv adds around its image. */
function paddingOf({ attributes, title }: Node, kernel: number): Padding {
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
