// Who may ask for what. Keys are stored as SHA-256 hashes and compared in constant time; each names its tasks and its share of
// requests. A key is 256 random bits, so a plain hash is enough, and the map from hashes tells an attacker who times it nothing:
// whoever can choose the first bits of a hash has no need to.
//
//   open    health, metadata of the server, documents, the repository index
//   key     everything about tasks; without a list of keys anyone
//   admin   load and unload; closed until there is an admin key, which also opens everything else
//
// A key comes as `Authorization: Bearer KEY` or `X-API-Key: KEY`. It is never kept, logged or put into an error.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { z } from 'zod';
import { SeedmaskError } from '../codec/errors.js';
import { TASK_ID } from '../codec/records.js';

export type Access = 'open' | 'key' | 'admin';

/** What logs call those who have no entry: nobody with one may pose as them. */
const [ANYONE_NAME, ADMIN_NAME] = ['anyone', 'admin'];

const SHA256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256: 64 hex digits in lower case');
const [REQUESTS, SECONDS] = ['a whole number of at least 1', 'a whole number from 1 to 86400'];
const isTasks = (text: string): boolean => text === '*' || TASK_ID.test(text.replace(/\*$/, ''));
const KeyRecord = z.strictObject({
  /** What logs call the key's owner. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$/, 'a name of at most 64 of A-Z a-z 0-9 . _ ~ -')
    .refine(
      (name) => name !== ANYONE_NAME && name !== ADMIN_NAME,
      `another name than ${ANYONE_NAME} and ${ADMIN_NAME}, which logs use themselves`,
    ),
  sha256: SHA256,
  /** Names of the tasks it may use, a last * standing for any end; absent: all. */
  tasks: z.array(z.string().refine(isTasks, 'a task name, or the beginning of one and *')).optional(),
  /** Requests it may make in so many seconds; absent: any number. */
  limit: z
    .strictObject({ requests: z.int(REQUESTS).positive(REQUESTS), seconds: z.int(SECONDS).positive(SECONDS).max(86400, SECONDS) })
    .optional(),
});
const KeyFile = z.strictObject({ keys: z.array(KeyRecord).max(10_000, 'a list of at most 10,000') });
export type KeyRecord = z.infer<typeof KeyRecord>;

/** The stored form of a key. */
export const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex');

/**
 * The records of a key file: {"keys": [{"name", "sha256", "tasks"?, "limit"?: {"requests", "seconds"}}]}.
 * @param source what error texts call it
 * @throws SeedmaskError bad-keys, which shows nothing of what was found
 */
export function readKeys(text: string, source: string): KeyRecord[] {
  const refuse = (field: string, expected: string): never => {
    throw new SeedmaskError('bad-keys', { field, expected, hint: 'Make entries with seedmask keys add.' });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse(source, 'JSON such as {"keys": [{"name": "lab", "sha256": "..."}]}');
  }
  const parsed = KeyFile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue.path.length > 0 ? `/${issue.path.join('/')} of ${source}` : source;
    if (issue.code === 'unrecognized_keys') return refuse(field, 'free of other fields');
    return refuse(
      field,
      issue.message.startsWith('Invalid') && issue.code === 'invalid_type' ? `of type ${issue.expected}` : issue.message,
    );
  }
  const { keys } = parsed.data;
  for (const field of ['name', 'sha256'] as const) {
    const seen = new Set<string>();
    keys.forEach((key, i) => {
      if (seen.has(key[field])) refuse(`/keys/${i}/${field} of ${source}`, `another ${field} than every key before it`);
      seen.add(key[field]);
    });
  }
  return keys;
}

/**
 * The hash in an admin key file: one line, sha256:HEX.
 * @throws SeedmaskError bad-keys, which shows nothing of what was found
 */
export function readAdminKey(text: string, source: string): string {
  const hash = /^sha256:([0-9a-f]{64})\s*$/.exec(text)?.[1];
  if (hash !== undefined) return hash;
  const expected = 'one line of sha256: and 64 hex digits, the hash of the key and not the key itself';
  throw new SeedmaskError('bad-keys', { field: source, expected, hint: 'Make one with seedmask keys add --admin.' });
}

function checkHash(hash: string, field: string): void {
  if (SHA256.safeParse(hash).success) return;
  const expected = 'a SHA-256: 64 hex digits in lower case';
  throw new SeedmaskError('bad-keys', { field, expected, hint: 'hashOf makes it of the key, readKeys and readAdminKey of files.' });
}

