// Whether a failed call is worth another try, and when. Only what another try can change: no answer, 429, 502 and 503; a 504 means that
// the deadline of the caller has passed. The wait is the server's Retry-After, or 100 ms doubled with every try, as far as the longest wait;
// up to half of it is added by chance, so that clients that were turned away together do not come back together.

import type { RequestError } from './errors.js';

/** Milliseconds, some 24 days: a timer of more ends at once. */
export const LONGEST_WAIT = 2 ** 31 - 1;

const WORTH = [0, 429, 502, 503];
const FIRST_WAIT = 100;

/**
 * Milliseconds before another try; null when there should be none.
 * @param tries that were made again so far
 * @param longest the most of any wait; a server that asks for more is not tried again
 */
export function pause({ status, retryAfter }: RequestError, tries: number, longest: number, chance: () => number = Math.random) {
  const wait = retryAfter === undefined ? Math.min(longest, FIRST_WAIT * 2 ** tries) : retryAfter * 1000;
  if (!WORTH.includes(status) || wait > longest) return null;
  return Math.min(longest, wait + (wait / 2) * chance());
}

/** @throws the signal's reason (by rejection) once it is aborted */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      },
      Math.min(LONGEST_WAIT, ms),
    );
    signal?.addEventListener('abort', stop, { once: true });
  });
}
