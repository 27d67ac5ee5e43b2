// --network: a name, what `describe` prints of a network, or a JSON file (network-spec.ts).

import { existsSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import * as definitions from '../models/index.js';
import type { Architecture, Layer } from '../src/network.js';
import { readFile } from './files.js';
import { fitting, parseNetworkSpec } from './network-spec.js';

const NETWORKS = `${Object.keys(definitions).join(', ')}, fc:784-300-100-10, 28x28x1:conv16-pool-conv32k5v-pool-10 (k5: 5x5, v: no padding) or a JSON file`;

/** A network as it was named: `file` is where it stands, if it stands in one. */
export interface NamedNetwork {
  readonly architecture: Architecture;
  readonly file?: string;
}

export const networkOption = (): Option =>
  new Option('--network <name>', NETWORKS).argParser(namedNetwork).default({ architecture: definitions.fc }, 'fc');

const namedNetwork = (text: string): NamedNetwork => ({
  architecture: network(text),
  ...(text.endsWith('.json') && { file: text }),
});

/** A name of models/index.ts, what `describe` prints of a network, or a JSON file of an Architecture. */
function network(text: string): Architecture {
  const named = Object.entries(definitions).find(([name]) => name === text);
  if (named) return named[1];
  const widths = /^fc:(\d+(?:-\d+)+)$/.exec(text)?.[1].split('-').map(Number);
  if (widths) return checked(dense(widths));
  const [, image, layers] = /^(\d+x\d+x\d+):(.+)$/.exec(text) ?? [];
  if (image) return checked(images(image, layers.split('-')));
  if (text.endsWith('.json')) {
    if (!existsSync(text)) throw new InvalidArgumentError(`${text}: no such file.`);
    try {
      return parseNetworkSpec(new TextDecoder().decode(readFile(text, 65536)));
    } catch (error) {
      throw new InvalidArgumentError(`${text}: ${(error as Error).message}`);
    }
  }
  throw new InvalidArgumentError(`expected ${NETWORKS}, got '${text}'.`);
}

function dense([inputs, ...units]: number[]): Architecture {
  const side = Math.sqrt(inputs);
  const layers = units.map((n, i): Layer => ({ kind: 'dense', units: n, activation: i === units.length - 1 ? 'linear' : 'relu' }));
  return { input: Number.isInteger(side) ? [side, side, 1] : [1, 1, inputs], layers };
}

/** A ReLU after every layer but the last. */
function images(image: string, parts: string[]): Architecture {
  const [height, width, channels] = image.split('x').map(Number);
  const layers = parts.map((part, i): Layer => {
    const activation = i === parts.length - 1 ? 'linear' : 'relu';
    if (part === 'pool') return { kind: 'pool' };
    if (/^\d+$/.test(part)) return { kind: 'dense', units: Number(part), activation };
    const [, filters, kernel, valid] = /^conv(\d+)(?:k(\d+)(v?))?$/.exec(part) ?? [];
    if (!filters)
      throw new InvalidArgumentError(`layer ${i + 1}: expected pool, a number of units, conv16, conv16k5 or conv16k5v, got '${part}'.`);
    const window = kernel ? ({ kernel: Number(kernel), padding: valid ? 'valid' : 'same' } as const) : {};
    return { kind: 'conv', filters: Number(filters), activation, ...window };
  });
  return { input: [height, width, channels], layers };
}

function checked(architecture: Architecture): Architecture {
  try {
    return fitting(architecture);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}
