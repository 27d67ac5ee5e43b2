// Draws charts as SVG with Observable Plot in a linkedom document. Text and axes have the colour of the text around them, so a drawing
// inside a page follows light and dark; a drawing of its own brings its title, caption and background.

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import {
  type Bars,
  type Chart,
  type Curves,
  type End,
  endsOf,
  type Histogram,
  type Line,
  type Matrix,
  type Panels,
  type Plane,
} from './chart.js';
import type { Picture } from './experiment.js';
import { escaped } from './html.js';

/** A drawing without its svg element's tag: pieces can stand in one another. */
interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

const WIDTH = 760;

/** An svg element for a page. */
export function drawn({ chart, name, title }: Picture): string {
  const { width, height, body } = draw(chart);
  return tidy(`${opening(width, height, title)}${body}</svg>`, name);
}

/** An SVG file: the same with title, caption and background. */
export function drawnAlone({ chart, name, title, caption }: Picture): string {
  const { width, height, body } = draw(chart);
  const lines = wrapped(caption, 118);
  const top = 40;
  const text = (y: number, size: number, line: string) =>
    `<text x="16" y="${y}" font-size="${size}" text-anchor="start">${escaped(line)}</text>`;
  const parts = [
    opening(width, height + top + 20 + 16 * lines.length, title),
    '<style>svg{background:#fff;color:#1b1e23}@media(prefers-color-scheme:dark){svg{background:#16181d;color:#e4e6ea}}</style>',
    text(26, 16, title),
    `<g transform="translate(0,${top})">${body}</g>`,
    ...lines.map((line, i) => text(top + height + 20 + 16 * i, 12, line)),
    '</svg>\n',
  ];
  return tidy(parts.join(''), name);
}

