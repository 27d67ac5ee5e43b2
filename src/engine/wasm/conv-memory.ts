// Where networks of images lie in memory: tensors, weights and the room that layers use one after the other. conv.ts says what
// happens there; the sizes of scratch follow the kernels named beside them.
//
//   activations, gradients   [sample][y][x][channel], channels padded to 4; a border of zero pixels where a convolution reads
//   weights                  canonical order with channels padded: conv [filter][ky][kx][channel], dense [unit][y][x][channel]

import { type Placed, type Shape, size } from '../../network.js';
import { type Allocations, type Machine, pad4 } from './machine.js';

/** Kernels may touch a tile past the end of what they need. */
export const SLACK = 512;
/** Bytes of a cache line: strips of 128 bytes lie on whole lines. */
const LINE = 64;

/** Activations or gradients of up to a batch of samples: strides in bytes, `at` is the first pixel of the first sample. */
export interface Tensor {
  readonly at: number;
  readonly sample: number;
  readonly row: number;
}

/** The weights of a layer, or anything shaped like them: `units` rows, `pitch` bytes apart. */
export interface Weights {
  readonly units: number;
  readonly pitch: number;
  /** Real and padded channels of the input: value i of a unit lies at floor(i / channels) * padded + i % channels. */
  readonly channels: number;
  readonly padded: number;
  /** Values of a unit in canonical order. */
  readonly fanIn: number;
  /** Floats of all rows with their padding. */
  readonly count: number;
}

/** What a kernel's window is moved over: how an image becomes the next, forwards or backwards. */
export type Geometry = Pick<Placed, 'input' | 'output' | 'kernel' | 'before'>;

/** How a convolution's input gradient is a convolution of its output gradient: the kernel mirrored. */
export const backwards = ({ input, output, kernel, before }: Geometry): Geometry => ({
  input: output,
  output: input,
  kernel,
  before: kernel - 1 - before,
});

/** Columns of zeros that windows read to the right of the input, and rows below it. */
const after = ({ input, output, kernel, before }: Geometry): number => output[1] + kernel - 1 - before - input[1];

/** @param reader the layer that reads the tensor: a convolution wants a border of zeros */
export function allocateTensor(own: Allocations, [height, width, channels]: Shape, reader: Placed | undefined, batch: number): Tensor {
  const pixel = pad4(channels) * 4;
  const [before, border] = reader?.kernel ? [reader.before, reader.before + after(reader)] : [0, 0];
  const row = (width + border) * pixel;
  const sample = spread((height + border) * row);
  return { at: lines(own, pad4(batch) * sample + SLACK) + before * (row + pixel), sample, row };
}

/** Zeroed bytes from the start of a cache line. */
export const lines = (own: Allocations, bytes: number): number => Math.ceil(own.bytes(bytes + LINE) / LINE) * LINE;

/** Rows that are far apart must not fall into the same cache sets: an odd number of cache lines. */
const spread = (bytes: number): number => (bytes < 1024 ? bytes : (Math.ceil(bytes / 64) | 1) * 64);

// ---- memory that layers use one after the other ----

export interface Workspace {
  readonly scratch: number;
  /** Bytes of scratch for each thread. */
  readonly room: number;
  readonly lists: number;
  readonly counts: number;
  /** [feature][sample] copies of a dense layer's input and output, `stride` bytes a row. */
  readonly turned: number;
  readonly result: number;
  readonly stride: number;
}

export function workspace(machine: Machine, own: Allocations, placed: readonly Placed[], batch: number): Workspace {
  const largest = (of: (placed: Placed) => number) => placed.reduce((most, here) => Math.max(most, of(here)), 0);
  const dense = (of: (placed: Placed) => number) => largest((here) => (here.layer.kind === 'dense' ? of(here) : 0));
  const stride = usedBytes(batch);
  const room = Math.ceil(largest(roomOf) / 64) * 64 + SLACK;
  const units = largest(({ output }) => pad4(output[2]));
  const lists = largest(({ layer, output }) => (layer.kind === 'dense' ? pad4(batch) : 12 * output[1]) * pad4(output[2]) * 8);
  return {
    scratch: lines(own, machine.threads * room),
    room,
    lists: own.bytes(lists),
    counts: own.bytes(Math.max(units, batch) * 4),
    turned: lines(own, dense(({ input }) => featuresOf(input)) * stride + SLACK),
    result: lines(own, dense(({ output }) => pad4(output[2])) * stride + SLACK),
    stride,
  };
}

