// The server as a stranger's client meets it: test/oip_client.py is written from the protocol alone, with numpy as the judge of bytes;
// curl says what a person at a shell would see.

import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PIXELS_TRANSFORM } from '../codec/index.js';
import type { Listening } from '../server/index.js';
import { get, oneTask, PYTHON, post, sampleStore, serve, tinyNetwork } from './server.material.js';

const run = promisify(execFile);
const CURL = spawnSync('curl', ['--version']).status === 0;

let server: Listening;
beforeAll(async () => {
  server = await serve({ store: await sampleStore(), release: '1.2.3' });
});
afterAll(() => server.close());

test.skipIf(!PYTHON && !process.env['CI'])(
  'a client in Python, binary and JSON, gets the same bits in every way there is',
  async () => {
    const { stdout } = await run(PYTHON ?? 'python3', [join(import.meta.dirname, 'oip_client.py'), server.url, 'digits']);
    const seen = JSON.parse(stdout);
    expect(seen.server).toMatchObject({ name: 'seedmask', version: '1.2.3' });
    expect([seen.live, seen.ready, seen.modelReady]).toEqual([
      { live: true },
      { live: true, ready: true },
      { name: 'digits', ready: true },
    ]);
    expect(seen.index.map((entry: { name: string }) => entry.name)).toEqual(['colour', 'digits', 'tiny', 'tiny']);
    expect(seen.same).toEqual(['binary FP32', 'JSON UINT8', 'JSON FP32', 'gzip', 'version', 'raw']);
    const { predictions } = (await post(`${server.url}/tasks/digits/classify`, { instances: seen.pixels })).json;
    expect(seen.probabilities).toEqual(predictions.map((p: { probabilities: number[] }) => p.probabilities));
    expect(seen.labels).toEqual(predictions.map((p: { label: string }) => p.label));
    expect(seen.best.map(([first]: string[]) => first.split(':')[2])).toEqual(seen.labels);
    expect(Object.keys(seen.refused)).toEqual(['FP64', 'shape', 'model', 'deadline', 'load']);
    expect(seen.refused.FP64).toContain('/inputs/0/datatype must be FP32 or UINT8');
    expect(seen.refused.shape).toContain('Add the batch dimension: shape [1, 784]');
    expect(seen.refused.load).toContain('this server has no admin key');
    // Seven ways of 5 rows each, and the two best of 5.
    expect(seen.statistics).toBe(40);
  },
  30_000,
);

test.skipIf(!PYTHON && !process.env['CI'])('client/client.py asks which task images are for', async () => {
  const twin = oneTask(
    tinyNetwork([28, 28, 1], 10),
    Array.from({ length: 10 }, (_, i) => String(i)),
    { logitScale: 2 },
  );
  const twins = await serve({ store: await sampleStore({ 'twin.smk': twin }) });
  const { networks } = (await get(`${twins.url}/networks`)).json;
  const { id } = networks.find(({ tasks }: { tasks: number }) => tasks === 2);
  const program = `
import json, sys, numpy
from client import Client
images = (numpy.arange(2 * 784) % 251).astype(numpy.uint8).reshape(2, 784)
client = Client(sys.argv[1])
ask = lambda rows, **query: client.infer_task(sys.argv[2], rows, **query)
drawn = [ask(rows)["confidence"] for rows in [images > 128, (images > 128).astype("u1"), (images > 128).reshape(2, 28, 28)]]
print(json.dumps([ask(images), ask(images, method="binary", tasks=["digits", "twin"]), ask(images, tasks="digits,twin"), drawn]))`;
  const cwd = join(import.meta.dirname, '../client');
  const { stdout } = await run(PYTHON ?? 'python3', ['-c', program, twins.url, id], { cwd });
  const pixels = Uint8Array.from({ length: 2 * 784 }, (_, i) => i % 251);
  const { json } = await post(`${twins.url}/networks/${id}/infer-task`, pixels, { 'Content-Type': 'application/octet-stream' });
  const [every, binary, text, drawn] = JSON.parse(stdout);
  // Truth values and rows of any shape are their bytes, as in classify.
  expect(new Set(drawn).size).toBe(1);
  expect({ ...every, cost: { ...every.cost, milliseconds: 0 } }).toEqual({ ...json, cost: { ...json.cost, milliseconds: 0 } });
  expect(binary.cost).toMatchObject({ tasks: 2, passes: 1, rows: 2 });
  expect(text.cost).toMatchObject({ tasks: 2, rows: 2 });
  await twins.close();
});

