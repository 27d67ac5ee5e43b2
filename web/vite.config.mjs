// Builds the page into dist/web: static files, relative addresses, nothing fetched from elsewhere.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { frontier, table } from './frontier.ts';
import { loading, refusals } from './loading.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

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
      generateBundle() {
        const source = readFileSync(here('../models/trained/digits.smk'));
        this.emitFile({ type: 'asset', fileName: 'models/digits.smk', source });
      },
      // The worker and the first model come while the page's script is read, not after it.
      transformIndexHtml: (_, { filename, bundle }) => {
        if (!filename.endsWith('index.html')) return [];
        const worker = Object.keys(bundle ?? {}).find((name) => /^assets\/worker-.*\.js$/.test(name));
        return [
          ...(worker ? [{ tag: 'link', attrs: { rel: 'modulepreload', href: `./${worker}` } }] : []),
          { tag: 'link', attrs: { rel: 'preload', as: 'fetch', crossorigin: '', href: './models/digits.smk' } },
        ];
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
