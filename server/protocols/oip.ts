// The Open Inference Protocol (KServe v2, Triton) but for infer itself: health, metadata, the repository and statistics. A task is a
// model with one input `pixels` (of tasks over numbers `features`) [-1, inputs] and two outputs, `probabilities` [-1, classes] and `label` [-1].
//
// Its clients send no Content-Type, post without a body, and take nothing but 200 for success. Loading and unloading need the admin
// key: an open repository API is how other servers were taken over. The index is public.

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { inputs } from '../../src/network.js';
import { type Answer, json, jsonList } from '../answer.js';
import type { Caller } from '../gate.js';
import type { Entry, Store, Version } from '../repository/store.js';
import { parseJson } from '../requests/json.js';
import { checked } from '../requests/schemas.js';
import { type About, type Call, param, type Route, route, type Service } from '../routes.js';
import { inferRoutes, MODELS } from './oip-infer.js';
import { inputOf } from './tasks.js';

/** The extensions that are there, by Triton's names. */
const EXTENSIONS = ['binary_tensor_data', 'classification', 'model_repository', 'statistics'] as const;

const Live = z.strictObject({ live: z.boolean() });
const Ready = z.strictObject({
  live: z.boolean().optional(),
  name: z.string().optional(),
  ready: z.boolean(),
  error: z.string().optional(),
});
const ServerMetadata = z.strictObject({ name: z.string(), version: z.string(), extensions: z.array(z.enum(EXTENSIONS)) });
const TensorMetadata = z.strictObject({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) });
const ModelMetadata = z.strictObject({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(TensorMetadata),
  outputs: z.array(TensorMetadata),
  parameters: z.record(z.string(), z.string()),
});
const Duration = z.strictObject({ count: z.int(), ns: z.int() });
const Statistics = z.strictObject({
  model_stats: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      last_inference: z.int().describe('milliseconds since 1970'),
      inference_count: z.int().describe('rows'),
      execution_count: z.int().describe('runs of the engine'),
      inference_stats: z.strictObject({
        success: Duration,
        fail: Duration,
        queue: Duration,
        compute_input: Duration,
        compute_infer: Duration,
        compute_output: Duration,
        cache_hit: Duration,
      }),
      batch_stats: z.array(
        z.strictObject({ batch_size: z.int(), compute_input: Duration, compute_infer: Duration, compute_output: Duration }),
      ),
    }),
  ),
});
const IndexRequest = z.looseObject({ ready: z.boolean().optional().describe('true: only what answers requests') });
const Index = z.array(
  z.strictObject({
    name: z.string(),
    version: z.string(),
    state: z.enum(['READY', 'UNAVAILABLE', 'LOADING', 'UNLOADING']),
    reason: z.string(),
  }),
);
const LoadRequest = z.looseObject({
  parameters: z.looseObject({ config: z.never('absent: a model file says everything about itself').optional() }).optional(),
});
const UnloadRequest = z.looseObject({ parameters: z.looseObject({ unload_dependents: z.boolean().optional() }).optional() });

