// The squeeze on a small problem: never more bits, never a higher training loss, the same bits by every engine; and by hand.

import { expect, test } from 'vitest';
import { trainTask } from '../cli/learn.js';
import { squeezeTask, withCheck } from '../cli/squeeze.js';
import { maskPrices } from '../codec/index.js';
import { type Dataset, imagesOf, labelsOf, split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { fitLogitScale, meanNll } from '../src/evaluate.js';
import { checkMask, countKept, type Mask, type Network } from '../src/network.js';
import { argmax } from '../src/probabilities.js';
import { DOMAIN, fillWords, parseSeed } from '../src/random.js';
import { TOPK } from '../src/recipes.js';
import { squeeze } from '../src/squeeze.js';
import { trainTopk } from '../src/train.js';
import { dense } from './engine.material.js';

const network: Network = {
  input: [6, 6, 1],
  layers: [dense(20), dense(3, 'linear')],
  distribution: 'packed-signed-constant',
  sigma: 'he',
  seed: parseSeed('squeeze test'),
};

/** Noise with a bright row, column or corner: three classes. */
const data: Dataset = (() => {
  const noise = new Uint32Array(700 * 36);
  fillWords(network.seed, DOMAIN.sampling, 1, 0, noise);
  const labels = Uint8Array.from({ length: 700 }, (_, row) => row % 3);
  const bright = [(i: number) => Math.floor(i / 6) === 2, (i: number) => i % 6 === 3, (i: number) => i % 6 < 3 && i < 18];
  const images = Uint8Array.from(noise, (word, i) => (word % 100) + (bright[labels[Math.floor(i / 36)]](i % 36) ? 60 : 0));
  return { input: [6, 6, 1], images, labels };
})();
const parts = split(700, 100, network.seed);
const { costs, bits } = maskPrices({ network, pixelPermutation: null });

const images = imagesOf(data, parts.train);
const labels = labelsOf(data, parts.train);
function lossOf(engine: Engine, mask: Mask, logitScale: number): number {
  const classifier = engine.classifier(network, { mask });
  const loss = meanNll(classifier, images, labels, 3, logitScale);
  classifier.free();
  return loss;
}

test('bits fall, the loss does not rise, and every engine finds the same mask', { timeout: 60_000 }, async () => {
  const reference = createReferenceEngine();
  const wasm = await createWasmEngine({ threads: 2 });
  const { mask } = await trainTopk(wasm, network, data, parts, { ...TOPK, epochs: 6, batch: 30, density: [0.2, 0.5] });
  const classifier = reference.classifier(network, { mask });
  const logitScale = fitLogitScale(classifier, images, labels, 3);
  const before = mask.map((bits) => bits.slice());
  const options = { logitScale, costs, bits, rounds: 25 };
  const got = await squeeze(wasm, network, data, parts.train, mask, options);
  expect(mask).toEqual(before);
  checkMask(network, got.mask);
  expect(got.bitsBefore).toBe(bits(mask));
  expect(got.bitsAfter).toBe(bits(got.mask));
  expect(got.bitsAfter).toBeLessThan(got.bitsBefore);
  expect(got.lossBefore).toBe(lossOf(reference, mask, logitScale));
  expect(got.lossAfter).toBe(lossOf(reference, got.mask, logitScale));
  expect(got.lossAfter).toBeLessThanOrEqual(got.lossBefore);
  expect(got.flips).toBeGreaterThan(0);
  expect(await squeeze(reference, network, data, parts.train, mask, options)).toEqual(got);
  wasm.close();
});

test('weights that only cost are the first to go, and those that carry the answer stay', async () => {
  const engine = createReferenceEngine();
  const { mask } = await trainTopk(engine, network, data, parts, { ...TOPK, epochs: 6, batch: 30, density: [0.2, 0.5] });
  const logitScale = fitLogitScale(engine.classifier(network, { mask }), images, labels, 3);
  // A price of one bit for every kept weight of the first layer, so that a mask's bits are its count.
  const price = () => [new Float32Array(720).fill(1), new Float32Array(60)];
  const count = (one: Mask) => countKept(one[0]);
  const got = await squeeze(engine, network, data, parts.train, mask, { logitScale, costs: price, bits: count, rounds: 40 });
  expect(got.bitsAfter).toBe(countKept(got.mask[0]));
  expect(got.bitsAfter).toBeLessThan(got.bitsBefore);
  expect(got.bitsAfter).toBeGreaterThan(0);
  expect(got.mask[1]).toEqual(mask[1]);
  expect(got.mask[0].every((byte, i) => (byte & ~mask[0][i]) === 0)).toBe(true);
  expect(got.flips).toBe(got.bitsBefore - got.bitsAfter);
});

test('where nothing saves bits nothing changes, and an aborted squeeze stops', async () => {
  const engine = createReferenceEngine();
  const { mask } = await trainTopk(engine, network, data, parts, { ...TOPK, epochs: 1, batch: 30, density: [0.5, 0.5] });
  const free = () => [new Float32Array(720), new Float32Array(60)];
  const got = await squeeze(engine, network, data, parts.train, mask, { logitScale: 1, costs: free, bits: () => 7 });
  expect([got.mask, got.flips, got.bitsAfter]).toEqual([mask, 0, 7]);
  const abort = new AbortController();
  const run = squeeze(engine, network, data, parts.train, mask, {
    logitScale: 1,
    costs,
    bits,
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await expect(run).rejects.toThrow(/abort/i);
});

test('of the validation rows one half chooses and the other checks: disjoint and complete', () => {
  for (const count of [2, 3, 100]) {
    const validation = Uint32Array.from({ length: count }, (_, i) => 3 * i + 1);
    const { parts: chosen, check } = withCheck({ train: parts.train, validation });
    expect(chosen.train).toBe(parts.train);
    expect([chosen.validation.length, check.length]).toEqual([Math.ceil(count / 2), Math.floor(count / 2)]);
    expect([...chosen.validation, ...check].sort((a, b) => a - b)).toEqual([...validation]);
  }
});

test('a squeezed mask that loses on the rows that check, or is of no use, is thrown away, with the reason', async () => {
  const engine = await createWasmEngine({ threads: 1 });
  const { parts: chosen, check } = withCheck(parts);
  const sources = { train: data, test: data, name: 'shapes' };
  const before = await trainTask(engine, network, sources, chosen, { density: [0.2, 0.5], epochs: 6 });
  // A hundred rows of noise more, labelled with what the mask says before: whatever changes there is lost.
  const noise = new Uint32Array(100 * 36);
  fillWords(network.seed, DOMAIN.sampling, 2, 0, noise);
  const added = Uint8Array.from(noise, (word) => word % 160);
  const classifier = engine.classifier(network, { mask: before.model.tasks[0].mask });
  const logits = classifier.logits(added, 100);
  const said = Array.from({ length: 100 }, (_, row) => argmax(logits, 3 * row, 3));
  const train = { ...data, images: Uint8Array.from([...data.images, ...added]), labels: Uint8Array.from([...data.labels, ...said]) };
  const squeezed = (task: typeof before, rows: Uint32Array, good = true) =>
    squeezeTask(engine, task, { ...sources, train }, { parts: chosen, check: rows, enough: () => good });

  const taken = await squeezed(before, check);
  expect(taken.report).toMatchObject({ taken: true, thrownAwayFor: null, bytesBefore: before.fileBytes, bytesAfter: taken.task.fileBytes });
  expect(taken.task.fileBytes).toBeLessThan(before.fileBytes);
  const noisy = Uint32Array.from({ length: 100 }, (_, i) => 700 + i);
  const cheap = { ...before, fileBytes: 1 };
  for (const [task, { report, task: left }, reason] of [
    [before, await squeezed(before, noisy), 'more than 0.002 of accuracy lost there'],
    [before, await squeezed(before, check, false), 'the target missed'],
    [cheap, await squeezed(cheap, check), 'no bytes saved'],
  ] as const) {
    expect([report.taken, report.thrownAwayFor]).toEqual([false, reason]);
    expect(left).toBe(task);
  }
  engine.close();
});
