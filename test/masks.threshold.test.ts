// Threshold masks: scores start around 0 by fan-in, RMSprop moves them as its formula says, and what is at least 0 is kept.

import { expect, test } from 'vitest';
import { RMSPROP, signedScores, ThresholdScores } from '../src/masks/threshold.js';
import { type Network, regenerate } from '../src/network.js';
import { parseSeed } from '../src/random.js';

const network: Network = {
  input: [2, 2, 1],
  layers: [
    { kind: 'dense', units: 64, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
  distribution: 'packed-signed-constant',
  sigma: 'he',
  seed: parseSeed('threshold'),
};

test('first scores are spread evenly over the reach of a fan-in', () => {
  const [first, second] = signedScores(network);
  expect([first.length, second.length]).toEqual([256, 192]);
  for (const [scores, reach] of [
    [first, 1 / 2],
    [second, 1 / 8],
  ] as const) {
    expect(Math.max(...scores.map(Math.abs))).toBeLessThanOrEqual(reach);
    // Standard errors of the mean and of the share above 0 of some 200 even draws.
    expect(Math.abs(scores.reduce((a, b) => a + b, 0) / scores.length)).toBeLessThan((4 * reach) / Math.sqrt(3 * scores.length));
    expect(Math.abs(scores.filter((s) => s >= 0).length / scores.length - 0.5)).toBeLessThan(2 / Math.sqrt(scores.length));
  }
});

test('RMSprop: each score moves by its gradient over the root of a running mean of squares', () => {
  const state = new ThresholdScores(network);
  const weights = regenerate(network)[0];
  const want = Float64Array.from(state.scores[0]);
  const squares = new Float64Array(256);
  const gradients = [1, 2, 3].map((step) => Float32Array.from({ length: 256 }, (_, i) => Math.sin(step * i) * (i % 7 === 0 ? 0 : 0.01)));
  const still = state.scores[1].slice();
  for (const gradient of gradients) {
    const before = state.scores[0].slice();
    const moves = state.move(0, gradient, { ...RMSPROP, learningRate: 0.05 });
    gradient.forEach((value, i) => {
      const g = value * weights[i];
      squares[i] = 0.99 * squares[i] + 0.01 * g * g;
      want[i] -= (0.05 * g) / (Math.sqrt(squares[i]) + 1e-8);
      expect(state.scores[0][i]).toBe(Math.fround(before[i] + moves[i]));
      expect(state.scores[0][i]).toBeCloseTo(want[i], 5);
    });
  }
  expect(state.scores[1]).toEqual(still);
  expect(state.kept()[0]).toBe(want.filter((score) => score >= 0).length);
});
