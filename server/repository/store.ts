// The tasks of a server, live. Opening reads headers and indexes; a mask is decoded at its first request, once for all who wait, or
// when there is nothing else to do (`warm`), and then stays, packed. Files are looked at again by `refresh`:
//
//   - a version that answers now is replaced only by one whose mask is in memory; what cannot be read leaves the old one serving;
//   - the same content, however it is stored, is the same version: nothing is decoded or compiled again;
//   - all tasks of a file change at once, and a label moves only to a version in memory;
//   - a file that is gone takes its tasks along, but for those that are in another by then, as where it was renamed. Requests under way
//     keep the mask they began with, and free it when they end.
//
// A damaged file or task fails alone, by name, with its reason in the index. Of two files with one task and version the first stays.

import { SeedmaskError } from '../../codec/errors.js';
import { type NetworkLookup, standAloneStored, writePacked } from '../../codec/index.js';
import type { Network } from '../../src/network.js';
import { Catalogue, type Entry, type ServedTask, type Slot, slotsOf, taskClash, type Version, type Wanted } from './catalogue.js';
import type { Decoder } from './decode.js';
import { FileChanged, type Listing, listFiles, type ModelFile, openFile, type Place, refusal, unreadable } from './files.js';
import { Labels } from './labels.js';
import { Masks, type Opened, type StoreEvent } from './masks.js';
import { NetworkShelf } from './network-shelf.js';
import { SeenFiles } from './seen.js';

export type { Entry, ServedTask, State, Version, Wanted } from './catalogue.js';
export type { Opened, StoreEvent } from './masks.js';

export interface StoreOptions {
  /** Bytes of one model file at most; default 256 MiB. */
  readonly fileLimit?: number;
  /** Where the networks of mask-only files come from that no file beside them holds. */
  readonly networks?: NetworkLookup;
  /** Where masks are decoded; default: on the event loop. */
  readonly threads?: Decoder;
}

const TRIES = 4; // further looks at a file that is replaced while it is read
const contentOf = ({ decoded, name }: Slot): string => {
  if (decoded) return decoded.id;
  throw new SeedmaskError('unloaded-task', { field: name, got: 'it was taken out of service' });
};
const replaced = () => new SeedmaskError('starting', { got: 'the file is being replaced', retryAfter: 1 });

/** The tasks of a server, as they stand now. Made by `openStore`. */
export class Store {
  readonly #path: string;
  readonly #options: StoreOptions;
  readonly #catalogue = new Catalogue();
  readonly #masks: Masks;
  readonly #files = new SeenFiles();
  readonly #networks: NetworkShelf;
  readonly #labels = new Labels(this.#catalogue);
  #work: Promise<void> = Promise.resolve();
  #closed = false;
  /** Why the folder could not be read when it was last looked at. */
  #lost: SeedmaskError | undefined;

  private constructor(path: string, options: StoreOptions) {
    this.#path = path;
    this.#options = options;
    this.#masks = new Masks(options.threads);
    this.#networks = new NetworkShelf(options.networks);
  }

