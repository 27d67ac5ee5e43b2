// seedmask prune --rounds as its users meet it: a folder of checkpoints, the same bytes however often the run is killed, and one line
// for a folder that holds another run.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openRun } from '../cli/rounds.js';
import { shelfIn } from '../cli/shelf.js';
import { readModel, readSafetensors } from '../codec/index.js';
import { parseSeed, regenerate } from '../src/index.js';
import { fullMask, kept, type Layer, type Network, weighted } from '../src/network.js';
import { ticketNetwork } from '../src/tickets.js';
import { commandLine, MAIN } from './cli.material.js';

// Child processes that train: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const { folder, seedmask: program } = commandLine('rounds');

const words = ['prune', '--data', 'mnist', '--network', 'fc:784-12-10', '--epochs', '1', '--seed', '5'];
const seedmask = (out: string, ...more: string[]) => program(...words, '--out', out, ...more);

const hashes = (out: string) =>
  Object.fromEntries(
    readdirSync(join(folder, out))
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(folder, out, name)))
          .digest('hex'),
      ]),
  );
/** rounds.json without its times. */
const index = (out: string) => readFileSync(join(folder, out, 'rounds.json'), 'utf8').replace(/"seconds": [\d.]+/g, '"seconds": 0');
const copy = (name: string) => {
  cpSync(join(folder, 'straight'), join(folder, name), { recursive: true });
  return (file: string) => join(folder, name, file);
};

const dense = (units: number, activation: 'relu' | 'linear'): Layer => ({ kind: 'dense', units, activation });

const straight = seedmask('straight', '--rounds', '3', '--json');

test('a folder of checkpoints, and one JSON object', () => {
  expect(straight.stderr).toBe('');
  const result = JSON.parse(straight.stdout);
  expect(result).toMatchObject({
    network: 'fc:784-12-10',
    weights: 9528,
    criterion: 'large_final',
    mask0: 'zero',
    mask1: 'rewind',
    epochs: 1,
  });
  // 9408 - 1881, - 1505, - 1204; 120 - 12, - 10, - 9.
  expect(result.rounds.map((r: { kept: number }) => r.kept)).toEqual([9528, 7635, 6120, 4907]);
  for (const { valAccuracy, testAccuracy } of result.rounds) {
    expect(valAccuracy).toBeGreaterThan(0.85);
    expect(testAccuracy).toBeGreaterThan(0.85);
  }
  expect(readdirSync(join(folder, 'straight')).sort()).toEqual([
    'initial.safetensors',
    ...[0, 1, 2, 3].map((i) => `round-0${i}.safetensors`),
    'rounds.csv',
    'rounds.json',
  ]);
  const csv = readFileSync(join(folder, 'straight', 'rounds.csv'), 'utf8').split('\n');
  expect(csv[0]).toBe('round,kept,density,valAccuracy,testAccuracy,seconds');
  expect(csv[2]).toMatch(/^1,7635,0\.80/);
  const { tensors, metadata } = readSafetensors(readFileSync(join(folder, 'straight', 'round-01.safetensors')));
  expect(Object.fromEntries(metadata)).toEqual({ network: 'fc:784-12-10', seed: '5', round: '1' });
  const [mask, start, weight] = ['mask', 'start', 'weight'].map((name) => tensors.get(`layers.0.${name}`)!);
  expect(mask.shape).toEqual([12, 784]);
  expect(tensors.get('layers.1.bias')!.shape).toEqual([10]);
  const initial = readSafetensors(readFileSync(join(folder, 'straight', 'initial.safetensors'))).tensors.get('layers.0.weight')!;
  const [drawn] = regenerate({
    input: [28, 28, 1],
    layers: [{ kind: 'dense', units: 12, activation: 'relu' }],
    distribution: 'normal',
    sigma: Math.sqrt(2 / (784 + 12)),
    seed: parseSeed(5),
  });
  expect(initial.values).toEqual(drawn);
  mask.values.forEach((bit, i) => {
    expect(start.values[i]).toBe(bit ? initial.values[i] : 0);
    if (!bit) expect(weight.values[i]).toBe(0);
  });
});

