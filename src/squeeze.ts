// After training: flips bits of a mask where that saves bits of the file and the training loss is no higher for it. Prices come from
// whoever writes the mask; what a flip does to the loss is estimated for all weights at once, and then measured:
//
//   rank     every flip that a price says saves, by what it should do to the loss: slope x change + 1/2 curvature x change^2, the curvature
//            from the squares of gradients (empirical Fisher information, as in Theis et al. 2018); falls first, then by rise a bit
//   try      the best of them together; they stay when the mask takes fewer bits and the loss on all training rows is not above the first
//   again    twice as many after a success, half after a failure; one that fails alone is not tried again
//
// What a round gains in loss the next may spend. Nothing here looks at validation rows: who squeezes checks on rows that chose nothing.

import { type Dataset, epochOrder, imagesOf, labelsOf } from './data.js';
import { type Engine, type InputTransform, PIXELS } from './engine/engine.js';
import { meanNll } from './evaluate.js';
import { kept, type Mask, maskedWeights, type Network, outputs, regenerate } from './network.js';
import type { Rate } from './train.js';

export interface SqueezeOptions {
  /** Probabilities are softmax(logitScale x logits). */
  readonly logitScale: number;
  readonly transform?: InputTransform;
  readonly costs: Rate['costs'];
  /** Bits that a mask takes in the file. */
  readonly bits: (mask: Mask) => number;
  /** The most rounds; default 60. */
  readonly rounds?: number;
  readonly onProgress?: (progress: SqueezeProgress) => void;
  readonly signal?: AbortSignal;
}

export interface SqueezeProgress {
  readonly round: number;
  readonly rounds: number;
  readonly bits: number;
  readonly loss: number;
}

export interface Squeezed {
  readonly mask: Uint8Array[];
  readonly flips: number;
  /** Mean negative log-likelihood of the training rows, nats. */
  readonly lossBefore: number;
  readonly lossAfter: number;
  readonly bitsBefore: number;
  readonly bitsAfter: number;
}

const ROUNDS = 60;
/** Rows that slopes and curvatures are taken from, and how many of them make one gradient. */
const GRADIENT_ROWS = 8192;
const BATCH = 64;
const FIRST_GROUP = 32;

interface Flip {
  readonly layer: number;
  readonly at: number;
  /** Lower is better. */
  readonly rank: number;
}

/**
 * The squeezed mask of a task: never more bits, never a higher training loss.
 * @param rows training rows of `data`
 */
export async function squeeze(
  engine: Engine,
  network: Network,
  data: Dataset,
  rows: Uint32Array,
  mask: Mask,
  options: SqueezeOptions,
): Promise<Squeezed> {
  const { bits, costs, rounds = ROUNDS, transform = PIXELS } = options;
  const images = imagesOf(data, rows);
  const labels = labelsOf(data, rows);
  const lossOf = (one: Mask): number => {
    const classifier = engine.classifier(network, { mask: one, transform });
    const loss = meanNll(classifier, images, labels, outputs(network), options.logitScale);
    classifier.free();
    return loss;
  };
  const rises = risesOf(engine, network, data, rows, { ...options, transform });
  const first: Standing = { mask: mask.map((layer) => layer.slice()), loss: lossOf(mask), bits: bits(mask), flips: 0 };
  let now = first;
  let ranked: Flip[] | null = null;
  let group = FIRST_GROUP;
  const failed = new Set<string>();
  for (let round = 1; round <= rounds; round++) {
    ranked ??= rank(now.mask, costs(now.mask), rises(now.mask, round)).filter((one) => !failed.has(nameOf(one)));
    if (ranked.length === 0) break;
    const chosen = ranked.slice(0, group);
    const flipped = flip(now.mask, chosen);
    const size = bits(flipped);
    const loss = size < now.bits ? lossOf(flipped) : Number.POSITIVE_INFINITY;
    if (loss <= first.loss) {
      now = { mask: flipped, loss, bits: size, flips: now.flips + chosen.length };
      ranked = null;
      group = 2 * chosen.length;
    } else if (chosen.length === 1) {
      failed.add(nameOf(chosen[0]));
      ranked = ranked.slice(1);
    } else group = chosen.length >> 1;
    options.onProgress?.({ round, rounds, bits: now.bits, loss: now.loss });
    await new Promise((resolve) => setTimeout(resolve, 0));
    options.signal?.throwIfAborted();
  }
  return {
    mask: now.mask,
    flips: now.flips,
    lossBefore: first.loss,
    lossAfter: now.loss,
    bitsBefore: first.bits,
    bitsAfter: now.bits,
  };
}

interface Standing {
  readonly mask: Uint8Array[];
  readonly loss: number;
  readonly bits: number;
  readonly flips: number;
}

/** What flipping each weight's bit should do to the loss, from some training rows that follow from the seed and the round. */
function risesOf(
  engine: Engine,
  network: Network,
  data: Dataset,
  rows: Uint32Array,
  { logitScale, transform }: { readonly logitScale: number; readonly transform: InputTransform },
): (mask: Mask, round: number) => Float64Array[] {
  const weights = regenerate(network);
  const all = weights.map((values, layer) => (layer === weights.length - 1 ? values.map((w) => w * logitScale) : values));
  return (mask, round) => {
    const some = epochOrder(rows, network.seed, round).subarray(0, GRADIENT_ROWS);
    const set = { images: imagesOf(data, some), labels: labelsOf(data, some), transform };
    const start = maskedWeights(all, mask);
    const batch = Math.min(BATCH, some.length);
    const batches = Math.floor(some.length / batch);
    const trainer = engine.denseTrainer(network, set, { weights: start, biases: null }, batch);
    const slopes = all.map((values) => new Float64Array(values.length));
    const squares = all.map((values) => new Float64Array(values.length));
    for (let b = 0; b < batches; b++) {
      trainer.gradients(Uint32Array.from({ length: batch }, (_, i) => b * batch + i));
      for (let layer = 0; layer < all.length; layer++) {
        const gradient = trainer.weightGradient(layer);
        for (let i = 0; i < gradient.length; i++) {
          slopes[layer][i] += gradient[i];
          squares[layer][i] += gradient[i] * gradient[i];
        }
      }
    }
    trainer.free();
    return all.map((values, layer) =>
      Float64Array.from(values, (w, i) => {
        const change = kept(mask[layer], i) ? -w : w;
        // The mean square of a sample's gradient is about that of a batch's, times the batch.
        return (slopes[layer][i] * change + 0.5 * batch * squares[layer][i] * change * change) / batches;
      }),
    );
  };
}

/** The flips that save bits, the best first; of equals, the one at the lower place. */
function rank(mask: Mask, costs: readonly Float32Array[], rises: readonly Float64Array[]): Flip[] {
  const flips: Flip[] = [];
  mask.forEach((bits, layer) => {
    costs[layer].forEach((cost, at) => {
      const saved = kept(bits, at) ? cost : -cost;
      const rise = rises[layer][at];
      if (saved > 0) flips.push({ layer, at, rank: rise < 0 ? rise : rise / saved });
    });
  });
  return flips.sort((a, b) => a.rank - b.rank || a.layer - b.layer || a.at - b.at);
}

const nameOf = ({ layer, at }: Flip): string => `${layer} ${at}`;

function flip(mask: Mask, flips: readonly Flip[]): Uint8Array[] {
  const out = mask.map((bits) => bits.slice());
  for (const { layer, at } of flips) out[layer][at >> 3] ^= 1 << (at & 7);
  return out;
}
