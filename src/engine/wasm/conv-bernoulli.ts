// Bernoulli masks of networks with convolutions and pools: the training core of conv-training.ts, whose weights are drawn by the
// kernels of assembly/rows.ts. A step moves the scores and draws the next mask at once; how many weights it kept decides the form in
// which each layer runs until the next.

import { type Network, nonzero } from '../../network.js';
import { checkScores, pushOf } from '../checks.js';
import { DRAWS } from '../draws.js';
import type { BernoulliTrainer, Scores, TrainingSet } from '../engine.js';
import { core } from './conv-training.js';
import { FIELDS, type Rule, rescalingBytes, writeRule } from './layers.js';
import type { Machine, Operation } from './machine.js';
import { constantsOf } from './regenerate.js';

/** Bytes a thread needs to draw (assembly/rows.ts). */
const SCRATCH = 18432;

export function createConvBernoulliTrainer(
  machine: Machine,
  network: Network,
  data: TrainingSet,
  start: Scores,
  rescale: boolean,
  batch: number,
): BernoulliTrainer {
  checkScores(network, start);
  const regenerated = constantsOf(machine, network);
  const density = (i: number): number => {
    const { rescaling, weights } = layers[i];
    let kept = 0;
    for (let t = 1; t <= machine.threads; t++) kept += machine.u32(rescaling + 64 * t, 1)[0];
    return kept / (weights.units * weights.fanIn);
  };
  const { own, standing, layers: bare, gradients, read, write, ...shared } = core(machine, network, data, batch, false, density);
  const scratch = own.bytes(machine.threads * SCRATCH);
  const layers = bare.map((layer, i) => {
    const { weights, value } = layer;
    const [score, velocity, constants, probability] = Array.from({ length: 4 }, () => own.bytes(weights.count * 4));
    const rescaling = own.bytes(rescalingBytes(machine));
    machine.f32(rescaling, 1)[0] = 1;
    const at = own.bytes(FIELDS.length * 4);
    const { fanIn, units } = weights;
    const fields: Record<string, number> = { fanIn, units, w: value, score, velocity, constants, probability, rescaling };
    machine.u32(at, FIELDS.length).set(FIELDS.map((name) => fields[name] ?? 0));
    write(start.scores[i], score, weights);
    if (start.velocities) write(start.velocities[i], velocity, weights);
    write(regenerated[i], constants, weights);
    return { ...layer, at, score, velocity, rescaling, rule: own.bytes(64) };
  });

  /** Draws a mask, after a step of the scores if the rule has a rate. */
  function draw(rule: Omit<Rule, 'kind'>): void {
    const steps = layers.map(({ at, rule: to, gradient, weights }, i): Operation => {
      writeRule(machine, to, { kind: 'bernoulli', ...rule }, network.seed, DRAWS + i);
      return ['stepRows', at, to, rule.rate === undefined ? 0 : gradient, weights.pitch, weights.channels, scratch];
    });
    const rescaling = layers.map(({ at, weights }): Operation => ['rescaleRows', at, weights.pitch, bytesOf(weights)]);
    machine.run([...steps, ['meet'], ...(rescale ? [...rescaling, ['meet'] as const] : [])]);
  }

  draw({ draw: 0 });
  return {
    ...shared,
    gradients(rows) {
      const loss = gradients(rows);
      if (rescale)
        machine.run([
          ...layers.map(({ at, shape, out, dOut }, i): Operation => ['eulerOfRows', at, shape, rows.length, out.at, dOut.at, i]),
          ['meet'],
        ]);
      return loss;
    },
    step(options, number) {
      const { learningRate, momentum } = options;
      const push = pushOf(network, options);
      standing.use();
      draw({ rate: learningRate, momentum, push, draw: number });
    },
    draw(number) {
      standing.usedUp();
      draw({ draw: number });
    },
    scores: () => layers.map(({ score, weights }) => read(score, weights)),
    velocities: () => layers.map(({ velocity, weights }) => read(velocity, weights)),
    mask: () => layers.map(({ value, weights }) => nonzero(read(value, weights))),
    free: () => own.free(),
  };
}

/** Bytes of a row of weights without what follows it. */
const bytesOf = ({ fanIn, channels, padded }: { fanIn: number; channels: number; padded: number }): number =>
  (fanIn / channels) * padded * 4;