test('--keep: the last round keeps what one-shot pruning keeps, by the same mask where it is the first; the setup tells of it', () => {
  const { rounds, keep, batch, learningRate } = JSON.parse(seedmask('toward', '--rounds', '3', '--keep', '0.2', '--json').stdout);
  // Of 9408: .2^(1/3), .2^(2/3), .2. Of 120, the last layer: .9 to the power of thirds of 7.2126, as .8^7.2126 is .2.
  expect(rounds.map((r: { kept: number }) => r.kept)).toEqual([9528, 5502 + 93, 3217 + 72, 1882 + 56]);
  // The paper's: Adam 1.2e-3, batch 60.
  expect([keep, batch, learningRate]).toEqual([0.2, 60, 0.0012]);
  const { setup } = JSON.parse(index('toward'));
  expect(setup).toMatchObject({ keep: 0.2, rounds: 3 });
  // Without it the setup, whose text names a round under way, is what it was before there was --keep.
  const { keep: _, rounds: __, ...before } = setup;
  expect(JSON.stringify(JSON.parse(index('straight')).setup)).toBe(JSON.stringify(before));
  const [fewer, paper] = [seedmask('toward', '--rounds', '2', '--keep', '0.2'), seedmask('toward', '--rounds', '3')];
  expect(fewer.stderr).toMatch(/holds another run: rounds 3, this one has rounds 2\./);
  expect(paper.stderr).toMatch(/holds another run: keep 0\.2, this one has no keep\./);

  expect(seedmask('again', '--rounds', '1', '--keep', '0.2').status).toBe(0);
  const once = JSON.parse(seedmask('once.smk', '--oneshot', '--keep', '0.2', '--criterion', 'large_final', '--json').stdout);
  expect(once.kept).toBe(1938);
  const { tensors } = readSafetensors(readFileSync(join(folder, 'again', 'round-01.safetensors')));
  const [task] = readModel(new Uint8Array(readFileSync(join(folder, 'once.smk')))).tasks;
  task.mask.forEach((bits, layer) => {
    const { values } = tensors.get(`layers.${layer}.mask`)!;
    // Bits of weights that can change no output are settled when a model file is written: here none is.
    expect(Array.from(values, (_, i) => kept(bits, i))).toEqual([...values]);
  });
  // Both have trained the same weights to begin with.
  const [{ valAccuracy, testAccuracy }] = JSON.parse(index('again')).rounds;
  expect([once.trainedValAccuracy, once.trainedTestAccuracy]).toEqual([valAccuracy, testAccuracy]);
});

test("a batch and a learning rate of one's own are in rounds.json, and decide which run it is", () => {
  const own = ['--rounds', '1', '--batch', '200', '--learning-rate', '0.004'];
  const told = JSON.parse(seedmask('pace', ...own, '--json').stdout);
  expect([told.batch, told.learningRate]).toEqual([200, 0.004]);
  const { setup } = JSON.parse(index('pace'));
  expect(setup).toMatchObject({ batch: 200, learningRate: 0.004 });
  expect(hashes('pace')['round-00.safetensors']).not.toBe(hashes('straight')['round-00.safetensors']);
  expect(seedmask('pace', '--rounds', '1', '--batch', '200').stderr).toMatch(/learningRate 0\.004, this one has learningRate 0\.0012\./);
  const once = JSON.parse(seedmask('pace.smk', '--batch', '200', '--learning-rate', '0.004', '--json').stdout);
  const [{ valAccuracy }] = JSON.parse(index('pace')).rounds;
  expect(once).toMatchObject({ batch: 200, learningRate: 0.004, trainedValAccuracy: valAccuracy });
  expect(seedmask('none', '--rounds', '1', '--batch', '55001').status).toBe(1);
  expect(readdirSync(folder)).not.toContain('none');
});

