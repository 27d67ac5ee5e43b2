// One task out of many without reading the rest: how many reads it takes, that it is the task a whole read gives, and that what is
// read is checked. Then files that hold only a network or only masks.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readStandAlone } from '../codec/container.js';
import {
  contentId,
  inspectModel,
  type Model,
  networkId,
  openArchive,
  type RangeRead,
  readModel,
  readPacked,
  SeedmaskError,
  type Task,
  verifyModel,
  writeModel,
  writePacked,
} from '../codec/index.js';
import { encode } from '../codec/msgpack.js';
import { fullMask, type Network } from '../src/network.js';
import { ATTACKS, MASK_ONLY_ATTACKS, MASKED, seal } from './attacks/files.js';
import { leaveOut, runs } from './codec.effort.js';
import {
  ARCHIVE_MODEL,
  alteredMask,
  RELATED_MODEL,
  RELATED_PACKED_MODEL,
  randomMask,
  SMALL_CONV,
  TINY,
  TINY_MODEL,
  task,
} from './vectors/models.js';

const READER = fileURLToPath(new URL('../codec/reader.py', import.meta.url));
const python = ['python3', '/usr/bin/python3'].find((name) => spawnSync(name, ['-c', 'import numpy']).status === 0);

const idOf = (i: number) => `t${String(i).padStart(5, '0')}`;
const many = (n: number): Model => ({
  network: SMALL_CONV,
  tasks: Array.from({ length: n }, (_, i) =>
    task(randomMask(SMALL_CONV, [0.2], { low: i, high: 1 }), {
      id: idOf(i),
      data: { dataset: 'mnist', pixelPermutation: { low: i, high: 5 }, labelPermutation: null },
      logitScale: 0.5 + i / 4096,
    }),
  ),
});
const SIZES = [1, 2, 257, 1000] as const;
const ARCHIVES = new Map(SIZES.map((n) => [n, many(n)]));
const archive = (n: (typeof SIZES)[number]): Model => ARCHIVES.get(n) as Model;

/** Ranges of bytes in memory, as a file gives them: fewer bytes at its end. */
function ranges(bytes: Uint8Array): { read: RangeRead; reads: [offset: number, length: number][] } {
  const reads: [number, number][] = [];
  const read: RangeRead = async (offset, length) => {
    reads.push([offset, length]);
    return bytes.slice(offset, offset + length);
  };
  return { read, reads };
}

const code = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (error instanceof SeedmaskError) return error.code;
    throw error;
  }
};

