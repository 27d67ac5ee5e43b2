// Tensors as bytes, against Triton's description of the extension: JSON first, then tensors back to back, little-endian; the bytes
// here are put together by Buffer, not by the server's own encoder.

import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeedmaskError } from '../codec/errors.js';
import type { Listening } from '../server/index.js';
import type { Judged } from '../server/protocols/inference.js';
import { outputTensor } from '../server/protocols/oip-infer.js';
import { msgpackAnswer } from '../server/protocols/tasks.js';
import { floatBytes, rowsOfTensor, splitBody, textBytes } from '../server/requests/tensors.js';
import { regenerate } from '../src/network.js';
import { get, oneTask, post, serve, storeOf, tinyNetwork } from './server.material.js';

let server: Listening;
let infer: string;
beforeAll(async () => {
  server = await serve();
  infer = `${server.url}/v2/models/tiny/infer`;
});
afterAll(() => server.close());

const ROWS = [0, 255, 10, 3, 200, 0, 0, 99];
const HEADER = 'Inference-Header-Content-Length';
const floats = (values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((x, i) => {
    bytes.writeFloatLE(x, 4 * i);
  });
  return bytes;
};
const tensor = (size: number, over: object = {}) => ({
  name: 'pixels',
  shape: [2, 4],
  datatype: 'UINT8',
  parameters: { binary_data_size: size },
  ...over,
});
/** A body of JSON and bytes, and the header that says where the bytes begin. */
const framed = (request: object, ...bytes: Uint8Array[]): [Buffer, Record<string, string>] => {
  const json = Buffer.from(JSON.stringify(request));
  return [Buffer.concat([json, ...bytes]), { [HEADER]: String(json.length) }];
};

/** An answer taken apart by the header. */
function unframed({ bytes, headers, type }: Awaited<ReturnType<typeof post>>) {
  expect(type).toBe('application/octet-stream');
  const length = Number(headers.get(HEADER));
  expect(Number(headers.get('content-length'))).toBe(bytes.length);
  return { json: JSON.parse(Buffer.from(bytes.subarray(0, length)).toString()), rest: Buffer.from(bytes.subarray(length)) };
}
const readFloats = (bytes: Buffer) => Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
const readTexts = (bytes: Buffer) => {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return texts;
};
const wantOf = async (data: readonly number[] = ROWS) =>
  (await post(infer, { inputs: [{ name: 'pixels', shape: [data.length / 4, 4], datatype: 'FP32', data }] })).json.outputs;

