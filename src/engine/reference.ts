// The reference engine: what every other engine must equal bit for bit. One sample at a time through the loops of plain.ts, and the
// gradients with them. It is slow on purpose: nothing is skipped, blocked or kept packed.
//
//   classifier      integer program (bounds.ts) where the network allows it, else f32
//   trainers        loss and gradients here, optimiser and mask steps in trainers.ts
//
// All f32 state is rounded with Math.fround after every operation, in the order of the formulas beside the code.

import { checkMask, fullMask, inputs, maskedWeights, type Network, outputs, place, regenerate } from '../network.js';
import { byClassifiers } from './any-mask.js';
import { integerProgram } from './bounds.js';
import { Batch, checkApplied, checkBatch, checkInputs, checkParameters, checkRows, checkTrainingSet, pick, untilFreed } from './checks.js';
import { type Classifier, type ClassifierOptions, type Engine, PIXELS, type TrainingSet } from './engine.js';
import { type Arithmetic, backward, F32, forward, INTEGER, softmaxCrossEntropy, transformed, type Values } from './plain.js';
import { type Gradients, gradientRoom, trainersOver } from './trainers.js';

/** The oracle: every operation of the Engine interface as plain loops. */
export function createReferenceEngine(): Engine {
  return {
    name: 'reference',
    threads: 1,
    memoryBytes: 0,
    classifier,
    anyMask: byClassifiers(classifier),
    ...trainersOver(gradientsOf),
    close: nothing,
  };
}

/** Arrays are all this engine holds: the garbage collector frees them. */
const nothing = (): void => undefined;

function classifier(network: Network, options: ClassifierOptions = {}): Classifier {
  const { mask = fullMask(network, true), transform = PIXELS, parameters } = options;
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const all = parameters?.weights ?? regenerate(network);
  const weights = maskedWeights(all, mask);
  const program = parameters ? null : integerProgram(network, mask, transform, all);
  const signs = program ? weights.map((w) => Int8Array.from(w, Math.sign)) : [];
  const width = inputs(network);
  const count = outputs(network);
  return untilFreed<Classifier>('classifier', {
    scale: program?.scale ?? 1,
    inputs: width,
    outputs: count,
    bytes: [...all, ...weights, ...signs].reduce((sum, { byteLength }) => sum + byteLength, 0),
    logits(raw, rows) {
      checkInputs(raw, rows, width);
      checkApplied(raw, transform, width);
      const integers = program !== null && raw instanceof Uint8Array;
      const out = integers ? new Int32Array(rows * count) : new Float32Array(rows * count);
      for (let row = 0; row < rows; row++) {
        const values = raw.subarray(row * width, (row + 1) * width);
        const activations = integers
          ? walk(network, Int32Array.from(values), signs, null, INTEGER)
          : walk(network, transformed(values, transform), weights, parameters?.biases ?? null, F32);
        out.set(activations.at(-1)!, row * count);
      }
      return out;
    },
    free: nothing,
  });
}

/** The input and every layer's output for one sample. */
function walk<V extends Values>(
  network: Network,
  x: V,
  weights: readonly ArrayLike<number>[],
  biases: readonly Float32Array[] | null,
  arithmetic: Arithmetic<V>,
): V[] {
  const activations = [x];
  for (const placed of place(network)) {
    activations.push(forward(placed, activations.at(-1)!, weights[placed.stream], biases ? biases[placed.stream] : null, arithmetic));
  }
  return activations;
}

/** What both trainers share: loss and gradients of a batch under effective weights that the caller changes in place. */
function gradientsOf(
  network: Network,
  data: TrainingSet,
  batch: number,
  weights: readonly Float32Array[],
  biases: readonly Float32Array[] | null,
): Gradients {
  checkTrainingSet(network, data, batch);
  const placed = place(network);
  const width = inputs(network);
  const count = outputs(network);
  const layers = gradientRoom(network);
  let { images } = data;
  const sample = (row: number): Float32Array[] => {
    const values = images.subarray(row * width, (row + 1) * width);
    return walk(network, transformed(values, data.transform), weights, biases, F32);
  };
  const standing = new Batch();
  return {
    layers,
    standing,
    gradients(rows) {
      checkBatch(rows, data, batch);
      for (const layer of layers) {
        for (const gradient of [layer.dW, layer.dBias]) gradient.fill(0);
        layer.euler = 0;
      }
      let loss = 0;
      for (const row of rows) {
        const activations = sample(row);
        let d: Float32Array = new Float32Array(count);
        loss += softmaxCrossEntropy(activations.at(-1)!, data.labels[row], rows.length, d);
        for (let i = placed.length - 1; i >= 0; i--) {
          const { stream } = placed[i];
          if (stream >= 0) for (let k = 0; k < d.length; k++) layers[stream].euler += d[k] * activations[i + 1][k];
          d = backward(placed[i], activations[i], activations[i + 1], weights[stream], d, layers[stream]);
        }
      }
      standing.made();
      return loss / rows.length;
    },
    weightGradient(layer) {
      const { dW } = pick(layers, layer);
      standing.check();
      return dW.slice();
    },
    logits(rows) {
      checkRows(rows, data);
      const out = new Float32Array(rows.length * count);
      rows.forEach((row, i) => {
        out.set(sample(row).at(-1)!, i * count);
      });
      return out;
    },
    show(others) {
      checkInputs(others, data.labels.length, width);
      standing.usedUp();
      images = others.slice();
    },
  };
}
