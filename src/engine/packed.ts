// A mask packed for use: of networks of dense layers the bits lie input by input, a row of `units` bits for each, filled up to whole
// bytes, because a sample has many inputs that are zero, and their rows are never looked at (assembly/packed.ts). Masks of other
// networks are their layers as they are, one behind the other. One buffer a mask: a server holds thousands of them.

import { isDense, type Mask, maskBytes, type Network, type Placed, ShapeError, weighted } from '../network.js';

/** Bytes of a packed mask, layer after layer. */
export const packedBytes = (network: Network): number => sizes(network).reduce((a, b) => a + b, 0);

const sizes = (network: Network): number[] =>
  weighted(network).map((layer) => (isDense(network) ? layer.fanIn * Math.ceil(layer.output[2] / 8) : maskBytes(layer.weights)));

/** @param mask must have passed `checkMask` */
export function packMask(network: Network, mask: Mask): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(packedBytes(network));
  const turned = isDense(network);
  let at = 0;
  weighted(network).forEach((layer, i) => {
    if (turned) turn(mask[i], layer, packed.subarray(at));
    else packed.set(mask[i], at);
    at += sizes(network)[i];
  });
  return packed;
}

function turn(bits: Uint8Array, { fanIn, output }: Placed, out: Uint8Array): void {
  const width = Math.ceil(output[2] / 8) * 8;
  bits.forEach((byte, at) => {
    for (let rest = byte; rest; rest &= rest - 1) {
      const index = 8 * at + lowest(rest);
      const unit = Math.floor(index / fanIn);
      const bit = (index - unit * fanIn) * width + unit;
      out[bit >> 3] |= 1 << (bit & 7);
    }
  });
}

/** The place of the lowest 1 of a byte that has one. */
const lowest = (byte: number): number => 31 - Math.clz32(byte & -byte);

/**
 * The mask that was packed: views into `packed` where its layers lie there as they are.
 * @throws ShapeError when it was packed for a network of another length
 */
export function unpackMask(network: Network, packed: Uint8Array): Uint8Array[] {
  const length = packedBytes(network);
  if (packed.length !== length) throw new ShapeError(`a packed mask of this network has ${length} bytes, got ${packed.length}`);
  const turned = isDense(network);
  let at = 0;
  return weighted(network).map((layer, i) => {
    const part = packed.subarray(at, at + sizes(network)[i]);
    at += part.length;
    return turned ? turnBack(part, layer) : part;
  });
}

function turnBack(part: Uint8Array, { fanIn, output, weights }: Placed): Uint8Array {
  const bits = new Uint8Array(maskBytes(weights));
  const width = Math.ceil(output[2] / 8);
  for (let input = 0, p = 0; input < fanIn; input++) {
    for (let byte = 0; byte < width; byte++) {
      for (let rest = part[p++]; rest; rest &= rest - 1) {
        const index = (byte * 8 + lowest(rest)) * fanIn + input;
        bits[index >> 3] |= 1 << (index & 7);
      }
    }
  }
  return bits;
}