describe('one task', () => {
  test.each(SIZES)('of %i: by place and by id, the one that a whole read gives', async (n) => {
    const model = archive(n);
    const bytes = writeModel(model);
    const { read } = ranges(bytes);
    const opened = await openArchive(read, { fileBytes: bytes.length });
    expect([opened.tasks, opened.network]).toEqual([n, SMALL_CONV]);
    const ids = model.tasks.map((t) => t.id);
    const heads = async (...range: number[]) => (await opened.heads(...range)).map((head) => head.id);
    expect(await heads()).toEqual(ids);
    for (const [first, count] of [
      [0, 3],
      [2, 5],
      [250, 4],
      [255, 2],
      [0, 2000],
      [n - 1, 1000],
      [n, 5],
    ]) {
      expect(await heads(first, count), `${count} from ${first}`).toEqual(ids.slice(first, first + count));
    }
    for (const i of [0, 1, 254, 255, 256, 257, 511, 998, 999].filter((i) => i < n)) {
      expect(await opened.task(i)).toEqual(model.tasks[i]);
      expect(await opened.task(idOf(i))).toEqual(model.tasks[i]);
      expect(await opened.find(idOf(i))).toBe(i);
      const { payload, ...head } = await opened.packedTask(i);
      expect(writePacked({ network: opened.network, tasks: [{ ...head, payload }] })).toEqual(
        writeModel({ ...model, tasks: [model.tasks[i]] }),
      );
    }
    for (const missing of ['a', 'z', `${idOf(0)}x`, '']) expect(await opened.find(missing)).toBe(-1);
    for (const wrong of [-1, n, 0.5, Number.NaN, 'zebra']) expect(await code(opened.task(wrong))).toBe('bad-task');
  });

  test('of 1,000 takes one read to open, two by place and at most four by id; pages are kept', async () => {
    const bytes = writeModel(archive(1000));
    for (const i of [0, 255, 256, 511, 512, 700, 999]) {
      const { read, reads } = ranges(bytes);
      const opened = await openArchive(read);
      expect(reads).toEqual([[0, 4096]]);
      await opened.task(i);
      expect(reads.length).toBe(3);
      const again = ranges(bytes);
      await (await openArchive(again.read)).task(idOf(i));
      expect(again.reads.length).toBeLessThanOrEqual(1 + 4);
      reads.length = 0;
      await opened.task(i);
      expect(reads.length).toBe(1);
    }
  });

  test('of 40 small ones takes no read beyond the first', async () => {
    const bytes = writeModel(many(40));
    expect(bytes.length).toBeLessThan(4096);
    const { read, reads } = ranges(bytes);
    const opened = await openArchive(read);
    await opened.task(idOf(39));
    expect(reads).toEqual([[0, 4096]]);
  });

  test('reads its page and its payload, to the byte', async () => {
    const bytes = writeModel(archive(1000));
    const { read, reads } = ranges(bytes);
    const opened = await openArchive(read);
    const { payload } = await opened.packedTask(600);
    const info = inspectModel(bytes);
    const width = (info.headerBytes - new DataView(bytes.buffer).getUint32(8, true) - 16 - 4 * 10) / 1000;
    expect(reads.slice(1).map(([, length]) => length)).toEqual([256 * width, payload.length]);
    const at = bytes.length - info.tasks.slice(600).reduce((sum, t) => sum + t.payloadBytes, 0);
    expect(reads[2][0]).toBe(at);
  });

  test('over HTTP, with requests that ask for ranges', async () => {
    const bytes = writeModel(archive(257));
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      asked.push(`${from}-${to}`);
      response.writeHead(206).end(bytes.subarray(Number(from), Number(to) + 1));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const opened = await openArchive(async (offset, length) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { range: `bytes=${offset}-${offset + length - 1}` } });
      return new Uint8Array(await response.arrayBuffer());
    });
    expect(await opened.task(256)).toEqual(archive(257).tasks[256]);
    expect(asked).toHaveLength(3);
    expect(asked[0]).toBe('0-4095');
    server.close();
    server.closeAllConnections();
  });

  test.skipIf(leaveOut)('many at once are each right', async () => {
    const { read } = ranges(writeModel(archive(1000)));
    const opened = await openArchive(read);
    const places = Array.from({ length: 60 }, (_, i) => (i * 167) % 1000);
    const tasks = await Promise.all(places.map((i) => opened.task(i)));
    expect(tasks.map((t) => t.id)).toEqual(places.map(idOf));
  });

  test('a page that could not be read is asked for again', async () => {
    const bytes = writeModel(archive(257));
    let down = false;
    const opened = await openArchive(async (offset, length) => {
      if (down) throw new Error('connection reset');
      return bytes.slice(offset, offset + length);
    });
    down = true;
    await expect(opened.task(3)).rejects.toThrow('connection reset');
    down = false;
    expect((await opened.task(3)).id).toBe(idOf(3));
  });

  test('a header longer than the first read comes with a second one', async () => {
    const labels = Array.from({ length: 11 }, (_, i) => `${'long label '.repeat(20)}${i}`);
    const tasks = Array.from({ length: 3 }, (_, i) =>
      task(randomMask(SMALL_CONV, [0.2], { low: i, high: 1 }), { id: idOf(i), labels: labels.map((l) => `${l}.${i}`) }),
    );
    const bytes = writeModel({ network: SMALL_CONV, tasks });
    expect(new DataView(bytes.buffer).getUint32(8, true)).toBeGreaterThan(4096);
    const { read, reads } = ranges(bytes);
    const opened = await openArchive(read, { fileBytes: bytes.length });
    expect(reads).toHaveLength(2);
    expect(await opened.task(2)).toEqual(tasks[2]);
  });
});

