// What every engine must do: the same bits as the reference engine. Random networks, masks, batches and steps come from fast-check
// with fixed seeds, so a failure shrinks to a small network and repeats. Values are compared as 32-bit patterns.
//
// A test file runs it as engineSuite('wasm', createWasmEngine, { conv: true }).

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fc as lenet } from '../models/index.js';
import {
  type BernoulliTrainer,
  type Classifier,
  type ClassifierOptions,
  type DenseTrainer,
  type Engine,
  PIXELS,
  type TopkTrainer,
  type Trainer,
} from '../src/engine/engine.js';
import { packedBytes, packMask, unpackMask } from '../src/engine/packed.js';
import { createReferenceEngine } from '../src/engine/reference.js';
import { asInputs } from '../src/features.js';
import { type Architecture, inputs, kept, type Mask, type Network, ShapeError, weightCounts } from '../src/network.js';
import type { Seed } from '../src/random.js';
import {
  convArchitecture,
  denseArchitecture,
  networkOf,
  randomFloats,
  randomMask,
  randomParameters,
  randomPixels,
  randomTrainingSet,
  type Scenario,
  scenario,
  uniforms,
} from './engine.material.js';

const RUNS = 60;
const FAST_CHECK_SEED = 20190503;

// ---- comparisons ----

const bitsOf = (array: Float32Array | Int32Array): Uint32Array => new Uint32Array(array.slice().buffer);

/** Fails on the first value whose 32 bits differ, or when the types or lengths do. */
export function expectSameBits(what: string, got: Float32Array | Int32Array, want: Float32Array | Int32Array): void {
  expect(`${what}: ${got.constructor.name} of ${got.length}`).toBe(`${what}: ${want.constructor.name} of ${want.length}`);
  const wanted = bitsOf(want);
  const at = bitsOf(got).findIndex((word, i) => word !== wanted[i]);
  if (at >= 0) expect.fail(`${what}[${at}] is ${got[at]}, the reference has ${want[at]}`);
}

type Compare = typeof expectSameBits;

/** Integers bit for bit; floats within `closeness` of the largest of the array (at least 0.01), for an engine that adds in an order of its own. */
const closelyTo =
  (closeness: number): Compare =>
  (what, got, want) => {
    if (want instanceof Int32Array) return expectSameBits(what, got, want);
    expect(`${what}: ${got.constructor.name} of ${got.length}`).toBe(`${what}: ${want.constructor.name} of ${want.length}`);
    const largest = want.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 1e-2);
    const at = want.findIndex((value, i) => value !== got[i] && !(Math.abs(value - got[i]) <= closeness * largest));
    if (at >= 0) expect.fail(`${what}[${at}] is ${got[at]}, the reference has ${want[at]}`);
  };

/** Only a dense trainer has biases. */
type AnyTrainer = Trainer & Partial<Pick<DenseTrainer, 'biasGradient'>>;

/** Everything a trainer says about one batch. */
function expectSameBatch(same: Compare, got: AnyTrainer, want: AnyTrainer, rows: Uint32Array, layers: number, withBiases: boolean): void {
  expect([got, want].map((trainer) => 'biasGradient' in trainer)).toEqual([withBiases, withBiases]);
  const [loss, wanted] = [got.gradients(rows), want.gradients(rows)];
  if (same === expectSameBits) expect(loss).toBe(wanted);
  else same('loss', Float32Array.of(loss), Float32Array.of(wanted));
  for (let layer = 0; layer < layers; layer++) {
    same(`dW${layer}`, got.weightGradient(layer), want.weightGradient(layer));
    if (withBiases) same(`dBias${layer}`, got.biasGradient!(layer), want.biasGradient!(layer));
  }
  same('training logits', got.logits(rows), want.logits(rows));
}

const masked = (weights: readonly Float32Array[], mask: Mask): Float32Array[] =>
  weights.map((w, layer) => w.map((value, i) => (kept(mask[layer], i) ? value : 0)));

/** `count` rows of a training set of `size`, with repeats. */
const pickRows = (seed: Seed, stream: number, count: number, size: number): Uint32Array =>
  Uint32Array.from(uniforms(seed, stream, count), (u) => Math.floor(u * size));

