// Kernel threads in a browser, where one of them cannot start: the others are ended, and the address of their script is given back.

import { afterEach, expect, test, vi } from 'vitest';
import { startWorkers } from '../src/engine/workers.browser.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const noModule = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

/** Starts three workers of which one does not start. */
async function started(last: 'refused' | 'broken' | 'fine'): Promise<{ alive: number; outcome: string; terminate(): void }> {
  let [made, alive] = [0, 0];
  class OneOfThree {
    onmessage = () => {};
    onerror = (_: { message: string }) => {};
    readonly #last = ++made === 3;
    constructor() {
      if (this.#last && last === 'refused') throw new Error('too many workers');
      alive++;
    }
    postMessage() {
      queueMicrotask(() => (this.#last && last === 'broken' ? this.onerror({ message: 'no memory' }) : this.onmessage()));
    }
    terminate() {
      alive--;
    }
  }
  vi.stubGlobal('Worker', OneOfThree);
  const { ready, terminate } = startWorkers(noModule, new WebAssembly.Memory({ initial: 1 }), 0, 4);
  const outcome = await ready.then(
    () => 'ready',
    (error: Error) => error.message,
  );
  return {
    get alive() {
      return alive;
    },
    outcome,
    terminate,
  };
}

test.each([
  ['refused', 'too many workers', 0],
  ['broken', 'no memory', 0],
  ['fine', 'ready', 3],
] as const)('the last of three is %s', async (last, outcome, alive) => {
  const revoked = vi.spyOn(URL, 'revokeObjectURL');
  const workers = await started(last);
  expect([workers.outcome, workers.alive, revoked.mock.calls.length]).toEqual([outcome, alive, 1]);
  if (last !== 'fine') return;
  workers.terminate();
  expect(workers.alive).toBe(0);
});
