// train --engine tfjs-node where it cannot run: the package absent, installed without its native library (a folder named by
// SEEDMASK_TFJS_NODE, in which it was installed with --ignore-scripts), and on a Node that it fails on. On the real library it was not run.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { needsOlderNode } from '../cli/tfjs-node.js';
import { ROOT } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-tfjs-node-'));
afterAll(() => rmSync(folder, { recursive: true }));
const train = (cwd: string, data = 'mnist') =>
  spawnSync(
    process.execPath,
    [join(ROOT, 'dist/cli/main.js'), 'train', '--engine', 'tfjs-node', '--data', data, '--out', join(folder, 'x.smk')],
    {
      encoding: 'utf8',
      cwd,
    },
  );

test('absent: how to install it', () => {
  const { status, stdout, stderr } = train(folder);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toBe(
    'seedmask: --engine tfjs-node needs the npm package @tensorflow/tfjs-node, which is not installed here. Install it where you work: npm install @tensorflow/tfjs-node\n',
  );
}, 60_000);

const where = process.env['SEEDMASK_TFJS_NODE'];
if (!where) console.warn('tfjs-node without its native library is not tested: set SEEDMASK_TFJS_NODE to a folder with it, as .ci/run does');
test.skipIf(!where || Number(process.versions.node.split('.')[0]) > 22)(
  'without its native library: one line that says so',
  () => {
    const { status, stdout, stderr } = train(where!);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^seedmask: --engine tfjs-node needs the npm package @tensorflow\/tfjs-node with its native library.*tfjs_binding.node.*\n$/,
    );
  },
  60_000,
);

test('4.22 and older need Node 22 or older', () => {
  expect(needsOlderNode('4.22.0', '23.0.0')).toBe(true);
  expect(needsOlderNode('4.22.1', '26.12.1')).toBe(true);
  expect(needsOlderNode('3.21.0', '24.1.0')).toBe(true);
  expect(needsOlderNode('4.22.0', '22.9.0')).toBe(false);
  expect(needsOlderNode('4.23.0', '26.0.0')).toBe(false);
  expect(needsOlderNode('5.0.0', '26.0.0')).toBe(false);
});
