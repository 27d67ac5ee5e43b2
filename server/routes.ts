// What a route is: a method, a path, who may use it, what it takes and gives as schemas, and one function from a call to an answer.
// The Express app and the plain handler both run routes through `respond`, so each has one implementation, one way to fail and the
// same bytes whichever of them answered. /openapi.json is written from the same descriptions.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { SeedmaskError } from '../codec/errors.js';
import { nearest } from '../src/spelling.js';
import type { Answer, Exchange } from './answer.js';
import { compressed, isLarge } from './compress.js';
import type { Access, Caller, Gate } from './gate.js';
import { endAnswer } from './linger.js';
import type { Outbox } from './outbox.js';
import { failure } from './problems.js';
import type { Store } from './repository/store.js';
import { told } from './repository/told.js';
import type { BodyReader } from './requests/bodies.js';
import { checked } from './requests/schemas.js';
import type { Finder } from './running/finder.js';
import type { Meters } from './running/metrics.js';
import type { Scheduler } from './running/scheduler.js';
import type { Statistics } from './running/statistics.js';
import type { Threads } from './running/threads.js';
import { traceOf } from './trace.js';

/** What routes work with. */
export interface Service {
  /** What is served, in which state; load, unload, stored masks, events (repository/store.ts). */
  readonly store: Store;
  /** Rows in, probabilities out, and who waits how long for what (running/scheduler.ts). */
  readonly scheduler: Scheduler;
  /** Which task rows are for, when nobody says (running/finder.ts). */
  readonly finder: Finder;
  readonly threads: Threads | undefined;
  readonly rowLimit: number;
  /** An id for a request that brings none. */
  readonly freshId: () => string;
  /** Where answers wait for the end of their turn, and large ones for their clients. */
  readonly outbox: Outbox;
  readonly readBody: BodyReader;
  readonly gate: Gate;
  readonly meters: Meters;
  readonly statistics: Statistics;
  /** Least probability of a label; below it the label is null. */
  readonly abstain: number;
  /** False from the moment a shutdown begins. */
  ready(): boolean;
  /** Whether a question with a known answer gets it (running/canary.ts). */
  alive(): Promise<boolean>;
  /** Told about failures that are not the client's. */
  report(error: unknown, requestId: string): void;
  /** Told about every answer. */
  answered(exchange: Exchange): void;
}

/** One request, as a route sees it. */
export interface Call {
  /** Percent-decoded parameters of the path. */
  readonly params: Readonly<Record<string, string | undefined>>;
  /** Where the app is mounted: '' or /models. */
  readonly prefix: string;
  readonly headers: IncomingHttpHeaders;
  readonly query: URLSearchParams;
  /** When it came, by the clock of `performance.now()`. */
  readonly arrived: number;
  readonly caller: Caller;
  /** @param most bytes, where less is enough than a body with rows may have */
  body(most?: number): Promise<Uint8Array>;
  /** Keeps room for an answer that may have so many bytes, before it is made. @throws SeedmaskError overloaded */
  reserve(bytes: number): void;
  /** Whether the client has closed the connection: nothing more need be computed for it. */
  gone(): boolean;
}

/** The schema of a body, or 'bytes' for one that is no JSON. */
export type Content = Readonly<Record<string, z.ZodType | 'bytes'>>;

/** What a client must know of a route: /openapi.json. */
export interface About {
  readonly summary: string;
  readonly tag: 'Seedmask' | 'Open Inference Protocol v2' | 'TensorFlow Serving v1' | 'Server';
  readonly query?: z.ZodObject;
  /** Headers that it looks at, all whole numbers, with what they say. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Media type -> what the body may be. */
  readonly takes?: Content;
  /** Whether the body may be missing. */
  readonly optionalBody?: boolean;
  readonly gives: Content;
  /** Statuses beside 200 and the errors, with what they mean. */
  readonly also?: Readonly<Record<number, string>>;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** The path, parameters in braces: /tasks/{task}/classify. */
  readonly path: string;
  readonly pattern: RegExp;
  readonly access: Access;
  readonly about: About;
  /** Whether the plain handler answers it without Express; for POST alone. */
  readonly hot?: boolean;
  readonly answer: (call: Call) => Answer | Promise<Answer>;
}

/** A route, with the pattern of its path. */
export function route(
  method: Route['method'],
  path: string,
  about: About,
  answer: Route['answer'],
  options: { readonly hot?: boolean; readonly access?: Access } = {},
): Route {
  const checking: Route['answer'] = (call) => {
    if (call.query.size > 0) checkQuery(call.query, Object.keys(about.query?.shape ?? {}));
    return answer(call);
  };
  const own = about.tag === 'Seedmask';
  return {
    method,
    path,
    pattern: patternOf(path),
    access: options.access ?? 'key',
    about,
    hot: options.hot,
    answer: own ? checking : answer,
  };
}

