// Seedmask's own routes of tasks. A row may come as JSON, raw bytes, msgpack or a PNG; the answer is always a list of predictions.
//
//   GET  /tasks                     what is served, a page at a time
//   GET  /tasks/{task}              one of them
//   POST /tasks/{task}/classify     {"instances": [[...], ...]} -> {"task", "predictions": [{"label", "probabilities"}]}

import { z } from 'zod';
import type { Task } from '../../codec/index.js';
import { middlesOf } from '../../src/features.js';
import { inputs } from '../../src/network.js';
import { takes } from '../accept.js';
import { type Answer, inTurns, json } from '../answer.js';
import { takesNumbers } from '../repository/catalogue.js';
import type { ServedTask } from '../repository/store.js';
import { ABSTAIN, Classify, contentOf } from '../requests/content.js';
import { encodeMsgpack, MSGPACK, msgpackPieces } from '../requests/msgpack.js';
import { read } from '../requests/readers.js';
import { decimal, Fraction } from '../requests/schemas.js';
import { type Call, param, queryOf, type Route, route, type Service } from '../routes.js';
import {
  infer,
  type Judged,
  listText,
  longest,
  rowsAnswer,
  saidOnce,
  TIMEOUT,
  VALUE_BYTES,
  VersionQuery,
  WRITTEN_AT_ONCE,
} from './inference.js';

/** What clients must know about values, in every kind of metadata: 0..1 instead of 0..255 is the mistake nobody can detect. */
const VALUES = 'raw values as the data set has them: pixels are 0..255, not 0..1; the task scales them itself';
const NUMBERS = 'numbers as the data set has them, raw bodies as little-endian float32; the task standardises them itself';

/** What metadata says of the rows of a task: the name of the one input, what its values are, and the names of numbers where they have any. */
export function inputOf({ transform: { features } }: Pick<Task, 'transform'>): {
  name: string;
  values: string;
  columns?: readonly string[];
} {
  if (!features) return { name: 'pixels', values: VALUES };
  return { name: 'features', values: NUMBERS, ...(features.names && { columns: features.names }) };
}

const PAGE_LIMIT = 1000;
const PAGE_SIZE = `a whole number from 1 to ${PAGE_LIMIT}`;
/** Which part of a list of tasks. */
export const Page = z.object({
  limit: decimal(z.int(PAGE_SIZE).min(1, PAGE_SIZE).max(PAGE_LIMIT, PAGE_SIZE))
    .optional()
    .describe(`tasks of one page; at most ${PAGE_LIMIT}`),
  next: z.string().optional().describe('what the page before gave as next'),
});
const TaskAnswer = z.strictObject({
  id: z.string(),
  inputs: z.int().describe('values of one row'),
  shape: z.array(z.int()).length(3).describe('[height, width, channels]'),
  labels: z.array(z.string()),
  versions: z.array(z.string()),
  versionLabels: z.record(z.string(), z.string()),
  values: z.string().describe('what the values of a row must be'),
  columns: z.array(z.string()).optional().describe('names of the values of a row, in order, where they are numbers with names'),
  means: z
    .array(z.number())
    .optional()
    .describe('where they are numbers, what stands for one that is missing: nearly the mean of the training rows'),
});
const TasksAnswer = z.strictObject({ tasks: z.array(TaskAnswer), next: z.string().nullable().describe('null on the last page') });

const Query = VersionQuery.extend({
  abstain: decimal(Fraction).optional().describe(ABSTAIN),
});
const Predictions = z.strictObject({
  task: z.string(),
  predictions: z.array(z.strictObject({ label: z.string().nullable(), probabilities: z.array(z.number()) })),
});

