// A client of the server for Node and the browser, over fetch: classify, list tasks, fetch masks and networks. Every call is free of
// side effects, so what the server turned away (429, 503) or what got lost on the way is tried again, after the time that Retry-After
// names or else a growing one. An AbortSignal ends a call at any point, waiting included.

import { bytesOf } from './body.js';
import { RequestError } from './errors.js';
import { LONGEST_WAIT, pause, sleep } from './retry.js';

export { type Failure, RequestError } from './errors.js';

export interface ClientOptions {
  /** Where the server is, with its path prefix if it has one: http://localhost:8080. */
  readonly url: string | URL;
  /** API key, if the server asks for one. */
  readonly key?: string;
  /** How often a call is tried again at most, 0: never; default 4. */
  readonly retries?: number;
  /** Milliseconds that one wait before another try takes at most; a server that asks for more ends the call. Default 30,000. */
  readonly longestWait?: number;
  /** Bytes that one answer may have; a larger one ends the call. Default 256 MiB. */
  readonly largestAnswer?: number;
  /** The fetch to use; default: the global one. */
  readonly fetch?: typeof fetch;
}

/** Milliseconds by which the server's word that time is over may come later than it is. */
const GRACE = 250;

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /**
   * Milliseconds for one try; the server drops what it can no longer answer in time and says so, code 'deadline'. One that says nothing
   * is left a quarter of a second later, and tried again. Default, and Infinity: no limit. RangeError, by rejection, for less than 0.
   */
  readonly timeout?: number;
}

/** Rows of raw values: whole rows of bytes, or a list of rows; a row is flat, or shaped like an image that the network takes. */
export type Rows = Uint8Array | Uint8ClampedArray | readonly Row[];
export type Row = ArrayLike<number> | readonly Row[];
/** A row of a task over numbers, each by its name (`TaskInfo.columns`), in which words are categories. */
export type NamedRow = Readonly<Record<string, number | string | boolean>>;

export interface ClassifyOptions extends CallOptions {
  /** A version of the task; default: the highest. */
  readonly version?: string;
  /** A version label of the task, instead of a version. */
  readonly label?: string;
  /** Least probability of a label, 0 .. 1; below it the label is null. */
  readonly abstain?: number;
}

export interface Prediction {
  /** Null where the server abstains. */
  readonly label: string | null;
  /** One per label of the task, in their order. */
  readonly probabilities: readonly number[];
}

export interface InferTaskOptions extends CallOptions {
  /** Names to choose from; default: every task of the network. */
  readonly tasks?: readonly string[];
  /** `all`, the default and the surest, asks every mask; `oneshot` and `binary` look at all of them laid on one another. */
  readonly method?: 'all' | 'oneshot' | 'binary';
}

/** Which task rows are for. */
export interface TaskGuess {
  readonly task: string;
  /** 0 .. 1; 1 divided by the number of tasks when nothing speaks for any. */
  readonly confidence: number;
  /** The most likely tasks, the best first. */
  readonly tasks: readonly { readonly task: string; readonly version: string; readonly score: number }[];
  readonly cost: {
    readonly milliseconds: number;
    readonly tasks: number;
    readonly skipped: number;
    readonly masks: number;
    readonly passes: number;
    readonly rows: number;
  };
}

export interface TaskInfo {
  readonly id: string;
  /** Values of one row. */
  readonly inputs: number;
  /** [height, width, channels]. */
  readonly shape: readonly [number, number, number];
  readonly labels: readonly string[];
  readonly versions: readonly string[];
  /** Version label -> version. */
  readonly versionLabels: Readonly<Record<string, string>>;
  /** What the values of a row must be. */
  readonly values: string;
  /** Names of the values of a row, in order, where they are numbers with names. */
  readonly columns?: readonly string[];
  /** Of numbers, what stands for one that is missing: nearly the mean of the training rows. */
  readonly means?: readonly number[];
}

export interface TaskPage {
  readonly tasks: readonly TaskInfo[];
  /** Null on the last page. */
  readonly next: string | null;
}

export interface NetworkInfo {
  readonly id: string;
  readonly network: string;
  readonly input: readonly [number, number, number];
  readonly layers: readonly Readonly<Record<string, unknown>>[];
  readonly distribution: string;
  readonly sigma: string | number;
  /** 64 bits, 0x and hex. */
  readonly seed: string;
  readonly weights: number;
  readonly integer: boolean;
  readonly tasks: number;
}

/** A model file and its content id (for a network: its network id), 64 hex digits. */
export interface Fetched {
  readonly bytes: Uint8Array;
  readonly id: string;
}

export interface MaskOptions extends CallOptions {
  readonly version?: string;
  readonly label?: string;
  /** The content id that the mask must have; then caches may keep it for ever. */
  readonly id?: string;
}

