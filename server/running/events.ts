// What a queue tells of its requests and of the engine's runs: /metrics and the statistics of the protocols listen.

import type { SeedmaskError } from '../../codec/errors.js';
import type { Version } from '../repository/catalogue.js';

/** One request that has ended, whichever way. Times are milliseconds. */
export interface RequestEvent {
  readonly version: Version;
  readonly rows: number;
  readonly key: string | undefined;
  /** Undefined when it was answered. */
  readonly error: SeedmaskError | undefined;
  /** Between its arrival and the first of its rows being computed, or its refusal. */
  readonly queueMs: number;
  /** From there to its last row. */
  readonly computeMs: number;
}

/** One run of the engine: rows of one task, of one or more requests. */
export interface BatchEvent {
  readonly version: Version;
  readonly rows: number;
  readonly requests: number;
  readonly ms: number;
}

/** Told synchronously; must not throw. */
export interface SchedulerListener {
  request?(event: RequestEvent): void;
  batch?(event: BatchEvent): void;
}
