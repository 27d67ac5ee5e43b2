// Logits of one task's rows on the event loop, and what becomes of logits. A mask is used as it lies packed (Engine.anyMask): nothing
// is laid out for it, so tasks take turns at no cost. One that has answered many rows is compiled, which pays from then on, into a
// byte-capped cache; least recently used goes first. Masks that only a compiled form can serve are compiled at once.
//
// Only the first labels.length outputs are classes. probabilities = softmax(logitScale x logits) of src/probabilities.ts; the label is
// read from the logits.

import { SeedmaskError } from '../../codec/errors.js';
import type { TaskHead } from '../../codec/index.js';
import { type AnyMask, type Classifier, type Engine, stepOf } from '../../src/engine/engine.js';
import { unpackMask } from '../../src/engine/packed.js';
import { countKept, type Network, totalWeights } from '../../src/network.js';
import { argmax, softmax } from '../../src/probabilities.js';
import type { Version } from '../repository/catalogue.js';
import { AnyMasks, bare } from './any-masks.js';
import { Compiled } from './compiled.js';
import type { Logits } from './jobs.js';

/** Answers for `rows` samples, sample-major. */
export interface Classified {
  readonly rows: number;
  /** Names of the classes, in output order. */
  readonly labels: readonly string[];
  /** Index into `labels` per row. */
  readonly best: Uint32Array;
  /** rows x labels.length. */
  readonly probabilities: Float32Array;
}

/** Rows after which compiling has paid: it takes as long as some 500 rows of a packed mask. */
const WORTH_COMPILING = 1024;
/** Compiling holds up the loop: 6 ns a weight and 45 a kept one (FC at a tenth kept: 3 ms). More than this many ms is not done here. */
const COMPILE_MS = 4;
const WEIGHT_MS = 6e-6;
const KEPT_MS = 45e-6;
/** Weights of the largest network whose rows are computed on the event loop when there are threads: some 100 us a row. */
const INLINE_WEIGHTS = 2_000_000;

/** What the event loop can compute. */
export class Classifiers {
  readonly #engine: Engine;
  /** What serves a network under any mask. */
  readonly #packed = new Map<Network, AnyMasks>();
  /** The form that a version takes of it, and whether that is light. */
  #forms = new WeakMap<Version, PackedForm>();
  readonly #compiled: Compiled<Version>;
  /** Rows each task has answered since it was compiled last, if ever; infinite where compiling takes too long or too much. */
  #rows = new WeakMap<Version, number>();

  /** @param cap bytes that compiled tasks may hold together */
  constructor(engine: Engine, cap: number) {
    this.#engine = engine;
    this.#compiled = new Compiled(cap, (version) => this.#rows.delete(version));
  }

  /** Tasks compiled now, and the bytes they are charged for. */
  get size(): { readonly tasks: number; readonly bytes: number } {
    return { tasks: this.#compiled.size, bytes: this.#compiled.calculatedSize };
  }

  /** Whether rows of whole pixels cost little under any mask of the network: no compiling, some microseconds each. */
  isLight(version: Version): boolean {
    return this.#formOf(version).light;
  }

  /** Forgets what was made for a version. */
  drop(version: Version): void {
    this.#compiled.delete(version);
    this.#rows.delete(version);
  }

  /** Networks that something is held for. */
  get networks(): number {
    return this.#packed.size;
  }

  /** Frees what was made for other networks than these. */
  keepOnly(networks: ReadonlySet<Network>): void {
    for (const [network, masks] of this.#packed) {
      if (networks.has(network)) continue;
      masks.free();
      this.#packed.delete(network);
      this.#forms = new WeakMap();
    }
  }

  /**
   * Logits of a task's rows; they hold up the loop.
   * @param packed the task's mask, as `packMask` has it
   */
  logits(version: Version, packed: Uint8Array, values: Uint8Array | Float32Array, rows: number): Logits {
    const any = values instanceof Uint8Array && !this.#compiled.has(version) ? this.#formOf(version).any : null;
    if (any && values instanceof Uint8Array && !this.#isWorth(version, packed, rows)) {
      return { logits: any.logits(packed, values, rows), outputs: any.outputs, scale: any.scale };
    }
    const { network, task } = version;
    const compile = () => this.#engine.classifier(network, { mask: unpackMask(network, packed), transform: bare(task.transform) });
    const answer = this.#compiled.ask(version, compile, (classifier) => logitsOf(classifier, values, rows));
    if (!this.#compiled.has(version)) this.#rows.set(version, Number.POSITIVE_INFINITY);
    return answer;
  }

  /** Whether a task shall be compiled now. */
  #isWorth(version: Version, packed: Uint8Array, rows: number): boolean {
    const sum = (this.#rows.get(version) ?? 0) + rows;
    this.#rows.set(version, sum);
    if (sum < WORTH_COMPILING || sum === Number.POSITIVE_INFINITY) return false;
    const ms = totalWeights(version.network) * WEIGHT_MS + countKept(packed) * KEPT_MS;
    if (ms <= COMPILE_MS) return true;
    this.#rows.set(version, Number.POSITIVE_INFINITY);
    return false;
  }

  #formOf(version: Version): PackedForm {
    const known = this.#forms.get(version);
    if (known) return known;
    const { network, task } = version;
    const masks = this.#packed.get(network) ?? new AnyMasks(this.#engine, network);
    this.#packed.set(network, masks);
    const any = masks.of(task.transform);
    const form = { any, light: any !== null && totalWeights(network) <= INLINE_WEIGHTS };
    this.#forms.set(version, form);
    return form;
  }
}

interface PackedForm {
  readonly any: AnyMask | null;
  readonly light: boolean;
}

function logitsOf(classifier: Classifier, values: Uint8Array | Float32Array, rows: number): Logits {
  const logits = classifier.logits(values, rows);
  return { logits, outputs: classifier.outputs, scale: stepOf(classifier, logits) };
}

/** Room for the answers of some rows. */
export const roomFor = ({ labels }: TaskHead, rows: number): Classified => ({
  rows,
  labels,
  best: new Uint32Array(rows),
  probabilities: new Float32Array(rows * labels.length),
});

/**
 * Writes the answers of `count` rows whose logits begin at row `from` into the rows of `room` from `to` on.
 * @throws SeedmaskError bad-value when huge inputs have overflowed the logits
 */
export function answerRows({ logitScale }: TaskHead, found: Logits, from: number, count: number, room: Classified, to: number): void {
  const n = room.labels.length;
  for (let row = 0; row < count; row++) {
    const at = (from + row) * found.outputs;
    room.best[to + row] = argmax(found.logits, at, n);
    room.probabilities.set(softmax(found.logits, at, n, found.scale * logitScale), (to + row) * n);
    if (!Number.isNaN(room.probabilities[(to + row) * n])) continue;
    throw new SeedmaskError('bad-value', {
      field: 'a row',
      expected: 'raw values, such as pixels 0..255',
      got: 'too large for f32 logits',
    });
  }
}
