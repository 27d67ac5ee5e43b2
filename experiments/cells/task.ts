// One task among many on one network: its data is a view (views.ts) with pixels or classes permuted by a seed, its result a mask, as a
// model file of one task that an archive takes in. The client of such a task sends permuted pixels; nothing is turned back for it.

import { DIGITS, PIXELS_TRANSFORM, readPacked, settleFreeBits, type Task, type Transform, writeModel } from '../../codec/index.js';
import { type Dataset, permuted, permutedPixels, type Split, split } from '../../src/data.js';
import type { Engine } from '../../src/engine/engine.js';
import { accuracyOf, logitScaleOf } from '../../src/evaluate.js';
import { RMSPROP } from '../../src/masks/threshold.js';
import { spread } from '../../src/masks/topk.js';
import {
  countBoth,
  countKept,
  density,
  describe,
  inputs,
  type Layer,
  type Mask,
  type Network,
  outputs,
  type Parameters,
  totalWeights,
  weighted,
} from '../../src/network.js';
import { DOMAIN, parseSeed, permutation, type Seed } from '../../src/random.js';
import { maskNetwork, PAPER, topkTraining } from '../../src/recipes.js';
import { ticketNetwork } from '../../src/tickets.js';
import { trainDense, trainThreshold, trainTopk } from '../../src/train.js';
import type { Row, TaskCell } from './cell.js';
import { type Lab, progressOf, scaleRowsOf, VALIDATION_ROWS } from './lab.js';
import { classNames, dataOfView, type View, viewOf } from './views.js';

/** What learned masks come out shortest in: trying the others too takes a tenth of a task's time. */
const SCHEMES = ['context'] as const;

/** SupSup's inputs, (x / 255 - 0.1307) / 0.3081, and its batches. */
const SUPSUP = { transform: { scale: Math.fround(1 / (255 * 0.3081)), mean: Math.fround(255 * 0.1307) }, batch: 128 } as const;

/** The network that a cell's tasks share: He's signed constants, one bit a weight. */
export function networkOf({ filters, units, seed }: Pick<TaskCell, 'filters' | 'units' | 'seed'>): Network {
  const layers: Layer[] = [
    ...filters.flatMap((filters): Layer[] => [
      { kind: 'conv', filters, activation: 'relu', kernel: 5, padding: 'valid' },
      { kind: 'pool' },
    ]),
    ...units.map((units, i, all): Layer => ({ kind: 'dense', units, activation: i === all.length - 1 ? 'linear' : 'relu' })),
  ];
  return maskNetwork({ input: [28, 28, 1], layers }, parseSeed(seed));
}

/** A task's name in an archive, in the order of its seeds: p0007 for pixels, c0007 for classes, b0007-0007 for both; a view by its name. */
export function taskName({ view, pixels, labels }: Pick<TaskCell, 'view' | 'pixels' | 'labels'>): string {
  const digits = (seed: number) => String(seed).padStart(4, '0');
  const seeds =
    pixels !== null && labels !== null
      ? `b${digits(pixels)}-${digits(labels)}`
      : pixels !== null
        ? `p${digits(pixels)}`
        : labels !== null
          ? `c${digits(labels)}`
          : '';
  return [view === 'plain' ? '' : view, seeds].filter(Boolean).join('-') || 'plain';
}

