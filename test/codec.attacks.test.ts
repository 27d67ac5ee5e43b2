// Every way the codec refuses has a hostile file that provokes it; and no damage, however small, is read as a model.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DECODERS } from '../codec/decoders.js';
import { encodePayload } from '../codec/encode.js';
import { inspectModel, readModel, SCHEMES, SeedmaskError, writeModel } from '../codec/index.js';
import { decode, encode, scan, type Value } from '../codec/msgpack.js';
import { decodePayload } from '../codec/schemes.js';
import { type Network, weightCounts } from '../src/network.js';
import { ATTACKS, MASK_ONLY_ATTACKS, MASKED, open, plain, seal } from './attacks/files.js';
import { runs } from './codec.effort.js';
import { ARCHIVE_MODEL, FEATURES_MODEL, PATCHES_MODEL, RELATED_MODEL, randomMask, TINY, TINY_MODEL, task } from './vectors/models.js';

/** The code of the SeedmaskError that reading throws; any other exception passes through, no exception is 'ok'. */
function outcome(bytes: Uint8Array): string {
  try {
    readModel(bytes);
    return 'ok';
  } catch (error) {
    if (error instanceof SeedmaskError) return error.code;
    throw error;
  }
}

test('the plain file that the attacks start from is fine', () => {
  expect(readModel(plain()).tasks[0].mask).toEqual([Uint8Array.from([7, 0, 0])]);
});

test.each(ATTACKS)('%s: %s', (code, _, bytes) => {
  expect(outcome(bytes)).toBe(code);
});

test('each attack is refused in the line that messages.txt has for it', async () => {
  const line = (bytes: Uint8Array, network?: Network): string => {
    try {
      readModel(bytes, {}, () => network);
      return 'ok';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const lines = [
    ...ATTACKS.map(([, what, bytes]) => `${what} -> ${line(bytes)}`),
    ...MASK_ONLY_ATTACKS.map(([, what, bytes]) => `masks alone: ${what} -> ${line(bytes, MASKED)}`),
  ];
  expect(lines.filter((text) => text.includes('\n'))).toEqual([]);
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('./attacks/messages.txt');
});

test('vectors/invalid-v1.json holds the attacks of up to 4 KiB with their codes, for readers in any language', async () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const network = hex(writeModel({ network: MASKED, tasks: [] }));
  const entries = [...ATTACKS.map((attack) => [attack, {}] as const), ...MASK_ONLY_ATTACKS.map((attack) => [attack, { network }] as const)]
    .filter(([[code, , bytes]]) => code !== 'ok' && bytes.length <= 4096)
    .map(([[code, what, bytes], given]) => ({ code, what, ...given, file: hex(bytes) }));
  await expect(`${JSON.stringify(entries, null, 2)}\n`).toMatchFileSnapshot('./vectors/invalid-v1.json');
});

test('every error code of the file section has an attack', async () => {
  const { readFile } = await import('node:fs/promises');
  const source = await readFile(new URL('../codec/errors.ts', import.meta.url), 'utf8');
  const section = source.slice(source.indexOf('bytes of a model file')).split('// ----')[0];
  const codes = [...section.matchAll(/^ {2}'?([a-z-]+)'?: \[/gm)].map((m) => m[1]);
  expect(codes.length).toBeGreaterThan(10);
  expect([...new Set(ATTACKS.map(([code]) => code))].sort()).toEqual(codes.sort());
});

test('the ideas that README.md says are in files.ts are there', () => {
  const rows = readFileSync(new URL('./attacks/README.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const named = rows.slice(2).flatMap((row) => [...row.split('|')[2].matchAll(/"([^"]+)"/g)].map((match) => match[1]));
  const known = new Set([...ATTACKS, ...MASK_ONLY_ATTACKS].map(([, what]) => what));
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((what) => what !== 'not-canonical' && !known.has(what))).toEqual([]);
});

describe('limits', () => {
  const bytes = writeModel(ARCHIVE_MODEL);
  // ARCHIVE_MODEL: 3 tasks over 30 + 15 weights.
  test.each([
    ['maxFileBytes', bytes.length],
    ['maxWeights', 135],
    ['maxTasks', 3],
  ])('%s holds from one below what the file has', (limit, enough) => {
    expect(readModel(bytes, { [limit]: enough })).toEqual(ARCHIVE_MODEL);
    expect(() => readModel(bytes, { [limit]: enough - 1 })).toThrow(expect.objectContaining({ code: 'over-limit', status: 413 }));
  });

  test('no attack makes the reader take memory for what it claims', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const [, , attack] of ATTACKS) if (attack.length < 1000) outcome(attack);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4e6);
  });
});

