// Which of many masks are these inputs for? (SupSup: Wortsman et al. 2020, arXiv 2006.14769, section 3.3.) All masks are laid on one
// another, each with weight a = 1/k; a network under the mask of its own task is sure of what it says, so the mask whose weight should
// grow for the entropy H of the outputs to fall is the one: the score of mask i is -dH/da_i. One pass forward, one back, and one look
// at the bits of each mask, whatever their number; or in halves, log2(k) times, each time with the better half (`binary`).
//
//   W'_w = W_w / k x sum over i of M_i,w        score_i = -sum over w of M_i,w W_w dH/dW'_w
//
// A sum of sparse masks makes weak logits: they are brought to one size first, which changes no class of a network without biases and
// makes scores of all densities alike. Weaker ones rank masks as well but leave the confidence flat; stronger ones do worse
// (bench/README.md). Outputs beyond the classes take part: unused ones are what a wrong mask is unsure with.
//
// Masks stay packed. They are added up 32 weights at a time in counters of one bit a word; a score is two look-ups a byte in sums of
// four gradients, of bytes that keep something where a gradient is. `superposedGradients` by the loops of plain.ts is the oracle of the
// dense layers, and does the work for networks with others.

import { checkApplied } from '../engine/checks.js';
import { type InputTransform, PIXELS } from '../engine/engine.js';
import { packedBytes } from '../engine/packed.js';
import { backward, F32, forward, transformed } from '../engine/plain.js';
import { exp, ln } from '../exact.js';
import { hasRelu, inputs, isDense, type Network, outputs, place, regenerate, ShapeError, weighted } from '../network.js';

/** `oneshot` looks at every mask once; `binary` keeps the better half until one is left: twice the work, closer looks at the best. */
export type InferMethod = 'oneshot' | 'binary';

export interface InferOptions {
  /** Default PIXELS. */
  readonly transform?: InputTransform;
  /** The network's weights, canonical order; default: regenerated. */
  readonly weights?: readonly Float32Array[];
  /** Root mean square of the logits, about their mean, at which the entropy is looked at; default SHARPNESS. */
  readonly sharpness?: number;
}

export interface TaskGuess {
  /** Index of the mask with the highest score; ties to the lower. */
  readonly best: number;
  /** Softmax of the scores at `best`, 0 .. 1: 1 / masks when nothing speaks for any. Of `binary`: among the last two. */
  readonly confidence: number;
  /** -dH/da of each mask, nats, mean over the rows. Of `binary`: in the last pass that looked at it. `askAll` has others. */
  readonly scores: Float64Array;
  /** Passes through the network, forward and back, and looks at a mask's bits that they took. */
  readonly cost: { readonly passes: number; readonly masks: number };
}

/** Not tuned: see the head of this file. */
const SHARPNESS = 1;
/** Masks between two moments at which others may have their turn: well below a millisecond. */
const TURN = 64;

/** Masks of one network, ready to be asked. What is common to all questions is worked out once. */
export interface TaskInference {
  readonly masks: number;
  /**
   * Which mask fits rows of one task.
   * @param values rows x inputs raw values, sample-major
   * @throws ShapeError when the values do not fit, or are such that no score comes of them
   */
  infer(values: Uint8Array | Float32Array, rows: number, method?: InferMethod): TaskGuess;
  /** The same in short steps, for those who share a thread; scores may be no numbers, which is for the caller to see. */
  steps(values: Uint8Array | Float32Array, rows: number, method?: InferMethod): Generator<void, TaskGuess>;
}

/**
 * Which of the masks fits rows of one unknown task.
 * @param masks each as `packMask` gives it, at least two
 * @param values rows x inputs raw values, sample-major
 * @throws ShapeError when masks or values do not fit the network, or no score comes of the values
 */
export function inferTask(
  network: Network,
  masks: readonly Uint8Array[],
  values: Uint8Array | Float32Array,
  rows: number,
  { method, ...options }: InferOptions & { readonly method?: InferMethod } = {},
): TaskGuess {
  return createTaskInference(network, masks, options).infer(values, rows, method);
}

/**
 * Keeps the masks, not copies of them: they must not change.
 * @throws ShapeError unless there are two masks at least and each has the network's packed length
 */
