// infer of the Open Inference Protocol, with JSON tensors, binary tensors (tensors.ts) or any mix of the two, and Triton's
// classification of an output. Unknown parameters pass. FP32 and UINT8 are the datatypes that raw values have; others are refused.
//
//   parameters  binary_data_output: outputs as bytes · timeout: microseconds for the answer · abstain: least probability of a label
//   outputs     binary_data: this one as bytes or not · classification: the k best as "value:index:label"

import { z } from 'zod';
import { type Answer, inTurns, textList } from '../answer.js';
import { Infer, type Wish } from '../requests/oip-bodies.js';
import { read } from '../requests/readers.js';
import { floatBytes, HEADER, textBytes } from '../requests/tensors.js';
import { type About, type Call, param, type Route, route, type Service } from '../routes.js';
import { infer, type Judged, longest, TIMEOUT, VALUE_BYTES } from './inference.js';
import { inputOf } from './tasks.js';

export const MODELS = ['/v2/models/{model}', '/v2/models/{model}/versions/{version}'];

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

/** A tensor of the answer, its data not written yet. */
interface Output extends Omit<z.infer<typeof InferAnswer>['outputs'][number], 'data'> {
  readonly data?: Float32Array | readonly string[];
}

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

function inferTensors(call: Call, service: Service): Promise<Answer> {
  const model = param(call, 'model');
  return infer(
    call,
    service,
    model,
    { version: call.params['version'] },
    {
      decode: (body, { network, task }) => {
        const header = call.headers[HEADER.toLowerCase()];
        const reading = {
          shape: network.input,
          limit: service.rowLimit,
          header: typeof header === 'string' ? header : undefined,
          input: inputOf(task),
        };
        return read('tensors', body, reading, service, ({ rows, timeoutMs, abstain, id, wishes }) => ({
          rows,
          timeoutMs,
          abstain,
          extra: { id, wishes },
        }));
      },
      rowBytes: (labels, { wishes }) => wishes.reduce((bytes, wish) => bytes + wishBytes(wish, labels), 0),
      encode: async (judged, { id, wishes }, version) => {
        const tensors: Awaited<ReturnType<typeof outputTensor>>[] = [];
        for (const wish of wishes) tensors.push(await outputTensor(wish, judged));
        const begin = JSON.stringify({ model_name: model, model_version: version.number, id });
        const outputs = written(tensors.map(({ tensor }) => tensor));
        const answer = await textList(`${begin.slice(0, -1)},"outputs":[`, outputs, ']}');
        const bytes = tensors.flatMap((tensor) => tensor.bytes ?? []);
        if (bytes.length === 0) return answer;
        const head = Buffer.from(answer.body);
        const headers = { [HEADER]: String(head.length) };
        return { status: 200, type: 'application/octet-stream', body: Buffer.concat([head, ...bytes]), headers };
      },
    },
  );
}

/** Bytes of a row in an output that was asked for; of a text, 4 beside its own. */
function wishBytes({ name, binary, best }: Wish, labels: readonly string[]): number {
  const text = longest(labels) + 4;
  if (name === 'label') return text;
  if (best === undefined) return (binary ? 4 : VALUE_BYTES) * labels.length;
  return Math.min(best, labels.length) * (VALUE_BYTES + INDEX_BYTES + text);
}

/** Bytes of the index in "value:index:label". */
const INDEX_BYTES = 8;

/** Data of one text, or of one run of bytes. */
const PIECE = 512;

/** The texts of tensors in pieces, which commas join. */
function* written(tensors: readonly Output[]): Iterable<string> {
  for (const { data, ...head } of tensors) {
    if (data === undefined) {
      yield JSON.stringify(head);
      continue;
    }
    for (let at = 0; at < data.length; at += PIECE) {
      const begin = at === 0 ? `${JSON.stringify(head).slice(0, -1)},"data":[` : '';
      yield `${begin}${JSON.stringify(Array.from<unknown>(data.slice(at, at + PIECE))).slice(1, -1)}${at + PIECE < data.length ? '' : ']}'}`;
    }
  }
}

/** An output that was asked for, and its data where they follow the JSON as bytes; others have their turns while it is made. */
export async function outputTensor({ name, binary, best }: Wish, judged: Judged) {
  const { rows, labels, probabilities, names } = judged;
  if (name === 'probabilities' && best === undefined) {
    const head = { name, datatype: 'FP32' as const, shape: [rows, labels.length] };
    return framed(head, binary ? floatBytes(probabilities) : null, probabilities);
  }
  const k = Math.min(best ?? 1, labels.length);
  const texts = name === 'label' ? names.map((label) => label ?? '') : await inTurns(bestOf(judged, k));
  const head = { name, datatype: 'BYTES' as const, shape: name === 'label' ? [rows] : [rows, k] };
  return framed(head, binary ? Buffer.concat(await inTurns(bytesOf(texts))) : null, texts);
}

function* bytesOf(texts: readonly string[]): Iterable<Uint8Array> {
  for (let at = 0; at < texts.length; at += PIECE) yield textBytes(texts.slice(at, at + PIECE));
}

function framed(
  head: Output,
  bytes: Uint8Array | null,
  data: Output['data'],
): { readonly tensor: Output; readonly bytes: Uint8Array | null } {
  if (bytes === null) return { tensor: { ...head, data }, bytes };
  return { tensor: { ...head, parameters: { binary_data_size: bytes.length } }, bytes };
}

/** The k largest probabilities of each row, largest first and ties by their index, as Triton writes them. */
function* bestOf({ rows, labels, probabilities }: Judged, k: number): Iterable<string> {
  const n = labels.length;
  for (let row = 0; row < rows; row++) {
    const of = probabilities.subarray(row * n, (row + 1) * n);
    const order = Array.from(of.keys()).sort((a, b) => of[b] - of[a] || a - b);
    for (const i of order.slice(0, k)) yield `${of[i]}:${i}:${labels[i]}`;
  }
}
