// The thread behind the page: the workbench, so that nothing holds up drawing; and the trainer, loaded when somebody trains.

import * as Comlink from 'comlink';
import { createClassifiers } from '../src/engine/classifiers.js';
import type { Trained, TrainReport, TrainRequest } from './trainer.js';
import { Workbench } from './workbench.js';

const bench = createClassifiers().then((engine) => new Workbench(engine));

const service = {
  open: async (bytes: Uint8Array) => (await bench).open(bytes),
  classify: async (...args: Parameters<Workbench['classify']>) => (await bench).classify(...args),
  everywhere: async (...args: Parameters<Workbench['everywhere']>) => (await bench).everywhere(...args),
  logits: async (...args: Parameters<Workbench['logits']>) => (await bench).logits(...args),
  picture: async (...args: Parameters<Workbench['picture']>) => (await bench).picture(...args),
  train: async (request: TrainRequest, report: (report: TrainReport) => void): Promise<Trained> =>
    (await import('./trainer.js')).train(request, report),
};

export type Service = typeof service;

Comlink.expose(service);
