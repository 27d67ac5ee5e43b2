// infer of the Open Inference Protocol, with JSON tensors, binary tensors (tensors.ts) or any mix of the two, and Triton's
// classification of an output. Unknown parameters pass. FP32 and UINT8 are the datatypes that raw values have; others are refused.
//
//   parameters  binary_data_output: outputs as bytes · timeout: microseconds for the answer · abstain: least probability of a label
//   outputs     binary_data: this one as bytes or not · classification: the k best as "value:index:label"

import { z } from 'zod';
import { SeedmaskError } from '../codec/errors.js';
import { inputs } from '../src/network.js';
import { checked, parseJson } from './bodies.js';
import { Fraction, infer, type Judged, TIMEOUT } from './inference.js';
import { type About, type Answer, type Call, json, param, type Route, route, type Service } from './routes.js';
import { brief, checkCount, type Rows, rowsOf, shapeOf } from './rows.js';
import type { Version } from './store.js';
import { inputOf } from './tasks.js';
import { ELEMENT_BYTES, floatBytes, HEADER, type InputType, rowsOfTensor, type Split, splitBody, textBytes } from './tensors.js';

export const MODELS = ['/v2/models/{model}', '/v2/models/{model}/versions/{version}'];

const DATATYPES = 'FP32 or UINT8; raw values 0..255 fit UINT8';
const BYTES = 'a whole number of bytes';
const Parameters = z.looseObject({
  binary_data_output: z.boolean('true or false').optional(),
  timeout: z.int('a whole number of microseconds').nonnegative('a whole number of microseconds').optional(),
  abstain: Fraction.optional(),
});
const Tensor = z.looseObject({
  name: z.string("'pixels'").meta({ enum: ['pixels', 'features'], description: 'features: of tasks over numbers' }),
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
const Infer = z.looseObject({
  id: z.string().optional(),
  parameters: Parameters.optional(),
  inputs: z.array(Tensor).length(1, 'a list of one tensor, named pixels'),
  outputs: z.array(Output).max(16, 'a list of at most 16 outputs').optional(),
});
const InferAnswer = z.strictObject({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      datatype: z.enum(['FP32', 'BYTES']),
      shape: z.array(z.int()),
      parameters: z.strictObject({ binary_data_size: z.int() }).optional(),
      data: z.union([z.array(z.number()), z.array(z.string())]).optional(),
    }),
  ),
});

export function inferRoutes(service: Service): Route[] {
  const about: About = {
    tag: 'Open Inference Protocol v2',
    summary: `Probabilities and labels of rows; with ${HEADER}, tensors follow the JSON as bytes`,
    headers: { ...TIMEOUT, [HEADER]: 'bytes of JSON at the beginning of the body; tensors follow as bytes' },
    takes: { 'application/json': Infer, 'application/octet-stream': 'bytes' },
    gives: { 'application/json': InferAnswer, 'application/octet-stream': 'bytes' },
  };
  return MODELS.map((path) => route('POST', `${path}/infer`, about, (call) => inferTensors(call, service), { hot: true }));
}

/** An output that was asked for. */
interface Wish {
  readonly name: 'probabilities' | 'label';
  readonly binary: boolean;
  /** The k best classes instead of the tensor. */
  readonly best: number | undefined;
}

