// Builds the runtime alone, one module for a script tag: dist/web/seedmask.js. Run after the page's build, whose folder it joins.

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { loading, refusals } from './loading.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  publicDir: false,
  plugins: [refusals],
  resolve: { alias: { '#workers': here('../src/engine/workers.browser.ts'), '#inflate': here('../codec/deflate.ts') } },
  build: {
    outDir: here('../dist/web'),
    emptyOutDir: false,
    target: 'es2022',
    lib: { entry: here('./runtime.ts'), formats: ['es'], fileName: () => 'seedmask.js' },
    rolldownOptions: { ...loading, output: { ...loading.output, minify: true, chunkFileNames: 'seedmask-[name]-[hash].js' } },
  },
});
