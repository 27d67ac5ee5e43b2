// What is served under which name: versions in ascending order, labels, and the names that are out of service. Changes are whole: who
// asks between two of them sees the one or the other.

import { SeedmaskError } from '../../codec/errors.js';
import type { TaskHead } from '../../codec/index.js';
import type { Network } from '../../src/network.js';
import { nearest } from '../../src/spelling.js';
import type { Decoded } from './decode.js';
import type { ModelFile } from './files.js';

/** One mask of one network under one name. */
export interface Version {
  readonly name: string;
  /** Decimal digits. */
  readonly number: string;
  readonly network: Network;
  readonly task: TaskHead;
  readonly file: string;
}

/** Whether its rows are numbers, which its features make bytes of; else they are pixels. */
export const takesNumbers = ({ task }: Pick<Version, 'task'>): boolean => task.transform.features !== undefined;

/** A name clients use, with its versions in ascending order. */
export interface ServedTask {
  readonly name: string;
  readonly versions: readonly Version[];
  /** Version label -> version number. */
  readonly labels: ReadonlyMap<string, string>;
}

/** Which version of a task a request wants, by one of the two; nothing means the highest. */
export interface Wanted {
  readonly version?: string;
  readonly label?: string;
}

/** @param known the names that the error may tell */
export function unknownTask(name: string, known: readonly string[]): SeedmaskError {
  const near = nearest(name, known);
  const first = known.slice(0, 5).join(', ');
  const more = known.length > 5 ? ` and ${known.length - 5} more` : '';
  const hint = near ? `Did you mean ${near}?` : first ? `Known here: ${first}${more}.` : 'GET /tasks lists what there is.';
  return new SeedmaskError('unknown-task', { field: 'task', expected: near ?? first, got: name, hint });
}

/** @param alone whether its file holds no other task */
export function taskClash({ name, number, file }: Version, other: Version, alone: boolean): SeedmaskError {
  const hint = alone
    ? 'Rename one of them, or store it as another version.'
    : 'Serve one of these files alone, or pack it again with other ids.';
  return new SeedmaskError('task-clash', { field: `task ${name} version ${number}`, got: `${other.file} and ${file}`, hint });
}

/** A version with what the store knows of it. */
export interface Slot extends Version {
  readonly source: ModelFile;
  readonly index: number;
  decoded: Decoded | undefined;
  loading: Promise<Decoded> | undefined;
  /** What is decoded as a model file of its own, once somebody has asked for that. */
  alone: Uint8Array | undefined;
  writing: Promise<Uint8Array> | undefined;
  /** Why it cannot be loaded, until its file changes or `Store.load` tries it again. */
  error: SeedmaskError | undefined;
}

/** The tasks of an opened file, of which nothing is loaded. */
export const slotsOf = (source: ModelFile): Slot[] =>
  source.heads.map((task, index) => ({
    name: source.names[index],
    number: source.place.number,
    network: source.network,
    task,
    file: source.place.file,
    source,
    index,
    decoded: undefined,
    loading: undefined,
    alone: undefined,
    writing: undefined,
    error: undefined,
  }));

/** As the Open Inference Protocol's repository index has it: READY answers requests (if need be after decoding a mask). */
export type State = 'READY' | 'UNAVAILABLE' | 'LOADING' | 'UNLOADING';

/** One version of one task in the repository index, or one file that cannot be served at all. */
export interface Entry {
  readonly name: string;
  /** '' where the file does not open. */
  readonly version: string;
  readonly state: State;
  /** Why it is not READY, or why a newer file was not taken; '' when there is nothing to say. */
  readonly reason: string;
}

/** For whoever may know every name. */
const anyName = (_name: string): boolean => true;
export const NO_LABELS: ReadonlyMap<string, string> = new Map();

/** Names, versions and labels. */
export class Catalogue {
  /** All versions of each name, ascending, those out of service as well. */
  readonly #slots = new Map<string, Slot[]>();
  readonly #labels = new Map<string, ReadonlyMap<string, string>>();
  readonly #out = new Set<string>();
  #tasks = new Map<string, ServedTask>();

  /** By name, in ascending order, without those out of service. */
  get tasks(): ReadonlyMap<string, ServedTask> {
    return this.#tasks;
  }

