// The commands in README's table of other programs, each run as it stands there; what they write is named there too. That other programs
// read it is proved in interop.export.test.ts, and what comes in, in interop.import.test.ts.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NumpyArray, toOnnx, writeNpz } from '../interop/index.js';
import { fc } from '../models/index.js';
import { fullMask, kept, type Network, weightShapes } from '../src/network.js';
import { ROOT, shipped } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-readme-'));
const [, section] = /## With other programs\n([\s\S]*?)\n## /.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))!;
const commands = [...section.matchAll(/^\|[^|]+\| `seedmask ([^`]+)` \|/gm)].map(([, words]) => words);

beforeAll(() => {
  symlinkSync(join(ROOT, 'models'), join(folder, 'models'));
  const { task } = shipped('mnist-tiny');
  for (const [name, low] of [
    ['start', 1],
    ['trained', 2],
  ] as const) {
    const network: Network = { ...fc, distribution: 'normal', sigma: 'glorot', seed: { low, high: 0 } };
    writeFileSync(join(folder, `${name}.onnx`), toOnnx(network, { ...task, mask: fullMask(network, true) }));
  }
  const masks = weightShapes(fc).map((shape, i): [string, NumpyArray] => {
    const values = Uint8Array.from({ length: shape[0] * shape[1] }, (_, at) => kept(task.mask[i], at));
    return [`layer${i}`, { shape, values }];
  });
  writeFileSync(join(folder, 'masks.npz'), writeNpz(masks));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the table has every format out and both ways in', () => {
  for (const to of ['onnx', 'tfjs', 'safetensors', 'npz', 'c']) expect(commands.join('\n')).toContain(`--to ${to} `);
  expect(commands.filter((words) => words.startsWith('import '))).toHaveLength(2);
});

test.each(commands)('seedmask %s', (words) => {
  const { stderr, status } = spawnSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...words.split(' ')], {
    encoding: 'utf8',
    cwd: folder,
  });
  expect([status, stderr]).toEqual([0, '']);
  const [, out] = /--out (\S+)/.exec(words) ?? [];
  if (out) expect(existsSync(join(folder, out))).toBe(true);
});
