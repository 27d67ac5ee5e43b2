// Tensors as bytes (Triton's extension binary_tensor_data): a body is JSON, then raw tensors back to back, and a header says how long
// the JSON is. Little-endian, row-major, no padding; a BYTES element is its length in uint32, then its bytes.
//
//   | JSON: Inference-Header-Content-Length bytes | tensor | tensor | ...     each binary_data_size bytes, in the order of the JSON
//
// A header of 0 means that the whole body is the one input. With Content-Encoding the header counts what was decompressed.

import { SeedmaskError } from '../../codec/errors.js';
import { numberBytes } from '../../codec/safetensors.js';
import { checkCount, type Rows } from './rows.js';

export const HEADER = 'Inference-Header-Content-Length';

/** A body taken apart; `json` is null when the whole body is a tensor, `tensors` is null when the header is missing. */
export interface Split {
  readonly json: Uint8Array | null;
  readonly tensors: Uint8Array | null;
}

/** @throws SeedmaskError bad-request for a header that is no length or runs past the body */
export function splitBody(body: Uint8Array, header: string | undefined): Split {
  if (header === undefined) return { json: body, tensors: null };
  const length = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (!(length <= body.length)) {
    throw new SeedmaskError('bad-request', {
      field: HEADER,
      expected: `the number of bytes of JSON, at most the ${body.length} of the body after Content-Encoding`,
      got: header,
    });
  }
  return { json: length === 0 ? null : body.subarray(0, length), tensors: body.subarray(length) };
}

export const ELEMENT_BYTES = { UINT8: 1, FP32: 4 } as const;
export type InputType = keyof typeof ELEMENT_BYTES;

/**
 * Rows from a tensor's bytes. FP32 values that are all whole numbers 0..255 become bytes, as they do from JSON.
 * @param bytes count x width elements
 * @throws SeedmaskError bad-value at the first NaN or infinity
 */
export function rowsOfTensor(bytes: Uint8Array, type: InputType, count: number, field: string): Rows {
  // No Buffer: what it calls slice keeps all of a body.
  if (type === 'UINT8') return { values: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), count };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(bytes.length / 4);
  let whole = true;
  for (let i = 0; i < values.length; i++) {
    const x = view.getFloat32(4 * i, true);
    values[i] = x;
    if ((x & 255) === x) continue;
    whole = false;
    if (!Number.isFinite(x)) {
      const hint = 'Replace missing values before sending.';
      throw new SeedmaskError('bad-value', { field: `element ${i} of ${field}`, expected: 'a finite number', got: String(x), hint });
    }
  }
  return { values: whole ? Uint8Array.from(values) : values, count };
}

/**
 * Rows of a body that is FP32 values alone; how many follows from its length.
 * @param limit rows at most
 * @param what they are, for error texts, and what else to send
 * @throws SeedmaskError bad-shape when they are not whole rows, over-limit, bad-value
 */
export function rowsOfFloats(body: Uint8Array, width: number, limit: number, what: string, hint?: string): Rows {
  const [field, count] = ['the body', body.length / (4 * width)];
  if (!(Number.isInteger(count) && count > 0)) {
    const expected = `a multiple of ${4 * width} bytes, ${what}`;
    throw new SeedmaskError('bad-shape', { field, expected, got: `[${body.length}]`, hint });
  }
  checkCount(count, { limit, field });
  return rowsOfTensor(body, 'FP32', count, field);
}

/** FP32 values as they travel. */
export const floatBytes = (values: Float32Array): Uint8Array => numberBytes(values).slice();

/** BYTES elements as they travel. */
export function textBytes(texts: readonly string[]): Uint8Array {
  // A few labels, again and again.
  const known = new Map([...new Set(texts)].map((text) => [text, Buffer.from(text)]));
  const encoded = texts.map((text) => known.get(text) ?? Buffer.from(text));
  const bytes = Buffer.alloc(encoded.reduce((sum, text) => sum + 4 + text.length, 0));
  let at = 0;
  for (const text of encoded) {
    at = bytes.writeUInt32LE(text.length, at);
    at += text.copy(bytes, at);
  }
  return bytes;
}
