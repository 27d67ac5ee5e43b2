// Asking every mask: the scores are those of each mask's own classifier, and the mask that inputs were made for is found.

import { expect, test } from 'vitest';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { packMask } from '../src/index.js';
import { askAll } from '../src/masks/ask-all.js';
import { fullMask, maskBytes, type Network, ShapeError, weightCounts } from '../src/network.js';
import { DOMAIN, fillWords, parseSeed } from '../src/random.js';

const network: Network = {
  input: [4, 4, 1],
  layers: [
    { kind: 'dense', units: 24, activation: 'relu' },
    { kind: 'dense', units: 5, activation: 'linear' },
  ],
  distribution: 'packed-signed-constant',
  sigma: 'he',
  seed: parseSeed('ask all'),
};
const words = new Uint32Array(4000);
fillWords(network.seed, DOMAIN.sampling, 0, 0, words);
const bytes = new Uint8Array(words.buffer);
/** Half of the weights, drawn from a place. */
const drawn = (from: number) => weightCounts(network).map((n, i) => bytes.slice(from + 100 * i, from + 100 * i + maskBytes(n)));
const masks = [0, 300, 600, 900, 1200].map(drawn);
const rows = 3;
const values = bytes.slice(8000, 8000 + rows * 16);

test('scores are the mean free energies above the mean logit of each classifier, in both engines', async () => {
  const asked = masks.map((mask, i) => ({ mask: packMask(network, mask), logitScale: 0.5 + i / 10 }));
  for (const engine of [createReferenceEngine(), await createWasmEngine({ threads: 1 })]) {
    const any = engine.anyMask(network)!;
    const { best, scores } = askAll(any, asked, values, rows);
    masks.forEach((mask, i) => {
      const classifier = engine.classifier(network, { mask });
      const logits = [...classifier.logits(values, rows)].map((v) => v * classifier.scale * asked[i].logitScale);
      const want = Array.from({ length: rows }, (_, r) => {
        const row = logits.slice(r * 5, r * 5 + 5);
        const mean = row.reduce((a, b) => a + b) / 5;
        return 4 * Math.log(row.reduce((sum, value) => sum + Math.exp((value - mean) / 4), 0));
      });
      expect(scores[i]).toBeCloseTo(want.reduce((a, b) => a + b) / rows, 9);
      classifier.free();
    });
    expect(scores[best]).toBe(Math.max(...scores));
    // Of equals the lower: the same mask twice.
    expect(askAll(any, [asked[best], asked[best]], values, rows).best).toBe(0);
    engine.close();
  }
});

test('what does not fit is refused', () => {
  const any = createReferenceEngine().anyMask(network)!;
  const all = { mask: packMask(network, fullMask(network, true)), logitScale: 1 };
  expect(() => askAll(any, [], values, rows)).toThrow(ShapeError);
  expect(() => askAll(any, [all], values, 0)).toThrow('expected at least 1 row, got 0');
  expect(() => askAll(any, [all], values, rows + 1)).toThrow(ShapeError);
  expect(() => askAll(any, [{ ...all, mask: all.mask.subarray(1) }], values, rows)).toThrow(ShapeError);
});
