// Bodies as strangers send them: announced and never sent, compressed, cut off, many at once; and what a connection that ends may take.

import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { createHandler, type Listening, listen } from '../server/index.js';
import { kindOf } from '../server/requests/kinds.js';
import { READERS } from '../server/requests/readers.js';
import { chunk, engine, png, post, sampleStore, serve } from './server.material.js';

const ROW = Uint8Array.of(0, 255, 10, 3);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A connection that announces a body and sends these bytes of it. */
async function unfinished(server: Listening, length: number, bytes: Uint8Array, headers = ''): Promise<Socket> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => {});
  socket.write(`POST /tasks/tiny/classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n${headers}\r\n`);
  socket.write(bytes);
  await pause(50);
  return socket;
}

describe('bodies that are under way', () => {
  test('count by what has come of them: who announces much and sends little keeps nobody out', async () => {
    const server = await serve({ intakeLimit: 1000 });
    const url = `${server.url}/tasks/tiny/classify`;
    const slow = await Promise.all(Array.from({ length: 4 }, () => unfinished(server, 800, new Uint8Array(50))));
    expect((await post(url, new Uint8Array(400))).status).toBe(200);
    const refused = await post(url, new Uint8Array(804));
    expect([refused.status, refused.json.code, refused.headers.get('retry-after')]).toEqual([503, 'overloaded', '1']);
    for (const socket of slow) socket.destroy();
    await pause(50);
    expect((await post(url, new Uint8Array(804))).status).toBe(200);
    await server.close();
  });

  test('leave room for small ones: large ones that stop before their end keep them out no more', async () => {
    const server = await serve({ intakeLimit: 800_000 });
    const url = `${server.url}/tasks/tiny/classify`;
    const stalled = await Promise.all(Array.from({ length: 2 }, () => unfinished(server, 350_000, new Uint8Array(349_999))));
    const refusal = 'too much at once: 765538 bytes of bodies being read, the limit is 700000. Try again in 1 s.';
    await expect.poll(async () => (await post(url, new Uint8Array(65_540))).json.error, { timeout: 20_000 }).toBe(refusal);
    expect((await post(url, new Uint8Array(65_536))).status).toBe(200);
    for (const socket of stalled) socket.destroy();
    await server.close();
  });

  test('count as they are after Content-Encoding', async () => {
    const server = await serve({ intakeLimit: 10_000 });
    const url = `${server.url}/tasks/tiny/classify`;
    const bomb = gzipSync(new Uint8Array(100_000));
    expect(bomb.length).toBeLessThan(1000);
    const slow = await unfinished(server, 900, new Uint8Array(50));
    const refused = await post(url, bomb, { 'Content-Encoding': 'gzip' });
    expect([refused.status, refused.json.code]).toEqual([503, 'overloaded']);
    slow.destroy();
    await pause(50);
    // Alone it is let in.
    expect((await post(url, bomb, { 'Content-Encoding': 'gzip' })).status).toBe(200);
    await server.close();
  });

  test('count as they come, too: empty pieces of gzip are many bytes of nothing', async () => {
    const server = await serve({ bodyLimit: 10_000 });
    const body = Buffer.concat(new Array<Buffer>(501).fill(gzipSync('')));
    expect(body.length).toBeGreaterThan(10_000);
    const { hostname, port } = new URL(server.url);
    const chunked = request({ hostname, port, path: '/tasks/tiny/classify', method: 'POST', headers: { 'Content-Encoding': 'gzip' } });
    const answered = once(chunked, 'response') as Promise<[IncomingMessage]>;
    chunked.write(body);
    chunked.end();
    expect((await answered)[0].resume().statusCode).toBe(413);
    await server.close();
  });

  test('end when their connection does, compressed or not, and hold nothing', async () => {
    const server = await serve({ intakeLimit: 1000 });
    const half = gzipSync(Uint8Array.from({ length: 4000 }, (_, i) => (i * i * 31) & 255)).subarray(0, 900);
    const sockets = await Promise.all([
      unfinished(server, 5000, new Uint8Array(900)),
      unfinished(server, 5000, half, 'Content-Encoding: gzip\r\n'),
    ]);
    for (const socket of sockets) socket.destroy();
    await pause(50);
    const url = `${server.url}/tasks/tiny/classify`;
    const answers = await Promise.all([post(url, new Uint8Array(500)), post(url, gzipSync(ROW), { 'Content-Encoding': 'gzip' })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await server.close();
  });
});

describe('what a body without a Content-Type is', () => {
  const kind = (body: Uint8Array, width: number, type?: string, numbers?: boolean) => kindOf(body, { shape: [1, 1, width], type, numbers });
  const packr = new Packr({ useRecords: false, variableMapSize: true });
  const row = (first: readonly number[], last = 0, length = 784) => {
    const bytes = new Uint8Array(length).fill(7);
    bytes.set(first);
    bytes[length - 1] = last;
    return bytes;
  };
  const ascii = (text: string) => [...Buffer.from(text)];

  test.each([
    ['one row, whatever it begins with: a list', row(ascii('[[1, 2, 3'), 0x5d)],
    ['one row: an object', row(ascii('{"instances": [[1'), 0x7d)],
    ['one row: msgpack', row([0x81, 0xa9, ...ascii('instances')])],
    ['one row: a PNG', row([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
    ['many rows that begin with a bracket', row([0x5b, 0x5b, 0x5b, 0x5c], 0x5d, 784 * 3)],
    ['many rows that begin with a brace', row([0x7b, 0x7b, 0x22], 0x7d, 784 * 3)],
    ['many rows that begin as JSON and do not end so', row(ascii('[[12, 3'), 0x7d, 784 * 3)],
    ['many rows that begin as msgpack does', row([0x81, 0xa5, 1, 2, 3], 0, 784 * 2)],
    ['many rows that begin as half a PNG', row([0x89, 0x50, 0x4e, 0x47], 0, 784 * 2)],
  ])('%s', (_, body) => expect(kind(body, 784)).toBe('pixels'));

  test('values of a smooth grey never look like something else', () => {
    for (let grey = 0; grey < 256; grey++) expect(kind(new Uint8Array(2 * 784).fill(grey), 784)).toBe('pixels');
  });

  test('JSON and msgpack are what they are, also where their length is that of whole rows', () => {
    const texts = [
      '{"instances":[[1,2]]}',
      ' [[1, 2]]\n',
      '[1,2]',
      '[]',
      '{}',
      '{ "abstain" : 1 }',
      '[{"pixels":[1]}]',
      '\ufeff{"a":1}',
      '[[-1]]',
    ];
    for (const text of texts) {
      const body = Buffer.from(text);
      for (const width of [1, body.length, 784]) expect(kind(body, width === body.length ? width - 1 : width), text).toBe('json');
      for (const numbers of [false, true]) expect(kind(body, 1, 'text/plain', numbers)).toBe('json');
    }
    for (const value of [{ instances: [[1, 2]] }, { abstain: 0.5, instances: new Uint8Array(4) }])
      expect(kind(packr.pack(value), 1)).toBe('msgpack');
    // What cannot be rows is explained as what it tries to be.
    expect(kind(Buffer.from("{'instances'"), 784)).toBe('json');
    expect(() => kind(new Uint8Array(785), 784)).toThrow('785 bytes of no declared type');
  });

  test.each([undefined, 'application/x-www-form-urlencoded', 'text/csv', 'text/plain; charset=utf-8'])(
    'numbers as text, which float32 rows never are, are no raw rows (%s)',
    (type) => {
      const json = 'Of texts JSON alone is read: send {"instances": [[...]]} with one list of numbers per row.';
      // 16 and 32 bytes: a row and two of four float32.
      for (const text of ['7.2,2.8,5.6,2.1\n', '7.2,2.8,5.6,2.1\n'.repeat(2), 'x=7.2&y=2.8&z=51', '7.2,2.8,5.6,2.1\n'.repeat(1000)])
        expect(() => kind(Buffer.from(text), 4, type, true)).toThrow(json);
      for (const text of ['[7.2,2.8,5.6,21]', '{"instances":[[7.2,2.8,5.6,2.1]]}', JSON.stringify(new Array(1000).fill([1, 2, 3, 4]))])
        expect(kind(Buffer.from(text.padEnd(Math.ceil(text.length / 16) * 16)), 4, type, true)).toBe('json');
      // A picture may have any bytes, but not those of a list of numbers alone: 1,568 bytes are two rows.
      expect(() => kind(Buffer.from(`${'0,'.repeat(783)}0\n`), 784, type)).toThrow(json);
    },
  );

  test('one raw row is that row, though its bytes are printable', () => {
    // Two greys, 32 and 50, as a list of numbers has them.
    const grey = Uint8Array.from({ length: 784 }, (_, i) => (i % 2 ? 0x20 : 0x32));
    expect(kind(grey, 784)).toBe('pixels');
    // The float32 of these bytes are numbers like others: 6.4e-10, 2.9e23 and so on.
    for (const text of ['1x3.', 'abcd', 'GET ', 'QQAB0000'])
      expect(kind(Buffer.from(text), text.length / 4, undefined, true)).toBe('pixels');
    for (const text of ['[12]', '[1,2,34]']) expect(kind(Buffer.from(text), text.length / 4, undefined, true)).toBe('json');
    expect(() => kind(Buffer.from('1,2,'), 1, undefined, true)).toThrow('JSON alone is read');
  });

  test('raw rows are of no type, of curl’s, or of their own, which is believed', () => {
    const rows = Buffer.from(Float32Array.of(7.2, 2.8, 5.6, 2.1).buffer);
    for (const type of [undefined, '', 'application/x-www-form-urlencoded', 'application/octet-stream'])
      expect([kind(rows, 4, type, true), kind(rows, 16, type)]).toEqual(['pixels', 'pixels']);
    const text = Buffer.from('7.2,2.8,5.6,2.1\n');
    expect([kind(text, 4, 'application/octet-stream', true), kind(text, 8, 'application/octet-stream')]).toEqual(['pixels', 'pixels']);
    const jpeg = Buffer.concat([Buffer.of(0xff, 0xd8, 0xff, 0xe0), Buffer.alloc(780)]);
    for (const type of ['image/jpeg', 'text/plain', 'multipart/form-data; boundary=x'])
      expect(() => kind(jpeg, 784, type)).toThrow(
        `784 bytes of ${type}, expected JSON, application/octet-stream, application/msgpack or image/png. Rows of raw values are application/octet-stream, and a multiple of 784 bytes.`,
      );
  });
});

test.each(['classify', 'infer-task'] as const)(
  'of a body of %s only what is asked for is told: a thread would send all the rest',
  (reader) => {
    const body = Buffer.from(JSON.stringify({ instances: [[1, 2, 3, 4.5]], abstain: 0.5, method: 'all', more: 'x' }));
    const { rows, said } = READERS[reader](body, { shape: [2, 2, 1], limit: 10 });
    expect([rows.count, said]).toEqual([1, reader === 'classify' ? { abstain: 0.5 } : { tasks: undefined, method: 'all' }]);
  },
);

test('bytes among the numbers of a msgpack row are refused, not taken for the row', async () => {
  const server = await serve();
  const packr = new Packr({ useRecords: false });
  for (const bytes of [ROW, new Uint8Array(9), new Uint8Array(1)]) {
    const body = packr.pack({ instances: [[Buffer.from(bytes), 0, 0, 0]] });
    const { status, json } = await post(`${server.url}/tasks/tiny/classify`, body, { 'Content-Type': 'application/msgpack' });
    expect([status, json.code, json.field]).toEqual([400, 'bad-shape', '/instances/0']);
  }
  await server.close();
});

test('a PNG whose pixels are too few, too many or cut off is refused, never filled up', async () => {
  const server = await serve();
  const whole = png(2, 2, () => [1, 2, 3, 255], 0);
  const at = whole.indexOf('IDAT') - 4;
  const image = (data: Uint8Array) => Buffer.concat([whole.subarray(0, at), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
  const answer = (data: Uint8Array) => post(`${server.url}/tasks/tiny/classify`, image(data), { 'Content-Type': 'image/png' });
  expect((await answer(deflateSync(new Uint8Array(6)))).status).toBe(200);
  const wrong = [new Uint8Array(5), new Uint8Array(7), new Uint8Array(1e6)].map((bytes) => deflateSync(bytes));
  for (const data of [...wrong, deflateSync(new Uint8Array(6)).subarray(0, 4), new Uint8Array(0)]) {
    const { status, json } = await answer(data);
    expect([status, json.code, json.field]).toEqual([400, 'bad-image', 'the fault']);
  }
  await server.close();
});

test('who asks and does not read is cut off, with what is held for it', async () => {
  const cut: IncomingMessage[] = [];
  const answer = (req: IncomingMessage, res: ServerResponse) => {
    req.socket.once('close', () => cut.push(req));
    // The system takes up to some 40 MB for a connection that nobody reads.
    res.end(Buffer.alloc(60_000_000));
  };
  const server = await listen(answer, { port: 0, idleTimeout: 200 });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    .pause()
    .on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await expect.poll(() => cut.length, { timeout: 20_000 }).toBe(1);
  socket.destroy();
  await server.close();
});

test('a drain that keeps accepting longer than it would wait cuts nobody before', async () => {
  const handler = createHandler({ engine, store: await sampleStore() });
  const server = await listen(handler, { port: 0, drainDelay: 400, drainLimit: 200 });
  const flying = request(`${server.url}/tasks/tiny/classify`, { method: 'POST', headers: { 'Content-Length': 4 } });
  const status = new Promise((resolve, reject) => flying.on('response', (res) => resolve(res.resume().statusCode)).on('error', reject));
  flying.write(ROW.subarray(0, 2));
  await pause(50);
  const closing = server.close();
  await pause(300);
  flying.end(ROW.subarray(2));
  expect(await status).toBe(200);
  await closing;
});

test('requests that wait behind others of a connection that ends keep no drain from its end', async () => {
  const server = await listen((_req, res) => void setTimeout(() => res.end('x'), 100), { port: 0, drainLimit: 200 });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
  await pause(50);
  const closing = server.close();
  socket.destroy();
  await closing;
});
