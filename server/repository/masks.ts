// Masks in memory. Each is read and decoded once for all who wait for it, and stays until it is dropped; who holds its bytes keeps them.
// So does the file that somebody has asked of it, some kilobytes.

import { SeedmaskError } from '../../codec/errors.js';
import type { StoredTask } from '../../codec/index.js';
import type { Slot, Version } from './catalogue.js';
import { type Decoded, type Decoder, decodeMask, maskFile } from './decode.js';
import { refusal } from './files.js';

/** Something happened to a version, or to a file before it had any. */
export interface StoreEvent {
  readonly kind: 'loaded' | 'unloaded' | 'failed';
  readonly name: string;
  readonly version: string;
  readonly file: string;
  /** Of 'failed'. */
  readonly error?: SeedmaskError;
  /** Of 'loaded': milliseconds from the wish to the mask. */
  readonly ms?: number;
}

/** A mask in memory, and whose. */
export interface Opened {
  readonly version: Version;
  /** As `packMask` has it; holding it keeps it. */
  readonly packed: Uint8Array;
}

/** The masks of one store, and who is told of what happens to them. */
export class Masks {
  readonly #threads: Decoder | undefined;
  readonly #serves: (slot: Slot) => boolean;
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  readonly #droppers = new Set<(version: Version) => void>();
  #resident = { tasks: 0, bytes: 0 };

  /**
   * @param threads where masks are decoded; undefined: on the event loop
   * @param serves whether a version is in service: asked when its mask is decoded, which stays then
   */
  constructor(threads: Decoder | undefined, serves: (slot: Slot) => boolean) {
    this.#threads = threads;
    this.#serves = serves;
  }

  get resident(): { readonly tasks: number; readonly bytes: number } {
    return this.#resident;
  }

  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onDrop(listener: (version: Version) => void): () => void {
    this.#droppers.add(listener);
    return () => this.#droppers.delete(listener);
  }

  tell(event: StoreEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /**
   * @param urgent whether someone waits for it
   * @throws FileChanged, or SeedmaskError bad-model-file, unreadable-file or lost-worker, by rejection
   */
  load(slot: Slot, urgent: boolean): Promise<Decoded> {
    if (slot.decoded) return Promise.resolve(slot.decoded);
    if (slot.error) return Promise.reject(slot.error);
    slot.loading ??= this.#read(slot, urgent).finally(() => {
      slot.loading = undefined;
    });
    return slot.loading;
  }

  async #read(slot: Slot, urgent: boolean): Promise<Decoded> {
    const started = performance.now();
    try {
      const decoded = await this.decode(slot, await slot.source.stored(slot.index), urgent);
      if (this.#serves(slot)) this.keep(slot, decoded, performance.now() - started);
      return decoded;
    } catch (error) {
      if (error instanceof SeedmaskError && error.code === 'bad-model-file') {
        slot.error = error;
        this.tell({ kind: 'failed', name: slot.name, version: slot.number, file: slot.file, error });
      }
      throw error;
    }
  }

  /** Decodes without keeping. @throws SeedmaskError (by rejection) bad-model-file or lost-worker */
  async decode(slot: Slot, stored: StoredTask, urgent: boolean): Promise<Decoded> {
    try {
      if (this.#threads) return await this.#threads.decode(slot.network, stored, slot.index, urgent);
      return decodeMask(slot.network, stored, slot.index);
    } catch (error) {
      throw refusal(slot.file, error);
    }
  }

  /**
   * The mask of a version as a mask-only model file, made once for all who ask while it is in memory.
   * @throws FileChanged, or SeedmaskError bad-model-file, unreadable-file or lost-worker, by rejection
   */
  file(slot: Slot): Promise<Uint8Array> {
    if (slot.alone) return Promise.resolve(slot.alone);
    slot.writing ??= this.#write(slot).finally(() => {
      slot.writing = undefined;
    });
    return slot.writing;
  }

  async #write(slot: Slot): Promise<Uint8Array> {
    const { network, index, source, file } = slot;
    const stored = await source.stored(index);
    try {
      // One that leans on none is copied as it is stored.
      const alone = await (stored.leansOn && this.#threads
        ? this.#threads.maskFile(network, stored, index)
        : maskFile(network, stored, index));
      if (slot.decoded) {
        slot.alone = alone;
        this.#count(0, alone.length);
      }
      return alone;
    } catch (error) {
      throw refusal(file, error);
    }
  }

  keep(slot: Slot, decoded: Decoded, ms: number): void {
    slot.decoded = decoded;
    this.#count(1, decoded.packed.length);
    this.tell({ kind: 'loaded', name: slot.name, version: slot.number, file: slot.file, ms });
  }

  drop(slot: Slot): void {
    for (const dropper of this.#droppers) dropper(slot);
    if (!slot.decoded) return;
    this.#count(-1, -slot.decoded.packed.length - (slot.alone?.length ?? 0));
    slot.decoded = undefined;
    slot.alone = undefined;
    this.tell({ kind: 'unloaded', name: slot.name, version: slot.number, file: slot.file });
  }

  #count(tasks: number, bytes: number): void {
    this.#resident = { tasks: this.#resident.tasks + tasks, bytes: this.#resident.bytes + bytes };
  }
}