describe('what is read is checked', () => {
  const limits = { maxFileBytes: 1e6 };
  const touch = async (bytes: Uint8Array, which: number | string = 0, fileBytes: number | undefined = bytes.length) =>
    (await openArchive(ranges(bytes).read, { limits, fileBytes })).task(which);

  test('every attack that the first task can show is refused with the code of a whole read', async () => {
    // Seen by a whole read alone: entries and columns that no task uses, ids wider than the longest, damage in another task's record.
    const unseen = /that nothing uses|that nothing needs|ids wider|an index byte differs|leans on itself$|with the base of one/;
    const seen = ATTACKS.filter(([, what]) => !unseen.test(what));
    expect(seen.length).toBe(ATTACKS.length - 6);
    for (const [expected, what, bytes] of seen) expect(await code(touch(bytes)), what).toBe(expected);
    const [, , short] = ATTACKS.find(([, what]) => what === 'payloads too short for the counts of their layers')!;
    await expect(touch(short)).rejects.toThrow(/the index and the shortest payloads needs/);
  });

  test('every flipped bit of what one task needs is refused, and of other payloads goes unseen', async () => {
    const model = ARCHIVE_MODEL;
    const bytes = writeModel(model);
    const info = inspectModel(bytes);
    const [first, second] = info.tasks.map((t) => t.payloadBytes);
    for (let i = 0; i < bytes.length * 8; i++) {
      const damaged = bytes.slice();
      damaged[i >> 3] ^= 1 << (i & 7);
      const at = i >> 3;
      const found = await code(touch(damaged, 1));
      const mine = at >= info.headerBytes + first && at < info.headerBytes + first + second;
      if (at < 16 + new DataView(bytes.buffer).getUint32(8, true) || mine) expect(found, `bit ${i}`).not.toBe('ok');
      else if (at >= info.headerBytes) expect(found, `bit ${i}`).toBe('ok');
    }
  });

  test.skipIf(leaveOut)('every truncation is refused where it is met', async () => {
    const bytes = writeModel(many(300));
    for (let n = 0; n < bytes.length; n += 7) {
      expect(await code(touch(bytes.subarray(0, n), 299)), `${n} bytes`).toBe('truncated');
      const inside = await code(touch(bytes.subarray(0, n), 299, undefined));
      expect(inside, `${n} bytes, size unknown`).toBe('truncated');
    }
    expect(await code(touch(Uint8Array.from([...bytes, 0])))).toBe('trailing-bytes');
    expect(await code(touch(bytes, 0, bytes.length + 1))).toBe('trailing-bytes');
  });

  test('a flipped bit of the page table, or of the page that is read, is refused', async () => {
    const bytes = writeModel(many(300));
    const table = 16 + new DataView(bytes.buffer).getUint32(8, true);
    const index = table + 20;
    for (let i = table * 8; i < (index + 100) * 8; i++) {
      const damaged = bytes.slice();
      damaged[i >> 3] ^= 1 << (i & 7);
      expect(['bad-header', 'bad-checksum', 'truncated', 'trailing-bytes', 'over-limit'], `bit ${i}`).toContain(
        await code(touch(damaged, i < (table + 10) * 8 || i >= index * 8 ? 0 : 299)),
      );
    }
  });

  test('one mask is held against the limits, not all of them', async () => {
    const bytes = writeModel(archive(257));
    const weights = SMALL_CONV.layers.length && inspectModel(bytes).tasks[0].layers.reduce((sum, l) => sum + l.weights, 0);
    for (const limit of ['maxWeights', 'maxMaskWeights'] as const) {
      const open = (most: number) => openArchive(ranges(bytes).read, { limits: { [limit]: most } });
      expect((await (await open(weights)).task(0)).id).toBe(idOf(0));
      expect(await code(open(weights - 1))).toBe('over-limit');
    }
    expect(await code(openArchive(ranges(bytes).read, { limits: { maxTasks: 256 } }))).toBe('over-limit');
    expect(await code(openArchive(ranges(bytes).read, { limits: { maxFileBytes: bytes.length - 1 } }))).toBe('over-limit');
  });

  test('a reader that gives too much is cut, one that gives too little is refused', async () => {
    const bytes = writeModel(archive(257));
    const more = await openArchive(async (offset) => bytes.slice(offset));
    expect((await more.task(256)).id).toBe(idOf(256));
    const less = await openArchive(async (offset, length) => bytes.slice(offset, offset + length - (offset ? 1 : 0)));
    await expect(less.task(256)).rejects.toMatchObject({ code: 'truncated' });
  });
});

