// The layers of a training run in WebAssembly memory, and the tapes of a step over them (assembly/tiles.ts has the layout).
//
//   samples phase   gather, forward, loss, backward: each thread its own samples
//   inputs phase    weight gradients and the rule's step: each thread its own inputs
//
// A layer runs on lists of its kept weights or on its samples' non-zero values; which one is chosen changes no bit.

import { hasRelu, kept, type Network, weighted } from '../../network.js';
import { DRAWS } from '../draws.js';
import type { TrainingSet } from '../engine.js';
import { allocateCut } from './cut.js';
import { Allocations, type Machine, type Operation, pad4, pad16 } from './machine.js';

/** The fields of Layer in assembly/tiles.ts, in its order. */
export const FIELDS = [
  ...['fanIn', 'units', 'room', 'relu', 'gated', 'sparse', 'xC', 'xR', 'yC', 'yR', 'dxC', 'dxR', 'dyC', 'dyR', 'w', 'wT'],
  ...['bias', 'dBias', 'biasState', 'byUnit', 'unitCounts', 'byInput', 'inputCounts', 'lists', 'listRoom'],
  ...['listBytes', 'columnLists', 'columnRoom'],
  ...['score', 'velocity', 'constants', 'probability', 'rescaling', 'cut', 'trained', 'active', 'activeStarts'],
] as const;

/** The fields of Rule in assembly/rule.ts; those from `rate` on are floats. */
export interface Rule {
  readonly kind: 'topk' | 'adam' | 'sgd' | 'bernoulli';
  readonly rate?: number;
  readonly momentum?: number;
  readonly gain?: number;
  readonly beta1?: number;
  readonly rest1?: number;
  readonly beta2?: number;
  readonly rest2?: number;
  readonly epsilon?: number;
  /** bernoulli: what a penalty adds to d loss / d p, and the number of the draw. */
  readonly push?: number;
  readonly draw?: number;
}
const KINDS = ['gradient', 'topk', 'adam', 'sgd', 'bernoulli'] as const;

const NUMBERS = ['rate', 'momentum', 'gain', 'beta1', 'rest1', 'beta2', 'rest2', 'epsilon', 'push'] as const;

/** Writes a rule for the kernels; `seed` and `stream` are those of a draw. */
export function writeRule(machine: Machine, to: number, rule: Rule, seed: Network['seed'], stream: number): void {
  machine.u32(to, 1)[0] = KINDS.indexOf(rule.kind);
  machine.f32(to + 8, NUMBERS.length).set(NUMBERS.map((name) => rule[name] ?? 0));
  machine.u32(to + 8 + 4 * NUMBERS.length, 4).set([seed.low, seed.high, stream, rule.draw ?? 0]);
}

/** Bytes of how a draw is rescaled, and of what each thread counts for it (assembly/tiles.ts). */
export const rescalingBytes = ({ threads }: Machine): number => (threads + 1) * 64;

const TILE = 128;
/** Inputs whose lists are made at a time (GROUP of assembly/rule.ts). */
const GROUP = 64;
const SCRATCH = 1024;
const tiles = (count: number): number => Math.ceil(count / 32);

export interface TrainedLayer {
  readonly fanIn: number;
  readonly units: number;
  /** Address of the descriptor that operations take. */
  readonly at: number;
  /** Floats of the weights and of everything shaped like them. */
  readonly count: number;
  readonly w: number;
  readonly wT: number;
  readonly score: number;
  readonly velocity: number;
  readonly constants: number;
  readonly bias: number;
  readonly dBias: number;
  /** Adam's moments of the biases, the second behind the first; of the weights they are where other rules have velocity and constants. */
  readonly biasState: number;
  readonly biasSecond: number;
  readonly rule: number;
}

export interface LayersOptions {
  readonly biased: boolean;
  /** Whether layers may run on lists of kept weights. */
  readonly lists: boolean;
  /** Whether weights are drawn with a probability each, and rescaled by the number that was. */
  readonly drawn: boolean | 'rescaled';
}

