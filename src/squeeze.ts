// After training: flips bits of a mask where that saves bytes and the training loss is no higher for it. Prices of bits come from
// whoever writes the mask; what a flip does to the loss is estimated from gradients, for all weights at once, and then measured:
//
//   rank     every flip that a price says saves, by the rise in loss that the gradient predicts: falls first, then by rise a bit
//   try      the best of them together; they stay when the file is smaller and the loss on all training rows not above the first one
//   again    twice as many after a success, half after a failure, until not even one stays
//
// What a round gains in loss the next may spend. Nothing here looks at validation rows: who squeezes checks on rows that chose nothing.

import { type Dataset, epochOrder, imagesOf, labelsOf } from './data.js';
import { type Engine, type InputTransform, PIXELS } from './engine/engine.js';
import { meanNll } from './evaluate.js';
import { kept, type Mask, type Network, outputs, regenerate } from './network.js';
import type { Rate } from './train.js';

export interface SqueezeOptions {
  /** Probabilities are softmax(logitScale x logits). */
  readonly logitScale: number;
  readonly transform?: InputTransform;
  readonly costs: Rate['costs'];
  /** Bytes of a file with this mask. */
  readonly bytes: (mask: Mask) => number;
  /** The most rounds; default 60. */
  readonly rounds?: number;
  readonly onProgress?: (progress: SqueezeProgress) => void;
  readonly signal?: AbortSignal;
}

export interface SqueezeProgress {
  readonly round: number;
  readonly rounds: number;
  readonly bytes: number;
  readonly loss: number;
}

export interface Squeezed {
  readonly mask: Uint8Array[];
  readonly flips: number;
  /** Mean negative log-likelihood of the training rows, nats. */
  readonly lossBefore: number;
  readonly lossAfter: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

const ROUNDS = 60;
/** Rows of a gradient, and how many of them at a time. */
const GRADIENT_ROWS = 8192;
const BATCH = 512;
const FIRST_GROUP = 32;

interface Flip {
  readonly layer: number;
  readonly at: number;
  /** Lower is better. */
  readonly rank: number;
}

/**
 * The squeezed mask of a task: never more bytes, never a higher training loss.
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
  const { bytes, costs, rounds = ROUNDS, transform = PIXELS } = options;
  const images = imagesOf(data, rows);
  const labels = labelsOf(data, rows);
  const lossOf = (bits: Mask): number => {
    const classifier = engine.classifier(network, { mask: bits, transform });
    const loss = meanNll(classifier, images, labels, outputs(network), options.logitScale);
    classifier.free();
    return loss;
  };
  const slopes = slopesOf(engine, network, data, rows, { ...options, transform });
  let now: { mask: Uint8Array[]; loss: number; bytes: number; flips: number } = {
    mask: mask.map((bits) => bits.slice()),
    loss: lossOf(mask),
    bytes: bytes(mask),
    flips: 0,
  };
  const first = now;
  let ranked: Flip[] | null = null;
  let group = FIRST_GROUP;
  for (let round = 0; round < rounds && group >= 1; round++) {
    ranked ??= rank(now.mask, costs(now.mask), slopes(now.mask, round));
    const chosen = ranked.slice(0, group);
    const flipped = flip(now.mask, chosen);
    const size = chosen.length ? bytes(flipped) : now.bytes;
    const loss = size < now.bytes ? lossOf(flipped) : Number.POSITIVE_INFINITY;
    if (loss <= first.loss) {
      now = { mask: flipped, loss, bytes: size, flips: now.flips + chosen.length };
      ranked = null;
      group *= 2;
    } else group = Math.floor(Math.min(group, ranked.length) / 2);
    options.onProgress?.({ round: round + 1, rounds, bytes: now.bytes, loss: now.loss });
    await new Promise((resolve) => setTimeout(resolve, 0));
    options.signal?.throwIfAborted();
  }
  const [before, after] = [first, now];
  return {
    mask: now.mask,
    flips: now.flips,
    lossBefore: before.loss,
    lossAfter: after.loss,
    bytesBefore: before.bytes,
    bytesAfter: after.bytes,
  };
}

/** d loss / d mask bit of every weight, from some training rows that follow from the seed and the round. */
function slopesOf(
  engine: Engine,
  network: Network,
  data: Dataset,
  rows: Uint32Array,
  { logitScale, transform }: { readonly logitScale: number; readonly transform: InputTransform },
): (mask: Mask, round: number) => Float64Array[] {
  const last = regenerate(network).length - 1;
  const all = regenerate(network).map((weights, layer) => (layer === last ? weights.map((w) => w * logitScale) : weights));
  return (mask, round) => {
    const some = epochOrder(rows, network.seed, round).subarray(0, GRADIENT_ROWS);
    const set = { input: data.input, images: imagesOf(data, some), labels: labelsOf(data, some) };
    const start = all.map((weights, layer) => weights.map((w, i) => (kept(mask[layer], i) ? w : 0)));
    const batch = Math.min(BATCH, some.length);
    const trainer = engine.denseTrainer(network, { ...set, transform }, { weights: start, biases: null }, batch);
    const sums = all.map((weights) => new Float64Array(weights.length));
    for (let from = 0; from < some.length; from += batch) {
      const part = Uint32Array.from({ length: Math.min(batch, some.length - from) }, (_, i) => from + i);
      trainer.gradients(part);
      sums.forEach((sum, layer) => {
        const gradient = trainer.weightGradient(layer);
        for (let i = 0; i < sum.length; i++) sum[i] += (gradient[i] * all[layer][i] * part.length) / some.length;
      });
    }
    trainer.free();
    return sums;
  };
}

/** The flips that save bits, the best first; of equals, the one at the lower place. */
function rank(mask: Mask, costs: readonly Float32Array[], slopes: readonly Float64Array[]): Flip[] {
  const flips: Flip[] = [];
  mask.forEach((bits, layer) => {
    costs[layer].forEach((cost, at) => {
      const one = kept(bits, at);
      const saved = one ? cost : -cost;
      if (saved <= 0) return;
      const rise = one ? -slopes[layer][at] : slopes[layer][at];
      flips.push({ layer, at, rank: rise < 0 ? rise : rise / saved });
    });
  });
  return flips.sort((a, b) => a.rank - b.rank || a.layer - b.layer || a.at - b.at);
}

function flip(mask: Mask, flips: readonly Flip[]): Uint8Array[] {
  const out = mask.map((bits) => bits.slice());
  for (const { layer, at } of flips) out[layer][at >> 3] ^= 1 << (at & 7);
  return out;
}
