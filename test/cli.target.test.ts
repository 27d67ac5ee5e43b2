// The search for densities on made-up training runs whose bytes and accuracy are formulas, so that what it finds can be judged; then
// the command itself on a tiny network: files that hold what was asked, and one clear line when nothing does.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type Goal, type Outcome, search, type Trial } from '../cli/target.js';
import { entropy, inspectModel, readModel, SeedmaskError, settleFreeBits } from '../codec/index.js';

const WEIGHTS = [235200, 30000, 1000];
const BASE = [0.025, 0.08, 0.3];

const order0 = (density: readonly number[]) =>
  WEIGHTS.reduce((sum, n, i) => sum + entropy({ weights: n, kept: Math.round(n * density[i]) }), 0) / 8;

/** A run whose file takes `share` of order 0 and whose accuracy grows with both layers, the first counting `first` times. */
const made =
  (share: number, first: number) =>
  async (density: readonly number[], epochs: number): Promise<Outcome> => {
    const missing = first * 0.01 * (0.01 / density[0]) + 0.01 * (0.05 / density[1]) + 0.02 / epochs;
    return { valAccuracy: 1 - Math.min(0.9, missing), fileBytes: Math.round(60 + share * order0(density)) };
  };

async function found(goal: Goal, run: (density: readonly number[], epochs: number) => Promise<Outcome>, trials = 8, base = BASE) {
  const seen: Trial<Outcome>[] = [];
  const settings = { weights: WEIGHTS.slice(0, base.length), base, epochs: 20, trials, run };
  const best = await search({ ...settings, goal, onTrial: (trial) => seen.push(trial) });
  return { best, seen };
}

describe('bytes', () => {
  test('the file fits, is nearly full, and no trial that fits is more accurate', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0.4, max: 1, noNaN: true }), fc.integer({ min: 800, max: 9000 }), async (share, bytes) => {
        const { best, seen } = await found({ bytes }, made(share, 1));
        expect(best.outcome.fileBytes).toBeLessThanOrEqual(bytes);
        expect(best.outcome.fileBytes).toBeGreaterThan(0.9 * bytes);
        const fit = seen.filter(({ outcome }) => outcome.fileBytes <= bytes);
        expect(Math.max(...fit.map(({ outcome }) => outcome.valAccuracy))).toBe(best.outcome.valAccuracy);
        expect(seen.map(({ epochs }) => epochs)).toEqual([5, ...Array<number>(seen.length - 1).fill(20)]);
        expect(new Set(seen.map(({ density, epochs }) => `${density} ${epochs}`)).size).toBe(seen.length);
        // Fewer only where layers are at the most they may keep, and nothing new is left to weigh.
        if (seen.length < 8) expect(Math.max(...best.density)).toBe(0.5);
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  test('layers are weighed against each other: where the first counts more, it gets more', async () => {
    const heavy = await found({ bytes: 3000 }, made(0.65, 8));
    const light = await found({ bytes: 3000 }, made(0.65, 0.1));
    expect(heavy.best.density[0]).toBeGreaterThan(1.2 * light.best.density[0]);
    expect(heavy.best.density[1]).toBeLessThan(light.best.density[1]);
  });

  test('bytes that no density reaches are said with the smallest file, after every trial that could help', async () => {
    const never = async (): Promise<Outcome> => ({ valAccuracy: 0.5, fileBytes: 90 });
    await expect(found({ bytes: 50 }, never)).rejects.toThrow(
      /^--target-bytes 50 is not reached: the smallest file in \d trials has 90 bytes, validation accuracy 0\.5000, at --density [0-9.e,-]+\. Give more bytes or a smaller --network$/,
    );
  });
});

test('where the share of order 0 falls with the density, the bytes are found between two runs, and no run is done twice', async () => {
  const weights = [15680, 200];
  const run = async (density: readonly number[]): Promise<Outcome> => {
    const all = weights.reduce((sum, n, i) => sum + entropy({ weights: n, kept: Math.round(n * density[i]) }), 0) / 8;
    return { valAccuracy: density[0], fileBytes: Math.round(60 + (0.3 + 0.6 * density[0]) * all) };
  };
  // Densities above a half as well, where masks take fewer bytes again: everything kept is no file of 1,000 bytes worth having.
  for (const base of [
    [0.025, 0.3],
    [1, 1],
  ]) {
    const seen: string[] = [];
    const onTrial = ({ density }: Trial<Outcome>) => seen.push(`${density}`);
    const { outcome, density } = await search({ weights, goal: { bytes: 1000 }, base, epochs: 1, trials: 8, run, onTrial });
    expect(outcome.fileBytes).toBeLessThanOrEqual(1000);
    expect(outcome.fileBytes).toBeGreaterThan(930);
    expect(density[0]).toBeLessThan(0.6);
    expect(new Set(seen).size).toBe(seen.length);
  }
});

