// Seedmask in a page: open a model file, ask what an image is. Decoding, regenerating and classifying run in a worker of their own,
// which is this same module loaded again, so one file is all a page needs:
//
//   import { open } from './seedmask.js';
//   const model = await open('digits.smk');
//   const { label, probabilities } = await model.classify(pixels);
//   model.close();

import { parallelism } from '#workers';
import { createClassifiers } from '../src/engine/classifiers.js';
import { MOST_THREADS } from '../src/engine/wasm/machine.js';
import { bytesOf, checkFileBytes } from './limits.js';
import { type FileAbout, OpenFiles } from './open-files.js';

export type { FileAbout, LayerAbout, TaskAbout } from './open-files.js';

export interface OpenOptions {
  /** Default true: the page stays free. False computes where it is called, as does a module that was bundled into another file. */
  readonly worker?: boolean;
  /** Default 1; more only where the page is cross-origin isolated. Small networks gain nothing from them. */
  readonly threads?: number;
}

export interface Prediction {
  readonly label: string;
  /** One a label, in the task's order. */
  readonly probabilities: Float32Array;
}

/** Raw values: bytes of pixels, or the numbers of a task over numbers. */
type Raw = Uint8Array | Uint8ClampedArray | Float32Array;

/** An open model file. Masks stay compiled within 64 MB; of more, those that were asked longest ago are compiled again. */
export interface OpenModel {
  /** Its network, its tasks with their labels, its bytes. */
  readonly about: FileAbout;
  /**
   * @param values raw values of one row: pixels 0 .. 255, height x width x channels, as uint8, also clamped, or numbers as float32
   * @param task its id; default the first
   * @throws Error (by rejection) when they are too few or too many, or one is no such number
   */
  classify(values: Raw, task?: string): Promise<Prediction>;
  /**
   * Logits before scale and softmax of `rows` rows, the same bits as on a server.
   * @returns rows x outputs: Int32Array for networks of integers, else Float32Array
   */
  logits(values: Raw, rows: number, task?: string): Promise<Int32Array | Float32Array>;
  /** Ends its worker; what was not answered fails. */
  close(): void;
}

/** Copied values as open files take them; a script without types may pass none. */
const taken = (values: Raw | undefined): Uint8Array | Float32Array =>
  values instanceof Uint8ClampedArray ? new Uint8Array(values.buffer) : (values ?? new Uint8Array(0));

/** What a worker of this module answers. */
const service = (threads: number) => {
  const made = createClassifiers({ threads }).then((engine) => ({ engine, files: new OpenFiles(engine) }));
  return {
    open: async (bytes: Uint8Array) => (await made).files.open(bytes),
    classify: async (choice: number, values: Raw) => (await made).files.classify(0, choice, taken(values)),
    logits: async (choice: number, values: Raw, rows: number) => (await made).files.logits(0, choice, taken(values), rows),
    close: async () => (await made).engine.close(),
  };
};
type Service = ReturnType<typeof service>;
type Method = (...given: unknown[]) => Promise<unknown>;

interface Call {
  readonly id: number;
  readonly name: keyof Service;
  readonly given: unknown[];
}
interface Reply {
  readonly id: number;
  readonly value?: unknown;
  /** What was thrown, as one line. */
  readonly failed?: string;
}

/** In the worker: answers calls. */
function answer(own: Service): void {
  addEventListener('message', async ({ data: { id, name, given } }: MessageEvent<Call>) => {
    const reply: Reply = await (own[name] as Method)(...given).then(
      (value) => ({ id, value }),
      (error: unknown) => ({ id, failed: error instanceof Error ? error.message : String(error) }),
    );
    postMessage(reply);
  });
}

