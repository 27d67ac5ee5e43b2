// Bodies that are being read, bounded together by what has really come of them, after Content-Encoding: a flood of large requests is
// refused before memory is taken for it, and who announces much and sends nothing keeps nobody out.

import type { SeedmaskError } from '../../codec/errors.js';
import { type BodyReader, readBody } from './bodies.js';
import { overloaded } from './overloaded.js';

/**
 * A reader of bodies of at most `limit` bytes, which refuses one when those under way would exceed `together`; alone, any is let in.
 * @throws SeedmaskError (by rejection) overloaded, and what `readBody` throws
 */
export function bounded(limit: number, together: number): BodyReader {
  let held = 0;
  return (req, wanted = limit) => {
    const most = Math.min(limit, wanted);
    let mine = 0;
    const full = (bytes: number): SeedmaskError | undefined => {
      if (held === mine || held + bytes <= together) return undefined;
      const got = `${held + bytes} bytes of requests`;
      return overloaded('bodies', together, got);
    };
    const said = Number(req.headers['content-length'] ?? 0);
    const refusal = said <= most ? full(said) : undefined;
    if (refusal) return Promise.reject(refusal);
    return readBody(req, most, {
      grow(bytes) {
        const over = full(bytes);
        if (over) throw over;
        held += bytes;
        mine += bytes;
      },
      end() {
        held -= mine;
        mine = 0;
      },
    });
  };
}
