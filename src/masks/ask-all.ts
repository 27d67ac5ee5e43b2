// Which of many masks are these inputs for, by asking all of them: under its own mask a network gives logits that lie far apart, under
// another's they lie close, so the mask whose free energy stands highest above its mean logit is the one (SupSup's G looks at such a sum
// over unused outputs; Liu et al. 2020, arXiv 2010.03759, at free energies for unknown inputs). A pass for each mask, none back, and no
// outputs beyond the classes: with sparse masks over packed bits some microseconds each, and far surer than the entropy gradient of
// infer-task.ts. Which score is best was looked for on validation rows (experiments/README.md).
//
// Free energies add up over rows as logarithms of probabilities do, so the confidence is the softmax of their sums.

import { type AnyMask, type Classifier, stepOf } from '../engine/engine.js';
import { exp, ln } from '../exact.js';
import { ShapeError } from '../network.js';
import { type TaskGuess, told } from './infer-task.js';

/** A mask as `packMask` gives it, and the temperature of its task. */
export interface Asked {
  readonly mask: Uint8Array;
  readonly logitScale: number;
}

/** The rows in question under one of the masks. */
export interface Answers extends Pick<Classifier, 'outputs' | 'scale'>, Pick<Asked, 'logitScale'> {
  /** Logits of `count` rows from `first` on, count x outputs. */
  logits(first: number, count: number): Int32Array | Float32Array;
}

/** Rows that one step asks a mask about at most: of networks of dense layers well below a millisecond. */
const TURN_ROWS = 16;

/**
 * Which of the masks fits rows of one unknown task; scores are mean free energies above the mean logits, nats.
 * @param network from `engine.anyMask`
 * @param values rows x inputs raw values, sample-major
 * @throws ShapeError when there is no mask or no row, they do not fit the network, or no score comes of them
 */
export function askAll(network: AnyMask, masks: readonly Asked[], values: Uint8Array, rows: number): TaskGuess {
  const width = network.inputs;
  if (values.length !== rows * width)
    throw new ShapeError(`got ${values.length} input values, expected ${rows} rows x ${width} values, at least 1 row`);
  const each = masks.map(
    ({ mask, logitScale }): Answers => ({
      outputs: network.outputs,
      scale: network.scale,
      logitScale,
      logits: (first, count) => network.logits(mask, values.subarray(first * width, (first + count) * width), count),
    }),
  );
  return told(askSteps(each, rows));
}

/**
 * The same in short steps, of whatever can answer under each mask; scores may be no numbers, which is for the caller to see.
 * @param each asked one after the other, the next when the one before is done with
 * @throws ShapeError when there is no mask or no row
 */
export function* askSteps(each: Iterable<Answers>, rows: number): Generator<void, TaskGuess> {
  if (!(Number.isInteger(rows) && rows > 0)) throw new ShapeError(`expected at least 1 row, got ${rows}`);
  const sums: number[] = [];
  for (const answers of each) {
    const { outputs, logitScale } = answers;
    let sum = 0;
    for (let first = 0; first < rows; first += TURN_ROWS) {
      const count = Math.min(TURN_ROWS, rows - first);
      const found = answers.logits(first, count);
      const scale = logitScale * stepOf(answers, found);
      for (let row = 0; row < count; row++) sum += energy(found.subarray(row * outputs, (row + 1) * outputs), scale);
      yield;
    }
    sums.push(sum);
  }
  const masks = sums.length;
  if (masks === 0) throw new ShapeError('to tell tasks apart takes at least 1 mask, got 0');
  const best = sums.reduce((top, sum, i) => (sum > sums[top] ? i : top), 0);
  const confidence = 1 / sums.reduce((total, sum) => total + exp(sum - sums[best]), 0);
  return { best, confidence, scores: Float64Array.from(sums, (sum) => sum / rows), cost: { passes: masks, masks } };
}

/** At 1 one logit alone decides; the higher, the more all of them do. */
const TEMPERATURE = 4;

/** Free energy T log sum exp(z / T) of z = scale x values, above their mean. */
function energy(values: Int32Array | Float32Array, scale: number): number {
  let [top, mean] = [values[0], 0];
  for (const value of values) {
    if (value > top) top = value;
    mean += value / values.length;
  }
  let sum = 0;
  for (const value of values) sum += exp(((value - top) * scale) / TEMPERATURE);
  return (top - mean) * scale + TEMPERATURE * ln(sum);
}
