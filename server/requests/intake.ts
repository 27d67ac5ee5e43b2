// Bodies that are being read, bounded together by what has really come of them, after Content-Encoding: a flood of large requests is
// refused before memory is taken for it, and who announces much and sends nothing keeps nobody out. A part is for small bodies alone, so
// that a few large ones which stop before their end do not keep everybody out.

import type { SeedmaskError } from '../../codec/errors.js';
import { type BodyReader, readBody } from './bodies.js';
import { overloaded } from './overloaded.js';

/** Bytes up to which a body is small, and the part of all bytes that others may take. */
const SMALL = 64 * 1024;
const LARGE_SHARE = 7 / 8;

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
      const room = mine + bytes <= SMALL ? together : Math.floor(together * LARGE_SHARE);
      if (held === mine || held + bytes <= room) return undefined;
      return overloaded('bodies', room, `${held + bytes} bytes of bodies being read`);
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
