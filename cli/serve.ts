// seedmask serve: model files over HTTP until a signal; the first one drains, the second one ends at once.

import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { SeedmaskError } from '../codec/index.js';
import { createHandler, listen, openStore } from '../server/index.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { inputs } from '../src/network.js';
import { networkFileOption, networksOf } from './models.js';
import { type Output, outputOf, portOption, threadsOption } from './options.js';
import { RELEASE } from './release.js';
import { untilSignal } from './signals.js';

interface Options extends Output {
  port: number;
  host: string;
  threads?: number;
  network?: string;
}

const SHIPPED = fileURLToPath(new URL('../../models/trained', import.meta.url));

export function serveCommand(): Command {
  return new Command('serve')
    .description('serve model files over HTTP')
    .argument('[path]', 'a model file, or a folder of them; default: the models shipped with seedmask')
    .addOption(portOption())
    .option('--host <address>', 'address to listen on; 0.0.0.0 is every network this machine is on', '127.0.0.1')
    .addOption(networkFileOption())
    .addOption(threadsOption())
    .option('--json', 'print one JSON object once listening')
    .addHelpText(
      'after',
      `
Examples:
  seedmask serve models/trained
  seedmask serve archive.smk --port 9000
  seedmask serve masks --network network.smk`,
    )
    .action(async (path: string | undefined, options: Options) => run(path ?? SHIPPED, options));
}

async function run(path: string, options: Options): Promise<void> {
  const store = await openStore(path, { networks: await networksOf(options.network) });
  if (store.tasks.size === 0)
    throw new SeedmaskError('bad-store', {
      field: path,
      expected: 'a folder with at least one .smk file, or a file with a task',
      got: 'none',
    });
  const engine = await createWasmEngine({ threads: options.threads });
  const server = await listen(createHandler({ engine, store, release: RELEASE }), { port: options.port, host: options.host });
  const tasks = [...store.tasks.values()];
  const [first] = tasks;
  const width = inputs(first.versions[0].network);
  outputOf(options).print({ url: server.url, tasks: tasks.map((task) => task.name) }, () =>
    [
      `Serving ${tasks.length} task${tasks.length === 1 ? '' : 's'} of ${path} at ${server.url}: ${tasks
        .map((task) => task.name)
        .slice(0, 12)
        .join(', ')}`,
      'Try (an empty image):',
      `  head -c ${width} /dev/zero | curl -s --data-binary @- -H 'Content-Type: application/octet-stream' ${server.url}/tasks/${encodeURIComponent(first.name)}/classify`,
    ].join('\n'),
  );
  await untilSignal();
  await server.close();
  engine.close();
}
