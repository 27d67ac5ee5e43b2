// The paper's figures and tables, and what we add, in the order of the report.

import { earlyMasks } from './early-masks.js';
import { earlyMasksWhy } from './early-masks-why.js';
import type { Experiment } from './experiment.js';
import { figure1 } from './figure-01.js';
import { figure2, figure2b } from './figure-02.js';
import { figure5 } from './figure-05.js';
import { figure7 } from './figure-07.js';
import { figure7Control } from './figure-07-control.js';
import { figure7b } from './figure-07b.js';
import { figure8 } from './figure-08.js';
import { figure8b } from './figure-08b.js';
import { figure10 } from './figure-10.js';
import { mechanism } from './mechanism.js';
import { permutations } from './permutations.js';
import { permutationsStudy } from './permutations-study.js';
import { supermasks, supermasksControl, supermasksConv } from './supermasks.js';
import { supsup } from './supsup.js';
import { taskMatrix } from './task-matrix.js';
import { transfer } from './transfer.js';
import { unlikeTasks } from './unlike-tasks.js';
import { unusedOutputs } from './unused-outputs.js';

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
