// The sparsity penalty of Bernoulli masks against a numeric derivative: what a penalised step does beyond a plain one is a step down
// penalty x mean of sigmoid(score), whatever the loss does. The suite compares the other engines with the reference.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, PIXELS } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { weightCounts } from '../src/network.js';
import { conv, dense, net, pool, randomFloats, randomTrainingSet } from './engine.material.js';

const NETWORKS = {
  dense: net([1, 1, 9], dense(7), dense(3, 'linear')),
  conv: net([5, 4, 2], conv(3), pool, dense(3, 'linear')),
};
const PENALTY = 40;
const ROWS = Uint32Array.of(0, 1, 2, 3, 4);

/** penalty x mean over all weights of 1 / (1 + e^-score), in double precision. */
function term(scores: readonly (readonly number[])[]): number {
  const all = scores.flat();
  return (PENALTY * all.reduce((sum, s) => sum + 1 / (1 + Math.exp(-s)), 0)) / all.length;
}

describe.each([
  ['reference', createReferenceEngine],
  ['wasm', createWasmEngine],
] as const)('%s', (_, make) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await make();
  });
  afterAll(() => engine.close());

  /** Scores after one step at rate 1 without momentum. */
  const stepped = (name: keyof typeof NETWORKS, rescale: boolean, penalty?: number) => {
    const network = NETWORKS[name];
    const before = weightCounts(network).map((n, layer) => randomFloats(network.seed, 800 + layer, n, 6));
    const data = randomTrainingSet(network, network.seed, ROWS.length, PIXELS);
    // A pixel that is 0 in all rows: without rescaling nothing of it is drawn.
    for (const row of ROWS) data.images[(row * data.images.length) / ROWS.length] = 0;
    const trainer = engine.bernoulliTrainer(network, data, { scores: before }, rescale, ROWS.length);
    trainer.gradients(ROWS);
    trainer.step({ learningRate: 1, momentum: 0, penalty }, 1);
    const after = trainer.scores();
    trainer.free();
    return { before: before.map((s) => Array.from(s)), after };
  };

  test.each([
    ['dense', false],
    ['dense', true],
    ['conv', false],
    ['conv', true],
  ] as const)('%s, rescaled %s: the penalty adds the slope of the mean probability', (name, rescale) => {
    const { before, after } = stepped(name, rescale, PENALTY);
    const plain = stepped(name, rescale).after;
    const h = 1e-4;
    before.forEach((scores, layer) => {
      scores.forEach((score, i) => {
        const at = (s: number) => term(before.map((all, l) => (l === layer ? all.with(i, s) : all)));
        const slope = (at(score + h) - at(score - h)) / (2 * h);
        // Slopes are 0.02 to 0.2; f32 scores up to 3 and gradients up to 1 are good to 4e-7.
        expect(Math.abs(plain[layer][i] - after[layer][i] - slope), `score ${i} of layer ${layer}`).toBeLessThan(1e-6);
      });
    });
    expect(plain).not.toEqual(before);
  });

  test('no penalty is a penalty of 0, and others are refused before anything changes', () => {
    expect(stepped('dense', true, 0).after).toEqual(stepped('dense', true).after);
    for (const name of ['dense', 'conv'] as const)
      for (const penalty of [-1, Number.NaN, Number.POSITIVE_INFINITY])
        expect(() => stepped(name, false, penalty)).toThrow(`penalty must be a number of at least 0, got ${penalty}`);
  });
});
