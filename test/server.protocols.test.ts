// TensorFlow Serving v1, KServe v1 and the Open Inference Protocol over real sockets. Shapes of requests and answers are those of
// tensorflow/serving api_rest.md and of the Open Inference Protocol's required API.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Listening } from '../server/index.js';
import { get, post, serve } from './server.material.js';

let server: Listening;
beforeAll(async () => {
  server = await serve({ release: '1.2.3' });
});
afterAll(() => server.close());

const ROWS = [
  [0, 255, 10, 3],
  [200, 0, 0, 99],
];
const at = (path: string) => `${server.url}${path}`;
/** Probabilities of the task's own route, for one version: what every protocol must give. */
async function own(version?: string): Promise<number[][]> {
  const path = version ? `/v1/models/tiny/versions/${version}:predict` : '/tasks/tiny/classify';
  const { json } = await post(at(path), { instances: ROWS });
  return json.predictions.map((p: { probabilities: number[] } | number[]) => (Array.isArray(p) ? p : p.probabilities));
}

describe('TensorFlow Serving', () => {
  const predict = '/v1/models/tiny:predict';
  test('row form, column form and the named input', async () => {
    const want = await own();
    const { type, json } = await post(at(predict), { instances: ROWS });
    expect([type, json]).toEqual(['application/json', { predictions: want }]);
    expect((await post(at(predict), { signature_name: 'serving_default', instances: ROWS.map((pixels) => ({ pixels })) })).json).toEqual({
      predictions: want,
    });
    expect((await post(at(predict), { inputs: ROWS })).json).toEqual({ outputs: want });
    expect((await post(at(predict), { inputs: { pixels: ROWS } })).json).toEqual({ outputs: want });
  });

  test('versions and labels; the highest version is the default', async () => {
    const [first, second] = [await own('1'), await own('2')];
    expect(first).not.toEqual(second);
    expect(await own()).toEqual(second);
    expect((await post(at('/v1/models/tiny/labels/stable:predict'), { instances: ROWS })).json.predictions).toEqual(first);
    expect((await post(at('/v1/models/tiny/labels/canary:predict'), { instances: ROWS })).json.predictions).toEqual(second);
    const version = await post(at('/v1/models/tiny/versions/3:predict'), { instances: ROWS });
    expect([version.status, version.json.error]).toEqual([404, 'task tiny has no version 3, only 1, 2']);
    const label = await post(at('/v1/models/tiny/labels/beta:predict'), { instances: ROWS });
    expect([label.status, label.json.error]).toEqual([404, 'task tiny has no version label beta, only stable, canary']);
  });

  test.each([
    ['neither key', {}, 'bad-request', 'got neither'],
    ['both keys', { instances: ROWS, inputs: ROWS }, 'bad-request', 'got both'],
    ['no batch dimension', { instances: ROWS[0] }, 'bad-shape', 'Add the batch dimension: {"instances": [[...]]}'],
    ['no batch dimension in columns', { inputs: ROWS[0] }, 'bad-shape', 'Add the batch dimension: {"inputs": [[...]]}'],
    ['a list alone', ROWS, 'bad-request', 'of type object, got a list of 2'],
    ['another signature', { signature_name: 'classify', instances: ROWS }, 'bad-request', '/signature_name must be serving_default'],
    ['another input name', { inputs: { x: ROWS } }, 'bad-request', '/inputs must be a list of instances'],
    ['base64', { instances: [{ b64: 'AA==' }] }, 'bad-shape', 'PNG and raw bytes go to POST /tasks/NAME/classify'],
    ['a whole number beyond f32', { instances: [[0, 0, 0, 16777217]] }, 'bad-value', 'input 3 of row 0 is 16777216'],
  ])('%s', async (_, body, code, text) => {
    const { status, json } = await post(at(predict), body);
    expect([status, json.code]).toEqual([400, code]);
    expect(json.error).toContain(text);
  });

  test('status satisfies TF Serving and KServe v1 at once', async () => {
    const version = (number: string) => ({ version: number, state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } });
    expect((await get(at('/v1/models/tiny'))).json).toEqual({
      model_version_status: [version('2'), version('1')],
      name: 'tiny',
      ready: true,
    });
    expect((await get(at('/v1/models/tiny/versions/1'))).json.model_version_status).toEqual([version('1')]);
    expect((await get(at('/v1/models/tiny/labels/canary'))).json.model_version_status).toEqual([version('2')]);
    expect((await get(at('/v1/models'))).json).toEqual({ models: ['colour', 'digits', 'tiny'] });
  });

  test('metadata has the signature, doubly nested, and says what values are', async () => {
    const { json } = await get(at('/v1/models/digits/metadata'));
    expect(json.model_spec).toEqual({ name: 'digits', signature_name: '', version: '1' });
    const signature = json.metadata.signature_def.signature_def.serving_default;
    expect(signature.inputs.pixels.dtype).toBe('DT_FLOAT');
    expect(signature.inputs.pixels.tensor_shape.dim.map((d: { size: string }) => d.size)).toEqual(['-1', '784']);
    expect(signature.outputs.probabilities.tensor_shape.dim.map((d: { size: string }) => d.size)).toEqual(['-1', '10']);
    expect(json.values).toContain('0..255');
    expect((await get(at('/v1/models/tiny/versions/1/metadata'))).json.model_spec.version).toBe('1');
  });
});

