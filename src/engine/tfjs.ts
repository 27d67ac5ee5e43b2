// An engine over any TensorFlow.js instance that is passed in: its backend multiplies, everything else is the reference engine's. So
// whoever has tfjs-node, WebGL or WebGPU's synchronous kernels trains and classifies there.
//
//   integer programs  exact: numbers are cut into digits so small that every f32 sum of digits is exact, and put together as int32
//   all else          f32 as the backend adds it: close to the reference, not its bits
//   optimisers, masks trainers.ts, on arrays; a batch's weights go to the backend and its gradients come back
//
// WebGL keeps int32 as floats and may round to 16 bits: its integer logits are not promised.

import type * as TfjsCore from '@tensorflow/tfjs-core';
import {
  checkMask,
  fullMask,
  inputs,
  maskedWeights,
  type Network,
  outputs,
  type Parameters,
  type Placed,
  place,
  regenerate,
  ShapeError,
  weighted,
  weightShapes,
  windowOf,
} from '../network.js';
import { byClassifiers } from './any-mask.js';
import { integerProgram } from './bounds.js';
import { Batch, checkApplied, checkBatch, checkInputs, checkParameters, checkRows, checkTrainingSet, pick, untilFreed } from './checks.js';
import { type Classifier, type ClassifierOptions, type Engine, PIXELS, type TrainingSet } from './engine.js';
import { transformed } from './plain.js';
import { type Gradients, gradientRoom, trainersOver } from './trainers.js';

/** What is used of TensorFlow.js: `import * as tf from '@tensorflow/tfjs'`, or of tfjs-node. */
export type TensorFlow = Pick<
  typeof TfjsCore,
  | 'add'
  | 'cast'
  | 'conv2d'
  | 'engine'
  | 'floorDiv'
  | 'logSoftmax'
  | 'matMul'
  | 'maxPool'
  | 'maximum'
  | 'mean'
  | 'memory'
  | 'mul'
  | 'neg'
  | 'relu'
  | 'reshape'
  | 'scalar'
  | 'slice'
  | 'sub'
  | 'sum'
  | 'tensor'
  | 'transpose'
  | 'variable'
  | 'variableGrads'
>;
type Tensor = TfjsCore.Tensor;

/** Rows that are computed at once. */
const ROWS = 256;
/** Whole numbers up to here are exact in f32. */
const EXACT = 2 ** 24;
/** Inputs that a unit of an integer program may have: cut by 2, the least base, a number is at most 3 in the end, as `exactSums` counts. */
const MOST_INPUTS = Math.floor(EXACT / 3);

/** @param tf an instance whose backend is set and ready */
export function createTfjsEngine(tf: TensorFlow): Engine {
  const standing = new Set<Classifier>();
  let closed = false;
  const classify = (network: Network, options: ClassifierOptions = {}): Classifier => {
    if (closed) throw new Error('the engine is closed');
    const made = classifier(tf, network, options);
    standing.add(made);
    const free = () => {
      standing.delete(made);
      made.free();
    };
    return { ...made, free };
  };
  return {
    name: 'tfjs',
    threads: 1,
    get memoryBytes() {
      return tf.memory().numBytes;
    },
    classifier: classify,
    anyMask: byClassifiers(classify),
    ...trainersOver((network, data, batch, weights, biases) => gradientsOf(tf, network, data, batch, { weights, biases })),
    close() {
      closed = true;
      for (const made of standing) made.free();
      standing.clear();
    },
  };
}

/** Runs `work` and frees every tensor that it made. */
function scoped<T extends Float32Array | Int32Array | number>(tf: TensorFlow, work: () => T): T {
  tf.engine().startScope();
  try {
    return work();
  } finally {
    tf.engine().endScope();
  }
}

/** The values of a tensor as they are, without a promise. */
const values = (tensor: Tensor): Float32Array | Int32Array => tensor.dataSync<'float32' | 'int32'>();

/** The weighted sums of a layer of f32 values, weights in canonical order. */
function sums(tf: TensorFlow, { layer, output }: Placed, x: Tensor, w: Tensor): Tensor {
  const rows = x.shape[0];
  const shape = [rows, ...output];
  if (layer.kind !== 'conv') return tf.reshape(tf.matMul(tf.reshape(x, [rows, -1]), w, false, true), shape);
  const filter = tf.transpose(w, [1, 2, 3, 0]) as TfjsCore.Tensor4D;
  return tf.reshape(tf.conv2d(x as TfjsCore.Tensor4D, filter, 1, windowOf(layer).padding), shape);
}

