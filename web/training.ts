// The form that trains a mask in the page, with its progress. The work is trainer.ts's, in a worker that ends with it. What is spoken aloud
// is a line a pass; the numbers that change with every step stand beside it.

import * as Comlink from 'comlink';
import { byId, grouped, percent, said } from './page.js';
import type { train } from './trainer.js';

/** @param open shows the model that came out */
export function wireTraining(open: (name: string, bytes: Uint8Array) => Promise<void>): void {
  const form = byId<HTMLFormElement>('train');
  const submit = form.querySelector('button')!;
  const stop = byId<HTMLButtonElement>('stop');
  const progress = byId<HTMLProgressElement>('progress');
  const [spoken, pace] = [byId('training'), byId('pace')];
  let running = false;
  const setRunning = (now: boolean) => {
    running = now;
    // A button that is disabled loses the focus.
    submit.setAttribute('aria-disabled', String(now));
    if (!now && document.activeElement === stop) submit.focus();
    stop.hidden = !now;
    progress.hidden = true;
    pace.textContent = '';
  };

  async function run(seed: string, epochs: number): Promise<void> {
    const worker = new Worker(new URL('./trainer.ts', import.meta.url), { type: 'module' });
    const failed = new Promise<never>((_, reject) => {
      worker.onerror = ({ message }) => reject(new Error(message || 'the trainer could not be loaded; load this page again'));
      stop.onclick = () => reject(new Error('Stopped; nothing is kept of it.'));
    });
    let passes = 0;
    /** What the worker has sent before its end may come after it. */
    let ended = false;
    try {
      spoken.textContent = 'Fetching the digits…';
      const request = { data: new URL('./data/mnist', location.href).href, seed, density: [0.03, 0.1, 0.3], epochs };
      const trained = Comlink.wrap<typeof train>(worker)(
        request,
        Comlink.proxy(({ step, steps, valAccuracy, stepsPerSecond }) => {
          if (ended) return;
          if (progress.hidden) spoken.textContent = 'Training…';
          progress.hidden = false;
          progress.value = step / steps;
          pace.textContent = `Step ${step} of ${steps}, ${Math.round(stepsPerSecond)} a second`;
          const done = Math.floor((step * epochs) / steps);
          if (done === passes || valAccuracy === null) return;
          passes = done;
          spoken.textContent = `Pass ${passes} of ${epochs}: ${percent(valAccuracy)} of validation digits right`;
        }),
      );
      const result = await Promise.race([trained, failed]).finally(() => {
        ended = true;
        worker.terminate();
      });
      spoken.textContent = `Done: ${percent(result.testAccuracy)} of the 10,000 test digits right, in ${grouped(result.bytes.length)} bytes. It is open above.`;
      await open(`seed ${seed}`, result.bytes);
    } catch (error) {
      spoken.textContent = said(error);
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (running) return;
    setRunning(true);
    const values = new FormData(form);
    void run(String(values.get('seed')), Number(values.get('epochs'))).finally(() => setRunning(false));
  });
}
