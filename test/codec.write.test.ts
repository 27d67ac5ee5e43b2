// What is written is what readers take: by their defaults, with the network in the file or elsewhere, and leaning where it says so.

import { describe, expect, test } from 'vitest';
import { weightCheck } from '../codec/header.js';
import {
  DEFAULT_LIMITS,
  inspectModel,
  type Model,
  openArchive,
  type PackedTask,
  readModel,
  readPacked,
  verifyModel,
  writeModel,
  writePacked,
} from '../codec/index.js';
import { fullMask, inputs, type Layer, type Network, totalWeights } from '../src/network.js';
import { plain } from './attacks/files.js';
import { RELATED_MODEL, randomMask, TINY, TINY_MODEL, task } from './vectors/models.js';

describe('a network that no header can say is written nowhere', () => {
  const bad: [string, Partial<Network>, RegExp][] = [
    ...[-1, 0, 1e-60, 1e38, 1e200].map((sigma): (typeof bad)[number] => [`sigma ${sigma}`, { sigma }, /sigma must be .*, got/]),
    [
      '1,025 layers',
      { layers: Array.from({ length: 1025 }, (): Layer => ({ kind: 'dense', units: 1, activation: 'linear' })) },
      /layers must be at most 1024, got 1025/,
    ],
  ];
  test.each(bad)('%s', (_, change, line) => {
    const network = { ...TINY, input: [1, 1, 1] as const, ...change };
    const tasks = [task(fullMask(network, false), { labels: ['a'] })];
    const packed: PackedTask = { ...readPacked(writeModel(TINY_MODEL)).tasks[0], payload: new Uint8Array(1 + tasks[0].mask.length) };
    const attempts = [
      () => writeModel({ network, tasks: [] }),
      () => writeModel({ network, tasks }),
      () => writeModel({ network, tasks }, { maskOnly: true }),
      () => writePacked({ network, tasks: [packed] }),
      () => writePacked({ network, tasks: [packed] }, { maskOnly: true }),
    ];
    for (const attempt of attempts)
      expect(attempt).toThrow(expect.objectContaining({ code: 'bad-header', message: expect.stringMatching(line) }));
  });
});

describe('limits', () => {
  const { network } = TINY_MODEL;
  const [packed] = readPacked(writeModel({ ...TINY_MODEL, tasks: [task(fullMask(TINY, true), { labels: ['a'] })] })).tasks;

  test('more tasks than a reader takes by default are not written', () => {
    const tasks = new Array<PackedTask>(DEFAULT_LIMITS.maxTasks + 1).fill(packed);
    const line = 'tasks is 1048577, the limit is 1048576. Put the tasks into several files';
    expect(() => writePacked({ network, tasks })).toThrow(line);
    const unpacked = new Array(tasks.length).fill(TINY_MODEL.tasks[0]);
    expect(() => writeModel({ network, tasks: unpacked })).toThrow(line);
  });

  test('nor more bytes', () => {
    const payload = new Uint8Array(DEFAULT_LIMITS.maxFileBytes / 4);
    const tasks = ['a', 'b', 'c', 'd'].map((id) => ({ ...packed, id, payload }));
    expect(() => writePacked({ network, tasks })).toThrow(
      /^file bytes is 1073\d{6}, the limit is 1073741824. Put the tasks into several files$/,
    );
  });

  // LeNet-300-100's weights in one layer.
  const lenet: Network = { ...TINY, input: [1, 1, 1024], layers: [{ kind: 'dense', units: 260, activation: 'linear' }] };
  const many = (count: number): Model => ({
    network: lenet,
    tasks: Array.from({ length: count }, (_, i) => task(fullMask(lenet, true), { id: `t${10_000 + i}`, labels: ['a'] })),
  });

  test('masks of a thousand tasks and more are read at once by default', () => {
    const bytes = writeModel(many(1100), { schemes: ['raw'] });
    const model = readModel(bytes);
    expect(model.tasks).toHaveLength(1100);
    expect(totalWeights(lenet) * model.tasks.length).toBeGreaterThan(2 ** 28);
  });

  test('above the limit of all masks together a file is written, read task by task, and refused whole with what to do', async () => {
    const bytes = writeModel(many(3));
    const limits = { maxWeights: 2 * totalWeights(lenet) };
    for (const read of [readModel, readPacked, inspectModel, verifyModel])
      expect(() => read(bytes, limits)).toThrow(
        'weights of all tasks and their bases is 798720, the limit is 532480. Set maxWeights higher, or use openArchive',
      );
    const archive = await openArchive(async (offset, length) => bytes.subarray(offset, offset + length), { limits });
    expect((await archive.task(2)).mask).toEqual(fullMask(lenet, true));
  });

  test('verify writes again what its caller has read with other limits', () => {
    const large: Network = {
      input: [1, 1, 2 ** 28 + 1],
      layers: [{ kind: 'dense', units: 1, activation: 'linear' }],
      distribution: 'signed-constant',
      sigma: 'glorot',
      seed: { low: 5, high: 0 },
    };
    const bytes = plain({ 0: inputs(large), 1: [2, 1], 5: weightCheck(large) }, Uint8Array.of(0, 0));
    expect(() => verifyModel(bytes)).toThrow(/weights of a mask/);
    expect(verifyModel(bytes, { maxMaskWeights: 2 ** 29 }).tasks).toBe(1);
  });
});

test('a payload that stands alone under the name of a base is refused, not written over', () => {
  const { network, tasks } = readPacked(writeModel({ ...RELATED_MODEL, tasks: RELATED_MODEL.tasks.map(({ base: _, ...alone }) => alone) }));
  const [first, second, ...others] = tasks;
  expect(() => writePacked({ network, tasks: [{ ...first, base: second.id }, second, ...others] })).toThrow(
    "task 'a' needs a payload that leans on task b, its base, got one that stands alone",
  );
});

test('each task is looked at a few times, however many lean', () => {
  let looks = 0;
  const mask = randomMask(TINY, [0.5], { low: 1, high: 0 });
  const count = 1000;
  const tasks = Array.from({ length: count }, (_, i) => {
    const one = task(mask, { labels: ['a'], ...(i < count - 1 && { base: `t${1000 + count - 1}` }) });
    const get = () => {
      looks++;
      return `t${1000 + i}`;
    };
    return Object.defineProperty(one, 'id', { enumerable: true, get });
  });
  const bytes = writeModel({ network: TINY, tasks }, { schemes: ['raw'] });
  expect(readModel(bytes).tasks).toHaveLength(count);
  expect(looks).toBeLessThan(20 * count);
});
