// Networks and masks that come from outside a file: a network kept elsewhere is found by its id and must be the one of that id, and
// what does not fit together is told as an error of the codec.

import { checkMask, type Mask, type Network, ShapeError } from '../src/network.js';
import { SeedmaskError } from './errors.js';
import { networkId } from './header.js';
import { hex } from './hex.js';

/** Finds a network kept elsewhere by its 32-byte id. */
export type NetworkLookup = (id: Uint8Array) => Network | undefined;

/** A network for a file without one: what `open` (container.ts) asks when the header has none. */
export type FindNetwork = (id: Uint8Array) => Network;

/** The network that was found for a file without one, if it is that network. */
export function lookedUp(id: Uint8Array, network: Network | undefined): Network {
  if (!network) throw notFound(id, 'none');
  const found = hex(fits(() => networkId(network), 'bad-base', 'the network looked up', 'layers that fit'));
  if (found === hex(id)) return network;
  throw notFound(id, found);
}

/** What to throw when a file's network is not at hand. */
export function notFound(id: Uint8Array, got: string): SeedmaskError {
  const hint = 'Give the file that holds this network as well';
  return new SeedmaskError('bad-base', { field: 'a mask-only file', expected: `the network ${hex(id)}`, got, hint });
}

/** Throws 'bad-task' unless a mask is the network's. */
export const checkTaskMask = (network: Network, mask: Mask, field: string): void =>
  fits(() => checkMask(network, mask), 'bad-task', field, 'one bit for every weight');

/** Runs a check of shapes; its complaint becomes ours. */
export function fits<T>(check: () => T, code: 'bad-task' | 'bad-header' | 'bad-base', field: string, expected: string): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof ShapeError) throw new SeedmaskError(code, { field, expected, got: error.message });
    throw error;
  }
}