/** @param release the version that server metadata names */
export function oipRoutes(service: Service, release: string): Route[] {
  const { store } = service;
  const about = (summary: string, gives: z.ZodType, more: Partial<About> = {}): About => ({
    tag: 'Open Inference Protocol v2',
    summary,
    gives: { 'application/json': gives },
    ...more,
  });
  const open = { access: 'open' } as const;
  const admin = { access: 'admin' } as const;
  const draining = { also: { 503: 'the same object with ready false: the server is shutting down or not ready yet' } };
  const unable = { also: { 503: `${draining.also[503]}, or the model cannot be read` } };
  const find = (call: Call): Version => store.version(param(call, 'model'), { version: call.params['version'] }, call.caller.allows);
  return [
    ...inferRoutes(service),
    route(
      'GET',
      '/v2',
      about('Name, version and extensions of the server', ServerMetadata),
      () => json({ name: 'seedmask', version: release, extensions: EXTENSIONS }),
      open,
    ),
    route('GET', '/v2/health/live', about('Whether the server runs', Live), () => json({ live: true }), open),
    route(
      'GET',
      '/v2/health/ready',
      about('Whether the server takes requests', Ready, draining),
      () => readiness({ live: true }, service),
      open,
    ),
    route('GET', '/v2/models/stats', about('Counts and times of every version that is served', Statistics), ({ caller }) =>
      jsonList('{"model_stats":[', allStatistics(caller, service), ']}'),
    ),
    ...MODELS.flatMap((path) => [
      route('GET', path, about('Inputs and outputs of a model', ModelMetadata), (call) => json(metadata(find(call), call, service))),
      route('GET', `${path}/ready`, about('Whether a model takes requests', Ready, unable), (call) => {
        const trouble = store.trouble(find(call));
        return readiness({ name: param(call, 'model') }, service, trouble);
      }),
      route('GET', `${path}/stats`, about('Counts and times of a model', Statistics), (call) => {
        const name = param(call, 'model');
        if (call.params['version'] === undefined) return json({ model_stats: statistics(name, call, service) });
        return json({ model_stats: [service.statistics.of(name, find(call))] });
      }),
    ]),
    route(
      'POST',
      '/v2/repository/index',
      about('All versions of all models, and files that cannot be served', Index, {
        takes: { 'application/json': IndexRequest },
        optionalBody: true,
      }),
      async (call) => {
        const { ready } = await optional(IndexRequest, call);
        return jsonList('[', entries(store, ready === true), ']');
      },
      open,
    ),
    route(
      'POST',
      '/v2/repository/models/{model}/load',
      about('Look at the files of a model again and load it', z.strictObject({}), {
        takes: { 'application/json': LoadRequest },
        optionalBody: true,
      }),
      async (call) => {
        await optional(LoadRequest, call);
        await store.load(param(call, 'model'));
        return json({});
      },
      admin,
    ),
    route(
      'POST',
      '/v2/repository/models/{model}/unload',
      about('Take a model out of service', z.strictObject({}), { takes: { 'application/json': UnloadRequest }, optionalBody: true }),
      async (call) => {
        await optional(UnloadRequest, call);
        await store.unload(param(call, 'model'));
        return json({});
      },
      admin,
    ),
  ];
}

/** Bytes of a question about the repository: it is parsed on the event loop, for whoever asks. */
const QUESTION_LIMIT = 64 * 1024;

/** A body that may be missing. @throws SeedmaskError (by rejection) large-body, bad-json, bad-request */
async function optional<T>(schema: z.ZodType<T>, call: Call): Promise<T> {
  const body = await call.body(QUESTION_LIMIT);
  return checked(schema, body.length === 0 ? {} : parseJson(body));
}

/** @param trouble of what is asked about alone */
async function readiness(about: Readonly<Record<string, unknown>>, service: Service, trouble?: SeedmaskError): Promise<Answer> {
  const ofAll = !service.ready() ? 'draining' : (await service.alive()) ? undefined : 'unwell';
  const error = ofAll ? new SeedmaskError(ofAll) : trouble;
  if (!error) return json({ ...about, ready: true });
  return json({ ...about, ready: false, error: error.message }, 503);
}

function* allStatistics(caller: Caller, service: Service): Iterable<object> {
  for (const { name, versions } of service.store.tasks.values()) {
    if (caller.allows(name)) for (const version of versions) yield service.statistics.of(name, version);
  }
}

/** The index, or only what answers requests. */
function* entries(store: Store, ready: boolean): Iterable<Entry> {
  for (const entry of store.entries()) if (!ready || entry.state === 'READY') yield entry;
}

const statistics = (name: string, { caller }: Call, service: Service) =>
  service.store.task(name, caller.allows).versions.map((version) => service.statistics.of(name, version));

function metadata({ network, task }: Version, call: Call, { store }: Service): z.infer<typeof ModelMetadata> {
  const name = param(call, 'model');
  const { name: input, values, columns } = inputOf(task);
  return {
    name,
    versions: store.task(name).versions.map((version) => version.number),
    platform: 'seedmask',
    inputs: [{ name: input, datatype: 'FP32', shape: [-1, inputs(network)] }],
    outputs: [
      { name: 'probabilities', datatype: 'FP32', shape: [-1, task.labels.length] },
      { name: 'label', datatype: 'BYTES', shape: [-1] },
    ],
    parameters: { values, labels: JSON.stringify(task.labels), ...(columns && { columns: JSON.stringify(columns) }) },
  };
}
