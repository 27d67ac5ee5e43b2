// One task of a model file without the rest of it, over anything that gives ranges of bytes: a file, a Blob, a web server.
//
//   openArchive    1 read      the first 4 KiB: prefix, header and page table; a read more for each of the two that does not fit
//   task(5)        2 reads     its page of the index (256 records), then its payload
//                  4 reads     for a task that leans on a base on another page: that page and its payload too
//   task('name')   2 reads     up to 256 tasks; above, one page for each halving of their number (1,000 tasks: 4 reads at most)
//
// What lies in the first 4 KiB is never read again, and the pages last used are kept. What is read is checked as a whole read checks
// it: CRCs, the page table, the weight generator, ids in order, the caller's limits before memory is taken. Only a whole read can see
// that no table entry or index column is idle or twice there, and that the parts not looked at are sound.

import { type Network, totalWeights } from '../src/network.js';
import { DECODERS } from './decoders.js';
import { standAloneStored } from './encode.js';
import { SeedmaskError } from './errors.js';
import { encodeHeader } from './header.js';
import {
  admit,
  type Begun,
  begin,
  checkCanonical,
  checkPage,
  checkTask,
  headerLength,
  PAGE,
  PAGE_BYTES,
  PREFIX_BYTES,
  pageEntry,
  pageTasks,
  payloadLengths,
  readHeads,
} from './layout.js';
import { DEFAULT_LIMITS, type Limits, need, within } from './limits.js';
import { lookedUp } from './networks.js';
import { type TaskHead, taskName } from './records.js';
import { basePlace } from './schemes.js';
import { baseOfStored, checkBaseTask, decodeTask, type PackedTask, type StoredTask, type Task } from './tasks.js';

/**
 * Gives the bytes offset .. offset + length - 1, fewer only where the file ends. Over HTTP: a GET with the header
 * `Range: bytes=OFFSET-LAST`, answered with status 206. Its own failures pass through unchanged.
 */
export type RangeRead = (offset: number, length: number) => Promise<Uint8Array>;

export interface ArchiveOptions {
  /** `maxMaskWeights` holds for one mask, `maxWeights` for one and the base that it leans on: no call here decodes more. */
  readonly limits?: Partial<Limits>;
  /** Where a mask-only file's network comes from. */
  readonly networks?: (id: Uint8Array) => Network | undefined | Promise<Network | undefined>;
  /** Size of the file, if known: then its lengths must add up to it. */
  readonly fileBytes?: number;
}

/** Bytes of the first read. */
const FIRST_READ = 4096;
/** Pages of the index that are kept. */
const KEPT_PAGES = 16;

interface Page {
  readonly records: Uint8Array;
  readonly heads: readonly TaskHead[];
  readonly lengths: readonly number[];
}

/**
 * Opens a model file for single tasks.
 * @throws SeedmaskError for bytes that are no sound beginning of a model file, or a network that is not found or another one
 */
export async function openArchive(read: RangeRead, options: ArchiveOptions = {}): Promise<Archive> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { fileBytes } = options;
  if (fileBytes !== undefined) within('file bytes', fileBytes, limits.maxFileBytes);
  /** What the file claims is held against its size, or if that is not known against the limit, before it is read. */
  const claim = (field: string, end: number) => {
    if (fileBytes === undefined) within('file bytes', end, limits.maxFileBytes);
    else need(field, end, fileBytes);
  };
  const source = await Source.open(read);
  const headerEnd = PREFIX_BYTES + headerLength(source.first);
  claim('the header', headerEnd);
  const begun = begin(await source.beginning(headerEnd), limits);
  const { header, layout } = begun;
  checkCanonical(begun, encodeHeader(header));
  const { network: at } = header;
  const network = at instanceof Uint8Array ? lookedUp(at, await options.networks?.(at)) : at;
  const layers = admit(header, network, limits).length;
  claim('the index and the shortest payloads', layout.payloads + layout.tasks * (1 + layers));
  const table = layout.pages ? await source.range(layout.start, layout.pages * PAGE_BYTES, 'the page table') : new Uint8Array(0);
  return new Archive(source, begun, network, table, { ...options, limits });
}