export function createTaskInference(network: Network, masks: readonly Uint8Array[], options: InferOptions = {}): TaskInference {
  const length = packedBytes(network);
  if (masks.length < 2) throw new ShapeError(`to tell tasks apart takes at least 2 masks, got ${masks.length}`);
  const odd = masks.findIndex((mask) => mask.length !== length);
  if (odd >= 0) throw new ShapeError(`packed mask ${odd} has ${masks[odd].length} bytes, the network takes ${length}`);
  const width = inputs(network);
  const layers = laidOut(network, options.weights ?? regenerate(network));
  const gradients = isDense(network) ? denseGradients : superposedGradients;
  const everyMask = masks.map((_, i) => i);
  let whole: Float32Array | undefined;

  function* steps(values: Uint8Array | Float32Array, rows: number, method: InferMethod = 'oneshot'): Generator<void, TaskGuess> {
    if (rows < 1 || values.length !== rows * width)
      throw new ShapeError(`got ${values.length} input values, expected ${rows} rows x ${width} values, at least 1 row`);
    const transform = options.transform ?? PIXELS;
    checkApplied(values, transform, width);
    const x = transformed(values, transform);
    const scores = new Float64Array(masks.length).fill(Number.NEGATIVE_INFINITY);
    let among = everyMask;
    let [passes, looks] = [0, 0];
    while (true) {
      const all = among === everyMask;
      const sum = (all ? whole : undefined) ?? (yield* superpose(masks, among, layers));
      if (all) whole = sum;
      const table = tableOf(yield* gradients(network, layers, sum, x, rows, options.sharpness ?? SHARPNESS), layers);
      for (const [n, i] of among.entries()) {
        scores[i] = scoreOf(masks[i], table);
        if (n % TURN === TURN - 1) yield;
      }
      passes++;
      looks += among.length;
      if (method === 'oneshot' || among.length === 2) break;
      among = [...among].sort((a, b) => scores[b] - scores[a] || a - b).slice(0, Math.ceil(among.length / 2));
    }
    return { ...mostLikely(scores, among), scores, cost: { passes, masks: looks } };
  }

  const infer = (values: Uint8Array | Float32Array, rows: number, method?: InferMethod): TaskGuess => {
    return told(steps(values, rows, method));
  };
  return { masks: masks.length, infer, steps };
}

/** What the steps come to; throws ShapeError where rows have made scores that are no numbers. */
export function told(steps: Generator<void, TaskGuess>): TaskGuess {
  let step = steps.next();
  while (!step.done) step = steps.next();
  if (step.value.scores.every(Number.isFinite)) return step.value;
  throw new ShapeError('no mask can be told from another: a value of the rows is no number, or too large for f32');
}

function mostLikely(scores: Float64Array, among: readonly number[]): { best: number; confidence: number } {
  const best = among.reduce((a, b) => (scores[b] > scores[a] || (scores[b] === scores[a] && b < a) ? b : a));
  const sum = among.reduce((total, i) => total + exp(scores[i] - scores[best]), 0);
  return { best, confidence: 1 / sum };
}

// ---- the order of packed bits ----

/** A weighted layer of the network in the order of its packed bits: of dense networks input by input, rows filled up to whole bytes. */
interface Laid {
  /** First bit. */
  readonly at: number;
  /** Bits of one input's row, of dense networks; else of all weights. */
  readonly stride: number;
  /** Weight of each bit; 0 where there is none. */
  readonly weights: Float32Array;
}

/** All layers, and the bits that all of them take. */
interface LaidOut {
  readonly layers: readonly Laid[];
  readonly bits: number;
}

export function laidOut(network: Network, weights: readonly Float32Array[]): LaidOut {
  const dense = isDense(network);
  let at = 0;
  const layers = weighted(network).map(({ fanIn, output, weights: count }, l): Laid => {
    const stride = Math.ceil((dense ? output[2] : count) / 8) * 8;
    const laid = new Float32Array(dense ? fanIn * stride : stride);
    if (dense) for (let i = 0; i < count; i++) laid[(i % fanIn) * stride + Math.floor(i / fanIn)] = weights[l][i];
    else laid.set(weights[l]);
    const layer = { at, stride, weights: laid };
    at += laid.length;
    return layer;
  });
  return { layers, bits: at };
}

