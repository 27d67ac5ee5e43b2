// Floats under a sparse mask on the machine: per layer the kept weights, six bytes each, and no others. The layouts stand in
// assembly/float.ts. Samples go in tiles of 16 through the lists of each unit; the last few of a call one at a time through the lists
// of each input, which are laid out at their first use.

import { countKept, hasRelu, kept, totalKept } from '../../network.js';
import { CHUNK, type FloatNetwork, type Program, samplesPerPass } from './inference.js';
import { Allocations, type Machine, pad4, pad16 } from './machine.js';

const TILE = 16;
/** Fewer samples than this cost less one at a time than in a tile. */
const ALONE = 4;
/** Kept weights x samples from which waking the threads pays. */
const DEAL = 1e6;

interface Step {
  readonly inputs: number;
  readonly units: number;
  readonly relu: number;
  readonly bias: number;
  readonly lists: number;
  readonly weights: number;
  readonly kept: number;
}

export function byKeptWeights(machine: Machine, network: FloatNetwork): Program {
  const { layers, mask, transform } = network;
  const own = new Allocations(machine);
  const steps = stepsOf(machine, own, network);
  const inputs = layers[0].fanIn;
  const outputs = layers.at(-1)!.output[2];
  const activations = Math.max(...layers.map((layer) => Math.max(pad4(layer.output[2]) * 4, pad16(layer.fanIn) * 4))) * TILE;
  const thread = 3 * activations;
  const values = thread * machine.threads;
  const capacity = samplesPerPass(4 * (inputs + outputs), CHUNK * machine.threads);
  const logits = values + pad16(capacity * inputs * 4 + 16);
  const total = totalKept(mask);

  const lay = (to: Allocations, words: (step: Step) => [lists: number, weights: number]): number => {
    const program = [steps.length, inputs, outputs, thread, activations, 2 * activations];
    for (const step of steps) program.push(step.units, step.relu, step.bias, ...words(step));
    const pointer = to.bytes(program.length * 4);
    machine.u32(pointer, program.length).set(program);
    return pointer;
  };
  const byUnit = lay(own, (step) => [step.lists, step.weights]);
  // Apart: where there is no room for them, what there is goes on.
  const late = new Allocations(machine);
  let byInput = 0;
  return {
    capacity,
    bytes: own.held + steps.reduce((sum, step) => sum + 4 * (step.inputs + 1) + 6 * step.kept, 0),
    chunk(raw, rows, out) {
      const scratch = machine.scratch(logits + capacity * outputs * 4);
      const bytes = raw instanceof Uint8Array ? 1 : 0;
      if (bytes) machine.u8(scratch + values, raw.length).set(raw);
      else machine.f32(scratch + values, raw.length).set(raw);
      const alone = rows % TILE < ALONE ? rows % TILE : 0;
      const whole = rows - alone;
      const { mean, scale } = transform;
      const at = (row: number) => [scratch, scratch + logits + row * outputs * 4] as const;
      if (whole > 0) {
        const deal = machine.threads > 1 && whole * total >= DEAL;
        machine.floatTiles(deal, byUnit, scratch + values, bytes, whole, mean, scale, ...at(0));
      }
      if (alone > 0) {
        byInput ||= lay(late, (step) => byInputs(machine, late, step));
        const from = scratch + values + whole * inputs * (bytes ? 1 : 4);
        machine.floatRows(byInput, from, bytes, alone, mean, scale, ...at(whole));
      }
      out.set(machine.f32(scratch + logits, rows * outputs));
    },
    free() {
      own.free();
      late.free();
    },
  };
}

/** Apart, so that the program does not hold on to the network's floats. */
const stepsOf = (machine: Machine, own: Allocations, network: FloatNetwork): Step[] =>
  network.layers.map((_, i) => stepOf(machine, own, network, i));

function stepOf(machine: Machine, own: Allocations, { layers, weights, biases, mask }: FloatNetwork, i: number): Step {
  const { fanIn: inputs, layer, output } = layers[i];
  const units = output[2];
  const count = countKept(mask[i]);
  const step = {
    inputs,
    units,
    relu: hasRelu(layer) ? 1 : 0,
    bias: biases ? own.bytes(pad4(units) * 4) : 0,
    lists: own.bytes((units + count) * 2),
    weights: own.bytes(Math.max(1, count) * 4),
    kept: count,
  };
  if (biases) machine.f32(step.bias, units).set(biases[i]);
  const lists = machine.u16(step.lists, units + count);
  const values = machine.f32(step.weights, count);
  let at = 0;
  for (let unit = 0, w = 0, index = 0; unit < units; unit++) {
    const head = at++;
    for (let k = 0; k < inputs; k++, index++) {
      if (!kept(mask[i], index)) continue;
      lists[at++] = k;
      values[w++] = weights[i][index];
    }
    lists[head] = at - head - 1;
  }
  return step;
}

/** The same lists by input: starts with the numbers of the units after them, and the weights. */
function byInputs(machine: Machine, own: Allocations, step: Step): [starts: number, weights: number] {
  const { inputs, units } = step;
  const pointer = own.bytes((inputs + 1) * 4 + step.kept * 2);
  const sorted = own.bytes(Math.max(1, step.kept) * 4);
  const lists = machine.u16(step.lists, units + step.kept);
  const weights = machine.f32(step.weights, step.kept);
  const numbers = machine.u16(pointer + (inputs + 1) * 4, step.kept);
  const values = machine.f32(sorted, step.kept);
  const next = new Uint32Array(inputs + 1);
  const walk = (visit: (input: number, unit: number, w: number) => void) => {
    for (let unit = 0, p = 0, w = 0; unit < units; unit++) {
      for (let left = lists[p++]; left > 0; left--) visit(lists[p++], unit, w++);
    }
  };
  walk((input) => {
    next[input + 1]++;
  });
  for (let k = 0; k < inputs; k++) next[k + 1] += next[k];
  machine.u32(pointer, inputs + 1).set(next);
  walk((input, unit, w) => {
    const at = next[input]++;
    numbers[at] = unit;
    values[at] = weights[w];
  });
  return [pointer, sorted];
}
