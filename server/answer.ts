// What a request is answered with, and what is told of it afterwards. Long lists are written in turns with other requests.

import { inSlices } from './running/slices.js';
import type { Trace } from './trace.js';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Code of the failure it tells. */
  readonly code?: string;
}

/** A JSON answer. Its type is exactly application/json: KServe's client compares the header as a string. */
export const json = (value: unknown, status = 200, headers?: Record<string, string>): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
  headers,
});

/** All items, each of which takes little to make, in turns with other requests. */
export async function inTurns<T>(items: Iterable<T>): Promise<T[]> {
  function* steps(): Generator<void, T[]> {
    const made: T[] = [];
    for (const item of items) {
      made.push(item);
      yield;
    }
    return made;
  }
  return (await inSlices(steps())).value;
}

/** A JSON answer around a list that may be long: open, the texts of its items, close. It is written in turns with other requests. */
export async function textList(open: string, texts: Iterable<string>, close: string): Promise<Answer & { readonly body: string }> {
  const parts = await inTurns(texts);
  return { status: 200, type: 'application/json', body: `${open}${parts.join(',')}${close}` };
}

/** The same of values. */
export function jsonList(open: string, items: Iterable<unknown>, close: string): Promise<Answer> {
  function* texts() {
    for (const item of items) yield JSON.stringify(item);
  }
  return textList(open, texts(), close);
}

/** A request and what became of it. */
export interface Exchange {
  readonly method: string;
  /** The route's path with its parameters in braces; 'none' for a request that no route takes. */
  readonly route: string;
  readonly trace: Trace;
  readonly task?: string;
  /** Whose key it was. */
  readonly caller?: string;
  readonly status: number;
  /** Code of the failure. */
  readonly code?: string;
  readonly seconds: number;
}
