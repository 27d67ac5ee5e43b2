// The server as an Express 5 app, complete: mount it anywhere, under any prefix, after routes of your own. It holds no socket and
// starts nothing; `createHandler` is the faster way in and `listen` the way to a port.

import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { SeedmaskError } from '../codec/errors.js';
import type { Engine } from '../src/engine/engine.js';
import { bodyReader } from './bodies.js';
import { Classifiers } from './classify.js';
import { oipRoutes } from './oip.js';
import { failure, type Route, respond, type Service } from './routes.js';
import { Scheduler, type SchedulerOptions } from './scheduler.js';
import type { Store } from './store.js';
import { taskRoutes } from './tasks.js';
import { tfservingRoutes } from './tfserving.js';

export interface ServerOptions extends SchedulerOptions {
  readonly engine: Engine;
  readonly store: Store;
  /** Bytes of a body at most, before and after Content-Encoding; default 16 MiB. */
  readonly bodyLimit?: number;
  /** Rows of one request at most; default 32,768. */
  readonly rowLimit?: number;
  /** Bytes that compiled tasks may hold together, charged at 4 a weight; default 256 MiB. Packed masks are not counted. */
  readonly compiledLimit?: number;
  /** False makes readiness answer 503: for an owner that drains the app itself. Default: always ready. */
  readonly ready?: () => boolean;
  /** Told about failures that are not the client's; default: one line on stderr. */
  readonly report?: (error: unknown) => void;
  /** The version that /v2 names; default '0'. */
  readonly release?: string;
}

/** A service with its defaults filled in, and its routes. */
export function createService(options: ServerOptions): { readonly service: Service; readonly routes: readonly Route[] } {
  const service: Service = {
    store: options.store,
    scheduler: new Scheduler(options.store, new Classifiers(options.engine, options.compiledLimit ?? 256 * 1024 * 1024), options),
    rowLimit: options.rowLimit ?? 32768,
    readBody: bodyReader(options.bodyLimit ?? 16 * 1024 * 1024),
    ready: options.ready ?? (() => true),
    report: options.report ?? ((error) => console.error(error)),
  };
  return { service, routes: [...taskRoutes(service), ...tfservingRoutes(service), ...oipRoutes(service, options.release ?? '0')] };
}

/** The complete Express 5 app. Requests to its routes answer as `createHandler` does, byte for byte. */
export function createApp(options: ServerOptions): Express {
  const { service, routes } = createService(options);
  return appOf(service, routes);
}

/** The app over a service that a handler shares. */
export function appOf(service: Service, routes: readonly Route[]): Express {
  const app = express();
  app.disable('x-powered-by');
  for (const route of routes) {
    const run: RequestHandler = (req, res) => respond(route, named(req.params), req, res, service);
    if (route.method === 'GET') app.get(route.pattern, run);
    else app.post(route.pattern, run);
  }
  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.pattern.source, [...(byPath.get(route.pattern.source) ?? []), route]);
  for (const same of byPath.values()) app.all(same[0].pattern, wrongMethod(same, service));
  const unknown: RequestHandler = (req, res) => {
    const expected = 'GET /tasks, POST /tasks/NAME/classify, /v1/models/NAME:predict or /v2/models/NAME/infer';
    const error = new SeedmaskError('unknown-route', {
      field: 'path',
      expected,
      got: `${req.method} ${req.path}`,
      hint: `Try ${expected}.`,
    });
    return respond({ answer: () => failure(error, service) }, {}, req, res, service);
  };
  app.use(unknown);
  const failed: ErrorRequestHandler = (error: unknown, req, res, _next) => {
    const badPath = new SeedmaskError('bad-request', { field: 'the path', expected: 'valid percent-encoding', got: req.path });
    const known = error instanceof URIError ? badPath : error;
    return respond({ answer: () => failure(known, service) }, {}, req, res, service);
  };
  app.use(failed);
  return app;
}

/** Route parameters that are text; lists come only from path wildcards, which no route here has. */
const named = (params: Readonly<Record<string, string | string[]>>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, typeof value === 'string' ? value : undefined]));

function wrongMethod(routes: readonly Route[], service: Service): RequestHandler {
  const expected = routes.map((route) => (route.method === 'GET' ? 'GET, HEAD' : route.method)).join(', ');
  return (req, res) => {
    const error = new SeedmaskError('wrong-method', { field: req.path, expected, got: req.method });
    return respond({ answer: () => failure(error, service) }, {}, req, res, service);
  };
}
