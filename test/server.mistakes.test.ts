// What a client can get wrong on POST /tasks/{task}/classify: each mistake has one clear answer, and none hurts the server.

import { gzipSync } from 'node:zlib';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Listening } from '../server/index.js';
import { get, png, post, raw, serve } from './server.material.js';

let server: Listening;
let tiny: string;
beforeAll(async () => {
  server = await serve();
  tiny = `${server.url}/tasks/tiny/classify`;
});
afterAll(async () => {
  expect((await get(`${server.url}/v2/health/live`)).json).toEqual({ live: true });
  await server.close();
});

const ROWS = [
  [0, 255, 10, 3],
  [200, 0, 0, 99],
];

describe('mistakes', () => {
  // [body, headers, status, code, field, part of the text]
  const table: [string, unknown, Record<string, string>, number, string, string | undefined, string][] = [
    ['no instances', {}, {}, 400, 'bad-request', '/instances', 'Send {"instances"'],
    ['instances of text', { instances: 'abc' }, {}, 400, 'bad-request', '/instances', 'a list of instances'],
    ['no rows', { instances: [] }, {}, 400, 'bad-shape', '/instances', 'at least one instance'],
    ['short row', { instances: [[1, 2, 3]] }, {}, 400, 'bad-shape', '/instances/0', 'has shape [3], expected [4] or [2, 2] or [2, 2, 1]'],
    ['short second row', { instances: [[1, 2, 3, 4], [1]] }, {}, 400, 'bad-shape', '/instances/1', 'has shape [1]'],
    ['one batch dimension too many', { instances: [[[1, 2, 3, 4]]] }, {}, 400, 'bad-shape', '/instances/0', 'Remove one pair of brackets'],
    [
      'channel first',
      {
        instances: [
          [
            [
              [1, 2],
              [3, 4],
            ],
          ],
        ],
      },
      {},
      400,
      'bad-shape',
      '/instances/0',
      'Remove one pair of brackets',
    ],
    ['three channels', { instances: [new Array(12).fill(1)] }, {}, 400, 'bad-shape', '/instances/0', 'three channels'],
    [
      'another picture size',
      {
        instances: [
          [
            [1, 2, 3],
            [1, 2, 3],
            [1, 2, 3],
          ],
        ],
      },
      {},
      400,
      'bad-shape',
      '/instances/0',
      'Resize the image to 2 x 2',
    ],
    ['ragged row', { instances: [[[1, 2], [3]]] }, {}, 400, 'bad-shape', '/instances/0/1', 'has shape [1], expected [2]'],
    ['list inside a flat row', { instances: [[1, [2, 3], 4, 5]] }, {}, 400, 'bad-value', '/instances/0/1', 'a list of 2'],
    [
      'list inside a shaped row',
      {
        instances: [
          [
            [1, 2],
            [3, [4]],
          ],
        ],
      },
      {},
      400,
      'bad-value',
      '/instances/0/1/1',
      'a list of 1',
    ],
    ['null value', { instances: [[1, null, 3, 4]] }, {}, 400, 'bad-value', '/instances/0/1', 'JSON.stringify writes null'],
    ['text value', { instances: [[1, 2, 3, '4']] }, {}, 400, 'bad-value', '/instances/0/3', 'Send numbers, not text'],
    ['boolean value', { instances: [[true, 2, 3, 4]] }, {}, 400, 'bad-value', '/instances/0/0', '0 and 255'],
    ['infinite value', '{"instances": [[1, 2, 3, 1e999]]}', {}, 400, 'bad-value', '/instances/0/3', 'Infinity, expected a finite number'],
    ['an image of 0..1', { instances: [[0, 0.5, 1, 0.25]] }, {}, 400, 'bad-value', 'input 1 of row 0', 'not 0..1'],
    [
      'one among others',
      {
        instances: [
          [0, 255, 10.5, 3],
          [0, 1, 0, 0],
          [1, 0, 0, 1e-9],
        ],
      },
      {},
      400,
      'bad-value',
      'input 3 of row 2',
      '0..1',
    ],
    ['whole number beyond f32', { instances: [[1, 2, 3, 16777217]] }, {}, 400, 'bad-value', 'input 3 of row 0', 'a pixel, 0..255'],
    ['too large for f32', { instances: [[1, 2, 3, 1e300]] }, {}, 400, 'bad-value', '/instances/0/3', 'within float32, up to 3.4e38'],
    [
      'more than a pixel',
      {
        instances: [
          [1, 2, 3, 4],
          [5, 6, 255.5, 8],
        ],
      },
      {},
      400,
      'bad-value',
      'input 2 of row 1',
      '255.5, expected a pixel, 0..255',
    ],
    ['less than a pixel', { instances: [[-0.42, 2, 3, 4]] }, {}, 400, 'bad-value', 'input 0 of row 0', '-0.42, expected a pixel'],
    ['object rows', { instances: [{ b64: 'AAAA' }] }, {}, 400, 'bad-shape', '/instances/0', 'PNG and raw bytes'],
    ['text rows', { instances: ['AAAA'] }, {}, 400, 'bad-shape', '/instances/0', 'neither text nor base64'],
    ['NaN', '{"instances": [[NaN, 1, 2, 3]]}', {}, 400, 'bad-json', 'the body', 'JSON has no NaN'],
    ['single quotes', "{'instances': [[1, 2, 3, 4]]}", {}, 400, 'bad-json', 'the body', 'double quotes'],
    ['trailing comma', '{"instances": [[1, 2, 3, 4],]}', {}, 400, 'bad-json', 'the body', 'no comma before a closing bracket'],
    ['cut short', '{"instances": [[1, 2,', {}, 400, 'bad-json', 'the body', 'not valid JSON'],
    ['bad UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), {}, 400, 'bad-json', 'the body', 'not valid JSON'],
    [
      'a form',
      'instances=1,2,3',
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      415,
      'unknown-body',
      'Content-Type',
      'Of texts JSON alone is read: send {"instances": [[...]]}',
    ],
    [
      'JSON declared, a form sent',
      'instances=1',
      { 'Content-Type': 'application/json' },
      400,
      'bad-json',
      'the body',
      'must be a JSON object',
    ],
    [
      'not whole rows',
      Buffer.alloc(7),
      { 'Content-Type': 'application/octet-stream' },
      400,
      'bad-shape',
      'the body',
      'a multiple of 4 bytes',
    ],
    [
      'JSON declared as bytes',
      '{"instances":[[1,2,3,4]] }',
      { 'Content-Type': 'application/octet-stream' },
      400,
      'bad-shape',
      'the body',
      'It looks like JSON',
    ],
    [
      'PNG declared as bytes',
      png(3, 3, () => [0, 0, 0, 255]).subarray(0, 71),
      { 'Content-Type': 'application/octet-stream' },
      400,
      'bad-shape',
      'the body',
      'It looks like a PNG',
    ],
    [
      'brotli-like encoding',
      '{}',
      { 'Content-Encoding': 'rot13' },
      415,
      'unknown-encoding',
      'Content-Encoding',
      'gzip, x-gzip, deflate, br, identity',
    ],
    ['gzip that is none', '{"instances":[[1,2,3,4]]}', { 'Content-Encoding': 'gzip' }, 400, 'broken-body', 'the body', 'compress the body'],
    ['deep JSON', `{"instances":${'['.repeat(150_000)}`, {}, 400, 'deep-body', 'the body', 'deeper than 32 levels'],
    [
      'deep msgpack',
      Buffer.concat([Buffer.from([0x81, 0xa1, 0x78]), Buffer.alloc(150_000, 0x91)]),
      {},
      400,
      'deep-body',
      'the body',
      'deeper than 32 levels',
    ],
    ['msgpack extension', Buffer.from([0x81, 0xa1, 0x78, 0xd4, 0x72, 0x40]), {}, 400, 'bad-msgpack', 'byte 3', 'extension type 0xd4'],
    ['msgpack length', Buffer.from([0x81, 0xa1, 0x78, 0xdd, 0xff, 0xff, 0xff, 0xff]), {}, 400, 'bad-msgpack', 'byte 3', 'past the end'],
    ['msgpack cut short', Buffer.from([0x81, 0xa1, 0x78]), {}, 400, 'bad-msgpack', 'byte 3', 'it ends early'],
    [
      'msgpack list as a key',
      Buffer.from([0x81, 0x90, 0x01]),
      { 'Content-Type': 'application/msgpack' },
      400,
      'bad-msgpack',
      'byte 1',
      'a list, a map or bytes as a key',
    ],
    [
      'msgpack bytes as a key',
      Buffer.from([0x82, 0x01, 0x90, 0xc4, 0x00, 0x01]),
      { 'Content-Type': 'application/msgpack' },
      400,
      'bad-msgpack',
      'byte 3',
      'as a key',
    ],
    ['two msgpack values', Buffer.from([0x81, 0xa1, 0x78, 0x01, 0x01]), {}, 400, 'bad-msgpack', 'byte 4', 'a second value'],
  ];
  test.each(table)('%s', async (_, body, headers, status, code, field, text) => {
    const { status: got, type, json } = await post(tiny, body, headers);
    expect([got, json.code, type]).toEqual([status, code, 'application/problem+json']);
    if (field !== undefined) expect(json.field).toBe(field);
    expect(json.error).toContain(text);
    expect(json.error.length).toBeLessThan(500);
  });

  test('an empty body, with and without Content-Length', async () => {
    const { status, json } = await post(tiny, '');
    expect([status, json.code]).toEqual([400, 'no-body']);
    const text = await raw(tiny, 'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('"code":"no-body"');
  });

  test('__proto__ is neither a task nor a way into one', async () => {
    expect((await post(`${server.url}/tasks/__proto__/classify`, { instances: ROWS })).status).toBe(404);
    expect((await post(`${server.url}/tasks/constructor/classify`, { instances: ROWS })).status).toBe(404);
    expect((await post(tiny, '{"__proto__": {"instances": [[1,2,3,4]]}}')).json.code).toBe('bad-request');
    expect((await post(tiny, '{"__proto__": {"x": 1}, "instances": [[1,2,3,4]]}')).status).toBe(200);
  });

  test('an unknown task is told the nearest name, or the known ones', async () => {
    const near = await post(`${server.url}/tasks/digit/classify`, { instances: ROWS });
    expect([near.status, near.json.code, near.json.expected]).toEqual([404, 'unknown-task', 'digits']);
    expect(near.json.error).toBe('no task named digit. Did you mean digits?');
    const far = await post(`${server.url}/tasks/sentiment/classify`, { instances: ROWS });
    expect(far.json.error).toBe('no task named sentiment. Known here: colour, digits, tiny.');
  });
});

describe('limits', () => {
  test('a body over the limit is 413: by its length, in chunks, and after gunzip', async () => {
    const small = await serve({ bodyLimit: 1000 });
    const url = `${small.url}/tasks/tiny/classify`;
    try {
      expect((await post(url, Buffer.alloc(1000))).status).toBe(200);
      const bomb = gzipSync(Buffer.alloc(1_000_000));
      expect(bomb.length).toBeLessThan(1500);
      for (const answer of [await post(url, Buffer.alloc(1004)), await post(url, bomb, { 'Content-Encoding': 'gzip' })]) {
        expect([answer.status, answer.json.code]).toEqual([413, 'large-body']);
        expect(answer.json.error).toContain('1000 bytes, before and after Content-Encoding');
      }
      const chunk = `3e8\r\n${'0'.repeat(1000)}\r\n`;
      const text = await raw(
        url,
        'POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
        chunk,
        chunk,
        '0\r\n\r\n',
      );
      expect(text).toMatch(/^HTTP\/1\.1 413 /);
    } finally {
      await small.close();
    }
  });
  test('too many rows are 413 in every kind of body', async () => {
    const small = await serve({ rowLimit: 2 });
    const url = `${small.url}/tasks/tiny/classify`;
    try {
      const three = [ROWS[0], ROWS[0], ROWS[0]];
      for (const answer of [await post(url, { instances: three }), await post(url, Buffer.alloc(12))]) {
        expect([answer.status, answer.json.code]).toEqual([413, 'over-limit']);
        expect(answer.json.error).toContain('is 3, the limit is 2');
      }
      expect((await post(url, { instances: ROWS })).status).toBe(200);
    } finally {
      await small.close();
    }
  });
  test('more lists than a request may hold', async () => {
    const { status, json } = await post(tiny, `[${'[],'.repeat(4_000_000)}[]]`);
    expect([status, json.code, json.got]).toEqual([413, 'over-limit', '4000002']);
  });
  test('more keys than a request may hold, in JSON and in msgpack; colons in texts are none', async () => {
    const entries = Array.from({ length: 500_001 }, (_, i): [string, number] => [String(i), 1]);
    const error = 'number of keys of objects in the body is 500001, the limit is 500000. Send rows as lists of numbers, or fewer of them.';
    const json = await post(tiny, Object.fromEntries(entries));
    expect([json.status, json.json.code, json.json.error]).toEqual([413, 'over-limit', error]);
    const msgpack = await post(tiny, new Packr({ variableMapSize: true, useRecords: false }).pack(Object.fromEntries(entries)), {
      'Content-Type': 'application/msgpack',
    });
    expect([msgpack.status, msgpack.json.error]).toEqual([413, error]);
    expect((await post(tiny, { instances: ROWS, note: ':'.repeat(500_001) })).status).toBe(200);
  });
});
