// Who is asking: one id a request, taken from the client when it is sound and made here when not. It goes out with the answer and
// stands in every line of the log, so that both sides speak of the same request. W3C Trace Context: the trace goes on under a span
// of ours when the client began one; the server starts none of its own.

import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface Trace {
  /** X-Request-Id of the request and of its answer. */
  readonly id: string;
  /** The trace's 32 hex digits, when the client sent a traceparent. */
  readonly traceId?: string;
  /** traceparent of the answer: the same trace, our span. */
  readonly traceparent?: string;
}

/** What an id from outside may be: visible, nothing that breaks a header or a line of a log, and not long. */
const ID = /^[A-Za-z0-9._~:/+=@-]{1,128}$/;
/** https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id, flags; later versions may add fields. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/;

/** Gives ids that no other process gives: 72 random bits and a count. */
export function idSource(): () => string {
  const own = randomBytes(9).toString('base64url');
  let count = 0;
  return () => `${own}-${(count++).toString(36)}`;
}

/** @param fresh gives the id of a request that brings none */
export function traceOf(headers: IncomingHttpHeaders, fresh: () => string): Trace {
  const given = headers['x-request-id'];
  const id = typeof given === 'string' && ID.test(given) ? given : fresh();
  const parent = headers['traceparent'];
  const parts = typeof parent === 'string' ? TRACEPARENT.exec(parent) : null;
  if (!parts || (parts[3] !== undefined && parts[0].startsWith('00'))) return { id };
  return { id, traceId: parts[1], traceparent: `00-${parts[1]}-${randomBytes(8).toString('hex')}-${parts[2]}` };
}
