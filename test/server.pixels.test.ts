// The quick reader of pixel bodies against JSON.parse and the checks behind it: where it answers, it answers the same.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pixelsOf } from '../server/requests/pixels.js';
import { rowsOf } from '../server/requests/rows.js';

const LIMIT = 50;
const slow = (body: string, width: number) => {
  const { instances, ...rest } = JSON.parse(body);
  if (Object.keys(rest).length > 0) throw new Error('other keys');
  return rowsOf(instances, { shape: [1, 1, width], limit: LIMIT, field: '/instances' });
};
const quick = (body: string, width: number) => pixelsOf(Buffer.from(body), width, LIMIT);
const SPACE = fc.constantFrom('', '', '', ' ', '\n', '\t ', '\r\n  ');

/** A body of rows, with white space anywhere it may be. */
const written = fc
  .record({
    width: fc.integer({ min: 1, max: 9 }),
    count: fc.integer({ min: 1, max: 6 }),
    seed: fc.nat(),
    spaces: fc.array(SPACE, { minLength: 7, maxLength: 7 }),
  })
  .map(({ width, count, seed, spaces }) => {
    let turn = 0;
    const s = () => spaces[turn++ % spaces.length];
    const row = (r: number) => `[${Array.from({ length: width }, (_, i) => `${s()}${(seed + r * 91 + i * 37) & 255}${s()}`).join(',')}]`;
    const rows = Array.from({ length: count }, (_, r) => `${s()}${row(r)}${s()}`).join(',');
    return { width, body: `${s()}{${s()}"instances"${s()}:${s()}[${rows}]${s()}}${s()}` };
  });

test('it reads what it is made for', () => {
  fc.assert(
    fc.property(written, ({ width, body }) => {
      expect(quick(body, width)).toEqual(slow(body, width));
    }),
    { seed: 20190503, numRuns: 500 },
  );
});

test('of damaged bodies it reads only what JSON.parse reads the same', () => {
  let read = 0;
  let refused = 0;
  const damage = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('cut', 'drop', 'put'),
    text: fc.constantFrom('0', '9', ',', '[', ']', '}', '"', '.', '-', 'e', ' ', '\u00a0'),
  });
  fc.assert(
    fc.property(written, fc.array(damage, { minLength: 1, maxLength: 3 }), ({ width, body }, damages) => {
      let text = body;
      for (const { at, kind, text: put } of damages) {
        const i = at % text.length;
        text =
          kind === 'cut'
            ? text.slice(0, i)
            : kind === 'drop'
              ? text.slice(0, i) + text.slice(i + 1)
              : text.slice(0, i) + put + text.slice(i);
        if (text === '') return;
      }
      const found = quick(text, width);
      if (!found) refused++;
      else {
        read++;
        expect(found).toEqual(slow(text, width));
      }
    }),
    { seed: 20190503, numRuns: 3000 },
  );
  expect([read > 100, refused > 1000]).toEqual([true, true]);
});

test('what it leaves to others', () => {
  const bodies = [
    '',
    '[[1,2]]',
    '{"instances":[]}',
    '{"instances":[1,2]}',
    '{"instances":[[1]]}',
    '{"instances":[[1,2,3]]}',
    '{"instances":[[1,256]]}',
    '{"instances":[[1,1000]]}',
    '{"instances":[[01,2]]}',
    '{"instances":[[1,-2]]}',
    '{"instances":[[1,2.0]]}',
    '{"instances":[[1,2]],"x":1}',
    '{"instances":[[1,2]]}x',
    '{"instances":[[1,2],]}',
    '{"instances":[[1,2]',
    '{"inputs":[[1,2]]}',
    `{"instances":[${Array.from({ length: LIMIT + 1 }, () => '[1,2]').join()}]}`,
  ];
  expect(bodies.filter((body) => quick(body, 2) !== null)).toEqual([]);
  expect(quick('{"instances":[[1,2]]}', 2)).toEqual({ values: Uint8Array.of(1, 2), count: 1 });
});
