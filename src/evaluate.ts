// How good is a classifier: accuracy, per class and confused, and how honest its probabilities are (negative log-likelihood and
// expected calibration error). Probabilities are softmax(logitScale x logits), with the exact exp and ln of exact.ts.

import { type Dataset, imagesOf, labelsOf } from './data.js';
import { type Classifier, type ClassifierOptions, type Engine, stepOf } from './engine/engine.js';
import { exp, ln } from './exact.js';
import { type Network, ShapeError } from './network.js';
import { argmax, softmax } from './probabilities.js';

export interface Evaluation {
  readonly samples: number;
  readonly accuracy: number;
  /** Mean negative log-likelihood, nats. */
  readonly nll: number;
  /** Expected calibration error: 15 equal-width bins of the top probability (Guo et al. 2017). */
  readonly ece: number;
  /** Accuracy null where there is no row of a class. */
  readonly perClass: readonly { readonly label: string; readonly samples: number; readonly accuracy: number | null }[];
  /** [truth][predicted] */
  readonly confusion: readonly (readonly number[])[];
  readonly logits: Int32Array | Float32Array;
}

const BINS = 15;

/**
 * Fraction of rows whose first `classes` logits peak at their label, of equals at the first; NaN of no rows.
 * @param logits rows x outputs, sample-major
 * @param labels one a row
 */
export function accuracyOf(logits: ArrayLike<number>, labels: Uint8Array, outputs: number, classes = outputs): number {
  let right = 0;
  labels.forEach((label, row) => {
    if (argmax(logits, row * outputs, classes) === label) right++;
  });
  return right / labels.length;
}

/**
 * Fraction of rows that peak at a class which most often means their label: accuracy of a classifier that was made for other classes,
 * each read as the label that it meets most often; NaN of no rows.
 * @param logits rows x outputs, sample-major
 * @param labels one a row
 * @param classes of the classifier: the first so many logits of a row
 */
export function matchedAccuracy(logits: ArrayLike<number>, labels: Uint8Array, outputs: number, classes = outputs): number {
  const met = Array.from({ length: classes }, () => new Uint32Array(256));
  labels.forEach((label, row) => {
    met[argmax(logits, row * outputs, classes)][label]++;
  });
  return met.reduce((right, counts) => right + Math.max(...counts), 0) / labels.length;
}

/**
 * Mean negative log-likelihood of the labels under softmax(scale x logits), nats; at most 700 a sample.
 * @param doubt probability that a row is of another class than its label, any of them
 */
function likelihood(logits: ArrayLike<number>, labels: Uint8Array, outputs: number, classes: number, scale: number, doubt = 0): number {
  const cost = (p: number) => -ln(Math.max(1e-304, p));
  let nll = 0;
  labels.forEach((label, row) => {
    const p = softmax(logits, row * outputs, classes, scale);
    nll += (1 - doubt) * cost(p[label]);
    if (doubt > 0) nll += p.reduce((sum, other, j) => (j === label ? sum : sum + cost(other)), 0) * (doubt / (classes - 1));
  });
  return nll / labels.length;
}

/** Throws ShapeError unless there are rows, every class has an output, and every label is a class. */
function checkLabels(labels: Uint8Array, classes: number, outputs: number): void {
  if (!(Number.isInteger(classes) && classes >= 1 && classes <= outputs))
    throw new ShapeError(`classes must be a whole number from 1 to the network's ${outputs} outputs, got ${classes}`);
  if (labels.length === 0) throw new ShapeError('expected at least 1 labelled row, got 0');
  const row = labels.findIndex((label) => label >= classes);
  if (row >= 0) throw new ShapeError(`row ${row} has label ${labels[row]}, the classes are 0 to ${classes - 1}`);
}

/**
 * Mean negative log-likelihood of labelled raw images under softmax(logitScale x logits), nats; at most 700 a sample.
 * @throws ShapeError when there is no row, or a label or class that the classifier does not have
 */
export function meanNll(classifier: Classifier, images: Uint8Array, labels: Uint8Array, classes: number, logitScale: number): number {
  checkLabels(labels, classes, classifier.outputs);
  const logits = classifier.logits(images, labels.length);
  return likelihood(logits, labels, classifier.outputs, classes, logitScale * stepOf(classifier, logits));
}

/**
 * Classifies labelled raw images and scores the answers.
 * @param images rows x classifier.inputs raw values
 * @throws ShapeError when there is no row, or a label or name that the classifier has no output for
 */
