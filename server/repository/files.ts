// Model files on disk, as a store sees them: which there are, under which names, and one of them opened for its header and index. Masks
// stay on disk until they are asked for, and no file stays open; each read first makes sure that the file is the one that was opened.
//
//   digits.smk            one task: named by the file, "digits", version 1; an archive: its stored ids, version 1
//   digits/2.smk          version 2 (one task: named by the folder)
//   digits/labels.json    {"stable": 1, "canary": 2}: labels of versions

import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import {
  type Archive,
  type Limits,
  type NetworkLookup,
  openArchive,
  type RangeRead,
  type StoredTask,
  TASK_ID,
  TASK_ID_TEXT,
  type TaskHead,
} from '../../codec/index.js';
import type { Network } from '../../src/network.js';

/** A model file, and what its tasks are called. */
export interface Place {
  readonly file: string;
  /** The name of its task, if it holds one only. */
  readonly name: string;
  /** Version, decimal digits. */
  readonly number: string;
  /** The folder of versions it lies in, if any. */
  readonly folder: string | undefined;
  readonly bytes: number;
  /** Changes whenever the file does. */
  readonly signature: string;
}

/** What is in a folder. */
export interface Listing {
  readonly places: readonly Place[];
  /** Folders of versions that have a labels.json, with its signature. */
  readonly labels: ReadonlyMap<string, string>;
  /** Files that can be served under no name; files and folders that cannot be looked at now, of which nothing is known. */
  readonly refused: readonly { readonly place: Place; readonly error: SeedmaskError }[];
}

/** What a task name and a version label may be: nothing that needs escaping in a URL or a file name. */
export const NAME = TASK_ID;
export const VERSION = /^(0|[1-9][0-9]{0,14})$/;
const LABELS_LIMIT = 65536;
/** Bytes of one model file at most, where nobody says otherwise. */
export const FILE_LIMIT = 256 * 1024 * 1024;
/** What a file of so many bytes at most may say: no more weights than it could have bits. */
export const limitsOf = (fileLimit: number): Partial<Limits> => ({ maxFileBytes: fileLimit, maxWeights: 8 * fileLimit });

const Labels = z.record(z.string().regex(NAME), z.union([z.int().nonnegative(), z.string().regex(VERSION)]));

/**
 * Lists a model file, or a folder of them.
 * @throws SeedmaskError bad-store when there is nothing at `path`, or a pipe or a device
 */
export async function listFiles(path: string): Promise<Listing> {
  const found = await statOf(path);
  const list = new List();
  if (!found.isDirectory()) {
    list.add(placeOf(path, basename(path).replace(/\.smk$/, ''), '1', undefined, found), found);
    return list;
  }
  for (const name of (await readdir(path)).filter((entry) => !entry.startsWith('.')).sort()) {
    const inside = join(path, name);
    await list.meet(inside, name);
  }
  return list;
}

class List implements Listing {
  readonly places: Place[] = [];
  readonly labels = new Map<string, string>();
  readonly refused: { place: Place; error: SeedmaskError }[] = [];

  /** An entry of the folder itself: a file, or a folder of versions; other files and folders are left alone. */
  async meet(path: string, name: string): Promise<void> {
    const found = await lookAt(path).catch((error: unknown) => {
      this.refused.push({ place: placeOf(path, name.replace(/\.smk$/, ''), '', undefined), error: systemRefusal(path, error) });
      return undefined;
    });
    if (!found) return;
    if (!found.isDirectory()) {
      if (name.endsWith('.smk')) this.#try(placeOf(path, name.slice(0, -4), '1', undefined, found), found);
      return;
    }
    try {
      await this.#enter(path, name);
    } catch (error) {
      this.refused.push({ place: placeOf(path, name, '', undefined, found), error: unreadable(path, error) });
    }
  }

  /** A folder of versions. */
  async #enter(path: string, name: string): Promise<void> {
    const files = (await readdir(path)).sort();
    if (!files.some((file) => file.endsWith('.smk'))) return;
    for (const file of files) {
      const inside = join(path, file);
      const there = file.endsWith('.smk') || file === 'labels.json' ? await lookAt(inside) : undefined;
      if (!there) continue;
      if (file === 'labels.json') this.labels.set(path, signatureOf(there));
      else this.#try(placeOf(inside, name, file.slice(0, -4), path, there), there);
    }
  }

  #try(place: Place, found: Found): void {
    try {
      this.add(place, found);
    } catch (error) {
      if (!(error instanceof SeedmaskError)) throw error;
      this.refused.push({ place, error });
    }
  }

  add(place: Place, found: Found): void {
    const { file, number } = place;
    checkRegular(file, found);
    if (!VERSION.test(number)) {
      throw new SeedmaskError('bad-store', { field: file, expected: 'named by its version, such as 2.smk', got: basename(file) });
    }
    this.places.push(place);
  }
}

type Found = Awaited<ReturnType<typeof stat>>;

/** Changes with the file: also where it is overwritten in place and its time set back (cp -p): ctime cannot be set. */
const signatureOf = ({ ino, size, mtimeMs, ctimeMs }: Found): string => `${ino} ${size} ${mtimeMs} ${ctimeMs}`;

/** @param found undefined where it cannot be looked at */
const placeOf = (file: string, name: string, number: string, folder: string | undefined, found?: Found): Place => {
  const [bytes, signature] = found ? [Number(found.size), signatureOf(found)] : [0, ''];
  return { file, name, number, folder, bytes, signature };
};

/** What is at a path; undefined where nothing is. */
const lookAt = (path: string): Promise<Found | undefined> =>
  stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });

