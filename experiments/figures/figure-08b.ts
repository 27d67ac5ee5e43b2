// Figure 8, right half: the same restarts in Conv4 on CIFAR-10.

import type { Experiment } from '../evidence/experiment.js';
import { signsCells, signsClaims, signsPictures } from './figure-08.js';

export const figure8b: Experiment = {
  name: 'figure-08b',
  about: 'mask-1 actions and signs: the same, conv4',
  minutes: 360,
  cells: (plan) => signsCells(plan, 'conv4'),
  pictures: (rows, plan) => signsPictures(rows, plan, 'conv4', 'figure-08b'),
  claims: (rows, plan) => signsClaims(rows, plan, 'conv4'),
};
