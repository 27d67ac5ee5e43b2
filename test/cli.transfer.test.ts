// seedmask transfer as its users meet it: the built program on a few digits. The known mask that it finds, the file it writes and the
// numbers it prints are held against the other commands.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentId, readModel, readPacked, writeModel } from '../codec/index.js';
import { type NumpyArray, writeNpz } from '../interop/npz.js';
import { accuracyOf, matchedAccuracy } from '../src/evaluate.js';
import { parseSeed } from '../src/random.js';
import { commandLine, MAIN, putDigits } from './cli.material.js';

const { folder, seedmask, json } = commandLine('transfer');
const bytesOf = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
function expectSound(file: string): void {
  const id = Buffer.from(contentId(readModel(bytesOf(file)))).toString('hex');
  expect(json('verify', file).files).toMatchObject([{ file, contentId: id }]);
}

putDigits(folder);
const LITTLE = ['--density', '0.1,0.3', '--epochs', '2'];
json('train', '--data', 'digits', '--network', 'fc:784-40-10', ...LITTLE, '--out', 'plain.smk');

describe('a file of several known masks', () => {
  const grown = json('transfer', 'plain.smk', 'digits', '--permute-pixels', '1', ...LITTLE, '--out', 'two.smk', '--id', 'pixels');
  const found = json('transfer', 'two.smk', 'digits', '--permute-labels', '7', ...LITTLE, '--out', 'own.smk', '--draw', 'pictures');

  test('the nearest is the one whose classes tell most of the labels, whatever they are called', () => {
    expect(grown).toMatchObject({ known: 'plain', asked: 1, file: 'two.smk', tasks: 2 });
    // Permuted pixels tell the mask of plain digits next to nothing.
    expect(grown.knownAccuracy).toBeLessThan(0.5);
    expect(found).toMatchObject({ known: 'plain', asked: 2, network: 'fc:784-40-10' });
    expect(found.knownAccuracy).toBeGreaterThan(0.75);
    expect(json('transfer', 'two.smk', 'digits', '--task', 'pixels', ...LITTLE)).toMatchObject({ known: 'pixels', asked: 1 });
  });

  test('both are trained as long, and what begins at the known mask stays nearer to it', () => {
    for (const { base, scratch, better } of [grown, found]) {
      expect([base.curve.length, scratch.curve.length]).toEqual([2, 2]);
      expect(base.overlap).toBeGreaterThan(scratch.overlap + 0.1);
      expect(base.bytesOnKnown).toBeLessThan(base.bytes);
      expect(base.curve).toContain(base.valAccuracy);
      const wins =
        base.valAccuracy > scratch.valAccuracy || (base.valAccuracy === scratch.valAccuracy && base.bytesOnKnown <= scratch.bytesOnKnown);
      expect(better).toBe(wins ? 'base' : 'scratch');
    }
  });

  test('the file is the better task, and solves it as said', () => {
    const { testAccuracy, bytes } = found[found.better];
    expect(testAccuracy).toBeGreaterThan(0.7);
    expect(json('eval', 'own.smk', '--data', 'digits').testAccuracy).toBe(testAccuracy);
    expect(json('inspect', 'own.smk')).toMatchObject({ fileBytes: found.fileBytes, tasks: [{ payloadBytes: bytes }] });
    const [task] = readModel(bytesOf('own.smk')).tasks;
    expect(task.data).toEqual({ dataset: 'digits', pixelPermutation: null, labelPermutation: parseSeed(7) });
    expect(json('eval', 'two.smk', '--task', 'pixels', '--data', 'digits').testAccuracy).toBe(grown[grown.better].testAccuracy);
  });

  test('in an archive the known masks stay as they are, and the new one leans on one where that is shorter', () => {
    const [added, old] = readPacked(bytesOf('two.smk')).tasks;
    expect(old).toEqual({ ...readPacked(bytesOf('plain.smk')).tasks[0], id: 'plain' });
    expect([added.id, added.base ?? null]).toEqual(['pixels', grown.leansOn]);
    const said = grown[grown.better];
    expect(added.payload.length).toBeLessThanOrEqual(Math.min(said.bytes, said.bytesOnKnown));
    // A known mask that leans on another itself is none to lean on: its own base is.
    const two = readModel(bytesOf('two.smk'));
    const three = [...two.tasks.map((task) => ({ ...task, base: undefined })), { ...two.tasks[1], id: 'twin', base: 'plain' }];
    writeFileSync(join(folder, 'three.smk'), writeModel({ ...two, tasks: three }));
    expect(readPacked(bytesOf('three.smk')).tasks[2].base).toBe('plain');
    const four = json('transfer', 'three.smk', 'digits', '--task', 'twin', ...LITTLE, '--out', 'three.smk', '--id', 'fourth');
    expect(four).toMatchObject({ known: 'twin', tasks: 4, leansOn: four.leansOn === null ? null : 'plain' });
    expectSound('three.smk');
  });

  test('the drawing shows both curves, and nothing is left beside it', () => {
    expect(found.drawing).toBe(join('pictures', 'transfer.svg'));
    const svg = readFileSync(join(folder, found.drawing), 'utf8');
    for (const text of ['from plain', 'from scratch', 'validation accuracy, %']) expect(svg).toContain(text);
    expect(readdirSync(join(folder, 'pictures'))).toEqual(['transfer.svg']);
  });
});