export function evaluate(
  classifier: Classifier,
  images: Uint8Array,
  labels: Uint8Array,
  options: { readonly labelNames: readonly string[]; readonly logitScale: number },
): Evaluation {
  const { outputs } = classifier;
  const classes = options.labelNames.length;
  checkLabels(labels, classes, outputs);
  const logits = finite(classifier.logits(images, labels.length), outputs);
  const scale = options.logitScale * stepOf(classifier, logits);
  const confusion = options.labelNames.map(() => new Array<number>(classes).fill(0));
  const bins = Array.from({ length: BINS }, () => ({ count: 0, confidence: 0, right: 0 }));
  labels.forEach((label, row) => {
    const predicted = argmax(logits, row * outputs, classes);
    confusion[label][predicted]++;
    const confidence = softmax(logits, row * outputs, classes, scale)[predicted];
    const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))];
    bin.count++;
    bin.confidence += confidence;
    if (predicted === label) bin.right++;
  });
  const perClass = confusion.map((row, label) => {
    const samples = row.reduce((a, b) => a + b, 0);
    return { label: options.labelNames[label], samples, accuracy: samples ? row[label] / samples : null };
  });
  return {
    samples: labels.length,
    accuracy: confusion.reduce((sum, row, label) => sum + row[label], 0) / labels.length,
    nll: likelihood(logits, labels, outputs, classes, scale),
    ece: bins.reduce((sum, bin) => sum + Math.abs(bin.confidence - bin.right), 0) / labels.length,
    perClass,
    confusion,
    logits,
  };
}

/** Logits that probabilities can be made of. */
function finite<T extends Int32Array | Float32Array>(logits: T, outputs: number): T {
  const wrong = logits.findIndex((x) => !Number.isFinite(x));
  if (wrong >= 0)
    throw new ShapeError(`a logit of row ${Math.floor(wrong / outputs)} is ${logits[wrong]}: the weights are too large for f32`);
  return logits;
}

/** Of the logarithm of a logit scale, to either side. */
const SPAN = 8.3;
/** Logarithms of sizes that such a span reaches from 0, and those that float32 can say. */
const NEAR = 6;
const FAR = 75;

/** Where to look for the logarithm of a logit scale: 0, or minus that of the logits' deviation from the mean of their row. */
function middleOf(logits: Int32Array | Float32Array, outputs: number, classes: number, unit: number): number {
  let squares = 0;
  for (let row = 0; row < logits.length; row += outputs) {
    const own = logits.subarray(row, row + classes);
    let mean = 0;
    for (const value of own) mean += value / classes;
    for (const value of own) squares += (value - mean) * (value - mean);
  }
  const size = unit * Math.sqrt((squares * outputs) / (logits.length * classes));
  if (!(size > 0 && Number.isFinite(size))) return 0;
  const middle = -ln(size);
  return Math.abs(middle) <= NEAR ? 0 : Math.max(-FAR, Math.min(FAR, middle));
}

/** From so many wrong rows on they alone tell how sure a classifier may be. */
const TELLING = 10;

/**
 * The logit scale (inverse temperature, Guo et al. 2017) that minimises the negative log-likelihood of held-out rows: golden-section
 * search over its logarithm in [2^-12, 2^12], or, where logits are of another size than 1 by far, over as much around the inverse of it;
 * rounded to three digits so that it is the same number everywhere.
 *
 * Where fewer than ten of n rows are wrong, each label is doubted with the probability 0.5 / (n + 1), Krichevsky and Trofimov's (1981) of
 * what n trials have not shown: for rows that are all right the likeliest scale has no end, but fifteen right answers are no reason to be
 * certain of the next.
 * @throws ShapeError when there is no row, or a label or class that the classifier does not have
 */
export function fitLogitScale(classifier: Classifier, images: Uint8Array, labels: Uint8Array, classes: number): number {
  checkLabels(labels, classes, classifier.outputs);
  const logits = finite(classifier.logits(images, labels.length), classifier.outputs);
  const unit = stepOf(classifier, logits);
  const wrong = labels.length * (1 - accuracyOf(logits, labels, classifier.outputs, classes));
  const doubt = classes > 1 && wrong < TELLING - 0.5 ? 0.5 / (labels.length + 1) : 0;
  const cost = (log: number) => likelihood(logits, labels, classifier.outputs, classes, unit * exp(log), doubt);
  const ratio = 0.6180339887498949;
  const middle = middleOf(logits, classifier.outputs, classes, unit);
  let [low, high] = [middle - SPAN, middle + SPAN];
  let [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
  let [costA, costB] = [cost(a), cost(b)];
  while (high - low > 0.002) {
    if (costA <= costB) {
      [high, b, costB] = [b, a, costA];
      a = high - ratio * (high - low);
      costA = cost(a);
    } else {
      [low, a, costA] = [a, b, costB];
      b = low + ratio * (high - low);
      costB = cost(b);
    }
  }
  return Math.fround(Number(exp((low + high) / 2).toPrecision(3)));
}

/**
 * The logit scale of a network under a mask, with parameters, or both, fitted on some rows of a data set: held-out ones.
 * @throws ShapeError when there is no row, or a label or class that the network does not have
 * @throws DataError when the data has no such row
 */
export function logitScaleOf(
  engine: Engine,
  network: Network,
  options: ClassifierOptions,
  data: Dataset,
  rows: Uint32Array,
  classes: number,
): number {
  const classifier = engine.classifier(network, options);
  try {
    return fitLogitScale(classifier, imagesOf(data, rows), labelsOf(data, rows), classes);
  } finally {
    classifier.free();
  }
}