test('a file that is mostly names of columns: what its mask may take is known after the first run', async () => {
  const weights = [1920, 192];
  const run = async (density: readonly number[]): Promise<Outcome> => {
    const all = weights.reduce((sum, n, i) => sum + entropy({ weights: n, kept: Math.round(n * density[i]) }), 0) / 8;
    return { valAccuracy: density[0], fileBytes: Math.round(774 + 0.9 * all), headerBytes: 774 };
  };
  for (const bytes of [830, 860, 900, 1000]) {
    const reached: boolean[] = [];
    const onTrial = (_: Trial<Outcome>, one: boolean) => reached.push(one);
    const { outcome } = await search({ weights, goal: { bytes }, base: [0.05, 0.3], epochs: 12, trials: 6, run, onTrial });
    expect(outcome.fileBytes).toBeGreaterThan(0.95 * bytes);
    expect(reached[1]).toBe(true);
  }
});

test('a file that tells nothing apart reaches nothing, however small, and tells nothing of the others', async () => {
  const run = async (density: readonly number[], epochs: number) =>
    density[0] < 0.002 ? { valAccuracy: 0.1, fileBytes: 59 } : made(0.65, 1)(density, epochs);
  const useful = ({ valAccuracy }: Outcome) => valAccuracy > 0.1;
  const seen: Trial<Outcome>[] = [];
  const onTrial = (trial: Trial<Outcome>, reached: boolean) => {
    seen.push(trial);
    expect(reached).toBe(false);
  };
  const settings = { weights: WEIGHTS, base: BASE, epochs: 4, run, useful, onTrial };
  await expect(search({ ...settings, goal: { bytes: 100 }, trials: 3 })).rejects.toThrow(
    /^--target-bytes 100 is not reached: the smallest file in 3 trials has 59 bytes, validation accuracy 0\.1000, no better than chance\. Give more bytes, more --epochs or another --network$/,
  );
  for (const { outcome } of seen) expect(outcome.fileBytes).toBe(59);
  const outcomes = [
    { valAccuracy: 0.9, fileBytes: 219 },
    { valAccuracy: 0.1, fileBytes: 166 },
  ];
  await expect(search({ ...settings, run: async () => outcomes.shift()!, goal: { bytes: 100 }, trials: 2 })).rejects.toThrow(
    'the smallest file that beats chance in 2 trials has 219 bytes, validation accuracy 0.9000, at --density',
  );
  const mixed = { ...settings, useful: ({ fileBytes }: Outcome) => fileBytes > 3000, goal: { accuracy: 0.999 }, trials: 3 };
  await expect(search(mixed)).rejects.toThrow(/the best file in 3 trials has [3-9]\d{3} bytes, validation accuracy 0\.\d{4}, at --density/);
});

describe('accuracy', () => {
  test('the smallest file that reaches it is within a twelfth of the smallest there is on the way', async () => {
    for (const accuracy of [0.96, 0.97, 0.98]) {
      const { best, seen } = await found({ accuracy }, made(0.65, 1), 10);
      expect(best.outcome.valAccuracy).toBeGreaterThanOrEqual(accuracy);
      // The largest that misses bounds it from below.
      const missed = seen.filter(({ outcome, epochs }) => outcome.valAccuracy < accuracy && epochs === 20);
      expect(best.outcome.fileBytes).toBeLessThan(1.09 * Math.max(...missed.map(({ outcome }) => outcome.fileBytes)));
      expect(seen[0].epochs).toBe(5);
    }
  });

  test('an accuracy that is not reached is said with the best', async () => {
    await expect(found({ accuracy: 1 }, made(0.65, 1), 3)).rejects.toThrow(
      /^--target-accuracy 1 is not reached: the best file in 3 trials has \d+ bytes, validation accuracy 0\.9\d+, at --density /,
    );
  });
});

test('an only epoch leaves no short run, and no run is done twice', async () => {
  for (const goal of [{ accuracy: 0.97 }, { bytes: 3000 }]) {
    const seen: string[] = [];
    await search({
      weights: WEIGHTS,
      goal,
      base: BASE,
      epochs: 1,
      trials: 6,
      run: made(0.65, 1),
      onTrial: ({ density }) => seen.push(`${density}`),
    }).catch(() => null);
    expect(new Set(seen).size).toBe(seen.length);
  }
});

test('one layer, one trial: whole runs only, and nothing to weigh', async () => {
  const one = await found({ bytes: 4000 }, single(), 1, [0.02]);
  expect(one.seen.map(({ epochs }) => epochs)).toEqual([20]);
  const several = await found({ bytes: 4000 }, single(), 9, [0.02]);
  expect(several.best.outcome.fileBytes).toBeGreaterThan(0.9 * 4000);
  expect(several.seen.length).toBeLessThan(9);
});

/** A run of one layer. */
const single =
  () =>
  async (density: readonly number[]): Promise<Outcome> => ({
    valAccuracy: density[0],
    fileBytes: 60 + 0.6 * (entropy({ weights: WEIGHTS[0], kept: Math.round(WEIGHTS[0] * density[0]) }) / 8),
  });

test('what a search throws is in the table of errors', async () => {
  const error = await found({ accuracy: 1 }, made(0.65, 1), 2).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(SeedmaskError);
  expect((error as SeedmaskError).code).toBe('missed-target');
});

