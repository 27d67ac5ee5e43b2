// Models on disk become tasks with names, versions and version labels, all read and checked before the first request.
//
//   digits.smk            one task: named by the file, "digits", version 1; an archive: its stored ids, version 1
//   digits/2.smk          version 2 (one task: named by the folder)
//   digits/labels.json    {"stable": 1, "canary": 2}: labels of versions
//
// A store opens whole or not at all: a file that does not decode, a bad name, a label of a missing version, or one task with one
// version in two files is one clear load error naming the files. Masks stay resident as packed bits; nothing is expanded here.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../codec/errors.js';
import { contentId, type Model, type NetworkLookup, networkId, readModel, type Task, writeModel } from '../codec/index.js';
import type { Network } from '../src/network.js';
import { nearest } from './nearest.js';

/** One mask, ready to be compiled. */
export interface Version {
  /** Decimal digits. */
  readonly number: string;
  readonly network: Network;
  /** Routes use its head alone: masks are decoded when they are asked for. */
  readonly task: Task;
  readonly file: string;
}

/** A name clients use, with its versions in ascending order. */
export interface ServedTask {
  readonly name: string;
  readonly versions: readonly Version[];
  /** Version label -> version number. */
  readonly labels: ReadonlyMap<string, string>;
}

/** Which version of a task a request wants; nothing means the highest. */
export interface Wanted {
  readonly version?: string;
  readonly label?: string;
}

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

/** The tasks of a server, as they stand now. */
export class Store {
  /** By name, in ascending order. */
  readonly tasks: ReadonlyMap<string, ServedTask>;
  readonly #listeners = new Set<(event: StoreEvent) => void>();

  /** @param tasks by name */
  constructor(tasks: Iterable<ServedTask>) {
    this.tasks = new Map([...tasks].map((task) => [task.name, task]));
  }

  /** Masks in memory, decoded, and their bytes. */
  get resident(): { readonly tasks: number; readonly bytes: number } {
    return { tasks: this.tasks.size, bytes: 0 };
  }

  /** The tasks behind `after` (null: from the beginning) in order of name, at most `count`; `next` is the `after` of the next page. */
  page(after: string | null, count: number): { readonly tasks: readonly ServedTask[]; readonly next: string | null } {
    const names = [...this.tasks.keys()];
    const from = after === null ? 0 : names.findIndex((name) => name > after);
    const page = from < 0 ? [] : names.slice(from, from + count);
    const next = from >= 0 && from + count < names.length ? page[page.length - 1] : null;
    return { tasks: page.map((name) => this.task(name)), next };
  }

  /** The repository index, by name and version. */
  *entries(): Iterable<Entry> {
    for (const { name, versions } of this.tasks.values())
      for (const { number } of versions) yield { name, version: number, state: 'READY', reason: '' };
  }

  /**
   * Looks at the files of a task again and decodes its masks; also undoes `unload`. What cannot be read leaves what was served.
   * @throws SeedmaskError (by rejection) unknown-task, bad-model-file, bad-store, task-clash
   */
  async load(name: string): Promise<void> {
    this.task(name);
  }

  /**
   * Takes a task out of service and frees its masks as soon as their last request is done; it stays out until `load`.
   * @throws SeedmaskError (by rejection) unknown-task
   */
  async unload(name: string): Promise<void> {
    this.task(name);
  }

  /**
   * The stored mask as a mask-only model file, and its content id in hex (64 digits).
   * @throws SeedmaskError (by rejection) bad-model-file, unloaded-task
   */
  async maskFile(version: Version): Promise<{ readonly bytes: Uint8Array; readonly id: string }> {
    const { network, task } = version;
    const model: Model = { network, base: { kind: 'network', id: networkId(network) }, tasks: [task] };
    return { bytes: writeModel(model), id: Buffer.from(contentId(model)).toString('hex') };
  }

