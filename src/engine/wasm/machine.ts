// The WebAssembly machine behind the wasm engine: one memory, one or more threads, and tapes of operations (see assembly/index.ts).
// Memory can grow at any allocation, so views are made anew for each use and never kept.

import { startWorkers, wait } from '#workers';
import { ShapeError } from '../../network.js';

type FloatOperands = [
  program: number,
  values: number,
  bytes: number,
  rows: number,
  mean: number,
  scale: number,
  scratch: number,
  logits: number,
];

interface Exports {
  allocate(bytes: number): number;
  release(pointer: number): void;
  start(tape: number, control: number, threads: number): void;
  integerTiles(program: number, pixels: number, rows: number, size: number, scratch: number, logits: number, t: number, n: number): void;
  integerRows(program: number, pixels: number, rows: number, scratch: number, logits: number, t: number, n: number): void;
  packedRows(program: number, mask: number, pixels: number, rows: number, scratch: number, logits: number): void;
  floatTiles(...operands: [...FloatOperands, t: number, n: number]): void;
  floatRows(...operands: FloatOperands): void;
  weights(distribution: number, sigma: number, k0: number, k1: number, stream: number, out: number, count: number): void;
}

/** name -> [code, positions of f32 operands]; operands are described at the kernels. */
const OPERATIONS = {
  gather: [1, [5, 6]],
  shift: [2, [4, 5]],
  compressRows: [3, []],
  compressColumns: [4, []],
  product: [5, []],
  crossEntropy: [7, []],
  adam: [8, [6, 7, 8, 9, 10, 11]],
  sgd: [9, [5, 6]],
  sumRows: [18, []],
  integerTiles: [40, []],
  floatTiles: [41, [5, 6]],
  integerRows: [42, []],
  images: [60, [8, 9]],
  pool: [61, []],
  poolInteger: [62, []],
  unpool: [63, []],
  turn: [64, []],
  keptLists: [65, []],
  keptConv: [66, []],
  keptConvInteger: [67, []],
  keptDense: [68, []],
  keptDenseInteger: [69, []],
  dense: [70, []],
  lanes: [71, []],
  listedConv: [72, []],
  convGradient: [73, []],
  denseBack: [74, []],
  strips: [75, []],
  restrict: [76, []],
  topkRun: [77, [3, 4, 5]],
  meet: [99, []],
  gatherColumns: [100, [5, 6]],
  flip: [101, []],
  keptForward: [102, []],
  keptBackward: [103, []],
  denseForward: [104, []],
  denseBackward: [105, []],
  softmaxRows: [106, []],
  stepInputs: [107, []],
  stepBias: [108, []],
  emitAll: [109, [2]],
  stepActive: [110, []],
  choose: [111, []],
  draw: [112, []],
  rescale: [113, []],
  shiftOf: [114, []],
  stepRows: [115, []],
  rescaleRows: [116, []],
  eulerOfRows: [117, []],
} as const satisfies Record<string, readonly [number, readonly number[]]>;

export type Operation = readonly [name: keyof typeof OPERATIONS, ...operands: number[]];

const WORDS = 16;
const MAX_OPERATIONS = 8192;
/** 2 GiB: the shared build's declared maximum. */
const MAX_PAGES = 32768;
/** Bytes of the largest block of AssemblyScript's allocator, with room for its header. */
const LARGEST = 2 ** 30 - 16;

/** f32 rows are padded to whole vectors of four. */
export const pad4 = (n: number): number => Math.ceil(n / 4) * 4;
export const pad16 = (n: number): number => Math.ceil(n / 16) * 16;

/** More are not started. */
export const MOST_THREADS = 64;

