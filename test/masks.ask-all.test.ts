// Asking every mask: the scores are those of each mask's own classifier, and the mask that inputs were made for is found.

import { expect, test } from 'vitest';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { packMask } from '../src/index.js';
import { askAll, askSteps } from '../src/masks/ask-all.js';
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
    const { best, scores, confidence, cost } = askAll(any, asked, values, rows);
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
    expect(confidence).toBeCloseTo(1 / [...scores].reduce((sum, score) => sum + Math.exp(rows * (score - scores[best])), 0), 9);
    expect(cost).toEqual({ passes: 5, masks: 5 });
    // Of equals the lower: the same mask twice.
    expect(askAll(any, [asked[best], asked[best]], values, rows).best).toBe(0);
    engine.close();
  }
});

test('more rows than one step takes have the scores of all of them together', async () => {
  const any = createReferenceEngine().anyMask(network)!;
  const asked = masks.map((mask) => ({ mask: packMask(network, mask), logitScale: 0.7 }));
  const many = bytes.slice(8000 - 37 * 16, 8000);
  const each = Array.from({ length: 37 }, (_, row) => askAll(any, asked, many.subarray(row * 16, (row + 1) * 16), 1).scores);
  askAll(any, asked, many, 37).scores.forEach((score, i) => {
    expect(score).toBeCloseTo(each.reduce((sum, scores) => sum + scores[i], 0) / 37, 9);
  });
  // A mask is done with before the next is asked for, also when nobody wants the rest.
  const open: string[] = [];
  function* lent() {
    for (const [i, { mask, logitScale }] of asked.entries()) {
      open.push(`take ${i}`);
      try {
        const logits = (first: number, count: number) => any.logits(mask, many.subarray(first * 16, (first + count) * 16), count);
        yield { outputs: 5, scale: any.scale, logitScale, logits };
      } finally {
        open.push(`give ${i}`);
      }
    }
  }
  const steps = askSteps(lent(), 20);
  for (let i = 0; i < 3; i++) steps.next();
  expect(() => steps.throw(new Error('enough'))).toThrow('enough');
  expect(open).toEqual(['take 0', 'give 0', 'take 1', 'give 1']);
});

test('what does not fit is refused', () => {
  const any = createReferenceEngine().anyMask(network)!;
  const all = { mask: packMask(network, fullMask(network, true)), logitScale: 1 };
  expect(() => askAll(any, [], values, rows)).toThrow(ShapeError);
  expect(() => askAll(any, [all], values, 0)).toThrow('expected 0 rows x 16 values, at least 1 row');
  expect(() => askAll(any, [all], values.subarray(0, 0), 0)).toThrow('expected at least 1 row, got 0');
  expect(() => askAll(any, [all], values, rows + 1)).toThrow(ShapeError);
  expect(() => askAll(any, [{ ...all, mask: all.mask.subarray(1) }], values, rows)).toThrow(ShapeError);
  const huge = { mask: packMask(network, masks[0]), logitScale: Number.POSITIVE_INFINITY };
  expect(() => askAll(any, [huge, huge], bytes.subarray(0, 16), 1)).toThrow(
    new ShapeError('no mask can be told from another: a value of the rows is no number, or too large for f32'),
  );
});