  /** From now on `listener` is told, synchronously; call what is returned to end that. */
  subscribe(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws SeedmaskError unknown-task, with the nearest known name */
  task(name: string): ServedTask {
    const task = this.tasks.get(name);
    if (task) return task;
    const near = nearest(name, this.tasks.keys());
    const known = [...this.tasks.keys()].slice(0, 5).join(', ');
    throw new SeedmaskError('unknown-task', {
      field: 'task',
      expected: near ?? known,
      got: name,
      hint: near
        ? `Did you mean ${near}?`
        : this.tasks.size
          ? `Known here: ${known}${this.tasks.size > 5 ? ` and ${this.tasks.size - 5} more` : ''}.`
          : 'No task is loaded.',
    });
  }

  /** @throws SeedmaskError unknown-task, unknown-task-version or unknown-task-label */
  version(name: string, wanted: Wanted = {}): Version {
    const task = this.task(name);
    let number = wanted.version;
    if (wanted.label !== undefined) {
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
}

export interface StoreOptions {
  /** Bytes of one model file at most; default 256 MiB. */
  readonly fileLimit?: number;
  /** Where the networks of mask-only files come from; without it they are refused. */
  readonly networks?: NetworkLookup;
}

/** What a task name and a version label may be: nothing that needs escaping in a URL or a file name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;
const VERSION_FILE = /^(0|[1-9][0-9]{0,14})\.smk$/;
const LABELS_LIMIT = 65536;
const Labels = z.record(z.string().regex(NAME), z.union([z.int().nonnegative(), z.string().regex(/^(0|[1-9][0-9]{0,14})$/)]));

/**
 * Reads a model file, or a folder of them, whole.
 * @throws SeedmaskError bad-store, bad-model-file (a file that does not decode, by name) or task-clash (both files, by name)
 */
export async function openStore(path: string, { fileLimit = 256 * 1024 * 1024, networks }: StoreOptions = {}): Promise<Store> {
  const catalogue = new Catalogue(fileLimit, networks);
  if (!stat(path).isDirectory()) {
    catalogue.add(path, basename(path).replace(/\.smk$/, ''), '1');
    return catalogue.close();
  }
  const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.name.startsWith('.'));
  for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const inside = join(path, name);
    if (stat(inside).isDirectory()) catalogue.addVersions(inside, name);
    else if (name.endsWith('.smk')) catalogue.add(inside, name.slice(0, -4), '1');
  }
  return catalogue.close();
}

/** One for all tasks that have none: there may be thousands. */
const NO_LABELS = { file: '', labels: new Map<string, string>() } as const;

/** Tasks gathered from files so far. */
class Catalogue {
  readonly #fileLimit: number;
  readonly #networks: NetworkLookup | undefined;
  readonly #versions = new Map<string, Version[]>();
  /** Task name or folder name -> its labels, and the file they come from. */
  readonly #labels = new Map<string, { readonly file: string; readonly labels: ReadonlyMap<string, string> }>();

  constructor(fileLimit: number, networks?: NetworkLookup) {
    this.#fileLimit = fileLimit;
    this.#networks = networks;
  }

  /** Adds the tasks of one model file; one task is named `name`, an archive's tasks by their ids. */
  add(file: string, name: string, number: string): string[] {
    const model = this.#read(file);
    const names = model.tasks.map((task) => (model.tasks.length === 1 ? name : task.id));
    model.tasks.forEach((task, i) => {
      if (!NAME.test(names[i])) {
        const expected = 'a task name: a letter or digit, then at most 127 of A-Z a-z 0-9 . _ ~ -';
        throw new SeedmaskError('bad-store', {
          field: `task name in ${file}`,
          expected,
          got: names[i],
          hint: 'Rename the file or the task.',
        });
      }
      const versions = this.#versions.get(names[i]) ?? [];
      const other = versions.find((v) => v.number === number);
      if (other) {
        const hint = 'Rename one of them, or store it as another version.';
        throw new SeedmaskError('task-clash', { field: `task ${names[i]} version ${number}`, got: `${other.file} and ${file}`, hint });
      }
      versions.push({ number, network: model.network, task, file });
      this.#versions.set(names[i], versions);
    });
    return names;
  }

