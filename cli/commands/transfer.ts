// seedmask transfer: a new task's mask, learned from the nearest of the masks that a file holds (nearest-mask.ts) and, beside it, from scratch
// with the same rows, epochs and densities. Everything is chosen on validation rows; test rows are only reported.

import { join } from 'node:path';
import { Command } from 'commander';
import {
  type Model,
  type NetworkLookup,
  readModel,
  readPacked,
  SeedmaskError,
  TASK_ID,
  TASK_ID_TEXT,
  type Task,
  writeModel,
  writePacked,
} from '../../codec/index.js';
import { beside } from '../../experiments/cells/task.js';
import { styled } from '../../experiments/evidence/chart.js';
import { drawing } from '../../experiments/evidence/drawing.js';
import type { Picture } from '../../experiments/evidence/experiment.js';
import { labelsOf, type Split } from '../../src/data.js';
import type { Engine } from '../../src/engine/engine.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import type { Features } from '../../src/features.js';
import { describe, type Network, outputs, weightCounts } from '../../src/network.js';
import type { Seed } from '../../src/random.js';
import { FC_EPOCHS, topkTraining } from '../../src/recipes.js';
import { beyond, checkFits, checkKind, checkMoves, columnsJson, columnsLine, unseen } from '../datasets/fit.js';
import type { TakenColumns } from '../datasets/labelled.js';
import { loadDataset } from '../datasets/load.js';
import { checkNoInput, checkWritable, makeFolder, readFile, rewrite, writeFileSafely } from '../files.js';
import { classNamesOf, partsOf, permutedSource, RATE, type TaskSource, type TrainedTask, trainTask, warningOf } from '../learn.js';
import { defaultShift, mirrorOption, rateOption, rotateOption, shiftOption } from '../learning-options.js';
import { inFile, LIMITS, nameOf, networkDifferences, networkFileOption, networksOf, withArchive } from '../models.js';
import { nearestMask } from '../nearest-mask.js';
import {
  type ColumnOptions,
  columnOptionsOf,
  counted,
  densities,
  densityOption,
  ignoreOption,
  imputeOption,
  labelOption,
  type Output,
  outputOf,
  permuteLabelsOption,
  permutePixelsOption,
  positiveInteger,
  threadsOption,
} from '../options.js';
import { counting, training, warn } from '../progress.js';

interface Options extends Output, ColumnOptions {
  task?: string;
  network?: string;
  permutePixels?: Seed;
  permuteLabels?: Seed;
  density?: number[];
  epochs?: number;
  rate?: number;
  shift?: number;
  rotate?: number;
  mirror?: boolean;
  threads?: number;
  out?: string;
  id?: string;
  draw?: string;
}