describe('network-only files', () => {
  const bytes = writeModel({ network: SMALL_CONV, tasks: [] });

  test('are a prefix and the network, whose id is the hash of the header', () => {
    expect(readModel(bytes)).toEqual({ network: SMALL_CONV, tasks: [] });
    expect(inspectModel(bytes)).toMatchObject({ fileBytes: bytes.length, headerBytes: bytes.length, tasks: [] });
    const id = createHash('sha256').update('seedmask network 1\n').update(bytes.subarray(16)).digest('hex');
    expect(Buffer.from(networkId(SMALL_CONV)).toString('hex')).toBe(id);
    expect(bytes.length).toBeLessThanOrEqual(64);
    expect(verifyModel(bytes)).toMatchObject({ tasks: 0, contentId: contentId({ network: SMALL_CONV, tasks: [] }) });
  });

  test('every truncation and every flipped bit is refused', () => {
    for (let n = 0; n < bytes.length; n++) expect(() => readModel(bytes.slice(0, n))).toThrow(SeedmaskError);
    expect(() => readModel(Uint8Array.from([...bytes, 0]))).toThrow(/lengths add up/);
    for (let i = 0; i < bytes.length * 8; i++) {
      const damaged = bytes.slice();
      damaged[i >> 3] ^= 1 << (i & 7);
      expect(() => readModel(damaged), `bit ${i}`).toThrow(SeedmaskError);
    }
  });

  test.skipIf((!python && !process.env['CI']) || leaveOut)('are read by the second reader, with the same ids', () => {
    const folder = mkdtempSync(join(tmpdir(), 'seedmask-network-'));
    writeFileSync(join(folder, 'network.smk'), bytes);
    const { stdout, stderr } = spawnSync(python ?? 'python3', ['-B', READER, join(folder, 'network.smk')], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      fileBytes: bytes.length,
      networkId: Buffer.from(networkId(SMALL_CONV)).toString('hex'),
      contentId: Buffer.from(inspectModel(bytes).contentId).toString('hex'),
      tasks: [],
    });
  });

  test('open with one read and hold no task', async () => {
    const { read, reads } = ranges(bytes);
    const opened = await openArchive(read, { fileBytes: bytes.length });
    expect([opened.tasks, await opened.heads(), await opened.find('a'), reads.length]).toEqual([0, [], -1, 1]);
    expect(await code(opened.task(0))).toBe('bad-task');
    expect(await code(openArchive(read, { fileBytes: bytes.length + 1 }))).toBe('trailing-bytes');
  });
});

