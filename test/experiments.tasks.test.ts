// Many tasks on one network, small and in this thread: what a view shows, what a task's row and file say, and the archive of them all.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDataset } from '../cli/datasets/load.js';
import { readModel } from '../codec/index.js';
import { CELL, type Cell, type Result, type Row, type TaskCell } from '../experiments/cells/cell.js';
import type { Lab } from '../experiments/cells/lab.js';
import { runCell } from '../experiments/cells/run.js';
import { range } from '../experiments/cells/scale.js';
import { dataOfTask, taskName } from '../experiments/cells/task.js';
import { taskCell } from '../experiments/cells/task-grid.js';
import { classNames, VIEWS, viewOf } from '../experiments/cells/views.js';
import { archiveOf, permutations } from '../experiments/figures/permutations.js';
import { EXPERIMENTS } from '../experiments/index.js';
import { planOf } from '../experiments/sweep/conduct.js';
import { permutedPixels } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { accuracyOf } from '../src/evaluate.js';
import { DOMAIN, parseSeed, permutation } from '../src/random.js';
import { FORGETFUL } from './experiments.material.js';

const mnist = loadDataset('mnist');
let engine: Engine;
let lab: Lab;
beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  lab = {
    engine,
    shelf: FORGETFUL,
    data: () => mnist,
    progress: () => undefined,
  };
});
afterAll(() => engine.close());

describe('views', () => {
  const seed = parseSeed(1);
  const few = { ...mnist.test, images: mnist.test.images.slice(0, 40 * 784), labels: mnist.test.labels.slice(0, 40) };
  const twice = (view: (typeof VIEWS)[number]) => viewOf(viewOf(few, view, seed), view, seed);
  test('turns and mirrors come round', () => {
    expect(twice('half-turn').images).toEqual(few.images);
    expect(twice('mirrored').images).toEqual(few.images);
    expect(twice('quarter-turn').images).toEqual(viewOf(few, 'half-turn', seed).images);
    expect(twice('inverted').images).toEqual(few.images);
    for (const view of VIEWS.slice(1, 7)) expect(viewOf(few, view, seed).images, view).not.toEqual(few.images);
  });
  test('a quarter turn is clockwise: the left column comes to the top, read from below', () => {
    const turned = viewOf(few, 'quarter-turn', seed).images;
    for (let x = 0; x < 28; x++) expect(turned[28 * 14 + x]).toBe(few.images[28 * (27 - x) + 14]);
  });
  test('noise adds, by its seed; half is hidden; questions change labels alone', () => {
    const noisy = viewOf(few, 'noisy', seed).images;
    expect(noisy.every((value, i) => value >= few.images[i])).toBe(true);
    expect(viewOf(few, 'noisy', seed).images).toEqual(noisy);
    expect(viewOf(few, 'noisy', parseSeed(2)).images).not.toEqual(noisy);
    const half = viewOf(few, 'left-half', seed).images;
    expect(half.every((value, i) => value === (i % 28 < 14 ? few.images[i] : 0))).toBe(true);
    for (const [view, wanted] of [
      ['parity', (d: number) => ['even', 'odd'][d % 2]],
      ['below-five', (d: number) => (d < 5 ? 'below five' : 'five or more')],
    ] as const) {
      const { images, labels } = viewOf(few, view, seed);
      expect(images).toEqual(few.images);
      expect([...labels].map((label) => classNames(view)![label])).toEqual([...few.labels].map(wanted));
    }
  });
});

test('photographs are the middle of larger images, grey by BT.601 to the nearest byte, and keep their labels', () => {
  const images = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (i * 89 + (i >> 5)) & 255);
  const seen = viewOf({ input: [32, 32, 3], images, labels: Uint8Array.of(3, 9) }, 'photographs', parseSeed(0));
  expect(seen.input).toEqual([28, 28, 1]);
  expect(seen.labels).toEqual(Uint8Array.of(3, 9));
  expect(seen.images).toHaveLength(2 * 784);
  for (const [row, y, x] of [
    [0, 0, 0],
    [0, 13, 27],
    [1, 27, 5],
  ]) {
    const at = 3 * ((row * 32 + y + 2) * 32 + x + 2);
    const [red, green, blue] = images.subarray(at, at + 3);
    expect(Math.abs(seen.images[row * 784 + y * 28 + x] - (0.299 * red + 0.587 * green + 0.114 * blue))).toBeLessThanOrEqual(0.501);
  }
  expect(classNames('photographs')).toHaveLength(10);
});

