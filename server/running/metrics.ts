// /metrics for Prometheus: names begin with seedmask_, units are seconds and bytes, and the number of series is bounded. A task has
// a label of its own if it was among the first so many to be asked for; all others count as "other", and /v2/models/stats has each.
// Routes are those of the table, never paths from outside. What every answer counts is kept as plain numbers until someone reads it.

import { Counter, Gauge, Registry } from 'prom-client';
import type { Exchange } from '../answer.js';
import type { Store } from '../repository/store.js';
import type { Scheduler } from './scheduler.js';
import { type Spread, Tally, type TallyOptions } from './tally.js';
import type { Threads } from './threads.js';

/** Tasks with a series of their own. */
const NAMED_TASKS = 50;
const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384];

interface OfRoute {
  readonly seconds: Spread;
  /** Answers by status. */
  readonly answers: Map<number, number>;
}

interface OfTask {
  readonly label: string;
  rows: number;
  abstained: number;
}

export class Meters {
  readonly #registry = new Registry();
  readonly #routes = new Map<string, OfRoute>();
  readonly #tasks = new Map<string, OfTask>();
  readonly #others: OfTask = { label: 'other', rows: 0, abstained: 0 };
  readonly #seconds: Tally;
  readonly #rejected: Counter<'reason'>;
  readonly #guesses: Spread;
  readonly #looks: Counter;

  constructor(scheduler: Scheduler, store: Store, threads: Pick<Threads, 'state'> | undefined, release: string) {
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
    const counter = <L extends string>(name: string, help: string, labelNames: L[], read: () => [Record<L, string>, number][]) =>
      new Counter({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const [labels, n] of read()) this.inc(labels, n);
        },
      });
    const tally = (options: TallyOptions) => {
      const made = new Tally(options);
      this.#registry.registerMetric(made);
      return made;
    };
    counter('seedmask_requests_total', 'Answers by route and status.', ['route', 'status'], () =>
      [...this.#routes].flatMap(([route, { answers }]) =>
        [...answers].map(([status, n]): [{ route: string; status: string }, number] => [{ route, status: String(status) }, n]),
      ),
    );
    this.#seconds = tally({
      name: 'seedmask_request_duration_seconds',
      help: 'From the head of a request to its answer being there to be sent.',
      labelNames: ['route'],
      bounds: SECONDS,
    });
    this.#rejected = new Counter({
      name: 'seedmask_rejected_total',
      help: 'Requests that were refused or failed, by the code of the error.',
      labelNames: ['reason'],
      registers,
    });
    counter('seedmask_rows_total', 'Rows classified.', ['task'], () => this.#perTask(({ rows }) => rows));
    counter('seedmask_abstained_rows_total', 'Rows whose largest probability lay below the abstain threshold.', ['task'], () =>
      this.#perTask(({ abstained }) => abstained),
    );
    this.#guesses = tally({
      name: 'seedmask_task_inference_duration_seconds',
      help: 'Computing of an answer to which task rows are for.',
      bounds: SECONDS,
    }).series();
    this.#looks = new Counter({ name: 'seedmask_task_inference_masks_total', help: 'Looks at a mask that these took.', registers });
    const queued = tally({
      name: 'seedmask_queue_duration_seconds',
      help: 'From the arrival of a request at the scheduler to the first of its rows being computed; of answered ones.',
      bounds: SECONDS,
    }).series();
    const computed = tally({
      name: 'seedmask_compute_duration_seconds',
      help: 'From the first row of a request being computed to its last; of answered ones.',
      bounds: SECONDS,
    }).series();
    const batches = tally({ name: 'seedmask_batch_rows', help: 'Rows of a run of the engine.', bounds: ROWS }).series();
    const loads = new Counter({
      name: 'seedmask_store_events_total',
      help: 'Versions loaded and unloaded, and files that failed.',
      labelNames: ['kind'],
      registers,
    });
    counter(
      'seedmask_lost_threads_total',
      'Worker threads that died or hung. Another does the job; what is lost with that one too fails.',
      [],
      () => [[{}, threads?.state.lost ?? 0]],
    );
    gauge('seedmask_tasks', 'Tasks that are served.', () => store.tasks.size);
    gauge('seedmask_store_failures', 'Files and folders that cannot be served now.', () => store.failures.length);
    gauge('seedmask_waiting_requests', 'Requests that wait to be computed or are being computed.', () => scheduler.waiting.requests);
    gauge('seedmask_waiting_rows', 'Rows of these requests.', () => scheduler.waiting.rows);
    gauge('seedmask_mask_resident_bytes', 'Bytes of decoded masks in memory.', () => store.resident.bytes);
    gauge('seedmask_compiled_resident_bytes', 'Bytes of compiled tasks in memory.', () => scheduler.compiled.bytes);
    gauge('seedmask_process_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss());
    scheduler.subscribe({
      // What was refused or called off never waited for its turn to the end: counted, it would make an overload look like short queues.
      request: ({ queueMs, computeMs, error }) => {
        if (error) return;
        queued.add(queueMs / 1000);
        computed.add(computeMs / 1000);
      },
      batch: ({ rows }) => batches.add(rows),
    });
    store.subscribe(({ kind }) => loads.inc({ kind }));
  }

  answered({ route, status, code, seconds }: Exchange): void {
    let of = this.#routes.get(route);
    if (!of) {
      of = { seconds: this.#seconds.series({ route }), answers: new Map() };
      this.#routes.set(route, of);
    }
    of.answers.set(status, (of.answers.get(status) ?? 0) + 1);
    of.seconds.add(seconds);
    if (code !== undefined) this.#rejected.inc({ reason: code });
  }

  classified(task: string, rows: number, abstained: number): void {
    const of = this.#tasks.get(task) ?? this.#newTask(task);
    of.rows += rows;
    of.abstained += abstained;
  }

  guessed(masks: number, seconds: number): void {
    this.#guesses.add(seconds);
    this.#looks.inc(masks);
  }

  /** The text format, and its media type. */
  async text(): Promise<{ readonly type: string; readonly body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #newTask(label: string): OfTask {
    if (this.#tasks.size >= NAMED_TASKS) return this.#others;
    const of = { label, rows: 0, abstained: 0 };
    this.#tasks.set(label, of);
    return of;
  }

  /** Series of the tasks that have any. */
  #perTask(count: (of: OfTask) => number): [{ task: string }, number][] {
    return [...this.#tasks.values(), this.#others].flatMap((of): [{ task: string }, number][] => {
      const n = count(of);
      return n > 0 ? [[{ task: of.label }, n]] : [];
    });
  }
}
