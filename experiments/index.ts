// The paper's figures and tables, and what we add, in the order of the report; and the paper's figures that one of another name shows.

import type { Experiment } from './evidence/experiment.js';
import { earlyMasks } from './figures/early-masks.js';
import { earlyMasksWhy } from './figures/early-masks-why.js';
import { figure1 } from './figures/figure-01.js';
import { figure2, figure2b } from './figures/figure-02.js';
import { figure5 } from './figures/figure-05.js';
import { figure7 } from './figures/figure-07.js';
import { figure7Control } from './figures/figure-07-control.js';
import { figure7b } from './figures/figure-07b.js';
import { figure8 } from './figures/figure-08.js';
import { figure8b } from './figures/figure-08b.js';
import { figure10 } from './figures/figure-10.js';
import { mechanism } from './figures/mechanism.js';
import { permutations } from './figures/permutations.js';
import { permutationsStudy } from './figures/permutations-study.js';
import { supermasks, supermasksControl, supermasksConv } from './figures/supermasks.js';
import { supsup } from './figures/supsup.js';
import { taskMatrix } from './figures/task-matrix.js';
import { transfer } from './figures/transfer.js';
import { unlikeTasks } from './figures/unlike-tasks.js';
import { unusedOutputs } from './figures/unused-outputs.js';

export const EXPERIMENTS: readonly Experiment[] = [
  figure1,
  figure2,
  figure2b,
  figure5,
  figure7,
  figure7b,
  figure7Control,
  figure8,
  figure8b,
  figure10,
  supermasks,
  supermasksConv,
  supermasksControl,
  mechanism,
  earlyMasks,
  earlyMasksWhy,
  permutations,
  permutationsStudy,
  unlikeTasks,
  taskMatrix,
  supsup,
  unusedOutputs,
  transfer,
];

/** Names that are taken too: figures of the paper that an experiment of another name shows. */
export const SHOWN_BY: Readonly<Record<string, string>> = {
  'figure-03': figure2.name,
  'figure-06': figure5.name,
  'figure-09': figure5.name,
};