interface Holder extends KeyRecord {
  readonly limiter?: RateLimiterMemory;
}

/** Whom a request comes from: a name for the log, and the tasks it may use. */
export interface Caller {
  readonly name: string;
  readonly allows: (task: string) => boolean;
}

const ANYONE: Caller = { name: ANYONE_NAME, allows: () => true };
const ADMIN: Caller = { name: ADMIN_NAME, allows: () => true };
const BEARER = /^Bearer +(\S+)$/i;

export class Gate {
  readonly #holders: ReadonlyMap<string, Holder> | null;
  readonly #admin: Buffer | null;

  /**
   * @param keys null: no key is needed
   * @param admin SHA-256 of the admin key as hex; null: admin routes are closed
   * @throws SeedmaskError bad-keys when a hash is none
   */
  constructor(keys: readonly KeyRecord[] | null, admin: string | null) {
    keys?.forEach(({ sha256 }, i) => {
      checkHash(sha256, `keys[${i}].sha256`);
    });
    if (admin !== null) checkHash(admin, 'adminKey');
    this.#holders = keys && new Map(keys.map((key) => [key.sha256, holder(key)]));
    this.#admin = admin === null ? null : Buffer.from(admin, 'hex');
  }

  /** Whether clients need a key. */
  get keyed(): boolean {
    return this.#holders !== null;
  }

  /** Whom a request comes from where nobody is asked for a key; else undefined, and `admit` has to look. */
  open(access: Access): Caller | undefined {
    return access === 'open' || (access === 'key' && this.#holders === null) ? ANYONE : undefined;
  }

  /**
   * Lets a request in or refuses it; waits for nothing.
   * @param task the task it is about, if the route names one
   * @throws SeedmaskError (by rejection) no-key, unknown-key, forbidden-task, not-admin, admin-closed or key-limit
   */
  async admit(access: Access, headers: IncomingHttpHeaders, task?: string): Promise<Caller> {
    const anyone = this.open(access);
    if (anyone) return anyone;
    if (access === 'admin' && this.#admin === null) {
      throw new SeedmaskError('admin-closed', { expected: 'a route for clients', got: 'loading and unloading', hint: CLOSED });
    }
    const key = BEARER.exec(headers.authorization ?? '')?.[1] ?? headers['x-api-key'];
    if (typeof key !== 'string' || key === '') throw new SeedmaskError('no-key', { field: 'Authorization', hint: SEND });
    const hash = createHash('sha256').update(key).digest();
    if (this.#admin !== null && timingSafeEqual(hash, this.#admin)) return ADMIN;
    const found = this.#holders?.get(hash.toString('hex'));
    if (!found || !timingSafeEqual(hash, Buffer.from(found.sha256, 'hex'))) {
      throw new SeedmaskError('unknown-key', { field: 'Authorization', hint: SEND });
    }
    if (access === 'admin') throw new SeedmaskError('not-admin', { field: 'Authorization', got: found.name });
    const caller = { name: found.name, allows: (name: string) => mayUse(found, name) };
    if (task !== undefined && !caller.allows(task)) {
      throw new SeedmaskError('forbidden-task', { field: 'task', expected: found.tasks?.slice(0, 5).join(', '), got: task });
    }
    if (found.limiter && found.limit) {
      await found.limiter.consume(found.name).catch((refused: unknown) => {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        const { requests, seconds } = found.limit ?? { requests: 0, seconds: 0 };
        throw new SeedmaskError('key-limit', {
          field: found.name,
          expected: `${requests} requests in ${seconds} s`,
          retryAfter: Math.max(1, Math.ceil(refused.msBeforeNext / 1000)),
        });
      });
    }
    return caller;
  }
}

const SEND = 'Send Authorization: Bearer KEY, or X-API-Key: KEY.';
const CLOSED = 'Start the server with --admin-key-file FILE; GET /tasks lists what is served.';

function holder(key: KeyRecord): Holder {
  if (!key.limit) return key;
  return { ...key, limiter: new RateLimiterMemory({ points: key.limit.requests, duration: key.limit.seconds }) };
}

const mayUse = ({ tasks }: KeyRecord, name: string): boolean =>
  tasks?.some((allowed) => (allowed.endsWith('*') ? name.startsWith(allowed.slice(0, -1)) : name === allowed)) ?? true;
