// A folder that follows a contents.json on some web host, so that a store over the folder serves what is there. Files are named by
// their content: one that is here is never asked for again, a restart needs no network, and a change is one link that is moved.
//
//   .content/<content id>.smk    what was pulled: written to a neighbour, decoded, hashed, and only then given this name
//   .content/url                 where it all comes from
//   <network id>.smk             networks of mask-only files
//   mnist/2.smk                  a link to ../.content/<content id>.smk, as files.ts wants versions
//   mnist/labels.json            their labels
//
// A file that does not come, or is not what its id says, fails alone: what was served before stays. Nothing that was not pulled is
// replaced or removed: the versions of a task are all ours or left alone. A list without tasks, as of a folder that is not mounted,
// removes nothing; nor does one that is incomplete, or one with a file that the origin cannot read and that is not here: it may be an
// archive, whose tasks have other names.

import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorCode, SeedmaskError } from '../../codec/errors.js';
import { hex } from '../../codec/hex.js';
import { networkId, openArchive } from '../../codec/index.js';
import type { Network } from '../../src/network.js';
import { type Decoder, decodeMask } from './decode.js';
import { FILE_LIMIT, isOutside, limitsOf } from './files.js';
import { type Entry, List, type Wanted } from './list.js';
import { Origin, type OriginOptions } from './origin.js';

export interface MirrorOptions extends OriginOptions {
  /** Bytes of one model file at most; default 256 MiB. */
  readonly fileLimit?: number;
  /** Bytes of all pages of the list at most, an entry counted as 256 of them; default 256 MiB. */
  readonly listLimit?: number;
  /** Where masks are decoded; default: on the event loop. */
  readonly threads?: Decoder;
}

/** What one look at the origin came to. */
export interface Synced {
  readonly tasks: number;
  /** Files that came. */
  readonly pulled: number;
  /** Files that did not, by URL; by its path what could not be written or removed here. */
  readonly failures: readonly { readonly url: string; readonly error: SeedmaskError }[];
}

/** Does something to a path of the folder; a failure is noted, and the rest goes on. */
type Attempt = (path: string, work: () => Promise<unknown>) => Promise<void>;

/** Files that are asked for at once. */
const AT_ONCE = 4;
const LINK = /^\.\.\/\.content\/([0-9a-f]{64})\.smk$/;
const BLOB = /^[0-9a-f]{64}\.smk$/;
const TEMPORARY = /[0-9a-f]{16}\.tmp/;

export class Mirror {
  readonly #folder: string;
  readonly #blobs: string;
  readonly #origin: Origin;
  readonly #options: MirrorOptions;
  readonly #networks = new Map<string, Network>();
  /** Content id -> a file on its way. */
  readonly #coming = new Map<string, Promise<boolean>>();
  readonly #list: List;

  /**
   * @param url of a Seedmask server, a folder with a contents.json, or such a document
   * @param folder made if there is none
   * @throws SeedmaskError bad-option
   */
  constructor(url: string, folder: string, options: MirrorOptions = {}) {
    this.#origin = new Origin(url, options);
    const document = new URL(this.#origin.url);
    if (!document.pathname.endsWith('.json')) document.pathname = `${document.pathname.replace(/\/*$/, '')}/contents.json`;
    this.#folder = folder;
    this.#blobs = join(folder, '.content');
    this.#options = options;
    this.#list = new List(this.#origin, document, options.listLimit);
  }

  /**
   * Brings the folder in step with the origin. One call at a time.
   * @throws SeedmaskError (by rejection) cannot-pull, over-limit, bad-store or cannot-write when the document cannot be had or lists no
   * task, or the folder is not for it: then nothing has changed
   */
  async sync(): Promise<Synced> {
    await this.#claim().catch((error: unknown) => {
      throw expected(error, this.#folder, 'cannot-write');
    });
    const { tasks, networks, incomplete } = await this.#list.read();
    const failures: { url: string; error: SeedmaskError }[] = [];
    if (incomplete) {
      const url = this.#list.document.href;
      failures.push({ url, error: new SeedmaskError('cannot-pull', { field: `all of ${url}`, got: 'the origin cannot read a file now' }) });
    }
    let pulled = 0;
    const attempt = async (url: string, work: () => Promise<unknown>, code?: 'cannot-write') => {
      try {
        if ((await work()) === true) pulled++;
      } catch (error) {
        failures.push({ url, error: expected(error, url, code) });
      }
    };
    for (const [id, url] of networks) await attempt(url, () => this.#takeNetwork(id, url));
    const queue = tasks[Symbol.iterator]();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (const entry of queue) await attempt(entry.url, () => this.#take(entry));
      }),
    );
    const here: Attempt = (path, work) => attempt(path, work, 'cannot-write');
    await this.#label(tasks, here);
    // What a failure leaves serving may lean on a network that is not listed any more.
    await here(this.#folder, () => this.#tidy(tasks, failures.length > 0 ? undefined : networks, !incomplete, here));
    return { tasks: tasks.length, pulled, failures };
  }