describe('mask-only files', () => {
  const packed = readPacked(writeModel(ARCHIVE_MODEL));
  const bytes = writePacked(packed, { maskOnly: true });

  test('name their network and are the same content', async () => {
    const model = readModel(bytes, {}, () => TINY);
    expect(model).toEqual(ARCHIVE_MODEL);
    expect(contentId(model)).toEqual(contentId(ARCHIVE_MODEL));
    expect(writeModel(model, { maskOnly: true })).toEqual(bytes);
    for (const read of [inspectModel, verifyModel])
      expect([bytes, writeModel(model)].map((file) => read(file, {}, () => TINY).maskOnly)).toEqual([true, false]);
    const opened = await openArchive(ranges(bytes).read, { networks: async () => TINY });
    expect(await opened.task('a.b')).toEqual(ARCHIVE_MODEL.tasks[1]);
    expect(writePacked(readPacked(bytes, {}, () => TINY))).toEqual(writeModel(ARCHIVE_MODEL));
  });

  test.each([
    ['none', undefined, /needs the network [0-9a-f]{64}, got none. Give the file that holds this network/],
    ['another', SMALL_CONV, /needs the network [0-9a-f]{64}, got [0-9a-f]{64}/],
    ['another seed', { ...TINY, seed: { low: 1, high: 3 } }, /needs the network/],
    ['one that does not fit together', { ...TINY, layers: [{ kind: 'pool' }] } as const, /layers that fit/],
  ])('with %s are refused', async (_, network, line) => {
    const expected = { code: 'bad-base', status: 422, message: expect.stringMatching(line) };
    expect(() => readModel(bytes, {}, () => network)).toThrow(expect.objectContaining(expected));
    expect(() => verifyModel(bytes, {}, () => network)).toThrow(expect.objectContaining(expected));
    await expect(openArchive(ranges(bytes).read, { networks: () => network })).rejects.toMatchObject(expected);
  });

  test.each(MASK_ONLY_ATTACKS)('%s: %s', async (expected, _, attack) => {
    const whole = async (read: (bytes: Uint8Array) => unknown) => read(attack);
    expect(await code(whole((b) => readModel(b, {}, () => MASKED)))).toBe(expected);
    expect(await code(whole((b) => readPacked(b, {}, () => MASKED)))).toBe(expected === 'bad-payload' ? 'ok' : expected);
    expect(await code(whole((b) => verifyModel(b, {}, () => MASKED)))).toBe(expected);
    const opened = openArchive(ranges(attack).read, { networks: () => MASKED, fileBytes: attack.length });
    expect(await code(opened.then((found) => found.task(0)))).toBe(expected);
  });

  test.skipIf((!python && !process.env['CI']) || leaveOut)('the second reader refuses the same ones, given the same network', () => {
    const script = `
import importlib.util, sys, json
sys.dont_write_bytecode = True
sys.path.insert(0, ${JSON.stringify(dirname(READER))})
spec = importlib.util.spec_from_file_location("reader", ${JSON.stringify(READER)}); r = importlib.util.module_from_spec(spec); spec.loader.exec_module(r)
network, *files = [bytes.fromhex(f) for f in json.load(sys.stdin)]
other = r.read(network)[0]
def verdict(data):
    try:
        r.read(data, other); return "ok"
    except r.REFUSED: return "refused"
print(json.dumps([verdict(f) for f in files]))`;
    const network = writeModel({ network: MASKED, tasks: [task(fullMask(MASKED, true), { labels: ['a'] })] });
    const input = JSON.stringify(
      [network, ...MASK_ONLY_ATTACKS.map(([, , attack]) => attack)].map((b) => Buffer.from(b as Uint8Array).toString('hex')),
    );
    const { stdout, stderr } = spawnSync(python ?? 'python3', ['-c', script], { encoding: 'utf8', input });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(MASK_ONLY_ATTACKS.map(([expected]) => (expected === 'ok' ? 'ok' : 'refused')));
  });

  test('of a network larger than the limits are refused before a mask is made', async () => {
    const vast: Network = { ...MASKED, layers: [{ kind: 'dense', units: 2 ** 26, activation: 'linear' }] };
    const header = encode([networkId(vast), 0, [['a']], 0, 1, 0]);
    const attack = seal(header, [{ columns: new Uint8Array(0), payload: Uint8Array.from([2, 0]) }], 2);
    const taken = process.memoryUsage().arrayBuffers;
    expect(() => readModel(attack, {}, () => vast)).toThrow(expect.objectContaining({ code: 'over-limit' }));
    await expect(openArchive(ranges(attack).read, { networks: () => vast })).rejects.toMatchObject({ code: 'over-limit' });
    expect(process.memoryUsage().arrayBuffers - taken).toBeLessThan(2 ** 20);
  });

  test('are asked for by the id in the file', async () => {
    const asked: Uint8Array[] = [];
    const networks = (id: Uint8Array) => {
      asked.push(id);
      return TINY;
    };
    readModel(bytes, {}, networks);
    await openArchive(ranges(bytes).read, { networks });
    expect(asked).toEqual([networkId(TINY), networkId(TINY)]);
  });
});

