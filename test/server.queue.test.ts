// The queue: every row gets what it gets alone, whatever else is under way; turns, bounds, deadlines, clients that have gone.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SeedmaskError } from '../codec/errors.js';
import { Classifiers } from '../server/running/classify.js';
import type { RequestEvent } from '../server/running/events.js';
import { Ring } from '../server/running/lanes.js';
import { Scheduler, type SchedulerOptions, type Wish } from '../server/running/scheduler.js';
import type { AnyMask, Engine } from '../src/engine/engine.js';
import { engine, oneTask, storeOf, tinyNetwork } from './server.material.js';

const NAMES = ['a', 'b', 'c', 'd'];
const store = await storeOf({
  'a.smk': oneTask(tinyNetwork()),
  'b.smk': oneTask(tinyNetwork(), ['x', 'y'], { mask: [Uint8Array.of(0b10110101, 0b0110)] }),
  'c.smk': oneTask(tinyNetwork([2, 2, 1], 3, 2)),
  'd.smk': oneTask({ ...tinyNetwork(), distribution: 'normal' }),
});

/** Counts rows that are computed; `ms` of the loop are spent on each call. */
function counting(ms = 0) {
  const seen = { rows: 0, batches: [] as number[] };
  const note = (rows: number) => {
    seen.rows += rows;
    seen.batches.push(rows);
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  const anyMask: Engine['anyMask'] = (...args) => {
    const inner = engine.anyMask(...args);
    if (!inner) return null;
    const logits: AnyMask['logits'] = (mask, values, rows) => {
      note(rows);
      return inner.logits(mask, values, rows);
    };
    return { ...inner, logits };
  };
  return { engine: { ...engine, anyMask }, seen };
}

function schedulerOf(used: Engine = engine, options: SchedulerOptions = {}): Scheduler {
  return new Scheduler(store, new Classifiers(used, 1e6), options);
}

const refused = async (asked: Promise<unknown>): Promise<SeedmaskError> => {
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SeedmaskError)) throw error ?? new Error('it was answered');
  return error;
};

const pixels = (count: number, seed = 1) => ({ values: Uint8Array.from({ length: 4 * count }, (_, i) => (i * 37 * seed) & 255), count });

describe('answers', () => {
  test('every row has the bits it has alone, however requests interleave', async () => {
    const request = fc.record({
      name: fc.constantFrom(...NAMES),
      count: fc.integer({ min: 1, max: 70 }),
      seed: fc.integer({ min: 1, max: 250 }),
      floats: fc.boolean(),
      turn: fc.integer({ min: 0, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 24 }), async (requests) => {
        const events: { rows: number; requests: number }[] = [];
        // A slow engine, so that requests meet in the queue.
        const scheduler = schedulerOf(counting(0.3).engine);
        scheduler.subscribe({ batch: (event) => events.push(event) });
        const answers = requests.map(async ({ name, count, seed, floats, turn }) => {
          for (let i = 0; i < turn; i++) await new Promise(setImmediate);
          const { values } = pixels(count, seed);
          const rows = { values: floats ? Float32Array.from(values, (v) => v + 0.5) : values, count };
          return { name, rows, answer: await scheduler.classify(store.version(name), rows) };
        });
        for (const { name, rows, answer } of await Promise.all(answers)) {
          for (let row = 0; row < rows.count; row += 7) {
            const one = { values: rows.values.subarray(row * 4, row * 4 + 4), count: 1 };
            const alone = await schedulerOf().classify(store.version(name), one);
            const n = alone.labels.length;
            expect(answer.best[row]).toBe(alone.best[0]);
            expect(answer.probabilities.subarray(row * n, row * n + n)).toEqual(alone.probabilities);
          }
        }
        expect(Math.max(...events.map(({ rows }) => rows))).toBeLessThanOrEqual(256);
        expect(scheduler.waiting).toEqual({ requests: 0, rows: 0, bytes: 0 });
      }),
      { numRuns: 25, seed: 20190503 },
    );
  });

  test('requests for one task that wait are computed together, and listeners are told', async () => {
    const scheduler = schedulerOf();
    const requests: RequestEvent[] = [];
    const batches: [rows: number, requests: number][] = [];
    scheduler.subscribe({
      request: (event) => requests.push(event),
      batch: ({ rows, requests: of }) => batches.push([rows, of]),
    });
    const version = store.version('a');
    await Promise.all([
      scheduler.classify(version, pixels(200)),
      ...[1, 2, 3, 4].map((seed) => scheduler.classify(version, pixels(2, seed))),
    ]);
    expect(requests.map(({ rows }) => rows).sort((x, y) => x - y)).toEqual([2, 2, 2, 2, 200]);
    expect(batches.some(([, of]) => of > 1)).toBe(true);
    expect(batches.reduce((sum, [rows]) => sum + rows, 0)).toBe(208);
    for (const { queueMs, computeMs, error } of requests) expect([queueMs >= 0, computeMs > 0, error]).toEqual([true, true, undefined]);
  });
});

