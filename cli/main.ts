#!/usr/bin/env node
// The command line: one file a command, errors in one place. An expected failure is one line on stderr and exit 1.

import { Command, CommanderError } from 'commander';
import { SeedmaskError } from '../codec/index.js';
import { DataError } from '../src/data.js';
import { ShapeError } from '../src/network.js';
import { contentsCommand } from './contents.js';
import { dataCommand } from './data.js';
import { demoCommand } from './demo.js';
import { diffCommand } from './diff.js';
import { evalCommand } from './eval.js';
import { experimentCommand } from './experiment.js';
import { exportCommand } from './export.js';
import { extractCommand } from './extract.js';
import { importCommand } from './import.js';
import { inspectCommand } from './inspect.js';
import { keysCommand } from './keys.js';
import { packCommand } from './pack.js';
import { pruneCommand } from './prune.js';
import { RELEASE } from './release.js';
import { serveCommand } from './serve.js';
import { exitOnInterrupt } from './signals.js';
import { trainCommand } from './train.js';
import { transferCommand } from './transfer.js';
import { verifyCommand } from './verify.js';
import { workerCommand } from './worker.js';

const program = new Command('seedmask')
  .description('neural networks whose weights are never stored: a model file is seed + mask')
  .version(RELEASE)
  .addHelpText(
    'after',
    '\nExamples:\n  seedmask demo\n  seedmask train --data mnist --network fc --out digits.smk\n  seedmask serve models/trained',
  );
const commands = [
  trainCommand(),
  transferCommand(),
  pruneCommand(),
  evalCommand(),
  inspectCommand(),
  packCommand(),
  extractCommand(),
  exportCommand(),
  importCommand(),
  diffCommand(),
  verifyCommand(),
  serveCommand(),
  contentsCommand(),
  keysCommand(),
  experimentCommand(),
  workerCommand(),
  dataCommand(),
  demoCommand(),
];
for (const command of commands) {
  program.addCommand(command);
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
