// A step of Bernoulli scores against numeric derivatives in double precision: dL/ds = p (1 - p) dL/dm, where a drawn m of 0 or 1 is moved
// as if it were any number (straight-through), and with rescaling the factor N / sum(m) of its layer moves with it (Zhou et al. 2019,
// sections 5.1 and 5.2). The suite compares the other engines with the reference.

import { expect, test } from 'vitest';
import { PIXELS } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { likelierMask } from '../src/masks/bernoulli.js';
import { kept, type Network, regenerate, weightCounts } from '../src/network.js';
import { conv, dense, evaluate, net, pool, randomFloats, randomTrainingSet } from './engine.material.js';

// Weights that are all unlike and pixels that are never 0: where a sum is exactly 0, relu has no derivative.
const unlike = (network: Network): Network => ({ ...network, distribution: 'normal' });
const NETWORKS = {
  dense: unlike(net([1, 1, 9], dense(7), dense(3, 'linear'))),
  conv: unlike(net([5, 4, 2], conv(3), pool, dense(3, 'linear'))),
};
const ROWS = Uint32Array.of(0, 1, 2, 3, 4);

test.each([
  ['dense', false],
  ['dense', true],
  ['conv', false],
  ['conv', true],
] as const)('%s, rescaled %s: a step is straight-through, the factor of rescaling included', (name, rescale) => {
  const network = NETWORKS[name];
  const scores = weightCounts(network).map((n, layer) => randomFloats(network.seed, 600 + layer, n, 4));
  const data = randomTrainingSet(network, network.seed, ROWS.length, PIXELS);
  data.images.forEach((pixel, i) => {
    if (pixel === 0) data.images[i] = 1 + ((31 * i) % 255);
  });
  const trainer = createReferenceEngine().bernoulliTrainer(network, data, { scores }, rescale, ROWS.length);
  const masks = trainer.mask().map((bits, layer) => Array.from(scores[layer], (_, i) => kept(bits, i)));
  const weights = regenerate(network);

  const loss = (): number => {
    const effective = weights.map((w, layer) => {
      const factor = rescale ? w.length / masks[layer].reduce((sum, m) => sum + m, 0) : 1;
      return Array.from(w, (value, i) => value * masks[layer][i] * factor);
    });
    const width = data.images.length / ROWS.length;
    let sum = 0;
    for (const row of ROWS) {
      const pixels = Array.from(data.images.subarray(row * width, (row + 1) * width), (v) => v * PIXELS.scale);
      const logits = evaluate(network, effective, null, pixels);
      sum += Math.log(logits.reduce((all, z) => all + Math.exp(z), 0)) - logits[data.labels[row]];
    }
    return sum / ROWS.length;
  };
  const slope = (layer: number, i: number): number => {
    const held = masks[layer][i];
    const [above, below] = [1e-6, -1e-6].map((h) => {
      masks[layer][i] = held + h;
      return loss();
    });
    masks[layer][i] = held;
    return (above - below) / 2e-6;
  };

  expect(trainer.gradients(ROWS)).toBeCloseTo(loss(), 5);
  trainer.step({ learningRate: 1, momentum: 0 }, 1);
  let largest = 0;
  trainer.scores().forEach((after, layer) => {
    after.forEach((score, i) => {
      const before = scores[layer][i];
      const p = 1 / (1 + Math.exp(-before));
      const want = p * (1 - p) * slope(layer, i);
      largest = Math.max(largest, Math.abs(want));
      expect(Math.abs(before - score - want), `score ${i} of layer ${layer} by ${want}`).toBeLessThan(1e-6);
    });
  });
  expect(largest).toBeGreaterThan(0.005);
});

test('the definite mask keeps what is as likely kept as not: a score of exactly 0', () => {
  expect(likelierMask([Float32Array.of(0, -1e-30, 1e-30, -0, -1)])).toEqual([Uint8Array.of(0b01101)]);
});
