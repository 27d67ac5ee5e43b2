// TensorFlow Serving's REST API, and KServe v1 which shares its paths: predict, classify, status, metadata, and the list of models.
// A prediction is the list of class probabilities. Row form: instances -> predictions; column form: inputs -> outputs. classify
// answers examples with [label, score] pairs under `results`, as the server does (its page also says `result`); regress is refused,
// as there is no such signature. Any other request under /v1 is malformed. Errors are Seedmask's; clients read their `error` string.

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { inputs } from '../../src/network.js';
import { type Answer, json } from '../answer.js';
import type { Version, Wanted } from '../repository/store.js';
import { read } from '../requests/readers.js';
import { Classify, Predict } from '../requests/tfserving-bodies.js';
import { type About, type Call, param, type Route, route, type Service } from '../routes.js';
import { infer, listText, rowsAnswer, TIMEOUT, VALUE_BYTES } from './inference.js';
import { inputOf } from './tasks.js';

/** A model, one of its versions, or what a label points at. */
const MODELS = ['/v1/models/{model}', '/v1/models/{model}/versions/{version}', '/v1/models/{model}/labels/{label}'];

const PredictAnswer = z.union([
  z.strictObject({ predictions: z.array(z.array(z.number())) }),
  z.strictObject({ outputs: z.array(z.array(z.number())) }),
]);
const ClassifyAnswer = z.strictObject({ results: z.array(z.array(z.tuple([z.string(), z.number()]))) });
const StatusAnswer = z.strictObject({
  model_version_status: z.array(
    z.strictObject({
      version: z.string(),
      state: z.enum(['AVAILABLE', 'UNLOADING', 'END']).describe('END: it cannot be read'),
      status: z.strictObject({ error_code: z.string(), error_message: z.string() }),
    }),
  ),
  name: z.string(),
  ready: z.boolean(),
  error: z.string().optional(),
});
const MetadataAnswer = z.looseObject({
  model_spec: z.strictObject({ name: z.string(), signature_name: z.string(), version: z.string() }),
  metadata: z.looseObject({}),
});
const ModelsAnswer = z.strictObject({ models: z.array(z.string()) });

export function tfservingRoutes(service: Service): Route[] {
  const tag = 'TensorFlow Serving v1';
  const about = (summary: string, gives: z.ZodType | null, takes?: z.ZodType, also?: About['also']): About => ({
    tag,
    summary,
    gives: gives === null ? {} : { 'application/json': gives },
    headers: takes && TIMEOUT,
    takes: takes && { 'application/json': takes },
    also,
  });
  const draining = {
    503: 'the same object with ready false: the server is shutting down, or the version that would answer cannot be read',
  };
  return [
    route('GET', '/v1/models', about('The names of all models (KServe v1)', ModelsAnswer), (call) => json(models(call, service))),
    ...MODELS.flatMap((path) => [
      route('POST', `${path}:predict`, about('Class probabilities of rows', PredictAnswer, Predict), (call) => predict(call, service), {
        hot: true,
      }),
      route('POST', `${path}:classify`, about('Labels and their probabilities', ClassifyAnswer, Classify), (call) =>
        classify(call, service),
      ),
      route('POST', `${path}:regress`, about('Refused: no model here has such a signature', null, z.unknown()), (call) => {
        versionOf(call, service);
        throw new SeedmaskError('bad-request', {
          field: 'the signature of regress',
          expected: 'tensorflow/serving/regress',
          got: 'tensorflow/serving/predict',
          hint: 'These models classify: use :predict or :classify.',
        });
      }),
      route('GET', path, about('State of the versions (also KServe v1)', StatusAnswer, undefined, draining), (call) =>
        status(call, service),
      ),
      route('GET', `${path}/metadata`, about('The signature', MetadataAnswer), (call) =>
        json(metadata(versionOf(call, service), param(call, 'model'))),
      ),
    ]),
  ];
}

const wanted = ({ params }: Call): Wanted => ({ version: params['version'], label: params['label'] });
const versionOf = (call: Call, { store }: Service): Version => store.version(param(call, 'model'), wanted(call), call.caller.allows);

function models({ caller }: Call, { store }: Service): z.infer<typeof ModelsAnswer> {
  return { models: [...store.tasks.keys()].filter((name) => caller.allows(name)) };
}

function predict(call: Call, service: Service): Promise<Answer> {
  return infer(call, service, param(call, 'model'), wanted(call), {
    decode: (body, { network, task }) => {
      const reading = { shape: network.input, limit: service.rowLimit, input: inputOf(task) };
      return read('predict', body, reading, service, ({ rows, columns }) => ({ rows, extra: columns !== true }));
    },
    rowBytes: (labels) => VALUE_BYTES * labels.length,
    encode: (judged, row) => rowsAnswer(judged.rows, row ? '{"predictions":[' : '{"outputs":[', (i) => listText(judged, i), ']}'),
  });
}

function classify(call: Call, service: Service): Promise<Answer> {
  return infer(call, service, param(call, 'model'), wanted(call), {
    decode: (body, { network, task }) => {
      const reading = { shape: network.input, limit: service.rowLimit, input: inputOf(task) };
      return read('examples', body, reading, service, ({ rows }) => ({ rows, extra: null }));
    },
    rowBytes: (labels) => labels.reduce((bytes, label) => bytes + VALUE_BYTES + Buffer.byteLength(label), 0),
    encode: (judged) => {
      const { labels, probabilities } = judged;
      const scores = (row: number) =>
        JSON.stringify(labels.map((label, i): [string, number] => [label, probabilities[row * labels.length + i]]));
      return rowsAnswer(judged.rows, '{"results":[', scores, ']}');
    },
  });
}

/** One object for TF Serving (model_version_status) and KServe v1 (name, ready; 503 when not ready). */
function status(call: Call, service: Service): Answer {
  const name = param(call, 'model');
  const running = service.ready();
  const one = call.params['version'] !== undefined || call.params['label'] !== undefined;
  const versions = one ? [versionOf(call, service)] : [...service.store.task(name, call.caller.allows).versions].reverse();
  const states = versions.map((version): z.infer<typeof StatusAnswer>['model_version_status'][number] => {
    const trouble = service.store.trouble(version);
    return {
      version: version.number,
      state: trouble ? 'END' : running ? 'AVAILABLE' : 'UNLOADING',
      status: { error_code: trouble ? 'DATA_LOSS' : 'OK', error_message: trouble?.message ?? '' },
    };
  });
  const error = running ? service.store.trouble(versions[0]) : new SeedmaskError('draining');
  const about = { model_version_status: states, name, ready: error === undefined };
  return error ? json({ ...about, error: error.message }, 503) : json(about);
}

function metadata({ network, task, number }: Version, name: string): z.infer<typeof MetadataAnswer> {
  const { name: input, values, columns } = inputOf(task);
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
    inputs: { [input]: tensor(input, inputs(network)) },
    outputs: { probabilities: tensor('probabilities', task.labels.length) },
    method_name: 'tensorflow/serving/predict',
  };
  return {
    model_spec: { name, signature_name: '', version: number },
    metadata: { signature_def: { signature_def: { serving_default } } },
    labels: task.labels,
    values,
    ...(columns && { columns }),
  };
}
