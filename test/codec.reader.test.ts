// A second reader, codec/reader.py, shares no code with the first: what both say about a file is what FORMAT.md says.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { contentId, inspectModel, type Model, networkId, readModel, SeedmaskError, writeModel } from '../codec/index.js';
import { fullMask, kept, type Network, regenerate } from '../src/network.js';
import { DISTRIBUTIONS, type Distribution, DOMAIN, fillWords } from '../src/random.js';
import { corpus, LIMITS } from './attacks/corpus.js';
import { ATTACKS, plain } from './attacks/files.js';
import { Chance, mutated } from './attacks/mutate.js';
import { ARCHIVE_MODEL, FC, randomMask, SMALL_CONV, TINY, TINY_MODEL, task, WINDOWS } from './vectors/models.js';

const CODEC = fileURLToPath(new URL('../codec', import.meta.url));
const python = ['python3', '/usr/bin/python3'].find((name) => spawnSync(name, ['-c', 'import numpy']).status === 0);
const folder = mkdtempSync(join(tmpdir(), 'seedmask-reader-'));
afterAll(() => rmSync(folder, { recursive: true }));

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
function put(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}
const run = (...args: string[]) => spawnSync(python ?? 'python3', ['-B', join(CODEC, 'reader.py'), ...args], { encoding: 'utf8' });

/** Plain loops over integers: the signed constants' signs, rows of uint8 images, exact. */
function integerLogits(network: Network, mask: readonly Uint8Array[], image: Uint8Array): number[] {
  let x = Array.from(image);
  let [h, w, c] = network.input;
  const weights = regenerate(network);
  let stream = 0;
  for (const layer of network.layers) {
    if (layer.kind === 'pool') {
      const at = (y: number, z: number, k: number) => x[(y * w + z) * c + k];
      const out: number[] = [];
      for (let y = 0; y + 1 < h; y += 2) {
        for (let z = 0; z + 1 < w; z += 2) {
          for (let k = 0; k < c; k++) out.push(Math.max(at(y, z, k), at(y + 1, z, k), at(y, z + 1, k), at(y + 1, z + 1, k)));
        }
      }
      x = out;
      h = Math.floor(h / 2);
      w = Math.floor(w / 2);
      continue;
    }
    const sign = (i: number) => kept(mask[stream], i) * Math.sign(weights[stream][i]);
    const out: number[] = [];
    if (layer.kind === 'dense') {
      for (let unit = 0; unit < layer.units; unit++) out.push(x.reduce((sum, value, i) => sum + sign(unit * x.length + i) * value, 0));
      [h, w, c] = [1, 1, layer.units];
    } else {
      const { kernel = 3, padding } = layer;
      // The window of an output begins so far from it, and so many rows and columns have no output.
      const [begin, lost] = padding === 'valid' ? [0, kernel - 1] : [-Math.floor((kernel - 1) / 2), 0];
      for (let y = 0; y < h - lost; y++) {
        for (let z = 0; z < w - lost; z++) {
          for (let f = 0; f < layer.filters; f++) {
            let sum = 0;
            for (let i = 0; i < kernel * kernel; i++) {
              const v = y + Math.floor(i / kernel) + begin;
              const u = z + (i % kernel) + begin;
              if (v < 0 || v >= h || u < 0 || u >= w) continue;
              for (let k = 0; k < c; k++) sum += sign((f * kernel * kernel + i) * c + k) * x[(v * w + u) * c + k];
            }
            out.push(sum);
          }
        }
      }
      [h, w, c] = [h - lost, w - lost, layer.filters];
    }
    x = layer.activation === 'relu' ? out.map((value) => Math.max(value, 0)) : out;
    stream++;
  }
  return x;
}

