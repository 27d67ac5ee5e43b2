// When the memory of the kernels is full, or a kernel traps: one error, and what was there before goes on, or the engine is closed.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { PIXELS } from '../src/engine/engine.js';
import { KERNELS } from '../src/engine/kernels.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { Machine } from '../src/engine/wasm/machine.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { maskBytes, type Network, weightCounts } from '../src/network.js';
import type { Distribution } from '../src/random.js';
import { dense, net, randomMask, randomPixels } from './engine.material.js';

const { Memory } = WebAssembly;
/** Memory of so many pages at most, of 64 KiB each, so that it is soon full. */
const atMost = (maximum: number) =>
  vi.stubGlobal('WebAssembly', {
    ...Object.fromEntries(Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)])),
    Memory: class {
      constructor(wanted: WebAssembly.MemoryDescriptor) {
        // biome-ignore lint/correctness/noConstructorReturn: whoever asks for memory has a real one, only smaller
        return new Memory({ ...wanted, maximum });
      }
    },
  });
afterEach(() => {
  vi.unstubAllGlobals();
});

const of = (low: number, units: number, distribution: Distribution): Network => ({
  ...net([1, 1, 784], dense(units), dense(16, 'linear')),
  distribution,
  seed: { low, high: 0 },
});
const quarter = (network: Network) => randomMask(network, network.seed, 0.25);

test.each(['signed-constant', 'normal'] as const)(
  '%s: a classifier whose lists for single rows find no room goes on as before',
  async (distribution) => {
    atMost(200);
    const engine = await createWasmEngine({ threads: 1 });
    const make = (seed: number, units: number) => {
      const network = of(seed, units, distribution);
      return engine.classifier(network, { mask: quarter(network) });
    };
    const pixels = randomPixels({ low: 1, high: 1 }, 64 * 784);
    const classifier = make(1, 304);
    const want = classifier.logits(pixels, 64);
    const held: ReturnType<typeof make>[] = [];
    for (let units = 304; units >= 8; ) {
      try {
        held.push(make(100 + held.length, units));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        units = Math.floor(units / 16) * 8;
      }
    }
    expect(() => classifier.logits(pixels.subarray(0, 784), 1)).toThrow(/no room for another \d+ bytes/);
    expect(classifier.logits(pixels, 64)).toEqual(want);
    for (const other of held.splice(5)) other.free();
    for (let seed = 900; seed < 904; seed++) held.push(make(seed, 304));
    expect(classifier.logits(pixels.subarray(0, 784), 1)).toEqual(want.subarray(0, 16));
    expect(classifier.logits(pixels, 64)).toEqual(want);
    classifier.free();
    engine.close();
  },
);

test('a trainer that is refused for its memory gives everything back', async () => {
  const network = of(1, 300, 'packed-signed-constant');
  const scores = weightCounts(network).map((count) => new Float32Array(count));
  const data = { images: new Uint8Array(784 * 100), labels: new Uint8Array(100), transform: PIXELS };
  const room = (engine: Awaited<ReturnType<typeof createWasmEngine>>): number => {
    const held = [];
    try {
      for (;;) held.push(engine.classifier(of(1, 8, 'packed-signed-constant')));
    } catch {
      for (const classifier of held) classifier.free();
    }
    return held.length;
  };
  let refused = 0;
  for (const pages of [110, 125, 134]) {
    atMost(pages);
    const [engine, fresh] = [await createWasmEngine({ threads: 1 }), await createWasmEngine({ threads: 1 })];
    try {
      engine.topkTrainer(network, data, { scores }, { keep: [100, 100], gain: [1, 1] }, 64).free();
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      refused++;
    }
    expect(room(engine) / room(fresh), `${pages} pages`).toBeGreaterThan(0.9);
    vi.unstubAllGlobals();
  }
  expect(refused).toBeGreaterThan(0);
});

test('a trap closes the engine: no later call waits for threads that wait at a barrier', async () => {
  const machine = await Machine.create(2, KERNELS.shared);
  const nowhere = 2 ** 32 - 64;
  expect(() => machine.run([['sumRows', nowhere, 100, 64, nowhere]])).toThrow(WebAssembly.RuntimeError);
  expect(() => machine.run([['meet']])).toThrow('the engine is closed');
});

test('so does one in another thread, of which the caller hears soon', () => {
  const program = `
    import { KERNELS } from './dist/src/engine/kernels.js';
    import { Machine } from './dist/src/engine/wasm/machine.js';
    const machine = await Machine.create(2, KERNELS.shared);
    // Of 4096 bytes of sums the caller writes the first half, which end with the memory.
    for (const operation of [['sumRows', machine.bytes - 4096, 1, 4096, machine.bytes - 2048], ['meet']]) {
      try { machine.run([operation]); } catch (error) { console.log(error.message); }
    }`;
  // In a process of its own: where nobody hears of it, it waits for ever.
  const options = { cwd: join(import.meta.dirname, '..'), encoding: 'utf8', timeout: 30_000 } as const;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], options);
  expect(stdout).toBe('a kernel failed in another thread\nthe engine is closed\n');
}, 60_000);

test.each([
  ['all weights', 255],
  ['few weights', 16],
])('very wide layers of floats under %s pass few samples at once, with the same bits', async (_, byte) => {
  const network = { ...net([1, 1, 65_536], dense(2, 'linear')), distribution: 'normal' as const };
  const mask = [new Uint8Array(maskBytes(2 * 65_536)).fill(byte)];
  const [ours, theirs] = [await createWasmEngine({ threads: 2 }), createReferenceEngine()];
  const before = ours.memoryBytes;
  const rows = 300;
  const pixels = Uint8Array.from({ length: rows * 65_536 }, (_, i) => (i % 5 ? 0 : i % 251));
  const [found, want] = [ours, theirs].map((engine) => engine.classifier(network, { mask }).logits(pixels, rows));
  expect(found).toEqual(want);
  expect(ours.memoryBytes - before).toBeLessThan(60 * 2 ** 20);
  ours.close();
});
