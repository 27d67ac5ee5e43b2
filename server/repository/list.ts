// What an origin has: its contents.json, page by page, each page asked for again only if it has changed. The list has an end: pages,
// entries and bytes are counted over all of it.

import { SeedmaskError } from '../../codec/errors.js';
import { parseJson } from '../requests/json.js';
import { checked } from '../requests/schemas.js';
import { Contents } from './contents.js';
import type { Origin } from './origin.js';

/** Its URL is absolute. */
export type Entry = Contents['tasks'][number];
interface Page {
  readonly etag: string | null;
  readonly page: Contents;
  /** What it adds to the length of the list. */
  readonly length: number;
}
export interface Wanted {
  readonly tasks: readonly Entry[];
  /** Network id -> URL. */
  readonly networks: ReadonlyMap<string, string>;
  /** Whether there may be tasks that are not listed, as their file cannot be read there now. */
  readonly incomplete: boolean;
}

const DOCUMENT_LIMIT = 32 * 1024 * 1024;
const PAGES_LIMIT = 10_000;
/** Memory that an entry takes, however short it is. */
const ENTRY_BYTES = 256;

export class List {
  readonly document: URL;
  readonly #origin: Origin;
  readonly #limit: number;
  /** Pages as they were last read, by URL. */
  #pages: ReadonlyMap<string, Page> = new Map();

  /**
   * @param document the first page
   * @param limit bytes of all pages at most, where an entry counts as 256 of them at least
   */
  constructor(origin: Origin, document: URL, limit = 256 * 1024 * 1024) {
    this.#origin = origin;
    this.document = document;
    this.#limit = limit;
  }

  /** Throws SeedmaskError (by rejection): cannot-pull, over-limit, bad-store. */
  async read(): Promise<Wanted> {
    const tasks = new Map<string, Entry>();
    const networks = new Map<string, string>();
    const pages = new Map<string, Page>();
    let length = 0;
    let incomplete = false;
    let at: URL | undefined = this.document;
    while (at) {
      const { href }: URL = at;
      if (pages.has(href) || pages.size === PAGES_LIMIT) throw tooLong(href, `${PAGES_LIMIT} pages`, 'one without end');
      const known = this.#pages.get(href);
      const { bytes, etag, url: base } = await this.#origin.get(href, { limit: DOCUMENT_LIMIT, etag: known?.etag });
      const page: Page | undefined = bytes ? { etag, ...parsed(bytes, base) } : known && { ...known, etag };
      if (!page) throw new SeedmaskError('cannot-pull', { field: href, got: 'HTTP 304 to a first question' });
      length += page.length;
      if (length > this.#limit) throw tooLong(href, `${this.#limit} bytes, ${ENTRY_BYTES} and more an entry`, `${length} so far`);
      pages.set(href, page);
      const { tasks: listed, networks: needed = [], next } = page.page;
      for (const entry of listed) tasks.set(`${entry.task} ${entry.version}`, { ...entry, url: absolute(entry.url, base) });
      for (const { id, url } of needed) networks.set(id, absolute(url, base));
      incomplete ||= page.page.incomplete === true;
      at = next ? this.#origin.resolve(next, base) : undefined;
    }
    if (tasks.size === 0 && !incomplete) {
      const hint = 'It removes nothing; see whether its folder is mounted, and whether the key may use its tasks.';
      throw new SeedmaskError('bad-store', { field: this.document.href, expected: 'a list with at least one task', got: 'none', hint });
    }
    this.#pages = pages;
    return { tasks: [...tasks.values()], networks, incomplete };
  }
}

const tooLong = (field: string, most: string, got: string): SeedmaskError =>
  new SeedmaskError('bad-store', { field, expected: `a list of at most ${most}`, got });

/** What is no URL at all stays as it is, and is refused when it is asked for. */
const absolute = (url: string, base: URL): string => (URL.canParse(url, base) ? new URL(url, base).href : url);

function parsed(bytes: Uint8Array, { href }: URL): Pick<Page, 'page' | 'length'> {
  if (bytes.length === 0) throw new SeedmaskError('bad-store', { field: href, expected: 'a contents.json', got: 'an empty answer' });
  try {
    const page = checked(Contents, parseJson(bytes), '');
    return { page, length: Math.max(bytes.length, ENTRY_BYTES * (page.tasks.length + (page.networks?.length ?? 0))) };
  } catch (error) {
    if (!(error instanceof SeedmaskError)) throw error;
    throw new SeedmaskError('bad-store', { field: href, expected: 'a contents.json', got: error.message });
  }
}