describe('Open Inference Protocol', () => {
  const infer = '/v2/models/tiny/infer';
  const input = (over: object = {}) => ({ name: 'pixels', shape: [2, 4], datatype: 'UINT8', data: ROWS.flat(), ...over });

  test('server metadata with and without the slash, health', async () => {
    const about = {
      name: 'seedmask',
      version: '1.2.3',
      extensions: ['binary_tensor_data', 'classification', 'model_repository', 'statistics'],
    };
    expect((await get(at('/v2'))).json).toEqual(about);
    expect((await get(at('/v2/'))).json).toEqual(about);
    expect((await get(at('/v2/health/live'))).json).toEqual({ live: true });
    expect((await get(at('/v2/health/ready'))).json).toEqual({ live: true, ready: true });
    expect((await get(at('/v2/models/tiny/ready'))).json).toEqual({ name: 'tiny', ready: true });
    expect((await get(at('/v2/models/tiny/versions/1/ready'))).json).toEqual({ name: 'tiny', ready: true });
    expect((await get(at('/v2/models/tiny/versions/9/ready'))).status).toBe(404);
  });

  test('model metadata', async () => {
    expect((await get(at('/v2/models/tiny'))).json).toMatchObject({
      name: 'tiny',
      versions: ['1', '2'],
      platform: 'seedmask',
      inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
        { name: 'label', datatype: 'BYTES', shape: [-1] },
      ],
      parameters: { labels: '["a","b","c"]' },
    });
    expect((await get(at('/v2/models/tiny/versions/2'))).status).toBe(200);
  });

  test('flat and nested data, both datatypes; id echoed, unknown parameters pass', async () => {
    const want = await own();
    const labels = want.map((row) => 'abc'[row.indexOf(Math.max(...row))]);
    const outputs = [
      { name: 'probabilities', datatype: 'FP32', shape: [2, 3], data: want.flat() },
      { name: 'label', datatype: 'BYTES', shape: [2], data: labels },
    ];
    for (const tensor of [
      input(),
      input({ data: ROWS }),
      input({ datatype: 'FP32' }),
      input({ datatype: 'FP32', data: ROWS, parameters: { x: 1 } }),
    ]) {
      const { status, type, json } = await post(at(infer), {
        id: 'q-7',
        parameters: { task: 'z', binary_data_output: false },
        inputs: [tensor],
      });
      expect([status, type]).toEqual([200, 'application/json']);
      expect(json).toEqual({ model_name: 'tiny', model_version: '2', id: 'q-7', outputs });
    }
    const without = await post(at('/v2/models/tiny/versions/1/infer'), { inputs: [input()], outputs: [{ name: 'label' }] });
    expect(Object.keys(without.json)).toEqual(['model_name', 'model_version', 'outputs']);
    expect(without.json.model_version).toBe('1');
    expect(without.json.outputs.map((o: { name: string }) => o.name)).toEqual(['label']);
    // An empty list asks for all, as no list does (Triton's InferenceRequest::Normalize).
    const empty = await post(at('/v2/models/tiny/versions/1/infer'), { inputs: [input()], outputs: [] });
    expect(empty.json.outputs.map((o: { name: string }) => o.name)).toEqual(['probabilities', 'label']);
  });

  test.each([
    ['no inputs', {}, '/inputs', 'of type array, got nothing'],
    ['two inputs', { inputs: [input(), input()] }, '/inputs', 'a list of one tensor'],
    ['another name', { inputs: [input({ name: 'x' })] }, '/inputs/0/name', "must be 'pixels', got"],
    [
      'another datatype',
      { inputs: [input({ datatype: 'FP64' })] },
      '/inputs/0/datatype',
      'must be FP32 or UINT8; whole numbers 0..255 fit UINT8, got "FP64". Send {"inputs": [{"name": "pixels", "shape": [n, 4], "datatype"',
    ],
    ['no batch dimension', { inputs: [input({ shape: [4], data: ROWS[0] })] }, '/inputs/0/shape', 'Add the batch dimension: shape [1, 4]'],
    ['picture shape', { inputs: [input({ shape: [2, 2, 2, 1] })] }, '/inputs/0/shape', 'The input is flat: shape [2, 4]'],
    ['transposed', { inputs: [input({ shape: [4, 2] })] }, '/inputs/0/shape', 'The input is flat: shape [2, 4]'],
    ['no rows', { inputs: [input({ shape: [0, 4], data: [] })] }, '/inputs/0/shape', 'with n >= 1'],
    ['negative dimension', { inputs: [input({ shape: [-1, 4] })] }, '/inputs/0/shape/0', 'at least 0'],
    ['fractional dimension', { inputs: [input({ shape: [1.5, 4] })] }, '/inputs/0/shape/0', 'a whole number'],
    ['overflowing shape', { inputs: [input({ shape: [2 ** 4, 2 ** 60 + 2] })] }, '/inputs/0/shape/1', 'whole number'],
    ['too little data', { inputs: [input({ data: [1, 2, 3] })] }, '/inputs/0/data', 'has shape [3], expected [8] or [2, 4]'],
    ['too few nested rows', { inputs: [input({ data: [ROWS[0]] })] }, '/inputs/0/data', 'has shape [1, 4]'],
    ['short nested row', { inputs: [input({ data: [ROWS[0], [1]] })] }, '/inputs/0/data/1', 'has shape [1], expected [4]'],
    ['list in flat data', { inputs: [input({ data: [1, 2, 3, 4, 5, 6, 7, [8]] })] }, '/inputs/0/data/7', 'is a list of 1'],
    ['no data', { inputs: [input({ data: undefined })] }, '/inputs/0/data', 'with parameters.binary_data_size'],
    ['UINT8 above 255', { inputs: [input({ data: [256, 0, 0, 0, 0, 0, 0, 0] })] }, '/inputs/0/data/0', 'a whole number 0..255'],
    ['UINT8 fraction', { inputs: [input({ data: [0, 0.5, 0, 0, 0, 0, 0, 0] })] }, '/inputs/0/data/1', 'a whole number 0..255'],
    ['null', { inputs: [input({ datatype: 'FP32', data: [0, 0, 0, 0, null, 0, 0, 0] })] }, '/inputs/0/data/4', 'JSON has no NaN'],
    ['unknown output', { inputs: [input()], outputs: [{ name: 'logits' }] }, '/outputs/0/name', "'probabilities' or 'label'"],
    ['a number as id', { id: 7, inputs: [input()] }, '/id', 'of type string'],
    ['a list alone', [input()], 'the body', 'of type object'],
  ])('%s', async (_, body, field, text) => {
    const { status, type, json } = await post(at(infer), body);
    expect([status, type, json.field]).toEqual([400, 'application/json', field]);
    expect(json.error).toContain(text);
  });

  test('too many rows by the shape alone', async () => {
    const { status, json } = await post(at(infer), { inputs: [input({ shape: [1e9, 4] })] });
    expect([status, json.code]).toEqual([413, 'over-limit']);
  });

  test('an unknown model is told the nearest name', async () => {
    expect((await post(at('/v2/models/Tiny/infer'), {})).json).toMatchObject({
      code: 'unknown-task',
      got: 'Tiny',
      hint: 'Did you mean tiny?',
    });
    expect((await get(at('/v2/models/tyni'))).json.expected).toBe('tiny');
    expect((await get(at('/v1/models/tin'))).status).toBe(404);
  });
});