  /** Use `openStore`. */
  static async open(path: string, options: StoreOptions): Promise<Store> {
    const store = new Store(path, options);
    // A file that was replaced while it was read is not left out.
    for (let tries = 0; (await store.#look(tries === 0)) && tries < TRIES; tries++);
    return store;
  }

  /** By name, in ascending order. */
  get tasks(): ReadonlyMap<string, ServedTask> {
    return this.#catalogue.tasks;
  }

  /** Masks in memory, decoded, and their bytes. */
  get resident(): { readonly tasks: number; readonly bytes: number } {
    return this.#masks.resident;
  }

  /** Networks of the tasks that are in service. */
  get networks(): ReadonlySet<Network> {
    return new Set([...this.tasks.values()].flatMap(({ versions }) => versions.map(({ network }) => network)));
  }

  /** Files that cannot be served, or not in their newest state, and folders that cannot be read, with the reason. */
  get failures(): readonly { readonly file: string; readonly error: SeedmaskError }[] {
    const lost = this.#lost ? [{ file: this.#path, error: this.#lost }] : [];
    const files = Array.from(this.#files.refused(), ({ place, error }) => ({ file: place.file, error }));
    return [...lost, ...files, ...this.#labels.failures];
  }

  /** Versions that are there and of which nothing is served, with the labels of their folder; an archive by the name of its file. */
  get unserved(): readonly { readonly place: Place; readonly labels: ReadonlyMap<string, string>; readonly error: SeedmaskError }[] {
    return Array.from(this.#files.unserved(), ({ place, error }) => ({ place, labels: this.#labels.of(place.folder), error }));
  }

  /** The id of a network of these tasks, 64 hex digits. */
  readonly idOf = (network: Network): string => this.#networks.idOf(network);

  /** @throws SeedmaskError unknown-task with the nearest known name that `allows`, unloaded-task, or why the file of that name is not served */
  task(name: string, allows?: (name: string) => boolean): ServedTask {
    const task = this.tasks.get(name);
    if (task) return task;
    for (const { place, error } of this.#files.unserved()) if (place.name === name) throw error;
    return this.#catalogue.task(name, allows);
  }

  /** @throws SeedmaskError as `task`, unknown-task-version, unknown-task-label, or bad-request where both are wanted */
  version(name: string, wanted: Wanted = {}, allows?: (name: string) => boolean): Version {
    this.task(name, allows);
    return this.#catalogue.version(name, wanted);
  }

  /** Why a version is known not to answer: its mask does not decode, or was not in memory when its file was replaced by one that is refused. */
  trouble(version: Version): SeedmaskError | undefined {
    const { error, decoded, loading, file } = version as Slot;
    return error ?? (decoded || loading ? undefined : this.#files.of(file)?.error);
  }

  /** The tasks behind `after` (null: from the beginning) that `allows`, in order of name, at most `count`; `next` is the next `after`. */
  page(after: string | null, count: number, allows?: (name: string) => boolean): ReturnType<Catalogue['page']> {
    return this.#catalogue.page(after, count, allows);
  }

  /** The repository index, by name and version; then files that hold none of these. */
  *entries(): Iterable<Entry> {
    for (const [name, slots] of this.#catalogue.all) {
      for (const slot of slots) {
        const trouble = slot.error ?? this.#files.of(slot.file)?.error;
        const out = this.#catalogue.isOut(name);
        const state = out || this.trouble(slot) ? 'UNAVAILABLE' : slot.loading ? 'LOADING' : 'READY';
        yield { name, version: slot.number, state, reason: out ? 'unloaded' : (trouble?.message ?? '') };
      }
    }
    for (const { place, error } of this.#files.unserved())
      yield { name: place.name, version: '', state: 'UNAVAILABLE', reason: error.message };
  }

  /**
   * The mask of a version, with the version as it stands now: its file may have been replaced meanwhile.
   * @throws SeedmaskError (directly or by rejection) bad-model-file, unreadable-file, unloaded-task, starting, lost-worker
   */
  open(version: Version): Opened | Promise<Opened> {
    const slot = version as Slot;
    if (slot.decoded) return { version, packed: slot.decoded.packed };
    return this.#opened(slot);
  }

  async #opened(slot: Slot, tries = TRIES): Promise<Opened> {
    try {
      return { version: slot, packed: (await this.#load(slot, true)).packed };
    } catch (error) {
      if (!(error instanceof FileChanged)) throw error;
      return this.#opened(await this.#successorOf(slot, tries), tries - 1);
    }
  }

  /** What a version is now whose file has changed; where it is gone, other names are not told, as whoever asks may not know them. */
  async #successorOf(slot: Slot, tries: number): Promise<Slot> {
    if (tries === 0) throw replaced();
    await this.refresh();
    const now = this.version(slot.name, { version: slot.number }, () => false) as Slot;
    const damaged = now === slot && this.#files.of(slot.file)?.error;
    if (damaged) throw refusal(slot.file, new Error('it changed and cannot be read as it is now'));
    return now;
  }

  /**
   * Looks at the files again and decodes the masks of a task; also undoes `unload`. What cannot be read leaves what was served.
   * @throws SeedmaskError (by rejection) unknown-task, bad-model-file, bad-base, bad-store, task-clash, unreadable-file
   */
  async load(name: string): Promise<void> {
    if (this.#catalogue.isOut(name)) this.#catalogue.setOut(name, false);
    await this.refresh();
    const { versions } = this.task(name);
    for (const slot of this.#catalogue.slots(name)) slot.error = undefined;
    await Promise.all(versions.map((version) => this.open(version)));
    for (const { file } of versions) {
      const error = this.#files.of(file)?.error;
      if (error) throw error;
    }
  }

  /**
   * Takes a task out of service and frees its masks as soon as their last request is done; it stays out until `load`.
   * @throws SeedmaskError (by rejection) unknown-task
   */
  async unload(name: string): Promise<void> {
    if (this.#catalogue.isOut(name)) return;
    this.task(name);
    this.#catalogue.setOut(name, true);
    for (const slot of this.#catalogue.slots(name)) this.#masks.drop(slot);
  }

  /**
   * The stored mask as a mask-only model file, and its content id in hex (64 digits).
   * @throws SeedmaskError (by rejection) bad-model-file, unreadable-file, unloaded-task, starting
   */
  async maskFile(version: Version, tries = TRIES): Promise<{ readonly bytes: Uint8Array; readonly id: string }> {
    const slot = (await this.open(version)).version as Slot;
    const id = contentOf(slot);
    try {
      const tasks = [standAloneStored(slot.network, await slot.source.stored(slot.index), slot.index)];
      return { bytes: writePacked({ network: slot.network, tasks }, { maskOnly: true }), id };
    } catch (error) {
      if (!(error instanceof FileChanged)) throw error;
      return this.maskFile(await this.#successorOf(slot, tries), tries - 1);
    }
  }

  /**
   * Content id of a version, in hex (64 digits).
   * @throws SeedmaskError (by rejection) bad-model-file, unreadable-file, unloaded-task, starting
   */
  async contentId(version: Version): Promise<string> {
    return contentOf((await this.open(version)).version as Slot);
  }

  /** From now on `listener` is told, synchronously; call what is returned to end that. */
  subscribe(listener: (event: StoreEvent) => void): () => void {
    return this.#masks.subscribe(listener);
  }

  /** From now on `listener` is told of every version that will not be asked for any more: what was made for it can go. */
  onDrop(listener: (version: Version) => void): () => void {
    return this.#masks.onDrop(listener);
  }

  /** Decodes all masks that are not in memory yet, one at a time, behind those that a request waits for. Failures are events. */
  async warm(): Promise<void> {
    for (const [name, slots] of this.#catalogue.all) {
      for (const slot of slots) {
        if (this.#closed) return;
        if (!this.#catalogue.isOut(name) && !slot.error) await this.#load(slot, false).catch(() => undefined);
      }
    }
  }

  /** Looks at the files again, after what is under way. Never fails for a file's sake: see `failures` and `entries`. */
  refresh(): Promise<void> {
    const done = this.#work.then(async () => {
      if (!this.#closed) await this.#look(false);
    });
    this.#work = done.catch(() => undefined);
    return done;
  }

  /** Looks at the files every `ms` milliseconds. Returns what ends that. */
  watch(ms: number): () => void {
    let timer: NodeJS.Timeout;
    let ended = false;
    const look = async () => {
      await this.refresh().catch(() => undefined);
      if (!ended && !this.#closed) next();
    };
    const next = () => {
      timer = setTimeout(look, ms).unref();
    };
    next();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }

  /** No more loading. */
  close(): void {
    this.#closed = true;
  }

  // ---- files ----

  /**
   * @param first whether nothing serves yet: then nothing need be loaded before it is seen
   * @returns whether a file was replaced meanwhile, and is still to be opened
   */
  async #look(first: boolean): Promise<boolean> {
    const listing = await this.#list(first);
    const { added, single, changed } = await this.#openNew(listing, first);
    const gone = new Set(this.#files.leave(listing));
    try {
      for (const file of added) await this.#adopt(file, gone, first, single);
    } finally {
      this.#replace([...gone], []);
    }
    this.#networks.keep(this.#files.networks);
    const load = (slot: Slot) => (first ? Promise.resolve() : this.#load(slot, false));
    for (const { file, error } of await this.#labels.update(listing, load)) {
      this.#masks.tell({ kind: 'failed', name: '', version: '', file, error });
    }
    return changed;
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
    let rest = listing.places.filter((place) => this.#files.isDue(place));
    for (const last of [false, true]) {
      const later: Place[] = [];
      for (const place of rest) {
        try {
          const file = await openFile(place, this.#options.fileLimit, (id) => this.#networks.find(id));
          added.push({ ...file, network: this.#networks.shared(file.network) });
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
    if (!this.#files.refuse(place, error)) return;
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
    const old = [...(this.#files.of(file)?.slots ?? []), ...moved];
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
    this.#files.take(place, slots, source.network);
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

  #load(slot: Slot, urgent: boolean) {
    return this.#masks.load(slot, urgent, () => this.#catalogue.serves(slot));
  }
}

/**
 * Opens a model file, or a folder of them.
 * @throws SeedmaskError (by rejection) bad-store when there is nothing at `path`; of a single file also bad-model-file, over-limit. In a
 * folder a file that cannot be served fails alone: see `Store.failures`
 */
export const openStore = (path: string, options: StoreOptions = {}): Promise<Store> => Store.open(path, options);