describe('tasks that lean on a base', () => {
  const SCHEMES = ['context', 'related'] as const;

  test.each([RELATED_MODEL, RELATED_PACKED_MODEL])('are read with two payloads, by place and by id', async (model) => {
    const bytes = writeModel(model, { schemes: SCHEMES });
    expect(inspectModel(bytes).tasks.map((t) => [t.scheme, t.base])).toEqual([
      ['related', 'b'],
      ['context', null],
      ['related', 'b'],
    ]);
    const opened = await openArchive(ranges(bytes).read, { fileBytes: bytes.length });
    for (const [i, t] of model.tasks.entries()) {
      expect(await opened.task(i)).toEqual(t);
      expect(await opened.task(t.id)).toEqual(t);
    }
    expect(verifyModel(bytes)).toMatchObject({ tasks: 3, schemes: { related: 2, context: 1 }, contentId: contentId(model) });
    const apart = { ...model, tasks: model.tasks.map(({ base, ...rest }) => rest) };
    expect(contentId(model)).toEqual(contentId(apart));
    expect(bytes.length).toBeLessThan(writeModel(apart).length);
  });

  test('take two reads more where the base is on another page', async () => {
    const base = randomMask(SMALL_CONV, [0.3], { low: 1, high: 9 });
    const tasks = Array.from({ length: 600 }, (_, i) =>
      task(i === 599 ? base : alteredMask(SMALL_CONV, base, 12, { low: i, high: 9 }), {
        id: idOf(i),
        ...(i === 599 ? {} : { base: idOf(599) }),
      }),
    );
    const bytes = writeModel({ network: SMALL_CONV, tasks });
    const { read, reads } = ranges(bytes);
    const opened = await openArchive(read);
    expect(await opened.task(300)).toEqual(tasks[300]);
    expect(reads).toHaveLength(1 + 4);
  });

  test('count twice against the limit of weights, and only they', async () => {
    const model = RELATED_MODEL;
    const bytes = writeModel(model, { schemes: SCHEMES });
    const weights = inspectModel(bytes).tasks[0].layers.reduce((sum, l) => sum + l.weights, 0);
    expect(readModel(bytes, { maxWeights: 5 * weights })).toEqual(model);
    expect(() => readModel(bytes, { maxWeights: 5 * weights - 1 })).toThrow(expect.objectContaining({ code: 'over-limit' }));
    const opened = await openArchive(ranges(bytes).read, { limits: { maxWeights: 2 * weights } });
    expect(await opened.task(0)).toEqual(model.tasks[0]);
    const small = await openArchive(ranges(bytes).read, { limits: { maxWeights: 2 * weights - 1 } });
    expect(await small.task(1)).toEqual(model.tasks[1]);
    expect(await code(small.task(0))).toBe('over-limit');
  });

  test('every flipped bit and every truncation of such a file is refused', () => {
    const bytes = writeModel(RELATED_MODEL, { schemes: SCHEMES });
    for (let n = 0; n < bytes.length; n++) expect(() => readModel(bytes.slice(0, n))).toThrow(SeedmaskError);
    for (let i = 0; i < bytes.length * 8; i++) {
      const damaged = bytes.slice();
      damaged[i >> 3] ^= 1 << (i & 7);
      expect(() => readModel(damaged), `bit ${i}`).toThrow(SeedmaskError);
    }
  });

  test('move with their base: places follow ids, bodies stay', async () => {
    const bytes = writeModel(RELATED_MODEL, { schemes: SCHEMES });
    const packed = readPacked(bytes);
    expect(writePacked(packed)).toEqual(bytes);
    const [other] = readPacked(writeModel({ ...RELATED_MODEL, tasks: [{ ...RELATED_MODEL.tasks[1], id: 'A' }] })).tasks;
    const more = writePacked({ ...packed, tasks: [other, ...packed.tasks] });
    expect(readModel(more).tasks.slice(1)).toEqual(RELATED_MODEL.tasks);
    expect(writePacked({ ...packed, tasks: readPacked(more).tasks.slice(1) })).toEqual(bytes);
    const opened = await openArchive(ranges(bytes).read);
    const alone = await opened.packedTask('a');
    expect([alone.base, alone.payload[0] < 4]).toEqual([undefined, true]);
    expect(readModel(writePacked({ ...packed, tasks: [{ ...alone, id: '' }] })).tasks[0].mask).toEqual(RELATED_MODEL.tasks[0].mask);
    const maskOnly = writePacked(packed, { maskOnly: true });
    expect(readModel(maskOnly, {}, () => RELATED_MODEL.network).tasks).toEqual(RELATED_MODEL.tasks);
  });

  test.each<[string, (tasks: readonly Task[]) => readonly Task[]]>([
    ['a base that is not there', ([a, b, c]) => [{ ...a, base: 'x' }, b, c]],
    ['itself as base', ([a, b, c]) => [{ ...a, base: 'a' }, b, c]],
    ['a base that leans on another', ([a, b, c]) => [a, { ...b, base: 'c' }, { ...c, base: 'x' }]],
  ])('are not written with %s', (_, change) => {
    const model = { ...RELATED_MODEL, tasks: change(RELATED_MODEL.tasks) };
    expect(() => writeModel(model)).toThrow(expect.objectContaining({ code: 'bad-base' }));
    const packed = readPacked(writeModel(RELATED_MODEL, { schemes: SCHEMES }));
    const tasks = packed.tasks.map((t, i) => (i === 1 ? t : { ...t, base: model.tasks[i].base as string }));
    if (_ !== 'a base that leans on another') expect(() => writePacked({ ...packed, tasks })).toThrow(/its base/);
    expect(() => writePacked({ ...packed, tasks: packed.tasks.map(({ base, ...t }) => t) })).toThrow(/its base, got task of no name/);
    const chain = packed.tasks.map((t) => (t.id === 'c' ? { ...t, base: 'a' } : t));
    expect(() => writePacked({ ...packed, tasks: chain })).toThrow(/its base, got task a, which does/);
  });
});