describe('requests', () => {
  test('UINT8 and FP32 give what JSON gives, with and without compression', async () => {
    const [probabilities, label] = await wantOf();
    const bodies = [
      framed({ inputs: [tensor(8)] }, Uint8Array.from(ROWS)),
      framed({ inputs: [tensor(32, { datatype: 'FP32' })] }, floats(ROWS)),
    ];
    for (const [body, headers] of bodies) {
      for (const answer of [
        await post(infer, body, headers),
        await post(infer, gzipSync(body), { ...headers, 'Content-Encoding': 'gzip' }),
        await post(infer, deflateSync(body), { ...headers, 'Content-Encoding': 'deflate' }),
      ]) {
        expect([answer.status, answer.type]).toEqual([200, 'application/json']);
        expect(answer.json.outputs).toEqual([probabilities, label]);
      }
    }
  });

  test('FP32 that is not whole stays so', async () => {
    const values = [0.5, 255, 10, 3];
    const [body, headers] = framed({ inputs: [tensor(16, { datatype: 'FP32', shape: [1, 4] })] }, floats(values));
    expect((await post(infer, body, headers)).json.outputs).toEqual(await wantOf(values));
  });

  test('a header of 0: the whole body is the tensor, and the answer is bytes too', async () => {
    const [probabilities, label] = await wantOf();
    const { json, rest } = unframed(await post(infer, floats(ROWS), { [HEADER]: '0' }));
    expect(json).toEqual({
      model_name: 'tiny',
      model_version: '2',
      outputs: [
        { name: 'probabilities', datatype: 'FP32', shape: [2, 3], parameters: { binary_data_size: 24 } },
        { name: 'label', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 10 } },
      ],
    });
    expect(readFloats(rest.subarray(0, 24))).toEqual(probabilities.data);
    expect(readTexts(rest.subarray(24))).toEqual(label.data);
    const uint8 = await post(infer, Uint8Array.from([...ROWS, 1, 2, 3, 4]), { [HEADER]: '0' });
    expect([uint8.status, uint8.json.error]).toEqual([
      400,
      'the body has shape [12], expected a multiple of 16 bytes, FP32 [n, 4]. One byte a value goes to POST /tasks/NAME/classify.',
    ]);
    expect((await post(infer, '', { [HEADER]: '0' })).json.code).toBe('bad-shape');
  });

  test('a header that counts the whole body, and JSON alone', async () => {
    const request = { inputs: [{ name: 'pixels', shape: [2, 4], datatype: 'UINT8', data: ROWS }] };
    const [body, headers] = framed(request);
    expect((await post(infer, body, headers)).json.outputs).toEqual(await wantOf());
  });

  const eight = Uint8Array.from(ROWS);
  const table: [string, [Buffer, Record<string, string>], string, string][] = [
    ['no header', [framed({ inputs: [tensor(8)] })[0], {}], '/inputs/0/parameters/binary_data_size', `Say with ${HEADER}`],
    [
      'bytes and data',
      framed({ inputs: [tensor(8, { data: ROWS })] }, eight),
      '/inputs/0/parameters/binary_data_size',
      'absent where there is data',
    ],
    [
      'too few bytes',
      framed({ inputs: [tensor(8)] }, eight.subarray(1)),
      '/inputs/0/parameters/binary_data_size',
      'the 7 bytes behind the JSON',
    ],
    [
      'too many bytes',
      framed({ inputs: [tensor(8)] }, eight, eight),
      '/inputs/0/parameters/binary_data_size',
      'the 16 bytes behind the JSON',
    ],
    [
      'another size',
      framed({ inputs: [tensor(7)] }, eight),
      '/inputs/0/parameters/binary_data_size',
      '8, the bytes of UINT8 [2, 4], got 7',
    ],
    [
      'FP32 in UINT8 bytes',
      framed({ inputs: [tensor(8, { datatype: 'FP32' })] }, eight),
      '/inputs/0/parameters/binary_data_size',
      '32, the bytes of FP32',
    ],
    ['a negative size', framed({ inputs: [tensor(-8)] }, eight), '/inputs/0/parameters/binary_data_size', 'a whole number of bytes'],
    [
      'bytes that nothing names',
      framed({ inputs: [tensor(8, { parameters: {}, data: ROWS })] }, eight),
      'the bytes behind the JSON',
      'binary_data_size',
    ],
    ['FP16', framed({ inputs: [tensor(16, { datatype: 'FP16' })] }, Buffer.alloc(16)), '/inputs/0/datatype', 'must be FP32 or UINT8'],
    ['BF16', framed({ inputs: [tensor(16, { datatype: 'BF16' })] }, Buffer.alloc(16)), '/inputs/0/datatype', 'must be FP32 or UINT8'],
    ['INT64', framed({ inputs: [tensor(64, { datatype: 'INT64' })] }, Buffer.alloc(64)), '/inputs/0/datatype', 'must be FP32 or UINT8'],
    ['BYTES', framed({ inputs: [tensor(8, { datatype: 'BYTES' })] }, eight), '/inputs/0/datatype', 'must be FP32 or UINT8'],
    [
      'NaN',
      framed({ inputs: [tensor(32, { datatype: 'FP32' })] }, floats([...ROWS.slice(0, 5), Number.NaN, 1, 2])),
      'element 5 of the tensor',
      'is NaN',
    ],
    [
      'infinity',
      framed({ inputs: [tensor(32, { datatype: 'FP32' })] }, floats([-Infinity, ...ROWS.slice(1)])),
      'element 0 of the tensor',
      'is -Infinity',
    ],
    ['a header beyond the body', [framed({})[0], { [HEADER]: '3' }], HEADER, 'at most the 2 of the body'],
    ['a header that is no number', [framed({})[0], { [HEADER]: '2.0' }], HEADER, 'the number of bytes of JSON'],
    ['a negative header', [framed({})[0], { [HEADER]: '-1' }], HEADER, 'the number of bytes of JSON'],
    [
      '2^53 + 1 in JSON',
      framed({ inputs: [tensor(0, { datatype: 'FP32', parameters: {}, shape: [1, 4], data: [0, 0, 0, 2 ** 53] })] }),
      'input 3 of row 0',
      'a pixel, 0..255',
    ],
  ];
  test.each(table)('%s', async (_, [body, headers], field, text) => {
    const { status, type, json } = await post(infer, body, headers);
    expect([status, type, json.field]).toEqual([400, 'application/json', field]);
    expect(json.error).toContain(text);
  });

  test('logits that overflow are refused, not answered with NaN', async () => {
    const transform = { scale: Math.fround(2.6e36), mean: Math.fround(127), constant: null };
    const other = await serve({ store: await storeOf({ 'tiny.smk': oneTask(tinyNetwork(), ['a', 'b', 'c'], { transform }) }) });
    // Four times sigma sqrt(2 / 7) of 3.3e38 each, all with the sign of their weight: above the largest f32.
    const values = Array.from(regenerate(tinyNetwork())[0].subarray(0, 4), (w) => (w > 0 ? 254.5 : 0));
    const [body, headers] = framed({ inputs: [tensor(16, { datatype: 'FP32', shape: [1, 4] })] }, floats(values));
    const { status, json } = await post(`${other.url}/v2/models/tiny/infer`, body, headers);
    expect([status, json.code, json.got]).toEqual([400, 'bad-value', 'too large for f32 logits']);
    await other.close();
  });

  test('and so are scores of tasks that such logits would give', async () => {
    const transform = { scale: Math.fround(2.6e36), mean: Math.fround(127), constant: null };
    const model = () => oneTask(tinyNetwork(), ['a', 'b', 'c'], { transform });
    const other = await serve({ store: await storeOf({ 'tiny.smk': model(), 'twin.smk': model() }) });
    const [{ id }] = (await get(`${other.url}/networks`)).json.networks;
    const pixels = Uint8Array.from(regenerate(tinyNetwork())[0].subarray(0, 4), (w) => (w > 0 ? 255 : 0));
    const { status, json } = await post(`${other.url}/networks/${id}/infer-task`, pixels, { 'Content-Type': 'application/octet-stream' });
    expect([status, json.code, json.got]).toEqual([400, 'bad-value', 'too large for f32 logits']);
    await other.close();
  });
});