test.skipIf(!PYTHON && !process.env['CI'])(
  'client/client.py sends numbers to tasks over numbers, and no pixels that are none',
  async () => {
    const network = tinyNetwork([1, 1, 4], 3);
    const of = (low: number) => ({ low: new Float32Array(4).fill(low), scale: new Float32Array(4).fill(16) });
    const numbers = (low: number) => oneTask(network, undefined, { transform: { ...PIXELS_TRANSFORM, features: of(low) } });
    const at = await serve({ store: await sampleStore({ 'flowers.smk': numbers(-1), 'leaves.smk': numbers(2) }) });
    const rows = Array.from({ length: 4 }, (_, i) => [i, -0.42, 5.5, 300]);
    const { networks } = (await get(`${at.url}/networks`)).json;
    const { id } = networks.find(({ input }: { input: number[] }) => input[2] === 4);
    const program = `
import json, sys, numpy
from client import Client
client = Client(sys.argv[1])
def refusal(call, task, rows):
    try:
        call(task, rows)
    except ValueError as error:
        return str(error)
rows = numpy.array(json.loads(sys.argv[3]))
answers = [call("flowers", given) for call in [client.classify, client.infer] for given in [rows, rows.astype(">f4"), rows.tolist()]]
print(json.dumps({
    "same": [[labels, probabilities.tolist()] == [answers[0][0], answers[0][1].tolist()] for labels, probabilities in answers],
    "labels": answers[0][0],
    "probabilities": answers[0][1].tolist(),
    "guess": client.infer_task(sys.argv[2], rows),
    "floats": client.classify("tiny", numpy.array([[0.0, 255.0, 10.0, 3.0]]))[0],
    "refused": [refusal(call, "tiny", given) for call in [client.classify, client.infer] for given in [rows, [[0, 300, 0, 0]], [[float("nan")] * 4]]],
}))`;
    const cwd = join(import.meta.dirname, '../client');
    const { stdout, stderr } = await run(PYTHON ?? 'python3', ['-c', program, at.url, id, JSON.stringify(rows)], { cwd });
    expect(stderr).toBe('');
    const seen = JSON.parse(stdout);
    const { predictions } = (await post(`${at.url}/tasks/flowers/classify`, { instances: rows })).json;
    expect(seen.same).toEqual(Array(6).fill(true));
    expect(seen.labels).toEqual(predictions.map(({ label }: { label: string }) => label));
    expect(seen.probabilities).toEqual(predictions.map((p: { probabilities: number[] }) => p.probabilities.map(Math.fround)));
    const guess = (await post(`${at.url}/networks/${id}/infer-task`, { instances: rows })).json;
    expect(seen.guess.tasks).toEqual(guess.tasks);
    const row = (await post(`${at.url}/tasks/tiny/classify`, { instances: [[0, 255, 10, 3]] })).json;
    expect(seen.floats).toEqual([row.predictions[0].label]);
    const lines = ['-0.42 at [0, 1]', '300 at [0, 1]', 'nan at [0, 0]'].map(
      (got) => `pixels must be whole numbers from 0 to 255, not scaled, got ${got}`,
    );
    expect(seen.refused).toEqual([...lines, ...lines]);
    const file = join(mkdtempSync(join(tmpdir(), 'seedmask-')), 'rows.f32');
    writeFileSync(file, new Uint8Array(Float32Array.from(rows.flat()).buffer));
    const command = await run(PYTHON ?? 'python3', [join(cwd, 'client.py'), at.url, 'flowers', file]);
    expect(JSON.parse(command.stdout)).toMatchObject({ labels: seen.labels, same: true });
    rmSync(join(file, '..'), { recursive: true });
    await at.close();
  },
  60_000,
);

