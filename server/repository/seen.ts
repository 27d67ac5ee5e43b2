// Files as a store looked at them last: what is served of each, and why the rest is not. A file is opened again when it changes, and one
// that is refused for a cause outside itself (another file, the system) at every look.

import type { ErrorCode, SeedmaskError } from '../../codec/errors.js';
import type { Network } from '../../src/network.js';
import type { Slot } from './catalogue.js';
import type { Listing, Place } from './files.js';

/** A file that was looked at. */
export interface Seen {
  readonly place: Place;
  readonly slots: readonly Slot[];
  /** Undefined where no state of it could be opened. */
  readonly network: Network | undefined;
  /** Why it, or a newer state of it, cannot be served. */
  readonly error: SeedmaskError | undefined;
}

/** Refusals that may pass while the file stays as it is. */
const OUTSIDE: readonly ErrorCode[] = ['task-clash', 'bad-base', 'unreadable-file'];

/** The files of one store. */
export class SeenFiles {
  readonly #files = new Map<string, Seen>();

  /** Those that are refused, or whose newest state is. */
  *refused(): Iterable<Seen & { readonly error: SeedmaskError }> {
    for (const seen of this.#files.values()) if (seen.error) yield { ...seen, error: seen.error };
  }

  /** Those of which nothing is served. */
  *unserved(): Iterable<Seen & { readonly error: SeedmaskError }> {
    for (const seen of this.refused()) if (seen.slots.length === 0) yield seen;
  }

  /** Networks of what is served. */
  get networks(): ReadonlySet<Network | undefined> {
    return new Set([...this.#files.values()].map(({ network }) => network));
  }

  of(file: string): Seen | undefined {
    return this.#files.get(file);
  }

  /** Whether a file is to be opened. */
  isDue({ file, signature }: Place): boolean {
    const seen = this.#files.get(file);
    return seen?.place.signature !== signature || (seen.error !== undefined && OUTSIDE.includes(seen.error.code));
  }

  /** A file, or its newest state, is not served. Returns whether that is news. */
  refuse(place: Place, error: SeedmaskError): boolean {
    const before = this.#files.get(place.file);
    this.#files.set(place.file, { place, slots: before?.slots ?? [], network: before?.network, error });
    return before?.place.signature !== place.signature || before.error?.message !== error.message;
  }

  take(place: Place, slots: readonly Slot[], network: Network): void {
    this.#files.set(place.file, { place, slots, network, error: undefined });
  }

  /** Forgets the files that are not there any more. Returns what was served of them. */
  leave({ places, refused }: Listing): Slot[] {
    const there = new Set([...places, ...refused.map(({ place }) => place)].map(({ file }) => file));
    const gone: Slot[] = [];
    for (const [file, { slots, place }] of this.#files) {
      // What lies in a folder that cannot be read now may still be there.
      if (there.has(file) || (place.folder !== undefined && there.has(place.folder))) continue;
      this.#files.delete(file);
      gone.push(...slots);
    }
    return gone;
  }
}
