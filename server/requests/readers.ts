// Bodies become rows, each kind of request in its own way. Small ones here and now; what takes milliseconds to read in a thread, where
// there is one: the very same functions run there.

import { size } from '../../src/network.js';
import { Classify, decodeContent, type Method, WhichTask } from './content.js';
import { kindOf, type RawRows } from './kinds.js';
import type { Input } from './named-rows.js';
import { type Infers, readTensors } from './oip-bodies.js';
import { pixelsOf } from './pixels.js';
import type { Rows } from './rows.js';
import { readExamples, readPredict } from './tfserving-bodies.js';

/** What readers go by; type and numbers on our own routes: elsewhere a body is JSON whatever they say. */
export interface Reading extends RawRows {
  /** Rows at most. */
  readonly limit: number;
  /** What the one input is called; default: pixels. */
  readonly input?: Input;
  /** Inference-Header-Content-Length. */
  readonly header?: string;
}

type Said<T> = { readonly rows: Rows; readonly said?: T };
/** Each throws SeedmaskError about the body, its shape or its values. */
export interface Readers {
  classify(body: Uint8Array, reading: Reading): Said<{ readonly abstain?: number }>;
  'infer-task'(body: Uint8Array, reading: Reading): Said<{ readonly tasks?: string[]; readonly method?: Method }>;
  predict(body: Uint8Array, reading: Reading): { readonly rows: Rows; readonly columns?: boolean };
  examples(body: Uint8Array, reading: Reading): { readonly rows: Rows };
  tensors(body: Uint8Array, reading: Reading): Infers;
}
export type Reader = keyof Readers;
export type Read<R extends Reader> = ReturnType<Readers[R]>;

/** Where large bodies are read that nobody shall wait for: threads (running/threads.ts). */
export interface BodyThreads {
  /**
   * Rows of a large body, which would hold up the loop to read.
   * @throws SeedmaskError (by rejection) about the body, its shape or its values; overloaded, lost-worker
   */
  read<R extends Reader>(reader: R, body: Uint8Array, reading: Reading): Promise<Read<R>>;
}

export const READERS: Readers = {
  classify: (body, reading) => saying(decodeContent(body, Classify, reading), ({ abstain }) => ({ abstain })),
  'infer-task': (body, reading) => saying(decodeContent(body, WhichTask, reading), ({ tasks, method }) => ({ tasks, method })),
  predict: readPredict,
  examples: readExamples,
  tensors: readTensors,
};

/** Of all that a body says only what is asked for: a thread's answer is copied on the event loop, and rows as JSON are large. */
function saying<T, P>({ rows, said }: Said<T>, pick: (said: T) => P): Said<P> {
  return said === undefined ? { rows } : { rows, said: pick(said) };
}

/** Bytes from which JSON, msgpack and PNGs (any number of chunks around few pixels) can take milliseconds to read. */
const LARGE = 64 * 1024;
/** Bytes of whole pixels as JSON, or of float32, that take no longer than a thread needs to be told: some 2 ns a byte. */
const QUICK = 1024 * 1024;

/**
 * What `then` makes of a body: of its rows, and what else it says; at once where the body was read at once.
 * @throws SeedmaskError, also by rejection, as the reader; overloaded, lost-worker
 */
export function read<R extends Reader, T>(
  reader: R,
  body: Uint8Array,
  reading: Reading,
  { threads }: { readonly threads: BodyThreads | undefined },
  then: (found: Read<R>) => T,
): T | Promise<T> {
  const here = () => then(READERS[reader](body, reading) as Read<R>);
  if (!threads || body.length < LARGE) return here();
  const { shape, numbers, limit } = reading;
  if (reader === 'classify' || reader === 'infer-task') {
    const kind = kindOf(body, reading);
    if (kind === 'pixels' && !(numbers && body.length > QUICK)) return here();
  }
  const quick = reader !== 'tensors' && reader !== 'examples' && body.length <= QUICK ? pixelsOf(body, size(shape), limit) : null;
  return quick ? then({ rows: quick } as Read<R>) : threads.read(reader, body, reading).then(then);
}