describe('turns', () => {
  /** A ring of quanta of four rows of a millisecond each. */
  const ringOf = (waiting: Record<string, number[]>) => {
    const ring = new Ring<{ rows: { values: Uint8Array; count: number }; next: number; wanted(): boolean }>(4, 256, 1);
    for (const [name, counts] of Object.entries(waiting))
      for (const count of counts) ring.push(store.version(name), new Uint8Array(0), { rows: pixels(count), next: 0, wanted: () => true });
    return ring;
  };
  const order = (waiting: Record<string, number[]>, turns: number) => {
    const ring = ringOf(waiting);
    return Array.from({ length: turns }, () => {
      const batch = ring.next();
      if (batch) ring.charge(batch, batch.rows);
      return batch && [batch.lane.version.name, batch.rows];
    });
  };
  /** Rows of the first batch, which took so many milliseconds, and of the next. */
  const twoBatches = (waiting: Record<string, number[]>, ms: number) => {
    const ring = ringOf(waiting);
    const first = ring.next()!;
    ring.charge(first, ms);
    return [first.rows, ring.next()!.rows];
  };

  test('a task with many requests does not keep the others from theirs', () => {
    expect(order({ a: [100], b: [1], c: [2, 3] }, 6)).toEqual([
      ['a', 4],
      ['b', 1],
      ['c', 4],
      ['a', 4],
      ['c', 1],
      ['a', 4],
    ]);
  });
  test('what a turn overdraws is waited for', () => {
    const ring = ringOf({ a: [8], b: [8] });
    const first = ring.next()!;
    ring.charge(first, 9);
    expect([first.lane.version.name, ring.next()!.lane.version.name]).toEqual(['a', 'b']);
    // a owes 5 of its next 4.
    expect(ring.next()!.lane.version.name).toBe('b');
  });
  test('what a turn leaves is not made a small batch of', () => {
    expect(twoBatches({ a: [8] }, 2.5)).toEqual([4, 4]);
  });
  test('a task alone owes nobody anything', () => {
    expect(twoBatches({ a: [8] }, 6)).toEqual([4, 4]);
  });
  test('an empty ring has no turn', () => {
    expect(order({}, 1)).toEqual([null]);
  });
});

