// The masks of one network held together, ready to be asked which of them rows are for: by asking every one (src/masks/ask-all.ts), or by
// the entropy of all of them laid on one another (infer-task.ts). In a thread or on the event loop, in short steps.

import type { Transform } from '../../codec/index.js';
import type { Engine } from '../../src/engine/engine.js';
import { unpackMask } from '../../src/engine/packed.js';
import { asInputs } from '../../src/features.js';
import { type Answers, askSteps } from '../../src/masks/ask-all.js';
import { createTaskInference, type InferMethod, type TaskGuess, type TaskInference } from '../../src/masks/infer-task.js';
import { inputs, type Network } from '../../src/network.js';
import type { Method } from '../requests/content.js';
import type { Rows } from '../requests/rows.js';
import { AnyMasks, bare } from './any-masks.js';

/** Masks of a network, with what their tasks say about inputs and temperature. */
export interface Asking {
  readonly network: Network;
  /** As `packMask` gives them. */
  readonly masks: readonly Uint8Array[];
  readonly logitScales: ArrayLike<number>;
  /** Each of them once. */
  readonly transforms: readonly Transform[];
  /** Index into `transforms`, by mask. */
  readonly transformOf: ArrayLike<number>;
}

/** Keeps in the engine what all questions share. */
export class Guesser {
  readonly #asking: Asking;
  readonly #engine: Engine;
  readonly #packed: AnyMasks;
  #inference: TaskInference | undefined;
  #underWay = 0;
  #wanted = true;

  constructor(asking: Asking, engine: Engine) {
    this.#asking = asking;
    this.#engine = engine;
    this.#packed = new AnyMasks(engine, asking.network);
  }

  /** @param rows raw values; for `oneshot` and `binary` all masks must have one transform */
  *steps(rows: Rows, method: Method): Generator<void, TaskGuess> {
    this.#underWay++;
    try {
      return yield* method === 'all' ? askSteps(this.#each(rows.values), rows.count) : this.#superposed(rows, method);
    } finally {
      this.#underWay--;
      this.#release();
    }
  }

  /** Gives back what it holds in the engine, as soon as no question is under way; ask nothing after it. */
  free(): void {
    this.#wanted = false;
    this.#release();
  }

  #release(): void {
    if (!this.#wanted && this.#underWay === 0) this.#packed.free();
  }

  #superposed({ values, count }: Rows, method: InferMethod): Generator<void, TaskGuess> {
    const { network, masks, transforms } = this.#asking;
    const [transform] = transforms;
    this.#inference ??= createTaskInference(network, masks, { transform: bare(transform) });
    // Inputs that one task declares constant mean something to another.
    return this.#inference.steps(asInputs(values, { ...transform, constant: null }, inputs(network)), count, method);
  }

  /** Every mask over the rows, as its own classifier answers them: packed where that is possible, else compiled for the moment. */
  *#each(raw: Uint8Array | Float32Array): Iterable<Answers> {
    const { network, masks, logitScales, transforms, transformOf } = this.#asking;
    const width = inputs(network);
    let values = raw;
    let prepared: Transform | undefined;
    for (const [i, mask] of masks.entries()) {
      const transform = transforms[transformOf[i]];
      if (transform !== prepared) values = asInputs(raw, transform, width);
      prepared = transform;
      const [rows, logitScale] = [values, logitScales[i]];
      const any = rows instanceof Uint8Array ? this.#packed.of(transform) : null;
      if (any && rows instanceof Uint8Array) {
        const logits = (first: number, count: number) => any.logits(mask, rows.subarray(first * width, (first + count) * width), count);
        yield { outputs: any.outputs, scale: any.scale, logitScale, logits };
        continue;
      }
      const form = this.#engine.classifier(network, { mask: unpackMask(network, mask), transform: bare(transform) });
      const logits = (first: number, count: number) => form.logits(rows.subarray(first * width, (first + count) * width), count);
      try {
        yield { outputs: form.outputs, scale: form.scale, logitScale, logits };
      } finally {
        form.free();
      }
    }
  }
}
