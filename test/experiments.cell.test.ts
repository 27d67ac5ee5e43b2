// What is read from files and queues is checked before anything runs: cells by closed, limited schemas, addresses without ever showing a
// password, and optional packages when they are needed.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { SeedmaskError } from '../codec/index.js';
import { CELL, type Cell, nameOf } from '../experiments/cells/cell.js';
import { curveCells, learnedCells, ticketCells } from '../experiments/cells/grids.js';
import { EXPERIMENTS } from '../experiments/index.js';
import { optional } from '../experiments/optional.js';
import { planOf } from '../experiments/sweep/conduct.js';
import { addressOf } from '../experiments/sweep/redis.js';
import { openStore } from '../experiments/sweep/store.js';
import { brief, cleanUp, folder } from './experiments.material.js';

afterAll(cleanUp);

const SCALES = ['quick', 'budget', 'full'] as const;
const NETWORKS = ['fc', 'conv2', 'conv4', 'conv6'] as const;
const cells: Cell[] = SCALES.flatMap((scale) => {
  const plan = planOf(scale);
  return [
    ...EXPERIMENTS.flatMap((experiment) => experiment.cells(plan)),
    ...curveCells(plan),
    ...NETWORKS.flatMap((network) => [
      ...ticketCells(plan, network, [{ criterion: 'movement', mask0: 'toward_zero', mask1: 'redraw' }]),
      ...learnedCells(plan, network),
    ]),
  ];
});
const cellOf = (kind: Cell['kind']) => cells.find((cell) => cell.kind === kind)!;
const overWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('cells', () => {
  test('every cell of every grid passes, unchanged and under the same name', () => {
    expect(cells.length).toBeGreaterThan(100);
    for (const cell of cells) {
      const read = CELL.parse(overWire(cell));
      expect(read).toEqual(cell);
      expect(nameOf(read)).toBe(nameOf(cell));
    }
  });

  test('names are safe as file names and job ids', () => {
    for (const cell of cells) expect(nameOf(cell)).toMatch(/^[a-z][a-z0-9_-]{10,120}$/);
  });

  test.each<[object, RegExp]>([
    [{ ...cellOf('ticket'), epochs: 10_001 }, /epochs/],
    [{ ...cellOf('ticket'), epochs: 1.5 }, /epochs/],
    [{ ...cellOf('ticket'), rounds: 0 }, /rounds/],
    [{ ...cellOf('ticket'), rows: 127 }, /rows/],
    [{ ...cellOf('ticket'), rows: 60_001 }, /rows/],
    [{ ...cellOf('ticket'), seed: -1 }, /seed/],
    [{ ...cellOf('ticket'), seed: 2 ** 53 }, /seed/],
    [{ ...cellOf('ticket'), network: 'constructor' }, /network/],
    [{ ...cellOf('ticket'), criterion: 'best' }, /criterion/],
    [{ ...cellOf('ticket'), mask0: 'toward_zero_all', mask1: 'reinit' }, /toward_zero_all .* rewind only/],
    [{ ...cellOf('ticket'), shelf: '/etc' }, /shelf/],
    [{ ...cellOf('curve'), ages: [2, 1] }, /ascending/],
    [{ ...cellOf('curve'), ages: [] }, /ages/],
    [{ ...cellOf('curve'), powers: Array(101).fill(1) }, /powers/],
    [{ ...cellOf('curve'), criteria: 'random' }, /criteria/],
    [{ ...cellOf('learned'), method: 'topk', density: [] }, /density/],
    [{ ...cellOf('learned'), method: 'bernoulli', density: [0.5] }, /density/],
    [{ ...cellOf('learned'), learningRate: -1 }, /learningRate/],
    [{ ...cellOf('plane'), points: 1e9 }, /points/],
    [{ ...cellOf('task'), units: [] }, /units/],
    [{ ...cellOf('task'), units: [4097] }, /units/],
    [{ ...cellOf('task'), filters: Array(9).fill(1) }, /filters/],
    [{ ...cellOf('task'), view: 'upside-down' }, /view/],
    [{ ...cellOf('task'), pixels: -1 }, /pixels/],
    [{ ...cellOf('task'), method: 'dense' }, /density/],
    [{ ...cellOf('task'), base: 'plain' }, /base/],
  ])('refuses case %#', (value, why) => {
    const { error } = CELL.safeParse(value);
    expect(error?.message).toMatch(why);
  });

  test('anything else is refused without an exception', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withTypedArray: true }), (value) => {
        expect(CELL.safeParse(value).success).toBe(false);
      }),
      { seed: 4 },
    );
  });

  test('a cell with a field taken out, added or replaced passes only if it is still a cell of the same name over the wire', () => {
    fc.assert(
      fc.property(fc.constantFrom(...cells), fc.nat(), fc.oneof(fc.jsonValue(), fc.constant(undefined)), (cell, at, value) => {
        const keys = [...Object.keys(cell), 'more'];
        const changed = overWire({ ...cell, [keys[at % keys.length]]: value });
        const { data } = CELL.safeParse(changed);
        if (data) expect(nameOf(data)).toBe(nameOf(changed as Cell));
        else expect(changed).not.toEqual(cell);
      }),
      { seed: 4 },
    );
  });

  test('a stored result is held to the same schema', () => {
    const store = openStore(join(folder, 'store'), (path, bytes) => writeFileSync(path, bytes));
    store.add(brief(1), [{ a: 1 }], 2.4);
    expect(store.result(brief(1))?.rows).toEqual([{ a: 1 }]);
    expect(store.result(brief(2))).toBeUndefined();
    const file = join(folder, 'store', 'cells', `${nameOf(brief(1))}.json`);
    for (const [from, to, why] of [
      ['"epochs":1', '"epochs":1e9', /epochs/],
      ['"seed":1', '"seed":2', /another cell/],
      ['"a":1', '"a":null', /rows/],
    ] as const) {
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, text.replace(from, to));
      expect(() => store.result(brief(1))).toThrow(why);
      writeFileSync(file, text);
    }
  });
});