export interface TaskData {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** The images and labels of a cell's task; permuted images are in rooms of the lab. */
export function dataOfTask(lab: Lab, { view, pixels, labels, seed }: Pick<TaskCell, 'view' | 'pixels' | 'labels' | 'seed'>): TaskData {
  const { train, test } = lab.data(dataOfView(view));
  const seen = (data: Dataset, name: string) => {
    const plain = viewOf(data, view, parseSeed(seed));
    const out = pixels === null ? undefined : lab.room?.(name, plain.images.length);
    return permuted(plain, seedOf(pixels), seedOf(labels), { out });
  };
  return { train: seen(train, 'train'), test: seen(test, 'test') };
}

const seedOf = (seed: number | null): Seed | null => (seed === null ? null : parseSeed(seed));

interface Learned {
  readonly network: Network;
  readonly mask?: Mask;
  readonly parameters?: Parameters;
  readonly valAccuracy: number;
}

/** Trains what the cell's method trains. */
async function learned(cell: TaskCell, lab: Lab, train: Dataset, parts: Split, start?: Mask): Promise<Learned> {
  const network = networkOf(cell);
  const { learningRate, epochs } = cell;
  const options = { learningRate, epochs, onProgress: progressOf(lab), signal: lab.signal };
  switch (cell.method) {
    case 'topk': {
      const density = spread(cell.density, weighted(network).length);
      return { network, ...(await trainTopk(lab.engine, network, train, parts, { ...topkTraining(network), ...options, density, start })) };
    }
    case 'threshold': {
      const { transform, batch } = SUPSUP;
      return { network, ...(await trainThreshold(lab.engine, network, train, parts, { ...RMSPROP, ...options, transform, batch })) };
    }
    case 'dense': {
      const initial = ticketNetwork(network, network.seed);
      const { final, valAccuracy } = await trainDense(lab.engine, initial, train, parts, { ...PAPER, ...options });
      return { network: initial, parameters: final, valAccuracy };
    }
  }
}

/** One row: the task, its accuracies, and of a mask its bytes and its model file in base64. */
export async function taskRows(cell: TaskCell, lab: Lab): Promise<Row[]> {
  // Before the data of the task, which may take the rooms of its own.
  const known = cell.base && (await maskOf({ ...cell, view: cell.base }, lab));
  const { train, test } = dataOfTask(lab, cell);
  const parts = partsOf(cell, train);
  const { network, mask, parameters, valAccuracy } = await learned(cell, lab, train, parts, cell.start ? known : undefined);
  const transform: Transform = cell.method === 'threshold' ? { ...SUPSUP.transform, constant: null } : PIXELS_TRANSFORM;
  const task = mask && storedTask(lab.engine, cell, network, mask, transform, train, parts);
  const classifier = lab.engine.classifier(network, { mask: task?.mask, parameters, transform });
  const [labels, classes] = [test.labels.subarray(0, cell.test), labelsOfView(cell.view).length];
  const accuracy = (images: Uint8Array) =>
    accuracyOf(classifier.logits(images.subarray(0, cell.test * inputs(network)), labels.length), labels, outputs(network), classes);
  const bytes = task && writeModel({ network, tasks: [task] }, { schemes: SCHEMES });
  const row = {
    task: taskName(cell),
    network: describe(network),
    method: cell.method,
    view: cell.view,
    pixels: cell.pixels ?? '',
    labels: cell.labels ?? '',
    density: cell.density.join(' '),
    learningRate: cell.learningRate,
    epochs: cell.epochs,
    kept: task ? density(network, task.mask) : 1,
    valAccuracy,
    testAccuracy: accuracy(test.images),
    ...(cell.pixels !== null && cell.labels === null && { wrongAccuracy: accuracy(nextPixels(lab, cell, network)) }),
    bytes: bytes ? readPacked(bytes).tasks[0].payload.length : 4 * totalWeights(network),
    ...(task && known && { base: cell.base, start: cell.start ? 'base' : 'scratch', ...beside(network, task, known) }),
    ...(bytes && { base64: Buffer.from(bytes).toString('base64') }),
  };
  classifier.free();
  return [row];
}

/** The mask of another view, trained in the same way. */
async function maskOf(cell: TaskCell, lab: Lab): Promise<Mask | undefined> {
  const { train } = dataOfTask(lab, cell);
  return (await learned(cell, lab, train, partsOf(cell, train))).mask;
}

/** Weights kept by both masks over weights kept by either; 1 where neither keeps any. */
export function overlap(a: Mask, b: Mask): number {
  let [both, either] = [0, 0];
  a.forEach((bits, layer) => {
    const shared = countBoth(bits, b[layer]);
    both += shared;
    either += countKept(bits) + countKept(b[layer]) - shared;
  });
  return either === 0 ? 1 : both / either;
}

/** How a task's mask lies to a known one: their overlap, and its bytes where it leans on that one. */
export function beside(network: Network, task: Task, known: Mask): { overlap: number; bytesOnBase: number } {
  const tasks = [
    { ...task, id: 'a', mask: known },
    { ...task, id: 'b', base: 'a' },
  ];
  const file = writeModel({ network, tasks }, { schemes: [...SCHEMES, 'related'] });
  return { overlap: overlap(task.mask, known), bytesOnBase: readPacked(file).tasks[1].payload.length };
}

/** Rows of the network's split; with all of MNIST's rows asked for, validation rows are trained on too, as SupSup does. */
function partsOf({ seed, rows, validation }: TaskCell, { labels }: Dataset): Split {
  const whole = split(labels.length, VALIDATION_ROWS, parseSeed(seed));
  const train =
    rows > whole.train.length ? Uint32Array.from({ length: Math.min(rows, labels.length) }, (_, i) => i) : whole.train.subarray(0, rows);
  return { train, validation: whole.validation.subarray(0, validation) };
}

/** Test images of the task after this one: what its mask was not made for. */
function nextPixels(lab: Lab, { pixels, view, seed }: TaskCell, network: Network): Uint8Array {
  const { images } = viewOf(lab.data(dataOfView(view)).test, view, parseSeed(seed));
  const order = permutation(inputs(network), parseSeed((pixels ?? 0) + 1), DOMAIN.pixelPermutation);
  return permutedPixels(images, order, lab.room?.('next', images.length));
}

export const labelsOfView = (view: View): readonly string[] => classNames(view) ?? DIGITS;

/** A mask as a task of a model file: its temperature fitted on validation rows, its free bits as they are cheapest. */
function storedTask(
  engine: Engine,
  cell: TaskCell,
  network: Network,
  mask: Mask,
  transform: Transform,
  train: Dataset,
  parts: Split,
): Task {
  const labels = labelsOfView(cell.view);
  const logitScale = logitScaleOf(engine, network, { mask, transform }, train, scaleRowsOf(parts), labels.length);
  const known = dataOfView(cell.view);
  const dataset = cell.view === 'plain' ? known : `${known}-${cell.view}`;
  const data = { dataset, pixelPermutation: seedOf(cell.pixels), labelPermutation: seedOf(cell.labels) };
  return settleFreeBits(network, { id: taskName(cell), mask, transform, labels, data, logitScale }, SCHEMES);
}
