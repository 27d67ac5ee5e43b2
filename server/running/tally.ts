// Histograms that are counted as plain numbers and become prom-client's when /metrics is read: its own looks its series up by their
// labels at every value, which at six values an answer takes longer than classifying a digit.

import { Histogram } from 'prom-client';

/** The values of one series, by the bucket that each fell into. */
export class Spread {
  readonly #bounds: readonly number[];
  /** One more than there are bounds: what exceeds the last. */
  readonly counts: Float64Array;
  sum = 0;

  /** @param bounds upper bounds of the buckets, ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  add(value: number): void {
    let bucket = 0;
    while (value > this.#bounds[bucket]) bucket++;
    this.counts[bucket]++;
    this.sum += value;
  }
}

export interface TallyOptions {
  readonly name: string;
  readonly help: string;
  readonly bounds: readonly number[];
  readonly labelNames?: readonly string[];
}

type Labels = Readonly<Record<string, string>>;

/** A histogram of several series; to be registered like any other (`Registry.registerMetric`). */
export class Tally extends Histogram {
  readonly #options: TallyOptions;
  readonly #series: { readonly labels: Labels; readonly spread: Spread }[] = [];

  constructor(options: TallyOptions) {
    const { name, help, labelNames = [] } = options;
    super({ name, help, labelNames: [...labelNames], registers: [] });
    this.#options = options;
  }

  /** A series of its own. */
  series(labels: Labels = {}): Spread {
    const spread = new Spread(this.#options.bounds);
    this.#series.push({ labels, spread });
    return spread;
  }

  /** Of which the registry makes the text of a metric, and `get` its answer. */
  async getForPromString() {
    const { name, help } = this.#options;
    const values = this.#series.flatMap(({ labels, spread }) => this.#valuesOf(labels, spread));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }

  #valuesOf(sharedLabels: Labels, { counts, sum }: Spread) {
    const { name, bounds } = this.#options;
    let count = 0;
    const buckets = Array.from(counts, (n, i) => {
      count += n;
      return { labels: { le: bounds[i] ?? '+Inf' }, sharedLabels, value: count, metricName: `${name}_bucket` };
    });
    const whole = (value: number, what: string) => ({ labels: {}, sharedLabels, value, metricName: `${name}_${what}` });
    return [...buckets, whole(sum, 'sum'), whole(count, 'count')];
  }
}
