// seedmask serve as a process: what it says, what it does with files that change, and how it ends.

import { type ChildProcessWithoutNullStreams, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { PIXELS_TRANSFORM, writeModel } from '../codec/index.js';
import { hashOf } from '../server/index.js';
import { folder, get, oneTask, post, tinyNetwork } from './server.material.js';

const MAIN = join(import.meta.dirname, '../dist/cli/main.js');
const made: string[] = [];
const running: ChildProcessWithoutNullStreams[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  for (const root of made.splice(0)) rmSync(root, { recursive: true, force: true });
});
function disk(files: Parameters<typeof folder>[0]): string {
  const root = folder(files);
  made.push(root);
  return root;
}

const start = (...args: string[]): ChildProcessWithoutNullStreams => {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args, '--port', '0', '--json']);
  running.push(child);
  return child;
};

/** A server that listens: its URL, and how to end it. */
async function serving(...args: string[]) {
  const child = start(...args);
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
  });
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  const ended = once(child, 'exit');
  return { url: JSON.parse(line).url as string, child, ended, log: () => err };
}

test('by itself it listens to this machine alone', async () => {
  const { url } = await serving(disk({ 'a.smk': oneTask(tinyNetwork()) }));
  expect(new URL(url).hostname).toBe('127.0.0.1');
});

const ROWS = { instances: [[0, 255, 10, 3]] };

test.skipIf(spawnSync('curl', ['--version']).status !== 0)('what it says to try is answered, and whether a key is needed', async () => {
  const pixels = oneTask(tinyNetwork());
  const files = disk({ 'a.smk': pixels, 'keys.json': JSON.stringify({ keys: [{ name: 'lab', sha256: hashOf('k') }] }) });
  const features = { low: new Float32Array(4), scale: new Float32Array(4).fill(1) };
  const transform = { ...PIXELS_TRANSFORM, features };
  const numbers = disk({ 'a/1.smk': pixels, 'a/2.smk': { ...pixels, tasks: [{ ...pixels.tasks[0], transform }] } });
  for (const [store, args, said] of [
    [files, ['--keys', join(files, 'keys.json')], /^Serving 1 task of .*\nClients need a key\. Try \(an empty image, the key in \$KEY\):/],
    [files, [], /^Serving 1 task of .*\nNobody is asked for a key\. Try \(an empty image\):/],
    [numbers, [], /Try \(a row of zeros\):/],
  ] as const) {
    const child = spawn(process.execPath, [MAIN, 'serve', store, '--port', '0', ...args]);
    running.push(child);
    const [text] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
    expect(text).toMatch(said);
    const { stdout } = await promisify(execFile)('bash', ['-c', text.split('\n')[2]], { env: { ...process.env, KEY: 'k' } });
    expect(JSON.parse(stdout)).toMatchObject({ task: 'a', predictions: [{ probabilities: expect.any(Array) }] });
  }
});

