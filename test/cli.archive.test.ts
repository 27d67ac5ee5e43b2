// pack, extract, diff and verify as their users meet them, and what the other commands make of archives, mask-only and network-only
// files: the built program in a child process for words, exits and JSON; the functions behind it where many files or a failing disk
// are needed.

import { execFile, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { diff } from '../cli/commands/diff.js';
import { extract } from '../cli/commands/extract.js';
import { pack } from '../cli/commands/pack.js';
import { DISK, type Disk } from '../cli/files.js';
import { contentId, type Model, networkId, readModel, readPacked, writeModel, writePacked } from '../codec/index.js';
import { fullMask, inputs, type Network } from '../src/network.js';
import { commandLine, MAIN } from './cli.material.js';
import { ARCHIVE_MODEL, alteredMask, NUMBERS_MODEL, randomMask, SMALL_CONV, TINY, task } from './vectors/models.js';

const { folder, seedmask, json } = commandLine('archive');
const at = (name: string) => join(folder, name);
const put = (name: string, content: Uint8Array | string): string => {
  writeFileSync(at(name), content);
  return name;
};
const bytesOf = (name: string) => new Uint8Array(readFileSync(at(name)));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const one = (network: Network, density: number, low: number, id = ''): Model => ({
  network,
  tasks: [task(randomMask(network, [density], { low, high: 0 }), { id, labels: ['x', 'y', 'z'], logitScale: 1 + low })],
});
const ONE = [0, 1, 2].map((i) => one(SMALL_CONV, 0.3, i));
ONE.forEach((model, i) => {
  put(`${'abc'[i]}.smk`, writeModel(model));
});
const packedB = readPacked(writeModel(ONE[1]));
put('b-mask.smk', writePacked(packedB, { maskOnly: true }));
put('network.smk', writeModel({ network: SMALL_CONV, tasks: [] }));
put('other.smk', writeModel(one({ ...SMALL_CONV, seed: { low: 8, high: 0 } }, 0.3, 3)));
put('ärger.smk', writeModel(ONE[0]));
put('archive.smk', writeModel(ARCHIVE_MODEL));
put('cut.smk', bytesOf('a.smk').subarray(0, 50));
put('junk.smk', 'hello, this is no model');
// Right checksums around a payload of one byte too many.
put(
  'broken.smk',
  writePacked({ ...packedB, tasks: [{ ...packedB.tasks[0], payload: Uint8Array.from([...packedB.tasks[0].payload, 0]) }] }),
);
const flipped = bytesOf('b.smk');
flipped[flipped.length - 1] ^= 1;
put('flipped.smk', flipped);
const two = writePacked({ network: SMALL_CONV, tasks: [0, 1].map((i) => ({ ...readPacked(writeModel(ONE[i])).tasks[0], id: 'ab'[i] })) });
put('two.smk', two);
put('case.smk', writePacked({ network: SMALL_CONV, tasks: readPacked(two).tasks.map((one, i) => ({ ...one, id: 'Aa'[i] })) }));
const half = two.slice();
half[half.length - 1] ^= 1;
put('half.smk', half);
mkdirSync(at('full'));
mkdirSync(at('own'));
mkdirSync(at('last'));
put('own/a.smk', two);
put('last/b.smk', two);
const form = (input: Network['input']): Network => ({
  ...SMALL_CONV,
  input,
  layers: [
    { kind: 'dense', units: 9, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
});
put('square.smk', writeModel(one(form([2, 2, 1]), 0.5, 1)));
put('row.smk', writeModel(one(form([1, 1, 4]), 0.5, 1)));
mkdirSync(at('masks'));
writeFileSync(at('masks/b.smk'), bytesOf('b-mask.smk'));

const packing = ['pack', '--out', 'x.smk'];
const other = /other.smk holds masks of another network than a.smk: seed 8 instead of 7/;
const lonely = /b-mask.smk: a mask-only file needs the network [0-9a-f]{64}, got none. Name the file that holds it with --network/;

test.skipIf(process.platform === 'win32').each(['pack', 'extract', 'diff', 'verify', 'eval', 'serve'])(
  '%s does not wait for a pipe',
  (command) => {
    const pipe = `${command}.pipe`;
    expect(spawnSync('mkfifo', [at(pipe)]).status).toBe(0);
    const rest = {
      pack: ['--out', 'x'],
      extract: ['--out', 'x'],
      diff: ['a.smk'],
      verify: [],
      eval: ['--data', 'mnist'],
      serve: ['--port', '0'],
    };
    const words = [command, pipe, ...rest[command as keyof typeof rest]];
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', cwd: folder, timeout: 20_000 });
    rmSync(at(pipe));
    expect([status, stderr]).toEqual([command === 'diff' ? 2 : 1, expect.stringContaining('regular file')]);
  },
);

describe('wrong turns', { timeout: 30_000 }, () => {
  /** Every file with its content. */
  const snapshot = () =>
    readdirSync(folder, { recursive: true }).map((name) => [String(name), String(name).endsWith('.smk') ? hex(bytesOf(String(name))) : '']);
  let before: ReturnType<typeof snapshot>;
  beforeAll(() => {
    before = snapshot();
  });

  test.concurrent.each<[what: string, words: string[], line: RegExp]>([
    ['pack: no files', packing, /files to pack must be one or more, got none/],
    [
      'pack: a base that is not there',
      [...packing, 'a.smk', 'b.smk', '--base', 'c'],
      /the archive needs a task of the name asked for as base, got c/,
    ],
    ['pack: no output', ['pack', 'a.smk'], /--out <archive>/],
    ['pack: a missing file', [...packing, 'a.smk', 'nothing.smk'], /cannot read nothing.smk: there is no such file/],
    ['pack: a folder', [...packing, 'full'], /cannot read full: it is a folder/],
    ['pack: no model file', [...packing, 'a.smk', 'junk.smk'], /junk.smk: not a Seedmask model file/],
    ['pack: a file cut short', [...packing, 'cut.smk'], /cut.smk: model file is cut short/],
    ['pack: a damaged mask', [...packing, 'flipped.smk'], /flipped.smk: task 0 is damaged/],
    ['pack: a mask that does not decode', [...packing, 'broken.smk'], /broken.smk: mask payload of task 0 does not decode/],
    ['pack: another network', [...packing, 'a.smk', 'other.smk'], other],
    [
      'pack: one id twice',
      [...packing, 'a.smk', 'masks/../a.smk'],
      /two files hold task a: a.smk and masks\/..\/a.smk. Rename one with --id NAME=masks\/..\/a.smk/,
    ],
    [
      'pack: an id of an archive',
      [...packing, 'a.smk', 'two.smk'],
      /two files hold task a: a.smk and two.smk. Rename one with --id NAME=a.smk/,
    ],
    [
      'pack: an id of two archives',
      [...packing, 'two.smk', 'own/a.smk'],
      /two.smk and own\/a.smk. Extract one first: seedmask extract own\/a.smk --all --out FOLDER, then pack its files with --id NAME=FOLDER\/a.smk/,
    ],
    [
      'pack: an id of an archive that is added to',
      ['pack', '--append', '--out', 'two.smk', 'own/a.smk'],
      /two.smk and own\/a.smk. Extract one first: seedmask extract own\/a.smk/,
    ],
    ['pack: an id given that is there', [...packing, 'two.smk', '--id', 'b=c.smk'], /two files hold task b: two.smk and c.smk/],
    [
      'pack: a file name that is no id',
      [...packing, 'ärger.smk'],
      /id of ärger.smk must be 1 to 128 of .*got ärger. Give it one with --id/,
    ],
    ['pack: an id that is none', [...packing, '--id', '../x=a.smk'], /NAME=FILE with a name of .*got '\.\.\/x=a.smk'/],
    ['pack: an id without a file', [...packing, '--id', 'x'], /expected NAME=FILE .*got 'x'/],
    ['pack: an id for several tasks', [...packing, '--id', 'x=two.smk'], /--id x=two.smk must be a file of one task, got 2 tasks/],
    ['pack: another network than the archive', ['pack', '--append', '--out', 'a.smk', 'other.smk'], other],
    ['pack: an id that the archive has', ['pack', '--append', '--out', 'two.smk', 'b.smk'], /two files hold task b: two.smk and b.smk/],
    ['pack: appending to a damaged archive', ['pack', '--append', '--out', 'half.smk', 'c.smk'], /half.smk: task 1 is damaged/],
    ['pack: masks without their network', [...packing, 'b-mask.smk'], lonely],
    [
      'pack: masks of another network',
      [...packing, 'b-mask.smk', '--network', 'other.smk'],
      /b-mask.smk: .* needs the network .*, got [0-9a-f]{64}/,
    ],
    [
      'pack: a network file without one',
      [...packing, 'a.smk', '--network', 'b-mask.smk'],
      /--network must be a file that holds its network, got b-mask.smk, of masks alone/,
    ],
    ['pack: a dash', [...packing, '-'], /cannot read -: standard input is not read; give a path/],
    ['pack: into a dash', ['pack', 'a.smk', '--out', '-'], /cannot write -: standard output is not written to; give a path/],
    ['pack: no such folder', ['pack', 'a.smk', '--out', 'no/such/x.smk'], /cannot write no\/such\/x.smk/],
    ['pack: into a folder', ['pack', 'a.smk', '--out', 'full'], /cannot write full: it is a folder/],
    ['pack: an option that is none', [...packing, 'a.smk', '--force'], /unknown option '--force'/],

    ['extract: no file', ['extract', '--out', 'x'], /missing required argument 'archive'/],
    ['extract: no output', ['extract', 'two.smk', '--all'], /--out <path>/],
    ['extract: a missing file', ['extract', 'nothing.smk', '--all', '--out', 'x'], /cannot read nothing.smk/],
    ['extract: a device', ['extract', '/dev/zero', '--all', '--out', 'x'], /cannot read \/dev\/zero: it is no regular file/],
    ['extract: a file cut short', ['extract', 'cut.smk', '--out', 'x'], /cut.smk: model file is cut short/],
    ['extract: which task', ['extract', 'two.smk', '--out', 'x'], /two.smk holds several tasks: a, b. Name one with --task/],
    ['extract: a task that is not there', ['extract', 'two.smk', '--task', 'a', 'c', '--out', 'x'], /--task must be one of a, b, got c/],
    ['extract: another name for the only task', ['extract', 'a.smk', '--task', 'b', '--out', 'x'], /--task must be one of a, got b/],
    ['extract: all and some', ['extract', 'two.smk', '--task', 'a', '--all', '--out', 'x'], /cannot be used with option '--all'/],
    ['extract: network and tasks', ['extract', 'two.smk', '--network-only', '--all', '--out', 'x'], /cannot be used with/],
    ['extract: network and masks', ['extract', 'two.smk', '--network-only', '--mask-only', '--out', 'x'], /cannot be used with/],
    ['extract: several into a file', ['extract', 'two.smk', '--all', '--out', 'a.smk'], /cannot write a.smk: it is a file/],
    ['extract: a damaged task', ['extract', 'half.smk', '--task', 'b', '--out', 'x'], /half.smk: task 1 is damaged/],
    ['extract: a task that does not decode', ['extract', 'broken.smk', '--out', 'x'], /broken.smk: mask payload of task 0 does not decode/],
    [
      'extract: a task of a network',
      ['extract', 'network.smk', '--out', 'x'],
      /network.smk holds a network and no task, expected a file with masks/,
    ],
    ['extract: all tasks of a network', ['extract', 'network.smk', '--all', '--out', 'x'], /network.smk holds a network and no task/],
    ['extract: masks without their network', ['extract', 'b-mask.smk', '--out', 'x'], lonely],
    [
      'extract: over the archive',
      ['extract', 'two.smk', '--task', 'a', '--out', './two.smk'],
      /cannot write .\/two.smk: it is an input. Give --out another name/,
    ],
    ['extract: a task named as its archive, beside it', ['extract', 'own/a.smk', '--all', '--out', 'own'], /own\/a.smk: it is an input/],
    ['extract: the last task named as its archive', ['extract', 'last/b.smk', '--all', '--out', 'last'], /last\/b.smk: it is an input/],
    [
      'pack: the same widths of another input',
      [...packing, 'row.smk', 'square.smk'],
      /: input 2x2x1 instead of 1x1x4\. An imported mask takes the form of its --data, or of a name: --network 1x1x4:9-3$/m,
    ],
    [
      'extract: names that differ in case alone',
      ['extract', 'case.smk', '--all', '--out', 'cases'],
      /cannot write a.smk: where case makes no difference it is A.smk. Extract each by itself: --task ID --out FILE/,
    ],
    ['extract: no such folder', ['extract', 'a.smk', '--out', 'no/such/x.smk'], /cannot write no\/such\/x.smk/],

    ['diff: one file', ['diff', 'a.smk'], /missing required argument 'b'/],
    ['diff: three files', ['diff', 'a.smk', 'b.smk', 'c.smk'], /too many arguments/],
    ['diff: a missing file', ['diff', 'a.smk', 'nothing.smk'], /cannot read nothing.smk/],
    ['diff: a damaged file', ['diff', 'a.smk', 'flipped.smk'], /flipped.smk: task 0 is damaged/],
    ['diff: a mask that does not decode', ['diff', 'broken.smk', 'a.smk'], /broken.smk: mask payload/],
    ['diff: masks without their network', ['diff', 'b-mask.smk', 'b-mask.smk'], lonely],

    ['verify: no files', ['verify'], /missing required argument 'files'/],
    ['verify: a missing file', ['verify', 'a.smk', 'nothing.smk'], /cannot read nothing.smk/],
    ['verify: the second file is damaged', ['verify', 'a.smk', 'flipped.smk', 'junk.smk'], /flipped.smk: task 0 is damaged/],
    ['verify: a mask that does not decode', ['verify', 'broken.smk'], /broken.smk: mask payload/],
    ['verify: masks without their network', ['verify', 'b-mask.smk'], lonely],
    ['verify: an empty file', ['verify', put('empty.smk', '')], /empty.smk: model file is cut short/],

    ['inspect: masks without their network', ['inspect', 'b-mask.smk'], lonely],
    ['inspect: masks of another network', ['inspect', 'b-mask.smk', '--network', 'other.smk'], /needs the network .*, got [0-9a-f]{64}/],
    ['eval: masks without their network', ['eval', 'b-mask.smk', '--data', 'mnist'], lonely],
    ['eval: a network', ['eval', 'network.smk', '--data', 'mnist'], /network.smk holds a network and no task/],
    ['serve: a network', ['serve', 'network.smk'], /a file with a task, got none/],
    ['serve: masks without their network', ['serve', 'b-mask.smk'], /b-mask.smk: a mask-only file needs the network .*--network\.\n$/],
  ])('%s: one line', async (what, words, line) => {
    const extra = what.length % 2 ? [] : ['--json'];
    const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [MAIN, ...words, ...extra], { cwd: folder }, (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, stdout, stderr });
      });
    });
    expect([stdout, code], stderr).toEqual(['', words[0] === 'diff' ? 2 : 1]);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(line);
    expect(stderr).not.toMatch(/internal error/);
  });

  test('none of them has written or changed a file', () => {
    expect(snapshot()).toEqual(before);
  });
});