/** f32 logits of rows [rows, height, width, channels] of transformed values. */
function forward(tf: TensorFlow, network: Network, x: Tensor, weights: readonly Tensor[], biases: readonly Tensor[] | null): Tensor {
  let out = x;
  for (const placed of place(network)) {
    const { layer, stream } = placed;
    if (layer.kind === 'pool') {
      out = tf.maxPool(out as TfjsCore.Tensor4D, 2, 2, 'valid');
      continue;
    }
    out = sums(tf, placed, out, weights[stream]);
    if (biases) out = tf.add(out, biases[stream]);
    if (layer.activation === 'relu') out = tf.relu(out);
  }
  return tf.reshape(out, [x.shape[0], -1]);
}

/** Exact int32 sums of int32 inputs: digits of `bits` bits, as many as `largest` needs; the highest has the sign. */
function exactSums(tf: TensorFlow, placed: Placed, x: Tensor, signs: Tensor, largest: number): Tensor {
  const bits = Math.max(1, 24 - Math.ceil(Math.log2(placed.fanIn)));
  const base = 2 ** bits;
  let [rest, total, weight, most] = [x, null as Tensor | null, 1, largest];
  for (;;) {
    const isLast = most * placed.fanIn <= EXACT;
    const higher = isLast ? null : tf.floorDiv(rest, tf.scalar(base, 'int32'));
    const digit = higher ? tf.sub(rest, tf.mul(higher, tf.scalar(base, 'int32'))) : rest;
    const part = tf.mul(tf.cast(sums(tf, placed, tf.cast(digit, 'float32'), signs), 'int32'), tf.scalar(weight, 'int32'));
    total = total ? tf.add(total, part) : part;
    if (!higher) return total;
    [rest, weight, most] = [higher, weight * base, Math.ceil(most / base) + 1];
  }
}

/** The largest of every 2x2 pixels, of int32: first of two lines, then of two columns. */
function pooled(tf: TensorFlow, x: Tensor, { output: [height, width] }: Placed): Tensor {
  const [rows, , , channels] = x.shape;
  const ofTwo = (values: Tensor, count: number, each: number): Tensor => {
    const pairs = tf.reshape(values, [count, 2, each]);
    return tf.maximum(tf.slice(pairs, [0, 0, 0], [count, 1, each]), tf.slice(pairs, [0, 1, 0], [count, 1, each]));
  };
  const even = tf.slice(x, [0, 0, 0, 0], [rows, 2 * height, 2 * width, channels]);
  const lines = ofTwo(even, rows * height, 2 * width * channels);
  return tf.reshape(ofTwo(lines, rows * height * width, channels), [rows, height, width, channels]);
}

function forwardIntegers(tf: TensorFlow, network: Network, x: Tensor, signs: readonly Tensor[], largest: readonly number[]): Tensor {
  let out = x;
  let most = 255;
  for (const placed of place(network)) {
    const { layer, stream } = placed;
    if (layer.kind === 'pool') {
      out = pooled(tf, out, placed);
      continue;
    }
    out = exactSums(tf, placed, out, signs[stream], most);
    if (layer.activation === 'relu') out = tf.maximum(out, tf.scalar(0, 'int32'));
    most = largest[stream];
  }
  return tf.reshape(out, [x.shape[0], -1]);
}

