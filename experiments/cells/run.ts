// From a cell to its rows. Everything random comes from the cell's seed, so the rows are the same on any machine.

import { criterionMask, paperRates } from '../../src/masks/criteria.js';
import { spread } from '../../src/masks/topk.js';
import { density, fullMask, kept, type Mask, regenerate, weighted } from '../../src/network.js';
import { DOMAIN, parseSeed, permutation } from '../../src/random.js';
import { bernoulliTraining, paperTraining, topkTraining } from '../../src/recipes.js';
import { constantTwin, type TicketOptions, type TicketRound, tickets } from '../../src/tickets.js';
import { trainBernoulli, trainTopk } from '../../src/train.js';
import { summary } from '../statistics.js';
import { archiveRows } from './archive.js';
import { type Cell, type CurveCell, type LearnedCell, nameOf, type PlaneCell, type Row, type TicketCell, underWayOf } from './cell.js';
import { advance, type Begun, type Bench, benchOf, type Lab, progressOf, trainedAt } from './lab.js';
import { matrixRows } from './matrix.js';
import { probeRows } from './probe.js';
import { taskRows } from './task.js';

export async function runCell(cell: Cell, lab: Lab): Promise<Row[]> {
  if (cell.kind === 'task') return taskRows(cell, lab);
  if (cell.kind === 'matrix') return matrixRows(cell, lab);
  const bench = benchOf(lab, cell);
  switch (cell.kind) {
    case 'ticket':
      return ticketRows(cell, lab, bench);
    case 'curve':
      return curveRows(cell, lab, bench);
    case 'learned':
      return learnedRows(cell, lab, bench);
    case 'plane':
      return planeRows(cell, lab, bench);
    case 'archive':
      return archiveRows(cell, lab, bench);
    case 'probe':
      return probeRows(cell, lab, bench);
  }
}

/**
 * Rows a round; `towardZero` is, of the weights pruned just then, the fraction that the round before had moved toward zero. Every round
 * goes to the shelf, with the training of the next beside it, and a cell that was stopped goes on from there.
 */
async function ticketRows(cell: TicketCell, lab: Lab, bench: Bench): Promise<Row[]> {
  const { network } = bench;
  const { criterion, mask0, mask1, seed, rounds } = cell;
  const name = nameOf(cell);
  const about = { network: cell.network, criterion, mask0, mask1, seed };
  const whole = async (): Promise<Begun> => {
    const [final] = await trainedAt(lab, cell, bench, [cell.epochs], { part: 1 / (rounds + 1) });
    const last: TicketRound = { round: 0, mask: fullMask(network, true), start: regenerate(network), final, valAccuracy: 0 };
    return { last, rows: [{ ...about, round: 0, kept: 1, ...bench.score(network, { parameters: final }) }] };
  };
  let begun = lab.shelf.begun(name, network) ?? (await whole());
  const options: TicketOptions = {
    ...paperTraining(network),
    ...cell,
    signal: lab.signal,
    onProgress: ({ step, steps }, round) => lab.progress((round + step / steps) / (rounds + 1)),
    ...lab.shelf.weights(underWayOf(cell), network),
  };
  for await (const last of tickets(lab.engine, network, bench.train, bench.parts, options, begun.last)) {
    const score = bench.score(network, { parameters: last.final });
    const shrunk = towardZero(begun.last, last.mask);
    const row = { ...about, round: last.round, kept: density(network, last.mask), ...score, towardZero: shrunk };
    begun = { last, rows: [...begun.rows, row] };
    lab.shelf.putBegun(name, network, begun);
  }
  lab.shelf.drop(underWayOf(cell));
  return [...begun.rows];
}

/** Of the weights that `after` prunes and the round kept: the fraction that ended nearer to zero than they began; 0 of none. */
function towardZero({ mask, start, final }: Pick<TicketRound, 'mask' | 'start' | 'final'>, after: Mask): number {
  let [pruned, nearer] = [0, 0];
  start.forEach((layer, l) => {
    layer.forEach((value, i) => {
      if (kept(mask[l], i) === 0 || kept(after[l], i) === 1) return;
      pruned++;
      if (Math.abs(final.weights[l][i]) < Math.abs(value)) nearer++;
    });
  });
  return pruned === 0 ? 0 : nearer / pruned;
}

