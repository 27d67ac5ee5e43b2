// Weight regeneration and classification, ours and the peers' in turns in one run; medians, minima and maxima of several rounds.
//
//   npm run build && node bench/kernels.mjs [--peers FOLDER] [--rounds 7] [--python /usr/bin/python3]
//
// Peers are optional. SciPy and PyTorch (which writes the ONNX file): apt-get install python3-scipy python3-torch. ONNX Runtime:
// npm install --ignore-scripts --prefix FOLDER onnxruntime-node, then --peers FOLDER.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadDataset } from '../dist/cli/datasets.js';
import { fc } from '../dist/models/index.js';
import { Machine } from '../dist/src/engine/machine.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { criterionMask } from '../dist/src/masks/criteria.js';
import { regenerate } from '../dist/src/network.js';
import { DISTRIBUTIONS, fillWeights, parseSeed } from '../dist/src/random.js';

const { values: o } = parseArgs({
  options: { peers: { type: 'string' }, rounds: { type: 'string', default: '7' }, python: { type: 'string', default: '/usr/bin/python3' } },
});
const rounds = Number(o.rounds);
const here = (name) => fileURLToPath(new URL(`peers/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'seedmask-bench-'));
const pixels = join(folder, 'pixels.bin');
const digits = loadDataset('mnist').test.images;
writeFileSync(pixels, digits.subarray(0, 1024 * 784));
console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`);

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
const range = (list, digits = 0) =>
  `${median(list).toFixed(digits)} (${Math.min(...list).toFixed(digits)} .. ${Math.max(...list).toFixed(digits)})`;

/** Calls per second over about 0.3 s. */
function rate(call) {
  let calls = 0;
  const start = performance.now();
  while (performance.now() - start < 300) {
    call();
    calls++;
  }
  return calls / ((performance.now() - start) / 1000);
}

const machine = await Machine.create(1);
const COUNT = 1 << 20;
const out = machine.allocate(COUNT * 4);
const plain = new Float32Array(COUNT);
console.log('\nweight regeneration, one core, million weights per second: kernel | plain TypeScript');
for (const [name, id] of Object.entries(DISTRIBUTIONS)) {
  const kernel = [];
  const script = [];
  for (let i = 0; i < rounds; i++) {
    kernel.push((rate(() => machine.weights(id, 0.05, { low: 1, high: 2 }, 0, 0, out, COUNT)) * COUNT) / 1e6);
    script.push((rate(() => fillWeights(name, 0.05, { low: 1, high: 2 }, 0, 0, plain)) * COUNT) / 1e6);
  }
  console.log(`  ${name.padEnd(24)} ${range(kernel)} | ${range(script)}`);
}

/** A peer program that answers every "go" with its samples per second, or null when it cannot start. */
async function peer(command, parameters) {
  const child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, OMP_NUM_THREADS: '1' } });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  const ask = async () => {
    child.stdin.write('go\n');
    const { value, done } = await lines.next();
    return done ? null : JSON.parse(value);
  };
  const first = await ask().catch(() => null);
  return first && { version: first.version, ask, stop: () => child.kill() };
}

const onnx = join(folder, 'dense.onnx');
const haveOnnx = o.peers && spawnSync(o.python, [here('dense_onnx.py'), onnx]).status === 0;
if (!haveOnnx) console.log('\nwithout ONNX Runtime: it needs --peers FOLDER and a --python that has PyTorch (see bench/README.md)');
const density = [0.03, 0.1, 0.3];
const network = { ...fc, distribution: 'packed-signed-constant', sigma: 'he', seed: parseSeed(1) };
const initial = regenerate(network);
const mask = criterionMask(network, 'random', initial, initial, density, network.seed);
console.log(`\nFC 784-300-100-10, densities ${density.join(' ')}, real digits, in process, thousand samples per second`);
for (const threads of [1, 2]) {
  const engine = await createWasmEngine({ threads });
  const classifier = engine.classifier(network, { mask });
  for (const batch of [1, 32, 256]) {
    const rows = digits.slice(0, batch * 784);
    const scipy = threads === 1 ? await peer(o.python, [here('scipy_csr.py'), String(batch), pixels, ...density.map(String)]) : null;
    if (threads === 1 && batch === 1 && !scipy) console.log('  without SciPy: it needs a --python that has it (see bench/README.md)');
    const ort = haveOnnx
      ? await peer(process.execPath, [here('onnx_dense.mjs'), o.peers, onnx, String(batch), String(threads), pixels])
      : null;
    const results = { ours: [], scipy: [], ort: [] };
    for (let i = 0; i < rounds; i++) {
      results.ours.push((rate(() => classifier.logits(rows, batch)) * batch) / 1000);
      if (scipy) results.scipy.push((await scipy.ask()).samplesPerSecond / 1000);
      if (ort) results.ort.push((await ort.ask()).samplesPerSecond / 1000);
    }
    const beside = Object.entries({ scipy, ort })
      .filter(([, p]) => p)
      .map(
        ([name, p]) =>
          `${p.version} ${range(results[name])}, ratio of medians ${(median(results.ours) / median(results[name])).toFixed(2)}`,
      );
    console.log(
      `  ${threads} thread${threads > 1 ? 's' : ''}, batch ${String(batch).padEnd(4)} ours ${range(results.ours)}   ${beside.join('   ')}`,
    );
    scipy?.stop();
    ort?.stop();
  }
  engine.close();
}
rmSync(folder, { recursive: true });
