// Writing a model file, the other half of container.ts: apart from it, because who only reads, such as a page, need not load it. What
// verifies a file stands here too, as it writes the content once more and compares.

import { checkNetwork, type Network, place } from '../src/network.js';
import { ContentHash, finder, type Model, open, type PackedModel } from './container.js';
import { DECODERS } from './decoders.js';
import { baseToTry, encodeTask, placeBases } from './encode.js';
import { SeedmaskError } from './errors.js';
import { checkFields, encodeHeader, networkId, weightCheck } from './header.js';
import { crc, firstDifference, layoutOf, MAGIC, MASK_ONLY, PAGE_BYTES, PREFIX_BYTES, pageTasks, VERSION, viewOf } from './layout.js';
import { checkSizes, DEFAULT_LIMITS, type Limits, within } from './limits.js';
import { checkTaskMask, fits, type NetworkLookup } from './networks.js';
import { arrange, taskName, writeColumns } from './records.js';
import { SCHEME_NAMES, type SchemeName } from './schemes.js';
import { Bases, decodeTask, type PackedTask, placesOf } from './tasks.js';

/** What a file is written for: readers with the limits that they have by default, which read the tasks of a large one one by one. */
const READERS: Limits = { ...DEFAULT_LIMITS, maxWeights: Number.MAX_SAFE_INTEGER };
const TOO_LARGE = 'Put the tasks into several files';

/** What `verifyModel` has found right; what is wrong it throws. */
export interface Verified {
  readonly fileBytes: number;
  readonly network: Network;
  /** Whether the file leaves the network out and names it by its id. */
  readonly maskOnly: boolean;
  readonly tasks: number;
  /** Payloads by their scheme. */
  readonly schemes: Readonly<Record<SchemeName, number>>;
  /** Deflate payloads that another compressor wrote: valid, but not the bytes that this one gives. */
  readonly foreignDeflate: number;
  readonly contentId: Uint8Array;
}

/**
 * Every check there is: those of a read, and that the file is what Seedmask writes for its content, payload by payload and as a whole.
 * @param onTask is told how many tasks are done, of how many
 * @throws SeedmaskError the first thing that is wrong
 */
export function verifyModel(
  bytes: Uint8Array,
  limits: Partial<Limits> = {},
  networks?: NetworkLookup,
  onTask: (done: number, of: number) => void = () => undefined,
): Verified {
  const { network, maskOnly, tasks } = open(bytes, limits, finder(networks));
  const schemes = Object.fromEntries(SCHEME_NAMES.map((name) => [name, 0])) as Record<SchemeName, number>;
  const content = new ContentHash(network);
  const bases = new Bases(network, tasks, DECODERS);
  let foreignDeflate = 0;
  tasks.forEach((packed, i) => {
    const known = bases.of(packed);
    const { scheme, mask, task } = decodeTask(network, packed, i, known, DECODERS);
    const at = firstDifference(encodeTask(network, task, [scheme], known).payload, packed.payload);
    if (at >= 0 && scheme !== 'deflate') {
      const got = `bytes that differ from it at ${at}`;
      throw new SeedmaskError('bad-payload', { field: taskName(task, i), got, expected: `the one ${scheme} encoding of its mask` });
    }
    if (at >= 0) foreignDeflate++;
    schemes[scheme]++;
    content.add(task, mask);
    onTask(i + 1, tasks.length);
  });
  const at = firstDifference(assemble(network, maskOnly, tasks, { ...DEFAULT_LIMITS, ...limits }), bytes);
  if (at >= 0) throw new SeedmaskError('not-canonical', { field: 'the file', got: at });
  return { fileBytes: bytes.length, network, maskOnly, tasks: tasks.length, schemes, foreignDeflate, contentId: content.digest() };
}

/** How a content is stored. */
export interface WriteOptions {
  /** Leave the network out: the file names it by its id. */
  readonly maskOnly?: boolean;
}

/**
 * Writes a model file around payloads, as they are but for the places of bases: who may hold broken ones reads the result.
 * @throws SeedmaskError as `writeModel`
 */
export function writePacked({ network, tasks }: PackedModel, { maskOnly = false }: WriteOptions = {}): Uint8Array {
  checkFit(network, maskOnly, tasks);
  return assemble(network, maskOnly, tasks, READERS);
}