describe('MessagePack, spelled as its specification spells it (github.com/msgpack/msgpack/blob/master/spec.md)', () => {
  const start = (value: Value, bytes: number) => Buffer.from(encode(value).subarray(0, bytes)).toString('hex');

  test.each<[number | bigint, string]>([
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65535, 'cdffff'],
    [65536, 'ce00010000'],
    [0xffffffff, 'ceffffffff'],
    [2 ** 32, 'cf0000000100000000'],
    [2n ** 64n - 1n, 'cfffffffffffffffff'],
  ])('integer %s', (value, hex) => {
    expect(start(value, 99)).toBe(hex);
    expect(BigInt(decode(encode(value)) as number)).toBe(BigInt(value));
  });

  test.each<[string, Value, number, string]>([
    ['a text of 31 bytes', 'a'.repeat(31), 2, 'bf61'],
    ['a text of 32 bytes', 'a'.repeat(32), 3, 'd92061'],
    ['a text of 255 bytes', 'a'.repeat(255), 3, 'd9ff61'],
    ['255 bytes', new Uint8Array(255), 2, 'c4ff'],
    ['256 bytes', new Uint8Array(256), 3, 'c50100'],
    ['65,535 bytes', new Uint8Array(65535), 3, 'c5ffff'],
    ['65,536 bytes', new Uint8Array(65536), 5, 'c600010000'],
    ['15 items', Array(15).fill(7), 2, '9f07'],
    ['16 items', Array(16).fill(7), 4, 'dc001007'],
    ['65,535 items', Array(65535).fill(7), 4, 'dcffff07'],
    ['a float', { f32: -0.5 }, 5, 'cabf000000'],
  ])('%s', (_, value, bytes, hex) => {
    expect(start(value, bytes)).toBe(hex);
    const back = decode(encode(value));
    const plain = typeof value === 'object' && 'f32' in value ? value.f32 : value;
    expect(back instanceof Uint8Array ? Uint8Array.from(back) : back).toEqual(plain);
    expect(() => scan(encode([value, value]))).not.toThrow();
    expect(() => scan(Uint8Array.from([...encode(value), 0]))).toThrow(/the end of the header, got 1 more bytes/);
    expect(() => scan(encode(value).slice(0, -1))).toThrow(SeedmaskError);
  });

  test('what the subset does not have is not written', () => {
    const refused = (value: Value, line: RegExp) => expect(() => encode(value)).toThrow(line);
    refused('a'.repeat(256), /a text must be at most 255 bytes of UTF-8/);
    refused('\ud800', /a text must be well-formed Unicode/);
    refused(Array(65536).fill(0), /a list must be at most 65535 long, got 65536/);
  });
});

describe('the scan before the decoder', () => {
  test('passes four nested arrays and stops at the fifth', () => {
    expect(() => scan(encode([[[[1]]]]))).not.toThrow();
    expect(() => scan(encode([[[[[1]]]]]))).toThrow(/at most 4 nested arrays/);
  });

  test('stops at an array that claims more elements than there are bytes', () => {
    expect(() => scan(Uint8Array.from([0xdc, 0, 3, 1, 1]))).toThrow(/3 array elements, got 2 bytes/);
  });
});

describe('damage', () => {
  test('every flipped bit of a page table is refused', () => {
    const tasks = Array.from({ length: 300 }, (_, i) =>
      task(randomMask(TINY, [0.3], { low: i, high: 0 }), { id: `t${1000 + i}`, labels: ['a'] }),
    );
    const bytes = writeModel({ ...TINY_MODEL, tasks });
    const table = 16 + new DataView(bytes.buffer).getUint32(8, true);
    for (let i = table * 8; i < (table + 20) * 8; i++) {
      const damaged = bytes.slice();
      damaged[i >> 3] ^= 1 << (i & 7);
      expect(['bad-header', 'bad-checksum'], `bit ${i}`).toContain(outcome(damaged));
    }
  });

  const files = [
    ['one task', writeModel(TINY_MODEL)],
    ['three tasks, raw', writeModel(ARCHIVE_MODEL, { schemes: ['raw'] })],
    ['deflate', writeModel(TINY_MODEL, { schemes: ['deflate'] })],
    ['contexts', writeModel(PATCHES_MODEL, { schemes: ['context'] })],
    ['masks that lean on another', writeModel(RELATED_MODEL, { schemes: ['context', 'related'] })],
    ['features', writeModel(FEATURES_MODEL)],
  ] as const;

  test.each(files)('%s: every truncation is refused', (_, bytes) => {
    for (let n = 0; n < bytes.length; n++) expect(outcome(bytes.slice(0, n)), `${n} bytes`).toBe('truncated');
  });

  test.each(files)('%s: every flipped bit is refused', (_, bytes) => {
    for (let i = 0; i < bytes.length * 8; i++) {
      const damaged = bytes.slice();
      damaged[i >> 3] ^= 1 << (i & 7);
      expect(outcome(damaged), `bit ${i}`).not.toBe('ok');
    }
  });
});

