// Which task is this? Rows of one task that nobody names are held against all masks of a network (finder.ts); the answer is the most
// likely task, how sure that is, and what it took.
//
//   POST /networks/{network}/infer-task     {"instances": [[...], ...], "tasks"?: [names]} -> {"task", "confidence", "tasks", "cost"}

import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { packedBytes } from '../../src/engine/packed.js';
import { type Answer, json } from '../answer.js';
import { takesNumbers, unknownTask } from '../repository/catalogue.js';
import type { Version } from '../repository/store.js';
import { contentOf, MASKS_LIMIT, Method, WhichTask } from '../requests/content.js';
import { read } from '../requests/readers.js';
import { checkPixels } from '../requests/rows.js';
import { type Call, param, queryOf, type Route, route, type Service } from '../routes.js';
import { BYTES_LIMIT, checkEnough, type Found } from '../running/finder.js';
import { saidOnce, TIMEOUT, timeoutOf } from './inference.js';
import { findNetwork } from './networks.js';

/** Rows of one question at most: a few say as much as many. */
const ROWS_LIMIT = 256;
const SHOWN = 10;

const Query = z.object({
  method: Method,
  tasks: z.string().optional().describe('names to choose from, with commas between; default: every task of the network'),
});
const Guess = z.strictObject({
  task: z.string().describe('the most likely one'),
  confidence: z
    .number()
    .describe('0 .. 1, to rank questions by how sure their answers are; it grows with the rows, and is no probability of being right'),
  tasks: z
    .array(z.strictObject({ task: z.string(), version: z.string(), score: z.number() }))
    .describe(
      `the ${SHOWN} most likely, the best first; score: of all, the mean free energy of the rows under that mask, in nats; of the others, how much the entropy of the answers falls when that mask gains weight (binary: in the last pass that looked at it, so scores of several passes do not compare)`,
    ),
  cost: z.strictObject({
    milliseconds: z.number().describe('of computing'),
    tasks: z.int().describe('how many there were to choose from'),
    skipped: z.int().describe('tasks beside these whose mask cannot be read'),
    masks: z.int().describe('looks at a mask'),
    passes: z.int().describe('passes through the network: forward, and back unless all masks are asked'),
    rows: z.int(),
  }),
});

export function inferTaskRoutes(service: Service): Route[] {
  return [
    route(
      'POST',
      '/networks/{network}/infer-task',
      {
        tag: 'Seedmask',
        summary: 'Which task of a network rows are for, when nobody knows',
        query: Query,
        headers: TIMEOUT,
        takes: contentOf(WhichTask),
        gives: { 'application/json': Guess },
      },
      (call) => inferTask(call, service),
    ),
  ];
}

async function inferTask(call: Call, service: Service): Promise<Answer> {
  const network = findNetwork(param(call, 'network'), call, service);
  const query = call.query.size > 0 ? queryOf(call, Query) : {};
  const timeoutMs = timeoutOf(call);
  const every = all(network, call, service);
  const known = query.tasks === undefined ? every : named(query.tasks.split(','), every, call, service);
  const reading = {
    shape: network.input,
    limit: Math.min(ROWS_LIMIT, service.rowLimit),
    numbers: known.some(takesNumbers),
    type: call.headers['content-type'],
  };
  const { rows, said } = await read('infer-task', await call.body(), reading, service, (found) => found);
  const tasks = saidOnce('tasks', query.tasks?.split(','), said?.tasks);
  const among = query.tasks === undefined && tasks ? named(tasks, every, call, service) : known;
  const method = saidOnce('method', query.method, said?.method) ?? 'all';
  checkEnough(among.length);
  checkAlike(among, method);
  if (!takesNumbers(among[0])) checkPixels(rows);
  const deadline = timeoutMs === undefined ? undefined : call.arrived + timeoutMs;
  const leave = service.scheduler.occupy(call.caller.name, rows.count);
  try {
    const found = await service.finder.find(among, rows, method, { deadline, gone: call.gone });
    service.meters.guessed(found.guess.cost.masks, found.ms / 1000);
    return json(answerOf(found, rows.count));
  } finally {
    leave();
  }
}

function answerOf({ guess, versions, skipped, ms }: Found, rows: number): z.infer<typeof Guess> {
  const { best, confidence, scores, cost } = guess;
  const order = Array.from(scores.keys()).sort((a, b) => Number(b === best) - Number(a === best) || scores[b] - scores[a] || a - b);
  const milliseconds = Math.round(ms * 1000) / 1000;
  return {
    task: versions[best].name,
    confidence,
    tasks: order.slice(0, SHOWN).map((i) => ({ task: versions[i].name, version: versions[i].number, score: scores[i] })),
    cost: { milliseconds, tasks: versions.length, skipped, masks: cost.masks, passes: cost.passes, rows },
  };
}

/** The newest version of every task on the network that the caller may use. */
function all(network: Version['network'], { caller }: Call, { store }: Service): Version[] {
  return [...store.tasks.values()]
    .filter(({ name }) => caller.allows(name))
    .flatMap((task) => task.versions.slice(-1))
    .filter((version) => version.network === network);
}

/** @param every tasks of the network, which errors name; of other tasks they tell nothing */
function named(names: readonly string[], every: readonly Version[], { caller }: Call, { store }: Service): Version[] {
  const byName = new Map(every.map((version) => [version.name, version]));
  const wanted = new Set(names.map((name) => name.trim()).filter(Boolean));
  return [...wanted].map((name) => {
    const version = byName.get(name);
    if (version) return version;
    if (!caller.allows(name)) throw new SeedmaskError('forbidden-task', { field: '/tasks', expected: 'tasks that it may use', got: name });
    const unknown = unknownTask(name, [...byName.keys()]);
    if (!store.tasks.has(name)) throw unknown;
    throw new SeedmaskError('bad-request', { field: '/tasks', expected: 'tasks of this network', got: name, hint: unknown.details.hint });
  });
}

/** Rows are pixels or numbers; and masks are laid on one another for the same inputs, as many bytes as they are. */
function checkAlike(among: readonly Version[], method: Method): void {
  const [first] = among;
  const { scale, mean, features } = first.task.transform;
  const other = among.find((version) => {
    const { transform } = version.task;
    if (takesNumbers(version) !== takesNumbers(first)) return true;
    return method !== 'all' && (transform.scale !== scale || transform.mean !== mean || !isDeepStrictEqual(transform.features, features));
  });
  if (other) {
    const got = `${first.name} and ${other.name}, which scale their inputs differently`;
    const hint = method === 'all' ? 'Name such tasks.' : 'Name such tasks, or ask with method=all.';
    throw new SeedmaskError('bad-request', { field: '/tasks', expected: 'tasks of one input transform', got, hint });
  }
  if (among.length > MASKS_LIMIT) throw tooMany('tasks to choose from', MASKS_LIMIT, among.length);
  const bytes = among.length * packedBytes(first.network);
  if (bytes > BYTES_LIMIT) throw tooMany('bytes of masks', BYTES_LIMIT, bytes);
}

const tooMany = (field: string, expected: number, got: number): SeedmaskError =>
  new SeedmaskError('over-limit', { field, expected, got, hint: 'Name the tasks to choose from: ?tasks=a,b' });
