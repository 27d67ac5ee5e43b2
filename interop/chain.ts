// The layers of a graph as its reader walks it, from the input on: each with what the graph computes around it, so that a graph that
// computes another network can be told from the one that was asked for.

import type { LayerTensors } from './layouts.js';

export class Chain {
  readonly #layers: LayerTensors[] = [];
  /** Pools before every layer, and behind the last. */
  readonly #pools = [0];

  add(layer: LayerTensors): void {
    this.#layers.push({ ...layer, activation: 'linear' });
    this.#pools.push(0);
  }

  /** Says more of the layer that was added last. Pools and ReLU may come in either order: the greatest stays the greatest. */
  say(more: Pick<LayerTensors, 'activation' | 'bias'>): void {
    this.#layers.push({ ...this.#layers.pop()!, ...more });
  }

  pool(): void {
    this.#pools[this.#pools.length - 1]++;
  }

  get last(): LayerTensors | undefined {
    return this.#layers.at(-1);
  }

  get layers(): LayerTensors[] {
    return this.#layers.map((layer, i) => ({ ...layer, pools: [this.#pools[i], this.#pools[i + 1]] }));
  }
}