const LITTLE = { rows: 3000, validation: 200, test: 500, epochs: 2, units: [40, 10], density: [0.1, 0.3], learningRate: 0.15 };
const little = (change: Partial<TaskCell>): TaskCell => taskCell('quick', { ...LITTLE, ...change });
const rowOf = async (cell: Cell): Promise<Row> => (await runCell(cell, lab))[0];
const modelOf = (row: Row) => readModel(Buffer.from(String(row['base64']), 'base64'));

test('names of tasks sort as their seeds do', () => {
  const names = [1, 9, 10, 99, 100, 1000, 9999].map((pixels) => taskName(little({ pixels })));
  expect([...names].sort()).toEqual(names);
  expect(taskName(little({}))).toBe('plain');
  expect(taskName(little({ labels: 3 }))).toBe('c0003');
  expect(taskName(little({ pixels: 1, labels: 2, view: 'noisy' }))).toBe('noisy-b0001-0002');
});

test('a task is solved from permuted pixels alone, by the mask in its file', async () => {
  const row = await rowOf(little({ pixels: 7 }));
  const { network, tasks } = modelOf(row);
  const images = permutedPixels(mnist.test.images.subarray(0, 500 * 784), permutation(784, parseSeed(7), DOMAIN.pixelPermutation));
  const labels = mnist.test.labels.subarray(0, 500);
  const classifier = engine.classifier(network, { mask: tasks[0].mask });
  expect(accuracyOf(classifier.logits(images, 500), labels, 10)).toBe(row['testAccuracy']);
  expect(row['testAccuracy']).toBeGreaterThan(0.7);
  // As good as guessing: 500 guesses of a tenth, five standard errors.
  expect(row['wrongAccuracy']).toBeLessThan(0.1 + 5 * Math.sqrt(0.09 / 500) + 0.05);
  expect(accuracyOf(classifier.logits(mnist.test.images.subarray(0, 500 * 784), 500), labels, 10)).toBeLessThan(0.4);
  expect(tasks[0].data).toEqual({ dataset: 'mnist', pixelPermutation: parseSeed(7), labelPermutation: null });
  classifier.free();
  // Rooms that another task has written to change nothing.
  const rooms = new Map<string, Uint8Array>();
  const room = (name: string, bytes: number) => {
    if (!rooms.has(name)) rooms.set(name, new Uint8Array(bytes).fill(99));
    return rooms.get(name)!;
  };
  expect((await runCell(little({ pixels: 7 }), { ...lab, room }))[0]).toEqual(row);
  // Nor does a base, whose images take the same rooms.
  const based = little({ pixels: 7, view: 'left-half', base: 'plain', start: true, rows: 1000, epochs: 1 });
  expect((await runCell(based, { ...lab, room }))[0]).toEqual(await rowOf(based));
});

test('a room is as large as what is seen: photographs are smaller than their file', () => {
  const images = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (i * 89) & 255);
  const part = { input: [32, 32, 3] as const, images, labels: Uint8Array.of(3, 9) };
  const data = (room?: Lab['room']) =>
    dataOfTask({ ...lab, data: () => ({ train: part, test: part }), room }, { view: 'photographs', pixels: 1, labels: null, seed: 0 });
  expect(data((_, bytes) => new Uint8Array(bytes))).toEqual(data());
});

test('classes, views, convolutions, threshold masks and trained weights each give a row', async () => {
  const classes = await rowOf(little({ labels: 2 }));
  expect(modelOf(classes).tasks[0].data?.labelPermutation).toEqual(parseSeed(2));
  expect(classes['testAccuracy']).toBeGreaterThan(0.7);
  const parity = await rowOf(little({ view: 'parity' }));
  expect(modelOf(parity).tasks[0]).toMatchObject({ id: 'parity', labels: ['even', 'odd'], data: { dataset: 'mnist-parity' } });
  expect(parity['testAccuracy']).toBeGreaterThan(0.75);
  const conv = await rowOf(little({ filters: [4, 8], units: [10], density: [0.5], learningRate: 0.3 }));
  expect(conv['network']).toBe('28x28x1:conv4k5v-pool-conv8k5v-pool-10');
  const threshold = await rowOf(little({ method: 'threshold', density: [], learningRate: 1e-3 }));
  expect(threshold['testAccuracy']).toBeGreaterThan(0.6);
  expect(modelOf(threshold).tasks[0].transform.mean).toBeCloseTo(0.1307 * 255, 3);
  const dense = await rowOf(little({ pixels: 7, method: 'dense', density: [], learningRate: 1.2e-3 }));
  expect(dense).toMatchObject({ bytes: 4 * (784 * 40 + 40 * 10), kept: 1 });
  expect(dense).not.toHaveProperty('base64');
  expect(dense['testAccuracy']).toBeGreaterThan(0.75);
});

