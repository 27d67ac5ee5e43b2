// Version labels follow their labels.json. One that points at a version which is not there, or does not load, stays where it was.

import { join } from 'node:path';
import { SeedmaskError } from '../../codec/errors.js';
import { type Catalogue, NO_LABELS, type Slot } from './catalogue.js';
import { readLabels } from './files.js';

/** The labels of one store. */
export class Labels {
  readonly #catalogue: Catalogue;
  /** Folder -> what was last read there, and why that is not, or not wholly, in force. */
  readonly #folders = new Map<string, { signature: string; labels: ReadonlyMap<string, string>; error: SeedmaskError | undefined }>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  get failures(): { readonly file: string; readonly error: SeedmaskError }[] {
    return [...this.#folders].flatMap(([folder, { error }]) => (error ? [{ file: join(folder, 'labels.json'), error }] : []));
  }

  /**
   * Brings all labels up to date.
   * @param listed folders that have labels, with the signatures of their files
   * @param load brings a version into memory before a label moves to it
   * @returns what went wrong now and had not before
   */
  async update(listed: ReadonlyMap<string, string>, load: (slot: Slot) => Promise<unknown>) {
    const before = new Map(this.failures.map(({ file, error }) => [file, error.message]));
    for (const folder of this.#folders.keys()) if (!listed.has(folder)) this.#folders.delete(folder);
    for (const [folder, signature] of listed) {
      if (this.#folders.get(folder)?.signature === signature) continue;
      try {
        this.#folders.set(folder, { signature, labels: await readLabels(folder), error: undefined });
      } catch (error) {
        if (!(error instanceof SeedmaskError)) throw error;
        this.#folders.set(folder, { signature, labels: this.#folders.get(folder)?.labels ?? NO_LABELS, error });
      }
    }
    for (const [name, slots] of this.#catalogue.all) {
      const folder = slots.map(({ source }) => source.place.folder).find((place) => place !== undefined && this.#folders.has(place));
      if (folder !== undefined) await this.#move(name, folder, load);
      else if (this.#catalogue.labels(name).size > 0) this.#catalogue.setLabels(name, NO_LABELS);
    }
    return this.failures.filter(({ file, error }) => before.get(file) !== error.message);
  }

  async #move(name: string, folder: string, load: (slot: Slot) => Promise<unknown>): Promise<void> {
    const source = this.#folders.get(folder)!;
    const before = this.#catalogue.labels(name);
    const now = new Map<string, string>();
    for (const [label, number] of source.labels) {
      const slots = this.#catalogue.slots(name);
      const slot = slots.find((version) => version.number === number);
      try {
        if (!slot) {
          const expected = `one of the versions ${slots.map((v) => v.number).join(', ')} of ${name}`;
          throw new SeedmaskError('bad-store', { field: `label ${label} in ${join(folder, 'labels.json')}`, expected, got: number });
        }
        if (before.get(label) !== number && !this.#catalogue.isOut(name)) await load(slot);
        now.set(label, number);
      } catch (error) {
        if (!(error instanceof SeedmaskError)) throw error;
        source.error = error;
        const stays = before.get(label);
        if (stays !== undefined) now.set(label, stays);
      }
    }
    const same = now.size === before.size && [...now].every(([label, number]) => before.get(label) === number);
    if (!same) this.#catalogue.setLabels(name, now);
  }
}