/**
 * Writes a model file; the same model gives the same bytes. Scales, means and sigma are rounded to f32. Without tasks it is a
 * network-only file.
 * @param options.schemes the schemes to try (default all); the smallest payload wins, task by task
 * @throws SeedmaskError when the model cannot be stored: masks that do not fit, ids unsorted or malformed, a wrong base, masks alone of no
 *   task, a network that no header can say; or when readers would refuse it by default: more bytes, tasks or weights of one mask than
 *   `DEFAULT_LIMITS` has. Of all masks together there may be more weights than `readModel` takes: `openArchive` reads them one by one
 */
export function writeModel(
  { network, tasks }: Model,
  { maskOnly = false, schemes = SCHEME_NAMES }: WriteOptions & { readonly schemes?: readonly SchemeName[] } = {},
): Uint8Array {
  if (!schemes.some((s) => SCHEME_NAMES.includes(s))) {
    throw new SeedmaskError('bad-task', { field: 'schemes', expected: `some of ${SCHEME_NAMES.join(', ')}`, got: schemes });
  }
  checkFit(network, maskOnly, tasks);
  tasks.forEach((task, i) => {
    checkTaskMask(network, task.mask, `${taskName(task, i)} mask`);
  });
  const places = placesOf(tasks);
  const written = tasks.map((task, i) => encodeTask(network, task, schemes, baseToTry(tasks, places, task, i)));
  return assemble(network, maskOnly, written, READERS);
}

/** What no reader takes by itself is not written either. */
function checkFit(network: Network, maskOnly: boolean, tasks: readonly unknown[]): void {
  checkSizes(fits(() => place(network), 'bad-header', 'layers', 'a network whose layers fit'));
  fits(() => checkNetwork(network), 'bad-header', 'the network', 'one whose weights can be drawn');
  checkFields(network);
  within('tasks', tasks.length, READERS.maxTasks, TOO_LARGE);
  if (maskOnly && tasks.length === 0) {
    throw new SeedmaskError('bad-task', { field: 'the tasks of a mask-only file', expected: 'one or more', got: 'none' });
  }
}

/** Lays the parts out, and reads the result once: what cannot be read is not written. */
function assemble(network: Network, maskOnly: boolean, unplaced: readonly PackedTask[], limits: Limits): Uint8Array {
  const tasks = placeBases(unplaced);
  const arranged = arrange(tasks.map((task) => ({ ...task, logitScale: Math.fround(task.logitScale) })));
  const header = encodeHeader({
    ...arranged,
    network: maskOnly ? networkId(network) : network,
    check: weightCheck(network),
    tasks: tasks.length,
  });

  const layout = layoutOf({ ...arranged, tasks: tasks.length }, PREFIX_BYTES + header.length);
  const { start, index, width } = layout;
  let at = layout.payloads;
  const fileBytes = tasks.reduce((sum, { payload }) => sum + payload.length, at);
  within('file bytes', fileBytes, limits.maxFileBytes, TOO_LARGE);
  const file = new Uint8Array(fileBytes);
  const view = viewOf(file);
  file.set(MAGIC);
  file[6] = VERSION;
  file[7] = maskOnly ? MASK_ONLY : 0;
  view.setUint32(8, header.length, true);
  file.set(header, PREFIX_BYTES);
  view.setUint32(12, crc(file.subarray(0, 12), header), true);
  tasks.forEach(({ id, payload }, i) => {
    const record = file.subarray(index + i * width, index + (i + 1) * width);
    file.set(payload, at);
    at += payload.length;
    view.setUint32(record.byteOffset + 4, payload.length, true);
    writeColumns(record, arranged, id, arranged.rows[i]);
    view.setUint32(record.byteOffset, crc(record.subarray(4), payload), true);
  });
  for (let page = 0; page < layout.pages; page++) {
    const { first, end } = pageTasks(layout, page);
    const total = tasks.slice(first, end).reduce((sum, { payload }) => sum + payload.length, 0);
    const entry = start + page * PAGE_BYTES;
    view.setUint32(entry, total % 2 ** 32, true);
    view.setUint16(entry + 4, Math.floor(total / 2 ** 32), true);
    view.setUint32(entry + 6, crc(file.subarray(index + first * width, index + end * width)), true);
  }
  open(file, limits, () => network);
  return file;
}
