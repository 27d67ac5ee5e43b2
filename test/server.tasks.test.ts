// POST /tasks/{task}/classify over real sockets: every kind of body gives the same predictions.

import { deflateSync, gzipSync } from 'node:zlib';
import { Packr, Unpackr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Listening } from '../server/index.js';
import { regenerate } from '../src/network.js';
import { get, padded, png, post, raw, serve, tinyNetwork } from './server.material.js';

let server: Listening;
let tiny: string;
let digits: string;
beforeAll(async () => {
  server = await serve();
  tiny = `${server.url}/tasks/tiny/classify`;
  digits = `${server.url}/tasks/digits/classify`;
});
afterAll(() => server.close());

const packr = new Packr({ useRecords: false });
const ROWS = [
  [0, 255, 10, 3],
  [200, 0, 0, 99],
];
/** softmax(W x / 255) in doubles with Math.exp: an independent formula for the answers of version 2 (seed 8), the highest. */
function expected(row: readonly number[], low = 8): number[] {
  const [weights] = regenerate(tinyNetwork([2, 2, 1], 3, low));
  const logits = [0, 1, 2].map((unit) => row.reduce((sum, x, i) => sum + (weights[unit * 4 + i] * x) / 255, 0));
  const terms = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  return terms.map((term) => term / terms.reduce((a, b) => a + b, 0));
}

