// Chromium as a visitor has it. Playwright listens to everything a page does, and that, with what a new window loads for itself, is half
// of what it then measures; here the browser is told where to go, through its own pipe, and asked for a time when all is over.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a new window does for itself is over by then. */
const SETTLED = 2000;

/** @param executable Chromium's path */
export async function createVisitor(executable) {
  const profile = mkdtempSync(join(tmpdir(), 'seedmask-visitor-'));
  const flags = ['--headless', '--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
  const child = spawn(executable, [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const waiting = new Map();
  let calls = 0;
  let rest = '';
  child.stdio[4].on('data', (data) => {
    const messages = (rest + data).split('\0');
    rest = messages.pop();
    for (const { id, result, error } of messages.map((text) => JSON.parse(text))) {
      if (error) waiting.get(id)?.reject(new Error(error.message));
      else waiting.get(id)?.resolve(result);
      waiting.delete(id);
    }
  });
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      const id = ++calls;
      waiting.set(id, { resolve, reject });
      /** @type {import('node:stream').Writable} */ (child.stdio[3]).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  await sleep(SETTLED);
  return {
    /** Milliseconds from navigation to a mark of the page's own, in a window of its own: nothing is cached. */
    async load(url, mark) {
      const { browserContextId } = await send('Target.createBrowserContext');
      const { targetId } = await send('Target.createTarget', { url: 'about:blank', browserContextId });
      const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
      await sleep(SETTLED);
      await send('Page.navigate', { url }, sessionId);
      const expression = `performance.getEntriesByName('${mark}')[0]?.startTime ?? null`;
      let time = null;
      for (let seconds = 0; time === null; seconds++) {
        if (seconds > 30) throw new Error(`${url} has not marked '${mark}' within 30 seconds`);
        // Asking takes the page's time, so the first question comes late.
        await sleep(1000);
        time = (await send('Runtime.evaluate', { expression }, sessionId)).result.value ?? null;
      }
      await send('Target.disposeBrowserContext', { browserContextId });
      return time;
    },
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