describe('ending', () => {
  test('SIGTERM under load: every request that was let in is answered, then exit 0', async () => {
    const { url, child, ended } = await serving(disk({ 'a.smk': oneTask(tinyNetwork()) }));
    let ending = false;
    const statuses: number[] = [];
    const failures: unknown[] = [];
    const clients = Array.from({ length: 8 }, async () => {
      for (;;) {
        const before = ending;
        try {
          statuses.push((await post(`${url}/tasks/a/classify`, ROWS)).status);
        } catch (error) {
          if (!before) failures.push(error);
          return;
        }
      }
    });
    while (statuses.length < 50) await new Promise(setImmediate);
    child.kill('SIGTERM');
    ending = true;
    expect(await ended).toEqual([0, null]);
    await Promise.all(clients);
    expect(new Set(statuses)).toEqual(new Set([200]));
    // A request sent in the same moment may meet a port that is closed; one that was sent before never does, as the next test shows.
    for (const error of failures) expect(String((error as Error).cause)).toMatch(/ECONNREFUSED|ECONNRESET|other side closed/);
  });

  test('SIGTERM: what connections that are kept alive have sent before it is answered whole', async () => {
    const { url, child, ended } = await serving(disk({ 'a.smk': oneTask(tinyNetwork()) }));
    const body = new Uint8Array(4 * 1000);
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length };
    const ask = (agent: Agent) => {
      const asked = request(`${url}/tasks/a/classify`, { method: 'POST', agent, headers });
      const answer = new Promise((resolve) => {
        asked.on('response', (res: IncomingMessage) => res.resume().on('close', () => resolve([res.statusCode, res.complete])));
        asked.on('error', resolve);
      });
      const sent = once(asked, 'finish');
      asked.end(body);
      return { asked, sent, answer };
    };
    const agents = Array.from({ length: 24 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    await Promise.all(agents.map((agent) => ask(agent).answer));
    // It sleeps while they come, and wakes with the signal and all of them at once.
    child.kill('SIGSTOP');
    const second = agents.map(ask);
    await Promise.all(second.map(({ sent }) => sent));
    child.kill('SIGTERM');
    child.kill('SIGCONT');
    expect(await Promise.all(second.map(({ answer }) => answer))).toEqual(second.map(() => [200, true]));
    expect(second.every(({ asked }) => asked.reusedSocket)).toBe(true);
    expect(await ended).toEqual([0, null]);
    for (const agent of agents) agent.destroy();
  });

  test('--drain-delay: so many seconds after a signal new connections are answered, while readiness says no', async () => {
    const { url, child, ended } = await serving(disk({ 'a.smk': oneTask(tinyNetwork()) }), '--drain-delay', '60');
    child.kill('SIGTERM');
    const ready = () => get(`${url}/v2/health/ready`).then(({ status }) => status);
    await expect.poll(ready, { timeout: 10_000 }).toBe(503);
    // Longer than that many milliseconds by far.
    await sleep(500);
    expect([(await post(`${url}/tasks/a/classify`, ROWS)).status, await ready()]).toEqual([200, 503]);
    child.kill('SIGTERM');
    expect(await ended).toEqual([130, null]);
  });

  test('a signal while it reads its folder ends it in good order as well', async () => {
    const preload = `
      import fs from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      const { readdir } = fs;
      fs.readdir = (...args) => {
        process.kill(process.pid, 'SIGTERM');
        return readdir(...args);
      };
      syncBuiltinESMExports();`;
    const root = disk({ 'a.smk': oneTask(tinyNetwork()) });
    const flag = `--import=data:text/javascript,${encodeURIComponent(preload)}`;
    const child = spawn(process.execPath, [flag, MAIN, 'serve', root, '--port', '0', '--poll', '0']);
    running.push(child);
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('the second signal ends it at once', async () => {
    const { url, child, ended } = await serving(disk({ 'a.smk': oneTask(tinyNetwork()) }));
    // A request whose body never comes keeps the drain waiting.
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    socket.write('POST /tasks/a/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n');
    await get(`${url}/v2/health/live`);
    child.kill('SIGTERM');
    await expect.poll(() => get(`${url}/v2/health/ready`).then(({ status }) => status), { timeout: 5000 }).toBe(503);
    expect((await get(`${url}/v2/health/live`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await ended).toEqual([130, null]);
    socket.destroy();
  });
});

describe('limits', () => {
  test('--body-limit and --drain-limit hold; wrong ones are one line', async () => {
    const { url, child, ended } = await serving(disk({ 'a.smk': oneTask(tinyNetwork()) }), '--body-limit', '1', '--drain-limit', '0.2');
    const large = await post(`${url}/tasks/a/classify`, new Uint8Array(1024 * 1024 + 4));
    expect([large.status, large.json.code]).toEqual([413, 'large-body']);
    expect((await post(`${url}/tasks/a/classify`, new Uint8Array(1024))).status).toBe(200);
    // A request whose body never comes is waited for so long and no longer.
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    socket.write('POST /tasks/a/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n');
    await get(`${url}/v2/health/live`);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    socket.destroy();
    const wrong = start(disk({ 'a.smk': oneTask(tinyNetwork()) }), '--key-rows', '0');
    expect(await once(wrong, 'exit')).toEqual([1, null]);
  });

  test.each(['example.org', 'https://example.org/', 'models'])(
    '--cors %s, which no page has as its origin, is one line',
    async (origin) => {
      const wrong = start(disk({ 'a.smk': oneTask(tinyNetwork()) }), '--cors', 'https://example.org', '*', origin);
      let err = '';
      wrong.stderr.on('data', (text) => {
        err += text;
      });
      expect(await once(wrong, 'close')).toEqual([1, null]);
      expect(err).toMatch(/^.*an origin such as https:\/\/example.org, without a path, or '\*', got '.*\n$/);
    },
  );

  test('--key-rows bounds what one key has under way', async () => {
    const files = disk({ 'a.smk': oneTask(tinyNetwork()), 'keys.json': JSON.stringify({ keys: [{ name: 'lab', sha256: hashOf('k') }] }) });
    const { url } = await serving(files, '--keys', join(files, 'keys.json'), '--key-rows', '2');
    const ask = (rows: number) => post(`${url}/tasks/a/classify`, new Uint8Array(4 * rows), { 'X-API-Key': 'k' });
    expect((await ask(2)).status).toBe(200);
    const over = await ask(3);
    expect([over.status, over.json.code, over.headers.get('retry-after')]).toEqual([413, 'over-limit', null]);
  });
});

describe('files', () => {
  test('a damaged file is named, the others are served; new ones are taken in', async () => {
    const root = disk({ 'a.smk': oneTask(tinyNetwork()), 'bad.smk': 'junk' });
    const { url, child, ended, log } = await serving(root, '--poll', '0.05');
    expect((await post(`${url}/tasks/a/classify`, ROWS)).status).toBe(200);
    const bad = await post(`${url}/tasks/bad/classify`, ROWS);
    expect([bad.status, bad.json.error]).toEqual([422, expect.stringContaining('bad.smk cannot be served')]);
    writeFileSync(join(root, 'b.tmp'), writeModel(oneTask(tinyNetwork())));
    renameSync(join(root, 'b.tmp'), join(root, 'b.smk'));
    // Four bytes a mask of 4 inputs and 3 units: decoded before anybody asks.
    const resident = async () => /^seedmask_mask_resident_bytes (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
    await expect.poll(resident, { timeout: 10_000 }).toBe('8');
    await expect.poll(() => post(`${url}/tasks/b/classify`, ROWS).then(({ status }) => status), { timeout: 10_000 }).toBe(200);
    expect(log()).toContain('bad.smk');
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  test('nothing but damaged files is one line and exit 1', async () => {
    const child = start(disk({ 'bad.smk': 'junk' }), '--log', 'silent');
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(err).toMatch(/^seedmask: .*bad.smk cannot be served: not a Seedmask model file.*\n$/);
  });
});
