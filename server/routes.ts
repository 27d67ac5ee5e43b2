// What a route is: a method, a pattern and one function from a call to an answer. The Express app and the plain handler both run
// routes through `respond`, so each has one implementation, one way to fail and the same bytes whichever of them answered.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { SeedmaskError } from '../codec/errors.js';
import type { BodyReader } from './bodies.js';
import type { Scheduler } from './scheduler.js';
import type { Store } from './store.js';

/** What routes work with. */
export interface Service {
  /** What is served, in which state; load, unload, stored masks, events (store.ts). */
  readonly store: Store;
  /** Rows in, probabilities out, and who waits how long for what (scheduler.ts). */
  readonly scheduler: Scheduler;
  readonly rowLimit: number;
  readonly readBody: BodyReader;
  /** False from the moment a shutdown begins. */
  ready(): boolean;
  /** Told about failures that are not the client's. */
  report(error: unknown): void;
}

/** One request, as a route sees it. */
export interface Call {
  /** Percent-decoded named groups of the route's pattern. */
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly headers: IncomingHttpHeaders;
  body(): Promise<Uint8Array>;
  /** Whether the client has closed the connection: nothing more need be computed for it. */
  gone(): boolean;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly pattern: RegExp;
  /** Whether the plain handler answers it without Express. */
  readonly hot?: boolean;
  readonly answer: (call: Call) => Answer | Promise<Answer>;
}

/** A JSON answer. Its type is exactly application/json: KServe's client compares the header as a string. */
export const json = (value: unknown, status = 200, headers?: Record<string, string>): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
  headers,
});

/** A named group that the pattern always fills. */
export function param(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new Error(`route without the group ${name}`);
  return value;
}

/** The error as one JSON object: error, code, field, expected, got, hint. Anything unexpected is reported and answered with 500. */
export function failure(error: unknown, service: Service): Answer {
  if (!(error instanceof SeedmaskError)) {
    service.report(error);
    return failure(new SeedmaskError('internal', { hint: 'It is a fault of the server and was reported there.' }), service);
  }
  const { field, expected, got, hint } = error.details;
  const headers: Record<string, string> = {};
  if (error.code === 'wrong-method') headers['Allow'] = short(expected) ?? '';
  if (error.details.retryAfter !== undefined) headers['Retry-After'] = String(error.details.retryAfter);
  return json({ error: error.message, code: error.code, field, expected: short(expected), got: short(got), hint }, error.status, headers);
}

const short = (value: unknown): string | undefined => (value === undefined ? undefined : String(value).slice(0, 120));

/** Runs a route and sends its answer, or the answer to its failure. Never rejects. */
export async function respond(
  route: Pick<Route, 'answer'>,
  params: Call['params'],
  req: IncomingMessage,
  res: ServerResponse,
  service: Service,
) {
  let answer: Answer;
  try {
    answer = await route.answer({ params, headers: req.headers, body: () => service.readBody(req, res), gone: () => res.destroyed });
  } catch (error) {
    answer = failure(error, service);
  }
  if (res.headersSent || res.destroyed) return;
  res.writeHead(answer.status, { 'Content-Type': answer.type, 'Content-Length': Buffer.byteLength(answer.body), ...answer.headers });
  res.end(answer.body);
}
