// ONNX Runtime on models that onnx_models.py wrote: dense float32 and int8.
//
//   node onnx.mjs MODULES      MODULES: folder where onnxruntime-node is installed
//
// A job {model, input: shape of a sample, batch, threads, pixels, seconds} a line is answered by {rate: samples per second}.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const ort = createRequire(join(resolve(process.argv[2]), 'package.json'))('onnxruntime-node');

async function rate({ model, input, batch, threads, pixels, seconds }) {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3 });
  const size = input.reduce((a, b) => a * b, batch);
  const x = new ort.Tensor(
    'float32',
    Float32Array.from(readFileSync(pixels).subarray(0, size), (v) => v / 255),
    [batch, ...input],
  );
  await session.run({ x });
  let calls = 0;
  const start = performance.now();
  while (performance.now() - start < seconds * 1000) {
    await session.run({ x });
    calls++;
  }
  const spent = (performance.now() - start) / 1000;
  await session.release();
  return (calls * batch) / spent;
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await rate(JSON.parse(line)).then(
    (rate) => ({ rate }),
    (error) => ({ error: String(error) }),
  );
  console.log(JSON.stringify({ version: `ONNX Runtime ${ort.env.versions.node}`, ...reply }));
}
