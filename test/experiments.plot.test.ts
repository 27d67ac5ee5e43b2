// Drawings: well-formed XML by an independent reader (expat, through Python), equal bytes for equal charts, labels apart, nothing
// unescaped.

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Chart, leavingText, styled } from '../experiments/evidence/chart.js';
import type { Picture } from '../experiments/evidence/experiment.js';
import { apart, drawn, drawnAlone } from '../experiments/evidence/plot.js';

const PYTHON = '/usr/bin/python3';
const COUNT = 'import sys, xml.etree.ElementTree as x; print(len(list(x.fromstring(sys.stdin.buffer.read()).iter(sys.argv[1]))))';
/** Elements of a kind in an XML text; fails on what is not well-formed. */
const count = (svg: string, element: string): number =>
  Number(execFileSync(PYTHON, ['-c', COUNT, `{http://www.w3.org/2000/svg}${element}`], { input: svg, encoding: 'utf8' }));

const points = (mean: number) => [0.01, 0.1, 1].map((x) => ({ x, mean, min: mean - 1, max: mean + 1, n: 2 }));
const curves: Chart = {
  kind: 'curves',
  across: 'kept',
  yLabel: 'test accuracy, %',
  lines: [
    { label: 'a < b & "c"', points: points(50), ...styled('blue') },
    { label: 'other', points: points(50.1), ...styled('red', true) },
  ],
  stars: [{ x: 0.1, y: 51 }],
};
const plane = { reach: 1, points: [{ initial: 0.5, final: -0.5, kept: true }] };
const CHARTS: Record<string, Chart> = {
  curves,
  ages: { ...curves, across: 'epochs', stars: undefined },
  near: { ...curves, range: [50, 51] },
  'one level': { ...curves, lines: [{ label: 'x', points: points(50).slice(0, 1), ...styled('grey') }] },
  bars: { kind: 'bars', bars: [{ label: 'masks & more', mean: 50, min: 40, max: 60, n: 3, paper: 55 }] },
  histogram: { kind: 'histogram', xLabel: 'a & b', yLabel: 'tasks', values: [97, 97.2, 97.21, 98], marks: [{ label: '<mean>', at: 97.4 }] },
  matrix: {
    kind: 'matrix',
    rows: ['a & b', 'c'],
    columns: ['a & b', 'c', 'from <far>'],
    values: ['a & b', 'c'].flatMap((row, i) => ['a & b', 'c', 'from <far>'].map((column, j) => ({ row, column, value: (i + j) / 3 }))),
    rowLabel: 'rows of',
    columnLabel: 'masks of',
  },
  'one value': { kind: 'histogram', xLabel: 'x', yLabel: 'y', values: [97], marks: [] },
  panels: {
    kind: 'panels',
    columns: 2,
    panels: [
      { title: 'region', plane: { ...plane, region: { size: 4, scores: Array.from({ length: 16 }, (_, i) => i), least: 7 } } },
      { title: 'none', plane },
      { title: 'third', plane },
    ],
  },
};
const pictureOf = (chart: Chart): Picture => ({
  name: 'x',
  title: 'weights <kept> & pruned',
  caption: 'a "caption" & more '.repeat(20),
  chart,
});

test.each(Object.entries(CHARTS))('%s: well-formed, whole, the same bytes again', (_, chart) => {
  const picture = pictureOf(chart);
  const alone = drawnAlone(picture);
  expect(count(alone, 'svg')).toBe(1);
  expect(count(drawn(picture), 'svg')).toBe(1);
  expect(count(alone, 'text')).toBeGreaterThan(count(drawn(picture), 'text'));
  expect(alone).not.toMatch(/NaN|undefined|Infinity/);
  expect(alone).not.toMatch(/\d\.\d{3,}/);
  expect(drawnAlone(picture)).toBe(alone);
});

test('a bar says what the paper says, to a decimal where no words are given', () => {
  const bar = { label: 'masks', mean: 36.24, min: 36, max: 37, n: 2, paper: 40 };
  expect(drawn(pictureOf({ kind: 'bars', bars: [bar] }))).toContain('36.2 (the paper 40.0)');
  expect(drawn(pictureOf({ kind: 'bars', bars: [{ ...bar, paperText: 'near 40' }] }))).toContain('36.2 (the paper near 40)');
});

