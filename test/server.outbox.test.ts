// Answers wait for the end of their turn, all of it, and no longer.

import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Outbox } from '../server/outbox.js';

test('what is added in one turn is written after it, together and in order; what is added then, after the next', async () => {
  const outbox = new Outbox();
  const written: string[] = [];
  outbox.add(() => {
    written.push('first');
    outbox.add(() => written.push('third'));
  });
  await Promise.resolve();
  outbox.add(() => written.push('second'));
  expect(written).toEqual([]);
  await setImmediate();
  expect(written).toEqual(['first', 'second']);
  await setImmediate();
  expect(written).toEqual(['first', 'second', 'third']);
});