export function taskRoutes(service: Service): Route[] {
  const tag = 'Seedmask';
  return [
    route(
      'GET',
      '/tasks',
      {
        tag,
        summary: 'The tasks that are served, in order of name, a page at a time',
        query: Page,
        gives: { 'application/json': TasksAnswer },
      },
      (call) => json(page(call, service)),
    ),
    route('GET', '/tasks/{task}', { tag, summary: 'What a task takes and gives', gives: { 'application/json': TaskAnswer } }, (call) =>
      json(describeTask(service.store.task(param(call, 'task'), call.caller.allows))),
    ),
    route(
      'POST',
      '/tasks/{task}/classify',
      {
        tag,
        summary: 'Classify rows of raw values; the Content-Type may be missing',
        query: Query,
        headers: TIMEOUT,
        takes: contentOf(Classify),
        gives: { 'application/json': Predictions, 'application/msgpack': Predictions },
      },
      (call) => classify(call, service),
      { hot: true },
    ),
  ];
}

/** A page of the tasks that the caller may use. */
function page(call: Call, { store }: Service): z.infer<typeof TasksAnswer> {
  const { limit = PAGE_LIMIT, next: after = null } = queryOf(call, Page);
  const { tasks, next } = store.page(after, limit, call.caller.allows);
  return { tasks: tasks.map(describeTask), next };
}

function describeTask(task: ServedTask): z.infer<typeof TaskAnswer> {
  const latest = task.versions[task.versions.length - 1];
  const { values, columns } = inputOf(latest.task);
  const { features } = latest.task.transform;
  return {
    id: task.name,
    inputs: inputs(latest.network),
    shape: [...latest.network.input],
    labels: [...latest.task.labels],
    versions: task.versions.map((version) => version.number),
    versionLabels: Object.fromEntries(task.labels),
    values,
    ...(columns && { columns: [...columns] }),
    ...(features && { means: [...middlesOf(features)] }),
  };
}

const NOTHING: z.infer<typeof Query> = {};
/** Bytes of a prediction beside its values: the names and what stands around them. */
const NAMES_BYTES = 32;

function classify(call: Call, service: Service): Promise<Answer> {
  const task = param(call, 'task');
  const wanted = call.query.size > 0 ? queryOf(call, Query) : NOTHING;
  const msgpack = takes(call.headers.accept, MSGPACK);
  return infer(call, service, task, wanted, {
    decode: (body, version) => {
      const numbers = takesNumbers(version);
      const reading = {
        shape: version.network.input,
        limit: service.rowLimit,
        numbers,
        type: call.headers['content-type'],
        input: inputOf(version.task),
      };
      return read('classify', body, reading, service, ({ rows, said }) => ({
        rows,
        abstain: saidOnce('abstain', wanted.abstain, said?.abstain),
        extra: null,
      }));
    },
    rowBytes: (labels) => (msgpack ? 5 : VALUE_BYTES) * labels.length + longest(labels) + NAMES_BYTES,
    encode: (judged) => {
      if (!msgpack)
        return rowsAnswer(judged.rows, `{"task":${JSON.stringify(task)},"predictions":[`, (row) => predictionText(judged, row), ']}');
      return msgpackAnswer(task, judged);
    },
  });
}

const predictionText = (judged: Judged, row: number): string =>
  `{"label":${JSON.stringify(judged.names[row])},"probabilities":${listText(judged, row)}}`;

/** The same in msgpack; others have their turns while it is written. */
export async function msgpackAnswer(task: string, judged: Judged): Promise<Answer> {
  function* predictions(): Iterable<z.infer<typeof Predictions>['predictions'][number]> {
    const { rows, labels, probabilities, names } = judged;
    const n = labels.length;
    for (let row = 0; row < rows; row++)
      yield { label: names[row], probabilities: Array.from(probabilities.subarray(row * n, (row + 1) * n)) };
  }
  const body =
    judged.rows <= WRITTEN_AT_ONCE
      ? encodeMsgpack({ task, predictions: [...predictions()] })
      : Buffer.concat(await inTurns(msgpackPieces({ task }, 'predictions', judged.rows, predictions())));
  return { status: 200, type: 'application/msgpack', body };
}
