// Free bits: weights that change no output on any input. A writer may keep or prune them, and takes what is cheaper.
//
//   an input declared constant is 0, and so is a unit that keeps no weight on a living input, or, above a relu and with a relu of its
//   own, only negative ones: every weight that reads it is free
//   a unit that no kept weight of the next layer reads: its own weights are free
//
// They are cleared from the input up, then from the output down: what dies frees what reads it, what is not read frees what it reads,
// and a second time finds nothing. Pruned is the cheaper value wherever masks keep few weights, as the context model expects it beside
// others; a mask that keeps nearly everything pays for each hole. So both masks are written, and the smaller one stays.

import { hasRelu, inputs, kept, type Mask, type Network, regenerate, weighted } from '../src/network.js';
import { encodePayload } from './encode.js';
import type { Transform } from './header.js';
import { checkTaskMask } from './networks.js';
import { SCHEME_NAMES, type SchemeName } from './schemes.js';
import { surroundingsOf, type Task } from './tasks.js';

/**
 * The task with its free bits at the value that takes fewer bytes: the same integers and, on finite inputs, the same floats come out,
 * bit for bit. With fewer weights kept a network may become an integer program that was none. A second call changes nothing.
 * @param schemes those that the task may be written in
 * @throws SeedmaskError bad-task when it has the mask of another network
 */
export function settleFreeBits(network: Network, task: Task, schemes: readonly SchemeName[] = SCHEME_NAMES): Task {
  checkTaskMask(network, task.mask, 'the mask');
  const mask = clearFreeBits(network, task.mask, task.transform);
  const around = surroundingsOf(network, task);
  const bytes = (bits: Mask): number => encodePayload(around, bits, schemes).length;
  return bytes(mask) <= bytes(task.mask) ? { ...task, mask } : task;
}

/** The mask without its free bits. */
export function clearFreeBits(network: Network, mask: Mask, transform: Transform): Uint8Array[] {
  const layers = weighted(network);
  const weights = regenerate(network);
  const cleared = mask.map((bits) => bits.slice());
  /** By channel: feature i of an input is of channel i mod its length. */
  let alive = livingInputs(network, transform);
  let positive = false;
  layers.forEach(({ layer, fanIn, input, output }, l) => {
    const bits = cleared[l];
    const sources = layer.kind === 'dense' && alive.length === fanIn ? alive : byChannel(alive, input[2]);
    const relu = hasRelu(layer);
    alive = Uint8Array.from({ length: output[2] }, (_, unit) => {
      let [some, above] = [false, false];
      for (let i = 0, at = unit * fanIn; i < fanIn; i++, at++) {
        if (!kept(bits, at)) continue;
        if (!sources[i % sources.length]) prune(bits, at);
        else {
          some = true;
          above ||= weights[l][at] > 0;
        }
      }
      if (some && (above || !positive || !relu)) return 1;
      for (let at = unit * fanIn; at < (unit + 1) * fanIn; at++) prune(bits, at);
      return 0;
    });
    positive = relu;
  });
  let read = alive.fill(1);
  for (let l = layers.length - 1; l > 0; l--) {
    const { fanIn } = layers[l];
    const sources = new Uint8Array(layers[l - 1].output[2]);
    read.forEach((isRead, unit) => {
      for (let i = 0, at = unit * fanIn; i < fanIn; i++, at++) {
        if (!isRead) prune(cleared[l], at);
        else if (kept(cleared[l], at)) sources[i % sources.length] = 1;
      }
    });
    read = sources;
  }
  read.forEach((isRead, unit) => {
    const { fanIn } = layers[0];
    for (let at = unit * fanIn; !isRead && at < (unit + 1) * fanIn; at++) prune(cleared[0], at);
  });
  return cleared;
}

const prune = (bits: Uint8Array, at: number): void => {
  bits[at >> 3] &= ~(1 << (at & 7));
};

/** 1 for each input that is not 0 on every raw value. */
function livingInputs(network: Network, { constant, mean }: Transform): Uint8Array {
  return Uint8Array.from({ length: inputs(network) }, (_, i) => (constant && mean === 0 && kept(constant, i) ? 0 : 1));
}

/** Which channels live anywhere. */
const byChannel = (alive: Uint8Array, channels: number): Uint8Array =>
  alive.reduce((living, one, i) => {
    living[i % channels] |= one;
    return living;
  }, new Uint8Array(channels));
