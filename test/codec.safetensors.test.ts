// safetensors: what is written is read back, by us and by Python (struct, json and numpy: no code of ours or of Hugging Face's), and
// every way a file can lie is refused.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readSafetensors, SeedmaskError, type Tensor, writeSafetensors } from '../codec/index.js';
import { runs } from './codec.effort.js';

const python = ['python3', '/usr/bin/python3'].find((name) => spawnSync(name, ['-c', 'import numpy']).status === 0);

const tensors: [string, Tensor][] = [
  ['mask', { shape: [3], values: Uint8Array.of(1, 0, 255) }],
  ['weight', { shape: [2, 2], values: Float32Array.of(1.5, -0, 2 ** -149, 3e38) }],
  ['nothing', { shape: [0, 5], values: new Float32Array(0) }],
];
const good = writeSafetensors(tensors, { seed: '7', nämé: '✓' });

test('what is written is read back, from any offset of a Node buffer too', () => {
  const shifted = Buffer.concat([Buffer.from('xyz'), good]).subarray(3);
  for (const bytes of [good, shifted]) {
    const file = readSafetensors(bytes);
    expect(Object.fromEntries(file.metadata)).toEqual({ seed: '7', nämé: '✓' });
    for (const [name, tensor] of tensors) expect(file.tensors.get(name)).toEqual(tensor);
    expect(file.tensors.size).toBe(3);
  }
  const before = readSafetensors(shifted);
  shifted.fill(0);
  expect(before.tensors.get('mask')).toEqual(tensors[0][1]);
});

test('floats come first and begin at a multiple of 8', () => {
  const header = Number(new DataView(good.buffer).getBigUint64(0, true));
  expect(header % 8).toBe(0);
  const { weight, mask } = JSON.parse(new TextDecoder().decode(good.subarray(8, 8 + header)));
  expect(weight.data_offsets).toEqual([0, 16]);
  expect(mask.data_offsets).toEqual([16, 19]);
});

test('any arrays come back', () => {
  const tensor = fc.oneof(
    fc.float32Array({ maxLength: 20 }).map((values) => ({ shape: [values.length], values })),
    fc.uint8Array({ maxLength: 20 }).map((values) => ({ shape: [1, values.length], values })),
  );
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string().filter((name) => name !== '__metadata__'),
        tensor,
        { noNullPrototype: true },
      ),
      (named) => {
        const file = readSafetensors(writeSafetensors(Object.entries(named)));
        expect(new Set(file.tensors.keys())).toEqual(new Set(Object.keys(named)));
        for (const [name, value] of Object.entries(named)) expect(file.tensors.get(name)).toEqual(value);
      },
    ),
    { numRuns: runs(100), seed: 4 },
  );
});

