// The page's bench answers as the server and `seedmask eval` do, for inputs declared constant too, and keeps nothing of a file that was
// refused or closed.

import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { readModel, writeModel } from '../codec/index.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { asInputs } from '../src/features.js';
import { fullMask, inputs, type Network, totalWeights } from '../src/network.js';
import { bytesOf } from '../web/limits.js';
import { OpenFiles } from '../web/open-files.js';
import { drawnToScale } from '../web/scale.js';
import { Workbench } from '../web/workbench.js';
import { FC, randomMask, SMALL_CONV, TINY, task } from './vectors/models.js';

test('inputs declared constant are replaced before the first layer', async () => {
  const constant = Uint8Array.from({ length: inputs(FC) / 8 }, (_, i) => (i < 49 ? 255 : 0));
  const transform = { scale: Math.fround(1 / 255), mean: 0, constant };
  const bytes = writeModel({
    network: FC,
    tasks: [task(randomMask(FC, [0.1], { low: 1, high: 0 }), { transform })],
  });
  const image = Uint8Array.from({ length: inputs(FC) }, (_, i) => (i * 37) % 256);
  const engine = createReferenceEngine();
  const bench = new Workbench(engine);
  await bench.open(bytes);
  const classifier = engine.classifier(FC, { mask: readModel(bytes).tasks[0].mask, transform });
  const expected = classifier.logits(asInputs(image, { constant }, inputs(FC)), 1);
  expect(bench.logits(0, 0, image, 1)).toEqual(expected);
  expect(() => classifier.logits(image, 1)).toThrow('the rows have values in inputs declared constant');
  expect(bench.classify(0, 0, image)).toEqual(bench.classify(0, 0, asInputs(image, { constant }, inputs(FC))));
});

test('a task over numbers takes float32, of which bytes are made as on a server', async () => {
  const [{ file }] = JSON.parse(readFileSync(new URL('vectors/features-v1.json', import.meta.url), 'utf8'));
  const bytes = new Uint8Array(Buffer.from(file, 'hex'));
  const engine = createReferenceEngine();
  const files = new OpenFiles(engine);
  const { network, tasks } = readModel(bytes);
  const [{ mask, transform }] = tasks;
  expect((await files.open(bytes)).tasks[0]).toMatchObject({ values: 'numbers', columns: undefined });
  const row = Float32Array.from({ length: inputs(network) }, (_, i) => i - 1.25);
  const made = engine.classifier(network, { mask, transform }).logits(asInputs(row, transform, inputs(network)), 1);
  expect(files.logits(0, 0, row, 1)).toEqual(made);
  expect(files.logits(0, 0, Uint8Array.from(row), 1)).not.toEqual(made);
  expect(() => files.classify(0, 0, row.fill(Number.NaN, 1, 2))).toThrow('value 1 is NaN, expected a finite number');
  const names = Array.from(row, (_, i) => `column ${i}`);
  const named = { ...tasks[0], id: '', transform: { ...transform, features: { ...transform.features!, names } } };
  const { tasks: known } = await files.open(writeModel({ network, tasks: [named] }));
  expect(known).toMatchObject([{ values: 'numbers', columns: names }]);
});

test('floats that are no pixels get no label', async () => {
  const files = new OpenFiles(createReferenceEngine());
  const opened = await files.open(
    writeModel({ network: FC, tasks: [task(randomMask(FC, [0.1], { low: 1, high: 0 }), { labels: ['a', 'b'] })] }),
  );
  expect(opened.tasks).toMatchObject([{ values: 'pixels', columns: undefined }]);
  for (const wrong of [Number.NaN, -7, 255.5, Number.POSITIVE_INFINITY])
    expect(() => files.classify(0, 0, new Float32Array(784).fill(wrong, 3, 4))).toThrow(`value 3 is ${wrong}, expected a pixel, 0 .. 255`);
  expect(files.classify(0, 0, new Float32Array(784).fill(255)).best).toBe(files.classify(0, 0, new Uint8Array(784).fill(255)).best);
});

test('drawn to scale: a file beside float32 weights, which every task of an archive would have for itself', async () => {
  const bench = new Workbench(createReferenceEngine());
  const bytes = (tasks: number) =>
    writeModel({
      network: FC,
      tasks: Array.from({ length: tasks }, (_, i) =>
        task(randomMask(FC, [0.5], { low: i, high: 0 }), { id: `t${String(i).padStart(2, '0')}` }),
      ),
    });
  const weights = totalWeights(FC);
  for (const tasks of [1, 40]) {
    const about = await bench.open(bytes(tasks));
    const drawn = drawnToScale(about);
    const float32 = 4 * weights * tasks;
    const [large, small] = [...drawn.matchAll(/ width="([\d.]+)" height/g)].map(([, side]) => Number(side) ** 2);
    expect(small / large).toBeCloseTo(about.fileBytes / float32, 6);
    expect(drawn).toContain(`${tasks > 1 ? 'as float32, for each of 40 tasks' : 'as float32'}: ${float32.toLocaleString('en')} bytes, `);
    expect(drawn).toContain(`${Math.round(float32 / about.fileBytes)} times as many`);
  }
});

/** An engine that counts what is compiled. @param bytes that every mask says it takes */
function counting(bytes: number) {
  const engine = createReferenceEngine();
  const count = { compiled: 0, ever: 0 };
  const classifier: typeof engine.classifier = (network, options) => {
    const made = engine.classifier(network, options);
    count.compiled++;
    count.ever++;
    return {
      ...made,
      bytes,
      free: () => {
        count.compiled--;
        made.free();
      },
    };
  };
  return { engine: { ...engine, classifier }, count };
}

