// seedmask experiment: the paper's figures and tables, each with one command. Results are tidy CSV, JSON and SVG in a folder, with one
// HTML report over all that the folder holds; a run that was stopped goes on where it stopped.

import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { SeedmaskError } from '../../codec/index.js';
import { type Cell, dataOfCell, nameOf } from '../../experiments/cells/cell.js';
import type { Plan } from '../../experiments/cells/grids.js';
import { MOST_RUNS, MOST_TASKS, SCALES, type ScaleName, TASKS } from '../../experiments/cells/scale.js';
import { type Experiment, NUMBERS } from '../../experiments/evidence/experiment.js';
import { EXPERIMENTS, SHOWN_BY } from '../../experiments/index.js';
import {
  type Conducted,
  checkScale,
  conduct,
  heldPlan,
  ofSeeds,
  planOf,
  publish,
  type Runner,
  results,
  usable,
} from '../../experiments/sweep/conduct.js';
import { openPool, runHere, type SharedShelf } from '../../experiments/sweep/pool.js';
import { shownIn, takeOver, takeShown } from '../../experiments/sweep/published.js';
import { runOnQueue } from '../../experiments/sweep/queue.js';
import { addressOf, connect, PATIENCE, QUEUE_FORM } from '../../experiments/sweep/redis.js';
import { report } from '../../experiments/sweep/report.js';
import { openStore, type Store } from '../../experiments/sweep/store.js';
import { findKnown } from '../datasets/known.js';
import { loadDataset } from '../datasets/load.js';
import { makeFolder, removeLeftOvers, writeFileSafely } from '../files.js';
import { counted, named, type Output, outputOf, refuseGiven, threadsOption, upTo } from '../options.js';
import { warn } from '../progress.js';
import { RELEASE } from '../release.js';
import { shelfIn } from '../shelf.js';
import { sweepBar } from '../sweep.js';

interface Options extends Output {
  runs?: number;
  tasks?: number;
  quick?: boolean;
  full?: boolean;
  draw?: boolean;
  threads?: number;
  queue?: string;
  from?: string;
  out: string;
}

const THREAD = fileURLToPath(new URL('../experiment-thread.js', import.meta.url));

