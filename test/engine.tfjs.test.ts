// The engine over TensorFlow.js passes the suite of all engines: floats close to the reference, integers exactly. The cpu backend does
// everything; the wasm backend of TensorFlow.js has no gradients of convolutions and pools.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { expect, test } from 'vitest';
import { packMask } from '../src/engine/packed.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createTfjsEngine } from '../src/engine/tfjs.js';
import { fullMask, inputs, nonzero, regenerate } from '../src/network.js';
import { conv, dense, net, pool, randomPixels } from './engine.material.js';
import { engineSuite } from './engine.suite.js';

const CLOSENESS = 1e-4;

const engineOn = (backend: 'cpu' | 'wasm') => async () => {
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  await tf.setBackend(backend);
  return createTfjsEngine(tf);
};

engineSuite('tfjs on cpu', engineOn('cpu'), { conv: true, closeness: CLOSENESS });
engineSuite('tfjs on wasm', engineOn('wasm'), { conv: false, closeness: CLOSENESS });

test.each(['cpu', 'wasm'] as const)('%s: sums beyond 2^24 stay exact, over images too, and no tensor is left behind', async (backend) => {
  const engine = await engineOn(backend)();
  // Positive weights alone, so nothing cancels.
  const network = { ...net([12, 12, 2], conv(40), conv(40), pool, dense(10, 'linear')), seed: { low: 1, high: 2 } };
  const options = { mask: regenerate(network).map((weights) => nonzero(weights.map((w) => Math.max(0, w)))) };
  const pixels = randomPixels(network.seed, 5 * inputs(network));
  const before = tf.memory().numTensors;
  const [ours, theirs] = [engine, createReferenceEngine()].map((e) => e.classifier(network, options));
  const want = theirs.logits(pixels, 5);
  expect(want).toBeInstanceOf(Int32Array);
  expect(Math.max(...Array.from(want, Math.abs))).toBeGreaterThan(2 ** 24);
  expect(ours.logits(pixels, 5)).toEqual(want);
  ours.free();
  const line = { ...net([1, 1, 6], dense(3, 'linear')), seed: network.seed };
  engine.anyMask(line)!.logits(packMask(line, fullMask(line, true)), pixels.subarray(0, 6), 1);
  expect(tf.memory().numTensors).toBe(before);
});

test.each(['cpu', 'wasm'] as const)('%s: a convolution may stand behind a dense layer', async (backend) => {
  const network = net([3, 3, 2], dense(8), conv(4), dense(3, 'linear'));
  const pixels = randomPixels(network.seed, 5 * inputs(network));
  for (const options of [{}, { transform: { scale: 1 / 255, mean: 0.5 } }]) {
    const [ours, theirs] = [await engineOn(backend)(), createReferenceEngine()].map((e) =>
      e.classifier(network, options).logits(pixels, 5),
    );
    const largest = Math.max(...Array.from(theirs, Math.abs));
    theirs.forEach((value, i) => {
      expect(Math.abs(ours[i] - value)).toBeLessThanOrEqual(ours instanceof Int32Array ? 0 : CLOSENESS * largest);
    });
  }
});

test('a closed engine has freed its classifiers and makes no more', async () => {
  const line = net([1, 1, 6], dense(3, 'linear'));
  const before = tf.memory().numTensors;
  const engine = await engineOn('cpu')();
  const [kept, freed] = [engine.classifier(line), engine.classifier(line)];
  freed.free();
  engine.close();
  expect(tf.memory().numTensors).toBe(before);
  expect(() => kept.logits(new Uint8Array(6), 1)).toThrow('this classifier has been freed');
  expect(() => engine.classifier(line)).toThrow('the engine is closed');
  kept.free();
  engine.close();
});

test('a layer of more inputs than f32 can add exactly is refused, where its sums would never end', async () => {
  const most = Math.floor(2 ** 24 / 3);
  const engine = await engineOn('cpu')();
  const of = (width: number) => {
    const network = net([1, 1, width], dense(1, 'linear'));
    return { network, options: { mask: [new Uint8Array(Math.ceil(width / 8)).fill(1, 0, 1)] } };
  };
  const wide = of(most + 1);
  expect(() => engine.classifier(wide.network, wide.options)).toThrow(
    `layer 0 sums ${most + 1} inputs, more than the ${most} whose sums are exact in f32: the wasm engine takes it`,
  );
  const { network, options } = of(most);
  const pixels = new Uint8Array(most).fill(255, 0, 1);
  const [ours, theirs] = [engine, createReferenceEngine()].map((e) => e.classifier(network, options).logits(pixels, 1));
  expect(ours).toEqual(theirs);
  expect(Math.abs(ours[0])).toBe(255);
  engine.close();
});