test('of all files so many masks stay compiled as fit into 64 MB, those that were asked last', async () => {
  const { engine, count } = counting(20 * 2 ** 20);
  const bench = new Workbench(engine);
  const file = (seed: number) =>
    writeModel({
      network: FC,
      tasks: ['a', 'b', 'c'].map((id, i) => task(randomMask(FC, [0.1], { low: seed + i, high: 0 }), { id })),
    });
  const image = Uint8Array.from({ length: 784 }, (_, i) => (i * 37) % 256);
  const [first, second] = [(await bench.open(file(1))).file, (await bench.open(file(9))).file];
  const times = (work: () => unknown): number => {
    const before = count.ever;
    work();
    return count.ever - before;
  };
  // Opening has compiled the first mask of either.
  expect([count.ever, count.compiled]).toEqual([2, 2]);
  const answer = bench.classify(first, 1, image);
  bench.classify(first, 0, image);
  expect(count.ever).toBe(3);
  // That of the second file was asked longest ago.
  expect(times(() => bench.classify(first, 2, image))).toBe(1);
  expect(times(() => [1, 0, 2].map((choice) => bench.classify(first, choice, image)))).toBe(0);
  expect(times(() => bench.classify(second, 0, image))).toBe(1);
  expect(count.compiled).toBe(3);
  expect(bench.classify(first, 1, image)).toEqual(answer);
  // Five masks where three stay: to and fro, two are compiled again and not five.
  const all = bench.everywhere(first, image);
  expect(times(() => expect(bench.everywhere(first, image)).toEqual(all))).toBe(2);
  expect(times(() => expect(bench.everywhere(first, image)).toEqual(all))).toBe(2);
  expect(count.compiled).toBe(3);
  bench.close(first);
  expect([count.compiled, times(() => bench.classify(second, 0, image))]).toEqual([0, 1]);
});

test('a mask that is larger than all that may stay compiled answers too', async () => {
  const { engine, count } = counting(100 * 2 ** 20);
  const bench = new Workbench(engine);
  const { file } = await bench.open(writeModel({ network: FC, tasks: [task(randomMask(FC, [0.1], { low: 1, high: 0 }))] }));
  expect(bench.everywhere(file, new Uint8Array(784))).toHaveLength(3);
  expect(count.compiled).toBe(1);
});

test('a file that is refused or closed is forgotten, with all that was compiled of it', async () => {
  const { engine, count } = counting(0);
  const bench = new Workbench(engine);
  const file = (network: typeof FC) =>
    writeModel({ network, tasks: [task(randomMask(network, [0.1], { low: 1, high: 0 }), { labels: ['a', 'b'] })] });
  const last = SMALL_CONV.layers[2];
  const small = { ...SMALL_CONV, layers: [...SMALL_CONV.layers.slice(0, 2), { ...last, units: 2 }] } as typeof FC;
  await expect(bench.open(file(small))).rejects.toThrow('the file takes 5 x 4 x 2 values; this page draws 28 x 28 grey pixels');
  await expect(bench.open(file(FC).fill(0, 20, 30))).rejects.toThrow();
  expect([bench.size, count.compiled]).toEqual([0, 0]);

  const kept = (await bench.open(file(FC))).file;
  const closed = (await bench.open(file(FC))).file;
  const blank = new Uint8Array(784);
  bench.everywhere(closed, blank);
  bench.picture(closed, 'random', 0);
  expect([bench.size, count.compiled]).toEqual([2, 4]);
  bench.close(closed);
  bench.close(closed);
  expect([bench.size, count.compiled]).toEqual([1, 1]);
  expect(() => bench.classify(closed, 0, blank)).toThrow('is closed');
  expect(() => bench.picture(closed, 0, 0)).toThrow('is closed');
  expect(bench.classify(kept, 0, blank).probabilities.length).toBe(2);
});

test('a file of more tasks than a page takes is refused', async () => {
  const tasks = Array.from({ length: 4097 }, (_, i) =>
    task(randomMask(TINY, [0.5], { low: 1, high: 0 }), { id: `t${String(i).padStart(4, '0')}` }),
  );
  const bytes = writeModel({ network: TINY, tasks: tasks.map((one) => ({ ...one, labels: ['a'] })) });
  await expect(new Workbench(createReferenceEngine()).open(bytes)).rejects.toThrow('tasks is 4097, the limit is 4096');
});

test('a network of more weights than a page takes is refused before any is regenerated', async () => {
  const wide: Network = { ...FC, layers: [{ kind: 'dense', units: 22_000, activation: 'relu' }, FC.layers[2]] };
  const bytes = writeModel({ network: wide, tasks: [task(fullMask(wide, false))] });
  const classifier = vi.fn();
  const bench = new Workbench({ ...createReferenceEngine(), classifier });
  await expect(bench.open(bytes)).rejects.toMatchObject({ code: 'over-limit' });
  expect([bench.size, classifier.mock.calls.length]).toEqual([0, 0]);
});

test('a file on its way is read no further than a page takes, whatever it says of its size', async () => {
  let [given, left] = [0, false];
  const piece = new Uint8Array(2 ** 20);
  const pull = (stream: ReadableStreamDefaultController) => (given++ < 64 ? stream.enqueue(piece) : stream.close());
  const body = new ReadableStream({
    pull,
    cancel: () => {
      left = true;
    },
  });
  await expect(bytesOf(new Response(body), 'big.smk')).rejects.toThrow(
    'the beginning of big.smk has 34603008 bytes, more than the 33554432 a page takes',
  );
  expect(given).toBeLessThan(36);
  expect(left).toBe(true);
  const whole = Uint8Array.from({ length: 5000 }, (_, i) => i);
  expect(await bytesOf(new Response(whole), 'small.smk')).toEqual(whole);
});
