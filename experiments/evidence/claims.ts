// From numbers to verdicts. A claim is about a mean (is it in the acceptance band?) or about an order (is one arm above the other, seed
// by seed?). Verdicts are computed, never written down: too few rows give `not run`, and so does a quick run, which shows the path and
// decides nothing. Whatever is shorter than the paper's definition says so in the note.

import type { NetworkName } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { differ, summary } from '../statistics.js';
import type { Claim, Verdict } from './experiment.js';
import { pairs } from './rows.js';

/** What means and ranges are over. */
export type Unit = 'seed' | 'task';

/** What was run: decides the note. */
export interface Scope {
  readonly plan: Plan;
  readonly network: NetworkName;
  /** How it was shortened at a scale, or undefined where it is the paper's definition. */
  readonly shortened?: string;
  /** What one value is of; default a seed. */
  readonly each?: Unit;
}

interface About {
  readonly text: string;
  readonly paper: string;
  /** What was found out about a claim that does not hold; told there alone. */
  readonly why?: string;
}

/** An order holds if so many of the seeds show it: four of five (A15 and A16 of the acceptance bands). */
const ENOUGH = 0.8;

/** "97.7 (97.5 to 97.9, 5 seeds)" */
export function shown(values: readonly number[], digits = 1, each: Unit = 'seed'): string {
  const { mean, min, max, n } = summary(values);
  const f = (v: number) => v.toFixed(digits);
  return n === 1 ? `${f(mean)} (1 ${each})` : `${f(mean)} (${f(min)} to ${f(max)}, ${n} ${each}s)`;
}

/** One number that was measured, and the band its mean has to lie in. */
export interface Band {
  readonly name?: string;
  /** Per cent by seed. */
  readonly values: readonly number[];
  readonly low: number;
  readonly high: number;
  /** What every single value has to lie in, where that is asked for. */
  readonly each?: readonly [low: number, high: number];
}

/** A claim about means: every one of them in its band, and about orders beside them. */
export function inBands(scope: Scope, about: About, bands: readonly Band[], also: readonly Order[] = []): Claim {
  if (bands.some(({ values }) => values.length === 0) || also.some((order) => differences(order).length === 0)) return notRun(about, scope);
  const outside = bands.map(bandMissed);
  const evidence = bands.map((band) => `${band.name ? `${band.name} ` : ''}${shown(band.values, digitsOf(band), scope.each)}`);
  const missed = [...outside.flat(), ...also.flatMap(orderMissed)];
  const inside = outside.map((misses) => misses.length === 0);
  const seeds = Math.min(...bands.map(({ values }) => values.length), ...also.map((order) => differences(order).length));
  return judged(scope, about, seeds, [...evidence, ...also.map(orderText)], [...inside, ...also.map(orderHolds)], missed);
}

/** So many that a mean beside an edge of its band does not look as if it lay on it. */
const digitsOf = ({ values, low, high }: Band): number =>
  [low, high].some((edge) => summary(values).mean.toFixed(1) === edge.toFixed(1)) ? 2 : 1;

/** What lies outside a band: the mean, single values, both or nothing. */
function bandMissed({ name, values, low, high, each }: Band): string[] {
  const { mean, min, max } = summary(values);
  const named = name ? `${name} ` : '';
  return [
    ...(mean >= low && mean <= high ? [] : [`${named}outside ${low} to ${high}`]),
    ...(!each || (min >= each[0] && max <= each[1]) ? [] : [`${named}not each within ${each[0]} to ${each[1]}`]),
  ];
}

/** One comparison: `over` is above `under`, by seed. */
export interface Order {
  readonly name: string;
  readonly over: ReadonlyMap<number, number>;
  readonly under: ReadonlyMap<number, number>;
  /** How far below a seed may fall and still count: 0 unless told. */
  readonly slack?: number;
  /** Every seed has to show it, not four of five. */
  readonly every?: boolean;
  /** What else there is to say about it. */
  readonly detail?: string;
}

/** A claim about orders: each in at least four of five seeds. */
export const inOrder = (scope: Scope, about: About, orders: readonly Order[]): Claim => inBands(scope, about, [], orders);

function differences({ over, under }: Order): number[] {
  const [a, b] = pairs(over, under);
  return a.map((value, i) => value - b[i]);
}

const seedsThatHold = (order: Order): number => differences(order).filter((d) => (order.slack ? d >= -order.slack : d > 0)).length;

/** Whether enough of the seeds show it. */
export const orderHolds = (order: Order): boolean => seedsThatHold(order) >= (order.every ? 1 : ENOUGH) * differences(order).length;

/** Which order it is that too few of the seeds show, or nothing. */
export const orderMissed = (order: Order): string[] =>
  orderHolds(order) ? [] : [`not in ${order.every ? 'every seed' : 'four of five seeds'}: ${order.name}`];

/** "a over b: +0.38 points (+0.20 to +0.51), 3 of 3 seeds ★" */
export function orderText(order: Order): string {
  const found = differences(order);
  const { mean, min, max } = summary(found);
  const range = found.length > 1 ? ` (${points(min)} to ${points(max)})` : '';
  const star = differ(...pairs(order.over, order.under)) ? ' ★' : '';
  const within = order.slack ? ` (${order.slack.toFixed(2)} below still counts)` : '';
  return `${order.name}: ${points(mean)} points${range}, ${seedsThatHold(order)} of ${found.length} seeds${within}${star}${order.detail ? `, ${order.detail}` : ''}`;
}

/** A difference in points with its sign: "+0.38". */
export const points = (difference: number): string => `${difference < 0 ? '−' : '+'}${Math.abs(difference).toFixed(2)}`;

/**
 * The verdict of checks: all, some or none of them.
 * @param seeds how many stand behind the evidence; fewer than planned are named
 * @param missed what each check that fails has missed
 */
export function judged(
  scope: Scope,
  { why, ...about }: About,
  seeds: number,
  evidence: readonly string[],
  checks: readonly boolean[],
  missed: readonly string[],
): Claim {
  const right = checks.filter(Boolean).length;
  const verdict: Verdict = right === checks.length ? 'holds' : right > 0 ? 'partly' : 'fails';
  const quick = scope.plan.scale === 'quick';
  const planned = scope.plan.runs(scope.network);
  const notes = [
    ...(quick ? ['a quick run shows the path and decides nothing'] : missed),
    ...(seeds < planned ? [`${seeds} of ${planned} ${scope.each ?? 'seed'}s so far`] : []),
    ...(scope.shortened ? [scope.shortened] : []),
    ...(why && verdict !== 'holds' && !quick ? [why] : []),
  ];
  return {
    ...about,
    ours: evidence.join('; '),
    verdict: quick ? 'not run' : verdict,
    ...(notes.length > 0 ? { note: notes.join('; ') } : {}),
  };
}

export const notRun = ({ text, paper }: About, { network }: Scope): Claim => ({
  text,
  paper,
  ours: '',
  verdict: 'not run',
  note: `needs cells of ${network} that are not there`,
});
