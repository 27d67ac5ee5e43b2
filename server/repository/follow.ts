// What is served follows the files: `look` looks at them again, and
//
//   - a version that answers now is replaced only by one whose mask is in memory; what cannot be read leaves the old one serving;
//   - the same content, however it is stored, is the same version: nothing is decoded or compiled again;
//   - all tasks of a file change at once, and a label moves only to a version in memory;
//   - a file that is gone takes its tasks along, but for those that are in another by then, as where it was renamed.
//
// A damaged file or task fails alone, by name, with its reason in the index. Of two files with one task and version the first stays.

import { SeedmaskError } from '../../codec/errors.js';
import type { NetworkLookup } from '../../codec/index.js';
import { type Catalogue, type Slot, slotsOf, taskClash } from './catalogue.js';
import { FileChanged, type Listing, listFiles, type ModelFile, openFile, type Place, unreadable } from './files.js';
import { Labels } from './labels.js';
import type { Masks } from './masks.js';
import { NetworkShelf } from './network-shelf.js';
import { SeenFiles } from './seen.js';

export interface FollowOptions {
  /** Bytes of one model file at most; default 256 MiB. */
  readonly fileLimit?: number;
  /** Where the networks of mask-only files come from that no file beside them holds. */
  readonly networks?: NetworkLookup;
}

/** Keeps a catalogue and its masks in step with a model file, or a folder of them. One look at a time. */
export class Follower {
  readonly files = new SeenFiles();
  readonly labels: Labels;
  readonly networks: NetworkShelf;
  readonly #path: string;
  readonly #options: FollowOptions;
  readonly #catalogue: Catalogue;
  readonly #masks: Masks;
  /** Why the folder could not be read when it was last looked at. */
  #lost: SeedmaskError | undefined;

  constructor(path: string, options: FollowOptions, catalogue: Catalogue, masks: Masks) {
    this.#path = path;
    this.#options = options;
    this.#catalogue = catalogue;
    this.#masks = masks;
    this.labels = new Labels(catalogue);
    this.networks = new NetworkShelf(options.networks);
  }

