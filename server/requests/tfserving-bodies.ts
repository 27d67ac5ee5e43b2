// What comes with requests of TensorFlow Serving's protocol: rows, in row or in column form, or as examples.

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import type { Shape } from '../../src/network.js';
import { size } from '../../src/network.js';
import { parseJson } from './json.js';
import { checkNamed, type Input, isInput, PIXELS, rowReader, unnamed } from './named-rows.js';
import { pixelsOf } from './pixels.js';
import { type RowOptions, type Rows, rowsOf } from './rows.js';
import { checked } from './schemas.js';

const Signature = z.enum(['serving_default', ''], 'serving_default').optional();
export const Predict = z.looseObject({
  signature_name: Signature,
  instances: z.unknown().optional().meta({
    type: 'array',
    description: 'row form: a list of rows, or of {"pixels": row}; of tasks over numbers {"features": row}, or every number by its name',
  }),
  inputs: z.unknown().optional().meta({ description: 'column form: a list of rows, or {"pixels": rows}' }),
});
const Features = z.record(z.string(), z.unknown());
export const Classify = z.looseObject({
  signature_name: Signature,
  examples: z
    .array(Features)
    .min(1, 'at least one example')
    .describe('objects {"pixels": row}; of tasks over numbers {"features": row}, or every number by its name'),
  context: Features.optional().describe('features that all examples share'),
});
interface Limits {
  readonly shape: Shape;
  /** Rows at most. */
  readonly limit: number;
  /** Default PIXELS. */
  readonly input?: Input;
}

/** The body of predict. @throws SeedmaskError about the body, its shape or its values */
export function readPredict(
  body: Uint8Array,
  { shape, limit, input = PIXELS }: Limits,
): { readonly rows: Rows; readonly columns?: boolean } {
  const pixels = pixelsOf(body, size(shape), limit);
  if (pixels) return { rows: pixels };
  const request = checked(Predict, parseJson(body), '', 'Send {"instances": [[...], ...]}.');
  const columns = request.instances === undefined;
  if (columns === (request.inputs === undefined)) {
    throw new SeedmaskError('bad-request', {
      field: 'the body',
      expected: "an object with exactly one of 'instances' (rows) and 'inputs' (columns)",
      got: columns ? 'neither' : 'both',
    });
  }
  const rows = columns
    ? rowsOf(...unnamedColumn(request.inputs, { shape, limit, batch: '{"inputs": [[...]]}', field: '/inputs' }))
    : rowsOf(unnamed(request.instances, input, limit, '/instances'), {
        shape,
        limit,
        field: '/instances',
        batch: '{"instances": [[...]]}',
      });
  return { rows, columns };
}

/** The body of classify. @throws SeedmaskError about the body, its shape or its values */
export function readExamples(body: Uint8Array, { shape, limit, input = PIXELS }: Limits): { readonly rows: Rows } {
  const { examples, context = {} } = checked(Classify, parseJson(body), '', 'Send {"examples": [{"pixels": [...]}, ...]}.');
  checkNamed(examples, input, limit, '/examples', Object.keys(context).length);
  const read = rowReader(input);
  const instances = examples.map((example, i) => read({ ...context, ...example }, `/examples/${i}`));
  return { rows: rowsOf(instances, { shape, limit, field: '/examples', batch: '{"pixels": [...]}' }) };
}

/** Column form may name the only input: {"pixels": [[...], ...]}. */
const unnamedColumn = (value: unknown, options: RowOptions): [unknown, RowOptions] => {
  if (!isInput(value)) return [value, options];
  const [[name, rows]] = Object.entries(value);
  return [rows, { ...options, field: `${options.field}/${name}` }];
};
