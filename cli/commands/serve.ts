// seedmask serve: model files over HTTP until a signal; the first one drains, the second one ends at once.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { destination, pino } from 'pino';
import { SeedmaskError } from '../../codec/index.js';
import { createHandler, listen, openStore, Threads } from '../../server/index.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { inputs } from '../../src/network.js';
import { accessOf, type KeyOptions, keyOptions } from '../access.js';
import { findKnown } from '../datasets/known.js';
import { statusOf } from '../files.js';
import { networkFileOption, networksOf } from '../models.js';
import {
  counted,
  fraction,
  mebibytes,
  type Output,
  origins,
  outputOf,
  portOption,
  positiveInteger,
  refuseGiven,
  seconds,
  threadsOption,
} from '../options.js';
import { pullFrom } from '../pull.js';
import { RELEASE } from '../release.js';
import { untilSignal } from '../signals.js';

interface Options extends Output, KeyOptions {
  port: number;
  host: string;
  threads?: number;
  poll?: number;
  cache?: string;
  allowHttp?: boolean;
  drainDelay: number;
  drainLimit: number;
  bodyLimit: number;
  keyRows?: number;
  network?: string;
  cors?: string[];
  helmet?: boolean;
  log: Level;
  abstain?: number;
  web?: string | true;
}

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
type Level = (typeof LEVELS)[number];

/** Bytes of all bodies that are being read at once, at least. */
const INTAKE = 128 * 1024 * 1024;
/** So many of the largest bodies fit in what is for large ones: two, and an eighth is for small ones (requests/intake.ts). */
const BODIES = 16 / 7;

const SHIPPED = fileURLToPath(new URL('../../../models/trained', import.meta.url));
/** Built by `npm run build`, beside the code. */
const PAGE = fileURLToPath(new URL('../../web', import.meta.url));

export function makeCommand(): Command {
  const command = new Command('serve')
    .argument('[path]', 'a model file, a folder of them, or the URL of a server to pull all tasks from; default: the models of seedmask')
    .addOption(portOption())
    .option('--host <address>', 'address to listen on; 0.0.0.0 is every network this machine is on', '127.0.0.1')
    .addOption(networkFileOption())
    .addOption(threadsOption('threads; default: one less than this machine has, at most 8'))
    .option('--poll <seconds>', 'look for changes so often; 0: never by itself; default: 2, or 30 at a URL', seconds)
    .option('--cache <folder>', 'keep what was pulled from a URL, so that a restart needs no network; default: until it ends')
    .option('--allow-http', 'pull over plain http from another machine: the network between is yours')
    .option('--abstain <p>', 'least probability of a label; below it the label is null', fraction)
    .option('--cors <origin...>', "origins whose pages may ask; '*' for all", origins)
    .option('--helmet', 'send protective headers for browsers with every answer')
    .addOption(new Option('--log <level>', 'JSON lines on stderr; debug has one for every request').choices(LEVELS).default('info'))
    .option('--web [folder]', 'also serve a page at /: the one that comes with seedmask, which draws, swaps masks and trains, or your own')
    .option(
      '--drain-delay <seconds>',
      'after a signal, readiness says no while requests are still taken for so long: load balancers notice',
      seconds,
      0,
    )
    .option('--drain-limit <seconds>', 'after that delay, wait so long for answers under way before connections are cut', seconds, 10)
    .option('--body-limit <MiB>', 'largest body of a request, before and after Content-Encoding', mebibytes, 16)
    .option('--key-rows <n>', 'rows that one key may have under way; default: as many as all together', positiveInteger)
    .option('--json', 'print one JSON object once listening')
    .addHelpText(
      'after',
      `
Examples:
  seedmask serve models/trained
  seedmask serve archive.smk --port 9000
  seedmask serve --web
  seedmask serve masks --network network.smk
  seedmask serve https://models.example.org --cache /var/cache/seedmask
  seedmask serve models/trained --keys keys.json --admin-key-file admin.key --cors https://example.org --log debug`,
    )
    .action(async (path: string | undefined, options: Options, command: Command) => {
      if (path === undefined || !isUrl(path)) refuseGiven(command, ['allowHttp'], 'the URL of a server to pull from');
      const access = accessOf(options);
      if (!access.keys) refuseGiven(command, ['keyRows'], '--keys or SEEDMASK_KEYS: without keys all rows are of one queue');
      await run(path ?? SHIPPED, options, access);
    });
  for (const option of keyOptions()) command.addOption(option);
  return command;
}

