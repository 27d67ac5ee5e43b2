// How threads share one piece of work: outputs are dealt in contiguous ranges, sums are never split, and everybody meets at a
// barrier after each operation. Without the threads feature the barrier compiles to nothing.
//
//   control block (u32 words): 0 arrived at the barrier, 1 barrier generation, 2 job number, 3 tape address of the job,
//   4 set by workers.node.ts when a kernel traps in a thread

/**
 * Loads of the awaited word before a thread sleeps: they outlast what JavaScript does between two tapes of a training run. With 20,000
 * FC trained topk at 1,350 and dense Adam (batch 60) at 1,475 steps/s, with these, and the optimiser's constants in registers, at 1,495
 * and 1,653.
 */
const SPINS: i32 = 200000;

// @ts-ignore: decorator
@inline
export function first(count: u32, thread: u32, threads: u32): u32 {
  return <u32>((<u64>count * thread) / threads);
}

// @ts-ignore: decorator
@inline
export function last(count: u32, thread: u32, threads: u32): u32 {
  return <u32>((<u64>count * (thread + 1)) / threads);
}

// @ts-ignore: decorator
@inline
export function barrier(control: usize, threads: u32): void {
  if (ASC_FEATURE_THREADS) {
    if (threads == 1) return;
    const generation = atomic.load<u32>(control, 4);
    if (atomic.add<u32>(control, 1) == threads - 1) {
      atomic.store<u32>(control, 0);
      atomic.add<u32>(control, 1, 4);
      atomic.notify(control + 4, -1);
      return;
    }
    waitWhile(control + 4, generation);
  }
}

/** JavaScript's Atomics.wait: the wait instruction itself loses registers in the baseline compiler of Node 20 (V8 11.3). */
// @ts-ignore: decorator
@external("env", "wait")
declare function sleep(address: usize, value: u32): void;

/** Spins a little, because a step's operations are short; then sleeps. */
export function waitWhile(address: usize, value: u32): void {
  for (let i = 0; i < SPINS; i++) if (atomic.load<u32>(address) != value) return;
  while (atomic.load<u32>(address) == value) sleep(address, value);
}
