// What ages a mask? Masks taken late in training make worse supermasks than masks taken early (experiment early-masks). A probe takes one
// criterion's masks of several ages and evaluates each under weights and masks put together in ways that undo one cause at a time:
//
//   init               the initial weights: the supermask itself
//   init_final_signs   initial magnitudes with the signs of training: undoes flipped signs
//   final_init_signs   trained magnitudes with the initial signs: undoes lost magnitudes
//   constant           signed constants: undoes differences of magnitude, initial signs
//   final_signs        signed constants with the signs of training
//   final              trained weights without biases: undoes everything but the biases
//   trained            trained weights and biases
//   init_centred       the initial weights with fitted class offsets: undoes a lost bias of the last layer
//   young_N            the initial weights, layer N under the youngest mask of the same level: undoes the age of one layer
//
// Every row also says how far training had gone: `movement` is |wf - wi| / |wi| over all weights, and of the kept weights `flipped` is
// the fraction whose sign training changed, `magnitude` the mean |wi| over that of all weights, averaged over layers.

import { criterionMask, paperRates } from '../../src/masks/criteria.js';
import { density, kept, type Mask, maskedWeights, type Parameters, regenerate } from '../../src/network.js';
import { constantTwin } from '../../src/tickets.js';
import type { ProbeCell, Row } from './cell.js';
import { advance, type Bench, type Lab, type Score, trainedAt } from './lab.js';

type Layers = readonly Float32Array[];

export async function probeRows(cell: ProbeCell, lab: Lab, bench: Bench): Promise<Row[]> {
  const { network } = bench;
  const { criterion, learningRate, ages, powers } = cell;
  const initial = regenerate(network);
  const twin = constantTwin(network);
  const constants = regenerate(twin);
  const trained = await trainedAt(lab, cell, bench, ages, { part: 0.3, learningRate });
  const rows: Row[] = [];
  const maskOf = ({ weights }: Parameters, power: number) =>
    criterionMask(network, criterion, initial, weights, paperRates(network, power), network.seed);
  for (const power of powers) {
    const young = maskOf(trained[0], power);
    for (const [at, parameters] of trained.entries()) {
      const final = parameters.weights;
      const mask = maskOf(parameters, power);
      const under = (weights: Layers) => bench.score(network, { parameters: { weights: maskedWeights(weights, mask), biases: null } });
      const scores: Record<string, Score> = {
        init: bench.score(network, { mask }),
        init_final_signs: under(signed(initial, final)),
        final_init_signs: under(signed(final, initial)),
        constant: bench.score(twin, { mask }),
        final_signs: under(signed(constants, final)),
        final: under(final),
        trained: bench.score(network, { parameters: { weights: maskedWeights(final, mask), biases: parameters.biases } }),
        init_centred: bench.score(network, { mask }, true),
      };
      mask.forEach((_, layer) => {
        scores[`young_${layer + 1}`] = bench.score(network, { mask: mask.map((bits, l) => (l === layer ? young[l] : bits)) });
      });
      const about = { network: cell.network, seed: cell.seed, criterion, learningRate, age: ages[at], power };
      const state = { kept: density(network, mask), ...measures(initial, final, mask) };
      for (const [weights, score] of Object.entries(scores)) rows.push({ ...about, ...state, weights, ...score });
      await advance(lab, 0.3 + (0.7 * (rows.length / Object.keys(scores).length)) / (powers.length * ages.length));
    }
  }
  return rows;
}

/** The magnitudes of one with the signs of another. */
const signed = (magnitudes: Layers, signs: Layers): Float32Array[] =>
  magnitudes.map((layer, l) => layer.map((w, i) => Math.abs(w) * Math.sign(signs[l][i])));

function measures(initial: Layers, final: Layers, mask: Mask): { movement: number; flipped: number; magnitude: number } {
  let [moved, size, flips, count, share] = [0, 0, 0, 0, 0];
  initial.forEach((layer, l) => {
    let [all, held, keeps] = [0, 0, 0];
    layer.forEach((wi, i) => {
      const wf = final[l][i];
      moved += (wf - wi) ** 2;
      size += wi ** 2;
      all += Math.abs(wi);
      if (!kept(mask[l], i)) return;
      keeps++;
      held += Math.abs(wi);
      if (wi * wf < 0) flips++;
    });
    count += keeps;
    share += held / keeps / (all / layer.length) / initial.length;
  });
  return { movement: Math.sqrt(moved / size), flipped: flips / count, magnitude: share };
}
