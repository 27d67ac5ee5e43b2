// seedmask export: a task in the form of another program: ONNX, a TensorFlow.js LayersModel, safetensors, NPZ, or a C header.

import { join } from 'node:path';
import { Command, Option } from 'commander';
import { SeedmaskError, type Task } from '../../codec/index.js';
import { toC, toLayersModel, toNpz, toOnnx, toSafetensors } from '../../interop/index.js';
import { describe, type Network } from '../../src/network.js';
import { checkNoInput, makeFolder, statusOf, writeTogether } from '../files.js';
import { networkFileOption, readTask } from '../models.js';
import { type Output, outputOf } from '../options.js';

const FORMATS = ['onnx', 'tfjs', 'safetensors', 'npz', 'c'] as const;
type Format = (typeof FORMATS)[number];

interface Options extends Output {
  to: Format;
  task?: string;
  network?: string;
  out: string;
}

export function makeCommand(): Command {
  return new Command('export')
    .argument('<model>', 'model file (.smk); FILE#TASK names one of several tasks')
    .addOption(new Option('--to <format>', 'what to write; tfjs is a folder').choices(FORMATS).makeOptionMandatory())
    .option('--task <id>', 'which task of a file with several')
    .addOption(networkFileOption())
    .requiredOption('--out <path>', 'file to write, for tfjs a folder')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask export models/trained/mnist.smk --to onnx --out mnist.onnx
  seedmask export archive.smk#mnist --to tfjs --out web/mnist
  seedmask export models/trained/mnist.smk --to safetensors --out mnist.safetensors
  seedmask export models/trained/mnist.smk --to npz --out mnist.npz
  seedmask export models/trained/mnist-tiny.smk --to c --out mnist.h`,
    )
    .action(run);
}

/** The files of a format by their names; the empty name is the path itself. */
function filesOf(format: Format, network: Network, task: Task): ReadonlyMap<string, Uint8Array> {
  if (format === 'tfjs') return toLayersModel(network, task);
  if (format === 'c') return new Map([['', new TextEncoder().encode(toC(network, task).text)]]);
  const write = { onnx: toOnnx, safetensors: toSafetensors, npz: toNpz }[format];
  return new Map([['', write(network, task)]]);
}

async function run(model: string, options: Options): Promise<void> {
  // A file may have a # in its name.
  const hash = statusOf(model) ? -1 : model.lastIndexOf('#');
  if (hash > 0 && options.task !== undefined && options.task !== model.slice(hash + 1)) {
    const got = `${model.slice(hash + 1)} and --task ${options.task}`;
    throw new SeedmaskError('bad-request', { field: 'the task', expected: 'named once', got, hint: 'Leave one of them away.' });
  }
  const [file, id] = hash > 0 ? [model.slice(0, hash), model.slice(hash + 1)] : [model, options.task];
  const { network, task } = await readTask(file, id, options.network);
  const files = [...filesOf(options.to, network, task)].map(
    ([name, bytes]) => [name ? join(options.out, name) : options.out, bytes] as const,
  );
  for (const [path] of files) checkNoInput(path, [file, options.network]);
  if (options.to === 'tfjs') makeFolder(options.out);
  writeTogether(files);
  const written = files.map(([path, { length }]) => ({ file: path, fileBytes: length }));
  outputOf(options).print({ network: describe(network), task: task.id, format: options.to, files: written }, () =>
    written.map((f) => `${f.file}: ${f.fileBytes.toLocaleString('en')} bytes`).join('\n'),
  );
}
