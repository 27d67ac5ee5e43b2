// Does unloading free? Rounds of load, answer, unload on a live store, with the memory of the process after each hundred; a slope is
// fitted to the second half. Then the same with a leak on purpose (every mask is kept), which the same judgement must catch.
//
//   node --expose-gc bench/server-life.mjs [--rounds 1000]

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openStore } from '../dist/server/index.js';
import { Classifiers } from '../dist/server/running/classify.js';
import { Scheduler } from '../dist/server/running/scheduler.js';
import { createWasmEngine } from '../dist/src/index.js';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1000' } } });
const rounds = Number(values.rounds);
const root = mkdtempSync(join(tmpdir(), 'seedmask-life-'));
writeFileSync(join(root, 'mnist.smk'), readFileSync(new URL('../models/trained/mnist-tiny.smk', import.meta.url)));
const engine = await createWasmEngine({ threads: 1 });

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

async function run(leak) {
  const store = await openStore(root);
  const scheduler = new Scheduler(store, new Classifiers(engine, 2 ** 28));
  const kept = [];
  const buffers = [];
  const resident = [];
  for (let i = 1; i <= rounds; i++) {
    await store.load('mnist');
    const version = store.version('mnist');
    // Floats need a compiled form; whole pixels are answered from the packed mask.
    await scheduler.classify(version, { values: new Float32Array(784).fill(0.5), count: 1 });
    await scheduler.classify(version, { values: new Uint8Array(784).fill(9), count: 1 });
    if (leak) kept.push((await store.open(version)).packed);
    await store.unload('mnist');
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
    `${leak ? 'with a leak on purpose' : 'as it is'}: ${rounds} rounds, ArrayBuffers ${b.bytes.toFixed(0)} +- ${b.error.toFixed(0)} bytes a round, RSS ${r.bytes.toFixed(0)} +- ${r.error.toFixed(0)}: ${grows ? 'GROWS' : 'does not grow'}`,
  );
  return grows;
}

const sound = await run(false);
const caught = await run(true);
rmSync(root, { recursive: true });
if (sound || !caught) process.exit(1);