/** Rows for every age x criterion x level x kind of weights, and the two without a mask: untrained (age 0) and trained. */
async function curveRows(cell: CurveCell, lab: Lab, bench: Bench): Promise<Row[]> {
  const { network } = bench;
  const initial = regenerate(network);
  const full = fullMask(network, true);
  const kinds = [
    { weights: 'init', under: network },
    { weights: 'constant', under: constantTwin(network) },
  ] as const;
  const about = { network: cell.network, seed: cell.seed };
  const trained = await trainedAt(lab, cell, bench, cell.ages, { part: 0.3 });
  const rows: Row[] = kinds.map(({ weights, under }) => ({
    ...about,
    age: 0,
    criterion: 'none',
    weights,
    power: 0,
    kept: 1,
    ...bench.score(under, { mask: full }),
  }));
  const total = cell.ages.length * cell.criteria.length * cell.powers.length;
  let done = 0;
  for (const [at, parameters] of trained.entries()) {
    const age = cell.ages[at];
    rows.push({ ...about, age, criterion: 'none', weights: 'trained', power: 0, kept: 1, ...bench.score(network, { parameters }) });
    for (const criterion of cell.criteria) {
      for (const power of cell.powers) {
        const mask = criterionMask(network, criterion, initial, parameters.weights, paperRates(network, power), network.seed);
        const shrunk = towardZero({ mask: full, start: initial, final: parameters }, mask);
        for (const { weights, under } of kinds) {
          const score = bench.score(under, { mask });
          rows.push({ ...about, age, criterion, weights, power, kept: density(network, mask), ...score, towardZero: shrunk });
        }
        await advance(lab, 0.3 + (0.7 * ++done) / total);
      }
    }
  }
  return rows;
}

/** One row: the definite mask, and of bernoulli the ten drawn masks whose mean the paper reports. */
async function learnedRows(cell: LearnedCell, lab: Lab, bench: Bench): Promise<Row[]> {
  const { method, weights, rescale, epochs, learningRate } = cell;
  const network = weights === 'init' ? bench.network : constantTwin(bench.network);
  const options = { epochs, learningRate, signal: lab.signal, onProgress: progressOf(lab), ...lab.shelf.masks(nameOf(cell), network) };
  const about = { network: cell.network, seed: cell.seed, method, weights, rescale: rescale ? 'yes' : 'no', learningRate, epochs };
  const densities = spread(cell.density, weighted(network).length);
  const { train, parts } = bench;
  const learned =
    method === 'bernoulli'
      ? await trainBernoulli(lab.engine, network, train, parts, { ...bernoulliTraining(network), ...options, rescale })
      : {
          ...(await trainTopk(lab.engine, network, train, parts, { ...topkTraining(network), ...options, density: densities })),
          drawn: [],
        };
  const row = { ...about, epoch: learned.epoch, kept: density(network, learned.mask), ...bench.score(network, { mask: learned.mask }) };
  if (learned.drawn.length === 0) return [row];
  const drawn = learned.drawn.map((mask) => bench.score(network, { mask }));
  const test = summary(drawn.map((s) => s.testAccuracy));
  return [
    {
      ...row,
      drawnValAccuracy: summary(drawn.map((s) => s.valAccuracy)).mean,
      drawnTestAccuracy: test.mean,
      drawnTestMin: test.min,
      drawnTestMax: test.max,
    },
  ];
}

/** DOMAIN.sampling from this stream on: which weights a plane shows, a layer each. */
const SHOWN_WEIGHTS = 0x30000;

/** Rows of sampled weights: drawn, as those at even distances would belong to few inputs of a layer. */
async function planeRows(cell: PlaneCell, lab: Lab, bench: Bench): Promise<Row[]> {
  const [{ weights }] = await trainedAt(lab, cell, bench, [cell.epochs]);
  return regenerate(bench.network).flatMap((layer, l) => {
    const drawn = permutation(layer.length, parseSeed(cell.seed), DOMAIN.sampling, SHOWN_WEIGHTS + l).subarray(0, cell.points);
    const about = { network: cell.network, seed: cell.seed, layer: l };
    return Array.from(drawn, (index): Row => ({ ...about, index, initial: layer[index], final: weights[l][index] }));
  });
}