/**
 * Registers the tests that make `make()` equal to the reference engine.
 * @param options.conv whether the engine trains convolution and pool layers
 * @param options.closeness how far floats may be from the reference's, in parts of the largest of their array; absent: not at all
 * @param options.runs networks a test
 */
export function engineSuite(
  name: string,
  make: () => Promise<Engine> | Engine,
  options: { conv: boolean; closeness?: number; runs?: number },
): void {
  const { closeness, runs = RUNS } = options;
  const same = closeness === undefined ? expectSameBits : closelyTo(closeness);
  describe(`${name} equals the reference ${closeness === undefined ? 'bit for bit' : `within ${closeness}, integers exactly`}`, () => {
    const reference = createReferenceEngine();
    let engine: Engine;
    beforeAll(async () => {
      engine = await make();
    });
    afterAll(() => engine.close());

    // Signed constants make sums that cancel, and whether ReLU passes what rounding leaves of them is decided by the order of summation;
    // so is Adam's step along a gradient that cancels. An engine with an order of its own is asked neither.
    const trainedOf = (s: Scenario): Network => ({ ...networkOf(s), ...(closeness !== undefined && { distribution: 'normal' }) });
    const epsilon = closeness === undefined ? 1e-8 : 1e-3;

    const kinds: [string, fc.Arbitrary<Architecture>, number][] = [['dense', denseArchitecture, 70]];
    if (options.conv) kinds.push(['conv', convArchitecture, 9]);

    const both = (network: Network, classifierOptions: ClassifierOptions, use: (got: Classifier, want: Classifier) => void) => {
      const got = engine.classifier(network, classifierOptions);
      const want = reference.classifier(network, classifierOptions);
      expect({ scale: got.scale, inputs: got.inputs, outputs: got.outputs }).toEqual({
        scale: want.scale,
        inputs: want.inputs,
        outputs: want.outputs,
      });
      use(got, want);
      got.free();
      want.free();
    };

    describe.each(kinds)('%s', (_, architecture, maxBatch) => {
      const check = (property: (s: Scenario) => void) =>
        fc.assert(fc.property(scenario(architecture, maxBatch), property), { seed: FAST_CHECK_SEED, numRuns: runs });

      test('logits of regenerated weights, pixels and floats', () => {
        check((s) => {
          const network = networkOf(s);
          const pixels = randomPixels(s.seed, s.batch * inputs(network));
          const floats = randomFloats(s.seed, 3, pixels.length, 300);
          both(network, { mask: randomMask(network, s.seed, s.density), transform: s.transform }, (got, want) => {
            same('logits of pixels', got.logits(pixels, s.batch), want.logits(pixels, s.batch));
            same('logits of floats', got.logits(floats, s.batch), want.logits(floats, s.batch));
          });
        });
      });

      test('integer logits of signed constants', () => {
        let integers = 0;
        check((s) => {
          const distribution = s.biases ? 'signed-constant' : 'packed-signed-constant';
          const network: Network = { ...networkOf(s), distribution };
          const pixels = randomPixels(s.seed, s.batch * inputs(network));
          both(network, { mask: randomMask(network, s.seed, s.density) }, (got, want) => {
            const logits = got.logits(pixels, s.batch);
            if (logits instanceof Int32Array) integers++;
            same('integer logits', logits, want.logits(pixels, s.batch));
          });
        });
        expect(integers).toBeGreaterThan(runs / 2);
      });

      test('a packed mask is the mask', () => {
        check((s) => {
          const mask = randomMask(networkOf(s), s.seed, s.density);
          expect(unpackMask(networkOf(s), packMask(networkOf(s), mask))).toEqual(mask);
        });
      });

      test('logits of any mask of one network', () => {
        let served = 0;
        check((s) => {
          const network: Network = { ...networkOf(s), distribution: s.biases ? 'signed-constant' : 'packed-signed-constant' };
          const [got, want] = [engine.anyMask(network, s.transform), reference.anyMask(network, s.transform)];
          expect(got?.scale).toBe(want?.scale);
          if (!got || !want) return;
          served++;
          const pixels = randomPixels(s.seed, s.batch * inputs(network));
          for (const density of [0, s.density, 1]) {
            const mask = packMask(network, randomMask(network, s.seed, density));
            same('logits', got.logits(mask, pixels, s.batch), want.logits(mask, pixels, s.batch));
          }
          got.free();
        });
        expect(served > runs / 4).toBe(architecture === denseArchitecture);
      });

      test('logits of given parameters, under a mask and without', () => {
        check((s) => {
          const network = networkOf(s);
          const parameters = randomParameters(network, s.seed, s.biases);
          const pixels = randomPixels(s.seed, s.batch * inputs(network));
          for (const mask of [undefined, randomMask(network, s.seed, s.density)]) {
            both(network, { parameters, mask, transform: s.transform }, (got, want) => {
              same('logits', got.logits(pixels, s.batch), want.logits(pixels, s.batch));
            });
          }
        });
      });

      test.each(['adam', 'sgd'] as const)('dense and ticket training with %s: loss, gradients, parameters', (optimiser) => {
        check((s) => {
          const network = trainedOf(s);
          const rows = s.batch + 3;
          const data = randomTrainingSet(network, s.seed, rows, s.transform);
          const random = randomParameters(network, s.seed, s.biases);
          // All weights; a ticket whose other weights are zero; a ticket whose other weights are frozen where they are.
          const ticket = randomMask(network, s.seed, s.density / 2);
          const mask = s.seed.low % 3 === 0 ? undefined : ticket;
          const start = s.seed.low % 3 === 1 ? { ...random, weights: masked(random.weights, ticket) } : random;
          const got = engine.denseTrainer(network, data, start, s.batch, mask);
          const want = reference.denseTrainer(network, data, start, s.batch, mask);
          for (let step = 0; step < 3; step++) {
            const count = step === 1 ? Math.ceil(s.batch / 2) : s.batch;
            expectSameBatch(same, got, want, pickRows(s.seed, 10 + step, count, rows), start.weights.length, true);
            for (const trainer of [got, want]) {
              if (optimiser === 'adam') trainer.adam({ learningRate: 0.0012, beta1: 0.9, beta2: 0.999, epsilon });
              else trainer.sgd({ learningRate: 0.1 / (step + 1), momentum: 0.9 });
            }
            const wanted = want.parameters();
            const { weights, biases } = got.parameters();
            weights.forEach((w, layer) => {
              same(`weights ${layer} after step ${step}`, w, wanted.weights[layer]);
            });
            biases.forEach((b, layer) => {
              same(`biases ${layer} after step ${step}`, b, wanted.biases[layer]);
            });
          }
          got.free();
          want.free();
        });
      });

      test('topk training: loss, gradients, scores, masks', () => {
        check((s) => {
          const network = trainedOf(s);
          const counts = weightCounts(network);
          const rows = s.batch + 3;
          const data = randomTrainingSet(network, s.seed, rows, s.transform);
          // Few distinct values, so that ties happen.
          const scores = counts.map((n, layer) => randomFloats(s.seed, 400 + layer, n, 1).map((v) => Math.round(v * 64) / 64));
          const keepAt = (density: number) => counts.map((n) => Math.round(n * density));
          const gains = counts.map((_, layer) => 1 + layer / 3);
          const arguments_ = [network, data, { scores }, { keep: keepAt(s.density), gain: gains }, s.batch] as const;
          let got = engine.topkTrainer(...arguments_);
          const want = reference.topkTrainer(...arguments_);
          for (let step = 0; step < 4; step++) {
            const density = s.density * (1 - step / 8);
            expectSameBatch(same, got, want, pickRows(s.seed, 10 + step, s.batch, rows), counts.length, false);
            for (const trainer of [got, want]) {
              trainer.step({ learningRate: 0.5, momentum: 0.9 }, { keep: keepAt(density), gain: gains.map((g) => g + step / 7) });
              if (step === 1) trainer.select({ keep: keepAt(density / 2), gain: gains });
              if (step === 2) trainer.nudge(counts.map((n, layer) => randomFloats(s.seed, 450 + layer, n, 1)));
              if (step === 2) trainer.show(randomPixels({ low: s.seed.low, high: 1 }, data.images.length));
            }
            sameScores(same, got, want, step);
            if (step === 1) {
              // Made again of what it has come to, it goes on.
              const start = { scores: got.scores(), velocities: got.velocities() };
              const made = engine.topkTrainer(network, data, start, { keep: keepAt(density / 2), gain: gains }, s.batch);
              got.free();
              got = made;
            }
            expect(got.mask(keepAt(density))).toEqual(want.mask(keepAt(density)));
          }
          got.free();
          want.free();
        });
      });

      test('bernoulli training: loss, gradients, scores, draws', () => {
        check((s) => {
          const network = trainedOf(s);
          const counts = weightCounts(network);
          const rows = s.batch + 3;
          const data = randomTrainingSet(network, s.seed, rows, s.transform);
          const scores = counts.map((n, layer) => randomFloats(s.seed, 500 + layer, n, 8));
          const rescale = s.seed.low % 2 === 1;
          const penalty = s.biases ? 30 * s.density : undefined;
          let got = engine.bernoulliTrainer(network, data, { scores }, rescale, s.batch);
          const want = reference.bernoulliTrainer(network, data, { scores }, rescale, s.batch);
          for (let step = 0; step < 3; step++) {
            expectSameBatch(same, got, want, pickRows(s.seed, 10 + step, s.batch, rows), counts.length, false);
            expect(got.mask()).toEqual(want.mask());
            for (const trainer of [got, want]) {
              trainer.step({ learningRate: 20, momentum: 0.9, penalty }, step + 1);
              if (step === 1) trainer.draw(0xffffffff);
            }
            sameScores(same, got, want, step);
            if (step === 0) {
              const start = { scores: got.scores(), velocities: got.velocities() };
              const made = engine.bernoulliTrainer(network, data, start, rescale, s.batch);
              made.draw(1);
              got.free();
              got = made;
            }
          }
          got.free();
          want.free();
        });
      });
    });

    test.each([
      ['signed-constant', 0.05],
      ['signed-constant', 0.5],
      ['normal', 0.3],
    ] as const)('LeNet-300-100 with %s weights at density %f', (distribution, density) => {
      const network: Network = { ...lenet, distribution, sigma: 'glorot', seed: { low: 7, high: 0 } };
      const pixels = randomPixels(network.seed, 21 * inputs(network));
      both(network, { mask: randomMask(network, network.seed, density) }, (got, want) => {
        same('logits', got.logits(pixels, 21), want.logits(pixels, 21));
        same('logits of one sample', got.logits(pixels.subarray(0, 784), 1), want.logits(pixels.subarray(0, 784), 1));
      });
    });

    test('classifiers live side by side and answers are copies', () => {
      const make2 = (low: number): Network => ({
        input: [1, 1, 19],
        layers: [
          { kind: 'dense', units: 13, activation: 'relu' },
          { kind: 'dense', units: 5, activation: 'linear' },
        ],
        distribution: 'normal',
        sigma: 'glorot',
        seed: { low, high: 9 },
      });
      const pixels = randomPixels({ low: 1, high: 1 }, 19 * 70);
      const [first, second] = [engine.classifier(make2(1)), engine.classifier(make2(2))];
      const early = first.logits(pixels, 70);
      second.logits(pixels.subarray(0, 19 * 3), 3);
      second.free();
      const late = first.logits(pixels, 70);
      same('again', late, early);
      same('early', early, reference.classifier(make2(1)).logits(pixels, 70));
      first.free();
    });

    // More units than a draw's 64, more inputs than a block's 192 and than a group's 64, more samples than a tile's 32.
    test('layers of several tiles, blocks and groups train as the reference does', () => {
      const network: Network = {
        input: [1, 1, 227],
        layers: [
          { kind: 'dense', units: 99, activation: 'relu' },
          { kind: 'dense', units: 70, activation: 'linear' },
        ],
        distribution: closeness === undefined ? 'signed-constant' : 'normal',
        sigma: 'he',
        seed: { low: 11, high: 12 },
      };
      const batch = 37;
      const data = randomTrainingSet(network, network.seed, 50, PIXELS);
      const counts = weightCounts(network);
      const scores = counts.map((n, layer) => randomFloats(network.seed, 600 + layer, n, 2));
      const start = randomParameters(network, network.seed, true);
      const ticket = randomMask(network, network.seed, 0.1);
      const sgd = { learningRate: 0.3, momentum: 0.9 };
      const train = (e: Engine) => {
        const [keep, gain] = [counts.map((n) => n >> 4), [1.5, 2]];
        const topk = e.topkTrainer(network, data, { scores }, { keep, gain }, batch);
        const bernoulli = e.bernoulliTrainer(network, data, { scores }, true, batch);
        const dense = e.denseTrainer(network, data, start, batch);
        const sparse = e.denseTrainer(network, data, { weights: masked(start.weights, ticket), biases: null }, batch, ticket);
        for (let step = 0; step < 3; step++) {
          const rows = pickRows(network.seed, 20 + step, batch, 50);
          for (const trainer of [topk, bernoulli, dense, sparse]) trainer.gradients(rows);
          topk.step(sgd, { keep, gain });
          bernoulli.step(sgd, step + 1);
          dense.sgd(sgd);
          sparse.sgd(sgd);
        }
        const all = [...topk.scores(), ...bernoulli.scores(), ...dense.parameters().weights, ...sparse.parameters().weights];
        const masks = [topk.mask(keep), bernoulli.mask()];
        for (const trainer of [topk, bernoulli, dense, sparse]) trainer.free();
        return { all, masks };
      };
      const [got, want] = [train(engine), train(reference)];
      got.all.forEach((array, i) => {
        same(`array ${i}`, array, want.all[i]);
      });
      expect(got.masks).toEqual(want.masks);
    });

    test('scores may be -Infinity, and a cut may fall among them', () => {
      const network: Network = { ...tiny(), input: [1, 1, 40], distribution: 'signed-constant', sigma: 'he', seed: { low: 5, high: 6 } };
      const data = randomTrainingSet(network, network.seed, 6, PIXELS);
      const scores = weightCounts(network).map((n) => Float32Array.from({ length: n }, (_, i) => (i % 9 ? Number.NEGATIVE_INFINITY : i)));
      const keep = weightCounts(network).map((n) => n >> 3);
      const [got, want] = [engine, reference].map((e) => e.topkTrainer(network, data, { scores }, { keep, gain: [1, 1] }, 6));
      for (let step = 0; step < 3; step++) {
        expectSameBatch(same, got, want, Uint32Array.of(0, 1, 2, 3, 4, 5), 2, false);
        for (const trainer of [got, want]) trainer.step({ learningRate: 0.1, momentum: 0.9 }, { keep, gain: [1, 1] });
      }
      expect(got.mask(keep)).toEqual(want.mask(keep));
      got.free();
    });

    test('scores above all others for ever, and none at all, are refused', () => {
      const network: Network = { ...tiny(), distribution: 'signed-constant', sigma: 'he', seed: { low: 5, high: 6 } };
      const data = randomTrainingSet(network, network.seed, 2, PIXELS);
      const counts = weightCounts(network);
      const scores = (of: number) => counts.map((n) => new Float32Array(n).fill(of, 1, 2));
      const topk = engine.topkTrainer(network, data, { scores: scores(0) }, { keep: [1, 1], gain: [1, 1] }, 2);
      for (const of of [Number.POSITIVE_INFINITY, Number.NaN]) {
        const refused = `scores of layer 0 must be numbers below Infinity, got ${of}`;
        expect(() => engine.topkTrainer(network, data, { scores: scores(of) }, { keep: [1, 1], gain: [1, 1] }, 2)).toThrow(refused);
        expect(() => topk.nudge(scores(of))).toThrow(refused);
      }
      topk.free();
    });

    test('a step uses the batch up, and so does a new mask: then gradients come first again', () => {
      const network: Network = { ...tiny(), distribution: 'signed-constant', sigma: 'he', seed: { low: 3, high: 4 } };
      const data = randomTrainingSet(network, network.seed, 4, PIXELS);
      const rows = Uint32Array.of(0, 1, 2, 3);
      const counts = weightCounts(network);
      const none = /there is no batch: call gradients\(rows\) before each step/;
      const sgd = { learningRate: 0.1, momentum: 0.9 };
      const dense = engine.denseTrainer(network, data, randomParameters(network, network.seed, true), 4);
      expect(() => dense.adam({ learningRate: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 })).toThrow(none);
      expect(() => dense.weightGradient(0)).toThrow(none);
      dense.gradients(rows);
      expect(() => dense.adam({ learningRate: 1, beta1: 0.9, beta2: 0.999, epsilon: 0 })).toThrow(
        'epsilon must be a number above 0, got 0',
      );
      dense.sgd(sgd);
      expect(() => dense.sgd(sgd)).toThrow(none);
      expect(() => dense.biasGradient(0)).toThrow(none);
      const scores = counts.map((n) => new Float32Array(n));
      const topk = engine.topkTrainer(network, data, { scores }, { keep: [3, 3], gain: [1, 1] }, 4);
      topk.gradients(rows);
      topk.select({ keep: [2, 2], gain: [1, 1] });
      expect(() => topk.step(sgd, { keep: [2, 2], gain: [1, 1] })).toThrow(none);
      topk.gradients(rows);
      topk.show(data.images);
      expect(() => topk.step(sgd, { keep: [2, 2], gain: [1, 1] })).toThrow(none);
      const bernoulli = engine.bernoulliTrainer(network, data, { scores }, true, 4);
      bernoulli.gradients(rows);
      bernoulli.draw(7);
      expect(() => bernoulli.step(sgd, 8)).toThrow(none);
      for (const trainer of [dense, topk, bernoulli]) trainer.free();
    });

    test('what was freed answers no more, whoever has its memory by then', () => {
      const network: Network = { ...tiny(), distribution: 'signed-constant', sigma: 'he', seed: { low: 3, high: 4 } };
      const data = randomTrainingSet(network, network.seed, 4, PIXELS);
      const scores = weightCounts(network).map((n) => new Float32Array(n));
      const made = [
        engine.classifier(network),
        engine.classifier(network, { parameters: randomParameters(network, network.seed, true) }),
        engine.anyMask(network)!,
        engine.denseTrainer(network, data, randomParameters(network, network.seed, true), 4),
        engine.topkTrainer(network, data, { scores }, { keep: [3, 3], gain: [1, 1] }, 4),
        engine.bernoulliTrainer(network, data, { scores }, false, 4),
      ];
      for (const one of made) {
        const { free, ...verbs } = one;
        free();
        const next = engine.classifier(network);
        free();
        const asked = Object.entries(verbs).filter(([, verb]) => typeof verb === 'function');
        expect(asked.length).toBeGreaterThan(0);
        for (const [name, verb] of asked) expect(verb, name).toThrow(/^this .* has been freed$/);
        next.free();
      }
    });

    test('a mask that changes after its classifier was made changes no answer', () => {
      const network: Network = { ...tiny(), distribution: 'signed-constant', sigma: 'he', seed: { low: 3, high: 4 } };
      const mask = randomMask(network, network.seed, 0.7);
      const classifier = engine.classifier(network, { mask });
      const floats = Float32Array.from(randomPixels(network.seed, inputs(network)));
      const want = reference.classifier(network, { mask }).logits(floats, 1);
      for (const bits of mask) bits.fill(0);
      same('logits of floats', classifier.logits(floats, 1), want);
      classifier.free();
    });

    test('rows that asInputs has not been through are refused where the transform asks for it', () => {
      const network: Network = { ...tiny(), distribution: 'signed-constant', sigma: 'he', seed: { low: 3, high: 4 } };
      const features = { low: new Float32Array(6), scale: new Float32Array(6).fill(10) };
      const constant = Uint8Array.of(0b100000);
      const packed = packMask(network, randomMask(network, network.seed, 0.7));
      const numbers = new Float32Array(6).fill(2);
      for (const [extra, raw, refused] of [
        [{ features, constant: null }, numbers, 'numbers that are not bytes yet'],
        [{ constant }, new Uint8Array(6).fill(9), 'values in inputs declared constant'],
        [{ constant }, numbers, 'values in inputs declared constant'],
      ] as const) {
        const transform = { ...PIXELS, ...extra };
        const line = `the rows have ${refused}: pass what asInputs(rows, transform, 6) makes of them`;
        const [classifier, any] = [engine.classifier(network, { transform }), engine.anyMask(network, transform)!];
        const made = asInputs(raw, extra, 6);
        expect(() => classifier.logits(raw, 1)).toThrow(line);
        classifier.logits(made, 1);
        if (raw instanceof Uint8Array) expect(() => any.logits(packed, raw, 1)).toThrow(line);
        if (made instanceof Uint8Array) any.logits(packed, made, 1);
        for (const one of [classifier, any]) one.free();
      }
    });

    test('what does not fit is refused with a ShapeError', () => {
      const network: Network = { ...tiny(), distribution: 'signed-constant', sigma: 'he', seed: { low: 3, high: 4 } };
      const data = randomTrainingSet(network, network.seed, 4, PIXELS);
      const start = randomParameters(network, network.seed, true);
      const scores = weightCounts(network).map((n) => new Float32Array(n));
      const ones = scores.map(() => 1);
      const refuse = (action: () => unknown) => expect(action).toThrow(ShapeError);
      const made = engine.classifier(network);
      refuse(() => made.logits(new Uint8Array(inputs(network) + 1), 1));
      refuse(() => made.logits(new Uint8Array(inputs(network)), 2));
      refuse(() => engine.classifier(network, { mask: [] }));
      refuse(() => unpackMask(network, new Uint8Array(packedBytes(network) + 1)));
      refuse(() => engine.classifier({ ...network, distribution: 'constant' as 'normal' }));
      refuse(() => engine.classifier(network, { parameters: { weights: start.weights.slice(1), biases: null } }));
      refuse(() => engine.classifier(network, { parameters: { weights: start.weights, biases: [new Float32Array(1)] } }));
      refuse(() => engine.denseTrainer(network, { ...data, images: data.images.subarray(1) }, start, 2));
      refuse(() => engine.denseTrainer(network, { ...data, labels: data.labels.map(() => 255) }, start, 2));
      refuse(() => engine.denseTrainer(network, data, start, 0));
      refuse(() => engine.topkTrainer(network, data, { scores: scores.slice(1) }, { keep: ones, gain: ones }, 2));
      refuse(() => engine.topkTrainer(network, data, { scores, velocities: scores.slice(1) }, { keep: ones, gain: ones }, 2));
      refuse(() => engine.bernoulliTrainer(network, data, { scores, velocities: [scores[0], scores[0]] }, false, 2));
      refuse(() => engine.topkTrainer(network, data, { scores }, { keep: [1e6, 1], gain: ones }, 2));
      refuse(() => engine.topkTrainer(network, data, { scores }, { keep: [0.5, 1], gain: ones }, 2));
      refuse(() => engine.topkTrainer(network, data, { scores }, { keep: ones, gain: [Number.NaN, 1] }, 2));
      const topk = engine.topkTrainer(network, data, { scores }, { keep: ones, gain: ones }, 2);
      refuse(() => topk.nudge(scores.slice(1)));
      refuse(() => topk.nudge(scores.map((s) => s.subarray(1))));
      topk.free();
      const trainer = engine.denseTrainer(network, data, start, 2);
      refuse(() => trainer.show(data.images.subarray(1)));
      refuse(() => trainer.gradients(Uint32Array.of()));
      refuse(() => trainer.gradients(Uint32Array.of(0, 1, 2)));
      refuse(() => trainer.gradients(Uint32Array.of(4)));
      refuse(() => trainer.logits(Uint32Array.of(4)));
      refuse(() => trainer.weightGradient(2));
      trainer.free();
      made.free();
    });
  });
}

function sameScores(same: Compare, got: TopkTrainer | BernoulliTrainer, want: TopkTrainer | BernoulliTrainer, step: number): void {
  for (const kind of ['scores', 'velocities'] as const) {
    const wanted = want[kind]();
    got[kind]().forEach((values, layer) => {
      same(`${kind} ${layer} after step ${step}`, values, wanted[layer]);
    });
  }
}

const tiny = (): Architecture => ({
  input: [1, 1, 6],
  layers: [
    { kind: 'dense', units: 4, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
});
