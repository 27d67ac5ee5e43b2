// Builds the page into dist/web: static files, relative addresses, nothing fetched from elsewhere.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { frontier, table } from './frontier.ts';
import { loading, refusals } from './loading.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const FIRST = 'models/digits.smk';

const workerIn = (bundle) => Object.keys(bundle).find((name) => /^assets\/worker-.*\.js$/.test(name));

/** Starts the worker, which opens the first model unless the address holds another (web/worker.ts); keeps its failure for the page. */
const start = (worker) => `self.seedmaskWorker = new Worker(new URL('./${worker}', location), {
  type: 'module',
  name: location.hash.startsWith('#m=') ? '' : new URL('./${FIRST}', location).href,
});
self.seedmaskWorker.onerror = (event) => {
  self.seedmaskFailed = event;
};
`;

export default defineConfig({
  root: here('.'),
  base: './',
  resolve: { alias: { '#workers': here('../src/engine/workers.browser.ts'), '#inflate': here('../codec/deflate.ts') } },
  worker: { format: 'es', rolldownOptions: loading, plugins: () => [refusals] },
  build: {
    outDir: here('../dist/web'),
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: { input: [here('./index.html'), here('./size.html')] },
  },
  plugins: [
    refusals,
    {
      name: 'digits',
      generateBundle(_, bundle) {
        const source = readFileSync(here('../models/trained/digits.smk'));
        this.emitFile({ type: 'asset', fileName: FIRST, source });
        this.emitFile({ type: 'asset', fileName: 'start.js', source: start(workerIn(bundle)) });
      },
      // The script of a few lines runs before anything is laid out; the query makes it another file when the worker is.
      transformIndexHtml: (_, { filename, bundle }) => {
        if (!filename.endsWith('index.html')) return [];
        const [, version] = /-(.*)\.js$/.exec(workerIn(bundle));
        return [{ tag: 'script', attrs: { defer: '', src: `./start.js?${version}` }, injectTo: 'head-prepend' }];
      },
    },
    {
      name: 'frontier',
      transformIndexHtml: async (html) => {
        const [wide, narrow] = await Promise.all([frontier(false), frontier(true)]);
        return html
          .replace('<!--wide-->', () => wide)
          .replace('<!--narrow-->', () => narrow)
          .replace('<!--table-->', table);
      },
    },
  ],
});
