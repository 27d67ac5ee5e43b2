// Reads range-coded payloads with the WebAssembly of assembly/reader.ts: to the bit what context.ts reads through a RangeDecoder. One
// reader serves payload after payload; memory that a large one took is given back.

import { weighted } from '../src/network.js';
import { SeedmaskError } from './errors.js';
import { gridOf, isSized, type Surroundings } from './grids.js';
import { isMixed, type LayerCount, type LayerDecoder } from './schemes.js';

interface Kernel {
  readonly memory: WebAssembly.Memory;
  begin(bytes: number): number;
  next(): void;
  reserve(bytes: number): number;
  start(): void;
  skip(): void;
  adaptive(weights: number, kept: number, bits: number): void;
  /** units, height, row, channels, kept, sized, seed low, seed high, stream, order, base, bits: see assembly/reader.ts. */
  layer(...operands: number[]): void;
  finished(): number;
  /** Whether it stopped because there was no more memory. */
  readonly refused: WebAssembly.Global<'i32'>;
}

/** Memory that is kept from one payload to the next. */
const KEPT_BYTES = 2 ** 23;

export class MaskReader implements LayerDecoder {
  readonly #module: WebAssembly.Module;
  #kernel: Kernel | undefined;

  /** @param module kernel.ts, compiled */
  constructor(module: WebAssembly.Module) {
    this.#module = module;
  }

  read(around: Surroundings, layers: readonly LayerCount[], body: Uint8Array, modelled: boolean, mask: readonly Uint8Array[]): boolean {
    const kernel = this.#kernel ?? (new WebAssembly.Instance(this.#module).exports as unknown as Kernel);
    // One that found no memory is left where it stopped, and not used again.
    this.#kernel = undefined;
    try {
      fill(kernel, around, layers, body, modelled, mask);
    } catch (error) {
      const got = `more than the ${kernel.memory.buffer.byteLength} bytes it has`;
      if (kernel.refused.value)
        throw new SeedmaskError('over-limit', { field: 'memory to read a mask', got, expected: 'what the system gives' });
      throw error;
    }
    if (kernel.memory.buffer.byteLength <= KEPT_BYTES) this.#kernel = kernel;
    return kernel.finished() !== 0;
  }
}

function fill(
  kernel: Kernel,
  around: Surroundings,
  layers: readonly LayerCount[],
  body: Uint8Array,
  modelled: boolean,
  mask: readonly Uint8Array[],
): void {
  const { seed } = around.network;
  put(kernel, kernel.begin(body.length), body);
  kernel.start();
  weighted(around.network).forEach((placed, i) => {
    if (!isMixed(layers[i])) {
      kernel.skip();
      return;
    }
    const { kept, weights } = layers[i];
    kernel.next();
    const bits = kernel.reserve(mask[i].length);
    if (modelled) {
      const { units, shape, inputs, base } = gridOf(around, placed, kept);
      const [height, width, channels] = shape;
      const order = inputs ? keep(kernel, new Uint8Array(inputs.buffer)) : 0;
      const sized = Number(isSized(around.network));
      const place = [seed.low, seed.high, placed.stream, order, base ? keep(kernel, base) : 0, bits];
      kernel.layer(units, height, width * channels, channels, kept, sized, ...place);
    } else kernel.adaptive(weights, kept, bits);
    mask[i].set(new Uint8Array(kernel.memory.buffer, bits, mask[i].length));
  });
}

const put = ({ memory }: Kernel, at: number, bytes: Uint8Array): void => new Uint8Array(memory.buffer, at, bytes.length).set(bytes);

/** Bytes in memory of their own. */
function keep(kernel: Kernel, bytes: Uint8Array): number {
  const at = kernel.reserve(bytes.length);
  put(kernel, at, bytes);
  return at;
}
