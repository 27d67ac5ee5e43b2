// Parts of files, and nothing for those who have them: If-Match that names another gives 412, If-None-Match 304, Range 206 or 416 (RFC
// 9110, sections 13 and 14; of HEAD a Range says nothing). Nothing here has a date, so If-Unmodified-Since does not apply (13.1.4).
// Express reads the ranges. Its `fresh` is not used: it answers 200 to Cache-Control: no-cache, which fetch adds by itself to every
// request with If-None-Match. Several ranges at once, and ranges of another content (If-Range), get the whole file, as is allowed. A weak
// ETag is of a content whose bytes may differ: no If-Match and no If-Range names it (13.1.1, 13.1.5).

import type { Request } from 'express';
import { SeedmaskError } from '../codec/errors.js';
import type { Answer } from './answer.js';

/** What of a whole answer the request wants. @throws SeedmaskError unmet-condition, bad-range */
export function partial(answer: Answer, req: Request): Answer {
  const etag = answer.headers?.['ETag'];
  if (etag === undefined || answer.status !== 200 || typeof answer.body === 'string') return answer;
  const strong = etag.startsWith(WEAK) ? undefined : etag;
  const match = req.headers['if-match'];
  if (match !== undefined && !tagsOf(match).some((tag) => tag === '*' || tag === strong)) {
    throw new SeedmaskError('unmet-condition', { field: 'If-Match', got: match, hint: 'Ask without it for the file as it is.' });
  }
  if (names(req.headers['if-none-match'], etag)) return { ...answer, status: 304, body: '' };
  const condition = req.headers['if-range'];
  const size = answer.body.length;
  const asked = req.method === 'GET' && (condition === undefined || condition === strong);
  const ranges = asked ? req.range(size, { combine: true }) : undefined;
  if (ranges === -1) throw new SeedmaskError('bad-range', { field: 'Range', expected: size, got: req.headers.range });
  if (!Array.isArray(ranges) || ranges.type !== 'bytes' || ranges.length !== 1) return answer;
  const [{ start, end }] = ranges;
  const headers = { ...answer.headers, 'Content-Range': `bytes ${start}-${end}/${size}` };
  return { ...answer, status: 206, body: answer.body.subarray(start, end + 1), headers };
}

/** Our tags hold no comma. */
const tagsOf = (list: string): string[] => list.split(',').map((tag) => tag.trim());

/** Whether If-None-Match lists a tag, weak or not. */
const names = (list: string | undefined, etag: string): boolean =>
  list !== undefined && tagsOf(list).some((tag) => tag === '*' || opaque(tag) === opaque(etag));

const WEAK = 'W/';
const opaque = (tag: string): string => (tag.startsWith(WEAK) ? tag.slice(WEAK.length) : tag);
