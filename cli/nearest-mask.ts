// The nearest of the masks that a file holds to a new task: the one that says most about its labels. Every mask is asked about some of the
// new task's training rows, and each of its classes read as the label that it meets most often; so its classes may have other names,
// another order, or be others. Each is asked about the inputs that its own task makes of the rows. Masks are read one after the other, so an
// archive of any length takes the memory of two.

import { type NetworkLookup, SeedmaskError, type Task } from '../codec/index.js';
import type { Dataset, Split } from '../src/data.js';
import type { Engine } from '../src/engine/engine.js';
import { matchedAccuracy } from '../src/evaluate.js';
import { asInputs } from '../src/features.js';
import { inputs, outputs } from '../src/network.js';
import { type Labelled, rowsOf } from './learn.js';
import { inFile, places, withArchive } from './models.js';
import type { Count } from './progress.js';

/** Training rows that every known mask is asked about, spread evenly over all. */
const ASKED_ROWS = 2000;

export interface Nearest {
  readonly task: Task;
  /** Fraction of the rows asked about whose label its answer stands for. */
  readonly accuracy: number;
  /** Masks that were asked. */
  readonly asked: number;
}

/** A new task's rows, of which those to learn from are asked about. */
export interface Taken {
  readonly train: Dataset;
  readonly parts: Pick<Split, 'train'>;
}

/**
 * @param asTaken the new task's rows as a known task takes them; the same object where these are the same inputs
 * @param id asks this mask alone
 * @throws SeedmaskError no-tasks, bad-task, and what is wrong with the file
 */
export async function nearestMask(
  engine: Engine,
  file: string,
  networks: NetworkLookup,
  asTaken: (known: Task) => Taken,
  id?: string,
  update: Count = () => undefined,
): Promise<Nearest> {
  return withArchive(file, networks, async (archive) => {
    const named = await places(archive, id === undefined ? [] : [id], file);
    const all = id === undefined ? Array.from({ length: archive.tasks }, (_, place) => place) : named;
    const kinds = new Set((await inFile(file, () => archive.heads())).map(({ transform }) => JSON.stringify(transform.features)));
    let best: Omit<Nearest, 'asked'> | undefined;
    let about: { readonly taken: Taken; readonly rows: Labelled } | undefined;
    for (const [i, place] of all.entries()) {
      const task = await inFile(file, () => archive.task(place));
      const taken = all.length === 1 || kinds.size === 1 ? asTaken(task) : refusedBy(task.id, () => asTaken(task));
      if (about?.taken !== taken) about = { taken, rows: some(taken) };
      const { images, labels } = about.rows;
      const classifier = engine.classifier(archive.network, { mask: task.mask, transform: task.transform });
      const width = outputs(archive.network);
      // Features are bytes already, made as the task makes them.
      const seen = asInputs(images, { constant: task.transform.constant }, inputs(archive.network));
      const accuracy = matchedAccuracy(classifier.logits(seen, labels.length), labels, width, Math.min(width, task.labels.length));
      classifier.free();
      if (!best || accuracy > best.accuracy) best = { task, accuracy };
      update(i + 1, all.length);
    }
    return { ...(best as NonNullable<typeof best>), asked: all.length };
  });
}

/** What a task refuses of the new rows is told with its name: the others may take them, unless it is said already what to do. */
function refusedBy<T>(id: string, take: () => T): T {
  try {
    return take();
  } catch (error) {
    if (!(error instanceof SeedmaskError) || error.details.hint) throw error;
    const hint = `So says ${id} of this file: --task names one that takes these rows, if there is one`;
    throw new SeedmaskError(error.code, { ...error.details, hint });
  }
}

/** Training rows, spread evenly over all. */
function some({ train, parts: { train: rows } }: Taken): Labelled {
  const every = Math.max(1, rows.length / ASKED_ROWS);
  return rowsOf(
    train,
    Uint32Array.from({ length: Math.min(ASKED_ROWS, rows.length) }, (_, i) => rows[Math.floor(i * every)]),
  );
}
