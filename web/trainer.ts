// Training in the page: a new topk mask for MNIST on a network of the visitor's own seed. The images come from the server the page came
// from; a static host without them has no training. A worker of its own, so that drawing goes on while it computes.

import * as Comlink from 'comlink';
import { DIGITS, PIXELS_TRANSFORM } from '../codec/header.js';
import { writeModel } from '../codec/write.js';
import { fc } from '../models/index.js';
import { datasetFromIdx, split } from '../src/data.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { accuracyOf, logitScaleOf } from '../src/evaluate.js';
import { parseSeed } from '../src/random.js';
import { maskNetwork, topkTraining } from '../src/recipes.js';
import { trainTopk } from '../src/train.js';
import { fetched, said } from './page.js';

export interface TrainRequest {
  /** Folder of the four IDX files, a URL. */
  readonly data: string;
  readonly seed: string;
  /** Kept fraction a layer of 784-300-100-10. */
  readonly density: readonly number[];
  readonly epochs: number;
}

export interface TrainReport {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly valAccuracy: number | null;
  readonly stepsPerSecond: number;
}

export interface Trained {
  readonly bytes: Uint8Array;
  readonly valAccuracy: number;
  readonly testAccuracy: number;
  readonly stepsPerSecond: number;
}

const FILES = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'] as const;
const VALIDATION = 5000;

/** @throws Error (by rejection) with one line when the images are not there */
export async function train(request: TrainRequest, report: (report: TrainReport) => void): Promise<Trained> {
  const files = Promise.all(FILES.map((name) => fetched(`${request.data}/${name}`)));
  const [images, labels, testImages, testLabels] = await files.catch((error: unknown) => {
    throw new Error(`${said(error)}; where the server has no digits, run: seedmask data get mnist, then: seedmask serve --web`);
  });
  const data = datasetFromIdx(images, labels, 'MNIST training set');
  const test = datasetFromIdx(testImages, testLabels, 'MNIST test set');
  const network = maskNetwork(fc, parseSeed(request.seed));
  const parts = split(data.labels.length, VALIDATION, network.seed);
  const engine = await createWasmEngine({ threads: 1 });
  const started = performance.now();
  let steps = 0;
  const pace = () => (1000 * steps) / (performance.now() - started);
  try {
    const { mask, valAccuracy } = await trainTopk(engine, network, data, parts, {
      ...topkTraining(network),
      density: request.density,
      epochs: request.epochs,
      onProgress: (progress) => {
        steps = progress.step;
        report({ step: steps, steps: progress.steps, loss: progress.loss, valAccuracy: progress.valAccuracy, stepsPerSecond: pace() });
      },
    });
    const stepsPerSecond = pace();
    const classifier = engine.classifier(network, { mask });
    const logitScale = logitScaleOf(engine, network, { mask }, data, parts.validation, DIGITS.length);
    const testAccuracy = accuracyOf(classifier.logits(test.images, test.labels.length), test.labels, DIGITS.length);
    const provenance = { dataset: 'mnist', pixelPermutation: null, labelPermutation: null };
    const task = { id: '', mask, transform: PIXELS_TRANSFORM, labels: DIGITS, data: provenance, logitScale };
    return { bytes: writeModel({ network, tasks: [task] }), valAccuracy, testAccuracy, stepsPerSecond };
  } finally {
    engine.close();
  }
}

Comlink.expose(train);
