// The page's bench: opened model files, and what every mask on their networks says about an image. No DOM: it runs in a worker, and in
// Node for tests. A mask is compiled when it is first asked; two more are made beside those of the file: none at all (the bare random
// network), and one drawn at random that keeps as much as the file's first.

import { type Model, readStandAlone } from '../codec/container.js';
import type { Inflate } from '../codec/deflate.js';
import { SeedmaskError } from '../codec/errors.js';
import { SCHEMES } from '../codec/schemes.js';
import { Bases, decodeTask, type PackedTask } from '../codec/tasks.js';
import { asInputs } from '../src/data.js';
import type { Classifiers } from '../src/engine/classifiers.js';
import type { Classifier } from '../src/engine/engine.js';
import {
  countKept,
  describe,
  fullMask,
  inputs,
  type Mask,
  type Network,
  type Placed,
  regenerate,
  totalKept,
  totalWeights,
  weighted,
} from '../src/network.js';
import { softmax } from '../src/probabilities.js';
import { DOMAIN, fillWords, permutation } from '../src/random.js';

/** What a page may open: decoded masks stay below 32 MB. */
export const LIMITS = { maxFileBytes: 32 * 1024 * 1024, maxWeights: 2 ** 28 } as const;

/** A mask of the file by its place, or one of the two that come with every network. */
export type Choice = number | 'bare' | 'random';

export interface TaskAbout {
  readonly id: string;
  readonly labels: readonly string[];
  readonly payloadBytes: number;
  readonly kept: number;
  /** Value i of an input is value order[i] of the upright image; null where the task takes images as they are. */
  readonly order: Uint32Array | null;
  readonly renamed: boolean;
}

export interface LayerAbout {
  /** "300 units of 784 inputs" needs these two. */
  readonly units: number;
  /** [height, width, channels] of what one unit sees. */
  readonly shape: readonly [number, number, number];
}

export interface FileAbout {
  readonly file: number;
  readonly network: string;
  readonly input: readonly [number, number, number];
  readonly weights: number;
  readonly seed: string;
  readonly fileBytes: number;
  readonly headerBytes: number;
  readonly layers: readonly LayerAbout[];
  readonly tasks: readonly TaskAbout[];
}

export interface Answer {
  readonly best: number;
  readonly probabilities: Float32Array;
}

/** A layer under a mask: which weights are kept, and which of all are positive; bit i & 7 of byte i >> 3 is weight i, [unit][input]. */
export interface LayerPicture extends LayerAbout {
  readonly kept: Uint8Array;
  readonly positive: Uint8Array;
}

interface Opened {
  readonly model: Pick<Model, 'network' | 'tasks'>;
  readonly classifiers: Map<Choice, Classifier>;
  positive: Uint8Array[] | null;
}

export class Workbench {
  readonly #engine: Classifiers;
  readonly #files: Opened[] = [];

  constructor(engine: Classifiers) {
    this.#engine = engine;
  }