test.skipIf(!python && !process.env['CI'])(`Python reads the same numbers${python ? '' : ' (SKIPPED: no python3 with numpy)'}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'seedmask-tensors-'));
  const path = join(folder, 'good.safetensors');
  writeFileSync(path, good);
  const program = `
import json, struct, sys, numpy
b = open(sys.argv[1], 'rb').read()
n, = struct.unpack('<Q', b[:8])
h = json.loads(b[8:8 + n])
m = h.pop('__metadata__')
types = {'F32': '<f4', 'U8': 'u1'}
def read(e):
    begin, end = e['data_offsets']
    return numpy.frombuffer(b[8 + n + begin:8 + n + end], types[e['dtype']]).reshape(e['shape']).astype(float).tolist()
print(json.dumps([m, {k: read(e) for k, e in h.items()}]))`;
  const { stdout, stderr } = spawnSync(python ?? 'python3', ['-c', program, path], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual([
    { seed: '7', nämé: '✓' },
    {
      mask: [1, 0, 255],
      weight: [
        [1.5, -0],
        [2 ** -149, Math.fround(3e38)],
      ],
      nothing: [],
    },
  ]);
});

/** A file of a header and `data` bytes. */
function file(header: unknown, data = 4): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}
const length = (n: bigint) => {
  const bytes = good.slice();
  new DataView(bytes.buffer).setBigUint64(0, n, true);
  return bytes;
};
const one = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };

test.each<[what: string, bytes: Uint8Array, line: RegExp]>([
  ['empty', new Uint8Array(0), /at least 8 bytes, got 0/],
  ['a header beyond 1 MiB', length(2n ** 63n), /safetensors header is 9223372036854775808 bytes, the limit is 1048576/],
  ['a header beyond the file', length(1000n), /the header must be in the file's/],
  ['no UTF-8', file('{"\u00e9": 1}').map((b) => (b === 0xc3 ? 0xff : b)), /the header must be UTF-8 JSON/],
  ['no JSON', file('{'), /UTF-8 JSON/],
  ['no object', file([1]), /a JSON object/],
  ['deep nesting', file('['.repeat(500000)), /UTF-8 JSON/],
  ['metadata of numbers', file({ __metadata__: { a: 1 }, w: one }), /__metadata__.a must be a text, got 1/],
  ['metadata that is a list', file({ __metadata__: [], w: one }), /an object of texts/],
  ['an entry that is a number', file({ w: 1 }), /w must be an object/],
  ['another type', file({ w: { ...one, dtype: 'BF16' } }), /dtype of w must be F32 or U8 or BOOL, got BF16/],
  ['no type', file({ w: { shape: [1], data_offsets: [0, 4] } }), /dtype of w/],
  ['a negative dimension', file({ w: { ...one, shape: [-1] } }), /shape of w/],
  ['a fractional dimension', file({ w: { ...one, shape: [0.5] } }), /shape of w/],
  ['nine dimensions', file({ w: { ...one, shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] } }), /shape of w must be at most 8/],
  ['a shape that overflows', file({ w: { ...one, shape: [2 ** 52, 2 ** 52] } }), /data_offsets of w/],
  ['one offset', file({ w: { ...one, data_offsets: [0] } }), /two whole numbers/],
  ['offsets backwards', file({ w: { ...one, data_offsets: [4, 0] } }), /4 bytes for shape \[1\]/],
  ['offsets beyond the file', file({ w: { ...one, shape: [1000], data_offsets: [0, 4000] } }), /the data must be 4000 bytes/],
  ['a hole', file({ w: one, v: { ...one, data_offsets: [8, 12] } }, 12), /data_offsets of v must be \[4, .*no holes/],
  ['an overlap', file({ w: one, v: { ...one, data_offsets: [0, 4] } }, 4), /no overlaps/],
  ['bytes behind', file({ w: one }, 5), /the data must be 4 bytes as the offsets say, got 5 bytes/],
])('refused: %s', (_, bytes, line) => {
  let error: unknown;
  try {
    readSafetensors(bytes);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(SeedmaskError);
  expect((error as SeedmaskError).code).toMatch(/^(bad-tensors|over-limit)$/);
  expect((error as Error).message).toMatch(line);
  expect((error as Error).message).not.toContain('\n');
});

test('no damage of one byte in the header is read as the same file', () => {
  const intact = readSafetensors(good);
  const header = 8 + Number(new DataView(good.buffer).getBigUint64(0, true));
  for (let i = 0; i < header; i++) {
    const bytes = good.slice();
    bytes[i] ^= 0x21;
    try {
      expect(readSafetensors(bytes), `byte ${i}`).not.toEqual(intact);
    } catch (error) {
      expect(error, `byte ${i}`).toBeInstanceOf(SeedmaskError);
    }
  }
});

test('bool is read as uint8', () => {
  const bytes = file({ m: { dtype: 'BOOL', shape: [4], data_offsets: [0, 4] } });
  bytes.set([1, 0, 0, 1], bytes.length - 4);
  expect(readSafetensors(bytes).tensors.get('m')).toEqual({ shape: [4], values: Uint8Array.of(1, 0, 0, 1) });
});

test('a header of lists without end, and one of bytes where text is meant, are refused in one short line', () => {
  const header = Buffer.from('['.repeat(400_000) + ']'.repeat(400_000));
  const file = Buffer.concat([Buffer.from(BigUint64Array.of(BigInt(header.length)).buffer), header]);
  expect(() => readSafetensors(file)).toThrow(/^[^\n]*the header must be a JSON object, got [^\n]{1,120}$/);
  expect(new SeedmaskError('bad-header', { field: 'a name', expected: 'text', got: new Uint8Array(1e6) }).message).toMatch(
    /got 1000000 bytes$/,
  );
});

test('a refusal is one line, whatever the values, the hint and the name of the file have in them', () => {
  const details = { field: 'x\r\n\ty', expected: 'JSON', got: `${'\n'.repeat(200)}here`, hint: 'See\u2028this' };
  const { message } = new SeedmaskError('bad-header', details, 'a\n\u001b[31m.smk');
  expect(message).toBe('a [31m.smk: model file header: x y must be JSON, got  here. See this');
});
