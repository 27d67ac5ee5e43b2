// How a bound that all requests share refuses one more: it may pass in a second.

import { SeedmaskError } from '../../codec/errors.js';

/**
 * @param field what there is too much of
 * @param limit of all requests together
 * @param got with this one
 */
export const overloaded = (field: string, limit: number, got: string): SeedmaskError =>
  new SeedmaskError('overloaded', { field, expected: limit, got, hint: 'Try again in 1 s.', retryAfter: 1 });
