// seedmask train on a few digits: the weights under the mask, and the steps, as they are asked for. A file of normal weights is held
// against every command that reads one.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { readModel } from '../codec/index.js';
import { createApp, openStore } from '../server/index.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { METHODS } from '../src/recipes.js';
import { commandLine, putDigits } from './cli.material.js';
import { ROOT } from './interop.material.js';

// Child processes that train: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const { folder, seedmask, json } = commandLine('train');
const modelOf = (file: string) => readModel(new Uint8Array(readFileSync(join(folder, file))));

const digits = putDigits(folder);
const learned = (out: string, ...more: string[]) =>
  json('train', '--data', 'digits', '--network', 'fc:784-40-10', '--epochs', '2', '--out', out, ...more);

describe('--weights init', () => {
  const results = Object.fromEntries(METHODS.map((method) => [method, learned(`${method}.smk`, '--method', method, '--weights', 'init')]));

  test.each(METHODS)('%s: a mask over normal draws, the size of the draws as of the constants', (method) => {
    const constant = learned('constant.smk', '--method', method);
    expect([results[method].untrained, constant.untrained]).toEqual(['init', 'constant']);
    const { sigma, seed, layers } = modelOf('constant.smk').network;
    expect(modelOf(`${method}.smk`).network).toMatchObject({ distribution: 'normal', sigma, seed, layers });
    // Ten classes: blind guesses tell a tenth.
    expect(results[method].testAccuracy).toBeGreaterThan(0.2);
    expect(json('eval', `${method}.smk`, '--data', 'digits').testAccuracy).toBe(results[method].testAccuracy);
  });

  test('the file is verified, read by the second reader, exported but for C, packed and diffed', () => {
    expect(json('verify', 'topk.smk').files).toMatchObject([{ file: 'topk.smk' }]);
    const { networkId, contentId, tasks } = json('inspect', 'topk.smk');
    const read = execFileSync('/usr/bin/python3', [join(ROOT, 'codec/reader.py'), join(folder, 'topk.smk')], { encoding: 'utf8' });
    const kept = tasks[0].layers.map((layer: { kept: number }) => layer.kept);
    expect(JSON.parse(read)).toMatchObject({ networkId, contentId, tasks: [{ id: tasks[0].id, kept }] });
    for (const to of ['onnx', 'npz', 'safetensors', 'tfjs'])
      expect(seedmask('export', 'topk.smk', '--to', to, '--out', `x.${to}`).status).toBe(0);
    const c = seedmask('export', 'topk.smk', '--to', 'c', '--out', 'x.h');
    expect([c.status, c.stderr]).toEqual([
      1,
      'seedmask: the task cannot be exported: it has normal weights, supported are in C an integer program: signed constants over bytes\n',
    ]);
    expect(existsSync(join(folder, 'x.h'))).toBe(false);
    // One network: He's draws under both.
    expect(json('pack', 'topk.smk', 'threshold.smk', '--out', 'both.smk').tasks).toBe(2);
    expect(seedmask('pack', 'topk.smk', 'constant.smk', '--out', 'mixed.smk').status).toBe(1);
    expect(seedmask('diff', 'topk.smk', 'threshold.smk').status).toBe(1);
  });

  test('a target, a squeeze and a transfer take it too', () => {
    const small = learned('small.smk', '--weights', 'init', '--target-bytes', '900', '--trials', '2', '--squeeze');
    expect(small.fileBytes).toBeLessThanOrEqual(900);
    expect(small.squeeze.lossAfter).toBeLessThanOrEqual(small.squeeze.lossBefore);
    const { known, network } = json('transfer', 'topk.smk', 'digits', '--permute-labels', '3', '--epochs', '1', '--out', 'moved.smk');
    expect([known, network]).toEqual(['topk', 'fc:784-40-10']);
    expect(modelOf('moved.smk').network).toEqual(modelOf('topk.smk').network);
  });

  test('it is served, with the answers of eval', async () => {
    mkdirSync(join(folder, 'store'));
    writeFileSync(join(folder, 'store', 'topk.smk'), readFileSync(join(folder, 'topk.smk')));
    const server = createApp({ engine: createReferenceEngine(), store: await openStore(join(folder, 'store')) }).listen(0);
    const { port } = server.address() as { port: number };
    const body = digits.images.slice(0, 784 * 500) as Uint8Array<ArrayBuffer>;
    const headers = { 'Content-Type': 'application/octet-stream' };
    const response = await fetch(`http://127.0.0.1:${port}/tasks/topk/classify`, { method: 'POST', headers, body });
    const { predictions } = (await response.json()) as { predictions: { label: string }[] };
    server.close();
    const right = predictions.filter(({ label }, i) => label === String(digits.labels[i])).length;
    expect(right / 500).toBe(results['topk'].testAccuracy);
  });
});

test.each([
  // What the recipes say (src/recipes.ts, SupSup's rate): batches of 128 of 2,700 rows.
  ['topk', 0.15],
  ['bernoulli', 100],
  ['threshold', 1e-4],
] as const)('%s: its own batch and learning rate, told and the same as if they were given; others learn another mask', (method, rate) => {
  const own = learned('own.smk', '--method', method);
  expect([own.batch, own.learningRate]).toEqual([128, rate]);
  const given = learned('given.smk', '--method', method, '--batch', '128', '--learning-rate', String(rate));
  expect(readFileSync(join(folder, 'given.smk')).equals(readFileSync(join(folder, 'own.smk')))).toBe(true);
  const batch = learned('batch.smk', '--method', method, '--batch', '300');
  expect([batch.batch, batch.learningRate, batch.steps]).toEqual([300, rate, 2 * 9]);
  const faster = learned('rate.smk', '--method', method, '--learning-rate', String(2 * rate));
  expect([faster.batch, faster.learningRate, faster.steps]).toEqual([128, 2 * rate, given.steps]);
  expect(modelOf('rate.smk').tasks[0].mask).not.toEqual(modelOf('own.smk').tasks[0].mask);
});

test.each(METHODS)('%s: a training that diverges is told with what to do, and writes nothing', (method) => {
  // One epoch: topk prices bits before it ends.
  for (const epochs of ['1', '2']) {
    const { status, stdout, stderr } = seedmask(
      ...['train', '--data', 'digits', '--network', 'fc:784-30-10', '--epochs', epochs],
      ...['--method', method, '--learning-rate', '1e308', '--out', 'diverged.smk'],
    );
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(
      /^seedmask: training diverged: expected finite weights and scores, got (NaN|-?Infinity): choose a smaller learning rate than 1e\+308$/,
    );
    expect(existsSync(join(folder, 'diverged.smk'))).toBe(false);
  }
});

test('a mask that is no better than a guess is warned of with --learning-rate where that was given', () => {
  const blind = (...more: string[]) =>
    seedmask('train', '--data', 'digits', '--network', 'fc:784-30-10', '--epochs', '1', '--out', 'blind.smk', ...more).stderr;
  expect(blind('--learning-rate', '1e-30')).toMatch(
    /warning: validation .*: try another --learning-rate, more --epochs, a higher --density/,
  );
  expect(blind('--density', '1e-6')).toMatch(/warning: layer 1 .*: try a higher --density/);
});
