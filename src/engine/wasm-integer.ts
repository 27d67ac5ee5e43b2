// Integer programs (bounds.ts) on the machine: per layer the lists of added and subtracted inputs of each unit, two bytes a kept weight
// and no weights at all. The layouts, and why any order of summation gives the same bits, stand in assembly/integer.ts.
//
// Tiles of 64 samples read the lists of each unit; fewer than ALONE samples (what a call leaves after its tiles included) are answered
// one at a time from the lists of each input, which are laid out at their first use.

import { kept, type Mask, type Placed } from '../network.js';
import type { LayerBound } from './bounds.js';
import { Allocations, type Machine, TILE } from './machine.js';
import { CHUNK, type Program } from './wasm-inference.js';

/** Fewer samples than this are answered one at a time: a tile costs as much as about so many of them, full or not. */
const ALONE = 8;
/** Lists number units and inputs in 16 bits, and a single sample's also tell added from subtracted. */
const WIDEST = 32752;
const I16_LARGEST = 32767;

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
  const first = pad16(inputs) * TILE;
  const thread = first + 2 * activations;
  const pixels = thread * machine.threads;
  const logits = pixels + CHUNK * inputs + 64;

  /** A program in memory: the header that assembly/integer.ts describes, with two words of each layer given. */
  const lay = (words: (step: Step) => [number, number]): number => {
    const program = [steps.length, inputs, outputs, thread, first, first + activations];
    for (const step of steps) program.push(step.units, step.relu, ...words(step));
    const pointer = own.bytes(program.length * 4);
    machine.u32(pointer, program.length).set(program);
    return pointer;
  };
  const byUnit = lay((step) => [step.form, step.lists]);
  let byInput = 0;
  return {
    chunk(values, rows, out) {
      const scratch = machine.scratch(logits + CHUNK * outputs * 4);
      machine.u8(scratch + pixels, values.length).set(values);
      const alone = rows % TILE < ALONE ? rows % TILE : 0;
      const tiled = rows - alone;
      if (tiled > 0) {
        machine.tiles(byUnit, scratch + pixels, tiled, scratch, scratch + logits);
      }
      if (alone > 0) {
        byInput ||= lay((step) => byInputs(machine, own, step));
        machine.rows(byInput, scratch + pixels + tiled * inputs, alone, scratch, scratch + logits + tiled * outputs * 4);
      }
      out.set(machine.i32(scratch + logits, rows * outputs));
    },
    free: () => own.free(),
  };
}

const pad16 = (n: number): number => Math.ceil(n / 16) * 16;

/**
 * The lists of each layer. A layer computes in i16 while its bound fits; the last one answers in i32. A unit whose sums may leave i16
 * is cut into segments that cannot, as the intervals of its inputs say, and they are added in i32.
 */
function stepsOf(
  machine: Machine,
  own: Allocations,
  layers: readonly Placed[],
  weights: readonly ArrayLike<number>[],
  mask: Mask,
  bounds: readonly LayerBound[],
): Step[] {
  let from: keyof typeof FORMS = 'u8';
  let low: ArrayLike<number> = new Float64Array(layers[0].fanIn);
  let high: ArrayLike<number> = new Float64Array(layers[0].fanIn).fill(255);
  return layers.map((placed, i) => {
    const { fanIn: inputs, layer } = placed;
    const units = placed.output[2];
    const relu = layer.kind === 'dense' && layer.activation === 'relu' ? 1 : 0;
    const to: 16 | 32 = from !== 'i32' && bounds[i].largest <= I16_LARGEST && i < layers.length - 1 ? 16 : 32;
    const limit = from === 'i32' ? Number.POSITIVE_INFINITY : I16_LARGEST;
    const lists: number[] = [];
    for (let unit = 0; unit < units; unit++) {
      const at = lists.push(0) - 1;
      let segment: [added: number[], subtracted: number[]] = [[], []];
      let [least, most] = [0, 0];
      const close = () => {
        lists[at]++;
        lists.push(segment[0].length, segment[1].length, ...segment[0], ...segment[1]);
      };
      for (let k = 0, index = unit * inputs; k < inputs; k++, index++) {
        if (!kept(mask[i], index)) continue;
        const added = weights[i][index] > 0;
        const [down, up] = added ? [low[k], high[k]] : [-high[k], -low[k]];
        if (most + up > limit || least + down < -limit) {
          close();
          segment = [[], []];
          [least, most] = [0, 0];
        }
        segment[added ? 0 : 1].push(k);
        least += down;
        most += up;
      }
      close();
    }
    const pointer = own.bytes(lists.length * 2);
    machine.u16(pointer, lists.length).set(lists);
    const step = { inputs, units, relu, form: FORMS[from][to], lists: pointer, length: lists.length };
    from = to === 16 ? 'i16' : 'i32';
    low = relu ? new Float64Array(units) : bounds[i].low;
    high = bounds[i].high;
    return step;
  });
}

/** The same lists by input: where each begins, and the units that add it, and those that subtract it as width + unit. */
function byInputs(machine: Machine, own: Allocations, { inputs, units, lists: pointer, length }: Step): [starts: number, entries: number] {
  const lists = machine.u16(pointer, length).slice();
  const width = pad16(units);
  const walk = (visit: (input: number, target: number) => void) => {
    let p = 0;
    for (let unit = 0; unit < units; unit++) {
      for (let segments = lists[p++]; segments > 0; segments--) {
        const [added, subtracted] = [lists[p++], lists[p++]];
        for (const stop = p + added; p < stop; p++) visit(lists[p], unit);
        for (const stop = p + subtracted; p < stop; p++) visit(lists[p], width + unit);
      }
    }
  };
  const next = new Uint32Array(inputs + 1);
  walk((input) => {
    next[input + 1]++;
  });
  for (let k = 0; k < inputs; k++) next[k + 1] += next[k];
  const starts = own.bytes(next.byteLength);
  const entries = own.bytes(next[inputs] * 2);
  machine.u32(starts, next.length).set(next);
  const targets = machine.u16(entries, next[inputs]);
  walk((input, target) => {
    targets[next[input]++] = target;
  });
  return [starts, entries];
}
