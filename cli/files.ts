// Files, whole or not at all: reading says what is wrong in one line; writing goes to a temporary neighbour and is renamed over.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DEFAULT_LIMITS, type RangeRead, SeedmaskError } from '../codec/index.js';

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'the system does not permit it',
  EISDIR: 'it is a folder',
  EEXIST: 'it is a file',
  ENOTDIR: 'part of the path is not a folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
};

const reason = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && REASONS[code]) ?? message;
};

/** The same bytes without Buffer's own slice(), which makes no copy. */
export const plain = ({ buffer, byteOffset, length }: Buffer): Uint8Array => new Uint8Array(buffer, byteOffset, length);

/** @throws SeedmaskError no-file, or over-limit before memory is taken */
export function readFile(path: string, limit = DEFAULT_LIMITS.maxFileBytes): Uint8Array {
  return reading(path, () => {
    const { size } = regular(path);
    if (size > limit) throw new SeedmaskError('over-limit', { field: path, got: `${size} bytes`, expected: `${limit} bytes` });
    return plain(readFileSync(path));
  });
}

/** A failure of the system in `work` is that a path cannot be read. */
export function reading<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw new SeedmaskError('no-file', { field: path, got: reason(error) });
  }
}

/**
 * What a path leads to; undefined where there is nothing.
 * @throws SeedmaskError no-file where the system does not say
 */
export const statusOf = (path: string): Stats | undefined => reading(path, () => statSync(path, { throwIfNoEntry: false }));

/** Fails if a file to be written is one of those that are read, by whatever links, as what it holds would be lost. */
export function checkNoInput(out: string, inputs: readonly (string | undefined)[], hint = 'Give --out another name'): void {
  const at = (path: string) => statSync(path, { throwIfNoEntry: false, bigint: true });
  const there = writing(out, () => at(out));
  for (const input of inputs) {
    const read = there && input !== undefined && reading(input, () => at(input));
    if (read && read.dev === there.dev && read.ino === there.ino)
      throw new SeedmaskError('cannot-write', { field: out, got: 'it is an input', hint });
  }
}

/** An open file of which ranges are read; nothing else of it is taken into memory. */
export interface OpenFile {
  readonly fileBytes: number;
  readonly read: RangeRead;
  close(): void;
}

/** @throws SeedmaskError no-file */
export function openRanges(path: string): OpenFile {
  return reading(path, () => {
    // Asked first: opening a pipe would wait for who writes to it.
    regular(path);
    const file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const read: RangeRead = async (offset, length) => {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      let filled = 0;
      for (let n = 1; filled < bytes.length && n > 0; filled += n)
        n = readSync(file, bytes, filled, bytes.length - filled, offset + filled);
      return bytes.subarray(0, filled);
    };
    return { fileBytes: size, read, close: () => closeSync(file) };
  });
}

/** What a path says of a file whose bytes may be asked for. */
function regular(path: string): Stats {
  const refuse = (got: string) => new SeedmaskError('no-file', { field: path, got });
  if (path === '-') throw refuse('standard input is not read; give a path');
  const status = statSync(path);
  if (status.isDirectory()) throw refuse('it is a folder');
  if (!status.isFile()) throw refuse('it is no regular file');
  return status;
}

/** The calls that writing needs, so that a test can hand in some that fail. */
export interface Disk {
  openSync(path: string, flags: string, mode?: number): number;
  fchmodSync(file: number, mode: number): void;
  fchownSync(file: number, uid: number, gid: number): void;
  writeSync(file: number, bytes: Uint8Array, offset: number): number;
  fsyncSync(file: number): void;
  closeSync(file: number): void;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { force: boolean }): void;
}
export const DISK: Disk = { openSync, fchmodSync, fchownSync, writeSync, fsyncSync, closeSync, renameSync, rmSync };

/** Writes all of it or leaves what was there. Synchronous, so that no signal falls between the write and the rename. */
export function writeFileSafely(path: string, bytes: Uint8Array, disk = DISK): void {
  writeTogether([[path, bytes]], disk);
}

/**
 * Writes files that belong together: all are on the disk before one takes its name, and the first, which tells of the others, is the last
 * to take its own.
 */
export function writeTogether([[path, bytes], ...others]: readonly (readonly [path: string, bytes: Uint8Array])[], disk = DISK): void {
  write(path, bytes, disk, (temporary) => {
    if (others.length > 0) writeTogether(others, disk);
    disk.renameSync(temporary, path);
  });
}

/**
 * Who may read and write the file that is there may do so afterwards, and nobody else meanwhile; where only root may give a file away, the
 * owner is whoever writes.
 * @param publish gives the written file its name, or removes it
 */
function write(path: string, bytes: Uint8Array, disk: Disk, publish: (temporary: string) => void): void {
  const { temporary, old } = beside(path);
  writing(path, () => {
    try {
      const file = disk.openSync(temporary, 'wx', old ? old.mode & 0o777 : 0o644);
      try {
        if (old) likeBefore(file, old, disk);
        for (let at = 0; at < bytes.length; ) at += disk.writeSync(file, bytes, at);
        disk.fsyncSync(file);
      } finally {
        disk.closeSync(file);
      }
      publish(temporary);
    } catch (error) {
      try {
        disk.rmSync(temporary, { force: true });
      } catch {
        // The first failure is the one to tell.
      }
      throw error;
    }
  });
}