test('a mask that begins at a known one stays nearer to it than one from scratch, and both lie to it as they say', async () => {
  const known = modelOf(await rowOf(little({}))).tasks[0].mask;
  const setting = { view: 'left-half', base: 'plain' } as const;
  const [from, scratch] = [await rowOf(little({ ...setting, start: true })), await rowOf(little({ ...setting, start: false }))];
  expect(from['overlap']).toBeGreaterThan(Number(scratch['overlap']) + 0.1);
  expect(from['bytesOnBase']).toBeLessThan(Number(from['bytes']));
  expect(from).toMatchObject({ base: 'plain', start: 'base' });
  // Of the file's mask, whose free bits are settled, as the known one's may not be: the same to a hundredth.
  const bits = (mask: readonly Uint8Array[]) =>
    mask.flatMap((layer) => [...layer].map((byte) => byte.toString(2).padStart(8, '0'))).join('');
  const [a, b] = [bits(known), bits(modelOf(from).tasks[0].mask)];
  const both = [...a].filter((bit, i) => bit === '1' && b[i] === '1').length;
  const either = [...a].filter((bit, i) => bit === '1' || b[i] === '1').length;
  expect(from['overlap']).toBeCloseTo(both / either, 1);
  expect((await rowOf(little({ view: 'left-half' })))['testAccuracy']).toBe(scratch['testAccuracy']);
});

test('every task under every mask: each own field is the task itself, fields lie as they say, and the tasks are of one network', async () => {
  const tasks = [little({}), little({ view: 'parity' }), little({ view: 'left-half', base: 'plain', start: true })];
  const cell = { kind: 'matrix', seed: 0, tasks } as const;
  const rows = await runCell(cell, lab);
  const names = ['plain', 'parity', 'left-half from plain'];
  expect(rows.map((row) => [row['task'], row['mask']])).toEqual(names.flatMap((task) => names.map((mask) => [task, mask])));
  const field = (task: string, mask: string) => rows.find((row) => row['task'] === task && row['mask'] === mask)!;
  for (const [i, name] of names.entries()) {
    expect(field(name, name)).toMatchObject({ overlap: 1, accuracy: (await rowOf(tasks[i]))['testAccuracy'] });
    for (const other of names) {
      expect(field(name, other)['overlap']).toBe(field(other, name)['overlap']);
      expect(field(name, other)['matched']).toBeGreaterThanOrEqual(Number(field(name, other)['accuracy']));
    }
  }
  // The mask of the digits tells even from odd once its classes are read so; the mask of parity tells no digit.
  expect(field('parity', 'plain')['matched']).toBeGreaterThan(Number(field('parity', 'plain')['accuracy']) + 0.3);
  expect(field('plain', 'parity')['matched']).toBeLessThan(0.3);
  expect(field('plain', 'left-half from plain')['overlap']).toBeGreaterThan(Number(field('plain', 'parity')['overlap']));
  const other = { ...cell, tasks: [tasks[0], { ...tasks[1], units: [30, 10] }] };
  expect(() => CELL.parse(other)).toThrow(/masks \(topk\) of one network/);
  const { pictures } = EXPERIMENTS.find(({ name }) => name === 'task-matrix')!;
  expect(pictures(rows, planOf('quick')).map(({ chart }) => chart.kind === 'matrix' && chart.values.length)).toEqual([9, 9]);
});

test('the archive holds every mask under its name, and the table its numbers', async () => {
  const results: Result[] = [];
  for (const pixels of [2, 1]) {
    const cell = little({ pixels });
    results.push({ cell, rows: await runCell(cell, lab), seconds: 1.25 });
  }
  const [second, first] = results.map(({ rows: [row] }) => modelOf(row).tasks[0]);
  expect(readModel(archiveOf(results)).tasks).toEqual([first, second]);
  // Two archives of one folder are served beside each other when their ids differ.
  expect(readModel(archiveOf(results, 'outputs100-')).tasks.map(({ id }) => id)).toEqual([
    `outputs100-${first.id}`,
    `outputs100-${second.id}`,
  ]);
  const [archive, table] = permutations.files!(results, planOf('quick'));
  expect([archive.name, table.name]).toEqual(['permutations-2.smk', 'permutations-2.csv']);
  for (const { name } of [archive, table]) expect(name).toMatch(permutations.filesNamed!);
  const lines = new TextDecoder().decode(table.bytes).trim().split('\n');
  expect(lines[0]).toBe('task,valAccuracy,testAccuracy,bytes,seconds');
  expect(lines[1]).toMatch(/^p0002,0\.\d+,0\.\d+,\d+,1\.25$/);
  expect(lines).toHaveLength(3);
  expect(permutations.files!([], planOf('quick'))).toEqual([]);
});

