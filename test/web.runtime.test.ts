// The runtime for pages where it is called: answers are of the values at the call, and no machine is asked for more threads than it takes.
// In a browser: web.page.test.ts.

import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { fetched } from '../web/page.js';
import { open } from '../web/runtime.js';

vi.mock('#workers', async (original) => ({ ...(await original<object>()), parallelism: () => 96 }));
afterEach(() => vi.unstubAllGlobals());

const file = () => new Uint8Array(readFileSync(new URL('../models/trained/mnist.smk', import.meta.url)));

test('a buffer may be used again as soon as a call has returned', async () => {
  const bytes = file();
  const opening = open(bytes, { worker: false });
  bytes.fill(0);
  const model = await opening;
  const pixels = Uint8Array.from({ length: 784 }, (_, i) => (i % 28 === 14 ? 255 : 0));
  const numbers = Float32Array.from(pixels);
  const calls = () => Promise.all([model.classify(pixels), model.logits(pixels, 1), model.logits(numbers, 1)]);
  const expected = await calls();
  const answers = calls();
  pixels.fill(0);
  numbers.fill(0);
  expect(await answers).toEqual(expected);
  expect(await calls()).not.toEqual(expected);
  model.close();
});

test('bytes in any hands are the same file', async () => {
  const bytes = file();
  const shifted = Buffer.concat([Buffer.from('xyz'), bytes]).subarray(3);
  for (const source of [bytes.slice().buffer, new Blob([bytes]), shifted]) {
    const opening = open(source, { worker: false });
    if (!(source instanceof Blob)) new Uint8Array(source).fill(0);
    const model = await opening;
    expect([model.about.fileBytes, model.about.tasks.length]).toEqual([bytes.length, 1]);
    model.close();
  }
  await expect(open(new ArrayBuffer(33 * 2 ** 20), { worker: false })).rejects.toThrow(
    /^the file: the beginning of it has \d+ bytes, more than the 33554432 a page takes$/,
  );
  await expect(open(new ArrayBuffer(7), { worker: false })).rejects.toThrow('not a Seedmask model file');
});

test.each([
  [Number.POSITIVE_INFINITY, 64],
  [96, 64],
  [3.9, 3],
  [Number.NaN, 1],
])('%s threads are asked for as %s', async (threads, asked) => {
  const names: unknown[] = [];
  class NoWorker {
    onerror = (_: { message: string }) => {};
    constructor(_: string, { name }: WorkerOptions) {
      names.push(name);
    }
    postMessage = () => this.onerror({ message: 'no worker here' });
    terminate() {}
  }
  vi.stubGlobal('Worker', NoWorker);
  await expect(open(file(), { worker: true, threads })).rejects.toThrow('no worker here');
  expect(names).toEqual([`seedmask:${asked}`]);
});

test('clamped bytes, as ImageData has them, are bytes; no values are too few', async () => {
  const model = await open(file(), { worker: false });
  const bytes = Uint8Array.from({ length: 784 + 3 }, (_, i) => i % 251);
  const clamped = new Uint8ClampedArray(bytes.buffer, 3);
  const logits = await model.logits(bytes.subarray(3), 1);
  expect(logits).toBeInstanceOf(Int32Array);
  expect(await model.logits(clamped, 1)).toEqual(logits);
  expect(await model.classify(clamped)).toEqual(await model.classify(bytes.subarray(3)));
  const nothing = undefined as unknown as Uint8Array;
  await expect(model.classify(nothing)).rejects.toThrow('got 0 input values, expected 1 rows x 784 values');
  model.close();
});

test('what does not come is named', async () => {
  const cut = () => new ReadableStream({ pull: (to) => to.error(new TypeError('network error')) });
  for (const [answer, line] of [
    [() => Promise.reject(new TypeError('Failed to fetch')), 'Failed to fetch'],
    [async () => new Response(null, { status: 404, statusText: 'Not Found' }), '404 Not Found'],
    [async () => new Response(cut()), 'network error'],
  ] as const) {
    vi.stubGlobal('fetch', answer);
    for (const get of [fetched, open]) await expect(get('https://models.test/a.smk')).rejects.toThrow(`https://models.test/a.smk: ${line}`);
  }
});
