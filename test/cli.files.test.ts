// What the command line leaves of a file that it replaces (cli/files.ts): who may read it, and the file itself where nobody may write it.

import { chmodSync, chownSync, fstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkWritable, DISK, type Disk, openRanges, readFile, rewrite, writeFileSafely } from '../cli/files.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

const [before, after] = ['before', 'after'].map((text) => new TextEncoder().encode(text));
const modeOf = (path: string) => statSync(path).mode & 0o777;
const old = (name: string, mode: number): string => {
  const path = join(folder, name);
  writeFileSync(path, before);
  chmodSync(path, mode);
  return path;
};

describe.skipIf(process.platform === 'win32')('modes', () => {
  // The third has bits that most umasks take from new files.
  test.each([0o600, 0o640, 0o666, 0o755])('a file of mode %i keeps it, and nobody else may read what is being written', async (mode) => {
    const path = old(`mode-${mode}`, mode);
    const seen: number[] = [];
    const disk: Disk = {
      ...DISK,
      openSync: (...args) => {
        const file = DISK.openSync(...args);
        seen.push(fstatSync(file).mode & 0o777 & ~mode);
        return file;
      },
      writeSync: (file, bytes, offset) => {
        seen.push((fstatSync(file).mode & 0o777) ^ mode);
        return DISK.writeSync(file, bytes, offset);
      },
    };
    writeFileSafely(path, after, disk);
    await rewrite(path, () => ({ bytes: after }), disk);
    expect(modeOf(path)).toBe(mode);
    expect(seen).toEqual([0, 0, 0, 0]);
  });

  test('a new file has what the umask leaves', () => {
    const path = join(folder, 'new');
    writeFileSafely(path, after);
    expect(modeOf(path)).toBe(0o644 & ~process.umask());
  });

  test.skipIf(process.getuid?.() !== 0)("what root replaces stays its owner's and its group's", () => {
    const path = old('theirs', 0o640);
    chownSync(path, 1234, 2345);
    writeFileSafely(path, after);
    const { uid, gid } = statSync(path);
    expect([uid, gid, modeOf(path)]).toEqual([1234, 2345, 0o640]);
  });

  test('an owner that may not be given is the one who writes', () => {
    const path = old('mine', 0o600);
    const fchownSync = () => {
      throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
    };
    writeFileSafely(path, after, { ...DISK, fchownSync });
    expect([new Uint8Array(readFileSync(path)), modeOf(path)]).toEqual([after, 0o600]);
  });

  test('a mode that cannot be set leaves the old file, and nothing beside it', () => {
    const path = old('unset', 0o600);
    const fchmodSync = () => {
      throw Object.assign(new Error('EROFS'), { code: 'EROFS' });
    };
    expect(() => writeFileSafely(path, after, { ...DISK, fchmodSync })).toThrow(`cannot write ${path}: the file system is read-only`);
    expect(new Uint8Array(readFileSync(path))).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.startsWith('unset'))).toEqual(['unset']);
  });

  test('a write-protected file is not replaced, whoever asks', async () => {
    const path = old('protected', 0o444);
    const line = `cannot write ${path}: it is write-protected`;
    expect(() => checkWritable(path)).toThrow(line);
    expect(() => writeFileSafely(path, after)).toThrow(line);
    await expect(rewrite(path, () => ({ bytes: after }))).rejects.toThrow(line);
    expect(new Uint8Array(readFileSync(path))).toEqual(before);
  });
});

test('a dash stands for no file', () => {
  for (const read of [readFile, openRanges]) expect(() => read('-')).toThrow('cannot read -: standard input is not read; give a path');
  for (const write of [checkWritable, (path: string) => writeFileSafely(path, after)])
    expect(() => write('-')).toThrow('cannot write -: standard output is not written to; give a path');
});
