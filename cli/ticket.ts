// One-shot lottery tickets: of all masks that a criterion gives on its way down, the best one as a model file.

import { type Model, writeModel } from '../codec/index.js';
import type { Dataset, Split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { type Criterion, criterionMask, paperRates, roundsTo } from '../src/masks/criteria.js';
import { type Network, outputs } from '../src/network.js';
import type { Weights } from '../src/recipes.js';
import { constantTwin } from '../src/tickets.js';
import type { DenseResult } from '../src/train.js';
import { accuracyUnder, classNamesOf, rowsOf, taskModel } from './learn.js';

/** The most rounds of the paper's one-shot curves. */
const CURVE_ROUNDS = 24;

export interface Ticket {
  readonly model: Model;
  readonly bytes: Uint8Array;
  readonly rounds: number;
  readonly valAccuracy: number;
}

/**
 * The best one-shot mask of a criterion: kept fractions .8^p (last layer .9^p), p = 1 .. 24, chosen on validation rows with the
 * untrained weights that will stand under it. `keep` fixes that of the hidden dense layers instead.
 */
export function bestTicket(
  engine: Engine,
  network: Network,
  dense: DenseResult,
  criterion: Criterion,
  weights: Weights,
  data: { readonly train: Dataset; readonly name: string },
  parts: Split,
  keep?: number,
): Ticket {
  const untrained = weights === 'init' ? network : constantTwin(network);
  const validation = rowsOf(data.train, parts.validation);
  const classes = classNamesOf(data.train, outputs(network)).length;
  // keep = .8^p for a p that need not be whole: the last layer then keeps .9^p, and so do conv layers (of conv6 .85^p).
  const powers = keep === undefined ? Array.from({ length: CURVE_ROUNDS }, (_, i) => i + 1) : [roundsTo(keep)];
  let best: { mask: Uint8Array[]; rounds: number; valAccuracy: number } | null = null;
  for (const rounds of powers) {
    const mask = criterionMask(network, criterion, dense.initial, dense.final.weights, paperRates(network, rounds), network.seed);
    const valAccuracy = accuracyUnder(engine, untrained, { mask }, validation, classes);
    if (!best || valAccuracy > best.valAccuracy) best = { mask, rounds, valAccuracy };
  }
  const { mask, rounds, valAccuracy } = best!;
  const model = taskModel(engine, untrained, mask, data, parts.validation);
  return { model, bytes: writeModel(model), rounds, valAccuracy };
}
