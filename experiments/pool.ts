// Cells in parallel on this machine: one thread each, one engine a thread. A cell's rows are handed over as soon as they are there.

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Cell, Row } from './cell.js';

/** What a thread is given, and what it sends back while it works: its progress, 0 to 1. */
export interface Task {
  readonly cell: Cell;
  readonly progress: MessagePort;
}

/** What the module of a thread exports as `answer`. */
export type Answer = (task: Task) => Promise<Row[]>;

export interface Watch {
  progress(cell: Cell, fraction: number): void;
  done(cell: Cell, rows: Row[], seconds: number): void;
}

/**
 * @param file a module that exports an Answer
 * @param shelf a folder for trained weights
 * @throws the first failure, after the cells under way have been stopped
 */
export async function runHere(
  cells: readonly Cell[],
  file: string,
  shelf: string,
  threads: number,
  watch: Watch,
  signal?: AbortSignal,
): Promise<void> {
  const pool = new Piscina({ filename: file, workerData: { shelf }, minThreads: 1, maxThreads: threads, idleTimeout: 1000 });
  const waiting = cells.values();
  async function work(): Promise<void> {
    for (const cell of waiting) {
      const { port1, port2 } = new MessageChannel();
      const started = performance.now();
      port1.on('message', (fraction: number) => watch.progress(cell, fraction));
      try {
        const rows: Row[] = await pool.run({ cell, progress: port2 } satisfies Task, { name: 'answer', transferList: [port2], signal });
        watch.done(cell, rows, (performance.now() - started) / 1000);
      } finally {
        port1.close();
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: threads }, work));
  } finally {
    await pool.destroy();
  }
}
