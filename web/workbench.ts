// The page's bench: beside the masks of a file, two more on the same network: none at all (the bare random network), and one drawn at
// random that keeps as much as the file's first; and what a layer looks like under any of them.

import { bitsWhere, countKept, fullMask, type Mask, type Network, regenerate, weighted } from '../src/network.js';
import { DOMAIN, fillWords } from '../src/random.js';
import { type Choice, choicesOf } from './choices.js';
import { SIDE } from './digit.js';
import { type Answer, type FileAbout, type LayerAbout, OpenFiles, seen } from './open-files.js';

/** A layer under a mask: which weights are kept, and which of all are positive; bit i & 7 of byte i >> 3 is weight i, [unit][input]. */
export interface LayerPicture extends LayerAbout {
  readonly kept: Uint8Array;
  readonly positive: Uint8Array;
}

export class Workbench extends OpenFiles<Choice> {
  readonly #positive = new Map<number, Uint8Array[]>();
  #backwards = false;

  /** Opens a file of which the first mask is ready to answer. @throws Error with one line; nothing is kept of the file then */
  override async open(bytes: Uint8Array): Promise<FileAbout> {
    const about = await super.open(bytes);
    try {
      const [height, width, channels] = about.input;
      if (height * width * channels !== SIDE * SIDE)
        throw new Error(`the file takes ${height} x ${width} x ${channels} values; this page draws ${SIDE} x ${SIDE} grey pixels`);
      this.classify(about.file, 0, new Uint8Array(SIDE * SIDE));
      return about;
    } catch (error) {
      this.close(about.file);
      throw error;
    }
  }

  override close(file: number): void {
    super.close(file);
    this.#positive.delete(file);
  }

  /** The same image under every mask of the file and the two others, in the order of `choicesOf`. */
  everywhere(file: number, values: Uint8Array): Answer[] {
    const choices = choicesOf(this.fileOf(file).tasks.length);
    // To and fro: of more masks than stay compiled, those that were asked last are asked first.
    this.#backwards = !this.#backwards;
    if (!this.#backwards) return choices.map((choice) => this.classify(file, choice, values));
    return choices
      .reverse()
      .map((choice) => this.classify(file, choice, values))
      .reverse();
  }

  picture(file: number, choice: Choice, layer: number): LayerPicture {
    const { network } = this.fileOf(file);
    const positive = this.#positive.get(file) ?? regenerate(network).map((layer) => bitsWhere(layer, (weight) => weight > 0));
    this.#positive.set(file, positive);
    const mask = this.maskOf(file, choice);
    return { ...seen(weighted(network)[layer]), kept: mask[layer].slice(), positive: positive[layer].slice() };
  }

  /** The two that come with every network borrow the first. */
  protected override taskOf(file: number, choice: Choice) {
    return super.taskOf(file, typeof choice === 'number' ? choice : 0);
  }

  protected override maskOf(file: number, choice: Choice): Mask {
    const { mask } = this.taskOf(file, choice);
    if (typeof choice === 'number') return mask;
    const { network } = this.fileOf(file);
    return choice === 'bare' ? fullMask(network, true) : drawnLike(network, mask);
  }
}

/** A mask that keeps about as much of each layer as another one, of weights drawn at random. */
function drawnLike(network: Network, mask: Mask): Mask {
  return weighted(network).map(({ weights, stream }, layer) => {
    const words = new Uint32Array(weights);
    fillWords(network.seed, DOMAIN.sampling, stream, 0, words);
    const keep = countKept(mask[layer]);
    return bitsWhere(words, (word) => word < (keep / weights) * 2 ** 32);
  });
}
