// seedmask contents: a folder of model files as a contents.json, which makes it a place that `seedmask serve URL` can pull from, on any
// web host. Every file is read to its end for its content id.

import { stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Command } from 'commander';
import { hex } from '../../codec/hex.js';
import { inspectModel, networkId, SeedmaskError } from '../../codec/index.js';
import { NO_LABELS } from '../../server/repository/catalogue.js';
import { type Contents, entryOf } from '../../server/repository/contents.js';
import { listFiles, readLabels } from '../../server/repository/files.js';
import { checkNoInput, checkWritable, readFile, writeFileSafely } from '../files.js';
import { inFile, LIMITS, networksOf } from '../models.js';
import { counted, type Output, outputOf } from '../options.js';

interface Options extends Output {
  out?: string;
}

export function makeCommand(): Command {
  return new Command('contents')
    .argument('<folder>', 'files of one task each, as seedmask serve takes them; mask-only files need their network as a file of its own')
    .option('--out <file>', 'write the list there, whole or not at all: contents.json of the folder; default: print it')
    .option('--json', 'print one JSON object; without --out that is the list, as it is anyway')
    .addHelpText(
      'after',
      `
Examples:
  seedmask contents masks --out masks/contents.json
  seedmask serve https://example.org/masks --cache pulled`,
    )
    .action(run);
}

async function run(folder: string, options: Options): Promise<void> {
  const { out } = options;
  if (out !== undefined) checkWritable(out);
  const contents = await contentsOf(folder);
  const { tasks, networks = [] } = contents;
  const list = JSON.stringify(contents);
  if (out === undefined) {
    console.log(list);
    return;
  }
  checkNoInput(
    out,
    [...tasks, ...networks].map(({ url }) => join(folder, decodeURIComponent(url))),
  );
  writeFileSafely(out, new TextEncoder().encode(`${list}\n`));
  outputOf(options).print({ file: out, tasks: tasks.length, networks: networks.length }, () => `${out}: ${counted(tasks.length, 'task')}`);
}

/** @throws SeedmaskError (by rejection) bad-store, and whatever reading the files finds */
export async function contentsOf(folder: string): Promise<Contents> {
  const { places, labels, refused } = await listFiles(folder);
  if (!(await stat(folder)).isDirectory()) {
    const hint = 'URLs in the list are relative to it.';
    throw new SeedmaskError('bad-store', { field: folder, expected: 'a folder', got: 'a file', hint });
  }
  if (refused.length > 0) throw refused[0].error;
  const networks = await networksOf(
    undefined,
    places.map(({ file }) => file),
  );
  const tasks: Contents['tasks'] = [];
  const alone = new Map<string, string>();
  const needed = new Map<string, string>();
  for (const { file, name: task, number: version, folder: versions } of places) {
    const bytes = readFile(file);
    const info = await inFile(file, () => inspectModel(bytes, LIMITS, networks));
    const url = relative(folder, file).split(sep).map(encodeURIComponent).join('/');
    const network = hex(networkId(info.network));
    if (info.tasks.length > 1) {
      const hint = `seedmask extract ${file} --all --out FOLDER makes them.`;
      throw new SeedmaskError('bad-store', { field: file, expected: 'a file of one task', got: `${info.tasks.length} tasks`, hint });
    }
    if (info.tasks.length === 0) {
      alone.set(network, url);
      continue;
    }
    if (info.maskOnly) needed.set(network, file);
    const all = versions !== undefined && labels.has(versions) ? await readLabels(versions) : NO_LABELS;
    tasks.push(entryOf(task, version, all, hex(info.contentId), url));
  }
  for (const [network, file] of needed) {
    if (alone.has(network)) continue;
    const hint = 'seedmask extract --network-only makes it.';
    throw new SeedmaskError('bad-store', { field: folder, expected: `with a file of the network of ${file} alone`, got: 'none', hint });
  }
  if (tasks.length === 0) {
    throw new SeedmaskError('bad-store', { field: folder, expected: 'a folder with at least one file of a task', got: 'none' });
  }
  return { tasks, networks: [...alone].map(([id, url]) => ({ id, url })) };
}
