// The server as an Express 5 app, complete: mount it anywhere, under any prefix, after routes of your own. It holds no socket and
// starts nothing; `createHandler` is the faster way in and `listen` the way to a port.

import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type NextFunction, type Request, type RequestHandler } from 'express';
import { SeedmaskError } from '../codec/errors.js';
import { partial } from './ranges.js';
import { type Route, respond } from './routes.js';
import { createService, type Served, type ServerOptions } from './service.js';

/** The complete Express 5 app. Requests to its routes answer as `createHandler` does, byte for byte. */
export function createApp(options: ServerOptions): Express {
  return appOf(createService(options), options.web);
}

/** The app over a service that a handler shares. @param web folders of static files by path, found where no route is */
export function appOf(service: Served, web: Readonly<Record<string, string>> = {}): Express {
  const { routes } = service;
  const app: Express & Partial<Handling> = express();
  app.disable('x-powered-by');
  for (const before of service.before) app.use(before);
  for (const route of routes) {
    if (route.path === '/') for (const [path, folder] of Object.entries(web)) app.use(path, express.static(folder));
    const run: RequestHandler = (req, res) => respond(route, named(req.params), req, res, service, (answer) => partial(answer, req));
    if (route.method === 'GET') app.get(route.pattern, run);
    else app.post(route.pattern, run);
  }
  /** Answers with the failure that `find` makes of the request. */
  const refuse =
    (find: (method: string, path: string) => Error): RequestHandler =>
    (req, res) => {
      const answer = () => {
        throw find(req.method, req.path);
      };
      return respond({ path: 'none', access: 'open', answer }, {}, req, res, service);
    };
  app.use((req, res, next) => (/^\/v1(\/|$)/i.test(req.path) ? refuse(malformed)(req, res, next) : next()));
  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...(byPath.get(route.path) ?? []), route]);
  for (const same of byPath.values())
    app.all(
      same[0].pattern,
      refuse((method, path) => wrongMethod(same, method, path)),
    );
  app.use(refuse(unknownRoute));
  const failed: ErrorRequestHandler = (error: unknown, req, res, next) => refuse(() => known(error, req))(req, res, next);
  app.use(failed);
  // A target without a path fails in Express before anything of ours is asked, and gets a page of HTML.
  const { handle } = app;
  app.handle = (req, res, next) => {
    const { method = '', url = '' } = req;
    if (url.startsWith('/') || url === '*' || URL.canParse(url)) return handle?.call(app, req, res, next);
    const answer = () => {
      throw unknownRoute(method, url);
    };
    void respond({ path: 'none', access: 'open', answer }, {}, req, res, service);
  };
  return app;
}

/** What Express says of a request, in our words: its router of the path, its files of a range or a condition. */
function known(error: unknown, { path, headers }: Request): Error {
  const { status, headers: told } = error as { status?: number; headers?: Record<string, string> };
  if (status === 416)
    return new SeedmaskError('bad-range', { field: 'Range', expected: told?.['Content-Range'].slice(8), got: headers.range });
  if (status === 412) {
    // RFC 9110, 13.2.2: where there are both, the second is not looked at.
    const [field, got] = headers['if-match'] ? ['If-Match', headers['if-match']] : ['If-Unmodified-Since', headers['if-unmodified-since']];
    return new SeedmaskError('unmet-condition', { field, got, hint: 'Ask without it for the file as it is.' });
  }
  if (error instanceof Error && !(error instanceof URIError)) return error;
  return new SeedmaskError('bad-request', { field: 'the path', expected: 'valid percent-encoding', got: path });
}

/** Where Express begins with a request; its types leave it out. */
interface Handling {
  handle(req: IncomingMessage, res: ServerResponse, next?: NextFunction): void;
}

/** Route parameters that are text; lists come only from path wildcards, which no route here has. */
const named = (params: Readonly<Record<string, string | string[]>>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, typeof value === 'string' ? value : undefined]));

function wrongMethod(routes: readonly Route[], method: string, path: string): SeedmaskError {
  const expected = routes.map((route) => (route.method === 'GET' ? 'GET, HEAD' : route.method)).join(', ');
  return new SeedmaskError('wrong-method', { field: path, expected, got: method });
}

/** TensorFlow Serving's answer to all it does not know under /v1, be it a path or a verb. */
const malformed = (method: string, path: string): SeedmaskError =>
  new SeedmaskError('malformed-v1', { field: 'path', expected: '/v1/models/NAME:predict', got: `${method} ${path}` });

function unknownRoute(method: string, path: string): SeedmaskError {
  const expected = 'GET /tasks, POST /tasks/NAME/classify, /v1/models/NAME:predict or /v2/models/NAME/infer';
  return new SeedmaskError('unknown-route', { field: 'path', expected, got: `${method} ${path}`, hint: `Try ${expected}.` });
}