// ---- the command ----

const MAIN = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'seedmask-target-'));
afterAll(() => rmSync(folder, { recursive: true }));
const train = (out: string, ...words: string[]) => {
  const options = ['--data', 'mnist', '--network', 'fc:784-16-10', '--epochs', '2', '--threads', '1', '--out', out];
  return spawnSync(process.execPath, [MAIN, 'train', ...options, ...words], { encoding: 'utf8', cwd: folder });
};

describe('seedmask train', { timeout: 120_000 }, () => {
  test('--target-bytes writes a file that fits, with its trials', () => {
    const { status, stdout, stderr } = train('small.smk', '--target-bytes', '400', '--trials', '3', '--json');
    expect([status, stderr]).toEqual([0, '']);
    const said = JSON.parse(stdout) as Record<string, number> & { trials: (Outcome & { reached: boolean; epochs: number })[] };
    expect(said.fileBytes).toBeLessThanOrEqual(400);
    expect(readFileSync(join(folder, 'small.smk')).length).toBe(said.fileBytes);
    expect(said.trials.map(({ epochs }) => epochs)).toEqual([1, 2, 2]);
    expect(said.valAccuracy).toBe(Math.max(...said.trials.filter(({ reached }) => reached).map(({ valAccuracy }) => valAccuracy)));
    expect(said.valAccuracy).toBeGreaterThan(0.6);
  });

  test('--target-accuracy shows its trials on stderr', () => {
    const { status, stderr } = train('good.smk', '--target-accuracy', '0.8', '--trials', '3');
    expect(status).toBe(0);
    const lines = stderr.trim().split('\n');
    expect(lines[0]).toBe('trial  epochs  validation   bytes  target   densities');
    expect(lines.length).toBe(4);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {4}\d {7}\d {6}0\.\d{4} +\d+ {2}(reached|missed ) {2}[0-9.]+,[0-9.]+$/);
    expect(existsSync(join(folder, 'good.smk'))).toBe(true);
  });

  test('what cannot be reached is one line, exit 1, and no file', () => {
    for (const words of [
      ['--target-bytes', '30'],
      ['--target-accuracy', '0.9999'],
    ]) {
      const { status, stdout, stderr } = train('never.smk', ...words, '--trials', '2', '--json');
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^seedmask: --target-(bytes 30|accuracy 0\.9999) is not reached: the (smallest|best) file in .*\n$/);
      expect(existsSync(join(folder, 'never.smk'))).toBe(false);
    }
  });

  test('a trial that fits and is at chance is called useless, not missed', () => {
    // Nothing tells the classes of these rows apart.
    const rows = Array.from({ length: 200 }, (_, i) => `${Math.sin(i)},${Math.cos(i * i)},${'xy'[i % 2]}\n`).join('');
    writeFileSync(join(folder, 'noise.csv'), `a,b,label\n${rows}`);
    const words = ['train', '--data', 'noise.csv', '--network', 'fc:2-16-2', '--epochs', '1', '--target-bytes', '4000', '--trials', '3'];
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words, '--out', 'noise.smk'], { encoding: 'utf8', cwd: folder });
    expect(stderr.match(/useless|reached |missed/g)?.every((word) => word === 'useless')).toBe(true);
    expect([status, stderr.match(/ useless {2}/g)?.length]).toEqual([1, 2]);
  });

  test('--squeeze is refused where no row is left to check it', () => {
    writeFileSync(join(folder, 'few.csv'), `a,label\n${'1,x\n2,y\n'.repeat(6)}`);
    const words = ['train', '--data', 'few.csv', '--network', 'fc:1-4-2', '--squeeze', '--out', 'few.smk'];
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', cwd: folder });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^seedmask: --squeeze must be left away with fewer than 2 validation rows .*, got 1\n$/);
    expect(existsSync(join(folder, 'few.smk'))).toBe(false);
  });

  test('--squeeze saves bytes at no higher loss, and tells what rows that chose nothing say', () => {
    const { status, stdout } = train('squeezed.smk', '--density', '0.05,0.5', '--squeeze', '--json');
    expect(status).toBe(0);
    const { squeeze, fileBytes } = JSON.parse(stdout) as { squeeze: Record<string, number | boolean | null>; fileBytes: number };
    expect([squeeze.taken, squeeze.thrownAwayFor]).toEqual([true, null]);
    expect(squeeze.bytesAfter).toBe(fileBytes);
    expect(squeeze.bytesAfter).toBeLessThan(squeeze.bytesBefore as number);
    expect(squeeze.lossAfter).toBeLessThanOrEqual(squeeze.lossBefore as number);
    expect(squeeze.checkAccuracyAfter).toBeGreaterThanOrEqual((squeeze.checkAccuracyBefore as number) - 0.002);
    // What is written has no free bits left.
    const bytes = readFileSync(join(folder, 'squeezed.smk'));
    const { network, tasks } = readModel(bytes);
    expect(settleFreeBits(network, tasks[0])).toEqual(tasks[0]);
    expect(inspectModel(bytes).fileBytes).toBe(fileBytes);
  });
});