describe('answers', () => {
  const request = (over: object) => ({ inputs: [{ name: 'pixels', shape: [2, 4], datatype: 'UINT8', data: ROWS }], ...over });

  test('binary_data_output asks for all, binary_data of an output wins, and both kinds mix', async () => {
    const [probabilities, label] = await wantOf();
    const all = unframed(await post(infer, request({ id: 'x', parameters: { binary_data_output: true } })));
    expect(all.json.id).toBe('x');
    expect(readFloats(all.rest.subarray(0, 24))).toEqual(probabilities.data);
    const outputs = [{ name: 'label' }, { name: 'probabilities', parameters: { binary_data: false } }];
    const mixed = unframed(await post(infer, request({ parameters: { binary_data_output: true }, outputs })));
    expect(mixed.json.outputs[1]).toEqual(probabilities);
    expect(mixed.json.outputs[0]).toEqual({ name: 'label', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 10 } });
    expect(readTexts(mixed.rest)).toEqual(label.data);
    const one = unframed(await post(infer, request({ outputs: [{ name: 'probabilities', parameters: { binary_data: true } }] })));
    expect(readFloats(one.rest)).toEqual(probabilities.data);
  });

  test('classification gives the k best as value:index:label, in JSON and as bytes', async () => {
    const [probabilities] = await wantOf();
    const rows: number[][] = [probabilities.data.slice(0, 3), probabilities.data.slice(3)];
    const best = rows.map((row) =>
      row
        .map((p, i) => ({ p, text: `${p}:${i}:${'abc'[i]}` }))
        .sort((x, y) => y.p - x.p)
        .map(({ text }) => text),
    );
    const wish = (k: number, more: object = {}) =>
      request({ outputs: [{ name: 'probabilities', parameters: { classification: k, ...more } }] });
    const two = (await post(infer, wish(2))).json.outputs;
    expect(two).toEqual([{ name: 'probabilities', datatype: 'BYTES', shape: [2, 2], data: best.flatMap((row) => row.slice(0, 2)) }]);
    expect((await post(infer, wish(99))).json.outputs[0].shape).toEqual([2, 3]);
    expect((await post(infer, wish(0))).json.outputs[0].datatype).toBe('FP32');
    expect(readTexts(unframed(await post(infer, wish(1, { binary_data: true }))).rest)).toEqual(best.map(([first]) => first));
    const label = await post(infer, request({ outputs: [{ name: 'label', parameters: { classification: 1 } }] }));
    expect([label.status, label.json.field]).toEqual([400, '/outputs/0/parameters/classification']);
  });

  test('an output that is asked for twice is refused', async () => {
    const { status, json } = await post(infer, request({ outputs: [{ name: 'label' }, { name: 'probabilities' }, { name: 'label' }] }));
    expect([status, json.field, json.got]).toEqual([400, '/outputs/2/name', 'label']);
  });

  test.each([1, 40_000])('of %d rows are the same in turns as at once; others have theirs where there are many', async (rows) => {
    const labels = ['a', 'b', 'c'];
    const probabilities = Float32Array.from({ length: 3 * rows }, (_, i) => ((i * 7919) % 1000) / 1000);
    const best = new Uint32Array(rows);
    const names = Array.from(best, () => 'a');
    const of = (row: number) => Array.from(probabilities.subarray(3 * row, 3 * row + 3));
    for (const work of [
      async (judged: Judged) => {
        const { bytes } = await outputTensor({ name: 'probabilities', binary: true, best: 1 }, judged);
        const texts = readTexts(Buffer.from(bytes ?? []));
        expect([texts.length, texts[rows - 1].split(':')[0]]).toEqual([rows, `${Math.max(...of(rows - 1))}`]);
      },
      async (judged: Judged) => {
        const { task, predictions } = new Unpackr({ useRecords: false }).unpack((await msgpackAnswer('t', judged)).body as Buffer);
        expect([task, predictions.length, predictions[rows - 1].label]).toEqual(['t', rows, 'a']);
        expect(Float32Array.from(predictions[rows - 1].probabilities)).toEqual(Float32Array.from(of(rows - 1)));
      },
    ]) {
      let turns = 0;
      setImmediate(() => turns++);
      const done = work({ rows, labels, best, probabilities, names }).then(() => turns);
      expect(await done).toBe(rows === 1 ? 0 : 1);
    }
  });

  test('an abstaining label is an empty text, the probabilities stay', async () => {
    const [probabilities] = await wantOf();
    const { json } = await post(infer, request({ parameters: { abstain: 1 } }));
    expect(json.outputs[0]).toEqual(probabilities);
    expect(json.outputs[1].data).toEqual(['', '']);
  });
});

