// Lottery tickets by iterative pruning (Frankle and Carbin 2019; Zhou et al. 2019, section 2): train, prune a little of what is left,
// put the kept weights back to where they began, and again. Round 0 trains the whole network; round k trains the mask that round k - 1
// gave. What a criterion sees as wi are the weights that the round began with, so under mask-1 actions other than rewind it sees those.
//
// Biases train in every round from 0 and are never pruned. Accuracy is that after a round's last epoch, not at an early stop. The
// epochs of all rounds are numbered on, so every round visits the rows in an order of its own, and round 0 is trainDense.
//
// A round is a value: the next one follows from it, the network and the options alone, so a run that was killed goes on from its last
// stored round, and in the middle of the next from a stored epoch, and gives the same bytes.

import type { Dataset, Split } from './data.js';
import type { Engine } from './engine/engine.js';
import { actionConflict, type Mask0, type Mask1, restartBy, zeroedBy } from './masks/actions.js';
import { type Criterion, checkCriterion, checkKeptCounts, criterionMaskOf, nextKeep, type WeightScore } from './masks/criteria.js';
import { type Architecture, fullMask, type Mask, type Network, type Parameters, regenerate, ShapeError } from './network.js';
import type { Seed } from './random.js';
import { type DenseRun, trainDense } from './train.js';
import type { Progress, Resumable, TrainOptions } from './training-options.js';

/** The network whose training makes the masks: the paper's Glorot normal initialisation. */
export const ticketNetwork = (architecture: Architecture, seed: Seed): Network => ({
  ...architecture,
  distribution: 'normal',
  sigma: 'glorot',
  seed,
});

/** The same network with every weight replaced by a constant of its sign. */
export const constantTwin = (network: Network): Network => ({ ...network, distribution: 'signed-constant' });

export interface TicketOptions extends Omit<TrainOptions, 'firstEpoch' | 'onProgress'>, Resumable<DenseRun> {
  /** Rounds of pruning after the round 0 that trains the whole network. */
  readonly rounds: number;
  readonly criterion: Criterion | WeightScore;
  readonly mask0: Mask0;
  readonly mask1: Mask1;
  /** Rounds of the paper's rates that one round prunes at once; default 1. */
  readonly power?: number;
  /** Kept weights per layer after each round of pruning, in place of the paper's rates (`keepToward`). */
  readonly keep?: readonly (readonly number[])[];
  readonly onProgress?: (progress: Progress, round: number) => void;
  /** The training of a round, which goes on from there when its turn comes: its epochs are numbered over all rounds. */
  readonly begun?: DenseRun;
}

export interface TicketRound {
  readonly round: number;
  /** The weights that trained in this round. */
  readonly mask: Mask;
  /** All weights as the round began, those frozen by the mask among them. */
  readonly start: readonly Float32Array[];
  readonly final: Parameters;
  readonly valAccuracy: number;
}

/**
 * The rounds 0 .. options.rounds, each as soon as it is trained.
 * @param split rows of `data` that train and validate
 * @param last the round to go on after; absent starts at round 0
 * @throws ShapeError when there is no such criterion or action, the actions do not go together or the counts rise, and as
 * `trainDense`; all but divergence at the first round asked for
 */
export async function* tickets(
  engine: Engine,
  network: Network,
  data: Dataset,
  split: Split,
  options: TicketOptions,
  last?: TicketRound,
): AsyncGenerator<TicketRound> {
  const { epochs, begun } = options;
  checkCriterion(options.criterion);
  const conflict = actionConflict(options.mask0, options.mask1);
  if (conflict) throw new ShapeError(conflict);
  if (options.keep) checkKeptCounts(network, options.keep, options.rounds);
  const initial = regenerate(network);
  let held = last;
  for (let round = held ? held.round + 1 : 0; round <= options.rounds; round++) {
    const { mask, start } = held ? nextTicket(network, initial, held, options) : { mask: fullMask(network, true), start: initial };
    const firstEpoch = round * epochs;
    const isOfRound = begun !== undefined && begun.epoch > firstEpoch && begun.epoch <= firstEpoch + epochs;
    const { final, valAccuracy } = await trainDense(engine, network, data, split, {
      ...options,
      start,
      begun: isOfRound ? begun : undefined,
      mask: round === 0 ? undefined : mask,
      firstEpoch,
      onProgress: (progress) => options.onProgress?.(progress, round),
    });
    held = { round, mask, start, final, valAccuracy };
    yield held;
  }
}

/**
 * The mask and the start values of the round after `last`.
 * @throws ShapeError when `keep` has no counts of that round, and as `criterionMaskOf`
 */
export function nextTicket(
  network: Network,
  initial: readonly Float32Array[],
  last: Pick<TicketRound, 'round' | 'mask' | 'start' | 'final'>,
  { criterion, mask0, mask1, power, keep }: Pick<TicketOptions, 'criterion' | 'mask0' | 'mask1' | 'power' | 'keep'>,
): { mask: Uint8Array[]; start: Float32Array[] } {
  const { seed } = network;
  const counts = keep ? keep[last.round] : nextKeep(network, last.mask, power);
  if (!counts) throw new ShapeError(`keep has counts of ${keep?.length} rounds, none of round ${last.round + 1}`);
  const mask = criterionMaskOf(criterion, last.start, last.final.weights, counts, seed, last.mask);
  const start = mask.map((bits, layer) => {
    const weights = { initial: initial[layer], start: last.start[layer], final: last.final.weights[layer] };
    const at = { seed, round: last.round, layer };
    const out = restartBy(mask1, network, weights, bits, at);
    for (const i of zeroedBy(mask0, weights, last.mask[layer], bits, at)) out[i] = 0;
    return out;
  });
  return { mask, start };
}