/** Our own routes refuse a query parameter that they do not know, or twice: it would be a wish that nobody hears. Others let it pass. */
function checkQuery(query: URLSearchParams, known: readonly string[]): void {
  for (const name of query.keys()) {
    const given = query.getAll(name).length;
    if (known.includes(name) && given === 1) continue;
    if (known.includes(name)) throw new SeedmaskError('bad-request', { field: `?${name}`, expected: 'there once', got: `${given} times` });
    const near = nearest(name, known);
    const expected = known.length > 0 ? `one of ${known.join(', ')}` : 'absent: this route has none';
    throw new SeedmaskError('bad-request', {
      field: 'a query parameter',
      expected,
      got: name.slice(0, 60),
      hint: near && `Did you mean ${near}?`,
    });
  }
}

/**
 * /v1 is matched as TensorFlow Serving does: in any case, whole, names without a colon and versions of digits. Elsewhere a slash may
 * follow. No parameter takes a slash, so a name that has one reaches no route.
 */
function patternOf(path: string): RegExp {
  const v1 = path.startsWith('/v1/');
  const group = (name: string) => `(?<${name}>${v1 ? (name === 'version' ? '\\d+' : '[^/:]+') : '[^/]+'})`;
  const source = path.replaceAll('.', '\\.').replace(/\{(\w+)\}/g, (_, name: string) => group(name));
  return new RegExp(`^${source}${v1 || path === '/' ? '' : '/?'}$`, v1 ? 'i' : '');
}

/** A parameter that the path always has. */
export function param(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new Error(`route without the parameter ${name}`);
  return value;
}

/** The query as the schema has it. Throws SeedmaskError bad-request. */
export const queryOf = <T>(call: Call, schema: z.ZodType<T>): T => checked(schema, Object.fromEntries(call.query), '?');

const NO_QUERY = new URLSearchParams();

/** Runs a route and sends its answer, or the answer to its failure. Never rejects. */
export async function respond(
  { path, access, answer: run }: Pick<Route, 'path' | 'access' | 'answer'>,
  params: Call['params'],
  req: IncomingMessage & { readonly baseUrl?: string },
  res: ServerResponse,
  service: Service,
  finish: (answer: Answer) => Answer = (answer) => answer,
) {
  const started = performance.now();
  const trace = traceOf(req.headers, service.freshId);
  const task = params['task'] ?? params['model'];
  let caller: Caller | undefined;
  let answer: Answer;
  try {
    caller = service.gate.open(access) ?? (await service.gate.admit(access, req.headers, task));
    const url = req.url ?? '';
    const mark = url.indexOf('?');
    const query = mark < 0 ? NO_QUERY : new URLSearchParams(url.slice(mark + 1));
    const body = (most?: number) => service.readBody(req, most);
    const reserve = (bytes: number) => service.outbox.hold(bytes, res);
    const gone = () => res.destroyed || req.socket.destroyed;
    const call = { params, prefix: req.baseUrl ?? '', headers: req.headers, query, arrived: started, caller, body, reserve, gone };
    const whole = await run(call);
    answer = finish(whole);
    if (isLarge(whole)) answer = await compressed(answer, req.headers['accept-encoding']);
    reserve(Buffer.byteLength(answer.body));
  } catch (error) {
    const known = error instanceof SeedmaskError;
    if (!known) service.report(error, trace.id);
    answer = failure(known ? told(error, service.store.path) : error, req);
  }
  const { status, code, type, body, headers } = answer;
  // Names and values in turn: node:http writes such a list as it stands.
  const head = ['X-Request-Id', trace.id];
  if (status !== 304) head.push('Content-Type', type, 'Content-Length', String(Buffer.byteLength(body)));
  if (trace.traceparent !== undefined) head.push('traceparent', trace.traceparent);
  if (headers) {
    // What middleware says that answers differ by stays: the origin, where pages of several may ask.
    const others = headers['Vary'] === undefined ? undefined : res.getHeader('Vary');
    for (const name in headers) head.push(name, name === 'Vary' && others !== undefined ? `${others}, ${headers[name]}` : headers[name]);
  }
  service.outbox.add(() => {
    // Whoever has gone hears nothing, and what somebody else has begun to answer stands.
    if (res.headersSent || res.destroyed) return;
    res.writeHead(status, head);
    endAnswer(req, res, body);
  });
  const seconds = (performance.now() - started) / 1000;
  service.answered({ method: req.method ?? '', route: path, trace, task, caller: caller?.name, status, code, seconds });
}
