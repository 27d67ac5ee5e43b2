// The thread behind the page: the workbench, so that nothing holds up drawing. It is started before the page's script is there
// (vite.config.mjs), with the address of the model that the page begins with as its name, and opens that one unasked.

import * as Comlink from 'comlink';
import { createClassifiers } from '../src/engine/classifiers.js';
import type { FileAbout } from './open-files.js';
import { fetched } from './page.js';
import { Workbench } from './workbench.js';

const bench = createClassifiers().then((engine) => new Workbench(engine));

/** A file that was opened before the page asked for it. */
export interface Ahead {
  readonly bytes: Uint8Array;
  readonly about: FileAbout;
}

async function openAhead(url: string): Promise<Ahead | null> {
  if (!url) return null;
  try {
    const bytes = await fetched(url);
    return { bytes, about: await (await bench).open(bytes) };
  } catch {
    // The page asks again, and says what is wrong.
    return null;
  }
}
const ahead = openAhead(self.name);

const service = {
  ahead: () => ahead,
  open: async (bytes: Uint8Array) => (await bench).open(bytes),
  close: async (file: number) => (await bench).close(file),
  classify: async (...args: Parameters<Workbench['classify']>) => (await bench).classify(...args),
  everywhere: async (...args: Parameters<Workbench['everywhere']>) => (await bench).everywhere(...args),
  picture: async (...args: Parameters<Workbench['picture']>) => (await bench).picture(...args),
};

export type Service = typeof service;

Comlink.expose(service);
