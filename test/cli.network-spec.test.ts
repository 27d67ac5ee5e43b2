// Networks in JSON files: what they mean, that they train, and that a mistake is named by its layer in one line.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { NETWORK_SPEC, parseNetworkSpec } from '../cli/network-spec.js';
import * as definitions from '../models/index.js';
import { ROOT } from './interop.material.js';

const folder = mkdtempSync(join(tmpdir(), 'seedmask-spec-'));
afterAll(() => rmSync(folder, { recursive: true }));

const spec = (input: unknown, ...layers: unknown[]) => JSON.stringify({ input, layers });
const dense = (units: unknown) => ({ kind: 'dense', units });
const pool = { kind: 'pool' };

test('an activation is linear where none is said', () => {
  const layers = [{ kind: 'conv', filters: 4 }, pool, dense(3)];
  const said = layers.map((layer) => (layer === pool ? pool : { ...layer, activation: 'linear' }));
  expect(parseNetworkSpec(spec([12, 10, 3], ...layers))).toEqual({ input: [12, 10, 3], layers: said });
});

test('every network by name is a spec of itself', () => {
  for (const architecture of Object.values(definitions)) expect(parseNetworkSpec(JSON.stringify(architecture))).toEqual(architecture);
});

test.each<[string, string, RegExp]>([
  ['no layers', spec([28, 28, 1]), /^layers must be a list of 1 to 1024 layers, got \[\]$/],
  ['an unknown kind', spec([28, 28, 1], dense(5), { kind: 'lstm' }), /^layer 2: kind must be dense, conv, pool, got "lstm"$/],
  [
    'no units',
    spec([28, 28, 1], dense(5), { kind: 'dense' }),
    /^layer 2 \(dense\): units must be a whole number from 1 to 1048576, got nothing$/,
  ],
  ['half a unit', spec([28, 28, 1], dense(1.5)), /^layer 1 \(dense\): units must be a whole number from 1 to 1048576, got 1.5$/],
  ['too many units', spec([28, 28, 1], dense(1e9)), /^layer 1 \(dense\): units must be .*, got 1000000000$/],
  ['a layer that is none', spec([28, 28, 1], 5), /^layer 1: must be an object with kind and sizes, got 5$/],
  ['a file that is a list', '[]', /^the file must be an object with input and layers, got \[\]$/],
  ['an activation that is none', spec([28, 28, 1], { ...dense(5), activation: 'gelu' }), /activation must be linear or relu, got "gelu"$/],
  [
    'a key that is none',
    spec([28, 28, 1], { ...dense(5), dropout: 0.5 }),
    /^layer 1 \(dense\): unknown field dropout, expected kind, units, activation$/,
  ],
  [
    'a key of the file that is none',
    JSON.stringify({ input: [1, 1, 1], layers: [dense(1)], name: 'x' }),
    /^unknown field name, expected input, layers$/,
  ],
  [
    'an input of two numbers',
    spec([28, 28], dense(5)),
    /^input must be \[height, width, channels\], each from 1 to 1048576, got \[28,28\]$/,
  ],
  [
    'a pool too many',
    spec([4, 4, 1], { kind: 'conv', filters: 1 }, pool, pool, pool, dense(1)),
    /^layer 4: a 2x2 pool needs at least 2x2 pixels, got 1x1$/,
  ],
  [
    'a kernel that is larger than what is left',
    spec([8, 8, 1], pool, { kind: 'conv', filters: 1, kernel: 5, padding: 'valid' }),
    /^layer 2: a 5x5 kernel without padding needs at least 5x5 pixels, got 4x4$/,
  ],
  ['only a pool', spec([8, 8, 1], pool), /^a network needs at least one layer with weights$/],
  [
    'more weights than a file holds',
    spec([28, 28, 1], dense(400_000), dense(10)),
    /^weights of a mask is 317600000, the limit is 268435456$/,
  ],
  ['no JSON', '{\n', /^no JSON: /],
])('%s is refused in one line', (_, json, line) => {
  expect(() => parseNetworkSpec(json)).toThrow(line);
  try {
    parseNetworkSpec(json);
  } catch (error) {
    expect((error as Error).message).not.toContain('\n');
  }
});

test('the schema as JSON Schema has every kind', () => {
  const text = JSON.stringify(z.toJSONSchema(NETWORK_SPEC));
  for (const kind of ['dense', 'conv', 'pool']) expect(text).toContain(`"${kind}"`);
});

test('the command names file and layer', () => {
  writeFileSync(join(folder, 'wrong.json'), spec([28, 28, 1], dense(5), dense(-1)));
  const { stderr, status } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/cli/main.js'), 'train', '--data', 'mnist', '--network', 'wrong.json', '--out', 'x.smk'],
    { encoding: 'utf8', cwd: folder },
  );
  expect(status).toBe(1);
  expect(stderr).toMatch(/^seedmask: .*wrong.json: layer 2 \(dense\): units must be a whole number from 1 to 1048576, got -1.*\n$/);
  const other = (network: string) =>
    spawnSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), 'train', '--data', 'mnist', '--network', network, '--out', 'x.smk'], {
      encoding: 'utf8',
      cwd: folder,
    }).stderr;
  expect(other('none.json')).toMatch(/^seedmask: .*none.json: no such file\..*\n$/);
  expect(other('4x4x1:pool-pool-pool-2')).toMatch(/^seedmask: .*layer 3: a 2x2 pool needs at least 2x2 pixels, got 1x1\..*\n$/);
  expect(other('4x4x1:pool-lstm')).toMatch(/^seedmask: .*layer 2: expected pool, a number of units/);
});