/** The layers of a network of dense layers, and room for batches of up to `batch` samples of `data`. */
export class Layers {
  readonly own: Allocations;
  readonly layers: readonly TrainedLayer[];
  /** Address of the training set's images. */
  readonly images: number;
  readonly #machine: Machine;
  readonly #data: TrainingSet;
  readonly #seed: Network['seed'];
  readonly #room: number;
  readonly #fields: Record<string, number>[];
  readonly #labels: number;
  readonly #order: number;
  readonly #losses: number;
  readonly #powers: number;
  readonly #scratch: number;
  readonly #raw: number;
  /** Number of the draw, for layers whose weights are drawn. */
  #draw: number | null = null;

  constructor(machine: Machine, network: Network, data: TrainingSet, batch: number, { biased, lists, drawn }: LayersOptions) {
    const own = new Allocations(machine);
    const placed = weighted(network);
    const room = tiles(batch) * 32;
    const widest = Math.max(...placed.map((layer) => Math.max(layer.fanIn, layer.output[2])));
    const matrix = (features: number) => ({ C: own.bytes(room * pad4(features) * 4), R: own.bytes(tiles(features) * room * TILE) });
    this.#machine = machine;
    this.#data = data;
    this.#seed = network.seed;
    this.#room = room;
    this.own = own;
    this.images = own.bytes(data.images.length);
    machine.u8(this.images, data.images.length).set(data.images);
    this.#labels = own.bytes(data.labels.length);
    machine.u8(this.#labels, data.labels.length).set(data.labels);
    this.#order = own.bytes(room * 4);
    this.#losses = own.bytes(room * 8);
    this.#powers = own.bytes(room * placed[placed.length - 1].output[2] * 8);
    this.#scratch = own.bytes(machine.threads * SCRATCH);
    this.#raw = own.bytes(machine.threads * 32 * pad16(placed[0].fanIn));
    // One entry more than there can be: kernels write one beyond the end.
    const [listRoom, columnRoom] = [(widest + 1) * 8, (GROUP * room + 1) * 8];
    const shared = {
      lists: own.bytes(room * listRoom),
      listRoom,
      listBytes: own.bytes(room * 4),
      columnLists: own.bytes(machine.threads * columnRoom),
      columnRoom,
    };
    let x = matrix(placed[0].fanIn);
    let dx = { C: 0, R: 0 };
    let gated = 0;
    this.#fields = placed.map((layer, i) => {
      const units = layer.output[2];
      const relu = hasRelu(layer.layer) ? 1 : 0;
      const [y, dy] = [matrix(units), matrix(units)];
      const bytes = tiles(units) * layer.fanIn * TILE;
      const row = tiles(units) * TILE;
      const field = {
        ...{ fanIn: layer.fanIn, units, room, relu, gated, sparse: 0 },
        ...{ xC: x.C, xR: x.R, yC: y.C, yR: y.R, dxC: dx.C, dxR: dx.R, dyC: dy.C, dyR: dy.R },
        w: own.bytes(bytes),
        wT: i > 0 ? own.bytes(tiles(layer.fanIn) * units * TILE) : 0,
        bias: biased ? own.bytes(row) : 0,
        dBias: biased ? own.bytes(row) : 0,
        biasState: biased ? own.bytes(3 * row) : 0,
        byUnit: lists ? own.bytes(units * layer.fanIn * 8) : 0,
        unitCounts: lists ? own.bytes(machine.threads * units * 4) : 0,
        byInput: lists && i > 0 ? own.bytes(units * layer.fanIn * 8) : 0,
        inputCounts: lists && i > 0 ? own.bytes(layer.fanIn * 4) : 0,
        ...shared,
        score: own.bytes(bytes),
        velocity: own.bytes(bytes),
        constants: own.bytes(bytes),
        probability: drawn ? own.bytes(bytes) : 0,
        rescaling: drawn === 'rescaled' ? own.bytes(rescalingBytes(machine)) : 0,
        ...{ cut: 0, trained: 0, active: 0, activeStarts: 0 },
      };
      [x, dx, gated] = [y, dy, relu];
      return field;
    });
    this.layers = this.#fields.map((field) => ({
      ...(field as Omit<TrainedLayer, 'at' | 'rule' | 'count' | 'biasSecond'>),
      biasSecond: field.biasState + tiles(field.units) * TILE,
      at: own.bytes(FIELDS.length * 4),
      rule: own.bytes(16 * 4),
      count: tiles(field.units) * field.fanIn * 32,
    }));
    this.layers.forEach((_, i) => {
      this.#describe(i);
    });
  }

  #describe(i: number): void {
    this.#machine.u32(this.layers[i].at, FIELDS.length).set(FIELDS.map((name) => this.#fields[i][name]));
  }

  isSparse = (i: number): boolean => this.#fields[i].sparse === 1;

  /** Whether layer i runs on lists of kept weights from the next emission on. */
  setSparse(i: number, sparse: boolean): void {
    if (this.isSparse(i) === sparse) return;
    this.#fields[i].sparse = sparse ? 1 : 0;
    this.#describe(i);
  }

  /**
   * Trains only the kept weights of layer i from now on; the others keep their values. With `sparse` those are all zero, and the
   * layer runs on lists of its kept weights, whose structure is laid out here once.
   */
  fix(i: number, bits: Uint8Array, sparse: boolean): void {
    const { fanIn, units } = this.layers[i];
    const machine = this.#machine;
    const words = new Uint32Array(tiles(units) * fanIn);
    for (let unit = 0, k = 0; unit < units; unit++) {
      for (let input = 0; input < fanIn; input++) if (kept(bits, k++)) words[(unit >> 5) * fanIn + input] |= 1 << (unit & 31);
    }
    this.#fields[i].trained = this.own.bytes(words.length * 4);
    machine.u32(this.#fields[i].trained, words.length).set(words);
    if (sparse) this.#layOut(i, words);
    this.setSparse(i, sparse);
    this.#describe(i);
  }

  /** Lists of kept weights and active groups from the trained bits of each input and tile. */
  #layOut(i: number, words: Uint32Array): void {
    const { fanIn, units } = this.layers[i];
    const machine = this.#machine;
    const field = this.#fields[i];
    const { threads } = machine;
    const dealt = Array.from({ length: threads + 1 }, (_, t) => Math.floor((fanIn * t) / threads));
    const groups: number[][] = [];
    const twins: number[] = [];
    const starts = new Uint32Array(fanIn + 1);
    const unitCounts = new Uint32Array(threads * units);
    const inputCounts = new Uint32Array(fanIn);
    const entries: [address: number, offset: number, unit: number, input: number][] = [];
    for (let input = 0, t = 0; input < fanIn; input++) {
      while (input >= dealt[t + 1]) t++;
      for (let unit = 0; unit < units; unit += 4) {
        const lanes = (words[(unit >> 5) * fanIn + input] >>> (unit & 31)) & 15;
        if (!lanes) continue;
        const at = ((unit >> 5) * fanIn + input) * TILE + (unit & 31) * 4;
        groups.push([at, (unit >> 5) * this.#room * TILE + (unit & 31) * 4, lanes, twins.length]);
        for (let u = unit; u < unit + 4; u++) {
          if (!((lanes >> (u - unit)) & 1)) continue;
          const mine = field.byUnit + (u * fanIn + dealt[t] + unitCounts[t * units + u]++) * 8;
          const other = field.byInput ? field.byInput + (input * units + inputCounts[input]++) * 8 : 0;
          entries.push([mine, input * TILE, u, input]);
          if (other) entries.push([other, u * TILE, u, input]);
          twins.push(mine + 4, other ? other + 4 : 0);
        }
      }
      starts[input + 1] = groups.length;
    }
    field.active = this.own.bytes(Math.max(1, groups.length) * 16);
    field.activeStarts = this.own.bytes(starts.length * 4);
    const links = this.own.bytes(Math.max(1, twins.length) * 4);
    machine.u32(links, twins.length).set(twins);
    machine.u32(field.active, groups.length * 4).set(groups.flatMap(([at, dz, lanes, twin]) => [at, dz, lanes, links + twin * 4]));
    machine.u32(field.activeStarts, starts.length).set(starts);
    machine.u32(field.unitCounts, unitCounts.length).set(unitCounts);
    if (field.byInput) machine.u32(field.inputCounts, fanIn).set(inputCounts);
    const weights = machine.f32(field.w, this.layers[i].count);
    for (const [address, offset, unit, input] of entries) {
      machine.u32(address, 1)[0] = offset;
      machine.f32(address + 4, 1)[0] = weights[((unit >> 5) * fanIn + input) * 32 + (unit & 31)];
    }
  }

  /** From the batch's images to the logits, as rows. */
  forward(rows: Uint32Array): Operation[] {
    this.#machine.u32(this.#order, rows.length).set(rows);
    const { mean, scale } = this.#data.transform;
    const n = rows.length;
    const first = this.#fields[0];
    const tape: Operation[] = [['gatherColumns', this.images, this.#order, n, first.fanIn, mean, scale, first.xC, this.#raw]];
    if (this.#draw !== null) tape.push(['meet'], ...this.draw(n), ['meet']);
    if (!first.sparse) tape.push(['flip', first.xC, first.xR, first.fanIn, this.#room, n, 1]);
    this.#fields.forEach((layer, i) => {
      const next = this.#fields[i + 1];
      tape.push([layer.sparse ? 'keptForward' : 'denseForward', this.layers[i].at, n]);
      if (layer.sparse && !next?.sparse) tape.push(['flip', layer.yC, layer.yR, layer.units, this.#room, n, 1]);
      if (!layer.sparse && next) tape.push(['flip', layer.yR, layer.yC, layer.units, this.#room, n, 0]);
    });
    return tape;
  }

  /** Loss and every layer's dZ, as rows; after `forward` of the same `n` samples. */
  backward(n: number): Operation[] {
    const last = this.layers.length - 1;
    const tape: Operation[] = [['softmaxRows', this.layers[last].at, n, this.#labels, this.#order, this.#powers, this.#losses]];
    for (let i = last; i > 0; i--) {
      const layer = this.#fields[i];
      if (layer.sparse) {
        if (i === last || !this.#fields[i + 1].sparse) tape.push(['flip', layer.dyR, layer.dyC, layer.units, this.#room, n, 0]);
        tape.push(['keptBackward', this.layers[i].at, n], ['flip', layer.dxC, layer.dxR, layer.fanIn, this.#room, n, 1]);
      } else tape.push(['denseBackward', this.layers[i].at, n]);
    }
    return tape;
  }

  /** The inputs phase: one rule a layer. */
  step(n: number, rules: readonly Rule[]): Operation[] {
    return rules.flatMap((rule, i): Operation[] => {
      const { at, rule: to, bias } = this.layers[i];
      this.#write(i, rule);
      const weights: Operation = [this.#fields[i].active ? 'stepActive' : 'stepInputs', at, n, to, this.#scratch];
      return bias ? [weights, ['stepBias', at, n, to]] : [weights];
    });
  }

  #write(i: number, rule: Rule): void {
    writeRule(this.#machine, this.layers[i].rule, rule, this.#seed, DRAWS + i);
  }

  /** Names the draw that the next forward passes stand on. */
  setDraw(draw: number): void {
    this.#draw = draw;
  }

  /** Draws the weights that n gathered samples need; all of them when they are counted for rescaling, or with n = 0. */
  draw(n: number): Operation[] {
    const rescaled = this.#fields[0].rescaling !== 0;
    const draws = this.layers.map(({ at, rule }, i): Operation => {
      this.#write(i, { kind: 'bernoulli', draw: this.#draw ?? 0 });
      return ['draw', at, rule, i === 0 && !rescaled ? n : 0, this.#scratch];
    });
    return rescaled ? [...draws, ['meet'], ...this.layers.map(({ at }): Operation => ['rescale', at])] : draws;
  }

  /** What rescaling adds to the gradient of the n samples' scores. */
  shift(n: number): Operation[] {
    if (this.#fields[0].rescaling === 0) return [];
    return [...this.layers.map(({ at }, i): Operation => ['shiftOf', at, n, i]), ['meet']];
  }

  /** Room for finding cuts. */
  prepareCuts(): void {
    this.#fields.forEach((field, i) => {
      field.cut = allocateCut(this.#machine, this.own);
      this.#describe(i);
    });
  }

  /** Cuts each layer at its keep-th highest score; `fresh`: look at all of them. */
  choose(keep: readonly number[], fresh: boolean): Operation[] {
    return [...keep.map((k, i): Operation => ['choose', this.layers[i].at, k, i, fresh ? 1 : 0]), ['meet']];
  }

  /** The weight gradient of one layer, in memory order to `to`. */
  gradient(i: number, n: number, to: number): Operation {
    const { at, rule } = this.layers[i];
    this.#machine.u32(rule, 2).set([KINDS.indexOf('gradient'), to]);
    return ['stepInputs', at, n, rule, this.#scratch];
  }

  /** The bias gradient of one layer, to its dBias. */
  biasGradient(i: number, n: number): Operation {
    const { at, rule } = this.layers[i];
    this.#machine.u32(rule, 1).set([KINDS.indexOf('gradient')]);
    return ['stepBias', at, n, rule];
  }

  loss(n: number): number {
    let sum = 0;
    for (const value of this.#machine.f64(this.#losses, n)) sum += value;
    return sum / n;
  }

  /** The logits of the last `forward` of n samples, n x outputs from `out[at]` on. */
  readLogits(n: number, out: Float32Array, at: number): void {
    const { yR, units } = this.#fields[this.#fields.length - 1];
    const view = this.#machine.f32(yR, tiles(units) * this.#room * 32);
    for (let row = 0; row < n; row++) {
      for (let tile = 0; tile < tiles(units); tile++) {
        const from = (tile * this.#room + row) * 32;
        out.set(view.subarray(from, from + Math.min(32, units - 32 * tile)), at + row * units + 32 * tile);
      }
    }
  }

  /** Canonical [out][in] to memory order. */
  upload(i: number, values: Float32Array, pointer: number): void {
    const { fanIn, units, count } = this.layers[i];
    const view = this.#machine.f32(pointer, count);
    for (let unit = 0, k = 0; unit < units; unit++) {
      const column = (unit >> 5) * fanIn * 32 + (unit & 31);
      for (let input = 0; input < fanIn; input++) view[column + input * 32] = values[k++];
    }
  }

  /** Weights, and their transpose where the layer has one. */
  uploadWeights(i: number, values: Float32Array): void {
    const { fanIn, units, w, wT } = this.layers[i];
    this.upload(i, values, w);
    if (!wT) return;
    const view = this.#machine.f32(wT, tiles(fanIn) * units * 32);
    for (let unit = 0, k = 0; unit < units; unit++) {
      for (let input = 0; input < fanIn; input++) view[((input >> 5) * units + unit) * 32 + (input & 31)] = values[k++];
    }
  }

  /** Memory order to canonical [out][in]. */
  download(i: number, pointer: number): Float32Array {
    const { fanIn, units, count } = this.layers[i];
    const view = this.#machine.f32(pointer, count);
    const out = new Float32Array(units * fanIn);
    for (let unit = 0, k = 0; unit < units; unit++) {
      const column = (unit >> 5) * fanIn * 32 + (unit & 31);
      for (let input = 0; input < fanIn; input++) out[k++] = view[column + input * 32];
    }
    return out;
  }
}
