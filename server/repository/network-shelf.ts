// The networks of a store's files, each once: equal networks are one object, so what is made of one (weights, compiled masks) is made once
// for all its tasks, and it is forgotten with the last file that holds it.

import { isDeepStrictEqual } from 'node:util';
import { type NetworkLookup, networkId } from '../../codec/index.js';
import type { Network } from '../../src/network.js';

export class NetworkShelf {
  readonly #networks = new Map<string, Network>();
  readonly #others: NetworkLookup | undefined;

  /** @param others where networks come from that no file here holds */
  constructor(others: NetworkLookup | undefined) {
    this.#others = others;
  }

  /** The network with this id, if it is known. */
  find(id: Uint8Array): Network | undefined {
    return this.#networks.get(hex(id)) ?? this.#others?.(id);
  }

  /** The one object for networks that equal this one. */
  shared(network: Network): Network {
    for (const known of this.#networks.values()) if (isDeepStrictEqual(known, network)) return known;
    this.#networks.set(hex(networkId(network)), network);
    return network;
  }

  /** Forgets all others. */
  keep(held: ReadonlySet<Network | undefined>): void {
    for (const [id, network] of this.#networks) if (!held.has(network)) this.#networks.delete(id);
  }
}

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
