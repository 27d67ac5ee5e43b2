// The record in which the kernels keep a layer's cut, the score from which on weights are kept (Cut of assembly/select.ts), and the room
// that finding it takes.

import type { Allocations, Machine } from './machine.js';

/** Scores a thread can collect: COLLECTED of assembly/select.ts. */
const COLLECTED = 8192;
/** Bytes of the counters of a search: 2,048 digits. */
const COUNTERS = 8192;
/** Bytes of the record, and of each thread's part behind it. */
const PART = 64;
/** Word of the record that points at the collected scores; the next points at the counters. */
const POINTERS = 4;

/** The address of a record for one layer. Threshold, band and width are 0. */
export function allocateCut(machine: Machine, own: Allocations): number {
  const cut = own.bytes((machine.threads + 1) * PART);
  const room = [own.bytes(machine.threads * COLLECTED * 4), own.bytes(COUNTERS)];
  // Views are made after what may grow the memory.
  machine.u32(cut + 4 * POINTERS, room.length).set(room);
  return cut;
}
