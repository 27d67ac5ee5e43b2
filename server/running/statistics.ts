// Counts and times of every version that has answered: the statistics extension of the Open Inference Protocol, in full detail where
// /metrics has to stop at the busiest tasks. A version that is replaced takes its numbers with it.
//
//   compute_input: body to rows; queue and compute_infer: the scheduler's; compute_output: probabilities to an answer; fail: all of a
//   request that was not answered, which counts nowhere else
//
// A run of the engine holds rows of several requests, each decoded and encoded by itself: in batch_stats those two stay at 0.

import type { Version } from '../repository/store.js';
import type { Scheduler } from './scheduler.js';

/** A count, and nanoseconds in all. */
interface Duration {
  count: number;
  ns: number;
}

const duration = (): Duration => ({ count: 0, ns: 0 });

function add(duration: Duration, ms: number): void {
  duration.count++;
  duration.ns += Math.round(ms * 1e6);
}

class Numbers {
  lastInference = 0;
  inferences = 0;
  executions = 0;
  readonly times = {
    success: duration(),
    fail: duration(),
    queue: duration(),
    compute_input: duration(),
    compute_infer: duration(),
    compute_output: duration(),
    cache_hit: duration(),
  };
  /** Rows of a run of the engine -> its runs. */
  readonly batches = new Map<number, Duration>();
}

/** When one request was where, by the clock of `performance.now()`. */
export interface Passage {
  readonly rows: number;
  readonly began: number;
  readonly decoded: number;
  readonly judged: number;
  readonly ended: number;
}

export class Statistics {
  /** A version object lives as long as its content, so what is swapped leaves nothing behind. */
  readonly #numbers = new WeakMap<Version, Numbers>();

  constructor(scheduler: Scheduler) {
    scheduler.subscribe({
      request: ({ version, queueMs, computeMs, error }) => {
        if (error) return;
        const { times } = this.#of(version);
        add(times.queue, queueMs);
        add(times.compute_infer, computeMs);
      },
      batch: ({ version, rows, ms }) => {
        const numbers = this.#of(version);
        numbers.executions++;
        const runs = numbers.batches.get(rows) ?? duration();
        numbers.batches.set(rows, runs);
        add(runs, ms);
      },
    });
  }

  answered(version: Version, { rows, began, decoded, judged, ended }: Passage): void {
    const numbers = this.#of(version);
    numbers.lastInference = Date.now();
    numbers.inferences += rows;
    add(numbers.times.success, ended - began);
    add(numbers.times.compute_input, decoded - began);
    add(numbers.times.compute_output, ended - judged);
  }

  failed(version: Version, ms: number): void {
    add(this.#of(version).times.fail, ms);
  }

  /** One version as the protocol writes it. */
  of(name: string, version: Version) {
    const { lastInference, inferences, executions, times, batches } = this.#numbers.get(version) ?? new Numbers();
    return {
      name,
      version: version.number,
      last_inference: lastInference,
      inference_count: inferences,
      execution_count: executions,
      inference_stats: times,
      batch_stats: [...batches].map(([batch_size, compute_infer]) => ({
        batch_size,
        compute_input: duration(),
        compute_infer,
        compute_output: duration(),
      })),
    };
  }

  #of(version: Version): Numbers {
    const numbers = this.#numbers.get(version) ?? new Numbers();
    this.#numbers.set(version, numbers);
    return numbers;
  }
}
