// What serves a network under any mask as it lies packed (Engine.anyMask), made once for each input transform. Of a transform an engine
// needs the scale and the mean alone: what else it says is done to rows before (lanes.ts), and they are not looked through for it again.

import type { AnyMask, Engine, InputTransform } from '../../src/engine/engine.js';
import type { Network } from '../../src/network.js';

/** What is left of a transform for rows that `asInputs` has been through. */
export const bare = ({ scale, mean }: InputTransform): InputTransform => ({ scale, mean });

/** The forms of one network. */
export class AnyMasks {
  readonly #engine: Engine;
  readonly #network: Network;
  /** By scale and mean. */
  readonly #forms = new Map<string, AnyMask | null>();

  constructor(engine: Engine, network: Network) {
    this.#engine = engine;
    this.#network = network;
  }

  /** Null where masks have to be compiled. */
  of(transform: InputTransform): AnyMask | null {
    const key = `${transform.scale} ${transform.mean}`;
    let form = this.#forms.get(key);
    if (form === undefined) {
      form = this.#engine.anyMask(this.#network, bare(transform));
      this.#forms.set(key, form);
    }
    return form;
  }

  /** Gives back what it holds in the engine; who asks again has it made again. */
  free(): void {
    for (const form of this.#forms.values()) form?.free();
    this.#forms.clear();
  }
}
