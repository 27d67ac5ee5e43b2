// What a task is made of, to be run elsewhere: its mask as a file of a few kilobytes, and the network it belongs to, whose weights
// anyone regenerates from its seed. A browser that has both needs the server no more, and gives the same bits.
//
//   GET /tasks/{task}/mask      a mask-only model file; ETag = W/ and its content id, as one content may be stored in several ways;
//                               ?id=CONTENT pins it, and then what it holds never changes
//   GET /networks               the networks under the tasks
//   GET /networks/{network}     one of them as JSON, or as a model file without tasks for Accept: application/octet-stream

import { z } from 'zod';
import { SeedmaskError } from '../../codec/errors.js';
import { writeModel } from '../../codec/index.js';
import { describe, isSignedConstant, type Network, totalWeights } from '../../src/network.js';
import { takes } from '../accept.js';
import { type Answer, json } from '../answer.js';
import { type Call, param, queryOf, type Route, route, type Service } from '../routes.js';
import { VersionQuery } from './inference.js';

const CONTENT_ID = z.string().regex(/^[0-9a-f]{64}$/, 'a content id: 64 hex digits');
const MaskQuery = VersionQuery.extend({ id: CONTENT_ID.optional().describe('the content id that the mask must have') });
const NetworkAnswer = z.strictObject({
  id: z.string().describe('SHA-256 of the network: 64 hex digits'),
  network: z.string().describe('its layers in one word'),
  input: z.array(z.int()).length(3).describe('[height, width, channels]'),
  layers: z.array(z.looseObject({ kind: z.enum(['dense', 'conv', 'pool']) })),
  distribution: z.string(),
  sigma: z.union([z.string(), z.number()]).describe('the rule of sigma, or sigma itself'),
  seed: z.string().describe('64 bits, 0x and hex'),
  weights: z.int(),
  integer: z.boolean().describe('whether whole inputs make it an integer program'),
  tasks: z.int().describe('how many tasks the caller may use on it'),
});
const NetworksAnswer = z.strictObject({ networks: z.array(NetworkAnswer) });

const BYTES = 'application/octet-stream';

export function networkRoutes(service: Service): Route[] {
  const tag = 'Seedmask';
  const partial = {
    206: 'the bytes of Range',
    304: 'If-None-Match names the ETag',
    412: 'If-Match names another ETag, or one that is weak',
    416: 'Range lies outside the file',
  };
  return [
    route(
      'GET',
      '/tasks/{task}/mask',
      { tag, summary: 'The mask as a model file without its network', query: MaskQuery, gives: { [BYTES]: 'bytes' }, also: partial },
      (call) => mask(call, service),
    ),
    route('GET', '/networks', { tag, summary: 'The networks under the tasks', gives: { 'application/json': NetworksAnswer } }, (call) =>
      json({ networks: Array.from(networksOf(call, service), ([network, tasks]) => describeNetwork(network, tasks, service)) }),
    ),
    route(
      'GET',
      '/networks/{network}',
      {
        tag,
        summary: 'A network: layers, seed and distribution, or as bytes a model file without tasks',
        gives: { 'application/json': NetworkAnswer, [BYTES]: 'bytes' },
        also: partial,
      },
      (call) => {
        const id = param(call, 'network');
        const network = findNetwork(id, call, service);
        if (!takes(call.headers.accept, [BYTES])) {
          return json(describeNetwork(network, networksOf(call, service).get(network) ?? 0, service), 200, { Vary: 'Accept' });
        }
        return file(writeModel({ network, tasks: [] }), `"${id}"`, lasting(service), { Vary: 'Accept' });
      },
    ),
  ];
}

const unknownNetwork = (id: string): SeedmaskError =>
  new SeedmaskError('unknown-network', { field: 'network', got: id, hint: 'GET /networks lists them.' });

/** The networks of the tasks that the caller may use, and how many of these each has. */
function networksOf({ caller }: Call, { store }: Service): Map<Network, number> {
  const found = new Map<Network, number>();
  for (const { name, versions } of store.tasks.values()) {
    if (!caller.allows(name)) continue;
    for (const network of new Set(versions.map((version) => version.network))) found.set(network, (found.get(network) ?? 0) + 1);
  }
  return found;
}

/** The network of an id, if the caller may use a task on it. @throws SeedmaskError unknown-network */
export function findNetwork(id: string, { caller }: Call, { store }: Service): Network {
  for (const { name, versions } of store.tasks.values()) {
    const version = caller.allows(name) ? versions.find(({ network }) => store.idOf(network) === id) : undefined;
    if (version) return version.network;
  }
  throw unknownNetwork(id);
}

function describeNetwork(network: Network, tasks: number, { store }: Service): z.infer<typeof NetworkAnswer> {
  const { input, layers, distribution, sigma, seed } = network;
  const word = (n: number) => (n >>> 0).toString(16).padStart(8, '0');
  return {
    id: store.idOf(network),
    network: describe(network),
    input: [...input],
    layers: layers.map((layer) => ({ ...layer })),
    distribution,
    sigma,
    seed: `0x${word(seed.high)}${word(seed.low)}`,
    weights: totalWeights(network),
    integer: isSignedConstant(network),
    tasks,
  };
}

async function mask(call: Call, service: Service): Promise<Answer> {
  const name = param(call, 'task');
  const { id: wanted, ...version } = queryOf(call, MaskQuery);
  const { bytes, id } = await service.store.maskFile(service.store.version(name, version, call.caller.allows));
  if (wanted !== undefined && wanted !== id) {
    throw new SeedmaskError('unknown-content', { field: `the mask of ${name}`, expected: wanted, got: id });
  }
  return file(bytes, `W/"${id}"`, wanted === undefined ? 'no-cache' : lasting(service));
}

/** Bytes with an ETag: the app answers Range and If-None-Match on them. */
const file = (body: Uint8Array, tag: string, cache: string, headers: Record<string, string> = {}): Answer => ({
  status: 200,
  type: BYTES,
  body,
  headers: { ETag: tag, 'Cache-Control': cache, 'Accept-Ranges': 'bytes', ...headers },
});

/** Of what a URL with an id in it gives. Where keys are asked for, no shared cache may hand it on. */
const lasting = ({ gate }: Service): string => `${gate.keyed ? 'private' : 'public'}, max-age=31536000, immutable`;
