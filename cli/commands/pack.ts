// seedmask pack: one file of many tasks, or more tasks for it. Payloads move byte for byte, unless bases are chosen for them anew; the new
// archive is written beside the old one and renamed over it.

import { Command, InvalidArgumentError } from 'commander';
import {
  inspectModel,
  type NetworkLookup,
  type PackedTask,
  readPacked,
  rebase,
  SeedmaskError,
  TASK_ID,
  TASK_ID_TEXT,
  writePacked,
} from '../../codec/index.js';
import { describe, type Network } from '../../src/network.js';
import { checkWritable, DISK, type Disk, readFile, rewrite, statusOf, writeFileSafely } from '../files.js';
import { inFile, LIMITS, nameOf, networkDifferences, networkFileOption, networksOf } from '../models.js';
import { counted, type Output, outputOf } from '../options.js';
import { type Count, counting } from '../progress.js';

interface Options extends Output {
  out: string;
  append?: boolean;
  id?: Named[];
  network?: string;
  base?: string;
}

/** An input and, from --id, the name of its one task. */
export interface Named {
  readonly file: string;
  readonly id?: string;
}

export interface Packing {
  readonly inputs: readonly Named[];
  readonly out: string;
  /** Keep the tasks that `out` holds, if it is there. */
  readonly append?: boolean;
  /** The file of --network. */
  readonly network?: string;
  /** What masks lean on: the id of a task, 'auto', or 'none'; left out, they lean on what they did. */
  readonly base?: string;
  /** Is told how many files are read. */
  readonly onFile?: Count;
  /** Is told how many steps of the search for bases are done (`rebase`). */
  readonly onStep?: Count;
}

export interface Packed {
  readonly network: Network;
  readonly bytes: Uint8Array;
  readonly tasks: number;
  /** Ids that were not in the archive before. */
  readonly added: readonly string[];
  /** How many tasks lean on a base. */
  readonly leaning: number;
}

