// /openapi.json: OpenAPI 3.1, written from the route table and from the very schemas that check requests, so it cannot say anything
// else than the server does. A test holds it against the published schema of OpenAPI, and real answers against what it says.

import { z } from 'zod';
import type { About, Content, Route } from '../routes.js';

const Problem = z.object({
  error: z.string().describe('one readable line'),
  code: z.string().describe('of the closed table of errors'),
  field: z.string().optional().describe('JSON pointer, header, or part of the request'),
  expected: z.string().optional(),
  got: z.string().optional(),
  hint: z.string().optional().describe('what to do'),
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
});

const PARAMETERS: Readonly<Record<string, string>> = {
  task: 'name of a task',
  model: 'name of a task',
  version: 'decimal number of a version',
  label: 'label of a version',
  network: 'id of a network: 64 hex digits',
};

/** @param keyed whether clients need a key */
export function openApi(routes: readonly Route[], release: string, keyed: boolean): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path][route.method.toLowerCase()] = operation(route, keyed);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Seedmask',
      version: release,
      description:
        'Classifiers that are a seed and a mask. Values are raw: pixels are 0..255. Answers to HEAD are those of GET, without a body.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths,
    components: {
      schemas: { Problem: schemaOf(Problem, 'output') },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, header: { type: 'apiKey', in: 'header', name: 'X-API-Key' } },
    },
  };
}

function operation({ method, path, access, about }: Route, keyed: boolean) {
  const closed = access === 'admin' || (access === 'key' && keyed);
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[{}]/g, '').replace(/[^A-Za-z0-9]+/g, '_')}`,
    summary: about.summary,
    tags: [about.tag],
    security: closed ? [{ bearer: [] }, { header: [] }] : [],
    parameters: parametersOf(path, about),
    ...(about.takes && { requestBody: { required: !about.optionalBody, content: contentOf(about.takes, 'input') } }),
    responses: responsesOf(about),
  };
}

function parametersOf(path: string, about: About): object[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description: PARAMETERS[name],
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(about.query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = schemaOf(schema, 'output');
    return { name, in: 'query', required: false, description, schema: rest };
  });
  const inHeader = Object.entries(about.headers ?? {}).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'integer', minimum: 0 },
  }));
  return [...inPath, ...inQuery, ...inHeader];
}

function responsesOf({ gives, also = {} }: About): Record<string, object> {
  const problem = { schema: { $ref: '#/components/schemas/Problem' } };
  return {
    ...(Object.keys(gives).length > 0 && { 200: { description: 'The answer', content: contentOf(gives, 'output') } }),
    ...Object.fromEntries(Object.entries(also).map(([status, description]) => [status, { description }])),
    default: { description: 'A failure', content: { 'application/json': problem, 'application/problem+json': problem } },
  };
}

const contentOf = (content: Content, io: 'input' | 'output'): Record<string, object> =>
  Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, schema === 'bytes' ? {} : { schema: schemaOf(schema, io) }]));

function schemaOf(schema: z.core.$ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
