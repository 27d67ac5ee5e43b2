// Long work on the event loop in slices, with the turns of others in between.

/** Milliseconds for which the loop may be held at a time. */
const SLICE_MS = 3;

/** Runs steps, each well below a slice, and gives what they return. */
export async function inSlices<T>(steps: Generator<void, T>): Promise<T> {
  let until = performance.now() + SLICE_MS;
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (performance.now() < until) continue;
    await new Promise(setImmediate);
    until = performance.now() + SLICE_MS;
  }
}
