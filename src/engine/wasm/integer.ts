// Integer programs (bounds.ts) on the machine: per layer the lists of added and subtracted inputs of each unit, two bytes a kept weight
// and no weights at all. The layouts, and why any order of summation gives the same bits, stand in assembly/integer.ts.
//
// Samples go in tiles of 64 through the lists of each unit; what a call leaves, in a tile of 64 when it is more than HALF, else in tiles
// of 16, and the last few one at a time through the lists of each input, which are laid out at their first use.

import { countKept, hasRelu, type Mask, type Placed, totalKept } from '../../network.js';
import type { LayerBound } from '../bounds.js';
import { CHUNK, type Program } from './inference.js';
import { Allocations, type Machine, pad16 } from './machine.js';

const TILE = 64;
const SMALL = 16;
/** From so many samples on a tile costs less than small ones. */
const HALF = 40;
/** From this density on it pays to drop the inputs that no sample of a call has before its tiles. */
const PRUNE = 0.1;
/** Kept weights x samples from which waking the threads pays. */
const DEAL = 4e6;
/** Lists number units and inputs in 16 bits, and a single sample's also tell added from subtracted. */
const WIDEST = 32752;
/** A layer that keeps more than one weight in so many is laid out as rows of signs for single samples. */
const DENSE = 8;
const I16_LARGEST = 32767;
/** Inputs per segment from which adding in i16 pays. */
const SEGMENT = 5;

/** Codes of assembly/integer.ts: what a layer reads and writes. */
const FORMS = { u8: { 16: 0, 32: 1 }, i16: { 16: 2, 32: 3 }, i32: { 16: 4, 32: 4 } } as const;

interface Step {
  readonly inputs: number;
  readonly units: number;
  readonly relu: number;
  readonly form: number;
  /** Where the lists of the units are, and their words. */
  readonly lists: number;
  readonly length: number;
}

/** Whether every layer is narrow enough for lists of 16-bit numbers. */
export const listable = (layers: readonly Placed[]): boolean => layers.every((layer) => layer.fanIn <= WIDEST && layer.output[2] <= WIDEST);

export function integerProgramOf(
  machine: Machine,
  layers: readonly Placed[],
  weights: readonly ArrayLike<number>[],
  mask: Mask,
  bounds: readonly LayerBound[],
): Program {
  const own = new Allocations(machine);
  const steps = stepsOf(machine, own, layers, weights, mask, bounds);
  const inputs = steps[0].inputs;
  const outputs = steps.at(-1)!.units;
  const activations = Math.max(...steps.map((step) => pad16(step.units))) * TILE * 4;
  const first = Math.max(Math.ceil(inputs / 64) * 64 * TILE, activations);
  const pruned = first + 2 * activations;
  const thread = pruned + pad16(steps[0].length * 2 + 2);
  const pixels = thread * machine.threads;
  const capacity = CHUNK * machine.threads;
  const logits = pad16(pixels + capacity * inputs + 64);
  const total = totalKept(mask);
  // Fewer samples than this cost less one at a time than in a small tile: 4 at a density of .04, 8 at .2, 16 at .5.
  const density = total / layers.reduce((sum, layer) => sum + layer.weights, 0);
  const few = Math.min(SMALL, Math.round(3 + 26 * density));

  /** A program in memory: the header that assembly/integer.ts describes, with two words of each layer given. */
  const lay = (to: Allocations, words: (step: Step) => [number, number]): number => {
    const program = [steps.length, inputs, outputs, thread, first, first + activations, density > PRUNE ? pruned : 0];
    for (const step of steps) program.push(step.units, step.relu, ...words(step));
    const pointer = to.bytes(program.length * 4);
    machine.u32(pointer, program.length).set(program);
    return pointer;
  };
  const byUnit = lay(own, (step) => [step.form, step.lists]);
  // Apart: where there is no room for them, what there is goes on.
  const late = new Allocations(machine);
  let byInput = 0;
  return {
    capacity,
    bytes: own.held + steps.reduce((sum, step) => sum + single(step), 0),
    chunk(values, rows, out) {
      const scratch = machine.scratch(logits + capacity * outputs * 4);
      machine.u8(scratch + pixels, values.length).set(values);
      const tiles = (from: number, count: number, size: number): void => {
        const deal = machine.threads > 1 && count * total >= DEAL;
        const out = scratch + logits + from * outputs * 4;
        if (count > 0) machine.integerTiles(byUnit, scratch + pixels + from * inputs, count, size, scratch, out, deal);
      };
      const whole = rows % TILE < HALF ? rows - (rows % TILE) : rows;
      const alone = (rows - whole) % SMALL < few ? (rows - whole) % SMALL : 0;
      tiles(0, whole, TILE);
      tiles(whole, rows - whole - alone, SMALL);
      if (alone > 0) {
        byInput ||= lay(late, (step) => byInputs(machine, late, step));
        const from = rows - alone;
        const deal = machine.threads > 1 && alone * total >= DEAL;
        machine.integerRows(byInput, scratch + pixels + from * inputs, alone, scratch, scratch + logits + from * outputs * 4, deal);
      }
      out.set(machine.i32(scratch + logits, rows * outputs));
    },
    free() {
      own.free();
      late.free();
    },
  };
}

const pad32 = (n: number): number => Math.ceil(n / 32) * 32;

/**
 * What each layer reads and writes, and its lists. A layer answers in i16 while its bound fits and the next one can add most of its
 * inputs in i16 too; the last layer answers in i32.
 */
