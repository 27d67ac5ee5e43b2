// The end of an answer whose request is still on its way, such as the refusal of a large body. Where the connection ends with the answer
// Node closes it whatever still comes, and the system tells the client that nobody has read it, in place of the answer. So the rest is let
// in and thrown away first, for a moment (a lingering close, as nginx calls it).

import type { IncomingMessage, ServerResponse } from 'node:http';

const LINGER_MS = 1000;
const LINGER_BYTES = 32 * 1024 * 1024;

/** Writes the body of an answer whose head is written, and ends it. */
export function endAnswer(req: IncomingMessage, res: ServerResponse, body: string | Uint8Array): void {
  if (req.complete || req.destroyed || body.length === 0) {
    res.end(body);
    return;
  }
  // To HEAD no body goes out, and the head alone would wait for the end.
  if (req.method === 'HEAD') res.flushHeaders();
  res.write(body);
  let bytes = 0;
  const count = (part: Uint8Array) => {
    bytes += part.length;
    if (bytes > LINGER_BYTES) end();
  };
  const end = () => {
    clearTimeout(timer);
    req.off('data', count).off('end', end).off('close', end);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.on('data', count).on('end', end).on('close', end).resume();
}