function classifier(
  tf: TensorFlow,
  network: Network,
  { mask = fullMask(network, true), transform = PIXELS, parameters }: ClassifierOptions,
): Classifier {
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const all = parameters?.weights ?? regenerate(network);
  const program = parameters ? null : integerProgram(network, mask, transform, all);
  const wide = program ? weighted(network).find(({ fanIn }) => fanIn > MOST_INPUTS) : undefined;
  if (wide) {
    const found = `layer ${wide.stream} sums ${wide.fanIn} inputs, more than the ${MOST_INPUTS} whose sums are exact in f32`;
    throw new ShapeError(`${found}: the wasm engine takes it`);
  }
  const shapes = weightShapes(network);
  const masked = maskedWeights(all, mask);
  const weights = masked.map((w, layer) => tf.tensor(w, shapes[layer]));
  const signs = program ? masked.map((w, layer) => tf.tensor(w.map(Math.sign), shapes[layer])) : [];
  const biases = parameters?.biases?.map((b) => tf.tensor(b)) ?? null;
  const width = inputs(network);
  const count = outputs(network);
  return untilFreed<Classifier>('classifier', {
    scale: program?.scale ?? 1,
    inputs: width,
    outputs: count,
    bytes: [...weights, ...signs].reduce((sum, { size: n }) => sum + 4 * n, 0),
    logits(raw, rows) {
      checkInputs(raw, rows, width);
      checkApplied(raw, transform, width);
      const integers = program !== null && raw instanceof Uint8Array;
      const out = integers ? new Int32Array(rows * count) : new Float32Array(rows * count);
      for (let from = 0; from < rows; from += ROWS) {
        const part = raw.subarray(from * width, Math.min(rows, from + ROWS) * width);
        const shape = [part.length / width, ...network.input];
        const answer = scoped(tf, () =>
          values(
            integers
              ? forwardIntegers(
                  tf,
                  network,
                  tf.tensor(Int32Array.from(part), shape, 'int32'),
                  signs,
                  program.bounds.map((bound) => bound.largest),
                )
              : forward(tf, network, tf.tensor(transformed(part, transform), shape), weights, biases),
          ),
        );
        out.set(answer, from * count);
      }
      return out;
    },
    free() {
      for (const tensor of [...weights, ...signs, ...(biases ?? [])]) tensor.dispose();
    },
  });
}

function gradientsOf(tf: TensorFlow, network: Network, data: TrainingSet, batch: number, { weights, biases }: Parameters): Gradients {
  checkTrainingSet(network, data, batch);
  const width = inputs(network);
  const count = outputs(network);
  const shapes = weightShapes(network);
  const layers = gradientRoom(network);
  let { images } = data;
  const gather = (rows: Uint32Array): Tensor => {
    const raw = new Uint8Array(rows.length * width);
    rows.forEach((row, i) => {
      raw.set(images.subarray(row * width, (row + 1) * width), i * width);
    });
    return tf.tensor(transformed(raw, data.transform), [rows.length, ...network.input]);
  };
  const standing = new Batch();
  return {
    layers,
    standing,
    gradients(rows) {
      checkBatch(rows, data, batch);
      const truth = new Float32Array(rows.length * count);
      rows.forEach((row, i) => {
        truth[i * count + data.labels[row]] = 1;
      });
      const loss = scoped(tf, () => {
        const variables = weights.map((w, layer) => tf.variable(tf.tensor(w, shapes[layer])));
        const shifts = biases?.map((b) => tf.variable(tf.tensor(b))) ?? null;
        const { value, grads } = tf.variableGrads(() => {
          const logits = forward(tf, network, gather(rows), variables, shifts);
          const likelihood = tf.sum(tf.mul(tf.tensor(truth, [rows.length, count]), tf.logSoftmax(logits)), 1);
          return tf.neg(tf.mean(likelihood)) as TfjsCore.Scalar;
        }, [...variables, ...(shifts ?? [])]);
        layers.forEach((layer, i) => {
          layer.dW.set(values(grads[variables[i].name]));
          if (shifts) layer.dBias.set(values(grads[shifts[i].name]));
          layer.euler = layer.dW.reduce((sum, d, at) => sum + d * weights[i][at], 0);
        });
        for (const variable of [...variables, ...(shifts ?? [])]) variable.dispose();
        return values(value)[0];
      });
      standing.made();
      return loss;
    },
    weightGradient(layer) {
      const { dW } = pick(layers, layer);
      standing.check();
      return dW.slice();
    },
    logits(rows) {
      checkRows(rows, data);
      return scoped(tf, () => {
        const tensors = weights.map((w, layer) => tf.tensor(w, shapes[layer]));
        return Float32Array.from(values(forward(tf, network, gather(rows), tensors, biases?.map((b) => tf.tensor(b)) ?? null)));
      });
    },
    show(others) {
      checkInputs(others, data.labels.length, width);
      standing.usedUp();
      images = others.slice();
    },
  };
}
