// safetensors of other programs: all numbers that they train with, where our own checkpoints have float32 and bytes alone
// (codec/safetensors.ts).

import { readStoredTensors } from '../codec/safetensors.js';
import type { FileArray } from './layouts.js';
import { BFLOAT, HALF, type NumberType, stored } from './numbers.js';

const TYPES = new Map<string, NumberType>([
  ['F64', stored(Float64Array)],
  ['F32', stored(Float32Array)],
  ['F16', HALF],
  ['BF16', BFLOAT],
  ['I64', stored(BigInt64Array)],
  ['I32', stored(Int32Array)],
  ['I16', stored(Int16Array)],
  ['I8', stored(Int8Array)],
  ['U64', stored(BigUint64Array)],
  ['U32', stored(Uint32Array)],
  ['U16', stored(Uint16Array)],
  ['U8', stored(Uint8Array)],
  ['BOOL', stored(Uint8Array)],
]);

/**
 * The arrays of a file by name, bool as uint8, numbers of 16 bits as float32.
 * @throws SeedmaskError bad-tensors, or over-limit for a header above 1 MiB
 */
export const readTensors = (bytes: Uint8Array): ReadonlyMap<string, FileArray> =>
  new Map(
    [...readStoredTensors(bytes, (type) => TYPES.get(type)?.bytes).tensors].map(([name, { type, shape, raw }]) => {
      const values = TYPES.get(type)?.read(raw);
      return [name, values ? { shape, values } : { shape, type }];
    }),
  );

/** The texts that a file has beside its arrays; throws as `readTensors`. */
export const readTexts = (bytes: Uint8Array): ReadonlyMap<string, string> =>
  readStoredTensors(bytes, (type) => TYPES.get(type)?.bytes).metadata;
