// Progress of many cells on stderr: one bar on a terminal, a line a cell elsewhere, nothing with --json.

import { MultiBar, Presets } from 'cli-progress';
import { type Cell, nameOf } from '../experiments/cells/cell.js';
import type { Watch } from '../experiments/sweep/pool.js';

export interface SweepBar extends Watch {
  /** A line above the bar. */
  say(line: string): void;
  stop(): void;
}

/** Milliseconds in which cells come that others have done before, all at once: they tell nothing of those to come. */
const EARLY = 12_000;

/** @param store keeps a cell's rows */
export function sweepBar(total: number, quiet: boolean, store: Watch['done']): SweepBar {
  const live = !quiet && process.stderr.isTTY && total > 0;
  const bars = live
    ? new MultiBar(
        { format: '{bar} {percentage}%  {value}/{total} cells  {what}  {eta_formatted} left', stream: process.stderr, hideCursor: true },
        Presets.shades_classic,
      )
    : undefined;
  const bar = bars?.create(total, 0, { what: '' });
  const under = new Map<string, number>();
  const started = performance.now();
  /** When it was how far: the pace counts from here. */
  let from = { at: started, fraction: 0 };
  let finished = 0;
  const fraction = () => (finished + [...under.values()].reduce((sum, f) => sum + f, 0)) / total;
  /** As if the cells to come were like those that are done. */
  const timeLeft = (): string => {
    const now = { at: performance.now(), fraction: fraction() };
    if (now.at - started < EARLY) from = now;
    if (finished === total || now.fraction <= from.fraction) return '';
    const left = (((now.at - from.at) / 60_000) * (1 - now.fraction)) / (now.fraction - from.fraction);
    return left < 1 ? ', less than a minute left' : `, about ${Math.round(left)} min left`;
  };
  const say = (line: string) => {
    if (bars) bars.log(`${line}\n`);
    else if (!quiet) console.error(line);
  };
  const settled = (cell: Cell) => {
    under.delete(nameOf(cell));
    finished++;
  };
  return {
    progress(cell, part) {
      under.set(nameOf(cell), part);
      bar?.update(fraction() * total, { what: nameOf(cell) });
    },
    done(cell, rows, seconds) {
      settled(cell);
      store(cell, rows, seconds);
      if (!live && !quiet) console.error(`${finished}/${total} ${nameOf(cell)}: ${seconds.toFixed(0)} s${timeLeft()}`);
    },
    failed(cell, reason) {
      settled(cell);
      say(`${nameOf(cell)} failed: ${reason}`);
    },
    say,
    stop: () => bars?.stop(),
  };
}
