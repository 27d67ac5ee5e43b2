// ONNX Runtime on the dense float32 network. Reads "go" lines; answers each with samples per second (JSON).
//
//   node onnx_dense.mjs MODULES MODEL BATCH THREADS PIXELS      MODULES: folder where onnxruntime-node is installed

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const [modules, model, batch, threads, pixels] = process.argv.slice(2);
const ort = createRequire(join(resolve(modules), 'package.json'))('onnxruntime-node');
const session = await ort.InferenceSession.create(model, { intraOpNumThreads: Number(threads), interOpNumThreads: 1 });
const n = Number(batch);
const x = new ort.Tensor(
  'float32',
  Float32Array.from(readFileSync(pixels).subarray(0, n * 784), (v) => v / 255),
  [n, 784],
);
for await (const _ of createInterface({ input: process.stdin })) {
  let calls = 0;
  const start = performance.now();
  while (performance.now() - start < 300) {
    await session.run({ x });
    calls++;
  }
  const samplesPerSecond = (calls * n) / ((performance.now() - start) / 1000);
  console.log(JSON.stringify({ samplesPerSecond, version: `onnxruntime-node ${ort.env.versions.node}` }));
}