export function makeCommand(): Command {
  return new Command('transfer')
    .argument('<known>', 'model file (.smk) with the known masks: a task or an archive')
    .argument('<data>', "the new task's data, as train --data takes it")
    .option('--task <id>', 'the known mask to begin at; default: the nearest, of tasks that all take the columns of the data')
    .addOption(networkFileOption())
    .addOption(labelOption())
    .addOption(ignoreOption())
    .addOption(imputeOption())
    .addOption(permutePixelsOption())
    .addOption(permuteLabelsOption())
    .addOption(densityOption())
    .option('--epochs <n>', `passes over the training rows, of either (default: as train; ${FC_EPOCHS} of dense layers)`, positiveInteger)
    .addOption(rateOption())
    .addOption(shiftOption())
    .addOption(rotateOption())
    .addOption(mirrorOption())
    .addOption(threadsOption())
    .option('--out <file>', 'write the mask that is better on validation rows as a model file')
    .option('--id <name>', 'with --out: write all known tasks and the new one, by this name, leaning on the known mask if that is shorter')
    .option('--draw <folder>', 'write transfer.svg there: validation accuracy of both, epoch by epoch')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask transfer models/trained/mnist.smk mnist --permute-labels 7 --epochs 2
  seedmask transfer models/trained/permutations-100.smk mnist --permute-pixels 42 --permute-labels 7 --epochs 2 --draw pictures
  seedmask transfer digits.smk my-digits --out mine.smk
  seedmask transfer archive.smk my-digits --id mine --out archive.smk
  seedmask transfer archive.smk my-digits --task plain --epochs 5 --json`,
    )
    .action(run);
}

/** A mask learned for the new task, and how it lies to the known one. */
interface Learned extends TrainedTask {
  /** Validation accuracy after each epoch, of the mask at that epoch's density. */
  readonly curve: readonly number[];
  /** Weights kept by both over weights kept by either. */
  readonly overlap: number;
  /** Of the mask alone, and where it leans on the known one. */
  readonly maskBytes: number;
  readonly bytesOnKnown: number;
}

/** The new task: its network, rows and permutations. */
interface NewTask extends TaskSource {
  readonly network: Network;
  readonly columns?: TakenColumns;
  readonly parts: Split;
  /** Kept fraction per weighted layer. */
  readonly density: readonly number[];
}

const wrong = (field: string, expected: string, got: string, hint?: string) =>
  new SeedmaskError('bad-option', { field, expected, got, ...(hint && { hint }) });

const taken = (id: string) => wrong('--id', 'a name that no known task has', id);

function checkOptions({ id, out }: Options): void {
  if (id === undefined) return;
  if (out === undefined) throw wrong('--id', 'used with --out', 'no --out');
  if (!TASK_ID.test(id)) throw wrong('--id', TASK_ID_TEXT, id);
}

/** The archive of the known masks may be written, by `--id`, as it keeps all of them. */
function checkOut(out: string, file: string, { id, network }: Options): void {
  checkWritable(out);
  checkNoInput(out, [network]);
  if (id === undefined) checkNoInput(out, [file], 'Give --out another name; --id NAME adds the new task to the known ones');
}

async function run(file: string, source: string, options: Options): Promise<void> {
  checkOptions(options);
  if (options.out !== undefined) checkOut(options.out, file, options);
  const picture = options.draw === undefined ? undefined : await pictureIn(options.draw);
  const quiet = options.json === true;
  const networks = await networksOf(options.network);
  const network = await networkOf(file, networks, options);
  const asTaken = reader(source, network, options);
  const engine = await createWasmEngine({ threads: options.threads });
  const known = await counting('ask', quiet, (update) => nearestMask(engine, file, networks, asTaken, options.task, update));
  const data = asTaken(known.task);
  warn(unseen(data.train, data.parts.train, classNamesOf(data.train, outputs(network))), beyond(data.train));
  const name = nameOf(known.task.id, file);
  const base = await learned(engine, data, known.task, options, `from ${name}`, true);
  const scratch = await learned(engine, data, known.task, options, 'from scratch', false);
  engine.close();
  const better = isBetter(base, scratch) ? base : scratch;
  warn(warningOf(better, labelsOf(data.train, data.parts.validation)));
  const { out } = options;
  const written = out === undefined ? undefined : await write(out, file, networks, better, known.task, options.id);
  picture?.write(pictureOf(name, source, base, scratch));
  outputOf(options).print(
    {
      network: describe(network),
      ...columnsJson(data.columns),
      known: name,
      knownAccuracy: known.accuracy,
      asked: known.asked,
      base: summaryOf(base),
      scratch: summaryOf(scratch),
      better: better === base ? 'base' : 'scratch',
      ...(written && { file: out, ...written }),
      ...(picture && { drawing: picture.file }),
    },
    () => {
      const lines = [
        `${name}, ${options.task === undefined ? `nearest of ${known.asked}` : 'as asked for'}: tells ${percent(known.accuracy)} of the new labels`,
      ];
      if (data.columns) lines.push(columnsLine(data.columns));
      const width = Math.max(name.length + 5, 'from scratch'.length);
      lines.push(`epoch  ${`from ${name}`.padEnd(width)}  from scratch   (validation accuracy)`);
      for (const [i, accuracy] of base.curve.entries())
        lines.push(`${String(i + 1).padStart(5)}  ${accuracy.toFixed(4).padEnd(width)}  ${scratch.curve[i].toFixed(4)}`);
      lines.push(textOf(`from ${name}`.padEnd(width), base), textOf('from scratch'.padEnd(width), scratch));
      if (written) lines.push(`${out}: the mask ${better === base ? `from ${name}` : 'from scratch'}, ${writtenText(written)}`);
      if (picture) lines.push(picture.file);
      return lines.join('\n');
    },
  );
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

const textOf = (title: string, { valAccuracy, testAccuracy, overlap, maskBytes, bytesOnKnown }: Learned): string =>
  `${title}  validation ${valAccuracy.toFixed(4)}   test ${testAccuracy.toFixed(4)}   overlap ${overlap.toFixed(2)}   ` +
  `mask ${maskBytes.toLocaleString('en')} bytes, ${bytesOnKnown.toLocaleString('en')} leaning on the known one`;

const summaryOf = ({ curve, valAccuracy, testAccuracy, overlap, maskBytes, bytesOnKnown, trainSeconds }: Learned) => ({
  curve,
  valAccuracy,
  testAccuracy,
  overlap,
  bytes: maskBytes,
  bytesOnKnown,
  trainSeconds,
});

/** Higher on validation rows; of equals the one that is shorter beside the known mask. */
const isBetter = (a: Learned, b: Learned): boolean =>
  a.valAccuracy > b.valAccuracy || (a.valAccuracy === b.valAccuracy && a.bytesOnKnown <= b.bytesOnKnown);

/** The network of the known masks. The name of a new task in their archive must be free. */
const networkOf = (file: string, networks: NetworkLookup, { id }: Options): Promise<Network> =>
  withArchive(file, networks, async (archive) => {
    if (id !== undefined) {
      const names = archive.tasks === 1 ? (await archive.heads(0, 1)).map((head) => nameOf(head.id, file)) : [];
      if (names.includes(id) || (await archive.find(id)) >= 0) throw taken(id);
      const odd = names.find((name) => !TASK_ID.test(name));
      if (odd !== undefined) throw wrong(`the file name of ${file}`, 'fit for a name of a task', odd, 'Rename it, or leave --id away');
    }
    return archive.network;
  });

/** Reads the new task for one known task after another: anew where these take other inputs. */
function reader(source: string, network: Network, options: Options): (known: Task) => NewTask {
  let last: { readonly by: string | undefined; readonly data: NewTask } | undefined;
  return ({ transform: { features } }) => {
    const by = JSON.stringify(features);
    if (!last || last.by !== by) last = { by, data: taskOf(source, network, options, features) };
    return last.data;
  };
}

/**
 * The new task's rows as a known task takes them. Its mask has learned what each input says: numbers come from the columns that it names, in
 * its order, and become the bytes that it makes of them, so that the same number is the same byte under both. Standardised by their own
 * rows they would be shifted, stretched and, where `standardFeatures` turns a feature round, upside down under the mask that is asked and
 * that training starts at. From scratch they are the same, so that the two can be compared; the file says so of the new task.
 */
function taskOf(source: string, network: Network, options: Options, features: Features | undefined): NewTask {
  const { permutePixels, permuteLabels, density, out } = options;
  const data = loadDataset(source, { features, channels: network.input[2], ...columnOptionsOf(options), out });
  checkKind(data, features, 'the data of the new task');
  checkFits(data, network, { classes: outputs(network), field: 'the data of the new task' });
  checkMoves(data, options);
  return {
    ...permutedSource(data, outputs(network), permutePixels, permuteLabels),
    network,
    columns: data.columns,
    density: densities(density, weightCounts(network).length, topkTraining(network).density),
    parts: partsOf(data.train, network.seed),
  };
}

/** Learns a mask for the new task, from the known one or from scratch. */
async function learned(engine: Engine, data: NewTask, known: Task, options: Options, title: string, fromKnown: boolean): Promise<Learned> {
  const { network, parts, train, density } = data;
  const defaults = topkTraining(network);
  const curve: number[] = [];
  const {
    epochs = defaults.epochs,
    rate = RATE,
    rotate,
    mirror,
    shift = defaultShift(train, options.permutePixels !== undefined),
  } = options;
  const task = await training(title, options.json === true, ({ update }) =>
    trainTask(engine, network, data, parts, {
      density,
      epochs,
      rate,
      rotate,
      mirror,
      shift,
      ...(fromKnown && { start: known.mask }),
      onProgress(progress) {
        update(progress);
        if (progress.step % (progress.steps / epochs) === 0) curve.push(progress.valAccuracy ?? 0);
      },
    }),
  );
  const { overlap, bytesOnBase } = beside(network, task.model.tasks[0], known.mask);
  const { length: maskBytes } = readPacked(task.bytes).tasks[0].payload;
  return { ...task, curve, overlap, maskBytes, bytesOnKnown: bytesOnBase };
}

interface Written {
  readonly fileBytes: number;
  readonly tasks: number;
  /** The task that the new one leans on in the file, or null. */
  readonly leansOn: string | null;
}

const writtenText = ({ fileBytes, tasks, leansOn }: Written): string =>
  `${counted(tasks, 'task')}${leansOn === null ? '' : `, leaning on ${leansOn}`}, ${fileBytes.toLocaleString('en')} bytes`;

/**
 * Writes the new task alone or, by an id, with all that the file holds by now: other masks may have come while this one was learned. It
 * leans on the known mask as it stands there, or on what that leans on.
 */
async function write(out: string, file: string, networks: NetworkLookup, learned: TrainedTask, known: Task, id?: string): Promise<Written> {
  if (id === undefined) {
    writeFileSafely(out, learned.bytes);
    return { fileBytes: learned.fileBytes, tasks: 1, leansOn: null };
  }
  // The two are often one file.
  const { bytes, tasks, leansOn } = await rewrite(out, () => joined(file, networks, learned.model, known, id));
  return { fileBytes: bytes.length, tasks, leansOn };
}

/** The new task and all that the file holds now. */
async function joined(file: string, networks: NetworkLookup, model: Model, known: Task, id: string) {
  const found = await inFile(file, () => readPacked(readFile(file), LIMITS, networks));
  const differences = networkDifferences(model.network, found.network).map(([what, then, now]) => `${what} ${now} instead of ${then}`);
  if (differences.length > 0)
    throw new SeedmaskError('other-network', { field: file, expected: 'when this began', got: differences.join(', ') });
  const old = found.tasks.map((task) => ({ ...task, id: nameOf(task.id, file) }));
  const named = (name: string) => old.find((task) => task.id === name);
  if (named(id)) throw taken(id);
  const asked = named(nameOf(known.id, file));
  const base = asked?.base === undefined ? asked : named(asked.base);
  const pair = [
    ...(base ? [{ ...readModel(writePacked({ network: found.network, tasks: [base] })).tasks[0], id: 'a' }] : []),
    { ...model.tasks[0], id: 'b', base: base && 'a' },
  ];
  const added = readPacked(writeModel({ ...model, tasks: pair })).tasks[pair.length - 1];
  const leansOn = added.base === undefined || !base ? null : base.id;
  const tasks = [...old, { ...added, id, ...(leansOn !== null && { base: leansOn }) }].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { bytes: writePacked({ network: model.network, tasks }), tasks: tasks.length, leansOn };
}

/** Where the drawing goes. What it needs is looked for before anything is learned. */
async function pictureIn(folder: string): Promise<{ readonly file: string; write(picture: Picture): void }> {
  makeFolder(folder);
  const { drawnAlone } = await drawing();
  const file = join(folder, 'transfer.svg');
  checkWritable(file);
  return { file, write: (picture) => writeFileSafely(file, new TextEncoder().encode(drawnAlone(picture))) };
}

function pictureOf(name: string, source: string, base: Learned, scratch: Learned): Picture {
  const points = ({ curve }: Learned) =>
    curve.map((accuracy, i) => ({ x: i + 1, mean: 100 * accuracy, min: 100 * accuracy, max: 100 * accuracy, n: 1 }));
  const said = ({ testAccuracy, overlap, maskBytes, bytesOnKnown }: Learned) =>
    `${(100 * testAccuracy).toFixed(2)} % of the test rows, overlap ${overlap.toFixed(2)}, ${maskBytes.toLocaleString('en')} bytes, ` +
    `${bytesOnKnown.toLocaleString('en')} leaning on ${name}`;
  return {
    name: 'transfer',
    title: `A mask for ${source}, from ${name} and from scratch`,
    caption: `Validation accuracy after each epoch. From ${name}: ${said(base)}. From scratch: ${said(scratch)}.`,
    chart: {
      kind: 'curves',
      across: 'learning',
      yLabel: 'validation accuracy, %',
      lines: [
        { label: `from ${name}`, points: points(base), ...styled('blue') },
        { label: 'from scratch', points: points(scratch), ...styled('blue', true) },
      ],
    },
  };
}
