// seedmask demo: the paper's story on real digits, in about a minute. None of the networks it writes has a trained weight:
// untrained, under a random mask, under lottery-ticket masks, and under a learned mask; then it serves them all and asks them.

import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import Table from 'cli-table3';
import { Command } from 'commander';
import { type Model, writeModel } from '../../codec/index.js';
import { fc } from '../../models/index.js';
import { createHandler, listen, openStore } from '../../server/index.js';
import { createWasmEngine } from '../../src/engine/wasm.js';
import { criterionMask } from '../../src/masks/criteria.js';
import { fullMask, type Network, regenerate, totalKept, totalWeights } from '../../src/network.js';
import type { Seed } from '../../src/random.js';
import { FC_DENSITY, FC_EPOCHS, maskNetwork, PAPER, type Weights } from '../../src/recipes.js';
import { ticketNetwork } from '../../src/tickets.js';
import { trainDense } from '../../src/train.js';
import { loadDataset } from '../datasets/load.js';
import { makeFolder, writeFileSafely } from '../files.js';
import { accuracy, partsOf, RATE, SHIFT, taskModel, trainTask } from '../learn.js';
import { type Output, outputOf, portOption, seedOption, threadsOption } from '../options.js';
import { training } from '../progress.js';
import { untilSignal } from '../signals.js';
import { bestTicket } from '../ticket.js';

const EPOCHS = 3;

interface Options extends Output {
  once?: boolean;
  port: number;
  out: string;
  seed: Seed;
  threads?: number;
}

interface Row {
  readonly name: string;
  readonly what: string;
  readonly paper: string;
  readonly accuracy: number;
  readonly kept: number;
  readonly bytes: number;
}

export function makeCommand(): Command {
  return new Command('demo')
    .option('--once', 'end after the answers instead of serving until Ctrl-C (also when CI=true)')
    .addOption(portOption())
    .option('--out <dir>', 'folder for the model files', 'demo-models')
    .addOption(seedOption())
    .addOption(threadsOption())
    .option('--json', 'print one JSON object (implies --once)')
    .addHelpText('after', '\nExamples:\n  seedmask demo\n  seedmask demo --once --port 0 --out /tmp/demo')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const json = options.json === true;
  const say = (text: string) => {
    if (!json) console.log(text);
  };
  // A port that is taken is said before the training, not after it.
  await (await listen(() => undefined, { port: options.port })).close();
  const data = loadDataset('mnist');
  const engine = await createWasmEngine({ threads: options.threads });
  const parts = partsOf(data.train, options.seed);
  makeFolder(options.out);
  const rows: Row[] = [];
  const keep = async (name: string, what: string, paper: string, model: Model) => {
    const bytes = writeModel(model);
    writeFileSafely(join(options.out, `${name}.smk`), bytes);
    const kept = totalKept(model.tasks[0].mask);
    rows.push({ name, what, paper, accuracy: accuracy(engine, model, data.test), kept, bytes: bytes.length });
  };
  const model = (network: Network, mask: Uint8Array[]) => taskModel(engine, network, mask, data, parts.validation);

  const network = ticketNetwork(fc, options.seed);
  const initial = regenerate(network);
  say(
    `Network 784-300-100-10, ${totalWeights(network).toLocaleString('en')} random weights from a seed. Masks come from ${EPOCHS} epochs of training.\n`,
  );
  await keep('untrained', 'untrained network', '10 %', model(network, fullMask(network, true)));
  const half = [0.5, 0.5, 0.5];
  await keep(
    'random-mask',
    'under a random mask',
    '10 %',
    model(network, criterionMask(network, 'random', initial, initial, half, options.seed)),
  );

  const dense = await training('train weights (then thrown away)', json, ({ update }) =>
    trainDense(engine, network, data.train, parts, { ...PAPER, epochs: EPOCHS, onProgress: update }),
  );
  const ticket = (criterion: 'large_final' | 'large_final_same_sign', weights: Weights) =>
    bestTicket(engine, network, dense, criterion, weights, data, parts).model;
  await keep('large-final', 'large_final, initial weights', '40 %', ticket('large_final', 'init'));
  await keep('same-sign', 'large_final_same_sign, initial weights', '80 %', ticket('large_final_same_sign', 'init'));
  await keep('same-sign-constant', 'large_final_same_sign, signed constants', '86 %', ticket('large_final_same_sign', 'constant'));

  const learned = await training('learn a mask (weights never change)', json, ({ update }) =>
    trainTask(engine, maskNetwork(fc, options.seed), data, parts, {
      density: FC_DENSITY,
      epochs: FC_EPOCHS,
      shift: SHIFT,
      rate: RATE,
      onProgress: update,
    }),
  );
  await keep('learned', 'learned topk mask, signed constants', '', learned.model);

  const float32 = Buffer.concat(dense.final.weights.map((w) => new Uint8Array(w.buffer)));
  const sizes = { float32Bytes: float32.length, gzipBytes: gzipSync(float32).length };
  say(tableOf(rows, totalWeights(network), sizes, dense.valAccuracy));

  const store = await openStore(options.out);
  const handler = createHandler({ engine, store });
  const server = await listen(handler, { port: options.port });
  const digit = data.test.images.subarray(0, 784);
  say(
    `\nServing ${options.out} at ${server.url}. Asking every model for the first ten test digits (${[...data.test.labels.subarray(0, 10)].join(' ')}):`,
  );
  const answers: Record<string, string> = {};
  for (const { name } of rows) {
    const response = await fetch(`${server.url}/tasks/${name}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: data.test.images.slice(0, 7840),
    });
    const body = (await response.json()) as { predictions: { label: string }[] };
    answers[name] = body.predictions.map((p) => p.label).join(' ');
    say(`  ${name.padEnd(20)} ${answers[name]}`);
  }
  const file = join(options.out, 'digit.bin');
  writeFileSafely(file, digit);
  const curl = `curl -s --data-binary @${file} -H 'Content-Type: application/octet-stream' ${server.url}/tasks/learned/classify`;
  say(`\nAsk it yourself (${file} is the first test digit, a ${data.test.labels[0]}):\n  ${curl}`);
  const once = options.once || json || process.env['CI'] === 'true';
  if (json) outputOf(options).print({ models: rows, ...sizes, answers, url: server.url, curl, out: options.out }, () => '');
  if (!once) {
    say('\nServing until Ctrl-C.');
    await untilSignal();
  }
  await server.close();
  engine.close();
}

function tableOf(rows: readonly Row[], weights: number, sizes: { float32Bytes: number; gzipBytes: number }, trained: number): string {
  const table = new Table({
    head: ['model file', 'weights', 'test accuracy', 'paper (55 epochs)', 'kept', 'bytes'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  const number = (n: number) => n.toLocaleString('en');
  for (const row of rows) {
    table.push([
      `${row.name}.smk`,
      row.what,
      `${(100 * row.accuracy).toFixed(2)} %`,
      row.paper,
      `${((100 * row.kept) / weights).toFixed(1)} %`,
      number(row.bytes),
    ]);
  }
  table.push(['float32', `trained weights (validation ${(100 * trained).toFixed(2)} %)`, '', '', '100 %', number(sizes.float32Bytes)]);
  table.push(['float32, gzip', 'the same', '', '', '100 %', number(sizes.gzipBytes)]);
  return table.toString();
}
