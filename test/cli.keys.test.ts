// seedmask keys, and seedmask serve with keys, a log and a folder of static files, as the built program.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { createClient } from '../client/index.js';
import { hashOf } from '../server/index.js';

const MAIN = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');
const MODEL = join(import.meta.dirname, '..', 'models', 'trained', 'mnist-tiny.smk');
const folder = mkdtempSync(join(tmpdir(), 'seedmask-keys-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});
const seedmask = (...words: string[]) => spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', cwd: folder });
const added = (...words: string[]): { name: string; key: string } => JSON.parse(seedmask('keys', 'add', ...words, '--json').stdout);

test('keys add shows the key once and keeps its hash; a name is taken once', () => {
  const lab = added('lab', '--file', 'keys.json');
  const partner = added('partner', '--file', 'keys.json', '--limit', '600/60', '--task', 'mnist-tiny', 'acme-*');
  expect(lab.key).toMatch(/^smk_[A-Za-z0-9_-]{43}$/);
  const text = readFileSync(join(folder, 'keys.json'), 'utf8');
  expect(JSON.parse(text)).toEqual({
    keys: [
      { name: 'lab', sha256: hashOf(lab.key) },
      { name: 'partner', sha256: hashOf(partner.key), tasks: ['mnist-tiny', 'acme-*'], limit: { requests: 600, seconds: 60 } },
    ],
  });
  const again = seedmask('keys', 'add', 'lab', '--file', 'keys.json');
  expect([again.status, again.stdout, again.stderr]).toEqual([
    1,
    '',
    'seedmask: the name must be new in keys.json, got lab. Remove its entry first.\n',
  ]);
  expect(readFileSync(join(folder, 'keys.json'), 'utf8')).toBe(text);
  const admin = added('--admin', '--file', 'admin.key');
  expect(readFileSync(join(folder, 'admin.key'), 'utf8')).toBe(`sha256:${hashOf(admin.key)}\n`);
});

test('keys that are added at once are all in the file, or not shown', async () => {
  // All have read the file before any has written it.
  const slow = `data:text/javascript,import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';
    const { fsyncSync } = fs; let first = true;
    fs.fsyncSync = (file) => { fsyncSync(file); if (first) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500); first = false; };
    syncBuiltinESMExports();`;
  const shown = (...words: string[]) =>
    promisify(execFile)(process.execPath, ['--import', slow, MAIN, 'keys', 'add', ...words, '--json'], { cwd: folder }).then(
      ({ stdout }): { name: string; key: string } => JSON.parse(stdout),
      () => undefined,
    );
  const names = ['a', 'b', 'c'];
  const keys = await Promise.all(names.map((name) => shown(name, '--file', 'many.json')));
  const kept: { name: string; sha256: string }[] = JSON.parse(readFileSync(join(folder, 'many.json'), 'utf8')).keys;
  expect(kept.sort((one, other) => (one.name < other.name ? -1 : 1))).toEqual(
    keys.map((one) => ({ name: one?.name, sha256: hashOf(one?.key ?? '') })),
  );
  const admins = await Promise.all(names.map(() => shown('--admin', '--file', 'one.key')));
  expect(admins.flatMap((one) => (one ? [`sha256:${hashOf(one.key)}\n`] : []))).toEqual([readFileSync(join(folder, 'one.key'), 'utf8')]);
}, 60_000);

test.each<[string, string[], string]>([
  ['no name', ['keys', 'add', '--file', 'k.json'], 'the name must be one word, or --admin, got nothing'],
  ['a bad name', ['keys', 'add', 'a b', '--file', 'k.json'], '/keys/0/name of the new entry must be a name of at most 64'],
  ['the name of the admin', ['keys', 'add', 'admin', '--file', 'k.json'], 'must be another name than anyone and admin, which logs use'],
  ['a name for nobody', ['keys', 'add', 'anyone', '--file', 'k.json'], '/keys/0/name of the new entry must be another name than anyone'],
  ['rows of keys without keys', ['serve', MODEL, '--key-rows', '9'], '--key-rows goes with --keys or SEEDMASK_KEYS: without keys'],
  ['a bad task', ['keys', 'add', 'a', '--file', 'k.json', '--task', '../x'], '/keys/0/tasks/0 of the new entry must be a task name'],
  ['a bad limit', ['keys', 'add', 'a', '--file', 'k.json', '--limit', '10'], "expected requests/seconds such as 600/60, got '10'"],
  ['a name for the admin', ['keys', 'add', 'root', '--admin', '--file', 'k.json'], 'the name must be absent with --admin, got root'],
  ['an admin key that is there', ['keys', 'add', '--admin', '--file', 'no-json'], 'cannot write no-json: it is there already'],
  ['another list', ['keys', 'add', 'a', '--file', 'list'], 'seedmask: list must be of type object. Make entries with'],
  ['keys that are no list', ['keys', 'add', 'a', '--file', 'keys-object'], '/keys of keys-object must be of type array. Make'],
  [
    'a limit of nothing',
    ['keys', 'add', 'a', '--file', 'no-limit'],
    '/keys/0/limit/requests of no-limit must be a whole number of at least 1.',
  ],
  ['a key file that is none', ['serve', MODEL, '--keys', 'no-json'], 'no-json must be JSON such as {"keys"'],
  [
    'an admin key file with a key',
    ['serve', MODEL, '--admin-key-file', 'no-json'],
    'no-json must be one line of sha256: and 64 hex digits',
  ],
  ['no key file', ['serve', MODEL, '--keys', 'nothing.json'], 'cannot read nothing.json: there is no such file or folder'],
  ['no web folder', ['serve', MODEL, '--web', 'nothing'], 'cannot read nothing/index.html: a page needs this file'],
  ['a bad threshold', ['serve', MODEL, '--abstain', '2'], "expected a fraction above 0 and at most 1, got '2'"],
  ['a bad level', ['serve', MODEL, '--log', 'loud'], "'loud' is invalid. Allowed choices are debug, info"],
])('%s is one line', (_, words, line) => {
  writeFileSync(join(folder, 'no-json'), 'smk_secret');
  writeFileSync(join(folder, 'list'), '["smk_secret"]');
  writeFileSync(join(folder, 'keys-object'), '{"keys":{"lab":"smk_secret"}}');
  const limited = { name: 'lab', sha256: hashOf('smk_secret'), limit: { requests: 0, seconds: 1 } };
  writeFileSync(join(folder, 'no-limit'), JSON.stringify({ keys: [limited] }));
  const { status, stdout, stderr } = seedmask(...words);
  expect([status, stdout, stderr.split('\n').length]).toEqual([1, '', 2]);
  expect(stderr).toContain(line);
  expect(stderr).not.toContain('smk_secret');
});

test.each(['SEEDMASK_KEYS', 'SEEDMASK_ADMIN_KEY'])(
  '%s that is set and empty, as by a secret that did not come, opens no server',
  (name) => {
    for (const text of ['', ' \n']) {
      const env = { ...process.env, [name]: text };
      const { status, stderr } = spawnSync(process.execPath, [MAIN, 'serve', MODEL, '--port', '0'], {
        encoding: 'utf8',
        env,
        timeout: 20_000,
      });
      expect([status, stderr]).toEqual([
        1,
        `seedmask: ${name} must be set to something, or not at all, got nothing in it. Unset it to do without, or look where its value should come from.\n`,
      ]);
    }
  },
);

test('serve asks for the keys, logs requests and no key, and gives the static files', async () => {
  const { key } = added('user', '--file', 'served.json');
  const { key: adminKey } = added('--admin', '--file', 'served.key');
  mkdirSync(join(folder, 'page'));
  writeFileSync(join(folder, 'page', 'index.html'), '<title>page</title>');
  const words = [
    MAIN,
    'serve',
    MODEL,
    '--port',
    '0',
    '--json',
    '--keys',
    'served.json',
    '--log',
    'debug',
    '--web',
    'page',
    '--helmet',
    '--cors',
    '*',
  ];
  const env = { ...process.env, SEEDMASK_ADMIN_KEY: readFileSync(join(folder, 'served.key'), 'utf8') };
  const child = spawn(process.execPath, words, { cwd: folder, env });
  children.push(child);
  let log = '';
  child.stderr.on('data', (data) => {
    log += data;
  });
  const { url }: { url: string } = JSON.parse(
    await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data)))),
  );

  await expect(createClient({ url }).classify('mnist-tiny', new Uint8Array(784))).rejects.toThrow('this route needs an API key');
  const [prediction] = await createClient({ url, key }).classify('mnist-tiny', new Uint8Array(784));
  expect(prediction.probabilities).toHaveLength(10);
  const unload = (k: string) => fetch(`${url}/v2/repository/models/mnist-tiny/unload`, { method: 'POST', headers: { 'X-API-Key': k } });
  expect([(await unload(key)).status, (await unload(adminKey)).status]).toEqual([403, 200]);
  const page = await fetch(url);
  expect([await page.text(), page.headers.get('content-type'), page.headers.get('x-content-type-options')]).toEqual([
    '<title>page</title>',
    'text/html; charset=utf-8',
    'nosniff',
  ]);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toContainEqual(
    expect.objectContaining({ route: '/tasks/{task}/classify', caller: 'user', status: 200, requestId: expect.any(String) }),
  );
  for (const secret of [key, adminKey, hashOf(key), hashOf(adminKey)]) expect(log).not.toContain(secret);
}, 60_000);
