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
import { type Model, type NetworkLookup, readModel, type Task } from '../codec/index.js';
import type { Network } from '../src/network.js';
import { nearest } from './nearest.js';

/** One mask, ready to be compiled. */
export interface Version {
  /** Decimal digits. */
  readonly number: string;
  readonly network: Network;
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

/** The tasks of a server. */
export class Store {
  readonly tasks: ReadonlyMap<string, ServedTask>;

  /** @param tasks by name */
  constructor(tasks: Iterable<ServedTask>) {
    this.tasks = new Map([...tasks].map((task) => [task.name, task]));
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
          ? `Known here: ${known}${this.tasks.size > 5 ? ', ...' : ''}.`
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
export function openStore(path: string, { fileLimit = 256 * 1024 * 1024, networks }: StoreOptions = {}): Store {
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
