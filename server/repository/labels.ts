// Version labels follow their labels.json. One that points at a version which is not there, or does not load, stays where it was.

import { join } from 'node:path';
import { SeedmaskError } from '../../codec/errors.js';
import { type Catalogue, NO_LABELS, type Slot } from './catalogue.js';
import { FileChanged, type Listing, readLabels } from './files.js';

/** What was last read in a folder. */
interface Folder {
  readonly signature: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Why it is not what stands there now. */
  readonly error: SeedmaskError | undefined;
  /** Why it is not wholly in force. */
  stuck: SeedmaskError | undefined;
}

/** The labels of one store. */
export class Labels {
  readonly #catalogue: Catalogue;
  readonly #folders = new Map<string, Folder>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /** What stands in a folder. */
  of(folder: string | undefined): ReadonlyMap<string, string> {
    return (folder !== undefined && this.#folders.get(folder)?.labels) || NO_LABELS;
  }

  get failures(): { readonly file: string; readonly error: SeedmaskError }[] {
    return [...this.#folders].flatMap(([folder, { error, stuck }]) => {
      const reason = error ?? stuck;
      return reason ? [{ file: join(folder, 'labels.json'), error: reason }] : [];
    });
  }

  /**
   * Brings all labels up to date.
   * @param listing labels of a folder that cannot be looked at now stay
   * @param load brings a version into memory before a label moves to it
   * @returns what went wrong now and had not before
   */
  async update({ labels: listed, refused }: Listing, load: (slot: Slot) => Promise<unknown>) {
    const before = new Map(this.failures.map(({ file, error }) => [file, error.message]));
    const unread = new Set(refused.map(({ place }) => place.file));
    for (const folder of this.#folders.keys()) if (!listed.has(folder) && !unread.has(folder)) this.#folders.delete(folder);
    for (const [folder, signature] of listed) {
      const known = this.#folders.get(folder);
      if (known?.signature === signature && known.error?.code !== 'unreadable-file') continue;
      try {
        this.#folders.set(folder, { signature, labels: await readLabels(folder), error: undefined, stuck: undefined });
      } catch (error) {
        if (!(error instanceof SeedmaskError)) throw error;
        this.#folders.set(folder, { signature, labels: known?.labels ?? NO_LABELS, error, stuck: undefined });
      }
    }
    for (const source of this.#folders.values()) source.stuck = undefined;
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
        source.stuck = stuckBy(error, label, join(folder, 'labels.json'));
        const stays = before.get(label);
        if (stays !== undefined) now.set(label, stays);
      }
    }
    const same = now.size === before.size && [...now].every(([label, number]) => before.get(label) === number);
    if (!same) this.#catalogue.setLabels(name, now);
  }
}

/** Why a label stays where it was; throws what is no expected failure. */
function stuckBy(error: unknown, label: string, file: string): SeedmaskError {
  if (error instanceof SeedmaskError) return error;
  if (!(error instanceof FileChanged)) throw error;
  const got = `${error.message}, which has changed`;
  return new SeedmaskError('bad-store', { field: `label ${label} in ${file}`, expected: 'a version that can be read', got });
}
