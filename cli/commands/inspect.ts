// seedmask inspect: what a model file holds, to the byte.

import Table from 'cli-table3';
import { Command } from 'commander';
import { hex } from '../../codec/hex.js';
import { type FileInfo, inspectModel, networkId, type Provenance, type TaskInfo } from '../../codec/index.js';
import { oneLine } from '../../codec/one-line.js';
import { describe, totalWeights } from '../../src/network.js';
import { formatSeed } from '../../src/random.js';
import { readFile } from '../files.js';
import { inFile, LIMITS, networkFileOption, networksOf } from '../models.js';
import { type Output, outputOf } from '../options.js';

/** Above this many tasks the table has one row a task instead of one a layer. */
const DETAILED_TASKS = 20;

export function makeCommand(): Command {
  return new Command('inspect')
    .argument('<file>', 'model file (.smk)')
    .addOption(networkFileOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  seedmask inspect models/trained/mnist.smk
  seedmask inspect --json digits.smk
  seedmask inspect mask.smk --network network.smk`,
    )
    .action(async (file: string, options: Output & { network?: string }) => {
      const bytes = readFile(file);
      const networks = await networksOf(options.network);
      const info = await inFile(file, () => inspectModel(bytes, LIMITS, networks));
      const { network, maskOnly } = info;
      const weights = totalWeights(network);
      // Without masks each task would be a network of its own; a file without tasks holds one.
      const { length: tasks } = info.tasks;
      const float32Bytes = weights * 4 * Math.max(1, tasks);
      const value = {
        fileBytes: info.fileBytes,
        headerBytes: info.headerBytes,
        float32Bytes,
        network: describe(network),
        distribution: network.distribution,
        sigma: network.sigma,
        seed: formatSeed(network.seed),
        weights,
        networkId: hex(networkId(network)),
        maskOnly,
        contentId: hex(info.contentId),
        tasks: info.tasks.map(plain),
      };
      outputOf(options).print(value, () =>
        [
          `${file}: ${info.fileBytes} bytes, ${info.headerBytes} of them not mask; as float32${tasks > 1 ? `, a network for each of ${tasks} tasks,` : ''} ${float32Bytes} bytes (${(float32Bytes / info.fileBytes).toFixed(0)} x)`,
          `network ${value.network}, ${value.distribution}, sigma ${value.sigma}, seed ${value.seed}, no biases${value.maskOnly ? ', kept in another file' : ''}`,
          `network id ${value.networkId}`,
          `content ${value.contentId}`,
          info.tasks.length === 0 ? 'no tasks' : info.tasks.length > DETAILED_TASKS ? tasksOf(info) : layersOf(file, info, weights),
        ].join('\n'),
      );
    });
}

/** A task as JSON has it: seeds as texts, numbers of columns as lists. */
function plain({ transform, data, ...task }: TaskInfo): object {
  const { mean, scale, features } = transform;
  return {
    ...task,
    transform: { mean, scale, ...(features && { features: { low: [...features.low], scale: [...features.scale] } }) },
    data: data && { dataset: data.dataset, ...seedsOf(data) },
  };
}

const seedsOf = ({ pixelPermutation, labelPermutation }: Provenance) => ({
  pixelPermutation: pixelPermutation && formatSeed(pixelPermutation),
  labelPermutation: labelPermutation && formatSeed(labelPermutation),
});

/** What a task's rows are permuted by; '' where they are as they come. */
function permutedBy({ data }: TaskInfo): string {
  const { pixelPermutation: pixels, labelPermutation: classes } = data ? seedsOf(data) : {};
  return [pixels && `pixels ${pixels}`, classes && `classes ${classes}`].filter(Boolean).join(', ');
}

/** What makes inputs of rows and probabilities of logits. */
function around(task: TaskInfo): string {
  const { transform, data, logitScale } = task;
  const { mean, scale, features } = transform;
  const inputs = `(byte - ${short(mean)}) x ${short(scale)}${features ? ', how numbers become bytes: --json' : ''}`;
  const permuted = permutedBy(task);
  const of = data?.dataset ? `data ${oneLine(data.dataset)}; ` : '';
  return `${of}${permuted && `permuted by seed: ${permuted}; `}inputs ${inputs}; probabilities softmax(${short(logitScale)} x logits)`;
}

const short = (value: number): number => Number(value.toPrecision(6));

/** A line a task, and a table with a row for every layer. */
function layersOf(file: string, { tasks }: FileInfo, weights: number): string {
  const table = new Table({ head: ['task', 'layer', 'weights', 'kept', 'density'], style: { head: [], border: [] } });
  for (const task of tasks) {
    task.layers.forEach((layer, i) => {
      table.push([
        i ? '' : task.id || '(named by its file)',
        String(i),
        layer.weights,
        layer.kept,
        (layer.kept / layer.weights).toFixed(4),
      ]);
    });
    table.push(['', 'all', weights, task.kept, task.density.toFixed(4)]);
  }
  const lines = tasks.flatMap((task) => [
    `${task.id || file}: payload ${task.payloadBytes} bytes (${task.scheme}), order-0 entropy ${task.entropyBytes.toFixed(0)} bytes`,
    `  classes ${listed(task.labels)}${task.columns === undefined ? '' : `; of numbers${task.columns ? `: ${listed(task.columns)}` : ''}`}`,
    `  ${around(task)}`,
  ]);
  return [...lines, table.toString()].join('\n');
}

/** Names beyond these are counted. */
const NAMES = 12;

/** Names as one line of a terminal, whatever a file calls things. */
function listed(names: readonly string[]): string {
  const shown = oneLine(
    names
      .slice(0, NAMES)
      .map((name) => (/[,;"]/.test(name) ? JSON.stringify(name) : name))
      .join(', '),
  );
  return names.length > NAMES ? `${shown} and ${names.length - NAMES} more` : shown;
}

/** A table with a row for every task. */
function tasksOf({ tasks }: FileInfo): string {
  const permuted = tasks.some((task) => permutedBy(task) !== '');
  const table = new Table({
    head: ['task', 'payload bytes', 'scheme', 'entropy bytes', 'kept', 'density', ...(permuted ? ['permuted by seed'] : [])],
    style: { head: [], border: [] },
  });
  for (const task of tasks) {
    const { id, payloadBytes, scheme, entropyBytes, kept, density } = task;
    const last = permuted ? [permutedBy(task)] : [];
    table.push([id, payloadBytes, scheme, entropyBytes.toFixed(0), kept, density.toFixed(4), ...last]);
  }
  return `${tasks.length} tasks\n${table.toString()}`;
}