/** Fails now, not after a training run, if a file cannot be written there. */
export function checkWritable(path: string): void {
  const { temporary: probe } = beside(path);
  writing(path, () => {
    const file = openSync(probe, 'wx');
    try {
      closeSync(file);
    } finally {
      rmSync(probe);
    }
  });
}

/** A failure of the system in `work` is that a path cannot be written. */
export function writing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw new SeedmaskError('cannot-write', { field: path, got: unplaced(path, error) ?? reason(error) });
  }
}

/** What there is to say of the folder, where nothing can be made by this path. */
function unplaced(path: string, error: unknown): string | undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return undefined;
  const folder = dirname(path);
  return existsSync(folder) ? `${folder} takes nothing of that name` : `there is no folder ${folder}`;
}

/** Changes of others that one may be overtaken by. */
const OVERTAKEN = 100;

/**
 * Writes a file whose content is made from what it holds. Where another process has replaced the file since it was read, the content is
 * made again, so that several may add to one file at once and none undoes what another did.
 * @param make reads the file, or finds that there is none
 * @throws SeedmaskError (by rejection) cannot-write, or what `make` throws; then the file is as others left it
 */
export async function rewrite<T extends { readonly bytes: Uint8Array }>(path: string, make: () => T | Promise<T>, disk = DISK): Promise<T> {
  for (let tries = 0; tries < OVERTAKEN; tries++) {
    const read = stateOf(path);
    const made = await make();
    let isOurs = false;
    const publish = (temporary: string) =>
      locked(path, () => {
        isOurs = stateOf(path) === read;
        if (isOurs) disk.renameSync(temporary, path);
        else disk.rmSync(temporary, { force: true });
      });
    if (stateOf(path) === read) write(path, made.bytes, disk, publish);
    if (isOurs) return made;
  }
  throw new SeedmaskError('cannot-write', { field: path, got: 'others write it all the time' });
}

/** Milliseconds that others have for a look and a rename, and between two looks at whether they are done. */
const LOCK_MS = 2000;
const LOOK_MS = 5;

/**
 * Makes a last look at a file and the rename over it one step among those who use this. The lock is there for these two calls alone, so
 * hardly a kill leaves one; and none is taken for a dead one by its age: whoever meets one that stays is told which file to remove.
 */
function locked(path: string, work: () => void): void {
  const lock = `${path}.lock`;
  const end = Date.now() + LOCK_MS;
  for (;;) {
    try {
      closeSync(openSync(lock, 'wx'));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const hint = `If no other seedmask writes there, remove ${lock}`;
      if (Date.now() > end) throw new SeedmaskError('cannot-write', { field: path, got: `${lock} is there`, hint });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
    }
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Gives a new file the owner, group and mode of the one that it replaces; the umask and the system may have left out some of it. */
function likeBefore(file: number, { uid, gid, mode }: Stats, disk: Disk): void {
  try {
    disk.fchownSync(file, uid, gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
  disk.fchmodSync(file, mode & 0o777);
}

/** A text that is another one after a file was written by `writeFileSafely`. */
export function stateOf(path: string): string {
  const status = writing(path, () => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return status ? `${status.ino} ${status.mtimeNs} ${status.size}` : 'none';
}

const unnamed = () => new SeedmaskError('cannot-write', { field: 'the output', got: 'an empty name' });

/** A new name beside a path that is free or a regular file, and that file: devices, pipes, links and folders are never replaced. */
function beside(path: string): { readonly temporary: string; readonly old: Stats | undefined } {
  if (path === '') throw unnamed();
  const refuse = (got: string) => new SeedmaskError('cannot-write', { field: path, got });
  if (path === '-') throw refuse('standard output is not written to; give a path');
  const status = writing(path, () => lstatSync(path, { throwIfNoEntry: false }));
  if (status?.isDirectory()) throw refuse('it is a folder');
  if (status && !status.isFile()) throw refuse('it is no regular file');
  if (status && (status.mode & 0o222) === 0) throw refuse('it is write-protected');
  return { temporary: `${path}.${randomBytes(6).toString('hex')}.tmp`, old: status };
}

/** Whether so much time has gone by since anybody changed a file or folder. */
export function unchangedFor(path: string, ms: number): boolean {
  const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return changed !== undefined && Date.now() - changed > ms;
}

/** So old, a temporary file is of nobody who is still writing. */
const ABANDONED_MS = 3_600_000;

/**
 * Removes the temporary files of `writeFileSafely` that a kill left in a folder; young ones stay, as another process may be writing them.
 * @param of what the names of the files are that were to be written
 */
export function removeLeftOvers(folder: string, of: RegExp): void {
  for (const name of reading(folder, () => readdirSync(folder))) {
    const [, written] = /^(.*)\.[0-9a-f]{12}\.tmp$/.exec(name) ?? [];
    if (written === undefined || !of.test(written)) continue;
    const path = join(folder, name);
    if (unchangedFor(path, ABANDONED_MS)) rmSync(path, { force: true });
  }
}

/** Makes a folder for output, with its parents. */
export function makeFolder(path: string): void {
  writing(path, () => make(path));
}

/** One folder at a time: below /proc Node's own recursion never ends. */
function make(path: string): void {
  if (path === '') throw unnamed();
  const there = () => statSync(path, { throwIfNoEntry: false })?.isDirectory();
  if (there()) return;
  if (!existsSync(dirname(path))) make(dirname(path));
  try {
    writing(path, () => mkdirSync(path));
  } catch (error) {
    // Another thread may have made it meanwhile.
    if (!there()) throw error;
  }
}
