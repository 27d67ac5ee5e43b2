// Bodies that are being read, bounded together: a flood of large requests is refused at their heads, before memory is taken for them.

import { SeedmaskError } from '../codec/errors.js';
import type { BodyReader } from './bodies.js';

/** What a body without a Content-Length is counted as. */
const UNSAID = 1024 * 1024;

/**
 * The same reader, which refuses a body when those under way would exceed `limit` bytes; alone, any body is let in.
 * @throws SeedmaskError (by rejection) overloaded, and what `read` throws
 */
export function bounded(read: BodyReader, limit: number): BodyReader {
  let held = 0;
  return async (req, res) => {
    const said = Number(req.headers['content-length'] ?? (req.headers['transfer-encoding'] ? UNSAID : 0));
    const bytes = Number.isFinite(said) ? said : UNSAID;
    if (held > 0 && held + bytes > limit) {
      const got = `${held + bytes} bytes of requests`;
      throw new SeedmaskError('overloaded', { field: 'bodies', expected: `${limit}`, got, hint: 'Try again in 1 s.', retryAfter: 1 });
    }
    held += bytes;
    try {
      return await read(req, res);
    } finally {
      held -= bytes;
    }
  };
}
