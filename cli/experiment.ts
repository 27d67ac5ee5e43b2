// seedmask experiment: the paper's figures and tables, each with one command. Results are tidy CSV, JSON and SVG in a folder, with one
// HTML report over all that the folder holds; a run that was stopped goes on where it stopped.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MultiBar, Presets } from 'cli-progress';
import { Command, Option } from 'commander';
import { nameOf } from '../experiments/cell.js';
import { conduct, planOf, type Runner } from '../experiments/conduct.js';
import { EXPERIMENTS } from '../experiments/index.js';
import { runHere } from '../experiments/pool.js';
import type { ScaleName } from '../experiments/scale.js';
import { openStore } from '../experiments/store.js';
import { makeFolder, writeFileSafely } from './files.js';
import { named, type Output, outputOf, positiveInteger } from './options.js';

interface Options extends Output {
  runs?: number;
  quick?: boolean;
  full?: boolean;
  threads?: number;
  out: string;
}

const THREAD = fileURLToPath(new URL('./experiment-thread.js', import.meta.url));

export function experimentCommand(): Command {
  const names = EXPERIMENTS.map((e) => e.name);
  const width = Math.max(...names.map((name) => name.length));
  const list = EXPERIMENTS.map(
    ({ name, about, minutes }) => `  ${name.padEnd(width)}  ${String(minutes.budget).padStart(4)} min  ${about}`,
  ).join('\n');
  return new Command('experiment')
    .description("the paper's figures and tables: runs what is missing, then draws")
    .argument('<name...>', 'experiments, or all', (name: string, before: string[] = []) => [...before, named([...names, 'all'])(name)])
    .option('--runs <n>', 'seeds 0 .. n-1; default: 5 of fc, 3 of the others', positiveInteger)
    .addOption(new Option('--quick', 'a shortened run that proves the path in under a minute').conflicts('full'))
    .option('--full', "the paper's definition: all rows, all epochs, all rounds (days)")
    .option('--threads <n>', 'cells at a time; default: one a core', positiveInteger)
    .requiredOption('--out <folder>', 'folder of results; what is there is not computed again')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Experiments, with minutes on two cores:
${list}

Examples:
  seedmask experiment figure-07 --quick --out quick
  seedmask experiment figure-07 --out results
  seedmask experiment all --out results`,
    )
    .action(async (chosen: string[], options: Options) => {
      const experiments = chosen.includes('all') ? EXPERIMENTS : EXPERIMENTS.filter(({ name }) => chosen.includes(name));
      const scale: ScaleName = options.quick ? 'quick' : options.full ? 'full' : 'budget';
      makeFolder(options.out);
      const store = openStore(options.out, writeFileSafely);
      const run = here(options.threads ?? availableParallelism(), join(options.out, 'trained'), options.json === true);
      const results = await conduct(experiments, planOf(scale, options.runs), store, run);
      outputOf(options).print(
        {
          scale,
          folder: options.out,
          experiments: results.map(({ experiment, rows, claims }) => ({ name: experiment.name, rows: rows.length, claims })),
        },
        () => results.map(({ experiment, rows }) => `${experiment.name}: ${rows.length} rows`).join('\n'),
      );
    });
}

/** Runs cells on this machine, with a bar on a terminal and a line a cell elsewhere. */
const here =
  (threads: number, shelf: string, quiet: boolean): Runner =>
  async (cells, done) => {
    const bars = new MultiBar(
      { format: '{bar} {percentage}%  {value}/{total} cells  {what}  {eta_formatted} left', stream: process.stderr, hideCursor: true },
      Presets.shades_classic,
    );
    const live = !quiet && process.stderr.isTTY;
    const bar = live && cells.length > 0 ? bars.create(cells.length, 0, { what: '' }) : undefined;
    const under = new Map<string, number>();
    let finished = 0;
    try {
      await runHere(cells, THREAD, shelf, threads, {
        progress(cell, fraction) {
          under.set(nameOf(cell), fraction);
          bar?.update(finished + [...under.values()].reduce((sum, f) => sum + f, 0), { what: nameOf(cell) });
        },
        done(cell, rows, seconds) {
          under.delete(nameOf(cell));
          finished++;
          done(cell, rows, seconds);
          if (!live && !quiet) console.error(`${finished}/${cells.length} ${nameOf(cell)}: ${seconds.toFixed(0)} s`);
        },
      });
    } finally {
      bars.stop();
    }
  };