test('a known mask is shown what its task makes of the pixels', () => {
  const plain = readModel(bytesOf('plain.smk'));
  const [task] = plain.tasks;
  const asked = (transform: Partial<typeof task.transform>) => {
    writeFileSync(join(folder, 'seen.smk'), writeModel({ ...plain, tasks: [{ ...task, transform: { ...task.transform, ...transform } }] }));
    return json('transfer', 'seen.smk', 'digits', '--density', '0.1,0.3', '--epochs', '1').knownAccuracy;
  };
  const told = asked({});
  expect(told).toBeGreaterThan(0.75);
  expect(asked({ mean: 255 })).toBeLessThan(told - 0.2);
  // A row of which nothing is left tells the class that is most frequent.
  expect(asked({ constant: new Uint8Array(98).fill(255) })).toBeLessThan(0.2);
});

test('rows that no mask of a network takes, or none of its kind, are no concern of one of them', () => {
  const words = (data: string) => seedmask('transfer', 'two.smk', data, '--epochs', '1').stderr;
  expect(words('nowhere')).not.toContain('So says');
  writeFileSync(
    join(folder, 'wide.npz'),
    writeNpz(
      ['train', 'test'].flatMap((part): [string, NumpyArray][] => [
        [`x_${part}`, { shape: [20, 9], values: new Uint8Array(180) }],
        [`y_${part}`, { shape: [20], values: new Uint8Array(20) }],
      ]),
    ),
  );
  expect(words('wide.npz')).toMatch(/got 9 values in wide.npz. Take other data or another network$/m);
});

describe('the known file is another one by the time the mask is learned', () => {
  const plainModel = () => readModel(bytesOf('plain.smk'));
  /** Runs it into the archive itself, which is replaced when the first epoch is over. */
  const into = async (after: Parameters<typeof writeModel>[0]) => {
    writeFileSync(join(folder, 'moving.smk'), writeModel({ ...plainModel(), tasks: [{ ...plainModel().tasks[0], id: 'plain' }] }));
    writeFileSync(join(folder, 'next.smk'), writeModel(after));
    const words = ['transfer', 'moving.smk', 'digits', '--permute-labels', '7', ...LITTLE, '--out', 'moving.smk', '--id', 'mine'];
    const running = spawn(process.execPath, [MAIN, ...words], { cwd: folder });
    let said = '';
    running.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (!said.includes('epoch 1/') && (said + text).includes('epoch 1/'))
        renameSync(join(folder, 'next.smk'), join(folder, 'moving.smk'));
      said += text;
    });
    const status = await new Promise((resolve) => running.on('close', resolve));
    return { status, last: said.trimEnd().split('\n').at(-1) };
  };

  test('on another network, or with the name taken: one line, and the file stays', async () => {
    const { network, tasks } = plainModel();
    const other = { ...plainModel(), network: { ...network, seed: parseSeed(99) }, tasks: [{ ...tasks[0], id: 'plain' }] };
    const moved = await into(other);
    expect(moved).toEqual({
      status: 1,
      last: expect.stringMatching(/moving.smk holds masks of another network than when this began: seed/),
    });
    expect(bytesOf('moving.smk')).toEqual(writeModel(other));
    const full = { ...plainModel(), tasks: [{ ...tasks[0], id: 'mine' }] };
    expect(await into(full)).toEqual({ status: 1, last: expect.stringMatching(/--id must be a name that no known task has, got mine/) });
    expect(bytesOf('moving.smk')).toEqual(writeModel(full));
  });

  test('with another mask by the known name, or none: nothing that came is lost, and all of it reads', async () => {
    const [task] = plainModel().tasks;
    const random = { ...readModel(bytesOf('two.smk')).tasks[0], base: undefined };
    for (const id of ['plain', 'stranger']) {
      expect(await into({ ...plainModel(), tasks: [{ ...random, id }] })).toMatchObject({ status: 0 });
      expectSound('moving.smk');
      const kept = readModel(bytesOf('moving.smk')).tasks;
      expect(kept.map((one) => one.id)).toEqual(['mine', id]);
      expect(kept[1].mask).toEqual(random.mask);
      expect(kept[1].mask).not.toEqual(task.mask);
    }
  });
});