describe('the commands', { timeout: 30_000 }, () => {
  test('each have help with examples', () => {
    for (const command of ['pack', 'extract', 'diff', 'verify']) {
      const { status, stdout } = seedmask(command, '--help');
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`Examples:\n +seedmask ${command}`));
      expect(stdout).toMatch(/--json +print one JSON object/);
    }
  });

  test('pack, append, extract: the same bytes come back', () => {
    expect(json('pack', 'b.smk', 'a.smk', '--out', 'set.smk')).toMatchObject({ tasks: 2, added: ['b', 'a'], file: 'set.smk' });
    const added = json('pack', '--id', 'third=c.smk', '--append', '--out', 'set.smk');
    expect(added).toMatchObject({ tasks: 3, added: ['third'], fileBytes: bytesOf('set.smk').length });
    expect(readModel(bytesOf('set.smk')).tasks.map((t) => t.id)).toEqual(['a', 'b', 'third']);
    const all = json('extract', 'set.smk', '--all', '--out', 'out');
    expect(all.files.map((f: { file: string }) => f.file)).toEqual(['a', 'b', 'third'].map((id) => join('out', `${id}.smk`)));
    expect(all.files.map((f: { contentId: string }) => f.contentId)).toEqual(ONE.map((model) => hex(contentId(model))));
    ['a', 'b', 'third'].forEach((id, i) => {
      expect(bytesOf(`out/${id}.smk`)).toEqual(bytesOf(`${'abc'[i]}.smk`));
    });
    expect(seedmask('extract', 'set.smk', '--task', 'b', '--out', 'single.smk').stdout).toMatch(/^single.smk: .* bytes, content /);
    expect(bytesOf('single.smk')).toEqual(bytesOf('b.smk'));
    json('extract', 'set.smk', '--task', 'third', '--out', 'full');
    expect(bytesOf('full/third.smk')).toEqual(bytesOf('c.smk'));
    expect(json('extract', 'set.smk', '--task', 'a', 'third', '--out', 'some').files).toHaveLength(2);
  });

  test('pack --base: fewer bytes, the same content, and every task comes out as it went in', () => {
    const network: Network = { ...SMALL_CONV, input: [20, 20, 1] };
    const mask = randomMask(network, [0.3], { low: 40, high: 0 });
    ['p', 'q', 'r'].forEach((name, low) => {
      const model = { network, tasks: [task(low ? alteredMask(network, mask, 40, { low, high: 41 }) : mask)] };
      put(`${name}.smk`, writeModel(model));
    });
    const files = ['p.smk', 'q.smk', 'r.smk'];
    expect(json('pack', ...files, '--out', 'apart.smk').leaning).toBe(0);
    for (const [base, leaning] of [
      ['auto', 2],
      ['p', 2],
    ] as const) {
      const { fileBytes } = json('pack', ...files, '--base', base, '--out', 'leaning.smk');
      expect(fileBytes).toBeLessThan(0.7 * bytesOf('apart.smk').length);
      expect(json('verify', 'leaning.smk').files[0].schemes.related).toBe(leaning);
      expect(json('diff', 'apart.smk', 'leaning.smk').same).toBe(true);
      expect(json('inspect', 'leaning.smk').tasks.filter((t: { base: string | null }) => t.base)).toHaveLength(leaning);
    }
    // Bases go along when tasks come to it, though places move.
    put('alone.smk', writeModel({ network, tasks: [task(randomMask(network, [0.1], { low: 42, high: 0 }))] }));
    expect(json('pack', '--id', 'a=alone.smk', '--append', '--out', 'leaning.smk')).toMatchObject({ tasks: 4, leaning: 2 });
    json('extract', 'leaning.smk', '--all', '--out', 'lean');
    for (const file of files) expect(bytesOf(`lean/${file}`)).toEqual(bytesOf(file));
    expect(json('pack', '--append', '--base', 'none', '--id', 'z=r.smk', '--out', 'leaning.smk').leaning).toBe(0);
    expect(seedmask('pack', ...files, '--base', 'x', '--out', 'no.smk').stderr).toMatch(/base, got x/);
  });

  test('an archive of one task keeps its id when it grows, and what is added to need not be there', () => {
    expect(json('pack', 'a.smk', '--append', '--out', 'growing.smk')).toMatchObject({ tasks: 1, added: ['a'] });
    json('pack', 'b.smk', '--append', '--out', 'growing.smk');
    expect(bytesOf('growing.smk')).toEqual(two);
  });

  test('who append at once lose nothing of one another', async () => {
    const out = at('shared.smk');
    await pack({ inputs: [{ file: at('a.smk') }], out });
    const ids = Array.from({ length: 6 }, (_, i) => `more-${i}`);
    await Promise.all(ids.map((id) => pack({ inputs: [{ file: at('b.smk'), id }], out, append: true })));
    expect(readPacked(bytesOf('shared.smk')).tasks.map(({ id }) => id)).toEqual(['a', ...ids]);
  });

  test.each([
    ['is written', 'fsyncSync', ['a', 'mine', 'other'], [0, '']],
    [
      'gets its name',
      'renameSync',
      ['a', 'mine'],
      [1, 'seedmask: cannot write race.smk: race.smk.lock is there. If no other seedmask writes there, remove race.smk.lock\n'],
    ],
  ] as const)('nor does who appends while another archive %s, or it is told', async (_, call, ids, told) => {
    await pack({ inputs: [{ file: at('a.smk') }], out: at('race.smk') });
    let other: SpawnSyncReturns<string> | undefined;
    const overtaken: Disk = {
      ...DISK,
      [call](...args: [never, never]) {
        other ??= seedmask('pack', '--append', '--id', 'other=b.smk', '--out', 'race.smk');
        DISK[call](...args);
      },
    };
    await pack({ inputs: [{ file: at('c.smk'), id: 'mine' }], out: at('race.smk'), append: true }, overtaken);
    expect(readPacked(bytesOf('race.smk')).tasks.map(({ id }) => id)).toEqual(ids);
    expect([other?.status, other?.stderr]).toEqual(told);
    expect(readdirSync(folder).filter((name) => name.startsWith('race'))).toEqual(['race.smk']);
  });

  test('networks and masks apart, and together again', () => {
    const [network] = json('extract', 'two.smk', '--network-only', '--out', 'net.smk').files;
    expect(network).toMatchObject({ task: null, file: 'net.smk' });
    expect(bytesOf('net.smk')).toEqual(bytesOf('network.smk'));
    json('extract', 'two.smk', '--all', '--mask-only', '--out', 'apart');
    expect(bytesOf('apart/b.smk')).toEqual(bytesOf('b-mask.smk'));
    json('pack', 'apart/a.smk', 'net.smk', 'apart/b.smk', '--out', 'again.smk');
    expect(bytesOf('again.smk')).toEqual(two);
    json('pack', 'apart/a.smk', 'apart/b.smk', '--network', 'c.smk', '--out', 'again.smk');
    expect(bytesOf('again.smk')).toEqual(two);
    json('extract', 'apart/a.smk', '--network', 'net.smk', '--out', 'whole.smk');
    expect(bytesOf('whole.smk')).toEqual(bytesOf('a.smk'));
  });

  test('inspect shows archives, masks and networks', () => {
    expect(json('inspect', 'b-mask.smk', '--network', 'network.smk')).toMatchObject({
      maskOnly: true,
      networkId: hex(networkId(SMALL_CONV)),
      contentId: hex(contentId(ONE[1])),
    });
    expect(json('inspect', 'network.smk')).toMatchObject({ maskOnly: false, tasks: [] });
    expect(seedmask('inspect', 'network.smk').stdout).toMatch(/^network .*, seed \d+, no biases$/m);
    expect(seedmask('inspect', 'network.smk').stdout).toMatch(/; as float32 \d+ bytes .*\n(.*\n)+no tasks/);
    put('numbers.smk', writeModel(NUMBERS_MODEL));
    const columns = ['size', 'Länge, mm', 'z'];
    expect(json('inspect', 'numbers.smk').tasks[0]).toMatchObject({ labels: ['cat', 'dog'], columns });
    expect(json('inspect', 'numbers.smk').tasks[1].columns).toBeNull();
    expect(seedmask('inspect', 'numbers.smk').stdout).toContain('classes cat, dog; of numbers: size, "Länge, mm", z\n');
    // All that decides answers and classes.
    put('permuted.smk', writeModel(ARCHIVE_MODEL));
    const data = { dataset: 'mnist', pixelPermutation: '1', labelPermutation: '0' };
    expect(json('inspect', 'permuted.smk').tasks[1]).toMatchObject({ data, logitScale: 0.75 });
    expect(json('inspect', 'permuted.smk').tasks[2].transform).toEqual({ mean: 0, scale: 1 });
    const { low, scale } = NUMBERS_MODEL.tasks[0].transform.features!;
    expect(json('inspect', 'numbers.smk').tasks[0].transform.features).toEqual({ low: [...low], scale: [...scale] });
    expect(seedmask('inspect', 'permuted.smk').stdout).toContain(
      '  data mnist; permuted by seed: pixels 1, classes 0; inputs (byte - 0) x 0.00392157; probabilities softmax(0.75 x logits)\n',
    );
    const tasks = Array.from({ length: 21 }, (_, i) => ({ ...ONE[0].tasks[0], id: `t${10 + i}` }));
    put('wide.smk', writeModel({ ...ONE[0], tasks }));
    expect(seedmask('inspect', 'wide.smk').stdout).toMatch(/21 tasks\n.*\n.*payload bytes.*scheme/);
    // Beside one float32 network for each of the tasks.
    const { fileBytes, float32Bytes, weights } = json('inspect', 'wide.smk');
    expect(float32Bytes).toBe(21 * 4 * weights);
    const times = (float32Bytes / fileBytes).toFixed(0);
    expect(seedmask('inspect', 'wide.smk').stdout).toContain(
      `; as float32, a network for each of 21 tasks, ${float32Bytes} bytes (${times} x)\n`,
    );
  });

  test('verify says what it checked', () => {
    const found = json('verify', 'two.smk', 'b-mask.smk', 'network.smk');
    expect(found.checks.length).toBeGreaterThan(5);
    expect(found.files).toEqual(
      [
        { file: 'two.smk', tasks: 2, maskOnly: false, contentId: hex(contentId(readModel(two))) },
        { file: 'b-mask.smk', tasks: 1, maskOnly: true, contentId: hex(contentId(ONE[1])) },
        { file: 'network.smk', tasks: 0, maskOnly: false },
      ].map((file) => expect.objectContaining({ ...file, networkId: hex(networkId(SMALL_CONV)), foreignDeflate: 0 })),
    );
    const { stdout, status } = seedmask('verify', 'two.smk', 'network.smk');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^Checked in every file: .*encoded again to the same bytes.*\ntwo.smk: sound, .*2 tasks.*\nnetwork.smk: sound.*network only/,
    );
  });

  test('eval and serve take one task of an archive, and masks with their network', async () => {
    const network: Network = { ...SMALL_CONV, input: [28, 28, 1], layers: [{ kind: 'dense', units: 10, activation: 'linear' }] };
    const digits = (low: number): Model => ({ network, tasks: [task(randomMask(network, [0.5], { low, high: 0 }))] });
    put('d0.smk', writeModel(digits(0)));
    put('d1.smk', writeModel(digits(1)));
    json('pack', 'd0.smk', 'd1.smk', '--out', 'digits.smk');
    mkdirSync(at('served'));
    json('extract', 'digits.smk', '--all', '--mask-only', '--out', 'served');
    const alone = json('eval', 'd1.smk', '--data', 'mnist');
    expect(json('eval', 'digits.smk', '--task', 'd1', '--data', 'mnist')).toEqual({ ...alone, task: 'd1' });
    expect(json('eval', 'served/d1.smk', '--network', 'd0.smk', '--data', 'mnist')).toEqual(alone);

    const child = spawn(process.execPath, [MAIN, 'serve', 'served', '--network', 'd0.smk', '--port', '0', '--json'], { cwd: folder });
    const { url, tasks } = await new Promise<{ url: string; tasks: string[] }>((resolve) => {
      child.stdout.once('data', (text: Buffer) => resolve(JSON.parse(text.toString())));
    });
    expect(tasks).toEqual(['d0', 'd1']);
    expect((await fetch(`${url}/tasks/d1/classify`, { method: 'POST', body: new Uint8Array(784) })).status).toBe(200);
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    expect(await closed).toBe(0);
  });
});

