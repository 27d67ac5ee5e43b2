// A port, and an orderly end. close() drains: readiness turns 503 at once while requests are still accepted and answered (with
// Connection: close), those in flight finish, then the port is given back. A cap on the waiting means that it always ends.

import { createServer, type IncomingMessage, maxHeaderSize, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { SeedmaskError } from '../codec/errors.js';
import type { Exchange } from './answer.js';
import { endAnswer } from './linger.js';
import { failure } from './problems.js';
import { overloaded } from './requests/overloaded.js';
import { idSource, type Trace, traceOf } from './trace.js';

export interface ListenOptions {
  /** 0 takes any free port; default 8080. */
  readonly port?: number;
  /** Default 127.0.0.1: this machine alone. */
  readonly host?: string;
  /** Milliseconds that a drain keeps accepting at least, so that a load balancer sees readiness fall; default 0. */
  readonly drainDelay?: number;
  /** Milliseconds after that in which a drain waits for the connections that are left, before it cuts them; default 10,000. */
  readonly drainLimit?: number;
  /** Milliseconds in which a client must have sent the head of a request (default 10,000), and all of it (default 60,000): else 408. */
  readonly headersTimeout?: number;
  readonly requestTimeout?: number;
  /** Milliseconds in which a connection with a request under way may move no byte, such as a client that does not read; default 120,000. */
  readonly idleTimeout?: number;
}

export interface Listening {
  /** http://host:port, with the port really taken. */
  readonly url: string;
  /** Drains and gives the port back; resolves when every connection has ended. */
  close(): Promise<void>;
}

/**
 * Listens with a handler (from `createHandler`, or any app).
 * @param handler.answered is told of what is refused before it comes to the handler
 * @throws SeedmaskError (by rejection) cannot-listen: port taken, not permitted, or no such address
 */
export async function listen(
  handler: ((req: IncomingMessage, res: ServerResponse) => void) & {
    readonly drain?: () => void;
    readonly answered?: (exchange: Exchange) => void;
  },
  {
    port = 8080,
    host = '127.0.0.1',
    drainDelay = 0,
    drainLimit = 10_000,
    headersTimeout = 10_000,
    requestTimeout = 60_000,
    idleTimeout = 120_000,
  }: ListenOptions = {},
): Promise<Listening> {
  let closing: Promise<void> | undefined;
  // Every connection, with its line of requests. Only connections come to this map and go: one that answers came to and went from would
  // leave its outgrown tables in the old generation, each of which keeps its answers from the collector.
  const lines = new Map<Socket, Line>();
  let calm: (() => void) | undefined;
  function landed(this: ServerResponse): void {
    const line = lines.get(this.req.socket);
    if (line?.last === this) {
      line.last = undefined;
      line.told = !this.req.complete;
    }
    calm?.();
  }
  const timeouts = { headersTimeout, requestTimeout, keepAliveTimeout: 65_000 };
  const connectionsCheckingInterval = Math.min(5000, headersTimeout, requestTimeout);
  const freshId = idSource();
  // Requests that come before the answer to the one before them is out wait for that: a packet of some thousand small ones would else be
  // computed at once, and its answers held while nobody reads.
  const take = (req: IncomingMessage, res: ServerResponse, refusal?: SeedmaskError) => {
    const { socket } = req;
    const line = lines.get(socket);
    if (!line || socket.destroyed) return;
    const before = line.last;
    line.last = res;
    line.told = false;
    res.on('close', landed);
    if (closing) res.setHeader('Connection', 'close');
    if (!before) begin(req, res, refusal);
    else if (line.waiting === LINE_LIMIT) {
      refused(overloaded('requests', LINE_LIMIT, `${LINE_LIMIT + 1} requests of a connection`), traceOf(req.headers, freshId));
      socket.destroy();
    } else {
      line.waiting++;
      before.once('close', () => {
        line.waiting--;
        if (socket.destroyed) return;
        if (line.refuse && line.last === res) line.refuse();
        else begin(req, res, refusal);
      });
    }
  };
  const begin = (req: IncomingMessage, res: ServerResponse, refusal: SeedmaskError | undefined) => {
    if (!refusal) return handler(req, res);
    const { status, type, body } = failure(refusal, req);
    const trace = traceOf(req.headers, freshId);
    res.writeHead(status, { 'X-Request-Id': trace.id, 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
    endAnswer(req, res, body);
    refused(refusal, trace, req.method);
  };
  const refused = ({ code, status }: SeedmaskError, trace: Trace, method = '') =>
    handler.answered?.({ method, route: 'none', trace, status, code, seconds: 0 });
  const server = createServer({ ...timeouts, connectionsCheckingInterval, requireHostHeader: false }, (req, res) =>
    take(req, res, unfit(req)),
  );
  // A client that asks before it sends its body is told to go on when somebody wants that, so a refusal comes before it.
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    req.on('newListener', function invite(event: string) {
      if (event !== 'data' && event !== 'readable') return;
      req.off('newListener', invite);
      if (!res.headersSent) res.writeContinue();
    });
    take(req, res, unfit(req));
  });
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    take(req, res, new SeedmaskError('bad-request', { field: 'Expect', expected: '100-continue or absent', got: req.headers.expect }));
  });
  server.timeout = idleTimeout;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const line = lines.get(socket as Socket);
    // Whose answer came before the end of its body has been told what there was to tell.
    if (!line || line.told || !socket.writable) return void socket.destroy();
    if (line.refuse) return;
    const { last, waiting } = line;
    const refusal = refusalOf(error);
    // Of a request that waits nobody reads the body: it is not the client that is slow. If it is, it is idle when its turn has come.
    if (waiting > 0 && refusal.code === 'slow-request') return;
    line.refuse = () => {
      if (!socket.writable) return;
      const trace = { id: freshId() };
      socket.write(textOf(refusal, trace.id));
      socket.destroy();
      refused(refusal, trace);
    };
    if (!last) line.refuse();
    // What came behind a whole request is refused behind its answer; a request that waits and broke off, when its turn has come.
    else if (last.req.complete) last.once('close', line.refuse);
    else if (waiting === 0) {
      // Any other that broke off is refused in place of its answer, if that has not begun; who reads its body is told why.
      if (!last.headersSent) socket.write(textOf(refusal, traceOf(last.req.headers, () => '').id));
      last.req.destroy(error.code === 'HPE_INVALID_EOF_STATE' ? new SeedmaskError('client-gone') : refusal);
    }
  });
  // An answer that waits behind others of its connection is told nothing when that ends.
  server.on('connection', (socket) => {
    lines.set(socket, { last: undefined, waiting: 0, told: false });
    socket.once('close', () => {
      lines.delete(socket);
      calm?.();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const taken = typeof address === 'object' && address ? address.port : port;

  const drain = async () => {
    handler.drain?.();
    const cut = setTimeout(() => server.closeAllConnections(), drainDelay + drainLimit);
    const inFlight = [...lines].flatMap(([socket, { last }]) => (last ? [{ socket, last }] : []));
    for (const { last } of inFlight) if (!last.headersSent) last.setHeader('Connection', 'close');
    await Promise.all([
      new Promise((resolve) => setTimeout(resolve, drainDelay)),
      new Promise<void>((resolve) => {
        calm = () => {
          if (!inFlight.some(({ socket, last }) => lines.has(socket) && !last.closed)) resolve();
        };
        calm();
      }),
    ]);
    // A loop that was held up meets its timers before what has come meanwhile: a turn to accept, one to read, one to spare.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // One that has sent nothing yet, as browsers open them ahead of time, is not idle by Node's count, and would be waited for: it is given
    // as long as a request takes that is on its way.
    const silent = setTimeout(() => {
      for (const [socket, { last }] of lines) if (!last && socket.bytesRead === 0) socket.destroy();
    }, SILENCE_MS);
    await closed;
    clearTimeout(silent);
    clearTimeout(cut);
  };
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
    close: () => {
      closing ??= drain();
      return closing;
    },
  };
}

/** The requests of a connection that are not answered yet. */
interface Line {
  /** Answer to the last of them: those before it are out first. */
  last: ServerResponse | undefined;
  /** How many wait for those before them. */
  waiting: number;
  /** Whether the last of them had its answer before the end of its body. */
  told: boolean;
  /** Refuses what came behind them, where that is no request. */
  refuse?: () => void;
}

/** Requests that may wait in a line; a connection with more is ended. */
const LINE_LIMIT = 64;

/** For which a connection that has sent nothing is waited for when the server closes. */
const SILENCE_MS = 250;

/**
 * What a head says that node:http passes over. RFC 9112: without a Host, HTTP/1.1 is not answered (3.2; Node would refuse it without a
 * word), nor is a request with several, of which Node takes the first; a body under another transfer coding than chunked is not what it
 * seems (6.1).
 */
function unfit({ headers, rawHeaders, httpVersion }: IncomingMessage): SeedmaskError | undefined {
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.length === 4 && name.toLowerCase() === 'host').length;
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1'))
    return new SeedmaskError('bad-request', { field: 'Host', expected: 'there once: HTTP/1.1 wants it', got: `${hosts} of them` });
  // Where chunked is not the last one, node:http refuses it.
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && /,\s*chunked\s*$/i.test(coding))
    return new SeedmaskError('bad-request', {
      field: 'Transfer-Encoding',
      expected: 'chunked or absent',
      got: coding,
      hint: 'Compress under Content-Encoding.',
    });
  return undefined;
}