test('an archive that grows while the new mask is written to it keeps both', () => {
  writeFileSync(join(folder, 'shared.smk'), bytesOf('plain.smk'));
  const overtaken = `data:text/javascript,import fs from 'node:fs'; import { spawnSync } from 'node:child_process';
    import { syncBuiltinESMExports } from 'node:module';
    const { fsyncSync } = fs;
    fs.fsyncSync = (file) => {
      fsyncSync(file);
      fs.fsyncSync = fsyncSync;
      syncBuiltinESMExports();
      spawnSync(process.execPath, ['${MAIN}', 'pack', '--append', '--id', 'theirs=plain.smk', '--out', 'shared.smk']);
    };
    syncBuiltinESMExports();`;
  const words = ['transfer', 'shared.smk', 'digits', '--permute-labels', '7', ...LITTLE, '--out', 'shared.smk', '--id', 'mine', '--json'];
  const { status, stdout } = spawnSync(process.execPath, ['--import', overtaken, MAIN, ...words], { encoding: 'utf8', cwd: folder });
  expect([status, JSON.parse(stdout).tasks]).toEqual([0, 3]);
  expect(readPacked(bytesOf('shared.smk')).tasks.map(({ id }) => id)).toEqual(['mine', 'shared', 'theirs']);
});

describe('a task over numbers', () => {
  const names = ['size', 'length', 'kind'];
  const cells = Array.from(
    { length: 150 },
    (_, i) => [10 * (i % 3) + Math.sin(7 * i), (i % 3) ** 2 - Math.cos(3 * i), 'abc'[i % 3]] as const,
  );
  /** The rows with their columns in some order, and numbers in a unit. */
  const put = (name: string, order: readonly number[], [unit, off] = [1, 0], kinds = 'abc') => {
    const cell = (value: string | number) => (typeof value === 'number' ? value * unit + off : kinds['abc'.indexOf(value)]);
    const lines = cells.map((row) => order.map((column) => cell(row[column])).join());
    writeFileSync(join(folder, name), `${[order.map((column) => names[column]).join(), ...lines].join('\n')}\n`);
  };
  put('rows.csv', [0, 1, 2]);
  put('turned.csv', [2, 1, 0], undefined, 'zyx');
  put('inches.csv', [1, 2, 0], [0.4, 5]);
  put('far.csv', [0, 1, 2], [1, 1e4]);
  const train = (data: string, out: string) =>
    json('train', '--data', data, '--label', 'kind', '--network', 'fc:2-32-3', '--density', '0.5', '--epochs', '30', '--out', out);
  train('rows.csv', 'rows.smk');
  const featuresOf = (file: string) => readModel(bytesOf(file)).tasks[0].transform.features;

  test('is asked about its own columns as it makes bytes of them, and the new task takes numbers alike', () => {
    const { testAccuracy } = json('eval', 'rows.smk', '--data', 'rows.csv', '--all');
    expect(testAccuracy).toBeGreaterThan(0.9);
    const same = json('transfer', 'rows.smk', 'rows.csv', '--task', 'rows', '--epochs', '2');
    const turned = json('transfer', 'rows.smk', 'turned.csv', '--label', 'kind', '--epochs', '2', '--out', 'turned.smk');
    expect(turned.knownAccuracy).toBe(same.knownAccuracy);
    expect(Math.abs(turned.knownAccuracy - testAccuracy)).toBeLessThan(0.05);
    expect(featuresOf('turned.smk')).toEqual(featuresOf('rows.smk'));
    expect(json('eval', 'turned.smk', '--data', 'turned.csv').testAccuracy).toBe(turned[turned.better].testAccuracy);
  });

  test('in an archive each is asked in its own units', () => {
    train('inches.csv', 'inches.smk');
    json('pack', 'rows.smk', 'inches.smk', '--out', 'units.smk');
    const found = (data: string) => json('transfer', 'units.smk', data, '--label', 'kind', '--epochs', '2', '--out', 'found.smk');
    for (const unit of ['rows', 'inches']) {
      expect(found(`${unit}.csv`)).toMatchObject({ known: unit, asked: 2 });
      expect(featuresOf('found.smk')).toEqual(featuresOf(`${unit}.smk`));
    }
  });

  test('columns that it does not find are refused, numbers beyond it warned of, and pixels are no numbers', () => {
    writeFileSync(join(folder, 'other.csv'), `size,width,kind\n${cells.map((row) => row.join()).join('\n')}\n`);
    expect(seedmask('transfer', 'rows.smk', 'other.csv')).toMatchObject({
      status: 1,
      stderr:
        'seedmask: no data set in other.csv: no column length among size, width, kind, expected every column that the task takes: size, length\n',
    });
    expect(seedmask('transfer', 'rows.smk', 'far.csv', '--epochs', '1', '--json').stderr).toContain(
      'seedmask: warning: all numbers of size, length lie beyond those that the known task tells apart: seedmask train',
    );
    const two = (rows: number): [string, NumpyArray][] => [
      ['x', { shape: [rows, 2], values: new Uint8Array(2 * rows) }],
      ['y', { shape: [rows], values: Uint8Array.from({ length: rows }, (_, i) => i % 3) }],
    ];
    const arrays = ['train', 'test'].flatMap((part) => two(30).map(([name, array]): [string, NumpyArray] => [`${name}_${part}`, array]));
    writeFileSync(join(folder, 'bytes.npz'), writeNpz(arrays));
    const wrong = (...words: string[]) => seedmask('transfer', ...words, '--epochs', '1').stderr;
    expect(wrong('rows.smk', 'bytes.npz')).toMatch(/the data of the new task must be numbers \(CSV\), as the task takes, got images$/m);
    seedmask('train', '--data', 'bytes.npz', '--network', 'fc:2-32-3', '--method', 'threshold', '--epochs', '1', '--out', 'bytes.smk');
    expect(wrong('bytes.smk', 'rows.csv')).toMatch(/the data of the new task must be images, as the task takes, got numbers$/m);
  });
});