describe('the address of a queue', () => {
  test.each([
    ['redis://lab', { host: 'lab', port: 6379, db: 0, tls: false, shown: 'redis://lab:6379' }],
    [
      'rediss://me:a%2Fb@lab:7000/3',
      { host: 'lab', port: 7000, db: 3, tls: true, username: 'me', password: 'a/b', shown: 'rediss://lab:7000/3' },
    ],
    ['redis://:pw@[::1]:7000', { host: '::1', port: 7000, db: 0, tls: false, password: 'pw', shown: 'redis://[::1]:7000' }],
  ])('%s', (text, expected) => {
    expect(addressOf(text)).toEqual(expected);
  });

  test.each([
    ['http://lab', 'got a URL of http://'],
    ['lab:6379', 'got a URL of lab://'],
    ['redis://', 'got a URL without a host'],
    ['redis:lab', 'got a URL without a host'],
    ['redis://lab/zero', 'got a path that is no database number'],
    ['redis://lab?family=6', 'got a URL with more behind it'],
    ['redis://:%zz@lab', 'got no URL'],
    ['', 'got no URL'],
  ])('refuses %j', (text, line) => {
    expect(() => addressOf(text)).toThrow(line);
  });

  test('never shows a password', () => {
    const password = fc.stringMatching(/^[A-Z0-9]{6,12}$/);
    const rest = fc.constantFrom('@lab', '@lab:1/2', '@', '@lab:99999', '@lab/x', '', '@lab?a=b', '@la b', '%@lab');
    fc.assert(
      fc.property(fc.constantFrom('redis', 'rediss', 'http', 'redi s', ''), password, rest, (scheme, secret, end) => {
        let shown: string;
        try {
          ({ shown } = addressOf(`${scheme}://me:${secret}${end}`));
        } catch (error) {
          expect(error).toBeInstanceOf(SeedmaskError);
          shown = (error as Error).message;
        }
        expect(shown).not.toContain(secret);
      }),
      { seed: 4 },
    );
  });
});

describe('optional packages', () => {
  test('one that is missing is a line that says what to install; a broken one is its own failure', async () => {
    const missing = 'seedmask-has-no-such-package';
    await expect(optional('a queue', missing, () => import(missing))).rejects.toMatchObject({
      code: 'no-package',
      message: `a queue needs the npm package ${missing}, which is not installed here. Run: npm install ${missing}`,
    });
    await expect(optional('a queue', 'x', () => Promise.reject(new RangeError('broken')))).rejects.toThrow(RangeError);
  });

  test('no file that the command line loads at its start imports one of the queue', () => {
    for (const name of ['experiments', 'cli'].flatMap((place) =>
      readdirSync(join(import.meta.dirname, '..', place)).map((n) => `${place}/${n}`),
    )) {
      if (name === 'cli/experiment-thread.ts' || !name.endsWith('.ts')) continue;
      const text = readFileSync(join(import.meta.dirname, '..', name), 'utf8');
      expect(text, name).not.toMatch(/^(import|export) (?!type )[^;]*from '(bullmq|ioredis|piscina)'/m);
    }
  });
});