describe('packed tasks', () => {
  test('keep their bytes, whatever scheme wrote them', () => {
    for (const scheme of ['raw', 'deflate', 'adaptive'] as const) {
      const bytes = writeModel(many(5), { schemes: [scheme] });
      expect(writePacked(readPacked(bytes))).toEqual(bytes);
    }
  });

  test('any set of tasks, put together and taken apart one by one, has the bytes and content ids it had', async () => {
    const content = fc.record({
      density: fc.double({ min: 0, max: 1, noNaN: true }),
      low: fc.nat(0xffffffff),
      scale: fc.integer({ min: 1, max: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 12 }), fc.constantFrom(TINY, SMALL_CONV), async (contents, network) => {
        const singles = contents.map(({ density, low, scale }) =>
          writeModel({
            network,
            tasks: [task(randomMask(network, [density], { low, high: 2 }), { labels: ['a'], logitScale: scale })],
          }),
        );
        const tasks = singles.map((bytes, i) => ({ ...readPacked(bytes).tasks[0], id: idOf(i) }));
        const bytes = writePacked({ network, tasks });
        verifyModel(bytes);
        const opened = await openArchive(ranges(bytes).read, { fileBytes: bytes.length });
        for (const [i, single] of singles.entries()) {
          const out = writePacked({ network, tasks: [{ ...(await opened.packedTask(idOf(i))), id: '' }] });
          expect(out).toEqual(single);
          expect(contentId(readModel(out))).toEqual(contentId(readModel(single)));
        }
      }),
      { seed: 31, numRuns: runs(60) },
    );
  });

  test('move as they are, and a read refuses what does not decode', () => {
    const packed = readPacked(writeModel(TINY_MODEL));
    const bytes = writePacked({ ...packed, tasks: [{ ...packed.tasks[0], payload: Uint8Array.from([0, 1, 1]) }] });
    expect(readPacked(bytes).tasks[0].payload).toEqual(Uint8Array.from([0, 1, 1]));
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: 'bad-payload' }));
  });

  test('of a file that has its network are read without a way to look networks up, and of others are refused', () => {
    const bytes = writeModel(ARCHIVE_MODEL);
    expect(readStandAlone(bytes)).toEqual(readPacked(bytes));
    const masks = writeModel(TINY_MODEL, { maskOnly: true });
    expect(() => readStandAlone(masks)).toThrow(/a mask-only file needs the network [0-9a-f]{64}, got none/);
  });

  test('cost 32 bytes or less in an archive beside the payload: ids, a permutation each, a temperature each', () => {
    const tasks = (n: number): Task[] => archive(1000).tasks.slice(0, n) as Task[];
    const beside = (n: number) => inspectModel(writeModel({ network: SMALL_CONV, tasks: tasks(n) })).headerBytes;
    for (const n of [2, 257, 1000]) expect((beside(n) - beside(1)) / (n - 1), `${n} tasks`).toBeLessThanOrEqual(32);
  });
});

