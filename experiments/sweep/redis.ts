// The connection of a queue to Redis. It must be there at the start; if it goes away later, commands wait until it is back, and after
// `patience` seconds everything fails with one line. Passwords are never shown: messages name host, port and database.

import type { Redis } from 'ioredis';
import { SeedmaskError } from '../../codec/index.js';
import { optional } from '../optional.js';

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  /** The URL without user and password. */
  readonly shown: string;
}

export interface Connection {
  readonly redis: Redis;
  readonly shown: string;
  /** Rejects when Redis has been away for longer than we are patient; never resolves. */
  readonly lost: Promise<never>;
  close(): void;
}

/** Seconds that an outage may last. */
export const PATIENCE = 120;
const FIRST_ANSWER_MS = 10_000;
const BETWEEN_ATTEMPTS_MS = 500;
/** What an address looks like. */
export const QUEUE_FORM = 'redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS';

/** @throws SeedmaskError bad-option; it shows nothing of the text but its scheme */
export function addressOf(text: string): Address {
  const wrong = (got: string) => new SeedmaskError('bad-option', { field: '--queue', expected: QUEUE_FORM, got });
  let url: URL;
  let username: string;
  let password: string;
  try {
    url = new URL(text);
    [username, password] = [url.username, url.password].map(decodeURIComponent);
  } catch {
    throw wrong('no URL');
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') throw wrong(`a URL of ${url.protocol.slice(0, 20)}//`);
  if (url.hostname === '') throw wrong('a URL without a host');
  if (!/^\/?\d{0,9}$/.test(url.pathname)) throw wrong('a path that is no database number');
  if (url.search || url.hash) throw wrong('a URL with more behind it');
  const [host, port, db] = [url.hostname.replace(/^\[|\]$/g, ''), Number(url.port || 6379), Number(url.pathname.slice(1))];
  return {
    host,
    port,
    db,
    tls: url.protocol === 'rediss:',
    ...(username && { username }),
    ...(password && { password }),
    shown: `${url.protocol}//${url.hostname}:${port}${db ? `/${db}` : ''}`,
  };
}

/**
 * @param say told once when Redis goes away and once when it is back
 * @param patience seconds that an outage may last
 * @throws SeedmaskError no-package, no-queue
 */
export async function connect(address: Address, say: (line: string) => void, patience = PATIENCE): Promise<Connection> {
  const { Redis } = await optional('a queue', 'ioredis', () => import('ioredis'));
  const { host, port, db, tls, username, password, shown } = address;
  let state: 'new' | 'up' | 'away' | 'closed' = 'new';
  let since = 0;
  let reason = 'no answer';
  const redis = new Redis({
    ...{ host, port, db, username, password, tls: tls ? {} : undefined },
    lazyConnect: true,
    connectTimeout: FIRST_ANSWER_MS,
    maxRetriesPerRequest: null,
    // Of this connection and of its copies, so the first attempt of any of them begins the wait.
    retryStrategy(times) {
      if (times === 1) since = performance.now();
      return state !== 'new' && state !== 'closed' && performance.now() - since < patience * 1000 ? BETWEEN_ATTEMPTS_MS : null;
    },
  });
  const failure = (got: string, hint?: string) => new SeedmaskError('no-queue', { field: shown, got, hint });
  redis.on('error', (error) => {
    reason = reasonOf(error);
  });
  const lost = new Promise<never>((_, reject) => {
    redis.on('end', () => {
      if (state === 'away')
        reject(failure(`away for ${patience} s: ${reason}`, 'Start it, then this command again: what was done is kept'));
    });
  });
  lost.catch(() => undefined);
  const timer = setTimeout(() => redis.disconnect(), FIRST_ANSWER_MS);
  try {
    await redis.connect();
    await redis.ping();
    // Chosen by the client already, but it tells nobody where that failed.
    if (db) await redis.select(db);
  } catch (error) {
    // A closed connection is the consequence; the error event before it said why.
    if (!/closed/.test((error as Error).message)) reason = reasonOf(error as Error);
    redis.disconnect();
    if (/NOAUTH/.test(reason)) throw failure('it asks for a password', 'Put it into the URL: redis://:PASSWORD@HOST');
    if (/WRONGPASS|invalid password/.test(reason)) throw failure('it refuses this user or password', 'Correct the URL');
    if (/DB index/.test(reason)) throw failure(`it has no database ${db}`, 'Correct the URL');
    throw failure(reason.replace(/\.+$/, ''), 'Is redis-server running there?');
  } finally {
    clearTimeout(timer);
  }
  state = 'up';
  redis.on('close', () => {
    if (state !== 'up') return;
    state = 'away';
    say(`${shown} is away; waiting up to ${patience} s for it`);
  });
  redis.on('ready', () => {
    if (state === 'away') say(`${shown} is back`);
    state = 'up';
  });
  return {
    redis,
    shown,
    lost,
    close() {
      state = 'closed';
      redis.disconnect();
    },
  };
}

/** One line of an error; a name with several addresses gives an error without text around one error for each. */
export function reasonOf(error: Error): string {
  const first = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  return plain(first.message || String((first as NodeJS.ErrnoException).code ?? first.name));
}

/** Text from elsewhere as one line without control characters. */
export const plain = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
