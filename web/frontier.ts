// Accuracy against bytes: the shipped models, from the record their test re-derives, beside published results. Drawn when the page is
// built, so a visitor loads a picture and no library.

import { readFileSync } from 'node:fs';
import { z } from 'zod';

interface Point {
  readonly name: string;
  readonly bytes: number;
  readonly accuracy: number;
  readonly source: string;
  readonly recalled: boolean;
  readonly ours: boolean;
}

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const RECORDED = z.record(z.string(), z.looseObject({ fileBytes: z.number(), testAccuracy: z.number() }));
const PUBLISHED = z.array(
  z.object({ name: z.string(), bytes: z.number(), accuracy: z.number(), source: z.string(), recalled: z.boolean() }),
);
/** Of a lower accuracy than a file whose purpose is to be small: they would press the others together. */
const LEAST = 0.97;

/** Shipped models from LEAST on, and published ones, by bytes. */
export function points(): Point[] {
  const shipped = Object.entries(RECORDED.parse(read('../models/trained/recorded.json'))).map(([file, { fileBytes, testAccuracy }]) => ({
    ...{ name: file, bytes: fileBytes, accuracy: testAccuracy },
    ...{ source: 'models/trained', recalled: false, ours: true },
  }));
  const published = PUBLISHED.parse(read('./published.json')).map((point) => ({ ...point, ours: false }));
  return [...shipped, ...published].filter(({ accuracy }) => accuracy >= LEAST).sort((a, b) => a.bytes - b.bytes);
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const colour = (point: Point) => (point.ours ? 'var(--plus)' : 'var(--minus)');

/**
 * An svg element that follows the page's colours; nothing where the drawing packages, which are optional, are not installed.
 * @param narrow for a phone: points are called by their number in the table
 */
export async function frontier(narrow: boolean): Promise<string> {
  const packages = await Promise.all([import('@observablehq/plot'), import('linkedom')]).catch(() => null);
  if (!packages) return '';
  const [Plot, { parseHTML }] = packages;
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const named = points().map((point, i) => (narrow ? { ...point, name: String(i + 1) } : point));
  const percent = (point: Point) => 100 * point.accuracy;
  const plot = Plot.plot({
    document,
    width: narrow ? 328 : 820,
    height: narrow ? 440 : 680,
    marginLeft: narrow ? 36 : 50,
    marginRight: 20,
    marginBottom: 50,
    style: { background: 'none', color: 'inherit', fontSize: '13px', overflow: 'visible' },
    x: {
      type: 'log',
      label: 'bytes of the whole file',
      domain: [1000, 100000],
      ticks: narrow ? [1000, 10000, 100000] : [1000, 2000, 5000, 10000, 20000, 50000, 100000],
      tickFormat: ',',
      grid: true,
    },
    y: { label: 'test accuracy, %', grid: true, domain: [97, 99.6] },
    marks: [
      Plot.dot(points(), {
        x: 'bytes',
        y: percent,
        r: 6,
        stroke: colour,
        fill: (p: Point) => (p.recalled ? 'none' : colour(p)),
        strokeWidth: 2,
      }),
      ...[true, false].map((recalled) =>
        Plot.text(
          named.filter((point) => point.recalled === recalled),
          // Recalled ones above their point: two of them lie close to the left of others.
          {
            x: 'bytes',
            y: percent,
            text: 'name',
            dx: narrow ? 8 : recalled ? -45 : 10,
            dy: recalled && !narrow ? -14 : 0,
            textAnchor: 'start',
            fill: 'currentColor',
          },
        ),
      ),
    ],
  });
  plot.setAttribute('role', 'img');
  plot.setAttribute('aria-label', 'Test accuracy against bytes of the file; the table below has the numbers');
  // Plot labels its groups of marks, which an image has no use for.
  return plot.outerHTML.replace(/(<g[^>]*?) aria-label="[^"]*"/g, '$1');
}

export function table(): string {
  const rows = points().map(
    ({ name, bytes, accuracy, source, recalled }, i) =>
      `<tr><td>${i + 1}</td><td>${escaped(name)}<br><span class="soft">${escaped(source)}${recalled ? ' (recalled)' : ''}</span></td><td>${bytes.toLocaleString('en')}</td><td>${(100 * accuracy).toFixed(2)} %</td></tr>`,
  );
  return `<table><thead><tr><th>no.</th><th>model, and where its numbers are from</th><th>bytes</th><th>test accuracy</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}