describe('verify', () => {
  test('counts schemes and gives the content id of every file that is sound', () => {
    for (const scheme of ['raw', 'deflate', 'adaptive'] as const) {
      const bytes = writeModel(ARCHIVE_MODEL, { schemes: [scheme] });
      const done: number[] = [];
      const found = verifyModel(bytes, {}, undefined, (n) => done.push(n));
      expect(found).toMatchObject({ tasks: 3, foreignDeflate: 0, schemes: { [scheme]: 3 } });
      expect(found.contentId).toEqual(contentId(ARCHIVE_MODEL));
      expect(done).toEqual([1, 2, 3]);
    }
  });

  test('a deflate stream of another compressor is valid and told', async () => {
    const { deflateRawSync } = await import('node:zlib');
    const packed = readPacked(writeModel(TINY_MODEL, { schemes: ['raw'] }));
    const [raw] = packed.tasks;
    // Scheme byte, two counts, then a stream of stored blocks, which no compressor of ours would write for so few bytes.
    const stored = deflateRawSync(raw.payload.subarray(3), { level: 0 });
    const payload = Uint8Array.from([1, ...raw.payload.subarray(1, 3), ...stored]);
    const bytes = writePacked({ ...packed, tasks: [{ ...raw, payload }] });
    expect(verifyModel(bytes)).toMatchObject({ foreignDeflate: 1, schemes: { deflate: 1 }, contentId: contentId(TINY_MODEL) });
  });

  test('refuses every attack with the code of a read', () => {
    for (const [expected, what, bytes] of ATTACKS) {
      expect(() => verifyModel(bytes), what).toThrow(expect.objectContaining({ code: expected }));
    }
  });
});