test.skipIf(!PYTHON && !process.env['CI'])(
  'client/client.py, by our own route and by v2, gets the same bits, and one line when it does not',
  async () => {
    const pixels = Buffer.from(Array.from({ length: 3 * 784 }, (_, i) => (i * 37) % 256));
    const file = join(mkdtempSync(join(tmpdir(), 'seedmask-')), 'images.raw');
    writeFileSync(file, pixels);
    const client = join(import.meta.dirname, '../client/client.py');
    const { stdout } = await run(PYTHON ?? 'python3', [client, server.url, 'digits', file]);
    const { predictions } = (await post(`${server.url}/tasks/digits/classify`, pixels)).json;
    expect(JSON.parse(stdout)).toEqual({
      labels: predictions.map(({ label }: { label: string }) => label),
      probabilities: predictions[0].probabilities.map(Math.fround),
      same: true,
    });
    const other = createServer((_, res) => void res.end('<html>')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const stranger = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const short = join(file, '../short.raw');
    writeFileSync(short, pixels.subarray(1));
    const mistakes: [string[], RegExp][] = [
      [[], /^usage: client\.py URL TASK FILE, such as .*\n$/],
      [[server.url.slice('http://'.length), 'digits', file], /^client\.py: the URL must be http:\/\/ or https:\/\/ with a host\n$/],
      [['http://localhost:x', 'digits', file], /^client\.py: Port could not be cast to integer value as 'x'\n$/],
      [[server.url, 'digit', file], /^client\.py: no task named digit\. Did you mean digits.*\n$/],
      [[server.url, 'digits', `${file}.gone`], /^client\.py: .*No such file or directory: '.*images\.raw\.gone'\n$/],
      [[server.url, 'digits', short], /^client\.py: .*short\.raw must hold rows of 784 bytes each, got 2351 bytes\n$/],
      [['http://127.0.0.1:1', 'digits', file], /^client\.py: no answer from 127\.0\.0\.1:1: .*refused\n$/],
      [[stranger, 'digits', file], /^client\.py: http:\/\/127.* does not answer as Seedmask does\n$/],
    ];
    await Promise.all(
      mistakes.map(([words, line]) =>
        expect(run(PYTHON ?? 'python3', [client, ...words])).rejects.toMatchObject({
          code: 1,
          stdout: '',
          stderr: expect.stringMatching(line),
        }),
      ),
    );
    other.close();
    rmSync(join(file, '..'), { recursive: true });
  },
  60_000,
);

test.skipIf(!PYTHON && !process.env['CI'])(
  'client/client.py takes what a proxy says for no answer of the server, and never waits long',
  async () => {
    const answers: Record<string, [number, Record<string, string>, string]> = {
      '/date': [503, { 'Retry-After': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 'busy'],
      '/long': [503, { 'Retry-After': '86400' }, '{"error": "come back tomorrow"}'],
      '/list': [404, { 'Content-Type': 'application/json' }, '[1]'],
      '/null': [200, { 'Content-Type': 'application/json' }, 'null'],
    };
    const proxy = createServer((req, res) => {
      const [status, headers, text] = answers[`/${req.url?.split('/')[1]}`];
      req.resume().on('end', () => res.writeHead(status, headers).end(text));
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const program = `
import json, sys, numpy
from client import Client
said = {}
for name in ["date", "long", "list", "null"]:
    client = Client(f"{sys.argv[1]}/{name}", tries=2)
    image = numpy.zeros((1, 4), numpy.uint8)
    for call in [client.classify, client.infer, client.infer_task]:
        try:
            call("tiny", image)
        except Exception as error:
            said.setdefault(name, []).append(f"{type(error).__name__}: {error}")
print(json.dumps(said))`;
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const { stdout } = await run(PYTHON ?? 'python3', ['-c', program, url], { cwd: join(import.meta.dirname, '../client') });
    const thrice = (line: string) => [line, line, line];
    expect(JSON.parse(stdout)).toEqual({
      date: thrice('Refused: HTTP 503, without a reason'),
      long: thrice('Refused: come back tomorrow'),
      list: thrice('Refused: HTTP 404, without a reason'),
      null: thrice(`ValueError: ${url}/null does not answer as Seedmask does`),
    });
    proxy.close();
  },
  60_000,
);

test.skipIf(!PYTHON && !process.env['CI'])(
  'client/client.py asks for no path but the one of a name, at least once, and shows no secret: as the client in TypeScript',
  async () => {
    const program = `
import json, sys, numpy
import client
def said(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
asked, image = client.Client(sys.argv[1]), numpy.zeros((1, 4), numpy.uint8)
calls = [asked.classify, asked.infer, asked.infer_task]
names = ["", ".", "..", "tiny/versions/1"]
print(json.dumps([[said(lambda: call(name, image)) for name in names] for call in calls] + [said(lambda: client.Client(sys.argv[1], tries=0))]))
host = sys.argv[1].split("//")[1]
made = [lambda: client.Client("http://me:secret@" + host)] + [lambda key=key: client.Client(sys.argv[1], key) for key in ["a secret", "secr\\u00e9t"]]
print(json.dumps([[said(call) for call in made], client.Client(sys.argv[1], "key\\n").classify("tiny", image)[0]]))`;
    const { stdout } = await run(PYTHON ?? 'python3', ['-c', program, server.url], { cwd: join(import.meta.dirname, '../client') });
    const refused = (what: string) => ['', '.', '..'].map((name) => `ValueError: ${what} must be a name, got '${name}'`);
    // Were its slashes part of the path, that of metadata would be found.
    const task = [...refused('task'), expect.stringMatching(/^Refused: no task named tiny\/versions\/1\./)];
    const network = [...refused('network'), expect.stringMatching(/^Refused: no network with the id tiny\/versions\/1\./)];
    const [paths, secrets] = stdout.trim().split('\n');
    expect(JSON.parse(paths)).toEqual([task, task, network, 'ValueError: tries must be 1 or more, got 0']);
    const key = 'ValueError: the key must be of visible ASCII characters alone';
    const lines = ['ValueError: the URL must be without a name and password; an API key goes into key', key, key];
    const { predictions } = (await post(`${server.url}/tasks/tiny/classify`, { instances: [[0, 0, 0, 0]] })).json;
    expect(JSON.parse(secrets)).toEqual([lines, [predictions[0].label]]);
  },
  60_000,
);

test.skipIf(!CURL && !process.env['CI'])(
  'curl: form headers, HTTP/1.0, chunks, Expect: 100-continue, compressed answers, a resumed file',
  async () => {
    const curl = async (...words: string[]) => (await run('curl', ['-sS', ...words])).stdout;
    const url = `${server.url}/tasks/tiny/classify`;
    const want = (await post(url, { instances: [[0, 255, 10, 3]] })).json;
    const body = '{"instances":[[0,255,10,3]]}';
    const ways = [
      ['-d', body],
      ['--http1.0', '-d', body],
      ['-H', 'Expect: 100-continue', '-d', body],
      ['-H', 'Transfer-Encoding: chunked', '-d', body],
      ['-H', 'Content-Type:', '-d', body],
      ['--compressed', '-d', body],
    ];
    for (const way of ways) expect(JSON.parse(await curl(...way, url)), way.join(' ')).toEqual(want);
    expect(await curl('-o', '/dev/null', '-w', '%{http_code} %{content_type}', '-r', '0-9', `${server.url}/tasks/tiny/mask`)).toBe(
      '206 application/octet-stream',
    );
    expect(await curl('-o', '/dev/null', '-w', '%{http_code}', '-I', `${server.url}/tasks/tiny/mask`)).toBe('200');
  },
  30_000,
);