/** Bytes of a row of samples: whole strips of 32 where there are many. */
export const usedBytes = (samples: number): number => (samples > 16 ? Math.ceil(samples / 32) * 128 : pad4(samples) * 4);

export const featuresOf = ([height, width, channels]: Shape): number => height * width * pad4(channels);

/** Positions from a row of a channel plane to the next: rows share their zero columns (assembly/kept.ts). */
export const pitchOf = (geometry: Geometry): number => geometry.input[1] + Math.max(geometry.before, after(geometry));

/** Bytes of a channel plane: the rows that windows read, and the last one's columns. */
export const planeOf = (geometry: Geometry): number => {
  const { output, kernel } = geometry;
  return (Math.ceil(((output[0] + kernel - 1) * pitchOf(geometry) + kernel + 1) / 16) | 1) * 64;
};

/** Scratch bytes that one thread needs in either form and direction of a layer (assembly/kept.ts, listed.ts, gradient.ts). */
function roomOf(placed: Placed): number {
  const { layer, input, output, kernel } = placed;
  if (layer.kind === 'dense') return 2048;
  if (layer.kind === 'pool') return 0;
  const most = Math.max(pad4(input[2]), pad4(output[2]));
  const kept = most * (Math.max(planeOf(placed), planeOf(backwards(placed))) + 192 + 4);
  const wide = Math.max(input[1], output[1]);
  const listed = wide * 128 + kernel * ((wide + kernel) * 4 + 32 + wide * most * 8);
  const sliced = (12 + kernel - 1) * (output[1] + kernel - 1) * pad4(input[2]) * 4;
  return Math.max(kept, listed, sliced) + SLACK;
}

export function weightsOf({ input, layer, output, fanIn, kernel }: Placed): Weights {
  const padded = pad4(input[2]);
  const pitch = layer.kind === 'conv' ? kernel * kernel * padded * 4 : spread(featuresOf(input) * 4);
  return { units: output[2], pitch, channels: input[2], padded, fanIn, count: (output[2] * pitch) / 4 };
}

/** The outputs of a batch, shaped like weights with a row a sample: the last layer's tensor has no border. */
export const outputsOf = ({ placed: { output }, out }: { placed: Placed; out: Tensor }, samples: number): Weights => ({
  units: samples,
  pitch: out.sample,
  channels: output[2],
  padded: pad4(output[2]),
  fanIn: size(output),
  count: (samples * out.sample) / 4,
});

// ---- the border to canonical order ----

/** Where weight k of canonical order lies in memory, in values from the layer's first. */
export function placeOf({ pitch, channels, padded, fanIn }: Weights, k: number): number {
  const unit = Math.floor(k / fanIn);
  const input = k - unit * fanIn;
  const pixel = Math.floor(input / channels);
  return (unit * pitch) / 4 + pixel * padded + (input - pixel * channels);
}

/** Canonical order to memory order. */
export function upload(
  values: ArrayLike<number>,
  view: Float32Array | Int32Array,
  { units, pitch, channels, padded, fanIn }: Weights,
): void {
  for (let unit = 0, i = 0; unit < units; unit++) {
    for (let k = 0, at = (unit * pitch) / 4; k < fanIn; k += channels, at += padded) {
      for (let c = 0; c < channels; c++) view[at + c] = values[i++];
    }
  }
}

/** Memory order to canonical order. */
export const download = (view: Float32Array, weights: Weights): Float32Array =>
  unpad(view, weights, new Float32Array(weights.units * weights.fanIn));

export function unpad<T extends Float32Array | Int32Array>(view: T, { units, pitch, channels, padded, fanIn }: Weights, out: T): T {
  for (let unit = 0, i = 0; unit < units; unit++) {
    for (let k = 0, at = (unit * pitch) / 4; k < fanIn; k += channels, at += padded) {
      for (let c = 0; c < channels; c++) out[i++] = view[at + c];
    }
  }
  return out;
}
