// How a failure is told: one JSON object for every client there is. `error` is the line that Triton's and TensorFlow Serving's
// clients show; code, field, expected, got and hint are Seedmask's; type, title, status and detail are RFC 9457's.
//
// Its Content-Type is exactly application/json on /v1 and /v2, where KServe's client compares the header as a string and drops the
// text otherwise. On Seedmask's own routes it is application/problem+json. A client that names one of the two in Accept gets it, and
// one that refuses one gets the other.

import type { IncomingMessage } from 'node:http';
import { SeedmaskError } from '../codec/errors.js';
import { takes } from './accept.js';
import type { Answer } from './answer.js';

const PROBLEM = 'application/problem+json';
/** A path, also behind a host as proxies are sent it (RFC 9112, 3.2.2). */
const PROTOCOLS = /^(?:[a-z][a-z\d+.-]*:\/\/[^/?#]*)?\/v[12]([/?]|$)/i;

/** The answer to a failure; one that is not a SeedmaskError tells the client nothing. */
export function failure(error: unknown, { url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>): Answer {
  if (!(error instanceof SeedmaskError)) {
    return failure(new SeedmaskError('internal', { hint: 'It is a fault of the server and was reported there.' }), { url, headers });
  }
  const { code, status, message, details } = error;
  const body = {
    error: message,
    code,
    field: details.field,
    expected: short(details.expected),
    got: short(details.got),
    hint: details.hint,
    type: `urn:seedmask:error:${code}`,
    title: code.replaceAll('-', ' '),
    status,
    detail: message,
  };
  return { status, type: typeOf(url, headers.accept), body: JSON.stringify(body), headers: headersOf(error), code };
}

const short = (value: unknown): string | undefined => (value === undefined ? undefined : String(value).slice(0, 120));

function typeOf(url: string, accept: string | undefined): string {
  const json = takes(accept, ['application/json']) ?? PROTOCOLS.test(url);
  return (takes(accept, [PROBLEM]) ?? !json) ? PROBLEM : 'application/json';
}

function headersOf({ code, status, details }: SeedmaskError): Record<string, string> | undefined {
  if (code === 'wrong-method') return { Allow: short(details.expected) ?? '' };
  if (code === 'unknown-encoding') return { 'Accept-Encoding': short(details.expected) ?? '' };
  if (status === 401) return { 'WWW-Authenticate': 'Bearer realm="seedmask"' };
  if (code === 'bad-range') return { 'Content-Range': `bytes */${short(details.expected)}` };
  return details.retryAfter === undefined ? undefined : { 'Retry-After': String(details.retryAfter) };
}