test.each(['random', 'large_final', 'large_init'])(
  '%s: a training that diverges is told with what to do, and nothing is stored',
  (name) => {
    const far = ['--criterion', name, '--learning-rate', '1e308'];
    for (const { status, stderr } of [seedmask('diverged', '--rounds', '2', ...far), seedmask('diverged.smk', ...far)]) {
      expect(status).toBe(1);
      expect(stderr.trimEnd().split('\n').at(-1)).toBe(
        'seedmask: training diverged: expected finite weights and scores, got NaN: choose a smaller learning rate than 1e+308',
      );
    }
    expect(readdirSync(join(folder, 'diverged'))).toEqual([]);
    expect(readdirSync(folder)).not.toContain('diverged.smk');
  },
);

test('a network with convolutions on a folder of small images', () => {
  const rows = 5090;
  const u32 = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
  mkdirSync(join(folder, 'bars'));
  for (const [part, count] of [
    ['train', rows],
    ['t10k', 60],
  ] as const) {
    const labels = Array.from({ length: count }, (_, row) => row % 2);
    const pixels = labels.flatMap((label, row) => Array.from({ length: 16 }, (_, i) => ((label ? i & 3 : i >> 2) === row % 4 ? 200 : i)));
    writeFileSync(
      join(folder, 'bars', `${part}-images-idx3-ubyte`),
      Uint8Array.from([0, 0, 8, 3, ...u32(count), ...u32(4), ...u32(4), ...pixels]),
    );
    writeFileSync(join(folder, 'bars', `${part}-labels-idx1-ubyte`), Uint8Array.from([0, 0, 8, 1, ...u32(count), ...labels]));
  }
  const layers = [{ kind: 'conv', filters: 10, activation: 'relu' }, { kind: 'pool' }, { kind: 'dense', units: 2, activation: 'linear' }];
  writeFileSync(join(folder, 'conv.json'), JSON.stringify({ input: [4, 4, 1], layers }));
  const run = (rounds: string) =>
    seedmask(
      'conv',
      '--data',
      'bars',
      '--network',
      'conv.json',
      '--rounds',
      rounds,
      '--mask0',
      'toward_zero',
      '--mask1',
      'reshuffle',
      '--json',
    );
  // 90 - 9, - 8 and 80 - 8, - 7: conv layers and the last keep .9.
  expect(JSON.parse(run('1').stdout).rounds.map((r: { kept: number }) => r.kept)).toEqual([170, 153]);
  expect(JSON.parse(run('2').stdout).rounds.map((r: { kept: number }) => r.kept)).toEqual([170, 153, 138]);
  const { tensors } = readSafetensors(readFileSync(join(folder, 'conv', 'round-02.safetensors')));
  expect(tensors.get('layers.0.weight')!.shape).toEqual([10, 3, 3, 1]);
  expect(tensors.get('layers.1.mask')!.shape).toEqual([2, 40]);
});

test('killed again and again, it ends with the same bytes, with any number of threads', async () => {
  let kills = 0;
  for (let delay = 300; ; delay *= 1.3) {
    const child = spawn(process.execPath, [MAIN, ...words, '--out', 'killed', '--rounds', '3', '--threads', String(1 + (kills % 2))], {
      cwd: folder,
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), delay);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    if (code === 0) break;
    kills++;
  }
  expect(kills).toBeGreaterThan(1);
  expect(hashes('killed')).toEqual(hashes('straight'));
  expect(index('killed')).toBe(index('straight'));
});