  /** Adds NAME/<integer>.smk and NAME/labels.json; a folder without model files is left alone. */
  addVersions(folder: string, name: string): void {
    const files = readdirSync(folder).sort();
    const names = new Set<string>();
    for (const file of files.filter((f) => f.endsWith('.smk'))) {
      const number = VERSION_FILE.exec(file)?.[1];
      if (number === undefined) {
        throw new SeedmaskError('bad-store', { field: join(folder, file), expected: 'named by its version, such as 2.smk', got: file });
      }
      for (const task of this.add(join(folder, file), name, number)) names.add(task);
    }
    if (names.size === 0 || !files.includes('labels.json')) return;
    const file = join(folder, 'labels.json');
    const labels = readLabels(file);
    for (const task of names) this.#labels.set(task, { file, labels });
  }

  /** The store, once labels are known to name versions that exist. */
  close(): Store {
    const tasks = [...this.#versions].map(([name, versions]): ServedTask => {
      const { file, labels } = this.#labels.get(name) ?? NO_LABELS;
      for (const [label, number] of labels) {
        if (versions.some((v) => v.number === number)) continue;
        const expected = `one of the versions ${versions.map((v) => v.number).join(', ')} of ${name}`;
        throw new SeedmaskError('bad-store', { field: `label ${label} in ${file}`, expected, got: number });
      }
      return { name, versions: versions.sort((a, b) => Number(a.number) - Number(b.number)), labels };
    });
    return new Store(tasks.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  #read(file: string): Model {
    const size = sizeOf(file);
    if (size > this.#fileLimit) throw new SeedmaskError('over-limit', { field: `size of ${file}`, expected: this.#fileLimit, got: size });
    try {
      // Masks stay packed, eight weights a byte: together no more than the largest file.
      return readModel(readFileSync(file), { maxFileBytes: this.#fileLimit, maxWeights: 8 * this.#fileLimit }, this.#networks);
    } catch (error) {
      if (error instanceof SeedmaskError && error.code === 'bad-base') {
        // Its own advice is too long for one line, and not what a server's user can do.
        const { message } = new SeedmaskError('bad-base', { ...error.details, hint: undefined });
        const hint = 'Name the file that holds the network with --network.';
        throw new SeedmaskError('bad-model-file', { field: file, got: message, hint });
      }
      const got = error instanceof Error ? error.message : String(error);
      throw new SeedmaskError('bad-model-file', { field: file, got, hint: 'Fetch it again, or move it out of the folder.' });
    }
  }
}

function readLabels(file: string): Map<string, string> {
  const expected = 'JSON such as {"stable": 1}: label names with version numbers';
  const size = sizeOf(file);
  if (size > LABELS_LIMIT) throw new SeedmaskError('over-limit', { field: `size of ${file}`, expected: LABELS_LIMIT, got: size });
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new SeedmaskError('bad-store', { field: file, expected, got: error instanceof Error ? error.message : String(error) });
  }
  const labels = Labels.safeParse(parsed);
  if (!labels.success) {
    const { path, message } = labels.error.issues[0];
    throw new SeedmaskError('bad-store', { field: file, expected, got: `${message} at /${path.join('/')}` });
  }
  return new Map(Object.entries(labels.data).map(([label, number]) => [label, String(number)]));
}

function stat(path: string) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new SeedmaskError('bad-store', { field: path, expected: 'a model file or a folder of them', got: 'nothing there' });
  return found;
}

/** Size of a regular file: a pipe or a device has none, and reading it may never end. */
function sizeOf(file: string): number {
  const found = stat(file);
  if (!found.isFile())
    throw new SeedmaskError('bad-store', { field: file, expected: 'a regular file', got: 'a pipe, a device or a folder' });
  return found.size;
}