/** A client of one server. It holds no connection of its own: there is nothing to close. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

export class Client {
  readonly #base: string;
  readonly #key: string | undefined;
  readonly #retries: number;
  readonly #longestWait: number;
  readonly #largestAnswer: number;
  readonly #fetch: typeof fetch;

  /** Use `createClient`. Throws RangeError for a limit that is no number of 0 or more, a key that no header takes, a password in the URL. */
  constructor({ url, key, retries = 4, longestWait = 30_000, largestAnswer = 2 ** 28, fetch: given }: ClientOptions) {
    this.#base = String(url).replace(/\/+$/, '');
    this.#key = key?.trim();
    // Neither is shown, as fetch would, try after try.
    if (holdsPassword(this.#base)) throw new RangeError('url must be without a name and password; an API key goes into key');
    if (key !== undefined && !/^\s*[!-~]*\s*$/.test(key)) throw new RangeError('key must be of visible ASCII characters alone');
    this.#retries = limit('retries', retries);
    this.#longestWait = limit('longestWait', longestWait);
    this.#largestAnswer = limit('largestAnswer', largestAnswer);
    this.#fetch = given ?? ((input, init) => fetch(input, init));
  }

  /**
   * Classifies rows under a task, one prediction a row.
   * @throws RequestError (by rejection) with the server's code, or 'no-answer'; the signal's reason when it is aborted
   */
  async classify(task: string, rows: Rows | readonly NamedRow[], options: ClassifyOptions = {}): Promise<Prediction[]> {
    const { version, label, abstain } = options;
    const path = `/tasks/${segment('task', task)}/classify`;
    const reply = await this.#call(path, { version, label, abstain }, options, posted(rows));
    return listOf(reply, 'predictions');
  }

  /**
   * Which task of a network rows are for, when nobody knows: a few rows of one task, at most 256.
   * @param network its id, as `networks` gives it
   * @throws RequestError (by rejection) with the server's code, or 'no-answer'; the signal's reason when it is aborted
   */
  async inferTask(network: string, rows: Rows, options: InferTaskOptions = {}): Promise<TaskGuess> {
    const query = { method: options.method, tasks: options.tasks?.join(',') };
    return parsed(await this.#call(`/networks/${segment('network', network)}/infer-task`, query, options, posted(rows)));
  }

  /** One page of the tasks, in order of name. Throws RequestError by rejection. */
  async page(options: CallOptions & { readonly limit?: number; readonly next?: string } = {}): Promise<TaskPage> {
    const reply = await this.#call('/tasks', { limit: options.limit, next: options.next }, options);
    const { tasks, next = null } = parsed<Partial<TaskPage>>(reply);
    if (!Array.isArray(tasks) || (next !== null && typeof next !== 'string')) throw foreign(reply);
    return { tasks, next };
  }

  /** All tasks, page by page as they are asked for. Throws RequestError by rejection. */
  async *tasks(options: CallOptions & { readonly limit?: number } = {}): AsyncGenerator<TaskInfo, void, undefined> {
    let next: string | undefined;
    do {
      const page = await this.page({ ...options, next });
      yield* page.tasks;
      const before = next;
      next = page.next ?? undefined;
      if (before !== undefined && next !== undefined && next <= before)
        throw RequestError.foreign(`after the tasks from ${before} on come those from ${next} on`, { status: 200 });
    } while (next !== undefined);
  }

  /** One task. Throws RequestError by rejection. */
  async task(task: string, options: CallOptions = {}): Promise<TaskInfo> {
    return parsed(await this.#call(`/tasks/${segment('task', task)}`, {}, options));
  }

  /** A task's mask as a model file without its network: `readModel` of seedmask/codec reads it. Throws RequestError by rejection. */
  async mask(task: string, options: MaskOptions = {}): Promise<Fetched> {
    const { version, label, id } = options;
    return file(await this.#call(`/tasks/${segment('task', task)}/mask`, { version, label, id }, options));
  }

  /** The networks under the tasks. Throws RequestError by rejection. */
  async networks(options: CallOptions = {}): Promise<NetworkInfo[]> {
    return listOf(await this.#call('/networks', {}, options), 'networks');
  }

  /** A network as a model file without tasks. Throws RequestError by rejection. */
  async network(id: string, options: CallOptions = {}): Promise<Fetched> {
    const headers = { Accept: 'application/octet-stream' };
    return file(await this.#call(`/networks/${segment('network', id)}`, {}, options, { headers }));
  }

  async #call(path: string, query: Query, { signal, timeout = Number.POSITIVE_INFINITY }: CallOptions, init: Init = {}): Promise<Reply> {
    limit('timeout', timeout);
    const asked = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
    const url = `${this.#base}${path}${asked.length ? `?${new URLSearchParams(asked)}` : ''}`;
    const headers = {
      ...init.headers,
      ...(this.#key !== undefined && { Authorization: `Bearer ${this.#key}` }),
      ...(Number.isFinite(timeout) && { 'X-Timeout-Ms': String(timeout) }),
    };
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      // By hand: not every Safari has AbortSignal.any, and in that of Node 20 an AbortSignal.timeout may be collected before its time.
      const ends = new AbortController();
      const stop = () => ends.abort(signal?.reason);
      signal?.addEventListener('abort', stop);
      const late = () => ends.abort(new DOMException(`longer than ${timeout} ms`, 'TimeoutError'));
      const timer = Number.isFinite(timeout) ? setTimeout(late, Math.min(LONGEST_WAIT, timeout + GRACE)) : undefined;
      let failure: RequestError;
      try {
        const response = await this.#fetch(url, { ...init, headers, signal: ends.signal });
        if (response.ok) {
          const { status, headers } = response;
          const { bytes, whole } = await bytesOf(response, this.#largestAnswer);
          if (whole) return { status, headers, bytes };
          failure = RequestError.tooLarge(url, status, this.#largestAnswer);
        } else failure = await RequestError.of(response);
      } catch (error) {
        signal?.throwIfAborted();
        failure = RequestError.lost(url, error);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
      }
      const wait = pause(failure, tries, this.#longestWait);
      if (tries >= this.#retries || wait === null) throw failure;
      await sleep(wait, signal);
    }
  }
}

type Query = Readonly<Record<string, string | number | undefined>>;
interface Init {
  readonly method?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A whole answer. */
interface Reply {
  readonly status: number;
  readonly bytes: Uint8Array;
  readonly headers: Headers;
}

/** @throws RangeError unless a limit is 0 or more: compared with NaN, nothing is ever too much */
function limit(name: string, value: number): number {
  if (typeof value === 'number' && value >= 0) return value;
  throw new RangeError(`${name} must be a number of 0 or more, got ${value}; Infinity is no limit`);
}

/** A name in a path. @throws RangeError for one that would lead to another path */
function segment(what: string, name: string): string {
  if (!/^\.{0,2}$/.test(name)) return encodeURIComponent(name);
  throw new RangeError(`${what} must be a name, got '${name}'`);
}

/** Rows as the body of a request. */
function posted(rows: Rows | readonly NamedRow[]): Init {
  if (rows instanceof Uint8Array || rows instanceof Uint8ClampedArray)
    return { method: 'POST', body: Uint8Array.from(rows), headers: { 'Content-Type': 'application/octet-stream' } };
  // Of other typed arrays nobody can tell where a row ends.
  if (!Array.isArray(rows)) throw new TypeError('rows must be a Uint8Array of whole rows, or a list of rows: [row] for a single one');
  const body = JSON.stringify({ instances: rows.map(plain) });
  return { method: 'POST', body, headers: { 'Content-Type': 'application/json' } };
}

/** Typed arrays as the lists that JSON has; what is no number is left to the server, which says where it is. */
function plain(row: Row | NamedRow | number): unknown {
  return isList(row) ? Array.from<number | Row, unknown>(row, plain) : row;
}

/** A named row may have a column that is called length, or 0. */
function isList(row: unknown): row is ArrayLike<number | Row> {
  return typeof row === 'object' && row !== null && (Symbol.iterator in row || ('0' in row && 'length' in row));
}

/** A URL with a name or password in it, by its looks or as fetch reads it. */
function holdsPassword(url: string): boolean {
  if (/^[a-z]+:\/\/[^/?#]*@/i.test(url)) return true;
  try {
    const { username, password } = new URL(url);
    return username + password !== '';
  } catch {
    return false;
  }
}

const textOf = ({ bytes }: Reply): string => new TextDecoder().decode(bytes);
const foreign = (reply: Reply): RequestError => RequestError.foreign(textOf(reply), { status: reply.status });

/** The object that an answer is. */
function parsed<T extends object>(reply: Reply): T {
  let value: unknown = null;
  try {
    value = JSON.parse(textOf(reply));
  } catch {
    // Whatever it is, it is no answer.
  }
  if (typeof value !== 'object' || value === null) throw foreign(reply);
  return value as T;
}

/** The list that an answer has under a name. */
function listOf<T>(reply: Reply, name: string): T[] {
  const list = parsed<Record<string, unknown>>(reply)[name];
  if (!Array.isArray(list)) throw foreign(reply);
  return list;
}

function file(reply: Reply): Fetched {
  const id = /"([0-9a-f]{64})"/.exec(reply.headers.get('etag') ?? '')?.[1];
  if (id === undefined) throw RequestError.foreign('what came has no content id', { status: reply.status });
  return { bytes: reply.bytes, id };
}
