// One server's parts put together, with the defaults of its options: what routes work with, and the routes.

import cors from 'cors';
import type { RequestHandler } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import type { Engine } from '../src/engine/engine.js';
import type { Exchange } from './answer.js';
import { Gate, type KeyRecord } from './gate.js';
import { Outbox } from './outbox.js';
import { contentsRoutes } from './protocols/contents.js';
import { documentRoutes } from './protocols/documents.js';
import { inferTaskRoutes } from './protocols/infer-task.js';
import { networkRoutes } from './protocols/networks.js';
import { oipRoutes } from './protocols/oip.js';
import { taskRoutes } from './protocols/tasks.js';
import { tfservingRoutes } from './protocols/tfserving.js';
import type { Store } from './repository/store.js';
import { bounded } from './requests/intake.js';
import { HEADER } from './requests/tensors.js';
import type { Route, Service } from './routes.js';
import { Canary } from './running/canary.js';
import { Classifiers } from './running/classify.js';
import { Finder } from './running/finder.js';
import { Meters } from './running/metrics.js';
import { Scheduler, type SchedulerOptions } from './running/scheduler.js';
import { Statistics } from './running/statistics.js';
import { idSource } from './trace.js';

export interface ServerOptions extends SchedulerOptions {
  readonly engine: Engine;
  readonly store: Store;
  /** Bytes of a body at most, before and after Content-Encoding; default 16 MiB. */
  readonly bodyLimit?: number;
  /** Bytes of all bodies that are being read at once; default 128 MiB. */
  readonly intakeLimit?: number;
  /** Bytes of large answers that clients have not read yet; default 128 MiB. */
  readonly unreadLimit?: number;
  /** Rows of one request at most; default 32,768. */
  readonly rowLimit?: number;
  /** False makes readiness answer 503: for an owner that drains the app itself. Default: always ready. */
  readonly ready?: () => boolean;
  /** Told about failures that are not the client's; default: the log, or the error with its stack on stderr. */
  readonly report?: (error: unknown, requestId: string) => void;
  /** The version that /v2 names; default '0'. */
  readonly release?: string;
  /** Who may use what (`readKeys`); default: anyone, everything but load and unload. */
  readonly keys?: readonly KeyRecord[];
  /** SHA-256 of the admin key in hex (`readAdminKey`); without it load and unload are closed. */
  readonly adminKey?: string;
  /** Least probability of a label, 0 .. 1; below it the label is null. A request may say otherwise. Default 0: every row has a label. */
  readonly abstain?: number;
  /** Origins whose pages may ask, or '*'. Default: none. */
  readonly cors?: string | readonly string[];
  /** Sends helmet's protective headers with every answer. Default false: they cost bytes and matter to browsers alone. */
  readonly helmet?: boolean;
  /** Folders of static files by the path that shows them: `{ '/': 'web/dist' }`. Routes come first. */
  readonly web?: Readonly<Record<string, string>>;
  /** A pino logger: a line an answer (debug; info when refused, warn from 500), a line a change of the store. Default: none. */
  readonly log?: Logger;
}

/** Bytes that compiled tasks may hold together on the event loop; packed masks are not counted. */
const COMPILED_LIMIT = 256 * 1024 * 1024;

/** What pages of other origins may read of an answer. */
const EXPOSED = [
  HEADER,
  'X-Request-Id',
  'traceparent',
  'Retry-After',
  'ETag',
  'Content-Range',
  'Accept-Ranges',
  'Accept-Encoding',
  'Allow',
];

/** What routes work with, the routes, and what runs before every one of them: headers for browsers. */
export interface Served extends Service {
  readonly before: readonly RequestHandler[];
  readonly routes: readonly Route[];
}

export function createService(options: ServerOptions): Served {
  const { store, log, release = '0', abstain = 0 } = options;
  const scheduler = new Scheduler(store, new Classifiers(options.engine, COMPILED_LIMIT), options);
  const canary = new Canary(scheduler, options.threads);
  const meters = new Meters(scheduler, store, options.threads, release);
  const service: Service = {
    store,
    scheduler,
    finder: new Finder(store, options.engine, options.threads),
    threads: options.threads,
    meters,
    statistics: new Statistics(scheduler),
    gate: new Gate(options.keys ?? null, options.adminKey ?? null),
    rowLimit: options.rowLimit ?? 32768,
    freshId: idSource(),
    outbox: new Outbox(options.unreadLimit),
    readBody: bounded(options.bodyLimit ?? 16 * 1024 * 1024, options.intakeLimit ?? 128 * 1024 * 1024),
    abstain,
    ready: options.ready ?? (() => true),
    alive: () => canary.sings(),
    report:
      options.report ??
      ((error: unknown, requestId: string) => (log ? log.error({ err: error, requestId }, 'failed') : console.error(error))),
    answered: (exchange: Exchange) => {
      meters.answered(exchange);
      if (log) write(log, exchange);
    },
  };
  if (log) {
    store.subscribe(({ kind, error, ...event }) => {
      if (error) log.warn({ ...event, code: error.code, reason: error.message }, kind);
      else log.debug(event, kind);
    });
  }
  const routes = [
    ...taskRoutes(service),
    ...networkRoutes(service),
    ...inferTaskRoutes(service),
    ...contentsRoutes(service),
    ...tfservingRoutes(service),
    ...oipRoutes(service, release),
  ];
  return { ...service, before: beforeOf(options), routes: [...routes, ...documentRoutes(service, release, routes)] };
}

function write(log: Logger, { trace, method, route, task, caller, status, code, seconds }: Exchange): void {
  const level = status >= 500 ? 'warn' : code === undefined ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  const line = {
    requestId: trace.id,
    traceId: trace.traceId,
    method,
    route,
    task,
    caller,
    status,
    code,
    ms: Math.round(seconds * 1e6) / 1e3,
  };
  log[level](line, 'answered');
}

/** Express middleware that runs before every route. */
function beforeOf({ cors: origins, helmet: protect }: ServerOptions): RequestHandler[] {
  const before: RequestHandler[] = [];
  if (protect) {
    // The page compiles WebAssembly, starts workers and may be served over plain HTTP; threads need cross-origin isolation.
    const directives = {
      'script-src': ["'self'", "'wasm-unsafe-eval'"],
      'worker-src': ["'self'", 'blob:'],
      'upgrade-insecure-requests': null,
    };
    before.push(helmet({ contentSecurityPolicy: { directives }, crossOriginEmbedderPolicy: true }));
  }
  if (origins !== undefined) {
    const list = typeof origins === 'string' ? [origins] : [...origins];
    const origin = list.includes('*') ? '*' : list;
    before.push(cors({ origin, methods: ['GET', 'HEAD', 'POST'], exposedHeaders: EXPOSED, maxAge: 600 }));
  }
  return before;
}
