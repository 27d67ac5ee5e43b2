// Seedmask's own routes. A row may come as JSON, raw bytes, msgpack or a PNG; the answer is always a list of predictions.
//
//   GET  /tasks                     what is served
//   POST /tasks/{task}/classify     {"instances": [[...], ...]} -> {"task", "predictions": [{"label", "probabilities"}]}

import { z } from 'zod';
import { inputs } from '../src/network.js';
import { checked, kindOf, parseJson } from './bodies.js';
import type { Classified } from './classify.js';
import { decodeMsgpack, encodeMsgpack } from './msgpack.js';
import { decodePng } from './png.js';
import { type Answer, type Call, json, param, type Route, type Service } from './routes.js';
import { type Rows, rowsOf, rowsOfBytes } from './rows.js';
import type { ServedTask, Version } from './store.js';

/** What clients must know about values, in every kind of metadata: 0..1 instead of 0..255 is the mistake nobody can detect. */
export const VALUES = 'raw values as the data set has them: pixels are 0..255, not 0..1; the task scales them itself';

export function taskRoutes(service: Service): Route[] {
  return [
    {
      method: 'GET',
      pattern: /^\/tasks\/?$/,
      answer: () => json({ tasks: [...service.store.tasks.values()].map(describeTask), next: null }),
    },
    { method: 'POST', pattern: /^\/tasks\/(?<task>[^/]+)\/classify\/?$/, hot: true, answer: (call) => classify(call, service) },
  ];
}

function describeTask(task: ServedTask) {
  const latest = task.versions[task.versions.length - 1];
  return {
    id: task.name,
    inputs: inputs(latest.network),
    shape: latest.network.input,
    labels: latest.task.labels,
    versions: task.versions.map((version) => version.number),
    versionLabels: Object.fromEntries(task.labels),
    values: VALUES,
  };
}

async function classify(call: Call, service: Service): Promise<Answer> {
  const version = service.store.version(param(call, 'task'));
  const rows = decodeRows(await call.body(), call.headers['content-type'], version, service.rowLimit);
  const answer = {
    task: param(call, 'task'),
    predictions: predictions(await service.scheduler.classify(version, rows, { gone: call.gone })),
  };
  if (!/\bapplication\/(x-|vnd\.)?msgpack\b/i.test(call.headers.accept ?? '')) return json(answer);
  return { status: 200, type: 'application/msgpack', body: encodeMsgpack(answer) };
}

const Request = z.looseObject({ instances: z.unknown().refine((value) => value !== undefined, 'present') });

function decodeRows(body: Uint8Array, contentType: string | undefined, version: Version, limit: number): Rows {
  const shape = version.network.input;
  const kind = kindOf(body, contentType, inputs(version.network));
  if (kind === 'pixels') return rowsOfBytes(body, { shape, limit, field: '' });
  if (kind === 'png') return { values: decodePng(body, shape), count: 1 };
  const value = kind === 'json' ? parseJson(body) : decodeMsgpack(body);
  const options = { shape, limit, lone: true, batch: '{"instances": [[...]]}' };
  if (Array.isArray(value)) return rowsOf(value, { ...options, field: '' });
  const { instances } = checked(Request, value, '', 'Send {"instances": [[...], ...]}, one list of values per row.');
  return rowsOf(instances, { ...options, field: '/instances' });
}

function predictions({ rows, labels, best, probabilities }: Classified) {
  const n = labels.length;
  return Array.from({ length: rows }, (_, row) => ({
    label: labels[best[row]],
    probabilities: Array.from(probabilities.subarray(row * n, (row + 1) * n)),
  }));
}