test('a round that was stopped goes on from the state beside it, if that is of the same run', () => {
  const at = copy('half');
  const run = JSON.parse(readFileSync(at('rounds.json'), 'utf8'));
  const file = (setup: object) => `begun-${createHash('sha256').update(JSON.stringify(setup)).digest('hex').slice(0, 12)}`;
  const network = ticketNetwork({ input: [28, 28, 1], layers: [dense(12, 'relu'), dense(10, 'linear')] }, parseSeed(5));
  const zeros = {
    weights: weighted(network).map(({ weights }) => new Float32Array(weights)),
    biases: weighted(network).map(({ output }) => new Float32Array(output[2])),
  };
  // As if the second round's only epoch had ended with weights of 0.
  const state = { epoch: 2, valAccuracy: 0.1, ...zeros, moments: { first: zeros, second: zeros, powers: [0.5, 0.5] as const } };
  const again = (name: string) => {
    run.rounds.length = 1;
    writeFileSync(at('rounds.json'), JSON.stringify(run));
    shelfIn(join(folder, 'half'), { every: 0 })
      .weights(name, network)
      .onEpoch?.(() => state, 2);
    const { stdout, stderr } = seedmask('half', '--rounds', '1');
    expect(stderr).toBe('');
    expect(stdout.includes('round  1  goes on after epoch 1 of 1\n')).toBe(name === file(run.setup));
    return readSafetensors(readFileSync(at('round-01.safetensors'))).tensors.get('layers.0.weight')!.values;
  };
  expect(again(file(run.setup)).every((weight) => weight === 0)).toBe(true);
  again(file({ ...run.setup, epochs: 2 }));
  expect(readdirSync(join(folder, 'half')).filter((name) => name.startsWith('begun'))).toEqual([]);
  expect(hashes('half')['round-01.safetensors']).toBe(hashes('straight')['round-01.safetensors']);
});

test('more rounds go on from the last; a finished run is only shown; what a kill left is overwritten or removed', () => {
  const at = copy('short');
  const run = JSON.parse(readFileSync(at('rounds.json'), 'utf8'));
  run.rounds.length = 2;
  writeFileSync(at('rounds.json'), JSON.stringify(run));
  writeFileSync(at('round-02.safetensors'), 'half');
  writeFileSync(at('round-03.safetensors.0123456789ab.tmp'), 'half');
  utimesSync(at('round-03.safetensors.0123456789ab.tmp'), 0, 0);
  const { stdout, stderr } = seedmask('short', '--rounds', '3');
  expect(stderr).toBe('');
  expect(stdout.match(/^round .*/gm)!.map((row) => row.endsWith('stored'))).toEqual([true, true, false, false]);
  expect(index('short')).toBe(index('straight'));
  expect(hashes('short')).toEqual(hashes('straight'));
  expect(readdirSync(join(folder, 'short')).sort()).toEqual(readdirSync(join(folder, 'straight')).sort());
  const shown = JSON.parse(seedmask('short', '--rounds', '1', '--json').stdout);
  expect([shown.resumedFrom, shown.rounds.length]).toEqual([4, 2]);
});

test('initial weights that another run left before its first round are written over', () => {
  mkdirSync(join(folder, 'left'));
  writeFileSync(join(folder, 'left', 'initial.safetensors'), 'of another seed');
  seedmask('left', '--rounds', '1');
  expect(hashes('left')['initial.safetensors']).toBe(hashes('straight')['initial.safetensors']);
});

test('what follows from the seed and the index is written again where it is lost or damaged', () => {
  const at = copy('mended');
  writeFileSync(at('initial.safetensors'), 'half');
  rmSync(at('rounds.csv'));
  seedmask('mended', '--rounds', '3');
  expect(hashes('mended')).toEqual(hashes('straight'));
  expect(readFileSync(at('rounds.csv'), 'utf8')).toMatch(/^round,kept,density,valAccuracy,testAccuracy,seconds\n0,/);
});

test('two runs that begin in one folder: the second to store a round is told, and the first loses nothing', () => {
  const network: Network = {
    input: [1, 1, 4],
    layers: [{ kind: 'dense', units: 3, activation: 'linear' }],
    distribution: 'normal',
    sigma: 'glorot',
    seed: parseSeed(1),
  };
  const weights = regenerate(network);
  const final = { weights, biases: [new Float32Array(3)] };
  const round = (i: number, accuracy: number) => ({
    round: i,
    mask: fullMask(network, true),
    start: weights,
    final,
    valAccuracy: accuracy,
  });
  const place = join(folder, 'both');
  const open = (seed: string) => openRun(place, network, { network: 'fc:4-3', seed });
  const [one, other] = [open('1'), open('2')];
  const results = { testAccuracy: 0.5, seconds: 1 };
  one.add(round(0, 0.5), results);
  const before = index('both');
  const line = /rounds.json holds another run: another process has written it meanwhile, this one has 0 rounds of its own\. Choose/;
  expect(() => other.add(round(0, 0.6), results)).toThrow(line);
  expect([index('both'), open('1').last()?.round]).toEqual([before, 0]);
  one.add(round(1, 0.7), results);
  expect(open('1').last()?.round).toBe(1);
});

