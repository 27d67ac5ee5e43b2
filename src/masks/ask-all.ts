// Which of many masks are these inputs for, by asking all of them: under its own mask a network gives logits that lie far apart, under
// another's they lie close, so the mask whose free energy stands highest above its mean logit is the one (SupSup's G looks at such a sum
// over unused outputs; Liu et al. 2020, arXiv 2010.03759, at free energies for unknown inputs). A pass for each mask, none back, and no
// outputs beyond the classes: with sparse masks over packed bits some microseconds each, and far surer than the entropy gradient of
// infer-task.ts. Which score is best was looked for on validation rows (experiments/README.md).

import type { AnyMask } from '../engine/engine.js';
import { exp, ln } from '../exact.js';
import { ShapeError } from '../network.js';

/** A mask as `packMask` gives it, and the temperature of its task. */
export interface Asked {
  readonly mask: Uint8Array;
  readonly logitScale: number;
}

export interface MaskGuess {
  /** Index of the mask with the highest score; ties to the lower. */
  readonly best: number;
  /** Mean free energy of the rows under each mask, above its mean logit, nats. */
  readonly scores: Float64Array;
}

/**
 * Which of the masks fits rows of one unknown task.
 * @param network from `engine.anyMask`
 * @param values rows x inputs raw values, sample-major
 * @throws ShapeError when there is no mask or no row, or they do not fit the network
 */
export function askAll(network: AnyMask, masks: readonly Asked[], values: Uint8Array, rows: number): MaskGuess {
  if (masks.length === 0) throw new ShapeError('to tell tasks apart takes at least 1 mask, got 0');
  if (!(Number.isInteger(rows) && rows > 0)) throw new ShapeError(`expected at least 1 row, got ${rows}`);
  const scores = Float64Array.from(masks, ({ mask, logitScale }) => {
    const logits = network.logits(mask, values, rows);
    const scale = logitScale * network.scale;
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += energy(logits.subarray(row * network.outputs, (row + 1) * network.outputs), scale);
    return sum / rows;
  });
  return { best: scores.reduce((best, score, i) => (score > scores[best] ? i : best), 0), scores };
}

/** At 1 one logit alone decides; the higher, the more all of them do. */
const TEMPERATURE = 4;

/** Free energy T log sum exp(z / T) of z = scale x values, above their mean. */
function energy(values: Int32Array, scale: number): number {
  let [top, mean] = [values[0], 0];
  for (const value of values) {
    if (value > top) top = value;
    mean += value / values.length;
  }
  let sum = 0;
  for (const value of values) sum += exp(((value - top) * scale) / TEMPERATURE);
  return (top - mean) * scale + TEMPERATURE * ln(sum);
}
