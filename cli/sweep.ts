// Progress of many cells on stderr: one bar on a terminal, a line a cell elsewhere, nothing with --json.

import { MultiBar, Presets } from 'cli-progress';
import { nameOf } from '../experiments/cell.js';
import type { Watch } from '../experiments/pool.js';

export interface SweepBar extends Watch {
  /** A line above the bar. */
  say(line: string): void;
  stop(): void;
}

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
  let finished = 0;
  return {
    progress(cell, fraction) {
      under.set(nameOf(cell), fraction);
      bar?.update(finished + [...under.values()].reduce((sum, f) => sum + f, 0), { what: nameOf(cell) });
    },
    done(cell, rows, seconds) {
      under.delete(nameOf(cell));
      finished++;
      store(cell, rows, seconds);
      if (!live && !quiet) console.error(`${finished}/${total} ${nameOf(cell)}: ${seconds.toFixed(0)} s`);
    },
    say(line) {
      if (bars) bars.log(`${line}\n`);
      else if (!quiet) console.error(line);
    },
    stop: () => bars?.stop(),
  };
}
