// The same bits everywhere: short runs of every method on LeNet-300-100, reduced to one SHA-256 each. The literals were printed by
// this test under Node 20.20.2, 22 and 24 (x64), with one thread and with two, and agreed; that they are the right bits is shown by
// the suites that compare the wasm engine with the reference engine.

import { sha256 } from '@noble/hashes/sha2.js';
import { describe, expect, test } from 'vitest';
import { fc } from '../models/index.js';
import { type Engine, PIXELS, type Trainer } from '../src/engine/engine.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { initialScores, keepAt, selectionAt } from '../src/masks/topk.js';
import { fullMask, inputs, kept, type Network, regenerate, weightCounts } from '../src/network.js';
import { randomMask, randomPixels, randomTrainingSet } from './engine.material.js';

const network: Network = { ...fc, distribution: 'signed-constant', sigma: 'he', seed: { low: 2019, high: 5 } };
const normal: Network = { ...network, distribution: 'normal' };
const BATCH = 96;
const data = randomTrainingSet(network, network.seed, 400, PIXELS);

function hash(...arrays: readonly ArrayBufferView[]): string {
  const state = sha256.create();
  for (const a of arrays) state.update(new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
  return Buffer.from(state.digest()).toString('hex').slice(0, 16);
}

/** Ten steps over changing rows; the losses. */
function steps(trainer: Trainer, step: (i: number) => void): Float64Array {
  return Float64Array.from({ length: 10 }, (_, i) => {
    const loss = trainer.gradients(Uint32Array.from({ length: BATCH }, (_, k) => (i * 37 + k * 3) % 400));
    step(i);
    return loss;
  });
}

const RUNS: Record<string, [hash: string, run: (engine: Engine) => string]> = {
  'integer logits': [
    'bd5bf37b47befe33',
    (engine) => {
      const classifier = engine.classifier(network, { mask: randomMask(network, network.seed, 0.1) });
      return hash(classifier.logits(randomPixels(network.seed, 70 * inputs(network)), 70));
    },
  ],
  'float logits': [
    '54ecfc99c830119e',
    (engine) => {
      const classifier = engine.classifier(normal, { mask: randomMask(network, network.seed, 0.1) });
      return hash(classifier.logits(randomPixels(network.seed, 70 * inputs(network)), 70));
    },
  ],
  topk: [
    '7606bd90a14eed59',
    (engine) => {
      const trainer = engine.topkTrainer(
        network,
        data,
        { scores: initialScores(network, 0.01) },
        { keep: keepAt(network, [0.5, 0.5, 0.5]), gain: [1, 1, 1] },
        BATCH,
      );
      const losses = steps(trainer, (i) => {
        const density = [0.4 / (i + 1), 0.3, 0.5];
        trainer.step({ learningRate: 0.15, momentum: 0.9 }, selectionAt(network, density));
      });
      return hash(losses, ...trainer.scores(), ...trainer.mask(keepAt(network, [0.03, 0.1, 0.3])));
    },
  ],
  'dense Adam': [
    '8601729e0b26f80f',
    (engine) => {
      const trainer = engine.denseTrainer(normal, data, { weights: regenerate(normal), biases: null }, BATCH);
      const losses = steps(trainer, () => trainer.adam({ learningRate: 1.2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }));
      return hash(losses, ...trainer.parameters().weights, ...trainer.parameters().biases);
    },
  ],
  ticket: [
    'b6ae97b9b7f6df30',
    (engine) => {
      const mask = randomMask(network, network.seed, 0.1);
      const weights = regenerate(normal).map((w, layer) => w.map((v, i) => (kept(mask[layer], i) ? v : 0)));
      const trainer = engine.denseTrainer(normal, data, { weights, biases: null }, BATCH, mask);
      const losses = steps(trainer, () => trainer.adam({ learningRate: 1.2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }));
      return hash(losses, ...trainer.parameters().weights, ...trainer.parameters().biases);
    },
  ],
  bernoulli: [
    '11f74148af595846',
    (engine) => {
      const zeros = weightCounts(network).map((n) => new Float32Array(n));
      const trainer = engine.bernoulliTrainer(network, data, { scores: zeros }, true, BATCH);
      const losses = steps(trainer, (i) => trainer.step({ learningRate: 20, momentum: 0.9 }, i + 1));
      expect(trainer.mask()).not.toEqual(fullMask(network, true));
      return hash(losses, ...trainer.scores(), ...trainer.mask());
    },
  ],
};

describe.each([1, 2])('%i threads', (threads) => {
  test.each(Object.keys(RUNS))('%s', async (name) => {
    const [wanted, run] = RUNS[name];
    const engine = await createWasmEngine({ threads });
    try {
      expect(run(engine)).toBe(wanted);
    } finally {
      engine.close();
    }
  });
});