describe.skipIf(!python && !process.env['CI'])('reader.py', () => {
  const agree = (name: string, model: Model, ...more: string[]) => {
    const bytes = writeModel(model, { maskOnly: more.includes('--network') });
    const bits = join(folder, `${name}.bits`);
    const { stdout, stderr, status } = run(put(`${name}.smk`, bytes), '--bits', bits, ...more);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const summary = JSON.parse(stdout);
    const info = inspectModel(bytes, {}, () => model.network);
    expect(summary.headerBytes).toBe(info.headerBytes);
    expect(summary.networkId).toBe(hex(networkId(model.network)));
    expect(summary.contentId).toBe(hex(contentId(model)));
    expect(summary.tasks).toEqual(
      info.tasks.map(({ id, scheme, payloadBytes, layers }, i) => {
        return { id, scheme, payloadBytes, kept: layers.map((l) => l.kept), logitScale: model.tasks[i].logitScale };
      }),
    );
    expect(hex(readFileSync(bits))).toBe(model.tasks.flatMap((t) => t.mask.map(hex)).join(''));
    return summary;
  };

  test.each(Object.keys(DISTRIBUTIONS) as Distribution[])('%s: same weights, same bits, same ids', (distribution) => {
    const network: Network = { ...FC, distribution };
    agree(distribution, { network, tasks: [task(randomMask(network, [0.02, 0.05, 0.3], { low: 8, high: 9 }))] });
  });

  test.each(Object.keys(DISTRIBUTIONS) as Distribution[])('%s: the weights are the same floats in the far tail too', (distribution) => {
    // 2^20 weights reach |z| > 5 about once; the check in the file covers 4,096, so the whole layer is compared here by its digest.
    const network: Network = { ...TINY, input: [1, 1, 1024], layers: [{ kind: 'dense', units: 1024, activation: 'linear' }], distribution };
    const script = `
import hashlib, sys, numpy as np
sys.path.insert(0, ${JSON.stringify(CODEC)})
import reader_weights as r
n = {"seed": ${(BigInt(network.seed.high) << 32n) | BigInt(network.seed.low)}, "distribution": ${DISTRIBUTIONS[distribution]}}
w = r.weights(n, {"sigma": np.float32(0.125), "stream": 0}, 2**20)
print(hashlib.sha256(w.astype("<f4").tobytes()).hexdigest())`;
    const { stdout, stderr } = spawnSync(python ?? 'python3', ['-B', '-c', script], { encoding: 'utf8' });
    expect(stderr).toBe('');
    const [weights] = regenerate(network);
    return crypto.subtle.digest('SHA-256', new Uint8Array(weights.buffer as ArrayBuffer)).then((digest) => {
      expect(stdout.trim()).toBe(hex(new Uint8Array(digest)));
    });
  });

  test('archives, with every column, and with pages', () => {
    agree('tiny', TINY_MODEL);
    agree('archive', ARCHIVE_MODEL);
    const tasks = Array.from({ length: 300 }, (_, i) =>
      task(randomMask(SMALL_CONV, [i / 300], { low: i, high: 0 }), {
        id: `t${1000 + i}`,
        data: i % 3 ? { dataset: 'mnist', pixelPermutation: { low: i, high: 1 }, labelPermutation: null } : null,
      }),
    );
    agree('pages', { network: SMALL_CONV, tasks });
  });

  test('every committed vector, every scheme', () => {
    const vectors = ['model-v1', 'schemes-v1', 'related-v1', 'kernels-v1', 'features-v1'].flatMap((name) =>
      JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8')),
    ) as { name: string; scheme: string; file: string; networkId: string; contentId: string; masks: string[][] }[];
    const script = `
import json, sys
sys.path.insert(0, ${JSON.stringify(CODEC)})
import reader as r
def say(file):
    network, tasks, content = r.read(bytes.fromhex(file))
    return [network["id"].hex(), content.hex(), [t["packed"].hex() for t in tasks], [t["scheme"] for t in tasks]]
print(json.dumps([say(f) for f in json.load(sys.stdin)]))`;
    const input = JSON.stringify(vectors.map((v) => v.file));
    const { stdout, stderr } = spawnSync(python ?? 'python3', ['-B', '-c', script], { encoding: 'utf8', input });
    expect(stderr).toBe('');
    // The second of three tasks is what the others lean on.
    const schemes = (v: (typeof vectors)[number]) => v.masks.map((_, i) => (v.scheme === 'related' && i === 1 ? 'context' : v.scheme));
    const expected = vectors.map((v) => [v.networkId, v.contentId, v.masks.map((m) => m.join('')), schemes(v)]);
    expect(JSON.parse(stdout)).toEqual(expected);
    expect(vectors.length).toBeGreaterThan(15);
  });

  test('a whole trained file', { timeout: 60_000 }, () => {
    const trained = readModel(readFileSync(new URL('../models/trained/mnist-tiny.smk', import.meta.url)));
    expect(agree('trained', trained).tasks[0].scheme).toBe('context');
  });

  test('masks whose network is in another file', () => {
    const other = put('network.smk', writeModel(TINY_MODEL));
    agree('masks', TINY_MODEL, '--network', other);
  });

  test('a permutation that no layer is modelled in is not made', { timeout: 30_000 }, () => {
    const network: Network = { ...SMALL_CONV, input: [8192, 8192, 1], layers: [{ kind: 'conv', filters: 2, activation: 'relu' }] };
    const data = { dataset: 'mnist', pixelPermutation: { low: 3, high: 0 }, labelPermutation: null };
    const mask = randomMask(network, [0.5], { low: 22, high: 0 });
    const bytes = writeModel({ network, tasks: [task(mask, { data })] }, { schemes: ['context'] });
    const { status, stdout } = run(put('permuted-conv.smk', bytes));
    expect([status, JSON.parse(stdout).contentId]).toEqual([0, hex(contentId(readModel(bytes)))]);
  });

  test.each([
    ['dense', FC, [0.02, 0.05, 0.3]],
    ['conv and pool', { ...SMALL_CONV, input: [28, 28, 1] as const }, [0.4]],
    ['kernels of every kind', { ...WINDOWS, input: [28, 28, 1] as const, layers: [...WINDOWS.layers, ...FC.layers.slice(2)] }, [0.1, 0.4]],
    ['packed signs', { ...FC, distribution: 'packed-signed-constant' as const }, [0.1]],
  ])('%s: the integer logits of plain loops', (name, network: Network, density) => {
    const images = new Uint8Array(16 + 3 * 784);
    images.set([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28]);
    const words = new Uint32Array(3 * 784);
    fillWords({ low: 99, high: 0 }, DOMAIN.sampling, 0, 0, words);
    words.forEach((word, i) => {
      images[16 + i] = word & 1 ? word >>> 24 : 0;
    });
    const mask = randomMask(network, density, { low: 21, high: 0 });
    const idx = put('images.idx.gz', gzipSync(images));
    const summary = agree(name.replaceAll(' ', '-'), { network, tasks: [task(mask)] }, '--logits', idx, '3');
    const expected = [0, 1, 2].map((row) => integerLogits(network, mask, images.subarray(16 + row * 784, 16 + (row + 1) * 784)));
    expect(summary.logits).toEqual(expected);
    expect(new Set(expected.flat()).size).toBeGreaterThan(5);
  });

  test('wrong turns of its command are one line', () => {
    const model = put('turns.smk', plain());
    const short = put('short.idx', new Uint8Array(10));
    const turns: [RegExp, ...string[]][] = [
      [/no such task/, model, '--logits', short, '1', '--task', '1'],
      [/not an IDX file/, model, '--logits', short, '1'],
      [/no such number of images/, model, '--logits', short, 'ten'],
      [/no such number of images/, model, '--logits', short, '-1'],
      [/not an IDX file/, model, '--logits', put('cut.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)), '1'],
      [/not a Seedmask model file/, put('packed.smk', gzipSync(plain()))],
      [/not a Seedmask model file/, model, '--network', put('network.gz', gzipSync(plain()))],
      [/No such file/, 'nothing.smk'],
      [/24 weights of all tasks and their bases, the limit is 23: set --max-weights higher/, model, '--max-weights', '23'],
    ];
    for (const [line, ...words] of turns) {
      const { status, stdout, stderr } = run(...words);
      expect([status, stdout, stderr.trimEnd()]).toEqual([1, '', expect.stringMatching(line)]);
      expect(stderr.trimEnd()).not.toContain('\n');
    }
  });

  test('more weights than by default are read when asked for', () => {
    const wide: Network = { ...TINY, input: [1, 1, 2 ** 14], layers: [{ kind: 'dense', units: 2 ** 11, activation: 'linear' }] };
    const tasks = Array.from({ length: 9 }, (_, i) => task(fullMask(wide, false), { id: `t${i}`, labels: ['a'] }));
    const file = put('nine.smk', writeModel({ network: wide, tasks }, { schemes: ['raw'] }));
    expect(run(file).stderr).toMatch(/301989888 weights of all tasks and their bases, the limit is 268435456: set --max-weights higher/);
    const { stdout, stderr } = run(file, '--max-weights', String(2 ** 29));
    expect([stderr, JSON.parse(stdout).tasks.length]).toEqual(['', 9]);
  });

  test('files larger than the limit are refused', () => {
    const script = `
import sys
sys.path.insert(0, ${JSON.stringify(CODEC)})
import reader as r
r.MAX_FILE = ${plain().length - 1}
for step in [lambda: r.load(sys.argv[1]), lambda: r.read(open(sys.argv[1], "rb").read())]:
    try: step()
    except r.Bad as error: print(error)`;
    const { stdout } = spawnSync(python ?? 'python3', ['-B', '-c', script, put('large.smk', plain())], { encoding: 'utf8' });
    expect(stdout).toBe(`larger than ${plain().length - 1} bytes\n`.repeat(2));
  });

  test('logits that are no integer program are refused, not made up', () => {
    const images = put('four.idx', Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 9, 8, 7, 6]));
    const deep = Array.from({ length: 9 }, () => ({ kind: 'dense', units: 200, activation: 'relu' }) as const);
    const cases: [RegExp, number, Network['layers']][] = [
      // A relu does not commute with a factor below 0, and a factor of 0 leaves nothing.
      [/scale > 0/, -0.5, deep.slice(0, 2)],
      [/scale > 0/, 0, deep.slice(0, 2)],
      [/leave 64 bits/, 1, deep],
    ];
    for (const [line, scale, layers] of cases) {
      const network: Network = { ...FC, input: [2, 2, 1], layers };
      const tasks = [task(fullMask(network, true), { transform: { scale, mean: 0, constant: null } })];
      const { status, stdout, stderr } = run(put('no.smk', writeModel({ network, tasks })), '--logits', images, '1');
      expect([status, stdout, stderr.trimEnd()]).toEqual([1, '', expect.stringMatching(line)]);
    }
  });

  test('refuses every attack in one line, and reads the file they start from', () => {
    // One process for all of them: starting Python a hundred times is what would take long.
    const paths = [plain(), ...ATTACKS.map(([, , bytes]) => bytes)].map((bytes, i) => put(`attack-${i}.smk`, bytes));
    const script = `
import json, sys
sys.path.insert(0, ${JSON.stringify(CODEC)})
import reader as r
def verdict(path):
    try:
        r.read(open(path, "rb").read()); return "ok"
    except r.REFUSED: return "refused"
print(json.dumps([verdict(p) for p in json.load(sys.stdin)]))`;
    const { stdout, stderr } = spawnSync(python ?? 'python3', ['-B', '-c', script], { encoding: 'utf8', input: JSON.stringify(paths) });
    expect(stderr).toBe('');
    const [first, ...verdicts]: string[] = JSON.parse(stdout);
    expect(first).toBe('ok');
    expect(ATTACKS.filter((_, i) => verdicts[i] !== 'refused').map(([code, what]) => `${code}: ${what}`)).toEqual([]);
  });

  test('800 files that are nearly right: the same model as the first reader, or refused by both', { timeout: 60_000 }, () => {
    const cases: { file: string; said: string }[] = [];
    for (let n = 0; cases.length < 800; n++) {
      const bytes = mutated(corpus, new Chance(2606, n));
      let said = 'refused';
      try {
        said = hex(contentId(readModel(bytes, LIMITS, () => TINY)));
      } catch (error) {
        if (!(error instanceof SeedmaskError)) throw error;
        // The second reader has limits of its own, far above these.
        if (error.code === 'over-limit') continue;
      }
      cases.push({ file: hex(bytes), said });
    }
    const script = `
import json, sys
sys.path.insert(0, ${JSON.stringify(CODEC)})
import reader as r
network, *files = json.load(sys.stdin)
network = r.read(bytes.fromhex(network))[0]
def verdict(file):
    try: return r.read(bytes.fromhex(file), network)[2].hex()
    except r.REFUSED: return "refused"
print(json.dumps([verdict(f) for f in files]))`;
    const input = JSON.stringify([hex(writeModel(TINY_MODEL)), ...cases.map(({ file }) => file)]);
    const { stdout, stderr } = spawnSync(python ?? 'python3', ['-B', '-c', script], { encoding: 'utf8', input, maxBuffer: 1e8 });
    expect(stderr).toBe('');
    const verdicts: string[] = JSON.parse(stdout);
    expect(cases.filter(({ said }, i) => said !== verdicts[i]).map(({ file, said }) => `${said}: ${file.slice(0, 400)}`)).toEqual([]);
    expect(cases.filter(({ said }) => said !== 'refused').length).toBeGreaterThan(100);
  });
});