test('train permutes as well, whatever follows, and eval builds the task from the file', () => {
  const words = ['train', '--data', 'digits', '--network', 'fc:784-40-10', '--permute-pixels', '3', '--permute-labels', '7'];
  for (const more of [
    [...LITTLE, '--squeeze'],
    ['--method', 'threshold', '--epochs', '3'],
  ]) {
    const { testAccuracy } = json(...words, ...more, '--out', 'permuted.smk');
    const [{ data }] = readModel(bytesOf('permuted.smk')).tasks;
    expect(data).toEqual({ dataset: 'digits', pixelPermutation: parseSeed(3), labelPermutation: parseSeed(7) });
    expect(testAccuracy).toBeGreaterThan(0.4);
    expect(json('eval', 'permuted.smk', '--data', 'digits').testAccuracy).toBe(testAccuracy);
  }
});

test.each([
  ['train', '--data', 'digits', '--network', 'fc:784-8-10'],
  ['transfer', 'plain.smk', 'digits', '--permute-labels', '7'],
])('%s shows turned and mirrored images where it is told to', (...words) => {
  const masks = [[], ['--rotate', '9'], ['--mirror']].map((moves) => {
    json(...words, '--density', '0.3', '--epochs', '1', ...moves, '--out', 'moved.smk');
    return Buffer.from(bytesOf('moved.smk')).toString('hex');
  });
  expect(new Set(masks).size).toBe(3);
});

