// The way in for speed: a plain (req, res) listener that matches the three hot routes (classify, predict, infer) itself and hands
// everything else to the Express app of the same service. Both run the same route functions; Express alone costs more than a row.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exchange } from './answer.js';
import { appOf } from './app.js';
import { type Call, type Route, respond } from './routes.js';
import { createService, type ServerOptions } from './service.js';

/** A listener for `http.createServer`, `listen`, or `app.use`. */
export interface Handler {
  (req: IncomingMessage, res: ServerResponse): void;
  /** From now on readiness answers 503; everything else goes on. */
  drain(): void;
  /** Counts and logs an answer that was given before the request came here. */
  answered(exchange: Exchange): void;
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
  const matches = new Map<string, Match>();
  const listener = (req: IncomingMessage, res: ServerResponse): void => {
    const url = req.url ?? '';
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    let match = req.method === 'POST' ? matches.get(path) : undefined;
    if (!match && req.method === 'POST') {
      match = matchOf(path, hot);
      if (match && path.length < 256) {
        if (matches.size >= KNOWN_PATHS) matches.clear();
        matches.set(path, match);
      }
    }
    if (match) void respond(match.route, match.params, req, res, service);
    else app(req, res);
  };
  const drain = () => {
    draining = true;
  };
  const warm = async () => {
    await service.scheduler.prepare();
    return service.alive();
  };
  return Object.assign(listener, { drain, warm, answered: service.answered });
}

/** Paths whose route is remembered: matching costs more than looking up. */
const KNOWN_PATHS = 4096;

interface Match {
  readonly route: Route;
  readonly params: Call['params'];
}

/** The hot route of a path; undefined where there is none or its percent-encoding is not valid, which the app then explains. */
function matchOf(path: string, hot: readonly Route[]): Match | undefined {
  for (const route of hot) {
    const groups = route.pattern.exec(path)?.groups;
    if (!groups) continue;
    try {
      const params = Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, value && decodeURIComponent(value)]));
      return { route, params };
    } catch {
      return undefined;
    }
  }
  return undefined;
}