test('under the curves of transfer stand the epochs of the mask itself', () => {
  const row = { view: 'noisy', start: 'base', epochs: 1, testAccuracy: 0.95, overlap: 0.5, bytes: 9, bytesOnBase: 5 };
  const { pictures } = EXPERIMENTS.find(({ name }) => name === 'transfer')!;
  expect(pictures([row], planOf('quick'))).toMatchObject([{ chart: { across: 'learning' } }]);
});

describe('verdicts', () => {
  const plan = planOf('budget', 1, 2);
  const row = (change: Row): Row => ({ method: 'topk', pixels: '', labels: '', testAccuracy: 0.975, wrongAccuracy: 0.1, ...change });
  const verdicts = (rows: readonly Row[], name = 'permutations') =>
    EXPERIMENTS.find((e) => e.name === name)!
      .claims(rows, plan)
      .map(({ verdict }) => verdict);
  const good = [
    row({ pixels: 1 }),
    row({ pixels: 2 }),
    row({ labels: 1 }),
    row({ pixels: 1, labels: 1 }),
    row({ method: 'dense', pixels: 1, testAccuracy: 0.98 }),
  ];
  test('permutations', () => {
    expect(verdicts(good)).toEqual(['holds', 'holds', 'holds']);
    expect(verdicts([...good, row({ pixels: 3, testAccuracy: 0.94, wrongAccuracy: 0.3 })])).toEqual(['partly', 'fails', 'holds']);
    expect(verdicts(good.slice(0, 1))).toEqual(['not run', 'holds', 'not run']);
    expect(verdicts([])).toEqual(['not run', 'not run', 'not run']);
  });
  test('trained weights are compared with the masks of the same permutations, and none of them lacks a seed', () => {
    const dense = (pixels: number, testAccuracy: number) => row({ method: 'dense', pixels, testAccuracy });
    const rows = [...good, row({ pixels: 3, testAccuracy: 0.99 }), dense(2, 0.984), dense(9, 0.999)];
    const [, , near] = EXPERIMENTS.find(({ name }) => name === 'permutations')!.claims(rows, planOf('budget', 5, 3));
    expect(near.ours).toBe('points below trained weights 0.7 (0.5 to 0.9, 2 tasks)');
    expect(near.note).toMatch(/^shortened run: .*, 2 epochs a task \(trained weights: 6 epochs\)$/);
  });
  test('captions tell the epochs of trained weights, and the rows of the scale', () => {
    const of = (name: string) => EXPERIMENTS.find((e) => e.name === name)!;
    const captions = (name: string, rows: Row[], scale: 'quick' | 'budget') =>
      [...of(name).tables!(rows, planOf(scale)), ...of(name).pictures(rows, planOf(scale))].map(({ caption }) => caption);
    const sized = good.map((one) => ({ ...one, bytes: 9, kept: 0.1 }));
    for (const caption of captions('permutations', sized, 'budget'))
      expect(caption).toContain('2 epochs a task (trained weights: 6 epochs)');
    expect(captions('supsup', sized, 'budget')[0]).toContain('one epoch over 60,000 rows');
    expect(captions('supsup', sized, 'quick')[0]).toContain('one epoch over 3,000 rows');
    const view = [row({ network: '784-10', task: 'plain', bytes: 9, kept: 0.1 })];
    for (const caption of captions('unlike-tasks', view, 'budget'))
      expect(caption).toContain('photographs: 45,000; convolutions: at most 20,000 rows');
    expect(captions('unlike-tasks', view, 'quick')[0]).toContain('photographs: 6,000;');
  });
  test('supsup', () => {
    const rows = (threshold: number, topk: number) => [
      row({ method: 'threshold', testAccuracy: threshold }),
      row({ method: 'topk', testAccuracy: topk }),
    ];
    expect(verdicts(rows(0.924, 0.95), 'supsup')).toEqual(['holds', 'holds']);
    expect(verdicts(rows(0.89, 0.92), 'supsup')).toEqual(['fails', 'fails']);
    expect(verdicts([], 'supsup')).toEqual(['not run', 'not run']);
    // Its values are of five tasks, whatever the number of seeds.
    const five = range(5).flatMap(() => rows(0.924, 0.965));
    const [a17] = EXPERIMENTS.find(({ name }) => name === 'supsup')!.claims(five, planOf('budget', 10));
    expect(a17.note).toBeUndefined();
  });
});
