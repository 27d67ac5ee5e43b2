// What there is to pull: every version of every task by content id, and where its file is. A server answers it at /contents.json; a
// folder on any web host has it as a file of that name, with whole files of one task or masks beside their networks. mirror.ts reads it.
//
//   {"tasks": [{"task": "mnist", "version": "1", "labels": ["stable"], "content": "<64 hex>", "url": "tasks/mnist/mask?version=1&id=..."}],
//    "networks": [{"id": "<64 hex>", "url": "networks/<64 hex>"}], "next": null, "incomplete": true}
//
// URLs are relative to the document; `next` is the one of the next page. The content id is the one that `seedmask inspect` shows.
// `incomplete` is there where a file cannot be read that may hold tasks of other names than are listed: nobody shall drop any.

import { z } from 'zod';
import { NAME, VERSION } from './files.js';

/** Entries that one page may have. */
const PAGE_LIMIT = 100_000;

const HEX = z.string().regex(/^[0-9a-f]{64}$/, '64 hex digits in lower case');
const Place = z.string().min(1).max(2048).describe('where the file is, relative to this document');
export const Contents = z.object({
  tasks: z
    .array(
      z.object({
        task: z.string().regex(NAME, 'a task name'),
        version: z.string().regex(VERSION, 'a version: a whole number in decimal digits'),
        labels: z.array(z.string().regex(NAME, 'a version label')).max(1000).optional(),
        content: HEX.nullable().describe('content id of the model file of this one task; null: it cannot be read now, keep what you have'),
        url: Place,
      }),
    )
    .max(PAGE_LIMIT),
  networks: z
    .array(z.object({ id: HEX, url: Place }))
    .max(PAGE_LIMIT)
    .optional()
    .describe('networks of files that hold masks alone'),
  next: Place.nullable().optional().describe('the next page; null on the last'),
  incomplete: z
    .boolean()
    .optional()
    .describe('true on the last page: a file whose tasks cannot be told is not listed, keep all that you have'),
});
export type Contents = z.infer<typeof Contents>;

/**
 * A version in the list.
 * @param labels of all versions of its task, with their numbers
 * @param content null: it cannot be read now
 */
export function entryOf(
  task: string,
  version: string,
  labels: ReadonlyMap<string, string>,
  content: string | null,
  url: string,
): Contents['tasks'][number] {
  const own = [...labels].flatMap(([label, number]) => (number === version ? [label] : []));
  return { task, version, ...(own.length && { labels: own }), content, url };
}
