// Figure 7: which weights to keep. Test accuracy of lottery tickets by kept fraction, every criterion, FC on MNIST.

import { CRITERIA } from '../src/masks/criteria.js';
import type { Experiment } from './experiment.js';
import { ticketCells } from './grids.js';

export const figure7: Experiment = {
  name: 'figure-07',
  about: 'criteria: tickets of every mask criterion by kept fraction',
  minutes: { quick: 1, budget: 80, full: 600 },
  cells: (plan) =>
    ticketCells(
      plan,
      'fc',
      CRITERIA.map((criterion) => ({ criterion })),
    ),
  pictures: () => [],
  claims: () => [],
};