/** In the page: the service of a worker. A worker that cannot start, or is ended, fails every call. */
function remote(worker: Worker): { far: Service; end(why: string): void } {
  const waiting = new Map<number, (reply: Reply) => void>();
  let calls = 0;
  let ended = '';
  const end = (why: string) => {
    ended = why;
    worker.terminate();
    for (const [id, done] of waiting) done({ id, failed: why });
    waiting.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  worker.onerror = ({ message }) => end(message || 'the worker of seedmask.js could not be loaded');
  const far = calling(
    (name, given) =>
      new Promise((resolve, reject) => {
        if (ended) throw new Error(ended);
        const id = calls++;
        waiting.set(id, ({ value, failed }) => (failed === undefined ? resolve(value) : reject(new Error(failed))));
        worker.postMessage({ id, name, given } satisfies Call);
      }),
  );
  return { far, end };
}

/** The same in this thread. */
function here(threads: number): ReturnType<typeof remote> {
  const own = service(threads);
  let ended = '';
  const alive = () => {
    if (ended) throw new Error(ended);
  };
  const far = calling(async (name, given) => {
    alive();
    return (own[name] as Method)(...given).finally(alive);
  });
  const end = (why: string) => {
    ended = why;
    // An engine that could not start has said so to whoever called.
    own.close().catch(() => undefined);
  };
  return { far, end };
}

const calling = (call: (name: keyof Service, given: unknown[]) => Promise<unknown>) =>
  Object.fromEntries(
    (['open', 'classify', 'logits', 'close'] as const).map((name) => [name, (...given: unknown[]) => call(name, given.map(copied))]),
  ) as unknown as Service;

/** Values as they are at the call, whatever their buffer is used for before they are read; a message takes all that lies under a view. */
const copied = (value: unknown): unknown =>
  value instanceof Uint8Array ? new Uint8Array(value) : ArrayBuffer.isView(value) ? (value as Float32Array).slice() : value;

const IN_WORKER = /^seedmask:(\d+)$/;
/** Whether this file is the module itself, which a worker can load again. Bundlers write the file of their build in place of an address. */
const standsAlone = (): boolean => /^(?!file:).*\/seedmask\.js(\?.*)?$/.test(import.meta.url);

/**
 * @param source address of a model file, or its bytes, which may be used for something else as soon as the call has returned
 * @throws Error (by rejection) with one line when it is no model file or cannot be fetched
 */
export async function open(
  source: string | URL | Blob | ArrayBuffer | Uint8Array,
  { worker = standsAlone(), threads = 1 }: OpenOptions = {},
): Promise<OpenModel> {
  const bytes = await given(source);
  const many = Math.floor(Math.max(1, Math.min(threads || 1, parallelism(), MOST_THREADS)));
  // A module from elsewhere cannot be a worker, but a worker may import it.
  const blob = worker ? URL.createObjectURL(new Blob([`import ${JSON.stringify(import.meta.url)};`], { type: 'text/javascript' })) : '';
  const { far, end } = worker ? remote(new Worker(blob, { type: 'module', name: `seedmask:${many}` })) : here(many);
  const close = () => end('the model is closed');
  let about: FileAbout;
  try {
    about = await far.open(bytes);
  } catch (error) {
    close();
    throw error;
  } finally {
    if (blob) URL.revokeObjectURL(blob);
  }
  const choice = (task?: string): number => {
    const found = task === undefined ? 0 : about.tasks.findIndex(({ id }) => id === task);
    if (found < 0) throw new Error(`no task '${task}'; this file has ${about.tasks.map(({ id }) => `'${id}'`).join(', ')}`);
    return found;
  };
  return {
    about,
    async classify(values, task) {
      const at = choice(task);
      const { best, probabilities } = await far.classify(at, values);
      return { label: about.tasks[at].labels[best], probabilities };
    },
    logits: async (values, rows, task) => far.logits(choice(task), values, rows),
    close,
  };
}

async function given(source: string | URL | Blob | ArrayBuffer | Uint8Array): Promise<Uint8Array> {
  const address = typeof source === 'string' || source instanceof URL;
  const name = address ? String(source) : 'the file';
  try {
    // An answer copies the bytes that it is made of, but not those of shared memory.
    const response = address ? await fetch(source) : new Response(ArrayBuffer.isView(source) ? new Uint8Array(source) : source);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    checkFileBytes('it', Number(response.headers.get('content-length')));
    return await bytesOf(response, 'it');
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  }
}

/** Of a worker scope, whose name says that it is one of ours. */
const named = typeof document === 'undefined' ? IN_WORKER.exec(String(Reflect.get(globalThis, 'name'))) : null;
if (named) answer(service(Number(named[1])));
