// The form that trains a mask in the page, with its progress. The work is trainer.ts's, in a worker that ends with it.

import * as Comlink from 'comlink';
import { byId, grouped, percent, said } from './page.js';
import type { train } from './trainer.js';

/** @param open shows the model that came out */
export function wireTraining(open: (name: string, bytes: Uint8Array) => Promise<void>): void {
  byId<HTMLFormElement>('train').addEventListener('submit', (event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const values = new FormData(form);
    const seed = String(values.get('seed'));
    const status = byId('training');
    const progress = byId<HTMLProgressElement>('progress');
    const submit = form.querySelector('button')!;
    submit.disabled = true;
    void (async () => {
      const worker = new Worker(new URL('./trainer.ts', import.meta.url), { type: 'module' });
      const broken = new Promise<never>((_, reject) => {
        worker.onerror = ({ message }) => reject(new Error(message || 'the trainer could not be loaded; load this page again'));
      });
      try {
        const request = {
          data: new URL('./data/mnist', location.href).href,
          seed,
          density: [0.03, 0.1, 0.3],
          epochs: Number(values.get('epochs')),
          threads: 1,
        };
        status.textContent = 'Fetching the digits…';
        const trained = Comlink.wrap<typeof train>(worker)(
          request,
          Comlink.proxy(({ step, steps, valAccuracy, stepsPerSecond }) => {
            progress.hidden = false;
            progress.value = step / steps;
            const accuracy = valAccuracy === null ? '' : `, ${percent(valAccuracy)} of validation digits right`;
            status.textContent = `Step ${step} of ${steps}, ${Math.round(stepsPerSecond)} a second${accuracy}`;
          }),
        );
        const result = await Promise.race([trained, broken]);
        status.textContent = `Done: ${percent(result.testAccuracy)} of the 10,000 test digits right, in ${grouped(result.bytes.length)} bytes. It is open above.`;
        await open(`seed ${seed}`, result.bytes);
      } catch (error) {
        status.textContent = said(error);
      } finally {
        worker.terminate();
        progress.hidden = true;
        submit.disabled = false;
      }
    })();
  });
}