describe('answers', () => {
  test('probabilities are softmax(logitScale x logits), the label is the largest', async () => {
    const { status, type, json } = await post(tiny, { instances: ROWS });
    expect([status, type, json.task, json.predictions.length]).toEqual([200, 'application/json', 'tiny', 2]);
    ROWS.forEach((row, r) => {
      const want = expected(row);
      for (const [i, p] of want.entries()) expect(json.predictions[r].probabilities[i]).toBeCloseTo(p, 6);
      expect(json.predictions[r].label).toBe('abc'[want.indexOf(Math.max(...want))]);
    });
  });

  test('every kind of body gives the same bytes', async () => {
    const want = (await post(tiny, { instances: ROWS })).json;
    const flat = Uint8Array.from(ROWS.flat());
    const nested = ROWS.map(([a, b, c, d]) => [
      [a, b],
      [c, d],
    ]);
    const deep = ROWS.map(([a, b, c, d]) => [
      [[a], [b]],
      [[c], [d]],
    ]);
    const msgpack = { 'Content-Type': 'application/msgpack' };
    const answers = await Promise.all([
      post(tiny, { instances: nested }),
      post(tiny, { instances: deep }),
      post(tiny, ROWS),
      post(tiny, ` \n${JSON.stringify({ instances: ROWS })}`, { 'Content-Type': 'text/plain' }),
      post(tiny, JSON.stringify({ instances: ROWS }), { 'Content-Type': 'application/json; charset=utf-8' }),
      post(tiny, `\uFEFF${JSON.stringify({ instances: ROWS })}`),
      post(tiny, flat, { 'Content-Type': 'application/octet-stream' }),
      post(tiny, flat),
      post(tiny, packr.pack({ instances: ROWS }), msgpack),
      post(tiny, packr.pack({ instances: ROWS })),
      post(tiny, packr.pack({ instances: ROWS.map((row) => Buffer.from(row)) }), msgpack),
      post(tiny, packr.pack({ instances: Buffer.from(flat) }), msgpack),
      post(tiny, gzipSync(JSON.stringify({ instances: ROWS })), { 'Content-Encoding': 'gzip' }),
      post(tiny, deflateSync(flat), { 'Content-Encoding': 'deflate' }),
    ]);
    for (const answer of answers) expect([answer.status, answer.json]).toEqual([200, want]);
  });

  test('a single instance may come without its batch dimension, flat or shaped', async () => {
    const want = (await post(tiny, { instances: [ROWS[0]] })).json;
    expect(want.predictions).toHaveLength(1);
    for (const instances of [
      ROWS[0],
      [
        [0, 255],
        [10, 3],
      ],
      [
        [[0], [255]],
        [[10], [3]],
      ],
    ])
      expect((await post(tiny, { instances })).json).toEqual(want);
  });

  test('Accept: application/msgpack answers in msgpack, with f32 probabilities', async () => {
    const want = (await post(tiny, { instances: ROWS })).json;
    const { type, bytes } = await post(tiny, { instances: ROWS }, { Accept: 'application/msgpack' });
    expect(type).toBe('application/msgpack');
    expect(new Unpackr({ useRecords: false }).unpack(bytes)).toEqual(want);
    const types = ['application/json;q=0.5, Application/X-msgpack', 'application/msgpack;q=0, application/json'].map(async (Accept) => {
      return (await post(tiny, { instances: ROWS }, { Accept })).type;
    });
    expect(await Promise.all(types)).toEqual(['application/msgpack', 'application/json']);
  });

  test('floats classify too, and equal the bytes where they are whole', async () => {
    const { json } = await post(tiny, { instances: [[0.5, 255, 10, 3]] });
    const { probabilities } = json.predictions[0];
    for (const [i, p] of expected([0.5, 255, 10, 3]).entries()) expect(probabilities[i]).toBeCloseTo(p, 5);
  });

  test('more rows than a chunk come back in order', async () => {
    const rows = Array.from({ length: 1500 }, (_, i) => [i & 255, (i >> 3) & 255, 7, 255 - (i & 255)]);
    const { json } = await post(tiny, { instances: rows });
    expect(json.predictions).toHaveLength(1500);
    for (const i of [0, 15, 16, 255, 256, 1499]) {
      const alone = (await post(tiny, { instances: [rows[i]] })).json.predictions[0];
      expect(json.predictions[i]).toEqual(alone);
    }
  });

  test('only the first labels.length outputs are classes', async () => {
    const { json } = await post(`${server.url}/tasks/colour/classify`, { instances: [new Array(12).fill(9)] });
    expect(json.predictions[0].probabilities).toHaveLength(2);
    expect(json.predictions[0].probabilities[0] + json.predictions[0].probabilities[1]).toBeCloseTo(1, 6);
  });

  test('a chunked body, byte by byte, without any Content-Type', async () => {
    const body = JSON.stringify({ instances: ROWS });
    const chunks = [...body].map((c) => `1\r\n${c}\r\n`);
    const text = await raw(
      tiny,
      'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
      ...chunks,
      '0\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain('"predictions"');
  });

  test('a percent-encoded name is the same name', async () => {
    expect((await post(`${server.url}/tasks/t%69ny/classify`, { instances: ROWS })).json).toEqual(
      (await post(tiny, { instances: ROWS })).json,
    );
  });
});

describe('PNG', () => {
  const values = [0, 255, 10, 3];
  test('grey, grey with alpha, RGB and RGBA of the same picture are the same row', async () => {
    const want = (await post(tiny, { instances: [values] })).json;
    for (const type of [0, 2, 4, 6] as const) {
      const body = png(2, 2, (i) => [values[i], values[i], values[i], 255], type);
      expect((await post(tiny, body, { 'Content-Type': 'image/png' })).json).toEqual(want);
      expect((await post(tiny, body)).json).toEqual(want);
    }
  });
  test('colour turns grey by integer luma, transparency lies over black', async () => {
    // (299*255 + 500) / 1000 = 76, (587*255 + 500) / 1000 = 150, (114*255 + 500) / 1000 = 29; alpha 128 of 255 = 128
    const want = (await post(tiny, { instances: [[76, 150, 29, 128]] })).json;
    const colours = [
      [255, 0, 0, 255],
      [0, 255, 0, 255],
      [0, 0, 255, 255],
      [255, 255, 255, 128],
    ] as const;
    expect(
      (
        await post(
          tiny,
          png(2, 2, (i) => colours[i]),
        )
      ).json,
    ).toEqual(want);
  });
  test('a colour network takes RGB', async () => {
    const url = `${server.url}/tasks/colour/classify`;
    const want = (await post(url, { instances: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]] })).json;
    expect(
      (
        await post(
          url,
          png(2, 2, (i) => [3 * i + 1, 3 * i + 2, 3 * i + 3, 255]),
        )
      ).json,
    ).toEqual(want);
  });
  test('28 x 28 for the 784-input network', async () => {
    const pixels = Array.from({ length: 784 }, (_, i) => (i * 7) & 255);
    const want = (await post(digits, { instances: [pixels] })).json;
    expect(
      (
        await post(
          digits,
          png(28, 28, (i) => [pixels[i], pixels[i], pixels[i], 255], 0),
        )
      ).json,
    ).toEqual(want);
  });
  test('other sizes, depths, interlacing, second headers and broken files are refused', async () => {
    const good = png(2, 2, () => [1, 1, 1, 255], 0);
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(good);
      copy[at] = value;
      return copy;
    };
    const ihdr = good.subarray(8, 33);
    const table: [Buffer, string][] = [
      [png(3, 2, () => [1, 1, 1, 255]), 'the PNG image has width x height 3 x 2, expected 2 x 2'],
      [changed(24, 3), 'bit depth 3, expected 1 or 2 or 4 or 8 or 16'],
      [changed(25, 5), 'colour type 5, expected 0, 2, 3, 4, 6'],
      [changed(28, 1), 'interlacing 1, expected none. Save it without'],
      [Buffer.concat([good.subarray(0, 33), ihdr, good.subarray(33)]), 'a second IHDR chunk'],
      [good.subarray(0, 40), 'cut short'],
      [padded(good, 1100, 0), 'the PNG image has number of chunks above 1024, expected at most 1024'],
      [good.subarray(0, 20), 'no PNG signature'],
      [changed(12, 0x58), 'no IHDR chunk first'],
      [changed(45, good[45] ^ 255), 'a whole PNG file'],
    ];
    for (const [body, text] of table) {
      const { status, json } = await post(tiny, body, { 'Content-Type': 'image/png' });
      expect([status, json.code]).toEqual([400, 'bad-image']);
      expect(json.error).toContain(text);
    }
  });
});

test('GET /tasks lists what a client must know', async () => {
  const { status, type, json } = await get(`${server.url}/tasks`);
  expect([status, type, json.next]).toEqual([200, 'application/json', null]);
  expect(json.tasks.map((t: { id: string }) => t.id)).toEqual(['colour', 'digits', 'tiny']);
  expect(json.tasks[2]).toMatchObject({
    inputs: 4,
    shape: [2, 2, 1],
    labels: ['a', 'b', 'c'],
    versions: ['1', '2'],
    versionLabels: { stable: '1', canary: '2' },
  });
  expect(json.tasks[2].values).toContain('0..255, not 0..1');
});
