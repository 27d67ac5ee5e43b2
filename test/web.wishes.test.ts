// Wishes count once granted, and not when a later one has been.

import { expect, test } from 'vitest';
import { createWishes } from '../web/wishes.js';

test('what was asked for earlier and comes later is late; a wish that fails cancels none', () => {
  const wishes = createWishes();
  const [first, failed, last] = [wishes.make(), wishes.make(), wishes.make()];
  expect([first, failed, last].map(wishes.isLast)).toEqual([false, false, true]);
  expect(wishes.grant(first)).toBe(true);
  expect(wishes.areGranted()).toBe(false);
  expect(wishes.grant(last)).toBe(true);
  expect(wishes.areGranted()).toBe(true);
  expect([first, failed, last].map(wishes.isLate)).toEqual([true, true, false]);
  expect(wishes.grant(failed)).toBe(false);
  expect(wishes.grant(last)).toBe(true);
});