describe('diff', { timeout: 30_000 }, () => {
  test('exit 0 for the same content however it is stored, 1 for another, 2 where a file cannot be read', () => {
    put('raw.smk', writeModel(ONE[1], { schemes: ['raw'] }));
    for (const same of ['b.smk', 'raw.smk', 'b-mask.smk']) {
      expect(json('diff', 'b.smk', same)).toMatchObject({ same: true, network: [], onlyA: [], onlyB: [], tasks: [], sameTasks: 1 });
    }
    expect(seedmask('diff', 'b.smk', 'raw.smk')).toMatchObject({ status: 0, stdout: 'b.smk and raw.smk have the same content\n' });
    const { status, stdout, stderr } = seedmask('diff', 'a.smk', 'b.smk', '--json');
    expect([status, stderr]).toEqual([1, '']);
    expect(JSON.parse(stdout)).toMatchObject({ a: 'a.smk', b: 'b.smk', same: false });
    expect(seedmask('diff', 'a.smk', 'nothing.smk').status).toBe(2);
    const text = seedmask('diff', 'a.smk', 'other.smk');
    expect(text.status).toBe(1);
    expect(text.stdout).toMatch(/^network seed: 7 \| 8\n.*\n.*task.*Hamming.*Jaccard/);
  });

  test('counts a hand-made pair of masks', async () => {
    // 30 + 15 weights. A keeps 0, 1, 2 and B 1, 2, 9 of layer 0: both 2, either 4, apart 2. Layer 1: A keeps nothing, B nothing.
    const masks = [
      [0b111, 0, 0, 0],
      [0b110, 0b10, 0, 0],
    ].map((bits) => [Uint8Array.from(bits), new Uint8Array(2)]);
    masks.forEach((mask, i) => {
      put(`hand${i}.smk`, writeModel({ network: TINY, tasks: [task(mask, { labels: ['a'] })] }));
    });
    const { tasks } = await diff(at('hand0.smk'), at('hand1.smk'));
    expect(tasks).toEqual([
      {
        task: 'hand0',
        differs: ['mask'],
        layers: [
          { weights: 30, keptA: 3, keptB: 3, keptBoth: 2, hamming: 2, jaccard: 0.5 },
          { weights: 15, keptA: 0, keptB: 0, keptBoth: 0, hamming: 0, jaccard: 1 },
        ],
      },
    ]);
  });

  /** A transform of numbers, the first of them as given. */
  const numbers = (first: { readonly low?: number[]; readonly scale?: number[] }): Model['tasks'][0]['transform'] => {
    const all = (some: number[] = []) => Float32Array.from({ length: inputs(SMALL_CONV) }, (_, i) => some[i] ?? 1);
    return { scale: 1, mean: 0, constant: null, features: { low: all(first.low), scale: all(first.scale) } };
  };
  test.each<[what: string, change: Partial<Model['tasks'][0]>, before?: Partial<Model['tasks'][0]>]>([
    ['transform', { transform: { scale: 1, mean: 0, constant: null } }],
    ['transform', { transform: { scale: Math.fround(1 / 255), mean: -0, constant: null } }],
    ['transform', { transform: { scale: -0, mean: 0, constant: null } }, { transform: { scale: 0, mean: 0, constant: null } }],
    ['transform', { transform: numbers({ low: [-0, 1] }) }, { transform: numbers({ low: [0, 1] }) }],
    ['transform', { transform: numbers({ scale: [1, -0] }) }, { transform: numbers({ scale: [1, 0] }) }],
    ['labels', { labels: ['x', 'y'] }],
    ['data', { data: { dataset: 'mnist', pixelPermutation: null, labelPermutation: null } }],
    ['logit scale', { logitScale: 9 }],
    ['id', { id: 'named' }],
  ])('tells another %s, and so does the content id: %j', async (what, change, before = {}) => {
    const [first, changed] = [before, change].map((some): Model => ({ ...ONE[0], tasks: [{ ...ONE[0].tasks[0], ...some }] }));
    put('first.smk', writeModel(first));
    put('changed.smk', writeModel(changed));
    const found = await diff(at('first.smk'), at('changed.smk'));
    // A file of one task is called like its file.
    expect(found).toMatchObject({ same: false, tasks: [{ task: 'first', differs: [what] }] });
    expect(hex(contentId(changed))).not.toBe(hex(contentId(first)));
  });

  test('pairs tasks by id, and compares no masks of other shapes', async () => {
    json('pack', 'b.smk', 'c.smk', '--out', 'bc.smk');
    expect(await diff(at('two.smk'), at('bc.smk'))).toMatchObject({ onlyA: ['a'], onlyB: ['c'], sameTasks: 1, tasks: [] });
    expect(await diff(at('two.smk'), at('a.smk'))).toMatchObject({ onlyA: ['b'], onlyB: [], tasks: [{ task: 'a', differs: ['id'] }] });
    const found = await diff(at('a.smk'), at('hand0.smk'));
    expect(found.tasks[0]).toMatchObject({ differs: expect.arrayContaining(['mask']), layers: null });
    expect(found.network.map(([what]) => what)).toContain('shape');
    const none = await diff(at('network.smk'), at('network.smk'));
    expect(none).toMatchObject({ same: true, sameTasks: 0 });
    expect(await diff(at('network.smk'), at('two.smk'))).toMatchObject({ same: false, onlyB: ['a', 'b'] });
  });

  test('is the same as comparing content ids', async () => {
    const change = fc.record({
      density: fc.constantFrom(0, 0.5, 1),
      low: fc.nat(1),
      logitScale: fc.constantFrom(1, 2),
      id: fc.constantFrom('p', 'q'),
    });
    await fc.assert(
      fc.asyncProperty(fc.tuple(change, change), async (pair) => {
        const models = pair.map(({ density, low, ...rest }): Model => {
          return { network: TINY, tasks: [task(randomMask(TINY, [density], { low, high: 0 }), { labels: ['a'], ...rest })] };
        });
        models.forEach((model, i) => {
          put(`pair${i}.smk`, writeModel(model));
        });
        const { same } = await diff(at('pair0.smk'), at('pair1.smk'));
        expect(same).toBe(hex(contentId(models[0])) === hex(contentId(models[1])));
      }),
      { seed: 4, numRuns: 100 },
    );
  });
});