/** What node:http could not read. */
function refusalOf({ code, message }: NodeJS.ErrnoException): SeedmaskError {
  if (code === 'HPE_HEADER_OVERFLOW') return new SeedmaskError('large-head', { expected: `${maxHeaderSize} bytes` });
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new SeedmaskError('slow-request');
  return new SeedmaskError('no-http', { got: message.replace(/^Parse Error: /, '').slice(0, 120) });
}

/** The whole answer to that. @param id of the request, empty where nobody knows it */
function textOf(refusal: SeedmaskError, id: string): string {
  const { status, type, body } = failure(refusal, { url: '/v2', headers: {} });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...(id ? [`X-Request-Id: ${id}`] : []),
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Date: ${new Date().toUTCString()}`,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): SeedmaskError {
  const reasons: Record<string, [string, string]> = {
    EADDRINUSE: ['the port is in use', 'Choose another with --port, or stop the program that holds it.'],
    EACCES: ['not permitted', 'Ports below 1024 need rights: choose a higher one with --port.'],
    EADDRNOTAVAIL: ['this machine has no such address', 'Choose 127.0.0.1, or 0.0.0.0 for all addresses, with --host.'],
    ENOTFOUND: ['no such host name', 'Choose an address of this machine with --host.'],
  };
  const [got, hint] = reasons[error.code ?? ''] ?? [error.message, undefined];
  return new SeedmaskError('cannot-listen', { field: `${host}:${port}`, expected: 'a free port', got, hint });
}
