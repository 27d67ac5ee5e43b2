// Kernel threads of which one cannot start: the others are ended, and in a browser the address of their script is given back.

import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import workers from 'node:worker_threads';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { KERNELS } from '../src/engine/kernels.js';
import { Machine } from '../src/engine/wasm/machine.js';
import { startWorkers } from '../src/engine/workers.browser.js';
import { startWorkers as startInNode } from '../src/engine/workers.node.js';

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
  ['refused', 'too many workers', 2],
  ['broken', 'no memory', 3],
  ['fine', 'ready', 3],
] as const)('the last of three is %s in a browser', async (last, outcome, alive) => {
  const revoked = vi.spyOn(URL, 'revokeObjectURL');
  const workers = await started(last);
  expect([workers.outcome, workers.alive, revoked.mock.calls.length]).toEqual([outcome, alive, 1]);
  workers.terminate();
  expect(workers.alive).toBe(0);
});

test('in Node a thread that the system has no room for is told of as one that does not start', async () => {
  const { Worker } = workers;
  onTestFinished(() => {
    workers.Worker = Worker;
    syncBuiltinESMExports();
  });
  let [made, ended] = [0, 0];
  workers.Worker = class extends EventEmitter {
    constructor() {
      super();
      if (++made === 3) throw new Error('EAGAIN on purpose');
      queueMicrotask(() => this.emit('message'));
    }
    unref() {}
    terminate() {
      ended++;
    }
  } as never;
  syncBuiltinESMExports();
  const { ready, terminate } = startInNode(noModule, new WebAssembly.Memory({ initial: 1 }), 0, 4);
  await expect(ready).rejects.toThrow('EAGAIN on purpose');
  terminate();
  expect([made, ended]).toEqual([3, 2]);
});

const node = vi.hoisted(() => ({ terminate: vi.fn() }));
vi.mock('#workers', () => ({
  startWorkers: () => ({ ready: Promise.reject(new Error('no room for a thread')), terminate: node.terminate }),
  wait: () => undefined,
}));

test('a machine whose threads cannot all start ends those that did', async () => {
  await expect(Machine.create(3, KERNELS.shared)).rejects.toThrow('no room for a thread');
  expect(node.terminate).toHaveBeenCalledTimes(1);
});
