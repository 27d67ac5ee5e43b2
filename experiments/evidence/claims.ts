// From numbers to verdicts. A claim is about a mean (is it in the acceptance band?) or about an order (is one arm above the other, seed
// by seed?). Verdicts are computed, never written down: without the cells that it needs a claim is `not run`, after a quick run, which shows
// the path, it is `not decided`. Whatever is shorter than the paper's definition says so in the note.

import type { NetworkName } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { extentOf } from '../cells/scale.js';
import { differ, PAIRS, summary } from '../statistics.js';
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
  /** Why there are no rows of it, where the plan asks for none. */
  readonly absent?: string;
  /** What one value is of; default a seed. */
  readonly each?: Unit;
}

interface About {
  readonly text: string;
  readonly paper: string;
  readonly accepted?: string;
  /** What was found out about a claim that does not hold; told there alone. */
  readonly why?: string;
}

/** An order holds if so many of the seeds show it: four of five (A15 and A16 of the acceptance bands). */
const ENOUGH = 0.8;

/** "97.7 (97.5 to 97.9, 5 seeds)" */
export function shown(values: readonly number[], digits = 1, each: Unit = 'seed'): string {
  return rangeOf(values, (value) => value.toFixed(digits), each);
}

function rangeOf(values: readonly number[], text: (value: number) => string, each: Unit, star = ''): string {
  const { mean, min, max, n } = summary(values);
  return n === 1 ? `${text(mean)} (1 ${each})` : `${text(mean)}${star} (${text(min)} to ${text(max)}, ${n} ${each}s)`;
}

/** Of pairs that differ. */
const starOf = (a: readonly number[], b: readonly number[]): string => (differ(a, b) ? ' ★' : '');
const starOfDifferences = (values: readonly number[]): string =>
  starOf(
    values,
    values.map(() => 0),
  );

/** One number that was measured, and the band its mean has to lie in. */
export interface Band {
  readonly name?: string;
  /** Per cent by seed, or differences in points. */
  readonly values: readonly number[];
  readonly low: number;
  readonly high: number;
  /** Whether values are differences, shown with their sign. */
  readonly signed?: boolean;
  /** What every single value has to lie in, where that is asked for. */
  readonly each?: readonly [low: number, high: number];
}

/** A claim about means: every one of them in its band, and about orders beside them. */
export function inBands(scope: Scope, about: About, bands: readonly Band[], also: readonly Order[] = []): Claim {
  if (bands.some(({ values }) => values.length === 0) || also.some((order) => differences(order).length === 0)) return notRun(about, scope);
  const outside = bands.map(bandMissed);
  const numbers = (band: Band) =>
    band.signed
      ? rangeOf(band.values, points, scope.each ?? 'seed', starOfDifferences(band.values))
      : shown(band.values, digitsOf(band), scope.each);
  const evidence = bands.map((band) => `${band.name ? `${band.name} ` : ''}${numbers(band)}`);
  const missed = [...outside.flat(), ...also.flatMap(orderMissed)];
  const inside = outside.map((misses) => misses.length === 0);
  const seeds = Math.min(...bands.map(({ values }) => values.length), ...also.map((order) => differences(order).length));
  const accepted = [...new Set([...bands.map(bandText), ...also.flatMap(slackText)])].join('; ');
  const told = accepted && !about.accepted ? { ...about, accepted } : about;
  return judged(scope, told, seeds, [...evidence, ...also.map(orderText)], [...inside, ...also.map(orderHolds)], missed);
}

/** "initial weights 19 to 29" */
function bandText({ name, low, high, each }: Band): string {
  return `${name ? `${name} ` : ''}${rangeText(low, high)}${each ? `, each ${rangeText(...each)}` : ''}`;
}

/** Of per cent, where one edge may be no bound at all. */
function rangeText(low: number, high: number): string {
  const [a, b] = [low, high].map((edge) => Number(edge.toFixed(2)));
  return a === 0 || a <= -100 ? `at most ${b}` : b === 100 ? `at least ${a}` : `${a} to ${b}`;
}

/** What an order asks beyond being one in four of five seeds. */
const slackText = ({ slack, every }: Order): string[] => [
  ...(slack ? [`at most ${slack.toFixed(2)} points below, one standard error on the test rows`] : []),
  ...(every ? ['above in every seed'] : []),
];

/** Binomial standard error of an accuracy on the test rows of a scale, both in per cent: how far below still counts as not below. */
export const oneError = (accuracy: number, { plan, network }: Scope): number =>
  Math.sqrt((accuracy * (100 - accuracy)) / extentOf(plan.scale, network).test);

/** The same of the mean of seeds. */
export const oneErrorOf = (arm: ReadonlyMap<number, number>, scope: Scope): number =>
  arm.size > 0 ? oneError(summary([...arm.values()]).mean, scope) : 0;

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
  orderHolds(order) ? [] : [`not in ${order.every ? 'every seed' : 'enough of the seeds'}: ${order.name}`];

/** "a over b: +0.38 points ★ (+0.20 to +0.51), 3 of 3 seeds": the star stands at the difference, which may be the other way. */
export function orderText(order: Order): string {
  const found = differences(order);
  const { mean, min, max } = summary(found);
  const star = starOf(...pairs(order.over, order.under));
  const range = found.length > 1 ? ` (${points(min)} to ${points(max)})` : '';
  const within = order.slack ? `at most ${order.slack.toFixed(2)} below in ` : '';
  const detail = order.detail ? `, ${order.detail}` : '';
  return `${order.name}: ${points(mean)} points${star}${range}, ${within}${seedsThatHold(order)} of ${found.length} seeds${detail}`;
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
    ...(!scope.each && { seeds }),
    ours: evidence.join('; '),
    verdict: quick ? 'not decided' : verdict,
    ...(notes.length > 0 ? { note: notes.join('; ') } : {}),
  };
}

/** Whether fewer seeds stand behind it than a test takes. */
export const isOfFew = ({ seeds = PAIRS }: Claim): boolean => seeds < PAIRS;

export const notRun = ({ text, paper }: About, { network, absent }: Scope): Claim => ({
  text,
  paper,
  ours: '',
  verdict: 'not run',
  note: absent ?? `needs cells of ${network} that are not there`,
});

/** @param note what is lacking in the cells that were run */
export const undecided = ({ text, paper }: About, note: string): Claim => ({ text, paper, ours: '', verdict: 'not decided', note });
