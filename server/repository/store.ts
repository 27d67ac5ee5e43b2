// The tasks of a server, live. Opening reads headers and indexes; a mask is decoded at its first request, once for all who wait, or
// when there is nothing else to do (`warm`, `keepWarm`), and then stays, packed. `refresh` brings all in step with the files (follow.ts). Requests
// under way keep the mask they began with, and free it when they end.

import { SeedmaskError } from '../../codec/errors.js';
import type { Network } from '../../src/network.js';
import { Catalogue, type Entry, type ServedTask, type Slot, type Version, type Wanted } from './catalogue.js';
import type { Decoder } from './decode.js';
import { FileChanged, type Place, refusal } from './files.js';
import { Follower, type FollowOptions } from './follow.js';
import { Masks, type Opened, type StoreEvent } from './masks.js';
import { told } from './told.js';

export type { Entry, ServedTask, State, Version, Wanted } from './catalogue.js';
export type { Opened, StoreEvent } from './masks.js';

export interface StoreOptions extends FollowOptions {
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
  readonly #catalogue = new Catalogue();
  readonly #masks: Masks;
  readonly #follower: Follower;
  #work: Promise<void> = Promise.resolve();
  /** Ends with the decoding of all there is, where that is wished for. */
  #warming: Promise<void> | undefined;
  #closed = false;

  private constructor(
    /** The folder, or the one file, that was opened. */
    readonly path: string,
    options: StoreOptions,
  ) {
    this.#masks = new Masks(options.threads, (slot) => this.#catalogue.serves(slot));
    this.#follower = new Follower(path, options, this.#catalogue, this.#masks);
  }

  /** Use `openStore`. */
  static async open(path: string, options: StoreOptions): Promise<Store> {
    const store = new Store(path, options);
    // A file that was replaced while it was read is not left out.
    for (let tries = 0; (await store.#follower.look(tries === 0)).changed && tries < TRIES; tries++);
    return store;
  }

  /** By name, in ascending order. */
  get tasks(): ReadonlyMap<string, ServedTask> {
    return this.#catalogue.tasks;
  }

  /** Masks in memory, decoded, and their bytes, with those of the files made of them. */
  get resident(): { readonly tasks: number; readonly bytes: number } {
    return this.#masks.resident;
  }

  /** Networks of the tasks that are in service. */
  get networks(): ReadonlySet<Network> {
    return new Set([...this.tasks.values()].flatMap(({ versions }) => versions.map(({ network }) => network)));
  }

  /** Files of which something cannot be served, or not in their newest state, each once; and folders that cannot be read, with the reason. */
  get failures(): readonly { readonly file: string; readonly error: SeedmaskError }[] {
    return this.#follower.failures;
  }

  /** Versions that are there and of which nothing is served, with the labels of their folder; an archive by the name of its file. */
  get unserved(): readonly { readonly place: Place; readonly labels: ReadonlyMap<string, string>; readonly error: SeedmaskError }[] {
    return Array.from(this.#follower.files.unserved(), ({ place, error }) => ({
      place,
      labels: this.#follower.labels.of(place.folder),
      error,
    }));
  }

  /** The id of a network of these tasks, 64 hex digits. */
  readonly idOf = (network: Network): string => this.#follower.networks.idOf(network);

  /** @throws SeedmaskError unknown-task with the nearest known name that `allows`, unloaded-task, or why the file of that name is not served */
  task(name: string, allows?: (name: string) => boolean): ServedTask {
    const task = this.tasks.get(name);
    if (task) return task;
    for (const { place, error } of this.#follower.files.unserved()) if (place.name === name) throw error;
    return this.#catalogue.task(name, allows);
  }

  /** @throws SeedmaskError as `task`, unknown-task-version, unknown-task-label, or bad-request where both are wanted */
  version(name: string, wanted: Wanted = {}, allows?: (name: string) => boolean): Version {
    this.task(name, allows);
    return this.#catalogue.version(name, wanted);
  }

  /** Whether a version is what its name and number mean now, and in service. */
  serves(version: Version): boolean {
    return this.#catalogue.serves(version as Slot);
  }

  /**
   * Why a version is known not to answer, as strangers are told: its mask does not decode, or was not in memory when its file was replaced
   * by one that is refused.
   */
  trouble(version: Version): SeedmaskError | undefined {
    const { error, decoded, loading, file } = version as Slot;
    const trouble = error ?? (decoded || loading ? undefined : this.#follower.files.of(file)?.error);
    return trouble && told(trouble, this.path);
  }

  /** The tasks behind `after` (null: from the beginning) that `allows`, in order of name, at most `count`; `next` is the next `after`. */
  page(after: string | null, count: number, allows?: (name: string) => boolean): ReturnType<Catalogue['page']> {
    return this.#catalogue.page(after, count, allows);
  }

  /** The repository index, by name and version; then files that hold none of these. It is public: its reasons are what strangers are told. */
  *entries(): Iterable<Entry> {
    for (const [name, slots] of this.#catalogue.all) {
      for (const slot of slots) {
        const trouble = slot.error ?? this.#follower.files.of(slot.file)?.error;
        const out = this.#catalogue.isOut(name);
        const state = out || this.trouble(slot) ? 'UNAVAILABLE' : slot.loading ? 'LOADING' : 'READY';
        yield { name, version: slot.number, state, reason: out ? 'unloaded' : trouble ? told(trouble, this.path).message : '' };
      }
    }
    for (const { place, error } of this.#follower.files.unserved())
      yield { name: place.name, version: '', state: 'UNAVAILABLE', reason: told(error, this.path).message };
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
      return { version: slot, packed: (await this.#masks.load(slot, true)).packed };
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
    const damaged = now === slot && this.#follower.files.of(slot.file)?.error;
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
      const error = this.#follower.files.of(file)?.error;
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
      return { bytes: await this.#masks.file(slot), id };
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
        if (!this.#catalogue.isOut(name) && !slot.error) await this.#masks.load(slot, false).catch(() => undefined);
      }
    }
  }

  /** The same now, and after every look that brings something. */
  keepWarm(): void {
    this.#warming = (this.#warming ?? Promise.resolve()).then(() => this.warm());
  }

  /** Looks at the files again, after what is under way. Never fails for a file's sake: see `failures` and `entries`. */
  refresh(): Promise<void> {
    const done = this.#work.then(async () => {
      if (this.#closed) return;
      const { came } = await this.#follower.look(false);
      if (came && this.#warming) this.keepWarm();
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
}

/**
 * Opens a model file, or a folder of them.
 * @throws SeedmaskError (by rejection) bad-store when there is nothing at `path`; of a single file also bad-model-file, over-limit. In a
 * folder a file that cannot be served fails alone: see `Store.failures`
 */
export const openStore = (path: string, options: StoreOptions = {}): Promise<Store> => Store.open(path, options);
