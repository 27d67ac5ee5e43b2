// Inference by network, density, batch and threads beside ONNX Runtime (dense float32 and int8), PyTorch (dense and CSR) and SciPy
// (CSR). Ours are signed constants under random masks; MNIST rows are real digits, the others random bytes; all in process.
//
//   npm run build && node bench/inference.mjs [--only "^fc.* 1 thread"] [options of rounds.mjs]

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadDataset } from '../dist/cli/datasets/load.js';
import { conv4, fc } from '../dist/models/index.js';
import { createWasmEngine } from '../dist/src/engine/wasm.js';
import { criterionMask } from '../dist/src/masks/criteria.js';
import { inputs, regenerate, weightCounts } from '../dist/src/network.js';
import { DOMAIN, fillWords, parseSeed } from '../dist/src/random.js';
import { maskNetwork } from '../dist/src/recipes.js';
import { openBench, rate } from './rounds.mjs';

const seed = parseSeed(1);
const noise = new Uint32Array((16 * 3072) / 4);
fillWords(seed, DOMAIN.sampling, 0, 0, noise);
const JOBS = [
  { name: 'fc', network: fc, densities: [[0.03, 0.1, 0.3], [0.2], [0.5]], batches: [1, 32, 256] },
  { name: 'conv4', network: conv4, densities: [[0.1]], batches: [16] },
];

const bench = openBench();
const scipy = await bench.peer('scipy_csr.py');
const torch = await bench.peer('torch_inference.py');
const ort = await bench.peer('onnx_runtime.py');

for (const { name, network, densities, batches } of JOBS) {
  const labels = densities.flatMap((list) =>
    [1, 2].flatMap((threads) =>
      batches.map((batch) => ({
        list,
        threads,
        batch,
        label: `${name} ${list.join(' ')}, ${threads} thread${threads > 1 ? 's' : ''}, batch ${batch}`,
      })),
    ),
  );
  const wanted = labels.filter(({ label }) => bench.wanted(label));
  if (wanted.length === 0) continue;
  const width = inputs(network);
  const images = width === 784 ? loadDataset('mnist').test.images.slice(0, 256 * width) : new Uint8Array(noise.buffer);
  const pixels = join(bench.folder, `${name}.bin`);
  writeFileSync(pixels, images);
  const dense = network.layers.every((layer) => layer.kind === 'dense');
  const source = maskNetwork(network, seed);
  const initial = regenerate(source);
  const rows = [];
  for (const { list, threads, batch, label } of wanted) {
    const density = weightCounts(network).map((_, i) => list[Math.min(i, list.length - 1)]);
    const engine = await createWasmEngine({ threads });
    const classifier = engine.classifier(source, { mask: criterionMask(source, 'random', initial, initial, density, seed) });
    const batchImages = images.slice(0, batch * width);
    const job = { network, density, batch, threads, pixels };
    const rates = await bench.contest({
      ours: (seconds) => rate(() => classifier.logits(batchImages, batch), seconds) * batch,
      'ONNX Runtime float32': ort?.({ ...job, model: 'float32' }),
      'ONNX Runtime int8 dynamic': ort?.({ ...job, model: 'dynamic' }),
      'ONNX Runtime int8 static': ort?.({ ...job, model: 'static' }),
      'PyTorch dense': torch?.({ ...job, layout: 'dense' }),
      'PyTorch CSR': dense ? torch?.({ ...job, layout: 'csr' }) : null,
      'SciPy CSR': dense ? scipy?.(job) : null,
    });
    rows.push({ name: label, rates });
    engine.close();
  }
  bench.table(`Inference, ${name}`, dense ? 'thousand samples per second' : 'samples per second', rows, { scale: dense ? 1e-3 : 1 });
}
bench.close();
