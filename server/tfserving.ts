// TensorFlow Serving's REST API, and KServe v1 which shares its paths: predict, status, metadata, and the list of models.
// A prediction is the list of class probabilities. Row form: instances -> predictions; column form: inputs -> outputs.
// Errors follow Seedmask's shape; TF Serving's clients read their `error` string.

import { z } from 'zod';
import { SeedmaskError } from '../codec/errors.js';
import { inputs } from '../src/network.js';
import { checked, parseJson } from './bodies.js';
import type { Classified } from './classify.js';
import { type Answer, type Call, json, param, type Route, type Service } from './routes.js';
import { type RowOptions, rowsOf } from './rows.js';
import type { Version } from './store.js';
import { VALUES } from './tasks.js';

const MODEL = String.raw`^\/v1\/models\/(?<model>[^\/:]+)(?:\/versions\/(?<version>\d+)|\/labels\/(?<label>[^\/:]+))?`;

export function tfservingRoutes(service: Service): Route[] {
  return [
    { method: 'POST', pattern: new RegExp(`${MODEL}:predict$`, 'i'), hot: true, answer: (call) => predict(call, service) },
    { method: 'GET', pattern: new RegExp(`${MODEL}$`, 'i'), answer: (call) => status(call, service) },
    {
      method: 'GET',
      pattern: new RegExp(`${MODEL}\\/metadata$`, 'i'),
      answer: (call) => json(metadata(find(call, service), param(call, 'model'))),
    },
    { method: 'GET', pattern: /^\/v1\/models\/?$/i, answer: () => json({ models: [...service.store.tasks.keys()] }) },
  ];
}

const find = (call: Call, { store }: Service): Version =>
  store.version(param(call, 'model'), { version: call.params['version'], label: call.params['label'] });

const Predict = z.looseObject({
  signature_name: z.enum(['serving_default', ''], 'serving_default').optional(),
  instances: z.unknown().optional(),
  inputs: z.unknown().optional(),
});

async function predict(call: Call, service: Service): Promise<Answer> {
  const version = find(call, service);
  const request = checked(Predict, parseJson(await call.body()), '', 'Send {"instances": [[...], ...]}.');
  const row = request.instances !== undefined;
  if (row === (request.inputs !== undefined)) {
    throw new SeedmaskError('bad-request', {
      field: 'the body',
      expected: "an object with exactly one of 'instances' (rows) and 'inputs' (columns)",
      got: row ? 'both' : 'neither',
    });
  }
  const options = { shape: version.network.input, limit: service.rowLimit };
  const rows = row
    ? rowsOf(unnamedRows(request.instances), { ...options, field: '/instances', batch: '{"instances": [[...]]}' })
    : rowsOf(...unnamedColumn(request.inputs, { ...options, batch: '{"inputs": [[...]]}', field: '/inputs' }));
  const answers = lists(await service.scheduler.classify(version, rows, { gone: call.gone }));
  return json(row ? { predictions: answers } : { outputs: answers });
}

const isNamed = (value: unknown): value is { readonly pixels: unknown } =>
  typeof value === 'object' && value !== null && 'pixels' in value && Object.keys(value).length === 1;

/** Row form may name the only input: [{"pixels": [...]}, ...]. */
const unnamedRows = (instances: unknown): unknown =>
  Array.isArray(instances) && instances.every(isNamed) ? instances.map((instance) => instance.pixels) : instances;

/** Column form may name the only input: {"pixels": [[...], ...]}. */
const unnamedColumn = (value: unknown, options: RowOptions): [unknown, RowOptions] =>
  isNamed(value) ? [value.pixels, { ...options, field: `${options.field}/pixels` }] : [value, options];

function lists({ rows, labels, probabilities }: Classified): number[][] {
  const n = labels.length;
  return Array.from({ length: rows }, (_, row) => Array.from(probabilities.subarray(row * n, (row + 1) * n)));
}

/** One object for TF Serving (model_version_status) and KServe v1 (name, ready; 503 when not ready). */
function status(call: Call, service: Service): Answer {
  const name = param(call, 'model');
  const ready = service.ready();
  const one = call.params['version'] !== undefined || call.params['label'] !== undefined;
  const versions = one ? [find(call, service)] : [...service.store.task(name).versions].reverse();
  const model_version_status = versions.map(({ number }) => ({
    version: number,
    state: ready ? 'AVAILABLE' : 'UNLOADING',
    status: { error_code: 'OK', error_message: '' },
  }));
  if (ready) return json({ model_version_status, name, ready });
  return json({ model_version_status, name, ready, error: new SeedmaskError('draining').message }, 503);
}

function metadata({ network, task, number }: Version, name: string) {
  const tensor = (key: string, width: number) => ({
    dtype: 'DT_FLOAT',
    tensor_shape: {
      dim: [
        { size: '-1', name: '' },
        { size: String(width), name: '' },
      ],
      unknown_rank: false,
    },
    name: `${key}:0`,
  });
  const serving_default = {
    inputs: { pixels: tensor('pixels', inputs(network)) },
    outputs: { probabilities: tensor('probabilities', task.labels.length) },
    method_name: 'tensorflow/serving/predict',
  };
  return {
    model_spec: { name, signature_name: '', version: number },
    metadata: { signature_def: { signature_def: { serving_default } } },
    labels: task.labels,
    values: VALUES,
  };
}
