// What a figure shows, as plain data; plot.ts draws it. Criteria and actions look the same in every figure: a hue is an idea, a dash its
// opposite (criteria) or its sign-free form (actions), so lines stay apart in grey and for colour-blind eyes.

import type { Mask1 } from '../../src/masks/actions.js';
import type { Row } from '../cells/cell.js';
import type { FigureCriterion } from '../cells/grids.js';
import { differ, type Summary } from '../statistics.js';
import { type Point, pairs, perSeed } from './rows.js';

export interface Style {
  readonly colour: string;
  readonly dashed: boolean;
}

export interface Line extends Style {
  readonly label: string;
  readonly points: readonly Point[];
}

/** Mean lines with bands from least to greatest. */
export interface Curves {
  readonly kind: 'curves';
  /** What is across: kept fraction (log, falling), epochs before a mask is taken or while one is learned, distance moved or number of tasks (log, rising). */
  readonly across: 'kept' | 'epochs' | 'learning' | 'moved' | 'tasks';
  readonly yLabel: string;
  readonly lines: readonly Line[];
  /** Per cent shown; default all. */
  readonly range?: readonly [low: number, high: number];
  /** Where a paired test tells two lines apart. */
  readonly stars?: readonly { readonly x: number; readonly y: number }[];
}

/** Means with their spread, one above the other, and the paper's number where there is one. */
export interface Bars {
  readonly kind: 'bars';
  /** `paper` draws the paper's value; `paperText` is how the paper says it where that is less exact than one decimal. */
  readonly bars: readonly (Summary & { readonly label: string; readonly paper?: number; readonly paperText?: string })[];
}

/** Weights as points (initial, final), kept or pruned, and the region that a criterion keeps. */
export interface Plane {
  readonly points: readonly { readonly initial: number; readonly final: number; readonly kept: boolean }[];
  /** The plane reaches from -reach to reach both ways. */
  readonly reach: number;
  /** Scores over the plane, row by row from the lowest final, `size` a side, and the least score that is kept; absent for chance. */
  readonly region?: { readonly size: number; readonly scores: readonly number[]; readonly least: number };
}

/** Small planes side by side. */
export interface Panels {
  readonly kind: 'panels';
  readonly columns: number;
  readonly panels: readonly { readonly title: string; readonly plane: Plane }[];
}

/** How many values lie where, and where some other values are. */
export interface Histogram {
  readonly kind: 'histogram';
  readonly xLabel: string;
  readonly yLabel: string;
  readonly values: readonly number[];
  readonly marks: readonly { readonly label: string; readonly at: number }[];
}

/** Numbers from 0 to 1, one for every pair of a row and a column, the greater the deeper. */
export interface Matrix {
  readonly kind: 'matrix';
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly values: readonly { readonly row: string; readonly column: string; readonly value: number }[];
  readonly rowLabel: string;
  readonly columnLabel: string;
}

export type Chart = Curves | Bars | Panels | Histogram | Matrix;

const HUES = {
  blue: '#4269d0',
  red: '#e8553f',
  green: '#3ca951',
  purple: '#a463f2',
  orange: '#e09a1a',
  teal: '#2fa6a0',
  grey: '#888c94',
} as const;
export type Hue = keyof typeof HUES;

export const styled = (hue: Hue, dashed = false): Style => ({ colour: HUES[hue], dashed });

export const CRITERION_STYLE: Record<FigureCriterion, Style> = {
  random: styled('grey'),
  large_final: styled('blue'),
  small_final: styled('blue', true),
  large_init: styled('orange'),
  small_init: styled('orange', true),
  large_init_large_final: styled('purple'),
  small_init_small_final: styled('purple', true),
  magnitude_increase: styled('red'),
  movement: styled('teal'),
  large_final_same_sign: styled('green'),
  large_final_diff_sign: styled('green', true),
};

