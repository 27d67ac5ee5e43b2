#!/usr/bin/env node
// The command line: one file a command, loaded when it is asked for; errors in one place. An expected failure is one line on stderr and
// exit 1, of diff exit 2.

import { Command, CommanderError } from 'commander';
import { SeedmaskError } from '../codec/errors.js';
import { oneLine } from '../codec/one-line.js';
import { DataError } from '../src/data.js';
import { ShapeError } from '../src/network.js';
import { RELEASE } from './release.js';
import { exitOnSignal } from './signals.js';

const program = new Command('seedmask')
  .description('neural networks whose weights are never stored: a model file is seed + mask')
  .version(RELEASE)
  .addHelpText(
    'after',
    '\nExamples:\n  seedmask demo\n  seedmask train --data mnist --network fc --out digits.smk\n  seedmask serve models/trained',
  );
const commands: Record<string, readonly [about: string, load: () => Promise<{ makeCommand(): Command }>]> = {
  train: ['learn a mask on a random network and write seed + mask', () => import('./commands/train.js')],
  transfer: ["learn a new task's mask from the nearest known mask and, beside it, from scratch", () => import('./commands/transfer.js')],
  prune: [
    'lottery tickets: train, keep some weights, and write the untrained network under the mask, or train on in rounds',
    () => import('./commands/prune.js'),
  ],
  eval: ['accuracy, calibration and confusion matrix of a task on its test set', () => import('./commands/eval.js')],
  inspect: ['show what a model file holds', () => import('./commands/inspect.js')],
  pack: ['put the tasks of model files that share a network into one archive', () => import('./commands/pack.js')],
  extract: ['write tasks of an archive to files of their own, named by the file', () => import('./commands/extract.js')],
  export: ['write a task for another program: weights written out, the input transform included', () => import('./commands/export.js')],
  import: [
    'trained weights of another program -> masks by any criterion and a report; or a mask of another program -> a model file',
    () => import('./commands/import.js'),
  ],
  diff: ['compare the contents of two model files: network, tasks, and the overlap of their masks', () => import('./commands/diff.js')],
  verify: ['check everything about model files, down to encoding them again to the same bytes', () => import('./commands/verify.js')],
  serve: ['serve model files over HTTP', () => import('./commands/serve.js')],
  contents: ['list a folder of model files by content id, for replicas to pull from a web host', () => import('./commands/contents.js')],
  keys: ['API keys for seedmask serve', () => import('./commands/keys.js')],
  experiment: [
    'figures and tables of the lottery-ticket paper (Zhou et al. 2019): runs what is missing, then draws',
    () => import('./commands/experiment.js'),
  ],
  worker: ['computes cells of experiments that wait in a queue (seedmask experiment --queue)', () => import('./commands/worker.js')],
  data: ['list and fetch data sets', () => import('./commands/data.js')],
  demo: ["the paper's story on MNIST, then a server with every model made", () => import('./commands/demo.js')],
};
const words = process.argv.slice(2);
/** The command that is asked for, or asked about; the list of all of them needs none of their files. */
const asked = words.find((word) => Object.hasOwn(commands, word));
/** The exit code of a failure. As of cmp and the other diff, 1 says that two files differ. */
const failed = asked === 'diff' ? 2 : 1;
// The list has names alone, as a command that is not loaded knows no options and arguments.
program.configureHelp({ subcommandTerm: (command) => command.name() });
const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

exitOnSignal();
// A reader that has seen enough (seedmask ... | head) ends a command as SIGPIPE ends others, so that what was cut short does not look whole.
const ENDED_BY_SIGPIPE = 128 + 13;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ENDED_BY_SIGPIPE);
    if (stream === process.stdout) console.error(`seedmask: cannot write to standard output: ${error.message}`);
    process.exit(failed);
  });
}

try {
  for (const [name, [about, load]] of Object.entries(commands)) {
    program.addCommand((name === asked ? (await load()).makeCommand() : new Command(name)).description(about));
  }
  for (const command of everyCommand(program)) {
    command.exitOverride().configureOutput({ writeErr: () => undefined, outputError: () => undefined });
  }
  await program.parseAsync(meant(words), { from: 'user' });
} catch (error) {
  process.exitCode = explain(error);
}

/** What Commander has to read: its own help takes one word, where `help data get` is about get. */
function meant(words: readonly string[]): readonly string[] {
  const about = words.slice(1).filter((word) => !word.startsWith('-'));
  return upToUnknown(program, words[0] === 'help' && about.length > 0 ? [...about, '--help'] : words);
}

/** The words up to the first that should name a command and does not: an option for help after it would hide that it is unknown. */
function upToUnknown(command: Command, words: readonly string[]): readonly string[] {
  const [word, ...rest] = words;
  if (word === undefined || word.startsWith('-') || word === 'help' || command.commands.length === 0) return words;
  const next = command.commands.find((one) => one.name() === word);
  return next ? [word, ...upToUnknown(next, rest)] : [word];
}

/** Prints one line and returns the exit code. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const path = pathOf(program, meant(words));
    if (error.code === 'commander.help') {
      console.error(`seedmask: which command? See ${path} --help`);
      return failed;
    }
    const line = error.message.replace(/^error: /, '');
    console.error(`seedmask: ${oneLine(line)} (see ${path} --help)`);
    return failed;
  }
  const expected = error instanceof SeedmaskError || error instanceof DataError || error instanceof ShapeError;
  console.error(`seedmask: ${expected ? '' : 'internal error: '}${oneLine((error as Error).message)}`);
  if (!expected && process.env['SEEDMASK_DEBUG']) console.error(error);
  return failed;
}

/** The command that words lead to, as a user types it: "seedmask data get". */
function pathOf(command: Command, [word, ...rest]: readonly string[]): string {
  const next = command.commands.find((one) => one.name() === word);
  return next ? `${command.name()} ${pathOf(next, rest)}` : command.name();
}
