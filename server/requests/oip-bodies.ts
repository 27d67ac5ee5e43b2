// What comes with infer of the Open Inference Protocol: a tensor of rows, in JSON or as bytes, and how the answer shall look.

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { type Shape, size } from '../../src/network.js';
import { parseJson } from './json.js';
import { type Input, PIXELS } from './named-rows.js';
import { brief, checkCount, type Rows, rowsOf, shapeOf } from './rows.js';
import { checked, Fraction } from './schemas.js';
import { ELEMENT_BYTES, HEADER, type InputType, rowsOfFloats, rowsOfTensor, type Split, splitBody } from './tensors.js';

const DATATYPES = 'FP32 or UINT8; whole numbers 0..255 fit UINT8';
const BYTES = 'a whole number of bytes';
const Parameters = z.looseObject({
  binary_data_output: z.boolean('true or false').optional(),
  timeout: z.int('a whole number of microseconds').nonnegative('a whole number of microseconds').optional(),
  abstain: Fraction.optional(),
});
const Tensor = z.looseObject({
  name: z.string('a name').meta({ enum: ['pixels', 'features'], description: 'features: of tasks over numbers' }),
  shape: z.array(z.int('a whole number').nonnegative('a whole number of at least 0')).max(8, 'a shape of at most 8 dimensions'),
  datatype: z.enum(['FP32', 'UINT8'], DATATYPES),
  data: z.unknown().optional().meta({ type: 'array', description: 'numbers, flat or nested; absent for a binary tensor' }),
  parameters: z.looseObject({ binary_data_size: z.int(BYTES).nonnegative(BYTES).optional() }).optional(),
});
const Output = z.looseObject({
  name: z.enum(['probabilities', 'label'], "'probabilities' or 'label'"),
  parameters: z
    .looseObject({
      binary_data: z.boolean('true or false').optional(),
      classification: z.int('a whole number of classes').nonnegative('a whole number of classes').optional(),
    })
    .optional(),
});
export const Infer = z.looseObject({
  id: z.string().optional(),
  parameters: Parameters.optional(),
  inputs: z.array(Tensor).length(1, 'a list of one tensor'),
  outputs: z.array(Output).max(16, 'a list of at most 16 outputs').optional(),
});
/** An output that was asked for. */
export interface Wish {
  readonly name: 'probabilities' | 'label';
  readonly binary: boolean;
  /** The k best classes instead of the tensor. */
  readonly best: number | undefined;
}

/** A body, read. */
export interface Infers {
  readonly rows: Rows;
  readonly id?: string;
  readonly timeoutMs?: number;
  readonly abstain?: number;
  readonly wishes: readonly Wish[];
}

/**
 * @param limit rows at most
 * @param header what the request says of the length of the JSON
 * @throws SeedmaskError about the body, its shape or its values
 */
export function readTensors(
  body: Uint8Array,
  {
    shape,
    limit,
    header,
    input = PIXELS,
  }: { readonly shape: Shape; readonly limit: number; readonly header?: string; readonly input?: Input },
): Infers {
  const width = size(shape);
  const split = splitBody(body, header);
  if (split.json === null) {
    // A body that is one FP32 tensor, as the metadata describes it.
    const hint = 'One byte a value goes to POST /tasks/NAME/classify.';
    const rows = rowsOfFloats(split.tensors ?? body, width, limit, `FP32 [n, ${width}]`, hint);
    return { rows, wishes: ALL.map((name) => ({ name, binary: true, best: undefined })) };
  }
  const hint = `Send {"inputs": [{"name": "${input.name}", "shape": [n, ${width}], "datatype", "data"}]}.`;
  const request = checked(Infer, parseJson(split.json), '', hint);
  const { binary_data_output: binary = false, timeout, abstain } = request.parameters ?? {};
  // An empty list is how some clients leave it out, and Triton takes it so.
  const named = request.outputs?.length ? request.outputs : ALL.map((name) => ({ name, parameters: undefined }));
  const wishes = named.map(({ name, parameters }, i): Wish => {
    const best = parameters?.classification || undefined;
    if (best !== undefined && name === 'label') {
      const field = `/outputs/${i}/parameters/classification`;
      throw new SeedmaskError('bad-request', { field, expected: "absent, or of the output 'probabilities'", got: best });
    }
    return { name, binary: parameters?.binary_data ?? binary, best };
  });
  const again = wishes.findIndex(({ name }, i) => wishes.some((other, j) => j < i && other.name === name));
  if (again >= 0)
    throw new SeedmaskError('bad-request', { field: `/outputs/${again}/name`, expected: 'each output once', got: wishes[again].name });
  const [tensor] = request.inputs;
  if (tensor.name !== input.name && tensor.name !== 'pixels')
    throw new SeedmaskError('bad-request', { field: '/inputs/0/name', expected: `'${input.name}'`, got: brief(tensor.name) });
  const rows = tensorRows(tensor, split, width, limit);
  return { rows, timeoutMs: timeout ? timeout / 1000 : undefined, abstain, id: request.id, wishes };
}

