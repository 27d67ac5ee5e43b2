// Does what goes leave nothing behind? Rounds of load, answer, unload on a live store; then rounds of swaps, in each of which the file
// is replaced while requests are under way, and every answer must be that of the mask before or after. The memory of the process is
// taken 40 times; a slope is fitted to the second half. Then both with a leak on purpose (every mask is kept), which must be caught.
//
//   node --expose-gc bench/server-life.mjs [--rounds 1000]

import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readModel, writeModel } from '../dist/codec/index.js';
import { openStore } from '../dist/server/index.js';
import { Classifiers } from '../dist/server/running/classify.js';
import { Scheduler } from '../dist/server/running/scheduler.js';
import { createWasmEngine } from '../dist/src/index.js';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1000' } } });
const rounds = Number(values.rounds);
const root = mkdtempSync(join(tmpdir(), 'seedmask-life-'));
const first = readFileSync(new URL('../models/trained/mnist-tiny.smk', import.meta.url));
const model = readModel(first);
// The same mask at another temperature: other content, other probabilities.
const files = [first, writeModel({ ...model, tasks: [{ ...model.tasks[0], logitScale: model.tasks[0].logitScale * 2 }] })];
function put(bytes) {
  writeFileSync(join(root, 'next'), bytes);
  renameSync(join(root, 'next'), join(root, 'mnist.smk'));
}
put(first);
const engine = await createWasmEngine({ threads: 1 });
const pixels = { values: new Uint8Array(784).fill(9), count: 1 };
// Floats need a compiled form; whole pixels are answered from the packed mask.
const floats = { values: new Float32Array(784).fill(0.5), count: 1 };

/** What one round does; every answer of a swap must be in `right`. */
const ROUNDS = {
  async unload({ store, scheduler }) {
    await store.load('mnist');
    const version = store.version('mnist');
    await scheduler.classify(version, floats);
    await scheduler.classify(version, pixels);
    return { version, after: () => store.unload('mnist') };
  },
  async swap({ store, scheduler, right }, i) {
    put(files[i % 2]);
    let going = true;
    const swapped = store.refresh().finally(() => {
      going = false;
    });
    do {
      const { probabilities } = await scheduler.classify(store.version('mnist'), pixels);
      if (!right.has(probabilities.join())) throw new Error('an answer of neither mask');
      await new Promise(setImmediate);
    } while (going);
    await swapped;
    const version = store.version('mnist');
    await scheduler.classify(version, floats);
    return { version, after: () => undefined };
  },
};

/** Bytes a round, by least squares over the second half, and how sure that is. */
function slope(samples) {
  const half = samples.slice(samples.length >> 1);
  const n = half.length;
  const [mx, my] = [0, 1].map((k) => half.reduce((sum, point) => sum + point[k], 0) / n);
  const sxx = half.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const b = half.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const rest = half.reduce((sum, [x, y]) => sum + (y - my - b * (x - mx)) ** 2, 0);
  return { bytes: b, error: Math.sqrt(rest / (n - 2) / sxx) };
}

async function run(kind, leak) {
  put(first);
  const store = await openStore(root);
  const scheduler = new Scheduler(store, new Classifiers(engine, 2 ** 28));
  const right = new Set();
  for (const bytes of files.toReversed()) {
    put(bytes);
    await store.refresh();
    right.add((await scheduler.classify(store.version('mnist'), pixels)).probabilities.join());
  }
  const kept = [];
  const buffers = [];
  const resident = [];
  for (let i = 1; i <= rounds; i++) {
    const { version, after } = await ROUNDS[kind]({ store, scheduler, right }, i);
    // A copy: of a swap it is no mask that the store keeps anyway.
    if (leak) kept.push((await store.open(version)).packed.slice());
    await after();
    if (i % Math.max(1, rounds / 40) === 0) {
      // Buffers are freed some time after their objects.
      for (let k = 0; k < 4; k++) {
        global.gc();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const { rss, arrayBuffers } = process.memoryUsage();
      buffers.push([i, arrayBuffers]);
      resident.push([i, rss]);
    }
  }
  const [b, r] = [slope(buffers), slope(resident)];
  const grows = b.bytes - 3 * b.error > 0 && b.bytes > 1000;
  console.log(
    `${kind}, ${leak ? 'with a leak on purpose' : 'as it is'}: ${rounds} rounds, ArrayBuffers ${b.bytes.toFixed(0)} +- ${b.error.toFixed(0)} bytes a round, RSS ${r.bytes.toFixed(0)} +- ${r.error.toFixed(0)}: ${grows ? 'GROWS' : 'does not grow'}`,
  );
  return grows;
}

let failed = false;
for (const kind of Object.keys(ROUNDS)) {
  const grows = await run(kind, false);
  const caught = await run(kind, true);
  failed ||= grows || !caught;
}
rmSync(root, { recursive: true });
if (failed) process.exit(1);
