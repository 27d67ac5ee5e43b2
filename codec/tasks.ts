// A task between its payload and its mask. A payload may lean on another task of the same file, its base, whose mask it is modelled
// with. A base leans on none, so a task is read with at most one other, nothing goes in circles, and no file forces a chain of reads.
// In a file a base is a place in the index; wherever tasks may move, it is an id.

import type { Mask, Network } from '../src/network.js';
import { DECODERS } from './decoders.js';
import { SeedmaskError } from './errors.js';
import type { BaseMask, Surroundings } from './grids.js';
import { type TaskHead, taskName } from './records.js';
import { basePlace, type DecodedPayload, type Decoders, decodePayload } from './schemes.js';

export interface Task extends TaskHead {
  readonly mask: Mask;
  /** Id of the task that its payload leans on; when writing, of one that it may lean on. It is no part of the content. */
  readonly base?: string;
}

/** A task whose mask is still in its stored form. */
export interface PackedTask extends TaskHead {
  readonly payload: Uint8Array;
  /** Id of the task that the payload leans on, which goes where it goes. */
  readonly base?: string;
}

/** A task as it stands in a file, with the one it leans on: all that decoding it needs. */
export interface StoredTask extends PackedTask {
  readonly leansOn?: { readonly place: number; readonly task: PackedTask };
}

/** The mask that a stored task leans on. Throws SeedmaskError. */
export const baseOfStored = (network: Network, { leansOn }: StoredTask): BaseMask | undefined =>
  leansOn && { place: leansOn.place, mask: decodeTask(network, leansOn.task, leansOn.place, undefined, DECODERS).mask };

export const surroundingsOf = (network: Network, head: TaskHead, base?: BaseMask): Surroundings => ({
  network,
  pixelPermutation: head.data?.pixelPermutation ?? null,
  base,
});

/**
 * A task with its mask, and what its payload says of itself. Throws SeedmaskError.
 * @param base what the payload leans on, if it does
 */
export function decodeTask(
  network: Network,
  { payload, ...head }: PackedTask,
  place: number,
  base: BaseMask | undefined,
  decoders: Decoders,
): DecodedPayload & { readonly task: Task } {
  const decoded = decodePayload(surroundingsOf(network, head, base), payload, taskName(head, place), decoders);
  return { ...decoded, task: { ...head, mask: decoded.mask } };
}

/** Masks that others lean on. The last one is kept, as a base has many that lean on it. */
export class Bases {
  readonly #network: Network;
  readonly #tasks: readonly PackedTask[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #decoders: Decoders;
  #last: BaseMask | undefined;

  constructor(network: Network, tasks: readonly PackedTask[], decoders: Decoders) {
    this.#decoders = decoders;
    this.#network = network;
    this.#tasks = tasks;
    this.#places = placesOf(tasks);
  }

  /** What a task leans on. */
  of({ base }: PackedTask): BaseMask | undefined {
    const place = base === undefined ? undefined : this.#places.get(base);
    if (place === undefined) return undefined;
    if (this.#last?.place !== place)
      this.#last = { place, mask: decodeTask(this.#network, this.#tasks[place], place, undefined, this.#decoders).mask };
    return this.#last;
  }
}

export const placesOf = (tasks: readonly TaskHead[]): ReadonlyMap<string, number> => new Map(tasks.map(({ id }, place) => [id, place]));

/** Throws 'bad-base' unless the base of a task is there and leans on none. */
export function checkBaseTask(head: TaskHead, place: number, base: number | string, leans: boolean | undefined): void {
  if (leans === false) return;
  const expected = 'another task of the file that leans on none itself as its base';
  throw new SeedmaskError('bad-base', { field: taskName(head, place), expected, got: leans ? `task ${base}, which does` : `task ${base}` });
}

/** Tasks of a file with the ids of their bases in place of the places. Throws 'bad-base', or 'bad-payload' for a place cut short. */
export function nameBases(tasks: readonly PackedTask[]): PackedTask[] {
  const places = tasks.map((task, i) => basePlace(task.payload, taskName(task, i)));
  return tasks.map((task, i) => {
    const place = places[i];
    if (place === null) return task;
    checkBaseTask(task, i, place, place < tasks.length ? places[place] !== null : undefined);
    return { ...task, base: tasks[place].id };
  });
}
