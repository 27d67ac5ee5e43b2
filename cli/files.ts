// Files, whole or not at all: reading says what is wrong in one line; writing goes to a temporary neighbour and is renamed over.

import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { DEFAULT_LIMITS, SeedmaskError } from '../codec/index.js';

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  EEXIST: 'it is a file',
  ENOTDIR: 'part of the path is not a folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

export const reason = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && REASONS[code]) ?? message;
};

/** The same bytes without Buffer's own slice(), which makes no copy. */
export const plain = ({ buffer, byteOffset, length }: Buffer): Uint8Array => new Uint8Array(buffer, byteOffset, length);

/** @throws SeedmaskError no-file, or over-limit before memory is taken */
export function readFile(path: string, limit = DEFAULT_LIMITS.maxFileBytes): Uint8Array {
  try {
    const status = statSync(path);
    if (!status.isFile())
      throw new SeedmaskError('no-file', { field: path, got: status.isDirectory() ? 'it is a folder' : 'it is no regular file' });
    const { size } = status;
    if (size > limit) throw new SeedmaskError('over-limit', { field: path, got: `${size} bytes`, expected: `${limit} bytes` });
    return plain(readFileSync(path));
  } catch (error) {
    if (error instanceof SeedmaskError) throw error;
    throw new SeedmaskError('no-file', { field: path, got: reason(error) });
  }
}

/** Writes all of it or leaves what was there. Synchronous, so that no signal falls between the write and the rename. */
export function writeFileSafely(path: string, bytes: Uint8Array): void {
  const temporary = beside(path);
  try {
    const file = openSync(temporary, 'wx', 0o644);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new SeedmaskError('cannot-write', { field: path, got: reason(error) });
  }
}

/** Fails now, not after a training run, if a file cannot be written there. */
export function checkWritable(path: string): void {
  const probe = beside(path);
  try {
    closeSync(openSync(probe, 'wx'));
    rmSync(probe);
  } catch (error) {
    throw new SeedmaskError('cannot-write', { field: path, got: reason(error) });
  }
}

/** A new name beside a path that is free or a regular file: devices, pipes, links and folders are never replaced. */
function beside(path: string): string {
  const status = path === '' ? undefined : lstatSync(path, { throwIfNoEntry: false });
  if (path === '') throw new SeedmaskError('cannot-write', { field: 'the output', got: 'an empty name' });
  if (status && !status.isFile()) {
    throw new SeedmaskError('cannot-write', { field: path, got: status.isDirectory() ? 'it is a folder' : 'it is no regular file' });
  }
  return `${path}.${randomBytes(6).toString('hex')}.tmp`;
}

/** Makes a folder for output, with its parents. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new SeedmaskError('cannot-write', { field: path, got: reason(error) });
  }
}
