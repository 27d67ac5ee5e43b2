// The way in for speed: a plain (req, res) listener that matches the three hot routes (classify, predict, infer) itself and hands
// everything else to the Express app of the same service. Both run the same route functions; Express alone costs more than a row.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { appOf } from './app.js';
import { respond } from './routes.js';
import { createService, type ServerOptions } from './service.js';

/** A listener for `http.createServer`, `listen`, or `app.use`. */
export interface Handler {
  (req: IncomingMessage, res: ServerResponse): void;
  /** From now on readiness answers 503; everything else goes on. */
  drain(): void;
  /** Prepares every network and answers the first question; false when that went wrong. */
  warm(): Promise<boolean>;
}

/** The complete server as a listener: every route of `createApp`, the hot ones without Express. */
export function createHandler(options: ServerOptions): Handler {
  let draining = false;
  const ready = () => !draining && (options.ready?.() ?? true);
  const service = createService({ ...options, ready });
  const app = appOf(service, options.web);
  // Headers of helmet and cors are Express's work: where they are wanted, every request takes that way.
  const hot = service.before.length > 0 ? [] : service.routes.filter((route) => route.hot);
  const listener = (req: IncomingMessage, res: ServerResponse): void => {
    const path = (req.url ?? '').split('?', 1)[0];
    for (const route of hot) {
      const groups = route.method === req.method ? route.pattern.exec(path)?.groups : undefined;
      const params = groups && decoded(groups);
      if (params) {
        void respond(route, params, req, res, service);
        return;
      }
    }
    app(req, res);
  };
  const drain = () => {
    draining = true;
  };
  const warm = async () => {
    await service.scheduler.prepare();
    return service.alive();
  };
  return Object.assign(listener, { drain, warm });
}

/** The groups percent-decoded; undefined when they are not valid, which the app then explains. */
function decoded(groups: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> | undefined {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, value && decodeURIComponent(value)]));
  } catch {
    return undefined;
  }
}
