// seedmask worker: computes cells of experiments that wait in a queue, on as many machines as it is started on.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { SeedmaskError } from '../../codec/index.js';
import { openPool, type Pool, type SharedShelf } from '../../experiments/sweep/pool.js';
import { ATTEMPTS, queueName } from '../../experiments/sweep/queue.js';
import { addressOf, type Connection, connect, PATIENCE, QUEUE_FORM } from '../../experiments/sweep/redis.js';
import { workOn } from '../../experiments/sweep/worker.js';
import { cacheFolder } from '../datasets/known.js';
import { makeFolder, unchangedFor } from '../files.js';
import { type Output, outputOf, threadsOption, upTo } from '../options.js';
import { RELEASE } from '../release.js';
import { shelfIn } from '../shelf.js';
import { untilSignal } from '../signals.js';

interface Options extends Output {
  queue: string;
  threads?: number;
  lock: number;
  drain?: boolean;
}

/** At most: timers count in 32-bit milliseconds, and a dead worker's cells wait so long. */
const HOUR = 3600;
const THREAD = fileURLToPath(new URL('../experiment-thread.js', import.meta.url));

export function makeCommand(): Command {
  return new Command('worker')
    .requiredOption('--queue <url>', QUEUE_FORM)
    .addOption(threadsOption('cells (one training each) at a time; default: one a core'))
    .option('--lock <seconds>', 'silence after which a worker counts as dead and its cells go to others', upTo(HOUR, 'seconds'), 30)
    .option('--drain', 'end when the queue has no cell left that can be computed here')
    .option('--json', 'print one JSON object at the end')
    .addHelpText(
      'after',
      `
Examples:
  seedmask worker --queue redis://lab:6379
  seedmask worker --queue redis://:PASSWORD@lab:6379/1 --threads 4 --drain

Ctrl-C or SIGTERM gives the cells under way back to the queue and exits 0; a second one ends at once. A cell that fails is tried ${ATTEMPTS}
times; one whose data set is not on this machine goes back at once, and --drain exits 1 if one is left. An outage of Redis of up to
${PATIENCE} s is waited out. Cells of another version of Seedmask are left alone.

What was trained stays in the cache of data sets (seedmask/trained in ~/.cache or XDG_CACHE_HOME) until it is a week old: a cell whose
worker was killed goes on after its last round of tickets, a training of weights or of the paper's learned masks after one of its last
epochs, where that is on this machine.

A worker computes whatever cell the queue holds, within fixed limits but for as long as it takes: keep the queue on a trusted network.`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const json = options.json === true;
  const say = (line: string) => {
    if (!json) console.error(line);
  };
  const stop = new AbortController();
  untilSignal().then(() => stop.abort());
  const address = addressOf(options.queue);
  const threads = options.threads ?? availableParallelism();
  const shelf = shelfOf(queueName(RELEASE));
  let pool: Pool | undefined;
  let connection: Connection | undefined;
  try {
    pool = await openPool(THREAD, shelf, threads);
    connection = await connect(address, say);
    say(`taking cells from ${connection.shown}, ${threads} at a time`);
    const tally = await workOn(connection, RELEASE, pool, {
      threads,
      lock: options.lock,
      drain: options.drain === true,
      stop: stop.signal,
      say,
    });
    const counts = `${tally.computed} computed, ${tally.failed} failed, ${tally.returned} given back`;
    if (tally.left > 0) {
      throw new SeedmaskError('no-dataset', {
        field: connection.shown,
        got: `${tally.left} cell${tally.left === 1 ? ' is' : 's are'} left (${counts})`,
        expected: 'their data set on this machine',
        hint: 'seedmask data list',
      });
    }
    outputOf(options).print(tally, () => counts);
  } finally {
    connection?.close();
    await pool?.close();
  }
}

/** What nobody has changed for so long is removed from the shelf: as long as a queue keeps results. */
const KEPT_MS = 7 * 24 * HOUR * 1000;

/**
 * A shelf in the cache for the workers of one version, at once and one after another: so a cell whose worker was killed goes on after the
 * last round or epoch that is stored here. Where there can be no cache, a folder that goes with the worker.
 */
function shelfOf(version: string): SharedShelf {
  const all = join(dirname(cacheFolder('mnist')), 'trained');
  try {
    makeFolder(all);
  } catch {
    const own = mkdtempSync(join(tmpdir(), 'seedmask-worker-'));
    process.once('exit', () => rmSync(own, { recursive: true, force: true }));
    return shelfIn(own);
  }
  for (const name of readdirSync(all, { recursive: true, encoding: 'utf8' })) {
    const path = join(all, name);
    if (unchangedFor(path, KEPT_MS)) rmSync(path, { recursive: true, force: true });
  }
  return shelfIn(join(all, version));
}
