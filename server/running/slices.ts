// Long work in slices, with the turns of others in between: on the event loop, or in a thread that has more to do.

/** Milliseconds for which others may have to wait. */
const SLICE_MS = 3;

/**
 * Runs steps, each well below a slice. Gives what they return, and the milliseconds that they took, those of others apart.
 * @param check called after every slice; what it throws ends the work
 */
export async function inSlices<T>(
  steps: Generator<void, T>,
  check: () => void = () => {},
): Promise<{ readonly value: T; readonly ms: number }> {
  for (let ms = 0; ; ) {
    const began = performance.now();
    let step = steps.next();
    while (!step.done && performance.now() < began + SLICE_MS) step = steps.next();
    ms += performance.now() - began;
    if (step.done) return { value: step.value, ms };
    await new Promise(setImmediate);
    try {
      check();
    } catch (error) {
      steps.throw(error);
    }
  }
}