const opening = (width: number, height: number, title: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" fill="currentColor" ` +
  `font-family="system-ui, sans-serif" font-size="12" text-anchor="middle" role="img" aria-label="${escaped(title)}">`;

function draw(chart: Chart): Drawing {
  switch (chart.kind) {
    case 'curves':
      return curves(chart);
    case 'bars':
      return bars(chart);
    case 'panels':
      return panels(chart);
    case 'histogram':
      return histogram(chart);
    case 'matrix':
      return matrix(chart);
  }
}

/** Plot's marks in an svg of a size, without the style sheet that Plot adds. */
function plotted(options: Plot.PlotOptions & { width: number; height: number }): { svg: SVGElement & Plot.Plot; body: string } {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({ ...options, document: document as unknown as Document, className: 'plot' }) as SVGElement & Plot.Plot;
  return { svg, body: svg.innerHTML.replace(/<style>[\s\S]*?<\/style>/, '') };
}

/** What stands under a chart, by what is across. */
const ACROSS: Record<
  Curves['across'],
  { readonly label: string; readonly ticks: readonly number[]; readonly format: (x: number) => string }
> = {
  kept: {
    label: 'weights kept',
    ticks: [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001],
    format: (x) => `${Number((100 * x).toPrecision(2))} %`,
  },
  epochs: { label: 'epochs of training before the mask is taken', ticks: [1, 2, 3, 6, 12, 25, 55], format: (x) => String(Math.round(x)) },
  learning: { label: 'epochs', ticks: [1, 2, 3, 6, 12, 24, 50, 100, 200, 500, 1000], format: (x) => String(Math.round(x)) },
  moved: {
    label: 'distance that training moved the weights, |wf − wi| / |wi|',
    ticks: [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10],
    format: (x) => String(Number(x.toPrecision(2))),
  },
  tasks: { label: 'tasks', ticks: [1, 10, 100, 1000, 10000], format: (x) => Math.round(x).toLocaleString('en') },
};
const MARGIN = { left: 48, top: 26, bottom: 42 };
const LABELS = 186;
/** More room beside names for where lines leave a picture. */
const LEFT_AT = 44;
const TICKS = 8;

function curves(chart: Curves): Drawing {
  const [width, height] = [WIDTH, 430];
  const { lines, across } = chart;
  const { label, ticks, format } = ACROSS[across];
  // Plot hides labels between the decades of a log scale, so the logarithm is taken here.
  const log = Math.log10;
  const xs = lines.flatMap(({ points }) => points.map(({ x }) => x));
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const domain: [number, number] = across === 'kept' ? [most, least] : [least, most];
  const within = (tick: number) => tick >= least * 0.999 && tick <= most * 1.001;
  const range = chart.range ?? spread(lines);
  const points = lines.flatMap((line, i) => line.points.map((point) => ({ ...point, x: log(point.x), line, i })));
  const ends = endsOf(lines, across, range[0]);
  const right = LABELS + (ends.some(({ left }) => left !== undefined) ? LEFT_AT : 0);
  const { svg, body } = plotted({
    width,
    height,
    marginLeft: MARGIN.left,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    marginRight: right,
    x: { domain: (least === most ? [most * 1.5, least / 1.5] : domain).map(log) },
    y: { domain: range },
    marks: [
      Plot.gridY({ ticks: TICKS, stroke: 'currentColor', strokeOpacity: 0.14 }),
      Plot.axisX(ticks.filter(within).map(log), {
        label,
        labelAnchor: 'center',
        labelArrow: false,
        tickFormat: (at: number) => format(10 ** at),
      }),
      Plot.axisY({ label: chart.yLabel, labelArrow: false, ticks: TICKS }),
      Plot.areaY(points, {
        x: 'x',
        y1: 'min',
        y2: 'max',
        z: 'i',
        fill: (d: { line: Line }) => d.line.colour,
        fillOpacity: 0.14,
        clip: true,
      }),
      ...[false, true].map((dashed) =>
        Plot.line(
          points.filter(({ line }) => line.dashed === dashed),
          {
            x: 'x',
            y: 'mean',
            z: 'i',
            stroke: (d: { line: Line }) => d.line.colour,
            strokeWidth: 1.8,
            strokeDasharray: dashed ? '5 4' : undefined,
            clip: true,
          },
        ),
      ),
      Plot.dot(points, { x: 'x', y: 'mean', r: 2, fill: (d: { line: Line }) => d.line.colour, clip: true }),
      Plot.text(
        (chart.stars ?? []).filter(({ y }) => y >= range[0] && y <= range[1]).map(({ x, y }) => ({ x: log(x), y })),
        { x: 'x', y: 'y', text: () => '★', dy: -9, fontSize: 11, fill: 'currentColor' },
      ),
    ],
  });
  const y = svg.scale('y')!;
  return { width, height, body: body + labels(ends, (v) => y.apply(v) as number, format, width - right, height) };
}

/** All values of the lines, with a little room. */
function spread(lines: readonly Line[]): [number, number] {
  const all = lines.flatMap(({ points }) => points.flatMap(({ min, max }) => [min, max]));
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = Math.max(0.5, (high - low) * 0.05);
  return [Math.max(0, low - room), Math.min(100, high + room)];
}

/** Names at the ends of lines, moved apart where they would lie on one another, each with a piece of its line, or with where it leaves. */
function labels(all: readonly End[], y: (value: number) => number, format: (x: number) => string, x: number, height: number): string {
  const gap = 15;
  const [top, bottom] = [MARGIN.top + 4, height - MARGIN.bottom];
  const ends = all.map((end) => ({ ...end, from: Math.min(bottom, Math.max(top, y(end.mean))) }));
  const at = apart(
    ends.map(({ from }) => from),
    gap,
    top,
    bottom,
  );
  return ends
    .map(({ line, from, left }, i) => {
      const dash = line.dashed ? ' stroke-dasharray="5 4"' : '';
      const link =
        left === undefined
          ? `<path d="M${x + 3},${from}L${x + 12},${at[i]}" stroke="${line.colour}" stroke-opacity=".5" fill="none"/>`
          : '';
      const label = left === undefined ? line.label : `${line.label} ↓ ${format(left)}`;
      return (
        `${link}<path d="M${x + 12},${at[i]}h22" stroke="${line.colour}" stroke-width="2.2" fill="none"${dash}/>` +
        `<text x="${x + 38}" y="${at[i]}" dy=".32em" text-anchor="start">${escaped(label)}</text>`
      );
    })
    .join('');
}

/** Positions nearest to the wanted ones, ascending, at least a gap apart and within bounds. */
export function apart(wanted: readonly number[], gap: number, low: number, high: number): number[] {
  const at: number[] = [];
  for (const want of wanted) at.push(Math.max(want, low, (at.at(-1) ?? Number.NEGATIVE_INFINITY) + gap));
  let ceiling = high;
  for (let i = at.length - 1; i >= 0; i--) {
    at[i] = Math.min(at[i], ceiling);
    ceiling = at[i] - gap;
  }
  return at;
}

function bars({ bars: all }: Bars): Drawing {
  const height = 60 + 34 * all.length;
  const paper = all.flatMap(({ label, paper }) => (paper === undefined ? [] : [{ label, paper }]));
  const { body } = plotted({
    width: WIDTH,
    height,
    marginLeft: 20 + 6.6 * Math.max(...all.map(({ label }) => label.length)),
    marginRight: 142,
    marginBottom: 42,
    x: { domain: [0, 100] },
    y: { domain: all.map(({ label }) => label), label: null, type: 'band', padding: 0.4 },
    marks: [
      Plot.axisX({ label: 'test accuracy, %', labelAnchor: 'center', labelArrow: false }),
      Plot.axisY({ tickSize: 0, fontSize: 12, label: null }),
      Plot.barX(all, { x: 'mean', y: 'label', fill: '#4269d0' }),
      Plot.ruleY(all, { x1: 'min', x2: 'max', y: 'label', strokeWidth: 2, stroke: 'currentColor' }),
      Plot.tickX(paper, { x: 'paper', y: 'label', stroke: '#e8553f', strokeWidth: 3 }),
      Plot.text(all, {
        x: (d: Bars['bars'][number]) => Math.max(d.max, d.paper ?? 0),
        y: 'label',
        text: (d: Bars['bars'][number]) =>
          `${d.mean.toFixed(1)}${d.paper === undefined ? '' : ` (the paper ${d.paperText ?? d.paper.toFixed(1)})`}`,
        dx: 8,
        textAnchor: 'start',
      }),
    ],
  });
  return { width: WIDTH, height, body };
}

function histogram({ values, marks, xLabel, yLabel }: Histogram): Drawing {
  const height = 300;
  const all = [...values, ...marks.map(({ at }) => at)];
  const room = Math.max(0.05, (Math.max(...all) - Math.min(...all)) / 50);
  const domain: [number, number] = [Math.min(...all) - room, Math.max(...all) + room];
  const { body } = plotted({
    width: WIDTH,
    height,
    marginLeft: MARGIN.left,
    marginTop: 26 + 16 * marks.length,
    marginBottom: MARGIN.bottom,
    marginRight: 24,
    x: { domain },
    marks: [
      Plot.rectY(
        values.map((x) => ({ x })),
        { ...Plot.binX({ y: 'count' }, { x: 'x', thresholds: 30, domain }), fill: '#4269d0', inset: 0.5 },
      ),
      Plot.ruleY([0], { stroke: 'currentColor' }),
      Plot.axisX({ label: xLabel, labelAnchor: 'center', labelArrow: false }),
      Plot.axisY({ label: yLabel, labelArrow: false, ticks: TICKS }),
      Plot.ruleX(marks, { x: 'at', stroke: '#e8553f', strokeWidth: 2 }),
      ...marks.map(({ label, at }, i) =>
        Plot.text([`${label} ${at.toFixed(2)}`], { x: [at], frameAnchor: 'top', dy: -8 - 16 * i, dx: -6, textAnchor: 'end', fontSize: 12 }),
      ),
    ],
  });
  return { width: WIDTH, height, body };
}

/** Fields as deep as their numbers, which stand in them in per cent; never so deep that the text is lost on either ground. */
function matrix({ rows, columns, values, rowLabel, columnLabel }: Matrix): Drawing {
  const letters = (names: readonly string[]) => Math.max(...names.map(({ length }) => length));
  const [left, top] = [30 + 6.6 * letters(rows), 40 + 4.8 * letters(columns)];
  const right = 16 + 2.4 * letters(columns.slice(-1));
  const field = (WIDTH - left - right) / columns.length;
  const height = top + Math.min(field, 34) * rows.length + 8;
  const { body } = plotted({
    width: WIDTH,
    height,
    marginLeft: left,
    marginTop: top,
    marginRight: right,
    marginBottom: 8,
    x: { domain: columns, type: 'band', label: null, padding: 0.04 },
    y: { domain: rows, type: 'band', label: null, padding: 0.06 },
    marks: [
      Plot.axisX({ anchor: 'top', tickSize: 0, tickRotate: -45, label: null }),
      Plot.axisY({ tickSize: 0, label: null }),
      Plot.cell(values, { x: 'column', y: 'row', fill: '#4269d0', fillOpacity: (d: Matrix['values'][number]) => 0.65 * d.value }),
      Plot.text(values, {
        x: 'column',
        y: 'row',
        text: (d: Matrix['values'][number]) => String(Math.round(100 * d.value)),
        fontSize: 11,
      }),
    ],
  });
  const corner = (y: number, text: string) => `<text x="${left - 12}" y="${y}" font-size="11" text-anchor="end">${escaped(text)}</text>`;
  return { width: WIDTH, height, body: body + corner(top - 26, `${columnLabel} →`) + corner(top - 8, `${rowLabel} ↓`) };
}

function plane({ points, reach, region }: Plane, size: number): Drawing {
  const domain: [number, number] = [-reach, reach];
  const { body } = plotted({
    width: size,
    height: size,
    margin: 34,
    marginTop: 22,
    marginRight: 8,
    x: { domain },
    y: { domain },
    marks: [
      ...(region
        ? [
            Plot.contour(region.scores as number[], {
              width: region.size,
              height: region.size,
              x1: -reach,
              y1: -reach,
              x2: reach,
              y2: reach,
              thresholds: [region.least],
              fill: '#4269d0',
              fillOpacity: 0.16,
              stroke: '#4269d0',
              clip: true,
            }),
          ]
        : []),
      Plot.axisX({ ticks: 3, label: 'initial', labelAnchor: 'center', labelArrow: false }),
      Plot.axisY({ ticks: 3, label: 'final', labelAnchor: 'top', labelArrow: false }),
      Plot.ruleX([0], { strokeOpacity: 0.3 }),
      Plot.ruleY([0], { strokeOpacity: 0.3 }),
      Plot.link([{}], { x1: -reach, y1: -reach, x2: reach, y2: reach, stroke: 'currentColor', strokeOpacity: 0.3, strokeDasharray: '3 3' }),
      Plot.dot(points, {
        x: 'initial',
        y: 'final',
        r: 1.4,
        fill: (d: Plane['points'][number]) => (d.kept ? '#4269d0' : '#888c94'),
        clip: true,
      }),
    ],
  });
  return { width: size, height: size, body };
}

function panels({ columns, panels: all }: Panels): Drawing {
  const size = WIDTH / columns;
  const cell = size + 22;
  const body = all.map(({ title, plane: one }, i) => {
    const [x, y] = [(i % columns) * size, Math.floor(i / columns) * cell];
    const name = `<text x="${size / 2 + 12}" y="14" font-weight="600">${escaped(title)}</text>`;
    return `<g transform="translate(${x},${y})">${name}<g transform="translate(0,18)" font-size="10">${plane(one, size).body}</g></g>`;
  });
  return { width: WIDTH, height: cell * Math.ceil(all.length / columns), body: body.join('') };
}

/** Coordinates to hundredths, and clip paths named after the picture, so that equal results are equal bytes and pictures share a page. */
function tidy(svg: string, name: string): string {
  const clips = new Map<string, string>();
  return svg
    .replace(/<[^>]+>/g, (tag) => tag.replace(/\d+\.\d{3,}(e-?\d+)?/g, (number) => String(Number(Number(number).toFixed(2)))))
    .replace(/plot-clip-\d+/g, (id) => {
      if (!clips.has(id)) clips.set(id, `${name}-clip-${clips.size + 1}`);
      return clips.get(id)!;
    });
}

/** Lines of at most so many letters, broken at spaces. */
function wrapped(text: string, letters: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last && last.length + word.length >= letters) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines;
}
