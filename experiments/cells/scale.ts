// How much of the paper's definition is run. `budget` fits a two-core machine in a day and is what experiments/results holds; `full` is
// the paper's definition; `quick` proves the path in about a minute.

import type { NetworkName, Setting } from './cell.js';

export type ScaleName = 'quick' | 'budget' | 'full';

interface Extent extends Omit<Setting, 'network' | 'seed'> {
  /** Epochs of one training run. */
  readonly epochs: number;
  readonly rounds: number;
  /** Rounds of the paper's rates that one round prunes at once. */
  readonly power: number;
}

/** All of MNIST's 60,000 or CIFAR-10's 50,000 less 5,000 validation rows. */
export const ALL = { fc: { rows: 55000, validation: 5000, test: 10000 }, conv: { rows: 45000, validation: 5000, test: 10000 } };

/** The paper's epochs (its table 1, by iterations). */
const PAPER_EPOCHS: Record<NetworkName, number> = { fc: 55, conv2: 27, conv4: 34, conv6: 40 };

const QUICK = { epochs: 1, rounds: 2, power: 8 };

export function extentOf(scale: ScaleName, network: NetworkName): Extent {
  const fc = network === 'fc';
  switch (scale) {
    case 'quick':
      return fc ? { ...QUICK, rows: 3000, validation: 500, test: 1000 } : { ...QUICK, rows: 240, validation: 100, test: 100 };
    case 'budget':
      return fc
        ? { ...ALL.fc, epochs: 12, rounds: 24, power: 1 }
        : { rows: network === 'conv2' ? 10000 : 5000, validation: 1000, test: 5000, epochs: 4, rounds: 3, power: 4 };
    case 'full':
      return { ...(fc ? ALL.fc : ALL.conv), epochs: PAPER_EPOCHS[network], rounds: 24, power: 1 };
  }
}

/** "10,000 training and 5,000 test rows"; test rows are named where they are not all. */
export function rowsText(scale: ScaleName, network: NetworkName): string {
  const { rows, test } = extentOf(scale, network);
  const part = test < ALL.conv.test ? ` and ${test.toLocaleString('en')} test` : '';
  return `${rows.toLocaleString('en')} training${part} rows`;
}

/** "1 epoch", "12 epochs" */
export const epochsText = (epochs: number): string => `${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}`;

/** One line for captions: what was run. */
export function extentText(scale: ScaleName, network: NetworkName, epochs = extentOf(scale, network).epochs): string {
  const { rounds, power } = extentOf(scale, network);
  const share = power === 1 ? '' : `, each pruning ${power} of the paper's`;
  return `${network}: ${rowsText(scale, network)}, ${epochsText(epochs)} a round, ${rounds} rounds${share}`;
}

/** What is shorter than the paper's definition, or undefined where nothing is. */
export function shortened(scale: ScaleName, network: NetworkName): string | undefined {
  return scale === 'full' ? undefined : `shortened run: ${extentText(scale, network)} (the paper: ${extentText('full', network)})`;
}

/** What was run, and where it is not the paper's definition, that too. */
export const runText = (scale: ScaleName, network: NetworkName): string => shortened(scale, network) ?? extentText(scale, network);

/** Runs (seeds) by default: the paper's five; three where a run is costly. */
export const RUNS: Record<ScaleName, (network: NetworkName) => number> = {
  quick: () => 2,
  budget: (network) => (network === 'fc' ? 5 : 3),
  full: () => 5,
};

export const SCALES = Object.keys(RUNS) as ScaleName[];

/** As many tasks as can be named in order, and far more seeds than can be run. */
export const [MOST_TASKS, MOST_RUNS] = [9999, 9999];

/** 1 to n. */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

/** Tasks that share a network by default. */
export const TASKS: Record<ScaleName, number> = { quick: 3, budget: 100, full: 1000 };
