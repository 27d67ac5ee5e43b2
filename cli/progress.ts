// What commands say on stderr beside their result: warnings, and, without --json, progress. Training: a bar on a terminal, one line an epoch elsewhere. Counting files or tasks: a bar
// on a terminal, once it takes longer than half a second.

import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from '../src/training-options.js';

/** A line for each warning that there is. */
export function warn(...warnings: readonly (string | null)[]): void {
  for (const warning of warnings) if (warning !== null) console.error(`seedmask: warning: ${warning}`);
}

export interface TrainingBar {
  /** @param part what of the whole is under way, when the bar is of several runs */
  update(progress: Progress, part?: string): void;
  /** Gives the terminal back; the next update is the first of another bar. */
  stop(): void;
}

/**
 * Shows training while `work` runs, and gives the terminal back however it ends: a bar that stays up would keep the program from ending.
 * @param clear leaves no bar behind when it stops
 */
export async function training<T>(title: string, quiet: boolean, work: (bar: TrainingBar) => Promise<T>, clear = false): Promise<T> {
  const bar = trainingBar(title, quiet, clear);
  try {
    return await work(bar);
  } finally {
    bar.stop();
  }
}

function trainingBar(title: string, quiet: boolean, clear: boolean): TrainingBar {
  let started = performance.now();
  const values = (p: Progress, part?: string) => ({
    part: part ? `  ${part}` : '',
    epochText: `${p.epoch}/${p.epochs}`,
    loss: p.loss.toFixed(4),
    accuracy: p.valAccuracy === null ? '-' : p.valAccuracy.toFixed(4),
    rate: Math.round(p.images / ((performance.now() - started) / 1000)).toLocaleString('en'),
  });
  if (quiet) return { update: () => undefined, stop: () => undefined };
  if (!process.stderr.isTTY) {
    return {
      update: (p) => {
        const { epochText, loss, accuracy, rate } = values(p);
        if (p.step % (p.steps / p.epochs) === 0)
          console.error(`${title}: epoch ${epochText}  loss ${loss}  validation ${accuracy}  ${rate} images/s`);
      },
      stop: () => undefined,
    };
  }
  const bar = new SingleBar(
    {
      format: `${title} {bar} {percentage}%{part}  epoch {epochText}  loss {loss}  validation {accuracy}  {rate} images/s  {eta_formatted} left`,
      stream: process.stderr,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: clear,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  let begun = false;
  return {
    update(p, part) {
      if (!begun) bar.start(p.steps, part ? p.step : 0, values(p, part));
      begun = true;
      bar.update(p.step, values(p, part));
    },
    stop() {
      bar.stop();
      begun = false;
      started = performance.now();
    },
  };
}

/** Tells how many are done, of how many. */
export type Count = (done: number, of: number) => void;

/**
 * Shows how many are done while `work` runs, and nothing of it afterwards, however it ends. Another number of all is another bar.
 * @param quiet shows nothing
 */
export async function counting<T>(title: string, quiet: boolean, work: (update: Count) => T | Promise<T>): Promise<T> {
  if (quiet || !process.stderr.isTTY) return work(() => undefined);
  const format = `${title} {bar} {value} of {total}  {eta_formatted} left`;
  const bar = new SingleBar(
    { format, stream: process.stderr, barsize: 24, hideCursor: true, clearOnComplete: true },
    Presets.shades_classic,
  );
  const started = performance.now();
  let total: number | undefined;
  try {
    return await work((done, of) => {
      if (total === undefined && performance.now() - started < 500) return;
      if (total !== undefined && of !== total) bar.stop();
      if (of !== total) bar.start(of, done);
      total = of;
      bar.update(done);
    });
  } finally {
    bar.stop();
  }
}
