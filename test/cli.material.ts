// The built program as its users meet it: a child process in a folder that goes with the tests.

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { loadDataset } from '../cli/datasets/load.js';
import { type Dataset, toIdx } from '../src/data.js';
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

/** MNIST's first 3,000 rows and 500 test rows, IDX files in the folder `digits`: learned in seconds. @returns all of MNIST's test rows */
export function putDigits(folder: string): Dataset {
  const mnist = loadDataset('mnist');
  mkdirSync(join(folder, 'digits'));
  for (const [name, { images, labels }, rows] of [
    ['train', mnist.train, 3000],
    ['t10k', mnist.test, 500],
  ] as const) {
    writeFileSync(join(folder, 'digits', `${name}-images-idx3-ubyte`), toIdx([rows, 28, 28], images.subarray(0, 784 * rows)));
    writeFileSync(join(folder, 'digits', `${name}-labels-idx1-ubyte`), toIdx([rows], labels.subarray(0, rows)));
  }
  return mnist.test;
}
