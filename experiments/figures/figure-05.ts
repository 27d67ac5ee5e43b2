// Figures 5, 6 and 9: every criterion as the region of the plane (initial weight, final weight) that it keeps, with weights of our own
// training on it. The region is drawn by scoring a raster of the plane among those weights, by the same code that makes masks.

import { type Criterion, criterionScores, keepHighest, paperRates } from '../../src/masks/criteria.js';
import { kept } from '../../src/network.js';
import { parseSeed } from '../../src/random.js';
import { ticketNetwork } from '../../src/tickets.js';
import { ARCHITECTURES, type Row } from '../cells/cell.js';
import { FIGURE_CRITERIA, lastAge, planeCells } from '../cells/grids.js';
import type { Plane } from '../evidence/chart.js';
import type { Experiment } from '../evidence/experiment.js';
import { numbers, where } from '../evidence/rows.js';

/** The second layer: the first has weights of pixels that are always black, which never move. */
const LAYER = 1;
/** Rounds of the paper's rates: 32.8 % of a hidden layer are kept. */
const POWER = 5;
const KEPT = paperRates(ticketNetwork(ARCHITECTURES.fc, parseSeed(0)), POWER)[LAYER];
const SIDE = 72;
const SHOWN = 500;

function planeOf(criterion: Criterion, initial: Float32Array, final: Float32Array, fraction: number, reach: number): Plane {
  const n = initial.length;
  const at = (i: number) => reach * ((2 * (i + 0.5)) / SIDE - 1);
  const raster = Array.from({ length: SIDE * SIDE }, (_, i) => ({ x: at(i % SIDE), y: at(Math.floor(i / SIDE)) }));
  const both = (weights: Float32Array, axis: 'x' | 'y') => Float32Array.from([...weights, ...raster.map((point) => point[axis])]);
  const among = new Uint8Array(Math.ceil((n + raster.length) / 8));
  for (let i = 0; i < n; i++) among[i >> 3] |= 1 << (i & 7);
  const seed = parseSeed(0);
  const scores = criterionScores(criterion, both(initial, 'x'), both(final, 'y'), seed, LAYER, among);
  const mask = keepHighest(scores, Math.round(n * fraction), seed, LAYER, among);
  const chosen = [...scores.subarray(0, n)].filter((_, i) => kept(mask, i) === 1);
  // At zero the criteria of signs draw lots: what they keep by score is above.
  const least = Math.min(...chosen.filter((score) => score !== 0));
  return {
    reach,
    points: Array.from(initial.subarray(0, SHOWN), (weight, i) => ({ initial: weight, final: final[i], kept: kept(mask, i) === 1 })),
    region: criterion === 'random' ? undefined : { size: SIDE, scores: [...scores.subarray(n)], least },
  };
}

function planes(rows: readonly Row[]): { title: Criterion; plane: Plane }[] {
  const own = where(rows, { layer: LAYER });
  const [initial, final] = ['initial', 'final'].map((column) => Float32Array.from(numbers(own, column)));
  const reach = 1.02 * [...initial, ...final].map(Math.abs).sort((a, b) => a - b)[Math.floor(2 * initial.length * 0.995)];
  return FIGURE_CRITERIA.map((title) => ({ title, plane: planeOf(title, initial, final, KEPT, reach) }));
}

export const figure5: Experiment = {
  name: 'figure-05',
  about: 'figures 5, 6 and 9: criteria as regions of the (initial, final) plane, with our weights on it',
  minutes: 1,
  cells: planeCells,
  pictures: (rows, { scale }) => [
    {
      name: 'figure-05',
      title: 'What the criteria keep, in the plane of initial and final weights',
      caption: `${SHOWN} weights, drawn, of the second layer of fc after ${lastAge(scale)} epochs, seed 0. Blue: kept at ${(100 * KEPT).toFixed(1)} %; the shaded region is what a criterion keeps at that level (none of random; at a score of zero the criteria of signs draw lots). Dashed: weights that did not move.`,
      chart: { kind: 'panels', columns: 3, panels: planes(rows) },
    },
  ],
  claims: () => [],
};