const known = ['transfer', 'plain.smk', 'digits'];
test.each<[what: string, words: string[], line: RegExp]>([
  ['no data', ['transfer', 'plain.smk'], /missing required argument 'data'/],
  ['no such file', ['transfer', 'nothing.smk', 'digits'], /cannot read nothing.smk: there is no such file/],
  ['no such data', ['transfer', 'plain.smk', 'nothing'], /no data set in nothing: no such file or folder/],
  ['a network alone', ['transfer', 'network.smk', 'digits'], /network.smk holds a network and no task/],
  ['other images', ['transfer', 'other.smk', 'digits'], /the data of the new task must be images of 16 values.*got 784 values/],
  ['more classes', ['transfer', 'few.smk', 'digits'], /must be labels below 3, as the network has, got \d/],
  ['no such task', [...known, '--task', 'x'], /--task must be one of plain, got x/],
  ['a name without a file', [...known, '--id', 'x'], /--id must be used with --out, got no --out/],
  ['a name that is taken', [...known, '--id', 'plain', '--out', 'x.smk'], /--id must be a name that no known task has, got plain/],
  ['no name', [...known, '--id', 'a b', '--out', 'x.smk'], /--id must be 1 to 128 of .*got a b/],
  ['moved pixels that have no neighbours', [...known, '--permute-pixels', '1', '--shift', '1'], /--shift must be 0 with --permute-pixels/],
  ['turned ones', [...known, '--permute-pixels', '1', '--rotate', '9'], /--rotate must be 0 with --permute-pixels/],
  ['mirrored ones', [...known, '--permute-pixels', '1', '--mirror'], /--mirror must be left away with --permute-pixels/],
  ['too many densities', [...known, '--density', '.1,.1,.1'], /--density has 3 fractions, expected at most 2/],
  ['nowhere to write', [...known, '--out', 'nowhere/x.smk'], /cannot write nowhere\/x.smk/],
])('%s: one line, exit 1, no file', (_, words, line) => {
  const { network } = readModel(bytesOf('plain.smk'));
  const layers = (units: number) => [{ kind: 'dense', units, activation: 'linear' } as const];
  const put = (name: string, model: Parameters<typeof writeModel>[0]) => writeFileSync(join(folder, name), writeModel(model));
  put('network.smk', { network, tasks: [] });
  const { tasks } = readModel(bytesOf('plain.smk'));
  const of = (width: number, units: number) => ({
    network: { ...network, input: [width, 1, 1] as const, layers: layers(units) },
    tasks: [{ ...tasks[0], mask: [new Uint8Array((width * units) / 8)], labels: ['a', 'b'] }],
  });
  put('other.smk', of(16, 10));
  put('few.smk', of(784, 3));
  const { status, stdout, stderr } = seedmask(...words);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(line);
  expect(existsSync(join(folder, 'x.smk'))).toBe(false);
});

test('accuracy with classes matched: that of the best reading of each class, as trying all readings finds', () => {
  const rows = fc.array(fc.tuple(fc.nat(2), fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 })), { minLength: 1 });
  fc.assert(
    fc.property(rows, (given) => {
      const labels = Uint8Array.from(given, ([label]) => label);
      const logits = given.flatMap(([, row]) => row);
      let best = 0;
      for (let reading = 0; reading < 27; reading++) {
        const read = [reading % 3, Math.floor(reading / 3) % 3, Math.floor(reading / 9)];
        const right = given.filter(([label, row]) => read[row.indexOf(Math.max(...row))] === label).length;
        best = Math.max(best, right / given.length);
      }
      expect(matchedAccuracy(logits, labels, 3)).toBe(best);
      expect(matchedAccuracy(logits, labels, 3)).toBeGreaterThanOrEqual(accuracyOf(logits, labels, 3));
    }),
  );
});
