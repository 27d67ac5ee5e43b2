// Whether the server can answer: a question with a known answer goes the way that requests go, through the queue and, after one was
// lost, through a thread. Whoever asks within a moment of another gets the same answer, so a probe costs next to nothing.

import { PIXELS } from '../../src/engine/engine.js';
import { packMask } from '../../src/engine/packed.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import type { Network } from '../../src/network.js';
import { fullMask, outputs } from '../../src/network.js';
import type { Version } from '../repository/catalogue.js';
import { answerRows, roomFor } from './classify.js';
import type { Scheduler } from './scheduler.js';
import type { Threads } from './threads.js';

const NETWORK: Network = {
  input: [1, 1, 4],
  layers: [
    { kind: 'dense', units: 5, activation: 'relu' },
    { kind: 'dense', units: 3, activation: 'linear' },
  ],
  distribution: 'signed-constant',
  sigma: 'glorot',
  seed: { low: 1849, high: 0 },
};
const QUESTION = Uint8Array.of(0, 255, 10, 3);

export interface CanaryOptions {
  /** Milliseconds to answer within; default 1,500. */
  readonly patience?: number;
  /** Milliseconds for which an answer holds; default 250. */
  readonly holds?: number;
}

/** Asks one server. */
export class Canary {
  readonly #scheduler: Pick<Scheduler, 'probe'>;
  readonly #threads: Threads | undefined;
  readonly #patience: number;
  readonly #holds: number;
  readonly #packed = packMask(NETWORK, fullMask(NETWORK, true));
  readonly #version: Version = {
    name: 'canary',
    number: '1',
    network: NETWORK,
    task: { id: '', transform: { ...PIXELS, constant: null }, labels: ['a', 'b', 'c'], data: null, logitScale: 1 },
    file: '',
  };
  readonly #expected = this.#known();
  #asked: { readonly at: number; readonly answer: Promise<boolean> } | undefined;

  constructor(scheduler: Pick<Scheduler, 'probe'>, threads: Threads | undefined, { patience = 1500, holds = 250 }: CanaryOptions = {}) {
    this.#scheduler = scheduler;
    this.#threads = threads;
    this.#patience = patience;
    this.#holds = holds;
  }

  /** Never rejects. */
  sings(): Promise<boolean> {
    const now = performance.now();
    if (!this.#asked || now - this.#asked.at > this.#holds) this.#asked = { at: now, answer: this.#ask() };
    return this.#asked.answer;
  }

  async #ask(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#patience);
    });
    const right = Promise.all([this.#inline(), this.#inThread()]).then(
      (answers) => answers.every(Boolean),
      () => false,
    );
    return Promise.race([right, late]).finally(() => clearTimeout(timer));
  }

  async #inline(): Promise<boolean> {
    const { probabilities } = await this.#scheduler.probe({ version: this.#version, packed: this.#packed }, { values: QUESTION, count: 1 });
    return probabilities.every((p, i) => p === this.#expected[i]);
  }

  async #inThread(): Promise<boolean> {
    if (!this.#threads || this.#threads.trusted) return true;
    const { transform } = this.#version.task;
    const values = QUESTION.slice();
    const found = await this.#threads.logits({ version: this.#version, packed: this.#packed, transform, values, rows: 1 });
    return found.outputs === outputs(NETWORK);
  }

  /** By the reference engine, not the one that is asked. */
  #known(): Float32Array {
    const classifier = createReferenceEngine().classifier(NETWORK, { transform: PIXELS });
    const room = roomFor(this.#version.task, 1);
    const found = { logits: classifier.logits(QUESTION, 1), outputs: classifier.outputs, scale: classifier.scale };
    answerRows(this.#version.task, found, 0, 1, room, 0);
    return room.probabilities;
  }
}