describe('bounds', () => {
  const version = store.version('a');
  test('rows beyond the limit are refused at once, with a time to come back, and never computed', async () => {
    const slow = counting(3);
    const scheduler = schedulerOf(slow.engine, { queueRows: 100 });
    await scheduler.classify(version, pixels(1));
    const running = [scheduler.classify(version, pixels(30)), scheduler.classify(store.version('c'), pixels(50))];
    const error = await refused(scheduler.classify(store.version('b'), pixels(40)));
    expect([error.code, error.status, error.message]).toEqual([
      'overloaded',
      503,
      `too much at once: 120 rows, the limit is 100. Try again in ${error.details.retryAfter} s.`,
    ]);
    expect(Number.isInteger(error.details.retryAfter)).toBe(true);
    await Promise.all(running);
    expect(slow.seen.rows).toBe(81);
    await scheduler.classify(store.version('b'), pixels(40));
  });
  test('bytes are bounded as well', async () => {
    const scheduler = schedulerOf(counting(3).engine, { queueBytes: 100 });
    await scheduler.classify(version, pixels(1));
    const running = scheduler.classify(version, pixels(20));
    expect((await refused(scheduler.classify(store.version('c'), pixels(6)))).message).toContain('104 bytes of rows, the limit is 100');
    await running;
  });
  test('one task takes half of the queue at most; what is larger than the queue is let in alone', async () => {
    const scheduler = schedulerOf(counting(3).engine, { queueRows: 100 });
    const alone = scheduler.classify(version, pixels(300));
    expect((await refused(scheduler.classify(version, pixels(1)))).code).toBe('overloaded');
    await alone;
    const running = scheduler.classify(version, pixels(40));
    const error = await refused(scheduler.classify(version, pixels(11)));
    expect(error.message).toContain('51 rows of task a, the limit is 50');
    await Promise.all([running, scheduler.classify(store.version('c'), pixels(50))]);
  });
  test('a key has a limit of its own', async () => {
    const scheduler = schedulerOf(counting(3).engine, { keyLimit: (key) => (key === 'small' ? 10 : 1000) });
    await scheduler.classify(version, pixels(1));
    const running = [scheduler.classify(version, pixels(200), { key: 'large' }), scheduler.classify(version, pixels(8), { key: 'small' })];
    const error = await refused(scheduler.classify(store.version('c'), pixels(3), { key: 'small' }));
    expect([error.code, error.status, Number.isInteger(error.details.retryAfter)]).toEqual(['over-key-limit', 429, true]);
    await Promise.all(running);
    await scheduler.classify(version, pixels(3), { key: 'small' });
    const leave = scheduler.occupy('small', 8);
    expect((await refused(scheduler.classify(version, pixels(3), { key: 'small' }))).message).toContain(
      'key small has 11 rows under way, its limit is 10 rows',
    );
    expect(() => scheduler.occupy('small', 3)).toThrow('key small has 11 rows under way');
    leave();
    await scheduler.classify(version, pixels(3), { key: 'small' });
    const never = await refused(scheduler.classify(version, pixels(11), { key: 'small' }));
    expect([never.code, never.status, never.details.retryAfter]).toEqual(['over-limit', 413, undefined]);
    expect(never.message).toContain('number of rows in one request of the key small is 11, the limit is 10');
  });
});

describe('deadlines and clients that have gone', () => {
  const version = store.version('a');
  const cases: [string, () => Wish, string, number][] = [
    ['a deadline that has passed', () => ({ deadline: performance.now() - 1 }), 'deadline', 504],
    ['a client that has gone', () => ({ gone: () => true }), 'client-gone', 499],
  ];
  test.each(cases)('%s: nothing is computed', async (_, wish, code, status) => {
    const slow = counting();
    const error = await refused(schedulerOf(slow.engine).classify(version, pixels(1), wish()));
    expect([error.code, error.status, slow.seen.rows]).toEqual([code, status, 0]);
  });

  test('after a mass disconnect no row is computed for those who went', async () => {
    const slow = counting(3);
    const scheduler = schedulerOf(slow.engine);
    await scheduler.classify(version, pixels(1));
    const first = scheduler.classify(version, pixels(200));
    let gone = false;
    const others = Array.from({ length: 50 }, () => scheduler.classify(store.version('c'), pixels(3), { gone: () => gone }));
    gone = true;
    const codes = new Set((await Promise.all(others.map(refused))).map(({ code }) => code));
    expect([...codes]).toEqual(['client-gone']);
    await first;
    expect(slow.seen.rows).toBe(201);
    expect(scheduler.waiting.requests).toBe(0);
  });

  test('a deadline that passes in the queue is answered then, and its rows are not computed', async () => {
    const slow = counting(10);
    const scheduler = schedulerOf(slow.engine);
    await scheduler.classify(version, pixels(1));
    const first = scheduler.classify(version, pixels(3));
    const late = refused(scheduler.classify(store.version('c'), pixels(7), { deadline: performance.now() + 5 }));
    expect((await late).code).toBe('deadline');
    await first;
    expect(slow.seen.rows).toBe(4);
  });
});
