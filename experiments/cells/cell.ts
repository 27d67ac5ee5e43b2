// A cell is one piece of an experiment's grid: everything that decides one result, as plain JSON. Equal cells give equal rows on any
// machine, so a cell has a name made from its content, is computed once, and serves every figure that asks for it.
//
// The schemas are closed and limited, because cells are also read from files and queues: what passes is safe to run, if not quick.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { conv2, conv4, conv6, fc } from '../../models/index.js';
import { actionConflict, MASK0, MASK1 } from '../../src/masks/actions.js';
import { CRITERIA } from '../../src/masks/criteria.js';
import type { Architecture } from '../../src/network.js';
import { dataOfView, VIEWS } from './views.js';

/** The paper's networks. */
const NETWORKS = ['fc', 'conv2', 'conv4', 'conv6'] as const;
export type NetworkName = (typeof NETWORKS)[number];
export const CONVOLUTIONAL = ['conv2', 'conv4', 'conv6'] as const satisfies readonly NetworkName[];
export const ARCHITECTURES: Record<NetworkName, Architecture> = { fc, conv2, conv4, conv6 };

/** The paper's data for a network: digits for fc, CIFAR-10 for the convolutional ones. */
export const dataOf = (network: NetworkName): 'mnist' | 'cifar10' => (network === 'fc' ? 'mnist' : 'cifar10');
/** A network with its data, as titles have it. */
export const onItsData = (network: NetworkName): string => `${network} on ${network === 'fc' ? 'MNIST' : 'CIFAR-10'}`;

const upTo = (most: number) => z.int().min(1).max(most);
const EPOCHS = upTo(10_000);
const POWER = upTo(100);
const LIST = 100;
const RATE = z.number().positive().max(1e6);
const AGES = z
  .array(EPOCHS)
  .min(1)
  .max(LIST)
  .readonly()
  .refine((ages) => ages.every((age, i) => i === 0 || age > ages[i - 1]), 'expected ascending numbers');

/** What is trained, on how much. */
const SETTING = {
  network: z.enum(NETWORKS),
  /** Seed of the weights, the split, the batch order and every other draw. */
  seed: z.int().min(0),
  /** Training rows used, the first of the seed's split: at least a batch of every method. */
  rows: z.int().min(128).max(60_000),
  /** Validation and test rows used, the first of each: 5,000 and 10,000 are all. */
  validation: upTo(5000),
  test: upTo(10_000),
};

/** Iterative pruning: round 0 trains the whole network, each further round prunes and trains what is left. */
const TICKET = z
  .strictObject({
    kind: z.literal('ticket'),
    ...SETTING,
    criterion: z.enum(CRITERIA),
    mask0: z.enum(MASK0),
    mask1: z.enum(MASK1),
    rounds: upTo(100),
    /** Rounds of the paper's rates that one round prunes at once. */
    power: POWER,
    /** Epochs in every round. */
    epochs: EPOCHS,
  })
  .superRefine(({ mask0, mask1 }, { addIssue }) => {
    const conflict = actionConflict(mask0, mask1);
    if (conflict) addIssue({ code: 'custom', path: ['mask1'], message: conflict });
  });

/** Untrained supermasks: masks of every criterion, level and age under initial weights and signed constants. */
const CURVE = z.strictObject({
  kind: z.literal('curve'),
  ...SETTING,
  criteria: z.array(z.enum(CRITERIA)).min(1).max(LIST).readonly(),
  /** Levels: rounds of the paper's rates that a mask prunes at once. */
  powers: z.array(POWER).min(1).max(LIST).readonly(),
  /** Epochs of training after which masks are taken, ascending. */
  ages: AGES,
});

/** A learned supermask of an untrained network. */
const LEARNED = z
  .strictObject({
    kind: z.literal('learned'),
    ...SETTING,
    method: z.enum(['bernoulli', 'topk']),
    weights: z.enum(['init', 'constant']),
    /** Dynamic weight rescaling (bernoulli). */
    rescale: z.boolean(),
    /** Kept fraction per layer (topk), the last of them for all further layers; empty for bernoulli. */
    density: z.array(z.number().positive().max(1)).max(LIST).readonly(),
    learningRate: RATE,
    epochs: EPOCHS,
  })
  .refine(({ method, density }) => (method === 'topk') === density.length > 0, {
    path: ['density'],
    error: 'expected fractions for topk, none for bernoulli',
  });

/** Points (initial, final) of every layer after training: what the criteria look at. */
const PLANE = z.strictObject({
  kind: z.literal('plane'),
  ...SETTING,
  epochs: EPOCHS,
  /** Weights drawn a layer; how tells them from those that were taken at even distances. */
  points: upTo(100_000),
  chosen: z.literal('drawn'),
});

/** Masks of every criterion and level as the tasks of one model file. */
const ARCHIVE = z.strictObject({
  kind: z.literal('archive'),
  ...SETTING,
  weights: z.enum(['init', 'constant']),
  criteria: z.array(z.enum(CRITERIA)).min(1).max(LIST).readonly(),
  powers: z.array(POWER).min(1).max(LIST).readonly(),
  epochs: EPOCHS,
});

/** What ages a mask: masks of one criterion and several ages, under weights and masks put together in different ways. */
const PROBE = z.strictObject({
  kind: z.literal('probe'),
  ...SETTING,
  criterion: z.enum(CRITERIA),
  powers: z.array(POWER).min(1).max(LIST).readonly(),
  ages: AGES,
  learningRate: RATE,
});

