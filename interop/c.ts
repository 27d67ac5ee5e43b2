// One C header for microcontrollers: the seed, the mask, and an interpreter of integers. C99, no heap, no library.
//
// The mask is the distance from one kept weight to the next, Rice-coded with a parameter a layer: for a few per cent kept within a few
// per cent of the entropy. The sign of a kept weight is drawn from the seed where it is needed (Philox, FORMAT.md): kept weights lie in
// ascending order, so a block of 128 signs is computed once an inference. Activations are int32 in two buffers that take turns. Only
// where a task takes numbers are there floats: a second function makes bytes of them.
//
// All its names begin alike, so a source file takes one model: the guard's value says which, and the header of another is an error there.

import { crc32c } from '../codec/crc32c.js';
import { SeedmaskError } from '../codec/index.js';
import { checkTaskMask } from '../codec/networks.js';
import { integerProgram } from '../src/engine/bounds.js';
import type { Features } from '../src/features.js';
import { describe, inputs, isSignedConstant, kept, type Network, outputs, place, size } from '../src/network.js';
import { formatSeed } from '../src/random.js';
import { checkConstants, type ExportedTask } from './floats.js';
import { INTERPRETER } from './interpreter.js';

/** Bits, least significant first. */
class BitWriter {
  readonly bytes: number[] = [];
  #bits = 0;