/** The mean of some masks times the weights, for each bit. */
function* superpose(masks: readonly Uint8Array[], among: readonly number[], { layers, bits }: LaidOut): Generator<void, Float32Array> {
  // Counter w is bit w of planes[0], planes[1] ...: adding a mask is adding one word of carries to each word.
  const words = Math.ceil(bits / 32);
  const planes = Array.from({ length: 32 - Math.clz32(among.length) }, () => new Uint32Array(words));
  const block = new Uint32Array(words);
  const bytes = new Uint8Array(block.buffer);
  for (const [n, i] of among.entries()) {
    bytes.set(masks[i]);
    for (let w = 0; w < words; w++) {
      let carry = block[w];
      for (let p = 0; carry; p++) {
        const plane = planes[p];
        const before = plane[w];
        plane[w] = before ^ carry;
        carry &= before;
      }
    }
    if (n % TURN === TURN - 1) yield;
  }
  const sum = new Float32Array(bits);
  for (const [p, plane] of planes.entries()) {
    for (let w = 0; w < words; w++) for (let rest = plane[w]; rest; rest &= rest - 1) sum[w * 32 + 31 - Math.clz32(rest & -rest)] += 1 << p;
    yield;
  }
  for (const { at, weights } of layers) for (let i = 0; i < weights.length; i++) sum[at + i] *= weights[i] / among.length;
  return sum;
}

// ---- scores ----

/** Of each byte of a mask in which some gradient is: its place, and the sums that its lower and its upper four bits select. */
interface Table {
  readonly places: Uint32Array;
  /** 2 x 16 sums a place. */
  readonly sums: Float32Array;
}

/** @param gradient dH/dW' of each bit; multiplied by the weights here */
function tableOf(gradient: Float32Array, { layers, bits }: LaidOut): Table {
  for (const { at, weights } of layers) for (let i = 0; i < weights.length; i++) gradient[at + i] *= -weights[i];
  const places: number[] = [];
  for (let bit = 0; bit < bits; bit += 8) {
    let some = false;
    for (let i = bit; i < bit + 8 && !some; i++) some = gradient[i] !== 0;
    if (some) places.push(bit >> 3);
  }
  const sums = new Float32Array(places.length * 32);
  places.forEach((byte, n) => {
    for (let half = 0; half < 2; half++) {
      const to = n * 32 + half * 16;
      for (let of = 1; of < 16; of++)
        sums[to + of] = sums[to + (of & (of - 1))] + gradient[byte * 8 + half * 4 + 31 - Math.clz32(of & -of)];
    }
  });
  return { places: Uint32Array.from(places), sums };
}

function scoreOf(mask: Uint8Array, { places, sums }: Table): number {
  let score = 0;
  for (let n = 0; n < places.length; n++) {
    const byte = mask[places[n]];
    if (byte) score += sums[n * 32 + (byte & 15)] + sums[n * 32 + 16 + (byte >> 4)];
  }
  return score;
}

// ---- forward and back ----

/**
 * Mean entropy's gradient with respect to the logits, row by row.
 * @param logits rows x n, before they are brought to one size
 */
function entropyGradient(logits: Float64Array, rows: number, n: number, sharpness: number): Float64Array {
  let squares = 0;
  for (let row = 0; row < rows; row++) {
    let mean = 0;
    for (let j = 0; j < n; j++) mean += logits[row * n + j] / n;
    for (let j = 0; j < n; j++) squares += (logits[row * n + j] - mean) ** 2;
  }
  const scale = squares > 0 ? sharpness / Math.sqrt(squares / (rows * n)) : 0;
  const d = new Float64Array(rows * n);
  for (let row = 0; row < rows; row++) {
    const z = logits.subarray(row * n, (row + 1) * n);
    const top = z.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const p = z.map((value) => exp(scale * (value - top)));
    const sum = p.reduce((a, b) => a + b, 0);
    // ln p = scale (z - top) - ln(sum), and -H = sum of p ln p
    const lnSum = ln(sum);
    let minusH = 0;
    for (let j = 0; j < n; j++) minusH += (p[j] / sum) * (scale * (z[j] - top) - lnSum);
    for (let j = 0; j < n; j++) d[row * n + j] = ((-scale * p[j]) / sum / rows) * (scale * (z[j] - top) - lnSum - minusH);
  }
  return d;
}

