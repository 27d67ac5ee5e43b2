// seedmask diff: where two model files differ in content: network, tasks, and within a task its transform, labels, data, temperature
// and masks, layer by layer. How a mask is stored does not count. One pair of tasks is in memory at a time.

import Table from 'cli-table3';
import { Command } from 'commander';
import type { Archive, Task, TaskHead } from '../../codec/index.js';
import { countBoth, countKept, type Mask, weightCounts } from '../../src/network.js';
import { formatSeed, type Seed } from '../../src/random.js';
import { inFile, nameOf, networkDifferences, networkFileOption, networksOf, withArchive } from '../models.js';
import { counted, type Output, outputOf } from '../options.js';
import { counting } from '../progress.js';

/** Two masks of a layer. */
export interface LayerOverlap {
  readonly weights: number;
  readonly keptA: number;
  readonly keptB: number;
  readonly keptBoth: number;
  /** Weights kept by one of the two. */
  readonly hamming: number;
  /** keptBoth / kept by either; 1 if neither keeps any. */
  readonly jaccard: number;
}

interface TaskDifference {
  /** Its id, or its file's name where it has none. */
  readonly task: string;
  /** What differs: id, transform, labels, data, logit scale, mask. */
  readonly differs: readonly string[];
  /** null where the networks have other layers, so that masks cannot be compared. */
  readonly layers: readonly LayerOverlap[] | null;
}

export interface Difference {
  readonly same: boolean;
  /** [what, of A, of B] */
  readonly network: readonly [what: string, ofA: string, ofB: string][];
  readonly onlyA: readonly string[];
  readonly onlyB: readonly string[];
  /** Tasks that are the same in both. */
  readonly sameTasks: number;
  readonly tasks: readonly TaskDifference[];
}

export function makeCommand(): Command {
  return new Command('diff')
    .argument('<a>', 'model file (.smk)')
    .argument('<b>', 'model file (.smk)')
    .addOption(networkFileOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask diff before.smk after.smk
  seedmask diff --json archive.smk archive-2.smk

Exit 0: the same content, however it is stored. Exit 1: another content. Exit 2: an error, which is one line on stderr.`,
    )
    .action(async (a: string, b: string, options: Output & { network?: string }) => {
      const difference = await diff(a, b, options.network, options.json === true);
      outputOf(options).print({ a, b, ...difference }, () => text(a, b, difference));
      if (!difference.same) process.exitCode = 1;
    });
}

/** Compares two files; each may find its network in the other. Throws SeedmaskError. */
export async function diff(a: string, b: string, network?: string, quiet = true): Promise<Difference> {
  const networks = await networksOf(network, [a, b]);
  return withArchive(a, networks, (archiveA) => withArchive(b, networks, (archiveB) => compare([a, archiveA], [b, archiveB], quiet)));
}

async function compare([a, archiveA]: [string, Archive], [b, archiveB]: [string, Archive], quiet: boolean): Promise<Difference> {
  const network = networkDifferences(archiveA.network, archiveB.network);
  const comparable = String(weightCounts(archiveA.network)) === String(weightCounts(archiveB.network));
  const headsA = await inFile(a, () => archiveA.heads());
  const headsB = await inFile(b, () => archiveB.heads());
  const namesA = headsA.map(({ id }) => nameOf(id, a));
  // The only tasks of two files are a pair, whatever they are called.
  const alone = headsA.length === 1 && headsB.length === 1;
  const namesB = alone ? namesA : headsB.map(({ id }) => nameOf(id, b));
  const placesB = new Map(namesB.map((name, place) => [name, place]));
  const tasks: TaskDifference[] = [];
  let sameTasks = 0;
  await counting('diff', quiet, async (update) => {
    for (const [place, name] of namesA.entries()) {
      const placeB = placesB.get(name);
      update(place + 1, headsA.length);
      if (placeB === undefined) continue;
      const taskA = await inFile(a, () => archiveA.task(place));
      const taskB = await inFile(b, () => archiveB.task(placeB));
      const layers = comparable ? taskA.mask.map((_, i) => overlap(weightCounts(archiveA.network)[i], taskA.mask, taskB.mask, i)) : null;
      const differs = [...headDifferences(taskA, taskB), ...(layers?.every((l) => l.hamming === 0) ? [] : ['mask'])];
      if (differs.length) tasks.push({ task: name, differs, layers });
      else sameTasks++;
    }
  });
  const inA = new Set(namesA);
  const onlyA = namesA.filter((name) => !placesB.has(name));
  const onlyB = namesB.filter((name) => !inA.has(name));
  const same = network.length + onlyA.length + onlyB.length + tasks.length === 0;
  return { same, network, onlyA, onlyB, sameTasks, tasks };
}

function headDifferences(a: TaskHead, b: TaskHead): string[] {
  const parts = ({ id, transform, labels, data, logitScale }: Task | TaskHead): [string, unknown][] => [
    ['id', id],
    [
      'transform',
      [
        transform.scale,
        transform.mean,
        transform.constant && [...transform.constant],
        transform.features && [[...transform.features.low], [...transform.features.scale], transform.features.names],
      ],
    ],
    ['labels', labels],
    ['data', data && [data.dataset, seed(data.pixelPermutation), seed(data.labelPermutation)]],
    ['logit scale', logitScale],
  ];
  const others = parts(b);
  return parts(a).flatMap(([what, value], i) => (spelled(value) === spelled(others[i][1]) ? [] : [what]));
}

/** JSON, which has no -0 of its own: its sign is part of the content. */
const spelled = (value: unknown): string => JSON.stringify(value, (_, part) => (Object.is(part, -0) ? '-0' : part));

const seed = (value: Seed | null): string | null => value && formatSeed(value);

/** Overlap of layer i of two masks. */
function overlap(weights: number, a: Mask, b: Mask, i: number): LayerOverlap {
  const [bitsA, bitsB] = [a[i], b[i]];
  const [keptA, keptB, keptBoth] = [countKept(bitsA), countKept(bitsB), countBoth(bitsA, bitsB)];
  const hamming = keptA + keptB - 2 * keptBoth;
  const either = keptBoth + hamming;
  return { weights, keptA, keptB, keptBoth, hamming, jaccard: either ? keptBoth / either : 1 };
}

function text(a: string, b: string, { same, network, onlyA, onlyB, sameTasks, tasks }: Difference): string {
  if (same) return `${a} and ${b} have the same content`;
  const lines = network.map(([what, ofA, ofB]) => `network ${what}: ${ofA} | ${ofB}`);
  if (onlyA.length) lines.push(`only in ${a}: ${onlyA.join(', ')}`);
  if (onlyB.length) lines.push(`only in ${b}: ${onlyB.join(', ')}`);
  if (sameTasks) lines.push(`${counted(sameTasks, 'task')} the same`);
  const head = ['task', 'differs in', 'layer', 'weights', 'kept in A', 'kept in B', 'in both', 'Hamming', 'Jaccard'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { task, differs, layers } of tasks) {
    if (layers === null) table.push([task, differs.join(', '), 'other layers', '', '', '', '', '', '']);
    layers?.forEach((l, i) => {
      const first = i ? ['', ''] : [task, differs.join(', ')];
      table.push([...first, String(i), l.weights, l.keptA, l.keptB, l.keptBoth, l.hamming, l.jaccard.toFixed(4)]);
    });
  }
  if (tasks.length) lines.push(table.toString());
  return lines.join('\n');
}