function stepsOf(
  machine: Machine,
  own: Allocations,
  layers: readonly Placed[],
  weights: readonly ArrayLike<number>[],
  mask: Mask,
  bounds: readonly LayerBound[],
): Step[] {
  const relu = layers.map(({ layer }) => (hasRelu(layer) ? 1 : 0));
  const listsOf = (i: number, limit: number) => {
    const high = i > 0 ? bounds[i - 1].high : new Float64Array(layers[0].fanIn).fill(255);
    const low = i > 0 && !relu[i - 1] ? bounds[i - 1].low : new Float64Array(layers[i].fanIn);
    return segmented(layers[i], weights[i], mask[i], low, high, limit);
  };
  let from: keyof typeof FORMS = 'u8';
  let lists = listsOf(0, I16_LARGEST);
  return layers.map((layer, i) => {
    let next: Uint16Array | null = null;
    if (from !== 'i32' && bounds[i].largest <= I16_LARGEST && i + 1 < layers.length) {
      next = listsOf(i + 1, I16_LARGEST);
      if (next.length > countKept(mask[i + 1]) * (1 + 2 / SEGMENT) + 3 * layers[i + 1].output[2]) next = null;
    }
    const pointer = own.bytes(lists.byteLength);
    machine.u16(pointer, lists.length).set(lists);
    const form = FORMS[from][next ? 16 : 32];
    const step = { inputs: layer.fanIn, units: layer.output[2], relu: relu[i], form, lists: pointer, length: lists.length };
    from = next ? 'i16' : 'i32';
    if (i + 1 < layers.length) lists = next ?? listsOf(i + 1, Number.POSITIVE_INFINITY);
    return step;
  });
}

/** The lists of a layer, each unit's cut into segments whose sums stay within `limit`, as the intervals of its inputs say. */
function segmented(
  { fanIn, output }: Placed,
  weights: ArrayLike<number>,
  bits: Uint8Array,
  low: Float64Array,
  high: Float64Array,
  limit: number,
): Uint16Array {
  const lists = new Uint16Array(3 * (output[2] + countKept(bits)));
  const subtracted = new Uint16Array(fanIn);
  let at = 0;
  for (let unit = 0; unit < output[2]; unit++) at = cut(lists, at, unit * fanIn, weights, bits, low, high, limit, subtracted);
  return lists.slice(0, at);
}

/** Writes the segments of one unit at `at` and returns where they end. */
function cut(
  lists: Uint16Array,
  at: number,
  begin: number,
  weights: ArrayLike<number>,
  bits: Uint8Array,
  low: Float64Array,
  high: Float64Array,
  limit: number,
  subtracted: Uint16Array,
): number {
  let start = at + 1;
  let next = start + 2;
  let subtracts = 0;
  let least = 0;
  let most = 0;
  lists[at] = 1;
  for (let k = 0, index = begin; k < low.length; k++, index++) {
    if (!((bits[index >> 3] >> (index & 7)) & 1)) continue;
    const add = weights[index] > 0;
    const down = add ? low[k] : -high[k];
    const up = add ? high[k] : -low[k];
    if (most + up > limit || least + down < -limit) {
      start = close(lists, start, next, subtracted, subtracts);
      next = start + 2;
      subtracts = least = most = 0;
      lists[at]++;
    }
    if (add) lists[next++] = k;
    else subtracted[subtracts++] = k;
    least += down;
    most += up;
  }
  return close(lists, start, next, subtracted, subtracts);
}

/** Completes the segment at `start`, whose added inputs end at `end`; returns where the next one begins. */
function close(lists: Uint16Array, start: number, end: number, subtracted: Uint16Array, subtracts: number): number {
  lists[start] = end - start - 2;
  lists[start + 1] = subtracts;
  for (let i = 0; i < subtracts; i++) lists[end + i] = subtracted[i];
  return end + subtracts;
}

/** Whether a layer keeps so much that rows of signs are the better lists by input. */
const signed = ({ inputs, units, length }: Step): boolean => length * DENSE > inputs * units;

/** At most what the lists of each input take. */
const single = (step: Step): number => (signed(step) ? step.inputs * pad32(step.units) : 4 * (step.inputs + 1) + 2 * step.length);

/** The same lists by input: where each begins, and the units that add it, and those that subtract it as width + unit; or rows of signs. */
function byInputs(machine: Machine, own: Allocations, step: Step): [starts: number, entries: number] {
  const { inputs, units, lists: pointer, length } = step;
  const lists = machine.u16(pointer, length).slice();
  const walk = (visit: (input: number, unit: number, added: boolean) => void) => {
    for (let unit = 0, p = 0; unit < units; unit++) {
      for (let segments = lists[p++]; segments > 0; segments--) {
        const [added, subtracted] = [lists[p++], lists[p++]];
        for (const stop = p + added; p < stop; p++) visit(lists[p], unit, true);
        for (const stop = p + subtracted; p < stop; p++) visit(lists[p], unit, false);
      }
    }
  };
  if (signed(step)) {
    const stride = pad32(units);
    const signs = own.bytes(inputs * stride);
    const rows = machine.u8(signs, inputs * stride);
    walk((input, unit, added) => {
      rows[input * stride + unit] = added ? 1 : -1;
    });
    return [0, signs];
  }
  const width = pad16(units);
  const next = new Uint32Array(inputs + 1);
  walk((input) => {
    next[input + 1]++;
  });
  for (let k = 0; k < inputs; k++) next[k + 1] += next[k];
  const starts = own.bytes(next.byteLength);
  const entries = own.bytes(next[inputs] * 2);
  machine.u32(starts, next.length).set(next);
  const targets = machine.u16(entries, next[inputs]);
  walk((input, unit, added) => {
    targets[next[input]++] = added ? unit : width + unit;
  });
  return [starts, entries];
}