export function makeCommand(): Command {
  const names = EXPERIMENTS.map((e) => e.name);
  const width = Math.max(...names.map((name) => name.length));
  const list = EXPERIMENTS.map(({ name, about, minutes }) => `  ${name.padEnd(width)}  ${String(minutes).padStart(4)} min  ${about}`).join(
    '\n',
  );
  const others = Object.keys(SHOWN_BY);
  const known = named([...names, ...others, 'all']);
  const experimentOf = (text: string) => SHOWN_BY[known(text)] ?? text;
  return new Command('experiment')
    .argument('<name...>', 'experiments, or all', (name: string, before: string[] = []) => [...before, experimentOf(name)])
    .option(
      '--runs <n>',
      'seeds 0 .. n-1 of those that have several; default: 5 of fc, 3 of the others, 2 with --quick, 5 with --full',
      upTo(MOST_RUNS, 'seeds'),
    )
    .option(
      '--tasks <n>',
      `tasks that share a network (permutations), at most ${MOST_TASKS.toLocaleString('en')}; default: ${TASKS.budget}, ${TASKS.quick} with --quick, ${TASKS.full} with --full`,
      upTo(MOST_TASKS, 'tasks'),
    )
    .addOption(
      new Option(
        '--quick',
        'a shortened run that shows the path and decides nothing: about a minute, two or three of convolutional networks',
      ).conflicts('full'),
    )
    .option(
      '--full',
      "the paper's definition: all rows, epochs and rounds (fc: hours to days; convolutional networks: months on one machine)",
    )
    .addOption(new Option('--draw', 'draw from what the folder holds; run nothing').conflicts(['threads', 'queue']))
    .addOption(threadsOption('cells (one training each) at a time; default: one a core'))
    .addOption(new Option('--queue <url>', `have cells run by the workers of a queue: ${QUEUE_FORM}`).conflicts('threads'))
    .option(
      '--from <folder>',
      'begin with the cells that are asked for and that the CSV and JSON files of a published folder hold whole (without masks); with --draw, take rows without cells too',
    )
    .requiredOption('--out <folder>', 'folder of results; what is there is not computed again')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Experiments, with minutes on two cores at the budget scale, that of a run without --quick and --full:
${list}

${NUMBERS.replaceAll(/([.;]) /g, '$1\n')}
Taken too: ${others.map((name) => `${name}, which is in ${SHOWN_BY[name]}`).join('; ')}.

Examples:
  seedmask experiment figure-07 --quick --out quick
  seedmask experiment figure-07 --out results
  seedmask experiment all --out results
  seedmask experiment all --draw --out results
  seedmask experiment figure-07 --from experiments/results --runs 10 --out more
  seedmask experiment all --out results --queue redis://lab:6379      and on every machine: seedmask worker --queue redis://lab:6379

fc takes MNIST, conv2, conv4 and conv6 CIFAR-10: seedmask data get mnist, seedmask data get cifar10.
A run that was stopped goes on when it is started again: tickets after their last round, a training of weights or of the paper's learned
masks after one of its last epochs. --draw shows how far it is, with as many seeds and tasks as were asked for.
With --queue the missing cells wait in Redis for workers, and their results are stored as they come. Stopped and started again, it adds no
cell twice and collects what was done in between (Redis keeps it for a week). An outage of Redis of up to ${PATIENCE} s is waited out.`,
    )
    .action(async (chosen: string[], options: Options, command: Command) => {
      const experiments = chosen.includes('all') ? EXPERIMENTS : EXPERIMENTS.filter(({ name }) => chosen.includes(name));
      const scale: ScaleName = options.quick ? 'quick' : options.full ? 'full' : 'budget';
      const plan = planOf(scale, options.runs, options.tasks);
      if (!experiments.some(ofSeeds)) refuseGiven(command, ['runs'], 'an experiment of several seeds, such as figure-07');
      if (!experiments.some(({ ofTasks }) => ofTasks)) refuseGiven(command, ['tasks'], 'an experiment of tasks, such as permutations');
      if (options.draw && !options.from && !holdsResults(options.out)) throw nothingToDraw(experiments, scale, options);
      makeFolder(options.out);
      makeFolder(join(options.out, 'cells'));
      if (!options.draw) {
        removeLeftOvers(join(options.out, 'cells'), /\.json$/);
        removeLeftOvers(options.out, /\.(csv|html|json|smk|svg)$/);
      }
      const store = openStore(options.out, writeFileSafely, RELEASE, warn);
      checkScale(EXPERIMENTS, plan, store);
      if (options.from) takeFrom(options.from, experiments, plan, options, store);
      const quiet = options.json === true;
      const ready = (cells: readonly Cell[]) => withData(cells, experiments, plan, chosen.includes('all'));
      const run = options.queue
        ? queued(options.queue, quiet)
        : here(options.threads ?? availableParallelism(), shelfIn(join(options.out, 'trained')), quiet, ready);
      // What the folder has of others goes into the report: what is wrong with it is told before anything is run.
      for (const one of EXPERIMENTS) if (!experiments.includes(one)) results(one, heldPlan(one, scale, store), store);
      const conducted = options.draw ? await drawn(experiments, scale, options, store) : await conduct(experiments, plan, store, run);
      if (conducted.length === 0) throw nothingToDraw(experiments, scale, options);
      const left = experiments.filter((one) => !conducted.some(({ experiment }) => experiment === one));
      if (!chosen.includes('all'))
        for (const one of left)
          process.stderr.write(`${one.name} is not drawn: of it ${options.from ?? options.out} has ${lackOf(one, scale, options)}\n`);
      const all = EXPERIMENTS.map(
        (one) => conducted.find(({ experiment }) => experiment === one) ?? results(one, heldPlan(one, scale, store), store),
      );
      store.write('report.html', new TextEncoder().encode(await report(all, plan)));
      if (store.others.size > 0)
        warn(`${options.out} holds cells that Seedmask ${[...store.others].join(', ')} computed; this is ${RELEASE}`);
      outputOf(options).print(
        {
          scale,
          folder: options.out,
          report: join(options.out, 'report.html'),
          experiments: conducted.map(({ experiment, rows, claims, missing }) => ({
            name: experiment.name,
            rows: rows.length,
            missing,
            claims,
          })),
        },
        () => [...conducted.flatMap(linesOf), join(options.out, 'report.html')].join('\n'),
      );
    });
}

/** Takes what a published folder has of the experiments: cells, and to draw from also rows without cells. */
function takeFrom(from: string, experiments: readonly Experiment[], plan: Plan, { draw, ...told }: Options, store: Store): void {
  const { scale } = plan;
  const planHere = (one: Experiment) => (draw ? heldPlan(one, scale, store, told) : plan);
  const wanted = new Set(experiments.flatMap((one) => usable(one, planHere(one), store)).map(nameOf));
  const all = [...new Set([...experiments, ...EXPERIMENTS])].map(({ name }) => name);
  const { given, copied } = takeOver(from, all, wanted, store, draw);
  const none = experiments
    .filter((one) => !one.cells(planHere(one)).some((cell) => given.has(nameOf(cell))))
    .filter(({ name }) => !draw || shownIn(from, name)?.scale !== scale)
    .map(({ name }) => name);
  const and = none.length > 0 ? `, none of ${none.join(', ')}` : '';
  process.stderr.write(`${from} gives ${counted(given.size, 'cell')}${and}; ${copied} copied\n`);
  if (!draw) return;
  for (const one of experiments) {
    if (one.cells(planHere(one)).some((cell) => store.result(cell))) continue;
    if (!takeShown(from, one.name, scale, store)) continue;
    process.stderr.write(`${one.name}: ${store.folder} has other rows than ${from}; they stay until its ${one.name}.csv is deleted\n`);
  }
}

/** Whether a folder has cells, or files of an experiment. */
const holdsResults = (folder: string): boolean =>
  existsSync(join(folder, 'cells')) || EXPERIMENTS.some(({ name }) => existsSync(join(folder, `${name}.json`)));

/** Those of the experiments that the folder has cells or rows of, with the seeds and tasks that their files tell where the command tells none. */
async function drawn(experiments: readonly Experiment[], scale: ScaleName, told: Options, store: Store): Promise<Conducted[]> {
  const conducted: Conducted[] = [];
  for (const experiment of experiments) {
    const plan = heldPlan(experiment, scale, store, told);
    const held = results(experiment, plan, store);
    if (held.done === 0) continue;
    if (held.plan.asked !== plan.asked || (experiment.ofTasks && held.plan.tasks !== plan.tasks))
      process.stderr.write(
        `${experiment.name}: cells of it are not here, so all rows that its files have are drawn, not those asked for\n`,
      );
    conducted.push(await publish(held, store));
  }
  return conducted;
}

/** What a folder has of an experiment that cannot be drawn: files in the one that results are taken from, else cells. */
function lackOf({ name, cells }: Experiment, scale: ScaleName, { from, out }: Options): string {
  if (from) {
    const absent = [`${name}.csv`, `${name}.json`].filter((file) => !existsSync(join(from, file)));
    return absent.length > 0 ? `no ${absent.join(' and no ')}` : `no rows of the ${scale} scale`;
  }
  if (!existsSync(out)) return 'no such folder';
  const there = new Set(existsSync(join(out, 'cells')) ? readdirSync(join(out, 'cells')) : []);
  const hasCells = (one: ScaleName) => cells(planOf(one)).some((cell) => there.has(`${nameOf(cell)}.json`));
  const other = SCALES.find((one) => one !== scale && hasCells(one));
  return other ? `cells of the ${other} scale alone` : 'no finished cell that is asked for';
}

function nothingToDraw(experiments: readonly Experiment[], scale: ScaleName, options: Options): SeedmaskError {
  const names = experiments.length === EXPERIMENTS.length ? 'any experiment' : experiments.map(({ name }) => name).join(', ');
  const [lack, ...others] = new Set(experiments.map((one) => lackOf(one, scale, options)));
  return new SeedmaskError('bad-store', {
    field: options.from ?? options.out,
    expected: `a folder with results of ${names} at the ${scale} scale`,
    got: others.length === 0 ? lack : 'none',
    hint: 'Leave --draw away: a run that was stopped goes on where it stopped. Or name another scale: --quick, --full or neither',
  });
}

/** How it went, then a line a claim. */
const linesOf = ({ experiment, rows, missing, claims }: Conducted): string[] => [
  `${experiment.name}: ${counted(rows.length, 'row')}${missing > 0 ? `, ${counted(missing, 'cell')} not run yet` : ''}`,
  ...claims.map(({ text, ours, verdict }) => `  ${verdict.padEnd(11)}  ${text}${ours ? `: ${ours}` : ''}`),
];

/**
 * Those of the cells whose data is on this machine; of which experiments others are left out is told.
 * @param all whether no experiment was asked for by its name
 * @throws SeedmaskError no-dataset when one that was could run nothing, or none can run anything
 */
function withData(cells: readonly Cell[], experiments: readonly Experiment[], plan: Plan, all: boolean): readonly Cell[] {
  const absent = [...new Set(cells.flatMap(dataOfCell))].filter((name) => findKnown(name) === null);
  if (absent.length === 0) return cells;
  const isLeft = (cell: Cell) => dataOfCell(cell).some((name) => absent.includes(name));
  const open = new Set(cells.map(nameOf));
  const lacking = experiments
    .map(({ name, cells }) => ({ name, own: cells(plan).filter((cell) => open.has(nameOf(cell))) }))
    .filter(({ own }) => own.some(isLeft));
  const idle = lacking.filter(({ own }) => own.every(isLeft));
  // Refuses, as the data is not there.
  if (idle.length === experiments.length || (!all && idle.length > 0)) loadDataset(absent[0]);
  const ready = cells.filter((cell) => !isLeft(cell));
  const left = `${counted(cells.length - ready.length, 'cell')} of ${lacking.map(({ name }) => name).join(', ')}`;
  const hint = absent.map((name) => `seedmask data get ${name}`).join(' && ');
  process.stderr.write(`no ${absent.join(' and ')} here: left out ${left}. Run: ${hint}\n`);
  return ready;
}

/** Runs cells on this machine: those that are ready. */
const here =
  (threads: number, shelf: SharedShelf, quiet: boolean, ready: (cells: readonly Cell[]) => readonly Cell[]): Runner =>
  async (missing, store) => {
    const cells = ready(missing);
    if (cells.length === 0) return;
    makeFolder(shelf.folder);
    removeLeftOvers(shelf.folder, /\.safetensors$/);
    const pool = await openPool(THREAD, shelf, threads);
    const bar = sweepBar(cells.length, quiet, store);
    try {
      await runHere(cells, pool, threads, bar);
    } finally {
      bar.stop();
    }
  };

/** Has cells run by the workers of a queue. */
const queued = (url: string, quiet: boolean): Runner => {
  const address = addressOf(url);
  return async (cells, store) => {
    if (cells.length === 0) return;
    const bar = sweepBar(cells.length, quiet, store);
    try {
      const connection = await connect(address, bar.say);
      try {
        await runOnQueue(cells, connection, RELEASE, bar, bar.say);
      } finally {
        connection.close();
      }
    } finally {
      bar.stop();
    }
  };
};