test('a chart has a label, a line and a band for each line, and its stars', () => {
  const svg = drawn(pictureOf(curves));
  expect(svg).toContain('a &lt; b &amp; &quot;c&quot;');
  expect(svg.match(/★/g)).toHaveLength(1);
  expect(svg.match(/stroke-dasharray/g)!.length).toBeGreaterThanOrEqual(2);
  for (const tick of ['100 %', '50 %', '20 %', '10 %', '5 %', '2 %', '1 %']) expect(svg).toContain(`>${tick}<`);
  expect(drawn(pictureOf({ ...curves, range: [60, 70] }))).not.toContain('★');
});

test('lines that end below what is shown are labelled after all others, the last to leave first, with where they leave', () => {
  const line = (label: string, ...means: number[]) => ({
    label,
    points: means.map((mean, i) => ({ x: 10 ** (i + 1 - means.length), mean, min: mean, max: mean, n: 1 })),
    ...styled('blue'),
  });
  const lines = [line('early', 10, 40, 90), line('stays', 80, 85, 90), line('never in', 20, 20, 20), line('late', 40, 80, 90)];
  const named = (across: 'kept' | 'epochs', given = lines) => {
    const svg = drawn(pictureOf({ ...curves, across, lines: given, range: [60, 100] }));
    return [...svg.matchAll(/text-anchor="start">([^<]*)</g)].map(([, text]) => text);
  };
  // By hand, the logarithm between two points: 10 ** (-2 + 20 / 40) is 3.2 %, 10 ** (-1 + 20 / 50) is 25 %.
  expect(named('kept')).toEqual(['stays', 'late ↓ 3.2 %', 'early ↓ 25 %', 'never in ↓ 100 %']);
  // The other way round the same lines rise, and end in the picture, but for one.
  expect(named('epochs')).toEqual(['early', 'stays', 'late', 'never in ↓ 0']);
  expect(named('kept', lines.slice(1, 2))).toEqual(['stays']);
  expect(leavingText(lines, [60, 100])).toEqual(['↓: the weights kept where a line leaves the picture']);
  expect([leavingText(lines), leavingText(lines.slice(1, 2), [60, 100])]).toEqual([[], []]);
});

test('a matrix says every number in its field, the deeper the greater, and names its rows and columns', () => {
  const svg = drawn(pictureOf(CHARTS['matrix']));
  expect(count(svg, 'rect')).toBe(6);
  for (const text of ['0', '33', '67', '100', 'rows of ↓', 'masks of →', 'from &lt;far&gt;']) expect(svg).toContain(`>${text}<`);
  const depths = [...svg.matchAll(/fill-opacity="([\d.]+)"/g)].map(([, depth]) => Number(depth));
  expect(depths).toHaveLength(6);
  expect([...depths].sort((a, b) => a - b)).toEqual([depths[0], depths[1], depths[3], depths[2], depths[4], depths[5]]);
  expect(depths[5]).toBeGreaterThan(depths[4]);
});

test('clip paths of two drawings do not meet on one page', () => {
  const ids = (name: string) => [...drawn({ ...pictureOf(CHARTS['panels']), name }).matchAll(/id="([^"]+)"/g)].map((match) => match[1]);
  const all = [...ids('one'), ...ids('two')];
  expect(all.length).toBeGreaterThan(2);
  expect(new Set(all).size).toBe(all.length);
});

test('labels that would overlap are moved apart, in order, within bounds', () => {
  const wanted = fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(wanted, (values) => {
      const sorted = [...values].sort((a, b) => a - b);
      const at = apart(sorted, 15, 0, 400);
      at.forEach((y, i) => {
        expect(y).toBeGreaterThanOrEqual(-1e-9);
        expect(y).toBeLessThanOrEqual(400 + 1e-9);
        if (i > 0) expect(y - at[i - 1]).toBeGreaterThanOrEqual(15 - 1e-9);
      });
    }),
  );
  expect(apart([10, 100, 200], 15, 0, 400)).toEqual([10, 100, 200]);
});