describe('many tasks', { timeout: 60_000 }, () => {
  const files = Array.from({ length: 1000 }, (_, i) => {
    const name = `many/t${i}.smk`;
    if (i === 0) mkdirSync(at('many'));
    put(name, writeModel(one(SMALL_CONV, (i % 11) / 10, i)));
    return name;
  });

  test.each([1, 2, 257, 1000])(
    '%i packed and extracted: same bytes, 32 bytes or less a task, and any order of files gives one archive',
    async (n) => {
      const inputs = files.slice(0, n).map((file) => ({ file: at(file) }));
      const out = at(`many-${n}.smk`);
      const { bytes, tasks } = await pack({ inputs, out });
      expect(tasks).toBe(n);
      expect(new Uint8Array(readFileSync(out))).toEqual(bytes);
      const payloads = readPacked(bytes).tasks.reduce((sum, { payload }) => sum + payload.length, 0);
      const network = bytesOf('network.smk').length;
      expect((bytes.length - payloads - network) / n).toBeLessThanOrEqual(n === 1 ? 64 : 32);
      const reversed = await pack({ inputs: [...inputs].reverse(), out: at('reversed.smk') });
      expect(reversed.bytes).toEqual(bytes);
      if (n > 1) {
        await pack({ inputs: inputs.slice(0, 1), out: at('grown.smk') });
        const grown = await pack({ inputs: inputs.slice(1), out: at('grown.smk'), append: true });
        expect(grown.bytes).toEqual(bytes);
      }
      const all = await extract(out, { all: true, out: at(`out-${n}`) });
      expect(all.files).toHaveLength(n);
      for (const { task: id, file } of all.files) expect(new Uint8Array(readFileSync(file))).toEqual(bytesOf(`many/${id}.smk`));
    },
  );
});

