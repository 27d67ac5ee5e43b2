// The body of a request on Seedmask's own routes becomes rows of raw values: JSON, raw bytes, msgpack or a PNG, as the Content-Type or
// the bytes themselves say. JSON and msgpack may say more than rows: a schema has what.

import { z } from 'zod';
import { size } from '../../src/network.js';
import { parseJson } from './json.js';
import { kindOf, type RawRows } from './kinds.js';
import { decodeMsgpack } from './msgpack.js';
import { type Input, PIXELS, unnamed } from './named-rows.js';
import { pixelsOf } from './pixels.js';
import { decodePng } from './png.js';
import { type Rows, rowsOf, rowsOfBytes } from './rows.js';
import { checked, Fraction } from './schemas.js';
import { rowsOfFloats } from './tensors.js';

/** What rows may come as, beside their schema: media types of /openapi.json. */
export const contentOf = <T>(schema: z.ZodType<T>) =>
  ({
    'application/json': schema,
    'application/octet-stream': 'bytes',
    'application/msgpack': schema,
    'image/png': 'bytes',
  }) as const;

const INSTANCES = 'one list of values per row, flat or shaped; in msgpack also bytes; a lone row may stand alone';
const instances = (description: string) =>
  z
    .unknown()
    .refine((value) => value !== undefined, 'present')
    .meta({ type: 'array', description });

/** Of the threshold, in a query and in a body. */
export const ABSTAIN = 'least probability of a label; below it the label is null';
export const Classify = z.looseObject({
  instances: instances(`${INSTANCES}; of tasks over numbers with names also objects of them, in which words are categories`),
  abstain: Fraction.optional().describe(ABSTAIN),
});

const FLOATS = 'one little-endian float32 per input';

/** Tasks that one question may choose from. */
export const MASKS_LIMIT = 10_000;
export const Method = z
  .enum(['all', 'oneshot', 'binary'], 'all, oneshot or binary')
  .optional()
  .describe(
    "all, the default and the surest, asks every mask what it says of the rows; oneshot lays all masks on one another and looks once at which should grow for the answers to be surer (SupSup's entropy gradient); binary does that again and again with the better half",
  );
export type Method = NonNullable<z.infer<typeof Method>>;
/** A body that says more than rows. */
export const WhichTask = z.looseObject({
  instances: instances(`rows of one task: ${INSTANCES}`),
  tasks: z.array(z.string()).max(MASKS_LIMIT).optional().describe('names to choose from; default: every task of the network'),
  method: Method,
});
/**
 * Rows, and what else the body says; `said` is undefined where it says rows alone.
 * @param schema of a body that says more
 * @param reading rows at most, and what raw ones would be: float32, little-endian, of tasks over features that are numbers
 * @throws SeedmaskError about the body, its shape or its values
 */
export function decodeContent<T extends { readonly instances: unknown }>(
  body: Uint8Array,
  schema: z.ZodType<T>,
  { shape, limit, numbers, type, input = PIXELS }: RawRows & { readonly limit: number; readonly input?: Input },
): { readonly rows: Rows; readonly said?: T } {
  const kind = kindOf(body, { shape, numbers, type });
  if (numbers && kind === 'pixels') return { rows: rowsOfFloats(body, size(shape), limit, FLOATS) };
  if (kind === 'pixels') return { rows: rowsOfBytes(body, { shape, limit, field: '' }) };
  if (kind === 'png') return { rows: { values: decodePng(body, shape), count: 1 } };
  const pixels = kind === 'json' ? pixelsOf(body, size(shape), limit) : null;
  if (pixels) return { rows: pixels };
  const value = kind === 'json' ? parseJson(body) : decodeMsgpack(body);
  const options = { shape, limit, lone: true, batch: '{"instances": [[...]]}' };
  if (Array.isArray(value)) return { rows: rowsOf(unnamed(value, input, limit, ''), { ...options, field: '' }) };
  const said = checked(schema, value, '', 'Send {"instances": [[...], ...]}, one list of values per row.');
  const { instances } = said;
  // As raw bodies are.
  if (numbers && instances instanceof Uint8Array) return { rows: rowsOfFloats(instances, size(shape), limit, FLOATS), said };
  return { rows: rowsOf(unnamed(instances, input, limit, '/instances'), { ...options, field: '/instances' }), said };
}