type Steps = Generator<void, Float32Array>;
type Gradients = (network: Network, laid: LaidOut, sum: Float32Array, x: Float32Array, rows: number, sharpness: number) => Steps;

/** dH/dW' of dense layers, bit by bit: inputs and units that are 0 are passed over, whole rows of weights at a time. */
export const denseGradients: Gradients = function* (network, { layers, bits }, sum, x, rows, sharpness) {
  const placed = weighted(network);
  const activations: Float64Array[] = [Float64Array.from(x)];
  for (const [l, { fanIn, output, layer }] of placed.entries()) {
    const units = output[2];
    const { at, stride } = layers[l];
    const z = new Float64Array(rows * units);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < fanIn; i++) {
        const a = activations[l][row * fanIn + i];
        if (a === 0) continue;
        for (let o = 0, w = at + i * stride, to = row * units; o < units; o++) z[to + o] += a * sum[w + o];
      }
      yield;
    }
    if (hasRelu(layer)) for (let o = 0; o < z.length; o++) if (z[o] <= 0) z[o] = 0;
    activations.push(z);
  }
  const gradient = new Float32Array(bits);
  let d = entropyGradient(activations[placed.length], rows, outputs(network), sharpness);
  for (let l = placed.length - 1; l >= 0; l--) {
    const { fanIn, output, layer } = placed[l];
    const units = output[2];
    const { at, stride } = layers[l];
    if (hasRelu(layer)) for (let o = 0; o < d.length; o++) if (activations[l + 1][o] <= 0) d[o] = 0;
    const below = new Float64Array(rows * fanIn);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < fanIn; i++) {
        const a = activations[l][row * fanIn + i];
        // Where the input is 0 the weight has no gradient, and behind a relu neither has the input.
        if (a === 0 && (l === 0 || hasRelu(placed[l - 1].layer))) continue;
        let back = 0;
        for (let o = 0, w = at + i * stride, from = row * units; o < units; o++) {
          gradient[w + o] += a * d[from + o];
          back += sum[w + o] * d[from + o];
        }
        below[row * fanIn + i] = back;
      }
      yield;
    }
    d = below;
  }
  return gradient;
};

/** The same of any network, by the loops of plain.ts, one row at a time. */
export const superposedGradients: Gradients = function* (network, { layers, bits }, sum, x, rows, sharpness) {
  const placed = place(network);
  const width = inputs(network);
  const n = outputs(network);
  const canonical = weighted(network).map(({ fanIn, weights }, l) => {
    const { at, stride } = layers[l];
    const bitOf = isDense(network) ? (i: number) => at + (i % fanIn) * stride + Math.floor(i / fanIn) : (i: number) => at + i;
    return { bitOf, w: Float32Array.from({ length: weights }, (_, i) => sum[bitOf(i)]), dW: new Float32Array(weights) };
  });
  const logits = new Float64Array(rows * n);
  const walks: Float32Array[][] = [];
  for (let row = 0; row < rows; row++) {
    const activations: Float32Array[] = [x.slice(row * width, (row + 1) * width)];
    for (const layer of placed) activations.push(forward(layer, activations.at(-1)!, canonical[layer.stream]?.w ?? [], null, F32));
    logits.set(activations.at(-1)!, row * n);
    walks.push(activations);
    yield;
  }
  const first = entropyGradient(logits, rows, n, sharpness);
  for (const [row, activations] of walks.entries()) {
    let d = Float32Array.from(first.subarray(row * n, (row + 1) * n));
    for (let i = placed.length - 1; i >= 0; i--) {
      const { stream, output } = placed[i];
      const into = stream < 0 ? undefined : { dW: canonical[stream].dW, dBias: new Float32Array(output[2]) };
      d = Float32Array.from(backward(placed[i], activations[i], activations[i + 1], canonical[stream]?.w ?? NONE, d, into));
    }
    yield;
  }
  const gradient = new Float32Array(bits);
  for (const { bitOf, dW } of canonical) for (let i = 0; i < dW.length; i++) gradient[bitOf(i)] = dW[i];
  return gradient;
};

const NONE = new Float32Array(0);
