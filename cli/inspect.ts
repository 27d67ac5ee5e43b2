// seedmask inspect: what a model file holds, to the byte.

import Table from 'cli-table3';
import { Command } from 'commander';
import { contentId, inspectModel, readModel } from '../codec/index.js';
import { describe, totalWeights } from '../src/network.js';
import { formatSeed } from '../src/random.js';
import { readFile } from './files.js';
import { type Output, outputOf } from './options.js';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('show what a model file holds')
    .argument('<file>', 'model file (.smk)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExamples:\n  seedmask inspect models/trained/mnist.smk\n  seedmask inspect --json digits.smk')
    .action((file: string, options: Output) => {
      const bytes = readFile(file);
      const { network, ...info } = inspectModel(bytes);
      const id = Buffer.from(contentId(readModel(bytes))).toString('hex');
      const weights = totalWeights(network);
      const value = {
        fileBytes: info.fileBytes,
        headerBytes: info.headerBytes,
        float32Bytes: weights * 4,
        network: describe(network),
        distribution: network.distribution,
        sigma: network.sigma,
        seed: formatSeed(network.seed),
        weights,
        contentId: id,
        tasks: info.tasks,
      };
      outputOf(options).print(value, () => {
        const table = new Table({ head: ['task', 'layer', 'weights', 'kept', 'density'], style: { head: [], border: [] } });
        for (const task of info.tasks) {
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
        const tasks = info.tasks.map(
          (task) =>
            `${task.id || file}: payload ${task.payloadBytes} bytes (${task.scheme}), order-0 entropy ${task.entropyBytes.toFixed(0)} bytes`,
        );
        return [
          `${file}: ${info.fileBytes} bytes, ${info.headerBytes} of them not mask; as float32 ${weights * 4} bytes (${((weights * 4) / info.fileBytes).toFixed(0)} x)`,
          `network ${describe(network)}, ${network.distribution}, sigma ${network.sigma}, seed ${formatSeed(network.seed)}`,
          `content ${id}`,
          ...tasks,
          table.toString(),
        ].join('\n');
      });
    });
}
