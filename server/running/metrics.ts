// /metrics for Prometheus: names begin with seedmask_, units are seconds and bytes, and the number of series is bounded. A task has
// a label of its own if it was among the first so many to be asked for; all others count as "other", and /v2/models/stats has each.
// Routes are those of the table, never paths from outside.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Store } from '../repository/store.js';
import type { Exchange } from '../routes.js';
import type { Scheduler } from './scheduler.js';

/** Tasks with a series of their own. */
const NAMED_TASKS = 50;
const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384];

interface Children {
  readonly seconds: Histogram.Internal<'route'>;
  readonly requests: Map<number, Counter.Internal>;
}

interface TaskChildren {
  readonly rows: Counter.Internal;
  /** Made when a row is abstained from: there is no series before. */
  readonly abstained: () => Counter.Internal;
}

export class Meters {
  readonly #registry = new Registry();
  readonly #named = new Map<string, TaskChildren>();
  readonly #requests: Counter<'route' | 'status'>;
  readonly #seconds: Histogram<'route'>;
  /** The series of a route, found once: looking them up by their labels costs more than counting. */
  readonly #children = new Map<string, Children>();
  #others: TaskChildren | undefined;
  readonly #rejected: Counter<'reason'>;
  readonly #rows: Counter<'task'>;
  readonly #abstained: Counter<'task'>;
  readonly #guesses: Histogram;
  readonly #looks: Counter;

  constructor(scheduler: Scheduler, store: Store, release: string) {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    new Gauge({ name: 'seedmask_build_info', help: 'Always 1; the label is the release.', labelNames: ['version'], registers }).set(
      { version: release },
      1,
    );
    this.#requests = new Counter({
      name: 'seedmask_requests_total',
      help: 'Answers by route and status.',
      labelNames: ['route', 'status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'seedmask_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    });
    this.#rejected = new Counter({
      name: 'seedmask_rejected_total',
      help: 'Requests that were refused or failed, by the code of the error.',
      labelNames: ['reason'],
      registers,
    });
    this.#rows = new Counter({ name: 'seedmask_rows_total', help: 'Rows classified.', labelNames: ['task'], registers });
    this.#abstained = new Counter({
      name: 'seedmask_abstained_rows_total',
      help: 'Rows whose largest probability lay below the abstain threshold.',
      labelNames: ['task'],
      registers,
    });
    this.#guesses = new Histogram({
      name: 'seedmask_task_inference_duration_seconds',
      help: 'Computing of an answer to which task rows are for.',
      buckets: SECONDS,
      registers,
    });
    this.#looks = new Counter({ name: 'seedmask_task_inference_masks_total', help: 'Looks at a mask that these took.', registers });
    const queued = new Histogram({
      name: 'seedmask_queue_duration_seconds',
      help: 'From the arrival of a request at the scheduler to the first of its rows being computed.',
      buckets: SECONDS,
      registers,
    });
    const computed = new Histogram({
      name: 'seedmask_compute_duration_seconds',
      help: 'From the first row of a request being computed to its last.',
      buckets: SECONDS,
      registers,
    });
    const batches = new Histogram({ name: 'seedmask_batch_rows', help: 'Rows of a run of the engine.', buckets: ROWS, registers });
    const loads = new Counter({
      name: 'seedmask_store_events_total',
      help: 'Versions loaded and unloaded, and files that failed.',
      labelNames: ['kind'],
      registers,
    });
    gauge('seedmask_tasks', 'Tasks that are served.', () => store.tasks.size);
    gauge('seedmask_store_failures', 'Files and folders that cannot be served now.', () => store.failures.length);
    gauge('seedmask_waiting_requests', 'Requests that wait to be computed.', () => scheduler.waiting.requests);
    gauge('seedmask_waiting_rows', 'Rows that wait to be computed.', () => scheduler.waiting.rows);
    gauge('seedmask_mask_resident_bytes', 'Bytes of decoded masks in memory.', () => store.resident.bytes);
    gauge('seedmask_compiled_resident_bytes', 'Bytes of compiled tasks in memory.', () => scheduler.compiled.bytes);
    gauge('seedmask_process_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss());
    scheduler.subscribe({
      request: ({ queueMs, computeMs, error }) => {
        queued.observe(queueMs / 1000);
        if (!error) computed.observe(computeMs / 1000);
      },
      batch: ({ rows }) => batches.observe(rows),
    });
    store.subscribe(({ kind }) => loads.inc({ kind }));
  }

  answered({ route, status, code, seconds }: Exchange): void {
    const known = this.#children.get(route) ?? { seconds: this.#seconds.labels({ route }), requests: new Map() };
    this.#children.set(route, known);
    const requests = known.requests.get(status) ?? this.#requests.labels({ route, status });
    known.requests.set(status, requests);
    requests.inc();
    known.seconds.observe(seconds);
    if (code !== undefined) this.#rejected.inc({ reason: code });
  }

  classified(task: string, rows: number, abstained: number): void {
    const children = this.#named.get(task) ?? this.#childrenOf(task);
    children.rows.inc(rows);
    if (abstained > 0) children.abstained().inc(abstained);
  }

  guessed(masks: number, seconds: number): void {
    this.#guesses.observe(seconds);
    this.#looks.inc(masks);
  }

  /** The text format, and its media type. */
  async text(): Promise<{ readonly type: string; readonly body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #childrenOf(task: string): TaskChildren {
    // One more than those with a name: all others.
    const label = this.#named.size >= NAMED_TASKS ? 'other' : task;
    const known = label === task ? undefined : this.#others;
    const children = known ?? { rows: this.#rows.labels({ task: label }), abstained: () => this.#abstained.labels({ task: label }) };
    if (label === task) this.#named.set(task, children);
    else this.#others = children;
    return children;
  }
}