const MASK1_HUE: Record<string, Hue> = { rewind: 'blue', reinit: 'orange', redraw: 'purple', reshuffle: 'teal', constant: 'red' };

/** Sign-kept actions solid, sign-free ones dashed. */
export const mask1Style = (action: Mask1): Style => {
  const signed = action.startsWith('signed_');
  return styled(MASK1_HUE[action.replace('signed_', '')], !signed && action !== 'rewind');
};

/** Per cent around and below where all lines of tickets start, the whole network: what the best of them differ in. */
export function nearTop(lines: readonly Line[]): [low: number, high: number] {
  const top = Math.max(...lines.flatMap(({ points }) => points.map(({ max }) => max)));
  const whole = Math.min(...lines.map(({ points }) => points[points.length - 1].mean));
  const room = Math.max(4 * (top - whole), (100 - whole) / 4, 4);
  return [Math.max(0, whole - room), Math.min(100, top + room / 20)];
}

/** Where a line ends. */
export interface End {
  readonly line: Line;
  readonly mean: number;
  /** Where the line leaves a picture that does not reach down to its end. */
  readonly left?: number;
}

/** Ends of lines, the highest first; of those below the picture the last to leave it. */
export function endsOf(lines: readonly Line[], across: Curves['across'], low: number): End[] {
  const back = (line: Line) => (across === 'kept' ? line.points : [...line.points].reverse());
  return lines
    .filter(({ points }) => points.length > 0)
    .map((line) => ({ line, mean: back(line)[0].mean, left: leftAt(back(line), low) }))
    .sort((a, b) => {
      if (a.left === undefined || b.left === undefined) return b.mean - a.mean;
      return across === 'kept' ? a.left - b.left : b.left - a.left;
    });
}

/** @param points of a line, from its end back */
function leftAt(points: readonly Point[], low: number): number | undefined {
  const inside = points.findIndex(({ mean }) => mean >= low);
  if (inside === 0) return undefined;
  if (inside < 0) return points[points.length - 1].x;
  const [last, next] = [points[inside], points[inside - 1]];
  return last.x * (next.x / last.x) ** ((last.mean - low) / (last.mean - next.mean));
}

/** For captions of lines by kept fraction: what ↓ says, where some of them end below what is shown. */
export const leavingText = (lines: readonly Line[], range?: Curves['range']): string[] =>
  range && endsOf(lines, 'kept', range[0]).some(({ left }) => left !== undefined)
    ? ['↓: the weights kept where a line leaves the picture']
    : [];

/** What a chart has of each place: of many runs their mean and range. */
export function marksOf(chart: Chart): readonly Summary[] {
  switch (chart.kind) {
    case 'curves':
      return chart.lines.flatMap(({ points }) => points);
    case 'bars':
      return chart.bars;
    default:
      return [];
  }
}

/** For captions: how many seeds stand behind a mark. Where a run is under way, other marks may have other seeds, and more of them. */
export function seedsText(marks: readonly Pick<Summary, 'n'>[]): string {
  const counts = marks.map(({ n }) => n);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (most === 1) return '1 seed: no range, no test';
  return `mean and range of ${least === most ? most : `${least} to ${most}`} seeds`;
}

/** The same of lines. */
export const seedsOf = (lines: readonly Line[]): string => seedsText(lines.flatMap(({ points }) => points));

/** Stars at the x where the rows of two lines, paired by seed, differ; above the highest value of either, so that no band hides one. */
export function starsOf(
  a: ReadonlyMap<number | string, readonly Row[]>,
  b: ReadonlyMap<number | string, readonly Row[]>,
  x: string,
): { x: number; y: number }[] {
  return [...a].flatMap(([at, rows]) => {
    const [left, right] = pairs(perSeed(rows), perSeed(b.get(at) ?? []));
    return differ(left, right) ? [{ x: Number(rows[0][x]), y: Math.max(...left, ...right) }] : [];
  });
}