const WIDTHS = (least: number) => z.array(upTo(4096)).min(least).max(8).readonly();
const SEED = z.int().min(0);

/** One task among many on one network of signed constants: a mask for one kind of images, or trained weights to stand beside it. */
const TASK = z
  .strictObject({
    kind: z.literal('task'),
    /** 5x5 convolutions without padding and each with a max-pool, then dense layers, the last of them the outputs; on MNIST. */
    filters: WIDTHS(0),
    units: WIDTHS(1),
    /** Of the weights, the split, the batch order and the first scores: the same for all tasks of a network. */
    seed: SEED,
    rows: SETTING.rows,
    validation: SETTING.validation,
    test: SETTING.test,
    view: z.enum(VIEWS),
    /** Seeds of the permutations of pixels and of classes. */
    pixels: SEED.nullable(),
    labels: SEED.nullable(),
    method: z.enum(['topk', 'threshold', 'dense']),
    /** Kept fraction per layer (topk), the last of them for all further layers; empty for the others. */
    density: z.array(z.number().positive().max(1)).max(LIST).readonly(),
    learningRate: RATE,
    epochs: EPOCHS,
    /** Another view whose mask is trained first, in the same way, and compared with; `start`: training goes on from it (topk). */
    base: z.enum(VIEWS).optional(),
    start: z.boolean().optional(),
  })
  .refine(({ method, density }) => (method === 'topk') === density.length > 0, {
    path: ['density'],
    error: 'expected fractions for topk, none for the others',
  })
  .refine(({ method, base, start }) => (base === undefined) === (start === undefined) && (base === undefined || method === 'topk'), {
    path: ['base'],
    error: 'expected with start, and with topk',
  });

/** Tasks of one network, each asked under the masks of all. */
const MATRIX = z.strictObject({ kind: z.literal('matrix'), seed: SEED, tasks: z.array(TASK).min(2).max(LIST).readonly() }).refine(
  ({ seed, tasks }) => {
    const networkOf = ({ filters, units, seed }: TaskCell) => JSON.stringify([filters, units, seed]);
    return tasks.every((task) => task.seed === seed && task.method === 'topk' && networkOf(task) === networkOf(tasks[0]));
  },
  { path: ['tasks'], error: 'expected masks (topk) of one network with the seed of the matrix' },
);

export const CELL = z.discriminatedUnion('kind', [TICKET, CURVE, LEARNED, PLANE, PROBE, ARCHIVE, TASK, MATRIX]);

export type TicketCell = Readonly<z.infer<typeof TICKET>>;
export type CurveCell = Readonly<z.infer<typeof CURVE>>;
export type LearnedCell = Readonly<z.infer<typeof LEARNED>>;
export type PlaneCell = Readonly<z.infer<typeof PLANE>>;
export type ProbeCell = Readonly<z.infer<typeof PROBE>>;
export type ArchiveCell = Readonly<z.infer<typeof ARCHIVE>>;
export type TaskCell = Readonly<z.infer<typeof TASK>>;
export type MatrixCell = Readonly<z.infer<typeof MATRIX>>;
/** Cells about a network of the paper. */
export type PaperCell = TicketCell | CurveCell | LearnedCell | PlaneCell | ProbeCell | ArchiveCell;
/** What every one of them has. */
export type Setting = Pick<PaperCell, keyof typeof SETTING>;
export type Cell = PaperCell | TaskCell | MatrixCell;

/** The data sets that a cell needs. */
export function dataOfCell(cell: Cell): ('mnist' | 'cifar10')[] {
  if (cell.kind !== 'task' && cell.kind !== 'matrix') return [dataOf(cell.network)];
  const tasks = cell.kind === 'matrix' ? cell.tasks : [cell];
  return [...new Set(tasks.map(({ view }) => dataOfView(view)))];
}

/** One tidy row of a result: what it is about, and what was measured. */
export type Row = Readonly<Record<string, string | number>>;

/** What is kept of a cell that was computed, in a folder or a queue. */
export const RESULT = z.strictObject({
  cell: CELL,
  rows: z.array(z.record(z.string(), z.union([z.string(), z.number()]))).min(1),
  /** How long it took where it ran; decides nothing. */
  seconds: z.number(),
  /** The version of Seedmask that computed it, where that is known. */
  release: z.string().max(100).optional(),
});
export type Result = z.infer<typeof RESULT>;

/** Names the training that a cell of several is in the middle of. */
export const underWayOf = (cell: Cell): string => `${nameOf(cell)}-begun`;

/** A file name for a cell: a few words to read, then its content's hash. */
export function nameOf(cell: Cell): string {
  const sorted = (value: object) => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const isPlain = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
  const canonical = JSON.stringify(sorted(cell), (_, value: unknown) => (isPlain(value) ? Object.fromEntries(sorted(value)) : value));
  const hash = createHash('sha256').update(canonical).digest('hex').slice(0, 12);
  const words = ((): (string | number)[] => {
    switch (cell.kind) {
      case 'ticket':
        return [cell.network, `${cell.criterion}-${cell.mask0}-${cell.mask1}`];
      case 'learned':
        return [cell.network, cell.method];
      case 'probe':
        return [cell.network, cell.criterion];
      case 'matrix':
        return [`${cell.tasks.length}tasks`];
      case 'task':
        return [cell.method, cell.view, `pixels${cell.pixels ?? ''}`, `labels${cell.labels ?? ''}`];
      default:
        return [cell.network];
    }
  })();
  return [cell.kind, ...words, `seed${cell.seed}`, hash].join('-');
}
