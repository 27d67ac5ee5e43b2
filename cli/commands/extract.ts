// seedmask extract: tasks of an archive as files of their own, or the network alone. Only the tasks asked for are read; payloads move
// byte for byte, and each file is written whole or not at all.

import { join } from 'node:path';
import { Command, Option } from 'commander';
import { hex } from '../../codec/hex.js';
import { type Archive, inspectModel, SeedmaskError, writeModel, writePacked } from '../../codec/index.js';
import { describe } from '../../src/network.js';
import { checkNoInput, DISK, type Disk, makeFolder, statusOf, writeFileSafely } from '../files.js';
import { inFile, LIMITS, nameOf, networkFileOption, networksOf, places, withArchive } from '../models.js';
import { type Output, outputOf } from '../options.js';
import { counting } from '../progress.js';

export interface Extraction {
  readonly task?: readonly string[];
  readonly all?: boolean;
  readonly maskOnly?: boolean;
  readonly networkOnly?: boolean;
  readonly network?: string;
  readonly out: string;
}

/** A file that was written; `task` is its id in the archive, null for a network alone. */
export interface Extracted {
  readonly task: string | null;
  readonly file: string;
  readonly fileBytes: number;
  readonly contentId: string;
}

export function makeCommand(): Command {
  return new Command('extract')
    .argument('<archive>', 'model file (.smk)')
    .addOption(new Option('--task <id...>', 'the tasks to extract; a file of one task needs none').conflicts('all'))
    .option('--all', 'every task')
    .requiredOption('--out <path>', 'one task: a file, or a folder that exists; several: a folder, of files ID.smk')
    .option('--mask-only', 'leave the network out: the files name it by its id')
    .addOption(new Option('--network-only', 'the network without any task').conflicts(['task', 'all', 'maskOnly']))
    .addOption(networkFileOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask extract archive.smk --task mnist --out mnist.smk
  seedmask extract archive.smk --all --out tasks
  seedmask extract archive.smk --network-only --out network.smk
  seedmask extract archive.smk --all --mask-only --out masks`,
    )
    .action(async (file: string, options: Extraction & Output) => {
      const { network, files } = await extract(file, options, options.json === true);
      outputOf(options).print({ archive: file, network, files }, () =>
        files.map((f) => `${f.file}: ${f.fileBytes.toLocaleString('en')} bytes, content ${f.contentId}`).join('\n'),
      );
    });
}

/** Extracts and writes. Throws SeedmaskError; a file that could not be written is as it was. */
export async function extract(
  file: string,
  options: Extraction,
  quiet = true,
  disk: Disk = DISK,
): Promise<{ readonly network: string; readonly files: readonly Extracted[] }> {
  const { out } = options;
  return withArchive(file, await networksOf(options.network), async (archive) => {
    const network = describe(archive.network);
    /** Reads the bytes once more, as whoever gets them will, and writes them. */
    const write = async (task: string | null, path: string, bytes: Uint8Array): Promise<Extracted> => {
      const { contentId } = await inFile(file, () => inspectModel(bytes, LIMITS, () => archive.network));
      writeFileSafely(path, bytes, disk);
      return { task, file: path, fileBytes: bytes.length, contentId: hex(contentId) };
    };
    const inputs = [file, options.network];
    if (options.networkOnly) {
      checkNoInput(out, inputs);
      const bytes = writeModel({ network: archive.network, tasks: [] });
      return { network, files: [await write(null, out, bytes)] };
    }
    const wanted =
      options.all && archive.tasks > 0 ? Array.from({ length: archive.tasks }, (_, i) => i) : await places(archive, options.task, file);
    const ids = options.task ?? (await inFile(file, () => archive.heads())).map(({ id }) => id);
    const several = options.all === true || wanted.length > 1;
    if (several) {
      checkNames(ids);
      makeFolder(out);
    }
    const inFolder = several || out.endsWith('/') || statusOf(out)?.isDirectory() === true;
    const paths = ids.map((id) => (inFolder ? join(out, `${nameOf(id, file)}.smk`) : out));
    for (const path of paths) checkNoInput(path, inputs);
    const files: Extracted[] = [];
    await counting('extract', quiet, async (update) => {
      for (const [i, place] of wanted.entries()) {
        const { id, bytes } = await inFile(file, () => single(archive, place, options.maskOnly === true));
        files.push(await write(id, paths[i], bytes));
        update(files.length, wanted.length);
      }
    });
    return { network, files };
  });
}

/** Two files whose names differ in case alone are one on many disks. */
function checkNames(ids: readonly string[]): void {
  const taken = new Map<string, string>();
  for (const id of ids) {
    const other = taken.get(id.toLowerCase()) ?? id;
    if (other !== id) {
      const got = `where case makes no difference it is ${other}.smk`;
      throw new SeedmaskError('cannot-write', { field: `${id}.smk`, got, hint: 'Extract each by itself: --task ID --out FILE' });
    }
    taken.set(id.toLowerCase(), id);
  }
}

/** A task as a file of its own, which names it. */
async function single(archive: Archive, place: number, maskOnly: boolean): Promise<{ readonly id: string; readonly bytes: Uint8Array }> {
  const task = await archive.packedTask(place);
  return { id: task.id, bytes: writePacked({ network: archive.network, tasks: [{ ...task, id: '' }] }, { maskOnly }) };
}