  /**
   * Reads a file again that the store could not read. One that is damaged on this disk goes, so that the next `sync` asks for it; one that
   * is sound, or cannot be read now, stays: the trouble was another.
   * @param file as the store names it
   * @returns whether it is gone
   */
  async recheck(file: string): Promise<boolean> {
    const content = await contentOf(file);
    if (content === undefined) return false;
    const blob = this.#blob(content);
    const found = await readFile(blob)
      .then((bytes) => this.#contentOf(Uint8Array.from(bytes), file))
      .catch((error: unknown) => (isOutside(error) ? content : undefined));
    if (found === content) return false;
    return rm(blob, { force: true }).then(
      () => true,
      () => false,
    );
  }

  /** Whether the folder has a file that was pulled before. */
  async holdsFiles(): Promise<boolean> {
    const names = await readdir(this.#blobs).catch((): string[] => []);
    return names.some((name) => BLOB.test(name));
  }

  /** Ends what is under way. */
  close(): void {
    this.#origin.close();
  }

  /** A new name on the same disk; what a killed process leaves under such names is removed by `tidy`. */
  #temporary(): string {
    return join(this.#blobs, `${randomBytes(8).toString('hex')}.tmp`);
  }

  /** Writes a file whole or not at all. */
  async #write(path: string, content: Uint8Array | string): Promise<void> {
    const temporary = this.#temporary();
    try {
      const file = await open(temporary, 'wx', 0o644);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  #blob(content: string): string {
    return join(this.#blobs, `${content}.smk`);
  }

  #link(task: string, version: string): string {
    return join(this.#folder, task, `${version}.smk`);
  }

  /** The folder is this origin's, or nobody's yet. */
  async #claim(): Promise<void> {
    await mkdir(this.#blobs, { recursive: true });
    const file = join(this.#blobs, 'url');
    const owner = await readFile(file, 'utf8').catch(() => undefined);
    const { href } = this.#list.document;
    if (owner === undefined) return this.#write(file, href);
    if (owner !== href) {
      throw new SeedmaskError('bad-store', { field: this.#folder, expected: `what was pulled from ${href}`, got: `that of ${owner}` });
    }
  }

  /** Whether a file had to be pulled. */
  async #take({ task, version, content, url }: Entry): Promise<boolean> {
    if (content === null) throw new SeedmaskError('cannot-pull', { field: url, got: 'the origin cannot read it now' });
    const link = this.#link(task, version);
    const there = await lstat(link).catch(() => undefined);
    const held = await contentOf(link);
    if (there && held === undefined) throw foreign(link, 'a file');
    const folder = join(this.#folder, task);
    if (held === undefined && (await ownerOf(folder)) === 'others') throw foreign(folder, 'a folder');
    const pulled = await this.#pull(content, url);
    if (held === content) return pulled;
    await mkdir(folder, { recursive: true });
    const temporary = this.#temporary();
    await symlink(`../.content/${content}.smk`, temporary);
    await rename(temporary, link);
    return pulled;
  }

  /** Whether this call has brought the file here; tasks of one content wait for one. */
  async #pull(content: string, url: string): Promise<boolean> {
    if (await lstat(this.#blob(content)).catch(() => undefined)) return false;
    const other = this.#coming.get(content);
    if (other) return other.then(() => false);
    const work = (async () => {
      const bytes = await this.#bytes(url);
      const found = await this.#contentOf(bytes, url);
      if (found !== content) throw new SeedmaskError('wrong-content', { field: url, expected: content, got: found });
      await this.#write(this.#blob(content), bytes);
      return true;
    })().finally(() => this.#coming.delete(content));
    this.#coming.set(content, work);
    return work;
  }

  async #takeNetwork(id: string, url: string): Promise<boolean> {
    // One that is damaged on this disk is pulled again.
    const held = await this.#network(id).catch(() => undefined);
    if (held && hex(networkId(held)) === id) return false;
    this.#networks.delete(id);
    const bytes = await this.#bytes(url);
    const { tasks, network } = await this.#open(bytes);
    const found = hex(networkId(network));
    if (found !== id) throw new SeedmaskError('wrong-content', { field: url, expected: id, got: found });
    if (tasks > 0) throw new SeedmaskError('bad-store', { field: url, expected: 'a network alone', got: `${tasks} tasks` });
    await this.#write(join(this.#folder, `${id}.smk`), bytes);
    return true;
  }

  async #bytes(url: string): Promise<Uint8Array> {
    const { bytes } = await this.#origin.get(url, { limit: this.#fileLimit });
    if (!bytes) throw new SeedmaskError('cannot-pull', { field: url, got: 'HTTP 304 to a first question' });
    return bytes;
  }

  /** Decodes a file of one task, and names its content. */
  async #contentOf(bytes: Uint8Array, url: string): Promise<string> {
    const archive = await this.#open(bytes);
    if (archive.tasks !== 1) {
      const hint = 'seedmask extract makes files of one task.';
      throw new SeedmaskError('bad-store', { field: url, expected: 'a file of one task', got: `${archive.tasks} tasks`, hint });
    }
    const stored = await archive.storedTask(0);
    const { threads } = this.#options;
    return (threads ? await threads.decode(archive.network, stored, 0, false) : decodeMask(archive.network, stored, 0)).id;
  }

  #open(bytes: Uint8Array) {
    return openArchive(async (offset, length) => bytes.subarray(offset, offset + length), {
      fileBytes: bytes.length,
      limits: limitsOf(this.#fileLimit),
      networks: (id) => this.#network(hex(id)),
    });
  }

  async #network(id: string): Promise<Network | undefined> {
    const known = this.#networks.get(id);
    if (known) return known;
    const bytes = await readFile(join(this.#folder, `${id}.smk`)).catch(() => undefined);
    if (!bytes) return undefined;
    const { network } = await this.#open(Uint8Array.from(bytes));
    this.#networks.set(id, network);
    return network;
  }

  get #fileLimit(): number {
    return this.#options.fileLimit ?? FILE_LIMIT;
  }

  /** Writes labels.json where it says something else than before; `tidy` removes those that say nothing any more. */
  async #label(tasks: readonly Entry[], here: Attempt): Promise<void> {
    for (const [task, labels] of labelsOf(tasks)) {
      const text = JSON.stringify(Object.fromEntries(labels));
      const file = join(this.#folder, task, 'labels.json');
      await here(file, async () => {
        if ((await ownerOf(join(this.#folder, task))) !== 'us') return;
        if ((await readFile(file, 'utf8').catch(() => undefined)) !== text) await this.#write(file, text);
      });
    }
  }

  /**
   * Removes what was pulled once and is wanted no more; networks only where it is known which are.
   * @param complete whether the list tells all that is wanted
   */
  async #tidy(tasks: readonly Entry[], networks: Wanted['networks'] | undefined, complete: boolean, here: Attempt): Promise<void> {
    const wanted = new Set(tasks.map(({ task, version }) => this.#link(task, version)));
    const labels = labelsOf(tasks);
    const used = new Set<string | null | undefined>(tasks.map(({ content }) => content));
    // Where a file did not come, what was pulled before.
    for (const link of wanted) used.add(await contentOf(link));
    let whole = complete;
    for (const { task, version, content } of tasks)
      whole &&= content !== null || (await contentOf(this.#link(task, version))) !== undefined;
    const remove = (path: string) => here(path, () => rm(path, { force: true }));
    for (const entry of await readdir(this.#folder, { withFileTypes: true })) {
      const path = join(this.#folder, entry.name);
      if (entry.isFile() && BLOB.test(entry.name) && networks?.has(entry.name.slice(0, 64)) === false) await remove(path);
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
      let ours = false;
      // What cannot be listed, such as lost+found, is left alone.
      for (const name of await readdir(path).catch((): string[] => [])) {
        const content = await contentOf(join(path, name));
        if (content === undefined) continue;
        ours = true;
        if (!whole) used.add(content);
        else if (!wanted.has(join(path, name))) await remove(join(path, name));
      }
      if (ours && whole && !labels.has(entry.name)) await remove(join(path, 'labels.json'));
      // Fails where something is left.
      if (ours) await rmdir(path).catch(() => undefined);
    }
    for (const name of await readdir(this.#blobs)) {
      if (name.endsWith('.tmp') || (BLOB.test(name) && !used.has(name.slice(0, 64)))) await remove(join(this.#blobs, name));
    }
  }
}

/** The content that a link of ours stands for. */
async function contentOf(path: string): Promise<string | undefined> {
  const target = await readlink(path).catch(() => undefined);
  return target === undefined ? undefined : LINK.exec(target)?.[1];
}

/** Whose a task's folder is, by the versions in it: labels are nothing without one, and other files no model's. */
async function ownerOf(folder: string): Promise<'us' | 'others' | 'nobody'> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) if ((await contentOf(join(folder, name))) !== undefined) return 'us';
  return names.some((name) => name.endsWith('.smk')) ? 'others' : 'nobody';
}

const foreign = (field: string, what: string): SeedmaskError =>
  new SeedmaskError('cannot-write', { field, got: `${what} that was not pulled is there` });

/** Task -> label -> version. */
function labelsOf(tasks: readonly Entry[]): Map<string, [label: string, version: number][]> {
  const all = new Map<string, [string, number][]>();
  for (const { task, version, labels = [] } of tasks) {
    if (labels.length) all.set(task, [...(all.get(task) ?? []), ...labels.map((label): [string, number] => [label, Number(version)])]);
  }
  return all;
}

/** Failures whose line says already which file it is. */
const NAMED = new Set<ErrorCode>(['cannot-pull', 'wrong-content', 'cannot-write', 'bad-store']);

/** A failure in one line; a full disk is one as well. */
function expected(error: unknown, url: string, as: 'cannot-pull' | 'cannot-write' = 'cannot-pull'): SeedmaskError {
  if (error instanceof SeedmaskError) {
    return NAMED.has(error.code) ? error : new SeedmaskError(as, { field: url, got: error.message });
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  // A name that was drawn would make each failure another one.
  return new SeedmaskError(as, { field: url, got: message.replace(TEMPORARY, '*.tmp') });
}
