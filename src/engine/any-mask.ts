// A network under any mask, the plain way: a classifier made for every call. The oracle of wasm/packed.ts.

import { inputs, outputs } from '../network.js';
import { anyMaskScale } from './bounds.js';
import { untilFreed } from './checks.js';
import { type AnyMask, type Engine, PIXELS } from './engine.js';
import { unpackMask } from './packed.js';

/** `Engine.anyMask` from `Engine.classifier`. */
export function byClassifiers(classifier: Engine['classifier']): Engine['anyMask'] {
  return (network, transform = PIXELS) => {
    const scale = anyMaskScale(network, transform);
    if (scale === null) return null;
    const logits: AnyMask['logits'] = (mask, values, rows) => {
      const made = classifier(network, { mask: unpackMask(network, mask), transform });
      try {
        const answer = made.logits(values, rows);
        if (!(answer instanceof Int32Array)) throw new TypeError('an integer program answers pixels in integers');
        return answer;
      } finally {
        made.free();
      }
    };
    const made: AnyMask = { scale, inputs: inputs(network), outputs: outputs(network), bytes: 0, logits, free: () => undefined };
    return untilFreed('network under any mask', made);
  };
}
