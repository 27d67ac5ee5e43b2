// A network under any mask (assembly/packed.ts): the signs of its weights are regenerated once and kept as bits; a mask comes with
// each call, packed as it is, and is copied in, 34 kB of FC in about a microsecond.

import { bitsWhere, hasRelu, inputs, isDense, isSignedConstant, type Network, outputs, ShapeError, weighted } from '../../network.js';
import { anyMaskScale } from '../bounds.js';
import { checkApplied, checkInputs } from '../checks.js';
import { type AnyMask, type InputTransform, PIXELS } from '../engine.js';
import { packedBytes, packMask } from '../packed.js';
import { samplesPerPass } from './inference.js';
import { Allocations, type Machine, pad16 } from './machine.js';
import { regenerateLayer } from './regenerate.js';

/** Bytes that the kernel may read beyond bits, and a whole vector. */
const BEYOND = 16;

/** Null where some mask needs more than integers (see Engine.anyMask). */
export function createAnyMask(machine: Machine, network: Network, transform: InputTransform = PIXELS): AnyMask | null {
  if (!isDense(network) || !isSignedConstant(network)) return null;
  const layers = weighted(network);
  const weights = layers.map((layer) => regenerateLayer(machine, network, layer));
  const scale = anyMaskScale(network, transform, weights);
  if (scale === null) return null;
  const own = new Allocations(machine);
  const length = packedBytes(network);
  const signs = own.bytes(length + BEYOND);
  machine.u8(signs, length).set(
    packMask(
      network,
      weights.map((layer) => bitsWhere(layer, (weight) => weight > 0)),
    ),
  );
  const width = inputs(network);
  const count = outputs(network);
  // Lanes are written 32 at a time, and a list takes 8 bytes an input.
  const buffer = (Math.max(width, ...layers.map((layer) => layer.output[2])) + 32) * 8;
  const program = [layers.length, width, buffer];
  let at = signs;
  for (const { layer, fanIn, output } of layers) {
    program.push(output[2], hasRelu(layer) ? 1 : 0, at);
    at += fanIn * Math.ceil(output[2] / 8);
  }
  const pointer = own.bytes(program.length * 4);
  machine.u32(pointer, program.length).set(program);
  const pixelsAt = pad16(3 * buffer + length + BEYOND);
  const capacity = samplesPerPass(width + 4 * count);
  const logitsAt = pad16(pixelsAt + capacity * width);
  return {
    scale,
    inputs: width,
    outputs: count,
    bytes: own.held,
    logits(mask, values, rows) {
      if (mask.length !== length) throw new ShapeError(`a packed mask of this network has ${length} bytes, got ${mask.length}`);
      checkInputs(values, rows, width);
      checkApplied(values, transform, width);
      const out = new Int32Array(rows * count);
      const scratch = machine.scratch(logitsAt + capacity * count * 4);
      machine.u8(scratch + 3 * buffer, length).set(mask);
      for (let first = 0; first < rows; first += capacity) {
        const n = Math.min(capacity, rows - first);
        machine.u8(scratch + pixelsAt, n * width).set(values.subarray(first * width, (first + n) * width));
        machine.packedRows(pointer, scratch + 3 * buffer, scratch + pixelsAt, n, scratch, scratch + logitsAt);
        out.set(machine.i32(scratch + logitsAt, n * count), first * count);
      }
      return out;
    },
    free: () => own.free(),
  };
}