/** Reads ranges, and those in the first bytes only once. */
class Source {
  readonly #read: RangeRead;
  readonly first: Uint8Array;

  private constructor(read: RangeRead, first: Uint8Array) {
    this.#read = read;
    this.first = first;
  }

  static async open(read: RangeRead): Promise<Source> {
    return new Source(read, (await read(0, FIRST_READ)).slice(0, FIRST_READ));
  }

  /** The first `length` bytes of the file, fewer if it has no more. */
  async beginning(length: number): Promise<Uint8Array> {
    if (length <= this.first.length || this.first.length < FIRST_READ) return this.first.subarray(0, length);
    const rest = await this.#read(FIRST_READ, length - FIRST_READ);
    const all = new Uint8Array(FIRST_READ + Math.min(rest.length, length - FIRST_READ));
    all.set(this.first);
    all.set(rest.subarray(0, length - FIRST_READ), FIRST_READ);
    return all;
  }

  /** A range that must be there whole. */
  async range(offset: number, length: number, field: string): Promise<Uint8Array> {
    if (offset + length <= this.first.length) return this.first.subarray(offset, offset + length);
    if (this.first.length < FIRST_READ) need(field, length, Math.max(0, this.first.length - offset));
    const bytes = await this.#read(offset, length);
    need(field, length, bytes.length);
    return bytes.slice(0, length);
  }
}

/** An open model file. Holds the header, the page table and a few pages of the index; nothing to close. */
export class Archive {
  readonly network: Network;
  /** How many tasks there are; 0 in a network-only file. */
  readonly tasks: number;
  readonly #source: Source;
  readonly #begun: Begun;
  readonly #table: Uint8Array;
  /** Where each page's payloads begin. */
  readonly #starts: number[];
  readonly #options: ArchiveOptions & { readonly limits: Limits };
  readonly #pages = new Map<number, Promise<Page>>();

  /** Use `openArchive`. */
  constructor(source: Source, begun: Begun, network: Network, table: Uint8Array, options: ArchiveOptions & { readonly limits: Limits }) {
    const { layout } = begun;
    this.network = network;
    this.tasks = layout.tasks;
    this.#source = source;
    this.#begun = begun;
    this.#table = table;
    this.#options = options;
    this.#starts = [layout.payloads];
    for (let page = 0; page < layout.pages; page++) this.#starts.push(this.#starts[page] + pageEntry(table, page).bytes);
    if (layout.pages || layout.tasks === 0) this.#checkEnd(this.#starts[layout.pages]);
  }

  /**
   * A task, by its position or its id.
   * @throws SeedmaskError bad-task when there is none, and everything that a read of its bytes can find
   */
  async task(which: number | string): Promise<Task> {
    const { task, index } = await this.#leaning(which);
    const { leansOn: _, ...packed } = task;
    return decodeTask(this.network, packed, index, baseOfStored(this.network, task), DECODERS).task;
  }

  /** A task with its payload as it stands in the file, under its CRC and not decoded; one that leans on a base is written anew without. */
  async packedTask(which: number | string): Promise<PackedTask> {
    const { task, index } = await this.#leaning(which);
    return standAloneStored(this.network, task, index);
  }

