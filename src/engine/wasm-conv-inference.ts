// Classifiers of networks with convolutions and pools: the layers of wasm-conv.ts under one mask, in f32 or, where bounds.ts allows
// it, in i32 over whole pixels. A chunk of samples passes all layers in one tape.

import { checkMask, countKept, fullMask, inputs, isSignedConstant, kept, type Mask, type Network, outputs, weighted } from '../network.js';
import { integerProgram } from './bounds.js';
import { checkInputs, checkParameters } from './checks.js';
import { type Classifier, type ClassifierOptions, type InputTransform, PIXELS } from './engine.js';
import { Allocations, type Machine, type Operation } from './machine.js';
import { regenerateLayer } from './regenerate.js';
import { type Sums, stack } from './wasm-conv.js';
import { outputsOf, placeOf, unpad, type Weights } from './wasm-conv-memory.js';

/** Samples per pass: few, because a sample's activations fill the caches. */
const CHUNK = 16;

interface Program {
  /** Held in the engine's memory. */
  readonly bytes: number;
  chunk(values: Uint8Array | Float32Array, rows: number, out: Int32Array | Float32Array): void;
  free(): void;
}

/** @throws ShapeError when mask or parameters do not fit */
export function createConvClassifier(machine: Machine, network: Network, options: ClassifierOptions = {}): Classifier {
  const { mask = fullMask(network, true), transform = PIXELS, parameters } = options;
  checkMask(network, mask);
  if (parameters) checkParameters(network, parameters);
  const regenerated = () => weighted(network).map((layer) => regenerateLayer(machine, network, layer));
  const compiled = parameters ? null : compileIntegers(machine, network, mask, transform, regenerated);
  let floats: Program | null = null;
  // The f32 form of an integer program is rarely asked for: it is laid out at the first call.
  const inFloats = (): Program => {
    floats ??= program(machine, network, mask, parameters?.weights ?? regenerated(), parameters?.biases ?? null, transform, 'f32');
    return floats;
  };
  const integers = compiled?.program ?? null;
  const { bytes } = integers ?? inFloats();
  const width = inputs(network);
  const count = outputs(network);
  return {
    arithmetic: integers ? 'integer' : 'float',
    scale: compiled?.scale ?? 1,
    inputs: width,
    outputs: count,
    bytes,
    logits(values, rows) {
      checkInputs(values, rows, width);
      const whole = integers !== null && values instanceof Uint8Array;
      const run = whole ? integers : inFloats();
      const out = whole ? new Int32Array(rows * count) : new Float32Array(rows * count);
      for (let row = 0; row < rows; row += CHUNK) {
        const end = Math.min(rows, row + CHUNK);
        run.chunk(values.subarray(row * width, end * width), end - row, out.subarray(row * count, end * count));
      }
      return out;
    },
    free() {
      integers?.free();
      floats?.free();
      floats = null;
    },
  };
}

function program(
  machine: Machine,
  network: Network,
  mask: Mask,
  weights: readonly Float32Array[],
  biases: readonly Float32Array[] | null,
  { mean, scale }: InputTransform,
  sums: Sums,
): Program {
  const own = new Allocations(machine);
  const net = stack(machine, own, network, { batch: CHUNK, sums, biases: biases !== null, training: false });
  const layout: Operation[] = [];
  net.weighted.forEach((layer, i) => {
    const floats = layer.weights.pitch / 4;
    uploadKept(weights[i], mask[i], machine[sums](layer.value, floats * layer.weights.units), layer.weights, sums);
    if (biases) machine.f32(layer.bias, layer.weights.units).set(biases[i]);
    layout.push(...layer.prepare(countKept(mask[i]) / weights[i].length));
  });
  machine.run(layout);
  const width = inputs(network);
  const raw = own.bytes(CHUNK * width * 4);
  const [height, columns, channels] = network.input;
  const { at, sample, row } = net.input;
  const last = net.layers[net.layers.length - 1];
  return {
    bytes: own.held,
    chunk(values, rows, out) {
      const bytes = values instanceof Uint8Array;
      (bytes ? machine.u8(raw, values.length) : machine.f32(raw, values.length)).set(values);
      const kind = sums === 'i32' ? 2 : bytes ? 0 : 1;
      machine.run([
        ['images', raw, 0, rows, height, columns, channels, kind, mean, scale, at, sample, row],
        ...net.layers.flatMap((layer) => layer.forward(rows)),
      ]);
      const logits = outputsOf(last, rows);
      unpad<Int32Array | Float32Array>(machine[sums](last.out.at, logits.count), logits, out);
    },
    free: () => own.free(),
  };
}

/**
 * Kept weights, their signs where sums are integers, to their place in memory, which is zero. Masks keep little: bytes of them that keep
 * nothing are passed.
 */
function uploadKept(weights: Float32Array, mask: Uint8Array, view: Float32Array | Int32Array, layout: Weights, sums: Sums): void {
  for (let byte = 0; byte < mask.length; byte++) {
    if (mask[byte] === 0) continue;
    const end = Math.min(8 * byte + 8, weights.length);
    for (let k = 8 * byte; k < end; k++) {
      if (kept(mask, k)) view[placeOf(layout, k)] = sums === 'i32' ? Math.sign(weights[k]) : weights[k];
    }
  }
}

function compileIntegers(
  machine: Machine,
  network: Network,
  mask: Mask,
  transform: InputTransform,
  regenerated: () => Float32Array[],
): { scale: number; program: Program } | null {
  if (!isSignedConstant(network)) return null;
  const weights = regenerated();
  const integers = integerProgram(network, mask, transform, weights);
  return integers && { scale: integers.scale, program: program(machine, network, mask, weights, null, transform, 'i32') };
}
