// The Open Inference Protocol (KServe v2, Triton): health, metadata and infer over JSON tensors. A task is a model with one input
// `pixels` [-1, inputs] and two outputs, `probabilities` [-1, classes] and `label` [-1]. Unknown parameters pass.
// Loading and unloading models is closed: no admin key exists, and an open repository API is how other servers were taken over.

import { z } from 'zod';
import { SeedmaskError } from '../codec/errors.js';
import { inputs } from '../src/network.js';
import { checked, parseJson } from './bodies.js';
import type { Classified } from './classify.js';
import { type Answer, type Call, json, param, type Route, type Service } from './routes.js';
import { brief, checkCount, type Rows, rowsOf, shapeOf } from './rows.js';
import type { Version } from './store.js';
import { VALUES } from './tasks.js';

const MODEL = String.raw`^\/v2\/models\/(?<model>[^\/]+)(?:\/versions\/(?<version>[^\/]+))?`;

/** @param release the version that server metadata names */
export function oipRoutes(service: Service, release: string): Route[] {
  const get = (pattern: RegExp, answer: Route['answer']): Route => ({ method: 'GET', pattern, answer });
  const closed = () => {
    throw new SeedmaskError('admin-closed', {
      field: 'the path',
      expected: 'a route for clients',
      got: '/v2/repository',
      hint: 'Change the model files and restart the server; GET /tasks lists what is served.',
    });
  };
  const repository = /^\/v2\/repository(?:\/.*)?$/;
  return [
    { method: 'POST', pattern: new RegExp(`${MODEL}\\/infer\\/?$`), hot: true, answer: (call) => infer(call, service) },
    get(/^\/v2\/?$/, () => json({ name: 'seedmask', version: release, extensions: [] })),
    get(/^\/v2\/health\/live\/?$/, () => json({ live: true })),
    get(/^\/v2\/health\/ready\/?$/, () => readiness({ live: true }, service)),
    get(new RegExp(`${MODEL}\\/?$`), (call) => json(metadata(find(call, service), call, service))),
    get(new RegExp(`${MODEL}\\/ready\\/?$`), (call) => {
      find(call, service);
      return readiness({ name: param(call, 'model') }, service);
    }),
    { method: 'GET', pattern: repository, answer: closed },
    { method: 'POST', pattern: repository, answer: closed },
  ];
}

const find = (call: Call, { store }: Service): Version => store.version(param(call, 'model'), { version: call.params['version'] });

function readiness(about: Readonly<Record<string, unknown>>, service: Service): Answer {
  if (service.ready()) return json({ ...about, ready: true });
  return json({ ...about, ready: false, error: new SeedmaskError('draining').message }, 503);
}

function metadata({ network, task }: Version, call: Call, { store }: Service) {
  const name = param(call, 'model');
  return {
    name,
    versions: store.task(name).versions.map((version) => version.number),
    platform: 'seedmask',
    inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1, inputs(network)] }],
    outputs: [
      { name: 'probabilities', datatype: 'FP32', shape: [-1, task.labels.length] },
      { name: 'label', datatype: 'BYTES', shape: [-1] },
    ],
    parameters: { values: VALUES, labels: task.labels.join(' ').slice(0, 1000) },
  };
}

const Infer = z.looseObject({
  id: z.string().optional(),
  inputs: z.array(z.unknown()).length(1, 'a list of one tensor, named pixels'),
  outputs: z.array(z.unknown()).max(16, 'a list of at most 16 outputs').optional(),
});
const Tensor = z.looseObject({
  name: z.literal('pixels', "'pixels'"),
  shape: z.array(z.int('a whole number').nonnegative('a whole number of at least 0')).max(8, 'a shape of at most 8 dimensions'),
  datatype: z.enum(['FP32', 'UINT8'], "'FP32' or 'UINT8'"),
  data: z.unknown().optional(),
});
const Output = z.looseObject({ name: z.enum(['probabilities', 'label'], "'probabilities' or 'label'") });

async function infer(call: Call, service: Service): Promise<Answer> {
  const version = find(call, service);
  const body = await call.body();
  if (call.headers['inference-header-content-length'] !== undefined) {
    const expected = 'absent: tensors travel as JSON here';
    throw new SeedmaskError('bad-request', { field: 'Inference-Header-Content-Length', expected, got: 'present', hint: AS_JSON });
  }
  const request = checked(Infer, parseJson(body), '', 'Send {"inputs": [{"name": "pixels", "shape": [n, inputs], "datatype", "data"}]}.');
  const wanted = request.outputs?.map((output, i) => checked(Output, output, `/outputs/${i}`).name) ?? ['probabilities', 'label'];
  const rows = tensorRows(checked(Tensor, request.inputs[0], '/inputs/0'), version, service.rowLimit);
  const answer = await service.scheduler.classify(version, rows, { gone: call.gone });
  return json({
    model_name: param(call, 'model'),
    model_version: version.number,
    id: request.id,
    outputs: wanted.map((name) => outputTensor(name, answer)),
  });
}

const AS_JSON = 'Send the values in data: tritonclient does so with set_data_from_numpy(..., binary_data=False).';

/** The rows of the tensor `pixels`: shape [n, inputs], data flat or nested. */
function tensorRows(tensor: z.infer<typeof Tensor>, { network }: Version, limit: number): Rows {
  const width = inputs(network);
  const { shape, data } = tensor;
  if (shape.length !== 2 || shape[1] !== width || shape[0] === 0) {
    const product = shape.reduce((a, b) => a * b, 1);
    const count = Number.isInteger(product / width) ? Math.max(1, product / width) : 'n';
    const lead = shape.length === 1 && shape[0] === width ? 'Add the batch dimension' : 'The input is flat';
    const hint = `${lead}: shape [${count}, ${width}].`;
    throw new SeedmaskError('bad-shape', {
      field: '/inputs/0/shape',
      expected: `[n, ${width}] with n >= 1`,
      got: `[${shape.join(', ')}]`,
      hint,
    });
  }
  const [count] = shape;
  checkCount(count, { limit, field: '/inputs/0/shape' });
  const field = '/inputs/0/data';
  if (!Array.isArray(data)) {
    throw new SeedmaskError('bad-request', { field, expected: `a list of ${count * width} numbers`, got: brief(data), hint: AS_JSON });
  }
  const nested = Array.isArray(data[0]);
  if (data.length !== (nested ? count : count * width)) {
    const hint = 'The data must fill the shape exactly.';
    throw new SeedmaskError('bad-shape', {
      field,
      expected: `[${count * width}] or [${count}, ${width}]`,
      got: `[${shapeOf(data).join(', ')}]`,
      hint,
    });
  }
  const bytes = tensor.datatype === 'UINT8';
  if (nested) return rowsOf(data, { shape: [1, 1, width], limit, field, bytes });
  const flat = rowsOf(data, { shape: [1, 1, count * width], limit, field, bytes, lone: true });
  return { values: flat.values, count };
}

function outputTensor(name: 'probabilities' | 'label', { rows, labels, best, probabilities }: Classified) {
  if (name === 'probabilities') return { name, datatype: 'FP32', shape: [rows, labels.length], data: Array.from(probabilities) };
  return { name, datatype: 'BYTES', shape: [rows], data: Array.from(best, (i) => labels[i]) };
}
