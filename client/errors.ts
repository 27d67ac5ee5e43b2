// What went wrong with a call: the server's own words where it answered, else that no answer came.

import type { ErrorCode } from '../codec/errors.js';
import { oneLine } from '../codec/one-line.js';
import { bytesOf } from './body.js';

/** What a failure says besides its line. */
export interface Failure {
  /** Of the answer, whoever gave it; 0 when none came. */
  readonly status: number;
  /** A code of the server's closed table; 'no-answer' when none came, 'not-seedmask' when it came from something else on the way. */
  readonly code: ErrorCode | 'no-answer' | 'not-seedmask';
  readonly field?: string;
  readonly expected?: string;
  readonly got?: string;
  readonly hint?: string;
  /** The id under which the server's log has it. */
  readonly requestId?: string;
  /** Seconds after which the server asked to be tried again. */
  readonly retryAfter?: number;
}

/** Bytes of a refusal that are read. */
const REFUSAL_LIMIT = 2 ** 16;

export class RequestError extends Error implements Failure {
  override readonly name = 'RequestError';
  readonly status: number;
  readonly code: Failure['code'];
  readonly field?: string;
  readonly expected?: string;
  readonly got?: string;
  readonly hint?: string;
  readonly requestId?: string;
  readonly retryAfter?: number;

  constructor(message: string, { status, code, field, expected, got, hint, requestId, retryAfter }: Failure, options?: ErrorOptions) {
    super(oneLine(message), options);
    this.status = status;
    this.code = code;
    this.field = field;
    this.expected = expected;
    this.got = got;
    this.hint = hint;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }

  /** The failure that an answer tells. Rejects when the answer ends early. */
  static async of(response: Response): Promise<RequestError> {
    const { status, headers } = response;
    const text = new TextDecoder().decode((await bytesOf(response, REFUSAL_LIMIT)).bytes);
    const requestId = headers.get('x-request-id') ?? undefined;
    const retryAfter = secondsOf(headers.get('retry-after'), Date.now());
    const told = problemOf(text);
    if (told) return new RequestError(told.error, { ...told, status, requestId, retryAfter });
    return RequestError.foreign(text, { status, requestId, retryAfter });
  }

  /** An answer that no Seedmask server gives. @param text what it begins with, or what is wrong with it */
  static foreign(text: string, told: Omit<Failure, 'code'>): RequestError {
    const begins = oneLine(text).trim().slice(0, 120);
    return new RequestError(`HTTP ${told.status} from something that is no Seedmask server: ${begins}`, { ...told, code: 'not-seedmask' });
  }

  /** An answer of more bytes than the caller takes. */
  static tooLarge(url: string, status: number, limit: number): RequestError {
    return new RequestError(`the answer from ${url.split('?', 1)[0]} is larger than ${limit} bytes`, { status, code: 'not-seedmask' });
  }

  /** The failure to get any answer. */
  static lost(url: string, cause: unknown): RequestError {
    const why = cause instanceof Error ? deepest(cause).message : String(cause);
    return new RequestError(`no answer from ${url.split('?', 1)[0]}: ${why}`, { status: 0, code: 'no-answer' }, { cause });
  }
}

/** fetch wraps the reason in a "fetch failed". */
const deepest = (error: Error): Error => (error.cause instanceof Error ? deepest(error.cause) : error);

function problemOf(text: string): (Omit<Failure, 'status'> & { readonly error: string }) | null {
  try {
    const { error, code, field, expected, got, hint } = JSON.parse(text) ?? {};
    return typeof error === 'string' && typeof code === 'string' ? { error, code: code as ErrorCode, field, expected, got, hint } : null;
  } catch {
    return null;
  }
}

/** Retry-After: seconds, or a date (RFC 9110, 10.2.3). @param now milliseconds */
export function secondsOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  // Some say 1.5, which Date.parse takes for a day in January.
  if (/^[\d.+-]*$/.test(header.trim())) return /^\d+(\.\d+)?$/.test(header.trim()) ? Number(header) : undefined;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