function inferTensors(call: Call, service: Service): Promise<Answer> {
  const model = param(call, 'model');
  return infer(
    call,
    service,
    model,
    { version: call.params['version'] },
    {
      decode: (body, version) => {
        const header = call.headers[HEADER.toLowerCase()];
        const split = splitBody(body, typeof header === 'string' ? header : undefined);
        if (split.json === null) {
          const rows = rawRows(split.tensors ?? body, version, service.rowLimit);
          return { rows, extra: { id: undefined, wishes: ALL.map((name) => ({ name, binary: true, best: undefined })) } };
        }
        const hint = 'Send {"inputs": [{"name": "pixels", "shape": [n, inputs], "datatype", "data"}]}.';
        const request = checked(Infer, parseJson(split.json), '', hint);
        const { binary_data_output: binary = false, timeout, abstain } = request.parameters ?? {};
        const wishes = (request.outputs ?? ALL.map((name) => ({ name, parameters: undefined }))).map(({ name, parameters }, i): Wish => {
          const best = parameters?.classification || undefined;
          if (best !== undefined && name === 'label') {
            const field = `/outputs/${i}/parameters/classification`;
            throw new SeedmaskError('bad-request', { field, expected: "absent, or of the output 'probabilities'", got: best });
          }
          return { name, binary: parameters?.binary_data ?? binary, best };
        });
        const rows = tensorRows(request.inputs[0], split, version, service.rowLimit);
        return { rows, timeoutMs: timeout === undefined ? undefined : timeout / 1000, abstain, extra: { id: request.id, wishes } };
      },
      encode: (judged, { id, wishes }, version) => {
        const tensors = wishes.map((wish) => outputTensor(wish, judged));
        const outputs = tensors.map(({ tensor }) => tensor);
        const answer: z.infer<typeof InferAnswer> = { model_name: model, model_version: version.number, id, outputs };
        const bytes = tensors.flatMap((tensor) => tensor.bytes ?? []);
        if (bytes.length === 0) return json(answer);
        const head = Buffer.from(JSON.stringify(answer));
        const headers = { [HEADER]: String(head.length) };
        return { status: 200, type: 'application/octet-stream', body: Buffer.concat([head, ...bytes]), headers };
      },
    },
  );
}

const ALL = ['probabilities', 'label'] as const;

/** A body that is one FP32 tensor, as the metadata describes it; its shape follows from its length. */
function rawRows(bytes: Uint8Array, { network }: Version, limit: number): Rows {
  const width = inputs(network);
  const count = bytes.length / (4 * width);
  if (!(Number.isInteger(count) && count > 0)) {
    throw new SeedmaskError('bad-shape', {
      field: 'the body',
      expected: `a multiple of ${4 * width} bytes, FP32 [n, ${width}]`,
      got: `[${bytes.length}]`,
      hint: 'One byte a value goes to POST /tasks/NAME/classify.',
    });
  }
  checkCount(count, { limit, field: 'the body' });
  return rowsOfTensor(bytes, 'FP32', count, 'the body');
}

/** The rows of the one tensor: shape [n, inputs]; data flat, nested, or as bytes behind the JSON. */
function tensorRows(tensor: z.infer<typeof Tensor>, split: Split, { network, task }: Version, limit: number): Rows {
  const { name } = inputOf(task);
  if (tensor.name !== name && tensor.name !== 'pixels')
    throw new SeedmaskError('bad-request', { field: '/inputs/0/name', expected: `'${name}'`, got: brief(tensor.name) });
  const width = inputs(network);
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
  return rowsOfTensor(tensors, type, count, 'the tensor pixels');
}

function outputTensor({ name, binary, best }: Wish, judged: Judged) {
  const { rows, labels, probabilities, names } = judged;
  if (name === 'probabilities' && best === undefined) {
    const head = { name, datatype: 'FP32' as const, shape: [rows, labels.length] };
    return framed(head, binary ? floatBytes(probabilities) : null, () => Array.from(probabilities));
  }
  const k = Math.min(best ?? 1, labels.length);
  const texts = name === 'label' ? names.map((label) => label ?? '') : bestOf(judged, k);
  const head = { name, datatype: 'BYTES' as const, shape: name === 'label' ? [rows] : [rows, k] };
  return framed(head, binary ? textBytes(texts) : null, () => texts);
}

function framed<Head extends object, Data>(head: Head, bytes: Uint8Array | null, data: () => Data) {
  if (bytes === null) return { tensor: { ...head, data: data() }, bytes };
  return { tensor: { ...head, parameters: { binary_data_size: bytes.length } }, bytes };
}

/** The k largest probabilities of each row, largest first and ties by their index, as Triton writes them. */
function bestOf({ rows, labels, probabilities }: Judged, k: number): string[] {
  const n = labels.length;
  return Array.from({ length: rows }, (_, row) => {
    const of = probabilities.subarray(row * n, (row + 1) * n);
    const order = Array.from(of.keys()).sort((a, b) => of[b] - of[a] || a - b);
    return order.slice(0, k).map((i) => `${of[i]}:${i}:${labels[i]}`);
  }).flat();
}
