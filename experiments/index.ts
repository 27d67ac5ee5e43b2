// The paper's figures and tables, and what we add, in the order of the report.

import type { Experiment } from './experiment.js';
import { figure7 } from './figure-07.js';

export const EXPERIMENTS: readonly Experiment[] = [figure7];
