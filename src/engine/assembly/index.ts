// The machine: a tape of operations in memory, run by every thread, with a barrier after each operation. JavaScript writes a tape
// once (a training step, a classification) and starts it with one call; nothing is allocated while it runs.
//
// Operations with codes above MEET deal their work the same way as their neighbours: no barrier follows until one of the others, or
// MEET itself, which does nothing else.
//
// Operations are described in tape.ts. Those of a classifier are the cases below; those that only training needs are in trainer.ts, which
// is left out where TRAINING is not defined: what a page loads to classify.

import { dense, keptDense } from './dense';
import { floatTiles } from './float';
import { images, pool, turn } from './image';
import { integerTiles } from './integer';
import { keptConv, keptLists } from './kept';
import { lanes, listedConv } from './listed';
import { integerRows } from './single';
import { compressRows, product } from './sparse';
import { f, MEET, s, u } from './tape';
import { barrier, waitWhile } from './threads';
import { trainingOperation } from './trainer';
import { gather, shift } from './training';
export { floatRows, floatTiles } from './float';
export { integerTiles } from './integer';
export { packedRows } from './packed';
export { integerRows } from './single';
export { weights } from './weights';

/** Whether this build can share its memory. */
export const threaded: bool = ASC_FEATURE_THREADS;

/** Bytes from AssemblyScript's allocator, 16-byte aligned, zero filled. Only the main thread may call it. */
export function allocate(bytes: usize): usize {
  const p = heap.alloc(bytes);
  memory.fill(p, 0, bytes);
  return p;
}

export function release(p: usize): void {
  heap.free(p);
}

/** Runs a tape as thread t of n. The next code is read before the barrier: after the last one the tape may be written anew. */
export function run(tape: usize, control: usize, t: u32, n: u32): void {
  let o = tape;
  let code = load<u32>(o);
  while (code != 0) {
    switch (code) {
      case 1: gather(u(o, 1), u(o, 2), u(o, 3), u(o, 4), f(o, 5), f(o, 6), u(o, 7), u(o, 8), t, n); break;
      case 2: shift(u(o, 1), u(o, 2), u(o, 3), f(o, 4), f(o, 5), u(o, 6), u(o, 7), t, n); break;
      case 3: compressRows(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), t, n); break;
      case 5: product(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), t, n); break;
      case 40: integerTiles(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), t, n); break;
      case 41: floatTiles(u(o, 1), u(o, 2), u(o, 3), u(o, 4), f(o, 5), f(o, 6), u(o, 7), u(o, 8), t, n); break;
      case 42: integerRows(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), t, n); break;
      case 60: images(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), f(o, 8), f(o, 9), u(o, 10), u(o, 11), u(o, 12), t, n); break;
      case 61: pool<f32>(s(o), u(o, 2), u(o, 3), u(o, 4), t, n); break;
      case 62: pool<i32>(s(o), u(o, 2), u(o, 3), u(o, 4), t, n); break;
      case 64: turn(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), t, n); break;
      case 65: keptLists(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), u(o, 11), u(o, 12), u(o, 13), u(o, 14), u(o, 15), t, n); break;
      case 66: keptConv<f32>(s(o), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), u(o, 11), t, n); break;
      case 67: keptConv<i32>(s(o), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), u(o, 11), t, n); break;
      case 68: keptDense<f32>(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), t, n); break;
      case 69: keptDense<i32>(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), t, n); break;
      case 70: dense(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), u(o, 11), t, n); break;
      case 71: lanes(u(o, 1), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), t, n); break;
      case 72: listedConv(s(o), u(o, 2), u(o, 3), u(o, 4), u(o, 5), u(o, 6), u(o, 7), u(o, 8), u(o, 9), u(o, 10), u(o, 11), t, n); break;
      case MEET: break;
      default:
        if (isDefined(TRAINING)) trainingOperation(code, o, t, n);
        else unreachable();
    }
    const alone = code > MEET;
    o += 64;
    code = load<u32>(o);
    if (!alone) barrier(control, n);
  }
}

/** Main thread: gives the tape to the waiting workers and takes part as thread 0. Returns when all of it is done. */
export function start(tape: usize, control: usize, n: u32): void {
  if (ASC_FEATURE_THREADS) {
    if (n > 1) {
      store<u32>(control + 12, <u32>tape);
      atomic.add<u32>(control, 1, 8);
      atomic.notify(control + 8, -1);
    }
  }
  run(tape, control, 0, n);
}

/** Worker thread: runs the tapes it is given, for ever. */
export function serve(control: usize, t: u32, n: u32): void {
  if (ASC_FEATURE_THREADS) {
    for (let job: u32 = 0; ; job++) {
      waitWhile(control + 8, job);
      run(load<u32>(control, 12), control, t, n);
    }
  }
}
/** Exported so that the optimiser does not inline it into its only caller, where its loop runs out of registers and takes twice as long. */
export { walk9 } from './walk';
