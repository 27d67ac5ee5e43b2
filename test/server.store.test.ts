// Models on disk: names, versions, labels, and every way a folder can be wrong, each one clear line that names the file.

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS, inspectModel, type Model, readModel, SeedmaskError, TASK_ID_TEXT, writeModel } from '../codec/index.js';
import { openStore, type Store } from '../server/index.js';
import { type Decoder, decodeMask, maskFile } from '../server/repository/decode.js';
import { told as inIndex } from '../server/repository/told.js';
import { fullMask, totalWeights } from '../src/network.js';
import { editDistance, nearest } from '../src/spelling.js';
import { folder, oneTask, task, tinyNetwork } from './server.material.js';
import { RELATED_MODEL } from './vectors/models.js';

const made: string[] = [];
afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true });
});
function disk(files: Parameters<typeof folder>[0]): string {
  const root = folder(files);
  made.push(root);
  return root;
}
const network = tinyNetwork();
const model = oneTask(network);
const archive = (...ids: string[]): Model => ({ network, tasks: ids.map((id) => task(network, id, ['a', 'b'])) });

async function refusal(run: () => unknown): Promise<SeedmaskError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof SeedmaskError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** The reason that the index gives for a version that was asked for in vain. */
const reasonOf = (store: Store, name: string, version: string): SeedmaskError[] => {
  try {
    const found = store.version(name, version ? { version } : {});
    return 'error' in found && found.error instanceof SeedmaskError ? [found.error] : [];
  } catch (error) {
    return error instanceof SeedmaskError ? [error] : [];
  }
};

describe('names and versions', () => {
  test('a file alone is named by its file name', async () => {
    const store = await openStore(join(disk({ 'my-digits.v2.smk': model }), 'my-digits.v2.smk'));
    expect([...store.tasks.keys()]).toEqual(['my-digits.v2']);
    expect(store.version('my-digits.v2').number).toBe('1');
  });
  test('an archive is named by its stored ids', async () => {
    expect([...(await openStore(disk({ 'all.smk': archive('one', 'two') }))).tasks.keys()]).toEqual(['one', 'two']);
  });
  test('a task that leans on another loads with it, and its mask is given out alone', async () => {
    const bytes = writeModel(RELATED_MODEL, { schemes: ['context', 'related'] });
    const leaning = inspectModel(bytes).tasks.filter(({ base }) => base !== undefined);
    expect(leaning.length).toBeGreaterThan(0);
    const store = await openStore(disk({ 'related.smk': bytes, 'network.smk': writeModel({ ...RELATED_MODEL, tasks: [] }) }));
    for (const { id } of leaning) {
      const { bytes: alone } = await store.maskFile(store.version(id));
      const [found] = readModel(alone, DEFAULT_LIMITS, () => RELATED_MODEL.network).tasks;
      expect(found.mask).toEqual(RELATED_MODEL.tasks.find((one) => one.id === id)!.mask);
    }
  });
  test('the file of a mask that leans on another is written by a thread, once for all who ask, and kept while the mask is', async () => {
    const bytes = writeModel(RELATED_MODEL, { schemes: ['context', 'related'] });
    const [{ id }] = inspectModel(bytes).tasks.filter(({ base }) => base !== undefined);
    let written = 0;
    const threads: Decoder = {
      decode: async (...job) => decodeMask(job[0], job[1], job[2]),
      maskFile: async (...job) => {
        written++;
        return maskFile(...job);
      },
    };
    const store = await openStore(disk({ 'related.smk': bytes, 'network.smk': writeModel({ ...RELATED_MODEL, tasks: [] }) }), { threads });
    const ask = () => store.maskFile(store.version(id));
    const { packed } = await store.open(store.version(id));
    const files = (await Promise.all([ask(), ask(), ask()])).concat(await ask());
    expect([written, new Set(files.map((file) => file.bytes)).size]).toEqual([1, 1]);
    const here = await openStore(disk({ 'related.smk': bytes, 'network.smk': writeModel({ ...RELATED_MODEL, tasks: [] }) }));
    expect(await here.maskFile(here.version(id))).toEqual(files[0]);
    expect(store.resident).toEqual({ tasks: 1, bytes: packed.length + files[0].bytes.length });
    await store.unload(id);
    expect(store.resident).toEqual({ tasks: 0, bytes: 0 });
    await store.load(id);
    await ask();
    expect(written).toBe(2);
  });
  test('an archive may hold more weights than one read takes', async () => {
    const wide = tinyNetwork([1, 1, 1000], 1000);
    const empty = task(wide, '', ['a'], { mask: fullMask(wide, false) });
    const tasks = Array.from({ length: 300 }, (_, i) => ({ ...empty, id: `t${100 + i}` }));
    const fileLimit = 2 ** 20;
    expect(tasks.length * totalWeights(wide)).toBeGreaterThan(8 * fileLimit);
    const folder = disk({ 'wide.smk': writeModel({ network: wide, tasks }, { schemes: ['raw'] }) });
    const store = await openStore(folder, { fileLimit });
    expect(store.tasks.size).toBe(300);
  });
  test('masks alone are served with their network at hand', async () => {
    const files = { 'm.smk': writeModel(model, { maskOnly: true }), 'n.smk': writeModel({ ...model, tasks: [] }) };
    expect([...(await openStore(disk(files), { networks: () => network })).tasks.keys()]).toEqual(['m']);
    expect([...(await openStore(disk({ ...files, 'whole.smk': model }))).tasks.keys()]).toEqual(['m', 'whole']);
    const { code, message } = (await openStore(disk({ 'm.smk': files['m.smk'] }))).failures[0].error;
    expect([code, message]).toEqual([
      'bad-base',
      expect.stringMatching(/needs the network [0-9a-f]{64}, got none. Put the file .* --network.$/),
    ]);
  });
  test('file, folder and labels make one task; versions are ordered as numbers', async () => {
    const store = await openStore(
      disk({ 't.smk': model, 't/2.smk': model, 't/10.smk': model, 't/labels.json': '{"stable": 2, "next": "10"}' }),
    );
    expect(store.task('t').versions.map((v) => v.number)).toEqual(['1', '2', '10']);
    expect(store.version('t').number).toBe('10');
    expect(store.version('t', { label: 'stable' }).number).toBe('2');
    expect(store.version('t', { version: '1' }).file).toMatch(/t\.smk$/);
  });
  test('versions of an archive', async () => {
    const store = await openStore(disk({ 'set/1.smk': archive('one', 'two'), 'set/2.smk': archive('two'), 'set/labels.json': '{}' }));
    expect([...store.tasks.keys()]).toEqual(['one', 'set', 'two']);
    expect(store.task('two').versions.map((v) => v.number)).toEqual(['1']);
  });
  test('other files and folders are left alone', async () => {
    const store = await openStore(
      disk({ 'a.smk': model, 'README.md': '', 'notes/x.txt': '', '.hidden/y.smk': 'junk', 'b/labels.json': '{"x": 9}' }),
    );
    expect([...store.tasks.keys()]).toEqual(['a']);
  });
  test('unknown names, versions and labels', async () => {
    const store = await openStore(disk({ 'a.smk': model }));
    expect((await refusal(() => store.version('b'))).message).toBe('no task named b. Did you mean a?');
    expect((await refusal(() => store.version('a', { version: '2' }))).message).toBe('task a has no version 2, only 1');
    expect((await refusal(() => store.version('a', { label: 'x' }))).message).toBe('task a has no version label x, only none');
    expect((await refusal(() => openStore(disk({ 'x.txt': '' })).then((store) => store.version('b')))).message).toBe(
      'no task named b. GET /tasks lists what there is.',
    );
  });
});

