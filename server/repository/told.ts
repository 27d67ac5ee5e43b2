// What strangers are told of a file that is not served: its way from what is served on, and not where that lies on this machine. The log and
// the command line have the whole path.

import { basename, dirname, join } from 'node:path';
import { type ErrorCode, SeedmaskError } from '../../codec/errors.js';

/** Of other errors a client says the parts: where a path went out of those, it would have been guessed. */
const OF_FILES: readonly ErrorCode[] = ['bad-model-file', 'unreadable-file', 'bad-store', 'bad-base', 'task-clash', 'over-limit'];

/** @param path what is served: a folder, or one file */
export function told(error: SeedmaskError, path: string): SeedmaskError {
  if (!OF_FILES.includes(error.code)) return error;
  // As it stands in the names of the files in it.
  const root = dirname(join(path, 'file'));
  // Sentences have paths between spaces, those of the system in quotes.
  const way = new RegExp(`(?<![^\\s'])${root.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}(?:[\\\\/]|(?![^\\s']))`, 'g');
  const strip = <T>(text: T) => (typeof text === 'string' ? text.replace(way, (found) => (found === root ? basename(root) : '')) : text);
  const { field, expected, got, ...details } = error.details;
  return new SeedmaskError(error.code, { ...details, field: strip(field), expected: strip(expected), got: strip(got) }, strip(error.file));
}