  /** Files of which something cannot be served, or not in their newest state, each once; and folders that cannot be read, with the reason. */
  get failures(): readonly { readonly file: string; readonly error: SeedmaskError }[] {
    const lost = this.#lost ? [{ file: this.#path, error: this.#lost }] : [];
    const files = new Map(this.#catalogue.broken);
    for (const { place, error } of this.files.refused()) files.set(place.file, error);
    return [...lost, ...Array.from(files, ([file, error]) => ({ file, error })), ...this.labels.failures];
  }

  /**
   * @param first whether nothing serves yet: then nothing need be loaded before it is seen
   * @returns whether something came, and whether a file was replaced meanwhile and is still to be opened
   */
  async look(first: boolean): Promise<{ readonly came: boolean; readonly changed: boolean }> {
    const listing = await this.#list(first);
    const { added, single, changed } = await this.#openNew(listing, first);
    const gone = new Set(this.files.leave(listing));
    try {
      for (const file of added) await this.#adopt(file, gone, first, single);
    } finally {
      this.#replace([...gone], []);
    }
    this.networks.keep(this.files.networks);
    const load = (slot: Slot) => (first ? Promise.resolve() : this.#masks.load(slot, false));
    for (const { file, error } of await this.labels.update(listing, load)) {
      this.#masks.tell({ kind: 'failed', name: '', version: '', file, error });
    }
    return { came: added.length > 0, changed };
  }

  /** What is there. A folder that is gone leaves what was served, and is told of once. */
  async #list(first: boolean): Promise<Listing> {
    try {
      const listing = await listFiles(this.#path);
      this.#lost = undefined;
      return listing;
    } catch (error) {
      const known = error instanceof SeedmaskError ? error : unreadable(this.#path, error);
      if (!first && !this.#lost) this.#masks.tell({ kind: 'failed', name: '', version: '', file: this.#path, error: known });
      this.#lost = known;
      throw known;
    }
  }

  /** Opens files that are new or changed; those whose network is in another file last. */
  async #openNew(listing: Listing, first: boolean) {
    const single = first && listing.places.length === 1 && listing.places[0].file === this.#path;
    for (const { place, error } of listing.refused) this.#refuse(place, error);
    const added: ModelFile[] = [];
    let changed = false;
    let rest = listing.places.filter((place) => this.files.isDue(place));
    for (const last of [false, true]) {
      const later: Place[] = [];
      for (const place of rest) {
        try {
          const file = await openFile(place, this.#options.fileLimit, (id) => this.networks.find(id));
          added.push({ ...file, network: this.networks.shared(file.network) });
        } catch (error) {
          if (error instanceof FileChanged) changed = true;
          else if (!(error instanceof SeedmaskError) || single) throw error;
          else if (last) this.#refuse(place, error);
          else later.push(place);
        }
      }
      rest = later;
    }
    return { added, single, changed };
  }

  /** A file, or its newest state, is not served. */
  #refuse(place: Place, error: SeedmaskError): void {
    if (!this.files.refuse(place, error)) return;
    this.#masks.tell({ kind: 'failed', name: place.name, version: place.number, file: place.file, error });
  }

  /**
   * Takes an opened file into service, all its tasks at once, in place of what was served from it.
   * @param gone what was served from files that are gone, without what has a successor by now
   */
  async #adopt(source: ModelFile, gone: Set<Slot>, first: boolean, single: boolean): Promise<void> {
    const { place } = source;
    const { file, number } = place;
    const elsewhere = (name: string) => this.#catalogue.slots(name).filter((slot) => slot.number === number && slot.file !== file);
    const moved = source.names.flatMap(elsewhere).filter((slot) => gone.has(slot));
    const old = [...(this.files.of(file)?.slots ?? []), ...moved];
    const slots = slotsOf(source);
    try {
      const clash = slots.find(({ name }) => elsewhere(name).some((slot) => !gone.has(slot)));
      if (clash) throw taskClash(clash, elsewhere(clash.name)[0], slots.length === 1);
      if (!first) for (const [i, slot] of slots.entries()) slots[i] = await this.#successor(slot, old);
    } catch (error) {
      for (const slot of slots) if (!old.includes(slot)) this.#masks.drop(slot);
      // Both may pass: it is tried again at the next look.
      if (error instanceof FileChanged || (error instanceof SeedmaskError && error.code === 'lost-worker')) return;
      if (!(error instanceof SeedmaskError) || single) throw error;
      this.#refuse(place, error);
      return;
    }
    this.files.take(place, slots, source.network);
    this.#replace(
      old.filter((slot) => !slots.includes(slot)),
      slots.filter((slot) => !old.includes(slot)),
    );
    for (const slot of moved) gone.delete(slot);
  }

  /** What serves from now on: the new version, loaded if its task answers now; or the old one with a new place, if their content is one. */
  async #successor(slot: Slot, old: readonly Slot[]): Promise<Slot> {
    const before = old.find(({ name }) => name === slot.name);
    const served = this.#catalogue.slots(slot.name);
    if (served.length === 0 || this.#catalogue.isOut(slot.name) || (before && !before.decoded && !before.loading)) return slot;
    const started = performance.now();
    const decoded = await this.#masks.decode(slot, await slot.source.stored(slot.index), false);
    if (before?.decoded?.id === decoded.id) return Object.assign(before, { source: slot.source, index: slot.index, file: slot.file });
    // It may have been unloaded meanwhile.
    if (this.#catalogue.isOut(slot.name)) return slot;
    this.#masks.keep(slot, decoded, performance.now() - started);
    return slot;
  }

  #replace(gone: readonly Slot[], come: readonly Slot[]): void {
    this.#catalogue.take(gone, come);
    for (const slot of gone) this.#masks.drop(slot);
  }
}
