// A network in a JSON file, as --network takes it: an input shape and layers of any sizes. A wrong one is refused by the layer's number.
//
//   {"input": [28, 28, 1], "layers": [{"kind": "conv3x3", "filters": 8}, {"kind": "relu"}, {"kind": "pool"}, {"kind": "dense", "units": 10}]}
//
// `conv3x3` is `conv` with a kernel of 3. A relu may stand as a layer, or as the activation of its layer; behind a pool it means the layer
// before, since the largest of rectified values is the rectified largest.

import { z } from 'zod';
import { type Architecture, type Layer, MAX_KERNEL, place } from '../src/network.js';

const WIDTH = z.int().positive().max(1048576);
const ACTIVATION = z.enum(['linear', 'relu']).default('linear');
const PADDING = z.enum(['same', 'valid']).optional();
const LAYER = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('dense'), units: WIDTH, activation: ACTIVATION }),
  z.strictObject({ kind: z.literal('conv3x3'), filters: WIDTH, activation: ACTIVATION, padding: PADDING }),
  z.strictObject({
    kind: z.literal('conv'),
    filters: WIDTH,
    activation: ACTIVATION,
    kernel: z.int().positive().max(MAX_KERNEL).optional(),
    padding: PADDING,
  }),
  z.strictObject({ kind: z.literal('pool') }),
  z.strictObject({ kind: z.literal('relu') }),
]);
/** The schema; z.toJSONSchema(NETWORK_SPEC) is its JSON Schema. */
export const NETWORK_SPEC = z.strictObject({ input: z.tuple([WIDTH, WIDTH, WIDTH]), layers: z.array(LAYER).min(1).max(1024) });

/** @throws Error with one line that names the layer */
export function parseNetworkSpec(json: string): Architecture {
  const parsed = NETWORK_SPEC.safeParse(JSON.parse(json));
  if (!parsed.success) throw new Error(parsed.error.issues.map(lineOf).join('; '));
  const { input, layers: specs } = parsed.data;
  const layers: Layer[] = [];
  /** Where the file has each layer. */
  const places: number[] = [];
  specs.forEach((spec, i) => {
    if (spec.kind === 'relu') {
      const before = layers.findLastIndex(({ kind }) => kind !== 'pool');
      const held = layers[before];
      if (!held || held.kind === 'pool') throw new Error(`layer ${i}: a relu needs a dense or conv layer before it`);
      layers[before] = { ...held, activation: 'relu' };
      return;
    }
    layers.push(spec.kind === 'conv3x3' ? { ...spec, kind: 'conv' } : spec);
    places.push(i);
  });
  try {
    place({ input, layers });
  } catch (error) {
    throw new Error((error as Error).message.replace(/^layer (\d+)/, (_, i: string) => `layer ${places[Number(i)]}`));
  }
  return { input, layers };
}

/** layers.2.units -> "layer 2, units". */
function lineOf({ path, message }: z.core.$ZodIssue): string {
  const [part, index, ...rest] = path;
  const where = part === 'layers' && index !== undefined ? [`layer ${String(index)}`, ...rest] : path;
  return where.length ? `${where.join(', ')}: ${message}` : message;
}
