// Networks with convolutions and pools on the wasm engine: one object per layer that says, as operations, how it goes forward and
// backward. Inference and training are made of the same objects.
//
// A layer multiplies in one of two forms, same bits (engine.ts): over its kept weights, where a mask keeps few, or over its non-zero
// inputs. Padded channels, units and border pixels are zero in every tensor and weight, so no kernel tells them apart.

import { hasRelu, type Network, type Placed, place, type Shape } from '../../network.js';
import {
  allocateTensor,
  backwards,
  featuresOf,
  type Geometry,
  lines,
  pitchOf,
  planeOf,
  SLACK,
  type Tensor,
  usedBytes,
  type Weights,
  type Workspace,
  weightsOf,
  workspace,
} from './conv-memory.js';
import { type Allocations, type Machine, type Operation, pad4 } from './machine.js';

/** What kind of sums a network runs on. */
export type Sums = 'f32' | 'i32';

export interface Layer {
  readonly placed: Placed;
  readonly relu: number;
  readonly out: Tensor;
  /** d loss / d out, already 0 where this layer's ReLU cut; 0 when not training. */
  readonly dOut: Tensor;
  forward(samples: number): Operation[];
  /** Weight gradients of this layer and `dOut` of the layer below. */
  backward(samples: number): Operation[];
}

export interface WeightedLayer extends Layer {
  readonly weights: Weights;
  /** Address of a kernel's Shape whose output is this layer's; a dense layer's output is one pixel. */
  readonly shape: number;
  /** Addresses: weights and, where there are any, biases and gradients. */
  readonly value: number;
  readonly bias: number;
  readonly gradient: number;
  readonly dBias: number;
  /** Call after the weights have changed: operations that lay them out for the form that suits `density`, the part that is not 0. */
  prepare(density: number): Operation[];
}

const isWeighted = (layer: Layer): layer is WeightedLayer => layer.placed.stream >= 0;

export interface Stack {
  readonly layers: readonly Layer[];
  readonly weighted: readonly WeightedLayer[];
  readonly input: Tensor;
}

interface Options {
  readonly batch: number;
  readonly sums: Sums;
  readonly biases: boolean;
  readonly training: boolean;
}

/**
 * A convolution over kept weights pays until about this part of them is kept; beyond, the zeros of what it reads are worth more. Half of
 * a ReLU's outputs or gradients are zero, five sixths of the gradients that come out of a max-pool.
 */
const KEPT_CONV = 0.4;
const KEPT_UNDER_POOL = 0.18;
/** A dense layer over held lists of kept weights. */
const KEPT_DENSE = 0.5;
/**
 * A dense input gradient over kept weights rather than non-zero dZ, half of which a ReLU leaves. Conv2, batch 60, half of the weights
 * kept: 15 and 10 ms.
 */
const KEPT_BACK = 0.35;

const NONE: Tensor = { at: 0, sample: 0, row: 0 };

/** Lays out a network's layers in memory of `own`. */
export function stack(machine: Machine, own: Allocations, network: Network, options: Options): Stack {
  const placed = place(network);
  const tensor = (shape: Shape, reader: Placed | undefined) => allocateTensor(own, shape, reader, options.batch);
  const input = tensor(network.input, placed[0]);
  const shared = workspace(machine, own, placed, options.batch);
  const layers: Layer[] = [];
  placed.forEach((here, i) => {
    const out = tensor(here.output, placed[i + 1]);
    const dOut = options.training ? tensor(here.output, placed[i + 1]) : NONE;
    const below = layers.at(-1);
    const context: Context = {
      machine,
      own,
      placed: here,
      x: below?.out ?? input,
      below,
      out,
      dOut,
      shared,
      options,
      pooled: placed[i + 1]?.layer.kind === 'pool',
    };
    layers.push(here.layer.kind === 'pool' ? poolLayer(context) : here.layer.kind === 'conv' ? convLayer(context) : denseLayer(context));
  });
  return { layers, weighted: layers.filter(isWeighted), input };
}

interface Context {
  readonly machine: Machine;
  readonly own: Allocations;
  readonly placed: Placed;
  readonly x: Tensor;
  readonly below: Layer | undefined;
  readonly out: Tensor;
  readonly dOut: Tensor;
  /** Whether a pool reads the output. */
  readonly pooled: boolean;
  readonly shared: Workspace;
  readonly options: Options;
}