  /** Every name with its versions, in ascending order. */
  get all(): [name: string, slots: readonly Slot[]][] {
    return [...this.#slots].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Files of versions that cannot be loaded, and why not. */
  get broken(): [file: string, error: SeedmaskError][] {
    return [...this.#slots.values()].flat().flatMap(({ file, error }): [string, SeedmaskError][] => (error ? [[file, error]] : []));
  }

  slots(name: string): readonly Slot[] {
    return this.#slots.get(name) ?? [];
  }

  /** Whether a version is what its name and number mean now, and in service. */
  serves(slot: Slot): boolean {
    return !this.#out.has(slot.name) && this.slots(slot.name).includes(slot);
  }

  isOut(name: string): boolean {
    return this.#out.has(name);
  }

  setOut(name: string, out: boolean): void {
    if (out) this.#out.add(name);
    else this.#out.delete(name);
    this.#publish([name]);
  }

  /** @throws SeedmaskError unknown-task with the nearest known name that `allows`, unloaded-task */
  task(name: string, allows = anyName): ServedTask {
    const task = this.#tasks.get(name);
    if (task) return task;
    if (this.#out.has(name)) {
      const hint = `POST /v2/repository/models/${name}/load brings it back.`;
      throw new SeedmaskError('unloaded-task', { field: name, got: 'it was taken out of service', hint });
    }
    throw unknownTask(name, [...this.#tasks.keys()].filter(allows));
  }

  /** @throws SeedmaskError as `task`, unknown-task-version, unknown-task-label, or bad-request where both are wanted */
  version(name: string, wanted: Wanted = {}): Version {
    const task = this.task(name);
    let number = wanted.version;
    if (wanted.label !== undefined) {
      if (number !== undefined) {
        const got = `version ${number} and label ${wanted.label}`;
        throw new SeedmaskError('bad-request', { field: 'which version', expected: 'said by its number or by a label', got });
      }
      number = task.labels.get(wanted.label);
      if (number === undefined) {
        const expected = [...task.labels.keys()].join(', ') || 'none';
        throw new SeedmaskError('unknown-task-label', { field: name, expected, got: wanted.label });
      }
    }
    const version = number === undefined ? task.versions.at(-1) : task.versions.find((v) => v.number === number);
    if (version) return version;
    const expected = task.versions.map((v) => v.number).join(', ');
    throw new SeedmaskError('unknown-task-version', { field: name, expected, got: number });
  }

  /** The tasks behind `after` (null: from the beginning) that `allows`, in order of name, at most `count`; `next` is the next `after`. */
  page(after: string | null, count: number, allows = anyName): { readonly tasks: readonly ServedTask[]; readonly next: string | null } {
    const names = [...this.#tasks.keys()].filter(allows);
    const from = after === null ? 0 : names.findIndex((name) => name > after);
    const page = from < 0 ? [] : names.slice(from, from + count);
    const next = from >= 0 && from + count < names.length ? page[page.length - 1] : null;
    return { tasks: page.map((name) => this.task(name)), next };
  }

  /** Versions go and others come, at once for whoever asks. */
  take(gone: readonly Slot[], come: readonly Slot[]): void {
    for (const slot of gone) {
      const left = this.slots(slot.name).filter((other) => other !== slot);
      if (left.length) this.#slots.set(slot.name, left);
      else this.#slots.delete(slot.name);
    }
    for (const slot of come) {
      const all = [...this.slots(slot.name), slot];
      this.#slots.set(
        slot.name,
        all.sort((a, b) => Number(a.number) - Number(b.number)),
      );
    }
    this.#publish([...gone, ...come].map(({ name }) => name));
  }

  labels(name: string): ReadonlyMap<string, string> {
    return this.#labels.get(name) ?? NO_LABELS;
  }

  setLabels(name: string, labels: ReadonlyMap<string, string>): void {
    if (labels.size) this.#labels.set(name, labels);
    else this.#labels.delete(name);
    this.#publish([name]);
  }

  /** Makes `tasks` say what these names are now. */
  #publish(names: readonly string[]): void {
    let sorted = true;
    for (const name of new Set(names)) {
      const versions = this.#out.has(name) ? undefined : this.#slots.get(name);
      if (!versions) this.#tasks.delete(name);
      else {
        sorted &&= this.#tasks.has(name);
        const labels = [...(this.#labels.get(name) ?? NO_LABELS)].filter(([, number]) => versions.some((v) => v.number === number));
        this.#tasks.set(name, { name, versions, labels: labels.length ? new Map(labels) : NO_LABELS });
      }
    }
    if (!sorted) this.#tasks = new Map([...this.#tasks].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