const ALL = ['probabilities', 'label'] as const;

/** The rows of a tensor: shape [n, inputs]; data flat, nested, or as bytes behind the JSON. */
function tensorRows(tensor: z.infer<typeof Tensor>, split: Split, width: number, limit: number): Rows {
  const { shape, data, datatype } = tensor;
  if (shape.length !== 2 || shape[1] !== width || shape[0] === 0) {
    const product = shape.reduce((a, b) => a * b, 1);
    const count = Number.isInteger(product / width) ? Math.max(1, product / width) : 'n';
    const lead = shape.length === 1 && shape[0] === width ? 'Add the batch dimension' : 'The input is flat';
    throw new SeedmaskError('bad-shape', {
      field: '/inputs/0/shape',
      expected: `[n, ${width}] with n >= 1`,
      got: `[${shape.join(', ')}]`,
      hint: `${lead}: shape [${count}, ${width}].`,
    });
  }
  const [count] = shape;
  checkCount(count, { limit, field: '/inputs/0/shape' });
  const size = tensor.parameters?.binary_data_size;
  if (size !== undefined) return binaryRows(size, data, datatype, count, width, split);
  if (split.tensors !== null && split.tensors.length > 0) {
    throw new SeedmaskError('bad-request', {
      field: 'the bytes behind the JSON',
      expected: 'named by a binary_data_size of the input',
      got: `${split.tensors.length} bytes`,
    });
  }
  const field = '/inputs/0/data';
  if (!Array.isArray(data)) {
    const hint = 'Send the values in data, or as bytes behind the JSON with parameters.binary_data_size.';
    throw new SeedmaskError('bad-request', { field, expected: `a list of ${count * width} numbers`, got: brief(data), hint });
  }
  const nested = Array.isArray(data[0]);
  if (data.length !== (nested ? count : count * width)) {
    throw new SeedmaskError('bad-shape', {
      field,
      expected: `[${count * width}] or [${count}, ${width}]`,
      got: `[${shapeOf(data).join(', ')}]`,
      hint: 'The data must fill the shape exactly.',
    });
  }
  const bytes = datatype === 'UINT8';
  if (nested) return rowsOf(data, { shape: [1, 1, width], limit, field, bytes });
  const flat = rowsOf(data, { shape: [1, 1, count * width], limit, field, bytes, lone: true });
  return { values: flat.values, count };
}

/** The rows of a tensor that lies behind the JSON, alone and whole. */
function binaryRows(size: number, data: unknown, type: InputType, count: number, width: number, { tensors }: Split): Rows {
  const field = '/inputs/0/parameters/binary_data_size';
  const refuse = (expected: string | number, got: string | number, hint?: string): never => {
    throw new SeedmaskError('bad-request', { field, expected, got, hint });
  };
  if (data !== undefined) return refuse('absent where there is data', size);
  if (tensors === null) return refuse('absent', size, `Say with ${HEADER} how many bytes the JSON has.`);
  const bytes = ELEMENT_BYTES[type] * count * width;
  if (size !== bytes) return refuse(`${bytes}, the bytes of ${type} [${count}, ${width}]`, size);
  if (tensors.length !== bytes) return refuse(`the ${tensors.length} bytes behind the JSON`, size);
  return rowsOfTensor(tensors, type, count, 'the tensor');
}