/** Writes a kernel's Shape (assembly/image.ts). */
function shapeOf({ machine, own }: Context, geometry: Geometry, x: Tensor, out: Tensor): number {
  const [height, width, channels] = geometry.input;
  const [outHeight, outWidth, filters] = geometry.output;
  const { kernel, before } = geometry;
  const images = [height, width, pad4(channels), pad4(filters), x.sample, x.row, out.sample, out.row, outHeight, outWidth];
  const fields = [...images, kernel, before, pitchOf(geometry), planeOf(geometry)];
  const pointer = own.bytes(fields.length * 4);
  machine.u32(pointer, fields.length).set(fields);
  return pointer;
}

// ---- layers ----

function poolLayer(context: Context): Layer {
  const { placed, x, out, dOut, below, options } = context;
  const shape = shapeOf(context, placed, x, out);
  return {
    placed,
    relu: 0,
    out,
    dOut,
    forward: (n) => [[options.sums === 'i32' ? 'poolInteger' : 'pool', shape, n, x.at, out.at]],
    backward: (n) => (below ? [['unpool', shape, n, x.at, dOut.at, below.dOut.at, below.relu]] : []),
  };
}

/** What conv and dense layers hold alike. */
function held({ own, placed, out, dOut, options }: Context) {
  const weights = weightsOf(placed);
  const units = pad4(weights.units);
  // Kernels of the topk step see runs of 32 values.
  const bytes = units * weights.pitch + 128;
  return {
    placed,
    relu: hasRelu(placed.layer) ? 1 : 0,
    out,
    dOut,
    weights,
    value: lines(own, bytes),
    gradient: options.training ? lines(own, bytes) : 0,
    bias: options.biases ? own.bytes(units * 4) : 0,
    // sumRows adds up whole samples, padding and all.
    dBias: options.biases && options.training ? own.bytes(Math.max(units * 4, dOut.sample)) : 0,
  };
}

function convLayer(context: Context): WeightedLayer {
  const { own, placed, x, below, out, dOut, pooled, shared, options } = context;
  const layer = held(context);
  const { relu, value, bias, gradient, dBias, weights } = layer;
  const { kernel } = placed;
  const taps = kernel * kernel;
  const channels = weights.padded;
  const filters = pad4(weights.units);
  const downwards = options.training && below !== undefined;
  const shapes = {
    forth: shapeOf(context, placed, x, out),
    back: downwards ? shapeOf(context, backwards(placed), dOut, below.dOut) : 0,
  };
  const tiles = (lanes: number, inner: number) => lines(own, Math.ceil(lanes / 32) * taps * inner * 128 + SLACK);
  const listsOf = (rows: number, inner: number) => ({ lists: own.bytes(rows * taps * inner * 8), counts: own.bytes(rows * 4) });
  const kept = { forth: listsOf(filters, channels), back: downwards ? listsOf(channels, filters) : { lists: 0, counts: 0 } };
  const listed = options.sums === 'f32' ? { forth: tiles(filters, channels), back: downwards ? tiles(channels, filters) : 0 } : null;
  let sparse = { forth: true, back: true };

  const planes = ([placed, backwards(placed)] as const).map((geometry) => ({ row: pitchOf(geometry) * 4, plane: planeOf(geometry) }));
  const [ahead, behind] = planes;
  const { units, pitch } = weights;
  const [tapRow, tap] = [4 * kernel * channels, 4 * channels];
  // Mirrored: the first kernel row reads the last image row of the window, the first column its last pixel.
  const last = (kernel - 1) * (behind.row + 4);

  return {
    ...layer,
    shape: shapes.forth,
    prepare(density) {
      sparse = {
        forth: listed === null || density < KEPT_CONV,
        back: listed === null || density < (pooled ? KEPT_UNDER_POOL : KEPT_CONV),
      };
      const { forth, back } = kept;
      const tape: Operation[] = [];
      if (listed && !sparse.forth) tape.push(['lanes', value, taps, tap, channels, 4, units, pitch, listed.forth]);
      else
        tape.push([
          'keptLists',
          value,
          units,
          pitch,
          kernel,
          tapRow,
          ahead.row,
          tap,
          4,
          channels,
          4,
          ahead.plane,
          0,
          forth.lists,
          forth.counts,
          taps * channels,
        ]);
      if (!downwards) return tape;
      if (listed && !sparse.back) tape.push(['lanes', value, taps, tap, filters, pitch, channels, 4, listed.back]);
      else
        tape.push([
          'keptLists',
          value,
          channels,
          4,
          kernel,
          tapRow,
          -behind.row,
          tap,
          -4,
          filters,
          pitch,
          behind.plane,
          last,
          back.lists,
          back.counts,
          taps * filters,
        ]);
      return tape;
    },
    forward(n) {
      const { scratch, room } = shared;
      if (!sparse.forth && listed) return [['listedConv', shapes.forth, n, x.at, out.at, listed.forth, 0, bias, relu, 0, scratch, room]];
      const name = options.sums === 'i32' ? 'keptConvInteger' : 'keptConv';
      return [[name, shapes.forth, n, x.at, out.at, kept.forth.lists, kept.forth.counts, bias, relu, 0, scratch, room]];
    },
    backward(n) {
      const { scratch, room, lists, counts } = shared;
      const tape: Operation[] = [['convGradient', shapes.forth, n, x.at, dOut.at, gradient, dBias, lists, counts, scratch, room]];
      if (!downwards) return tape;
      const gate = below.relu ? below.out.at : 0;
      tape.push(
        sparse.back || !listed
          ? ['keptConv', shapes.back, n, dOut.at, below.dOut.at, kept.back.lists, kept.back.counts, 0, 0, gate, scratch, room]
          : ['listedConv', shapes.back, n, dOut.at, below.dOut.at, listed.back, 1, 0, 0, gate, scratch, room],
      );
      return tape;
    },
  };
}