describe('forgery: with right checksums, a file is refused or is the one file of what it says', () => {
  const bases = [
    { bytes: writeModel(TINY_MODEL, { schemes: ['adaptive'] }), tasks: 1 },
    { bytes: writeModel(ARCHIVE_MODEL, { schemes: ['adaptive'] }), tasks: 3 },
    { bytes: writeModel(ARCHIVE_MODEL, { schemes: ['raw'] }), tasks: 3 },
    { bytes: writeModel(ARCHIVE_MODEL, { schemes: ['context'] }), tasks: 3 },
    { bytes: writeModel(PATCHES_MODEL, { schemes: ['context'] }), tasks: 1 },
    { bytes: plain(), tasks: 1 },
  ];
  const limits = { maxWeights: 1e5, maxTasks: 100 };

  /** Whether the file is read; then every scheme but deflate has one encoding, so writing what was read must give it again. */
  function accepted(bytes: Uint8Array): boolean {
    try {
      const model = readModel(bytes, limits);
      const [scheme, ...others] = new Set(inspectModel(bytes, limits).tasks.map((t) => t.scheme));
      if (others.length > 0 || scheme === 'deflate') return true;
      expect(writeModel(model, { schemes: [scheme] })).toEqual(bytes);
      return true;
    } catch (error) {
      if (error instanceof SeedmaskError) return false;
      throw error;
    }
  }

  test('bytes of header, index and payloads', { timeout: 60_000 }, () => {
    const edit = fc.record({ part: fc.nat(2), task: fc.nat(2), at: fc.nat(200), kind: fc.nat(2), value: fc.nat(255) });
    let read = 0;
    fc.assert(
      fc.property(fc.nat(bases.length - 1), fc.array(edit, { minLength: 1, maxLength: 3 }), (which, edits) => {
        const parts = open(bases[which].bytes, bases[which].tasks);
        const apply = (old: Uint8Array, { at, kind, value }: { at: number; kind: number; value: number }): Uint8Array => {
          const list = Array.from(old);
          const place = at % (old.length + 1);
          if (kind === 0) list[place % Math.max(1, list.length)] = value;
          else if (kind === 1) list.splice(place, 0, value);
          else list.splice(place, 1);
          return Uint8Array.from(list);
        };
        for (const e of edits) {
          const task = parts.tasks[e.task % parts.tasks.length];
          if (e.part === 0) parts.header = apply(parts.header, e);
          else if (e.part === 1) task.columns = apply(task.columns, { ...e, kind: 0 });
          else task.payload = apply(task.payload, e);
        }
        if (accepted(seal(parts.header, parts.tasks, parts.flags))) read++;
      }),
      { seed: 1907, numRuns: runs(6000) },
    );
    expect(read).toBeGreaterThan(runs(50));
  });

  test('bodies of any bytes, with any counts', { timeout: 60_000 }, () => {
    const around = { network: PATCHES_MODEL.network, pixelPermutation: null };
    const counts = weightCounts(around.network).map((n) => fc.nat(n));
    let read = 0;
    fc.assert(
      fc.property(
        fc.constantFrom('adaptive' as const, 'context' as const),
        fc.tuple(...counts),
        fc.uint8Array({ maxLength: 60 }),
        (scheme, kept, body) => {
          // Counts below 2^14 in LEB128.
          const leb = kept.flatMap((k) => (k < 128 ? [k] : [(k & 127) | 128, k >> 7]));
          const payload = Uint8Array.from([SCHEMES[scheme], ...leb, ...body]);
          try {
            expect(encodePayload(around, decodePayload(around, payload, 'a task', DECODERS).mask, [scheme])).toEqual(payload);
            read++;
          } catch (error) {
            if (!(error instanceof SeedmaskError)) throw error;
          }
        },
      ),
      { seed: 41, numRuns: runs(4000) },
    );
    expect(read).toBeGreaterThan(runs(0));
  });

  test('values of header fields', () => {
    const leaf: fc.Arbitrary<Value> = fc.oneof(
      fc.nat(20),
      fc.nat(0xffffffff),
      fc.bigInt({ min: 2n ** 32n, max: 2n ** 64n - 1n }),
      fc.string({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.float().map((f) => ({ f32: f })),
    );
    const value: fc.Arbitrary<Value> = fc.oneof(
      leaf,
      fc.array(leaf, { maxLength: 4 }),
      fc.array(fc.array(leaf, { maxLength: 4 }), { maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.nat(10).map(String), value, { minKeys: 1, maxKeys: 2 }), fc.boolean(), (change, hasBase) => {
        const { header, tasks } = open(plain({ ...change }), 1);
        accepted(seal(header, tasks, hasBase ? 2 : 0));
      }),
      { seed: 77, numRuns: runs(4000) },
    );
  });

  test('noise behind a right prefix', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        accepted(seal(noise, []));
        accepted(seal(encode([...noise]), []));
      }),
      { seed: 5, numRuns: runs(3000) },
    );
  });
});
