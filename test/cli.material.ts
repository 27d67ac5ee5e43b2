// The built program as its users meet it: a child process in a folder that goes with the tests.

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { ROOT } from './interop.material.js';

export const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

/** @param name what the folder is for */
export function commandLine(name: string) {
  const folder = mkdtempSync(join(tmpdir(), `seedmask-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true }));
  const seedmask = (...words: string[]): SpawnSyncReturns<string> =>
    spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', cwd: folder });
  return {
    folder,
    seedmask,
    /** The one JSON object of a command that succeeds. */
    json(...words: string[]) {
      const { status, stdout, stderr } = seedmask(...words, '--json');
      expect([status, stderr, stdout.trimEnd().split('\n').length]).toEqual([0, '', 1]);
      return JSON.parse(stdout);
    },
  };
}
