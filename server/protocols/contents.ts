// /contents.json of a server: what there is to pull, by content id (repository/contents.ts), a page at a time.

import { createHash } from 'node:crypto';
import { SeedmaskError } from '../../codec/errors.js';
import type { Network } from '../../src/network.js';
import type { Answer } from '../answer.js';
import { Contents, entryOf } from '../repository/contents.js';
import { NAME, VERSION } from '../repository/files.js';
import { type Call, queryOf, type Route, route, type Service } from '../routes.js';
import { Page } from './tasks.js';

/** Tasks of a page that nobody gave a size: each may have to be decoded first. */
const PAGE_TASKS = 100;

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
        also: {
          206: 'the bytes of Range',
          304: 'If-None-Match names the ETag',
          412: 'If-Match names another ETag',
          416: 'Range lies outside the document',
        },
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
      tasks.push(entryOf(name, version.number, labels, content, urlOf(name, version.number, content)));
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
    if (named && call.caller.allows(name)) tasks.push(entryOf(name, number, labels, null, urlOf(name, number, null)));
    else incomplete = true;
  }
  const ids = [...networks].map((network) => store.idOf(network));
  const next = page.next === null ? null : `contents.json?limit=${limit}&next=${encodeURIComponent(page.next)}`;
  const answer: Contents = { tasks, networks: ids.map((id) => ({ id, url: `networks/${id}` })), next, ...(incomplete && { incomplete }) };
  const body = Buffer.from(JSON.stringify(answer));
  const tag = createHash('sha256').update(body).digest('hex');
  return { status: 200, type: 'application/json', body, headers: { ETag: `"${tag}"`, 'Cache-Control': 'no-cache' } };
}

const urlOf = (task: string, version: string, content: string | null): string =>
  `tasks/${task}/mask?version=${version}${content ? `&id=${content}` : ''}`;