describe('the parts', () => {
  test('floats and texts come back from their bytes', () => {
    const float = fc.float({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(float, { minLength: 1 }), (values) => {
        const bytes = floatBytes(Float32Array.from(values));
        expect(readFloats(Buffer.from(bytes))).toEqual(Array.from(Float32Array.from(values)));
        // +0 and -0 classify alike: bytes hold no -0, floats do.
        const positive = (x: number) => x + 0;
        expect(Array.from(rowsOfTensor(bytes, 'FP32', 1, 'x').values, positive)).toEqual(values.map(positive));
      }),
      { examples: [[[-0]], [[-0, 0.5]]] },
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        expect(readTexts(Buffer.from(textBytes(texts)))).toEqual(texts.map((text) => Buffer.from(text).toString()));
      }),
    );
  });

  test('any header splits a body in two or is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.oneof(fc.string(), fc.integer({ min: -5, max: 50 }).map(String)), (body, header) => {
        try {
          const { json, tensors } = splitBody(body, header);
          expect(Buffer.concat([json ?? new Uint8Array(0), tensors ?? new Uint8Array(0)])).toEqual(Buffer.from(body));
        } catch (error) {
          if (!(error instanceof SeedmaskError)) throw error;
          expect(error.code).toBe('bad-request');
        }
      }),
    );
  });

  test('any bytes and any JSON get a clear answer, and the server lives', async () => {
    const header = fc.oneof(fc.constant('0'), fc.nat(80).map(String));
    const junk = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.json().map((text) => Uint8Array.from(Buffer.from(text))),
      fc
        .record({
          inputs: fc.array(
            fc.record({
              name: fc.constant('pixels'),
              shape: fc.array(fc.integer()),
              datatype: fc.constantFrom('FP32', 'UINT8', 'X'),
              data: fc.array(fc.jsonValue()),
            }),
          ),
        })
        .map((value) => Uint8Array.from(Buffer.from(JSON.stringify(value)))),
    );
    await fc.assert(
      fc.asyncProperty(junk, header, fc.boolean(), async (body, length, sent) => {
        const { status, json } = await post(infer, body, sent ? { [HEADER]: length } : {});
        expect(status === 200 || (status >= 400 && status < 500 && typeof json.error === 'string')).toBe(true);
      }),
      { seed: 7, numRuns: 300 },
    );
    expect((await fetch(`${server.url}/v2/health/live`)).status).toBe(200);
  });
});