test('a task whose file goes while it is asked for is unknown, and tells no other name', async () => {
  const root = disk({ 'a.smk': model, 'b.smk': model });
  const store = await openStore(root);
  const version = store.version('a');
  rmSync(join(root, 'a.smk'));
  for (const work of [() => store.contentId(version), () => store.maskFile(version)]) {
    const { code, message } = await refusal(work);
    expect([code, message]).toEqual(['unknown-task', 'no task named a. GET /tasks lists what there is.']);
  }
});

describe('what cannot be served fails alone, by name', () => {
  const damaged = writeModel(model);
  damaged[damaged.length - 1] ^= 1;
  const table: [string, Parameters<typeof folder>[0], string, string[]][] = [
    ['one version in two files', { 't.smk': model, 't/1.smk': model }, 'task-clash', ['task t version 1', '/t.smk', '/t/1.smk']],
    [
      'one id in two archives',
      { 'a.smk': archive('x', 'y'), 'b.smk': archive('x', 'z') },
      'task-clash',
      ['task x', 'a.smk and ', 'b.smk', 'other ids'],
    ],
    ['a file and an id of an archive', { 'a.smk': archive('x', 'y'), 'x.smk': model }, 'task-clash', ['task x', 'a.smk and ', 'x.smk']],
    ['a damaged file', { 'good.smk': model, 'bad.smk': damaged }, 'bad-model-file', ['bad.smk cannot be served', 'CRC32C']],
    ['no model file', { 'bad.smk': 'hello' }, 'bad-model-file', ['bad.smk', 'not a Seedmask model file']],
    ['an empty file', { 'bad.smk': '' }, 'bad-model-file', ['bad.smk']],
    ['a bad name', { 'my digits.smk': model }, 'bad-store', ['my digits.smk', TASK_ID_TEXT]],
    ['a bad folder name', { '~x/1.smk': model }, 'bad-store', ['~x']],
    ['a version that is no number', { 't/latest.smk': model }, 'bad-store', ['latest.smk', 'such as 2.smk']],
    ['a version with zeros', { 't/01.smk': model }, 'bad-store', ['01.smk']],
    [
      'a label of a missing version',
      { 't/1.smk': model, 't/labels.json': '{"stable": 2}' },
      'bad-store',
      ['label stable', 'labels.json', 'got 2'],
    ],
    ['labels that are no JSON', { 't/1.smk': model, 't/labels.json': '{' }, 'bad-store', ['labels.json', '{"stable": 1}']],
    ['labels that are a list', { 't/1.smk': model, 't/labels.json': '[1]' }, 'bad-store', ['labels.json']],
    ['labels without a number', { 't/1.smk': model, 't/labels.json': '{"stable": "new"}' }, 'bad-store', ['labels.json', '/stable']],
    ['labels too large', { 't/1.smk': model, 't/labels.json': ' '.repeat(65537) }, 'over-limit', ['labels.json', '65536']],
  ];
  test.each(table)('%s', async (_, files, code, texts) => {
    const store = await openStore(disk({ ...files, 'sound.smk': oneTask(tinyNetwork([2, 2, 1], 3, 99)) }));
    await store.warm();
    const entries = [...store.entries()];
    const told = [...store.failures.map(({ error }) => error), ...entries.flatMap(({ name, version }) => reasonOf(store, name, version))];
    expect(told.map((error) => error.code)).toContain(code);
    const [message] = [...new Set(told.map((error) => error.message))];
    for (const text of texts) expect(message).toContain(text);
    expect(message).not.toContain('\n');
    const [{ file, error }] = store.failures;
    if (!file.endsWith('labels.json')) {
      expect(entries.filter(({ reason }) => reason === inIndex(error, store.path).message)).toHaveLength(1);
    }
    expect((await store.open(store.version('sound'))).packed.length).toBeGreaterThan(0);
    expect(entries.find(({ name }) => name === 'sound')).toEqual({ name: 'sound', version: '1', state: 'READY', reason: '' });
  });
  test('a single file that cannot be served is a failure to open', async () => {
    const { code, message } = await refusal(() => openStore(join(disk({ 'bad.smk': 'hello' }), 'bad.smk')));
    expect([code, message]).toEqual(['bad-model-file', expect.stringMatching(/bad.smk cannot be served: not a Seedmask model file/)]);
  });
  test('asking for a task of such a file says why, and says it again', async () => {
    const store = await openStore(disk({ 'good.smk': model, 'bad.smk': damaged, 'worse.smk': 'hello' }));
    for (let i = 0; i < 2; i++) {
      const error = await refusal(async () => store.open(store.version('bad')));
      expect([error.code, error.status, error.message]).toEqual(['bad-model-file', 422, expect.stringMatching(/bad.smk .* CRC32C/)]);
    }
    expect((await refusal(() => store.version('worse'))).message).toContain('worse.smk cannot be served');
    expect([...store.entries()].map(({ name, state }) => [name, state])).toEqual([
      ['bad', 'UNAVAILABLE'],
      ['good', 'READY'],
      ['worse', 'UNAVAILABLE'],
    ]);
  });
  test('a path where nothing is', async () => {
    expect((await refusal(() => openStore('/nowhere/at/all'))).message).toBe(
      '/nowhere/at/all must be a model file or a folder of them, got nothing there',
    );
  });
  test.skipIf(process.platform === 'win32')('a pipe and a device are not read', async () => {
    const root = disk({ 'a.smk': model });
    expect(spawnSync('mkfifo', [join(root, 'b.smk')]).status).toBe(0);
    const regular = expect.stringMatching(/(b.smk|zero) must be a regular file, got a pipe, a device/);
    expect((await openStore(root)).failures.map(({ error }) => [error.code, error.message])).toEqual([['bad-store', regular]]);
    const { code, message } = await refusal(() => openStore('/dev/zero'));
    expect([code, message]).toEqual(['bad-store', regular]);
    const versions = disk({ 'v/1.smk': model });
    expect(spawnSync('mkfifo', [join(versions, 'v/labels.json')]).status).toBe(0);
    const store = await openStore(versions);
    expect([[...store.tasks.keys()], store.failures.map(({ error }) => error.message)]).toEqual([
      ['v'],
      [expect.stringContaining('labels.json must be a regular file, got a pipe')],
    ]);
  });
  test('a file over the limit is not read', async () => {
    const [{ error }] = (await openStore(disk({ 'a.smk': model }), { fileLimit: 10 })).failures;
    expect([error.code, error.details.expected]).toEqual(['over-limit', 10]);
  });
});

test('the nearest name: a case slip first, then few edits, else none', async () => {
  expect(nearest('MNIST', ['cifar', 'mnist'])).toBe('mnist');
  expect(nearest('mnsit', ['mnist', 'moist-x'])).toBe('mnist');
  expect(nearest('mnist', ['fashion', 'cifar'])).toBeUndefined();
  expect(nearest('x'.repeat(500), ['x'.repeat(128)])).toBeUndefined();
});

test('the distance of names is that of the whole table, up to its limit', () => {
  const plain = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1])));
      row = next;
    }
    return row[b.length];
  };
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 });
  const same = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 30 });
  fc.assert(
    fc.property(same, name, name, same, fc.integer({ min: 0, max: 6 }), (begin, a, b, end, limit) => {
      const [one, other] = [begin + a + end, begin + b + end];
      const want = plain(one, other);
      expect(editDistance(one, other)).toBe(want);
      const found = editDistance(one, other, limit);
      if (want > limit) expect(found).toBeGreaterThan(limit);
      else expect(found).toBe(want);
    }),
    { numRuns: 3000, seed: 1 },
  );
});
