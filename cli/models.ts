// Model files as commands open them: a complaint names its file, a mask-only file finds its network among the others, and one task is
// read without the rest.

import { basename } from 'node:path';
import { Option } from 'commander';
import { hex } from '../codec/hex.js';
import { type Archive, type ErrorCode, type NetworkLookup, networkId, openArchive, SeedmaskError, type Task } from '../codec/index.js';
import { describe, type Network } from '../src/network.js';
import { formatSeed } from '../src/random.js';
import { nearest } from '../src/spelling.js';
import { openRanges } from './files.js';

/** Archives may hold more weights than the default lets one call decode; one mask may not. 2^36 is 250,000 LeNet-300-100 tasks. */
export const LIMITS = { maxWeights: 2 ** 36 };

/** What a task without an id is called: its file. */
export const nameOf = (id: string, file: string): string => id || basename(file).replace(/\.smk$/, '');

export const networkFileOption = (): Option => new Option('--network <file>', 'a model file that holds the network of mask-only files');

/** What these say names a file already. */
const OF_A_PATH: readonly ErrorCode[] = ['no-file', 'cannot-write'];

/** Does something with a file's bytes; a SeedmaskError of it names the file. */
export async function inFile<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SeedmaskError) || error.file !== undefined || OF_A_PATH.includes(error.code)) throw error;
    const { code, details } = error;
    const hint = code === 'bad-base' && details.hint ? { hint: 'Name the file that holds it with --network' } : {};
    throw new SeedmaskError(code, { ...details, ...hint }, file);
  }
}

/** Opens a model file for single tasks while `work` runs. */
export async function withArchive<T>(file: string, networks: NetworkLookup, work: (archive: Archive) => Promise<T>): Promise<T> {
  const { fileBytes, read, close } = openRanges(file);
  try {
    return await work(await inFile(file, () => openArchive(read, { fileBytes, networks, limits: LIMITS })));
  } finally {
    close();
  }
}

/**
 * The networks of these files, found by id.
 * @param named the file of --network, which must hold one
 * @param others files that may: those that are damaged or hold only masks are passed over, as reading them will say why
 */
export async function networksOf(named: string | undefined, others: readonly string[] = []): Promise<NetworkLookup> {
  const networkOf = (file: string) =>
    withArchive(
      file,
      () => undefined,
      async ({ network }) => network,
    );
  const byId = new Map<string, Network>();
  const add = (network: Network) => byId.set(hex(networkId(network)), network);
  if (named !== undefined) {
    try {
      add(await networkOf(named));
    } catch (error) {
      if (!(error instanceof SeedmaskError && error.code === 'bad-base')) throw error;
      throw new SeedmaskError('bad-option', {
        field: '--network',
        expected: 'a file that holds its network',
        got: `${named}, of masks alone`,
      });
    }
  }
  for (const file of others) {
    try {
      add(await networkOf(file));
    } catch (error) {
      if (!(error instanceof SeedmaskError)) throw error;
    }
  }
  // One that does not fit is handed out as well, so that the complaint can name it.
  return (id) => byId.get(hex(id)) ?? byId.values().next().value;
}

/**
 * Places of the tasks named, or of the only one; what has no id is called as its file is.
 * @throws SeedmaskError which-task, no-tasks, or bad-task with the ids there are
 */
export async function places(archive: Archive, ids: readonly string[] | undefined, file: string): Promise<number[]> {
  const first = await inFile(file, () => archive.heads(0, 20));
  const names =
    first.map((head) => nameOf(head.id, file)).join(', ') + (archive.tasks > first.length ? `, ... (${archive.tasks} in all)` : '');
  if (archive.tasks === 0) throw new SeedmaskError('no-tasks', { field: file, expected: 'a file with masks' });
  if (ids === undefined) {
    if (archive.tasks === 1) return [0];
    throw new SeedmaskError('which-task', { field: file, got: names, hint: 'Name one with --task' });
  }
  const found: number[] = [];
  for (const id of ids) {
    const isUnnamed = first[0].id === '' && id === nameOf('', file);
    const place = isUnnamed ? 0 : await inFile(file, () => archive.find(id));
    if (place < 0 || id === '') {
      const all = await inFile(file, () => archive.heads());
      const meant = nearest(
        id,
        all.map((head) => nameOf(head.id, file)),
      );
      throw new SeedmaskError('bad-task', {
        field: '--task',
        expected: `one of ${names}`,
        got: id,
        ...(meant && { hint: `Did you mean ${meant}?` }),
      });
    }
    found.push(place);
  }
  return found;
}

/** Reads one task: the named one, or the only one. */
export async function readTask(
  file: string,
  id: string | undefined,
  networkFile: string | undefined,
): Promise<{ network: Network; task: Task }> {
  return withArchive(file, await networksOf(networkFile), async (archive) => {
    const [place] = await places(archive, id === undefined ? undefined : [id], file);
    return { network: archive.network, task: await inFile(file, () => archive.task(place)) };
  });
}

/** What sets two networks apart, each as [what, of a, of b]; nothing when they are the same. */
export function networkDifferences(a: Network, b: Network): [what: string, ofA: string, ofB: string][] {
  const parts = (network: Network): [string, string][] => [
    ['shape', describe(network)],
    ['activations', network.layers.map((layer) => ('activation' in layer ? layer.activation : layer.kind)).join(' ')],
    ['input', network.input.join('x')],
    ['distribution', network.distribution],
    ['sigma', String(typeof network.sigma === 'number' ? Math.fround(network.sigma) : network.sigma)],
    ['seed', formatSeed(network.seed)],
  ];
  const others = parts(b);
  return parts(a).flatMap(([what, value], i): [string, string, string][] => (others[i][1] === value ? [] : [[what, value, others[i][1]]]));
}