describe('a disk that fails once', () => {
  const calls = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync'] as const;
  /** Fails at the first call of this kind; what must be done to leave no handle open is done all the same. */
  const failing = (call: (typeof calls)[number], alsoRemove = false): Disk => {
    const full = () => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    const broken: Disk = { ...DISK };
    if (call === 'closeSync') {
      broken.closeSync = (file) => {
        DISK.closeSync(file);
        full();
      };
    } else if (call === 'writeSync') {
      // Half of it is written before the disk is full.
      broken.writeSync = (file, bytes, offset) =>
        (offset ? full() : DISK.writeSync(file, bytes.subarray(0, bytes.length >> 1), 0)) as number;
    } else broken[call] = full as never;
    if (alsoRemove) broken.rmSync = full;
    return broken;
  };
  const inputs = ['a.smk', 'b.smk'].map((name) => ({ file: at(name) }));

  test.each(calls)('%s: the old archive and the old extract are whole', async (call) => {
    for (const old of [undefined, bytesOf('c.smk')]) {
      const name = `disk-${call}-${old ? 'old' : 'new'}`;
      mkdirSync(at(name));
      const out = at(`${name}/x.smk`);
      if (old) writeFileSync(out, old);
      const expected = { code: 'cannot-write', message: `cannot write ${out}: the disk is full` };
      await expect(pack({ inputs, out, append: old !== undefined }, failing(call))).rejects.toMatchObject(expected);
      await expect(extract(at('two.smk'), { task: ['a'], out }, true, failing(call))).rejects.toMatchObject(expected);
      expect(readdirSync(at(name))).toEqual(old ? ['x.smk'] : []);
      if (old) expect(new Uint8Array(readFileSync(out))).toEqual(old);
      await pack({ inputs, out, append: old !== undefined });
      expect(readModel(new Uint8Array(readFileSync(out))).tasks).toHaveLength(old ? 3 : 2);
    }
  });

  test('and cannot remove the rest either: the first failure is told, the old archive is whole', async () => {
    mkdirSync(at('disk-twice'));
    const out = at('disk-twice/x.smk');
    writeFileSync(out, bytesOf('c.smk'));
    await expect(pack({ inputs, out, append: true }, failing('renameSync', true))).rejects.toMatchObject({ code: 'cannot-write' });
    expect(new Uint8Array(readFileSync(out))).toEqual(bytesOf('c.smk'));
  });

  test('a disk that writes a few bytes at a time writes them all', async () => {
    const slow: Disk = { ...DISK, writeSync: (file, bytes, offset) => DISK.writeSync(file, bytes.subarray(offset, offset + 7), 0) };
    const { bytes } = await pack({ inputs, out: at('slow.smk') }, slow);
    expect(bytesOf('slow.smk')).toEqual(bytes);
  });

  test('a failure in the middle of --all leaves whole files only', async () => {
    let renames = 0;
    const disk: Disk = {
      ...DISK,
      renameSync: (from, to) => {
        if (++renames === 2) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        DISK.renameSync(from, to);
      },
    };
    await expect(extract(at('two.smk'), { all: true, out: at('middle') }, true, disk)).rejects.toMatchObject({ code: 'cannot-write' });
    expect(readdirSync(at('middle'))).toEqual(['a.smk']);
    expect(new Uint8Array(readFileSync(at('middle/a.smk')))).toEqual(bytesOf('a.smk'));
  });
});

test('a full mask of the network alone is what an untrained network is', async () => {
  put('untrained.smk', writeModel({ network: SMALL_CONV, tasks: [task(fullMask(SMALL_CONV, true))] }));
  const { tasks } = await diff(at('untrained.smk'), at('a.smk'));
  for (const { weights, keptA, keptB, keptBoth } of tasks[0].layers ?? []) expect([keptA, keptBoth]).toEqual([weights, keptB]);
});
