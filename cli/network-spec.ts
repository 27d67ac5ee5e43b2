// A network in a JSON file, as --network takes it: an input shape and layers of any sizes. A wrong one is refused by the layer's number,
// counted from 1.
//
//   {"input": [28, 28, 1], "layers": [{"kind": "conv", "filters": 8, "activation": "relu"}, {"kind": "pool"}, {"kind": "dense", "units": 10}]}

import { z } from 'zod';
import { checkSizes } from '../codec/index.js';
import { type Architecture, MAX_KERNEL, place } from '../src/network.js';

const LARGEST = 1048576;
const WIDTH = z.int().positive().max(LARGEST);
const ACTIVATION = z.enum(['linear', 'relu']).default('linear');
const LAYER = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('dense'), units: WIDTH, activation: ACTIVATION }),
  z.strictObject({
    kind: z.literal('conv'),
    filters: WIDTH,
    activation: ACTIVATION,
    kernel: z.int().positive().max(MAX_KERNEL).optional(),
    padding: z.enum(['same', 'valid']).optional(),
  }),
  z.strictObject({ kind: z.literal('pool') }),
]);
/** The schema; z.toJSONSchema(NETWORK_SPEC) is its JSON Schema. */
export const NETWORK_SPEC = z.strictObject({ input: z.tuple([WIDTH, WIDTH, WIDTH]), layers: z.array(LAYER).min(1).max(1024) });

/** What each field takes, in words. */
const TAKES: Readonly<Record<string, string>> = {
  input: `[height, width, channels], each from 1 to ${LARGEST}`,
  layers: 'a list of 1 to 1024 layers',
  kind: LAYER.options.map(({ shape }) => shape.kind.value).join(', '),
  units: `a whole number from 1 to ${LARGEST}`,
  filters: `a whole number from 1 to ${LARGEST}`,
  kernel: `a whole number from 1 to ${MAX_KERNEL}`,
  activation: 'linear or relu',
  padding: 'same or valid',
};

/** @throws Error with one line that names the layer, the first that is wrong */
export function parseNetworkSpec(json: string): Architecture {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new Error(`no JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
  const parsed = NETWORK_SPEC.safeParse(value);
  if (!parsed.success) throw new Error(lineOf(parsed.error.issues[0], value));
  return fitting(parsed.data);
}

/** @throws Error with one line that names the layer which does not fit, counted from 1 */
export function fitting(architecture: Architecture): Architecture {
  try {
    checkSizes(place(architecture));
  } catch (error) {
    throw new Error((error as Error).message.replace(/^layer (\d+)/, (_, i: string) => `layer ${Number(i) + 1}`));
  }
  return architecture;
}

/** layers.2.units -> "layer 3 (dense): units must be a whole number .., got nothing". */
function lineOf(issue: z.core.$ZodIssue, spec: unknown): string {
  const [part, index] = issue.path;
  const at = (path: readonly PropertyKey[]) =>
    path.reduce<unknown>((held, key) => (held as Record<PropertyKey, unknown> | undefined)?.[key], spec);
  const inLayer = part === 'layers' && index !== undefined;
  const layer = inLayer ? (at(issue.path.slice(0, 2)) as { kind?: unknown } | null) : null;
  const known = LAYER.options.find(({ shape }) => shape.kind.value === layer?.kind);
  const where = inLayer ? `layer ${Number(index) + 1}${known ? ` (${known.shape.kind.value})` : ''}: ` : '';
  if (issue.code === 'unrecognized_keys') {
    const fields = Object.keys(known ? known.shape : NETWORK_SPEC.shape).join(', ');
    return `${where}unknown field ${issue.keys.join(', ')}, expected ${fields}`;
  }
  const field = String(issue.path[inLayer ? 2 : 0] ?? '');
  const got = at(issue.path.slice(0, inLayer ? 3 : 1));
  const found = got === undefined ? 'nothing' : brief(JSON.stringify(got));
  if (field === '') return `${where || 'the file '}must be an object with ${inLayer ? 'kind and sizes' : 'input and layers'}, got ${found}`;
  return `${where}${field} must be ${TAKES[field]}, got ${found}`;
}

const brief = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text);
