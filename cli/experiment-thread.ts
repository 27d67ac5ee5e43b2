// One thread of an experiment: an engine and the data, made at the first cell and kept, and a shelf of trained weights in a folder.

import { workerData } from 'piscina';
import { SeedmaskError } from '../codec/index.js';
import type { Lab } from '../experiments/cells/lab.js';
import { runCell } from '../experiments/cells/run.js';
import type { Answer } from '../experiments/sweep/pool.js';
import { createWasmEngine } from '../src/engine/wasm.js';
import { loadDataset } from './datasets/load.js';
import { shelfIn } from './shelf.js';

/** A lab of one thread. */
async function makeLab(shelf: string): Promise<Omit<Lab, 'progress' | 'signal'>> {
  const engine = await createWasmEngine({ threads: 1 });
  const loaded = new Map<string, ReturnType<Lab['data']>>();
  const rooms = new Map<string, Uint8Array>();
  return {
    engine,
    shelf: shelfIn(shelf),
    data(name) {
      if (!loaded.has(name)) loaded.set(name, loadDataset(name));
      return loaded.get(name)!;
    },
    room(name, bytes) {
      if (rooms.get(name)?.length !== bytes) rooms.set(name, new Uint8Array(bytes));
      return rooms.get(name)!;
    },
  };
}

const lab = makeLab((workerData as { shelf: string }).shelf);

export const answer: Answer = async ({ cell, progress }) => {
  try {
    return { rows: await runCell(cell, { ...(await lab), progress: (fraction) => progress.postMessage(fraction) }) };
  } catch (error) {
    if (error instanceof SeedmaskError) return { code: error.code, details: error.details };
    throw error;
  } finally {
    progress.close();
  }
};
