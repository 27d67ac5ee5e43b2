// What the tests of experiments share: a Redis of their own on a free loopback port, cells that take a moment, seedmask as a process, and a
// shelf that forgets.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { shelfIn } from '../cli/shelf.js';
import type { Cell, PlaneCell, TicketCell } from '../experiments/cells/cell.js';
import type { Shelf } from '../experiments/cells/lab.js';
import { openPool } from '../experiments/sweep/pool.js';
import { addressOf, type Connection, connect } from '../experiments/sweep/redis.js';

export const FORGETFUL: Shelf = {
  get: () => undefined,
  put: () => undefined,
  begun: () => undefined,
  putBegun: () => undefined,
  weights: () => ({}),
  masks: () => ({}),
  drop: () => undefined,
};

const DIST = join(import.meta.dirname, '..', 'dist', 'cli');

/** Why the tests that need Redis are skipped, or null; CI has it. */
export const noRedis =
  spawnSync('redis-server', ['--version']).status === 0 || process.env['CI']
    ? null
    : 'SKIPPED: no redis-server (apt-get install redis-server)';

export const folder = mkdtempSync(join(tmpdir(), 'seedmask-queue-'));

/** What cleanUp must end when a test did not. */
const children = new Set<ChildProcess>();

const SETTING = { network: 'fc', rows: 600, validation: 50, test: 50 } as const;
/** Half a second. */
export const brief = (seed: number): PlaneCell => ({ kind: 'plane', ...SETTING, seed, epochs: 1, points: 3, chosen: 'drawn' });
/** Some seconds. */
export const long = (seed: number): TicketCell => ({
  kind: 'ticket',
  ...SETTING,
  seed,
  criterion: 'random',
  mask0: 'zero',
  mask1: 'rewind',
  rounds: 8,
  power: 1,
  epochs: 1,
});

/** What this machine computes for a cell without a queue. */
export async function here(cells: readonly Cell[]): Promise<object[]> {
  const pool = await openPool(join(DIST, 'experiment-thread.js'), shelfIn(join(folder, 'shelf')), 1);
  try {
    const results = [];
    for (const cell of cells) results.push((await pool.run(cell, () => undefined)).rows);
    return results;
  } finally {
    await pool.close();
  }
}

export interface Server {
  readonly port: number;
  /** URL of a database of its own: what one test puts there, no other sees. */
  url(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** @param words further options of redis-server; nothing is written to disk but what they ask for */
export async function redisServer(...words: string[]): Promise<Server> {
  const port = await freePort();
  const dir = mkdtempSync(join(folder, 'redis-'));
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--databases', '64', ...words];
  let child: ChildProcess | undefined;
  let database = 0;
  const server: Server = {
    port,
    url: () => `redis://127.0.0.1:${port}/${database++}`,
    async start() {
      const started = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
      child = started;
      children.add(started);
      await new Promise<void>((resolve, reject) => {
        started.stdout.on('data', (text) => /Ready to accept connections/.test(String(text)) && resolve());
        started.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
      });
    },
    async stop(signal = 'SIGTERM') {
      const running = child;
      child = undefined;
      if (!running) return;
      const ended = new Promise((resolve) => running.once('exit', resolve));
      running.kill(signal);
      await ended;
      children.delete(running);
    },
  };
  await server.start();
  return server;
}

export interface Run {
  readonly child: ChildProcess;
  /** What it has written to stdout and stderr so far. */
  out(): string;
  err(): string;
  /** Resolves when stderr matches. */
  said(pattern: RegExp): Promise<void>;
  ended(): Promise<number | null>;
}

/** `seedmask ...`, started. */
export function seedmask(...words: string[]): Run {
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, 'no-cache'), TMPDIR: folder };
  const child = spawn(process.execPath, [join(DIST, 'main.js'), ...words], { cwd: folder, env });
  children.add(child);
  const texts = { out: '', err: '' };
  child.stdout.on('data', (text) => {
    texts.out += text;
  });
  child.stderr.on('data', (text) => {
    texts.err += text;
  });
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  exit.then(() => children.delete(child));
  return {
    child,
    out: () => texts.out,
    err: () => texts.err,
    async said(pattern) {
      while (!pattern.test(texts.err)) {
        if (child.exitCode !== null) throw new Error(`ended before it said ${pattern}: ${texts.err}`);
        await sleep(20);
      }
    },
    ended: () => exit,
  };
}

export function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

/** A connection, and what it said about outages. */
export async function connected(url: string, patience = 30): Promise<Connection & { readonly lines: string[] }> {
  const lines: string[] = [];
  return { ...(await connect(addressOf(url), (line) => lines.push(line), patience)), lines };
}