function denseLayer(context: Context): WeightedLayer {
  const { machine, own, placed, x, below, out, dOut, shared, options } = context;
  const layer = held(context);
  const { relu, value, bias, gradient, dBias, weights } = layer;
  const { biases } = options;
  const { units, pitch } = weights;
  const features = featuresOf(placed.input);
  const { turned, result, stride, scratch, lists, counts } = shared;
  // Of its own, so that the rows that round the units up to a multiple of 4 stay zero.
  const sums = own.bytes(pad4(units) * stride);
  let kept: { lists: number; counts: number; capacity: number } | null = null;
  let sparse = false;
  return {
    ...layer,
    shape: shapeOf(context, placed, x, out),
    prepare(density) {
      sparse = density < KEPT_BACK;
      if (options.training || (options.sums === 'f32' && density > KEPT_DENSE)) return [];
      // The entry after the last one is scratch (append in assembly/walk.ts).
      const capacity = mostKept(machine, value, weights) + 1;
      kept = { lists: own.bytes(units * capacity * 8), counts: own.bytes(units * 4), capacity };
      return [['keptLists', value, units, pitch, 1, 0, 0, 0, 0, features, 4, stride, 0, kept.lists, kept.counts, capacity]];
    },
    forward(n) {
      const used = usedBytes(n);
      const name = options.sums === 'i32' ? 'keptDenseInteger' : 'keptDense';
      return [
        ['turn', x.at, pad4(n), features, x.sample, turned, stride, 0],
        kept
          ? [name, kept.lists, kept.counts, kept.capacity, units, turned, stride, used, sums, bias, relu]
          : ['dense', value, pitch, units, features, turned, stride, used, sums, bias, relu, scratch],
        ['turn', sums, pad4(units), pad4(n), stride, out.at, out.sample, 0],
      ];
    },
    backward(n) {
      const tape: Operation[] = [
        ['compressColumns', dOut.at, n, units, dOut.sample, lists, counts, n, x.sample],
        ['strips', lists, counts, n, units, x.at, features, gradient, pitch, 0],
      ];
      if (biases) tape.push(['sumRows', dOut.at, n, dOut.sample, dBias]);
      if (!below) return tape;
      const gate = below.relu ? below.out.at : 0;
      if (sparse)
        tape.push(
          ['turn', dOut.at, pad4(n), pad4(units), dOut.sample, result, stride, 0],
          ['denseBack', value, pitch, units, features, result, stride, usedBytes(n), turned, scratch],
          ['turn', turned, features, pad4(n), stride, below.dOut.at, below.dOut.sample, gate],
        );
      else
        tape.push(
          ['compressRows', dOut.at, n, units, dOut.sample, lists, counts, units, pitch],
          ['strips', lists, counts, units, n, value, features, below.dOut.at, below.dOut.sample, gate],
        );
      return tape;
    },
  };
}

/** The largest number of non-zero weights of a unit. */
function mostKept(machine: Machine, value: number, { units, pitch }: Weights): number {
  const words = machine.i32(value, (units * pitch) / 4);
  let most = 0;
  for (let unit = 0, i = 0; unit < units; unit++) {
    let count = 0;
    for (const end = i + pitch / 4; i < end; i++) if (words[i] !== 0) count++;
    most = Math.max(most, count);
  }
  return most;
}