  /** @throws SeedmaskError when the bytes are no whole model file with a task; nothing is kept of it then */
  async open(bytes: Uint8Array): Promise<FileAbout> {
    const { network, tasks: stored } = readStandAlone(bytes, LIMITS);
    if (stored.length === 0) throw new SeedmaskError('no-tasks', { field: 'the file', expected: 'a mask to classify with' });
    const inflate = await inflateFor(stored);
    const bases = new Bases(network, stored, inflate);
    const tasks = stored.map((task, i) => decodeTask(network, task, i, bases.of(task), inflate).task);
    this.#files.push({ model: { network, tasks }, classifiers: new Map(), positive: null });
    return about(this.#files.length - 1, { network, tasks }, stored, bytes.length);
  }

  /** Probabilities of the classes for one image of raw values. */
  classify(file: number, choice: Choice, values: Uint8Array): Answer {
    const { labels, logitScale } = this.#taskOf(file, choice);
    const classifier = this.#classifier(file, choice);
    const logits = this.logits(file, choice, values, 1);
    const scale = logits instanceof Int32Array ? classifier.scale * logitScale : logitScale;
    const probabilities = new Float32Array(labels.length);
    return { best: softmax(logits, 0, labels.length, scale, probabilities, 0), probabilities };
  }

  /** The same image under every mask of the file and the two others, in the order of `choicesOf`. */
  everywhere(file: number, values: Uint8Array): Answer[] {
    return choicesOf(this.#files[file].model.tasks.length).map((choice) => this.classify(file, choice, values));
  }

  /** Logits before scale and softmax, of rows of raw values: what `seedmask eval` hashes. */
  logits(file: number, choice: Choice, values: Uint8Array, rows: number): Int32Array | Float32Array {
    const { transform } = this.#taskOf(file, choice);
    const classifier = this.#classifier(file, choice);
    return classifier.logits(asInputs(values, transform, classifier.inputs), rows);
  }

  picture(file: number, choice: Choice, layer: number): LayerPicture {
    const opened = this.#files[file];
    const { network } = opened.model;
    opened.positive ??= regenerate(network).map(positiveBits);
    const mask = this.#mask(file, choice);
    return { ...seen(weighted(network)[layer]), kept: mask[layer].slice(), positive: opened.positive[layer].slice() };
  }

  /** The task whose labels and temperature a choice uses: the two that come with every network borrow the first. */
  #taskOf(file: number, choice: Choice) {
    return this.#files[file].model.tasks[typeof choice === 'number' ? choice : 0];
  }

  #mask(file: number, choice: Choice): Mask {
    const { network, tasks } = this.#files[file].model;
    if (typeof choice === 'number') return tasks[choice].mask;
    return choice === 'bare' ? fullMask(network, true) : drawnLike(network, tasks[0].mask);
  }

  #classifier(file: number, choice: Choice): Classifier {
    const { model, classifiers } = this.#files[file];
    const held = classifiers.get(choice);
    if (held) return held;
    const { transform } = this.#taskOf(file, choice);
    const made = this.#engine.classifier(model.network, { mask: this.#mask(file, choice), transform });
    classifiers.set(choice, made);
    return made;
  }
}

/** All choices of a file with so many tasks. */
export const choicesOf = (tasks: number): Choice[] => [...Array.from({ length: tasks }, (_, i) => i), 'random', 'bare'];

/** The inflater of the deflate scheme, loaded when a payload needs it. */
async function inflateFor(tasks: readonly PackedTask[]): Promise<Inflate> {
  if (tasks.some(({ payload }) => payload[0] === SCHEMES.deflate)) return (await import('../codec/deflate.js')).inflate;
  return () => 'a deflate stream';
}

function about(file: number, { network, tasks }: Opened['model'], stored: readonly PackedTask[], fileBytes: number): FileAbout {
  return {
    file,
    network: describe(network),
    input: network.input,
    weights: totalWeights(network),
    seed: String((BigInt(network.seed.high) << 32n) | BigInt(network.seed.low)),
    fileBytes,
    headerBytes: stored.reduce((rest, { payload }) => rest - payload.length, fileBytes),
    layers: weighted(network).map(seen),
    tasks: tasks.map(({ id, labels, data, mask }, i) => ({
      id,
      labels,
      payloadBytes: stored[i].payload.length,
      kept: totalKept(mask),
      order: data?.pixelPermutation ? permutation(inputs(network), data.pixelPermutation, DOMAIN.pixelPermutation) : null,
      renamed: Boolean(data?.labelPermutation),
    })),
  };
}

const seen = ({ layer, input, output, weights }: Placed): LayerAbout => {
  const units = output[2];
  if (layer.kind !== 'conv') return { units, shape: input };
  const side = Math.round(Math.sqrt(weights / (units * input[2])));
  return { units, shape: [side, side, input[2]] };
};

function positiveBits(weights: Float32Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(weights.length / 8));
  weights.forEach((weight, i) => {
    if (weight > 0) bits[i >> 3] |= 1 << (i & 7);
  });
  return bits;
}

/** A mask that keeps about as much of each layer as another one, of weights drawn at random. */
function drawnLike(network: Network, mask: Mask): Mask {
  return weighted(network).map(({ weights, stream }, layer) => {
    const words = new Uint32Array(weights);
    fillWords(network.seed, DOMAIN.sampling, stream, 0, words);
    const keep = countKept(mask[layer]);
    const bits = new Uint8Array(mask[layer].length);
    words.forEach((word, i) => {
      if (word < (keep / weights) * 2 ** 32) bits[i >> 3] |= 1 << (i & 7);
    });
    return bits;
  });
}
