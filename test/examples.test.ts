// Every example runs, and does what it says. Needs the built package, as `npm test` leaves it.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { readModel, writeModel } from '../codec/index.js';
import { ROOT } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));
const run = (name: string, ...words: string[]) =>
  execFileSync(process.execPath, [join(ROOT, 'examples', `${name}.mjs`), ...words], { encoding: 'utf8', cwd: folder });
/** What an example complains of. */
function failed(name: string, ...words: string[]): string {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'examples', `${name}.mjs`), ...words], {
    encoding: 'utf8',
    cwd: folder,
  });
  expect(status).toBe(1);
  return stderr;
}
const trained = (name: string) => join(ROOT, 'models', 'trained', `${name}.smk`);

test('train', () => {
  expect(run('train', 'own.smk', '1')).toMatch(/^own.smk: accuracy 0.9\d+ on validation rows\n$/);
  expect(run('classify', 'own.smk').split('\n')).toHaveLength(6);
}, 120_000);

test('ticket', () => {
  const rounds = run('ticket').trimEnd().split('\n');
  // .05 of 235,200 and 30,000, and of 1,000 .9^p where .8^p = .05, p = 13.425: 11,760 + 1,500 + 243.
  expect(rounds.map((line) => Number(/^round \d: (\d+) weights kept, accuracy 0.[89]\d+ on validation rows$/.exec(line)![1]))).toEqual([
    266200, 98324, 36383, 13503,
  ]);
}, 120_000);

test('pack, and swap masks of the packed file', () => {
  expect(run('pack', 'both.smk', trained('mnist-tiny'), trained('mnist'))).toMatch(/^both.smk: 2 tasks in \d+ bytes\n$/);
  const [first, second] = run('swap', 'both.smk').trimEnd().split('\n');
  // The first test digit is a 7: README's logits of the one, others of the other.
  expect(first).toBe('mnist -32142 -14996 24870 24675 -92062 -32410 -127190 143192 -17801 17948');
  expect(second).toMatch(/^mnist-tiny( -?\d+){10}$/);
});

test('pack takes all tasks of a file, and refuses masks of another network', () => {
  run('pack', 'both.smk', trained('mnist-tiny'), trained('mnist'));
  const model = readModel(readFileSync(trained('mnist-tiny')));
  const [task] = model.tasks;
  writeFileSync(join(folder, 'third.smk'), writeModel(model));
  expect(run('pack', 'three.smk', 'both.smk', 'third.smk')).toMatch(/^three.smk: 3 tasks /);
  const ids = readModel(readFileSync(join(folder, 'three.smk'))).tasks.map(({ id }) => id);
  expect(ids).toEqual(['mnist', 'mnist-tiny', 'third']);
  const seed = { low: 5, high: 6 };
  writeFileSync(join(folder, 'other.smk'), writeModel({ ...model, network: { ...model.network, seed }, tasks: [task] }));
  expect(failed('pack', 'wrong.smk', 'third.smk', 'other.smk')).toMatch(/^other.smk has another network than third.smk: .*\n$/);
  expect(readdirSync(folder)).not.toContain('wrong.smk');
});

test('swap does with inputs what each task says, and refuses what it cannot swap', () => {
  const model = readModel(readFileSync(trained('mnist-tiny')));
  const [task] = model.tasks;
  const written = (name: string, transform: object) =>
    writeFileSync(
      join(folder, name),
      writeModel({
        ...model,
        tasks: [
          { ...task, id: 'a' },
          { ...task, id: 'b', transform: { ...task.transform, ...transform } },
        ],
      }),
    );
  // All inputs constant: no evidence is left.
  written('constant.smk', { constant: new Uint8Array(98).fill(255) });
  expect(run('swap', 'constant.smk').trimEnd().split('\n')[1]).toBe(`b${' 0'.repeat(10)}`);
  written('mean.smk', { mean: 3 });
  for (const file of ['mean.smk', trained('mnist-lenet5')])
    expect(failed('swap', file)).toMatch(/^masks take turns on dense layers of signed constants, .*\n$/);
});

test('classify', () => {
  expect(run('classify', trained('mnist'))).toBe('7\n2\n1\n0\n4\n');
});

test.each([
  ['classify', [], 'usage: node examples/classify.mjs MODEL.smk'],
  ['swap', [], 'usage: node examples/swap.mjs ARCHIVE.smk'],
  ['pack', ['out.smk'], 'usage: node examples/pack.mjs OUT.smk A.smk B.smk ...'],
  ['classify', ['none.smk'], "ENOENT: no such file or directory, open 'none.smk'"],
  ['swap', [fileURLToPath(import.meta.url)], 'not a Seedmask model file: begins with 2f2f20457665, expected 89534d4b0d0a'],
  ['train', ['own.smk', 'some'], 'epochs must be a whole number of at least 1, got NaN'],
  ['ticket', ['2'], 'a kept fraction must be above 0 and at most 1, got 2'],
  ['ticket', ['.1', 'fast'], 'learningRate must be a finite number, got NaN'],
])('%s, given %j, fails in one line', (name, words, line) => {
  expect(failed(name, ...words)).toBe(`${line}\n`);
});

test('each has less than 20 lines of code, and a line that says how it is run', () => {
  const names = readdirSync(join(ROOT, 'examples'));
  expect(names.sort()).toEqual(['classify.mjs', 'pack.mjs', 'swap.mjs', 'ticket.mjs', 'train.mjs']);
  for (const name of names) {
    const lines = readFileSync(join(ROOT, 'examples', name), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines[0], name).toContain(`node examples/${name}`);
    expect(lines.filter((line) => line !== '' && !line.startsWith('//')).length, name).toBeLessThan(20);
  }
});