const isUrl = (path: string): boolean => /^https?:/i.test(path);

async function run(path: string, options: Options, access: ReturnType<typeof accessOf>): Promise<void> {
  const web = options.web === undefined ? undefined : webOf(options.web);
  // A reader of the log that goes away takes no request with it.
  const stderr = destination(2).on('error', () => {});
  const log = pino({ level: options.log, base: null }, stderr);
  // From here on a signal ends the server in good order, however far it has come.
  const signal = untilSignal();
  let ending = false;
  void signal.then(() => {
    ending = true;
  });
  const threads = new Threads({ count: options.threads });
  const source = isUrl(path) ? await pullFrom(path, options, threads, log, signal) : undefined;
  const store = await openStore(source?.folder ?? path, { networks: await networksOf(options.network), threads });
  for (const { file, error } of store.failures) log.warn({ file, code: error.code, reason: error.message }, 'failed');
  await source?.mend(store);
  if (store.tasks.size === 0) {
    if (ending) return;
    if (source?.failure) throw source.failure;
    if (store.failures.length > 0) throw store.failures[0].error;
    throw new SeedmaskError('bad-store', {
      field: path,
      expected: 'a folder with at least one .smk file, or a file with a task',
      got: 'none',
    });
  }
  const engine = await createWasmEngine({ threads: 1 });
  const { cors, helmet, abstain, keyRows } = options;
  const bodyLimit = options.bodyLimit * 1024 * 1024;
  const limits = {
    bodyLimit,
    intakeLimit: Math.max(INTAKE, Math.ceil(bodyLimit * BODIES)),
    keyLimit: keyRows === undefined ? undefined : () => keyRows,
  };
  const handler = createHandler({ engine, store, threads, release: RELEASE, ...access, ...limits, cors, helmet, abstain, web, log });
  if (!(await handler.warm())) log.warn({ code: 'unwell', reason: new SeedmaskError('unwell').message }, 'failed');
  const drain = { drainDelay: options.drainDelay * 1000, drainLimit: options.drainLimit * 1000 };
  const server = await listen(handler, { port: options.port, host: options.host, ...drain });
  const tasks = [...store.tasks.values()];
  const [first] = tasks;
  const { network, task } = first.versions[first.versions.length - 1];
  const [zeros, bytes] = task.transform.features ? ['a row of zeros', 4 * inputs(network)] : ['an empty image', inputs(network)];
  outputOf(options).print({ url: server.url, tasks: tasks.map((task) => task.name) }, () =>
    [
      `Serving ${counted(tasks.length, 'task')} of ${path} at ${server.url}: ${tasks
        .map((task) => task.name)
        .slice(0, 12)
        .join(', ')}`,
      access.keys ? `Clients need a key. Try (${zeros}, the key in $KEY):` : `Nobody is asked for a key. Try (${zeros}):`,
      `  head -c ${bytes} /dev/zero | curl -s --data-binary @- ${access.keys ? '-H "X-API-Key: $KEY" ' : ''}-H 'Content-Type: application/octet-stream' ${server.url}/tasks/${encodeURIComponent(first.name)}/classify`,
    ].join('\n'),
  );
  const ms = (options.poll ?? (source ? 30 : 2)) * 1000;
  const unwatch = source ? source.watch(store, ms) : ms === 0 ? () => undefined : store.watch(ms);
  store.keepWarm();
  await signal;
  unwatch();
  await server.close();
  store.close();
  await threads.close();
  engine.close();
}

/** What a page needs: itself, and MNIST to train on where it is there. @throws SeedmaskError no-file */
function webOf(folder: string | true): Record<string, string> {
  const mnist = findKnown('mnist');
  return { '/': folder === true ? PAGE : folderOf(folder), ...(mnist ? { '/data/mnist': mnist } : {}) };
}

/** @throws SeedmaskError no-file */
function folderOf(path: string): string {
  if (statusOf(join(path, 'index.html'))?.isFile()) return path;
  const hint = 'To serve the models of a folder: seedmask serve FOLDER --web';
  throw new SeedmaskError('no-file', { field: join(path, 'index.html'), got: 'a page needs this file', hint });
}
