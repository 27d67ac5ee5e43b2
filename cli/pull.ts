// What `seedmask serve URL` does besides serving: a folder that follows the URL, for a while or for good, and a log of what came.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SeedmaskError } from '../codec/index.js';
import { Mirror, type Store, type Threads } from '../server/index.js';
import { fromEnvironment } from './access.js';
import { makeFolder } from './files.js';

export interface PullOptions {
  /** A folder that stays; absent: one that goes with the process. */
  readonly cache?: string;
  readonly allowHttp?: boolean;
}

/** Milliseconds that a start waits for the other server where a cache has something to serve: one that stalls would hold it for minutes. */
const PATIENCE = 5000;

export interface Source {
  /** Where the model files are. */
  readonly folder: string;
  /** What went wrong at first: the folder has what was pulled before, or less than it should. */
  readonly failure: SeedmaskError | undefined;
  /**
   * What a store over the folder could not read is asked for again; a store without any task waits for what the first look brings. One
   * whose origin stalls goes on with what it has.
   */
  mend(store: Store): Promise<void>;
  /**
   * Looks again every `ms` milliseconds, a quarter more or less, so that replicas do not all come at once; 0: only until what the first
   * look waits for has come. Returns what ends that.
   */
  watch(store: Store, ms: number): () => void;
}

/**
 * Pulls once. A key for the other server is the SEEDMASK_PULL_KEY of the environment.
 * @param ending ends what is under way when it resolves
 * @throws SeedmaskError (by rejection) bad-option, cannot-write; what cannot be pulled is `failure`
 */
export async function pullFrom(
  url: string,
  { cache, allowHttp }: PullOptions,
  threads: Threads,
  log: Logger,
  ending: Promise<void>,
): Promise<Source> {
  const key = fromEnvironment('SEEDMASK_PULL_KEY');
  const folder = cache ?? mkdtempSync(join(tmpdir(), 'seedmask-'));
  if (cache === undefined) process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  else makeFolder(cache);
  const mirror = new Mirror(url, folder, { key, allowHttp, threads });
  let closed = false;
  const over = ending.then(() => {
    closed = true;
    mirror.close();
    return undefined;
  });
  /** URL and reason of what the last look could not pull. */
  let told = new Set<string>();
  /** What cannot be pulled is a line, once and not at every look, and fails nothing. Gives the first of it. */
  const lookAndTell = async (): Promise<SeedmaskError | undefined> => {
    const { tasks, pulled, failures } = await mirror.sync().catch((error: unknown) => {
      if (error instanceof SeedmaskError) return { tasks: 0, pulled: 0, failures: [{ url, error }] };
      throw error;
    });
    const lines = new Map(failures.map((failure) => [`${failure.url} ${failure.error.message}`, failure]));
    for (const [line, { url: file, error }] of lines) {
      if (!told.has(line) && !closed) log.warn({ url: file, code: error.code, reason: error.message }, 'not pulled');
    }
    told = new Set(lines.keys());
    if (pulled > 0) log.info({ tasks, pulled }, 'pulled');
    return failures[0]?.error;
  };
  // Nobody shall be told that there is no such task for what a second look may bring.
  const looking = (async () => (await lookAndTell()) && (await lookAndTell()))();
  const late = new SeedmaskError('cannot-pull', { field: url, got: `no whole answer within ${PATIENCE} ms` });
  const patience = (await mirror.holdsFiles()) ? sleep(PATIENCE, late, { ref: false }) : looking;
  const failure = await Promise.race([looking, patience, over]);
  if (failure === late) log.warn({ code: late.code, reason: late.message }, 'serving what was pulled before');
  const mend = async (store: Store) => {
    let gone = false;
    // One after another: each has its file in memory.
    for (const { file } of store.failures) gone = (await mirror.recheck(file)) || gone;
    if (failure !== late && gone) await lookAndTell();
    else if (failure === late && store.tasks.size === 0) await Promise.race([looking, over]);
    else return;
    await store.refresh();
  };
  const watch = (store: Store, ms: number) => {
    let timer: NodeJS.Timeout;
    let ended = false;
    const unsubscribe = store.subscribe(({ kind, file }) => {
      if (kind === 'failed') void mirror.recheck(file).catch(() => undefined);
    });
    const after = (looked: Promise<unknown>) => {
      void looked
        .then(() => store.refresh())
        // A folder that cannot be read is an event of the store.
        .catch((error: unknown) => ended || closed || error instanceof SeedmaskError || log.error({ err: error }, 'failed'))
        .finally(next);
    };
    const next = () => {
      if (ended || ms === 0) return;
      timer = setTimeout(() => after(lookAndTell()), ms * (0.75 + Math.random() / 2));
      timer.unref();
    };
    if (failure === late) after(looking);
    else next();
    return () => {
      ended = true;
      clearTimeout(timer);
      unsubscribe();
    };
  };
  return { folder, failure, mend, watch };
}
