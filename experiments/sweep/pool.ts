// Cells in parallel on this machine: one thread each, one engine a thread. A cell's rows are handed over as soon as they are there. The
// thread that asks stays free: it draws progress, or keeps a queue's locks alive.

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type ErrorDetails, SeedmaskError } from '../../codec/index.js';
import { type Cell, nameOf, type Row, underWayOf } from '../cells/cell.js';
import { optional } from '../optional.js';
import { reasonOf } from './redis.js';

/** What a thread is given, and what it sends back while it works: its progress, 0 to 1. */
export interface Task {
  readonly cell: Cell;
  readonly progress: MessagePort;
}

/** What the module of a thread exports as `answer`; a refusal is spelt out, because errors lose their class between threads. */
export type Answer = (
  task: Task,
) => Promise<{ readonly rows: Row[] } | { readonly code: SeedmaskError['code']; readonly details: ErrorDetails }>;

export interface Watch {
  progress(cell: Cell, fraction: number): void;
  done(cell: Cell, rows: readonly Row[], seconds: number): void;
  failed(cell: Cell, reason: string): void;
}

export interface Pool {
  /** @throws the cell's failure; an AbortError when the signal stops its thread */
  run(cell: Cell, progress: (fraction: number) => void, signal?: AbortSignal): Promise<{ rows: Row[]; seconds: number }>;
  /** Removes what a thread has stored of a cell on its way: its rows are kept now. */
  forget(cell: Cell): void;
  close(): Promise<void>;
}

/** A folder for what is trained, which threads share. */
export interface SharedShelf {
  readonly folder: string;
  /** Removes what is stored of a cell on its way, by the cell's name. */
  drop(name: string): void;
}

/**
 * @param file a module that exports an Answer; its workerData is the shelf's folder
 * @throws SeedmaskError no-package
 */
export async function openPool(file: string, shelf: SharedShelf, threads: number): Promise<Pool> {
  const { Piscina } = await optional('running cells', 'piscina', () => import('piscina'));
  // No thread before there is a cell: one that is ended while it still loads its module takes the process with it on Node 20 (SIGABRT).
  const pool = new Piscina({ filename: file, workerData: { shelf: shelf.folder }, minThreads: 0, maxThreads: threads, idleTimeout: 1000 });
  return {
    async run(cell, progress, signal) {
      const { port1, port2 } = new MessageChannel();
      const started = performance.now();
      port1.on('message', progress);
      try {
        const task: Task = { cell, progress: port2 };
        const answer: Awaited<ReturnType<Answer>> = await pool.run(task, { name: 'answer', transferList: [port2], signal });
        if ('code' in answer) throw new SeedmaskError(answer.code, answer.details);
        return { rows: answer.rows, seconds: (performance.now() - started) / 1000 };
      } finally {
        port1.close();
      }
    },
    forget(cell) {
      shelf.drop(nameOf(cell));
      shelf.drop(underWayOf(cell));
    },
    close: () => pool.destroy(),
  };
}

/** @throws SeedmaskError cell-failed after all other cells are done; at once what `watch` throws, as results could not be kept */
export async function runHere(cells: readonly Cell[], pool: Pool, threads: number, watch: Watch): Promise<void> {
  const waiting = cells.values();
  const failed: Failed[] = [];
  let closing = false;
  async function work(): Promise<void> {
    for (const cell of waiting) {
      let result: Awaited<ReturnType<Pool['run']>>;
      try {
        result = await pool.run(cell, (fraction) => watch.progress(cell, fraction));
      } catch (error) {
        if (closing) return;
        const reason = reasonOf(error as Error);
        failed.push([nameOf(cell), reason]);
        watch.failed(cell, reason);
        continue;
      }
      watch.done(cell, result.rows, result.seconds);
      pool.forget(cell);
    }
  }
  try {
    await Promise.all(Array.from({ length: threads }, work));
  } finally {
    closing = true;
    await pool.close();
  }
  if (failed.length > 0) throw cellsFailed(failed, cells.length);
}

export type Failed = readonly [name: string, reason: string];

/** What a run ends with when some of its cells have failed and all others are done. */
export function cellsFailed(failed: readonly Failed[], of: number): SeedmaskError {
  const [name, reason] = failed[0];
  return new SeedmaskError('cell-failed', {
    field: failed.length === 1 ? name : `${name} and ${failed.length - 1} more of ${of}`,
    got: reason,
    hint: 'The other cells are stored: --draw shows them, and the same command tries these again',
  });
}
