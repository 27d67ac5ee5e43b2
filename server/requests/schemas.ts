// What a request says, held against a schema: bodies once they are decoded, queries, headers. The first part that differs is refused by
// name, with what it should be.

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { brief } from './rows.js';

/**
 * Checks the outer shape of a decoded request.
 * @param field JSON pointer of `value`; '' is the whole body
 * @throws SeedmaskError bad-request at the first part that differs
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown, field = '', hint?: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  let got: unknown = value;
  for (const key of issue.path) got = typeof got === 'object' && got !== null ? Reflect.get(got, key) : undefined;
  const pointer = [field, ...issue.path.map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
  throw new SeedmaskError('bad-request', {
    field: pointer || 'the body',
    expected: issue.code === 'invalid_type' && issue.message.startsWith('Invalid input') ? `of type ${issue.expected}` : issue.message,
    got: brief(got),
    hint,
  });
}

export const Fraction = z.number('a number from 0 to 1').min(0, 'a number from 0 to 1').max(1, 'a number from 0 to 1');

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** A number as queries and headers have it: in decimal digits alone, where Number() takes nothing for 0 and 0x10 for 16. */
export const decimal = <T>(schema: z.ZodType<T>) =>
  z.preprocess((text) => (typeof text === 'string' && DECIMAL.test(text) ? Number(text) : text), schema);
