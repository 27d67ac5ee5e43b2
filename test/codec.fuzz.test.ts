// The whole reader against files that are nearly right (attacks/mutate.ts): 20,000 cases here, any number in a long job:
//
//   SEEDMASK_FUZZ_CASES=1000000 npx vitest run test/codec.fuzz.test.ts
//   SEEDMASK_FUZZ_FIRST=8412 SEEDMASK_FUZZ_CASES=1 ...           one case again; SEEDMASK_FUZZ_SEED: other cases
//
// Every case is read whole, inspected, verified and read task by task. Only typed errors come out, the readers agree, what is read
// has one encoding, and no case takes memory beyond the limits it was given.

import assert from 'node:assert/strict';
import { getHeapStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import {
  inspectModel,
  type Model,
  openArchive,
  readModel,
  readPacked,
  SeedmaskError,
  type Task,
  verifyModel,
  writePacked,
} from '../codec/index.js';
import { checkMask, inputs, type Network, outputs, totalWeights } from '../src/network.js';
import { corpus, LIMITS, paged } from './attacks/corpus.js';
import { Chance, mutated } from './attacks/mutate.js';
import { SMALL_CONV, TINY } from './vectors/models.js';

const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
const SEED = number('SEEDMASK_FUZZ_SEED', 1905);
const FIRST = number('SEEDMASK_FUZZ_FIRST', 0);
const CASES = number('SEEDMASK_FUZZ_CASES', 20_000);

/** What a case may take beside its file: masks, the first weights of each layer as floats and as bytes, hashes. */
const BUDGET = 2 ** 21;
/** Milliseconds of processor time, as other work may keep a case waiting. */
const PATIENCE = 10_000;
const worked = () => process.cpuUsage().user / 1000;

interface Outcome<T> {
  /** The code of the error, or 'ok'. */
  readonly code: string;
  readonly value?: T;
}

function outcomeOf(error: unknown): Outcome<never> {
  if (error instanceof SeedmaskError) return { code: error.code };
  throw error;
}

function attempt<T>(work: () => T): Outcome<T> {
  try {
    return { code: 'ok', value: work() };
  } catch (error) {
    return outcomeOf(error);
  }
}

/** What must hold of anything that was read, whoever read it. */
function sound({ network, tasks }: Model): void {
  const weights = totalWeights(network);
  assert(weights * tasks.length <= LIMITS.maxWeights, `${weights} weights in ${tasks.length} tasks`);
  assert(weights <= LIMITS.maxMaskWeights, `${weights} weights in a mask`);
  tasks.forEach(({ id, mask, labels, logitScale, transform }, i) => {
    checkMask(network, mask);
    assert(labels.length <= outputs(network), `${labels.length} labels`);
    assert(logitScale > 0, `logit scale ${logitScale}`);
    const { constant, features } = transform;
    if (constant) assert.equal(constant.length, Math.ceil(inputs(network) / 8));
    if (features) {
      const { low, scale } = features;
      for (const numbers of [low, scale]) assert(numbers.length === inputs(network) && numbers.every(Number.isFinite));
    }
    if (i > 0) assert(id > tasks[i - 1].id, `${id} after ${tasks[i - 1].id}`);
  });
}

/** Reads up to 4 tasks, the last among them, each by its place; `fileBytes` is not always known. */
async function piecewise(bytes: Uint8Array, networks: () => Network | undefined, fileBytes?: number): Promise<Outcome<Task[]>> {
  let asked = 0;
  let most = 0;
  try {
    const read = async (offset: number, length: number) => {
      asked += length;
      most = Math.max(most, length);
      return bytes.slice(offset, offset + length);
    };
    const archive = await openArchive(read, { fileBytes, limits: LIMITS, networks });
    const places = new Set([0, 1, 2, archive.tasks - 1].filter((place) => place >= 0 && place < archive.tasks));
    const tasks: Task[] = [];
    for (const place of places) tasks.push(await archive.task(place));
    return { code: 'ok', value: tasks };
  } catch (error) {
    return outcomeOf(error);
  } finally {
    assert(most <= LIMITS.maxFileBytes, `${most} bytes asked for at once`);
    // The first read, then at most the file twice over: a header and a page table longer than it, pages, payloads.
    if (fileBytes !== undefined) assert(asked <= 4096 + 2 * Math.max(bytes.length, 4096), `${asked} bytes asked for`);
  }
}

/** Runs a case and returns the code that a whole read gives; files whose tasks have features are counted apart. */
async function check(bytes: Uint8Array, networks: () => Network | undefined): Promise<string> {
  const before = getHeapStatistics().external_memory;
  const started = worked();
  const whole = attempt(() => readModel(bytes, LIMITS, networks));
  const taken = getHeapStatistics().external_memory - before;
  assert(taken <= BUDGET + 8 * bytes.length, `${taken} bytes of memory taken`);
  const parts = await piecewise(bytes, networks, bytes.length);
  if (whole.code !== 'bad-header') await piecewise(bytes, networks);
  assert.equal(attempt(() => inspectModel(bytes, LIMITS, networks)).code, whole.code);
  if (whole.value) {
    const model = whole.value;
    sound(model);
    assert.equal(parts.code, 'ok');
    const places = new Set([0, 1, 2, model.tasks.length - 1].filter((place) => place >= 0 && place < model.tasks.length));
    assert.deepEqual(
      parts.value,
      [...places].map((place) => model.tasks[place]),
    );
    const { maskOnly } = inspectModel(bytes, LIMITS, networks);
    const again = writePacked(readPacked(bytes, LIMITS, networks), { maskOnly });
    assert.equal(attempt(() => verifyModel(bytes, LIMITS, networks)).code, 'ok');
    assert.equal(Buffer.compare(again, bytes), 0);
  } else if (parts.code === 'ok' && parts.value && parts.value.length < 4) {
    // What every task shows to be sound is sound, but for entries and columns that no task uses, and for limits of all masks together.
    assert(['not-canonical', 'over-limit'].includes(whole.code), `${whole.code}, but every task is sound`);
  }
  assert(worked() - started < PATIENCE, 'too slow');
  return whole.value?.tasks.some((task) => task.transform.features) ? 'ok, features' : whole.code;
}

test(
  `${CASES} files that are nearly right: typed errors only, within the limits`,
  async () => {
    const seen = new Map<string, number>();
    for (let n = FIRST; n < FIRST + CASES; n++) {
      const chance = new Chance(SEED, n);
      const bytes = mutated(chance.once(100) ? [paged] : corpus, chance);
      const network = chance.of([TINY, TINY, TINY, TINY, SMALL_CONV, undefined]);
      try {
        const code = await check(bytes, () => network);
        seen.set(code, (seen.get(code) ?? 0) + 1);
      } catch (error) {
        throw new Error(`case ${n} of seed ${SEED}, ${Buffer.from(bytes).toString('hex').slice(0, 2000)}`, { cause: error });
      }
    }
    if (process.env['SEEDMASK_FUZZ_CASES']) console.log(Object.fromEntries([...seen].sort()));
    if (CASES < 20_000) return;
    // Deep enough: every way a file can be refused was met, and enough was read to compare the readers.
    const refusals = ['not-a-model-file', 'unknown-version', 'unknown-flag', 'truncated', 'trailing-bytes', 'bad-checksum', 'bad-header'];
    const deep = ['not-canonical', 'unknown-scheme', 'bad-payload', 'wrong-generator', 'over-limit', 'bad-task', 'bad-base'];
    expect([...seen.keys()].sort()).toEqual([...refusals, ...deep, 'ok', 'ok, features'].sort());
    expect(seen.get('ok')).toBeGreaterThan(CASES / 50);
    for (const code of [...deep, 'ok, features']) expect(seen.get(code), code).toBeGreaterThan(CASES / 1000);
  },
  Math.max(120_000, CASES * 50),
);
