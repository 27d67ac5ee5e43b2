// Bytes from the one place that the operator has named. Documents from there may say which files they mean, but not where requests go:
// every URL, and every redirect, stays on the scheme, host and port that were given. Sizes are counted while bytes arrive, times end a
// request that does not, and what may be gone in a moment (no answer, 429, 5xx) is asked for again after a growing wait.

import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeedmaskError } from '../../codec/errors.js';

export interface OriginOptions {
  /** API key, sent as a bearer token. */
  readonly key?: string;
  /** Plain http to other machines as well: what comes can be changed on the way, and the key be read. Default: to this machine alone. */
  readonly allowHttp?: boolean;
  /** Milliseconds for one request with its whole body; default 30,000. */
  readonly timeout?: number;
  /** How often a request is made again at most; default 4. */
  readonly retries?: number;
  /** Milliseconds before the first of them, twice as long before every next one; default 250. */
  readonly firstWait?: number;
}

/** What a URL gave. */
export interface Download {
  /** Undefined if they still have the ETag of the question. */
  readonly bytes: Uint8Array | undefined;
  readonly etag: string | null;
  /** Where redirects led: what relative URLs in the bytes are relative to (RFC 3986, 5.1.3). */
  readonly url: URL;
}

const REDIRECTS = 5;
/** Milliseconds that a Retry-After may ask for. */
const LONGEST_WAIT = 30_000;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export class Origin {
  /** Where everything starts. */
  readonly url: URL;
  readonly #options: OriginOptions;
  readonly #ended = new AbortController();

  /** @throws SeedmaskError bad-option */
  constructor(url: string, options: OriginOptions = {}) {
    const refuse = (expected: string, got: string, hint?: string): never => {
      throw new SeedmaskError('bad-option', { field: 'the URL to pull from', expected, got, hint });
    };
    const parsed = URL.canParse(url) ? new URL(url) : refuse('http:// or https:// with a host', url);
    if (!/^https?:$/.test(parsed.protocol)) refuse('http:// or https:// with a host', url);
    // Not shown: it may hold a password.
    if (parsed.username || parsed.password) refuse('without a name and password', 'some', 'A key goes into SEEDMASK_PULL_KEY.');
    if (parsed.protocol === 'http:' && !LOOPBACK.test(parsed.hostname) && !options.allowHttp) {
      refuse('https, as it is another machine', url, '--allow-http says that the network between is yours.');
    }
    // Not shown either, as fetch would show it.
    if (!/^\s*[!-~]*\s*$/.test(options.key ?? '')) {
      throw new SeedmaskError('bad-option', {
        field: 'the key to pull with',
        expected: 'of visible ASCII characters alone',
        got: 'others',
      });
    }
    this.url = parsed;
    this.#options = options;
  }

  /**
   * What a URL gives.
   * @param etag of bytes that need not come again
   * @throws SeedmaskError (by rejection) cannot-pull, over-limit
   */
  async get(url: string, { limit, etag }: { readonly limit: number; readonly etag?: string | null }): Promise<Download> {
    const { retries = 4, firstWait = 250 } = this.#options;
    for (let tries = 0; ; tries++) {
      const failure = await this.#once(url, limit, etag).catch((error: unknown) => {
        if (error instanceof Passing) return error;
        throw error;
      });
      if (!(failure instanceof Passing)) return failure;
      const wait = failure.retryAfter ?? firstWait * 2 ** tries;
      const { error } = failure;
      if (tries >= retries || wait > LONGEST_WAIT || this.#ended.signal.aborted) throw error;
      await sleep(wait * (1 + Math.random() / 2), undefined, { signal: this.#ended.signal }).catch(() => {
        throw error;
      });
    }
  }

  /** Ends what is under way, and whatever is asked for from now on. */
  close(): void {
    this.#ended.abort();
  }

  async #once(url: string, limit: number, etag: string | null | undefined): Promise<Download> {
    const { key, timeout = 30_000 } = this.#options;
    // Held by its timer. AbortSignal.any holds its sources weakly, so that of an AbortSignal.timeout, which nothing else holds, goes with
    // the next garbage on Node 20, and a host that stalls then stalls us for ever.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    const signal = AbortSignal.any([this.#ended.signal, late.signal]);
    const headers = {
      // A network is bytes or JSON, as is asked.
      Accept: 'application/octet-stream, application/json;q=0.9, */*;q=0.1',
      ...(key !== undefined && { Authorization: `Bearer ${key.trim()}` }),
      ...(etag && { 'If-None-Match': etag }),
    };
    let at = this.resolve(url, this.url);
    try {
      for (let hops = 0; ; hops++) {
        const response = await fetch(at, { headers, signal, redirect: 'manual' });
        const { status } = response;
        if (status === 200) return { bytes: await bodyOf(response, at, limit), etag: response.headers.get('etag'), url: at };
        await response.body?.cancel();
        if (status === 304 && etag) return { bytes: undefined, etag, url: at };
        const location = response.headers.get('location');
        if (status < 300 || status > 399 || location === null) throw refused(at, response);
        if (hops === REDIRECTS) throw new SeedmaskError('cannot-pull', { field: at.href, got: `more than ${REDIRECTS} redirects` });
        at = this.resolve(location, at);
      }
    } catch (error) {
      if (error instanceof SeedmaskError || error instanceof Passing) throw error;
      const got = late.signal.aborted && !this.#ended.signal.aborted ? `no whole answer within ${timeout} ms` : deepest(error);
      throw new Passing(new SeedmaskError('cannot-pull', { field: at.href, got }));
    } finally {
      clearTimeout(timer);
    }
  }

  /** A URL, which stays where the operator has said. @throws SeedmaskError cannot-pull */
  resolve(url: string, base: URL): URL {
    const found = URL.canParse(url, base) ? new URL(url, base) : undefined;
    if (found?.origin === this.url.origin && !found.username && !found.password) return found;
    const hint = `Only ${this.url.origin} is asked; give the other URL to seedmask serve if it is yours.`;
    // Schemes without hosts have the origin "null".
    const place = found && found.origin !== 'null' ? found.origin : url;
    throw new SeedmaskError('cannot-pull', { field: base.href, got: `it leads to ${place}`, hint });
  }
}

/** A failure that another try may not meet. */
class Passing extends Error {
  readonly error: SeedmaskError;
  /** Milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(error: SeedmaskError, retryAfter?: number) {
    super(error.message);
    this.error = error;
    this.retryAfter = retryAfter;
  }
}

function refused(url: URL, { status, headers }: Response): SeedmaskError | Passing {
  const error = new SeedmaskError('cannot-pull', {
    field: url.href,
    got: `HTTP ${status}`,
    hint: status === 401 || status === 403 ? 'Give a key that may use these tasks in SEEDMASK_PULL_KEY.' : undefined,
  });
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return status === 429 || status >= 500 ? new Passing(error, Number.isFinite(seconds) ? seconds * 1000 : undefined) : error;
}

/** The body, and never more than `limit` bytes of it. */
async function bodyOf(response: Response, url: URL, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  if (!response.body) return new Uint8Array(0);
  // Leaving the loop cancels the rest.
  for await (const part of Readable.fromWeb(response.body as ReadableStream<Uint8Array>)) {
    length += part.length;
    if (length > limit) throw new SeedmaskError('over-limit', { field: `what ${url.href} gives`, expected: limit, got: 'more bytes' });
    parts.push(part);
  }
  return Uint8Array.from(Buffer.concat(parts));
}

/** fetch wraps the reason in a "fetch failed". */
function deepest(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? deepest(error.cause) : error.message || error.name;
}
