// What there is to pull: every version of every task by content id, and where its file is. A server answers it at /contents.json; a
// folder on any web host has it as a file of that name, with whole files of one task or masks beside their networks. mirror.ts reads it.
//
//   {"tasks": [{"task": "mnist", "version": "1", "labels": ["stable"], "content": "<64 hex>", "url": "tasks/mnist/mask?version=1&id=..."}],
//    "networks": [{"id": "<64 hex>", "url": "networks/<64 hex>"}], "next": null, "incomplete": true}
//
// URLs are relative to the document; `next` is the one of the next page. The content id is the one that `seedmask inspect` shows.
// `incomplete` is there where a file cannot be read that may hold tasks of other names than are listed: nobody shall drop any.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import type { Network } from '../../src/network.js';
import { NAME, VERSION } from '../repository/files.js';
import { type Answer, type Call, queryOf, type Route, route, type Service } from '../routes.js';
import { Page } from './tasks.js';

/** Entries that one page may have. */
const PAGE_LIMIT = 100_000;
/** Tasks of a page that nobody gave a size: each may have to be decoded first. */
const PAGE_TASKS = 100;

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

export function contentsRoutes(service: Service): Route[] {
  return [
    route(
      'GET',
      '/contents.json',
      {
        tag: 'Seedmask',
        summary: 'Every version by content id and the place of its file: what a replica pulls',
        query: Page,
        gives: { 'application/json': Contents },
        also: { 206: 'the bytes of Range', 304: 'If-None-Match names the ETag', 416: 'Range lies outside the document' },
      },
      (call) => contents(call, service),
    ),
  ];
}

/**
 * A version whose file is damaged or cannot be read is there all the same, without a content id: nobody shall drop what they have of it.
 * Those that could not even be opened stand on the last page, or make the list incomplete: an archive's file may be called anything, or
 * what the caller may not know, and a folder may not tell what it holds.
 * @throws SeedmaskError (by rejection) lost-worker, starting, unloaded-task: ask again
 */
async function contents(call: Call, { store }: Service): Promise<Answer> {
  const { limit = PAGE_TASKS, next: after = null } = queryOf(call, Page);
  const page = store.page(after, limit, call.caller.allows);
  const networks = new Set<Network>();
  const tasks: Contents['tasks'] = [];
  for (const { name, versions, labels } of page.tasks) {
    for (const version of versions) {
      const content = await store.contentId(version).catch((error: unknown) => {
        if (error instanceof SeedmaskError && (error.status === 422 || error.code === 'unreadable-file')) return null;
        throw error;
      });
      tasks.push(entryOf(name, version.number, labels, content));
      networks.add(version.network);
    }
  }
  let incomplete = false;
  for (const { place, labels, error } of page.next === null ? store.unserved : []) {
    const { name, number } = place;
    const named = NAME.test(name) && VERSION.test(number);
    // What is refused for its own name was never pulled.
    if (!named && number !== '' && error.code === 'bad-store') continue;
    const served = store.tasks.get(name)?.versions.some((version) => version.number === number);
    if (served) continue;
    if (named && call.caller.allows(name)) tasks.push(entryOf(name, number, labels, null));
    else incomplete = true;
  }
  const ids = [...networks].map((network) => store.idOf(network));
  const next = page.next === null ? null : `contents.json?limit=${limit}&next=${encodeURIComponent(page.next)}`;
  const answer: Contents = { tasks, networks: ids.map((id) => ({ id, url: `networks/${id}` })), next, ...(incomplete && { incomplete }) };
  const body = Buffer.from(JSON.stringify(answer));
  const tag = createHash('sha256').update(body).digest('hex');
  return { status: 200, type: 'application/json', body, headers: { ETag: `"${tag}"`, 'Cache-Control': 'no-cache' } };
}

function entryOf(task: string, version: string, labels: ReadonlyMap<string, string>, content: string | null): Contents['tasks'][number] {
  const own = [...labels].flatMap(([label, number]) => (number === version ? [label] : []));
  const url = `tasks/${task}/mask?version=${version}${content ? `&id=${content}` : ''}`;
  return { task, version, ...(own.length && { labels: own }), content, url };
}