/** What a server says of a folder that it cannot list. */
export function unreadable(folder: string, error: unknown): SeedmaskError {
  const got = error instanceof Error ? error.message : String(error);
  const hint = 'What was served from it goes on; look at its permissions.';
  return new SeedmaskError('bad-store', { field: folder, expected: 'a folder that can be read', got, hint });
}

/** Throws bad-store unless it is a regular file: a pipe or a device has no size, and reading it may never end. */
function checkRegular(file: string, found: Found): void {
  if (!found.isFile()) {
    throw new SeedmaskError('bad-store', { field: file, expected: 'a regular file', got: 'a pipe, a device or a folder' });
  }
}

async function statOf(path: string): Promise<Found> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new SeedmaskError('bad-store', { field: path, expected: 'a model file or a folder of them', got: 'nothing there' });
  return found;
}

/** The file was replaced, changed or taken away since it was opened: look again. */
export class FileChanged extends Error {}

/** A model file, opened: what its header and index say. */
export interface ModelFile {
  readonly place: Place;
  readonly network: Network;
  readonly heads: readonly TaskHead[];
  /** What each task is called. */
  readonly names: readonly string[];
  /** A task as it is stored, checked against its CRC. @throws FileChanged, or SeedmaskError, by rejection */
  stored(index: number): Promise<StoredTask>;
}

/**
 * Opens a model file.
 * @param networks where a mask-only file's network is
 * @throws SeedmaskError (by rejection) bad-model-file, over-limit, bad-store (a task's name); its details name the file
 */
export async function openFile(place: Place, fileLimit = FILE_LIMIT, networks?: NetworkLookup): Promise<ModelFile> {
  const { bytes } = place;
  if (bytes > fileLimit) throw new SeedmaskError('over-limit', { field: `size of ${place.file}`, expected: fileLimit, got: bytes });
  const begin = () => openArchive(rangesOf(place), { fileBytes: bytes, limits: limitsOf(fileLimit), networks });
  const archive = await begin().catch((error: unknown) => {
    throw refusal(place.file, error);
  });
  const heads = await archive.heads().catch((error: unknown) => {
    throw refusal(place.file, error);
  });
  const names = heads.map((head) => (heads.length === 1 ? place.name : head.id));
  const bad = names.find((name) => !NAME.test(name));
  if (bad !== undefined) {
    throw new SeedmaskError('bad-store', {
      field: `task name in ${place.file}`,
      expected: TASK_ID_TEXT,
      got: bad,
      hint: 'Rename the file or the task.',
    });
  }
  // The archive of one task is opened again for it: thousands would hold the first bytes of their files for nothing.
  let kept: Promise<Archive> | undefined = heads.length > 1 ? Promise.resolve(archive) : undefined;
  const stored = async (index: number): Promise<StoredTask> => {
    try {
      return await (await (kept ?? begin())).storedTask(index);
    } catch (error) {
      if (error instanceof FileChanged) {
        kept = undefined;
        throw error;
      }
      throw refusal(place.file, error);
    }
  };
  return { place, network: archive.network, heads, names, stored };
}

/** What a server says of a file that it cannot serve: the file, and the check that failed. */
export function refusal(file: string, error: unknown): unknown {
  if (error instanceof FileChanged) return error;
  if (error instanceof SeedmaskError && error.code === 'bad-base') {
    // Its own advice is too long for one line, and not what a server's user can do.
    const hint = 'Put the file that holds the network beside it, or name it with --network.';
    return new SeedmaskError('bad-base', { ...error.details, hint }, file);
  }
  // Of the system, and not of the file.
  if (error instanceof Error && 'syscall' in error) return systemRefusal(file, error);
  if (error instanceof SeedmaskError && (error.code === 'lost-worker' || error.code === 'draining')) return error;
  const got = error instanceof Error ? error.message : String(error);
  return new SeedmaskError('bad-model-file', { field: file, got, hint: 'Fetch it again, or move it out of the folder.' });
}

/** Whether a failure to read a file that is there says nothing of what is in it. */
export function isOutside(error: unknown): boolean {
  if (error instanceof SeedmaskError) return error.status === 503 || error.code === 'bad-base';
  return error instanceof Error && 'syscall' in error && 'code' in error && error.code !== 'ENOENT';
}

function systemRefusal(file: string, error: unknown): SeedmaskError {
  const got = error instanceof Error ? error.message : String(error);
  const hint = 'Look at its permissions and at the disk.';
  return new SeedmaskError('unreadable-file', { field: file, got, hint, retryAfter: 1 });
}

function rangesOf({ file, signature }: Place): RangeRead {
  return async (offset, length) => {
    let handle: FileHandle | undefined;
    try {
      handle = await open(file, 'r');
      const found = await handle.stat();
      if (signatureOf(found) !== signature) throw new FileChanged(file);
      const bytes = new Uint8Array(Math.max(0, Math.min(length, found.size - offset)));
      let filled = 0;
      for (let n = 1; filled < bytes.length && n > 0; filled += n) {
        n = (await handle.read(bytes, filled, bytes.length - filled, offset + filled)).bytesRead;
      }
      return bytes.subarray(0, filled);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new FileChanged(file);
      throw error;
    } finally {
      await handle?.close();
    }
  };
}

/**
 * Labels of the versions in a folder.
 * @throws SeedmaskError (by rejection) bad-store, over-limit, unreadable-file
 */
export async function readLabels(folder: string): Promise<Map<string, string>> {
  const file = join(folder, 'labels.json');
  const expected = 'JSON such as {"stable": 1}: label names with version numbers';
  const found = await statOf(file);
  checkRegular(file, found);
  const size = Number(found.size);
  if (size > LABELS_LIMIT) throw new SeedmaskError('over-limit', { field: `size of ${file}`, expected: LABELS_LIMIT, got: size });
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw systemRefusal(file, error);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
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