  /** A task as it stands in the file, under its CRC, with the one it leans on; nothing is decoded. */
  async storedTask(which: number | string): Promise<StoredTask> {
    return (await this.#leaning(which)).task;
  }

  async #leaning(which: number | string): Promise<{ readonly task: StoredTask; readonly index: number }> {
    const { task, index } = await this.#located(which);
    const place = basePlace(task.payload, taskName(task, index));
    if (place === null) return { task, index };
    within('weights of a task and its base', 2 * totalWeights(this.network), this.#options.limits.maxWeights);
    const other = place < this.tasks ? (await this.#located(place)).task : task;
    checkBaseTask(task, index, place, place < this.tasks ? basePlace(other.payload, taskName(other, place)) !== null : undefined);
    return { task: { ...task, base: other.id, leansOn: { place, task: other } }, index };
  }

  /** Position of a task, -1 if there is none of this id. */
  async find(id: string): Promise<number> {
    let low = 0;
    let high = Math.ceil(this.tasks / PAGE) - 1;
    while (low <= high) {
      const page = (low + high) >> 1;
      const { heads } = await this.#page(page);
      if (id < heads[0].id) high = page - 1;
      else if (id > heads[heads.length - 1].id) low = page + 1;
      else {
        const place = heads.findIndex((head) => head.id === id);
        return place < 0 ? -1 : page * PAGE + place;
      }
    }
    return -1;
  }

  /** What the index says about the tasks first .. first + count - 1, as far as there are any. */
  async heads(first = 0, count = this.tasks): Promise<TaskHead[]> {
    const end = Math.min(this.tasks, first + count);
    const all: TaskHead[] = [];
    for (let page = Math.floor(first / PAGE); page * PAGE < end; page++) {
      const { heads } = await this.#page(page);
      all.push(...heads.slice(Math.max(0, first - page * PAGE), end - page * PAGE));
    }
    return all;
  }

  async #located(which: number | string): Promise<{ readonly task: PackedTask; readonly index: number }> {
    const index = typeof which === 'number' ? which : await this.find(which);
    if (!(Number.isInteger(index) && index >= 0 && index < this.tasks)) {
      throw new SeedmaskError('bad-task', { field: 'the task asked for', expected: `one of the ${this.tasks} in the file`, got: which });
    }
    const page = Math.floor(index / PAGE);
    const { records, heads, lengths } = await this.#page(page);
    const place = index - page * PAGE;
    const at = lengths.slice(0, place).reduce((a, b) => a + b, this.#starts[page]);
    const payload = await this.#source.range(at, lengths[place], `the payload of ${taskName(heads[place], index)}`);
    const { width } = this.#begun.layout;
    checkTask(records.subarray(place * width, (place + 1) * width), payload, index);
    return { task: { ...heads[place], payload }, index };
  }

  #page(page: number): Promise<Page> {
    const known = this.#pages.get(page);
    const wanted = known ?? this.#readPage(page);
    this.#pages.delete(page);
    this.#pages.set(page, wanted);
    if (!known) {
      wanted.catch(() => this.#pages.delete(page));
      for (const oldest of this.#pages.keys()) {
        if (this.#pages.size <= KEPT_PAGES) break;
        this.#pages.delete(oldest);
      }
    }
    return wanted;
  }

  async #readPage(page: number): Promise<Page> {
    const { layout } = this.#begun;
    const { first, end } = pageTasks(layout, page);
    const records = await this.#source.range(layout.index + first * layout.width, (end - first) * layout.width, `index page ${page}`);
    const lengths = payloadLengths(records, layout.width);
    if (layout.pages) checkPage(pageEntry(this.#table, page), page, records, layout.width);
    else this.#checkEnd(lengths.reduce((a, b) => a + b, layout.payloads));
    return { records, lengths, heads: readHeads(records, this.#begun, first, null) };
  }

  /** Holds the end of the file, as its lengths have it, against its size, or if that is not known against the limit. */
  #checkEnd(end: number): void {
    const { fileBytes, limits } = this.#options;
    if (fileBytes === undefined) within('file bytes', end, limits.maxFileBytes);
    else need('the whole file', end, fileBytes);
    if (fileBytes !== undefined && end < fileBytes) throw new SeedmaskError('trailing-bytes', { got: fileBytes, expected: end });
  }
}