test.each<[what: string, more: string[], spoil: (at: (file: string) => string) => void, line: RegExp]>([
  [
    'another criterion',
    ['--criterion', 'movement'],
    () => undefined,
    /holds another run: criterion large_final, this one has criterion movement\./,
  ],
  ['another mask-0 action', ['--mask0', 'init'], () => undefined, /mask0 zero, this one has mask0 init/],
  ['another seed', ['--seed', '6'], () => undefined, /seed 5, this one has seed 6/],
  ['another network', ['--network', 'fc:784-13-10'], () => undefined, /network fc:784-12-10, this one has network fc:784-13-10/],
  ['other epochs', ['--epochs', '2'], () => undefined, /epochs 1, this one has epochs 2/],
  ['a damaged checkpoint', [], (at) => writeFileSync(at('round-03.safetensors'), 'x'), /round-03.safetensors is damaged: its SHA-256 is/],
  [
    'one before the last damaged',
    [],
    (at) => writeFileSync(at('round-01.safetensors'), 'x'),
    /round-01.safetensors is damaged: its SHA-256/,
  ],
  ['one before the last lost', [], (at) => rmSync(at('round-01.safetensors')), /round-01.safetensors is damaged: it is not there/],
  [
    'a lost checkpoint',
    [],
    (at) => rmSync(at('round-03.safetensors')),
    /round-03.safetensors is damaged: it is not there.*take round 3 and all/,
  ],
  ['a lost index', [], (at) => rmSync(at('rounds.json')), /round-0\d.safetensors is damaged: no rounds.json beside it/],
  ['an index cut short', [], (at) => writeFileSync(at('rounds.json'), '{"setup":'), /rounds.json is damaged: .*JSON/],
  ['an index of something else', [], (at) => writeFileSync(at('rounds.json'), '{"a": [1]}'), /rounds.json is damaged: .*setup/],
  [
    'a round left out',
    [],
    (at) => writeFileSync(at('rounds.json'), readFileSync(at('rounds.json'), 'utf8').replace('"round": 1', '"round": 2')),
    /rounds.json is damaged: round 2 at place 1, expected round 1/,
  ],
])('%s: one line, nothing lost', (what, more, spoil, line) => {
  const name = what.replaceAll(' ', '-');
  spoil(copy(name));
  const before = readdirSync(join(folder, name)).map((file) => readFileSync(join(folder, name, file), 'utf8'));
  const { status, stdout, stderr } = seedmask(name, '--rounds', '4', '--json', ...more);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(line);
  expect(readdirSync(join(folder, name)).map((file) => readFileSync(join(folder, name, file), 'utf8'))).toEqual(before);
});

test('a run is known by its network as it was named: one over numbers that an earlier release began goes on', () => {
  const rows = Array.from({ length: 40 }, (_, i) => `${(7 * i) % 40},${i % 7},${i % 5},${i % 3},${i < 20 ? 'low' : 'high'}`);
  writeFileSync(join(folder, 'rows.csv'), ['a,b,c,d,label', ...rows, ''].join('\n'));
  const more = ['--data', 'rows.csv', '--network', 'fc:4-8-2', '--seed', '0'];
  const { stderr } = seedmask('numbers', '--rounds', '1', ...more);
  expect(stderr).toBe('');
  expect(JSON.parse(index('numbers')).setup.networkId).toBe('12be0b3bceb098677863428bf86d43d298d76f6e98c22682bad01de2cd8faf2d');
});
