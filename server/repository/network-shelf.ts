// The networks of a store's files, each once: equal networks are one object, so what is made of one (weights, compiled masks, its id) is
// made once for all its tasks, and it is forgotten with the last file that holds it.

import { isDeepStrictEqual } from 'node:util';
import { hex } from '../../codec/hex.js';
import { type NetworkLookup, networkId } from '../../codec/index.js';
import type { Network } from '../../src/network.js';

export class NetworkShelf {
  readonly #networks = new Map<string, Network>();
  readonly #ids = new WeakMap<Network, string>();
  readonly #others: NetworkLookup | undefined;

  /** @param others where networks come from that no file here holds */
  constructor(others: NetworkLookup | undefined) {
    this.#others = others;
  }

  /** The network with this id, if it is known. */
  find(id: Uint8Array): Network | undefined {
    return this.#networks.get(hex(id)) ?? this.#others?.(id);
  }

  /** Its id, 64 hex digits; working it out takes a millisecond, as the first weights are drawn for it. */
  idOf(network: Network): string {
    const id = this.#ids.get(network) ?? hex(networkId(network));
    this.#ids.set(network, id);
    return id;
  }

  /** The one object for networks that equal this one. */
  shared(network: Network): Network {
    for (const known of this.#networks.values()) if (isDeepStrictEqual(known, network)) return known;
    this.#networks.set(this.idOf(network), network);
    return network;
  }

  /** Forgets all others. */
  keep(held: ReadonlySet<Network | undefined>): void {
    for (const [id, network] of this.#networks) if (!held.has(network)) this.#networks.delete(id);
  }
}
