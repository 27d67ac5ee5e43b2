// What the server says about itself: where to begin, what there is to call, how it fares.

import { z } from 'zod';
import { json } from '../answer.js';
import { type Route, route, type Service } from '../routes.js';
import { openApi } from './openapi.js';

const Begin = z.strictObject({ name: z.string(), version: z.string(), tasks: z.string(), openapi: z.string(), metrics: z.string() });

/** @param others the routes that the document lists besides these */
export function documentRoutes(service: Service, release: string, others: readonly Route[]): Route[] {
  const tag = 'Server';
  const open = { access: 'open' } as const;
  let document: object | undefined;
  const routes: Route[] = [
    route(
      'GET',
      '/openapi.json',
      { tag, summary: 'This document', gives: { 'application/json': z.looseObject({ openapi: z.string() }) } },
      ({ prefix }) => {
        document ??= openApi([...others, ...routes], release, service.gate.keyed);
        return json({ ...document, servers: [{ url: prefix || '/' }] });
      },
      open,
    ),
    route(
      'GET',
      '/metrics',
      { tag, summary: 'Counts and times for Prometheus', gives: { 'text/plain': 'bytes' } },
      async () => ({ status: 200, ...(await service.meters.text()) }),
      open,
    ),
    // Last: the files of a page come with it (app.ts), and hide no other route.
    route(
      'GET',
      '/',
      { tag, summary: 'Where to begin; the web page where there is one', gives: { 'application/json': Begin } },
      ({ prefix: at }) =>
        json({ name: 'seedmask', version: release, tasks: `${at}/tasks`, openapi: `${at}/openapi.json`, metrics: `${at}/metrics` }),
      open,
    ),
  ];
  return routes;
}
