#!/usr/bin/env node
// The command line: one file a command, loaded when it is asked for; errors in one place. An expected failure is one line on stderr and
// exit 1.

import { Command, CommanderError } from 'commander';
import { SeedmaskError } from '../codec/errors.js';
import { DataError } from '../src/data.js';
import { ShapeError } from '../src/network.js';
import { RELEASE } from './release.js';
import { exitOnInterrupt } from './signals.js';

const program = new Command('seedmask')
  .description('neural networks whose weights are never stored: a model file is seed + mask')
  .version(RELEASE)
  .addHelpText(
    'after',
    '\nExamples:\n  seedmask demo\n  seedmask train --data mnist --network fc --out digits.smk\n  seedmask serve models/trained',
  );
const commands: Record<string, () => Promise<Command>> = {
  train: async () => (await import('./train.js')).trainCommand(),
  transfer: async () => (await import('./transfer.js')).transferCommand(),
  prune: async () => (await import('./prune.js')).pruneCommand(),
  eval: async () => (await import('./eval.js')).evalCommand(),
  inspect: async () => (await import('./inspect.js')).inspectCommand(),
  pack: async () => (await import('./pack.js')).packCommand(),
  extract: async () => (await import('./extract.js')).extractCommand(),
  export: async () => (await import('./export.js')).exportCommand(),
  import: async () => (await import('./import.js')).importCommand(),
  diff: async () => (await import('./diff.js')).diffCommand(),
  verify: async () => (await import('./verify.js')).verifyCommand(),
  serve: async () => (await import('./serve.js')).serveCommand(),
  contents: async () => (await import('./contents.js')).contentsCommand(),
  keys: async () => (await import('./keys.js')).keysCommand(),
  experiment: async () => (await import('./experiment.js')).experimentCommand(),
  worker: async () => (await import('./worker.js')).workerCommand(),
  data: async () => (await import('./data.js')).dataCommand(),
  demo: async () => (await import('./demo.js')).demoCommand(),
};
const first = process.argv[2];
const asked = first !== undefined && Object.hasOwn(commands, first) ? [first] : Object.keys(commands);
for (const name of first === '--version' ? [] : asked) {
  program.addCommand(await commands[name]());
}
const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];
for (const command of everyCommand(program)) {
  command.exitOverride().configureOutput({ writeErr: () => undefined, outputError: () => undefined });
}

exitOnInterrupt();
// A reader that has seen enough (seedmask ... | head) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  console.error(`seedmask: cannot write to standard output: ${error.message}`);
  process.exit(1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = explain(error);
}

/** Prints one line and returns the exit code. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') {
      console.error('seedmask: which command? See seedmask --help, or seedmask data --help');
      return 1;
    }
    const line = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    console.error(`seedmask: ${line} (see seedmask --help)`);
    return 1;
  }
  const expected = error instanceof SeedmaskError || error instanceof DataError || error instanceof ShapeError;
  console.error(`seedmask: ${expected ? '' : 'internal error: '}${(error as Error).message}`);
  if (!expected && process.env['SEEDMASK_DEBUG']) console.error(error);
  return 1;
}
