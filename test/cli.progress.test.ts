// Progress on a terminal: whatever ends the work, the terminal is as it was and nothing keeps the program from ending.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { counting, training } from '../cli/progress.js';
import { sweepBar } from '../cli/sweep.js';
import { type Cell, nameOf } from '../experiments/cells/cell.js';
import { figure1 } from '../experiments/figures/figure-01.js';
import { planOf } from '../experiments/sweep/conduct.js';

const MAIN = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');
const CURSOR_AND_WRAP = '\u001b[?25h\u001b[?7h';

describe('a bar', () => {
  const { isTTY } = process.stderr;
  let shown = '';
  beforeEach(() => {
    shown = '';
    process.stderr.isTTY = true;
    vi.useFakeTimers();
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      shown += String(text);
      return true;
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    process.stderr.isTTY = isTTY;
  });
  const step = { epoch: 1, epochs: 2, step: 50, steps: 100, loss: 1, valAccuracy: null, images: 50 };

  test('is gone when training fails', async () => {
    const failing = training('train', false, async (bar) => {
      bar.update(step);
      expect(vi.getTimerCount()).toBe(1);
      throw new Error('the disk is full');
    });
    await expect(failing).rejects.toThrow('the disk is full');
    expect([vi.getTimerCount(), shown.includes('\u001b[?25h')]).toEqual([0, true]);
  });

  test('that was stopped for a line begins again', async () => {
    await training('train', false, async (bar) => {
      bar.update(step, 'round 1/2');
      bar.stop();
      expect(vi.getTimerCount()).toBe(0);
      bar.update({ ...step, step: 75 }, 'round 2/2');
      expect(vi.getTimerCount()).toBe(1);
    });
    expect([vi.getTimerCount(), shown.includes('75%  round 2/2')]).toEqual([0, true]);
  });

  test('of another number of all is another bar', async () => {
    await counting('pack', false, (update) => {
      vi.advanceTimersByTime(1000);
      update(1, 2);
      update(2, 2);
      update(1, 500);
      expect(vi.getTimerCount()).toBe(1);
    });
    expect([vi.getTimerCount(), shown.includes('1 of 2 '), shown.includes('1 of 500 ')]).toEqual([0, true, true]);
  });
});

/** What a sweep says without a terminal: the ends of its lines behind the cells' names. */
function saidOf(
  total: number,
  sweep: (bar: ReturnType<typeof sweepBar>, done: (i: number, seconds: number) => void, cells: Cell[]) => void,
) {
  const { isTTY } = process.stderr;
  vi.useFakeTimers();
  const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    process.stderr.isTTY = false;
    const cells = figure1.cells(planOf('quick', total)).slice(0, total);
    expect(cells).toHaveLength(total);
    const bar = sweepBar(total, false, () => undefined);
    const done = (i: number, seconds: number) => {
      vi.advanceTimersByTime(1000 * seconds);
      bar.done(cells[i], [], seconds);
    };
    sweep(bar, done, cells);
    const lines = said.mock.calls.map(([line]) => line as string);
    return lines.map((line, i) => line.replace(`${i + 1}/${total} ${nameOf(cells[i])}: `, ''));
  } finally {
    process.stderr.isTTY = isTTY;
    vi.useRealTimers();
    vi.restoreAllMocks();
  }
}

test('cells of a sweep are a line each where there is no terminal, with the time left once it can be told', () => {
  const said = saidOf(4, (bar, done, cells) => {
    done(0, 1);
    bar.progress(cells[2], 0.5);
    done(1, 599);
    done(2, 20);
    done(3, 20);
  });
  // Behind the first, 1.5 cells in 599 s leave as much for 1.5; 2 in 619 leave 310 for 1.
  expect(said).toEqual(['1 s', '599 s, about 10 min left', '20 s, about 5 min left', '20 s']);
});

test('what others of a queue have done before, or half done, says nothing of the time that the rest takes', () => {
  const said = saidOf(8, (bar, done, cells) => {
    bar.progress(cells[5], 0.9);
    for (const i of [0, 1, 2, 3, 4]) done(i, 0);
    done(5, 120);
    done(6, 1200);
  });
  // A tenth of a cell in 120 s leaves 2400 for 2; 1.1 in 1320 leave 1200 for 1.
  expect(said.slice(4)).toEqual(['0 s', '120 s, about 40 min left', '1200 s, about 20 min left']);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s gives the terminal its cursor and line wrap back, exit %i', async (signal, code) => {
  const preload = `
    process.stderr.isTTY = true;
    process.on('newListener', (name) => name === 'SIGTERM' && setImmediate(() => process.kill(process.pid, '${signal}')));
    setInterval(() => {}, 1000);`;
  const flag = `--import=data:text/javascript,${encodeURIComponent(preload)}`;
  const child = spawn(process.execPath, [flag, MAIN, '--version']);
  let err = '';
  child.stderr.on('data', (text) => {
    err += text;
  });
  expect(await once(child, 'close')).toEqual([code, null]);
  expect(err).toContain(CURSOR_AND_WRAP);
});