/** @param kernels WebAssembly, deflated, as base64 */
export async function compile(kernels: string): Promise<WebAssembly.Module> {
  const text = atob(kernels);
  const deflated = new Uint8Array(text.length);
  // Done before anything is compiled: a callback a character takes ten times as long.
  for (let i = 0; i < text.length; i++) deflated[i] = text.charCodeAt(i);
  const bytes = new Response(new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate-raw')));
  return WebAssembly.compile(await bytes.arrayBuffer());
}

export class Machine {
  readonly threads: number;
  readonly #memory: WebAssembly.Memory;
  readonly #exports: Exports;
  readonly #control: number;
  readonly #tape: number;
  readonly #stop: () => void;
  #closed = false;
  #scratch = { pointer: 0, bytes: 0 };

  private constructor(memory: WebAssembly.Memory, exports: Exports, control: number, threads: number, stop: () => void) {
    this.#memory = memory;
    this.#exports = exports;
    this.#control = control;
    this.#tape = exports.allocate((MAX_OPERATIONS + 1) * WORDS * 4);
    this.threads = threads;
    this.#stop = stop;
  }

  /**
   * Compiles kernels and starts threads - 1 workers; one thread uses unshared memory.
   * @param kernels deflated, as base64: of the build without threads for one thread, else of the one with
   */
  static async create(threads: number, kernels: string): Promise<Machine> {
    if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS)
      throw new RangeError(`threads must be an integer from 1 to ${MOST_THREADS}, got ${threads}`);
    const shared = threads > 1;
    const module = await compile(kernels);
    const memory = new WebAssembly.Memory(shared ? { initial: 16, maximum: MAX_PAGES, shared } : { initial: 16 });
    const instance = await WebAssembly.instantiate(module, { env: { memory, wait: wait.bind(null, memory) } });
    const exports = instance.exports as unknown as Exports;
    const control = exports.allocate(64);
    if (!shared) return new Machine(memory, exports, control, 1, () => undefined);
    const workers = startWorkers(module, memory, control, threads);
    try {
      await workers.ready;
    } catch (error) {
      // Those that have started.
      workers.terminate();
      throw error;
    }
    return new Machine(memory, exports, control, threads, workers.terminate);
  }

  /** The kernels, for all but giving memory back. @throws Error when the engine is closed */
  get #kernels(): Exports {
    if (this.#closed) throw new Error('the engine is closed');
    return this.#exports;
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /**
   * @throws ShapeError when no piece may be so large; RangeError when memory is full; Error when the engine is closed
   */
  allocate(bytes: number): number {
    const kernels = this.#kernels;
    if (bytes > LARGEST)
      throw new ShapeError(
        `${bytes} bytes in one piece are more than the ${LARGEST} of the kernels: smaller layers, smaller batches or fewer rows take less`,
      );
    try {
      return kernels.allocate(bytes) >>> 0;
    } catch (cause) {
      throw new RangeError(`the memory of the kernels has no room for another ${bytes} bytes`, { cause });
    }
  }

  release(pointer: number): void {
    this.#exports.release(pointer);
  }

  /** Whole cache lines that every classifier shares while it answers: what one call leaves there the next may overwrite. */
  scratch(bytes: number): number {
    if (bytes > this.#scratch.bytes) {
      if (this.#scratch.bytes > 0) this.release(this.#scratch.pointer);
      this.#scratch = { pointer: 0, bytes: 0 };
      this.#scratch = { pointer: this.allocate(bytes + 63), bytes };
    }
    return Math.ceil(this.#scratch.pointer / 64) * 64;
  }

  u8 = (pointer: number, length: number): Uint8Array => new Uint8Array(this.#memory.buffer, pointer, length);
  u16 = (pointer: number, length: number): Uint16Array => new Uint16Array(this.#memory.buffer, pointer, length);
  i32 = (pointer: number, length: number): Int32Array => new Int32Array(this.#memory.buffer, pointer, length);
  u32 = (pointer: number, length: number): Uint32Array => new Uint32Array(this.#memory.buffer, pointer, length);
  f32 = (pointer: number, length: number): Float32Array => new Float32Array(this.#memory.buffer, pointer, length);
  f64 = (pointer: number, length: number): Float64Array => new Float64Array(this.#memory.buffer, pointer, length);

  /**
   * Runs the operations in order on all threads; returns when they are done. Where several wait for each other, a trap closes the engine: the
   * caller's own, and in Node that of another thread, which a browser waits for.
   */
  run(operations: readonly Operation[]): void {
    if (operations.length === 0) return;
    const kernels = this.#kernels;
    if (operations.length > MAX_OPERATIONS) throw new RangeError(`a tape holds ${MAX_OPERATIONS} operations, got ${operations.length}`);
    const words = this.u32(this.#tape, (operations.length + 1) * WORDS);
    const floats = this.f32(this.#tape, (operations.length + 1) * WORDS);
    operations.forEach(([name, ...operands], i) => {
      const [code, floating] = OPERATIONS[name];
      const at = i * WORDS;
      words[at] = code;
      for (let k = 0; k < operands.length; k++) words[at + k + 1] = operands[k];
      for (const k of floating) floats[at + k] = operands[k - 1];
    });
    words[operations.length * WORDS] = 0;
    try {
      kernels.start(this.#tape, this.#control, this.threads);
    } catch (error) {
      // The other threads wait at a barrier that this one has left.
      if (this.threads > 1) this.close();
      throw error;
    }
  }

  /** Integer logits in tiles of `size` samples (assembly/integer.ts), dealt to all threads or done by this one. */
  integerTiles(program: number, pixels: number, rows: number, size: number, scratch: number, logits: number, deal: boolean): void {
    if (deal) this.run([['integerTiles', program, pixels, rows, size, scratch, logits]]);
    else this.#kernels.integerTiles(program, pixels, rows, size, scratch, logits, 0, 1);
  }

  /** The same one sample at a time (assembly/single.ts). */
  integerRows(program: number, pixels: number, rows: number, scratch: number, logits: number, deal: boolean): void {
    if (deal) this.run([['integerRows', program, pixels, rows, scratch, logits]]);
    else this.#kernels.integerRows(program, pixels, rows, scratch, logits, 0, 1);
  }

  /** Integer logits under a mask that is still packed (assembly/packed.ts). */
  packedRows(program: number, mask: number, pixels: number, rows: number, scratch: number, logits: number): void {
    this.#kernels.packedRows(program, mask, pixels, rows, scratch, logits);
  }

  /** The same two of floats under a sparse mask (assembly/float.ts). */
  floatTiles(deal: boolean, ...operands: FloatOperands): void {
    if (deal) this.run([['floatTiles', ...operands]]);
    else this.#kernels.floatTiles(...operands, 0, 1);
  }

  floatRows(...operands: FloatOperands): void {
    this.#kernels.floatRows(...operands);
  }

  /** Regenerates the first `count` weights of a layer, a multiple of 2048, as f32 at `out`. */
  weights(distribution: number, sigma: number, seed: { low: number; high: number }, stream: number, out: number, count: number): void {
    this.#kernels.weights(distribution, sigma, seed.low, seed.high, stream, out, count);
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }
}

/** Everything one owner allocates, freed together. */
export class Allocations {
  readonly #machine: Machine;
  readonly #pointers: number[] = [];
  /** Bytes held now. */
  held = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Zero-filled, 16-byte aligned. Where there is no room the rest is freed too: whoever was being made will not be there to free it. */
  bytes(count: number): number {
    try {
      const pointer = this.#machine.allocate(count);
      this.#pointers.push(pointer);
      this.held += count;
      return pointer;
    } catch (error) {
      this.free();
      throw error;
    }
  }

  free(): void {
    for (const pointer of this.#pointers.splice(0)) this.#machine.release(pointer);
    this.held = 0;
  }
}
