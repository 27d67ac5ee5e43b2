// A control of figure 7: large_final at the paper's 55 epochs in every round, to see what a shorter round changes.

import { type Plan, ticketCells } from '../cells/grids.js';
import { epochsText, extentOf } from '../cells/scale.js';
import type { Experiment } from '../evidence/experiment.js';
import { criteriaPictures, gainClaim } from './figure-07.js';

const epochsOf = ({ scale }: Plan): number => (scale === 'quick' ? 2 : extentOf('full', 'fc').epochs);

export const figure7Control: Experiment = {
  name: 'figure-07-control',
  about: "figure-07's large_final at the paper's 55 epochs a round",
  minutes: 50,
  cells: (plan) => ticketCells(plan, 'fc', [{ criterion: 'large_final' }], epochsOf(plan)),
  pictures: (rows, plan) => criteriaPictures(rows, plan, 'fc', 'figure-07-control', epochsOf(plan)).slice(0, 1),
  claims: (rows, plan) => [gainClaim(rows, { plan, network: 'fc' }, `fc, ${epochsText(epochsOf(plan))} a round`)],
};
