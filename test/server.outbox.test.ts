// Answers wait for the end of their turn, all of it, and no longer.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createHandler } from '../server/index.js';
import { Outbox } from '../server/outbox.js';
import { engine, sampleStore } from './server.material.js';

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

test('an answer that somebody else gave meanwhile stands, and the process too', async () => {
  const handler = createHandler({ engine, store: await sampleStore() });
  const server = createServer((req, res) => {
    globalThis.setImmediate(() => {
      res.writeHead(503).write('timed');
      setTimeout(() => res.end(' out'), 20);
    });
    handler(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/health/live`);
    expect([response.status, await response.text()]).toEqual([503, 'timed out']);
  } finally {
    server.close();
  }
});
