// Figure 7, right half: the same criteria in Conv4 on CIFAR-10.

import type { Experiment } from '../evidence/experiment.js';
import { criteriaCells, criteriaClaims, criteriaPictures } from './figure-07.js';

export const figure7b: Experiment = {
  name: 'figure-07b',
  about: 'criteria: the same, conv4',
  minutes: 400,
  cells: (plan) => criteriaCells(plan, 'conv4'),
  pictures: (rows, plan) => criteriaPictures(rows, plan, 'conv4', 'figure-07b'),
  claims: (rows, plan) => criteriaClaims(rows, plan, 'conv4'),
};