export function makeCommand(): Command {
  return new Command('pack')
    .argument('[files...]', 'model files (.smk): of one task, named by the file; archives, by their ids; a network alone adds no task')
    .requiredOption('--out <archive>', 'model file to write (.smk)')
    .option('--append', 'keep the tasks that the archive already holds, if it is there')
    .option('--id <name=file>', 'a file of one task and the id it gets; may be repeated', named)
    .option(
      '--base <name>',
      "the task whose mask the others' are stored against where that is shorter, auto for the best by an estimate, or none",
    )
    .addOption(networkFileOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask pack tasks/*.smk --out archive.smk
  seedmask pack new.smk --append --out archive.smk
  seedmask pack tasks/*.smk --base auto --out archive.smk
  seedmask pack --id mnist=run7/best.smk --id permuted=run8/best.smk --out archive.smk
  seedmask pack network.smk mask-a.smk mask-b.smk --out archive.smk`,
    )
    .action(run);
}

function named(text: string, before: Named[] = []): Named[] {
  const [, id, file] = /^([^=]*)=(.+)$/s.exec(text) ?? [];
  if (id === undefined || !TASK_ID.test(id)) {
    throw new InvalidArgumentError(`expected NAME=FILE with a name of ${TASK_ID_TEXT}, got '${text}'.`);
  }
  return [...before, { file, id }];
}

async function run(files: readonly string[], options: Options): Promise<void> {
  const ids = options.id ?? [];
  const inputs = [...files.filter((file) => !ids.some((named) => named.file === file)).map((file) => ({ file })), ...ids];
  const { network, bytes, tasks, added, leaning } = await counting('pack', options.json === true, (onFile) =>
    pack({ ...options, inputs, onFile, onStep: onFile }),
  );
  const leans = leaning ? `, ${leaning} lean${leaning === 1 ? 's' : ''} on a base` : '';
  outputOf(options).print(
    { file: options.out, fileBytes: bytes.length, network: describe(network), tasks, added, leaning },
    () => `${options.out}: ${counted(tasks, 'task')}, ${added.length} of them new${leans}, ${bytes.length.toLocaleString('en')} bytes`,
  );
}

/**
 * Packs and writes. An archive that another process has replaced since its tasks were read is read again, so that two may append at once.
 * @throws SeedmaskError; then the old archive, if there was one, is as it was
 */
export async function pack(packing: Packing, disk: Disk = DISK): Promise<Packed> {
  const { inputs, out, append } = packing;
  if (inputs.length === 0) throw new SeedmaskError('bad-option', { field: 'the files to pack', expected: 'one or more', got: 'none' });
  checkWritable(out);
  if (append) return rewrite(out, () => together(packing), disk);
  const packed = await together(packing);
  writeFileSafely(out, packed.bytes, disk);
  return packed;
}

async function together({ inputs, out, append, network: named, base, onFile, onStep }: Packing): Promise<Packed> {
  const isAdding = append === true && statusOf(out) !== undefined;
  const sources = [...(isAdding ? [{ file: out }] : []), ...inputs];
  const networks = await networksOf(
    named,
    sources.map(({ file }) => file),
  );
  const tasks = new Map<string, { readonly file: string; readonly task: PackedTask; readonly isNamed: boolean }>();
  let first: { readonly file: string; readonly network: Network } | undefined;
  let old = 0;
  for (const [i, source] of sources.entries()) {
    const { file } = source;
    const isOld = isAdding && i === 0;
    const { network, tasks: found } = await readSource(source, networks, !isOld);
    first ??= { file, network };
    const differences = networkDifferences(first.network, network);
    if (differences.length > 0) {
      const got = differences.map(([what, here, there]) => `${what} ${there} instead of ${here}`).join(', ');
      const hint = differences.every(([what]) => what === 'input') ? formHint(first.network) : undefined;
      throw new SeedmaskError('other-network', { field: file, expected: first.file, got, hint });
    }
    const isNamed = found.length === 1 && !isOld;
    for (const task of found) {
      const other = tasks.get(task.id);
      if (other) {
        const one = isNamed ? file : other.isNamed ? other.file : undefined;
        const hint =
          one === undefined
            ? `Extract one first: seedmask extract ${file} --all --out FOLDER, then pack its files with --id NAME=FOLDER/${task.id}.smk`
            : `Rename one with --id NAME=${one}`;
        throw new SeedmaskError('task-clash', { field: `task ${task.id}`, got: `${other.file} and ${file}`, hint });
      }
      tasks.set(task.id, { file, task, isNamed });
    }
    if (isOld) old = tasks.size;
    onFile?.(i + 1, sources.length);
  }
  const added = [...tasks.keys()].slice(old);
  const sorted = [...tasks.values()].map(({ task }) => task).sort((a, b) => (a.id < b.id ? -1 : 1));
  const network = (first as NonNullable<typeof first>).network;
  const model = base === undefined ? { network, tasks: sorted } : rebase({ network, tasks: sorted }, base, onStep);
  const bytes = writePacked(model);
  const leaning = model.tasks.filter((task) => task.base !== undefined).length;
  return { network, bytes, tasks: sorted.length, added, leaning };
}

/** Widths do not tell the form of an input: an imported mask of as many rows of pixels may be meant for numbers. */
function formHint(network: Network): string {
  const layers = describe(network).replace(/^fc:\d+-/, '');
  return `An imported mask takes the form of its --data, or of a name: --network ${network.input.join('x')}:${layers}`;
}

/** The tasks of an input under the ids they get. What is new to the archive is decoded once, to know that it can be. */
async function readSource({ file, id }: Named, networks: NetworkLookup, isNew: boolean) {
  const bytes = readFile(file);
  const { network, tasks } = await inFile(file, () => {
    if (isNew) inspectModel(bytes, LIMITS, networks);
    return readPacked(bytes, LIMITS, networks);
  });
  if (id !== undefined && tasks.length !== 1) {
    throw new SeedmaskError('bad-option', { field: `--id ${id}=${file}`, expected: 'a file of one task', got: `${tasks.length} tasks` });
  }
  return {
    network,
    tasks: tasks.map((task): PackedTask => {
      const its = id ?? nameOf(task.id, file);
      if (TASK_ID.test(its)) return { ...task, id: its };
      const hint = 'Give it one with --id NAME=FILE';
      throw new SeedmaskError('bad-task', { field: `the id of ${file}`, expected: TASK_ID_TEXT, got: its, hint });
    }),
  };
}
