// Opened model files, and what their masks say about an image. No DOM: it runs in a worker, and in Node for tests. A mask is compiled
// when it is asked; those that were asked longest ago give way to others.

import { type Model, readStandAlone } from '../codec/container.js';
import { SeedmaskError } from '../codec/errors.js';
import { READER } from '../codec/kernel.js';
import { MaskReader } from '../codec/mask-reader.js';
import { type Decoders, SCHEMES } from '../codec/schemes.js';
import { Bases, decodeTask, type PackedTask } from '../codec/tasks.js';
import type { Classifiers } from '../src/engine/classifiers.js';
import { type Classifier, stepOf } from '../src/engine/engine.js';
import { compile } from '../src/engine/wasm/machine.js';
import { asInputs } from '../src/features.js';
import { describe, inputs, type Mask, type Placed, ShapeError, totalKept, totalWeights, weighted } from '../src/network.js';
import { argmax, softmax } from '../src/probabilities.js';
import { DOMAIN, formatSeed, permutation } from '../src/random.js';
import { COMPILED_LIMIT, LIMITS } from './limits.js';

export interface TaskAbout {
  readonly id: string;
  readonly labels: readonly string[];
  readonly payloadBytes: number;
  readonly kept: number;
  /** Value i of an input is value order[i] of the upright image; null where the task takes images as they are. */
  readonly order: Uint32Array | null;
  readonly renamed: boolean;
  /** What a row has: bytes of pixels, 0 .. 255, or finite numbers as float32. */
  readonly values: 'pixels' | 'numbers';
  /** Names of the values of a row, in order, where they are numbers with names. */
  readonly columns?: readonly string[];
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

type Opened = Pick<Model, 'network' | 'tasks'>;

/** Masks are chosen by their place in the file; a subclass may know more. */
export class OpenFiles<Choice = number> {
  readonly #engine: Classifiers;
  readonly #files = new Map<number, Opened>();
  /** By file and choice, the one that was asked last at the end. */
  readonly #compiled = new Map<string, Classifier>();
  /** Of all that is compiled. */
  #bytes = 0;
  #opened = 0;
  /** Compiled while a file is on its way. */
  readonly #masks = compile(READER).then((module) => new MaskReader(module));

  constructor(engine: Classifiers) {
    this.#engine = engine;
  }

  /** @throws SeedmaskError when the bytes are no whole model file with a task; nothing is kept of it then */
  async open(bytes: Uint8Array): Promise<FileAbout> {
    const { network, tasks: stored } = readStandAlone(bytes, LIMITS);
    if (stored.length === 0) throw new SeedmaskError('no-tasks', { field: 'the file', expected: 'a mask to classify with' });
    const decoders = await this.#decodersFor(stored);
    const bases = new Bases(network, stored, decoders);
    const opened = { network, tasks: stored.map((task, i) => decodeTask(network, task, i, bases.of(task), decoders).task) };
    const file = this.#opened++;
    this.#files.set(file, opened);
    return about(file, opened, stored, bytes.length);
  }

  /** Forgets a file. */
  close(file: number): void {
    for (const key of this.#compiled.keys()) if (key.startsWith(`${file} `)) this.#free(key);
    this.#files.delete(file);
  }

  /** Files that are open. */
  get size(): number {
    return this.#files.size;
  }

  /** Probabilities of the classes for one image of raw values. */
  classify(file: number, choice: Choice | number, values: Uint8Array | Float32Array): Answer {
    const { labels, logitScale } = this.taskOf(file, choice);
    const classifier = this.#classifier(file, choice);
    const logits = this.logits(file, choice, values, 1);
    const scale = logitScale * stepOf(classifier, logits);
    return { best: argmax(logits, 0, labels.length), probabilities: Float32Array.from(softmax(logits, 0, labels.length, scale)) };
  }

  /** Logits before scale and softmax, of rows of raw values: what `seedmask eval` hashes. */
  logits(file: number, choice: Choice | number, values: Uint8Array | Float32Array, rows: number): Int32Array | Float32Array {
    const { transform } = this.taskOf(file, choice);
    const classifier = this.#classifier(file, choice);
    checkValues(values, !transform.features);
    return classifier.logits(asInputs(values, transform, classifier.inputs), rows);
  }

  /** The task whose labels and temperature a choice uses. */
  protected taskOf(file: number, choice: Choice | number) {
    return this.fileOf(file).tasks[Number(choice)];
  }

  /** @throws Error when it was closed */
  protected fileOf(file: number): Opened {
    const found = this.#files.get(file);
    if (!found) throw new Error(`file ${file} is closed`);
    return found;
  }

  protected maskOf(file: number, choice: Choice | number): Mask {
    return this.taskOf(file, choice).mask;
  }

  /** What undoes the deflate scheme is loaded when a payload needs it. */
  async #decodersFor(tasks: readonly PackedTask[]): Promise<Decoders> {
    const deflated = tasks.some(({ payload }) => payload[0] === SCHEMES.deflate);
    const inflate = deflated ? (await import('../codec/deflate.js')).inflate : () => 'deflated';
    return { inflate, masks: await this.#masks };
  }

  #classifier(file: number, choice: Choice | number): Classifier {
    const { network } = this.fileOf(file);
    const { transform } = this.taskOf(file, choice);
    const key = `${file} ${choice}`;
    const held = this.#compiled.get(key);
    const made = held ?? this.#engine.classifier(network, { mask: this.maskOf(file, choice), transform });
    if (!held) this.#bytes += made.bytes;
    this.#compiled.delete(key);
    for (const old of this.#compiled.keys()) if (this.#bytes > COMPILED_LIMIT) this.#free(old);
    this.#compiled.set(key, made);
    return made;
  }

  #free(key: string): void {
    const classifier = this.#compiled.get(key)!;
    this.#bytes -= classifier.bytes;
    classifier.free();
    this.#compiled.delete(key);
  }
}

/** Throws ShapeError unless floats are finite and those of pixels 0 .. 255: scaled before, an image is not what the task was trained on. */
function checkValues(values: Uint8Array | Float32Array, pixels: boolean): void {
  if (values instanceof Uint8Array) return;
  const at = values.findIndex((x) => !(pixels ? x >= 0 && x <= 255 : Number.isFinite(x)));
  if (at >= 0) throw new ShapeError(`value ${at} is ${values[at]}, expected ${pixels ? 'a pixel, 0 .. 255' : 'a finite number'}`);
}

function about(file: number, { network, tasks }: Opened, stored: readonly PackedTask[], fileBytes: number): FileAbout {
  return {
    file,
    network: describe(network),
    input: network.input,
    weights: totalWeights(network),
    seed: formatSeed(network.seed),
    fileBytes,
    headerBytes: stored.reduce((rest, { payload }) => rest - payload.length, fileBytes),
    layers: weighted(network).map(seen),
    tasks: tasks.map(({ id, labels, data, mask, transform: { features } }, i) => ({
      id,
      labels,
      payloadBytes: stored[i].payload.length,
      kept: totalKept(mask),
      order: data?.pixelPermutation ? permutation(inputs(network), data.pixelPermutation, DOMAIN.pixelPermutation) : null,
      renamed: Boolean(data?.labelPermutation),
      values: features ? 'numbers' : 'pixels',
      columns: features?.names,
    })),
  };
}

/** What one unit of a layer sees. */
export const seen = ({ kernel, input, output }: Placed): LayerAbout => ({
  units: output[2],
  shape: kernel ? [kernel, kernel, input[2]] : input,
});