  write(value: number, count: number): void {
    for (let i = 0; i < count; i++, this.#bits++) {
      if ((this.#bits & 7) === 0) this.bytes.push(0);
      this.bytes[this.bytes.length - 1] |= ((value >>> i) & 1) << (this.#bits & 7);
    }
  }

  get bits(): number {
    return this.#bits;
  }
}

/** Weights that are skipped before each kept one. */
function gapsOf(bits: Uint8Array, weights: number, skip: (i: number) => boolean): number[] {
  const gaps: number[] = [];
  let after = 0;
  for (let i = 0; i < weights; i++) {
    if (!kept(bits, i) || skip(i)) continue;
    gaps.push(i - after);
    after = i + 1;
  }
  return gaps;
}

/** The Rice parameter that takes the fewest bits: a gap is gap >> r ones, a zero, and r bits. */
function riceOf(gaps: readonly number[]): number {
  const bits = (r: number) => gaps.reduce((sum, gap) => sum + (gap >>> r) + 1 + r, 0);
  return Array.from({ length: 24 }, (_, r) => r).reduce((best, r) => (bits(r) < bits(best) ? r : best), 0);
}

export interface CHeader {
  readonly text: string;
  /** Constant bytes: mask, layers, without code and labels. */
  readonly dataBytes: number;
  /** Activations, without the caller's input and logits. */
  readonly ramBytes: number;
}

/**
 * The text of a header that defines `int seedmask_classify(const uint8_t *input, int32_t *logits)`.
 * @throws SeedmaskError no-export unless the task is an integer program, bad-task for the mask of another network
 */
export function toC(network: Network, task: ExportedTask): CHeader {
  const { transform, mask, labels } = task;
  checkTaskMask(network, mask, 'the mask');
  const program = integerProgram(network, mask, transform);
  if (!program) {
    const got = isSignedConstant(network) ? 'sums beyond int32, or inputs with a mean' : `${network.distribution} weights`;
    throw new SeedmaskError('no-export', { field: 'the task', got, expected: 'in C an integer program: signed constants over bytes' });
  }
  checkConstants(network, transform.constant);
  const width = inputs(network);
  const placed = place(network);
  const side = placed.flatMap(({ input }) => [input[0], input[1]]).find((n) => n > 65535);
  if (side)
    throw new SeedmaskError('no-export', { field: 'the network', got: `images of ${side} pixels a side`, expected: 'in C at most 65535' });
  const stream = new BitWriter();
  const rows = placed.map(({ layer, input, output, kernel, before, weights, fanIn, stream: at }) => {
    const [h, w, c] = layer.kind === 'dense' ? [1, 1, fanIn] : input;
    const [oh, ow, units] = output;
    if (layer.kind === 'pool') return [0, 0, 0, 0, 0, 0, 0, h, w, c, oh, ow, units];
    const constant = at === 0 ? transform.constant : null;
    const gaps = gapsOf(mask[at], weights, (i) => constant !== null && kept(constant, i % width) === 1);
    const rice = riceOf(gaps);
    const begin = stream.bits;
    for (const gap of gaps) {
      for (let q = gap >>> rice; q > 0; q--) stream.write(1, 1);
      stream.write(0, 1);
      stream.write(gap, rice);
    }
    const k = layer.kind === 'dense' ? 1 : kernel;
    return [gaps.length, begin, k, before, rice, layer.activation === 'relu' ? 1 : 0, at, h, w, c, oh, ow, units];
  });
  const sizes = placed.slice(0, -1).map(({ output }) => size(output));
  const [even, odd] = [0, 1].map((parity) => sizes.filter((_, i) => i % 2 === parity).reduce((a, b) => Math.max(a, b), 1));
  const { features } = transform;
  const dataBytes = stream.bytes.length + 32 * rows.length + (features ? 8 * width : 0);
  const ramBytes = 4 * (even + odd) + (features ? width : 0);
  const list = (numbers: readonly number[]) =>
    numbers
      .join(',')
      .replace(/(.{1,130})(,|$)/g, '  $1$2\n')
      .trimEnd();
  const { low, high } = network.seed;
  const names = features?.names?.map(quoted).join(', ');
  const columns = names === undefined ? '' : `\nstatic const char *const seedmask_columns[SEEDMASK_INPUTS] = {${names}};`;
  const body = `#include <stdint.h>
#define SEEDMASK_INPUTS ${width}
#define SEEDMASK_OUTPUTS ${outputs(network)}
#define SEEDMASK_LABELS ${labels.length}
#define SEEDMASK_SCALE ${program.scale.toExponential()}
#define SEEDMASK_LOGIT_SCALE ${task.logitScale.toExponential()}
#define SEEDMASK_LAYERS ${rows.length}
#define SEEDMASK_KEY_LOW ${low >>> 0}u
#define SEEDMASK_KEY_HIGH ${high >>> 0}u
#define SEEDMASK_PACKED ${network.distribution === 'packed-signed-constant' ? 1 : 0}
#define SEEDMASK_EVEN ${even}
#define SEEDMASK_ODD ${odd}
#ifdef SEEDMASK_WITH_LABELS
static const char *const seedmask_labels[SEEDMASK_LABELS] = {${labels.map(quoted).join(', ')}};${columns}
#endif
static const uint8_t seedmask_mask[] = {
${list(stream.bytes.length ? stream.bytes : [0])}
};
${INTERPRETER.replace('LAYER_ROWS', rows.map((row) => `  {${row.join(', ')}}`).join(',\n'))}${features ? numbers(features) : ''}`;
  const model = `0x${crc32c(new TextEncoder().encode(body)).toString(16)}u`;
  const text = `/* ${describe(network)}, seed ${formatSeed(network.seed)}: a neural network whose weights are not stored. Written by seedmask export --to c.
   ${dataBytes} bytes of constant data and ${ramBytes} bytes of RAM for activations, without the caller's input and logits.
   seedmask_classify(input, logits): input are SEEDMASK_INPUTS raw bytes in order of height, width, channel; logits are SEEDMASK_OUTPUTS
   integers, times SEEDMASK_SCALE real; returns the index of the largest of the SEEDMASK_LABELS labelled ones, whose probabilities are
   softmax(SEEDMASK_LOGIT_SCALE * SEEDMASK_SCALE * logits). Include it in one file; names of labels${columns && ' and columns'} are there
   where SEEDMASK_WITH_LABELS is defined before. Activations lie in static memory: one call at a time.${
     features
       ? `\n   seedmask_classify_numbers(numbers, logits) takes SEEDMASK_INPUTS floats${columns && ', in order of seedmask_columns,'} and makes the bytes,
   (number - seedmask_low) * seedmask_step rounded: below 0 they are 0, above 255 they are 255, and of NaN 0.`
       : ''
   } */
#ifndef SEEDMASK_H
#define SEEDMASK_H ${model}
${body}#elif SEEDMASK_H != ${model}
#error "a source file takes one Seedmask header, and this is that of a second model: include it in a source file of its own"
#endif
`;
  return { text, dataBytes, ramBytes };
}

/** The bytes of numbers as FORMAT.md has them: every value goes through a float. NaN gives 0. */
const numbers = ({ low, scale }: Features): string => `
static const float seedmask_low[SEEDMASK_INPUTS] = {${Array.from(low, float).join(', ')}};
static const float seedmask_step[SEEDMASK_INPUTS] = {${Array.from(scale, float).join(', ')}};

static int seedmask_classify_numbers(const float *numbers, int32_t *logits) {
  static uint8_t bytes[SEEDMASK_INPUTS];
  uint32_t i;
  for (i = 0; i < SEEDMASK_INPUTS; i++) {
    volatile float value = numbers[i] - seedmask_low[i];
    value = value * seedmask_step[i];
    value = (value > 255.0f ? 255.0f : value > 0.0f ? value : 0.0f) + 0.5f;
    bytes[i] = (uint8_t)value;
  }
  return seedmask_classify(bytes, logits);
}
`;

/** Nine digits name every float. */
const float = (value: number): string => `${value.toExponential(8)}f`;

/** A C string; everything beyond plain letters as octal bytes, which end after three digits. */
const quoted = (label: string): string =>
  `"${Array.from(new TextEncoder().encode(label), (byte) =>
    /[\w .,-]/.test(String.fromCharCode(byte)) && byte < 128 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`,
  ).join('')}"`;
